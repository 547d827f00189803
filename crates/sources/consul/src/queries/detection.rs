//! Finds the answers that have changed in a place, out of blocking queries on the whole place.
//!
//! Four blocking queries report every change of a place, with its index: the checks that are
//! critical or warn, the names and tags of the services, and the nodes. A difference in the answer
//! to one of them says which services have changed, and these are asked again. A change that shows
//! no difference (an instance whose checks pass was removed, a check that passes has another
//! output) is searched for: each query is asked for its index alone, and again if that has changed.
//! Registrations are searched for at once (see `budget`), and changes of checks that are no changes of
//! states with pauses, because some checks have another output each time. Because several changes may be reported together, all queries are also asked for their index
//! some time after the last change.
//!
//! Consul raises no index of a service when an instance of it gets another name. So if a search
//! finds no query that a registration has changed, and some time after each registration, all
//! queries are asked for their answers.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use catalog::{Service, Text};
use tokio::time::Instant;

use super::budget::{self, Budget};
use super::wire::Listed;

/// The time after a change in which every query is compared with its index, or asked again.
const VERIFIED_AFTER: Duration = Duration::from_secs(10);

/// The time after a change of checks without a difference in which it is searched for. It is no
/// change of the state of an instance.
const CHECKS_AFTER: Duration = Duration::from_millis(300);

/// The time in which the answers about one change arrive.
const TOGETHER: Duration = Duration::from_millis(20);

/// After a search in which all queries are asked for their answers, this many times its duration passes
/// before the next.
const LONG_REST: u32 = 19;

/// The most indexes up to that of a report of which each may be another change.
const TELLING: u64 = 32;

/// The indexes of changes whose services are known that are remembered, because the report of a
/// change may arrive after the answer.
const REMEMBERED: usize = 256;

/// What is known about a place.
#[derive(Debug, Default)]
pub(super) struct Detection {
    critical: Option<Vec<Listed>>,
    warning: Option<Vec<Listed>>,
    names: Option<Arc<[Service]>>,
    nodes: bool,
    /// The indexes of registrations and of changes of checks whose services are known.
    explained: Explained,
    /// The indexes of registrations whose services are not known, and when they are searched for.
    registrations: BTreeMap<u64, Instant>,
    /// The same of changes of checks.
    changes: BTreeMap<u64, Instant>,
    /// The registrations that the last search was to find, without those that were found.
    searched: BTreeSet<u64>,
    /// When a search must begin, because there may have been several registrations.
    several: Option<Instant>,
    /// When a search must begin, whatever is known of the checks by then.
    verify: Option<Instant>,
    /// When all queries must be asked again.
    reread: Option<Instant>,
    /// When the last change of checks was reported.
    reported: Option<Instant>,
    /// The running search.
    search: Option<Running>,
    /// The time that searches for registrations may take.
    budget: Budget,
    /// No search for registrations begins before this moment.
    rested: Option<Instant>,
    /// No search for changes of checks begins before this moment.
    checks_rested: Option<Instant>,
    /// No search of this kind begins before this moment.
    long_rested: Option<Instant>,
}

/// The latest indexes of changes whose services are known.
#[derive(Debug, Default)]
struct Explained {
    registrations: BTreeSet<u64>,
    changes: BTreeSet<u64>,
}

/// How a search asks the queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// For their indexes.
    Indexes,
    /// For their answers.
    Answers,
}

/// A running search.
#[derive(Debug)]
struct Running {
    search: Search,
    since: Instant,
    /// Whether it was begun because of a registration.
    is_urgent: bool,
    /// The time until all indexes were known.
    took: Option<Duration>,
}

/// What has changed, as far as it is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// The names of services.
    pub(super) services: BTreeSet<Text>,
    /// The names of nodes, whose services have all changed.
    pub(super) nodes: BTreeSet<Text>,
}

/// The part of a place that an answer is about.
#[derive(Debug)]
pub(super) enum Seen {
    Critical(Vec<Listed>),
    Warning(Vec<Listed>),
    Names(Arc<[Service]>),
    Nodes,
}

impl Detection {
    /// Whether every change from now on is reported.
    pub(super) fn is_armed(&self) -> bool {
        self.critical.is_some() && self.warning.is_some() && self.names.is_some() && self.nodes
    }

    /// Takes what one of the blocking queries was answered at `index`. Returns what has changed.
    /// `before` is the index of its last answer.
    pub(super) fn take(
        &mut self,
        seen: Seen,
        index: u64,
        before: Option<u64>,
        now: Instant,
    ) -> Changed {
        let mut changed = Changed::default();
        let (known, after) = match seen {
            Seen::Critical(after) => (&mut self.critical, after),
            Seen::Warning(after) => (&mut self.warning, after),
            Seen::Names(after) => {
                if let Some(last) = self.names.replace(Arc::clone(&after)) {
                    differing_names(&last, &after, &mut changed.services);
                }
                self.note_registration(index, before, now);
                return changed;
            }
            Seen::Nodes => {
                self.nodes = true;
                // A node has the instances of many services.
                if before.is_some_and(|before| before < index) {
                    self.note_several(now + TOGETHER);
                }
                return changed;
            }
        };
        let mut listed = Vec::new();
        if let Some(last) = known {
            for check in differing(last, &after) {
                listed.push(check.modify_index);
                match check.service.is_empty() {
                    true => changed.nodes.insert(check.node.clone()),
                    false => changed.services.insert(check.service.clone()),
                };
            }
        }
        *known = Some(after);
        listed.into_iter().for_each(|index| self.explain_checks(index));
        if let Some(before) = before.filter(|before| *before < index) {
            self.note_change(index, before, now);
            match changed == Changed::default() {
                true => self.doubt_checks(index, now + CHECKS_AFTER),
                false => self.explain_checks(index),
            }
        }
        changed
    }

    /// Notes that checks have changed up to `index`, and perhaps at indexes behind `before` as well.
    fn note_change(&mut self, index: u64, before: u64, now: Instant) {
        self.verify_at(now + VERIFIED_AFTER);
        // After a change that was reported shortly before, several may be reported together.
        let is_burst = self.reported.is_some_and(|last| now.duration_since(last) < CHECKS_AFTER);
        self.reported = Some(now);
        if !is_burst {
            return;
        }
        let due = now + CHECKS_AFTER;
        match index - before {
            0..=TELLING => (before + 1..index).for_each(|between| self.doubt_checks(between, due)),
            _ => self.verify_at(due),
        }
    }

    /// Notes that services or nodes were registered or removed up to `index`.
    fn note_registration(&mut self, index: u64, before: Option<u64>, now: Instant) {
        let Some(before) = before.filter(|before| *before < index) else { return };
        self.reread.get_or_insert(now + VERIFIED_AFTER);
        let due = now + TOGETHER;
        if !self.explained.registrations.contains(&index) {
            self.registrations.entry(index).or_insert(due);
        }
        if index - before > 1 {
            self.note_several(due);
        }
    }

    fn note_several(&mut self, due: Instant) {
        self.several = Some(self.several.map_or(due, |before| before.min(due)));
    }

    fn verify_at(&mut self, due: Instant) {
        self.verify = Some(self.verify.map_or(due, |before| before.min(due)));
    }

    /// Notes a change of checks whose services are not known.
    fn doubt_checks(&mut self, index: u64, due: Instant) {
        if !self.explained.changes.contains(&index) {
            self.changes.entry(index).or_insert(due);
        }
    }

    /// Notes that the services are known whose checks have changed at `index`.
    fn explain_checks(&mut self, index: u64) {
        remember(&mut self.explained.changes, index);
        self.changes.remove(&index);
    }

    /// Notes that an answer has changed, and is as of `index`.
    pub(super) fn explain(&mut self, index: u64) {
        self.explain_checks(index);
        remember(&mut self.explained.registrations, index);
        self.registrations.remove(&index);
        self.searched.remove(&index);
    }

    /// When a search is due; `None` if nothing is to be searched for, or a search is running.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.search.is_some() {
            return None;
        }
        let checks = self.changes.values().copied().chain(self.verify).min();
        let checks = checks.map(|due| after(due, self.checks_rested));
        self.registrations_due().into_iter().chain(checks).chain(self.reread_due()).min()
    }

    /// When a search for registrations is due.
    fn registrations_due(&self) -> Option<Instant> {
        let due = self.registrations.values().copied().chain(self.several).min();
        due.map(|due| after(due, self.rested))
    }

    fn reread_due(&self) -> Option<Instant> {
        self.reread.map(|due| after(due, self.long_rested))
    }

    /// Begins a search: from now on every query is asked.
    pub(super) fn begin_search(&mut self, now: Instant) -> Search {
        let search = match self.reread_due() {
            Some(due) if due <= now => Search::Answers,
            _ => Search::Indexes,
        };
        let is_urgent = self.registrations_due().is_some_and(|due| due <= now);
        self.changes.clear();
        (self.several, self.verify) = (None, None);
        let registrations = std::mem::take(&mut self.registrations);
        match search {
            Search::Indexes => self.searched.extend(registrations.into_keys()),
            Search::Answers => {
                self.searched.clear();
                self.reread = None;
            }
        }
        self.search = Some(Running { search, since: now, is_urgent, took: None });
        search
    }

    /// Since when a search is running.
    pub(super) fn searches_since(&self) -> Option<Instant> {
        self.search.as_ref().map(|running| running.since)
    }

    /// Notes that no request for an index is running.
    pub(super) fn note_indexes(&mut self, now: Instant) {
        if let Some(running) = &mut self.search {
            running.took.get_or_insert(now - running.since);
        }
    }

    /// Ends the search, if one is running. If it has not found the service of a registration, all
    /// queries are asked again: an instance may have got another name.
    pub(super) fn end_search(&mut self, now: Instant) {
        let Some(Running { search, since, is_urgent, took }) = self.search.take() else { return };
        match search {
            Search::Indexes => {
                let took = took.unwrap_or(now - since);
                self.checks_rested = Some(now + budget::rest(took));
                if is_urgent {
                    self.rested = Some(now + self.budget.spend(took, now));
                }
            }
            Search::Answers => self.long_rested = Some(now + (now - since) * LONG_REST),
        }
        if !std::mem::take(&mut self.searched).is_empty() {
            self.reread = Some(now);
        }
    }
}

/// The later of a moment and the end of a pause.
fn after(due: Instant, rested: Option<Instant>) -> Instant {
    rested.map_or(due, |rested| due.max(rested))
}

fn remember(indexes: &mut BTreeSet<u64>, index: u64) {
    indexes.insert(index);
    if indexes.len() > REMEMBERED {
        indexes.pop_first();
    }
}

/// The checks that are in only one of two sorted lists.
fn differing<'a>(before: &'a [Listed], after: &'a [Listed]) -> Vec<&'a Listed> {
    let mut differing = Vec::new();
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some(one), Some(two)) => one.cmp(two),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return differing,
        };
        match order {
            Ordering::Less => differing.extend(before.next()),
            Ordering::Greater => differing.extend(after.next()),
            Ordering::Equal => {
                before.next();
                after.next();
            }
        }
    }
}

/// The names of the services that are in only one of two lists, or with other tags.
fn differing_names(before: &[Service], after: &[Service], names: &mut BTreeSet<Text>) {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some(one), Some(two)) => one.name.cmp(&two.name),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let one = if order.is_le() { before.next() } else { None };
        let two = if order.is_ge() { after.next() } else { None };
        if one != two {
            names.extend(one.or(two).map(|service| service.name.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(node: &'static str, service: &'static str, modify_index: u64) -> Listed {
        Listed {
            node: node.into(),
            id: format!("service:{service}").into(),
            service: service.into(),
            modify_index,
        }
    }

    fn service(name: &'static str, tags: &[&'static str]) -> Service {
        Service { name: name.into(), tags: tags.iter().map(|tag| Text::from(*tag)).collect() }
    }

    fn names(changed: &BTreeSet<Text>) -> Vec<&[u8]> {
        changed.iter().map(|name| &name[..]).collect()
    }

    fn armed() -> (Detection, Instant) {
        let (mut detection, now) = (Detection::default(), Instant::now());
        detection.take(Seen::Critical(vec![check("n1", "db", 5)]), 10, None, now);
        detection.take(Seen::Warning(Vec::new()), 10, None, now);
        detection.take(Seen::Nodes, 10, None, now);
        assert!(!detection.is_armed());
        detection.take(Seen::Names(registered()), 10, None, now);
        assert!(detection.is_armed());
        assert_eq!(detection.due(), None);
        (detection, now)
    }

    fn registered() -> Arc<[Service]> {
        [service("db", &[]), service("web", &["a"])].into()
    }

    #[test]
    fn a_check_that_fails_or_recovers_names_its_service() {
        let (mut detection, now) = armed();
        let later = now + VERIFIED_AFTER;
        let failing = vec![check("n1", "db", 5), check("n2", "web", 11)];
        let changed = detection.take(Seen::Critical(failing), 11, Some(10), now);
        assert_eq!(names(&changed.services), [b"web"]);
        // The other list of checks reports the same change, without a difference.
        assert_eq!(detection.take(Seen::Warning(vec![]), 11, Some(10), now), Changed::default());
        let recovered = vec![check("n2", "web", 11)];
        detection.take(Seen::Warning(vec![]), 12, Some(11), now);
        let changed = detection.take(Seen::Critical(recovered), 12, Some(11), now);
        assert_eq!(names(&changed.services), [b"db"]);
        // Both changes are known, so only the comparison of all queries is due.
        assert_eq!(detection.due(), Some(later));
    }

    #[test]
    fn a_check_of_a_node_names_the_node() {
        let (mut detection, now) = armed();
        let failing = vec![check("n1", "db", 5), check("n3", "", 11)];
        let changed = detection.take(Seen::Critical(failing), 11, Some(10), now);
        assert_eq!(names(&changed.nodes), [b"n3"]);
    }

    #[test]
    fn services_that_come_go_or_get_other_tags_are_named() {
        let (mut detection, now) = armed();
        let services = [service("new", &[]), service("web", &["b"])];
        let changed = detection.take(Seen::Names(services.into()), 11, Some(10), now);
        assert_eq!(names(&changed.services), [&b"db"[..], b"new", b"web"]);
        detection.explain(11);
        assert_eq!(detection.due(), Some(now + VERIFIED_AFTER));
    }

    #[test]
    fn a_registration_without_a_difference_is_searched_for_at_once() {
        let (mut detection, now) = armed();
        let changed = detection.take(Seen::Names(registered()), 11, Some(10), now);
        assert_eq!(changed, Changed::default());
        assert_eq!(detection.due(), Some(now + TOGETHER));
        assert_eq!(detection.begin_search(now + TOGETHER), Search::Indexes);
        assert_eq!(detection.due(), None);
        let lasts = Duration::from_millis(40);
        let end = now + TOGETHER + lasts;
        detection.explain(11);
        detection.end_search(end);
        detection.take(Seen::Names(registered()), 12, Some(11), end);
        assert_eq!(detection.due(), Some(end + TOGETHER));
    }

    #[test]
    fn changes_of_checks_without_a_difference_are_searched_for_with_pauses() {
        let (mut detection, now) = armed();
        detection.take(Seen::Warning(vec![]), 11, Some(10), now);
        assert_eq!(detection.begin_search(now + CHECKS_AFTER), Search::Indexes);
        let (end, lasts) = (now + 2 * CHECKS_AFTER, CHECKS_AFTER);
        detection.end_search(end);
        detection.take(Seen::Warning(vec![]), 12, Some(11), end);
        assert_eq!(detection.due(), Some(end + budget::rest(lasts)));
        // A registration does not wait for the end of this pause.
        detection.take(Seen::Names(registered()), 13, Some(12), end);
        assert_eq!(detection.due(), Some(end + TOGETHER));
    }

    #[test]
    fn a_registration_that_a_search_does_not_find_makes_all_queries_be_asked_again() {
        let (mut detection, now) = armed();
        detection.take(Seen::Names(registered()), 11, Some(10), now);
        assert_eq!(detection.begin_search(now + TOGETHER), Search::Indexes);
        let end = now + 2 * TOGETHER;
        detection.end_search(end);
        assert_eq!(detection.due(), Some(end));
        assert_eq!(detection.begin_search(end), Search::Answers);
        detection.end_search(end + TOGETHER);
        assert_eq!(detection.due(), None);
        // A search of the same kind comes after a pause, and one for indexes does not wait for it.
        detection.take(Seen::Names(registered()), 12, Some(11), end);
        assert_eq!(detection.due(), Some(end + TOGETHER));
    }

    #[test]
    fn an_answer_explains_no_other_change_than_its_own() {
        let (mut detection, now) = armed();
        detection.take(Seen::Names(registered()), 11, Some(10), now);
        let failing = vec![check("n1", "db", 5), check("n2", "web", 12)];
        detection.take(Seen::Critical(failing), 12, Some(10), now);
        detection.explain(12);
        assert_eq!(detection.due(), Some(now + TOGETHER));
        detection.explain(11);
        assert_eq!(detection.due(), Some(now + VERIFIED_AFTER));
    }

    #[test]
    fn a_change_of_checks_that_may_be_one_of_several_is_searched_for_unless_it_is_known() {
        let (mut detection, now) = armed();
        let failing = vec![check("n1", "db", 5), check("n2", "web", 11)];
        detection.take(Seen::Critical(failing), 11, Some(10), now);
        let failing = vec![check("n1", "db", 13), check("n2", "web", 11)];
        detection.take(Seen::Critical(failing), 13, Some(11), now);
        assert_eq!(detection.due(), Some(now + CHECKS_AFTER));
        detection.explain(12);
        assert_eq!(detection.due(), Some(now + VERIFIED_AFTER));
    }

    #[test]
    fn several_registrations_in_one_answer_are_always_searched_for() {
        let (mut detection, now) = armed();
        let services = [service("db", &[]), service("new", &[]), service("web", &["a"])];
        detection.take(Seen::Names(services.into()), 12, Some(10), now);
        detection.explain(12);
        assert_eq!(detection.due(), Some(now + TOGETHER));
    }

    #[test]
    fn a_change_of_checks_without_a_difference_is_searched_for_later() {
        let (mut detection, now) = armed();
        detection.take(Seen::Critical(vec![check("n1", "db", 5)]), 11, Some(10), now);
        detection.take(Seen::Warning(vec![]), 11, Some(10), now);
        assert_eq!(detection.due(), Some(now + CHECKS_AFTER));
    }
}
