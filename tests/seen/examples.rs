//! The files of `examples/observe`: their queries ask for metrics and labels that exist.

use std::{collections::BTreeSet, fs, path::Path};

use regex::Regex;

use crate::support::{Sandbox, eventually};

use super::{becomes_ready, data, get, metrics::samples, shown};

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/observe").join(name);
    fs::read_to_string(path).unwrap()
}

/// The queries of the alerts and of the dashboard.
fn queries() -> Vec<String> {
    let alerts = example("alerts.yml");
    let alerts = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let dashboard: serde_json::Value = serde_json::from_str(&example("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let panels = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    alerts.map(str::to_owned).chain(panels).collect()
}

/// The labels that Prometheus adds.
const ADDED: [&str; 2] = ["instance", "job"];

#[test]
fn each_metric_and_label_of_the_alerts_and_the_dashboard_exists() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    sandbox.resource("other", "{{getv \"/v\"}}", "reload_cmd = 'test -e ok'");
    data(&sandbox, "v: 1");
    let (_daemon, port) = shown(&sandbox, &["-retry-max-delay", "1s"]);
    eventually("a reload has failed", || {
        samples(port).keys().any(|series| series.starts_with("confd_resource_failures_total"))
    });
    sandbox.write("ok", "");
    becomes_ready(port);
    let page = get(port, "/metrics").unwrap().body;
    let series: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
    let metric = Regex::new(r"\b((?:confd|process|go)_\w+)(?:\{([^}]*)\})?").unwrap();
    let by = Regex::new(r"by \(([^)]*)\)").unwrap();
    let queries = queries();
    assert!(queries.len() > 20, "{queries:?}");
    let mut seen = BTreeSet::new();
    for query in &queries {
        let mut names = Vec::new();
        for found in metric.captures_iter(query) {
            names.push(found[1].to_owned());
            let of_name = |line: &&&str| {
                line.strip_prefix(&found[1]).is_some_and(|rest| rest.starts_with(['{', ' ']))
            };
            let Some(line) = series.iter().find(of_name) else {
                panic!("{}, of {query}, does not exist", &found[1])
            };
            let labels = found.get(2).map_or("", |labels| labels.as_str()).split(',');
            let labels = labels.filter_map(|label| label.split(['=', '!']).next());
            let by = by.captures_iter(query).flat_map(|by| {
                by.get(1).unwrap().as_str().split(", ").map(str::to_owned).collect::<Vec<_>>()
            });
            for label in labels.map(str::to_owned).chain(by).filter(|label| !label.is_empty()) {
                let exists = line.contains(&format!("{label}=\"")) || ADDED.contains(&&*label);
                assert!(exists, "{label}, of {query}, is no label of {line}");
            }
        }
        assert!(!names.is_empty() || query.starts_with("up{"), "{query} asks for nothing of ours");
        seen.extend(names);
    }
    for name in ["confd_ready", "confd_resource_lag_seconds", "confd_resource_reload_pending"] {
        assert!(seen.contains(name), "{name} is in no query");
    }
}
