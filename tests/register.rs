//! `confd register`: a process or the services of a file announce themselves.

use rustix::process::Signal;
use serde_json::Value;
use servers::{Certificates, Consul, Etcd, Release};

use crate::support::{Daemon, Run, Sandbox, eventually, search_path};

/// `confd register` with these words.
fn register(sandbox: &Sandbox, words: &[&str]) -> Run {
    let run = Run::new(env!("CARGO_BIN_EXE_confd"), sandbox.root());
    run.env("PATH", search_path()).arguments(&["register"]).arguments(words)
}

/// The status of the service `id`, and how it is reached; `None` if Consul has no such service.
fn seen(consul: &Consul, id: &str) -> Option<(String, String)> {
    let answer = consul.ask("GET /v1/health/service/web", b"");
    let entries: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
    let entry = entries.iter().find(|entry| entry["Service"]["ID"] == id)?;
    let checks = entry["Checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["ServiceID"] == id)?;
    let (address, port) = (&entry["Service"]["Address"], &entry["Service"]["Port"]);
    Some((check["Status"].as_str()?.to_owned(), format!("{}:{port}", address.as_str()?)))
}

fn is(consul: &Consul, status: &str) -> bool {
    seen(consul, "w1").is_some_and(|(is, _)| is == status)
}

const WEB: [&str; 8] = ["-name", "web", "-id", "w1", "-address", "10.0.0.1", "-port", "8080"];

#[test]
fn a_command_is_a_service_of_consul_that_is_as_healthy_as_its_check() {
    let (sandbox, consul) = (Sandbox::new(), Consul::start());
    let registry = consul.url().replace("http:", "consul:");
    let check = ["-check", "cmd:test -e up", "-interval", "100ms", "-ttl", "3", "-drain", "0s"];
    let words = [&WEB[..], &check, &[&registry, "--", "sleep", "1000"]].concat();
    let daemon = Daemon::start(register(&sandbox, &words), sandbox.path("log"));
    // It is announced when its check holds for the first time.
    daemon.wait_for("not registered before its check holds: w1: cmd:test -e up: exit status 1");
    assert_eq!(seen(&consul, "w1"), None);
    sandbox.write("up", "");
    eventually("it is passing", || is(&consul, "passing"));
    assert_eq!(seen(&consul, "w1").unwrap().1, "10.0.0.1:8080");
    std::fs::remove_file(sandbox.path("up")).unwrap();
    eventually("it is critical", || is(&consul, "critical"));
    daemon.wait_for("unhealthy: w1");
    sandbox.write("up", "");
    eventually("it is passing again", || is(&consul, "passing"));
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(seen(&consul, "w1"), None);
}

#[test]
fn a_service_that_is_killed_is_not_healthy_for_longer_than_its_ttl() {
    let (sandbox, consul) = (Sandbox::new(), Consul::start());
    let registry = consul.url().replace("http:", "consul:");
    let words = [&WEB[..], &["-check", "none", "-ttl", "1", &registry, "--", "sleep", "1000"]];
    let daemon = Daemon::start(register(&sandbox, &words.concat()), sandbox.path("log"));
    eventually("it is passing", || is(&consul, "passing"));
    daemon.signal(Signal::KILL);
    eventually("it is critical", || is(&consul, "critical"));
}

#[test]
fn a_key_of_consul_that_another_program_removes_comes_back() {
    let (sandbox, consul) = (Sandbox::new(), Consul::start());
    let registry = format!("{}/services", consul.url().replace("http:", "consulkv:"));
    let fast = ["-check", "none", "-interval", "100ms", "-drain", "0s"];
    let words = [&WEB[..], &fast, &[&registry, "--", "sleep", "1000"]].concat();
    let created = || {
        let address = consul.url().replace("http://", "");
        let answer =
            servers::http::exchange(&address, "GET /v1/kv/services/web/w1", &[], b"").unwrap();
        let pairs: Option<Value> = serde_json::from_slice(&answer.body).ok();
        pairs?[0]["CreateIndex"].as_u64()
    };
    let daemon = Daemon::start(register(&sandbox, &words), sandbox.path("log"));
    eventually("the key is there", || created().is_some());
    let first = created();
    consul.ask("DELETE /v1/kv/services/web/w1", b"");
    eventually("the key is made again", || created().is_some_and(|now| Some(now) != first));
    let ended = daemon.stop(Signal::TERM);
    assert_eq!((ended.code, created()), (Some(0), None), "{}", ended.stderr);
}

#[test]
fn a_service_is_a_key_of_version_2_of_etcds_api_that_ends_after_a_sudden_death() {
    let sandbox = Sandbox::new();
    let etcd = Etcd::start_with(Release::Debian, &["--enable-v2=true"]);
    let node = || {
        let answer = servers::http::exchange(&etcd.address(), "GET /v2/keys/s/web/w1", &[], b"");
        let answer = answer.unwrap();
        (answer.status == 200).then(|| serde_json::from_slice::<Value>(&answer.body).unwrap())
    };
    let registry = format!("etcd2://{}/s", etcd.address());
    let fast = ["-check", "none", "-ttl", "2", "-drain", "0s"];
    let words = [&WEB[..], &fast, &[&registry, "--", "sleep", "1000"]].concat();
    let daemon = Daemon::start(register(&sandbox, &words), sandbox.path("log"));
    eventually("the key is there", || node().is_some());
    let first = node().unwrap()["node"].clone();
    assert_eq!((&first["value"], first["ttl"].as_u64()), (&"10.0.0.1:8080".into(), Some(2)));
    eventually("the key is refreshed", || {
        node().is_some_and(|now| now["node"]["modifiedIndex"] != first["modifiedIndex"])
    });
    let ended = daemon.stop(Signal::TERM);
    assert_eq!((ended.code, node()), (Some(0), None), "{}", ended.stderr);
    let daemon = Daemon::start(register(&sandbox, &words), sandbox.path("log"));
    eventually("the key is there again", || node().is_some());
    daemon.signal(Signal::KILL);
    eventually("the key has ended", || node().is_none());
}

#[test]
fn an_etcd_without_version_2_is_named_with_the_flag_that_turns_it_on() {
    let (sandbox, etcd) = (Sandbox::new(), Etcd::start(Release::Newest));
    let registry = format!("etcd2://{}/s", etcd.address());
    let words = [&WEB[..], &["-check", "none", "-drain", "0s", &registry, "--", "sleep", "1000"]];
    let daemon = Daemon::start(register(&sandbox, &words.concat()), sandbox.path("log"));
    daemon.wait_for("404 page not found (404) (this etcd does not serve version 2 of the API");
    daemon.wait_for("--enable-v2");
}

#[test]
fn a_user_that_may_only_write_keeps_its_key_in_etcd() {
    let (sandbox, etcd) = (Sandbox::new(), Etcd::start(Release::Debian));
    for command in [
        &["user", "add", "root:rootpw"][..],
        &["user", "grant-role", "root", "root"],
        &["user", "add", "reg:hush4321"],
        &["role", "add", "reg"],
        &["role", "grant-permission", "--prefix=true", "reg", "write", "/s/"],
        &["user", "grant-role", "reg", "reg"],
        &["auth", "enable"],
    ] {
        etcd.ctl(command);
    }
    let registry = format!("etcd://{}/s", etcd.address());
    let fast = ["-check", "none", "-interval", "100ms", "-ttl", "2", "-drain", "0s"];
    let words = [&WEB[..], &fast, &[&registry, "--", "sleep", "1000"]].concat();
    let run = register(&sandbox, &words).env("ETCDCTL_USER", "reg:hush4321");
    let key = || etcd.ctl(&["--user", "root:rootpw", "get", "/s/web/w1", "-w", "fields"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("the key is written again and again", || {
        let key = key();
        let version = key.lines().find_map(|line| line.strip_prefix("\"Version\" : "));
        version.and_then(|version| version.parse::<u32>().ok()).is_some_and(|version| version > 3)
    });
    assert!(!daemon.stderr().contains("failed"), "{}", daemon.stderr());
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!key().contains("w1"), "{}", key());
}

#[test]
fn the_exit_code_is_that_of_the_command_and_the_entry_ends_with_it() {
    let (sandbox, consul) = (Sandbox::new(), Consul::start());
    let registry = consul.url().replace("http:", "consul:");
    let code = |command: &[&str]| {
        let words = [&WEB[..], &["-check", "none", "-drain", "0s", &registry, "--"], command];
        let ended = register(&sandbox, &words.concat()).run();
        assert_eq!(seen(&consul, "w1"), None, "{command:?}: {}", ended.stderr);
        ended.code
    };
    let (answer, host) = ("until grep -q registered log; do sleep 0.01; done; exit 7", "sh");
    let words =
        [&WEB[..], &["-check", "none", "-drain", "0s", &registry, "--", host, "-c", answer]];
    let daemon = Daemon::start(register(&sandbox, &words.concat()), sandbox.path("log"));
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    assert_eq!(seen(&consul, "w1"), None);
    assert_eq!(code(&["sh", "-c", "kill -KILL $$"]), Some(137));
    assert_eq!(code(&["no-such-program"]), Some(127));
    assert_eq!(code(&["true"]), Some(0));
}

#[test]
fn a_stop_ends_everything_that_the_command_has_started() {
    let sandbox = Sandbox::new();
    // A process that has ended has no command line, also before its parent has waited for it.
    let runs = || {
        let id = sandbox.read("pid");
        std::fs::read(format!("/proc/{}/cmdline", id.trim())).is_ok_and(|words| !words.is_empty())
    };
    for child in ["sleep 1000", "sh -c 'trap : TERM; while :; do sleep 1000; done'"] {
        let command = format!("{child} & echo $! >pid; wait");
        let times = ["-check", "cmd:test -s pid", "-drain", "0s", "-kill-timeout", "500ms"];
        let words =
            [&WEB[..], &times, &["-noop", "etcd://127.0.0.1:1/s", "--", "sh", "-c", &command]];
        let daemon = Daemon::start(register(&sandbox, &words.concat()), sandbox.path("log"));
        daemon.wait_for("register: w1");
        assert!(runs());
        let ended = daemon.stop(Signal::TERM);
        assert_eq!((ended.code, runs()), (Some(0), false), "{child}: {}", ended.stderr);
        sandbox.write("pid", "");
    }
}

#[test]
fn with_noop_the_log_says_what_would_be_done() {
    let sandbox = Sandbox::new();
    let words = ["-noop", "-check", "none", "-drain", "0s", "etcd://127.0.0.1:1/s"];
    let words = [&WEB[..], &words, &["--", "sleep", "1000"]].concat();
    let daemon = Daemon::start(register(&sandbox, &words), sandbox.path("log"));
    daemon.wait_for("would register: w1 at 10.0.0.1:8080");
    let ended = daemon.stop(Signal::TERM);
    assert!(ended.stderr.contains("would remove: w1"), "{}", ended.stderr);
    for done in ["registered:", "removed:"] {
        assert!(!ended.stderr.contains(done), "{}", ended.stderr);
    }
}

#[test]
fn a_full_etcd_refuses_in_its_own_words() {
    let sandbox = Sandbox::new();
    let etcd = Etcd::start_with(Release::Debian, &["--quota-backend-bytes", "1"]);
    let registry = format!("etcd://{}/s", etcd.address());
    let words = [&WEB[..], &["-check", "none", "-drain", "0s", &registry, "--", "sleep", "1000"]];
    let daemon = Daemon::start(register(&sandbox, &words.concat()), sandbox.path("log"));
    daemon.wait_for("refused: etcdserver: mvcc: database space exceeded");
    assert!(!daemon.stderr().contains("cannot reach"), "{}", daemon.stderr());
}

#[test]
fn services_of_a_file_are_announced_until_a_signal() {
    let (sandbox, etcd) = (Sandbox::new(), Etcd::start(Release::Debian));
    sandbox.write(
        "services.toml",
        "[[register]]\nname = 'web'\nport = 8080\ncheck = ['none']\n\n\
         [[register]]\nname = 'db'\nid = 'db-1'\naddress = '10.0.0.5'\nport = 5432\ncheck = ['none']\n",
    );
    let registry = format!("etcd://{}/s", etcd.address());
    let words =
        ["-file", "services.toml", "-ip", "10.0.0.1", "-ttl", "2", "-drain", "0s", &registry];
    let keys = || etcd.ctl(&["get", "--prefix", "/s/"]);
    let daemon = Daemon::start(register(&sandbox, &words), sandbox.path("log"));
    eventually("both are there", || {
        let keys = keys();
        keys.contains("/s/db/db-1\n10.0.0.5:5432") && keys.contains("\n10.0.0.1:8080")
    });
    let ended = daemon.stop(Signal::TERM);
    assert_eq!((ended.code, &*keys()), (Some(0), ""), "{}", ended.stderr);
    let daemon = Daemon::start(register(&sandbox, &words), sandbox.path("log"));
    eventually("both are there", || keys().lines().count() == 4);
    daemon.signal(Signal::KILL);
    eventually("both have ended", || keys().is_empty());
}

#[test]
fn a_mistake_in_the_file_names_its_line_and_nothing_is_announced() {
    let sandbox = Sandbox::new();
    for (text, error) in [
        ("[[register]]\nname = 'web'\nprot = 80\n", "services.toml:3: "),
        ("[[register]]\nname = 'web'\nport = 'x'\n", "services.toml:3: "),
        ("[[register]]\nname = \n", "services.toml:2: "),
        ("\n[[register]]\nname = 'web'\n", "services.toml:2: the service web has no port"),
        (
            "[[register]]\nname = 'a'\nport = 1\n[[register]]\nname = 'a'\nport = 1\naddress = 'h'\n",
            "two services a have the id ",
        ),
    ] {
        sandbox.write("services.toml", text);
        let ended = register(&sandbox, &["-file", "services.toml", "consul://127.0.0.1:1"]).fails();
        assert!(ended.stderr.contains(error), "{}", ended.stderr);
    }
    let ended = register(&sandbox, &["-file", "none.toml", "consul://127.0.0.1:1"]).fails();
    assert!(ended.stderr.contains("open none.toml: no such file or directory"), "{}", ended.stderr);
}

#[test]
fn consul_is_reached_with_a_token_and_certificates() {
    let (sandbox, files) = (Sandbox::new(), Certificates::new());
    let consul = Consul::with_tokens_and_certificates(&files);
    let rules = "service_prefix \"\" { policy = \"write\" } node_prefix \"\" { policy = \"read\" }";
    let token = consul.token(rules).secret;
    let port = consul.secure_address();
    let port = port.rsplit_once(':').unwrap().1;
    let registry = format!("consul-tls://localhost:{port}");
    let words = [&WEB[..], &["-check", "none", "-drain", "0s", &registry, "--", "sleep", "1000"]];
    let with = |token: &str| {
        register(&sandbox, &words.concat())
            .env("CONSUL_CACERT", files.path("ca.pem"))
            .env("CONSUL_CLIENT_CERT", files.path("client.pem"))
            .env("CONSUL_CLIENT_KEY", files.path("client.key"))
            .env("CONSUL_HTTP_TOKEN", token)
    };
    let daemon = Daemon::start(with(&token), sandbox.path("log"));
    eventually("it is passing", || is(&consul, "passing"));
    let ended = daemon.stop(Signal::TERM);
    assert_eq!((ended.code, seen(&consul, "w1")), (Some(0), None), "{}", ended.stderr);
    let unknown = "00000000-0000-4000-8000-000000000000";
    let refused = Daemon::start(with(unknown), sandbox.path("refused"));
    refused.wait_for("ACL not found");
    assert!(!refused.stderr().contains(unknown), "{}", refused.stderr());
    assert_eq!(seen(&consul, "w1"), None);
}

#[test]
fn etcd_is_reached_with_a_password_and_certificates() {
    let (sandbox, files) = (Sandbox::new(), Certificates::new());
    let path = |name| files.path(name).display().to_string();
    let tls = ["--cert-file", &path("server.pem"), "--key-file", &path("server.key")];
    let etcd = Etcd::start_with(Release::Debian, &tls);
    let ca = path("ca.pem");
    let ctl = |words: &[&str]| etcd.ctl(&[&["--cacert", &ca], words].concat());
    for command in [
        &["user", "add", "root:rootpw"][..],
        &["user", "grant-role", "root", "root"],
        &["user", "add", "reg:hush4321"],
        &["role", "add", "reg"],
        &["role", "grant-permission", "--prefix=true", "reg", "readwrite", "/s/"],
        &["user", "grant-role", "reg", "reg"],
        &["auth", "enable"],
    ] {
        ctl(command);
    }
    let registry = format!("etcd-tls://{}/s", etcd.address());
    let words = [&WEB[..], &["-check", "none", "-drain", "0s", &registry, "--", "sleep", "1000"]];
    let with = |user: &str| {
        register(&sandbox, &words.concat())
            .env("ETCDCTL_CACERT", files.path("ca.pem"))
            .env("ETCDCTL_USER", user)
    };
    let keys = || ctl(&["--user", "root:rootpw", "get", "--prefix", "/s/"]);
    let daemon = Daemon::start(with("reg:hush4321"), sandbox.path("log"));
    eventually("it is there", || keys() == "/s/web/w1\n10.0.0.1:8080\n");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!((ended.code, &*keys()), (Some(0), ""), "{}", ended.stderr);
    let refused = Daemon::start(with("reg:wrong-pw"), sandbox.path("refused"));
    refused.wait_for("authentication failed");
    assert!(!refused.stderr().contains("wrong-pw"), "{}", refused.stderr());
    assert_eq!(keys(), "");
}

#[test]
fn a_check_that_takes_long_does_not_let_the_entry_end() {
    let (sandbox, etcd) = (Sandbox::new(), Etcd::start(Release::Debian));
    let registry = format!("etcd://{}/s", etcd.address());
    // The second check takes longer than the entry lives without a refresh.
    let check = "cmd:test -e first || { touch first; exit 0; }; sleep 3.5; touch second";
    let times = ["-ttl", "2", "-interval", "4s", "-drain", "0s"];
    let words = [&WEB[..], &times, &["-check", check, &registry, "--", "sleep", "1000"]].concat();
    let daemon = Daemon::start(register(&sandbox, &words), sandbox.path("log"));
    let keys = || etcd.ctl(&["get", "--prefix", "--keys-only", "/s/"]);
    eventually("it is there", || keys().contains("w1"));
    eventually("the second check has ended", || {
        assert!(keys().contains("w1"), "the entry has ended: {}", daemon.stderr());
        sandbox.path("second").exists()
    });
}

#[test]
fn a_service_cannot_leave_the_prefix_of_its_registry() {
    let sandbox = Sandbox::new();
    for registry in ["etcd://127.0.0.1:1/s", "consulkv://127.0.0.1:1/s"] {
        for (name, id) in [("..", "x"), ("a/../../..", "b"), (".", "."), ("a\nb", "x")] {
            let words = ["-name", name, "-id", id, "-port", "80", registry, "--", "true"];
            let ended = register(&sandbox, &words).fails();
            assert!(ended.stderr.contains("cannot be a key below s/"), "{}", ended.stderr);
        }
    }
    for id in ["..", "a/../b", "a\nb"] {
        let words =
            ["-name", "web", "-id", id, "-port", "80", "consul://127.0.0.1:1", "--", "true"];
        let ended = register(&sandbox, &words).fails();
        assert!(ended.stderr.contains("Consul could not remove it again"), "{}", ended.stderr);
    }
}

#[test]
fn a_mistake_on_the_command_line_says_what_to_write() {
    let sandbox = Sandbox::new();
    for (words, text) in [
        (
            &["-name", "web", "-port", "80", "consul://h", "sleep", "1"][..],
            "A command stands behind --: consul://h -- sleep 1",
        ),
        (&["-name", "web", "consul://h", "--", "true"], "-port is missing"),
        (&["consul://h", "--"], "a command is missing behind --"),
        (&["-port", "80", "consul://h", "--", "true"], "a command needs -name and -port"),
        (&["127.0.0.1:8500"], "write consul://127.0.0.1:8500 or etcd://127.0.0.1:8500"),
        (&["http://127.0.0.1:8500"], "write consul://127.0.0.1:8500 or etcd://127.0.0.1:8500"),
        (&["etcdv3://127.0.0.1:2379/s"], "write etcd://127.0.0.1:2379/s"),
        (&["consul://a:8500,b:8500"], "one agent"),
    ] {
        let ended = register(&sandbox, words).run();
        assert!(ended.code.is_some_and(|code| code > 0), "{words:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(text), "{words:?}: {}", ended.stderr);
    }
    let confd = Run::new(env!("CARGO_BIN_EXE_confd"), sandbox.root());
    let ended = confd.arguments(&["consul://127.0.0.1:8500"]).run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let hint = "to register containers, write confd registrator consul://…";
    assert!(ended.stderr.contains(hint), "{}", ended.stderr);
}

#[test]
fn a_ttl_that_consul_refuses_is_reported_with_the_setting_that_allows_it() {
    let sandbox = Sandbox::new();
    let words = ["-ttl", "5", "-check", "none", "consulkv://127.0.0.1:1/s", "--", "true"];
    let ended = register(&sandbox, &[&WEB[..], &words].concat()).run();
    let text = "Consul refuses a -ttl below 10, unless its session_ttl_min is lower";
    assert!(ended.stderr.contains(text), "{}", ended.stderr);
}

#[test]
fn a_number_without_end_is_a_long_time() {
    let sandbox = Sandbox::new();
    for flag in ["-resync=9223372036854775807", "-ttl=9223372036854775807"] {
        let words = [flag, "-retry-attempts=0", "-retry-interval=1", "etcd://127.0.0.1:1/s"];
        let ended = register(&sandbox, &words).run();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

#[test]
fn no_line_shows_a_password_of_the_command_line() {
    let sandbox = Sandbox::new();
    let check = ["-check", "http://joe:hush1@127.0.0.1:1/h", "-interval", "100ms"];
    let words = [&WEB[..], &check, &["consulkv://127.0.0.1:1/s", "--", "sleep", "1000"]].concat();
    let daemon = Daemon::start(register(&sandbox, &words), sandbox.path("log"));
    daemon.wait_for("not registered before its check holds: w1: http://joe:…@127.0.0.1:1/h: ");
    assert!(!daemon.stderr().contains("hush"), "{}", daemon.stderr());
    let words = ["etcd://joe:hush1@h/s", "etcd://joe:hush2@h/s"];
    let ended = register(&sandbox, &words).run();
    assert!(ended.stderr.contains("Extra unparsed arguments"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
}
