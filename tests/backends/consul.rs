//! Keys from Consul.

mod access;

use std::time::Duration;

use rustix::process::Signal;
use servers::{Consul, Proxy, Stub};

use crate::support::{Daemon, Run, Sandbox, eventually, pause, throughout};

/// A resource that prints the pairs below `/app`, and all other pairs whose keys begin with it.
const DUMP: &str = "{{range gets \"/app*\"}}{{.Key}}={{.Value}} {{end}}\
                    {{range gets \"/app/*\"}}{{.Key}}={{.Value}} {{end}}";

/// A sandbox with one resource that asks for these keys, written in TOML.
fn asking_for(keys: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", DUMP);
    let table = format!("[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = {keys}\n");
    sandbox.write("conf.d/app.toml", table);
    sandbox
}

/// A sandbox with one resource that asks for the key `/app`.
fn asking() -> Sandbox {
    asking_for("['/app']")
}

fn onetime(sandbox: &Sandbox, node: &str) -> Run {
    sandbox.confd(&["-onetime", "-backend", "consul", "-node", node])
}

fn watching(sandbox: &Sandbox, node: &str, more: &[&str]) -> Daemon {
    let run = sandbox.confd(&["-watch", "-backend", "consul", "-node", node]);
    Daemon::start(run.arguments(more), sandbox.path("log"))
}

/// The answer of a server without keys, to any request.
fn no_key() -> Vec<u8> {
    b"HTTP/1.1 404 Not Found\r\nX-Consul-Index: 1\r\nX-Consul-KnownLeader: true\r\n\
      Content-Length: 0\r\nConnection: close\r\n\r\n"
        .to_vec()
}

#[test]
fn a_key_stands_for_all_that_begin_with_its_text() {
    let server = Consul::start();
    server.put_all([("app", "0"), ("app/a", "1"), ("apple", "2"), ("ap", "3"), ("other", "4")]);
    for keys in ["['/app']", "['app']", "['/app/', '/app']"] {
        let sandbox = asking_for(keys);
        onetime(&sandbox, &server.address()).ok();
        assert_eq!(sandbox.output(), "/app=0 /apple=2 /app/a=1 ", "{keys}");
    }
    let sandbox = asking_for("['/app/']");
    onetime(&sandbox, &server.address()).ok();
    // A slash at the end of a key is ignored, as with every backend.
    assert_eq!(sandbox.output(), "/app=0 /apple=2 /app/a=1 ");
}

#[test]
fn a_prefix_comes_before_the_keys() {
    let server = Consul::start();
    server.put_all([("prod/app/a", "1"), ("app/a", "2")]);
    let sandbox = asking();
    onetime(&sandbox, &server.address()).arguments(&["-prefix", "prod"]).ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
}

#[test]
fn a_missing_key_is_no_error() {
    let server = Consul::start();
    let sandbox = asking();
    onetime(&sandbox, &server.address()).ok();
    assert_eq!(sandbox.output(), "");
}

#[test]
fn a_folder_and_an_empty_value_are_empty_keys() {
    let server = Consul::start();
    server.put("app/", "");
    server.put("app/empty", "");
    let sandbox = asking();
    onetime(&sandbox, &server.address()).ok();
    assert_eq!(sandbox.output(), "/app= /app/empty= ");
    // The key `app` and the folder `app/` are one key to a template. The folder sorts last, so its
    // value counts.
    server.put("app", "1");
    onetime(&sandbox, &server.address()).ok();
    assert_eq!(sandbox.output(), "/app= /app/empty= ");
}

#[test]
fn values_are_bytes() {
    let server = Consul::start();
    server.put("app/a", b"\0\xff\r\n\"<\xe2\x82\xac");
    let sandbox = Sandbox::rendering("{{getv \"/app/a\"}}");
    onetime(&sandbox, &server.address()).ok();
    let bytes = std::fs::read(sandbox.path("out/app")).unwrap();
    assert_eq!(bytes, b"\0\xff\r\n\"<\xe2\x82\xac");
}

#[test]
fn a_key_may_have_letters_that_mean_something_in_an_address() {
    let server = Consul::start();
    // Consul refuses a percent sign together with a space.
    for key in ["app/a b?c#d&e=\u{e9}+", "app/d%41"] {
        server.put(key, "1");
        let sandbox = asking_for(&format!("['/{key}']"));
        onetime(&sandbox, &server.address()).ok();
        assert_eq!(sandbox.output(), format!("/{key}=1 "));
    }
}

#[test]
fn a_key_that_consul_does_not_take_is_named_and_costs_no_other_resource() {
    let server = Consul::start();
    server.put("app/a", "1");
    for mode in ["-onetime", "-watch"] {
        let sandbox = asking();
        let table = "[template]\nsrc = 'app'\ndest = 'out/b'\nkeys = ['/a%20b']";
        sandbox.write("conf.d/b.toml", table);
        let run = sandbox.confd(&[mode, "-backend", "consul", "-node", &server.address()]);
        let daemon = Daemon::start(run, sandbox.path("log"));
        daemon.wait_for("Cannot read /a%20b: consul at http");
        daemon.wait_for("refused: invalid key name");
        eventually("the other file is there", || sandbox.output() == "/app/a=1 ");
        let ended = if mode == "-watch" { daemon.stop(Signal::TERM) } else { daemon.wait() };
        assert_eq!(ended.code, Some(if mode == "-watch" { 0 } else { 1 }), "{}", ended.stderr);
    }
}

#[test]
fn the_scheme_of_a_node_decides_about_tls() {
    let server = Consul::start();
    server.put("app/a", "1");
    for (node, more) in [
        (server.address(), &[][..]),
        (server.address(), &["-scheme", "http"]),
        (server.url(), &[]),
        // The scheme of the node wins over the flag.
        (server.url(), &["-scheme", "https"]),
    ] {
        let sandbox = asking();
        let ended = onetime(&sandbox, &node).arguments(more).ok();
        ended.expect("INFO Backend set to consul");
        ended.expect(&format!("INFO Backend source(s) set to {node}"));
        assert_eq!(sandbox.output(), "/app/a=1 ");
    }
    let sandbox = asking();
    onetime(&sandbox, &server.address()).arguments(&["-scheme", "https"]).fails();
    assert_eq!(sandbox.list("out"), [""; 0]);
}

#[test]
fn a_socket_is_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("unix://{}", folder.path().join("s").display());
    let server = Consul::start_with(&format!("addresses {{ http = \"127.0.0.1 {socket}\" }}"));
    server.put("app/a", "1");
    let sandbox = asking();
    onetime(&sandbox, &socket).ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
    let ended = onetime(&sandbox, "unix:///nope").fails();
    assert!(ended.stderr.contains("unix:///nope: no such file or directory"), "{}", ended.stderr);
}

#[test]
fn without_a_node_it_is_the_agent_of_this_machine() {
    let ended = asking().confd(&["-onetime", "-backend", "consul"]).run();
    ended.expect("INFO Backend source(s) set to 127.0.0.1:8500");
}

#[test]
fn a_node_that_is_not_there_is_named_with_the_reason() {
    let sandbox = asking();
    let ended = onetime(&sandbox, "127.0.0.1:1").fails();
    assert!(ended.stderr.contains("ERROR cannot reach "), "{}", ended.stderr);
    assert!(ended.stderr.contains("127.0.0.1:1: connection refused"), "{}", ended.stderr);
    assert_eq!(sandbox.list("out"), [""; 0]);
}

#[test]
fn a_dead_node_is_passed_over() {
    let server = Consul::start();
    server.put("app/a", "1");
    let sandbox = asking();
    onetime(&sandbox, "127.0.0.1:1").arguments(&["-node", &server.address()]).ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
}

#[test]
fn changes_reach_the_file_also_after_a_restart_of_the_server() {
    let mut server = Consul::durable();
    server.put("app/a", "1");
    let sandbox = asking();
    let daemon = watching(&sandbox, &server.address(), &[]);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    server.put("app/a", "2");
    eventually("a change", || sandbox.output() == "/app/a=2 ");
    server.kill();
    server.restart();
    server.wait();
    server.put("app/b", "3");
    eventually("a change after a restart", || sandbox.output() == "/app/a=2 /app/b=3 ");
    server.delete_all("app/");
    eventually("a deletion", || sandbox.output().is_empty());
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_server_that_is_down_at_the_start_is_waited_for() {
    let mut server = Consul::durable();
    server.put("app/a", "1");
    server.kill();
    let sandbox = asking();
    let daemon = watching(&sandbox, &server.address(), &[]);
    daemon.wait_for("cannot reach ");
    server.restart();
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

/// Two resources, `a` and `b`, with the keys `/a` and `/b`.
fn two() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        sandbox.write(&format!("templates/{name}"), format!("{{{{getv \"/{name}/v\"}}}}"));
        let table =
            format!("[template]\nsrc = '{name}'\ndest = 'out/{name}'\nkeys = ['/{name}/v']\n");
        sandbox.write(&format!("conf.d/{name}.toml"), table);
    }
    sandbox
}

#[test]
fn a_write_to_other_keys_wakes_no_resource_and_causes_no_request() {
    let server = Consul::start();
    let proxy = Proxy::before(&server.address());
    server.put_all([("a/v", "1"), ("b/v", "1"), ("other", "1")]);
    let sandbox = two();
    let daemon = watching(&sandbox, &proxy.address(), &["-log-level", "debug"]);
    let becomes = |name: &str, text: &str| {
        eventually(&format!("{name} is {text}"), || sandbox.read(name) == text);
    };
    becomes("out/a", "1");
    becomes("out/b", "1");
    // The change of a key is seen after everything that was asked for before it.
    server.put("b/v", "2");
    becomes("out/b", "2");
    // The log is written beside the work, and can be behind the files.
    eventually("the log has both passes of b", || {
        daemon.stderr().matches("out/b has been updated").count() == 2
    });
    let passes = |log: &str| log.matches("Comparing candidate config to").count();
    let before = (passes(&daemon.stderr()), proxy.requests().len());
    for number in 0..200 {
        server.put("other", number.to_string());
        server.put("a/w", number.to_string());
    }
    server.put("b/v", "3");
    becomes("out/b", "3");
    let asked = proxy.requests().len() - before.1;
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(passes(&ended.stderr) - before.0, 1, "{}", ended.stderr);
    assert!(asked <= 3, "{asked} requests");
}

#[test]
fn a_thousand_resources_need_no_more_than_32_connections() {
    let server = Consul::start();
    let proxy = Proxy::before(&server.address());
    let sandbox = Sandbox::new();
    sandbox.write("templates/v", "{{range gets \"/*/*\"}}{{.Value}}{{end}}");
    let keys: Vec<_> = (0..1_000).map(|number| format!("r{number:03}/v")).collect();
    server.put_all(keys.iter().map(|key| (&**key, "0")));
    for (number, key) in keys.iter().enumerate() {
        let table = format!("[template]\nsrc = 'v'\ndest = 'out/{number}'\nkeys = ['/{key}']\n");
        sandbox.write(&format!("conf.d/{number}.toml"), table);
    }
    let daemon = watching(&sandbox, &proxy.address(), &["-log-level", "error"]);
    let is = |number: usize, text: &str| sandbox.read(&format!("out/{number}")) == text;
    eventually("all files are there", || (0..1_000).all(|number| is(number, "0")));
    for number in [0, 1, 499, 500, 998, 999] {
        server.put(&keys[number], "1");
        eventually("a change is there", || is(number, "1"));
    }
    assert!((2..499).all(|number| is(number, "0")));
    // All queries wait again, and no query is woken by a key that no resource asks for.
    let mut asked = 0;
    eventually("no more is asked", || {
        pause(Duration::from_millis(300));
        std::mem::replace(&mut asked, proxy.requests().len()) == proxy.requests().len()
    });
    for number in 0..200 {
        server.put("other", number.to_string());
    }
    throughout(Duration::from_millis(300), "nothing is asked", || proxy.requests().len() == asked);
    assert!(proxy.most_connections() <= 32, "{} connections", proxy.most_connections());
    let ended = daemon.stop(Signal::TERM);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[test]
fn resources_on_the_same_keys_cost_one_query_for_each_change() {
    let server = Consul::start();
    let proxy = Proxy::before(&server.address());
    server.put("app/a", "0");
    let sandbox = asking();
    for name in ["b", "c", "d"] {
        let table = format!("[template]\nsrc = 'app'\ndest = 'out/{name}'\nkeys = ['/app']\n");
        sandbox.write(&format!("conf.d/{name}.toml"), table);
    }
    let daemon = watching(&sandbox, &proxy.address(), &[]);
    let all_are = |value: &str| {
        let expected = format!("/app/a={value} ");
        let names = ["app", "b", "c", "d"];
        eventually(&format!("all files have {expected:?}"), || {
            names.iter().all(|name| sandbox.read(&format!("out/{name}")) == expected)
        });
    };
    all_are("0");
    server.put("app/a", "1");
    all_are("1");
    let listings = || -> Vec<String> {
        proxy.requests().into_iter().filter(|line| line.contains("recurse")).collect()
    };
    eventually("it waits again", || listings().len() == 3);
    for number in 2..5 {
        server.put("app/a", number.to_string());
        all_are(&number.to_string());
        let asked = 2 + number;
        eventually("it waits again", || listings().len() >= asked);
        assert_eq!(listings().len(), asked, "{:?}", proxy.requests());
    }
    assert_eq!(proxy.most_connections(), 2);
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn changes_reach_the_file_although_one_node_after_the_other_is_killed() {
    let mut members: [Consul; 3] = Consul::cluster();
    members[0].put("app/a", "0");
    let sandbox = asking();
    let nodes: Vec<String> =
        members.iter().flat_map(|member| ["-node".to_owned(), member.address()]).collect();
    let run = sandbox.confd(&["-watch", "-backend", "consul"]).arguments(&nodes);
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("the first pass", || sandbox.output() == "/app/a=0 ");
    for victim in 0..3 {
        members[victim].kill();
        let other = (victim + 1) % 3;
        members[other].wait();
        members[other].put("app/a", format!("without {victim}"));
        let expected = format!("/app/a=without {victim} ");
        eventually("a change without one node", || sandbox.output() == expected);
        members[victim].restart();
        members[victim].wait();
    }
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn where_and_how_truly_is_a_part_of_each_question() {
    let options = [
        (&[][..], "/v1/kv/app?recurse="),
        (&["-consistency", "consistent"], "/v1/kv/app?recurse=&consistent="),
        (&["-consistency", "stale"], "/v1/kv/app?recurse=&stale="),
        (
            &["-datacenter", "dc2", "-namespace", "n", "-partition", "p"],
            "/v1/kv/app?recurse=&dc=dc2&ns=n&partition=p",
        ),
    ];
    for (flags, target) in options {
        let stub = Stub::answering(|_| no_key());
        onetime(&asking(), &stub.address()).arguments(flags).ok();
        assert!(stub.heads()[0].starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{flags:?}");
    }
    let server = Consul::start();
    server.put("app/a", "1");
    for consistency in ["default", "consistent", "stale"] {
        let sandbox = asking();
        onetime(&sandbox, &server.address()).arguments(&["-consistency", consistency]).ok();
        assert_eq!(sandbox.output(), "/app/a=1 ");
    }
    let sandbox = asking();
    let ended = onetime(&sandbox, &server.address()).arguments(&["-datacenter", "nope"]).fails();
    assert!(ended.stderr.contains("No path to datacenter"), "{}", ended.stderr);
    let ended = onetime(&sandbox, &server.address()).arguments(&["-consistency", "best"]).fails();
    ended.expect("FATAL consistency is \"default\", \"consistent\" or \"stale\", not \"best\"");
}

#[test]
fn in_mode_stale_any_server_answers_as_long_as_it_hears_of_the_leader() {
    let mut members: [Consul; 3] = Consul::cluster();
    members[0].put("app/a", "1");
    let asked = members.iter().position(|member| !member.is_leader()).unwrap();
    let stale = |address: &str, more: &[&str]| {
        let sandbox = asking();
        let run = onetime(&sandbox, address).arguments(&["-consistency", "stale"]);
        (run.arguments(more).run(), sandbox.output())
    };
    let address = members[asked].address();
    eventually("the value is there", || stale(&address, &[]).1 == "/app/a=1 ");
    members.iter_mut().enumerate().filter(|(number, _)| *number != asked).for_each(|(_, other)| {
        other.kill();
    });
    eventually("nobody leads", || {
        let answer = members[asked].try_ask("GET /v1/kv/app/a?stale", b"").unwrap();
        answer.header("X-Consul-KnownLeader") == Some("false")
    });
    let (ended, output) = stale(&address, &[]);
    assert_eq!((ended.code, &*output), (Some(1), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot reach consul: "), "{}", ended.stderr);
}

#[test]
fn a_reconcile_reads_again_and_leaves_the_blocking_queries_as_they_are() {
    let server = Consul::start();
    let proxy = Proxy::before(&server.address());
    server.put_all([("a/x", "1"), ("b/x", "2"), ("c/x", "3")]);
    let sandbox = asking_for("['/a', '/b', '/c']");
    sandbox.write("templates/app", "{{getv \"/a/x\"}}{{getv \"/b/x\"}}{{getv \"/c/x\"}}");
    let daemon = watching(&sandbox, &proxy.address(), &["-reconcile", "200ms"]);
    let requests = |key: &str, is_blocking: bool| {
        let begin = format!("GET /v1/kv/{key}?");
        let is_counted =
            |line: &&String| line.starts_with(&begin) && line.contains("&index=") == is_blocking;
        proxy.requests().iter().filter(is_counted).count()
    };
    for key in ["a", "b", "c"] {
        eventually("each prefix was read often", || requests(key, false) >= 8);
    }
    // Consul keeps a blocking query until its wait is over, even if the connection is closed.
    for key in ["a", "b", "c"] {
        assert_eq!(requests(key, true), 1, "{key}: {:?}", proxy.requests());
    }
    server.put("b/x", "5");
    eventually("the change is in the file", || sandbox.output() == "153");
    // Two blocking queries for each prefix, and one reading.
    assert!(proxy.most_connections() <= 7, "{} connections", proxy.most_connections());
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn an_answer_without_end_is_an_error() {
    let head = "HTTP/1.1 200 OK\r\nX-Consul-Index: 1\r\n\r\n";
    let stub = Stub::without_end(head, vec![b' '; 1 << 20], Duration::ZERO);
    let ended = onetime(&asking(), &stub.address()).fails();
    let error =
        format!("cannot reach consul: http://{}: its answer is larger than", stub.address());
    assert!(ended.stderr.contains(&error), "{}", ended.stderr);
}
