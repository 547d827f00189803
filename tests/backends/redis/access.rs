//! How Redis is reached, and who asks.

use servers::{Certificates, Redis};

use super::{asking, onetime};
use crate::support::Sandbox;

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
    let sandbox: Sandbox = asking();
    let ended = onetime(&sandbox, node).arguments(more).fails();
    assert_eq!(sandbox.list("out"), [""; 0]);
    ended.stderr
}

#[test]
fn an_address_names_host_port_and_database_or_a_socket() {
    let server = Redis::start();
    server.set("/app/a", "0");
    server.ask_all(&[&["SELECT", "3"][..], &["SET", "/app/a", "3"]]);
    let (address, socket) = (server.address(), server.socket().display().to_string());
    for (node, database) in [
        (address.clone(), 0),
        (format!("{address}/0"), 0),
        (format!("{address}/3"), 3),
        // As in Go confd, what is no number means nothing.
        (format!("{address}/x"), 0),
        (format!("redis://{address}"), 0),
        (format!("redis://{address}/3"), 3),
        (socket.clone(), 0),
        (format!("unix://{socket}?db=3"), 3),
    ] {
        assert_eq!(seen(&node, &[]), format!("/app/a={database} "), "{node}");
    }
    let log = failing(&format!("{address}/99"), &[]);
    assert!(log.contains("refused: ERR DB index is out of range"), "{log}");
    let log = failing("/nope.sock", &[]);
    assert!(log.contains("cannot reach redis: /nope.sock: no such file or directory"), "{log}");
}

#[test]
fn without_a_node_it_is_the_server_of_this_machine() {
    let ended = asking().confd(&["-onetime", "-backend", "redis"]).run();
    ended.expect("INFO Backend source(s) set to 127.0.0.1:6379");
}

#[test]
fn a_dead_node_is_passed_over_and_a_missing_one_is_named_with_the_reason() {
    let server = Redis::start();
    server.set("/app/a", "1");
    assert_eq!(seen("127.0.0.1:1", &["-node", &server.address()]), "/app/a=1 ");
    let log = failing("127.0.0.1:1", &[]);
    let words = "ERROR cannot reach redis: 127.0.0.1:1: connection refused (nothing listens there)";
    assert!(log.contains(words), "{log}");
}

#[test]
fn a_server_that_hangs_is_passed_over_after_the_read_timeout() {
    let (hung, server) = (Redis::start(), Redis::start());
    server.set("/app/a", "1");
    hung.process().freeze();
    let both = ["-node", &server.address(), "-read-timeout", "1s"];
    assert_eq!(seen(&hung.address(), &both), "/app/a=1 ");
    let log = failing(&hung.address(), &["-read-timeout", "200ms"]);
    assert!(log.contains("no answer within 200ms"), "{log}");
}

#[test]
fn a_password_is_given_by_its_flag_or_as_in_go_confd_by_client_key() {
    let server = Redis::with_password("hunter2");
    server.set("/app/a", "1");
    server.ask(&["ACL", "SETUSER", "joe", "on", ">s3cret", "~*", "&*", "+@read"]);
    let node = server.address();
    for more in [
        &["-password", "hunter2"][..],
        &["-client-key", "hunter2"],
        &["-password", "hunter2", "-client-key", "wrong"],
        &["-username", "joe", "-password", "s3cret"],
    ] {
        assert_eq!(seen(&node, more), "/app/a=1 ", "{more:?}");
    }
    let sandbox = asking();
    onetime(&sandbox, &node).env("CONFD_CLIENT_KEY", "hunter2").ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
    assert_eq!(seen(&format!("redis://:hunter2@{node}"), &[]), "/app/a=1 ");
    // What the address says wins.
    let joe = format!("redis://joe:s3cret@{node}");
    assert_eq!(seen(&joe, &["-password", "wrong"]), "/app/a=1 ");
}

#[test]
fn a_wrong_password_is_refused_and_never_shown() {
    let server = Redis::with_password("hunter2");
    let node = server.address();
    let log = failing(&node, &[]);
    assert!(log.contains("refused: NOAUTH Authentication required. (it wants a password"), "{log}");
    for (node, more) in [
        (node.clone(), &["-password", "wr0ng"][..]),
        (node.clone(), &["-client-key", "wr0ng"]),
        (format!("redis://:wr0ng@{node}"), &[]),
        (format!("redis://joe:wr0ng@{node}"), &[]),
    ] {
        let log = failing(&node, &[more, &["-log-level", "debug"]].concat());
        assert!(log.contains("refused: WRONGPASS invalid username-password pair"), "{log}");
        assert!(!log.contains("wr0ng"), "{log}");
    }
}

#[test]
fn a_key_that_the_user_may_not_read_costs_only_the_resources_that_ask_for_it() {
    let server = Redis::start();
    server.set("/app/a", "1");
    server.set("/secret/a", "hunter2");
    server.ask(&["ACL", "SETUSER", "joe", "on", ">s3cret", "~/app*", "+@read"]);
    let sandbox = asking();
    let table = "[template]\nsrc = 'app'\ndest = 'out/b'\nkeys = ['/secret']";
    sandbox.write("conf.d/b.toml", table);
    let user = ["-username", "joe", "-password", "s3cret"];
    let ended = onetime(&sandbox, &server.address()).arguments(&user).fails();
    assert_eq!(sandbox.output(), "/app/a=1 ");
    assert_eq!(sandbox.list("out"), ["app"]);
    let words = "refused: NOPERM this user has no permissions to access one of the keys used as \
                 arguments (key /secret)";
    assert!(ended.stderr.contains("Cannot read /secret: redis at "), "{}", ended.stderr);
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
}

#[test]
fn a_user_with_the_commands_of_go_confd_is_enough() {
    let server = Redis::start();
    server.set("/app/a", "1");
    server.ask(&["HSET", "/hash", "f", "2"]);
    let commands = ["+type", "+get", "+scan", "+hscan", "+ping", "+auth"];
    let user = ["ACL", "SETUSER", "joe", "on", ">s3cret", "~*", "&*", "+psubscribe"];
    server.ask(&[user.as_slice(), commands.as_slice()].concat());
    let login = ["-username", "joe", "-password", "s3cret"];
    let sandbox = super::asking_for("['/app', '/hash', '/app/a']");
    onetime(&sandbox, &server.address()).arguments(&login).ok();
    assert_eq!(sandbox.output(), "/app/a=1 /hash/f=2 ");
}

#[test]
fn tls_is_asked_for_by_the_scheme_with_certificates_as_files() {
    let certificates = Certificates::new();
    let server = Redis::with_certificates(&certificates);
    server.set("/app/a", "1");
    let file = |name| certificates.path(name).display().to_string();
    let (ca, certificate, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let tls = ["-client-ca-keys", &ca, "-client-cert", &certificate, "-client-key", &key];
    let node = server.secure_address();
    assert_eq!(seen(&format!("rediss://{node}"), &tls), "/app/a=1 ");
    assert_eq!(seen(&node, &[tls.as_slice(), &["-scheme", "rediss"]].concat()), "/app/a=1 ");
    let log = failing(&format!("rediss://{node}"), &["-client-ca-keys", &ca]);
    assert!(log.contains("(perhaps it wants another client certificate, or no TLS)"), "{log}");
    let log = failing(&format!("rediss://{node}"), &tls[2..]);
    assert!(log.contains("invalid peer certificate"), "{log}");
    let log = failing(&node, &[]);
    assert!(log.contains("(perhaps it wants TLS, or is not Redis)"), "{log}");
    let sandbox = asking();
    let plain = onetime(&sandbox, &server.address()).arguments(&tls).ok();
    let words = "is asked without TLS, although certificates are given: they are not used";
    assert!(plain.stderr.contains(words), "{}", plain.stderr);
    assert_eq!(sandbox.output(), "/app/a=1 ");
}

#[test]
fn several_nodes_in_one_text_are_explained() {
    let log = failing("127.0.0.1:1,127.0.0.1:2", &[]);
    assert!(log.contains("not an address of the form HOST:PORT"), "{log}");
    assert!(log.contains("each node has a -node"), "{log}");
}
