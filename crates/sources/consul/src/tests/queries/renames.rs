//! Services that keep their ids and get other names. Consul does not raise the index of the old name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use catalog::{Query, Status};
use serde_json::json;
use servers::{Consul, Stub};

use super::{Asked, put, service, settings};

/// As few services as blocking queries, and more.
const SIZES: [usize; 2] = [3, 40];

/// Registers a service at the agent, as a changed service file does when the agent reads it.
fn register_at_agent(server: &Consul, id: &str, name: &str) {
    put(server, "/v1/agent/service/register", &json!({"ID": id, "Name": name, "Port": 80}));
}

fn named(ids: &[&str]) -> Vec<(String, Status)> {
    ids.iter().map(|id| ((*id).to_owned(), Status::Passing)).collect()
}

/// Follows services, and gives one of two instances of a service the name of another service.
async fn renamed(count: usize, new: usize) {
    let server = Consul::start();
    for number in 0..count {
        register_at_agent(&server, &format!("other-{number}"), &format!("web-{number}"));
    }
    register_at_agent(&server, "moved", "web-0");
    let wanted: Vec<Query> = (0..count).map(service).collect();
    let mut asked = Asked::at(&[&server.address()], settings(), &wanted);
    asked.all_known(count).await;
    assert_eq!(asked.instances(&wanted[0]), named(&["moved", "other-0"]));
    register_at_agent(&server, "moved", &format!("web-{new}"));
    asked
        .until("the instance without its old name", |asked| {
            asked.instances(&wanted[0]) == named(&["other-0"])
        })
        .await;
    if let Some(query) = wanted.get(new) {
        asked.until("its new name", |asked| asked.instances(query).len() == 2).await;
    }
    // The next change of the old name is seen as well.
    register_at_agent(&server, "moved", "web-0");
    asked
        .until("the old name again", |asked| {
            asked.instances(&wanted[0]) == named(&["moved", "other-0"])
        })
        .await;
}

#[tokio::test]
async fn an_instance_that_gets_a_name_that_is_followed_leaves_the_answer_of_the_old_name() {
    for count in SIZES {
        renamed(count, 1).await;
    }
}

#[tokio::test]
async fn an_instance_that_gets_another_name_leaves_the_answer_of_the_old_name() {
    for count in SIZES {
        renamed(count, count).await;
    }
}

/// Such an instance leaves an index behind that is lower than the one of the last answer: the index
/// at which the last service vanished.
#[tokio::test]
async fn an_instance_that_gets_another_name_before_the_agent_is_asked_for_events_leaves_the_answer()
{
    let server = Arc::new(Consul::start());
    register_at_agent(&server, "gone", "other");
    put(&server, "/v1/agent/service/deregister/gone", &json!({}));
    register_at_agent(&server, "moved", "web-0");
    let (behind, is_renamed) = (Arc::clone(&server), AtomicBool::new(false));
    let stub = Stub::answering(move |head| {
        let line = head.lines().next().unwrap_or_default();
        if line.contains("/web-0?index=1&") && !is_renamed.swap(true, Ordering::SeqCst) {
            register_at_agent(&behind, "moved", "web-1");
        }
        let request = line.strip_suffix(" HTTP/1.1").unwrap_or(line);
        // A query that waits for too long ends without an answer.
        let answer = behind.try_ask(request, b"").map(|answer| {
            let end: &[u8] = b"\r\n\r\n";
            [answer.head.as_bytes(), end, &answer.body].concat()
        });
        answer.unwrap_or_default()
    });
    let wanted = service(0);
    let mut asked = Asked::at(&[&stub.address()], settings(), std::slice::from_ref(&wanted));
    asked.all_known(1).await;
    assert_eq!(asked.instances(&wanted), named(&["moved"]));
    asked.until("no instance", |asked| asked.instances(&wanted).is_empty()).await;
}
