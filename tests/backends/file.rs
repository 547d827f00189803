//! Keys from YAML and JSON files.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
};

use rustix::process::Signal;

use crate::support::{Daemon, Ended, Run, Sandbox, eventually};

/// Prints all pairs down to the fourth level, as `key=value` with bars between them.
const DUMP: &str = "{{range gets \"/*\"}}{{.Key}}={{.Value}}|{{end}}\
                    {{range gets \"/*/*\"}}{{.Key}}={{.Value}}|{{end}}\
                    {{range gets \"/*/*/*\"}}{{.Key}}={{.Value}}|{{end}}\
                    {{range gets \"/*/*/*/*\"}}{{.Key}}={{.Value}}|{{end}}";

/// The pairs of a document.
fn pairs(document: &str) -> String {
    let sandbox = Sandbox::rendering(DUMP);
    sandbox.onetime_with(document).ok();
    sandbox.output()
}

/// The value of the key `v` in the document `v: TEXT`, or a dash if the key does not exist.
fn value(text: &str) -> String {
    let sandbox = Sandbox::rendering("{{if exists \"/v\"}}{{getv \"/v\"}}{{else}}-{{end}}");
    sandbox.onetime_with(&format!("v: {text}\n")).ok();
    sandbox.output()
}

/// A pass with these files or folders.
fn pass(sandbox: &Sandbox, arguments: &[&str]) -> Ended {
    sandbox.confd(&["-onetime", "-backend", "file"]).arguments(arguments).run()
}

/// The pairs in these files or folders, which must be readable.
fn pairs_in(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let ended = pass(sandbox, arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    sandbox.output()
}

#[test]
fn a_path_in_the_document_is_a_key() {
    assert_eq!(pairs("services: {api: {port: 80}}\nname: x\n"), "/name=x|/services/api/port=80|");
    assert_eq!(pairs("hosts:\n- a\n- b: c\n- [d]\n"), "/hosts/0=a|/hosts/1/b=c|/hosts/2/0=d|");
    assert_eq!(pairs("a/b: 1\na: {../up: 2, /c//d/: 3}\n"), "/up=2|/a/b=1|/a/c/d=3|");
}

#[test]
fn json_is_yaml() {
    assert_eq!(
        pairs("{\"a\": {\"b\": [1, \"x\\u00e9\\n\", null, true]},\n\t\"c\": \"\"}"),
        "/c=|/a/b/0=1|/a/b/1=xé\n|/a/b/3=true|"
    );
}

#[test]
fn values_are_formatted_as_confd_formats_them() {
    for (text, formatted) in [
        // Text stays as it is.
        ("text", "text"),
        ("\"0644\"", "0644"),
        ("'yes'", "yes"),
        ("\"a\\tb\"", "a\tb"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("2001-12-14", "2001-12-14"),
        ("1:30:00", "1:30:00"),
        ("!!binary aGVsbG8=", "hello"),
        ("''", ""),
        // Integers are decimal.
        ("0644", "420"),
        ("0o644", "420"),
        ("0x1F", "31"),
        ("0b11", "3"),
        ("1_000", "1000"),
        ("-17", "-17"),
        ("+17", "17"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "-"),
        ("18446744073709551615", "-"),
        ("18446744073709551616", "18446744073709552000"),
        // Floats are written as short as possible, without an exponent.
        ("1.50", "1.5"),
        ("1e3", "1000"),
        ("1.0", "1"),
        ("1e-7", "0.0000001"),
        ("-0.0", "-0"),
        ("1e21", "1000000000000000000000"),
        (".inf", "+Inf"),
        ("-.inf", "-Inf"),
        (".nan", "NaN"),
        // Booleans of YAML 1.1.
        ("true", "true"),
        ("YES", "true"),
        ("on", "true"),
        ("y", "true"),
        ("False", "false"),
        ("no", "false"),
        ("Off", "false"),
        ("n", "false"),
        // An empty value gives no key.
        ("null", "-"),
        ("~", "-"),
        ("", "-"),
        ("[]", "-"),
        ("{}", "-"),
        // Text over several lines.
        ("|\n  a\n  b", "a\nb\n"),
        ("|-\n  a\n  b", "a\nb"),
        (">\n  a\n  b", "a b\n"),
        ("a\n  b", "a b"),
    ] {
        assert_eq!(value(text), formatted, "{text:?}");
    }
}

#[test]
fn keys_that_are_no_text_become_text() {
    assert_eq!(
        pairs("1: a\ntrue: b\noff: c\n1.50: d\n~: e\n0x10: f\n'quoted': g\n"),
        "/1=a|/1.5=d|/16=f|/false=c|/null=e|/quoted=g|/true=b|"
    );
}

#[test]
fn anchors_aliases_and_merges_work() {
    let document = "base: &base {a: 1, b: 2}\nsame: *base\nmore:\n  <<: *base\n  b: 3\n";
    assert_eq!(pairs(document), "/base/a=1|/base/b=2|/more/a=1|/more/b=3|/same/a=1|/same/b=2|");
}

#[test]
fn of_equal_keys_and_of_several_documents_one_counts() {
    assert_eq!(pairs("a: 1\nb: 2\na: 3\n"), "/a=3|/b=2|");
    assert_eq!(pairs("a: 1\n---\na: 2\nb: 3\n"), "/a=1|");
}

#[test]
fn an_empty_file_is_accepted_silently() {
    for document in ["", "\n", "# nothing\n", "---\n", "~\n", "{}"] {
        assert_eq!(pairs(document), "", "{document:?}");
    }
}

#[test]
fn without_files_there_is_nothing_to_see() {
    let sandbox = Sandbox::rendering("{{len (gets \"/*\")}}");
    assert_eq!(pairs_in(&sandbox, &[]), "0");
}

#[test]
fn keys_are_matched_as_text() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", DUMP);
    sandbox.write(
        "conf.d/app.toml",
        "[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = ['/app', '/list/1']\n",
    );
    sandbox
        .onetime_with("app: {x: 1}\napple: 2\nmyapp: 3\nlist: [a, b, c, d, e, f, g, h, i, j, k]\n")
        .ok();
    assert_eq!(sandbox.output(), "/apple=2|/app/x=1|/list/1=b|/list/10=k|");
}

#[test]
fn later_files_win_key_by_key() {
    let sandbox = Sandbox::rendering(DUMP);
    sandbox.write("1.yaml", "a: 1\nb: {c: 1, d: 1}\nlist: [r, s, t]\nleaf: 1\n");
    sandbox.write("2.yaml", "a: 2\nb: {d: 2, e: 2}\nlist: [X]\nleaf: {under: 2}\n");
    sandbox.write("3.yaml", "a: ~\nlist: []\n");
    let both = "/b/c=1|/b/d=2|/b/e=2|/leaf/under=2|/list/0=X|/list/1=s|/list/2=t|";
    assert_eq!(
        pairs_in(&sandbox, &["-file", "1.yaml", "-file", "2.yaml", "-file", "3.yaml"]),
        format!("/a=2|/leaf=1|{both}")
    );
    let other = pairs_in(&sandbox, &["-file", "2.yaml", "-file", "1.yaml"]);
    assert!(
        other.starts_with("/a=1|") && other.contains("/b/d=1|") && other.contains("/list/0=r|"),
        "{other}"
    );
}

#[test]
fn a_file_is_read_whatever_its_name() {
    let sandbox = Sandbox::rendering(DUMP);
    sandbox.write("data", "a: 1");
    assert_eq!(pairs_in(&sandbox, &["-file", "data", "-filter", "*.yaml"]), "/a=1|");
    symlink("data", sandbox.path("link")).unwrap();
    assert_eq!(pairs_in(&sandbox, &["-file", "link", "-filter", ""]), "/a=1|");
}

#[test]
fn a_folder_is_walked_for_names_that_match_the_filter() {
    let sandbox = Sandbox::rendering(DUMP);
    for (name, key) in [
        ("b.yaml", "b"),
        ("a.yaml", "a"),
        (".hidden.yaml", "h"),
        ("sub/deep/c.yaml", "c"),
        ("d.json", "d"),
        ("README", "r"),
    ] {
        sandbox.write(&format!("data/{name}"), format!("{{\"{key}\": 1, \"last\": \"{key}\"}}"));
    }
    for (filter, output) in [
        (&[][..], "/a=1|/b=1|/c=1|/d=1|/h=1|/last=c|/r=1|"),
        (&["-filter", "*.yaml"], "/a=1|/b=1|/c=1|/h=1|/last=c|"),
        (&["-filter", "*.json"], "/d=1|/last=d|"),
        (&["-filter", "[ab].yaml"], "/a=1|/b=1|/last=b|"),
        (&["-filter", "?.yaml"], "/a=1|/b=1|/c=1|/last=c|"),
        (&["-filter", "nothing"], ""),
        (&["-filter", ""], ""),
        (&["-filter", "sub/*"], ""),
    ] {
        assert_eq!(
            pairs_in(&sandbox, &[&["-file", "data"], filter].concat()),
            output,
            "{filter:?}"
        );
        assert_eq!(
            pairs_in(&sandbox, &[&["-file", "data/"], filter].concat()),
            output,
            "{filter:?}"
        );
    }
}

#[test]
fn a_malformed_filter_fails_the_pass() {
    let sandbox = Sandbox::rendering(DUMP);
    sandbox.write("data/a.yaml", "a: 1");
    for filter in ["[", "[]a]", "a\\"] {
        let ended = pass(&sandbox, &["-file", "data", "-filter", filter]);
        assert_eq!(ended.code, Some(1), "{filter}");
        ended.expect("ERROR syntax error in pattern").expect("FATAL syntax error in pattern");
    }
}

#[test]
fn links_in_a_folder_are_followed_to_files_only() {
    let sandbox = Sandbox::rendering(DUMP);
    sandbox.write("elsewhere/one", "one: 1");
    sandbox.write("elsewhere/two.yaml", "two: 2");
    sandbox.write("data/a.yaml", "a: 1");
    symlink("../elsewhere/one", sandbox.path("data/one.yaml")).unwrap();
    symlink("../elsewhere", sandbox.path("data/folder.yaml")).unwrap();
    symlink("/nowhere", sandbox.path("data/dangling")).unwrap();
    assert_eq!(pairs_in(&sandbox, &["-file", "data", "-filter", "*.yaml"]), "/a=1|/one=1|");
    let ended = pass(&sandbox, &["-file", "data"]);
    assert_eq!(ended.code, Some(1));
    ended.expect("FATAL stat data/dangling: no such file or directory");
    symlink("data", sandbox.path("link")).unwrap();
    assert_eq!(pairs_in(&sandbox, &["-file", "link", "-filter", "a.yaml"]), "/a=1|");
}

#[test]
fn a_file_that_cannot_be_read_fails_every_resource() {
    let sandbox = Sandbox::rendering("x");
    sandbox.resource("other", "x", "");
    sandbox.write("closed.yaml", "a: 1");
    fs::set_permissions(sandbox.path("closed.yaml"), Permissions::from_mode(0o000)).unwrap();
    for (path, error) in [
        ("/nope.yaml", "stat /nope.yaml: no such file or directory"),
        ("closed.yaml", "open closed.yaml: permission denied"),
        ("closed.yaml/x", "stat closed.yaml/x: not a directory"),
    ] {
        let run = sandbox.confd(&["-onetime", "-backend", "file", "-file", path]).unprivileged();
        let ended = run.fails();
        ended.expect(&format!("ERROR {error} (2 resources)")).expect(&format!("FATAL {error}"));
        assert_eq!(sandbox.list("out"), [""; 0]);
    }
}

#[test]
fn a_file_that_is_no_yaml_fails_with_its_line_and_name() {
    for (document, start) in [
        (&b"a: 1\nb: [1, 2\nc: 3\n"[..], "FATAL yaml: line "),
        (b"a: 'x\n", "FATAL yaml: line "),
        (b"a: \xff\n", "FATAL yaml: line 1: "),
        (b"ok: 1\n\tb: 2\n", "FATAL yaml: line "),
        (b"a: *nothing\n", "FATAL yaml: "),
    ] {
        let sandbox = Sandbox::rendering("x");
        sandbox.write("data.yaml", document);
        let log = pass(&sandbox, &["-file", "data.yaml"]).log();
        let last = log.last().unwrap();
        assert!(last.starts_with(start) && last.ends_with("(in data.yaml)"), "{last}");
    }
}

#[test]
fn a_document_without_a_mapping_at_the_top_fails_as_in_confd() {
    for (document, found) in
        [("- a\n- b\n", "!!seq"), ("text", "!!str"), ("5", "!!int"), ("yes", "!!bool")]
    {
        let sandbox = Sandbox::rendering("x");
        let ended = sandbox.onetime_with(document).fails();
        let error = format!(
            ": FATAL yaml: unmarshal errors:\\n  line 1: cannot unmarshal {found} into map[interface {{}}]interface {{}}"
        );
        assert!(ended.stderr.contains(&error), "{}", ended.stderr);
    }
}

/// confd in watch mode on `data`, with a resource that renders `/v`.
fn watching(sandbox: &Sandbox, change: impl FnOnce(Run) -> Run) -> Daemon {
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data"]);
    Daemon::start(change(run), sandbox.path("log"))
}

#[track_caller]
fn becomes(sandbox: &Sandbox, value: &str) {
    eventually(&format!("the output is {value:?}"), || sandbox.output() == value);
}

#[test]
fn files_that_are_replaced_in_any_way_are_followed() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    let data = sandbox.path("data");
    sandbox.write("data", "v: 0");
    let daemon = watching(&sandbox, |run| run);
    becomes(&sandbox, "0");
    sandbox.write("data", "v: in place");
    becomes(&sandbox, "in place");
    fs::rename(sandbox.write("new", "v: renamed over"), &data).unwrap();
    becomes(&sandbox, "renamed over");
    fs::remove_file(&data).unwrap();
    daemon.wait_for("stat data: no such file or directory");
    sandbox.write("data", "v: removed and made anew");
    becomes(&sandbox, "removed and made anew");
    sandbox.write("elsewhere/a", "v: linked");
    symlink("elsewhere/a", sandbox.path("link")).unwrap();
    fs::rename(sandbox.path("link"), &data).unwrap();
    becomes(&sandbox, "linked");
    sandbox.write("elsewhere/a", "v: behind the link");
    becomes(&sandbox, "behind the link");
    fs::rename(sandbox.path("elsewhere"), sandbox.path("away")).unwrap();
    sandbox.write("elsewhere/a", "v: another folder");
    becomes(&sandbox, "another folder");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_mounted_config_map_is_followed_from_version_to_version() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    // As a kubelet does it: a folder for each version, and a link that is swapped.
    let publish = |version: &str| {
        let folder = format!("..{version}");
        sandbox.write(&format!("data/{folder}/app.yaml"), format!("v: {version}"));
        let before = fs::read_link(sandbox.path("data/..data"));
        symlink(folder, sandbox.path("data/..data_tmp")).unwrap();
        fs::rename(sandbox.path("data/..data_tmp"), sandbox.path("data/..data")).unwrap();
        match before {
            Ok(before) => fs::remove_dir_all(sandbox.path("data").join(before)).unwrap(),
            Err(_) => symlink("..data/app.yaml", sandbox.path("data/app.yaml")).unwrap(),
        }
    };
    publish("1");
    let daemon = watching(&sandbox, |run| run);
    becomes(&sandbox, "1");
    for version in ["2", "3"] {
        publish(version);
        becomes(&sandbox, version);
    }
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

/// confd in watch mode on `path`, where at most `limit` folders can be watched by inotify.
fn limited(sandbox: &Sandbox, path: &str, limit: usize, more: &[&str]) -> Daemon {
    let script = format!("echo {limit} > /proc/sys/user/max_inotify_watches; exec \"$@\"");
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", path]);
    Daemon::start(run.arguments(more).unshared("-Ur", &script), sandbox.path("log"))
}

fn warnings(log: &str) -> usize {
    let of_source = |line: &&str| line.contains("the files are looked at every");
    log.lines().filter(of_source).count()
}

#[test]
fn where_inotify_is_used_up_files_are_polled() {
    for path in ["data", "data/folder", "data/folder/a.yaml"] {
        // Two folders have to be watched.
        for limit in [2, 1, 0] {
            let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
            sandbox.write("data/folder/a.yaml", "v: 0");
            let daemon = limited(&sandbox, path, limit, &[]);
            for value in ["0", "1"] {
                sandbox.write("data/folder/a.yaml", format!("v: {value}"));
                becomes(&sandbox, value);
            }
            let log = daemon.stop(Signal::TERM).stderr;
            // The templates and destinations take folders from the same limit.
            let expected = if limit == 0 { 1..=1 } else { 0..=1 };
            assert!(expected.contains(&warnings(&log)), "{path} {limit}: {log}");
        }
    }
}

#[test]
fn polling_is_reported_once() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    sandbox.write("data", "v: 0");
    let daemon = limited(&sandbox, "data", 0, &["-reconcile", "100ms", "-log-level", "debug"]);
    let again = |log: &str| log.matches("Reading all keys again").count();
    eventually("the files are followed anew", || again(&daemon.stderr()) > 2);
    assert_eq!(warnings(&daemon.stderr()), 1);
    becomes(&sandbox, "0");
    sandbox.write("data", "v: 1");
    becomes(&sandbox, "1");
}

#[test]
fn a_destination_that_the_followed_source_reads_is_refused() {
    for (name, data) in
        [("data/a.yaml", "data/a.yaml"), ("data/new", "data"), ("link", "data/a.yaml")]
    {
        let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
        sandbox.write("data/a.yaml", "v: 1\n");
        symlink(sandbox.path("data"), sandbox.path("folder")).unwrap();
        symlink(sandbox.path("data/a.yaml"), sandbox.path("link")).unwrap();
        sandbox.write("templates/t", "v: {{add (atoi (getv \"/v\")) 1}}\n");
        let dest = name.replace("data/", "folder/");
        let resource = format!("[template]\nsrc = 't'\ndest = '{dest}'\nkeys = ['/']\n");
        sandbox.write("conf.d/t.toml", resource);
        let data = if name == "link" { "link" } else { data };
        let run = sandbox.confd(&["-watch", "-backend", "file", "-file", data]);
        let daemon = Daemon::start(run, sandbox.path("log"));
        daemon.wait_for(&format!(
            "ERROR Cannot process template resource {} - the source reads its keys from the dest {dest}",
            sandbox.path("conf.d/t.toml").display()
        ));
        eventually("the other resource is done", || sandbox.output() == "1");
        daemon.stop(Signal::TERM);
        assert_eq!(sandbox.read("data/a.yaml"), "v: 1\n");
    }
}
