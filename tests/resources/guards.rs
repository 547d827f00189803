//! Guards: a file is not replaced while the store gives too little.

use rustix::process::Signal;

use crate::support::{Daemon, Ended, Sandbox, eventually};

/// A sandbox with a resource that has these guards. Its template writes a line for each key below
/// `/app`.
fn guarded(guards: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let template = "{{range gets \"/*/*\"}}{{.Key}} = {{.Value}}\n{{end}}";
    sandbox.resource("app", template, guards);
    sandbox
}

/// A run with the keys `/app/k0` to below `/app/k<count>`.
fn run_with(sandbox: &Sandbox, count: usize) -> crate::support::Run {
    let keys: String = (0..count).map(|nth| format!("  k{nth}: v\n")).collect();
    sandbox
        .onetime_with(&format!("other:\n  k: v\n{}{keys}", if count > 0 { "app:\n" } else { "" }))
}

#[track_caller]
fn stays(sandbox: &Sandbox, ended: &Ended, before: &str, why: &str) {
    let dest = sandbox.path("out/app").display().to_string();
    ended.expect(&format!("ERROR {dest} stays as it is: {why} (resource app)"));
    assert_eq!(ended.excerpts(), ["   = confd -onetime -force replaces it all the same"]);
    assert_eq!(sandbox.output(), before);
}

#[test]
fn a_guard_that_trips_keeps_the_file_says_by_how_much_and_can_be_overridden_once() {
    for (guards, now, why) in [
        ("required_keys = ['/app/k3', '/app', '/app/k9']", 5, "required_keys: /app/k9 is missing"),
        ("min_keys = 7", 5, "min_keys: 6 keys, and 7 are the least"),
        ("min_bytes = 74", 5, "min_bytes: 73 bytes, and 74 are the least"),
        (
            "max_shrink = '50%'",
            1,
            "max_shrink: 25 bytes after 133 bytes, 81% less, and 50% are the most",
        ),
        ("output_format = 'json'", 5, "output_format: the result is no json, line 1, column 1"),
    ] {
        let sandbox = guarded(guards);
        run_with(&sandbox, 10).arguments(&["-force"]).ok();
        let before = sandbox.output();
        // The file is in place, and nothing would change.
        run_with(&sandbox, 10).ok();
        stays(&sandbox, &run_with(&sandbox, now).fails(), &before, why);
        let forced = run_with(&sandbox, now).arguments(&["-force"]).ok();
        let dest = sandbox.path("out/app").display().to_string();
        forced.expect(&format!("WARNING {dest} is replaced by -force: {why} (resource app)"));
        assert_ne!(sandbox.output(), before, "{guards}");
        run_with(&sandbox, now).ok().expect_no("stays as it is");
    }
}

#[test]
fn a_guard_holds_before_the_check_command_runs() {
    let sandbox = guarded("min_keys = 9\ncheck_cmd = 'touch checked'");
    run_with(&sandbox, 1).fails();
    assert!(!sandbox.path("checked").exists());
    assert_eq!(sandbox.list("out"), <[&str; 0]>::default());
}

#[test]
fn a_daemon_tries_again_and_accepts_what_was_forced() {
    let sandbox = guarded("max_shrink = '50%'");
    let keys = |count: usize| {
        let keys: String = (0..count).map(|nth| format!("  k{nth}: v\n")).collect();
        // Keys without bytes in the file.
        sandbox.write("keys.yaml", format!("app:\n  k: v\n{keys}"));
    };
    keys(10);
    let file = sandbox.path("keys.yaml").display().to_string();
    let arguments = ["-backend", "file", "-file", &file];
    let words = [&["-watch", "-log-level", "debug"][..], &arguments].concat();
    let daemon = Daemon::start(sandbox.confd(&words), sandbox.path("log"));
    let in_sync = || daemon.stderr().matches("app in sync").count();
    eventually("the file is there", || sandbox.path("out/app").exists());
    let before = sandbox.output();
    keys(2);
    daemon
        .wait_for("max_shrink: 3 keys after 11 keys, 72% less, and 50% are the most; max_shrink: ");
    assert_eq!(sandbox.output(), before);
    let seen = in_sync();
    sandbox.confd(&[&["-onetime", "-force"][..], &arguments].concat()).ok();
    let forced = sandbox.output();
    assert_ne!(forced, before);
    eventually("the daemon has seen the forced file", || in_sync() > seen);
    keys(3);
    eventually("the next change is applied", || sandbox.output() != forced);
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn force_is_for_one_run() {
    let sandbox = guarded("");
    for mode in ["-watch", "-interval=1"] {
        let ended = sandbox.confd(&["-backend", "env", "-force", mode]).fails();
        ended.expect(
            "FATAL -force is for -onetime: run confd -onetime -force beside the confd that runs",
        );
    }
}

#[test]
fn a_guard_that_is_none_is_refused() {
    for (guard, error) in [
        ("min_keys = -1", "min_keys -1 is less than 0"),
        ("max_shrink = '101%'", "max_shrink \"101%\" is not a number from 0 to 100 with %"),
        ("max_shrink = '50'", "max_shrink \"50\" is not a number from 0 to 100 with %"),
        (
            "output_format = 'ymal'",
            "unknown output_format \"ymal\"; the known ones are \"json\", \"yaml\", \"toml\", \"xml\", \"ini\"",
        ),
    ] {
        let log = guarded(guard).onetime().fails().log();
        assert!(log.iter().any(|line| line.ends_with(error)), "{log:?}");
    }
}

#[test]
fn a_template_that_fails_is_not_said_to_be_replaced() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/app/k0\"}}", "required_keys = ['/app/k0']");
    let ended = run_with(&sandbox, 0).arguments(&["-force"]).fails();
    ended.expect_no("is replaced by -force");
    assert!(ended.stderr.contains("key does not exist: /app/k0"), "{}", ended.stderr);
}

#[test]
fn with_noop_a_forced_file_would_be_replaced_and_stays() {
    let sandbox = guarded("min_keys = 9");
    let ended = run_with(&sandbox, 2).arguments(&["-force", "-noop"]).ok();
    let dest = sandbox.path("out/app").display().to_string();
    let why = "min_keys: 3 keys, and 9 are the least";
    ended.expect(&format!("WARNING {dest} would be replaced by -force: {why} (resource app)"));
    assert!(!sandbox.path("out/app").exists());
}

#[test]
fn a_share_without_its_sign_is_shown_in_the_right_form() {
    for (wrong, right) in [("50", "max_shrink = \"50%\""), ("'50'", "max_shrink = \"50%\"")] {
        let sandbox = guarded(&format!("max_shrink = {wrong}"));
        let ended = run_with(&sandbox, 1).fails();
        assert!(ended.stderr.contains(right), "{}", ended.stderr);
    }
}
