//! Follows an interest, with one waiting request for each folder.
//!
//! A folder is listed, and then a request waits for a change after the index of the listing. When it
//! ends, the folder is listed again and compared with the known pairs. So events are only a reason to
//! read: it does not matter that etcd keeps the last thousand of them. If more changes have happened
//! since the listing, etcd answers with its error 401, and the folder is listed again. The same is done
//! after a lost connection, and if the index is smaller than the known one, because the server was wiped
//! or restored.

use std::panic;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use client_etcd2::{Client, Listed, Since, Waited};
use nodes::NodeError;
use source::{Comparison, Error, Interest, Refusals, Update, Watch};
use store::{Coverage, Key, Scope, Snapshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::folders;

/// The time that one request waits for a change. A silent node is noticed after this time at the latest.
const WAIT: Duration = Duration::from_secs(60);

/// The delay of a listing after a wait that brought no difference: at first, and at most. Changes of keys
/// that no scope asks for end a wait too, and so does a proxy that allows no long requests.
const FIRST_REST: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_millis(500);

/// An interest that is followed.
pub(super) struct Following {
    client: Arc<Client>,
    scopes: Vec<Scope>,
    refusals: Refusals,
    /// The most folders that are followed.
    most: usize,
    folders: Vec<Followed>,
    /// The greatest number of a folder so far.
    last_id: u64,
    snapshot: Snapshot,
    comparison: Comparison,
    /// The running requests. They go on if the future that waits for them is dropped.
    requests: JoinSet<(u64, End)>,
}

/// A folder and the state of its requests.
struct Followed {
    /// Its number. Numbers are never used again.
    id: u64,
    folder: Key,
    /// The node that listed it and the index of the listing; `None` if it must be listed again.
    position: Option<(usize, u64)>,
    /// Whether it must be listed before a state can be reported.
    is_awaited: bool,
    /// The delay of the next listing.
    rest: Duration,
    /// The running request.
    running: Option<Running>,
}

/// A running request. Dropping this ends the request.
struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a request was for, and its result.
enum End {
    Listed(Result<Listed, nodes::Error>),
    Waited(Result<Waited, NodeError>),
}

impl Following {
    pub(super) fn new(client: Arc<Client>, interest: &Interest) -> Self {
        let mut following = Following {
            client,
            scopes: interest.scopes.clone(),
            refusals: Refusals::default(),
            most: folders::MOST,
            folders: Vec::new(),
            last_id: 0,
            snapshot: Snapshot::new(Coverage::Subtree),
            comparison: Comparison::default(),
            requests: JoinSet::new(),
        };
        following.choose();
        following
    }

    /// Chooses the folders of all keys that are asked for and not refused, and forgets all other pairs. A
    /// folder that stays keeps its request.
    fn choose(&mut self) {
        let asked = folders::asked(self.refusals.allowed(&self.scopes));
        let mut before = std::mem::take(&mut self.folders);
        for folder in folders::around(&asked, self.most) {
            let same = before.iter().position(|followed| followed.folder == folder);
            self.folders.push(match same {
                Some(place) => before.swap_remove(place),
                None => {
                    self.last_id += 1;
                    Followed {
                        id: self.last_id,
                        folder,
                        position: None,
                        is_awaited: true,
                        rest: Duration::ZERO,
                        running: None,
                    }
                }
            });
        }
        let is_gone = |key: &&Bytes| !covers(&asked, key);
        let gone = self.snapshot.iter().map(|(key, _)| key).filter(is_gone).cloned();
        for key in gone.collect::<Vec<_>>() {
            self.snapshot.remove(&key);
        }
    }

    /// Starts a request for each folder that has none.
    fn ask(&mut self) {
        for followed in &mut self.folders {
            if followed.running.is_some() {
                continue;
            }
            let (id, client, folder) =
                (followed.id, Arc::clone(&self.client), followed.folder.clone());
            let request = match followed.position {
                None => {
                    let until = Instant::now() + std::mem::take(&mut followed.rest);
                    self.requests.spawn(async move {
                        sleep_until(until).await;
                        (id, End::Listed(client.list(folder.as_bytes()).await))
                    })
                }
                Some((node, index)) => self.requests.spawn(async move {
                    let since = (index, Since::Known);
                    (id, End::Waited(client.wait(node, folder.as_bytes(), since, WAIT).await))
                }),
            };
            followed.running = Some(Running(request));
        }
    }

    /// Processes the result of a request.
    fn take(&mut self, id: u64, end: End) -> Result<(), Error> {
        // The request of a folder that is followed no more may have ended before it was stopped.
        let Some(place) = self.folders.iter().position(|followed| followed.id == id) else {
            return Ok(());
        };
        let followed = &mut self.folders[place];
        followed.running = None;
        match end {
            End::Waited(Ok(Waited::Unchanged(index))) => {
                followed.position = followed.position.map(|(node, _)| (node, index));
            }
            End::Waited(Ok(Waited::Changed(_) | Waited::Lost(_))) => followed.position = None,
            End::Waited(Err(error)) => {
                // If the node has failed, the listing reports that.
                debug!("etcd: {} is listed again: {error:?}", followed.folder);
                followed.position = None;
                followed.rest = (followed.rest * 2).clamp(FIRST_REST, LONGEST_REST);
            }
            End::Listed(Ok(listed)) => self.take_listed(place, listed),
            End::Listed(Err(error)) if error.is_refusal() => {
                return self.take_refused(place, error);
            }
            End::Listed(Err(error)) => {
                // The other folders are in the same cluster.
                for followed in &mut self.folders {
                    followed.read_again();
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Replaces the pairs in a folder.
    fn take_listed(&mut self, place: usize, listed: Listed) {
        let followed = &mut self.folders[place];
        let asked = folders::asked(self.refusals.allowed(&self.scopes));
        let mut pairs = listed.pairs;
        pairs.retain(|(key, _)| covers(&asked, key));
        pairs.sort_unstable();
        let has = |key: &Bytes| pairs.binary_search_by(|(known, _)| known.cmp(key)).is_ok();
        let in_folder = |key: &Bytes| folders::shows(&followed.folder, key);
        let known = self.snapshot.beginning_with(followed.folder.as_bytes()).map(|(key, _)| key);
        let gone: Vec<Bytes> = known.filter(|key| in_folder(key) && !has(key)).cloned().collect();
        let mut differs = !gone.is_empty();
        for key in gone {
            self.snapshot.remove(&key);
        }
        for (key, value) in pairs {
            if self.snapshot.get(&key) != Some(&value) {
                differs = true;
                self.snapshot.insert(key, value);
            }
        }
        let index = listed.index.max(self.snapshot.revision());
        self.snapshot = self.snapshot.clone().at_revision(index);
        followed.rest = match followed.is_awaited || differs {
            true => Duration::ZERO,
            false => (followed.rest * 2).clamp(FIRST_REST, LONGEST_REST),
        };
        followed.is_awaited = false;
        followed.position = Some((listed.node, listed.index));
    }

    /// Notes that a folder is refused. The keys in a folder that no scope asks for may be allowed one by
    /// one.
    ///
    /// # Errors
    /// Every scope is refused.
    fn take_refused(&mut self, place: usize, error: nodes::Error) -> Result<(), Error> {
        let folder = self.folders[place].folder.clone();
        let asked = folders::asked(self.refusals.allowed(&self.scopes));
        if asked.contains(&folder) {
            self.refusals.add(folder, error.into());
        } else {
            self.most = usize::MAX;
        }
        let allowed = self.refusals.check_any_allowed(&self.scopes);
        self.choose();
        allowed
    }
}

impl Followed {
    /// Lists the folder once more. A running request ends.
    fn read_again(&mut self) {
        (self.position, self.running) = (None, None);
    }
}

/// Whether one of these keys stands for `key`. They are sorted.
fn covers(asked: &[Key], key: &[u8]) -> bool {
    asked.iter().any(|asked| folders::shows(asked, key))
}

#[async_trait]
impl Watch for Following {
    async fn next(&mut self) -> Result<Update, Error> {
        loop {
            self.ask();
            if self.folders.iter().all(|followed| !followed.is_awaited) {
                let answers = folders::answers(&self.scopes, &self.refusals, &self.snapshot);
                if let Some(update) = self.comparison.state(&self.scopes, answers) {
                    return Ok(update);
                }
            }
            match self.requests.join_next().await {
                Some(Ok((id, end))) => self.take(id, end)?,
                Some(Err(ended)) if ended.is_panic() => panic::resume_unwind(ended.into_panic()),
                // It was stopped.
                Some(Err(_)) => {}
                // There is no scope.
                None => return std::future::pending().await,
            }
        }
    }

    /// New folders are listed, and so are known ones in which a new scope has its keys.
    fn set_interest(&mut self, interest: &Interest) {
        let known: Vec<Scope> = self.refusals.allowed(&self.scopes).cloned().collect();
        self.refusals.clear();
        self.scopes.clone_from(&interest.scopes);
        self.comparison.set_due();
        self.choose();
        for scope in self.scopes.iter().filter(|scope| !known.contains(scope)) {
            for followed in &mut self.folders {
                let is_in = |key: &Key| Coverage::Subtree.covers(&followed.folder, key.as_bytes());
                if scope.iter().any(is_in) {
                    followed.is_awaited = true;
                    followed.read_again();
                }
            }
        }
    }

    fn reread(&mut self) {
        self.folders.iter_mut().for_each(Followed::read_again);
    }
}
