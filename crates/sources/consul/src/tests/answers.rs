//! Answers with unusual meanings.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client_consul::{Consistency, Options};
use servers::Stub;
use tokio::time::{Instant, timeout};

use super::{at, follow, read};
use crate::Consul;
use source::testing::{BOUND, Follower, Known, interest, pause, text};
use source::{Source, Watch};

/// A complete answer with this index.
pub(super) fn answer(status: &str, index: u64, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nX-Consul-Index: {index}\r\nX-Consul-KnownLeader: true\r\n\
         X-Consul-LastContact: 0\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// The pair `app/a` with this value.
fn pair(value: &str, index: u64) -> String {
    let value = STANDARD.encode(value);
    format!(
        "[{{\"LockIndex\":0,\"Key\":\"app/a\",\"Flags\":0,\"Value\":\"{value}\",\
         \"CreateIndex\":1,\"ModifyIndex\":{index}}}]"
    )
}

/// An answer with a value at this index.
pub(super) fn found(value: &str, index: u64) -> Vec<u8> {
    answer("200 OK", index, &pair(value, index))
}

/// The index in a blocking query.
pub(super) fn waits_for(head: &str) -> Option<u64> {
    let (_, rest) = head.lines().next()?.split_once("index=")?;
    rest.split(['&', ' ']).next()?.parse().ok()
}

/// The answer to a query that waits longer than the test.
pub(super) fn nothing_happens() -> Vec<u8> {
    servers::pause(Duration::from_secs(60));
    Vec::new()
}

/// Whether the keys below a prefix are asked for, and not a single key.
fn lists(head: &str) -> bool {
    head.lines().next().is_some_and(|line| line.contains("recurse"))
}

/// A server with these answers, one for each request of a listing. Further queries wait.
fn telling(answers: Vec<Vec<u8>>) -> Stub {
    let nth = AtomicUsize::new(0);
    Stub::answering(move |head| match lists(head) {
        true => match answers.get(nth.fetch_add(1, Ordering::SeqCst)) {
            Some(answer) => answer.clone(),
            None => nothing_happens(),
        },
        false => nothing_happens(),
    })
}

async fn following(answers: Vec<Vec<u8>>) -> (Stub, Follower) {
    let stub = telling(answers);
    let follower = follow(at(&[&stub.address()])).await;
    (stub, follower)
}

/// The indexes in the queries, one for each request of a listing.
fn waited_for(stub: &Stub) -> Vec<Option<u64>> {
    stub.heads().iter().filter(|head| lists(head)).map(|head| waits_for(head)).collect()
}

#[tokio::test]
async fn after_a_falling_index_following_starts_again() {
    let answers = vec![found("1", 100), found("2", 7), found("3", 8)];
    let (stub, mut follower) = following(answers).await;
    follower.sees(&["/app/a=3"]).await;
    assert_eq!(waited_for(&stub)[..3], [None, Some(100), None]);
}

#[tokio::test]
async fn an_index_of_zero_is_no_index() {
    let answers = vec![found("1", 0), found("2", 5), found("3", 0), found("4", 6)];
    let (stub, mut follower) = following(answers).await;
    follower.sees(&["/app/a=4"]).await;
    assert_eq!(waited_for(&stub)[..4], [None, None, Some(5), None]);
}

#[tokio::test]
async fn a_missing_prefix_with_an_index_is_empty() {
    let (stub, mut follower) = following(vec![
        answer("404 Not Found", 3, ""),
        found("1", 4),
        answer("404 Not Found", 5, ""),
    ])
    .await;
    follower.wait("three states", BOUND, |known| known.states == 3).await;
    follower.sees(&[]).await;
    assert_eq!(waited_for(&stub)[1], Some(3));
    follower.has_no_errors();
}

#[tokio::test]
async fn a_large_answer_is_read_completely_and_its_faults_are_reported() {
    let pairs: Vec<_> =
        (0..10_000).map(|nth| format!("{{\"Key\":\"app/k{nth}\",\"Value\":\"MQ==\"}}")).collect();
    let listing = format!("[{}]", pairs.join(","));
    let stub = telling(vec![answer("200 OK", 1, &listing), answer("200 OK", 2, &listing[1..])]);
    let state = read(at(&[&stub.address()]), &["/app"]).await.unwrap();
    assert_eq!((state.len(), state.get(b"/app/k9999")), (10_000, Some(&"1".into())));
    let error = read(at(&[&stub.address()]), &["/app"]).await.unwrap_err();
    assert!(error.to_string().contains("answered with no listing"), "{error}");
}

#[tokio::test]
async fn a_missing_page_is_not_an_empty_store() {
    let page = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope";
    let stub = Stub::answering(|_| page.to_vec());
    let error = read(at(&[&stub.address()]), &["/app"]).await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
}

#[tokio::test]
async fn an_answer_without_a_leader_is_an_error() {
    let past = String::from_utf8(found("0", 9)).unwrap();
    let past = past.replace("KnownLeader: true", "KnownLeader: false").into_bytes();
    let answers = vec![found("1", 5), past.clone(), past, found("2", 10)];
    let (_stub, mut follower) = following(answers).await;
    follower.sees(&["/app/a=2"]).await;
    follower.reports_error("knows of no leader", BOUND).await;
    follower.wait("two states", BOUND, |known| known.states == 2).await;
}

#[tokio::test]
async fn a_busy_or_broken_server_is_asked_again() {
    for status in [
        "429 Too Many Requests",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
    ] {
        let failed = answer(status, 9, "something broke");
        // The first failure is not reported: the keys are first read again.
        let answers = vec![found("1", 5), failed.clone(), failed, found("2", 10)];
        let (_stub, mut follower) = following(answers).await;
        follower.sees(&["/app/a=2"]).await;
        follower.reports_error(&format!("something broke ({})", &status[..3]), BOUND).await;
        let once = |known: &Known| known.errors.len() == 1 && known.errors[0].is_transient();
        follower.wait("one error", BOUND, once).await;
    }
}

#[tokio::test]
async fn an_answer_that_ends_half_way_is_asked_for_again() {
    let whole = found("2", 6);
    for length in [20, 60, whole.len() / 2, whole.len() - 1] {
        let answers = vec![found("1", 5), whole[..length].to_vec(), found("3", 7)];
        let (stub, mut follower) = following(answers).await;
        follower.sees(&["/app/a=3"]).await;
        assert_eq!(waited_for(&stub)[..2], [None, Some(5)]);
        follower.wait("two states", BOUND, |known| known.states == 2).await;
        follower.has_no_errors();
    }
}

#[tokio::test]
async fn a_malformed_answer_is_an_error() {
    for body in ["", "nope", "{}", "[{\"Key\":\"app/a\",\"Value\":\"%\"}]", "[{}]"] {
        let senseless = answer("200 OK", 6, body);
        let answers = vec![found("1", 5), senseless.clone(), senseless, found("2", 7)];
        let (_stub, mut follower) = following(answers).await;
        follower.sees(&["/app/a=2"]).await;
        follower.reports_error("answered with no listing", BOUND).await;
        follower.wait("two states", BOUND, |known| known.states == 2).await;
    }
}

#[tokio::test]
async fn a_null_is_an_empty_value_and_a_folder_is_a_key() {
    let body = "[{\"Key\":\"app/\",\"Value\":null,\"ModifyIndex\":1},\
                {\"Key\":\"app/a\",\"Value\":null,\"ModifyIndex\":1}]";
    let stub = telling(vec![answer("200 OK", 1, body)]);
    let snapshot = read(at(&[&stub.address()]), &["/app"]).await.unwrap();
    assert_eq!(text(&snapshot), ["/app/=", "/app/a="]);
}

#[tokio::test]
async fn queries_that_return_without_a_change_become_slower() {
    // Servers or proxies that answer without waiting.
    let servers: [fn(Option<u64>) -> u64; 4] = [
        |index| index.unwrap_or_default() + 1,
        |index| index.unwrap_or(7),
        |index| if index.is_some() { 1 } else { 9 },
        |_| 0,
    ];
    for server in servers {
        let stub = Stub::answering(move |head| found("1", server(waits_for(head))));
        let mut follower = follow(at(&[&stub.address()])).await;
        let begun = Instant::now();
        pause(Duration::from_secs(2)).await;
        let asked = stub.heads().len();
        assert!(asked < 50, "{asked} requests in {:?}", begun.elapsed());
        follower.wait("one state", BOUND, |known| known.states == 1).await;
        follower.has_no_errors();
    }
}

/// A server answers, goes away for some requests, and comes back as a server that has seen less.
/// Only an answer of the leader may take keys away.
#[tokio::test]
async fn a_server_that_is_behind_takes_no_key_away() {
    for failures in [1, 2, 3] {
        let nth = AtomicUsize::new(0);
        let server = Stub::answering(move |head| {
            let is_stale = head.lines().next().is_some_and(|line| line.contains("stale"));
            match nth.fetch_add(1, Ordering::SeqCst) {
                0 => found("1", 10),
                // The connection is closed.
                nth if nth <= failures => Vec::new(),
                _ if waits_for(head).is_some() => nothing_happens(),
                _ if is_stale => answer("404 Not Found", 5, ""),
                _ => found("2", 12),
            }
        });
        let consistency = Consistency::Stale(Duration::from_secs(2));
        let mut follower = follow(Options { consistency, ..at(&[&server.address()]) }).await;
        let value = |known: &Known| {
            let snapshot = known.snapshot.as_ref()?;
            let value = snapshot.get(b"/app/a").map(|value| value.to_vec());
            Some(value.unwrap_or_else(|| panic!("the stale answer counts, after {failures}")))
        };
        let is_new = |known: &Known| value(known).is_some_and(|value| value == b"2");
        follower.wait("the answer of the leader", BOUND, is_new).await;
    }
}

/// A waiting query can be answered before a reread, and arrive after it.
#[tokio::test]
async fn an_answer_that_a_reread_has_overtaken_does_not_count() {
    let nth = AtomicUsize::new(0);
    let server = Stub::answering(move |head| match (lists(head), waits_for(head)) {
        (true, None) if nth.fetch_add(1, Ordering::SeqCst) == 0 => found("1", 10),
        (true, None) => found("3", 12),
        (true, Some(10)) => {
            servers::pause(Duration::from_secs(1));
            found("2", 11)
        }
        _ => nothing_happens(),
    });
    let source = Consul::new(at(&[&server.address()]));
    let mut watch = source.watch(&interest(&[&["/app"]])).await.unwrap().unwrap();
    let state = async |watch: &mut Box<dyn Watch>| {
        let update = timeout(BOUND, watch.next()).await.unwrap().unwrap();
        text(update.answers[0].as_ref().unwrap())
    };
    assert_eq!(state(&mut watch).await, ["/app/a=1"]);
    // The waiting query is sent.
    assert!(timeout(Duration::from_millis(300), watch.next()).await.is_err());
    watch.reread();
    assert_eq!(state(&mut watch).await, ["/app/a=3"]);
    let next = timeout(Duration::from_secs(2), watch.next()).await;
    assert!(next.is_err(), "{next:?}");
}
