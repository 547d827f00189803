//! The owner that a resource gives its file by name.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown},
};

use rustix::process::Signal;

use crate::support::{Daemon, Run, Sandbox, needs_root};

/// A sandbox whose resource `app` has these lines, and a file `passwd` with a user `web`.
fn with_owner(lines: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", lines);
    sandbox.write("passwd", "root:x:0:0::/root:/bin/sh\nweb:x:1033:5::/:/bin/sh\n");
    sandbox.write("group", "root:x:0:\nwww-data:x:1044:web\n");
    sandbox
}

/// `run` on a machine with the users and groups of [`with_owner`].
fn with_users(run: Run) -> Run {
    run.unshared(
        "-m",
        "mount --bind passwd /etc/passwd; mount --bind group /etc/group; exec \"$@\"",
    )
}

#[test]
fn a_name_gives_the_file_to_that_user_and_group() {
    needs_root();
    for (lines, owner) in [
        ("owner = 'web'\ngroup_owner = 'www-data'", (1033, 1044)),
        ("owner = 'web'", (1033, 0)),
        ("group_owner = 'www-data'\nuid = 7", (7, 1044)),
        ("owner = 1001\ngroup_owner = '1002'", (1001, 1002)),
    ] {
        let sandbox = with_owner(lines);
        with_users(sandbox.onetime()).ok().expect_no("WARNING");
        assert_eq!(sandbox.owner("out/app"), owner, "{lines}");
        with_users(sandbox.onetime()).ok().expect_no("out of sync");
    }
}

#[test]
fn a_user_that_does_not_exist_is_a_bad_resource_with_the_nearest_name() {
    for (lines, why, hint) in [
        (
            "owner = 'wep'",
            "owner \"wep\": there is no such user in /etc/passwd",
            "did you mean \"web\"?",
        ),
        (
            "group_owner = 'wwwdata'",
            "group_owner \"wwwdata\": there is no such group in /etc/group",
            "did you mean \"www-data\"?",
        ),
        (
            "owner = 'elsewhere'",
            "owner \"elsewhere\": there is no such user in /etc/passwd",
            "users of other services, such as LDAP, are not looked up: give the number",
        ),
        (
            "owner = 'web'\nuid = 5",
            "uid and owner are both set",
            "remove uid: owner is a name or a number",
        ),
    ] {
        let sandbox = with_owner(lines);
        sandbox.resource("other", "x", "");
        let ended = with_users(sandbox.onetime()).fails();
        let path = sandbox.path("conf.d/app.toml").display().to_string();
        ended.expect(&format!("ERROR Cannot process template resource {path} - {why}"));
        let below = ended.excerpts().join("\n");
        assert!(below.contains(&format!("{path}:5:")) && below.contains(hint), "{below}");
        assert_eq!(sandbox.list("out"), ["other"]);
    }
}

#[test]
fn a_user_that_is_created_later_counts_at_the_next_pass_of_interval_mode() {
    let sandbox = with_owner("owner = 'late'");
    let run = sandbox.confd(&["-backend", "env", "-interval", "1"]);
    let daemon = Daemon::start(with_users(run), sandbox.path("log"));
    daemon.wait_for("there is no such user in /etc/passwd");
    let users = sandbox.read("passwd") + "late:x:1055:5::/:/bin/sh\n";
    // The mount is of this file, which therefore has to stay the same one.
    fs::write(sandbox.path("passwd"), users).unwrap();
    daemon.wait_for("out/app has been updated");
    assert_eq!(sandbox.owner("out/app").0, 1055);
    daemon.stop(Signal::TERM);
}

#[test]
fn with_preserve_an_existing_file_keeps_its_owner_and_mode_and_a_new_one_gets_those_that_are_set() {
    needs_root();
    let sandbox = with_owner("preserve = true\nuid = 1000\ngid = 1001\nmode = '0600'");
    sandbox.onetime().ok();
    assert_eq!((sandbox.owner("out/app"), sandbox.mode("out/app")), ((1000, 1001), 0o600));
    let path = sandbox.path("out/app");
    chown(&path, Some(2000), Some(2001)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    sandbox.onetime().ok().expect_no("out of sync");
    sandbox.write("templates/app.tmpl", "new");
    sandbox.onetime().ok().expect_no("has mode").expect_no("has UID");
    assert_eq!(sandbox.output(), "new");
    assert_eq!((sandbox.owner("out/app"), sandbox.mode("out/app")), ((2000, 2001), 0o640));
}

#[test]
fn with_preserve_alone_the_owner_is_that_of_the_file() {
    needs_root();
    let sandbox = with_owner("preserve = true");
    let path = sandbox.write("out/app", "old");
    chown(&path, Some(2000), None).unwrap();
    sandbox.onetime().ok();
    assert_eq!((sandbox.output().as_str(), sandbox.owner("out/app")), ("x", (2000, 0)));
}

#[test]
fn a_file_whose_owner_cannot_be_preserved_is_not_replaced() {
    needs_root();
    let sandbox = with_owner("preserve = true");
    let path = sandbox.write("out/app", "old");
    chown(&path, Some(2000), Some(2001)).unwrap();
    let ended = sandbox.onetime().unprivileged().fails();
    let stays = format!("({} should belong to 2000:2001 and stays as it was)", path.display());
    assert!(ended.stderr.contains(&stays), "{}", ended.stderr);
    assert_eq!(sandbox.read("out/app"), "old");
}

#[test]
fn in_watch_mode_a_user_that_is_created_later_counts_after_a_hangup() {
    let sandbox = with_owner("owner = 'late'");
    let run = sandbox.confd(&["-backend", "env", "-watch"]);
    let daemon = Daemon::start(with_users(run), sandbox.path("log"));
    daemon.wait_for("there is no such user in /etc/passwd");
    let users = sandbox.read("passwd") + "late:x:1055:5::/:/bin/sh\n";
    fs::write(sandbox.path("passwd"), users).unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for("out/app has been updated");
    assert_eq!(sandbox.owner("out/app").0, 1055);
    daemon.stop(Signal::TERM);
}
