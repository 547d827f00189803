//! Changes in Redis, and faults, in watch mode.

use std::time::Duration;

use rustix::process::Signal;
use servers::{Proxy, Redis, Traffic};

use super::{asking, asking_for, onetime, watching};
use crate::support::{Sandbox, eventually, throughout};

#[test]
fn every_kind_of_change_reaches_the_file() {
    let server = Redis::start();
    server.set("/app/a", "1");
    server.ask(&["HSET", "/hash", "f", "1"]);
    let sandbox = asking_for("['/app', '/hash', '/text']");
    let daemon = watching(&sandbox, &server.address(), &[]);
    let sees = |what: &str, expected: &str| eventually(what, || sandbox.output() == expected);
    sees("the first pass", "/app/a=1 /hash/f=1 ");
    server.set("/app/a", "2");
    sees("SET", "/app/a=2 /hash/f=1 ");
    server.ask(&["INCR", "/app/a"]);
    sees("INCR", "/app/a=3 /hash/f=1 ");
    server.ask(&["SETRANGE", "/app/a", "1", "x"]);
    sees("SETRANGE", "/app/a=3x /hash/f=1 ");
    server.ask(&["RENAME", "/app/a", "/app/b"]);
    sees("RENAME", "/app/b=3x /hash/f=1 ");
    server.ask(&["SET", "/app/short", "1", "PX", "200"]);
    sees("a key that expires", "/app/b=3x /app/short=1 /hash/f=1 ");
    sees("its end", "/app/b=3x /hash/f=1 ");
    server.ask(&["HSET", "/hash", "g", "2"]);
    sees("HSET", "/app/b=3x /hash/f=1 /hash/g=2 ");
    server.ask(&["HDEL", "/hash", "f"]);
    sees("HDEL", "/app/b=3x /hash/g=2 ");
    server.ask(&["DEL", "/app/b", "/hash"]);
    sees("DEL", "");
    server.set("/text/x", "1");
    sees("a key below", "/text/x=1 ");
    server.set("/text", "2");
    sees("a string in place of what is below", "/text=2 ");
    server.ask(&["DEL", "/text"]);
    sees("what is below again", "/text/x=1 ");
    server.ask(&["RPUSH", "/text", "1"]);
    server.set("/app/last", "1");
    sees("a list that changes nothing", "/app/last=1 /text/x=1 ");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0));
    ended.expect_no("WARNING").expect_no("ERROR");
}

#[test]
fn an_emptied_database_is_noticed_although_redis_does_not_report_it() {
    let server = Redis::start();
    server.set("/app/a", "1");
    let sandbox = asking();
    let _daemon = watching(&sandbox, &server.address(), &[]);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    server.ask(&["FLUSHDB"]);
    eventually("nothing is left", || sandbox.output().is_empty());
}

#[test]
fn every_resource_sees_every_change_by_one_subscription() {
    let server = Redis::start();
    let network = Proxy::before(&server.address());
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..10).map(|number| format!("r{number}")).collect();
    for name in &names {
        server.set(&format!("/{name}/v"), "0");
        sandbox.write(&format!("templates/{name}"), format!("{{{{getv \"/{name}/v\"}}}}"));
        let table =
            format!("[template]\nsrc = '{name}'\ndest = 'out/{name}'\nkeys = ['/{name}']\n");
        sandbox.write(&format!("conf.d/{name}.toml"), table);
    }
    let _daemon = watching(&sandbox, &network.address(), &[]);
    let all = |value: &str| names.iter().all(|name| sandbox.read(&format!("out/{name}")) == value);
    eventually("the first passes", || sandbox.list("out").len() == 10 && all("0"));
    for value in ["1", "2"] {
        names.iter().for_each(|name| server.set(&format!("/{name}/v"), value));
        eventually("all see it", || all(value));
    }
    assert_eq!(network.most_connections(), 2);
}

#[test]
fn a_database_with_a_number_is_followed() {
    let server = Redis::start();
    server.ask_all(&[&["SELECT", "3"][..], &["SET", "/app/a", "1"]]);
    let sandbox = asking();
    let _daemon = watching(&sandbox, &format!("{}/3", server.address()), &[]);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    server.set("/app/a", "of database 0");
    server.ask_all(&[&["SELECT", "3"][..], &["SET", "/app/a", "2"]]);
    eventually("a change", || sandbox.output() == "/app/a=2 ");
}

#[test]
fn a_server_that_reports_nothing_is_read_again_and_again_and_the_log_says_what_to_set() {
    let server = Redis::start_with(&["--notify-keyspace-events", "Ex"]);
    server.set("/app/a", "1");
    let sandbox = asking();
    let daemon = watching(&sandbox, &server.address(), &["-poll-interval", "1s"]);
    daemon.wait_for("does not report all changes, because notify-keyspace-events is \"xE\"");
    daemon.wait_for("CONFIG SET notify-keyspace-events KAE");
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    server.set("/app/a", "2");
    eventually("a change", || sandbox.output() == "/app/a=2 ");
    server.ask(&["CONFIG", "SET", "notify-keyspace-events", "KAE"]);
    daemon.wait_for("INFO redis reports all changes now");
    server.set("/app/a", "3");
    eventually("a change that is reported", || sandbox.output() == "/app/a=3 ");
    let log = daemon.stop(Signal::TERM).stderr;
    assert_eq!(log.matches("does not report all changes").count(), 1, "{log}");
}

#[test]
fn a_user_who_may_not_ask_or_subscribe_is_served_all_the_same() {
    for (rules, words) in [
        (&["&*", "+psubscribe", "+ping"][..], "does not say whether it reports changes"),
        (&["+psubscribe", "+ping", "+config|get"], "does not report changes to this user: NOPERM"),
        (&["&*", "+config|get"], "does not report changes to this user: NOPERM"),
    ] {
        let server = Redis::start();
        server.set("/app/a", "1");
        let user = ["ACL", "SETUSER", "joe", "on", ">s3cret", "~*", "+@read"];
        server.ask(&[&user, rules].concat());
        let sandbox = asking();
        let more = ["-username", "joe", "-password", "s3cret", "-poll-interval", "1s"];
        let daemon = watching(&sandbox, &server.address(), &more);
        daemon.wait_for(words);
        eventually("the first pass", || sandbox.output() == "/app/a=1 ");
        for value in ["2", "3"] {
            server.set("/app/a", value);
            eventually("a change", || sandbox.output() == format!("/app/a={value} "));
        }
        let log = daemon.stop(Signal::TERM).stderr;
        assert_eq!(log.matches("WARNING").count(), 1, "{log}");
    }
}

#[test]
fn changes_during_an_outage_are_seen_after_it() {
    let mut server = Redis::start();
    server.set("/app/a", "1");
    server.set("/app/gone", "1");
    let sandbox = asking();
    let daemon = watching(&sandbox, &server.address(), &[]);
    eventually("the first pass", || sandbox.output() == "/app/a=1 /app/gone=1 ");
    server.kill();
    daemon.wait_for("cannot reach redis");
    server.restart();
    server.wait();
    server.set("/app/a", "2");
    server.ask(&["DEL", "/app/gone"]);
    eventually("the changes", || sandbox.output() == "/app/a=2 ");
    server.kill();
    server.wipe();
    server.restart();
    server.wait();
    eventually("a server without data", || sandbox.output().is_empty());
    server.set("/app/b", "3");
    eventually("a change after it", || sandbox.output() == "/app/b=3 ");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn an_outage_deletes_nothing() {
    let mut server = Redis::start();
    server.set("/app/a", "1");
    let sandbox = asking();
    let daemon = watching(&sandbox, &server.address(), &[]);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    server.kill();
    daemon.wait_for("cannot reach redis");
    throughout(Duration::from_millis(500), "the file stays", || sandbox.output() == "/app/a=1 ");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_server_that_is_down_at_the_start_is_waited_for() {
    let mut server = Redis::start();
    server.set("/app/a", "1");
    server.kill();
    let sandbox = asking();
    let daemon = watching(&sandbox, &server.address(), &[]);
    daemon.wait_for("cannot reach redis: ");
    server.restart();
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_hung_server_and_a_network_that_loses_everything_are_noticed() {
    let server = Redis::start();
    let network = Proxy::before(&server.address());
    server.set("/app/a", "1");
    let sandbox = asking();
    let daemon = watching(&sandbox, &network.address(), &["-read-timeout", "1s"]);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    server.process().freeze();
    daemon.wait_for("no answer within 1s");
    server.process().thaw();
    server.set("/app/a", "2");
    eventually("a change after it hung", || sandbox.output() == "/app/a=2 ");
    network.set(Traffic::Lost);
    server.set("/app/a", "3");
    eventually("the loss is noticed", || {
        daemon.stderr().matches("no answer within 1s").count() > 1
    });
    network.set(Traffic::Flows);
    eventually("a change after the loss", || sandbox.output() == "/app/a=3 ");
}

#[test]
fn a_slow_network_delays_and_loses_nothing() {
    let server = Redis::start();
    let network = Proxy::before(&server.address());
    server.set("/app/a", "1");
    network.set(Traffic::Slow(Duration::from_millis(100)));
    let sandbox = asking();
    let daemon = watching(&sandbox, &network.address(), &[]);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    for value in ["2", "3"] {
        server.set("/app/a", value);
        eventually("a change", || sandbox.output() == format!("/app/a={value} "));
    }
    daemon.stop(Signal::TERM).expect_no("ERROR");
}

#[test]
fn a_file_has_all_of_a_transaction_or_nothing_of_it() {
    let server = Redis::start();
    let keys: Vec<String> = (0..50).map(|number| format!("/app/{number}")).collect();
    let write = |value: &str| {
        let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, value)).collect();
        server.set_together(&pairs);
    };
    write("0");
    let sandbox = asking();
    let template = "{{range gets \"/app/*\"}}{{.Value}}\n{{end}}";
    sandbox.write("templates/app", template);
    // The check sees each content that would be put in place.
    let check = "check_cmd = 'test $(sort -u {{.src}} | wc -l) = 1'\n";
    let table = "[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = ['/app']\n";
    sandbox.write("conf.d/app.toml", format!("{table}{check}"));
    let daemon = watching(&sandbox, &server.address(), &[]);
    for number in 1..=200 {
        write(&number.to_string());
    }
    let last = "200\n".repeat(50);
    eventually("the last transaction", || sandbox.output() == last);
    daemon.stop(Signal::TERM).expect_no("ERROR");
}

#[test]
fn the_interval_mode_reads_again_also_after_a_restart() {
    let mut server = Redis::start();
    server.set("/app/a", "1");
    let sandbox = asking();
    let run = sandbox.confd(&["-interval", "1", "-backend", "redis", "-node", &server.address()]);
    let _daemon = crate::support::Daemon::start(run, sandbox.path("log"));
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    server.kill();
    server.restart();
    server.wait();
    server.set("/app/a", "2");
    eventually("a change", || sandbox.output() == "/app/a=2 ");
}

#[test]
fn after_a_failover_the_master_that_sentinel_names_is_followed() {
    let mut master = Redis::start();
    let replica = master.replica();
    let sentinel = master.sentinel("mymaster");
    eventually("the Sentinel knows the replica", || {
        sentinel.ask(&["SENTINEL", "replicas", "mymaster"]).contains(&replica.address())
    });
    master.set("/app/a", "1");
    let sandbox = asking();
    let named = ["-sentinel-master", "mymaster"];
    // A dead Sentinel is passed over.
    onetime(&sandbox, "127.0.0.1:1")
        .arguments(&["-node", &sentinel.address()])
        .arguments(&named)
        .ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
    let daemon = watching(&sandbox, &sentinel.address(), &named);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    master.set("/app/a", "2");
    eventually("a change", || sandbox.output() == "/app/a=2 ");
    eventually("the replica has it", || replica.ask(&["GET", "/app/a"]) == "2");
    master.kill();
    eventually("the replica is the master", || replica.try_ask(&["SET", "/app/a", "3"]).is_ok());
    eventually("a change of the new master", || sandbox.output() == "/app/a=3 ");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    let unknown = ["-sentinel-master", "other"];
    let ended = onetime(&sandbox, &sentinel.address()).arguments(&unknown).fails();
    let words = "this Sentinel knows no master with the name \"other\"";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    let ended = onetime(&sandbox, &sentinel.address()).fails();
    assert!(ended.stderr.contains("(perhaps this is a Sentinel: "), "{}", ended.stderr);
}

#[test]
fn a_master_that_was_replaced_is_left_although_it_still_answers() {
    let (old, new) = (Redis::with_password("hunter2"), Redis::with_password("hunter2"));
    let sentinel = old.sentinel("mymaster");
    old.set("/app/a", "old");
    new.set("/app/a", "new");
    let sandbox = asking();
    // The password in the address is that of the Sentinel.
    let node = format!("redis://:sentinel@{}", sentinel.address());
    let more = ["-sentinel-master", "mymaster", "-password", "hunter2"];
    let daemon = watching(&sandbox, &node, &more);
    eventually("the first pass", || sandbox.output() == "/app/a=old ");
    sentinel.ask(&["SENTINEL", "REMOVE", "mymaster"]);
    let port = new.address().replace("127.0.0.1:", "");
    sentinel.ask(&["SENTINEL", "MONITOR", "mymaster", "127.0.0.1", &port, "1"]);
    eventually("the new master", || sandbox.output() == "/app/a=new ");
    daemon.stop(Signal::TERM).expect_no("ERROR").expect_no("hunter2");
}

#[test]
fn a_cluster_is_read_and_followed_on_all_masters() {
    let servers = Redis::cluster::<3>();
    let set = |key: &str, value: &str| servers::redis::ask_cluster(&servers, &["SET", key, value]);
    let keys: Vec<String> = (0..30).map(|number| format!("/app/{number:02}")).collect();
    let all =
        |value: &str| -> String { keys.iter().map(|key| format!("{key}={value} ")).collect() };
    keys.iter().for_each(|key| _ = set(key, "1"));
    set("/other", "1");
    let sandbox = asking();
    onetime(&sandbox, &servers[1].address()).ok();
    assert_eq!(sandbox.output(), all("1"));
    let _daemon = watching(&sandbox, "127.0.0.1:1", &["-node", &servers[2].address()]);
    keys.iter().for_each(|key| _ = set(key, "2"));
    eventually("changes on all masters", || sandbox.output() == all("2"));
}

#[test]
fn a_replica_that_becomes_a_master_of_the_cluster_is_followed() {
    let mut servers = Vec::from(Redis::cluster::<3>());
    let replica = servers[0].replica_in_cluster();
    // This key is in a slot of the first member.
    servers::redis::ask_cluster(&servers, &["SET", "/app/{bar}", "1"]);
    eventually("the replica has it", || replica.ask(&["DBSIZE"]) == "1");
    let sandbox = asking();
    let nodes = ["-node", &servers[2].address()];
    let _daemon = watching(&sandbox, &servers[1].address(), &nodes);
    eventually("the first pass", || sandbox.output() == "/app/{bar}=1 ");
    servers[0].kill();
    servers.push(replica);
    eventually("the replica is a master", || {
        servers[3].try_ask(&["SET", "/app/{bar}", "2"]).is_ok()
    });
    eventually("a change of the new master", || sandbox.output() == "/app/{bar}=2 ");
}

#[test]
fn keys_that_move_to_a_new_master_of_the_cluster_are_missed_at_no_time() {
    let servers = Redis::cluster::<3>();
    let new = servers[0].master_in_cluster();
    // These keys are in a slot of the first member.
    let (slot, keys) = (5061, ["/app/{bar}a", "/app/{bar}b"]);
    keys.iter().for_each(|key| servers[0].set(key, "1"));
    let sandbox = asking();
    let both = "/app/{bar}a=1 /app/{bar}b=1 ";
    let daemon = watching(&sandbox, &servers[1].address(), &[]);
    eventually("the first pass", || sandbox.output() == both);
    servers[0].begin_moving(slot, &new);
    servers[0].move_key(keys[0], &new);
    for keys in ["['/app']", "['/app/{bar}a', '/app/{bar}b', '/app/{bar}c']"] {
        let sandbox = asking_for(keys);
        onetime(&sandbox, &servers[1].address()).ok();
        assert_eq!(sandbox.output(), both, "{keys}");
    }
    throughout(Duration::from_secs(1), "both are there", || sandbox.output() == both);
    new.ask_all(&[&["ASKING"][..], &["SET", keys[0], "2"]]);
    eventually("a change during the move", || sandbox.output() == "/app/{bar}a=2 /app/{bar}b=1 ");
    servers[0].move_key(keys[1], &new);
    servers[0].end_moving(slot, &new);
    new.set(keys[1], "3");
    eventually("a change after the move", || sandbox.output() == "/app/{bar}a=2 /app/{bar}b=3 ");
    daemon.stop(Signal::TERM).expect_no("ERROR");
}
