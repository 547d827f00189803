//! `for_each`: one file for each path that a pattern finds, or for each service.

use std::{fs, os::unix::fs::symlink};

use rustix::process::Signal;
use servers::{Consul, Etcd, Release};

use crate::support::{Daemon, Run, Sandbox, eventually};

/// A sandbox with the resource `app`, whose items are below `/t`. The file of each is `out/NAME.conf`,
/// unless `dest` says something else.
pub(super) fn tenants(template: &str, dest: &str, more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", template);
    let dest = format!("{}/{dest}", sandbox.root().display());
    sandbox.write(
        "conf.d/app.toml",
        format!("[template]\nsrc = 'app'\nfor_each = '/t/*'\ndest = '{dest}'\n{more}\n"),
    );
    sandbox
}

pub(super) const DEST: &str = "out/{{.name}}.conf";
pub(super) const HOST: &str = "{{.name}} {{getv \"/host\"}}\n";

pub(super) fn run_with(sandbox: &Sandbox, tenants: &[(&str, &str)]) -> Run {
    let of = |(name, host): &(&str, &str)| format!("  {name}:\n    host: {host}\n");
    let tenants: String = tenants.iter().map(of).collect();
    let tenants = if tenants.is_empty() { "  {}\n".to_owned() } else { tenants };
    sandbox.onetime_with(&format!("x: y\nt:\n{tenants}"))
}

#[test]
fn each_item_has_a_file_made_from_its_own_keys() {
    let sandbox = tenants(HOST, DEST, "reload_cmd = 'echo reload >> reloads'");
    run_with(&sandbox, &[("a", "1"), ("b", "2")]).ok();
    assert_eq!(sandbox.list("out"), [".app.confd-files", "a.conf", "b.conf"]);
    assert_eq!(sandbox.read("out/a.conf") + &sandbox.read("out/b.conf"), "a 1\nb 2\n");
    // One reload for all files, and none if nothing changes.
    assert_eq!(sandbox.read("reloads"), "reload\n");
    run_with(&sandbox, &[("a", "1"), ("b", "2")]).ok();
    run_with(&sandbox, &[("a", "1"), ("b", "3"), ("c", "4")]).ok();
    assert_eq!(sandbox.read("reloads"), "reload\nreload\n");
    assert_eq!(sandbox.read("out/b.conf") + &sandbox.read("out/c.conf"), "b 3\nc 4\n");
}

#[test]
fn the_template_knows_its_item_and_reads_all_other_keys_with_two_slashes() {
    let go = "{{.key}} {{.name}} {{index .names 0}} {{getv \"/host\"}} {{getv \"//shared/dns\"}} \
              {{range ls \"//t\"}}{{.}},{{end}} {{range gets \"//shared/*\"}}{{.Key}}{{end}} \
              {{with get \"//shared/dns\"}}{{.Key}}{{end}} {{with get \"/host\"}}{{.Key}}{{end}}";
    let tera = "{{ key }} {{ name }} {{ names[0] }} {{ getv(key=\"/host\") }} \
                {{ getv(key=\"//shared/dns\") }} {% for n in ls(path=\"//t\") %}{{ n }},{% endfor %} \
                {% for p in gets(pattern=\"//shared/*\") %}{{ p.key }}{% endfor %} \
                {{ get(key=\"//shared/dns\")[\"key\"] }} {{ get(key=\"/host\")[\"key\"] }}";
    for (template, engine) in [(go, "go"), (tera, "tera")] {
        let more = format!("keys = ['/t', '/shared']\nengine = '{engine}'");
        let sandbox = tenants(template, DEST, &more);
        sandbox.onetime_with("t:\n  a:\n    host: 1\n  b:\n    host: 2\nshared:\n  dns: d\n").ok();
        assert_eq!(
            sandbox.read("out/b.conf"),
            "/t/b b b 2 d a,b, /shared/dns /shared/dns /host",
            "{engine}"
        );
    }
}

#[test]
fn the_file_of_an_item_that_is_gone_is_removed_and_no_other_file() {
    let more =
        "reload_cmd = 'echo reload >> log'\nremove_cmd = 'echo \"remove $CONFD_DEST\" >> log'";
    let sandbox = tenants(HOST, DEST, more);
    sandbox.write("out/foreign.conf", "x");
    run_with(&sandbox, &[("a", "1"), ("b", "2"), ("c", "3")]).ok();
    fs::remove_file(sandbox.path("log")).unwrap();
    run_with(&sandbox, &[("b", "2")]).ok();
    assert_eq!(sandbox.list("out"), [".app.confd-files", "b.conf", "foreign.conf"]);
    let (a, c) = (sandbox.path("out/a.conf"), sandbox.path("out/c.conf"));
    assert_eq!(sandbox.read("log"), format!("remove {}\n{}\n", a.display(), c.display()));
    // A key for a file that is not ours makes it ours.
    run_with(&sandbox, &[("foreign", "4")]).ok();
    assert_eq!(sandbox.list("out"), [".app.confd-files", "foreign.conf"]);
    run_with(&sandbox, &[]).ok();
    assert_eq!(sandbox.list("out"), [".app.confd-files"]);
}

#[test]
fn with_noop_no_file_is_made_or_removed() {
    let sandbox = tenants(HOST, DEST, "");
    run_with(&sandbox, &[("a", "1")]).arguments(&["-noop"]).ok();
    assert!(sandbox.list("out").is_empty(), "{:?}", sandbox.list("out"));
    run_with(&sandbox, &[("a", "1")]).ok();
    let ended = run_with(&sandbox, &[]).arguments(&["-noop"]).ok();
    assert!(ended.stderr.contains("would be removed"), "{}", ended.stderr);
    assert_eq!(sandbox.read("out/a.conf"), "a 1\n");
}

#[test]
fn a_path_made_of_data_does_not_leave_the_folder() {
    for (key, path, why) in [
        ("a", "out/{{.name}}/../../x", "has the name . or .."),
        ("'.x.reload-pending'", "out/{{.name}}", "has a name that confd uses for its own files"),
        ("a", "out/{{getv}}", "function \"getv\" not defined"),
        ("a", "out/{{.name}}/", "ends with a slash"),
        ("\"a\\nb\"", "out/{{.name}}", "has a control character"),
    ] {
        let sandbox = tenants("x", path, "");
        let data = format!("t:\n  {key}: v\n  good: v\n");
        let ended = sandbox.onetime_with(&data).fails();
        assert!(ended.stderr.contains(why), "{path} {}", ended.stderr);
        assert!(!sandbox.path("x").exists() && !sandbox.path("a").exists());
        let is_path = path == "out/{{.name}}";
        assert_eq!(sandbox.path("out/good").exists(), is_path, "{}", ended.stderr);
    }
    // A link to another folder.
    let sandbox = tenants("x", "out/{{.name}}/file", "");
    fs::create_dir(sandbox.path("elsewhere")).unwrap();
    symlink(sandbox.path("elsewhere"), sandbox.path("out/a")).unwrap();
    let ended = sandbox.onetime_with("t:\n  a: v\n").fails();
    assert!(ended.stderr.contains("out/a is a symbolic link"), "{}", ended.stderr);
    assert!(sandbox.list("elsewhere").is_empty());
}

#[test]
fn two_items_do_not_share_a_file() {
    let sandbox = tenants("{{.key}}", "out/{{index .names 0}}", "");
    let toml = sandbox.read("conf.d/app.toml").replace("'/t/*'", "'/t/*/*'");
    sandbox.write("conf.d/app.toml", toml);
    let ended = sandbox.onetime_with("t:\n  a:\n    b: v\n    c: v\n").fails();
    assert!(ended.stderr.contains("another file has the same dest"), "{}", ended.stderr);
    assert!(ended.stderr.contains("for the item /t/a/c"), "{}", ended.stderr);
    assert_eq!(sandbox.read("out/a"), "/t/a/b");
    // So it is with an item that comes later.
    let etcd = Etcd::start(Release::Debian);
    etcd.put("/t/d/e", "v");
    let run = sandbox.confd(&["-watch", "-backend", "etcd", "-node", &etcd.url()]);
    let daemon = Daemon::start(run, sandbox.path("stderr"));
    eventually("the file of the first item", || sandbox.path("out/d").exists());
    etcd.put("/t/d/f", "v");
    daemon.wait_for("for the item /t/d/f");
    assert_eq!(sandbox.read("out/d"), "/t/d/e");
    etcd.ctl(&["del", "/t/d/e"]);
    eventually("the file of the other item", || sandbox.read("out/d") == "/t/d/f");
    daemon.stop(Signal::TERM);
}

#[test]
fn an_item_that_fails_keeps_its_file_and_the_others_are_made() {
    let sandbox = tenants(HOST, DEST, "");
    run_with(&sandbox, &[("a", "1"), ("b", "1")]).ok();
    let ended = sandbox.onetime_with("t:\n  a:\n    x: y\n  b:\n    host: 2\n").fails();
    assert!(
        ended.stderr.contains("key does not exist: /host, for the item /t/a"),
        "{}",
        ended.stderr
    );
    assert_eq!(sandbox.read("out/a.conf") + &sandbox.read("out/b.conf"), "a 1\nb 2\n");
    let keep = sandbox.read("conf.d/app.toml") + "on_missing = 'keep'\n";
    sandbox.write("conf.d/app.toml", keep);
    sandbox.onetime_with("t:\n  a:\n    x: y\n  b:\n    host: 3\n").ok();
    assert_eq!(sandbox.read("out/a.conf") + &sandbox.read("out/b.conf"), "a 1\nb 3\n");
    // Without a file there is nothing to keep.
    sandbox.onetime_with("t:\n  c:\n    x: y\n").fails();
}

#[test]
fn a_store_that_loses_most_items_is_not_believed_with_a_guard() {
    let sandbox = tenants(HOST, DEST, "min_keys = 2");
    run_with(&sandbox, &[("a", "1"), ("b", "2")]).ok();
    let ended = run_with(&sandbox, &[("b", "2")]).fails();
    assert!(ended.stderr.contains("min_keys: 1 key, and 2 are the least"), "{}", ended.stderr);
    assert_eq!(sandbox.list("out"), [".app.confd-files", "a.conf", "b.conf"]);
    // Also in a process that did not see the items before.
    let sandbox = tenants(HOST, DEST, "max_shrink = '50%'");
    let three = [("a", "1"), ("b", "2"), ("c", "3")];
    run_with(&sandbox, &three).ok();
    let ended = run_with(&sandbox, &three[..1]).fails();
    let says = "max_shrink: 1 file after 3 files, 66% less, and 50% are the most";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
    run_with(&sandbox, &three[..2]).ok();
    assert_eq!(sandbox.list("out"), [".app.confd-files", "a.conf", "b.conf"]);
}

#[test]
fn all_files_are_checked_together_with_those_of_their_group() {
    let check = "group_check_cmd = 'cat {{.root}}/$PWD/out/*.conf > seen; ! grep -q bad seen'";
    let sandbox = tenants(HOST, DEST, check);
    run_with(&sandbox, &[("a", "1"), ("b", "2")]).ok();
    run_with(&sandbox, &[("a", "3"), ("b", "bad")]).fails();
    assert_eq!(sandbox.read("seen"), "a 3\nb bad\n");
    assert_eq!(sandbox.read("out/a.conf") + &sandbox.read("out/b.conf"), "a 1\nb 2\n");
    // A file that is to be removed is not seen.
    run_with(&sandbox, &[("b", "2")]).ok();
    assert_eq!(sandbox.read("seen"), "b 2\n");
}

#[test]
fn in_watch_mode_items_come_change_and_go() {
    let etcd = Etcd::start(Release::Debian);
    let more = "keys = ['/t', '/shared']\nreload_cmd = 'echo \"$CONFD_DEST\" >> log'";
    let sandbox = tenants("{{getv \"/host\"}} {{getv \"//shared/x\"}}", DEST, more);
    etcd.put_all(&[("/t/a/host", "1"), ("/t/b/host", "1"), ("/shared/x", "s")]);
    let run = sandbox.confd(&["-watch", "-backend", "etcd", "-node", &etcd.url()]);
    let daemon = Daemon::start(run, sandbox.path("stderr"));
    let is = |name: &str, content: &str| {
        eventually(&format!("{name} is {content}"), || {
            fs::read_to_string(sandbox.path(name)).is_ok_and(|it| it == content)
        });
    };
    is("out/a.conf", "1 s");
    is("out/b.conf", "1 s");
    eventually("the reload", || sandbox.path("log").exists());
    etcd.put("/t/b/host", "2");
    is("out/b.conf", "2 s");
    let b = format!("{}\n", sandbox.path("out/b.conf").display());
    eventually("one file is reloaded", || sandbox.read("log").lines().count() == 3);
    assert!(sandbox.read("log").ends_with(&b));
    etcd.put("/t/c/host", "1");
    is("out/c.conf", "1 s");
    // A key that all templates read.
    etcd.put("/shared/x", "t");
    is("out/a.conf", "1 t");
    is("out/c.conf", "1 t");
    // Files that another program changed or removed.
    fs::write(sandbox.path("out/c.conf"), "edited").unwrap();
    is("out/c.conf", "1 t");
    fs::remove_file(sandbox.path("out/a.conf")).unwrap();
    is("out/a.conf", "1 t");
    etcd.ctl(&["del", "/t/a/host"]);
    eventually("the file is removed", || !sandbox.path("out/a.conf").exists());
    // An item whose template fails delays no other, and gets its file when its keys are there.
    etcd.put("/t/d/other", "x");
    daemon.wait_for("key does not exist: /host, for the item /t/d");
    etcd.put("/t/b/host", "3");
    is("out/b.conf", "3 t");
    etcd.put("/t/d/host", "4");
    is("out/d.conf", "4 t");
    daemon.stop(Signal::TERM);
    // What is gone while confd does not run is removed at the next start.
    etcd.ctl(&["del", "/t/b/host"]);
    sandbox.confd(&["-onetime", "-backend", "etcd", "-node", &etcd.url()]).run();
    assert_eq!(sandbox.list("out"), [".app.confd-files", "c.conf", "d.conf"]);
}

#[test]
fn what_a_killed_confd_has_staged_for_an_item_is_removed_also_if_the_item_is_gone() {
    let sandbox =
        tenants(HOST, DEST, "check_cmd = 'test -e ready || { touch busy; exec sleep 60; }'");
    sandbox.write("out/.b.conf0000000000", "x");
    let daemon = Daemon::start(run_with(&sandbox, &[("a", "1")]), sandbox.path("stderr"));
    eventually("the check command runs", || sandbox.path("busy").exists());
    daemon.kill_with_commands();
    assert_eq!(sandbox.list("out").len(), 2);
    sandbox.write("ready", "");
    run_with(&sandbox, &[("b", "1")]).ok();
    assert_eq!(sandbox.list("out"), [".app.confd-files", ".b.conf0000000000", "b.conf"]);
}

#[test]
fn the_reload_that_is_pending_for_an_item_without_a_file_runs_also_if_the_item_is_gone() {
    let more =
        "reload_cmd = 'echo reload >> reloads; test -e ready'\non_reload_failure = 'rollback'";
    let sandbox = tenants(HOST, DEST, more);
    sandbox.write("ready", "");
    run_with(&sandbox, &[("a", "1")]).ok();
    fs::remove_file(sandbox.path("ready")).unwrap();
    // The service has seen `b.conf`, which is removed again, and then it was not reloaded.
    run_with(&sandbox, &[("a", "1"), ("b", "1")]).fails();
    assert_eq!(sandbox.read("reloads").lines().count(), 3);
    sandbox.write("ready", "");
    run_with(&sandbox, &[("a", "1")]).ok();
    assert_eq!(sandbox.read("reloads").lines().count(), 4);
    assert_eq!(sandbox.list("out"), [".app.confd-files", "a.conf"]);
}

#[test]
fn each_service_that_matches_has_a_file() {
    let consul = Consul::start();
    let sandbox = tenants("{{.name}}{{range service .name}} {{.Port}}{{end}}", DEST, "");
    let toml =
        sandbox.read("conf.d/app.toml").replace("for_each = '/t/*'", "for_each_service = 'web-*'");
    sandbox.write("conf.d/app.toml", toml);
    let register = |name: &str, port: u16| {
        let body = format!(
            "{{\"Node\":\"n\",\"Address\":\"192.0.2.1\",\"Service\":{{\"Service\":\"{name}\",\"Port\":{port}}}}}"
        );
        consul.ask("PUT /v1/catalog/register", body.as_bytes());
    };
    register("web-a", 1);
    register("db", 2);
    let run = sandbox.confd(&["-watch", "-backend", "consul", "-node", &consul.address()]);
    let daemon = Daemon::start(run, sandbox.path("stderr"));
    let is = |name: &str, content: &str| {
        eventually(&format!("{name} is {content}"), || {
            fs::read_to_string(sandbox.path(name)).is_ok_and(|it| it == content)
        });
    };
    is("out/web-a.conf", "web-a 1");
    register("web-b", 3);
    is("out/web-b.conf", "web-b 3");
    assert_eq!(sandbox.list("out"), [".app.confd-files", "web-a.conf", "web-b.conf"]);
    daemon.stop(Signal::TERM);
}

#[test]
fn a_name_that_means_something_to_a_shell_reaches_none() {
    for more in [
        "check_cmd = 'test -s {{.src}}'",
        "reload_template = true\nreload_cmd = 'echo {{.dest}}'",
        "group_check_cmd = 'test -d {{.root}}'",
    ] {
        let sandbox = tenants("x", DEST, more);
        let ended = sandbox.onetime_with("t:\n  'a$(touch PWNED)': v\n  b: v\n").fails();
        assert!(ended.stderr.contains("mean something to a shell"), "{}", ended.stderr);
        assert!(!sandbox.path("PWNED").exists(), "{more}");
        assert_eq!(sandbox.list("out"), [".app.confd-files", "b.conf"], "{more}");
    }
    // Without a shell, or as a variable, the name is only a name.
    let more = "check_cmd = ['test', '-s', '{{.src}}']\nreload_cmd = 'test -s \"$CONFD_DEST\"'";
    let sandbox = tenants("x", DEST, more);
    sandbox.onetime_with("t:\n  'a$(touch PWNED)': v\n").ok();
    assert_eq!(sandbox.list("out"), [".app.confd-files", "a$(touch PWNED).conf"]);
}

#[test]
fn keys_must_cover_the_items() {
    let sandbox = tenants(HOST, DEST, "keys = ['/x']");
    let ended = run_with(&sandbox, &[("a", "1")]).fails();
    let says = "keys does not have /t, below which for_each looks";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
}

#[test]
fn in_watch_mode_the_file_of_an_item_that_is_gone_is_removed_although_its_template_failed() {
    let etcd = Etcd::start(Release::Debian);
    let sandbox = tenants(HOST, DEST, "");
    etcd.put_all(&[("/t/a/host", "1"), ("/t/b/host", "1")]);
    let run = |mode| sandbox.confd(&[mode, "-backend", "etcd", "-node", &etcd.url()]);
    run("-onetime").ok();
    etcd.ctl(&["del", "/t/b/host"]);
    etcd.put("/t/b/other", "x");
    let daemon = Daemon::start(run("-watch"), sandbox.path("stderr"));
    daemon.wait_for("for the item /t/b");
    assert!(sandbox.path("out/b.conf").exists());
    etcd.ctl(&["del", "/t/b/other"]);
    eventually("the file is removed", || !sandbox.path("out/b.conf").exists());
    daemon.stop(Signal::TERM);
}

#[test]
fn a_resource_that_joins_a_group_still_knows_its_files() {
    let sandbox = tenants(HOST, DEST, "");
    run_with(&sandbox, &[("a", "1"), ("b", "2")]).ok();
    let grouped = sandbox.read("conf.d/app.toml") + "group = 'web'\n";
    sandbox.write("conf.d/app.toml", grouped);
    run_with(&sandbox, &[("a", "1")]).ok();
    assert_eq!(sandbox.list("out"), [".app.confd-files", "a.conf"]);
    // Without its manifest it knows at once which files are in sync.
    fs::remove_file(sandbox.path("out/.app.confd-files")).unwrap();
    run_with(&sandbox, &[("a", "1")]).ok();
    run_with(&sandbox, &[]).ok();
    assert_eq!(sandbox.list("out"), [".app.confd-files"]);
}

#[test]
fn two_resources_of_a_group_with_items_in_one_folder_keep_their_files_apart() {
    let sandbox = tenants(HOST, DEST, "group = 'web'");
    let other = sandbox.read("conf.d/app.toml").replace("'/t/*'", "'/u/*'");
    let other = other.replace("{{.name}}.conf", "u-{{.name}}.conf");
    sandbox.write("conf.d/other.toml", &other);
    sandbox.onetime_with("t:\n  a:\n    host: 1\nu:\n  b:\n    host: 2\n").ok();
    let both = [".app.confd-files", ".other.confd-files", "a.conf", "u-b.conf"];
    assert_eq!(sandbox.list("out"), both);
    // One of them leaves the group.
    sandbox.write("conf.d/other.toml", other.replace("group = 'web'", ""));
    sandbox.onetime_with("t:\n  a:\n    host: 1\nu:\n  b:\n    host: 3\n").ok();
    assert_eq!(
        (sandbox.list("out"), sandbox.read("out/u-b.conf")),
        (both.map(str::to_owned).to_vec(), "b 3\n".into())
    );
}

#[test]
fn a_file_that_another_resource_has_now_is_not_removed() {
    let sandbox = tenants(HOST, DEST, "");
    let other = sandbox.read("conf.d/app.toml").replace("'/t/*'", "'/u/*'");
    sandbox.write("conf.d/b.toml", &other);
    sandbox.onetime_with("t:\n  x: {}\nu:\n  a:\n    host: 1\n").ok();
    sandbox.onetime_with("t:\n  a:\n    host: 2\nu:\n  x: {}\n").ok();
    assert_eq!(sandbox.read("out/a.conf"), "a 2\n");
    // So it is with a resource with a single file.
    fs::remove_file(sandbox.path("conf.d/b.toml")).unwrap();
    sandbox.resource("single", "x", "");
    fs::rename(sandbox.path("conf.d/single.toml"), sandbox.path("conf.d/a.toml")).unwrap();
    let single = sandbox.read("conf.d/a.toml").replace("out/single", "out/a.conf");
    sandbox.write("conf.d/a.toml", single);
    sandbox.onetime_with("t:\n  b:\n    host: 2\n").ok();
    assert_eq!(sandbox.read("out/a.conf"), "x");
}

#[test]
fn with_heal_off_a_file_of_an_item_that_was_edited_is_left_alone() {
    let etcd = Etcd::start(Release::Debian);
    let sandbox = tenants(HOST, DEST, "heal = false");
    etcd.put_all(&[("/t/a/host", "1"), ("/t/b/host", "1")]);
    let run = sandbox.confd(&["-watch", "-backend", "etcd", "-node", &etcd.url()]);
    let daemon = Daemon::start(run, sandbox.path("stderr"));
    eventually("the files", || sandbox.path("out/b.conf").exists());
    fs::write(sandbox.path("out/a.conf"), "edited").unwrap();
    daemon.signal(Signal::HUP);
    etcd.put("/t/b/host", "2");
    eventually("the other file", || sandbox.read("out/b.conf") == "b 2\n");
    assert_eq!(sandbox.read("out/a.conf"), "edited");
    etcd.put("/t/a/host", "2");
    eventually("the new content", || sandbox.read("out/a.conf") == "a 2\n");
    daemon.stop(Signal::TERM);
}

#[test]
fn a_key_that_is_no_clean_path_does_not_end_the_healing_of_other_files() {
    let etcd = Etcd::start(Release::Debian);
    let sandbox = tenants(HOST, DEST, "");
    etcd.put_all(&[("/t/a/host", "1"), ("/t/b/host", "1")]);
    let run = sandbox.confd(&["-watch", "-backend", "etcd", "-node", &etcd.url()]);
    let daemon = Daemon::start(run, sandbox.path("stderr"));
    eventually("the files", || sandbox.path("out/b.conf").exists());
    etcd.put("/t/../host", "1");
    etcd.put("/t/a/host", "2");
    eventually("a change", || sandbox.read("out/a.conf") == "a 2\n");
    fs::write(sandbox.path("out/b.conf"), "edited").unwrap();
    eventually("the file is restored", || sandbox.read("out/b.conf") == "b 1\n");
    daemon.stop(Signal::TERM);
}

#[test]
fn an_item_is_no_option_of_a_command() {
    let more = "reload_template = true\nreload_cmd = ['cat', '{{.dest}}']";
    let sandbox = tenants("x", DEST, more);
    let root = format!("{}/{DEST}", sandbox.root().display());
    let toml = sandbox.read("conf.d/app.toml").replace(&root, "{{.name}}");
    sandbox.write("conf.d/app.toml", toml);
    sandbox.onetime_with("t:\n  '-x': v\n").ok();
    assert_eq!(sandbox.read("-x"), "x");
}

#[test]
fn a_guard_names_the_file_of_the_item_that_it_keeps() {
    let sandbox = tenants("{{getv \"/host\"}}", DEST, "min_bytes = 2");
    let ended = run_with(&sandbox, &[("a", "12"), ("b", "1")]).fails();
    let dest = sandbox.path("out/b.conf").display().to_string();
    let why = "min_bytes: 1 byte, and 2 are the least (resource app)";
    ended.expect(&format!("ERROR {dest} stays as it is: {why}"));
}

#[test]
fn a_missing_key_of_an_item_shows_which_keys_the_item_has() {
    for engine in ["go", "tera"] {
        let template = match engine {
            "go" => "{{getv \"/host\"}}",
            _ => "{{ getv(key=\"/host\") }}",
        };
        let sandbox = tenants(template, DEST, &format!("engine = '{engine}'"));
        let ended = sandbox.onetime_with("t:\n  a:\n    port: 1\n    xyz: 2\n").fails();
        let hint = "= the item /t/a has only /port, /xyz";
        assert!(ended.stderr.contains(hint), "{}", ended.stderr);
    }
}

#[test]
fn items_that_fail_are_named_although_the_reload_of_the_others_fails_too() {
    let sandbox = tenants(HOST, DEST, "reload_cmd = 'false'");
    let both = "x: y\nt:\n  a:\n    host: 1\n  bad:\n    other: 1\n";
    let run = || sandbox.onetime_with(both).arguments(&["-exit-codes"]).run();
    let first = run();
    // The item needs a person more than the reload does.
    assert_eq!(first.code, Some(3), "{}", first.stderr);
    let log = first.log().join("\n");
    assert!(log.contains("key does not exist: /host, for the item /t/bad"), "{log}");
    assert!(log.contains("ERROR exit status 1"), "{log}");
    assert_eq!(sandbox.read("out/a.conf"), "a 1\n");
    // So it is when only the pending reload is tried again.
    assert_eq!(run().code, Some(3));
}

#[test]
fn content_that_a_service_refuses_is_tried_once_although_another_program_has_removed_a_file() {
    let more = "reload_cmd = 'echo x >> tried; ! grep -q bad out/*.conf'\n\
                on_reload_failure = 'rollback'";
    let sandbox = tenants(HOST, DEST, more);
    run_with(&sandbox, &[("a", "1"), ("gone", "1")]).ok();
    fs::remove_file(sandbox.path("out/gone.conf")).unwrap();
    fs::write(sandbox.path("tried"), "").unwrap();
    for _ in 0..3 {
        let ended = run_with(&sandbox, &[("b", "bad")]).fails();
        // The reload with the new files, and that with the former ones.
        assert_eq!(sandbox.read("tried"), "x\nx\n", "{}", ended.stderr);
        assert_eq!(sandbox.read("out/a.conf"), "a 1\n");
    }
}

#[test]
fn what_was_never_reloaded_is_not_held_back_because_a_part_of_it_was() {
    let more = "check_cmd = '! test -e refuse || ! grep -q b {{.src}}'\n\
                reload_cmd = 'echo x >> tried; ! test -e fail'\non_reload_failure = 'rollback'";
    let sandbox = tenants(HOST, DEST, more);
    run_with(&sandbox, &[("a", "1")]).ok();
    fs::write(sandbox.path("fail"), "").unwrap();
    fs::write(sandbox.path("refuse"), "").unwrap();
    // The file of b is refused by its check, and the service refuses that of a.
    let both = [("a", "2"), ("b", "1")];
    for _ in 0..2 {
        let ended = run_with(&sandbox, &both).fails();
        assert!(ended.stderr.contains("out/b.conf"), "{}", ended.stderr);
        assert_eq!(sandbox.read("out/a.conf"), "a 1\n");
    }
    // Without b, the same content is not tried again.
    let tried = sandbox.read("tried").len();
    let ended = run_with(&sandbox, &both).fails();
    assert_eq!(sandbox.read("tried").len(), tried, "{}", ended.stderr);
    fs::remove_file(sandbox.path("fail")).unwrap();
    fs::remove_file(sandbox.path("refuse")).unwrap();
    run_with(&sandbox, &both).ok();
    assert_eq!(sandbox.read("out/a.conf") + &sandbox.read("out/b.conf"), "a 2\nb 1\n");
}
