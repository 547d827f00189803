//! SIGKILL at any moment of a deploy.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    thread,
    time::Instant,
};

use crate::support::{Ended, Run, Sandbox};

/// Rounds that are played at least.
const ROUNDS: u32 = 100;
/// Resources of a deploy.
const RESOURCES: usize = 16;
/// Pieces of a result, each of which begins with the version.
const PIECES: usize = 25;

/// What a resource's file holds in a version: big enough to be written in several parts, and
/// with the version all over it.
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

/// Which version each file is; panics if one is torn.
fn versions(sandbox: &Sandbox) -> Vec<&'static str> {
    let version_of = |name: String| {
        let found = sandbox.read(&format!("out/{name}"));
        let version = ["old", "new"].into_iter().find(|version| found == content(version, &name));
        version.unwrap_or_else(|| panic!("{name} is neither old nor new, {} bytes", found.len()))
    };
    names().map(version_of).collect()
}

/// A number below 1, different each time.
fn chance() -> f64 {
    (RandomState::new().build_hasher().finish() % 1_000_000) as f64 / 1e6
}

/// Kills deploys at random moments, until enough have been killed in the middle.
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
        // Not a wait for anything: the moment of the kill is what is being tried.
        thread::sleep(whole.mul_f64(chance() * 1.1));
        running.kill().unwrap();
        Ended::wait(running);
        let found = versions(sandbox);
        between += u32::from(found.contains(&from) && found.contains(&to));
        staged += u32::from(sandbox.list("out").iter().any(|name| is_stage(name)));

        // The next run is clean, whether it goes on or back.
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

/// A tree whose files hold one version each; `more` is added to every resource.
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
