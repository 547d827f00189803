//! Services that keep their ids and get other names. Consul does not raise the index of the old name.

use catalog::{Query, Status};
use serde_json::json;
use servers::Consul;

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
