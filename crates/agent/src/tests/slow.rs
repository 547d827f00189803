//! A source that needs a second for each reading, while something happens every tenth of a second.

use std::{fs, time::Duration};

use async_trait::async_trait;
use source::{Answer, Error, Interest, Source, Watch};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    Order,
    backoff::rest,
    tests::site::{Site, Store, schedule},
};

/// The time of a reading.
const READING: Duration = Duration::from_secs(1);
const EVENTS_EVERY: Duration = Duration::from_millis(100);
/// The time after which the test has failed. Time is paused, so this takes no time.
const PATIENCE: Duration = Duration::from_secs(20);

/// A store that answers slowly.
struct Slow {
    store: Store,
    /// Whether the store must be polled.
    is_polled: bool,
}

#[async_trait]
impl Source for Slow {
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        rest(READING).await;
        self.store.read(interest).await
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        if self.is_polled {
            return Ok(None);
        }
        rest(READING).await;
        self.store.watch(interest).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reading_ends_although_files_change_and_signals_arrive_all_the_time() {
    for (is_polled, by_signals) in [(true, false), (false, false), (true, true), (false, true)] {
        let site = Site::new();
        site.resource("app", "");
        site.store.put("/app", "1");
        let mut agent = site.agent_of(Slow { store: site.store.clone(), is_polled });
        let (orders, mut receiver) = mpsc::channel(1);
        let events = async {
            let begun = Instant::now();
            while site.written("app").as_deref() != Some("1") {
                let case = format!("polled {is_polled}, signals {by_signals}");
                assert!(begun.elapsed() < PATIENCE, "no reading has ended: {case}");
                match by_signals {
                    true => orders.send(Order::Reload(None.into())).await.unwrap(),
                    false => fs::write(site.path("templates/other"), "").unwrap(),
                }
                rest(EVENTS_EVERY).await;
            }
            orders.send(Order::Stop).await.unwrap();
        };
        tokio::join!(agent.watch(schedule(), &mut receiver), events);
    }
}
