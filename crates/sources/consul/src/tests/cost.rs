//! The requests that reading and following cause.

use std::time::Duration;

use servers::Proxy;
use tokio::time::timeout;

use super::{at, behind_a_proxy};
use crate::Consul;
use source::testing::{BOUND, Follower, Known, interest, pause, scope};
use source::{Interest, Source, Update, Watch};

/// The most waiting queries.
const AT_ONCE: u64 = 32;

/// A thousand resources, each with its own key, in ten folders.
fn a_thousand() -> (Vec<String>, Interest) {
    let key = |number| format!("r/{:02}/{number:04}", number % 10);
    let keys: Vec<_> = (0..1_000).map(key).collect();
    let interest = keys.iter().map(|key| scope(&[&format!("/{key}")])).collect();
    (keys, interest)
}

async fn next(watch: &mut Box<dyn Watch>) -> Update {
    timeout(BOUND, watch.next()).await.expect("a change is seen soon").unwrap()
}

#[tokio::test]
async fn a_thousand_resources_are_followed_by_few_queries() {
    let (server, proxy) = behind_a_proxy();
    let (keys, interest) = a_thousand();
    server.put_all(keys.iter().map(|key| (&**key, "0")));
    let source = Consul::new(at(&[&proxy.address()]));
    let mut watch = source.watch(&interest).await.unwrap().unwrap();
    let first = next(&mut watch).await;
    assert_eq!(first.answers.len(), keys.len());
    for (key, answer) in keys.iter().zip(&first.answers) {
        let snapshot = answer.as_ref().unwrap();
        assert_eq!(snapshot.get(format!("/{key}").as_bytes()).unwrap(), "0");
    }
    for nth in [0, 1, 500, 998, 999] {
        server.put(&keys[nth], "1");
        let update = next(&mut watch).await;
        let key = format!("/{}", keys[nth]);
        assert_eq!(update.changed.unwrap(), [key.as_bytes()]);
        assert_eq!(update.answers[nth].as_ref().unwrap().get(key.as_bytes()).unwrap(), "1");
    }
    assert!(proxy.most_connections() <= AT_ONCE, "{} connections", proxy.most_connections());
}

#[tokio::test]
async fn many_keys_with_spaces_are_followed_together() {
    let server = servers::Consul::start();
    // These keys are too many for one listing each, and have no longer common prefix.
    let keys: Vec<_> = ('A'..='z').map(|letter| format!("app - {letter}")).collect();
    server.put_all(keys.iter().map(|key| (&**key, "0")));
    let asked: Vec<_> = keys.iter().map(|key| format!("/{key}")).collect();
    let asked: Vec<_> = asked.iter().map(String::as_str).collect();
    let mut follower = Follower::start_asking(Consul::new(at(&[&server.address()])), &asked);
    follower.wait("the first state", BOUND, |known| known.states == 1).await;
    server.put("app - z", "1");
    let is = |known: &Known| known.snapshot.as_ref().unwrap().get(b"/app - z").unwrap() == "1";
    follower.wait("a change", BOUND, is).await;
    follower.has_no_errors();
}

/// Waits until there are no more requests. Returns their number.
async fn quiet(proxy: &Proxy) -> usize {
    let mut before = usize::MAX;
    loop {
        let now = proxy.requests().len();
        if now == before {
            return now;
        }
        before = now;
        pause(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn a_write_to_other_keys_causes_no_request_and_no_state() {
    let (server, proxy) = behind_a_proxy();
    server.put_all([("app/a", "1"), ("app/b/c", "2"), ("b/a", "3"), ("other/a", "4")]);
    let source = Consul::new(at(&[&proxy.address()]));
    let mut follower = Follower::start_asking(source, &["/app/a", "/app/b", "/b"]);
    follower.wait("the first state", BOUND, |known| known.states == 1).await;
    let before = quiet(&proxy).await;
    for number in 0..100 {
        server.put("other/a", number.to_string());
        server.put("app/c", number.to_string());
    }
    server.delete_all("other/");
    assert_eq!(quiet(&proxy).await, before);
    follower.wait("no other state", BOUND, |known| known.states == 1).await;
    // A change causes one request, for the changed prefix.
    server.put("b/a", "5");
    follower.sees(&["/app/a=1", "/app/b/c=2", "/b/a=5"]).await;
    assert!(quiet(&proxy).await <= before + 2, "{:?}", proxy.requests());
}

#[tokio::test]
async fn equal_scopes_are_asked_for_once() {
    let (server, proxy) = behind_a_proxy();
    server.put("app/a", "1");
    let source = Consul::new(at(&[&proxy.address()]));
    let interest = Interest { scopes: vec![scope(&["/app"]); 100] };
    let mut watch = source.watch(&interest).await.unwrap().unwrap();
    assert_eq!(next(&mut watch).await.answers.len(), 100);
    let following = tokio::spawn(async move { watch.next().await });
    quiet(&proxy).await;
    // A listing, the query that waits for a change of it, and that for the key that guards it.
    assert!(proxy.requests().len() <= 3, "{:?}", proxy.requests());
    assert!(proxy.most_connections() <= 2);
    following.abort();
}

#[tokio::test]
async fn a_burst_of_changes_costs_few_readings() {
    let (server, proxy) = behind_a_proxy();
    server.put("app/a", "0");
    let mut follower = super::follow(at(&[&proxy.address()])).await;
    let before = quiet(&proxy).await;
    let begun = std::time::Instant::now();
    for number in 1..=1_000 {
        server.put("app/a", number.to_string());
    }
    let took = begun.elapsed();
    follower.sees(&["/app/a=1000"]).await;
    let asked = quiet(&proxy).await - before;
    assert!(asked < 1_000, "{asked} requests for what took {took:?}");
}

/// Consul answers a query on an empty prefix after every write to any key.
#[tokio::test]
async fn writes_beside_an_empty_prefix_give_no_state_and_cause_few_requests() {
    let (server, proxy) = behind_a_proxy();
    server.put("other/a", "");
    let source = Consul::new(at(&[&proxy.address()]));
    let mut follower = Follower::start_asking(source, &["/app"]);
    follower.wait("the first state", BOUND, |known| known.states == 1).await;
    for number in 0..400 {
        server.put("other/a", number.to_string());
        pause(Duration::from_millis(5)).await;
    }
    let asked = proxy.requests().len();
    assert!(asked < 20, "{asked} requests");
    follower.wait("no other state", BOUND, |known| known.states == 1).await;
    server.put("app/a", "1");
    follower.sees(&["/app/a=1"]).await;
}

#[tokio::test]
async fn where_few_connections_are_left_all_changes_come_over_fewer() {
    let server = servers::Consul::start_with("limits { http_max_conns_per_client = 8 }");
    let keys: Vec<_> = (0..20).map(|number| format!("/{number:02}/a")).collect();
    server.put_all(keys.iter().map(|key| (&key[1..], "0")));
    let asked: Vec<_> = keys.iter().map(String::as_str).collect();
    let source = Consul::new(at(&[&server.address()]));
    let mut follower = Follower::start_asking(source, &asked);
    follower.wait("the first state", BOUND, |known| known.states == 1).await;
    for key in &keys {
        // The writer is refused too, while the source uses all connections.
        let request = format!("PUT /v1/kv{key}");
        while !server.try_ask(&request, b"1").is_ok_and(|answer| answer.status == 200) {
            pause(Duration::from_millis(20)).await;
        }
        let is_there =
            |known: &Known| known.snapshot.as_ref().unwrap().get(key.as_bytes()).unwrap() == "1";
        follower.wait("a change", BOUND, is_there).await;
    }
}

/// The requests after the first `before`, without their options.
fn since(proxy: &Proxy, before: usize) -> Vec<String> {
    let path = |line: &String| line.split('?').next().unwrap_or_default().to_owned();
    proxy.requests().iter().skip(before).map(path).collect()
}

#[tokio::test]
async fn a_scope_that_is_added_starts_its_own_queries_and_one_that_is_removed_none() {
    let (server, proxy) = behind_a_proxy();
    server.put_all([("a/x", "1"), ("b/x", "2"), ("c/x", "3"), ("d/x", "4")]);
    let source = Consul::new(at(&[&proxy.address()]));
    let mut watch = source.watch(&interest(&[&["/a"], &["/b"], &["/d"]])).await.unwrap().unwrap();
    next(&mut watch).await;
    assert!(timeout(Duration::from_millis(500), watch.next()).await.is_err());
    let before = quiet(&proxy).await;
    watch.set_interest(&interest(&[&["/a"], &["/b"], &["/c"], &["/d"]]));
    let update = next(&mut watch).await;
    assert_eq!(update.answers[2].as_ref().unwrap().get(b"/c/x").unwrap(), "3");
    assert!(timeout(Duration::from_millis(500), watch.next()).await.is_err());
    // One listing, and the waiting queries: of the listing, and of the key that guards it.
    let mut asked = since(&proxy, before);
    asked.sort();
    assert_eq!(asked, ["GET /v1/kv/c", "GET /v1/kv/c", "GET /v1/kv/c/x"]);
    let before = quiet(&proxy).await;
    watch.set_interest(&interest(&[&["/c"], &["/a"]]));
    assert_eq!(next(&mut watch).await.answers.len(), 2);
    server.put("b/x", "5");
    assert!(timeout(Duration::from_millis(500), watch.next()).await.is_err());
    assert_eq!(since(&proxy, before), [""; 0]);
}

#[tokio::test]
async fn a_scope_that_is_added_to_a_thousand_lists_one_group_again() {
    let (server, proxy) = behind_a_proxy();
    let (keys, mut interest) = a_thousand();
    server.put_all(keys.iter().map(|key| (&**key, "0")));
    server.put("r/05/new", "1");
    let source = Consul::new(at(&[&proxy.address()]));
    let mut watch = source.watch(&interest).await.unwrap().unwrap();
    next(&mut watch).await;
    assert!(timeout(Duration::from_millis(500), watch.next()).await.is_err());
    let before = quiet(&proxy).await;
    interest.scopes.push(scope(&["/r/05/new"]));
    watch.set_interest(&interest);
    let update = next(&mut watch).await;
    assert_eq!(update.answers[1_000].as_ref().unwrap().get(b"/r/05/new").unwrap(), "1");
    assert!(timeout(Duration::from_millis(500), watch.next()).await.is_err());
    // Its neighbours are listed with it.
    assert!(since(&proxy, before).len() <= 4, "{:?}", since(&proxy, before));
    let before = quiet(&proxy).await;
    interest.scopes.pop();
    watch.set_interest(&interest);
    next(&mut watch).await;
    assert!(timeout(Duration::from_millis(500), watch.next()).await.is_err());
    // The group continues without it, by a waiting query.
    let waiting = proxy.requests().split_off(before);
    assert!(waiting.iter().all(|line| line.contains("&index=")) && waiting.len() <= 2);
    assert!(proxy.most_connections() <= AT_ONCE + 2, "{}", proxy.most_connections());
}
