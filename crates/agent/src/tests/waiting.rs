//! Onetime runs that wait for their data, with a clock that jumps.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use source::{Answer, Error, Interest, Source, Watch};
use tokio::time::Instant;

use crate::{
    Finished, Kind, Need, State,
    backoff::rest,
    tests::site::{Mode, Site, Store, beside, until},
};

const MINUTE: Duration = Duration::from_secs(60);

/// A store that counts how often it is read.
struct Counted {
    store: Store,
    reads: Arc<AtomicU32>,
    /// Whether it never answers.
    is_silent: bool,
}

#[async_trait]
impl Source for Counted {
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.is_silent {
            // The time limit of the store's client.
            rest(10 * MINUTE).await;
        }
        self.store.read(interest).await
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        self.store.watch(interest).await
    }
}

fn counted(site: &Site, is_silent: bool) -> (Counted, Arc<AtomicU32>) {
    let reads = Arc::new(AtomicU32::new(0));
    (Counted { store: site.store.clone(), reads: Arc::clone(&reads), is_silent }, reads)
}

#[tokio::test(start_paused = true)]
async fn data_are_used_a_second_after_they_came_and_asked_for_once_a_second() {
    let site = Site::new();
    site.resource("app", "");
    site.store.break_down(Some("store"));
    let (source, reads) = counted(&site, false);
    let mut agent = site.agent_of(source);
    let begun = Instant::now();
    let changes = async {
        rest(Duration::from_secs(10)).await;
        site.store.break_down(None);
        rest(Duration::from_secs(10)).await;
        site.store.put("/app", "1");
    };
    let (done, ()) = tokio::join!(agent.onetime_within(MINUTE), changes);
    assert!(matches!(done, Ok(Finished::Applied)), "{done:?}");
    assert_eq!(site.written("app").as_deref(), Some("1"));
    let took = begun.elapsed();
    assert!((20.0..=21.5).contains(&took.as_secs_f64()), "{took:?}");
    // Each pause is at least half a second long, after the first few.
    let reads = reads.load(Ordering::Relaxed);
    assert!((20..=46).contains(&reads), "{reads}");
}

#[tokio::test(start_paused = true)]
async fn when_the_time_is_over_the_last_pass_fails_with_what_is_missing() {
    let site = Site::new();
    site.resource("app", "");
    let mut agent = site.agent();
    let begun = Instant::now();
    let failed = agent.onetime_within(MINUTE).await.unwrap_err();
    assert_eq!((failed.need, failed.last.kind()), (Need::Data, Kind::Render));
    assert_eq!(begun.elapsed().as_secs(), 60);
    assert_eq!(agent.handle().status("app").unwrap().state, State::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_silent_gets_the_last_pass_when_the_time_is_over() {
    let site = Site::new();
    site.resource("app", "");
    site.store.put("/app", "1");
    let (source, reads) = counted(&site, true);
    let mut agent = site.agent_of(source);
    let begun = Instant::now();
    assert!(agent.onetime_within(MINUTE).await.is_ok());
    assert_eq!(reads.load(Ordering::Relaxed), 2);
    assert_eq!(begun.elapsed().as_secs(), 11 * 60);
}

#[tokio::test]
async fn the_state_of_a_file_that_is_kept_names_the_missing_keys() {
    let site = Site::new();
    site.resource("app", "on_missing = 'keep'");
    fs::write(site.path("out/app"), "old").unwrap();
    beside(site.agent(), Mode::Watch, async |handle| {
        let waits = State::WaitingForMissingKeys(vec!["/app".to_owned()]);
        let status = until(&handle, "app", |status| status.state == waits).await;
        assert_eq!(status.state.to_string(), "waiting for /app");
        assert!(status.error.is_none() && status.pending.is_none() && status.applied.is_none());
        site.store.put("/app", "1");
        until(&handle, "app", |status| status.state == State::InSync).await;
    })
    .await;
    assert_eq!(site.written("app").as_deref(), Some("1"));
}
