//! What the live fork checks in place of a run: `--check-config`, `--validate` and `--preflight`.

use servers::etcd::{Etcd, Release};

use super::env;
use crate::support::{Ended, Sandbox};

/// A resource file `NAME.toml` with these lines in its table.
fn file(sandbox: &Sandbox, name: &str, lines: &str) {
    sandbox.write(&format!("conf.d/{name}.toml"), format!("[template]\n{lines}\n"));
}

/// The path of a file of the tree, as it is shown.
fn shown(sandbox: &Sandbox, name: &str) -> String {
    sandbox.path(name).display().to_string()
}

/// The lines behind `confd: error: `, without the paths of the tree.
fn errors(sandbox: &Sandbox, ended: &Ended) -> Vec<String> {
    let root = format!("{}/", sandbox.root().display());
    let (_, found) = ended.stderr.split_once("confd: error: ").unwrap();
    found.lines().map(|line| line.trim_start().replace(&root, "")).collect()
}

#[test]
fn check_config_names_the_field_of_each_mistake_in_the_words_of_the_fork() {
    let sandbox = Sandbox::rendering("x");
    sandbox.write("confd.toml", "");
    let (src, dest) = ("src = 'app.tmpl'", format!("dest = '{}'", shown(&sandbox, "out/x")));
    let keys = "keys = ['/a']";
    file(&sandbox, "b", &format!("{dest}\n{keys}"));
    file(&sandbox, "c", &format!("{src}\ndest = ''"));
    file(&sandbox, "d", &format!("{src}\n{dest}\nkeys = ['/a', '']\nmode = 'rw'"));
    file(&sandbox, "e", &format!("src = 'none'\n{dest}\n{keys}"));
    file(&sandbox, "f", &format!("{src}\ndest = '/no/such/folder/x'\n{keys}"));
    file(&sandbox, "g", &format!("{src}\n{dest}\n{keys}\ndebounce = 'x'"));
    sandbox.write("conf.d/h.toml", "x = [");
    // Not found by the fork.
    file(&sandbox, "i", &format!("{src}\n{dest}\n{keys}\ncheck_cmd = 'test {{{{'"));
    file(&sandbox, "j", &format!("{src}\n{dest}\n{keys}\nowner = 'no-such-user'"));
    sandbox.write("templates/k", "{{nosuch}}");
    file(&sandbox, "k", &format!("src = 'k'\n{dest}\n{keys}"));
    let ended = env(&sandbox, &["--check-config"]).fails();
    let duration = "invalid duration: \"x\" (use Go duration format, e.g., \"30s\", \"1m\")";
    assert_eq!(
        errors(&sandbox, &ended),
        [
            "conf.d/b.toml: src: required field is missing",
            "conf.d/c.toml: dest: required field is missing",
            "conf.d/c.toml: keys: required field is missing or empty",
            "conf.d/d.toml: keys[1]: key cannot be empty",
            "conf.d/d.toml: mode: must be a valid octal value (e.g., \"0644\"), got \"rw\"",
            "conf.d/e.toml: src: template file not found: templates/none",
            "conf.d/f.toml: dest: destination directory does not exist: /no/such/folder",
            &format!("conf.d/g.toml: debounce: {duration}"),
            "conf.d/h.toml: TOML parse error: toml: line 1: unclosed array, expected `]`",
            "conf.d/i.toml: check_cmd: template: checkcmd:1: unclosed action",
            "conf.d/j.toml: owner: \"no-such-user\": there is no such user in /etc/passwd",
            "templates/k: template parse error: template: k:1: function \"nosuch\" not defined",
        ]
    );
    ended.expect(&format!("INFO OK: {}", shown(&sandbox, "conf.d/app.toml")));
    let file = shown(&sandbox, "conf.d/b.toml");
    ended.expect(&format!("ERROR {file}: src: required field is missing"));
    ended.expect("INFO Validation complete: 1/11 files passed");
    assert_eq!(sandbox.list("out").len(), 0);
}

#[test]
fn a_configuration_without_mistakes_passes_and_one_file_can_be_chosen() {
    let sandbox = Sandbox::rendering("x");
    sandbox.write("confd.toml", "");
    file(&sandbox, "bad", "src = 'app.tmpl'");
    for path in ["app.toml".to_owned(), shown(&sandbox, "conf.d/app.toml")] {
        let ended = env(&sandbox, &["--check-config", "--resource", &path]).ok();
        ended.expect("INFO Validation complete: 1/1 files passed");
    }
    let ended = env(&sandbox, &["--check-config", "--resource", "none.toml"]).fails();
    assert_eq!(errors(&sandbox, &ended), ["resource file not found: conf.d/none.toml"]);
    let other = sandbox.write("other.toml", "");
    let flags = ["--check-config", "--resource", other.to_str().unwrap()];
    let ended = env(&sandbox, &flags).fails();
    let text = format!("other.toml is no resource file of {}", shown(&sandbox, "conf.d"));
    assert!(ended.stderr.contains(&text), "{}", ended.stderr);
    let empty = Sandbox::new();
    empty.write("confd.toml", "");
    let ended = env(&empty, &["--check-config"]).ok();
    let conf_d = shown(&empty, "conf.d");
    ended.expect(&format!("WARNING No configuration files found in {conf_d}"));
    std::fs::remove_dir(empty.path("conf.d")).unwrap();
    let ended = env(&empty, &["--check-config"]).fails();
    assert_eq!(errors(&empty, &ended), ["config directory not found: conf.d"]);
}

#[test]
fn warnings_do_not_fail_a_check_and_gos_command_line_has_it_too() {
    let sandbox = Sandbox::rendering("x");
    sandbox.resource("other", "x", "zzz = 1");
    let go = |sandbox: &Sandbox| sandbox.confd(&["-backend", "env", "-check-config"]);
    let ended = go(&sandbox).ok();
    let file = shown(&sandbox, "conf.d/other.toml");
    ended.expect(&format!("WARNING {file}: zzz: unknown key \"template.zzz\""));
    ended.expect("INFO Validation complete: 2/2 files passed");
    sandbox.write("templates/app.tmpl", "{{");
    let ended = go(&sandbox).fails();
    ended.expect("FATAL 1 of 2 files failed").expect_no("confd: error:");
}

/// A tree whose templates read their data and their keys.
fn templates() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("confd.toml", "");
    sandbox.resource("data", "{{.name}} {{range .list}}{{.}}{{end}}{{add 1 (len .list)}}", "");
    let keys = "{{atoi (getv \"/app/port\")}}{{(json (getv \"/doc\")).a}}{{getv \"/path/to\"}}\
                {{range gets \"/app/*\"}}{{.Key}}{{end}}";
    sandbox.resource("keys", keys, "");
    sandbox.write(
        "mock.json",
        "{\"name\": \"n\", \"list\": [\"a\"], \"app\": {\"port\": 80}, \"doc\": \"{\\\"a\\\": 1}\", \"/path/to\": \"x\"}",
    );
    sandbox
}

#[test]
fn validate_compiles_all_templates_with_the_real_functions() {
    let sandbox = templates();
    let ended = env(&sandbox, &["--validate"]).ok();
    ended.expect(&format!("INFO OK: {}", shown(&sandbox, "conf.d/data.toml")));
    ended.expect("INFO Template validation complete: 2/2 passed");
    // The fork knows this function only here, and every run fails.
    sandbox.resource("all", "{{getall}}", "");
    let ended = env(&sandbox, &["--validate"]).fails();
    let text = "template: all.tmpl:1: function \"getall\" not defined";
    let line = format!("templates/all.tmpl: template parse error: {text}");
    assert_eq!(errors(&sandbox, &ended), [line]);
    env(&sandbox, &["--validate", "--resource", "data.toml"]).ok();
}

#[test]
fn mock_data_are_the_data_and_the_keys_of_templates() {
    let sandbox = templates();
    let validate = ["--validate", "--mock-data", "mock.json"];
    env(&sandbox, &validate).ok().expect("INFO Template validation complete: 2/2 passed");
    sandbox.resource("none", "{{getv \"/none\"}}{{getenv \"NONE\"}}", "");
    let ended = env(&sandbox, &validate).ok();
    ended.expect("WARNING the key /none does not exist and reads as empty (resource none)");
    sandbox.resource("bad", "{{add .name 1}}", "");
    sandbox.resource("format", "{{.name}}", "output_format = 'json'");
    let ended = env(&sandbox, &validate).fails();
    let found = errors(&sandbox, &ended);
    let start = "templates/bad.tmpl: template execution error: template: bad.tmpl:1:";
    assert!(found[0].starts_with(start), "{found:?}");
    assert_eq!(
        found[1],
        "templates/format.tmpl: output_format: output validation failed: the result is no json, line 1, column 1"
    );
    assert!(sandbox.list("out").is_empty());
}

#[test]
fn mock_data_that_are_no_json_object_are_an_error() {
    let sandbox = templates();
    for (content, text) in [
        (None, "open mock.json: no such file or directory"),
        (Some("[1]"), "mock.json: it is no JSON object"),
        (Some("{"), "mock.json: unexpected end of JSON input"),
    ] {
        std::fs::remove_file(sandbox.path("mock.json")).ok();
        content.into_iter().for_each(|text| drop(sandbox.write("mock.json", text)));
        let ended = env(&sandbox, &["--validate", "--mock-data", "mock.json"]).fails();
        assert_eq!(errors(&sandbox, &ended), [format!("failed to load mock data: {text}")]);
    }
}

#[test]
fn flags_of_the_checks_that_would_have_no_effect_are_mistakes() {
    let sandbox = templates();
    for (flags, text) in [
        (&["--mock-data", "mock.json"][..], "-mock-data is for -validate"),
        (&["--resource", "data.toml", "--onetime"], "-resource is for -check-config and -validate"),
    ] {
        let ended = env(&sandbox, flags).run();
        assert_eq!(ended.code, Some(80));
        assert_eq!(ended.stderr.lines().next(), Some(&*format!("confd: error: {text}")));
    }
}

#[test]
fn preflight_asks_the_store_for_the_keys_of_each_template() {
    let etcd = Etcd::start(Release::Newest);
    etcd.put("/app/a", "1");
    etcd.put("/app/b", "2");
    let sandbox = Sandbox::new();
    sandbox.write("confd.toml", "");
    for (name, prefix) in [("app", "/app"), ("none", "/none")] {
        sandbox.write(&format!("templates/{name}"), "x");
        let dest = shown(&sandbox, &format!("out/{name}"));
        let lines = format!("src = '{name}'\ndest = '{dest}'\nprefix = '{prefix}'\nkeys = ['/']");
        file(&sandbox, name, &lines);
    }
    let root = sandbox.root().to_str().unwrap();
    let run = |node: &str, flags: &[&str]| {
        let flags = [&["--confdir", root, "--config-file", "confd.toml", "--preflight"], flags];
        sandbox.bare(&["etcd", "-n", node]).arguments(&flags.concat())
    };
    let ended = run(&etcd.url(), &[]).ok();
    assert_eq!(
        ended.log(),
        [
            "INFO Running pre-flight checks...",
            "INFO Checking global backend connectivity...",
            "INFO Global backend: OK",
            "INFO Loading template resources...",
            "INFO Templates: 2 loaded",
            "INFO Checking key accessibility...",
            "INFO   app: 2 keys found",
            "WARNING none: no keys found for prefix /none",
            "INFO Pre-flight checks completed successfully",
        ]
    );
    let ended = run("http://127.0.0.1:1", &[]).fails();
    let [error] = &errors(&sandbox, &ended)[..] else { panic!("{}", ended.stderr) };
    assert!(
        error.starts_with("global backend connectivity failed: cannot reach etcd: "),
        "{error}"
    );
    file(&sandbox, "bad", "src = 'app'");
    let ended = run(&etcd.url(), &[]).fails();
    let [error] = &errors(&sandbox, &ended)[..] else { panic!("{}", ended.stderr) };
    assert!(error.starts_with("failed to load template resources: "), "{error}");
    assert!(sandbox.list("out").is_empty());
}

#[test]
fn preflight_ends_when_its_time_is_over() {
    let sandbox = templates();
    // It takes connections and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let node = format!("http://{}", listener.local_addr().unwrap());
    let root = sandbox.root().to_str().unwrap();
    let run = sandbox.bare(&["consul", "-n", &node, "--confdir", root, "--preflight"]);
    let ended = run.arguments(&["--preflight-timeout", "200ms"]).fails();
    let expected = "global backend connectivity failed: no answer within 200ms";
    assert_eq!(errors(&sandbox, &ended), [expected]);
}

#[test]
fn preflight_asks_the_backend_of_a_resource_too() {
    let sandbox = templates();
    let dest = shown(&sandbox, "out/own");
    sandbox.write("templates/own", "x");
    sandbox.write("keys.yaml", "a: 1\n");
    let own = |backend: &str| {
        let lines = format!("src = 'own'\ndest = '{dest}'\nkeys = ['/a']\n[backend]\n{backend}");
        file(&sandbox, "own", &lines);
    };
    own("backend = 'file'\nfile = ['keys.yaml']");
    let ended = env(&sandbox, &["--preflight"]).run();
    ended.expect("INFO Checking per-resource backend for own...");
    ended.expect("INFO Per-resource backend for own: OK");
    ended.expect("INFO   own: 1 keys found");
    own("backend = 'etcd'\nnodes = ['http://127.0.0.1:1']");
    let ended = env(&sandbox, &["--preflight"]).fails();
    let found = errors(&sandbox, &ended);
    let start = "per-resource backend connectivity failed for own: ";
    assert!(found[0].starts_with(start) && found[0].contains("127.0.0.1:1"), "{found:?}");
}
