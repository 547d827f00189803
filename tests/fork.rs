//! The command line of confd's live fork, `confd BACKEND [flags]`, and its meaning of files.

mod checks;
mod keys;

use std::{fs, os::unix::fs::MetadataExt as _};

use rustix::process::Signal;

use crate::support::{Daemon, Run, Sandbox, eventually, needs_root};

/// A run of this tree with the backend `env` and these flags.
fn env(sandbox: &Sandbox, flags: &[&str]) -> Run {
    let confdir = sandbox.root().to_str().unwrap();
    let run = sandbox.bare(&["env", "--confdir", confdir, "--config-file", "confd.toml"]);
    run.arguments(flags)
}

#[test]
fn a_run_begins_with_the_name_of_the_backend() {
    let sandbox = Sandbox::rendering("{{getv \"/name\"}}");
    env(&sandbox, &["--onetime"]).env("NAME", "x").ok();
    assert_eq!(sandbox.output(), "x");
    let before = sandbox.bare(&["--onetime", "--confdir"]).arguments(&[sandbox.root()]);
    before.arguments(&["env"]).env("NAME", "y").ok();
    assert_eq!(sandbox.output(), "y");
    let by_variables = sandbox.bare(&["env"]).env("CONFD_CONFDIR", sandbox.root());
    by_variables.env("CONFD_ONETIME", "true").env("NAME", "z").ok();
    assert_eq!(sandbox.output(), "z");
}

#[test]
fn a_daemon_runs_until_it_is_stopped() {
    let sandbox = Sandbox::rendering("{{getv \"/name\"}}");
    for mode in [&["--watch"][..], &["--interval", "1"]] {
        let daemon = Daemon::start(env(&sandbox, mode).env("NAME", mode[0]), sandbox.path("log"));
        eventually("the file is there", || sandbox.output() == mode[0]);
        assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    }
}

#[test]
fn the_prefix_of_the_run_stands_before_that_of_the_resource() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "{{getv \"/x\"}}");
    let dest = sandbox.path("result");
    let dest = dest.display();
    let table = format!("[template]\nsrc='a'\ndest='{dest}'\nprefix='/myapp'\nkeys=['/x']\n");
    sandbox.write("conf.d/a.toml", table);
    let run = |flags: &[&str]| {
        let run = env(&sandbox, &["--onetime", "--prefix", "production"]).arguments(flags);
        run.env("PRODUCTION_MYAPP_X", "joined").env("PRODUCTION_X", "replaced").ok();
        fs::read_to_string(sandbox.path("result")).unwrap()
    };
    assert_eq!(run(&[]), "joined");
    assert_eq!(run(&["--prefix-mode", "replace"]), "replaced");
    let go = sandbox.onetime().arguments(&["-prefix", "production", "-prefix-mode", "join"]);
    go.env("PRODUCTION_MYAPP_X", "joined by confd").ok();
    assert_eq!(fs::read_to_string(sandbox.path("result")).unwrap(), "joined by confd");
    let wrong = env(&sandbox, &["--onetime", "--prefix-mode", "add"]).fails();
    let text = "confd: error: prefix-mode is \"replace\" or \"join\", not \"add\"\n";
    assert!(wrong.stderr.ends_with(text), "{}", wrong.stderr);
}

#[test]
fn group_is_the_group_of_the_file_and_a_gid_wins() {
    needs_root();
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "x");
    sandbox.write("confd.toml", "");
    let gid = |run: fn(&Sandbox) -> Run, more: &str| {
        let dest = sandbox.path("result");
        let table = format!("[template]\nsrc='a'\ndest='{}'\n{more}\n", dest.display());
        sandbox.write("conf.d/a.toml", table);
        run(&sandbox).ok().expect_no("WARNING");
        fs::metadata(dest).unwrap().gid()
    };
    let of_fork = |sandbox: &Sandbox| env(sandbox, &["--onetime"]);
    let daemon = gid(of_fork, "group='daemon'");
    assert_eq!(daemon, gid(Sandbox::onetime, "group_owner='daemon'"));
    assert_ne!(daemon, 0);
    assert_eq!(gid(of_fork, "group='daemon'\ngid=2"), 2);
    // With Go confd's command line it is the name of a group of resources.
    assert_eq!(gid(Sandbox::onetime, "group='daemon'"), 0);
    let table = "[template]\nsrc='a'\ndest='/x'\ngroup='no-such-group'\n";
    sandbox.write("conf.d/a.toml", table);
    let ended = env(&sandbox, &["--onetime"]).fails();
    assert!(ended.stderr.contains("group \"no-such-group\": "), "{}", ended.stderr);
}

#[test]
fn reload_cmd_is_a_template_and_the_limits_of_commands_have_other_names() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "x");
    sandbox.write("confd.toml", "");
    let resource = |more: &str| {
        let dest = sandbox.path("result");
        let table = format!("[template]\nsrc='a'\ndest='{}'\n{more}\n", dest.display());
        sandbox.write("conf.d/a.toml", table);
    };
    let reloaded = sandbox.path("reloaded").display().to_string();
    resource(&format!("reload_cmd='cat {{{{.dest}}}} > {reloaded}'"));
    env(&sandbox, &["--onetime"]).ok().expect_no("WARNING");
    assert_eq!(fs::read_to_string(&reloaded).unwrap(), "x");
    sandbox.write("templates/a", "y");
    for key in ["check_cmd", "reload_cmd"] {
        resource(&format!("{key}='sleep 60'\n{key}_timeout='100ms'"));
        let ended = env(&sandbox, &["--onetime"]).fails();
        assert!(ended.stderr.contains("100ms"), "{key}: {}", ended.stderr);
    }
}

#[test]
fn the_keys_of_its_confd_toml_count() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "x");
    let dest = sandbox.path("result");
    let table = format!("[template]\nsrc='a'\ndest='{}'\ncheck_cmd='false'\n", dest.display());
    sandbox.write("conf.d/a.toml", table);
    sandbox.write("confd.toml", "sync_only = true\n");
    env(&sandbox, &["--onetime"]).ok().expect_no("WARNING");
    assert_eq!(fs::read_to_string(dest).unwrap(), "x");
    // In Go confd it is no key.
    let go = sandbox.onetime().ok();
    go.expect("WARNING confd.toml:1: unknown key \"sync_only\", did you mean \"sync-only\"?");
}

#[test]
fn fail_fast_ends_a_pass_with_the_first_resource_that_fails() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "x");
    sandbox.write("confd.toml", "");
    for (name, more) in [("a", ""), ("b", "check_cmd='false'"), ("c", ""), ("d", "")] {
        let dest = sandbox.path(&format!("{name}.out"));
        let table = format!(
            "[template]
src='a'
dest='{}'
{more}
",
            dest.display()
        );
        sandbox.write(&format!("conf.d/{name}.toml"), table);
    }
    let is_there = |name: &str| sandbox.path(&format!("{name}.out")).exists();
    let ended = env(&sandbox, &["--onetime", "--failure-mode", "fail-fast"]).fails();
    let dest = sandbox.path("b.out");
    ended.expect(&format!("WARNING Fail-fast mode: stopping after error in {}", dest.display()));
    assert_eq!(["a", "b", "c", "d"].map(is_there), [true, false, false, false]);
    assert!(sandbox.list("").iter().all(|name| !name.starts_with('.')), "{:?}", sandbox.list(""));
    env(&sandbox, &["--onetime"]).fails();
    assert_eq!(["a", "b", "c", "d"].map(is_there), [true, false, true, true]);
    let wrong = env(&sandbox, &["--onetime", "--failure-mode", "soon"]).fails();
    let text = "confd: error: failure-mode is \"best-effort\" or \"fail-fast\", not \"soon\"\n";
    assert!(wrong.stderr.ends_with(text), "{}", wrong.stderr);
}

#[test]
fn fail_fast_counts_for_a_run_that_waits_for_data_too() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "x");
    sandbox.write("confd.toml", "");
    for (name, more) in [("a", "check_cmd='false'"), ("b", "")] {
        let dest = sandbox.path(&format!("{name}.out"));
        let table = format!("[template]\nsrc='a'\ndest='{}'\n{more}\n", dest.display());
        sandbox.write(&format!("conf.d/{name}.toml"), table);
    }
    env(&sandbox, &["--onetime", "--wait", "5s", "--failure-mode", "fail-fast"]).fails();
    assert!(!sandbox.path("b.out").exists());
}

#[test]
fn a_misspelt_backend_is_a_mistake_and_no_daemon() {
    let sandbox = Sandbox::new();
    let ended = sandbox.bare(&["evn", "--onetime"]).run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("unknown backend \"evn\"\n  = did you mean \"env\"?\n"));
}

#[test]
fn exit_codes_are_those_of_the_fork() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "x");
    sandbox.write("templates/broken", "{{");
    let resource = |name: &str, src: &str, more: &str| {
        let dest = sandbox.path(name);
        let table = format!("[template]\nsrc='{src}'\ndest='{}'\n{more}\n", dest.display());
        sandbox.write(&format!("conf.d/{name}.toml"), table);
    };
    let code = |flags: &[&str]| env(&sandbox, flags).run().code;
    assert_eq!(code(&["--onetime"]), Some(0));
    resource("a", "broken", "");
    assert_eq!(code(&["--onetime"]), Some(1));
    resource("b", "a", "check_cmd='exit 3'");
    resource("c", "a", "check_cmd='exit 4'");
    assert_eq!(code(&["--onetime"]), Some(3));
    resource("b", "a", "reload_cmd='kill -9 $$'");
    assert_eq!(code(&["--onetime"]), Some(255));
    for flags in [&["--nosuch"][..], &["x"], &["--interval", "soon"], &["--node"]] {
        let ended = env(&sandbox, flags).run();
        assert_eq!(ended.code, Some(80), "{flags:?}");
        assert!(ended.stderr.starts_with("confd: error: "), "{}", ended.stderr);
        assert!(ended.stdout.starts_with("Usage of "), "{}", ended.stdout);
    }
    let failed = env(&sandbox, &["--onetime"]).run();
    let last = failed.stderr.lines().last().unwrap();
    assert!(last.starts_with("confd: error: ") && !failed.stderr.contains("FATAL"), "{last}");
    let help = env(&sandbox, &["--help"]).ok();
    assert!(help.stdout.contains("-onetime") && help.stderr.is_empty());
}

#[test]
fn a_pending_reload_is_tried_again_and_fails_the_run_until_it_succeeds() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "x");
    sandbox.write("confd.toml", "");
    let dest = sandbox.path("result");
    let table = format!(
        "[template]\nsrc='a'\ndest='{}'\nreload_cmd='test -e up && echo done >>reloads'\n",
        dest.display()
    );
    sandbox.write("conf.d/a.toml", table);
    for _ in 0..2 {
        let ended = env(&sandbox, &["--onetime"]).fails();
        assert!(!sandbox.path("reloads").exists(), "{}", ended.stderr);
    }
    sandbox.write("up", "");
    env(&sandbox, &["--onetime"]).ok();
    assert_eq!(sandbox.read("reloads"), "done\n");
    env(&sandbox, &["--onetime"]).ok();
    assert_eq!(sandbox.read("reloads"), "done\n");
}
