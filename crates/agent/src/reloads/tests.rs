//! Requests for equal reloads, in the order of a test.

use std::{fs, path::PathBuf};

use tokio::task::{JoinHandle, LocalSet, spawn_local, yield_now};

use super::*;

/// A folder in which commands add lines to the file `ran`, and the queues.
struct Site {
    folder: tempfile::TempDir,
    reloads: Reloads,
}

impl Site {
    fn new() -> Self {
        Site { folder: tempfile::tempdir().unwrap(), reloads: Reloads::new(9) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command that adds a line to `ran` and then waits until the file `go` exists.
    fn command(&self) -> Program {
        let (ran, go) = (self.path("ran"), self.path("go"));
        let (ran, go) = (ran.display(), go.display());
        format!("echo >> {ran}; until test -e {go}; do sleep 0.01; done").into()
    }

    /// The number of runs so far.
    fn ran(&self) -> usize {
        fs::read_to_string(self.path("ran")).unwrap_or_default().lines().count()
    }

    fn requester(&self) -> Arc<Requester> {
        Arc::new(Requester::new(&self.reloads))
    }

    /// Asks for the reload on a task of its own.
    fn ask(&self, requester: &Arc<Requester>, limit: Option<Duration>) -> JoinHandle<bool> {
        let (requester, command) = (Arc::clone(requester), self.command());
        spawn_local(async move {
            let reload =
                ReloadCommand::new(&command, limit, Environment::default(), &|_: &deploy::Step<
                    '_,
                >| {});
            requester.reloader(&|_| {}).reload(&reload).await.is_ok()
        })
    }

    async fn until_ran(&self, times: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.ran() < times {
            assert!(Instant::now() < deadline, "{} of {times} runs", self.ran());
            yield_now().await;
        }
    }

    /// Lets all tasks go on until they wait, while no command runs.
    async fn settle(&self) {
        for _ in 0..100 {
            yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_request_takes_over_when_the_resource_that_runs_the_command_goes_away() {
    let tasks = LocalSet::new();
    tasks
        .run_until(async {
            let site = Site::new();
            let first = site.ask(&site.requester(), None);
            site.until_ran(1).await;
            let second = site.ask(&site.requester(), None);
            site.settle().await;
            assert_eq!(site.ran(), 1);
            first.abort();
            site.until_ran(2).await;
            fs::write(site.path("go"), "").unwrap();
            assert!(second.await.unwrap());
            assert!(first.await.is_err());
        })
        .await;
}

#[tokio::test]
async fn commands_with_different_limits_wait_for_each_other_and_each_runs() {
    let tasks = LocalSet::new();
    tasks
        .run_until(async {
            let site = Site::new();
            let first = site.ask(&site.requester(), None);
            site.until_ran(1).await;
            let second = site.ask(&site.requester(), Some(Duration::from_secs(60)));
            site.settle().await;
            assert_eq!(site.ran(), 1);
            fs::write(site.path("go"), "").unwrap();
            assert!(first.await.unwrap() && second.await.unwrap());
            assert_eq!(site.ran(), 2);
        })
        .await;
}

#[tokio::test]
async fn a_reload_waits_for_announced_passes_until_they_end_ask_or_are_taken_back() {
    type End = fn(&Requester);
    let ends: [End; 3] = [|pass| _ = pass.end(), Requester::leave, Requester::is_blocked];
    for (nth, end) in ends.into_iter().enumerate() {
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                let site = Site::new();
                fs::write(site.path("go"), "").unwrap();
                let command = site.command();
                let other = site.requester();
                other.announce(Some((&command, None)));
                if nth == 0 {
                    other.begin(Some((&command, None)), None);
                }
                let asked = site.ask(&site.requester(), None);
                site.settle().await;
                assert_eq!(site.ran(), 0);
                end(&other);
                assert!(asked.await.unwrap());
                assert_eq!(site.ran(), 1);
            })
            .await;
    }
}

#[tokio::test]
async fn a_reload_does_not_wait_for_a_pass_that_begins_late_or_was_announced_later() {
    let tasks = LocalSet::new();
    tasks
        .run_until(async {
            let site = Site::new();
            let command = site.command();
            let (late, later) = (site.requester(), site.requester());
            late.announce(Some((&command, None)));
            late.begins_at(Instant::now() + 10 * PATIENCE);
            let asked = site.ask(&site.requester(), None);
            site.until_ran(1).await;
            let waiting = site.ask(&site.requester(), None);
            site.settle().await;
            later.announce(Some((&command, None)));
            fs::write(site.path("go"), "").unwrap();
            assert!(asked.await.unwrap() && waiting.await.unwrap());
            assert_eq!(site.ran(), 2);
        })
        .await;
}

#[tokio::test]
async fn a_reload_does_not_wait_for_passes_that_can_begin_only_after_it() {
    let tasks = LocalSet::new();
    tasks
        .run_until(async {
            let site = Site::new();
            let command = site.command();
            let (own, other) = (site.requester(), site.requester());
            // While both have a pass, another is due for each of them.
            for requester in [&own, &other] {
                requester.announce(Some((&command, None)));
                requester.begin(Some((&command, None)), None);
                requester.announce(Some((&command, None)));
            }
            let begun = Instant::now();
            let waiting = site.ask(&other, None);
            let asked = site.ask(&own, None);
            site.until_ran(1).await;
            assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
            fs::write(site.path("go"), "").unwrap();
            assert!(asked.await.unwrap() && waiting.await.unwrap());
            assert_eq!(site.ran(), 1);
        })
        .await;
}

#[test]
fn the_wait_for_a_pass_is_limited_by_its_age_and_by_the_deadline() {
    let now = Instant::now();
    let (second, deadline) = (Duration::from_secs(1), now + PATIENCE);
    let end = |begins, not_before| Announced { begins, not_before }.end(deadline);
    let at = Begins::At;
    assert_eq!(end(at(now), None), Some(deadline));
    assert_eq!(end(at(now - second), None), Some(deadline - second));
    assert_eq!(end(at(now - second), Some(now + second)), Some(deadline));
    assert_eq!(end(at(now), Some(deadline + second)), None);
    assert_eq!(end(Begins::AfterOtherReload, None), Some(deadline));
    assert_eq!(end(Begins::AfterThisReload, None), None);
}
