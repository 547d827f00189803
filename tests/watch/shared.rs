//! Two resources with one destination: the later resource, in processing order, owns the file.

use std::time::Duration;

use rustix::process::Signal;

use super::{becomes, data, watching};
use crate::support::{Daemon, Sandbox, eventually, pause, throughout};

/// Two resources, `a` and `b`, with the destination `out/app`.
fn sharing() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        sandbox.resource(name, format!("{name} {{{{getv \"/{name}\"}}}}"), "");
        let table = sandbox.read(&format!("conf.d/{name}.toml"));
        let more = format!("reload_cmd = 'echo {name} >> reloads'\n");
        let table = table.replace(&format!("/out/{name}'"), "/out/app'") + &more;
        sandbox.write(&format!("conf.d/{name}.toml"), table);
    }
    data(&sandbox, "{a: 0, b: 0}");
    sandbox
}

/// The warning about the shared destination.
fn warning(sandbox: &Sandbox) -> String {
    let path = |name: &str| sandbox.path(name).display().to_string();
    format!(
        "WARNING {}: {} has the same dest {}",
        path("conf.d/a.toml"),
        path("conf.d/b.toml"),
        path("out/app")
    )
}

#[test]
fn a_onetime_run_processes_both_in_order_and_warns() {
    let sandbox = sharing();
    let run = sandbox.confd(&["-onetime", "-backend", "file", "-file", "data.yaml"]);
    let ended = run.ok();
    assert_eq!((sandbox.output().as_str(), sandbox.read("reloads").as_str()), ("b 0", "a\nb\n"));
    assert_eq!(ended.stderr.matches(&warning(&sandbox)).count(), 1, "{}", ended.stderr);
}

#[test]
fn a_destination_of_one_resource_gives_no_warning() {
    let sandbox = sharing();
    std::fs::remove_file(sandbox.path("conf.d/a.toml")).unwrap();
    let run = sandbox.confd(&["-onetime", "-backend", "file", "-file", "data.yaml"]);
    run.ok().expect_no("WARNING");
}

#[test]
fn the_same_file_in_another_spelling_is_found_too() {
    let sandbox = sharing();
    std::os::unix::fs::symlink("out", sandbox.path("link")).unwrap();
    let table = sandbox.read("conf.d/a.toml");
    let root = format!("{}/out/app", sandbox.root().display());
    for spelling in ["/./out//app", "/link/app", "/conf.d/../out/app", "out/app"] {
        let table = match spelling.starts_with('/') {
            true => table.replace("/out/app", spelling),
            false => table.replace(&root, spelling),
        };
        sandbox.write("conf.d/a.toml", table);
        let run = sandbox.confd(&["-onetime", "-backend", "file", "-file", "data.yaml"]);
        let ended = run.ok();
        assert!(ended.stderr.contains(" has the same dest "), "{spelling}: {}", ended.stderr);
    }
}

#[test]
fn daemons_leave_the_file_to_the_later_resource_and_do_not_replace_it_for_ever() {
    for mode in ["-watch", "-interval=1"] {
        let sandbox = sharing();
        let run =
            sandbox.confd(&[mode, "-reconcile=300ms", "-backend", "file", "-file", "data.yaml"]);
        let daemon = Daemon::start(run, sandbox.path("log"));
        becomes(&sandbox, "out/app", "b 0");
        // Each resource has replaced the file at least once at the start.
        eventually("both are applied", || {
            let reloads = sandbox.read("reloads");
            reloads.contains('a') && reloads.contains('b') && sandbox.output() == "b 0"
        });
        let mut reloads = 0;
        eventually("the file stays", || {
            let before = std::mem::replace(&mut reloads, sandbox.read("reloads").len());
            pause(Duration::from_secs(1));
            before == reloads && sandbox.output() == "b 0"
        });
        throughout(Duration::from_secs(3), "nothing is reloaded again", || {
            sandbox.read("reloads").len() == reloads
        });
        // A change for the earlier resource is processed, and the later resource gets the file back.
        data(&sandbox, "{a: 1, b: 0}");
        eventually("the change of a is processed", || sandbox.read("reloads").len() > reloads);
        eventually("the file is that of b", || sandbox.output() == "b 0");
        data(&sandbox, "{a: 1, b: 1}");
        eventually("the change of b is processed", || sandbox.output() == "b 1");
        let ended = daemon.stop(Signal::TERM);
        assert_eq!(ended.stderr.matches(&warning(&sandbox)).count(), 1, "{}", ended.stderr);
        ended.expect_no("changes again and again");
    }
}

#[test]
fn the_earlier_resource_owns_the_file_when_the_later_one_is_gone() {
    let sandbox = sharing();
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "b 0");
    std::fs::remove_file(sandbox.path("conf.d/b.toml")).unwrap();
    becomes(&sandbox, "out/app", "a 0");
    sandbox.write("out/app", "edited");
    becomes(&sandbox, "out/app", "a 0");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}
