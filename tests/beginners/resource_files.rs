//! Mistakes in resource files, and resource files in the wrong place.

use std::fs;

use super::{DEST, run_of, says};
use crate::support::Sandbox;

/// The log of a onetime run of a resource file with this text.
fn run_with(text: &str) -> String {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", "x");
    sandbox.write("conf.d/app.toml", text);
    sandbox.onetime().run().stderr
}

#[test]
fn a_value_of_the_wrong_type_is_shown_in_the_right_form() {
    for (line, hint) in [
        ("mode = 644", "mode is text: mode = \"0644\""),
        ("dir_mode = 755", "dir_mode is text: dir_mode = \"0755\""),
        ("heal = \"false\"", "heal is true or false, without quotes: heal = false"),
        ("heal = 0", "heal is true or false, without quotes"),
        ("uid = \"33\"", "uid is a number, without quotes: uid = 33"),
        ("keys = \"/k\"", "keys is a list: keys = [\"/k\"]"),
        ("keys = [\"/k\", 1]", "keys is a list of texts, each in quotes"),
        ("keys = { a = \"/k\" }", "keys is a list of texts, each in quotes"),
        ("prefix = [\"/k\"]", "prefix is one text: prefix = \"/k\""),
        ("retry_delay = 5", "retry_delay is text with a unit: retry_delay = \"5s\""),
        ("check_timeout = 5", "check_timeout is text with a unit: check_timeout = \"5s\""),
        ("check_cmd = [\"nginx\", 1]", "check_cmd is a list of texts, each in quotes"),
        ("check_cmd = true", "check_cmd is text: check_cmd = \"true\""),
    ] {
        let log = run_of(&format!("{DEST}{line}"), "x");
        says(&log, &["incompatible types: TOML value has type", &format!("= {hint}\n")]);
    }
}

#[test]
fn text_that_is_no_toml_says_how_it_is_written() {
    for (line, error, hint) in [
        ("mode = 0644", "unexpected leading zero", "a mode stands in quotes: mode = \"0644\""),
        ("reload_cmd = true now", "", "text stands in quotes: reload_cmd = \"true now\""),
        ("keys = [/app]", "", "text stands in quotes: \"/app\""),
        ("prefix = “/app”", "", "text stands between straight quotes: prefix = \"/app\""),
        ("prefix: '/app'", "invalid unquoted key", "TOML has = between key and value"),
        (
            "check_cmd = \"grep \\d\"",
            "missing escaped value",
            "between \"…\", a backslash begins an escape: write \\\\, or use '…'",
        ),
        (
            "check_cmd = \"sh -c \"true\"\"",
            "unexpected key or value",
            "the text ends at its second quote: use '…' around a text with \"",
        ),
        ("keys = '/a', '/b'", "unexpected key or value", "a list stands in brackets: ['/a', '/b']"),
        ("prefix = '/app", "", "the closing quote is missing"),
        (
            "[template]\nsrc = 'other'",
            "duplicate key",
            "several templates of one file, which are replaced together, stand below [[template]] each; \
             other resources need files of their own",
        ),
    ] {
        let log = run_of(&format!("{DEST}{line}"), "x");
        says(&log, &["app.toml - toml: line ", error, &format!("= {hint}\n")]);
    }
}

#[test]
fn a_resource_stands_in_the_table_template() {
    let log = run_with("[template]\nsrc = 'app'\ndest = 'out/app'\n[template2]\nsrc = 'app'\n");
    says(
        &log,
        &[
            "unknown key \"template2\": a resource stands in the table [template], and each of several \
           that are replaced together in a table [[template]]",
        ],
    );
    let log = run_with("keys = ['/']\n[template]\nsrc = 'app'\ndest = 'out/app'\n");
    says(&log, &["unknown key \"keys\": it belongs below [template]"]);
    says(&run_with(""), &["app.toml - empty src template", "= the file has no table [template]"]);
    says(&run_with("[template]\n"), &["app.toml - empty src template"]);
    let log = run_with("[template]\nsource = 'app'\n");
    says(&log, &["= `source` is not a key of a resource, did you mean \"src\"?"]);
}

#[test]
fn src_is_a_name_in_the_templates_folder() {
    let run = |src: &str| run_with(&format!("[template]\nsrc = '{src}'\ndest = 'out/app'\n"));
    for src in ["templates/app", "./templates/app"] {
        says(
            &run(src),
            &["Missing template: ", "= src is relative to the templates folder: app\n"],
        );
    }
    let sandbox = Sandbox::new();
    let template = sandbox.write("templates/sub/app", "x");
    let absolute = template.display();
    sandbox.write("conf.d/app.toml", format!("[template]\nsrc = '{absolute}'\ndest = 'out/app'\n"));
    let log = sandbox.onetime().run().stderr;
    says(&log, &["Missing template: ", "= src is relative to the templates folder: sub/app\n"]);
    says(
        &run("/etc/passwd"),
        &["= src is relative to the templates folder, also with a leading /"],
    );
    says(&run("ap"), &["= did you mean \"app\"?"]);
    says(&run("app.tmpl"), &["= did you mean \"app\"?"]);
    let log = run("nothing/like/it");
    assert!(!log.contains("  = "), "{log}");
}

#[test]
fn confdir_is_the_folder_that_holds_conf_d() {
    let sandbox = Sandbox::rendering("x");
    let root = sandbox.root().to_str().unwrap();
    let run = |confdir: &str| {
        let confdir = sandbox.path(confdir);
        sandbox.bare(&["-onetime", "-backend", "env", "-confdir"]).arguments(&[confdir]).run()
    };
    for wrong in ["conf.d", "templates", "conf.d/app.toml"] {
        let hint = format!("= -confdir is the folder that holds conf.d: {root}\n");
        says(&run(wrong).stderr, &["FATAL stat ", &hint]);
    }
    fs::create_dir_all(sandbox.path("without/any/resource")).unwrap();
    let hint = "= -confdir is the folder that holds conf.d and templates\n";
    says(&run("without/any/resource").stderr, &["no such file or directory", hint]);
}

#[test]
fn a_hint_for_confd_toml_shows_no_value() {
    for (text, hint) in [
        ("interval = '10s'", "interval is a number, without quotes"),
        ("nodes = 'a'", "nodes is a list: nodes = [\"…\"]"),
        ("watch = 'true'", "watch is true or false, without quotes"),
        ("password = 12345678", "password is text"),
        ("password = hush4321", "text stands in quotes"),
        ("password: 'hush4321'", "TOML has = between key and value"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("confd.toml", text);
        let log = sandbox.onetime().fails().stderr;
        says(&log, &["FATAL toml: line 1", "--> confd.toml:1\n", &format!("= {hint}\n")]);
        assert!(!log.contains("hush") && !log.contains("12345678"), "{log}");
    }
}

#[test]
fn a_resource_file_ends_in_toml() {
    let sandbox = Sandbox::new();
    sandbox.write("conf.d/.keep", "");
    let conf_d = sandbox.path("conf.d").display().to_string();
    let run = || sandbox.onetime().ok().stderr;
    let rule = format!("a resource is a file in {conf_d} whose name ends in .toml");
    says(&run(), &["WARNING Found no templates\n", &format!("  = {rule}\n")]);
    sandbox.write("conf.d/r.conf", "[template]\n");
    says(&run(), &[&format!("  = {rule}, and r.conf does not\n")]);
}

#[test]
fn a_template_outside_of_the_templates_folder_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("conf.d/app.toml", "[template]\nsrc = 'app'\ndest = 'out/app'\n");
    let (root, run) = (sandbox.root().display(), || sandbox.onetime().fails().stderr);
    fs::remove_dir(sandbox.path("templates")).unwrap();
    says(&run(), &[&format!("= the folder {root}/templates does not exist\n")]);
    sandbox.write("templates/other", "x");
    for place in ["conf.d/app", "app"] {
        let beside = sandbox.write(place, "x");
        let hint = format!("= templates are read in {root}/templates, and not {root}/{place}\n");
        says(&run(), &["Missing template: ", &hint]);
        fs::remove_file(beside).unwrap();
    }
}

#[test]
fn confd_toml_has_no_tables() {
    for name in ["confd", "other"] {
        let sandbox = Sandbox::rendering("x");
        sandbox.write("confd.toml", format!("[{name}]\nbackend = 'env'\n"));
        let log = sandbox.onetime().ok().stderr;
        let line = format!(
            "unknown key \"{name}\": confd.toml has no such table, its keys stand there without [{name}]"
        );
        says(&log, &[&line]);
    }
}
