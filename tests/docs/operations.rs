//! The guides for operations and for systemd: what is not a step of a guide.

use super::document;
use crate::support::{Run, Sandbox};

const GUIDE: &str = "docs/operations.md";

/// The rest of the lines of the guide that begin with `start`.
fn lines(guide: &str, start: &str) -> Vec<String> {
    guide.lines().filter_map(|line| line.strip_prefix(start)).map(str::to_owned).collect()
}

#[test]
fn the_run_before_a_service_succeeds_while_the_service_is_not_running() {
    let runs = lines(&document("docs/systemd.md"), "ExecStartPre=/usr/local/bin/confd ");
    assert_eq!(runs.len(), 1, "{runs:?}");
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", "check_cmd = 'exit 1'\nreload_cmd = 'exit 1'");
    let modes: Vec<_> = runs[0].split(' ').take_while(|flag| *flag != "-backend").collect();
    sandbox.confd(&modes).arguments(&["-backend", "env"]).ok();
    assert_eq!(sandbox.output(), "new");
}

#[test]
fn the_search_for_reloads_that_stay_pending_finds_them() {
    let guide = document(GUIDE);
    let search = guide.split("`find /etc/nginx ").nth(1).unwrap().split('`').next().unwrap();
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", "reload_cmd = 'exit 1'");
    sandbox.onetime().fails();
    let script = format!("find out {search}; touch -d '6 minutes ago' out/.*; find out {search}");
    let found = Run::new("sh", sandbox.root()).arguments(&["-c", &script]).ok();
    assert_eq!(found.stdout, "out/.app.reload-pending\n");
}
