//! Many queries, which are followed together: changes that the blocking queries on the whole place
//! do not show.

use std::time::Duration;

use catalog::{Data, Query};
use serde_json::json;
use servers::{Consul, Proxy, Traffic};
use source::testing::pause;

use super::{Asked, at, put, register, service, settings};
use crate::tests::behind_a_proxy;

/// More queries than blocking queries.
const COUNT: usize = 40;

async fn followed() -> (Consul, Proxy, Asked) {
    let (server, proxy) = behind_a_proxy();
    for number in 0..COUNT {
        register(&server, number, 0, "passing");
        register(&server, number, 1, "passing");
    }
    let mut wanted: Vec<Query> = (0..COUNT).map(service).collect();
    wanted.push(Query::node("node-0").unwrap());
    let mut asked = Asked::with(at(&[&proxy.address()]), settings(), &wanted);
    asked.all_known(wanted.len()).await;
    (server, proxy, asked)
}

/// Sets the output of a check of an instance.
fn output(server: &Consul, number: usize, check: &str, status: &str, output: &str) {
    put(
        server,
        "/v1/catalog/register",
        &json!({
            "Node": "node-0", "Address": "10.0.0.0", "SkipNodeUpdate": true,
            "Check": {"Node": "node-0", "CheckID": check, "Name": "c", "Output": output,
                      "ServiceID": format!("web-{number}-0"), "Status": status}
        }),
    );
}

/// Whether a check of the service has this output.
fn has_output(asked: &Asked, number: usize, output: &str) -> bool {
    let Some(Data::Instances(found)) = asked.known.get(&service(number)) else { return false };
    found.iter().any(|instance| instance.checks.iter().any(|check| check.output == output))
}

#[tokio::test]
async fn a_change_of_a_check_that_passes_is_seen_beside_checks_that_fail() {
    let (server, _proxy, mut asked) = followed().await;
    output(&server, 1, "service:web-1-0", "critical", "down");
    output(&server, 2, "service:web-2-0", "warning", "slow");
    asked
        .until("the checks that fail", |asked| {
            has_output(asked, 1, "down") && has_output(asked, 2, "slow")
        })
        .await;
    for round in ["first", "second"] {
        output(&server, 7, "service:web-7-0", "passing", round);
        asked.until("another output", |asked| has_output(asked, 7, round)).await;
        output(&server, 8, round, "passing", round);
        asked.until("a new check", |asked| has_output(asked, 8, round)).await;
    }
}

#[tokio::test]
async fn of_two_changes_at_one_time_the_one_without_a_difference_is_seen_as_well() {
    let (server, _proxy, mut asked) = followed().await;
    for round in 2..8 {
        let status = if round % 2 == 0 { "critical" } else { "passing" };
        register(&server, 3, round, "passing");
        output(&server, 4, "service:web-4-0", status, status);
        asked
            .until("both changes", |asked| {
                asked.instances(&service(3)).len() == round + 1 && has_output(asked, 4, status)
            })
            .await;
    }
}

#[tokio::test]
async fn a_change_while_the_query_is_asked_for_another_change_is_seen() {
    let (server, proxy, mut asked) = followed().await;
    (2..60).for_each(|instance| register(&server, 3, instance, "passing"));
    asked.until("all instances", |asked| asked.instances(&service(3)).len() == 60).await;
    for round in 0..4 {
        // The answer about 60 instances has several pieces.
        proxy.set(Traffic::Slow(Duration::from_millis(20)));
        let status = if round % 2 == 0 { "critical" } else { "passing" };
        output(&server, 3, "service:web-3-0", status, status);
        let before = proxy.requests().len();
        let is_asked = |request: &String| request.ends_with("/v1/health/service/web-3");
        let register_meanwhile = async {
            while !proxy.requests()[before..].iter().any(is_asked) {
                pause(Duration::from_millis(1)).await;
            }
            register(&server, 3, 60 + round, "passing");
        };
        let both = asked.until("the new instance", |asked| {
            asked.instances(&service(3)).len() == 61 + round && has_output(asked, 3, status)
        });
        tokio::join!(register_meanwhile, both);
        proxy.set(Traffic::Flows);
    }
}

/// Consul refuses a filter with a selector that the path does not know, and notes that in its log.
#[tokio::test]
async fn no_search_is_refused() {
    let (server, proxy, mut asked) = followed().await;
    put(
        &server,
        "/v1/catalog/register",
        &json!({"Node": "node-0", "Address": "10.0.0.0", "SkipNodeUpdate": true,
                "Service": {"ID": "web-5-0", "Service": "web-5", "Port": 81}}),
    );
    asked
        .until("the port of the service of the node", |asked| {
            matches!(&asked.known[&Query::node("node-0").unwrap()],
                Data::Node(Some(node)) if node.services.iter().any(|one| one.port == 81))
        })
        .await;
    let requests = proxy.requests();
    let searches = requests.iter().filter(|request| request.contains("/catalog/node/node-0"));
    let searches: Vec<_> = searches.filter(|request| request.contains("filter=")).collect();
    assert!(!searches.is_empty(), "{requests:?}");
    for search in searches {
        let path = search.split(' ').nth(1).unwrap();
        assert_eq!(server.ask(&format!("GET {path}"), b"").status, 200, "{search}");
    }
}
