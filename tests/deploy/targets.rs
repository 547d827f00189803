//! Destinations that are not plain files owned by confd: links, folders, mounts, files of other
//! owners.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown, symlink},
};

use super::{dest, is_stage_name, outdated};
use crate::support::{Sandbox, needs_root};

#[test]
fn a_link_is_replaced_by_a_file_and_its_target_stays() {
    let sandbox = Sandbox::rendering("new");
    sandbox.write("elsewhere", "old");
    symlink(sandbox.path("elsewhere"), sandbox.path("out/app")).unwrap();
    let ended = sandbox.onetime().ok();
    // The comparison follows the link.
    assert!(
        ended.stderr.contains("has md5sum 149603e6c03516362a8da23f624db945"),
        "{}",
        ended.stderr
    );
    assert!(fs::symlink_metadata(sandbox.path("out/app")).unwrap().is_file());
    assert_eq!((sandbox.output(), sandbox.read("elsewhere")), ("new".into(), "old".into()));
}

#[test]
fn a_link_to_a_file_in_sync_stays_a_link() {
    let sandbox = Sandbox::rendering("new");
    sandbox.write("elsewhere", "new");
    symlink(sandbox.path("elsewhere"), sandbox.path("out/app")).unwrap();
    sandbox.onetime().ok().expect_no("out of sync");
    assert!(fs::symlink_metadata(sandbox.path("out/app")).unwrap().is_symlink());
}

#[test]
fn a_dangling_link_is_replaced_by_a_file() {
    let sandbox = Sandbox::rendering("new");
    symlink(sandbox.path("nowhere"), sandbox.path("out/app")).unwrap();
    sandbox.onetime().ok();
    assert!(fs::symlink_metadata(sandbox.path("out/app")).unwrap().is_file());
    assert_eq!(sandbox.output(), "new");
    assert!(!sandbox.path("nowhere").exists());
}

#[test]
fn a_folder_in_the_place_of_the_file_is_an_error_and_stays() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", "reload_cmd = 'echo reload >> ran'");
    sandbox.write("out/app/inside", "kept");
    let ended = sandbox.onetime().fails();
    let (start, end) = (
        format!("ERROR rename {}/.app", sandbox.path("out").display()),
        format!(" {}: file exists", dest(&sandbox)),
    );
    assert!(
        ended.log().iter().any(|line| line.starts_with(&start) && line.ends_with(&end)),
        "{}",
        ended.stderr
    );
    assert_eq!(
        (sandbox.list("out"), sandbox.read("out/app/inside"), sandbox.read("ran")),
        (vec!["app".into()], "kept".into(), String::new())
    );
}

#[test]
fn a_bind_mounted_file_is_written_in_place_with_its_mode() {
    let sandbox = outdated("mode = '0640'\nreload_cmd = 'echo reload >> ran'");
    sandbox.write("source", "old and longer than the new one");
    let before = fs::metadata(sandbox.path("source")).unwrap().ino();
    // Two runs in one mount namespace. In the second run everything is in sync.
    let script = "mount --bind source out/app; \"$@\"; \"$@\"";
    let ended = sandbox.onetime().arguments(&["-log-level", "debug"]).unshared("-m", script).ok();
    ended.expect("DEBUG Rename failed - target is likely a mount. Trying to write instead");
    ended.expect(&format!("DEBUG Target config {} in sync", dest(&sandbox)));
    assert_eq!(
        (sandbox.read("source"), sandbox.mode("source"), sandbox.read("ran")),
        ("new".into(), 0o640, "reload\n".into())
    );
    assert_eq!(fs::metadata(sandbox.path("source")).unwrap().ino(), before);
    assert_eq!(sandbox.list("out"), ["app"]);
}

#[test]
fn a_kept_stage_file_stays_when_a_mount_is_written_in_place() {
    let sandbox = outdated("");
    sandbox.write("source", "old");
    sandbox
        .onetime()
        .arguments(&["-keep-stage-file"])
        .unshared("-m", "mount --bind source out/app; \"$@\"")
        .ok();
    let names = sandbox.list("out");
    assert!(names.len() == 2 && is_stage_name(&names[0], "app"), "{names:?}");
    assert_eq!(
        (sandbox.read("source"), sandbox.read(&format!("out/{}", names[0]))),
        ("new".into(), "new".into())
    );
}

#[test]
fn an_owner_that_cannot_be_set_keeps_the_old_file() {
    for owner in ["uid = 1000", "gid = 1000"] {
        let sandbox = outdated(&format!(
            "{owner}\ncheck_cmd = 'echo check >> ran'\nreload_cmd = 'echo reload >> ran'"
        ));
        let ended = sandbox.onetime().unprivileged().fails();
        let said = |line: &String| {
            line.starts_with("ERROR chown ")
                && line.contains(&dest(&sandbox))
                && line.contains("operation not permitted")
        };
        assert!(ended.log().iter().any(said), "{}", ended.stderr);
        assert_eq!(
            (sandbox.output(), sandbox.list("out"), sandbox.read("ran")),
            ("old".into(), vec!["app".into()], String::new())
        );
    }
}

#[test]
fn a_mounted_file_whose_owner_cannot_be_set_keeps_its_content() {
    let sandbox = outdated("uid = 1000");
    sandbox.write("source", "old");
    let script =
        "mount --bind source out/app; exec setpriv --bounding-set=-all --inh-caps=-all -- \"$@\"";
    sandbox.onetime().unshared("-m", script).fails();
    assert_eq!((sandbox.read("source"), sandbox.list("out")), ("old".into(), vec!["app".into()]));
}

#[test]
fn a_user_without_rights_deploys_into_a_folder_of_its_own() {
    needs_root();
    let sandbox = outdated("");
    // In a folder of root, the user could not start the binary.
    fs::copy(env!("CARGO_BIN_EXE_confd"), sandbox.path("confd")).unwrap();
    for path in ["", "out", "out/app"] {
        chown(sandbox.path(path), Some(1000), Some(1000)).unwrap();
    }
    let run = || {
        crate::support::Run::new("./confd", sandbox.root())
            .arguments(&["-onetime", "-backend", "env", "-confdir", "."])
    };
    let user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--"];
    run().through(&user).ok().expect_no("UID");
    assert_eq!((sandbox.output(), sandbox.owner("out/app")), ("new".into(), (1000, 1000)));

    // The user cannot make root the owner. Go confd would create the file with the user as owner
    // and say nothing.
    sandbox.resource("app", "newer", "uid = 0");
    let ended = run().through(&user).fails();
    assert!(ended.stderr.contains("ERROR chown "), "{}", ended.stderr);
    assert_eq!((sandbox.output(), sandbox.list("out")), ("new".into(), vec!["app".into()]));
}

#[test]
fn two_resources_with_one_destination_are_deployed_one_after_the_other() {
    let sandbox = Sandbox::new();
    for (name, content) in [("a", "first"), ("b", "second")] {
        sandbox.write(&format!("templates/{name}"), content);
        sandbox.write(
            &format!("conf.d/{name}.toml"),
            format!("[template]\nsrc = '{name}'\ndest = 'out/app'\n"),
        );
    }
    let ended = sandbox.onetime().ok();
    let updates =
        ended.log().iter().filter(|line| line.ends_with("out/app has been updated")).count();
    assert_eq!((sandbox.output().as_str(), updates), ("second", 2), "{}", ended.stderr);
}
