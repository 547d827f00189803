//! Answers that may be stale, of servers and agents that know less than the last answer said.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use catalog::{Data, Query};
use client_consul::{Consistency, Options};
use servers::Stub;

use super::{Asked, at, many_services, remove, service, settings};
use crate::tests::answers::{answer, found, nothing_happens, waits_for};

/// The service `web-0` with one instance.
fn one(id: &str, index: u64) -> Vec<u8> {
    let body = serde_json::json!([{
        "Node": {"Node": "n", "Address": "10.0.0.1"},
        "Service": {"ID": id, "Service": "web-0", "Port": 80},
        "Checks": [],
    }]);
    answer("200 OK", index, &body.to_string())
}

/// The same answer, as an agent gives it from the events that its servers send.
fn of_events(answer: Vec<u8>) -> Vec<u8> {
    let answer = String::from_utf8(answer).expect("text");
    answer.replacen("\r\n", "\r\nX-Consul-Query-Backend: streaming\r\n", 1).into_bytes()
}

/// The answer about the nodes.
fn nodes(index: u64) -> Vec<u8> {
    answer("200 OK", index, "[]")
}

/// A server answers, goes away for some requests, and comes back as a server that has seen less.
/// Only an answer of the leader may take instances away.
#[tokio::test]
async fn a_server_that_is_behind_takes_no_instance_away() {
    for failures in [1, 2, 5] {
        let nth = AtomicUsize::new(0);
        let server = Stub::answering(move |head| {
            let line = head.lines().next().unwrap_or_default();
            if line.contains("/v1/catalog/nodes") {
                return if waits_for(head).is_some() { nothing_happens() } else { nodes(10) };
            }
            let is_stale = line.contains("stale");
            match nth.fetch_add(1, Ordering::SeqCst) {
                0 => one("a", 10),
                // The connection is closed.
                nth if nth <= failures => Vec::new(),
                _ if waits_for(head).is_some() => nothing_happens(),
                _ if is_stale => answer("200 OK", 5, "[]"),
                _ => one("b", 12),
            }
        });
        let consistency = Consistency::Stale(Duration::from_secs(2));
        let options = Options { consistency, ..at(&[&server.address()]) };
        let wanted = service(0);
        let mut asked = Asked::with(options, settings(), std::slice::from_ref(&wanted));
        asked.all_known(1).await;
        asked
            .until("the answer of the leader", |asked| {
                let found = asked.instances(&wanted);
                assert!(!found.is_empty(), "the stale answer counts, after {failures} failures");
                found[0].0 == "b"
            })
            .await;
    }
}

/// An agent knows from the events of its servers what was true some time ago.
#[tokio::test]
async fn an_agent_that_is_behind_its_servers_takes_no_instance_away() {
    let server = Stub::answering(|head| {
        let line = head.lines().next().unwrap_or_default();
        match waits_for(head) {
            None if line.contains("/v1/catalog/nodes") => nodes(10),
            None => one("a", 25),
            Some(1) => of_events(answer("200 OK", 20, "[]")),
            Some(20) => of_events(answer("200 OK", 22, "[]")),
            Some(22) => of_events(one("a", 25)),
            Some(25) => of_events(one("b", 30)),
            Some(_) => nothing_happens(),
        }
    });
    let wanted = service(0);
    let mut asked = Asked::at(&[&server.address()], settings(), std::slice::from_ref(&wanted));
    asked.all_known(1).await;
    asked
        .until("the next change", |asked| {
            let found = asked.instances(&wanted);
            assert!(!found.is_empty(), "the answer from events counts");
            found[0].0 == "b"
        })
        .await;
    assert_eq!(asked.news.len(), 1);
}

/// Such a server also answers that a key does not exist.
#[tokio::test]
async fn a_server_that_is_behind_takes_no_key_away() {
    let nth = AtomicUsize::new(0);
    let server = Stub::answering(move |head| {
        let is_stale = head.lines().next().is_some_and(|line| line.contains("stale"));
        match nth.fetch_add(1, Ordering::SeqCst) {
            0 => found("1", 10),
            1 => Vec::new(),
            _ if waits_for(head).is_some() => nothing_happens(),
            _ if is_stale => answer("404 Not Found", 5, ""),
            _ => found("2", 12),
        }
    });
    let consistency = Consistency::Stale(Duration::from_secs(2));
    let options = Options { consistency, ..at(&[&server.address()]) };
    let wanted = Query::key("app/a", false).unwrap();
    let mut asked = Asked::with(options, settings(), std::slice::from_ref(&wanted));
    asked.all_known(1).await;
    asked
        .until("the answer of the leader", |asked| {
            let value = &asked.known[&wanted];
            assert_ne!(*value, Data::Value(None), "the stale answer counts");
            *value == Data::Value(Some("2".into()))
        })
        .await;
}

/// A change without a difference is searched for by indexes, and a server that is behind does not
/// know the new ones.
#[tokio::test]
async fn a_change_that_is_searched_for_is_searched_at_the_leader() {
    let (server, proxy, wanted) = many_services();
    let consistency = Consistency::Stale(Duration::from_secs(2));
    let options = Options { consistency, ..at(&[&proxy.address()]) };
    let mut asked = Asked::with(options, settings(), &wanted);
    asked.all_known(wanted.len()).await;
    remove(&server, 10, 0);
    asked.until("the removed instance", |asked| asked.instances(&service(10)).len() == 1).await;
    let requests = proxy.requests();
    let of_search = requests.iter().filter(|request| request.contains("/health/service/"));
    let of_search: Vec<_> = of_search.filter(|request| request.contains("filter=")).collect();
    assert!(!of_search.is_empty());
    for request in of_search {
        assert!(!request.contains("stale"), "{request}");
    }
}

/// A query that was followed with others gets a blocking query of its own while its answer is on the
/// way. That answer may be older than the first one of the blocking query.
#[tokio::test]
async fn a_late_answer_to_a_query_that_was_followed_with_others_does_not_count() {
    let [asked_for, is_late, is_sent] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
    let until_set = |flag: &AtomicUsize| {
        while flag.load(Ordering::SeqCst) == 0 {
            servers::pause(Duration::from_millis(5));
        }
    };
    let flags = [&asked_for, &is_late, &is_sent].map(Arc::clone);
    let server = Stub::answering(move |head| {
        let [asked_for, is_late, is_sent] = &flags;
        let line = head.lines().next().unwrap_or_default();
        let is_of_it = line.contains("/v1/health/service/web-0?") || line.contains("/web-0 ");
        let is_critical = line.contains("/critical");
        match waits_for(head) {
            Some(1) if is_of_it => of_events(one("b", 20)),
            Some(20) if is_of_it => {
                until_set(is_sent);
                of_events(one("c", 30))
            }
            Some(10) if is_critical => {
                let check = serde_json::json!([{
                    "Node": "n", "CheckID": "c", "ServiceName": "web-0", "ServiceID": "a",
                    "Status": "critical", "ModifyIndex": 11,
                }]);
                answer("200 OK", 11, &check.to_string())
            }
            Some(_) => nothing_happens(),
            None if is_of_it => match asked_for.fetch_add(1, Ordering::SeqCst) {
                0 => one("a", 10),
                1 => {
                    until_set(is_late);
                    is_sent.store(1, Ordering::SeqCst);
                    one("a", 11)
                }
                _ => one("b", 20),
            },
            None if line.contains("/catalog/services") => answer("200 OK", 10, "{}"),
            None => answer("200 OK", 10, "[]"),
        }
    });
    let wanted: Vec<Query> = (0..40).map(service).collect();
    let mut asked = Asked::at(&[&server.address()], settings(), &wanted);
    asked.all_known(wanted.len()).await;
    for _ in 0..400 {
        if asked_for.load(Ordering::SeqCst) > 1 {
            break;
        }
        asked.waits(Duration::from_millis(20), |_| false).await;
    }
    asked.queries.follow(&wanted[..1]);
    let has = |asked: &Asked, id: &str| asked.instances(&wanted[0])[0].0 == id;
    asked.until("the answer of the blocking query", |asked| has(asked, "b")).await;
    is_late.store(1, Ordering::SeqCst);
    asked
        .until("the next change", |asked| {
            assert!(!has(asked, "a"), "the late answer counts");
            has(asked, "c")
        })
        .await;
}

/// An agent that loses its server gets the state of another server without events about the changes
/// in between. If that has a lower index, the queries that wait are not answered. Only some fail.
#[tokio::test]
async fn after_a_failed_query_that_waited_all_answers_from_events_are_read_again() {
    let [is_waiting, is_changed] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let server = Stub::answering(move |head| {
        let line = head.lines().next().unwrap_or_default();
        let now = || match is_changed.load(Ordering::SeqCst) {
            0 => one("a", 20),
            _ => one("b", 15),
        };
        match waits_for(head) {
            None if line.contains("/v1/catalog/nodes") => nodes(10),
            None => now(),
            Some(1) => of_events(now()),
            Some(20) if line.contains("/web-1?") => {
                while is_waiting.load(Ordering::SeqCst) == 0 {
                    servers::pause(Duration::from_millis(5));
                }
                is_changed.store(1, Ordering::SeqCst);
                Vec::new()
            }
            Some(20) if line.contains("/web-0?") => {
                is_waiting.store(1, Ordering::SeqCst);
                nothing_happens()
            }
            Some(_) => nothing_happens(),
        }
    });
    let wanted = [service(0), service(1)];
    let mut asked = Asked::at(&[&server.address()], settings(), &wanted);
    asked.all_known(2).await;
    asked
        .until("both changes", |asked| {
            wanted.iter().all(|query| asked.instances(query)[0].0 == "b")
        })
        .await;
}
