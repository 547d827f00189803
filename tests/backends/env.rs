//! Keys from the environment.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _};

use crate::support::{Run, Sandbox};

/// Prints the pairs below `/`, `/…/` and `/…/…/`, one in each line, with keys and values in
/// brackets.
const DUMP: &str = "{{range gets \"/*\"}}[{{.Key}}] [{{.Value}}]\n{{end}}\
                    {{range gets \"/*/*\"}}[{{.Key}}] [{{.Value}}]\n{{end}}\
                    {{range gets \"/*/*/*\"}}[{{.Key}}] [{{.Value}}]\n{{end}}";

/// What a resource with these keys gets from these variables. `PATH` is left out.
fn read(keys: &str, variables: &[(&str, &str)]) -> String {
    let sandbox = asking(keys);
    let run: Run =
        variables.iter().fold(sandbox.onetime(), |run, (name, value)| run.env(name, value));
    run.ok();
    sandbox
        .output()
        .lines()
        .filter(|line| !line.starts_with("[/path]"))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn asking(keys: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", DUMP);
    sandbox.write(
        "conf.d/app.toml",
        format!("[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = {keys}\n"),
    );
    sandbox
}

#[test]
fn a_key_is_the_upper_case_name_with_underscores_for_slashes() {
    let variables = [("DATABASE_HOST", "h"), ("DATABASE_PORT", "1"), ("KEY", "v")];
    assert_eq!(read("['/database/host']", &variables), "[/database/host] [h]\n");
    assert_eq!(read("['/Database/hOST']", &variables), "[/database/host] [h]\n");
    assert_eq!(
        read("['/key', '/database']", &variables),
        "[/key] [v]\n[/database/host] [h]\n[/database/port] [1]\n"
    );
    assert_eq!(
        read("['/']", &variables),
        "[/key] [v]\n[/database/host] [h]\n[/database/port] [1]\n"
    );
    assert_eq!(read("['/nothing']", &variables), "");
}

#[test]
fn a_key_stands_for_every_variable_that_begins_so() {
    let variables = [("APP", "1"), ("APPLE", "2"), ("APP_X", "3"), ("MYAPP", "4")];
    assert_eq!(read("['/app']", &variables), "[/app] [1]\n[/apple] [2]\n[/app/x] [3]\n");
    assert_eq!(read("['/app/']", &variables), "[/app] [1]\n[/apple] [2]\n[/app/x] [3]\n");
}

#[test]
fn an_underscore_is_always_a_slash() {
    let variables = [("XMPP_DOMAIN", "d")];
    assert_eq!(read("['/xmpp_domain']", &variables), "[/xmpp/domain] [d]\n");
    assert_eq!(
        read("['/']", &[("A__B", "1"), ("_C", "2"), ("D_", "3")]),
        "[/c] [2]\n[/d] [3]\n[/a/b] [1]\n"
    );
}

#[test]
fn names_in_lower_or_mixed_case_are_found_only_by_the_root() {
    let variables = [("MiXed", "1"), ("lower", "2")];
    assert_eq!(read("['/']", &variables), "[/lower] [2]\n[/mixed] [1]\n");
    assert_eq!(read("['/mixed', '/lower', '/MiXed']", &variables), "");
    // The part of the name that is in upper case is found.
    assert_eq!(read("['/m']", &variables), "[/mixed] [1]\n");
}

#[test]
fn dashes_dots_and_spaces_are_kept() {
    let variables = [("WITH-DASH", "1"), ("WITH.DOT", "2"), ("WITH SPACE", "3"), ("ÉTÉ_Ö", "4")];
    assert_eq!(
        read("['/with-dash', '/with.dot', '/with space']", &variables),
        "[/with space] [3]\n[/with-dash] [1]\n[/with.dot] [2]\n"
    );
    assert_eq!(read("['/été']", &variables), "[/été/ö] [4]\n");
}

#[test]
fn values_are_bytes_as_they_are() {
    assert_eq!(read("['/v']", &[("V1", ""), ("V2", " a=b\tc ")]), "[/v1] []\n[/v2] [ a=b\tc ]\n");
    let sandbox = asking("['/v']");
    sandbox.onetime().env("V", OsStr::from_bytes(b"a\xff\xfeb")).ok();
    assert_eq!(fs::read(sandbox.path("out/app")).unwrap(), b"[/v] [a\xff\xfeb]\n");
}

#[test]
fn names_are_bytes_too() {
    let sandbox = asking("['/n']");
    sandbox.onetime().env(OsStr::from_bytes(b"N\xff"), "1").ok();
    assert_eq!(fs::read(sandbox.path("out/app")).unwrap(), b"[/n\xff] [1]\n");
}
