//! Groups: several files that are rendered from one state, checked together, and put in place all or
//! none.

use std::{fs, os::unix::fs::PermissionsExt as _};

use rustix::process::Signal;
use servers::{Etcd, Release};

use crate::support::{Daemon, Run, Sandbox, eventually};

/// A sandbox with the files `out/a` and `out/b`, which have the values of `/a` and `/b`. Both resources
/// are in the group `web`, and have these keys in addition.
fn pair(of_a: &str, of_b: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, more) in [("a", of_a), ("b", of_b)] {
        let template = format!("{{{{getv \"/{name}\"}}}}\n");
        sandbox.resource(name, template, &format!("group = 'web'\n{more}\n"));
    }
    sandbox
}

fn run_with(sandbox: &Sandbox, a: &str, b: &str) -> Run {
    sandbox.onetime_with(&format!("a: {a}\nb: {b}"))
}

fn both(sandbox: &Sandbox) -> (String, String) {
    (sandbox.read("out/a"), sandbox.read("out/b"))
}

fn are(sandbox: &Sandbox, a: &str, b: &str) {
    assert_eq!(both(sandbox), (format!("{a}\n"), format!("{b}\n")));
}

/// Adds a line to `reloads`.
const RELOAD: &str = "reload_cmd = 'echo reload >> reloads'";

#[test]
fn the_files_of_a_group_are_replaced_all_or_none_and_each_distinct_reload_runs_once() {
    let more = format!("{RELOAD}\ncheck_cmd = 'grep -qv bad {{{{.src}}}}'");
    let sandbox = pair(&more, &more);
    run_with(&sandbox, "1", "1").ok();
    are(&sandbox, "1", "1");
    assert_eq!(sandbox.read("reloads"), "reload\n");
    run_with(&sandbox, "2", "bad").fails();
    are(&sandbox, "1", "1");
    // A template that fails keeps the other file too.
    sandbox.onetime_with("a: 2").fails().expect_no("updated");
    are(&sandbox, "1", "1");
    run_with(&sandbox, "2", "1").ok();
    are(&sandbox, "2", "1");
    assert_eq!(sandbox.read("reloads"), "reload\nreload\n");
    assert_eq!(sandbox.list("out"), ["a", "b"]);
}

#[test]
fn the_tables_of_one_file_are_a_group() {
    let sandbox = Sandbox::new();
    let (mut toml, check) = (String::new(), "check_cmd = 'grep -qv bad {{.src}}'");
    for name in ["a", "b"] {
        sandbox.write(&format!("templates/{name}"), format!("{{{{getv \"/{name}\"}}}}\n"));
        let dest = sandbox.path("out").join(name);
        let dest = dest.display();
        toml += &format!(
            "[[template]]\nsrc = '{name}'\ndest = '{dest}'\nkeys = ['/{name}']\n{check}\n{RELOAD}\n"
        );
    }
    sandbox.write("conf.d/web.toml", toml);
    run_with(&sandbox, "1", "1").ok();
    run_with(&sandbox, "2", "bad").fails();
    are(&sandbox, "1", "1");
    assert_eq!(sandbox.read("reloads"), "reload\n");
}

#[test]
fn a_group_check_sees_all_new_files_under_their_names_and_runs_once() {
    let check = "group_check_cmd = 'sed s/^/-/ {{.root}}/$PWD/out/a {{.root}}/$PWD/out/b >> seen; \
                 cmp {{.root}}/$PWD/out/a {{.root}}/$PWD/out/b'";
    let sandbox = pair(check, "");
    run_with(&sandbox, "1", "1").ok();
    run_with(&sandbox, "2", "2").ok();
    let ended = run_with(&sandbox, "2", "3").fails();
    are(&sandbox, "2", "2");
    assert_eq!(sandbox.read("seen"), "-1\n-1\n-2\n-2\n-2\n-3\n");
    assert!(ended.stderr.contains("Group check failed: exit status 1"), "{}", ended.stderr);
    assert_eq!(sandbox.list("out"), ["a", "b"]);
    // Without a change there is nothing to check.
    run_with(&sandbox, "2", "2").ok();
    assert_eq!(sandbox.read("seen").lines().count(), 6);
}

#[test]
fn a_fragment_of_nginx_that_is_broken_only_in_context_is_refused() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("nginx");
    fs::create_dir_all(folder.join("conf.d")).unwrap();
    let main = "events {}\npid nginx.pid;\nerror_log stderr;\nhttp { include conf.d/*.conf; }\n";
    sandbox.write("nginx/nginx.conf", main);
    sandbox.write("templates/upstream", "upstream {{getv \"/a\"}} { server 127.0.0.1:1; }\n");
    let socket = sandbox.path("site.sock");
    let site = format!(
        "server {{ listen unix:{}; location / {{ proxy_pass http://{{{{getv \"/b\"}}}}; }} }}\n",
        socket.display()
    );
    sandbox.write("templates/site", site);
    let mut toml = String::new();
    for (name, key) in [("upstream", "/a"), ("site", "/b")] {
        let dest = folder.join("conf.d").join(format!("{name}.conf"));
        let dest = dest.display();
        toml += &format!("[[template]]\nsrc = '{name}'\ndest = '{dest}'\nkeys = ['{key}']\n");
    }
    let main = folder.join("nginx.conf");
    toml += &format!(
        "group_check_cmd = 'nginx -t -q -p {} -c {{{{.root}}}}{}'\n",
        sandbox.root().display(),
        main.display()
    );
    sandbox.write("conf.d/nginx.toml", toml);
    run_with(&sandbox, "web", "web").ok();
    let before = sandbox.read("nginx/conf.d/upstream.conf");
    // The new name of the upstream is valid, and the site stays as it is: only together they are wrong.
    let ended = run_with(&sandbox, "web.internal.invalid", "web").fails();
    assert!(ended.stderr.contains("host not found in upstream"), "{}", ended.stderr);
    assert_eq!(sandbox.read("nginx/conf.d/upstream.conf"), before);
    assert_eq!(sandbox.list("nginx/conf.d"), ["site.conf", "upstream.conf"]);
    run_with(&sandbox, "api", "api").ok();
}

#[test]
fn an_invalid_file_of_a_group_keeps_all_of_its_files() {
    let sandbox = pair("", "");
    run_with(&sandbox, "1", "1").ok();
    let valid = sandbox.read("conf.d/b.toml");
    for broken in [
        &b"group = 'web'\nmode = 'rw'\n"[..],
        b"group = 'web'\ndest = \n",
        b"group = 'web'\n[[\n",
        b"expand_env = true\ngroup = '${GROUP:-web}'\nmode = 'rw'\n",
        b"group = 'web'\nengine = '\xff'\n",
    ] {
        let (before, after) = valid.split_once("group = 'web'\n").unwrap();
        let text = [before.as_bytes(), broken, after.as_bytes()].concat();
        sandbox.write("conf.d/b.toml", text);
        let ended = run_with(&sandbox, "2", "2").fails();
        let path = sandbox.path("conf.d/b.toml").display().to_string();
        ended.expect(&format!(
            "ERROR Cannot process the group web - {path} belongs to it and is invalid"
        ));
        are(&sandbox, "1", "1");
    }
    sandbox.write("conf.d/b.toml", valid);
    run_with(&sandbox, "2", "2").ok();
    are(&sandbox, "2", "2");
}

#[test]
fn a_group_says_what_does_not_fit_together() {
    let check = |command: &str| format!("group_check_cmd = '{command}'");
    let sandbox = pair(&check("true"), &check("false"));
    let ended = run_with(&sandbox, "1", "1").fails();
    assert!(
        ended.stderr.contains("group web - it has two group_check_cmd, in "),
        "{}",
        ended.stderr
    );
    let sandbox = pair("", "");
    sandbox.resource("web", "x", "");
    let ended = run_with(&sandbox, "1", "1").fails();
    let says = "web.toml has the same name and is not in it";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
    assert_eq!(sandbox.list("out"), ["web"]);
}

#[test]
fn a_guard_of_one_file_keeps_all_files_of_its_group() {
    let sandbox = pair("min_bytes = 2", "min_bytes = 4");
    run_with(&sandbox, "1", "long").ok();
    let ended = run_with(&sandbox, "2", "s").fails();
    let dest = sandbox.path("out/b").display().to_string();
    ended.expect(&format!(
        "ERROR {dest} stays as it is: min_bytes: 2 bytes, and 4 are the least (resource web)"
    ));
    are(&sandbox, "1", "long");
    run_with(&sandbox, "2", "s").arguments(&["-force"]).ok();
    are(&sandbox, "2", "s");
}

#[test]
fn a_group_is_rolled_back_as_a_whole() {
    let more = "reload_cmd = 'cat out/a out/b >> reloads; ! grep -q bad out/a out/b'\n\
                on_reload_failure = 'rollback'";
    let sandbox = pair(more, more);
    run_with(&sandbox, "1", "1").ok();
    run_with(&sandbox, "2", "bad").fails();
    are(&sandbox, "1", "1");
    assert_eq!(sandbox.read("reloads"), "1\n1\n2\nbad\n1\n1\n");
    run_with(&sandbox, "2", "bad").fails();
    assert_eq!(sandbox.read("reloads"), "1\n1\n2\nbad\n1\n1\n");
    run_with(&sandbox, "2", "2").ok();
    are(&sandbox, "2", "2");
}

#[test]
fn versions_of_a_group_have_all_of_its_files() {
    let sandbox = pair("backup = 3", "");
    let run = |a, b| run_with(&sandbox, a, b).arguments(&["-state-dir", "state"]).ok();
    run("1", "1");
    run("2", "2");
    let command = |word: &str| {
        let words = [word, "web", "-confdir", ".", "-state-dir", "state"];
        sandbox.bare(&words).ok()
    };
    assert_eq!(command("history").stdout.lines().count(), 2);
    command("rollback");
    are(&sandbox, "1", "1");
    run("2", "2");
    are(&sandbox, "1", "1");
    command("release");
    run("2", "2");
    are(&sandbox, "2", "2");
}

#[test]
fn in_watch_mode_a_transaction_changes_all_files_with_one_reload_and_one_file_is_healed() {
    let etcd = Etcd::start(Release::Debian);
    let reload = "reload_cmd = 'cat out/a out/b | tr -d \"\\n\" >> reloads; echo >> reloads'";
    let sandbox = pair(reload, reload);
    etcd.put_all(&[("/a", "1"), ("/b", "1")]);
    let run = sandbox.confd(&["-watch", "-backend", "etcd", "-node", &etcd.url()]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("the first files", || sandbox.list("out") == ["a", "b"]);
    for nth in 2..12 {
        let value = nth.to_string();
        etcd.put_all(&[("/a", &value), ("/b", &value)]);
        eventually("both files", || both(&sandbox) == (format!("{nth}\n"), format!("{nth}\n")));
    }
    eventually("the reload", || sandbox.read("reloads").ends_with("1111\n"));
    let reloads = sandbox.read("reloads");
    let mixed = reloads.lines().find(|line| {
        let (a, b) = line.split_at(line.len() / 2);
        a != b
    });
    assert_eq!(mixed, None, "{reloads}");
    fs::write(sandbox.path("out/b"), "edited").unwrap();
    eventually("the file is restored", || sandbox.read("out/b") == "11\n");
    daemon.stop(Signal::TERM);
}

#[test]
fn with_noop_a_group_changes_nothing_and_checks_nothing() {
    let sandbox = pair("group_check_cmd = 'touch checked'", "");
    let ended = run_with(&sandbox, "1", "1").arguments(&["-noop"]).ok();
    let dest = sandbox.path("out/b").display().to_string();
    ended.expect(&format!("WARNING Noop mode enabled. {dest} will not be modified"));
    assert!(sandbox.list("out").is_empty());
    assert!(!sandbox.path("checked").exists());
}

/// The members of a group can have destinations in several folders, with modes of their own.
#[test]
fn the_files_of_a_group_can_stand_in_different_folders() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("out/sub")).unwrap();
    for (name, mode) in [("a", "0600"), ("sub/b", "0640")] {
        let src = name.replace('/', "-");
        sandbox.write(&format!("templates/{src}"), "x\n");
        let dest = sandbox.path("out").join(name);
        let toml = format!(
            "[template]\ngroup = 'web'\nsrc = '{src}'\ndest = '{}'\nmode = '{mode}'\n",
            dest.display()
        );
        sandbox.write(&format!("conf.d/{src}.toml"), toml);
    }
    sandbox.onetime_with("x: y").ok();
    let mode = |name: &str| fs::metadata(sandbox.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("out/a"), mode("out/sub/b")), (0o600, 0o640));
}
