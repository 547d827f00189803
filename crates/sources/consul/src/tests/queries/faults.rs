//! Faults of servers and of the network while services are followed: a few, with a blocking query
//! each, and many, which are followed together.

use std::time::Duration;

use catalog::{Query, Status};
use client_consul::{Consistency, Options};
use servers::{Consul, Proxy, Traffic, eventually};
use source::testing::pause;

use super::{Asked, at, put, register, remove, service, settings};
use crate::tests::behind_a_proxy;

/// As few services as blocking queries, and more.
const SIZES: [usize; 2] = [3, 40];

/// Services with an instance each.
fn register_all(server: &Consul, count: usize) -> Vec<Query> {
    (0..count).for_each(|number| register(server, number, 0, "passing"));
    (0..count).map(service).collect()
}

async fn all(options: Options, wanted: &[Query]) -> Asked {
    let mut asked = Asked::with(options, settings(), wanted);
    asked.all_known(wanted.len()).await;
    asked
}

impl Asked {
    /// Waits until each service has its instance, with this state.
    async fn sees_all(&mut self, wanted: &[Query], status: Status) {
        let expected = |asked: &Asked, query: &Query| {
            let found = asked.instances(query);
            found.len() == 1 && found[0].1 == status
        };
        let is = |asked: &Self| wanted.iter().all(|query| expected(asked, query));
        self.until("all services in one state", is).await;
    }
}

#[tokio::test]
async fn a_server_that_lost_its_data_is_read_again() {
    for count in SIZES {
        // With more changes than before, the index is higher than the known one.
        for changes in [1, 3 * count] {
            let (mut server, proxy) = behind_a_proxy();
            let wanted = register_all(&server, count);
            let mut asked = all(at(&[&proxy.address()]), &wanted).await;
            proxy.set(Traffic::Refused);
            proxy.cut();
            server.kill();
            server.restart();
            eventually("the server is back", || server.is_ready());
            register(&server, 1, 5, "critical");
            for number in 0..changes {
                server.put("a", number.to_string());
            }
            proxy.set(Traffic::Flows);
            asked
                .until("the new data", |asked| {
                    asked.instances(&wanted[1]) == [("web-1-5".to_owned(), Status::Critical)]
                        && asked.instances(&wanted[0]).is_empty()
                        && asked.instances(&wanted[count - 1]).is_empty()
                })
                .await;
            register(&server, 0, 1, "warning");
            asked
                .until("a change after that", |asked| {
                    asked.instances(&wanted[0]) == [("web-0-1".to_owned(), Status::Warning)]
                })
                .await;
        }
    }
}

#[tokio::test]
async fn the_end_of_an_outage_is_news_although_no_answer_has_changed() {
    for count in SIZES {
        let (server, proxy) = behind_a_proxy();
        let wanted = register_all(&server, count);
        let mut asked = all(at(&[&proxy.address()]), &wanted).await;
        proxy.set(Traffic::Refused);
        proxy.cut();
        asked.until("a failed attempt", |asked| !asked.failing.is_empty()).await;
        proxy.set(Traffic::Flows);
        asked.until("answers to all queries", |asked| asked.failing.is_empty()).await;
    }
}

#[tokio::test]
async fn a_store_restored_from_a_snapshot_is_read_again() {
    for count in SIZES {
        let server = Consul::start();
        let wanted = register_all(&server, count);
        let snapshot = server.ask("GET /v1/snapshot", b"").body;
        // A query that is sent after the restoration waits for an index that the store had before.
        let options = Options { wait: Duration::from_secs(1), ..at(&[&server.address()]) };
        let mut asked = all(options, &wanted).await;
        register(&server, 0, 0, "critical");
        remove(&server, 1, 0);
        asked
            .until("the changes", |asked| {
                asked.instances(&wanted[0])[0].1 == Status::Critical
                    && asked.instances(&wanted[1]).is_empty()
            })
            .await;
        server.ask("PUT /v1/snapshot", &snapshot);
        asked.sees_all(&wanted, Status::Passing).await;
        register(&server, 2, 0, "critical");
        asked
            .until("a change after that", |asked| {
                asked.instances(&wanted[2])[0].1 == Status::Critical
            })
            .await;
    }
}

#[tokio::test]
async fn a_network_that_is_cut_again_and_again_loses_nothing() {
    for count in SIZES {
        let (server, proxy) = behind_a_proxy();
        let wanted = register_all(&server, count);
        let mut asked = all(at(&[&proxy.address()]), &wanted).await;
        let disturb = async {
            for round in 0..24 {
                let status = ["critical", "warning", "passing"][round % 3];
                register(&server, round % count, 0, status);
                proxy.set([Traffic::Flows, Traffic::Refused, Traffic::Held][round % 3]);
                proxy.cut();
                pause(Duration::from_millis(30)).await;
                proxy.set(Traffic::Flows);
                pause(Duration::from_millis(50)).await;
            }
            (0..count).for_each(|number| register(&server, number, 0, "critical"));
        };
        let follow = asked.sees_all(&wanted, Status::Critical);
        tokio::join!(disturb, follow);
        assert!(proxy.connections() > 5, "the cuts were felt");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_in_the_middle_is_read_again() {
    for count in SIZES {
        let (server, proxy) = behind_a_proxy();
        let wanted = register_all(&server, count);
        (1..60).for_each(|instance| register(&server, 0, instance, "passing"));
        let mut asked = all(at(&[&proxy.address()]), &wanted).await;
        for (round, status) in ["critical", "warning", "passing"].into_iter().enumerate() {
            // The answer about 60 instances has several pieces.
            proxy.set(Traffic::Slow(Duration::from_millis(20)));
            register(&server, 0, 59, status);
            pause(Duration::from_millis(60)).await;
            proxy.cut();
            proxy.set(Traffic::Flows);
            asked
                .until("the change in the cut answer", |asked| {
                    let found = asked.instances(&wanted[0]);
                    let changed = found.iter().find(|(id, _)| id == "web-0-59");
                    found.len() == 60 && changed.is_some_and(|(_, found)| found.name() == status)
                })
                .await;
            assert!(round < 3);
        }
    }
}

#[tokio::test]
async fn a_leader_that_is_killed_costs_only_time() {
    for (count, consistency) in
        [(3, Consistency::Default), (40, Consistency::Stale(Duration::from_secs(2)))]
    {
        let mut members: [Consul; 3] = Consul::cluster();
        let wanted = register_all(&members[0], count);
        let addresses = members.each_ref().map(Consul::address);
        let nodes: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let mut asked = all(Options { consistency, ..at(&nodes) }, &wanted).await;
        let leader = members.iter().position(Consul::is_leader).expect("a leader");
        members[leader].kill();
        let other = &members[(leader + 1) % 3];
        eventually("another leader", || other.is_ready());
        register(other, 2, 0, "critical");
        asked
            .until("a change at the new leader", |asked| {
                asked.instances(&wanted[2])[0].1 == Status::Critical
            })
            .await;
        assert_eq!(asked.known.len(), count, "no answer was lost");
    }
}

/// The longest time until a silent node is noticed, if a query waits for a second.
const SILENCE: Duration = Duration::from_secs(12);

#[tokio::test]
async fn connections_that_carry_nothing_are_noticed() {
    let silent = async |count: usize, traffic: Traffic| {
        let (server, proxy): (Consul, Proxy) = behind_a_proxy();
        let wanted = register_all(&server, count);
        let options = Options { wait: Duration::from_secs(1), ..at(&[&proxy.address()]) };
        let mut asked = all(options, &wanted).await;
        proxy.set(traffic);
        register(&server, 1, 0, "critical");
        asked.within(2 * SILENCE, "a failed attempt", |asked| !asked.troubles.is_empty()).await;
        proxy.set(Traffic::Flows);
        asked
            .within(SILENCE, "the change", |asked| {
                asked.instances(&wanted[1])[0].1 == Status::Critical
            })
            .await;
    };
    tokio::join!(silent(3, Traffic::Lost), silent(40, Traffic::Lost), silent(40, Traffic::Held));
}

#[tokio::test]
async fn a_query_that_fails_stops_no_other_query() {
    let server = Consul::start();
    let mut wanted = register_all(&server, 40);
    wanted.push(Query::instances("web-1@nowhere", false).unwrap());
    let mut asked = Asked::with(at(&[&server.address()]), settings(), &wanted);
    asked.until("all other answers", |asked| asked.known.len() == 40).await;
    put(
        &server,
        "/v1/catalog/register",
        &serde_json::json!({
            "Node": "node-0", "Address": "10.0.0.7"
        }),
    );
    asked
        .until("a change of the node", |asked| {
            matches!(&asked.known[&wanted[3]],
            catalog::Data::Instances(found) if found[0].address == "10.0.0.7")
        })
        .await;
    assert!(asked.troubles.iter().all(|(query, _)| *query == wanted[40]));
}
