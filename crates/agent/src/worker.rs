//! Processes one resource in watch mode: waits for a wake, then brings the destination in sync.
//!
//! A worker makes one pass at a time, always with the newest state, however many states arrived in
//! the meantime. A pass or a reload that fails is tried again, with growing delays, until it
//! succeeds or newer data arrive.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::ffi::OsStrExt as _,
    sync::Arc,
    time::Duration,
};

use deploy::Outcome;
use source::backoff::{Backoff, Growth};
use store::Snapshot;
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch},
    time::{Instant, sleep_until},
};

use crate::{
    backoff::growth,
    event::{Event, Reader as _, Readers, Step, Wake},
    failure::{Failure, Kind},
    maker::Maker,
    pipeline::{Done, Pipeline},
    record::{InSync, Record, Running},
    reloads::Requester,
    resource::Resource,
    settings::Pace,
};

/// A debounce ends after this multiple of its time, even if the changes never stop.
const CEILING: u32 = 4;
/// The number of times that a destination is restored without a delay, in [`HEALING_PERIOD`].
const HEALED_AT_ONCE: u32 = 5;
/// After this time without a restoration, the next restoration has no delay again.
const HEALING_PERIOD: Duration = Duration::from_secs(60);

/// The worker of a destination holds this lock during a pass. When a resource file is renamed, the
/// same destination has two workers until the worker of the old file has ended.
pub(crate) type DestinationLock = Arc<AsyncMutex<()>>;

/// The work of a worker.
#[derive(Clone)]
pub(crate) struct Assignment {
    /// Increases with each assignment of the process.
    pub(crate) number: u64,
    pub(crate) wake: Wake,
    /// Whether no other resource was woken together with this one.
    pub(crate) is_alone: bool,
    /// Those of all destinations, in the order in which every worker takes them.
    pub(crate) locks: Vec<DestinationLock>,
    /// The passes that come before: the record of each resource, and the number of its assignment.
    pub(crate) after: Vec<(Record, u64)>,
    pub(crate) resource: Arc<Resource>,
    /// The keys, or why the source has shown none yet.
    pub(crate) keys: Result<Snapshot, Failure>,
    pub(crate) pipeline: Arc<Pipeline>,
    /// The delays of the run, for resources that set none.
    pub(crate) pace: Pace,
}

/// Works on the newest assignment until the channel is closed, and records the results.
///
/// Dropping the future kills a running command. The destination is then the old file or the new
/// one.
pub(crate) async fn work(
    mut assignments: watch::Receiver<Assignment>,
    readers: Readers,
    record: Record,
    requester: Arc<Requester>,
) {
    let leaving = Leaving { requester, record: record.clone() };
    let requester = &leaving.requester;
    let mut maker = Maker::new(readers.clone(), record.clone(), Arc::clone(requester));
    let mut backoff = Backoff::new(Growth::default());
    let mut healing = Healing::new();
    let mut reloaded: Option<Instant> = None;
    // When the last failed pass is tried again.
    let mut planned: Option<Instant> = None;
    // Wakes by files are limited, with stricter rules after a failed pass. A retry is not limited.
    let (mut has_failed, mut is_retry) = (false, false);
    loop {
        let limit = (!is_retry).then_some((&mut healing, has_failed));
        let announce = |moment| requester.begins_at(moment);
        if wait(&mut assignments, reloaded, limit, &readers, announce).await.is_err() {
            return;
        }
        let Some(taken) = take(&mut assignments, &record, requester).await else { return };
        let Taken { assignment, guards, running } = taken;
        let growth = growth(assignment.pace.retry, &assignment.resource.retry());
        backoff.follow(growth);
        requester.follow(growth);
        let done = maker.pass(&assignment).await;
        drop(guards);
        let common_retry = requester.end();
        // A file without a command is reloaded by the signal for the program that confd runs.
        let by_signal =
            matches!(done, Ok(Done { outcome: Outcome::Updated, .. })).then(Instant::now);
        reloaded = requester.last_reload().or(by_signal).or(reloaded);
        let Assignment { number, resource, wake, .. } = &assignment;
        let kind = done.as_ref().err().map(Failure::kind);
        if matches!(kind, Some(Kind::Template | Kind::Render | Kind::Waiting)) {
            record.set_left(None);
        }
        if let Err(failure) = &done
            && failure.kind() == Kind::Waiting
        {
            // The answers wake the resource.
            let queries = failure.missing().iter().map(ToString::to_string).collect();
            readers.read(&Event::Waits { resource: Arc::clone(resource), queries });
        }
        let retry = match done {
            Ok(Done { outcome, origin, .. }) => {
                let in_sync =
                    origin.and_then(|origin| InSync::after(*number, resource, origin, outcome));
                record.set_in_sync(in_sync);
                backoff.reset();
                if outcome == Outcome::Updated && *wake == Wake::Destination {
                    healing.count();
                }
                has_failed = false;
                None
            }
            // It was reported when the source said it.
            Err(failure) if failure.is_of_the_source() && failure.pending().is_none() => {
                has_failed = false;
                if is_retry {
                    let (resource, failure) = (Arc::clone(resource), Arc::new(failure));
                    readers.read(&Event::Failed { resource, failure, retry: None });
                }
                None
            }
            Err(failure) if failure.kind() == Kind::Waiting && failure.pending().is_none() => {
                has_failed = false;
                None
            }
            Err(failure) if failure.waits_for_a_change() => {
                has_failed = false;
                backoff.reset();
                let (resource, failure) = (Arc::clone(resource), Arc::new(failure));
                readers.read(&Event::Failed { resource, failure, retry: None });
                None
            }
            Err(failure) => {
                if wake.is_by_files() {
                    healing.count();
                }
                has_failed = true;
                let delay = match common_retry {
                    Some(moment) => {
                        requester.announce_retry(assignment.pipeline.reload_of(resource), moment);
                        moment.saturating_duration_since(Instant::now())
                    }
                    // A try before its time, because a person asked for it, makes no delay longer.
                    None => match planned.filter(|_| *wake == Wake::Request) {
                        Some(moment) if moment > Instant::now() => {
                            moment.saturating_duration_since(Instant::now())
                        }
                        _ => backoff.delay(),
                    },
                };
                readers.read(&Event::Failed {
                    resource: Arc::clone(resource),
                    failure: Arc::new(failure),
                    retry: Some(delay),
                });
                Some(Instant::now() + delay)
            }
        };
        drop(running);
        planned = retry;
        is_retry = false;
        let woken = match retry {
            None => assignments.changed().await,
            Some(moment) => tokio::select! {
                woken = assignments.changed() => woken,
                () = sleep_until(moment) => {
                    is_retry = true;
                    let resource = Arc::clone(resource);
                    readers.read(&Event::Woken { resource, wake: Wake::Retry });
                    Ok(())
                }
            },
        };
        if woken.is_err() {
            return;
        }
    }
}

/// Makes no other resource wait for a worker that has ended.
struct Leaving {
    requester: Arc<Requester>,
    record: Record,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.requester.leave();
        self.record.leave();
    }
}

/// Waits for debounce, splay, `min_reload_interval` and the limit of wakes by files. `limit` also says
/// whether the last pass failed; it is `None` for a retry, which has a delay of its own. `announce` is
/// called with the earliest time of the pass, whenever that time changes.
///
/// # Errors
/// The worker was dismissed.
async fn wait(
    assignments: &mut watch::Receiver<Assignment>,
    reloaded: Option<Instant>,
    limit: Option<(&mut Healing, bool)>,
    readers: &Readers,
    announce: impl Fn(Instant),
) -> Result<(), watch::error::RecvError> {
    let (gathering, splay, earliest, heal) = {
        let assignment = assignments.borrow();
        let resource = &assignment.resource;
        let least = resource.min_reload_interval();
        // A retry has a delay of its own.
        let earliest = reloaded.zip(least).filter(|_| limit.is_some());
        let earliest = earliest.map(|(at, least)| at + least);
        let later = |delay| match &assignment.wake {
            Wake::Destination => Step::RestoringLater { dest: resource.dest_names(), delay },
            _ => Step::PassLater { delay },
        };
        // A new template is rendered at once, unless the last pass failed.
        let limit = limit.filter(|(_, has_failed)| {
            assignment.wake == Wake::Destination || (*has_failed && assignment.wake.is_by_files())
        });
        let heal = limit.and_then(|(healing, _)| healing.delay()).map(|delay| {
            let resource = Arc::clone(resource);
            readers.read(&Event::Step { resource, step: later(delay) });
            Instant::now() + delay
        });
        (
            Gathering::of(resource, &assignment.pace),
            share_of(assignment.pace.splay, resource),
            earliest,
            heal,
        )
    };
    if let Some(Gathering { quiet, longest }) = gathering {
        let begun = Instant::now();
        loop {
            let quiet = (Instant::now() + quiet).min(begun + longest);
            announce(quiet);
            tokio::select! {
                biased;
                () = sleep_until(quiet) => break,
                changed = assignments.changed() => changed?,
            }
        }
    }
    let act = (!splay.is_zero()).then(|| Instant::now() + splay).max(earliest);
    loop {
        // Only wakes by files are delayed because of files; other wakes are not.
        let heal = heal.filter(|_| assignments.borrow().wake.is_by_files());
        let act = act.max(heal).filter(|moment| *moment > Instant::now());
        let Some(moment) = act else { break };
        announce(moment);
        tokio::select! {
            biased;
            () = sleep_until(moment) => break,
            changed = assignments.changed() => changed?,
        }
    }
    Ok(())
}

/// How long a worker gathers changes before a pass.
struct Gathering {
    /// The pass begins when nothing has changed for this time,
    quiet: Duration,
    /// and after this time at the latest.
    longest: Duration,
}

impl Gathering {
    /// How the changes of `resource` are gathered; `None` if its passes begin at once.
    fn of(resource: &Resource, pace: &Pace) -> Option<Self> {
        let (own, Pace { debounce, batch, .. }) = (resource.debounce(), pace);
        let gathering = match own {
            None if !batch.is_zero() => Self { quiet: *batch, longest: *batch },
            own => {
                let quiet = own.unwrap_or(*debounce);
                Self { quiet, longest: quiet * CEILING }
            }
        };
        Some(gathering).filter(|gathering| !gathering.quiet.is_zero())
    }
}

/// An assignment whose pass begins.
struct Taken {
    assignment: Assignment,
    guards: Vec<OwnedMutexGuard<()>>,
    running: Running,
}

/// Waits for the resources that come before and for the locks of the destinations, and takes the newest
/// assignment. Returns `None` if the worker was dismissed.
async fn take(
    assignments: &mut watch::Receiver<Assignment>,
    record: &Record,
    requester: &Requester,
) -> Option<Taken> {
    loop {
        let assignment = assignments.borrow_and_update().clone();
        let earlier =
            assignment.after.iter().find(|(record, number)| !record.has_finished(*number));
        if let Some((record, number)) = earlier {
            requester.is_blocked();
            tokio::select! {
                () = record.finished(*number) => {}
                changed = assignments.changed() => changed.ok()?,
            }
            continue;
        }
        let mut guards = Vec::with_capacity(assignment.locks.len());
        for lock in &assignment.locks {
            guards.push(match Arc::clone(lock).try_lock_owned() {
                Ok(guard) => guard,
                Err(_) => {
                    requester.is_blocked();
                    Arc::clone(lock).lock_owned().await
                }
            });
        }
        let permit = match assignment.pipeline.runs_commands(&assignment.resource) {
            true => requester.room().await,
            false => None,
        };
        // A newer assignment may have a different destination.
        if !assignments.has_changed().ok()? {
            requester.begin(assignment.pipeline.reload_of(&assignment.resource), permit);
            let running = record.begin(assignment.number);
            return Some(Taken { assignment, guards, running });
        }
    }
}

/// Limits how often files wake a resource: if another program changes a restored destination again
/// and again, or if each pass that files wake fails.
struct Healing {
    count: u32,
    last: Option<Instant>,
    backoff: Backoff,
}

impl Healing {
    fn new() -> Self {
        Healing { count: 0, last: None, backoff: Backoff::new(Growth::default()) }
    }

    /// Counts a restoration, or a failed pass that files have caused.
    fn count(&mut self) {
        self.count += 1;
        self.last = Some(Instant::now());
    }

    /// The delay before the next pass that files cause; `None` if it need not wait.
    fn delay(&mut self) -> Option<Duration> {
        if self.last.is_none_or(|last| last.elapsed() >= HEALING_PERIOD) {
            self.count = 0;
            self.backoff.reset();
        }
        (self.count >= HEALED_AT_ONCE).then(|| self.backoff.delay())
    }
}

/// The part of `splay` that this resource waits on this host. It is always the same.
fn share_of(splay: Duration, resource: &Resource) -> Duration {
    if splay.is_zero() {
        return splay;
    }
    let mut hasher = DefaultHasher::new();
    rustix::system::uname().nodename().hash(&mut hasher);
    resource.path.as_os_str().as_bytes().hash(&mut hasher);
    splay.mul_f64(f64::from(hasher.finish() as u32) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use deploy::Options;
    use store::Coverage;

    use super::*;
    use crate::answers::Answers;
    use crate::templates::Templates;

    const SECOND: Duration = Duration::from_secs(1);

    fn assignment(more: &str, pace: Pace) -> Assignment {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        let table = format!("[template]\nsrc = 'a'\ndest = 'd'\nreload_cmd = 'true'\n{more}\n");
        std::fs::write(&path, table).unwrap();
        let mut resource = Resource::load(&path, Path::new("/templates")).unwrap();
        resource.path = "/etc/confd/conf.d/a.toml".into();
        let templates = Arc::new(Templates::new("/templates".into(), true));
        let host = Arc::new(world::System::new());
        Assignment {
            number: 0,
            wake: Wake::Start,
            is_alone: true,
            locks: Vec::new(),
            after: Vec::new(),
            resource: Arc::new(resource),
            keys: Ok(Snapshot::new(Coverage::Subtree)),
            pipeline: Arc::new(Pipeline::new(
                templates,
                host,
                Answers::nothing(),
                Options::default(),
            )),
            pace,
        }
    }

    async fn waits_with(
        assignments: &mut watch::Receiver<Assignment>,
        reloaded: Option<Instant>,
    ) -> Result<(), watch::error::RecvError> {
        let limit = Some((&mut Healing::new(), false));
        wait(assignments, reloaded, limit, &Readers::new([]), |_| {}).await
    }

    /// The time that a worker waits if it gets a new assignment every `every`.
    async fn rests(assignment: Assignment, every: Duration, reloaded: Option<Instant>) -> Duration {
        let (sender, mut assignments) = watch::channel(assignment.clone());
        let begun = Instant::now();
        let changes = async {
            loop {
                sleep_until(Instant::now() + every).await;
                sender.send(assignment.clone()).unwrap();
            }
        };
        tokio::select! {
            waited = waits_with(&mut assignments, reloaded) => waited.unwrap(),
            () = changes => {}
        }
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_pace_a_worker_acts_at_once() {
        let rested = rests(assignment("", Pace::default()), SECOND, None).await;
        assert_eq!(rested, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_debounce_ends_after_a_pause_and_after_four_times_its_length_at_the_latest() {
        let pace = Pace { debounce: SECOND, ..Pace::default() };
        let quiet = rests(assignment("", pace), 10 * SECOND, None).await;
        assert_eq!(quiet.as_millis(), 1000);
        let restless = rests(assignment("", pace), SECOND / 2, None).await;
        assert_eq!(restless.as_millis(), 4000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_ends_a_fixed_time_after_the_first_change_and_a_debounce_of_the_resource_wins()
    {
        let pace = Pace { batch: SECOND, ..Pace::default() };
        let restless = rests(assignment("", pace), SECOND / 3, None).await;
        assert_eq!(restless.as_millis(), 1000);
        let own = assignment("debounce = '200ms'", pace);
        assert_eq!(rests(own, 10 * SECOND, None).await.as_millis(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn the_pace_of_a_resource_wins_over_that_of_the_run() {
        let pace = Pace { debounce: SECOND, ..Pace::default() };
        let own = assignment("debounce = '200ms'", pace);
        assert_eq!(rests(own, 10 * SECOND, None).await.as_millis(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn min_reload_interval_is_kept_and_ends() {
        let limited = || assignment("min_reload_interval = '30s'", Pace::default());
        let now = Instant::now();
        assert_eq!(rests(limited(), SECOND, Some(now)).await.as_secs(), 30);
        assert_eq!(rests(limited(), SECOND, Some(now)).await.as_secs(), 0);
        assert_eq!(rests(limited(), SECOND, None).await.as_secs(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_splay_is_always_the_same_and_differs_between_resources() {
        let pace = Pace { splay: 1000 * SECOND, ..Pace::default() };
        let one = rests(assignment("", pace), SECOND, None).await;
        assert_eq!(one, rests(assignment("", pace), SECOND, None).await);
        assert!(one <= 1000 * SECOND);
        let mut other = assignment("", pace);
        Arc::get_mut(&mut other.resource).unwrap().path = "/etc/confd/conf.d/b.toml".into();
        assert_ne!(one, rests(other, SECOND, None).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_destination_that_is_restored_later_does_not_delay_a_change_of_keys() {
        let mut healing = Healing::new();
        (0..HEALED_AT_ONCE).for_each(|_| healing.count());
        let touched = Assignment { wake: Wake::Destination, ..assignment("", Pace::default()) };
        let changed = Wake::Keys { changed: Vec::new(), revision: 1 };
        let (sender, mut assignments) = watch::channel(touched.clone());
        let begun = Instant::now();
        let readers = Readers::new([]);
        let waited = wait(&mut assignments, None, Some((&mut healing, false)), &readers, |_| {});
        let change = async {
            sleep_until(begun + SECOND / 10).await;
            sender.send(Assignment { wake: changed, ..touched.clone() }).unwrap();
        };
        tokio::join!(waited, change).0.unwrap();
        assert_eq!(begun.elapsed().as_millis(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_is_dismissed_while_it_rests_does_not_act() {
        let pace = Pace { debounce: SECOND, ..Pace::default() };
        let (sender, mut assignments) = watch::channel(assignment("", pace));
        drop(sender);
        assert!(waits_with(&mut assignments, None).await.is_err());
    }
}
