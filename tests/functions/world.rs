//! Functions for the environment, files and the clock.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{gives, gives_when};
use crate::support::Sandbox;

#[test]
fn getenv_reads_the_environment_and_its_default_replaces_an_empty_value_too() {
    let cases = [
        (r#"{{getenv "SET"}} {{getenv "SET" "default"}}"#, "value value"),
        (r#"[{{getenv "EMPTY"}}] {{getenv "EMPTY" "default"}}"#, "[] default"),
        (r#"[{{getenv "UNSET"}}] {{getenv "UNSET" "default" "ignored"}}"#, "[] default"),
        (r#"[{{getenv ""}}{{getenv "SET="}}{{getenv "A=B"}}]"#, "[]"),
    ];
    gives_when("{}", &cases, |run| run.env("SET", "value").env("EMPTY", ""));
}

#[test]
fn file_exists_follows_links_and_is_false_where_it_cannot_look() {
    let world = Sandbox::new();
    world.write("file", "");
    std::os::unix::fs::symlink("file", world.path("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", world.path("dangling")).unwrap();
    world.write("closed/file", "");
    fs::set_permissions(world.path("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let at = |name: &str| format!("{{{{fileExists \"{}\"}}}}", world.path(name).display());
    let cases = [
        ("file", "true"),
        ("link", "true"),
        ("", "true"),
        ("nowhere", "false"),
        ("dangling", "false"),
        // Go confd says true in these two cases: it takes every error except "not found" as a sign
        // that the file exists.
        ("file/below", "false"),
        ("closed/file", "false"),
    ];
    let cases: Vec<_> = cases.into_iter().map(|(name, exists)| (at(name), exists)).collect();
    let cases: Vec<_> =
        cases.iter().map(|(template, exists)| (template.as_str(), *exists)).collect();
    gives_when("{}", &cases, crate::support::Run::unprivileged);
    gives("{}", &[(r#"{{fileExists ""}}{{fileExists "conf.d"}}"#, "falsetrue")]);
}

#[test]
fn file_exists_sees_what_earlier_resources_wrote() {
    let sandbox = Sandbox::new();
    sandbox.resource("a", "x", "");
    sandbox.resource(
        "b",
        r#"{{fileExists "out/a"}} {{fileExists "out/b"}} {{fileExists "out/c"}}"#,
        "",
    );
    sandbox.resource("c", "x", "");
    sandbox.onetime().ok();
    assert_eq!(sandbox.read("out/b"), "true false false");
}

/// A zone file (TZif, RFC 8536) for a zone that is always EST, because not every machine has zone
/// files.
fn five_hours_west() -> Vec<u8> {
    let counts = [0_u32, 0, 0, 0, 1, 4];
    let mut file = b"TZif".to_vec();
    file.extend([0; 16]);
    file.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    file.extend((-5 * 3600_i32).to_be_bytes());
    file.extend([0, 0]);
    file.extend(b"EST\0");
    file
}

#[test]
fn datetime_is_now_in_the_local_zone() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let sandbox = Sandbox::rendering(
        r#"{{datetime.Unix}}|{{datetime.Format "-0700 MST"}}|{{datetime.UTC.Format "MST"}}|{{datetime}}"#,
    );
    let zone = sandbox.write("zone", five_hours_west());
    let before = now();
    sandbox.onetime().env("TZ", zone).ok();
    let output = sandbox.output();
    let [unix, local, utc, printed] = output.split('|').collect::<Vec<_>>().try_into().unwrap();
    assert!((before..=now()).contains(&unix.parse().unwrap()), "{unix}");
    assert_eq!((local, utc), ("-0500 EST", "UTC"));

    // 2026-11-21 01:32:09.781786419 -0500 EST m=+0.017068638
    let [date, time, offset, zone, monotonic] =
        printed.split(' ').collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((date.len(), offset, zone), (10, "-0500", "EST"));
    assert!(time.len() >= 8 && time.as_bytes()[2] == b':', "{time}");
    assert!(monotonic.strip_prefix("m=+").unwrap().parse::<f64>().unwrap() < 60.0, "{monotonic}");
}

#[test]
fn a_bare_datetime_makes_every_pass_a_change() {
    let sandbox = Sandbox::rendering("{{datetime}}");
    for _ in 0..2 {
        sandbox.onetime().ok().expect(&format!(
            "INFO Target config {} has been updated",
            sandbox.path("out/app").display()
        ));
    }
}
