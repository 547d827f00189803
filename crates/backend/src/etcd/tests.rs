//! etcd with real servers of both releases: what it costs, who may ask, and what happens when
//! something breaks.
//!
//! In each fault a change is made while it lasts or right after it, and has to arrive within
//! [`BOUND`] after the fault has ended. A [`Follower`] does what an agent does: it asks for the next
//! state for ever, with a short rest after an error.

mod access;
mod cost;
mod faults;
mod members;

use std::time::Duration;

use etcd_client::{Client, Txn, TxnOp};
use servers::{Proxy, Release};
use store::{Key, Scope, Snapshot};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Etcd, Options};
use crate::{Backend, Error};

/// How long after the end of a fault the last change may take to arrive. A connection that was
/// refused is tried again at once; the rest is for a machine that is busy.
const BOUND: Duration = Duration::from_secs(8);

/// How long a connection that has gone silent may seem alive: 10 seconds until it is asked for a
/// sign of life, 5 until that counts as missing.
const SILENCE: Duration = Duration::from_secs(18);

fn scope(keys: &[&str]) -> Scope {
    keys.iter().map(|key| Key::from(*key)).collect()
}

fn at(nodes: &[&str]) -> Options {
    Options { nodes: nodes.iter().map(|&node| node.to_owned()).collect(), ..Options::default() }
}

/// A client that changes what is followed.
async fn writer(server: &servers::Etcd) -> Client {
    Client::connect([server.address()], None).await.unwrap()
}

async fn put(client: &mut Client, key: &str, value: &str) {
    client.put(key, value, None).await.unwrap();
}

/// Sets many keys, in few requests.
async fn put_all(client: &mut Client, pairs: impl Iterator<Item = (String, String)>) {
    let puts: Vec<_> = pairs.map(|(key, value)| TxnOp::put(key, value, None)).collect();
    for puts in puts.chunks(128) {
        client.txn(Txn::new().and_then(puts)).await.unwrap();
    }
}

async fn read(options: Options, keys: &[&str]) -> Result<Snapshot, Error> {
    Ok(Etcd::new(options).read(&[scope(keys)]).await?.remove(0))
}

/// The pairs, as `key=value`.
fn text(snapshot: &Snapshot) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    snapshot.iter().map(|(key, value)| format!("{}={}", text(key), text(value))).collect()
}

/// What a follower knows.
#[derive(Debug, Default)]
struct Known {
    snapshot: Option<Snapshot>,
    /// How many states there were.
    states: usize,
    errors: Vec<Error>,
}

/// A task that follows some keys.
struct Follower {
    task: JoinHandle<()>,
    known: watch::Receiver<Known>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    /// Follows `/app`, and has its first state.
    async fn start(options: Options) -> Self {
        let mut follower = Self::start_asking(options, &["/app"]);
        follower.wait("the first state", BOUND, |known| known.snapshot.is_some()).await;
        follower
    }

    fn start_asking(options: Options, keys: &[&str]) -> Self {
        let scopes = [scope(keys)];
        let (sender, known) = watch::channel(Known::default());
        let task = tokio::spawn(async move {
            let mut watch = Etcd::new(options).watch(&scopes).await.unwrap().unwrap();
            loop {
                let next = watch.next().await;
                let failed = next.is_err();
                sender.send_modify(|known| match next {
                    Ok(mut update) => {
                        known.snapshot = Some(update.snapshots.remove(0));
                        known.states += 1;
                    }
                    Err(error) => known.errors.push(error),
                });
                if failed {
                    sleep(Duration::from_millis(20)).await;
                }
            }
        });
        Follower { task, known }
    }

    async fn wait(&mut self, what: &str, bound: Duration, condition: impl Fn(&Known) -> bool) {
        let arrived = timeout(bound, self.known.wait_for(|known| condition(known))).await.is_ok();
        assert!(arrived, "not within {bound:?}: {what}; {:?}", *self.known.borrow());
    }

    /// Waits until the state is exactly this.
    async fn sees(&mut self, pairs: &[&str]) {
        let is = |known: &Known| known.snapshot.as_ref().is_some_and(|seen| text(seen) == pairs);
        self.wait(&format!("{pairs:?}"), BOUND, is).await;
    }

    /// Waits for an error that is told in these words, among others.
    async fn is_told(&mut self, words: &str, bound: Duration) {
        let told = |known: &Known| known.errors.iter().any(|why| why.to_string().contains(words));
        self.wait(words, bound, told).await;
    }

    fn was_told_nothing(&self) {
        let known = self.known.borrow();
        assert!(known.errors.is_empty(), "{:?}", known.errors);
    }
}

/// A server behind a network that can be spoiled, with a writer that is not.
async fn behind_a_proxy(release: Release, more: &[&str]) -> (servers::Etcd, Proxy, Client) {
    let server = servers::Etcd::start_with(release, more);
    let proxy = Proxy::before(&server.address());
    let client = writer(&server).await;
    (server, proxy, client)
}

/// Each test for both releases.
macro_rules! with_both_releases {
    ($($test:ident),* $(,)?) => {
        mod debian {
            $(#[tokio::test] async fn $test() { super::$test(servers::Release::Debian).await; })*
        }
        mod newest {
            $(#[tokio::test] async fn $test() { super::$test(servers::Release::Newest).await; })*
        }
    };
}
use with_both_releases;
