//! The mode and owner that a resource gives its file.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown, symlink},
};

use crate::support::{Sandbox, needs_root};

fn with_mode(mode: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", &format!("mode = '{mode}'"));
    sandbox
}

#[test]
fn a_mode_is_a_number_in_any_of_gos_bases_and_its_lower_nine_bits_count() {
    for (text, mode) in [
        ("0644", 0o644),
        ("0o644", 0o644),
        ("0O600", 0o600),
        ("0x1a4", 0o644),
        ("0X1A4", 0o644),
        ("0b110100100", 0o644),
        ("420", 0o644),
        ("0_6_4_0", 0o640),
        ("0", 0),
        ("04755", 0o755),
        ("01777", 0o777),
        ("0100644", 0o644),
        ("4294967295", 0o777),
    ] {
        let sandbox = with_mode(text);
        sandbox.onetime().ok();
        assert_eq!(sandbox.mode("out/app"), mode, "{text}");
    }
}

#[test]
fn a_mode_of_three_octal_digits_is_decimal_and_warned_about() {
    for (text, mode) in [("644", 0o204), ("420", 0o644)] {
        let sandbox = with_mode(text);
        let ended = sandbox.onetime().ok();
        assert_eq!(sandbox.mode("out/app"), mode);
        ended.expect(&format!(
            "WARNING {}:5: mode \"{text}\" is decimal and means {mode:04o}; write \"0{text}\" for octal",
            sandbox.path("conf.d/app.toml").display()
        ));
    }
    with_mode("0644").onetime().ok().expect_no("WARNING");
}

#[test]
fn a_mode_that_is_no_number_is_a_bad_resource() {
    for (text, why) in [
        ("abc", "invalid syntax"),
        ("-1", "invalid syntax"),
        ("+0644", "invalid syntax"),
        ("0888", "invalid syntax"),
        ("u=rw", "invalid syntax"),
        ("0x", "invalid syntax"),
        ("_644", "invalid syntax"),
        ("999999999999", "value out of range"),
        ("4294967296", "value out of range"),
    ] {
        let sandbox = with_mode(text);
        let ended = sandbox.onetime().fails();
        let path = sandbox.path("conf.d/app.toml").display().to_string();
        let error = format!(
            "Cannot process template resource {path} - strconv.ParseUint: parsing \"{text}\": {why}"
        );
        ended.expect(&format!("ERROR {error}")).expect(&format!("FATAL {error}"));
        assert_eq!(sandbox.list("out"), [""; 0]);
    }
}

#[test]
fn without_a_mode_the_files_own_is_kept_and_a_new_one_gets_0644() {
    for mode in ["", "mode = ''"] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "new", mode);
        sandbox.onetime().ok();
        assert_eq!(sandbox.mode("out/app"), 0o644);
        let path = sandbox.write("out/app", "old");
        fs::set_permissions(path, Permissions::from_mode(0o751)).unwrap();
        sandbox.onetime().ok().expect_no("has mode");
        assert_eq!((sandbox.output().as_str(), sandbox.mode("out/app")), ("new", 0o751));
    }
}

#[test]
fn the_mode_of_a_link_is_that_of_the_file_behind_it() {
    let sandbox = Sandbox::rendering("new");
    let behind = sandbox.write("behind", "old");
    fs::set_permissions(&behind, Permissions::from_mode(0o600)).unwrap();
    symlink("../behind", sandbox.path("out/app")).unwrap();
    sandbox.onetime().ok();
    assert_eq!(
        fs::symlink_metadata(sandbox.path("out/app")).unwrap().permissions().mode(),
        0o100_600
    );
    assert_eq!((sandbox.output().as_str(), sandbox.read("behind").as_str()), ("new", "old"));
}

#[test]
fn the_umask_does_not_matter() {
    for (resource, mode) in [("", 0o644), ("mode = '0666'", 0o666)] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "x", resource);
        sandbox.onetime().through(&["sh", "-c", "umask 077; exec \"$@\"", "sh"]).ok();
        assert_eq!(sandbox.mode("out/app"), mode);
    }
}

#[test]
fn setuid_is_not_kept() {
    let sandbox = Sandbox::rendering("x");
    let path = sandbox.write("out/app", "x");
    fs::set_permissions(&path, Permissions::from_mode(0o4755)).unwrap();
    let ended = sandbox.onetime().ok();
    ended.expect(&format!("INFO {} has mode urwxr-xr-x should be -rwxr-xr-x", path.display()));
    assert_eq!(sandbox.mode("out/app"), 0o755);
    sandbox.onetime().ok().expect_no("has mode");
}

#[test]
fn uid_and_gid_give_the_owner() {
    needs_root();
    for (resource, owner) in [
        ("uid = 1000\ngid = 1001", (1000, 1001)),
        ("uid = 1000", (1000, 0)),
        ("gid = 1001", (0, 1001)),
        ("uid = -1\ngid = -1", (0, 0)),
        ("uid = 0\ngid = 0", (0, 0)),
        ("uid = -5\ngid = -2", (4_294_967_291, 4_294_967_294)),
    ] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "x", &format!("{resource}\nmode = '0640'"));
        sandbox.onetime().ok();
        assert_eq!(
            (sandbox.owner("out/app"), sandbox.mode("out/app")),
            (owner, 0o640),
            "{resource}"
        );
        sandbox.onetime().ok().expect_no("out of sync");
    }
}

#[test]
fn the_owner_is_not_taken_from_the_file() {
    needs_root();
    let sandbox = Sandbox::rendering("x");
    let path = sandbox.write("out/app", "x");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    chown(&path, Some(1000), None).unwrap();
    let ended = sandbox.onetime().ok();
    ended.expect(&format!("INFO {} has UID 1000 should be 0", path.display())).expect_no("md5sum");
    assert_eq!(sandbox.owner("out/app"), (0, 0));
}

#[test]
fn an_id_that_no_system_has_is_a_bad_resource() {
    for (key, value, which) in [
        ("uid", "99999999999", "user"),
        ("gid", "4294967296", "group"),
        ("uid", "4294967295", "user"),
        ("gid", "-2147483649", "group"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "x", &format!("{key} = {value}"));
        let ended = sandbox.onetime().fails();
        ended.expect(&format!(
            "ERROR Cannot process template resource {} - {key} {value} is out of range: it is a \
             number from 0 to 4294967294, or -1 for the {which} of confd",
            sandbox.path("conf.d/app.toml").display()
        ));
        assert_eq!(sandbox.list("out"), [""; 0]);
    }
}
