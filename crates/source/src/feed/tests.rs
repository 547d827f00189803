//! A feed of sources that follow a script. Time is paused.

use std::sync::Mutex;

use async_trait::async_trait;
use store::{Coverage, Key, Snapshot};
use tokio::time::timeout;

use super::*;

/// A source that follows a script, and records when it was asked for what.
#[derive(Default)]
struct Scripted {
    /// The results of the next calls, the first one last. After them nothing changes.
    script: Mutex<Vec<Step>>,
    asked: Mutex<Vec<(&'static str, Instant)>>,
}

#[derive(Clone, Copy)]
enum Step {
    Fail,
    Polled,
    Followed,
    State(u64),
}

impl Scripted {
    fn new(steps: &[Step]) -> Arc<Self> {
        let script = Mutex::new(steps.iter().rev().copied().collect());
        Arc::new(Self { script, ..Self::default() })
    }

    fn step(&self, call: &'static str) -> Option<Step> {
        self.asked.lock().unwrap().push((call, Instant::now()));
        self.script.lock().unwrap().pop()
    }

    fn asked(&self) -> Vec<&'static str> {
        self.asked.lock().unwrap().iter().map(|(call, _)| *call).collect()
    }

    /// The pauses between the calls, in milliseconds.
    fn pauses(&self) -> Vec<u128> {
        let asked = self.asked.lock().unwrap();
        asked.windows(2).map(|pair| (pair[1].1 - pair[0].1).as_millis()).collect()
    }
}

fn failure() -> Error {
    let cause = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    Error::file("open", std::path::Path::new("/data"), cause)
}

fn state(revision: u64) -> Snapshot {
    Snapshot::new(Coverage::Subtree).at_revision(revision)
}

/// The scripted source in the form that the agent needs.
struct Told(Arc<Scripted>);

#[async_trait]
impl Source for Told {
    async fn read(&self, _: &Interest) -> Result<Vec<Answer>, Error> {
        match self.0.step("read") {
            Some(Step::State(revision)) => Ok(vec![Ok(state(revision))]),
            _ => Err(failure()),
        }
    }

    async fn watch(&self, _: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        match self.0.step("watch") {
            Some(Step::Polled) => Ok(None),
            Some(Step::Followed) => Ok(Some(Box::new(Followed(Arc::clone(&self.0))))),
            _ => Err(failure()),
        }
    }
}

struct Followed(Arc<Scripted>);

#[async_trait]
impl Watch for Followed {
    async fn next(&mut self) -> Result<Update, Error> {
        match self.0.step("next") {
            Some(Step::State(revision)) => {
                Ok(Update { answers: vec![Ok(state(revision))], changed: None })
            }
            Some(Step::Fail) => Err(failure()),
            _ => std::future::pending().await,
        }
    }

    fn set_interest(&mut self, _: &Interest) {
        self.0.step("set_interest");
    }

    fn reread(&mut self) {
        self.0.step("reread");
    }
}

fn pauses() -> Pauses {
    Pauses { interval: Duration::from_secs(10), reconcile: Duration::from_secs(600) }
}

fn feed(source: &Arc<Scripted>) -> Feed {
    let scopes = vec![Scope::from_iter([Key::root()])];
    Feed::new(Arc::new(Told(Arc::clone(source))), scopes, pauses())
}

async fn revision(feed: &mut Feed) -> u64 {
    loop {
        if let Ok(state) = feed.next().await {
            return state.update.answers[0].as_ref().unwrap().revision();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_asked_again_with_delays_that_grow_to_a_limit() {
    let mut steps = vec![Step::Fail; 12];
    steps.extend([Step::Followed, Step::Fail, Step::Polled, Step::State(7)]);
    let source = Scripted::new(&steps);
    let mut feed = feed(&source);
    assert_eq!(revision(&mut feed).await, 7);
    let pauses = source.pauses();
    assert!((50..=101).contains(&pauses[0]), "{pauses:?}");
    assert!((2500..=5001).contains(&pauses[11]), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= 5001), "{pauses:?}");
    assert_eq!(source.asked()[12..], ["watch", "next", "set_interest", "next"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_success_the_delays_start_again() {
    let steps = [vec![Step::Fail; 8], vec![Step::Followed, Step::State(1)]].concat();
    let source = Scripted::new(&[steps, vec![Step::Fail, Step::Polled, Step::State(2)]].concat());
    let mut feed = feed(&source);
    assert_eq!((revision(&mut feed).await, revision(&mut feed).await), (1, 2));
    assert!(*source.pauses().last().unwrap() <= 101, "{:?}", source.pauses());
}

#[tokio::test(start_paused = true)]
async fn a_watch_reads_again_after_the_reconcile_time_and_stays_open() {
    let steps = [Step::Followed, Step::State(1), Step::Polled, Step::Polled, Step::State(2)];
    let source = Scripted::new(&steps);
    let mut feed = feed(&source);
    assert_eq!(revision(&mut feed).await, 1);
    let begun = Instant::now();
    assert_eq!(revision(&mut feed).await, 2);
    let after = begun.elapsed().as_secs();
    assert!((300..=600).contains(&after), "after {after} s");
    assert_eq!(source.asked(), ["watch", "next", "next", "reread", "next"]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_be_followed_is_read_at_once_and_every_interval() {
    let steps = [Step::Polled, Step::State(1), Step::State(2), Step::State(3)];
    let source = Scripted::new(&steps);
    let mut feed = feed(&source);
    for expected in 1..=3 {
        assert_eq!(revision(&mut feed).await, expected);
    }
    assert_eq!(source.asked(), ["watch", "read", "read", "read"]);
    let pauses = source.pauses();
    assert!(pauses[0] < 10 && pauses[1..].iter().all(|p| (10_000..10_010).contains(p)));
}

#[tokio::test(start_paused = true)]
async fn a_new_interval_counts_from_the_next_rest_on() {
    let steps = [Step::Polled, Step::State(1), Step::State(2), Step::State(3)];
    let source = Scripted::new(&steps);
    let mut feed = feed(&source);
    assert_eq!(revision(&mut feed).await, 1);
    feed.reschedule(Pauses { interval: Duration::from_secs(2), ..pauses() });
    assert_eq!(revision(&mut feed).await, 2);
    assert_eq!(revision(&mut feed).await, 3);
    assert!((2_000..2_010).contains(source.pauses().last().unwrap()), "{:?}", source.pauses());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_neither_loses_a_state_nor_shortens_a_delay() {
    let source = Scripted::new(&[Step::Fail, Step::Followed, Step::State(1)]);
    let mut feed = feed(&source);
    let mut attempts = 0;
    let state = loop {
        attempts += 1;
        match timeout(Duration::from_millis(10), feed.next()).await {
            Ok(Ok(state)) => break state,
            Ok(Err(_)) => {}
            Err(_) => assert!(attempts < 20),
        }
    };
    assert_eq!(state.update.answers[0].as_ref().unwrap().revision(), 1);
    assert!(attempts >= 5 && source.pauses()[0] >= 50, "{attempts} {:?}", source.pauses());
}

#[tokio::test(start_paused = true)]
async fn without_scopes_nothing_is_asked() {
    let source = Scripted::new(&[]);
    let mut feed = Feed::new(Arc::new(Told(Arc::clone(&source))), Vec::new(), pauses());
    assert!(timeout(Duration::from_secs(3600), feed.next()).await.is_err());
    assert!(source.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_interest_is_set_on_the_watch_that_there_is() {
    let source = Scripted::new(&[Step::Followed, Step::State(1)]);
    let mut feed = feed(&source);
    assert_eq!(revision(&mut feed).await, 1);
    let scopes = ["/a", "/b"].map(|key| Scope::from_iter([Key::from(key)])).to_vec();
    feed.set_scopes(scopes.clone());
    feed.set_scopes(scopes);
    assert!(timeout(Duration::from_secs(60), feed.next()).await.is_err());
    assert_eq!(source.asked(), ["watch", "next", "set_interest", "next"]);
    feed.set_scopes(Vec::new());
    assert!(timeout(Duration::from_secs(60), feed.next()).await.is_err());
    feed.set_scopes(vec![Scope::from_iter([Key::root()])]);
    assert!(feed.next().await.is_err());
    assert_eq!(source.asked()[4..], ["watch"]);
}

/// A source that refuses `/secret` while it is forbidden. It answers each interest once.
struct Guarded {
    forbidden: Mutex<bool>,
}

struct Guard(Arc<Guarded>, Option<Interest>);

impl Guard {
    fn answers(&self, interest: &Interest) -> Vec<Answer> {
        let secret = Key::from("/secret");
        let answer = |scope: &Scope| match scope.iter().any(|key| *key == secret)
            && *self.0.forbidden.lock().unwrap()
        {
            true => Err(Refusal::new(scope.clone(), failure())),
            false => Ok(state(1)),
        };
        interest.scopes.iter().map(answer).collect()
    }
}

#[async_trait]
impl Source for Guard {
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        Ok(self.answers(interest))
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        Ok(Some(Box::new(Guard(Arc::clone(&self.0), Some(interest.clone())))))
    }
}

#[async_trait]
impl Watch for Guard {
    async fn next(&mut self) -> Result<Update, Error> {
        match self.1.take() {
            Some(interest) => Ok(Update { answers: self.answers(&interest), changed: None }),
            None => std::future::pending().await,
        }
    }

    fn set_interest(&mut self, interest: &Interest) {
        self.1 = Some(interest.clone());
    }

    fn reread(&mut self) {}
}

#[tokio::test(start_paused = true)]
async fn a_refused_scope_does_not_affect_others_and_is_asked_for_again() {
    let store = Arc::new(Guarded { forbidden: Mutex::new(true) });
    let scopes = ["/app", "/secret", "/web"].map(|key| Scope::from_iter([Key::from(key)]));
    let guard = Arc::new(Guard(Arc::clone(&store), None));
    let mut feed = Feed::new(guard, scopes.to_vec(), pauses());
    let given = |state: &State| state.update.answers.iter().map(Result::is_ok).collect::<Vec<_>>();
    assert_eq!(given(&feed.next().await.unwrap()), [true, false, true]);
    let begun = Instant::now();
    assert_eq!(given(&feed.next().await.unwrap()), [true, false, true]);
    assert_eq!(begun.elapsed().as_secs(), 60);
    *store.forbidden.lock().unwrap() = false;
    // A hangup does not wait for the end of the minute.
    feed.set_scopes(scopes.to_vec());
    assert_eq!(given(&feed.next().await.unwrap()), [true, true, true]);
    assert_eq!(begun.elapsed().as_secs(), 60);
    assert!(timeout(Duration::from_secs(200), feed.next()).await.is_err());
}
