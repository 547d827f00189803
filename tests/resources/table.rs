//! What a resource file can contain, and what happens to a file with other content.

use std::fs;

use rustix::process::Signal;

use crate::support::{Daemon, Sandbox};

/// A sandbox whose only resource has this text. Its template `x` prints an `x`.
fn saying(text: impl AsRef<[u8]>) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/x", "x");
    sandbox.write("conf.d/app.toml", text);
    sandbox
}

#[test]
fn src_is_below_the_templates_folder_unless_it_climbs() {
    for (src, place) in [
        ("app.tmpl", "templates/app.tmpl"),
        ("sub/app.tmpl", "templates/sub/app.tmpl"),
        ("./sub//app.tmpl", "templates/sub/app.tmpl"),
        ("/tmp/app.tmpl", "templates/tmp/app.tmpl"),
        ("../app.tmpl", "app.tmpl"),
    ] {
        let sandbox = saying(format!("[template]\nsrc = '{src}'\ndest = 'out/app'\n"));
        let ended = sandbox.onetime().fails();
        ended.expect(&format!("ERROR Missing template: {}", sandbox.path(place).display()));
        sandbox.write(place, "found");
        sandbox.onetime().ok();
        assert_eq!(sandbox.output(), "found", "{src}");
    }
}

#[test]
fn a_relative_dest_is_relative_to_the_working_folder() {
    for (dest, place) in [("out/app", "out/app"), ("app", "app"), ("./out/../app", "app")] {
        let sandbox = saying(format!("[template]\nsrc = 'x'\ndest = '{dest}'\n"));
        sandbox.onetime().ok().expect(&format!("INFO Target config {dest} has been updated"));
        assert_eq!(sandbox.read(place), "x", "{dest}");
    }
}

#[test]
fn a_dest_is_not_expanded() {
    let sandbox = saying("[template]\nsrc = 'x'\ndest = 'out/$HOME ~ *'\n");
    sandbox.onetime().env("HOME", "/root").ok();
    assert_eq!(sandbox.list("out"), ["$HOME ~ *"]);
}

#[test]
fn an_empty_dest_is_refused() {
    for dest in ["dest = ''", ""] {
        let sandbox = saying(format!("[template]\nsrc = 'x'\n{dest}\n"));
        let (run, before) = (sandbox.onetime(), sandbox.list(""));
        let log = run.fails().log();
        let last = log.last().unwrap();
        assert!(last.ends_with("conf.d/app.toml - empty dest"), "{last}");
        assert_eq!(sandbox.list(""), before);
    }
}

#[test]
fn without_keys_there_is_nothing_to_see() {
    for keys in ["", "keys = []"] {
        let sandbox = saying(format!("[template]\nsrc = 'app'\ndest = 'out/app'\n{keys}\n"));
        sandbox
            .write("templates/app", "{{len (gets \"/*\")}} {{len (ls \"/\")}} {{exists \"/key\"}}");
        sandbox.onetime().env("KEY", "value").ok();
        assert_eq!(sandbox.output(), "0 0 false");
    }
}

#[test]
fn keys_of_the_table_match_without_regard_to_case() {
    let sandbox = saying(
        "[Template]\nSRC = 'x'\nDest = 'out/app'\nKEYS = ['/']\nMode = '0600'\nReload_CMD = 'touch reloaded'\n",
    );
    sandbox.onetime().ok().expect_no("WARNING");
    assert_eq!((sandbox.output().as_str(), sandbox.mode("out/app")), ("x", 0o600));
    assert!(sandbox.path("reloaded").exists());
}

#[test]
fn keys_that_confd_ignores_are_ignored_with_a_warning() {
    let sandbox = saying(
        "title = 'x'\n[template]\nsrc = 'x'\ndest = 'out/app'\nOwners = 'nginx'\nGroup = 'nginx'\n\
         reload = 'touch reloaded'\nkey = ['/']\nanything = 1\n[nginx]\nx = 1\n",
    );
    let ended = sandbox.onetime().ok();
    let path = sandbox.path("conf.d/app.toml").display().to_string();
    for (line, what) in [
        (1, "unknown key \"title\""),
        (5, "unknown key \"template.Owners\", did you mean \"owner\"?"),
        (7, "unknown key \"template.reload\", did you mean \"reload_cmd\"?"),
        (8, "unknown key \"template.key\", did you mean \"keys\"?"),
        (9, "unknown key \"template.anything\""),
        (10, "unknown key \"nginx\""),
    ] {
        ended.expect(&format!("WARNING {path}:{line}: {what}"));
    }
    assert_eq!(ended.log().iter().filter(|line| line.starts_with("WARNING")).count(), 6);
    assert_eq!(sandbox.output(), "x");
    assert!(!sandbox.path("reloaded").exists());
}

#[test]
fn a_warning_about_a_resource_is_logged_once_and_not_in_every_pass() {
    let sandbox = saying("[template]\nsrc = 'x'\ndest = 'out/app'\nanything = 1\n");
    let daemon =
        Daemon::start(sandbox.confd(&["-backend", "env", "-interval", "1"]), sandbox.path("log"));
    daemon.wait_for("INFO Target config out/app has been updated");
    sandbox.write("templates/x", "y");
    daemon.wait_for("should be 415290769594460e2e485922904f345d");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.stderr.matches("template.anything").count(), 1);
}

#[test]
fn names_of_confds_insides_are_accepted() {
    let sandbox = saying("[template]\nsrc = 'x'\ndest = 'out/app'\nfilemode = 420\n");
    sandbox.onetime().ok().expect_no("WARNING");
    assert_eq!(sandbox.output(), "x");
}

#[test]
fn a_bad_resource_is_named_with_the_reason_and_the_others_are_done() {
    let mismatch = |line: u32, key: &str, found: &str, wanted: &str| {
        format!(
            "toml: line {line} (last key \"template.{key}\"): incompatible types: TOML value has type {found}; \
             destination has type {wanted}"
        )
    };
    let table = |line: &str| format!("[template]\nsrc = 'x'\ndest = 'out/bad'\n{line}\n");
    for (text, reason) in [
        (String::new(), "empty src template".into()),
        ("src = 'x'\ndest = 'out/bad'".into(), "empty src template".into()),
        ("[template]\ndest = 'out/bad'".into(), "empty src template".into()),
        ("[template]\nsrc = ''\ndest = 'out/bad'".into(), "empty src template".into()),
        (table("uid = 'root'"), mismatch(4, "uid", "string", "integer")),
        (table("gid = 1.0"), mismatch(4, "gid", "float64", "integer")),
        (table("mode = 420"), mismatch(4, "mode", "int64", "string")),
        (table("keys = '/'"), mismatch(4, "keys", "string", "slice")),
        (table("keys = ['/', 1]"), mismatch(4, "keys", "int64", "string")),
        (table("check_cmd = ['true', 1]"), mismatch(4, "check_cmd", "int64", "string")),
        (table("reload_cmd = true"), mismatch(4, "reload_cmd", "bool", "string")),
        (table("prefix = 1"), mismatch(4, "prefix", "int64", "string")),
    ] {
        let sandbox = saying(&text);
        sandbox.resource("bad", "x", "");
        fs::rename(sandbox.path("conf.d/app.toml"), sandbox.path("conf.d/bad.toml")).unwrap();
        sandbox.resource("a", "a", "");
        sandbox.resource("z", "z", "");
        let ended = sandbox.onetime().fails();
        let path = sandbox.path("conf.d/bad.toml").display().to_string();
        let error = format!("Cannot process template resource {path} - {reason}");
        ended.expect(&format!("ERROR {error}")).expect(&format!("FATAL {error}"));
        assert_eq!(sandbox.list("out"), ["a", "z"], "{text}");
    }
}

#[test]
fn malformed_toml_is_named_with_its_line() {
    for (text, start) in [
        (&b"[template]\nsrc = 'x'\nmode = 0644\n"[..], "toml: line 3: "),
        (b"[template]\nsrc = x\n", "toml: line 2: "),
        (b"[template]\nsrc = 'x'\n\n[template]\ndest = 'y'\n", "toml: line 4: "),
        (b"[template]\nsrc = 'x'\nsrc = 'y'\n", "toml: line 3: "),
        (b"[template]\nsrc = '\xff'\n", "toml: line 2: "),
        // The rest of a string that is broken over two lines is no TOML either.
        (b"[template]\nsrc = 'x'\ndest = \".\n/out\"\nkeys = ['/']\n", "toml: line 3: "),
        (b"template = ['x']\n", "toml: line 1 (last key \"template\"): type mismatch for template"),
        (b"template = 'x'\n", "toml: line 1 (last key \"template\"): type mismatch for template"),
    ] {
        let sandbox = saying(text);
        let log = sandbox.onetime().fails().log();
        let path = sandbox.path("conf.d/app.toml").display().to_string();
        let fatal = log.last().unwrap();
        assert!(
            fatal.starts_with(&format!("FATAL Cannot process template resource {path} - {start}")),
            "{fatal}"
        );
        // The message is one line, so that the header stands before all of it.
        assert!(
            log.iter()
                .all(|line| ["INFO", "ERROR", "FATAL"].iter().any(|level| line.starts_with(level)))
        );
    }
}

#[test]
fn the_last_of_several_failures_is_the_fatal_one() {
    let sandbox = saying("");
    sandbox.resource("b", "{{getv \"/nokey\"}}", "");
    sandbox.write("conf.d/c.toml", "[template]\n");
    let ended = sandbox.onetime().fails();
    assert_eq!(ended.log().iter().filter(|line| line.starts_with("ERROR")).count(), 3);
    assert!(ended.log().last().unwrap().contains("key does not exist: /nokey"), "{}", ended.stderr);
}

#[test]
fn resources_are_read_as_people_write_them() {
    for text in [
        // Line ends of Windows, and a comma after the last key.
        "[template]\r\nsrc = \"x\"\r\ndest = \"out/app\"\r\nkeys = [\r\n  \"/a\",\r\n  \"/b\",\r\n]\r\n",
        // No line end at the end; comments; spaces around words.
        "# nginx\n  [ template ]\n  src = \"x\" # here\n  dest=\"out/app\"\n  keys = [ \"\", ]",
        // Commands over several lines.
        "[template]\nsrc = 'x'\ndest = 'out/app'\nreload_cmd = \"\"\"\nset -e\ntouch \\\n  reloaded\n\"\"\"\n",
        // Dotted keys and an inline table.
        "template.src = 'x'\ntemplate.dest = 'out/app'\n",
        "template = { src = 'x', dest = 'out/app' }\n",
        // A byte order mark.
        "\u{feff}[template]\nsrc = 'x'\ndest = 'out/app'\n",
    ] {
        let sandbox = saying(text);
        sandbox.onetime().ok().expect_no("WARNING");
        assert_eq!(sandbox.output(), "x", "{text}");
        assert_eq!(sandbox.path("reloaded").exists(), text.contains("reloaded"));
    }
}
