//! One resource in watch mode: waits until it is woken, and makes its file true.
//!
//! A worker has one pass at a time and works on the newest state there is, however many came
//! meanwhile. A pass that fails is tried again, with growing delays, until it succeeds or there is
//! newer data; so is a reload that fails.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::ffi::OsStrExt as _,
    sync::Arc,
    time::Duration,
};

use deploy::{Options, Outcome};
use store::Snapshot;
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch},
    time::{Instant, sleep_until},
};
use world::Host;

use crate::{
    applied::{Applied, Report},
    backoff::Backoff,
    process::{Done, Processor},
    resource::Resource,
    settings::Pace,
    templates::Templates,
};

/// Delays between the attempts of a pass that fails.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(60);
/// A debounce ends after this many times itself, even if changes never cease.
const CEILING: u32 = 4;

/// Held by the worker that is at a destination. There is more than one for the same destination
/// when a resource gets another name, and until the one that is dismissed has ended.
pub(crate) type Turn = Arc<AsyncMutex<()>>;

/// What a worker has to make true.
#[derive(Clone)]
pub(crate) struct Assignment {
    /// Another one for each assignment.
    pub(crate) number: u64,
    /// Whether no other resource was given something to do together with this one.
    pub(crate) is_alone: bool,
    /// Whose turn it is at the destination.
    pub(crate) turn: Turn,
    pub(crate) resource: Arc<Resource>,
    pub(crate) snapshot: Snapshot,
    /// How the run deploys.
    pub(crate) options: Options,
    /// How the run waits, where the resource does not say.
    pub(crate) pace: Pace,
}

/// Works on the newest assignment until there are no more to come, and reports what was applied.
///
/// Dropping the future ends a running command; the destination is the old file or the new one.
pub(crate) async fn work(
    mut assignments: watch::Receiver<Assignment>,
    templates: Templates,
    host: Arc<dyn Host>,
    report: Report,
) {
    let mut processor = Processor::new(templates, host);
    let mut backoff = Backoff::new(FIRST_DELAY, LAST_DELAY);
    let mut reloaded: Option<Instant> = None;
    loop {
        if rest(&mut assignments, reloaded).await.is_err() {
            return;
        }
        let Some((assignment, turn)) = take(&mut assignments).await else { return };
        let done = processor.pass(&assignment).await;
        drop(turn);
        let retry = match done {
            Ok(Done { outcome, origin }) => {
                let Assignment { number, resource, .. } = &assignment;
                let applied =
                    origin.and_then(|origin| Applied::after(*number, resource, origin, outcome));
                report.set(applied);
                backoff.reset();
                if matches!(outcome, Outcome::Updated | Outcome::Reloaded) {
                    reloaded = Some(Instant::now());
                }
                None
            }
            Err(fault) => {
                fault.log();
                Some(Instant::now() + backoff.delay())
            }
        };
        let woken = match retry {
            None => assignments.changed().await,
            Some(moment) => tokio::select! {
                woken = assignments.changed() => woken,
                () = sleep_until(moment) => Ok(()),
            },
        };
        if woken.is_err() {
            return;
        }
    }
}

/// Waits until the resource may act.
///
/// # Errors
/// There is nothing to act for any more.
async fn rest(
    assignments: &mut watch::Receiver<Assignment>,
    reloaded: Option<Instant>,
) -> Result<(), watch::error::RecvError> {
    let (debounce, splay, earliest) = {
        let assignment = assignments.borrow();
        let resource = &assignment.resource;
        let least = resource.min_reload_interval.filter(|_| resource.target.reload_cmd.is_some());
        let earliest = reloaded.zip(least).map(|(at, least)| at + least);
        (
            resource.debounce.unwrap_or(assignment.pace.debounce),
            share_of(assignment.pace.splay, resource),
            earliest,
        )
    };
    if !debounce.is_zero() {
        let begun = Instant::now();
        loop {
            let quiet = (Instant::now() + debounce).min(begun + debounce * CEILING);
            tokio::select! {
                biased;
                () = sleep_until(quiet) => break,
                changed = assignments.changed() => changed?,
            }
        }
    }
    let act = (!splay.is_zero()).then(|| Instant::now() + splay).max(earliest);
    while let Some(moment) = act.filter(|moment| *moment > Instant::now()) {
        tokio::select! {
            biased;
            () = sleep_until(moment) => break,
            changed = assignments.changed() => changed?,
        }
    }
    Ok(())
}

/// Waits for the turn at the destination; gives it with the newest assignment, or nothing if there
/// is nothing to act for any more.
async fn take(
    assignments: &mut watch::Receiver<Assignment>,
) -> Option<(Assignment, OwnedMutexGuard<()>)> {
    loop {
        let assignment = assignments.borrow_and_update().clone();
        let turn = Arc::clone(&assignment.turn).lock_owned().await;
        // A newer one may even have another destination.
        if !assignments.has_changed().ok()? {
            return Some((assignment, turn));
        }
    }
}

/// How much of `splay` this resource waits on this host: always the same.
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

    use store::Coverage;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn assignment(more: &str, pace: Pace) -> Assignment {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        let table = format!("[template]\nsrc = 'a'\nreload_cmd = 'true'\n{more}\n");
        std::fs::write(&path, table).unwrap();
        let mut resource = Resource::load(&path, Path::new("/templates")).unwrap();
        resource.path = "/etc/confd/conf.d/a.toml".into();
        Assignment {
            number: 0,
            is_alone: true,
            turn: Turn::default(),
            resource: Arc::new(resource),
            snapshot: Snapshot::new(Coverage::Subtree),
            options: Options::default(),
            pace,
        }
    }

    /// How long a worker rests that is assigned something again every `every`.
    async fn rests(assignment: Assignment, every: Duration, reloaded: Option<Instant>) -> Duration {
        let (sender, mut assignments) = watch::channel(assignment.clone());
        let begun = Instant::now();
        let changes = async {
            loop {
                tokio::time::sleep(every).await;
                sender.send(assignment.clone()).unwrap();
            }
        };
        tokio::select! {
            rested = rest(&mut assignments, reloaded) => rested.unwrap(),
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
    async fn a_debounce_waits_for_quiet_and_no_longer_than_four_times_itself() {
        let pace = Pace { debounce: SECOND, ..Pace::default() };
        let quiet = rests(assignment("", pace), 10 * SECOND, None).await;
        assert_eq!(quiet.as_millis(), 1000);
        let restless = rests(assignment("", pace), SECOND / 2, None).await;
        assert_eq!(restless.as_millis(), 4000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_resource_says_counts_more_than_the_run() {
        let pace = Pace { debounce: SECOND, ..Pace::default() };
        let own = assignment("debounce = '200ms'", pace);
        assert_eq!(rests(own, 10 * SECOND, None).await.as_millis(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_time_between_reloads_is_kept_and_ends() {
        let limited = || assignment("min_reload_interval = '30s'", Pace::default());
        let now = Instant::now();
        assert_eq!(rests(limited(), SECOND, Some(now)).await.as_secs(), 30);
        assert_eq!(rests(limited(), SECOND, Some(now)).await.as_secs(), 0);
        assert_eq!(rests(limited(), SECOND, None).await.as_secs(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_splay_is_the_same_each_time_and_another_for_each_resource() {
        let pace = Pace { splay: 1000 * SECOND, ..Pace::default() };
        let one = rests(assignment("", pace), SECOND, None).await;
        assert_eq!(one, rests(assignment("", pace), SECOND, None).await);
        assert!(one <= 1000 * SECOND);
        let mut other = assignment("", pace);
        Arc::get_mut(&mut other.resource).unwrap().path = "/etc/confd/conf.d/b.toml".into();
        assert_ne!(one, rests(other, SECOND, None).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_is_dismissed_while_it_rests_does_not_act() {
        let pace = Pace { debounce: SECOND, ..Pace::default() };
        let (sender, mut assignments) = watch::channel(assignment("", pace));
        drop(sender);
        assert!(rest(&mut assignments, None).await.is_err());
    }
}
