//! The page of metrics.

use std::collections::BTreeMap;

use servers::free_ports;

use crate::support::{Daemon, Sandbox, eventually};

use super::{becomes_ready, data, get, shown};

/// The samples of the page: each series and its value.
pub(super) fn samples(port: u16) -> BTreeMap<String, f64> {
    let page = get(port, "/metrics").unwrap();
    assert_eq!(page.code, 200);
    assert!(page.head.contains("content-type: text/plain; version=0.0.4"), "{}", page.head);
    let lines = page.body.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

/// Waits until a series has this value.
#[track_caller]
fn becomes(port: u16, series: &str, value: f64) {
    eventually(&format!("{series} is {value}"), || samples(port).get(series) == Some(&value));
}

#[test]
fn changes_commands_and_failures_are_counted() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    sandbox.resource(
        "other",
        "{{getv \"/v\"}}",
        "check_cmd = 'true'\nreload_cmd = 'test -e ok || exit 7'",
    );
    data(&sandbox, "v: secret-1");
    let (_daemon, port) = shown(&sandbox, &["-retry-max-delay", "1s"]);
    becomes(port, "confd_resource_reload_pending{resource=\"other\"}", 1.0);
    becomes(port, "confd_ready", 0.0);
    assert!(samples(port)["confd_resource_lag_seconds{resource=\"other\"}"] > 0.0);
    sandbox.write("ok", "");
    becomes_ready(port);
    data(&sandbox, "v: secret-2");
    let dest = |name: &str| sandbox.path(&format!("out/{name}")).display().to_string();
    becomes(port, &format!("confd_file_sync_total{{dest=\"{}\"}}", dest("other")), 2.0);
    becomes_ready(port);
    let found = samples(port);
    let of = |series: String| found.get(&series).copied();
    let is = |series: &str, value: f64| assert_eq!(found.get(series), Some(&value), "{series}");
    is("confd_ready", 1.0);
    is("confd_backend_healthy{backend=\"file\"}", 1.0);
    is("confd_templates_loaded", 2.0);
    is("confd_watched_keys", 2.0);
    is("confd_file_changed_total", 4.0);
    is("confd_template_cache_misses_total", 2.0);
    is("confd_resource_state{resource=\"app\",state=\"in_sync\"}", 1.0);
    is("confd_resource_state{resource=\"app\",state=\"failed\"}", 0.0);
    is("confd_resource_lag_seconds{resource=\"app\"}", 0.0);
    is("confd_resource_failures_total{resource=\"other\",kind=\"reload\"}", 1.0);
    is("confd_load_problems", 0.0);
    assert!(found["confd_command_exit_code_total{type=\"reload\",exit_code=\"7\"}"] >= 1.0);
    assert!(found["confd_command_exit_code_total{type=\"reload\",exit_code=\"0\"}"] >= 2.0);
    assert!(found["confd_resource_retries_total{resource=\"other\"}"] >= 1.0);
    let other = dest("other");
    assert_eq!(of(format!("confd_command_total{{type=\"check\",dest=\"{other}\"}}")), Some(2.0));
    let buckets = format!(
        "confd_command_duration_seconds_bucket{{type=\"check\",dest=\"{other}\",le=\"+Inf\"}}"
    );
    assert_eq!(of(buckets), Some(2.0));
    let passes = |status: &str| {
        of(format!("confd_template_process_total{{dest=\"{other}\",status=\"{status}\"}}"))
    };
    assert!(passes("success") >= Some(2.0) && passes("error") >= Some(1.0), "{found:?}");
    for name in
        ["go_goroutines", "process_open_fds", "process_max_fds", "process_resident_memory_bytes"]
    {
        assert!(found[name] > 1.0, "{name}");
    }
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    assert!((now - found["process_start_time_seconds"]).abs() < 120.0, "{now}");
    assert!(!get(port, "/metrics").unwrap().body.contains("secret-"));
}

#[test]
fn each_family_has_its_help_and_its_type_once() {
    let sandbox = Sandbox::rendering("x");
    data(&sandbox, "v: 1");
    let (_daemon, port) = shown(&sandbox, &[]);
    becomes_ready(port);
    let page = get(port, "/metrics").unwrap().body;
    let of = |start: &str| -> Vec<String> {
        let lines = page.lines().filter_map(|line| line.strip_prefix(start));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let (helps, types) = (of("# HELP "), of("# TYPE "));
    assert_eq!(helps, types);
    let mut once = helps.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), helps.len());
    for series in samples(port).keys() {
        let name = series.split('{').next().unwrap();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        assert!(helps.iter().any(|help| help == name || Some(&**help) == base), "{name}");
    }
}

#[test]
fn items_count_for_their_resource_and_resources_that_are_gone_are_forgotten() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/t.tmpl", "{{getv \"/v\"}}");
    let table = format!(
        "[template]\nsrc = 't.tmpl'\nfor_each = '/t/*'\ndest = '{}/{{{{.name}}}}'\n",
        sandbox.path("out").display()
    );
    sandbox.write("conf.d/items.toml", table);
    sandbox.resource("app", "x", "");
    data(&sandbox, "t: {a: {v: 1}, b: {v: 2}, c: {v: 3}}");
    let (_daemon, port) = shown(&sandbox, &[]);
    becomes_ready(port);
    let dest = format!("{}/{{{{.name}}}}", sandbox.path("out").display());
    becomes(port, &format!("confd_file_sync_total{{dest=\"{dest}\"}}"), 3.0);
    let of_app = |series: &String| series.contains("\"app\"") || series.contains("out/app");
    assert!(samples(port).keys().any(of_app));
    std::fs::remove_file(sandbox.path("conf.d/app.toml")).unwrap();
    eventually("the resource is forgotten", || !samples(port).keys().any(of_app));
}

#[test]
fn passes_of_interval_mode_and_failures_of_the_backend_are_counted() {
    let sandbox = Sandbox::rendering("x");
    let [port] = free_ports();
    let address = format!("127.0.0.1:{port}");
    let run = sandbox.confd(&["-interval", "1", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run.arguments(&["-metrics-addr", &address]), sandbox.path("log"));
    daemon.wait_for("ERROR stat data.yaml");
    becomes(port, "confd_backend_healthy{backend=\"file\"}", 0.0);
    let errors = "confd_backend_errors_total{backend=\"file\",operation=\"get_values\"}";
    assert!(samples(port)[errors] >= 1.0);
    data(&sandbox, "v: 1");
    becomes(port, "confd_backend_healthy{backend=\"file\"}", 1.0);
    becomes_ready(port);
    eventually("a pass is counted", || {
        let found = samples(port);
        found["confd_batch_process_total"] >= 2.0
            && found["confd_batch_process_failed_total"] >= 1.0
            && found["confd_batch_templates_succeeded_total"] >= 1.0
            && found["confd_watched_keys"] == 0.0
    });
}

/// The names of the metrics in the table of the guide, with their labels.
fn documented() -> BTreeMap<String, String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/observe.md");
    let guide = std::fs::read_to_string(path).unwrap();
    let table = guide.split("\n## Metrics\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let row = |line: &str| {
        let cells: Vec<_> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
        Some((cells[0].trim_end_matches('`').to_owned(), format!("{} {}", cells[1], cells[2])))
    };
    table.lines().filter_map(row).collect()
}

#[test]
fn the_table_of_the_guide_has_every_metric_with_its_type_and_labels() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    sandbox.resource("other", "x", "check_cmd = 'true'");
    data(&sandbox, "w: 1");
    let (_daemon, port) = shown(&sandbox, &[]);
    eventually("a pass has failed", || {
        samples(port).keys().any(|series| series.starts_with("confd_resource_failures_total"))
    });
    data(&sandbox, "v: 1");
    becomes_ready(port);
    let page = get(port, "/metrics").unwrap().body;
    let mut found = BTreeMap::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let start = [format!("{name}{{"), format!("{name}_bucket{{")];
        let labels = page.lines().find_map(|line| {
            let rest = start.iter().find_map(|start| line.strip_prefix(start.as_str()))?;
            let labels = rest.rsplit_once('}')?.0.split("\",");
            let names = labels.filter_map(|label| Some(label.split_once("=\"")?.0));
            let names = names.filter(|name| *name != "le");
            Some(names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
        });
        found.insert(name.to_owned(), format!("{kind} {}", labels.unwrap_or_default()));
    }
    assert_eq!(documented(), found);
}
