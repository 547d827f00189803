//! Keys from etcd.

use std::fs;

use rustix::process::Signal;
use servers::{Certificates, Etcd, Release};

use crate::support::{Daemon, Run, Sandbox, eventually};

/// A resource that prints the pairs below `/app`, and the pair of `/apple` if it exists.
const DUMP: &str = "{{range gets \"/app*\"}}{{.Key}}={{.Value}} {{end}}\
                    {{range gets \"/app/*\"}}{{.Key}}={{.Value}} {{end}}";

/// A sandbox with one resource that asks for the key `/app`.
fn asking() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", DUMP);
    sandbox
        .write("conf.d/app.toml", "[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = ['/app']\n");
    sandbox
}

fn onetime(sandbox: &Sandbox, backend: &str, node: &str) -> Run {
    sandbox.confd(&["-onetime", "-backend", backend, "-node", node])
}

/// A server that accepts only the user `root` (password `secret`).
fn with_users(release: Release) -> Etcd {
    let server = Etcd::start_with(release, &["--bcrypt-cost", "4"]);
    server.put("/app/a", "1");
    server.ctl(&["user", "add", "root:secret"]);
    server.ctl(&["user", "grant-role", "root", "root"]);
    server.ctl(&["auth", "enable"]);
    server
}

#[test]
fn both_names_of_the_backend_read_a_key_and_what_is_below_it() {
    let server = Etcd::start(Release::Newest);
    for (key, value) in [("/app", "0"), ("/app/a", "1"), ("/apple", "2"), ("/app-x", "3")] {
        server.put(key, value);
    }
    for (backend, node) in
        [("etcd", server.url()), ("etcdv3", server.url()), ("etcdv3", server.address())]
    {
        let sandbox = asking();
        let ended = onetime(&sandbox, backend, &node).ok();
        assert_eq!(sandbox.output(), "/app=0 /app/a=1 ");
        ended.expect(&format!("INFO Backend set to {backend}"));
        ended.expect(&format!("INFO Backend source(s) set to {node}"));
    }
}

#[test]
fn each_name_of_the_backend_has_its_default_node() {
    let sandbox = asking();
    for (backend, peers, nodes) in [
        ("etcd", "", "http://127.0.0.1:4001"),
        ("etcd", "http://127.0.0.1:1,127.0.0.1:2", "http://127.0.0.1:1, 127.0.0.1:2"),
        ("etcdv3", "http://127.0.0.1:1", "127.0.0.1:2379"),
    ] {
        let run = sandbox.confd(&["-onetime", "-backend", backend]).env("ETCDCTL_PEERS", peers);
        run.run().expect(&format!("INFO Backend source(s) set to {nodes}"));
    }
    let given = onetime(&sandbox, "etcd", "127.0.0.1:3").env("ETCDCTL_PEERS", "127.0.0.1:1");
    given.fails().expect("INFO Backend source(s) set to 127.0.0.1:3");
}

#[test]
fn an_empty_backend_is_etcd_without_a_default_node() {
    let ended = asking().confd(&["-onetime", "-backend", ""]).fails();
    assert_eq!(ended.log(), ["FATAL etcdclient: no available endpoints"]);
}

#[test]
fn a_node_that_is_not_there_is_named_with_the_reason() {
    let sandbox = asking();
    let ended = onetime(&sandbox, "etcdv3", "127.0.0.1:1").fails();
    ended.expect(
        "ERROR cannot reach etcd: http://127.0.0.1:1: connection refused (nothing listens there)",
    );
    assert_eq!(sandbox.list("out"), [""; 0]);
}

#[test]
fn a_comma_does_not_separate_nodes() {
    let ended = onetime(&asking(), "etcdv3", "127.0.0.1:1,127.0.0.1:2").fails();
    ended.expect(
        "ERROR cannot reach etcd: 127.0.0.1:1,127.0.0.1:2: not an address of the form HOST:PORT, \
         http://HOST:PORT or https://HOST:PORT (each node has a -node, or an element of the list nodes, of its own)",
    );
}

#[test]
fn a_dead_node_is_passed_over() {
    let server = Etcd::start(Release::Newest);
    server.put("/app/a", "1");
    let sandbox = asking();
    onetime(&sandbox, "etcd", "127.0.0.1:1").arguments(&["-node", &server.address()]).ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
}

#[test]
fn user_name_and_password_are_sent_only_with_basic_auth() {
    for release in [Release::Debian, Release::Newest] {
        let server = with_users(release);
        let sandbox = asking();
        let run = || onetime(&sandbox, "etcdv3", &server.address());
        let user = ["-username", "root", "-password", "secret"];
        let empty = format!(
            "ERROR etcd at {} refused: etcdserver: user name is empty \
             (it wants a user name and password, and basic authentication on)",
            server.url()
        );
        run().fails().expect(&empty);
        run().arguments(&user).fails().expect(&empty);
        let wrong = ["-basic-auth", "-username", "root", "-password", "wrong"];
        let ended = run().arguments(&wrong).fails();
        ended.expect(&format!(
            "ERROR etcd at {} refused: etcdserver: authentication failed, invalid user ID or password",
            server.url()
        ));
        ended.expect_no("wrong");
        run().arguments(&["-basic-auth"]).arguments(&user).ok();
        assert_eq!(sandbox.output(), "/app/a=1 ");
    }
}

#[test]
fn a_server_without_users_is_read_all_the_same() {
    let server = Etcd::start(Release::Debian);
    server.put("/app/a", "1");
    let sandbox = asking();
    let run = onetime(&sandbox, "etcdv3", &server.address());
    let ended = run.arguments(&["-basic-auth", "-username", "a", "-password", "b"]).ok();
    ended.expect(&format!(
        "WARNING etcd at {} has no users: the user name and password are not used",
        server.url()
    ));
    assert_eq!(sandbox.output(), "/app/a=1 ");
}

#[test]
fn variables_name_the_certificates_of_the_machine() {
    let ours = Certificates::new();
    let file = |name| ours.path(name).to_str().unwrap().to_owned();
    let (certificate, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
    let tls = ["--cert-file", &certificate, "--key-file", &key];
    let server = Etcd::start_with(Release::Debian, &tls);
    server.ctl(&["--cacert", &ca, "put", "/app/a", "1"]);
    let sandbox = asking();
    let folder = sandbox.path("certificates");
    fs::create_dir(&folder).unwrap();
    fs::copy(&ca, folder.join("of-a-company.pem")).unwrap();
    let folders = format!("/nonexistent:{}", folder.display());
    let run = |variable: &str, value: &str| {
        let node = format!("https://{}", server.address());
        onetime(&sandbox, "etcdv3", &node).env(variable, value)
    };

    for (variable, value) in [("SSL_CERT_FILE", &ca), ("SSL_CERT_DIR", &folders)] {
        run(variable, value).ok();
        assert_eq!(sandbox.output(), "/app/a=1 ", "{variable}");
    }
    // An empty variable counts as none, so that the machine's own certificates are trusted.
    for (variable, value) in [("SSL_CERT_FILE", ""), ("SSL_CERT_FILE", "/nonexistent")] {
        let ended = run(variable, value).fails();
        assert!(ended.stderr.contains("invalid peer certificate"), "{}", ended.stderr);
    }
}

#[test]
fn the_scheme_https_means_tls_for_an_address_without_a_scheme() {
    let ours = Certificates::new();
    let file = |name| ours.path(name).to_str().unwrap().to_owned();
    let tls = ["--cert-file", &file("server.pem"), "--key-file", &file("server.key")];
    let server = Etcd::start_with(Release::Debian, &tls);
    server.ctl(&["--cacert", &file("ca.pem"), "put", "/app/a", "1"]);
    let sandbox = asking();
    let run = |node: &str| onetime(&sandbox, "etcdv3", node).arguments(&["-client-insecure"]);
    run(&server.address()).arguments(&["-scheme", "https"]).ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
    // The scheme of an address wins.
    let ended = run(&format!("http://{}", server.address())).arguments(&["-scheme", "https"]);
    let ended = ended.fails();
    assert!(ended.stderr.contains("perhaps the server wants https"), "{}", ended.stderr);
}

#[test]
fn certificates_are_given_as_files() {
    let ours = Certificates::new();
    let others = Certificates::new();
    let file = |name| ours.path(name).to_str().unwrap().to_owned();
    let server = Etcd::start_with(
        Release::Debian,
        &[
            "--cert-file",
            &file("server.pem"),
            "--key-file",
            &file("server.key"),
            "--trusted-ca-file",
            &file("ca.pem"),
            "--client-cert-auth",
        ],
    );
    let ctl = [
        "--cacert",
        &file("ca.pem"),
        "--cert",
        &file("client.pem"),
        "--key",
        &file("client.key"),
        "put",
        "/app/a",
        "1",
    ];
    server.ctl(&ctl);
    let sandbox = asking();
    let client = ["-client-cert", &file("client.pem"), "-client-key", &file("client.key")];
    let (ca, wrong) = (file("ca.pem"), others.path("ca.pem"));

    // With a CA or a client certificate, an address without a scheme means TLS.
    let run = || onetime(&sandbox, "etcdv3", &server.address()).arguments(&client);
    run().arguments(&["-client-ca-keys", &ca]).ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
    run().arguments(&["-client-insecure"]).ok();

    let ended = run().arguments(&["-client-ca-keys", wrong.to_str().unwrap()]).fails();
    assert!(ended.stderr.contains("invalid peer certificate"), "{}", ended.stderr);
    // How the server's refusal is seen is a matter of chance.
    for _ in 0..30 {
        let without = onetime(&sandbox, "etcdv3", &server.address());
        let ended = without.arguments(&["-client-ca-keys", &ca]).fails();
        assert!(ended.stderr.contains("another client certificate"), "{}", ended.stderr);
    }
    let ended = run().arguments(&["-client-ca-keys", "/nope"]).fails();
    ended.expect("ERROR open /nope: no such file or directory");
    let half = onetime(&sandbox, "etcd", &server.url());
    let ended = half.arguments(&["-client-ca-keys", &ca, "-client-cert", &ca]).fails();
    ended.expect(
        "WARNING client-cert and client-key count only together: no client certificate is used",
    );
}

#[test]
fn changes_reach_the_file_also_after_a_restart_of_the_server() {
    let mut server = Etcd::start(Release::Newest);
    server.put("/app/a", "1");
    let sandbox = asking();
    let arguments = ["-watch", "-backend", "etcdv3", "-node", &server.address()];
    let daemon = Daemon::start(sandbox.confd(&arguments), sandbox.path("log"));
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    server.put("/app/a", "2");
    eventually("a change", || sandbox.output() == "/app/a=2 ");
    server.kill();
    server.restart();
    server.wait();
    server.put("/app/b", "3");
    eventually("a change after a restart", || sandbox.output() == "/app/a=2 /app/b=3 ");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_server_that_is_down_at_the_start_is_waited_for() {
    let mut server = Etcd::start(Release::Newest);
    server.put("/app/a", "1");
    server.kill();
    let sandbox = asking();
    let arguments = ["-watch", "-backend", "etcdv3", "-node", &server.address()];
    let daemon = Daemon::start(sandbox.confd(&arguments), sandbox.path("log"));
    daemon.wait_for("cannot reach etcd");
    server.restart();
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn keys_that_are_forbidden_are_named_and_cost_no_other_resource() {
    let server = Etcd::start_with(Release::Newest, &["--bcrypt-cost", "4"]);
    server.put("/app/a", "1");
    for line in [
        "user add root:secret",
        "user grant-role root root",
        "role add app",
        "role grant-permission app read --prefix=true /app",
        "user add app:word",
        "user grant-role app app",
        "auth enable",
    ] {
        server.ctl(&line.split(' ').collect::<Vec<_>>());
    }
    let refused = "Cannot read /other: etcd at http";
    for mode in ["-onetime", "-watch"] {
        let sandbox = asking();
        sandbox
            .write("conf.d/b.toml", "[template]\nsrc = 'app'\ndest = 'out/b'\nkeys = ['/other']");
        let run = sandbox.confd(&[mode, "-backend", "etcd", "-node", &server.address()]);
        let run = run.arguments(&["-basic-auth", "-username", "app", "-password", "word"]);
        let daemon = Daemon::start(run, sandbox.path("log"));
        daemon.wait_for(refused);
        eventually("the other file is there", || sandbox.output() == "/app/a=1 ");
        let ended = if mode == "-watch" { daemon.stop(Signal::TERM) } else { daemon.wait() };
        assert_eq!(ended.code, Some(if mode == "-watch" { 0 } else { 1 }), "{}", ended.stderr);
    }
}

#[test]
fn resources_on_the_same_keys_cost_one_watch_and_no_reading_after_a_change() {
    let server = Etcd::start(Release::Newest);
    server.put("/app/a", "0");
    let sandbox = asking();
    for name in ["b", "c", "d"] {
        let table = format!(
            "[template]\nsrc = 'app'\ndest = 'out/{name}'\nkeys = ['/app']\nprefix = '/'\n"
        );
        sandbox.write(&format!("conf.d/{name}.toml"), table);
    }
    let arguments = ["-watch", "-backend", "etcdv3", "-node", &server.address()];
    let daemon = Daemon::start(sandbox.confd(&arguments), sandbox.path("log"));
    let all_are = |value: &str| {
        let expected = format!("/app/a={value} ");
        eventually(&format!("all files have {expected:?}"), || {
            ["app", "b", "c", "d"]
                .iter()
                .all(|name| sandbox.read(&format!("out/{name}")) == expected)
        });
    };
    all_are("0");
    server.put("/app/a", "1");
    all_are("1");
    assert_eq!(server.metric("etcd_debugging_mvcc_watch_stream_total "), 1.0);
    assert_eq!(server.metric("etcd_debugging_mvcc_watcher_total "), 1.0);
    let readings = || {
        let handled = |method| {
            format!("grpc_server_handled_total{{grpc_code=\"OK\",grpc_method=\"{method}\"")
        };
        server.metric(&handled("Range")) + server.metric(&handled("Txn"))
    };
    let before = readings();
    for number in 2..5 {
        server.put("/app/a", &number.to_string());
        all_are(&number.to_string());
    }
    assert_eq!(readings(), before);
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn changes_reach_the_file_although_one_node_after_the_other_is_killed() {
    let mut members: [Etcd; 3] = Etcd::cluster(Release::Newest);
    members[0].put("/app/a", "0");
    let sandbox = asking();
    let nodes: Vec<String> =
        members.iter().flat_map(|member| ["-node".to_owned(), member.address()]).collect();
    let run = sandbox.confd(&["-watch", "-backend", "etcd"]).arguments(&nodes);
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("the first pass", || sandbox.output() == "/app/a=0 ");
    for victim in 0..3 {
        members[victim].kill();
        let other = (victim + 1) % 3;
        members[other].wait();
        members[other].put("/app/a", &format!("without {victim}"));
        let expected = format!("/app/a=without {victim} ");
        eventually("a change without one node", || sandbox.output() == expected);
        members[victim].restart();
        members[victim].wait();
    }
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_hangup_loads_a_password_that_was_set_right() {
    let server = with_users(Release::Newest);
    let sandbox = asking();
    let with = |password: &str| {
        let user = format!("basic_auth = true\nusername = 'root'\npassword = '{password}'\n");
        sandbox.write("confd.toml", user);
    };
    with("wrong");
    let arguments = ["-watch", "-backend", "etcd", "-node", &server.address()];
    let daemon = Daemon::start(sandbox.confd(&arguments), sandbox.path("log"));
    daemon.wait_for("authentication failed, invalid user ID or password");
    with("secret");
    daemon.signal(Signal::HUP);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0));
    ended.expect_no("wrong").expect_no("secret");
}
