//! Tests, with real servers, of everything that other tests rely on.

use std::time::Duration;

use super::*;
use crate::eventually;

#[test]
fn keys_are_set_read_listed_and_deleted() {
    let server = Consul::start();
    assert_eq!(server.list(""), [""; 0]);
    server.put("app/a b", [0, 255]);
    server.put_all([("app/b", "1"), ("apple", ""), ("other", "2")]);
    assert_eq!(server.get("app/a b"), Some(vec![0, 255]));
    assert_eq!(server.get("apple"), Some(Vec::new()));
    assert_eq!(server.list("app"), ["app/a b", "app/b", "apple"]);
    server.delete("apple");
    server.delete("none");
    assert_eq!(server.get("apple"), None);
    server.delete_all("app/");
    assert_eq!(server.list(""), ["other"]);
}

#[test]
fn the_index_of_a_prefix_grows_with_its_keys() {
    let server = Consul::start();
    server.put("app/a", "1");
    let before = server.index("app/");
    server.put("other", "1");
    assert_eq!(server.index("app/"), before);
    server.put("app/a", "2");
    assert!(server.index("app/") > before);
}

#[test]
fn data_outlive_a_kill_only_on_disk_and_unless_wiped() {
    for (mut server, durable) in [(Consul::start(), false), (Consul::durable(), true)] {
        server.put("a", "1");
        for number in 0..50 {
            server.put("b", number.to_string());
        }
        let before = server.index("");
        server.kill();
        server.restart();
        server.wait();
        assert_eq!(server.get("a").is_some(), durable);
        server.kill();
        server.wipe();
        server.restart();
        server.wait();
        assert_eq!(server.list(""), [""; 0]);
        server.put("a", "1");
        let after = server.index("");
        assert!(after < before, "{after} after {before}");
    }
}

#[test]
fn a_frozen_server_answers_when_it_is_thawed() {
    let server = Consul::start();
    server.process().freeze();
    let address = server.address();
    let asking = std::thread::spawn(move || exchange(&address, "GET /v1/kv/a", &[], b""));
    crate::pause(Duration::from_millis(50));
    assert!(!asking.is_finished());
    server.process().thaw();
    assert_eq!(asking.join().unwrap().unwrap().status, 404);
}

#[test]
fn a_killed_leader_is_replaced() {
    let mut members: [Consul; 3] = Consul::cluster();
    members[0].put("a", "1");
    let leaders = members.iter().filter(|member| member.is_leader());
    assert_eq!(leaders.count(), 1);
    let leader = members.iter().position(Consul::is_leader).unwrap();
    members[leader].kill();
    let others = || members.iter().filter(|member| member.is_running());
    eventually("there is another leader", || others().any(Consul::is_leader));
    eventually("the others can write", || others().all(Consul::is_ready));
    assert!(others().all(|member| member.get("a").is_some()));
}

#[test]
fn a_token_may_do_what_its_rules_allow_until_it_is_revoked() {
    let server = Consul::with_tokens();
    server.put("app/a", "1");
    server.put("other", "1");
    let status = |key: &str, headers: &[_]| {
        let request = format!("GET /v1/kv/{key}");
        exchange(&server.address(), &request, headers, b"").unwrap().status
    };
    let rules = "key_prefix \"app/\" { policy = \"read\" }";
    let token = server.token(rules);
    let header = [("X-Consul-Token", &*token.secret)];
    assert_eq!(status("app/a", &header), 200);
    assert_eq!(status("other", &header), 403);
    assert_eq!(status("app/a", &[]), 403);
    server.revoke(&token);
    assert_eq!(status("app/a", &header), 403);
    server.restore(&token, rules);
    assert_eq!(status("app/a", &header), 200);
}

#[test]
fn a_client_needs_a_certificate_where_there_is_tls() {
    let certificates = Certificates::new();
    let server = Consul::with_certificates(&certificates);
    let file = |name| certificates.path(name).display().to_string();
    let connects = |more: &[&str]| {
        let url = format!("https://{}/v1/status/leader", server.secure_address());
        let done = std::process::Command::new("curl")
            .args(["--silent", "--fail", "--cacert", &file("ca.pem"), &url])
            .args(more)
            .output()
            .unwrap();
        done.status.success()
    };
    assert!(!connects(&[]));
    assert!(connects(&["--cert", &file("client.pem"), "--key", &file("client.key")]));
}
