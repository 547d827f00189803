//! The log as JSON and as logfmt.

use crate::support::{Ended, Sandbox};

use super::noisy;

/// The lines of a log as JSON.
fn documents(ended: &Ended) -> Vec<serde_json::Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    ended.stderr.lines().map(parse).collect()
}

#[test]
fn each_event_is_one_object_with_stable_fields() {
    let sandbox = noisy();
    let ended = sandbox.onetime().arguments(&["-noop", "-log-format", "json"]).fails();
    let lines = documents(&ended);
    for line in &lines {
        let fields: Vec<_> = line.as_object().unwrap().keys().cloned().collect();
        for field in ["time", "level", "msg"] {
            assert!(fields.iter().any(|name| name == field), "{line}");
        }
        let time = line["time"].as_str().unwrap();
        assert!(time.contains('T') && time.contains('.'), "{time}");
    }
    let with = |text: &str| {
        let found = lines.iter().find(|line| line["msg"].as_str().unwrap().contains(text));
        found.unwrap_or_else(|| panic!("{text} is not in {}", ended.stderr))
    };
    assert_eq!(with("Starting confd")["level"], "INFO");
    let noop = with("Noop mode enabled");
    assert_eq!((&noop["level"], &noop["resource"]), (&"WARN".into(), &"app".into()));
    assert_eq!(noop["dest"], sandbox.path("out/app").display().to_string());
    let failed = with("bad.tmpl:1:2");
    let is = (&failed["level"], &failed["resource"], &failed["kind"]);
    assert_eq!(is, (&"ERROR".into(), &"bad".into(), &"render".into()));
    assert!(failed["excerpt"].as_str().unwrap().lines().count() > 2, "{failed}");
    let levels: Vec<_> = lines.iter().map(|line| line["level"].as_str().unwrap()).collect();
    assert!(levels.contains(&"FATAL"), "{levels:?}");
}

#[test]
fn each_event_is_one_line_of_logfmt() {
    let sandbox = noisy();
    let run = sandbox.onetime().arguments(&["-noop"]).env("CONFD_LOG_FORMAT", "logfmt");
    let ended = run.fails();
    assert!(ended.stderr.lines().all(|line| line.starts_with("time=2")), "{}", ended.stderr);
    let dest = sandbox.path("out/app").display().to_string();
    let noop = format!(
        " level=WARN msg=\"Noop mode enabled. {dest} will not be modified\" resource=app dest={dest}"
    );
    assert!(ended.stderr.lines().any(|line| line.ends_with(&noop)), "{}", ended.stderr);
}

#[test]
fn confd_toml_can_choose_the_format_and_values_stay_hidden() {
    let sandbox = Sandbox::rendering("{{getv \"/v\" | atoi}}");
    sandbox.write("confd.toml", "log_format = 'json'\nlog-level = 'debug'\n");
    let ended = sandbox.onetime_with("v: secret-value\n").fails();
    assert!(documents(&ended).len() > 5);
    assert!(!ended.stderr.contains("secret-value"), "{}", ended.stderr);
}

#[test]
fn an_unknown_format_is_fatal() {
    let sandbox = Sandbox::rendering("x");
    let ended = sandbox.onetime().arguments(&["-log-format", "JSON"]).fails();
    let line = "FATAL not a valid log format: \"JSON\" (the formats are \"text\", \"logfmt\" and \"json\")";
    assert!(ended.stderr.contains(line), "{}", ended.stderr);
}
