//! SIGKILL at any moment of a pass.

use std::time::Instant;

use crate::support::{Ended, Run, Sandbox, pause};

/// The least number of rounds.
const ROUNDS: u32 = 100;
/// The number of resources.
const RESOURCES: usize = 16;
/// The number of pieces of a result. Each piece begins with the version.
const PIECES: usize = 25;

/// The content of a resource's file in a version: large enough to be written in several parts, and
/// with the version in every part.
fn content(version: &str, name: &str) -> String {
    piece(version, name).repeat(PIECES)
}

fn piece(version: &str, name: &str) -> String {
    format!("{version} {name} {}\n", "x".repeat(4000))
}

fn names() -> impl Iterator<Item = String> {
    (0..RESOURCES).map(|nth| format!("r{nth:02}"))
}

fn deploy(sandbox: &Sandbox, version: &str) -> Run {
    sandbox.onetime().env("VERSION", version)
}

/// The version of each file. Panics if a file has parts of several versions.
fn versions(sandbox: &Sandbox) -> Vec<&'static str> {
    let version_of = |name: String| {
        let found = sandbox.read(&format!("out/{name}"));
        let version = ["old", "new"].into_iter().find(|version| found == content(version, &name));
        version.unwrap_or_else(|| panic!("{name} is neither old nor new, {} bytes", found.len()))
    };
    names().map(version_of).collect()
}

/// Kills passes at random moments, until this number was killed while working.
fn kill_deploys(sandbox: &Sandbox, rounds: u32) {
    let start = Instant::now();
    deploy(sandbox, "old").ok();
    let mut whole = start.elapsed();
    let (mut from, mut to) = ("old", "new");
    let (mut between, mut staged, mut round) = (0, 0, 0);
    while round < rounds || between == 0 || staged == 0 {
        round += 1;
        assert!(
            round < 20 * rounds,
            "of {round} kills none was between two files, or none left a stage file"
        );
        let mut running = deploy(sandbox, to).spawn();
        // This sleep does not wait for a condition: the moment of the kill is what the test varies.
        pause(whole.mul_f64(fastrand::f64() * 1.1));
        running.kill().unwrap();
        Ended::wait(running);
        let found = versions(sandbox);
        between += u32::from(found.contains(&from) && found.contains(&to));
        staged += u32::from(sandbox.list("out").iter().any(|name| is_stage(name)));

        // The run after a kill succeeds, whether it goes on to the new version or back to the old
        // one.
        if round % 2 == 0 {
            (from, to) = (to, from);
        }
        let start = Instant::now();
        deploy(sandbox, to).ok();
        whole = start.elapsed();
        assert_eq!(versions(sandbox), [to; RESOURCES]);
        assert_eq!(sandbox.list("out"), names().collect::<Vec<_>>(), "round {round}");
        (from, to) = (to, from);
    }
}

fn is_stage(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(|end: char| end.is_ascii_digit())
}

/// A tree whose files have one version each. `more` is added to every resource.
fn tree(more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    for name in names() {
        sandbox.resource(&name, piece("{{getv \"/version\"}}", &name).repeat(PIECES), more);
    }
    sandbox
}

#[test]
fn a_kill_at_any_moment_leaves_each_file_old_or_new_and_the_next_run_clean() {
    kill_deploys(&tree(""), ROUNDS);
}

#[test]
fn so_it_is_with_commands() {
    let sandbox = tree("check_cmd = 'test -s {{.src}}'\nreload_cmd = 'true'");
    kill_deploys(&sandbox, ROUNDS / 5);
}
