//! Prepared queries, which are executed again and again.

use std::time::Duration;

use catalog::{Data, Query, Status};
use client_consul::Options;
use serde_json::json;
use servers::{Consul, Proxy, Stub};
use source::queries::QueryError;

use super::{Asked, at, behind_a_proxy, register, service, settings};
use crate::tests::answers::answer;

/// Options with which a prepared query is executed often.
fn often(node: &str) -> Options {
    Options { wait: Duration::from_millis(100), ..at(&[node]) }
}

fn prepared(name: &str) -> Query {
    Query::prepared(name).unwrap()
}

/// Stores a query for the passing instances of a service.
fn define(server: &Consul, name: &str, service: &str) {
    let definition =
        json!({"Name": name, "Service": {"Service": service, "OnlyPassing": true}}).to_string();
    server.ask("POST /v1/query", definition.as_bytes());
}

/// How often a prepared query was executed.
fn executions(proxy: &Proxy, name: &str) -> usize {
    let path = format!("/v1/query/{name}/execute");
    proxy.requests().iter().filter(|request| request.contains(&path)).count()
}

#[tokio::test]
async fn a_prepared_query_is_executed_again_and_only_differences_are_news() {
    let (server, proxy) = behind_a_proxy();
    (0..4).for_each(|instance| register(&server, 1, instance, "passing"));
    define(&server, "front", "web-1");
    let front = prepared("front");
    let mut asked = Asked::with(often(&proxy.address()), settings(), std::slice::from_ref(&front));
    asked.all_known(1).await;
    assert_eq!(asked.instances(&front).len(), 4);
    register(&server, 1, 2, "critical");
    asked.until("the change", |asked| asked.instances(&front).len() == 3).await;
    let before = executions(&proxy, "front");
    assert_eq!(asked.news, std::slice::from_ref(&front), "Consul's random order is no difference");
    // The other query ends the wait for news.
    define(&server, "other", "web-2");
    asked.queries.follow(&[front.clone(), prepared("other")]);
    asked.until("the other query", |asked| asked.known.len() == 2).await;
    assert!(executions(&proxy, "front") >= before);
    asked.queries.follow(&[prepared("other")]);
    register(&server, 2, 0, "passing");
    let before = executions(&proxy, "front");
    asked
        .until("a change after the end of the first query", |asked| {
            asked.instances(&prepared("other")).len() == 1
        })
        .await;
    assert_eq!(executions(&proxy, "front"), before, "a query that was dropped ends");
}

#[tokio::test]
async fn a_prepared_query_that_does_not_exist_is_a_failure_until_it_exists() {
    let server = Consul::start();
    register(&server, 1, 0, "passing");
    let front = prepared("front");
    let mut asked = Asked::with(often(&server.address()), settings(), std::slice::from_ref(&front));
    asked.until("the failure", |asked| asked.troubles.len() > 1).await;
    let Some((_, QueryError::Status { code, body })) = asked.troubles.pop() else {
        panic!("{}", asked.description())
    };
    assert_eq!((code, &*body), (404, "Query not found"));
    assert!(asked.known.is_empty());
    define(&server, "front", "web-1");
    asked.until("the answer", |asked| asked.known.len() == 1).await;
    let listed = server.ask("GET /v1/query", b"").text();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let id = listed[0]["ID"].as_str().unwrap();
    server.ask(&format!("DELETE /v1/query/{id}"), b"");
    asked.troubles.clear();
    asked.until("the failure after the end", |asked| !asked.troubles.is_empty()).await;
    assert_eq!(asked.instances(&front), [("web-1-0".to_owned(), Status::Passing)]);
}

#[tokio::test]
async fn a_prepared_query_keeps_its_answer_through_an_outage() {
    let mut server = Consul::durable();
    register(&server, 1, 0, "passing");
    define(&server, "front", "web-1");
    let front = prepared("front");
    let mut asked = Asked::with(often(&server.address()), settings(), std::slice::from_ref(&front));
    asked.all_known(1).await;
    server.kill();
    asked.until("a failed attempt", |asked| !asked.troubles.is_empty()).await;
    assert_eq!(asked.instances(&front).len(), 1);
    server.restart();
    servers::eventually("the server is back", || server.is_ready());
    register(&server, 1, 1, "passing");
    asked.until("the change after it", |asked| asked.instances(&front).len() == 2).await;
}

#[tokio::test]
async fn prepared_queries_take_no_connection_from_those_that_wait() {
    let (server, proxy) = behind_a_proxy();
    register(&server, 1, 0, "passing");
    let mut wanted: Vec<Query> = (0..40).map(|nth| prepared(&format!("q-{nth}"))).collect();
    (0..40).for_each(|nth| define(&server, &format!("q-{nth}"), "web-1"));
    wanted.push(service(1));
    let mut asked = Asked::with(often(&proxy.address()), settings(), &wanted);
    asked.all_known(wanted.len()).await;
    register(&server, 1, 0, "critical");
    asked
        .until("the change", |asked| {
            wanted[..40].iter().all(|query| asked.instances(query).is_empty())
                && asked.instances(&service(1))[0].1 == Status::Critical
        })
        .await;
    let most = proxy.most_connections();
    assert!(most <= 28, "{most} connections");
}

/// After a failover, instances come from another datacenter than that of the query.
#[tokio::test]
async fn an_instance_says_in_which_datacenter_it_is() {
    let body = json!({
        "Service": "web", "Datacenter": "dc2", "Failovers": 1,
        "Nodes": [{
            "Node": {"Node": "n", "Address": "10.0.0.1", "Datacenter": "dc2"},
            "Service": {"ID": "web-1", "Service": "web", "Port": 80},
            "Checks": [],
        }],
    });
    let server = Stub::answering(move |_| answer("200 OK", 1, &body.to_string()));
    let front = prepared("a b@dc1~_agent");
    let mut asked = Asked::with(often(&server.address()), settings(), std::slice::from_ref(&front));
    asked.all_known(1).await;
    let Some(Data::Instances(found)) = asked.known.get(&front) else { panic!("no instances") };
    assert_eq!(found[0].datacenter, "dc2");
    let head = &server.heads()[0];
    assert!(head.starts_with("GET /v1/query/a%20b/execute?dc=dc1&near=%5Fagent "), "{head}");
}
