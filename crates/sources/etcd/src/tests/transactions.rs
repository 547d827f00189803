//! Keys that change together in one transaction and are followed as several ranges.

use std::time::Duration;

use etcd_client::{Client, Txn, TxnOp};
use servers::{Proxy, Release, Traffic};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{at, behind_a_proxy, with_both_releases};
use crate::Etcd;
use source::testing::{pause, scope};
use source::{Interest, Source, Update, Watch};

/// The longest time until a state comes, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// The largest transaction of these tests.
const OPERATIONS: &str = "--max-txn-ops=2048";

/// Keys that are not neighbours: each is its own range.
fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("/{number:04}/key")).collect()
}

/// Sets all keys to one value in one transaction. Returns the revision.
async fn set(client: &mut Client, keys: &[String], value: u64) -> i64 {
    let puts = keys.iter().map(|key| TxnOp::put(key.as_str(), value.to_string(), None));
    let done = client.txn(Txn::new().and_then(puts.collect::<Vec<_>>())).await.unwrap();
    done.header().unwrap().revision()
}

/// The common value of all keys in this state.
#[track_caller]
fn value(update: &Update, keys: &[String]) -> u64 {
    let value = |key: &String| {
        let value =
            update.answers[0].as_ref().unwrap().get(key.as_bytes()).expect("every key is there");
        String::from_utf8_lossy(value).parse().unwrap()
    };
    let values: Vec<u64> = keys.iter().map(value).collect();
    let (least, most) = (values.iter().min().unwrap(), values.iter().max().unwrap());
    assert_eq!(least, most, "a state shows a part of a transaction");
    *least
}

async fn followed(proxy: &Proxy, keys: &[String]) -> Box<dyn Watch> {
    let interest: Interest = keys.iter().map(|key| scope(&[key])).collect();
    let source = Etcd::new(at(&[&proxy.address()]));
    let mut watch = source.watch(&interest).await.unwrap().unwrap();
    value(&watch.next().await.unwrap(), keys);
    watch
}

/// Sets the keys to each of these values in turn.
fn writing(
    client: &Client,
    keys: &[String],
    values: std::ops::RangeInclusive<u64>,
) -> JoinHandle<()> {
    let (mut client, keys) = (client.clone(), keys.to_vec());
    tokio::spawn(async move {
        for value in values {
            set(&mut client, &keys, value).await;
            pause(Duration::from_millis(1)).await;
        }
    })
}

/// Asks for states until the keys have the last value. Every state must be whole. Returns the
/// number of states.
async fn until(watch: &mut Box<dyn Watch>, keys: &[String], last: u64) -> u64 {
    let start = Instant::now();
    let mut states = 0;
    loop {
        assert!(start.elapsed() < 6 * SOON, "the last value does not come");
        match timeout(SOON, watch.next()).await.expect("a state or an error soon") {
            Ok(update) => {
                states += 1;
                if value(&update, keys) == last {
                    return states;
                }
            }
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                pause(Duration::from_millis(5)).await;
            }
        }
    }
}

/// Changes the keys together again and again. Every state must be whole. Returns the number of
/// states.
async fn whole(release: Release, count: usize, changes: u64, traffic: Traffic) -> u64 {
    let (_server, proxy, mut client) = behind_a_proxy(release, &[OPERATIONS]).await;
    let keys = keys(count);
    set(&mut client, &keys, 0).await;
    let mut watch = followed(&proxy, &keys).await;
    proxy.set(traffic);
    let writing = writing(&client, &keys, 1..=changes);
    let states = until(&mut watch, &keys, changes).await;
    writing.await.unwrap();
    states
}

async fn two_keys_of_one_transaction_change_together(release: Release) {
    let states = whole(release, 2, 1_000, Traffic::Flows).await;
    // A source that waits for a pause in the changes would report the last state only.
    assert!(states > 1, "one state of 1,000 changes");
}

async fn three_hundred_keys_of_one_transaction_change_together(release: Release) {
    whole(release, 300, 60, Traffic::Flows).await;
}

async fn a_thousand_keys_of_one_transaction_change_together(release: Release) {
    whole(release, 1_000, 20, Traffic::Flows).await;
}

async fn a_slow_link_shows_no_part_of_a_transaction(release: Release) {
    let pieces = Traffic::Pieces(64, Duration::from_micros(200));
    whole(release, 2, 200, pieces).await;
    whole(release, 300, 5, pieces).await;
}

async fn a_connection_that_is_cut_shows_no_part_of_a_transaction(release: Release) {
    let (_server, proxy, mut client) = behind_a_proxy(release, &[OPERATIONS]).await;
    let keys = keys(100);
    set(&mut client, &keys, 0).await;
    let mut watch = followed(&proxy, &keys).await;
    proxy.set(Traffic::Pieces(1_000, Duration::from_micros(200)));
    let writing = writing(&client, &keys, 1..=200);
    let cutting = async {
        while !writing.is_finished() {
            pause(Duration::from_millis(70)).await;
            proxy.cut();
        }
    };
    tokio::join!(until(&mut watch, &keys, 200), cutting);
}

async fn a_compaction_shows_no_part_of_a_transaction(release: Release) {
    let (_server, proxy, mut client) = behind_a_proxy(release, &[OPERATIONS]).await;
    let keys = keys(100);
    set(&mut client, &keys, 0).await;
    let mut watch = followed(&proxy, &keys).await;
    for round in 1..=5 {
        let (first, last) = (10 * round, 10 * round + 9);
        proxy.set(Traffic::Refused);
        proxy.cut();
        let revision = set(&mut client, &keys, first).await;
        client.compact(revision, None).await.unwrap();
        proxy.set(Traffic::Flows);
        let writing = writing(&client, &keys, first + 1..=last);
        until(&mut watch, &keys, last).await;
        writing.await.unwrap();
    }
}

async fn deletes_of_one_transaction_are_seen_together(release: Release) {
    let (_server, proxy, mut client) = behind_a_proxy(release, &[OPERATIONS]).await;
    let keys = keys(50);
    set(&mut client, &keys, 0).await;
    let mut watch = followed(&proxy, &keys).await;
    let deletes = keys.iter().map(|key| TxnOp::delete(key.as_str(), None)).collect::<Vec<_>>();
    for round in 1..=40 {
        client.txn(Txn::new().and_then(deletes.clone())).await.unwrap();
        let update = timeout(SOON, watch.next()).await.unwrap().unwrap();
        assert_eq!(update.answers[0].as_ref().unwrap().len(), 0, "a part is deleted");
        set(&mut client, &keys, round).await;
        until(&mut watch, &keys, round).await;
    }
}

with_both_releases![
    two_keys_of_one_transaction_change_together,
    three_hundred_keys_of_one_transaction_change_together,
    a_thousand_keys_of_one_transaction_change_together,
    a_slow_link_shows_no_part_of_a_transaction,
    a_connection_that_is_cut_shows_no_part_of_a_transaction,
    a_compaction_shows_no_part_of_a_transaction,
    deletes_of_one_transaction_are_seen_together,
];
