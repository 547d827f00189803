//! Queries at real servers: services, nodes and keys, few and many.

mod behind;
mod deletions;
mod faults;
mod prepared;
mod random;
mod renames;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use catalog::{Data, Query, Status};
use client_consul::{Options, Transport};
use serde_json::json;
use servers::{Consul, Proxy, Stub};
use source::queries::{Queries, QueryError, Retry, Settings};
use source::testing::BOUND;
use tokio::time::timeout;

use super::answers::answer;
use super::{at, behind_a_proxy};

/// More queries than blocking queries.
const MANY: usize = 120;

fn settings() -> Settings {
    let backoff = Duration::from_millis(20);
    let max_backoff = Some(Duration::from_millis(200));
    Settings {
        retry: Retry { attempts: None, backoff, max_backoff },
        once: false,
        fail_on_absent: false,
        refuse_hidden: true,
    }
}

/// Queries and what is known of their answers.
struct Asked {
    queries: Box<dyn Queries>,
    known: BTreeMap<Query, Data>,
    /// The queries that had news since the last look, in their order.
    news: Vec<Query>,
    troubles: Vec<(Query, QueryError)>,
    /// The queries whose last news is a failure.
    failing: BTreeSet<Query>,
}

impl Asked {
    fn at(nodes: &[&str], settings: Settings, wanted: &[Query]) -> Self {
        Self::with(super::at(nodes), settings, wanted)
    }

    fn with(options: Options, settings: Settings, wanted: &[Query]) -> Self {
        let mut queries = crate::queries(options, settings);
        queries.follow(wanted);
        Asked {
            queries,
            known: BTreeMap::new(),
            news: Vec::new(),
            troubles: Vec::new(),
            failing: BTreeSet::new(),
        }
    }

    /// Takes news until `is` holds.
    async fn until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        self.within(Duration::ZERO, what, is).await;
    }

    /// Takes news until `is` holds, which may take this much longer than usual.
    async fn within(&mut self, more: Duration, what: &str, is: impl Fn(&Self) -> bool) {
        let is_there = self.waits(BOUND + more, is).await;
        assert!(is_there, "{what}: {}", self.description());
    }

    /// Takes news for this time at most, until `is` holds. Returns whether it holds.
    async fn waits(&mut self, limit: Duration, is: impl Fn(&Self) -> bool) -> bool {
        let waiting = async {
            while !is(self) {
                for news in self.queries.next().await {
                    self.news.push(news.query.clone());
                    match news.answer {
                        Ok(data) => {
                            self.failing.remove(&news.query);
                            self.known.insert(news.query, data);
                        }
                        Err(trouble) => {
                            self.failing.insert(news.query.clone());
                            self.troubles.push((news.query, trouble.cause));
                        }
                    }
                }
            }
        };
        timeout(limit, waiting).await.is_ok()
    }

    async fn all_known(&mut self, count: usize) {
        self.until("all answers", |asked| asked.known.len() == count).await;
        self.news.clear();
    }

    /// What is known, for a test that fails.
    fn description(&self) -> String {
        let last = self.troubles.last().map(|(query, why)| format!("{query}: {why}"));
        let mut text =
            format!("{} news, {} troubles, {last:?}", self.news.len(), self.troubles.len());
        for query in self.known.keys() {
            if let Query::Instances(_) = query {
                text += &format!("\n{query}: {:?}", self.instances(query));
            }
        }
        text
    }

    /// The ids and states of the instances of a service.
    fn instances(&self, query: &Query) -> Vec<(String, Status)> {
        match self.known.get(query) {
            Some(Data::Instances(found)) => found
                .iter()
                .map(|one| (String::from_utf8(one.id.to_vec()).unwrap(), one.status))
                .collect(),
            other => panic!("{query}: {other:?}"),
        }
    }
}

fn service(number: usize) -> Query {
    Query::instances(&format!("web-{number}|any"), false).unwrap()
}

fn put(server: &Consul, path: &str, body: &serde_json::Value) {
    server.ask(&format!("PUT {path}"), body.to_string().as_bytes());
}

/// Registers an instance of a service on one of ten nodes.
fn register(server: &Consul, number: usize, instance: usize, status: &str) {
    let (node, id) = (format!("node-{}", instance % 10), format!("web-{number}-{instance}"));
    put(
        server,
        "/v1/catalog/register",
        &json!({
            "Node": node, "Address": format!("10.0.0.{}", instance % 10), "SkipNodeUpdate": true,
            "Service": {"ID": id, "Service": format!("web-{number}"), "Port": 8000 + instance},
            "Check": {"Node": node, "CheckID": format!("service:{id}"), "Name": "c",
                      "ServiceID": id, "Status": status}
        }),
    );
}

fn remove(server: &Consul, number: usize, instance: usize) {
    let (node, id) = (format!("node-{}", instance % 10), format!("web-{number}-{instance}"));
    put(server, "/v1/catalog/deregister", &json!({"Node": node, "ServiceID": id}));
}

/// A server with many services of two instances each.
fn many_services() -> (Consul, Proxy, Vec<Query>) {
    let (server, proxy) = behind_a_proxy();
    for number in 0..MANY {
        register(&server, number, 0, "passing");
        register(&server, number, 1, "passing");
    }
    let mut wanted: Vec<Query> = (0..MANY).map(service).collect();
    wanted.push(Query::services("").unwrap());
    (server, proxy, wanted)
}

#[tokio::test]
async fn each_kind_of_query_has_an_answer_that_follows_the_store() {
    let server = Consul::start_with("connect { enabled = true }");
    register(&server, 1, 3, "passing");
    server.put("app/name", "shop");
    let [name, below] = [Query::key("app/name", true).unwrap(), Query::pairs("app/").unwrap()];
    let wanted = [
        service(1),
        Query::services("").unwrap(),
        Query::nodes("").unwrap(),
        Query::node("node-3").unwrap(),
        Query::node("").unwrap(),
        Query::Datacenters { only_reachable: true },
        name.clone(),
        below.clone(),
        Query::key("app/none", false).unwrap(),
        Query::CaRoots,
        Query::CaLeaf { service: "web-1".to_owned() },
        Query::Peerings { partition: None },
    ];
    let mut asked = Asked::at(&[&server.address()], settings(), &wanted);
    asked.all_known(wanted.len()).await;
    assert_eq!(asked.instances(&wanted[0]), [("web-1-3".to_owned(), Status::Passing)]);
    assert_eq!(asked.known[&name], Data::Value(Some("shop".into())));
    assert_eq!(asked.known[&wanted[8]], Data::Value(None));
    server.put("app/name", "market");
    asked
        .until("the changed key", |asked| {
            matches!(&asked.known[&below], Data::Pairs(pairs) if pairs[0].value == "market")
                && asked.known[&name] == Data::Value(Some("market".into()))
        })
        .await;
    register(&server, 1, 3, "critical");
    asked
        .until("the critical instance", |asked| {
            asked.instances(&wanted[0]) == [("web-1-3".to_owned(), Status::Critical)]
        })
        .await;
    assert!(asked.troubles.is_empty(), "{:?}", asked.troubles);
}

#[tokio::test]
async fn a_key_that_must_exist_has_no_answer_before_it_exists_and_keeps_the_last() {
    let server = Consul::start();
    let (late, other) = (Query::key("late", true).unwrap(), Query::key("other", false).unwrap());
    let mut asked = Asked::at(&[&server.address()], settings(), &[late.clone(), other.clone()]);
    asked.until("the key that may be missing", |asked| asked.known.contains_key(&other)).await;
    server.put("late", "1");
    asked.until("the key", |asked| asked.known.contains_key(&late)).await;
    server.delete("late");
    server.put("other", "2");
    let both = |asked: &Asked| asked.known[&other] == Data::Value(Some("2".into()));
    asked.until("the other key", both).await;
    assert_eq!(asked.known[&late], Data::Value(Some("1".into())));
}

#[tokio::test]
async fn many_services_are_followed_by_few_connections_and_only_changed_ones_are_news() {
    let (server, proxy, wanted) = many_services();
    let mut asked = Asked::at(&[&proxy.address()], settings(), &wanted);
    asked.all_known(wanted.len()).await;
    let state_of = |asked: &Asked, number: usize| asked.instances(&service(number))[1].1;
    for status in ["critical", "warning", "passing"] {
        register(&server, 7, 1, status);
        asked.until(status, |asked| state_of(asked, 7).name() == status).await;
    }
    assert_eq!(asked.news, [service(7), service(7), service(7)]);
    asked.news.clear();
    // An instance that passes its checks comes and goes without a failing check.
    register(&server, 9, 2, "passing");
    asked.until("the new instance", |asked| asked.instances(&service(9)).len() == 3).await;
    remove(&server, 9, 2);
    remove(&server, 10, 0);
    asked
        .until("the removed instances", |asked| {
            asked.instances(&service(9)).len() == 2 && asked.instances(&service(10)).len() == 1
        })
        .await;
    assert!(asked.news.iter().all(|query| [service(9), service(10)].contains(query)));
    assert!(asked.troubles.is_empty(), "{:?}", asked.troubles);
    let most = proxy.most_connections();
    assert!(most <= 32, "{most} connections");
}

#[tokio::test]
async fn fewer_connections_do_if_the_options_allow_no_more() {
    let (server, proxy, wanted) = many_services();
    let transport = Transport { most: Some(8), ..Transport::default() };
    let options = Options { transport, ..at(&[&proxy.address()]) };
    let mut asked = Asked::with(options, settings(), &wanted);
    asked.all_known(wanted.len()).await;
    register(&server, 7, 1, "critical");
    let state = |asked: &Asked| asked.instances(&service(7))[1].1;
    asked.until("the change", |asked| state(asked) == Status::Critical).await;
    let most = proxy.most_connections();
    assert!(most <= 8, "{most} connections");
}

#[tokio::test]
async fn a_node_that_fails_or_moves_changes_all_its_services() {
    let (server, _proxy, wanted) = many_services();
    let mut asked = Asked::at(&[&server.address()], settings(), &wanted);
    asked.all_known(wanted.len()).await;
    put(
        &server,
        "/v1/catalog/register",
        &json!({
            "Node": "node-1", "Address": "10.0.0.1",
            "Check": {"Node": "node-1", "CheckID": "serfHealth", "Name": "s", "Status": "critical"}
        }),
    );
    asked
        .until("the failed node", |asked| {
            (0..MANY).all(|number| asked.instances(&service(number))[1].1 == Status::Critical)
        })
        .await;
    put(&server, "/v1/catalog/register", &json!({"Node": "node-0", "Address": "10.9.9.9"}));
    asked
        .until("the moved node", |asked| {
            (0..MANY).all(|number| match &asked.known[&service(number)] {
                Data::Instances(found) => found[0].address == "10.9.9.9",
                _ => false,
            })
        })
        .await;
}

#[tokio::test]
async fn services_that_appear_and_vanish_are_news_for_those_who_ask_for_them() {
    let (server, _proxy, mut wanted) = many_services();
    let new = service(MANY + 1);
    wanted.push(new.clone());
    let mut asked = Asked::at(&[&server.address()], settings(), &wanted);
    asked.all_known(wanted.len()).await;
    assert_eq!(asked.instances(&new), []);
    register(&server, MANY + 1, 0, "passing");
    let names = Query::services("").unwrap();
    asked
        .until("the new service", |asked| {
            asked.instances(&new).len() == 1 && asked.news.contains(&names)
        })
        .await;
    remove(&server, MANY + 1, 0);
    asked.until("the vanished service", |asked| asked.instances(&new).is_empty()).await;
}

#[tokio::test]
async fn many_keys_are_followed_by_few_connections() {
    let (server, proxy) = behind_a_proxy();
    let keys: Vec<String> = (0..MANY).map(|nth| format!("app/{}/{nth}", nth % 40)).collect();
    server.put_all(keys.iter().map(|key| (&**key, "0")));
    let wanted: Vec<Query> = keys.iter().map(|key| Query::key(key, true).unwrap()).collect();
    let mut asked = Asked::at(&[&proxy.address()], settings(), &wanted);
    asked.all_known(wanted.len()).await;
    for nth in [0, 60, 119] {
        server.put(&keys[nth], "1");
        let is = |asked: &Asked| asked.known[&wanted[nth]] == Data::Value(Some("1".into()));
        asked.until("a changed key", is).await;
    }
    assert_eq!(asked.news, [wanted[0].clone(), wanted[60].clone(), wanted[119].clone()]);
    let most = proxy.most_connections();
    assert!(most <= 32, "{most} connections");
}

#[tokio::test]
async fn queries_come_and_go_and_what_stays_is_not_read_again() {
    let (server, proxy, wanted) = many_services();
    let few = [service(1), service(2)];
    let mut asked = Asked::at(&[&proxy.address()], settings(), &few);
    asked.all_known(2).await;
    asked.queries.follow(&wanted);
    asked.all_known(wanted.len()).await;
    let read = |number: usize| {
        let path = format!("/v1/health/service/web-{number}?");
        proxy.requests().iter().filter(|request| request.contains(&path)).count()
    };
    let before = read(50);
    let mut more = wanted.clone();
    more.push(Query::key("a", false).unwrap());
    asked.queries.follow(&more);
    asked.until("the key", |asked| asked.known.len() == more.len()).await;
    assert_eq!(read(50), before);
    asked.queries.follow(&few);
    register(&server, 2, 1, "critical");
    asked
        .until("a change of what stays", |asked| {
            asked.instances(&service(2))[1].1 == Status::Critical
        })
        .await;
    assert!(asked.troubles.is_empty(), "{:?}", asked.troubles);
}

#[tokio::test]
async fn answers_are_kept_while_the_server_is_away_and_followed_when_it_is_back() {
    for many in [false, true] {
        let mut server = Consul::durable();
        let count = if many { 40 } else { 3 };
        (0..count).for_each(|number| register(&server, number, 0, "passing"));
        let wanted: Vec<Query> = (0..count).map(service).collect();
        let mut asked = Asked::at(&[&server.address()], settings(), &wanted);
        asked.all_known(count).await;
        server.kill();
        asked.until("a failed attempt", |asked| !asked.troubles.is_empty()).await;
        server.restart();
        servers::eventually("the server is back", || server.is_ready());
        register(&server, 2, 0, "critical");
        asked
            .until("a change after the outage", |asked| {
                asked.instances(&service(2))[0].1 == Status::Critical
            })
            .await;
        assert_eq!(asked.known.len(), count);
    }
}

#[tokio::test]
async fn an_unknown_datacenter_is_an_error_with_the_status_and_the_words_of_consul() {
    let server = Consul::start();
    let query = Query::instances("web@nowhere", false).unwrap();
    let few = Settings { retry: Retry { attempts: Some(1), ..settings().retry }, ..settings() };
    let mut queries = crate::queries(at(&[&server.address()]), few);
    queries.follow(std::slice::from_ref(&query));
    for (attempt, is_last) in [(1, false), (2, true)] {
        let mut news = timeout(BOUND, queries.next()).await.unwrap();
        let trouble = news.pop().unwrap().answer.unwrap_err();
        assert_eq!((trouble.attempt, trouble.again.is_none()), (attempt, is_last));
        let text = trouble.cause.to_string();
        let expected = "Unexpected response code: 500 (No path to datacenter)";
        assert_eq!(text, expected);
    }
}

#[tokio::test]
async fn each_query_of_a_single_run_is_asked_once() {
    let (_server, proxy, wanted) = many_services();
    let once = Settings { once: true, ..settings() };
    let mut asked = Asked::at(&[&proxy.address()], once, &wanted);
    asked.all_known(wanted.len()).await;
    assert_eq!(proxy.requests().len(), wanted.len());
}

#[tokio::test]
async fn a_single_run_that_gets_too_few_connections_asks_each_query_once_more_at_most() {
    let nth = AtomicUsize::new(0);
    let server = Stub::answering(move |_| match nth.fetch_add(1, Ordering::SeqCst) {
        0 => answer("429 Too Many Requests", 0, "slower"),
        _ => {
            // The refusal arrives while the other queries are asked.
            servers::pause(Duration::from_millis(200));
            answer("200 OK", 7, "[]")
        }
    });
    let wanted: Vec<Query> = (0..3).map(service).collect();
    let once = Settings { once: true, ..settings() };
    let mut asked = Asked::at(&[&server.address()], once, &wanted);
    asked.all_known(wanted.len()).await;
    assert_eq!(server.heads().len(), wanted.len() + 1);
}

/// A proxy that answers for Consul may know nothing of it.
#[tokio::test]
async fn an_answer_without_an_index_takes_no_service_and_no_node_away() {
    for body in ["{}", "[]", "null"] {
        // The first request of each query, whichever comes first.
        let asked = [false; 3].map(AtomicBool::new);
        let server = Stub::answering(move |head| {
            let without_index = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let line = head.lines().next().unwrap_or_default();
            let (was_asked, good) = match line {
                _ if line.contains("/catalog/services") => (&asked[0], r#"{"web":[]}"#),
                _ if line.contains("/catalog/nodes") => {
                    (&asked[1], r#"[{"Node":"n","Address":"10.0.0.1"}]"#)
                }
                _ => (&asked[2], r#"{"Node":{"Node":"n","Address":"10.0.0.1"},"Services":{}}"#),
            };
            match was_asked.swap(true, Ordering::SeqCst) {
                false => answer("200 OK", 7, good),
                true => without_index.into_bytes(),
            }
        });
        let wanted =
            [Query::services("").unwrap(), Query::nodes("").unwrap(), Query::node("n").unwrap()];
        let mut asked = Asked::at(&[&server.address()], settings(), &wanted);
        asked.all_known(wanted.len()).await;
        let known = asked.known.clone();
        let failed = |asked: &Asked| asked.failing.len() == wanted.len();
        asked.until("failed attempts", failed).await;
        assert_eq!(asked.known, known, "{body}");
    }
}
