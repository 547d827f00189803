//! Which files of `conf.d` are resources, and their order.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
};

use rustix::process::Signal;

use crate::support::{Daemon, Ended, Sandbox};

/// Writes a resource to `path`. Its destination is `out/NAME`.
fn place(sandbox: &Sandbox, path: &str, name: &str) {
    sandbox.write("templates/x", "x");
    sandbox.write(path, format!("[template]\nsrc = 'x'\ndest = 'out/{name}'\n"));
}

/// A sandbox with these files in `conf.d`, all of them valid resources.
fn tree(files: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    for file in files {
        place(&sandbox, &format!("conf.d/{file}"), &file.replace('/', ","));
    }
    sandbox
}

/// The results in the order in which they were written.
fn order(ended: &Ended) -> Vec<String> {
    let updated = |line: String| {
        let name =
            line.strip_prefix("INFO Target config out/")?.strip_suffix(" has been updated")?;
        Some(name.replace(',', "/"))
    };
    ended.log().into_iter().filter_map(updated).collect()
}

#[test]
fn names_that_end_in_toml_count_depth_first_in_byte_order() {
    let sandbox = tree(&[
        "b.toml",
        "a.toml",
        "a-b.toml",
        "a/z.toml",
        "B.toml",
        "9.toml",
        "10.toml",
        ".hidden.toml",
        ".hid/q.toml",
        "xtoml",
        "toml",
        ".toml",
        "é.toml",
        "a.TOML",
        "a.toml.bak",
        "a.toml~",
        "tomlx",
        "a.tom",
        "d/e/f/deep.toml",
    ]);
    let ended = sandbox.onetime().ok();
    assert_eq!(
        order(&ended),
        [
            ".hid/q.toml",
            ".hidden.toml",
            ".toml",
            "10.toml",
            "9.toml",
            "B.toml",
            "a/z.toml",
            "a-b.toml",
            "a.toml",
            "b.toml",
            "d/e/f/deep.toml",
            "toml",
            "xtoml",
            "é.toml",
        ]
    );
    assert_eq!(sandbox.list("out").len(), 14);
}

#[test]
fn a_name_that_is_not_utf_8_counts() {
    let sandbox = tree(&["a.toml"]);
    let odd = sandbox.path("conf.d").join(OsStr::from_bytes(b"\xff.toml"));
    fs::rename(sandbox.path("conf.d/a.toml"), odd).unwrap();
    assert_eq!(order(&sandbox.onetime().ok()), ["a.toml"]);
}

#[test]
fn a_folder_whose_name_ends_in_toml_is_descended() {
    let sandbox = tree(&["x.toml/a.toml"]);
    assert_eq!(order(&sandbox.onetime().ok()), ["x.toml/a.toml"]);
}

#[test]
fn conf_d_may_be_a_file_and_is_then_the_one_resource() {
    let sandbox = Sandbox::new();
    fs::remove_dir(sandbox.path("conf.d")).unwrap();
    place(&sandbox, "conf.d", "only");
    assert_eq!(order(&sandbox.onetime().ok()), ["only"]);
}

#[test]
fn a_link_to_a_file_counts_by_the_name_of_the_link() {
    let sandbox = Sandbox::new();
    place(&sandbox, "elsewhere/one", "one");
    place(&sandbox, "elsewhere/two.toml", "two");
    symlink("../elsewhere/one", sandbox.path("conf.d/one.toml")).unwrap();
    symlink("../elsewhere/two.toml", sandbox.path("conf.d/two")).unwrap();
    assert_eq!(order(&sandbox.onetime().ok()), ["one"]);
}

#[test]
fn a_link_to_a_folder_is_neither_taken_nor_descended() {
    let sandbox = tree(&["a.toml"]);
    place(&sandbox, "elsewhere/b.toml", "b");
    symlink("../elsewhere", sandbox.path("conf.d/folder")).unwrap();
    symlink("../elsewhere", sandbox.path("conf.d/folder.toml")).unwrap();
    assert_eq!(order(&sandbox.onetime().ok()), ["a.toml"]);
}

#[test]
fn a_dangling_link_is_one_bad_resource_and_harmless_under_another_name() {
    let sandbox = tree(&["a.toml", "z.toml"]);
    symlink("/nowhere", sandbox.path("conf.d/dangling")).unwrap();
    sandbox.onetime().ok();
    symlink("/nowhere", sandbox.path("conf.d/b.toml")).unwrap();
    fs::remove_file(sandbox.path("out/a.toml")).unwrap();
    fs::remove_file(sandbox.path("out/z.toml")).unwrap();
    let ended = sandbox.onetime().fails();
    let path = sandbox.path("conf.d/b.toml").display().to_string();
    let error =
        format!("Cannot process template resource {path} - stat {path}: no such file or directory");
    ended.expect(&format!("ERROR {error}")).expect(&format!("FATAL {error}"));
    assert_eq!(order(&ended), ["a.toml", "z.toml"]);
}

#[test]
fn a_linked_confdir_is_followed() {
    let sandbox = tree(&["a.toml"]);
    symlink(".", sandbox.path("link")).unwrap();
    let ended = sandbox.onetime().arguments(&["-confdir", "link"]).ok();
    assert_eq!(order(&ended), ["a.toml"]);
}

#[test]
fn a_linked_conf_d_is_followed() {
    let sandbox = tree(&["a.toml"]);
    fs::rename(sandbox.path("conf.d"), sandbox.path("real")).unwrap();
    symlink("real", sandbox.path("conf.d")).unwrap();
    assert_eq!(order(&sandbox.onetime().ok()), ["a.toml"]);
}

#[test]
fn the_resources_of_a_mounted_config_map_are_found_once() {
    let sandbox = tree(&["..2026_11_21_06_25_24.123/a.toml"]);
    symlink("..2026_11_21_06_25_24.123", sandbox.path("conf.d/..data")).unwrap();
    symlink("..data/a.toml", sandbox.path("conf.d/a.toml")).unwrap();
    let ended = sandbox.onetime().arguments(&["-log-level", "debug"]).ok();
    let found: Vec<_> =
        ended.log().into_iter().filter(|line| line.contains("Found template:")).collect();
    assert_eq!(
        found,
        [format!("DEBUG Found template: {}", sandbox.path("conf.d/a.toml").display())]
    );
    assert_eq!(order(&ended).len(), 1);
}

#[test]
fn a_resource_with_two_names_is_taken_once_under_the_first() {
    let sandbox = tree(&["b.toml"]);
    symlink("b.toml", sandbox.path("conf.d/a.toml")).unwrap();
    let ended = sandbox.onetime().arguments(&["-log-level", "debug"]).ok();
    ended.expect(&format!("DEBUG Found template: {}", sandbox.path("conf.d/a.toml").display()));
    ended.expect_no("conf.d/b.toml");
    assert_eq!(order(&ended), ["b.toml"]);
}

#[test]
fn a_folder_that_cannot_be_read_is_left_out_with_a_warning() {
    let sandbox = tree(&["a.toml", "closed/b.toml", "z.toml"]);
    let closed = sandbox.path("conf.d/closed");
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    let ended = sandbox.onetime().unprivileged().ok();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    ended.expect(&format!(
        "WARNING open {}: permission denied: resources in it are left out",
        closed.display()
    ));
    assert_eq!(order(&ended), ["a.toml", "z.toml"]);
}

#[test]
fn a_file_that_cannot_be_read_is_one_bad_resource() {
    let sandbox = tree(&["a.toml", "closed.toml", "z.toml"]);
    let closed = sandbox.path("conf.d/closed.toml");
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    let ended = sandbox.onetime().unprivileged().fails();
    let path = closed.display();
    ended.expect(&format!(
        "ERROR Cannot process template resource {path} - open {path}: permission denied"
    ));
    assert_eq!(order(&ended), ["a.toml", "z.toml"]);
}

#[test]
fn conf_d_is_read_again_at_every_pass() {
    let sandbox = tree(&["a.toml"]);
    let daemon =
        Daemon::start(sandbox.confd(&["-backend", "env", "-interval", "1"]), sandbox.path("log"));
    daemon.wait_for("INFO Target config out/a.toml has been updated");
    place(&sandbox, "conf.d/b.toml", "b.toml");
    daemon.wait_for("INFO Target config out/b.toml has been updated");
    place(&sandbox, "conf.d/a.toml", "other");
    daemon.wait_for("INFO Target config out/other has been updated");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}
