//! Follows a source in tests as an agent does: asks for states without end, with a short pause
//! after an error.

use std::fmt;
use std::time::Duration;

use store::{Key, Scope, Snapshot};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::pause;
use crate::{Error, Interest, Source};

/// The longest time from the end of a fault to the arrival of the last change. A refused connection
/// is tried again at once, so most of this time is only needed on a busy machine.
pub const BOUND: Duration = Duration::from_secs(8);

/// The scope with these keys.
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

/// Reads the present pairs of one scope.
///
/// # Errors
///
/// The errors of the source.
pub async fn read(source: &impl Source, keys: &[&str]) -> Result<Snapshot, Error> {
    // If the only scope is refused, `read` returns an error.
    Ok(source.read(&interest(&[keys])).await?.remove(0).unwrap())
}

/// The results of a follower.
#[derive(Default)]
pub struct Known {
    /// The newest state.
    pub snapshot: Option<Snapshot>,
    /// The number of states.
    pub states: usize,
    /// All errors so far.
    pub errors: Vec<Error>,
}

impl fmt::Debug for Known {
    /// Shows only the number of the errors and the last one, because there may be hundreds.
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
    /// Follows `/app`, and waits for its first state.
    pub async fn start(source: impl Source + 'static) -> Self {
        let mut follower = Self::start_asking(source, &["/app"]);
        follower.wait("the first state", BOUND, |known| known.snapshot.is_some()).await;
        follower
    }

    /// Follows these keys without waiting for a state.
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

    /// Waits until the results satisfy a condition.
    pub async fn wait(&mut self, what: &str, bound: Duration, condition: impl Fn(&Known) -> bool) {
        let arrived = timeout(bound, self.known.wait_for(|known| condition(known))).await.is_ok();
        assert!(arrived, "not within {bound:?}: {what}; {:?}", *self.known.borrow());
    }

    /// Waits until the state is exactly this.
    pub async fn sees(&mut self, pairs: &[&str]) {
        let is = |known: &Known| known.snapshot.as_ref().is_some_and(|seen| text(seen) == pairs);
        self.wait(&format!("{pairs:?}"), BOUND, is).await;
    }

    /// Waits for an error that contains these words.
    pub async fn reports_error(&mut self, words: &str, bound: Duration) {
        let matching =
            |known: &Known| known.errors.iter().any(|why| why.to_string().contains(words));
        self.wait(words, bound, matching).await;
    }

    /// Waits for one more error.
    pub async fn fails(&mut self, bound: Duration) {
        let before = self.known.borrow().errors.len();
        self.wait("another error", bound, |known| known.errors.len() > before).await;
    }

    /// Expects that there was no error.
    pub fn has_no_errors(&self) {
        let known = self.known.borrow();
        assert!(known.errors.is_empty(), "{:?}", known.errors);
    }
}
