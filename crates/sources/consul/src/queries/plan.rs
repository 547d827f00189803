//! Decides which blocking queries follow the queries.
//!
//! A blocking query needs a connection, and Consul accepts a limited number from one address. A few
//! queries have a blocking query each. The agent answers those for instances from the events that
//! its servers send, because Consul raises no index of a service when an instance of it gets another
//! name. These events show no restored store, so a blocking query for the nodes of the place does.
//! If there are more queries:
//!
//! - The instances of services and the nodes of a place are followed by four blocking queries on
//!   the whole place. They say that something has changed, and mostly which services it concerns.
//! - Keys are listed together by their common beginning. Each listing has a guard, which is one more
//!   blocking query.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Data, Pair, Place, Query};
use store::{Key, Scope};

use super::feed::Watched;
use crate::group::{self, Group};

/// The number of blocking queries that follow a place.
const OF_A_PLACE: usize = 4;

/// This part of the connections is enough for listings of keys: the other queries then have blocking
/// queries of their own, if these have enough of the other connections.
const FOR_KEYS: usize = 3;

/// The blocking queries that follow the queries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) feeds: Vec<Watched>,
    /// The places whose services and nodes are followed together.
    pub(super) places: BTreeSet<Place>,
}

/// The place whose changes concern the answer to a query, if it can be followed with others.
pub(super) fn place_of(query: &Query) -> Option<Place> {
    match query {
        Query::Instances(asked) => Some(asked.place.clone()),
        Query::Node { place, .. } => Some(place.clone()),
        _ => None,
    }
}

/// Adds the blocking queries that show a restored store to those that do not show it.
fn with_history(mut feeds: Vec<Watched>) -> Vec<Watched> {
    let places: BTreeSet<Place> = feeds.iter().filter_map(Watched::is_of_events).cloned().collect();
    feeds.extend(places.into_iter().map(Watched::History));
    feeds
}

/// Plans the blocking queries for these queries: at most `most`, if that is possible. Keys in
/// `alone` are not listed together with others.
pub(super) fn plan<'a>(
    queries: impl Iterator<Item = &'a Query>,
    alone: &BTreeSet<Query>,
    most: usize,
) -> Plan {
    let queries: Vec<&Query> = queries.collect();
    let own = with_history(queries.iter().copied().cloned().map(Watched::Query).collect());
    if connections(&own) <= most {
        return Plan { feeds: own, places: BTreeSet::new() };
    }
    let (listed, other): (Vec<&Query>, Vec<&Query>) =
        queries.iter().copied().partition(|query| is_of_keys(query) && !alone.contains(*query));
    let other = with_history(other.into_iter().cloned().map(Watched::Query).collect());
    if !listed.is_empty() && connections(&other) + most / FOR_KEYS <= most {
        let mut feeds = other;
        add_listings(&mut feeds, &listed, most);
        return Plan { feeds, places: BTreeSet::new() };
    }
    let mut count: BTreeMap<Place, usize> = BTreeMap::new();
    for place in queries.iter().filter_map(|query| place_of(query)) {
        *count.entry(place).or_default() += 1;
    }
    count.retain(|_, count| *count >= OF_A_PLACE);
    let places: BTreeSet<Place> = count.into_keys().collect();
    let mut feeds = Vec::new();
    for place in &places {
        feeds.push(Watched::Names(place.clone()));
        feeds.push(Watched::Critical(place.clone()));
        feeds.push(Watched::Warning(place.clone()));
        feeds.push(Watched::Nodes(place.clone()));
    }
    let mut listed = Vec::new();
    for query in queries {
        match query {
            Query::Services { place } if places.contains(place) => {}
            query if place_of(query).is_some_and(|place| places.contains(&place)) => {}
            query if is_of_keys(query) && !alone.contains(query) => listed.push(query),
            query => feeds.push(Watched::Query(query.clone())),
        }
    }
    let mut feeds = with_history(feeds);
    add_listings(&mut feeds, &listed, most);
    Plan { feeds, places }
}

fn connections(feeds: &[Watched]) -> usize {
    feeds.iter().map(Watched::connections).sum()
}

fn is_of_keys(query: &Query) -> bool {
    matches!(query, Query::Key { .. } | Query::Pairs { .. })
}

/// Adds the listings for these queries of keys. All feeds have at most `most` connections, if that
/// is possible.
fn add_listings(feeds: &mut Vec<Watched>, listed: &[&Query], most: usize) {
    let mut keys: BTreeMap<&Place, Vec<&Query>> = BTreeMap::new();
    for query in listed {
        if let Query::Key { place, .. } | Query::Pairs { place, .. } = query {
            keys.entry(place).or_default().push(query);
        }
    }
    let left = most.saturating_sub(connections(feeds));
    let each = listed.iter().map(|query| Watched::Query((*query).clone()).connections());
    // Listings of several keys have two connections each.
    let listings = if each.sum::<usize>() <= left { listed.len() } else { left / 2 };
    for (place, queries) in keys {
        let share = (listings * queries.len() / listed.len()).max(1);
        feeds.extend(listed_together(place, queries, share));
    }
}

/// At most `most` listings that answer queries of keys, apart from odd keys.
fn listed_together<'a>(
    place: &Place,
    queries: Vec<&'a Query>,
    most: usize,
) -> impl Iterator<Item = Watched> + use<'a> {
    let path = |query: &Query| match query {
        Query::Key { key: text, .. } | Query::Pairs { prefix: text, .. } => {
            format!("/{}", text.trim_start_matches('/'))
        }
        _ => String::new(),
    };
    // A key that a path cannot spell is asked for by itself.
    let is_plain = |path: &str| Key::from(path).as_bytes() == path.as_bytes();
    let (plain, odd): (Vec<_>, Vec<_>) = queries
        .into_iter()
        .map(|query| (path(query), query))
        .partition(|(path, _)| is_plain(path.strip_suffix('/').unwrap_or(path)));
    let scope = Scope::from_iter(plain.iter().map(|(path, _)| Key::from(&**path)));
    let groups = Group::of(group::asked([&scope]), most);
    let place = place.clone();
    let listings = groups.into_iter().map(move |group| {
        let members = plain.iter().filter(|(path, _)| {
            let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
            group.covers(path.as_bytes())
        });
        let queries: Vec<Query> = members.map(|(_, query)| (*query).clone()).collect();
        match <[Query; 1]>::try_from(queries) {
            Ok([query]) => Watched::Query(query),
            Err(queries) => {
                let head = group.head.strip_prefix(b"/").unwrap_or(&group.head).to_vec();
                Watched::Keys { head, place: place.clone(), queries }
            }
        }
    });
    listings.chain(odd.into_iter().map(|(_, query)| Watched::Query(query.clone())))
}

/// The answer to a query of keys, out of a listing in which its keys would be.
pub(super) fn answer_of(query: &Query, pairs: &[Pair]) -> Data {
    match query {
        Query::Key { key, .. } => {
            let key = key.trim_start_matches('/').as_bytes();
            let found = pairs.binary_search_by(|pair| (*pair.path).cmp(key));
            let value = found.ok().and_then(|index| pairs.get(index));
            Data::Value(value.map(|pair| pair.value.clone()))
        }
        Query::Pairs { prefix, .. } => {
            let prefix = prefix.trim_start_matches('/').as_bytes();
            let first = pairs.partition_point(|pair| &*pair.path < prefix);
            let below = pairs.iter().skip(first).take_while(|pair| pair.path.starts_with(prefix));
            Data::Pairs(below.cloned().collect())
        }
        _ => Data::Value(None),
    }
}

/// Whether an answer says that there is nothing.
pub(super) fn is_empty(data: &Data) -> bool {
    match data {
        Data::Value(value) => value.is_none(),
        Data::Pairs(pairs) => pairs.is_empty(),
        Data::Instances(instances) => instances.is_empty(),
        Data::Services(services) => services.is_empty(),
        Data::Node(node) => node.is_none(),
        Data::Nodes(nodes) => nodes.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(number: usize) -> Query {
        Query::instances(&format!("web-{number}"), false).unwrap()
    }

    fn planned(queries: &[Query]) -> Plan {
        plan(queries.iter(), &BTreeSet::new(), 24)
    }

    #[test]
    fn a_few_queries_have_a_blocking_query_each() {
        let mut queries: Vec<Query> = (0..23).map(service).collect();
        let plan = planned(&queries);
        let history = Watched::History(Place::default());
        assert_eq!(plan.feeds.iter().filter(|watched| **watched == history).count(), 1);
        assert_eq!(plan.feeds.len(), 24);
        assert!(plan.places.is_empty());
        queries.push(service(23));
        assert_eq!(planned(&queries).feeds.len(), 4);
    }

    #[test]
    fn polled_queries_do_not_count_because_they_hold_no_connection() {
        let mut queries: Vec<Query> = (0..23).map(service).collect();
        queries.extend((0..9).map(|nth| Query::prepared(&format!("front-{nth}")).unwrap()));
        let plan = planned(&queries);
        assert_eq!(plan.feeds.len(), 33);
        assert!(plan.places.is_empty());
    }

    #[test]
    fn a_thousand_services_are_followed_by_four_blocking_queries() {
        let mut queries: Vec<Query> = (0..1000).map(service).collect();
        queries.push(Query::services("").unwrap());
        queries.push(Query::CaRoots);
        let plan = planned(&queries);
        assert_eq!(plan.feeds.len(), 5);
        assert_eq!(plan.places, BTreeSet::from([Place::default()]));
    }

    #[test]
    fn many_keys_are_listed_together_and_each_in_one_listing() {
        let mut queries: Vec<Query> = (0..130)
            .map(|number| Query::key(&format!("app/{}/{number}", number % 7), true).unwrap())
            .collect();
        queries.push(Query::pairs("app/3/").unwrap());
        queries.push(Query::key("other//odd", true).unwrap());
        let plan = planned(&queries);
        assert!(plan.feeds.len() <= 25, "{}", plan.feeds.len());
        let mut answered: Vec<&Query> = plan
            .feeds
            .iter()
            .flat_map(|feed| match feed {
                Watched::Query(query) => std::slice::from_ref(query),
                Watched::Keys { queries, .. } => queries,
                _ => &[],
            })
            .collect();
        answered.sort();
        let mut expected: Vec<&Query> = queries.iter().collect();
        expected.sort();
        assert_eq!(answered, expected);
    }

    #[test]
    fn many_keys_leave_few_services_their_blocking_queries() {
        let mut queries: Vec<Query> = (0..10).map(service).collect();
        queries.extend((0..60).map(|nth| Query::key(&format!("{nth}/a"), true).unwrap()));
        let plan = planned(&queries);
        assert!(plan.places.is_empty());
        assert!(connections(&plan.feeds) <= 24, "{}", connections(&plan.feeds));
        let own = |query: &Query| plan.feeds.contains(&Watched::Query(query.clone()));
        assert!((0..10).map(service).all(|query| own(&query)));
    }

    #[test]
    fn a_listing_begins_like_each_of_its_keys() {
        let queries: Vec<Query> =
            (0..60).map(|number| Query::key(&format!("a/{number}"), false).unwrap()).collect();
        for feed in planned(&queries).feeds {
            let Watched::Keys { head, queries, .. } = feed else { continue };
            for query in queries {
                let Query::Key { key, .. } = query else { panic!("no key") };
                assert!(key.as_bytes().starts_with(&head), "{key} {head:?}");
            }
        }
    }
}
