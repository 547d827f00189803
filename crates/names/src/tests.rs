//! Lookups at a real name server, with files of the test.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use servers::NameServer;
use servers::names::Manner;
use tempfile::TempDir;

use super::hosts::find;
use super::name::{candidates, is_domain, literal};
use super::settings::{Order, Settings};
use super::{Resolver, Service};

const ZONE: &str = "web.example.test. A 10.0.0.9
web.example.test. A 10.0.0.10
web.example.test. AAAA 2001:db8::1
v4.example.test. A 192.0.2.1
web_1.example.test. A 192.0.2.2
single. A 192.0.2.3
myhost. A 192.0.2.4
empty.example.test.
mapped.example.test. AAAA ::ffff:192.0.2.1
_http._tcp.example.test. SRV 1 5 8080 b.example.test.
_http._tcp.example.test. SRV 2 6 80 a.example.test.";

/// A folder with the files of a resolver, and the resolver.
struct Files {
    folder: TempDir,
    resolver: Resolver,
}

impl Files {
    /// `resolv.conf` names 127.0.0.1, where `server` listens, and has this text.
    fn new(server: &NameServer, resolv: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files =
            Files { resolver: Resolver::new(folder.path(), server.address().port()), folder };
        files.write("resolv.conf", &format!("nameserver 127.0.0.1\nsearch example.test\n{resolv}"));
        files
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// The addresses of a host, sorted as texts, or the error.
    fn addresses(&self, host: &str) -> Result<Vec<String>, String> {
        let found = self.resolver.wait_for_addresses(host).map_err(|error| error.to_string())?;
        let mut texts: Vec<_> = found.iter().map(ToString::to_string).collect();
        texts.sort();
        Ok(texts)
    }

    fn services(&self, domain: &str) -> Result<Vec<Service>, String> {
        self.resolver.wait_for_services(domain).map_err(|error| error.to_string())
    }
}

/// The error for a name that does not exist.
fn no_such_host(name: &str, server: &NameServer) -> Result<Vec<String>, String> {
    Err(format!("lookup {name} on {}: no such host", server.address()))
}

#[test]
fn a_host_has_all_its_addresses_of_both_kinds() {
    let server = NameServer::start(ZONE);
    let files = Files::new(&server, "");
    for name in ["web.example.test", "web.example.test.", "WEB.Example.test", "web"] {
        let found = files.addresses(name).unwrap();
        assert_eq!(found, ["10.0.0.10", "10.0.0.9", "2001:db8::1"], "{name}");
    }
    assert_eq!(files.addresses("v4.example.test").unwrap(), ["192.0.2.1"]);
    assert_eq!(files.addresses("mapped.example.test").unwrap(), ["192.0.2.1"]);
}

#[test]
fn a_name_may_have_underscores_and_need_no_dot() {
    let server = NameServer::start(ZONE);
    let files = Files::new(&server, "");
    assert_eq!(files.addresses("web_1").unwrap(), ["192.0.2.2"]);
    assert_eq!(files.addresses("single").unwrap(), ["192.0.2.3"]);
    // Only the name itself is asked for.
    assert_eq!(files.addresses("web."), no_such_host("web.", &server));
}

#[test]
fn a_name_without_addresses_is_an_error_that_names_the_server() {
    let server = NameServer::start(ZONE);
    let files = Files::new(&server, "");
    for name in ["nosuch", "nosuch.example.test.", "empty.example.test"] {
        assert_eq!(files.addresses(name), no_such_host(name, &server));
    }
}

#[test]
fn a_text_that_is_no_domain_name_is_not_asked_for() {
    let server = NameServer::start(ZONE);
    let files = Files::new(&server, "");
    for name in ["", "127.1", "1", "010.0.0.1", "1.2.3.4.", "a b", "a..b", "\u{1}%x", "ä"] {
        assert_eq!(files.addresses(name).unwrap_err(), format!("lookup {name}: no such host"));
    }
    let long = "a".repeat(64);
    for name in ["_a b._tcp.x", "_ä\u{300}\u{301} ._tcp.x", "a..b", &long] {
        let error = format!("lookup {name}: no such host (not a domain name)");
        assert_eq!(files.services(name).unwrap_err(), error);
    }
    assert_eq!(server.queries(), [""; 0]);
    // The C library would read this as 127.0.0.1.
    assert_eq!(files.addresses("0x7f.1"), no_such_host("0x7f.1", &server));
}

#[test]
fn an_address_stands_for_itself() {
    let server = NameServer::start(ZONE);
    let files = Files::new(&server, "");
    files.write("hosts", "10.0.0.1 9.9.9.9");
    for (name, address) in [
        ("9.9.9.9", "9.9.9.9"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("fe80::1%nosuch", "fe80::1"),
    ] {
        assert_eq!(files.addresses(name).unwrap(), [address]);
    }
    assert_eq!(server.queries(), [""; 0]);
}

#[test]
fn the_hosts_file_comes_first_unless_nsswitch_says_otherwise() {
    let server = NameServer::start(ZONE);
    let files = Files::new(&server, "");
    files.write("hosts", "10.1.1.1 myhost\n10.1.1.2 other\n");
    assert_eq!(files.addresses("myhost").unwrap(), ["10.1.1.1"]);
    assert_eq!(server.queries(), [""; 0]);
    files.write("nsswitch.conf", "hosts: dns files\n");
    assert_eq!(files.addresses("myhost").unwrap(), ["192.0.2.4"]);
    assert_eq!(files.addresses("other").unwrap(), ["10.1.1.2"]);
    files.write("nsswitch.conf", "hosts: files\n");
    assert_eq!(files.addresses("single").unwrap_err(), "lookup single: no such host");
    files.write("nsswitch.conf", "hosts: dns\n");
    assert_eq!(files.addresses("other"), no_such_host("other", &server));
}

#[test]
fn localhost_is_this_machine_without_a_hosts_file_and_a_name_server() {
    let server = NameServer::start("localhost. A 10.0.0.1\na.localhost. A 10.0.0.1");
    let files = Files::new(&server, "");
    for name in ["localhost", "LOCALHOST.", "a.localhost"] {
        assert_eq!(files.addresses(name).unwrap(), ["127.0.0.1", "::1"], "{name}");
    }
    assert_eq!(server.queries(), [""; 0]);
    files.write("hosts", "127.0.0.1 localhost\n127.0.0.9 a.localhost\n");
    assert_eq!(files.addresses("localhost").unwrap(), ["127.0.0.1"]);
    assert_eq!(files.addresses("a.localhost").unwrap(), ["127.0.0.9"]);
}

#[test]
fn changed_files_and_records_count_at_once() {
    let server = NameServer::start(ZONE);
    let files = Files::new(&server, "");
    assert_eq!(files.addresses("v4").unwrap(), ["192.0.2.1"]);
    server.set_zone("v4.example.test. A 192.0.2.99\nv4.other.test. A 192.0.2.98");
    assert_eq!(files.addresses("v4").unwrap(), ["192.0.2.99"]);
    files.write("resolv.conf", "nameserver 127.0.0.1\nsearch other.test\n");
    assert_eq!(files.addresses("v4").unwrap(), ["192.0.2.98"]);
    files.write("hosts", "192.0.2.97 v4\n");
    assert_eq!(files.addresses("v4").unwrap(), ["192.0.2.97"]);
}

#[test]
fn a_missing_resolv_conf_means_this_machine() {
    let server = NameServer::start(ZONE);
    let files = Files::new(&server, "");
    fs::remove_file(files.path().join("resolv.conf")).unwrap();
    assert_eq!(files.addresses("v4.example.test").unwrap(), ["192.0.2.1"]);
    files.write("resolv.conf", "");
    assert_eq!(files.addresses("v4.example.test").unwrap(), ["192.0.2.1"]);
}

#[test]
fn an_answer_that_is_too_long_for_udp_comes_over_tcp() {
    let server = NameServer::start(ZONE);
    server.set_manner(Manner::Truncates);
    let files = Files::new(&server, "options single-request");
    assert_eq!(files.addresses("v4.example.test.").unwrap(), ["192.0.2.1"]);
    let queries = ["A", "A tcp", "AAAA", "AAAA tcp"].map(|kind| format!("v4.example.test. {kind}"));
    assert_eq!(server.queries(), queries);
    let files = Files::new(&server, "options use-vc");
    assert_eq!(files.services("_http._tcp").unwrap().len(), 2);
    assert_eq!(server.queries().last().unwrap(), "_http._tcp.example.test. SRV tcp");
}

#[test]
fn messages_that_are_no_answer_to_the_question_are_passed_over() {
    let server = NameServer::start(ZONE);
    server.set_manner(Manner::Disturbs);
    let files = Files::new(&server, "");
    assert_eq!(files.addresses("v4.example.test").unwrap(), ["192.0.2.1"]);
}

#[test]
fn a_silent_server_is_asked_as_often_as_resolv_conf_says() {
    let server = NameServer::start(ZONE);
    server.set_manner(Manner::Silent);
    let files = Files::new(&server, "options timeout:1 attempts:2");
    let started = Instant::now();
    let error = files.addresses("web").unwrap_err();
    assert_eq!(error, format!("lookup web on {}: i/o timeout", server.address()));
    // The next names of the search list would take as long, and are not asked for.
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let mut queries = server.queries();
    queries.sort();
    let expected = ["A", "A", "AAAA", "AAAA"].map(|kind| format!("web.example.test. {kind}"));
    assert_eq!(queries, expected);
    server.set_manner(Manner::Answers);
    assert_eq!(files.addresses("v4").unwrap(), ["192.0.2.1"]);
}

#[test]
fn the_next_server_is_asked_if_one_is_silent_fails_or_is_not_there() {
    let server = NameServer::start(ZONE);
    let port = server.address().port();
    // All servers have one port, so the others have other addresses.
    let silent = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), port)).unwrap();
    let failing = NameServer::start_at((Ipv4Addr::new(127, 0, 0, 3), port).into(), ZONE);
    for code in [2, 5] {
        failing.set_manner(Manner::Fails(code));
        for first in ["127.0.0.2", "127.0.0.3", "127.0.0.4"] {
            let files = Files::new(&server, "");
            let text = format!("nameserver {first}\nnameserver 127.0.0.1\noptions timeout:1\n");
            files.write("resolv.conf", &text);
            let found = files.addresses("v4.example.test").unwrap();
            assert_eq!(found, ["192.0.2.1"], "{first}");
        }
    }
    drop(silent);
    // That the name does not exist is an answer.
    let asked = failing.queries().len();
    let files = Files::new(&server, "nameserver 127.0.0.3\n");
    assert_eq!(files.addresses("nosuch"), no_such_host("nosuch", &server));
    assert_eq!(failing.queries().len(), asked);
    // If all fail, the error names the last server.
    server.set_manner(Manner::Fails(2));
    let error = files.addresses("v4.").unwrap_err();
    assert_eq!(error, format!("lookup v4. on 127.0.0.3:{port}: server misbehaving"));
    let text = "nameserver 127.0.0.4\noptions attempts:1\n";
    files.write("resolv.conf", text);
    let error = files.addresses("v4.").unwrap_err();
    assert_eq!(error, format!("lookup v4. on 127.0.0.4:{port}: connection refused"));
}

#[test]
fn a_server_that_is_gone_costs_a_second_of_a_lookup() {
    let server = NameServer::start(ZONE);
    let port = server.address().port();
    let _silent = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), port)).unwrap();
    let files = Files::new(&server, "");
    let search = "search a.test b.test c.test example.test";
    files.write("resolv.conf", &format!("nameserver 127.0.0.2\nnameserver 127.0.0.1\n{search}\n"));
    let started = Instant::now();
    assert_eq!(files.addresses("v4").unwrap(), ["192.0.2.1"]);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[test]
fn a_server_that_fails_for_a_name_of_the_search_list_may_know_the_name() {
    let server = NameServer::start(ZONE);
    server.set_manner(Manner::FailsBelow("example.test"));
    let files = Files::new(&server, "");
    let error = files.addresses("nosuch").unwrap_err();
    assert_eq!(error, format!("lookup nosuch on {}: server misbehaving", server.address()));
    // The name itself exists.
    assert_eq!(files.addresses("single").unwrap(), ["192.0.2.3"]);
}

#[test]
fn with_rotate_each_lookup_begins_with_the_next_server() {
    let one = NameServer::start("a. A 192.0.2.1\na. AAAA ::1");
    let other = (Ipv4Addr::new(127, 0, 0, 2), one.address().port());
    let two = NameServer::start_at(other.into(), "a. A 192.0.2.2\na. AAAA ::1");
    let files = Files::new(&one, "nameserver 127.0.0.2\noptions rotate\n");
    let found: Vec<_> = (0..4).map(|_| files.addresses("a.").unwrap()).collect();
    assert!(found.iter().any(|found| found[0] == "192.0.2.1"), "{found:?}");
    assert!(found.iter().any(|found| found[0] == "192.0.2.2"), "{found:?}");
    drop(two);
}

#[test]
fn services_come_with_all_their_fields() {
    let server = NameServer::start(ZONE);
    let files = Files::new(&server, "");
    let service = |target: &str, port, priority, weight| Service {
        target: target.to_owned(),
        port,
        priority,
        weight,
    };
    let expected = [service("b.example.test.", 8080, 1, 5), service("a.example.test.", 80, 2, 6)];
    for domain in ["_http._tcp.example.test", "_http._tcp.example.test.", "_http._tcp"] {
        assert_eq!(files.services(domain).unwrap(), expected, "{domain}");
    }
    let error = format!("lookup v4.example.test on {}: no such host", server.address());
    assert_eq!(files.services("v4.example.test").unwrap_err(), error);
}

#[test]
fn a_lookup_inside_of_a_runtime_has_its_own_thread() {
    let server = NameServer::start(ZONE);
    let files = Files::new(&server, "");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(async { files.addresses("v4.example.test") });
    assert_eq!(found.unwrap(), ["192.0.2.1"]);
}

#[tokio::test]
async fn async_lookups_know_port_and_zone() {
    let server = NameServer::start(ZONE);
    let files = Files::new(&server, "");
    files.write("hosts", "fe80::1%7 near\n");
    let of = async |host| {
        let found = files.resolver.sockets(host, 80).await.unwrap();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of("v4.example.test").await, ["192.0.2.1:80"]);
    assert_eq!(of("near").await, ["[fe80::1%7]:80"]);
    assert_eq!(of("::1").await, ["[::1]:80"]);
}

#[tokio::test]
async fn the_lookup_for_a_connection_ends_before_the_connection_does() {
    let server = NameServer::start(ZONE);
    server.set_manner(Manner::Silent);
    let files = Files::new(&server, "");
    let started = Instant::now();
    let error = files.resolver.sockets("web", 80).await.unwrap_err();
    assert_eq!(error.to_string(), format!("lookup web on {}: i/o timeout", server.address()));
    assert!(started.elapsed() < Duration::from_millis(2900), "{:?}", started.elapsed());
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_one_that_is_missing_is_not() {
    let server = NameServer::start(ZONE);
    for name in ["hosts", "resolv.conf", "nsswitch.conf"] {
        let files = Files::new(&server, "");
        let path = files.path().join(name);
        let _ = fs::remove_file(&path);
        fs::create_dir(&path).unwrap();
        let error = files.addresses("v4.example.test").unwrap_err();
        let reason = format!("open {}: is a directory", path.display());
        assert_eq!(error, format!("lookup v4.example.test: {reason}"));
        fs::remove_dir(&path).unwrap();
        assert_eq!(files.addresses("v4.example.test").unwrap(), ["192.0.2.1"]);
    }
}

proptest! {
    #[test]
    fn no_text_of_a_file_and_no_name_panics(
        hosts in any::<Vec<u8>>(),
        resolv in "((nameserver|search|domain|options|#)? ?([a-z0-9.:%-]{0,9} ?){0,4}\n?){0,9}",
        nsswitch in "(hosts:)?(( |\t)?(files|dns|x|\\[[a-z=]{0,3}\\]?)){0,5}",
        name in "[a-z0-9.%:_\\-ä]{0,20}",
    ) {
        let settings = Settings::parse(resolv.as_bytes(), 53, &name);
        assert!((1..=3).contains(&settings.servers.len()) && settings.attempts > 0);
        Order::parse(nsswitch.as_bytes());
        find(&hosts, &name);
        is_domain(&name);
        literal(&name);
        let candidates = candidates(&name, &settings.search, settings.ndots);
        assert!(candidates.iter().all(|name| name.ends_with('.')));
    }
}

#[tokio::test]
async fn a_connection_is_opened_to_the_address_that_answers() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost"] {
        let stream = super::connect(host, port).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    }
    drop(listener);
    let error = super::connect("127.0.0.1", port).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    let error = super::connect("a b", port).await.unwrap_err();
    assert_eq!(error.to_string(), "lookup a b: no such host");
}
