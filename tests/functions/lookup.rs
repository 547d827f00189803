//! Names and services that are looked up in /etc/hosts and in the DNS.
//!
//! confd runs in its own network namespace, where the only name server is the test's.

use rustix::process::Signal;
use servers::names::Manner;

use crate::support::{Daemon, Ended, Network, Sandbox, eventually};

const ZONE: &str = "\
web.example.test. A 10.0.0.9
web.example.test. A 9.9.9.9
web.example.test. A 10.0.0.10
web.example.test. AAAA 2001:db8::2
web.example.test. AAAA 2001:db8::1
v4.example.test. A 192.0.2.1
_http._tcp.example.test. SRV 20 5 80 b.example.test.
_http._tcp.example.test. SRV 1 5 9 a.example.test.
_http._tcp.example.test. SRV 10 5 100 a.example.test.
_http._tcp.example.test. SRV 5 0 80 c.example.test.
plain.example.test. SRV 1 2 3 x.example.test.
";

/// Runs confd where only `hosts` and the zone can be looked up.
#[track_caller]
fn run_in_zone(sandbox: &Sandbox, hosts: &str) -> Ended {
    let ended = sandbox.onetime().run_in(sandbox, Network { hosts, zone: ZONE, is_bare: false });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

#[test]
fn addresses_come_from_the_hosts_file_and_from_the_dns_sorted_as_text() {
    let sandbox = Sandbox::rendering(
        r#"{{lookupIP "myhost"}}
{{lookupIP "web.example.test"}}
{{lookupIPV4 "web.example.test"}}
{{lookupIPV6 "web.example.test"}}
{{lookupIPV6 "v4.example.test"}}
"#,
    );
    run_in_zone(&sandbox, "127.0.0.1 localhost\n192.0.2.77 myhost alias\n");
    assert_eq!(
        sandbox.output(),
        "[192.0.2.77]
[10.0.0.10 10.0.0.9 2001:db8::1 2001:db8::2 9.9.9.9]
[10.0.0.10 10.0.0.9 9.9.9.9]
[2001:db8::1 2001:db8::2]
[]
"
    );
}

#[test]
fn services_are_sorted_as_text_and_keep_the_final_dot() {
    let sandbox = Sandbox::rendering(
        r#"{{range lookupSRV "http" "tcp" "example.test"}}{{.Target}} {{.Port}} {{.Priority}} {{.Weight}}
{{end}}{{range lookupSRV "" "" "plain.example.test"}}{{.Target}}:{{.Port}}
{{end}}"#,
    );
    run_in_zone(&sandbox, "");
    // "a.example.test.100105" is less than "a.example.test.915", whatever the numbers say.
    assert_eq!(
        sandbox.output(),
        "a.example.test. 100 10 5
a.example.test. 9 1 5
b.example.test. 80 20 5
c.example.test. 80 5 0
x.example.test.:3
"
    );
}

#[test]
fn a_failed_lookup_is_an_empty_list_and_a_warning() {
    let sandbox = Sandbox::rendering(
        r#"{{lookupIP "nosuch.example.test"}}{{lookupIPV4 ""}}{{len (lookupSRV "no" "tcp" "example.test")}}"#,
    );
    let ended = run_in_zone(&sandbox, "");
    assert_eq!(sandbox.output(), "[][]0");
    for name in ["nosuch.example.test", "_no._tcp.example.test"] {
        let told = |line: &String| line.starts_with("WARNING ") && line.contains(name);
        assert!(ended.log().iter().any(told), "{}", ended.stderr);
    }
}

#[test]
fn a_failed_lookup_is_reported_in_plain_words_and_once_for_each_pass() {
    let sandbox = Sandbox::rendering(
        r#"{{range seq 1 3}}{{lookupIP "nosuch.example.test"}}{{len (lookupSRV "a b" "tcp" "x")}}{{end}}"#,
    );
    let ended = run_in_zone(&sandbox, "");
    assert_eq!(sandbox.output(), "[]0[]0[]0");
    let of = |function: &str| -> Vec<String> {
        ended.log().into_iter().filter(|line| line.contains(function)).collect()
    };
    assert_eq!(of("lookupIP").len(), 1, "{}", ended.stderr);
    assert_eq!(
        of("lookupSRV"),
        ["WARNING lookupSRV: lookup _a b._tcp.x: no such host (not a domain name)"]
    );
}

#[test]
fn without_files_in_etc_the_name_server_of_this_machine_is_asked() {
    let sandbox = Sandbox::rendering(
        r#"{{lookupIP "v4.example.test"}}{{lookupIP "localhost"}}{{len (lookupSRV "http" "tcp" "example.test")}}"#,
    );
    let network = Network { zone: ZONE, is_bare: true, ..Network::default() };
    let ended = sandbox.onetime().run_in(&sandbox, network);
    assert_eq!(sandbox.output(), "[192.0.2.1][127.0.0.1 ::1]4", "{}", ended.stderr);
}

/// A run each second of a template that looks one name up.
fn looking_up_each_second(network: Network) -> (Sandbox, Daemon, crate::support::World) {
    let sandbox = Sandbox::rendering(r#"{{join (lookupIP "v4.example.test") ","}}"#);
    let run = sandbox.confd(&["-backend", "env", "-interval", "1"]);
    let (daemon, world) = Daemon::start_in(run, &sandbox, network);
    (sandbox, daemon, world)
}

#[test]
fn a_name_server_that_goes_and_comes_back_is_asked_again() {
    let (sandbox, daemon, mut world) =
        looking_up_each_second(Network { zone: ZONE, ..Network::default() });
    eventually("the name is known", || sandbox.output() == "192.0.2.1");
    world.end_names();
    eventually("the name is not known", || sandbox.output().is_empty());
    let line = "WARNING lookupIP: cannot resolve v4.example.test: 127.0.0.1:53: connection refused";
    daemon.wait_for(line);
    world.start_names("v4.example.test. A 192.0.2.2");
    eventually("the name is known again", || sandbox.output() == "192.0.2.2");
    world.names().set_manner(Manner::Silent);
    eventually("the name is not known", || sandbox.output().is_empty());
    daemon.wait_for("WARNING lookupIP: cannot resolve v4.example.test: 127.0.0.1:53: i/o timeout");
    world.names().set_manner(Manner::Answers);
    eventually("the name is known again", || sandbox.output() == "192.0.2.2");
    daemon.stop(Signal::TERM);
}

#[test]
fn changes_of_the_hosts_file_and_of_resolv_conf_are_seen() {
    let (sandbox, daemon, _world) =
        looking_up_each_second(Network { zone: ZONE, ..Network::default() });
    eventually("the name is known", || sandbox.output() == "192.0.2.1");
    sandbox.write("hosts", "192.0.2.3 v4.example.test\n");
    eventually("the hosts file counts", || sandbox.output() == "192.0.2.3");
    sandbox.write("hosts", "");
    eventually("the name server counts", || sandbox.output() == "192.0.2.1");
    sandbox.write("resolv.conf", "nameserver 127.0.0.2\noptions timeout:1 attempts:1\n");
    daemon.wait_for("WARNING lookupIP: cannot resolve v4.example.test: 127.0.0.2:53: ");
    daemon.stop(Signal::TERM);
}

#[test]
fn addresses_are_their_own_addresses() {
    super::gives(
        "{}",
        &[
            (r#"{{lookupIP "192.0.2.1"}} {{lookupIP "2001:DB8::1"}}"#, "[192.0.2.1] [2001:db8::1]"),
            (
                r#"{{lookupIP "::ffff:192.0.2.1"}} {{lookupIPV6 "::ffff:192.0.2.1"}}"#,
                "[192.0.2.1] []",
            ),
        ],
    );
}
