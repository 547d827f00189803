//! What commands find in their environment.

use rustix::process::Signal;
use servers::{Etcd, Release};

use crate::support::{Daemon, Sandbox, eventually};

/// A command that appends its variables to the file `name`.
fn noting(name: &str) -> String {
    let variables = ["RESOURCE", "SRC", "DEST", "REVISION", "CHANGED_KEYS"];
    let shown = variables.map(|name| format!("\"$CONFD_{name}\"")).join(" ");
    format!("printf \"%s|\" {shown} >> {name}; echo >> {name}")
}

#[test]
fn commands_learn_which_resource_file_and_keys_they_run_for() {
    let sandbox = Sandbox::new();
    let (check, reload) = (noting("checks"), noting("reloads"));
    let commands = format!("check_cmd = '''{check}'''\nreload_cmd = '''{reload}'''");
    sandbox.resource("app", "{{getv \"/a\"}}", &commands);
    sandbox.onetime_with("a: '1'\nb: '2'").ok();
    let resource = sandbox.path("conf.d/app.toml").display().to_string();
    let dest = sandbox.path("out/app").display().to_string();
    // A file has no revisions. The first pass of a process knows no pass before it.
    assert_eq!(sandbox.read("reloads"), format!("{resource}|{dest}|{dest}||/a\n/b|\n"));
    let checks = sandbox.read("checks");
    let [of, stage, to, revision, keys, _] = checks.split('|').collect::<Vec<_>>()[..] else {
        panic!("{checks}")
    };
    assert_eq!((of, to, revision, keys), (&*resource, &*dest, "", "/a\n/b"));
    assert!(super::is_stage_name(stage.rsplit('/').next().unwrap(), "app"), "{stage}");
}

#[test]
fn the_changed_keys_are_those_since_the_last_pass_that_succeeded() {
    let server = Etcd::start(Release::Debian);
    let sandbox = Sandbox::new();
    server.put_all(&[("/a", "1"), ("/b", "1"), ("/c", "1")]);
    let reload = "echo $CONFD_REVISION: $CONFD_CHANGED_KEYS >> reloads; test ! -e fails";
    sandbox.resource(
        "app",
        "{{range getvs \"/*\"}}{{.}} {{end}}",
        &format!("check_cmd = 'test ! -e rejects'\nreload_cmd = '{reload}'"),
    );
    let run = sandbox.confd(&["-watch", "-backend", "etcd", "-node", &server.address()]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    let reloads = || sandbox.read("reloads").lines().map(str::to_owned).collect::<Vec<_>>();
    let until = |keys: &str| {
        eventually(keys, || reloads().last().is_some_and(|line| line.ends_with(keys)));
    };
    until(": /a /b /c");
    server.put("/b", "2");
    until(": /b");
    sandbox.write("rejects", "");
    server.put("/a", "2");
    daemon.wait_for("ERROR Config check failed");
    std::fs::remove_file(sandbox.path("rejects")).unwrap();
    server.put("/c", "2");
    // The change of /a has not reached the file before.
    until(": /a /c");
    let revisions = reloads();
    let revisions = revisions.iter().map(|line| line.split(':').next().unwrap().parse::<u64>());
    let revisions: Vec<_> = revisions.map(Result::unwrap).collect();
    assert!(revisions.is_sorted() && revisions[0] < *revisions.last().unwrap(), "{revisions:?}");
    daemon.stop(Signal::TERM);
}

#[test]
fn one_run_for_several_resources_gets_the_lines_of_all_of_them() {
    let server = Etcd::start(Release::Debian);
    let sandbox = Sandbox::new();
    let reload = "test -e first || { touch first; until test -e go; do sleep 0.01; done; }; \
                  echo $CONFD_DEST: $CONFD_CHANGED_KEYS >> reloads";
    for name in ["a", "b"] {
        let template = format!("{{{{getv \"/{name}\"}}}}");
        sandbox.resource(name, template, &format!("reload_cmd = '{reload}'"));
        let file = format!("conf.d/{name}.toml");
        sandbox.write(&file, sandbox.read(&file).replace("['/']", &format!("['/{name}']")));
    }
    server.put_all(&[("/a", "1"), ("/b", "1")]);
    let run = sandbox.confd(&["-watch", "-backend", "etcd", "-node", &server.address()]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("the first reload runs", || sandbox.path("first").exists());
    sandbox.write("go", "");
    let (a, b) = (sandbox.path("out/a"), sandbox.path("out/b"));
    let (a, b) = (a.display(), b.display());
    let served = |text: &str| {
        let either = [format!("{a} {b}: /a /b"), format!("{b} {a}: /b /a")];
        either.iter().any(|line| text.ends_with(&format!("{line}\n")))
    };
    eventually("both are reloaded", || served(&sandbox.read("reloads")));
    server.put_all(&[("/a", "2"), ("/b", "2")]);
    eventually("both are reloaded again", || {
        let reloads = sandbox.read("reloads");
        reloads.lines().count() == 2 && served(&reloads)
    });
    daemon.stop(Signal::TERM);
}

#[test]
fn a_list_of_keys_that_is_too_long_for_a_variable_says_how_many_are_left_out() {
    let sandbox = Sandbox::new();
    let reload = "printf \"%s\\n\" \"$CONFD_CHANGED_KEYS\" > keys; \
                  echo $CONFD_CHANGED_KEYS_LEFT_OUT > left";
    sandbox.resource("app", "x", &format!("reload_cmd = '''{reload}'''"));
    let keys: String = (0..20_000).map(|nth| format!("key{nth:05}: v\n")).collect();
    sandbox.onetime_with(&keys).ok();
    let kept = sandbox.read("keys").lines().count();
    let left: usize = sandbox.read("left").trim().parse().unwrap();
    assert!(kept > 1000 && kept + left == 20_000, "{kept} and {left}");
    assert!(sandbox.read("keys").lines().all(|line| line.len() == "/key00000".len()));
}

#[test]
fn a_key_with_a_line_break_is_one_line() {
    let sandbox = Sandbox::new();
    let reload = "printf \"%s\\n\" \"$CONFD_CHANGED_KEYS\" > keys";
    sandbox.resource("app", "x", &format!("reload_cmd = '''{reload}'''"));
    sandbox.onetime_with("\"a\\nb\": v\n\"c\\0d\": v\ne: v").ok();
    assert_eq!(sandbox.read("keys"), "\"/a\\nb\"\n\"/c\\x00d\"\n/e\n");
}
