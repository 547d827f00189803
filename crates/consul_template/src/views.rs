//! Follows what templates ask for: one task for each file and for each question to Vault, and one for
//! everything that Consul is asked.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foldhash::{HashMap, HashSet};
use report::{Fingerprint, errno_text, read_with_fingerprint};
use source::queries::{self, Queries};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use crate::secrets::{self, Failed, Question};
use crate::session::Query;

/// The interval at which files are examined.
const POLL: Duration = Duration::from_secs(2);

/// Something new about a query.
pub(crate) enum News {
    /// The content of a file, or why it cannot be read. Such a file is not followed any more.
    File(Arc<str>, Result<Bytes, String>),
    /// An answer of Consul, or why there is none.
    Consul(Box<queries::News>),
    /// An answer of Vault, or why there is none.
    Vault(Arc<Question>, Result<secrets::Answer, Failed>),
}

/// Opens Consul.
type Open = Box<dyn Fn() -> Box<dyn Queries>>;

/// The queries that are followed.
pub(crate) struct Views {
    files: HashMap<Arc<str>, JoinHandle<()>>,
    consul: HashSet<Arc<catalog::Query>>,
    vault: HashMap<Arc<Question>, JoinHandle<()>>,
    /// All of them, as they were given.
    wanted: Vec<Query>,
    secrets: Arc<secrets::Link>,
    open: Open,
    /// `None` until Consul is asked for the first time.
    link: Option<Link>,
    sender: mpsc::UnboundedSender<News>,
    receiver: mpsc::UnboundedReceiver<News>,
}

/// The task that asks Consul.
struct Link {
    /// What the task follows: whole lists, one after the other.
    wanted: mpsc::UnboundedSender<Vec<catalog::Query>>,
    task: JoinHandle<()>,
}

impl Views {
    /// Follows nothing yet. `open` opens Consul when it is asked for the first time; `secrets` is Vault.
    pub(crate) fn new(open: Open, secrets: Arc<secrets::Link>) -> Views {
        let (sender, receiver) = mpsc::unbounded_channel();
        Views {
            files: HashMap::default(),
            consul: HashSet::default(),
            vault: HashMap::default(),
            secrets,
            wanted: Vec::new(),
            open,
            link: None,
            sender,
            receiver,
        }
    }

    /// The number of queries that are followed.
    pub(crate) fn len(&self) -> usize {
        self.files.len() + self.consul.len() + self.vault.len()
    }

    /// Whether a query is followed.
    pub(crate) fn follows(&self, query: &Query) -> bool {
        match query {
            Query::File(path) => self.files.contains_key(path),
            Query::Consul(query) => self.consul.contains(query),
            Query::Vault(asked) => self.vault.contains_key(asked),
        }
    }

    /// Follows exactly these queries from now on. Returns those that are not followed any more.
    pub(crate) fn follow(&mut self, wanted: Vec<Query>) -> Vec<Query> {
        // Most executions of a template ask the same, and comparing costs least.
        if wanted == self.wanted {
            return Vec::new();
        }
        let known: HashSet<&Query> = wanted.iter().collect();
        let mut dropped = Vec::new();
        self.files.retain(|path, task| {
            let query = Query::File(Arc::clone(path));
            let is_wanted = known.contains(&query);
            if !is_wanted {
                task.abort();
                dropped.push(query);
            }
            is_wanted
        });
        self.vault.retain(|asked, task| {
            let query = Query::Vault(Arc::clone(asked));
            let is_wanted = known.contains(&query);
            if !is_wanted {
                task.abort();
                dropped.push(query);
            }
            is_wanted
        });
        let others = dropped.len();
        self.consul.retain(|query| {
            let query = Query::Consul(Arc::clone(query));
            let is_wanted = known.contains(&query);
            if !is_wanted {
                dropped.push(query);
            }
            is_wanted
        });
        let mut consul_differs = dropped.len() > others;
        for query in &wanted {
            match query {
                Query::File(path) if !self.files.contains_key(path) => {
                    let task = tokio::spawn(file(Arc::clone(path), self.sender.clone()));
                    self.files.insert(Arc::clone(path), task);
                }
                Query::Vault(asked) if !self.vault.contains_key(asked) => {
                    let (sender, of_task) = (self.sender.clone(), Arc::clone(asked));
                    let report = move |answer| {
                        sender.send(News::Vault(Arc::clone(&of_task), answer)).is_ok()
                    };
                    let task = Arc::clone(&self.secrets).follow(Arc::clone(asked), report);
                    self.vault.insert(Arc::clone(asked), tokio::spawn(task));
                }
                Query::File(_) | Query::Vault(_) => {}
                Query::Consul(query) => consul_differs |= self.consul.insert(Arc::clone(query)),
            }
        }
        if consul_differs {
            self.ask_consul();
        }
        self.wanted = wanted;
        dropped
    }

    /// Lets the task that asks Consul follow the present queries.
    fn ask_consul(&mut self) {
        let link = self.link.get_or_insert_with(|| {
            let (wanted, lists) = mpsc::unbounded_channel();
            let task = tokio::spawn(consul((self.open)(), lists, self.sender.clone()));
            Link { wanted, task }
        });
        let wanted = self.consul.iter().map(|query| catalog::Query::clone(query)).collect();
        // The task ends only with these views.
        let _ = link.wanted.send(wanted);
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
        self.files.values().chain(self.vault.values()).for_each(JoinHandle::abort);
        self.link.iter().for_each(|link| link.task.abort());
    }
}

/// Asks Consul for the newest of the `lists`, and sends what is new.
async fn consul(
    mut queries: Box<dyn Queries>,
    mut lists: mpsc::UnboundedReceiver<Vec<catalog::Query>>,
    sender: mpsc::UnboundedSender<News>,
) {
    loop {
        tokio::select! {
            // A list takes effect when news are awaited. So they are awaited between two lists: a
            // query that only the first of them lacks is asked again, because its answer was
            // forgotten.
            biased;
            news = queries.next() => {
                for one in news {
                    if sender.send(News::Consul(Box::new(one))).is_err() {
                        return;
                    }
                }
            }
            list = lists.recv() => match list {
                Some(list) => queries.follow(&list),
                None => return,
            },
        }
    }
}

/// Reads a file, and reads it again when its fingerprint differs.
async fn file(path: Arc<str>, sender: mpsc::UnboundedSender<News>) {
    let mut timer = interval(POLL);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen: Option<Fingerprint> = None;
    loop {
        timer.tick().await;
        let read = Arc::clone(&path);
        let read = spawn_blocking(move || read_if_changed(&read, seen)).await;
        let Ok(read) = read else { return };
        let content = match read {
            Ok(None) => continue,
            Ok(Some((state, content))) => {
                seen = Some(state);
                Ok(content)
            }
            Err(error) => Err(format!("file({path}): {error}")),
        };
        let failed = content.is_err();
        if sender.send(News::File(Arc::clone(&path), content)).is_err() || failed {
            return;
        }
    }
}

/// The content of the file, unless it still has the fingerprint `seen`.
fn read_if_changed(
    path: &str,
    seen: Option<Fingerprint>,
) -> Result<Option<(Fingerprint, Bytes)>, String> {
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
    Ok(Some((state, content.into())))
}

#[cfg(test)]
mod tests {
    use std::future;

    use catalog::Data;

    use super::*;

    /// Answers each query once, and reports what it follows.
    struct Fake {
        followed: Vec<catalog::Query>,
        pending: Vec<catalog::Query>,
    }

    #[async_trait::async_trait]
    impl Queries for Fake {
        fn follow(&mut self, wanted: &[catalog::Query]) {
            let new = wanted.iter().filter(|query| !self.followed.contains(query));
            self.pending.extend(new.cloned());
            self.followed = wanted.to_vec();
        }

        async fn next(&mut self) -> Vec<queries::News> {
            if self.pending.is_empty() {
                future::pending::<()>().await;
            }
            let answer =
                |query| queries::News { query, answer: Ok(Data::Value(None)), warning: None };
            self.pending.drain(..).map(answer).collect()
        }
    }

    fn query(key: &str) -> Query {
        Query::Consul(Arc::new(catalog::Query::key(key, true).unwrap()))
    }

    async fn news(views: &mut Views) -> String {
        match views.next().await {
            News::Consul(news) => news.query.to_string(),
            News::File(path, _) => path.to_string(),
            News::Vault(asked, _) => asked.to_string(),
        }
    }

    #[tokio::test]
    async fn a_query_that_was_dropped_is_answered_again() {
        let fake = || Box::new(Fake { followed: Vec::new(), pending: Vec::new() });
        let retry = queries::Retry { attempts: None, backoff: POLL, max_backoff: None };
        let secrets = Arc::new(secrets::Link {
            client: client_vault::Client::new(client_vault::Options::default()),
            retry,
            once: false,
            default_lease: POLL,
            threshold: 1.0,
        });
        let mut views = Views::new(Box::new(move || fake()), secrets);
        let (a, b) = (query("a"), query("b"));
        assert!(views.follow(vec![a.clone()]).is_empty());
        assert_eq!(news(&mut views).await, "kv.block(a)");
        // The task sees these lists one after the other, although it has not run in between.
        let dropped = views.follow(vec![b.clone()]);
        assert!(dropped.len() == 1 && dropped.contains(&a));
        assert_eq!(views.follow(vec![a, b]), []);
        let mut both = [news(&mut views).await, news(&mut views).await];
        both.sort();
        assert_eq!(both, ["kv.block(a)", "kv.block(b)"]);
        assert_eq!(views.len(), 2);
    }
}
