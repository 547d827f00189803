//! Mounts, full disks and other users, which need root. Each test runs in a process of its own.

use std::os::unix::fs::chown;
use std::process::Command;

use super::*;
use crate::CheckCommand;
use crate::testing::{World, in_world, variable};

pub(super) fn sh(command: &str) {
    let status = Command::new("/bin/sh").arg("-c").arg(command).status().expect("a shell");
    assert!(status.success(), "{command}");
}

/// A site whose destination is a mount of the file `source`.
fn mounted(content: &str) -> Site {
    let site = Site::with(content);
    fs::write(site.path("source"), content).expect("write");
    set_mode(&site.path("source"), 0o644);
    let dir = site.folder.path().display();
    sh(&format!("mount --bind {dir}/source {dir}/app.conf"));
    site
}

fn unmount(site: &Site) {
    sh(&format!("umount {}", site.target.dest.display()));
}

fn owner(path: &Path) -> (u32, u32) {
    let metadata = fs::metadata(path).expect("metadata");
    (metadata.uid(), metadata.gid())
}

#[test]
fn a_bind_mounted_file_is_written_in_place_with_its_mode_and_owner() {
    let test = "tests::worlds::a_bind_mounted_file_is_written_in_place_with_its_mode_and_owner";
    in_world(World::Mounts, test, || {
        let mut site = mounted("old and longer");
        site.target.mode = Some(0o640);
        site.target.uid = Some(1000);
        site.target.gid = Some(1001);
        site.target.reload_cmd = Some(site.note("reload").into());
        let steps = site.observe();
        assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
        let lines = site.plain_steps(&steps);
        let overwriting = lines
            .iter()
            .position(|line| line == "DEBUG Overwriting target config DIR/app.conf")
            .expect("the line");
        assert_eq!(
            lines[overwriting + 1],
            "DEBUG Rename failed - target is likely a mount. Trying to write instead"
        );
        assert_eq!((site.content().as_str(), site.mode()), ("new", 0o640));
        assert_eq!(owner(&site.target.dest), (1000, 1001));
        // In confd the mode stays as it was, so every pass reloads.
        assert_eq!(site.deploy("new").expect("in sync"), Outcome::Unchanged);
        assert_eq!(site.notes(), "reload\n");
        assert_eq!(site.names(), ["app.conf", "ran", "source"]);
        unmount(&site);
    });
}

#[test]
fn a_kept_stage_file_of_a_mount_stays() {
    in_world(World::Mounts, "tests::worlds::a_kept_stage_file_of_a_mount_stays", || {
        let mut site = mounted("old");
        site.options.keep_stage_file = true;
        site.deploy("new").expect("deployed");
        assert_eq!(site.names().len(), 3);
        unmount(&site);
    });
}

#[test]
fn a_failed_write_in_place_puts_the_old_content_back() {
    let test = "tests::worlds::a_failed_write_in_place_puts_the_old_content_back";
    in_world(World::Mounts, test, || {
        // The stage file has room, but the mounted file's file system is full.
        let mut site = Site::with("");
        let dir = site.folder.path().display().to_string();
        fs::create_dir(site.path("small")).expect("folder");
        sh(&format!("mount -t tmpfs -o size=64k none {dir}/small"));
        let old = "old ".repeat(5_000);
        fs::write(site.path("small/file"), &old).expect("write");
        set_mode(&site.path("small/file"), 0o644);
        sh(&format!("mount --bind {dir}/small/file {dir}/app.conf"));
        site.target.mode = Some(0o600);
        site.target.reload_cmd = Some(site.note("reload").into());
        let error = site.deploy(&"new!".repeat(50_000)).expect_err("full");
        assert_eq!(
            site.plain(&error),
            "write DIR/app.conf: no space left on device; the old content was put back"
        );
        assert!(!error.is_written());
        assert!(site.content() == old);
        assert_eq!(site.mode(), 0o644);
        assert_eq!(site.names(), ["app.conf", "small"]);
        sh(&format!("umount {dir}/app.conf {dir}/small"));
    });
}

#[test]
fn a_root_with_few_rights_can_give_files_away() {
    let test = "tests::worlds::a_root_with_few_rights_can_give_files_away";
    in_world(World::MountsWithoutFowner, test, || {
        for mut site in [Site::with("old"), mounted("old")] {
            site.target.uid = Some(1000);
            site.target.mode = Some(0o640);
            assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
            assert_eq!((site.content().as_str(), site.mode()), ("new", 0o640));
            assert_eq!(owner(&site.target.dest), (1000, 0));
            // A mount would prevent the removal of the folder.
            let _ = Command::new("umount").arg(&site.target.dest).output();
        }
    });
}

#[test]
fn a_full_disk_leaves_the_old_file_and_no_stage_file() {
    let test = "tests::worlds::a_full_disk_leaves_the_old_file_and_no_stage_file";
    in_world(World::Mounts, test, || {
        let mut site = Site::new();
        let dir = site.folder.path().display().to_string();
        sh(&format!("mkdir {dir}/small && mount -t tmpfs -o size=64k none {dir}/small"));
        site.target.dest = site.path("small/app.conf");
        site.write("old");
        let error = site.deploy(&"new!".repeat(50_000)).expect_err("full");
        assert_eq!(site.plain(&error), "write DIR/small/.app.conf#: no space left on device");
        assert_eq!(site.content(), "old");
        assert_eq!(names_in(&site.path("small")), ["app.conf"]);
        sh(&format!("umount {dir}/small"));
    });
}

#[test]
fn a_read_only_folder_is_named() {
    in_world(World::Mounts, "tests::worlds::a_read_only_folder_is_named", || {
        let site = Site::with("old");
        let dir = site.folder.path().display().to_string();
        sh(&format!("mount --bind {dir} {dir} && mount -o remount,ro,bind {dir}"));
        let error = site.deploy("new").expect_err("read-only");
        assert_eq!(site.plain(&error), "open DIR/.app.conf#: read-only file system");
        // A file in sync is not written.
        assert_eq!(site.deploy("old").expect("in sync"), Outcome::Unchanged);
        sh(&format!("umount {dir}"));
    });
}

#[test]
fn the_umask_does_not_change_the_mode() {
    in_world(World::Umask, "tests::worlds::the_umask_does_not_change_the_mode", || {
        let mut site = Site::new();
        set_mode(site.folder.path(), 0o700);
        site.target.mode = Some(0o664);
        site.deploy("x").expect("deployed");
        assert_eq!(site.mode(), 0o664);
    });
}

#[test]
fn a_wanted_owner_is_set_and_compared() {
    in_world(World::Mounts, "tests::worlds::a_wanted_owner_is_set_and_compared", || {
        let mut site = Site::with("same");
        site.target.uid = Some(1000);
        site.target.gid = Some(1001);
        let steps = site.observe();
        assert_eq!(site.deploy("same").expect("deployed"), Outcome::Updated);
        let lines: Vec<String> = steps.lines().iter().map(|line| site.plain(line)).collect();
        assert_eq!(
            lines[..2],
            [
                "INFO DIR/app.conf has UID 0 should be 1000",
                "INFO DIR/app.conf has GID 0 should be 1001"
            ]
        );
        assert_eq!(owner(&site.target.dest), (1000, 1001));
        assert_eq!(site.deploy("same").expect("in sync"), Outcome::Unchanged);
    });
}

#[test]
fn without_a_wanted_owner_the_file_becomes_ours() {
    in_world(World::Mounts, "tests::worlds::without_a_wanted_owner_the_file_becomes_ours", || {
        let site = Site::with("same");
        chown(&site.target.dest, Some(1000), None).expect("chown");
        let steps = site.observe();
        assert_eq!(site.deploy("same").expect("deployed"), Outcome::Updated);
        assert_eq!(site.plain(&steps.lines()[0]), "INFO DIR/app.conf has UID 1000 should be 0");
        assert_eq!(owner(&site.target.dest), (0, 0));
    });
}

#[test]
fn a_setgid_folder_does_not_give_its_group_to_the_file() {
    let test = "tests::worlds::a_setgid_folder_does_not_give_its_group_to_the_file";
    in_world(World::Mounts, test, || {
        let site = Site::new();
        chown(site.folder.path(), None, Some(1001)).expect("chown");
        set_mode(site.folder.path(), 0o2755);
        site.deploy("new").expect("deployed");
        assert_eq!(owner(&site.target.dest), (0, 0));
    });
}

#[test]
fn a_failed_chown_keeps_the_old_file_and_says_so() {
    let test = "tests::worlds::a_failed_chown_keeps_the_old_file_and_says_so";
    in_world(World::Nobody, test, || {
        let mut site = Site::with("old");
        site.target.uid = Some(0);
        site.target.check_cmd = Some(CheckCommand::new(site.note("check")));
        let error = site.deploy("new").expect_err("not root");
        assert_eq!(
            site.plain(&error),
            "chown DIR/.app.conf#: operation not permitted \
             (DIR/app.conf should belong to 0:65534 and stays as it was)"
        );
        assert_eq!((site.content().as_str(), site.names().len()), ("old", 1));
    });
}

#[test]
fn a_folder_without_permission_is_named() {
    in_world(World::Nobody, "tests::worlds::a_folder_without_permission_is_named", || {
        let site = Site::with("old");
        set_mode(site.folder.path(), 0o555);
        let error = site.deploy("new").expect_err("no permission");
        assert_eq!(site.plain(&error), "open DIR/.app.conf#: permission denied");
        set_mode(site.folder.path(), 0o755);
    });
}

#[test]
fn a_destination_that_cannot_be_read_is_reported_and_replaced() {
    let test = "tests::worlds::a_destination_that_cannot_be_read_is_reported_and_replaced";
    in_world(World::Nobody, test, || {
        let site = Site::with("old");
        set_mode(&site.target.dest, 0);
        let steps = site.observe();
        assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
        assert_eq!(site.plain(&steps.lines()[0]), "ERROR open DIR/app.conf: permission denied");
        assert_eq!(site.mode(), 0);
    });
}

#[test]
fn what_a_file_system_shows_instead_is_in_sync_without_a_new_stage_file() {
    let test =
        "tests::worlds::what_a_file_system_shows_instead_is_in_sync_without_a_new_stage_file";
    in_world(World::Mounts, test, || {
        let mut site = Site::new();
        let dir = site.folder.path().display().to_string();
        sh(&format!(
            "cd {dir}; mkdir real cifs; bindfs --perms=0755 --force-user=1000 real cifs || {{
             echo 'bindfs is needed: tests/install-servers installs it'; exit 1; }}"
        ));
        site.target.dest = site.path("cifs/app.conf");
        site.target.mode = Some(0o644);
        assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
        let staged = site.stage("new").expect("staged");
        assert_eq!((staged.is_in_sync(), stage_file(&staged)), (true, None));
        assert_eq!(site.finish(staged).expect("in sync"), Outcome::Unchanged);
        sh(&format!("umount {dir}/cifs"));
    });
}

#[test]
fn a_mount_of_another_users_file_does_not_reload_for_ever() {
    let test = "tests::worlds::a_mount_of_another_users_file_does_not_reload_for_ever";
    in_world(World::Mounts, test, || {
        let site = mounted("old");
        set_mode(&site.target.dest, 0o666);
        set_mode(site.folder.path(), 0o777);
        let inner = "tests::worlds::a_user_writes_another_users_mount";
        let program = std::env::current_exe().expect("the test program");
        let output = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"])
            .arg(program)
            .args([inner, "--exact", "--nocapture"])
            .env("DEPLOY_TEST_DEST", &site.target.dest)
            .output()
            .expect("setpriv");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!((site.content().as_str(), owner(&site.target.dest)), ("new", (0, 0)));
        unmount(&site);
    });
}

/// The user's part of the test above. Without a destination it deploys twice to its own file.
#[test]
fn a_user_writes_another_users_mount() {
    let mut site = Site::with("old");
    if let Some(dest) = variable("DEPLOY_TEST_DEST") {
        site.target.dest = dest.into();
    }
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert_eq!(site.deploy("new").expect("in sync"), Outcome::Unchanged);
}
