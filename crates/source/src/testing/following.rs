//! Following a source in tests as an agent does: it is asked for the next state for ever, with a
//! short rest after an error.

use std::fmt;
use std::time::Duration;

use store::{Key, Scope, Snapshot};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::pause;
use crate::{Error, Interest, Source};

/// How long after the end of a fault the last change may take to arrive. A connection that was
/// refused is tried again at once; the rest is for a machine that is busy.
pub const BOUND: Duration = Duration::from_secs(8);

/// The scope of these keys.
pub fn scope(keys: &[&str]) -> Scope {
    keys.iter().map(|key| Key::from(*key)).collect()
}

/// The interest in these scopes, each given by its keys.
pub fn interest(scopes: &[&[&str]]) -> Interest {
    scopes.iter().map(|keys| scope(keys)).collect()
}

/// The pairs, as `key=value`.
pub fn text(snapshot: &Snapshot) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    snapshot.iter().map(|(key, value)| format!("{}={}", text(key), text(value))).collect()
}

/// What is there now for one scope.
///
/// # Errors
///
/// Those of the source.
pub async fn read(source: &impl Source, keys: &[&str]) -> Result<Snapshot, Error> {
    // A scope that is refused and stands alone is an error.
    Ok(source.read(&interest(&[keys])).await?.remove(0).unwrap())
}

/// What a follower knows.
#[derive(Default)]
pub struct Known {
    /// The newest state.
    pub snapshot: Option<Snapshot>,
    /// How many states there were.
    pub states: usize,
    /// Every error so far.
    pub errors: Vec<Error>,
}

impl fmt::Debug for Known {
    /// Of the errors, of which there may be hundreds, only how many and the last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known")
            .field("snapshot", &self.snapshot.as_ref().map(text))
            .field("states", &self.states)
            .field("errors", &self.errors.len())
            .field("last_error", &self.errors.last())
            .finish()
    }
}

/// A task that follows some keys.
pub struct Follower {
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
    pub async fn start(source: impl Source + 'static) -> Self {
        let mut follower = Self::start_asking(source, &["/app"]);
        follower.wait("the first state", BOUND, |known| known.snapshot.is_some()).await;
        follower
    }

    /// Follows these keys, and does not wait.
    pub fn start_asking(source: impl Source + 'static, keys: &[&str]) -> Self {
        let interest = interest(&[keys]);
        let (sender, known) = watch::channel(Known::default());
        let task = tokio::spawn(async move {
            let mut watch = source.watch(&interest).await.unwrap().unwrap();
            loop {
                let next = watch.next().await;
                let failed = next.is_err();
                sender.send_modify(|known| match next {
                    Ok(mut update) => {
                        known.snapshot = Some(update.answers.remove(0).unwrap());
                        known.states += 1;
                    }
                    Err(error) => known.errors.push(error),
                });
                if failed {
                    pause(Duration::from_millis(20)).await;
                }
            }
        });
        Follower { task, known }
    }

    /// Waits until what is known fulfils a condition.
    pub async fn wait(&mut self, what: &str, bound: Duration, condition: impl Fn(&Known) -> bool) {
        let arrived = timeout(bound, self.known.wait_for(|known| condition(known))).await.is_ok();
        assert!(arrived, "not within {bound:?}: {what}; {:?}", *self.known.borrow());
    }

    /// Waits until the state is exactly this.
    pub async fn sees(&mut self, pairs: &[&str]) {
        let is = |known: &Known| known.snapshot.as_ref().is_some_and(|seen| text(seen) == pairs);
        self.wait(&format!("{pairs:?}"), BOUND, is).await;
    }

    /// Waits for an error that is told in these words, among others.
    pub async fn is_told(&mut self, words: &str, bound: Duration) {
        let told = |known: &Known| known.errors.iter().any(|why| why.to_string().contains(words));
        self.wait(words, bound, told).await;
    }

    /// Waits for one more error than there is so far.
    pub async fn fails(&mut self, bound: Duration) {
        let before = self.known.borrow().errors.len();
        self.wait("another error", bound, |known| known.errors.len() > before).await;
    }

    /// There was no error.
    pub fn was_told_nothing(&self) {
        let known = self.known.borrow();
        assert!(known.errors.is_empty(), "{:?}", known.errors);
    }
}
