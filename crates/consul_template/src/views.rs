//! Follows what templates ask for: one task for each query.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use report::{Fingerprint, errno_text, read_with_fingerprint};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use crate::session::{Answers, Data, Query};

/// The interval at which files are examined.
const POLL: Duration = Duration::from_secs(2);

/// A new answer to a query, or why there is none.
pub(crate) type News = (Query, Result<Data, String>);

/// The queries that are followed, and their answers.
pub(crate) struct Views {
    tasks: HashMap<Query, JoinHandle<()>>,
    sender: mpsc::UnboundedSender<News>,
    receiver: mpsc::UnboundedReceiver<News>,
}

/// The newest answers.
#[derive(Default)]
pub(crate) struct Store(std::cell::RefCell<HashMap<Query, Data>>);

impl Answers for Store {
    fn ask(&self, query: &Query) -> Option<Data> {
        self.0.borrow().get(query).cloned()
    }
}

impl Store {
    pub(crate) fn set(&self, query: Query, data: Data) {
        self.0.borrow_mut().insert(query, data);
    }
}

impl Views {
    pub(crate) fn new() -> Views {
        let (sender, receiver) = mpsc::unbounded_channel();
        Views { tasks: HashMap::new(), sender, receiver }
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(crate) fn follows(&self, query: &Query) -> bool {
        self.tasks.contains_key(query)
    }

    /// Follows a query from now on.
    ///
    /// # Errors
    /// Nothing here can answer it.
    pub(crate) fn follow(&mut self, query: &Query) -> Result<(), String> {
        let task = match query {
            Query::File(path) => {
                tokio::spawn(file(path.clone(), query.clone(), self.sender.clone()))
            }
            Query::Consul(name) => {
                return Err(format!("{name}: this release does not ask Consul yet"));
            }
        };
        self.tasks.insert(query.clone(), task);
        Ok(())
    }

    /// Ends the tasks of all queries that are not `wanted`, and forgets their answers.
    pub(crate) fn keep(&mut self, wanted: &[&Query], store: &Store) {
        self.tasks.retain(|query, task| {
            let is_wanted = wanted.contains(&query);
            if !is_wanted {
                task.abort();
                store.0.borrow_mut().remove(query);
            }
            is_wanted
        });
    }

    /// Waits for news.
    pub(crate) async fn next(&mut self) -> News {
        match self.receiver.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    /// The next news, if there are some already.
    pub(crate) fn try_next(&mut self) -> Option<News> {
        self.receiver.try_recv().ok()
    }
}

impl Drop for Views {
    fn drop(&mut self) {
        self.tasks.values().for_each(JoinHandle::abort);
    }
}

/// Reads a file, and reads it again when its fingerprint differs.
async fn file(path: String, query: Query, sender: mpsc::UnboundedSender<News>) {
    let mut timer = interval(POLL);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen: Option<Fingerprint> = None;
    loop {
        timer.tick().await;
        let read = path.clone();
        let read = spawn_blocking(move || read_if_changed(&read, seen)).await;
        let Ok(read) = read else { return };
        let news = match read {
            Ok(None) => continue,
            Ok(Some((state, data))) => {
                seen = Some(state);
                Ok(data)
            }
            Err(error) => Err(format!("{query}: {error}")),
        };
        let failed = news.is_err();
        if sender.send((query.clone(), news)).is_err() || failed {
            return;
        }
    }
}

/// The content of the file, unless it still has the fingerprint `seen`.
fn read_if_changed(
    path: &str,
    seen: Option<Fingerprint>,
) -> Result<Option<(Fingerprint, Data)>, String> {
    let fail =
        |operation: &str, cause: io::Error| format!("{operation} {path}: {}", errno_text(&cause));
    let found = fs::metadata(path).map_err(|cause| fail("stat", cause))?;
    if seen == Some(Fingerprint::of(&found)) {
        return Ok(None);
    }
    let (content, state) = read_with_fingerprint(Path::new(path)).map_err(|cause| {
        let is_folder = cause.kind() == io::ErrorKind::IsADirectory;
        fail(if is_folder { "read" } else { "open" }, cause)
    })?;
    Ok(Some((state, Data::Text(content.into()))))
}
