//! The first command of the README and of the guide, on a copy of the repository's own tree. The real nginx, HAProxy
//! and keepalived check the results.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::Path,
};

use crate::support::{Ended, Run, Sandbox, needs_root, search_path};

/// The guide that begins with the command.
const GUIDE: &str = "docs/start.md";

/// The files that the command makes.
const MADE: [&str; 3] = ["haproxy.cfg", "keepalived.conf", "nginx.conf"];

/// The arguments in the command, without the part that builds and starts the binary.
fn arguments() -> Vec<String> {
    let command = |document: &str| {
        let text = fs::read_to_string(repository().join(document)).unwrap();
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix("cargo run --release -- "));
        line.unwrap_or_else(|| panic!("{document} has no command")).to_owned()
    };
    let of_readme = command("README.md");
    assert_eq!(of_readme, command(GUIDE));
    of_readme.split_whitespace().map(str::to_owned).collect()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A copy of the files that the quick start uses.
fn copy() -> Sandbox {
    let sandbox = Sandbox::new();
    for folder in ["conf.d", "templates"] {
        for entry in fs::read_dir(repository().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            sandbox.write(
                &format!("{folder}/{name}"),
                fs::read(repository().join(folder).join(&name)).unwrap(),
            );
        }
    }
    sandbox.write(
        "quickstart/services.yaml",
        fs::read(repository().join("quickstart/services.yaml")).unwrap(),
    );
    sandbox
}

/// The command in the copy.
fn confd(sandbox: &Sandbox) -> Run {
    Run::new(env!("CARGO_BIN_EXE_confd"), sandbox.root()).arguments(&arguments())
}

/// Runs it in a network namespace with the real servers and with an interface for keepalived.
fn run_checked(sandbox: &Sandbox, change: impl FnOnce(Run) -> Run) -> Ended {
    for server in ["nginx", "haproxy", "keepalived", "ip", "unshare"] {
        let path = search_path() + ":/usr/sbin:/sbin";
        let found = path.split(':').any(|folder| Path::new(folder).join(server).exists());
        assert!(found, "{server} is not installed: run tests/install-servers (as root) first");
    }
    let script = "mount -t sysfs sysfs /sys; ip link set lo up
                  ip link add eth0 type veth peer name eth0peer; ip link set eth0 up; exec \"$@\"";
    change(confd(sandbox).arguments(&["-log-level", "debug"])).unshared("-mn", script).run()
}

/// Replaces a piece of the list of services, which must contain it.
#[track_caller]
fn edit(sandbox: &Sandbox, from: &str, to: &str) {
    let services = sandbox.read("quickstart/services.yaml");
    assert!(services.contains(from), "{from:?} is not in services.yaml");
    sandbox.write("quickstart/services.yaml", services.replace(from, to));
}

/// The lines of a result, without indentation.
fn lines(sandbox: &Sandbox, name: &str) -> Vec<String> {
    sandbox.read(&format!("quickstart/{name}")).lines().map(|line| line.trim().to_owned()).collect()
}

/// Expects these lines in this order. Other lines can stand between them.
#[track_caller]
fn has_in_order(lines: &[String], expected: &[&str]) {
    let mut rest = lines.iter();
    for expected in expected {
        assert!(
            rest.any(|line| line == expected),
            "no {expected:?} (in this order) in:\n{}",
            lines.join("\n")
        );
    }
}

#[test]
fn three_configurations_are_made_without_root_and_without_servers_and_the_log_says_so() {
    needs_root();
    let sandbox = copy();
    // Another user must be able to start the binary and to write.
    fs::copy(env!("CARGO_BIN_EXE_confd"), sandbox.path("confd")).unwrap();
    for path in ["", "quickstart"] {
        chown(sandbox.path(path), Some(1000), Some(1000)).unwrap();
    }
    let user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--"];
    let no_servers = |command: &mut std::process::Command| {
        command.env("PATH", "/usr/bin:/bin");
    };
    let run = || {
        Run::new("./confd", sandbox.root())
            .arguments(&arguments())
            .through(&user)
            .with(no_servers)
            .ok()
    };
    let ended = run();
    for name in MADE {
        ended.expect(&format!("INFO Target config quickstart/{name} has been updated"));
    }
    assert_eq!(
        sandbox.list("quickstart"),
        ["haproxy.cfg", "keepalived.conf", "nginx.conf", "services.yaml"]
    );

    // The second run changes nothing.
    let identity = |name: &str| {
        fs::metadata(sandbox.path(&format!("quickstart/{name}")))
            .map(|found| (found.ino(), found.ctime_nsec()))
            .unwrap()
    };
    let before = MADE.map(identity);
    run().expect_no("out of sync");
    assert_eq!(MADE.map(identity), before);
}

#[test]
fn nginx_haproxy_and_keepalived_accept_what_is_made() {
    let sandbox = copy();
    let ended = run_checked(&sandbox, |run| run);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for (name, check) in MADE.iter().zip(["haproxy -c", "keepalived --config-test", "nginx -t"]) {
        ended.expect(&format!("INFO Target config quickstart/{name} has been updated"));
        assert!(ended.stderr.contains(check), "{check} did not run:\n{}", ended.stderr);
    }
    // `nginx -t` creates its pid file and its folders in `nginx`, which as root it gives to the user
    // of its workers.
    assert_eq!(
        sandbox.list("quickstart"),
        ["haproxy.cfg", "keepalived.conf", "nginx", "nginx.conf", "services.yaml"]
    );
    let owner = sandbox.owner("quickstart");
    assert_eq!(owner, sandbox.owner("conf.d"), "nginx changed the owner of the folder");
    // So the second run finds nothing to warn about.
    edit(&sandbox, "weight: 3", "weight: 4");
    let ended = run_checked(&sandbox, |run| run);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.expect("INFO Target config quickstart/nginx.conf has been updated");
    assert!(!ended.log().iter().any(|line| line.starts_with("WARNING")), "{}", ended.stderr);
}

#[test]
fn the_guide_shows_lines_that_the_command_logs_and_says_how_many_there_are() {
    let guide = fs::read_to_string(repository().join(GUIDE)).unwrap();
    let section = guide.split("\n## ").find(|section| section.starts_with("A first run")).unwrap();
    let shown = section.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let shown: Vec<_> = shown.lines().map(|line| line.strip_prefix("… ").expect(line)).collect();
    assert_eq!(shown.len(), MADE.len());
    let no_servers = |command: &mut std::process::Command| {
        command.env("PATH", "/usr/bin:/bin");
    };
    let ended = confd(&copy()).with(no_servers).ok();
    shown.iter().for_each(|line| _ = ended.expect(line));
    assert_eq!(ended.log().len(), 9, "{}", ended.stderr);
    assert!(section.contains("logs nine lines"), "the number of lines");
}

#[test]
fn each_server_refuses_its_broken_configuration_and_the_old_one_stays() {
    for (from, to, refused) in [
        ("weight: 3", "weight: x", &[("nginx.conf", r#"invalid parameter \"weight=x\""#)][..]),
        ("weight: 3", "weight: 300", &[("haproxy.cfg", "weight")]),
        ("port: 5432", "port: 99999", &[("haproxy.cfg", "99999")]),
        ("router_id: 51", "router_id: 999", &[("keepalived.conf", "999")]),
        ("address: 192.0.2.10/24", "address: nowhere", &[("keepalived.conf", "nowhere")]),
        ("interface: eth0", "interface: lo", &[("keepalived.conf", "lo")]),
    ] {
        let sandbox = copy();
        assert_eq!(run_checked(&sandbox, |run| run).code, Some(0));
        let before = MADE.map(|name| sandbox.read(&format!("quickstart/{name}")));
        edit(&sandbox, from, to);
        let ended = run_checked(&sandbox, |run| run);
        assert_eq!(ended.code, Some(1), "{to}: {}", ended.stderr);
        for (name, complaint) in refused {
            let file = MADE.iter().position(|made| made == name).unwrap();
            assert_eq!(
                sandbox.read(&format!("quickstart/{name}")),
                before[file],
                "{name} was replaced"
            );
            ended.expect_no(&format!("Target config quickstart/{name} has been updated"));
            let complained =
                |line: &String| line.starts_with("ERROR \"") && line.contains(complaint);
            assert!(
                ended.log().iter().any(complained),
                "nothing about {complaint} in:\n{}",
                ended.stderr
            );
        }
        let failures = ended
            .log()
            .iter()
            .filter(|line| line.starts_with("ERROR Config check failed: exit status "))
            .count();
        assert_eq!(failures, refused.len(), "{to}: {}", ended.stderr);
    }
}

#[test]
fn nginx_gets_an_upstream_for_each_service_and_a_server_for_each_host() {
    let sandbox = copy();
    confd(&sandbox).ok();
    let lines = lines(&sandbox, "nginx.conf");
    has_in_order(
        &lines,
        &[
            "upstream api {",
            "server 10.0.2.11:9000 weight=1 max_fails=3 fail_timeout=10s; # api-1",
            "server 10.0.2.12:9000 weight=1 max_fails=3 fail_timeout=10s; # api-2",
            "upstream blog {",
            "server 10.0.3.11:2368 weight=1 max_fails=3 fail_timeout=10s down; # blog-1",
            "server 10.0.3.12:2368 weight=1 max_fails=3 fail_timeout=10s; # blog-2",
            "upstream shop {",
            "server 10.0.1.11:8080 weight=3 max_fails=3 fail_timeout=10s; # shop-1",
            "server 10.0.1.12:8080 weight=1 max_fails=3 fail_timeout=10s; # shop-2",
            "server 10.0.1.13:8080 weight=1 max_fails=3 fail_timeout=10s down; # shop-3",
            "server_name shop.example.com;",
            "location /api {",
            "proxy_pass http://api;",
            "location / {",
            "proxy_pass http://shop;",
            "server_name blog.example.com;",
            "proxy_pass http://blog;",
        ],
    );
    for host in ["shop", "blog"] {
        let name = format!("server_name {host}.example.com;");
        assert_eq!(
            lines.iter().filter(|line| **line == name).count(),
            1,
            "one server block for each host"
        );
    }
}

#[test]
fn haproxy_routes_by_host_and_the_longest_path_first() {
    let sandbox = copy();
    confd(&sandbox).ok();
    let lines = lines(&sandbox, "haproxy.cfg");
    has_in_order(
        &lines,
        &[
            "frontend http",
            "acl api_host req.hdr(host),host_only -i shop.example.com",
            "acl api_path path_beg /api",
            "acl shop_path path_beg /",
            "use_backend api if api_host api_path",
            "use_backend shop if shop_host shop_path",
            "backend api",
            "backend blog",
            "server blog-1 10.0.3.11:2368 check weight 1 disabled",
            "backend shop",
            "server shop-1 10.0.1.11:8080 check weight 3",
            "server shop-3 10.0.1.13:8080 check weight 1 disabled",
            "frontend postgres",
            "bind 127.0.0.1:5432",
            "default_backend postgres_servers",
            "backend postgres_servers",
            "server db-1 10.0.4.11:5432 check weight 1",
            "server db-2 10.0.4.12:5432 check weight 1 disabled",
        ],
    );

    // The path counts, not the name.
    edit(&sandbox, "  api:\n", "  zone:\n");
    confd(&sandbox).ok();
    has_in_order(
        &self::lines(&sandbox, "haproxy.cfg"),
        &["use_backend zone if zone_host zone_path", "use_backend shop if shop_host shop_path"],
    );
}

#[test]
fn keepalived_is_master_or_backup_by_the_key_and_the_name_of_the_machine() {
    for (name, state, priority, own, peer) in [
        ("lb1", "state MASTER", "priority 150", "192.0.2.11", "192.0.2.12"),
        ("lb2", "state BACKUP", "priority 100", "192.0.2.12", "192.0.2.11"),
    ] {
        let sandbox = copy();
        let ended = run_checked(&sandbox, |run| run.env("LB_NAME", name));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let router = format!("router_id {name}");
        let source = format!("unicast_src_ip {own}");
        has_in_order(
            &lines(&sandbox, "keepalived.conf"),
            &[
                &router,
                state,
                "interface eth0",
                "virtual_router_id 51",
                priority,
                &source,
                "unicast_peer {",
                peer,
                "}",
                "virtual_ipaddress {",
                "192.0.2.10/24 dev eth0",
            ],
        );
    }
    // The key of the master moves, and so does the master.
    let sandbox = copy();
    edit(&sandbox, "master: lb1", "master: lb2");
    confd(&sandbox).ok();
    has_in_order(&lines(&sandbox, "keepalived.conf"), &["router_id lb1", "state BACKUP"]);
}

#[test]
fn a_server_that_comes_back_from_maintenance_changes_only_the_files_it_is_in() {
    let sandbox = copy();
    confd(&sandbox).ok();
    edit(
        &sandbox,
        "shop-3: { address: \"10.0.1.13:8080\", weight: 1, state: maintenance }",
        "shop-3: { address: \"10.0.1.13:8080\", weight: 2 }",
    );
    let ended = confd(&sandbox).ok();
    for name in ["haproxy.cfg", "nginx.conf"] {
        ended.expect(&format!("INFO Target config quickstart/{name} has been updated"));
    }
    ended.expect_no("Target config quickstart/keepalived.conf");
    has_in_order(
        &lines(&sandbox, "nginx.conf"),
        &["server 10.0.1.13:8080 weight=2 max_fails=3 fail_timeout=10s; # shop-3"],
    );
    has_in_order(&lines(&sandbox, "haproxy.cfg"), &["server shop-3 10.0.1.13:8080 check weight 2"]);
}
