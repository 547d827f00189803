//! Finds the answers that have changed in a place, out of blocking queries on the whole place.
//!
//! Four blocking queries report every change of a place, with its index: the checks that are
//! critical or warn, the names and tags of the services, and the nodes. A difference in the answer
//! to one of them says which services have changed, and these are asked again. A change that shows
//! no difference (an instance whose checks pass was removed, a check that passes has another
//! output) is searched for: each query is asked for its index alone, and again if that has changed.
//! Because several changes may be reported together, all queries are also asked for their index
//! some time after the last change.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use catalog::{Service, Text};
use tokio::time::Instant;

use super::wire::Listed;

/// The time after a change in which every query is compared with its index.
const VERIFIED_AFTER: Duration = Duration::from_secs(10);

/// The time after a change of checks without a difference in which it is searched for. It is no
/// change of the state of an instance.
const CHECKS_AFTER: Duration = Duration::from_secs(1);

/// The time in which the answers about one change arrive.
const TOGETHER: Duration = Duration::from_millis(20);

/// A search costs a request for each query. After one, this many times its duration passes before
/// the next.
const REST: u32 = 9;

/// What is known about a place.
#[derive(Debug, Default)]
pub(super) struct Detection {
    critical: Option<Vec<Listed>>,
    warning: Option<Vec<Listed>>,
    names: Option<Arc<[Service]>>,
    nodes: bool,
    /// The greatest index of a change whose services are known.
    explained: u64,
    /// The index of a change whose services are not known, and when it is searched for.
    unexplained: Option<(u64, Instant)>,
    /// When a search must begin, whatever is known by then.
    verify: Option<Instant>,
    /// Since when a search is running.
    search: Option<Instant>,
    /// No search begins before this moment.
    rested: Option<Instant>,
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
                self.note_registration(index, before, now);
                return changed;
            }
        };
        if let Some(last) = known {
            for check in differing(last, &after) {
                match check.service.is_empty() {
                    true => changed.nodes.insert(check.node.clone()),
                    false => changed.services.insert(check.service.clone()),
                };
            }
        }
        *known = Some(after);
        if before.is_some_and(|before| before < index) {
            self.verify.get_or_insert(now + VERIFIED_AFTER);
            match changed == Changed::default() {
                true => self.doubt(index, now + CHECKS_AFTER),
                false => self.explain(index),
            }
        }
        changed
    }

    /// Notes that services or nodes were registered or removed up to `index`.
    fn note_registration(&mut self, index: u64, before: Option<u64>, now: Instant) {
        let Some(before) = before.filter(|before| *before < index) else { return };
        match index - before {
            // There was one change, and an answer with a difference and this index explains it.
            1 => self.doubt(index, now + TOGETHER),
            _ => self.verify = Some(now + TOGETHER),
        }
    }

    /// Notes a change whose services are not known.
    fn doubt(&mut self, index: u64, due: Instant) {
        if index > self.explained {
            let due = self.unexplained.map_or(due, |(_, before)| before.min(due));
            self.unexplained = Some((index, due));
        }
    }

    /// Notes that an answer has changed, and is as of `index`.
    pub(super) fn explain(&mut self, index: u64) {
        self.explained = self.explained.max(index);
        self.unexplained.take_if(|(unexplained, _)| *unexplained <= index);
    }

    /// When a search is due; `None` if nothing is to be searched for, or a search is running.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.search.is_some() {
            return None;
        }
        let unexplained = self.unexplained.map(|(_, due)| due);
        let due = unexplained.into_iter().chain(self.verify).min()?;
        Some(self.rested.map_or(due, |rested| due.max(rested)))
    }

    /// Begins a search: from now on every query is asked for its index.
    pub(super) fn begin_search(&mut self, now: Instant) {
        (self.unexplained, self.verify) = (None, None);
        self.search = Some(now);
    }

    /// Ends the search, if one is running.
    pub(super) fn end_search(&mut self, now: Instant) {
        if let Some(since) = self.search.take() {
            self.rested = Some(now + (now - since) * REST);
        }
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
        assert_eq!(detection.due(), None);
    }

    #[test]
    fn a_registration_without_a_difference_is_searched_for_with_pauses() {
        let (mut detection, now) = armed();
        let changed = detection.take(Seen::Names(registered()), 11, Some(10), now);
        assert_eq!(changed, Changed::default());
        assert_eq!(detection.due(), Some(now + TOGETHER));
        detection.begin_search(now + TOGETHER);
        assert_eq!(detection.due(), None);
        let lasts = Duration::from_millis(40);
        let end = now + TOGETHER + lasts;
        detection.end_search(end);
        detection.take(Seen::Names(registered()), 12, Some(11), now);
        assert_eq!(detection.due(), Some(end + lasts * REST));
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
