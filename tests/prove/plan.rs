//! `confd plan`: what a change of keys would do.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use super::render::command;
use crate::support::Sandbox;

/// Each entry below a folder, with its size, its mode and its times.
fn tree(folder: &Path) -> Vec<(String, u64, u32, i64, i64)> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        let it = fs::symlink_metadata(&path).unwrap();
        let name = path.display().to_string();
        found.push((name, it.size(), it.mode(), it.mtime_nsec(), it.ctime_nsec()));
        if it.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found
}

/// A tree with a resource that has a check command, and one without, whose files are in place.
fn site() -> Sandbox {
    let sandbox = Sandbox::new();
    let check = "check_cmd = 'grep -q port {{.src}} && ! grep -q bad {{.src}}'";
    sandbox.resource("web", "port={{getv \"/web/port\"}}\n", check);
    sandbox.resource("db", "host={{getv \"/db/host\"}} {{getv \"/db/password\" \"\"}}\n", "");
    for (name, key) in [("web", "/web"), ("db", "/db")] {
        let path = format!("conf.d/{name}.toml");
        let table = sandbox.read(&path).replace("['/']", &format!("['{key}']"));
        sandbox.write(&path, table);
    }
    sandbox.onetime_with("web: { port: 80 }\ndb: { host: a, password: hunter22 }\n").ok();
    sandbox.write("confd.toml", "backend = 'file'\nfile = ['data.yaml']\n");
    sandbox
}

#[test]
fn a_plan_shows_what_would_change_and_writes_nothing() {
    let sandbox = site();
    let before = tree(sandbox.root());
    let change = ["plan", "-set", "/web/port=81", "-delete", "/db/password"];
    let ended = command(&sandbox, &change).run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let dest = |name: &str| sandbox.path(&format!("out/{name}")).display().to_string();
    let (web, db) = (dest("web"), dest("db"));
    let diffs = format!(
        "--- {db}\n+++ {db} (new)\n@@ -1 +1 @@\n-host=a ••••\n+host=a \n\
         --- {web}\n+++ {web} (new)\n@@ -1 +1 @@\n-port=80\n+port=81\n"
    );
    assert_eq!(ended.stdout, diffs);
    assert_eq!(ended.stderr, "files: 0 new, 2 changed, 0 removed\n");
    // The test itself writes confd.toml again.
    let is_other = |entry: &(String, u64, u32, i64, i64)| !entry.0.ends_with("confd.toml");
    let others = |tree: Vec<_>| tree.into_iter().filter(is_other).collect::<Vec<_>>();
    assert_eq!(others(tree(sandbox.root())), others(before));
}

#[test]
fn the_checks_run_on_the_new_content_and_decide_the_exit_code() {
    let sandbox = site();
    let ended = command(&sandbox, &["plan", "-set", "/web/port=bad"]).run();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let web = sandbox.path("out/web").display().to_string();
    let line = format!("web: {web} would be refused: Config check failed: exit status 1\n");
    assert!(ended.stderr.contains(&line), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("; 1 check would fail\n"), "{}", ended.stderr);
    let ended = command(&sandbox, &["plan", "-delete", "/web/port"]).run();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("key does not exist: /web/port"), "{}", ended.stderr);
}

#[test]
fn a_secret_that_changes_hides_itself_and_not_the_other_lines() {
    let sandbox = site();
    sandbox.write("templates/db.tmpl", "{{getv \"/db/host\"}}\np={{getv \"/db/password\"}}\n");
    sandbox.onetime().arguments(&["-backend", "file", "-file", "data.yaml"]).ok();
    let change = ["plan", "-set", "/db/host=b", "-set", "/db/password=hunter33"];
    let ended = command(&sandbox, &change).run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stdout.ends_with("-a\n-p=••••\n+b\n+p=••••\n"), "{}", ended.stdout);
}

#[test]
fn a_group_check_sees_the_new_files_under_their_names() {
    let sandbox = site();
    let root = sandbox.root().display().to_string();
    for name in ["web", "db"] {
        let path = format!("conf.d/{name}.toml");
        let table = sandbox.read(&path);
        let check = format!("group_check_cmd = 'grep -q port=81 {{{{.root}}}}{root}/out/web'\n");
        let check = if name == "web" { check } else { String::new() };
        sandbox.write(&path, format!("{table}group = 'site'\n{check}"));
    }
    let code = |port: &str| {
        let ended = command(&sandbox, &["plan", "-set", &format!("/web/port={port}")]).run();
        (ended.code, ended.stderr)
    };
    let (ok, text) = code("81");
    assert_eq!(ok, Some(2), "{text}");
    let (refused, text) = code("82");
    assert_eq!(refused, Some(4), "{text}");
    assert!(
        text.contains("site: all would be refused: Group check failed: exit status 1\n"),
        "{text}"
    );
}

#[test]
fn keys_that_nothing_asks_for_and_keys_that_do_not_exist_are_said() {
    let sandbox = site();
    sandbox.write("change.yaml", "web: { port: 80 }\nelsewhere: 1\n");
    let ended = command(&sandbox, &["plan", "-from", "change.yaml", "-delete=/db/none"]).ok();
    let lines = "no resource asks for /elsewhere\nthere is no key /db/none to delete\n\
                 no file would change\n";
    assert_eq!((&*ended.stdout, &*ended.stderr), ("", lines));
    let ended = command(&sandbox, &["plan", "web", "-set", "/web/port"]).fails();
    assert_eq!(ended.stderr, "confd plan: -set /web/port has no =: write -set KEY=VALUE\n");
    let ended = command(&sandbox, &["plan"]).fails();
    assert!(
        ended
            .stderr
            .starts_with("confd plan: a plan is about a change of keys: give it by -set KEY=VALUE")
    );
}

#[test]
fn items_that_would_come_or_go_are_files_that_would_come_or_go() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "{{.name}}\n");
    let out = sandbox.path("out").display().to_string();
    let table =
        format!("[template]\nsrc='a'\nfor_each='/x/*'\ndest='{out}/{{{{.name}}}}'\nkeys=['/x']\n");
    sandbox.write("conf.d/items.toml", table);
    sandbox.onetime_with("x: { one: 1 }\n").ok();
    let ended = command(&sandbox, &["plan", "-set", "/x/two=2", "-delete", "/x/one"]).run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let diffs = format!(
        "--- /dev/null\n+++ {out}/two (new)\n@@ -0,0 +1 @@\n+two\n\
         --- {out}/one\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n"
    );
    assert_eq!(ended.stdout, diffs);
    assert_eq!(ended.stderr, "files: 1 new, 0 changed, 1 removed\n");
}
