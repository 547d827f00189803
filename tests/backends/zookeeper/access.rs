//! How ZooKeeper is reached, and who asks.

use servers::{Certificates, ZooKeeper};

use super::{asking, onetime};

/// What a onetime run with this node and these arguments prints.
#[track_caller]
fn seen(node: &str, more: &[&str]) -> String {
    let sandbox = asking();
    onetime(&sandbox, node).arguments(more).ok();
    sandbox.output()
}

/// The log of a onetime run that fails.
#[track_caller]
fn failing(node: &str, more: &[&str]) -> String {
    let sandbox = asking();
    let ended = onetime(&sandbox, node).arguments(more).fails();
    assert_eq!(sandbox.list("out"), [""; 0]);
    ended.stderr
}

#[test]
fn an_address_names_servers_and_the_node_that_is_the_root() {
    let server = ZooKeeper::start();
    server.set("/app/a", "1");
    server.set("/prod/eu/app/a", "2");
    let address = server.address();
    for (node, value) in [
        (address.clone(), 1),
        (format!("{address}/"), 1),
        (format!("{address}/prod/eu"), 2),
        (format!("zookeeper://{address}/prod/eu/"), 2),
        (format!("127.0.0.1:1,{address}/prod/eu"), 2),
    ] {
        assert_eq!(seen(&node, &[]), format!("/app/a={value} "), "{node}");
    }
    assert_eq!(seen(&format!("{address}/none"), &[]), "");
    let log = failing(&format!("{address}/prod"), &["-node", &address]);
    assert!(log.contains("FATAL all nodes of ZooKeeper have the same root"), "{log}");
}

#[test]
fn without_a_node_it_is_the_server_of_this_machine() {
    let ended = asking().confd(&["-onetime", "-backend", "zookeeper"]).run();
    ended.expect("INFO Backend source(s) set to 127.0.0.1:2181");
}

#[test]
fn a_dead_node_is_passed_over_and_a_missing_one_is_named_with_the_reason() {
    let (server, hung) = (ZooKeeper::start(), ZooKeeper::start());
    server.set("/app/a", "1");
    hung.process().freeze();
    let address = server.address();
    assert_eq!(seen("127.0.0.1:1", &["-node", &address]), "/app/a=1 ");
    let short = ["-node", &address, "-session-timeout", "3s"];
    assert_eq!(seen(&hung.address(), &short), "/app/a=1 ");
    let log = failing("127.0.0.1:1", &[]);
    let words =
        "ERROR cannot reach zookeeper: 127.0.0.1:1: connection refused (nothing listens there)";
    assert!(log.contains(words), "{log}");
    let log = failing(&hung.address(), &["-session-timeout", "3s"]);
    assert!(log.contains("no session within 1.0s"), "{log}");
}

#[test]
fn a_user_and_a_password_open_nodes_with_an_acl() {
    let server = ZooKeeper::start();
    let mut client = server.client();
    client.set("/app/a", b"hidden");
    client.allow_only("joe:hunter2", "/app/a");
    let node = server.address();
    assert_eq!(seen(&node, &["-username", "joe", "-password", "hunter2"]), "/app/a=hidden ");
    for (more, words) in [
        (&[][..], "NoAuth for the node /app/a (it has an ACL: give -username and -password)"),
        (&["-username", "joe", "-password", "hunter3"], "(the user of -username may not read it"),
        (&["-password", "hunter2"], "WARNING username and password count only together"),
    ] {
        let log = failing(&node, more);
        assert!(log.contains(words), "{log}");
        assert!(!log.contains("hunter") && !log.contains("hidden"), "{log}");
    }
}

#[test]
fn tls_is_asked_for_by_the_scheme_with_certificates_as_files() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let server = ZooKeeper::with_certificates(&ours);
    server.set("/app/a", "1");
    let file =
        |certificates: &Certificates, name: &str| certificates.path(name).display().to_string();
    let (ca, certificate, key) =
        (file(&ours, "ca.pem"), file(&ours, "client.pem"), file(&ours, "client.key"));
    let with = ["-client-ca-keys", &ca, "-client-cert", &certificate, "-client-key", &key];
    let node = format!("zookeepers://{}", server.secure_address());
    assert_eq!(seen(&node, &with), "/app/a=1 ");
    let by_scheme = [&with[..], &["-scheme", "zookeepers"]].concat();
    assert_eq!(seen(&server.secure_address(), &by_scheme), "/app/a=1 ");
    let log = failing(&node, &["-client-ca-keys", &file(&others, "ca.pem")]);
    assert!(log.contains("invalid peer certificate"), "{log}");
    let log = failing(&node, &["-client-ca-keys", "/nope"]);
    assert!(log.contains("open /nope: no such file or directory"), "{log}");
}
