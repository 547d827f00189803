//! `confd check`: all mistakes at once, as text, as JSON and as SARIF.

use serde_json::Value;

use super::render::command;
use crate::support::Sandbox;

/// A tree with one mistake of each kind, and one resource without any.
fn mistaken() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("good", "{{getv \"/good\"}}\n", "check_cmd = 'grep -q . {{.src}}'");
    sandbox.resource("function", "one\n{{nosuch \"/a\"}}\n", "");
    sandbox.resource("command", "x", "reload_cmd = 'no-such-program --reload'");
    sandbox.resource("value", "x", "check_cmd = 'grep x {{.dest}}'");
    sandbox.resource("keys", "{{getv \"/app/a\"}}\n  {{getv \"/other/b\"}}\n", "");
    let keys = sandbox.read("conf.d/keys.toml").replace("['/']", "['/app']");
    sandbox.write("conf.d/keys.toml", keys);
    sandbox.write("conf.d/mode.toml", "[template]\nsrc='good.tmpl'\ndest='m'\nmode='rw'\n");
    let folder = sandbox.path("nowhere").display().to_string();
    let table = format!("[template]\nsrc='good.tmpl'\ndest='{folder}/x'\nkeys=['/']\nunknown=1\n");
    sandbox.write("conf.d/folder.toml", table);
    sandbox.write("data.yaml", "");
    sandbox
}

/// The findings of the JSON form.
fn findings(sandbox: &Sandbox) -> Vec<Value> {
    let ended = command(sandbox, &["check", "-format", "json"]).run();
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["version"], 1);
    document["findings"].as_array().unwrap().clone()
}

#[test]
fn all_mistakes_are_found_at_once_with_place_and_hint() {
    let sandbox = mistaken();
    let found = findings(&sandbox);
    let root = sandbox.root().display().to_string();
    let lines: Vec<String> = found
        .iter()
        .map(|it| {
            let file = it["file"].as_str().unwrap().trim_start_matches(&root);
            let word = |name: &str| it[name].as_str().unwrap().to_owned();
            format!("{file}:{}:{} {} {}", it["line"], it["column"], word("severity"), word("rule"))
        })
        .collect();
    assert_eq!(
        lines,
        [
            "/conf.d/command.toml:5:15 warning command",
            "/conf.d/folder.toml:3:1 warning missing-folder",
            "/conf.d/folder.toml:5:1 warning resource-warning",
            "/conf.d/mode.toml:4:6 error resource",
            "/conf.d/value.toml:5:1 error command",
            "/templates/function.tmpl:2:3 error template",
            "/templates/keys.tmpl:2:5 warning key-not-asked",
        ]
    );
    let key = found.last().unwrap();
    assert_eq!(key["text"], "the template asks for /other/b, and keys does not have it");
    assert_eq!(key["hint"], format!("add \"/other/b\" to keys in {root}/conf.d/keys.toml"));
}

#[test]
fn the_text_has_excerpts_and_errors_decide_the_exit_code() {
    let sandbox = mistaken();
    let ended = command(&sandbox, &["check"]).fails();
    let template = sandbox.path("templates/keys.tmpl").display().to_string();
    let excerpt =
        format!("   --> {template}:2:5\n    |\n  2 |   {{{{getv \"/other/b\"}}}}\n    |     ^\n");
    assert!(ended.stdout.contains(&excerpt), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("errors: 3, warnings: 4\n"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "");
    for name in ["mode", "value", "function"] {
        std::fs::remove_file(sandbox.path(&format!("conf.d/{name}.toml"))).unwrap();
    }
    command(&sandbox, &["check"]).ok();
    command(&sandbox, &["check", "-strict"]).fails();
}

#[test]
fn a_tree_without_mistakes_passes_and_nothing_is_asked_or_written() {
    let sandbox = Sandbox::rendering("{{getv \"/a\"}}");
    sandbox.write("confd.toml", "");
    let etcd = ["-config-file", "confd.toml", "-backend", "etcdv3", "-node", "http://127.0.0.1:1"];
    let run = sandbox.bare(&["check", "-strict"]).arguments(&etcd);
    let ended = run.arguments(&["-confdir"]).arguments(&[sandbox.root()]).ok();
    assert_eq!(ended.stdout, "errors: 0, warnings: 0\n");
    assert!(sandbox.list("out").is_empty());
}

#[test]
fn sarif_has_what_tools_of_code_review_need() {
    let sandbox = mistaken();
    let ended = command(&sandbox, &["check", "-format=sarif"]).fails();
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["version"], "2.1.0");
    assert!(document["$schema"].as_str().unwrap().contains("sarif-2.1.0"));
    let run = &document["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "confd");
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 7);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(driver["rules"][index]["id"], result["ruleId"]);
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().unwrap().contains("confd-test-"));
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        assert!(place["region"]["startColumn"].as_u64().unwrap() >= 1);
    }
}

/// `FILE:LINE:COLUMN RULE` of each finding, without the path of the tree.
fn places(sandbox: &Sandbox) -> Vec<String> {
    let root = format!("{}/", sandbox.root().display());
    let found = findings(sandbox);
    let place = |it: &Value| {
        let file = it["file"].as_str().unwrap().replace(&root, "");
        format!("{file}:{}:{} {}", it["line"], it["column"], it["rule"].as_str().unwrap())
    };
    found.iter().map(place).collect()
}

/// A tree with one resource, which asks for `/app`.
fn asking(template: &str, more: &str) -> Sandbox {
    let sandbox = Sandbox::rendering(template);
    let table = sandbox.read("conf.d/app.toml").replace("['/']", "['/app']");
    sandbox.write("conf.d/app.toml", format!("{table}{more}"));
    sandbox.write("data.yaml", "");
    sandbox
}

#[test]
fn files_that_a_go_template_includes_are_checked_too() {
    let sandbox = asking(
        "{{include \"parts/one\"}}\n{{include \"none\"}}{{include \"piece\"}}{{template \"nosuch\"}}\n\
         {{define \"piece\"}}{{getv \"/other/a\"}}{{end}}",
        "",
    );
    sandbox.write("templates/parts/one", "{{getv \"/app/b\"}}\n{{include \"parts/two\"}}");
    sandbox.write("templates/parts/two", "{{getv \"/other/c\"}}{{include \"bad\"}}");
    sandbox.write("templates/bad", "\n{{no_function}}");
    assert_eq!(
        places(&sandbox),
        [
            "templates/app.tmpl:2:3 template",
            "templates/app.tmpl:2:49 template",
            "templates/app.tmpl:3:21 key-not-asked",
            "templates/bad:2:3 template",
            "templates/parts/two:1:3 key-not-asked",
        ]
    );
}

#[test]
fn files_that_a_tera_template_includes_are_checked_too() {
    let sandbox = asking(
        "{% include \"part.tera\" %}\n{{ getv(key=\"/other/a\") }}{# getv(key=\"/no\") #}",
        "engine = 'tera'\n",
    );
    sandbox.write("templates/part.tera", "{{ getv(key='/app/b') }}{{ '/other/c' | getv }}");
    let place = "templates/part.tera:1:41 key-not-asked";
    assert_eq!(places(&sandbox), ["templates/app.tmpl:2:4 key-not-asked", place]);
    sandbox.write("templates/part.tera", "\n{{ no_function() }}");
    assert_eq!(places(&sandbox), ["templates/part.tera:2:4 template"]);
}

#[test]
fn folders_and_patterns_of_keys_are_checked_and_constants_elsewhere_are_not() {
    let sandbox = asking(
        "{{range ls \"/app/x\"}}{{end}}{{range gets \"/app*\"}}{{end}}{{range lsdir \"/\"}}{{end}}\n\
         {{range gets \"/other/*\"}}{{end}}{{range ls \"/other\"}}{{end}}\n\
         {{/* getv \"/other\" */}}{{print \"getv \\\"/other\\\"\"}}{{\"/other/d\" | getv}}",
        "",
    );
    assert_eq!(
        places(&sandbox),
        [
            "templates/app.tmpl:2:9 key-not-asked",
            "templates/app.tmpl:2:41 key-not-asked",
            "templates/app.tmpl:3:66 key-not-asked",
        ]
    );
}

#[test]
fn the_command_of_a_group_is_checked() {
    let command = "group = 'g'\ngroup_check_cmd = 'no-such-program {{.src}}'\n";
    let sandbox = asking("x", command);
    assert_eq!(places(&sandbox), ["conf.d/app.toml:7:1 command", "conf.d/app.toml:7:20 command"]);
    let ended = command_of(&sandbox);
    assert!(ended.contains("group_check_cmd knows only {{.root}}"), "{ended}");
}

/// The text of `confd check`.
fn command_of(sandbox: &Sandbox) -> String {
    command(sandbox, &["check"]).run().stdout
}
