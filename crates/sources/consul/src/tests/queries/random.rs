//! Random changes of the catalogue: soon after each batch, every followed answer is what Consul
//! answers to a new request.

use std::time::Duration;

use catalog::{Data, Query};
use serde_json::json;
use servers::Consul;
use source::testing::BOUND;
use tokio::time::Instant;

use super::{Asked, settings};

/// Fewer services than there are blocking queries, and more.
const FEW: usize = 6;
const MANY: usize = 40;

/// How much longer than usual a change may take while other tests use the machine.
const MORE: Duration = Duration::from_secs(20);

/// The time after which Consul is asked once more. It changes its catalogue also by itself: the
/// agent registers its own node, and the leader removes the nodes that it knows no agent of.
const COMPARED: Duration = Duration::from_millis(500);

/// The batches of changes, and the most changes in one.
const BATCHES: usize = 12;
const MOST: usize = 20;

/// The seed of the random numbers.
const SEED: u64 = 7;

fn one_of(random: &mut fastrand::Rng, texts: &[&'static str]) -> &'static str {
    texts[random.usize(..texts.len())]
}

fn node(random: &mut fastrand::Rng) -> String {
    format!("node-{}", random.usize(..5))
}

/// An instance of a service. Its id does not have the name of the service, so it gets other names.
fn registration(random: &mut fastrand::Rng, count: usize) -> serde_json::Value {
    let (node, id) = (node(random), format!("id-{}", random.usize(..2 * count)));
    let address = format!("10.0.{}.1", random.usize(..2));
    let mut body = json!({
        "Node": node, "Address": address, "SkipNodeUpdate": random.bool(),
        "Service": {
            "ID": id, "Service": format!("web-{}", random.usize(..count + 2)),
            "Port": 8000 + random.usize(..3), "Tags": [one_of(random, &["a", "b"])],
        },
    });
    if random.bool() {
        body["Check"] = check(random, &id);
    }
    body
}

fn check(random: &mut fastrand::Rng, id: &str) -> serde_json::Value {
    let kind = one_of(random, &["service", "other"]);
    json!({
        "CheckID": format!("{kind}:{id}"), "Name": "c", "ServiceID": id,
        "Status": one_of(random, &["passing", "passing", "warning", "critical"]),
        "Output": one_of(random, &["one", "two"]),
    })
}

/// Makes a random change. Consul refuses a check of an instance that is not there.
fn change(server: &Consul, random: &mut fastrand::Rng, count: usize) {
    let id = format!("id-{}", random.usize(..2 * count));
    let (path, body) = match random.usize(..20) {
        0..10 => ("/v1/catalog/register", registration(random, count)),
        10..14 => {
            let body = json!({"Node": node(random), "Address": "10.0.0.1", "SkipNodeUpdate": true,
                              "Check": check(random, &id)});
            ("/v1/catalog/register", body)
        }
        14 => {
            let status = one_of(random, &["passing", "critical"]);
            let body = json!({"Node": node(random), "Address": "10.0.0.1",
                "Check": {"CheckID": "serfHealth", "Name": "s", "Status": status}});
            ("/v1/catalog/register", body)
        }
        15 => {
            let body = json!({"Node": node(random), "CheckID": format!("service:{id}")});
            ("/v1/catalog/deregister", body)
        }
        16..19 => {
            let body = json!({"Node": node(random), "ServiceID": id});
            ("/v1/catalog/deregister", body)
        }
        _ => ("/v1/catalog/deregister", json!({"Node": node(random)})),
    };
    let _ = server.try_ask(&format!("PUT {path}"), body.to_string().as_bytes());
}

/// The answers to the queries as Consul gives them now.
async fn fresh(server: &Consul, wanted: &[Query]) -> Asked {
    let once = source::queries::Settings { once: true, ..settings() };
    let mut asked = Asked::at(&[&server.address()], once, wanted);
    asked.all_known(wanted.len()).await;
    asked
}

/// Follows services while they change, and compares the answers with those to new requests.
async fn compared(count: usize, seed: u64) {
    let server = Consul::start();
    let mut random = fastrand::Rng::with_seed(seed);
    (0..4 * count).for_each(|_| change(&server, &mut random, count));
    let mut wanted: Vec<Query> = (0..count).map(super::service).collect();
    wanted.push(Query::services("").unwrap());
    wanted.push(Query::nodes("").unwrap());
    wanted.push(Query::node("node-1").unwrap());
    let mut asked = Asked::at(&[&server.address()], settings(), &wanted);
    asked.all_known(wanted.len()).await;
    for batch in 0..BATCHES {
        for _ in 0..random.usize(1..MOST) {
            change(&server, &mut random, count);
        }
        let limit = Instant::now() + BOUND + MORE;
        loop {
            let expected = fresh(&server, &wanted).await;
            let is_same = |asked: &Asked, query| asked.known[query] == expected.known[query];
            let is_seen = |asked: &Asked| wanted.iter().all(|query| is_same(asked, query));
            if asked.waits(COMPARED, is_seen).await {
                break;
            }
            let others: Vec<_> = wanted.iter().filter(|query| !is_same(&asked, query)).collect();
            assert!(Instant::now() < limit, "seed {seed}, batch {batch}: {others:?} are stale");
        }
    }
    assert!(asked.troubles.is_empty(), "{:?}", asked.troubles);
    let is_instances = |data: &Data| matches!(data, Data::Instances(found) if !found.is_empty());
    assert!(asked.known.values().any(is_instances));
}

#[tokio::test]
async fn after_random_changes_each_of_a_few_answers_is_soon_that_of_a_new_request() {
    compared(FEW, SEED).await;
}

#[tokio::test]
async fn after_random_changes_each_of_many_answers_is_soon_that_of_a_new_request() {
    compared(MANY, SEED).await;
}
