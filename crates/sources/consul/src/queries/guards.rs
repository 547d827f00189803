//! Guards the listings of keys that are followed: see [`crate::guard`].

use catalog::{Pair, Place, Query};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::asker::{Beyond, Since};
use super::feed::{Feed, Running, Watched};
use super::{Content, Engine, Outcome, launch};
use crate::guard::{Guard, State};

/// The guard of a feed, and its running query.
#[derive(Debug)]
pub(super) struct Guarded {
    number: u64,
    guard: Guard,
    running: Option<Running>,
}

impl Watched {
    /// The place of the keys that are listed; `None` if this is no listing of keys.
    fn listed(&self) -> Option<&Place> {
        match self {
            Watched::Keys { place, .. } | Watched::Query(Query::Pairs { place, .. }) => Some(place),
            _ => None,
        }
    }

    /// The connections that following it holds. A listing has a guard.
    pub(super) fn connections(&self) -> usize {
        match self {
            polled if polled.is_polled() => 0,
            listing if listing.listed().is_some() => 2,
            _ => 1,
        }
    }
}

impl Engine {
    /// The connections that following everything holds.
    pub(super) fn connections(&self) -> usize {
        self.feeds.values().map(|feed| feed.watched.connections()).sum()
    }

    /// Chooses a guard for a feed out of its pairs, which are sorted. A guard that is still listed
    /// stays.
    pub(super) fn choose_guard(&mut self, feed: u64, pairs: &[Pair]) {
        let number = self.next_number();
        let Some(feed) = self.feeds.get_mut(&feed) else { return };
        if feed.index.is_none() {
            feed.guard = None;
            return;
        }
        let is_listed = |guarded: &Guarded| {
            pairs.binary_search_by(|pair| pair.path.cmp(guarded.guard.key())).is_ok()
        };
        if !feed.guard.as_ref().is_some_and(is_listed) {
            let guard = Guard::of(pairs.iter().map(|pair| &*pair.path));
            feed.guard = guard.map(|guard| Guarded { number, guard, running: None });
        }
    }

    /// Starts a query for the guard of each listing that waits for a change, unless there are too few
    /// connections for all queries: these then wait for short times only.
    pub(super) fn start_guards(&mut self) {
        if self.connections() > self.most_blocking() {
            return;
        }
        let wait = self.asker.options().wait;
        for feed in self.feeds.values_mut().filter(|feed| feed.is_waiting) {
            let (Some(listed), Some(place)) = (feed.index, feed.watched.listed()) else { continue };
            let Some(Guarded { number, guard, running: running @ None }) = &mut feed.guard else {
                continue;
            };
            if self.running.len() >= self.most {
                return;
            }
            let beyond = Beyond { index: guard.index(listed), wait, from_events: false };
            let since = Since { beyond: Some(beyond), ..Since::default() };
            let (asker, place, key) = (self.asker.clone(), place.clone(), guard.key().clone());
            let (number, due) = (*number, Instant::now() + guard.pause());
            let request = async move {
                sleep_until(due).await;
                let got = asker.existence(&key, &place, since).await.map(Content::Guard);
                Outcome { number, got }
            };
            *running = Some(launch(&self.running, request));
        }
    }

    /// The feed whose guard has this number.
    fn guarded(&mut self, number: u64) -> Option<&mut Feed> {
        let is_its = |feed: &&mut Feed| feed.guard.as_ref().is_some_and(|it| it.number == number);
        self.feeds.values_mut().find(is_its)
    }

    /// Processes what is known of a guard. If it is missing, the keys are listed again.
    pub(super) fn take_guard(&mut self, number: u64, state: &State) {
        let Some(feed) = self.guarded(number) else { return };
        if let Some(guarded) = &mut feed.guard {
            guarded.running = None;
            guarded.guard.answered(state);
        }
        if let State::Missing = state {
            feed.read_again();
        }
    }

    /// Notes that a guard was not answered. Returns whether there is a guard of this number. If the
    /// node has failed, its feed reports that.
    pub(super) fn fail_guard(&mut self, number: u64) -> bool {
        let Some(feed) = self.guarded(number) else { return false };
        if let Some(guarded) = &mut feed.guard {
            debug!("consul: a key that guards a listing was not answered");
            guarded.running = None;
            guarded.guard.failed();
        }
        true
    }
}
