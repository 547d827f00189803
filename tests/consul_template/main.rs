//! The program called `consul-template` does what the real one does: every recorded case is a test.
//!
//! `cases.json` was recorded from consul-template 0.42.1. Its member `about` describes the format. A
//! case is one run in a folder of its own: files, arguments, and what must be there afterwards.
//!
//! Only the cases that [`is_done`] accepts run: those that need no Consul. The others wait for the
//! queries of Consul.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod case;
mod folder;
mod live;

use std::fs;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// Cases whose world is missing and which ask Consul all the same: they are about its failures.
const ASK_CONSUL: [&str; 8] = [
    "cfg-consul-retry-off",
    "cfg-two-files-block-fields-merge",
    "cli-addr-nobody-there",
    "cli-addr-nobody-there-no-retry",
    "cli-retry-attempts-zero-is-endless",
    "cli-retry-backoff-doubles",
    "cli-retry-legacy-flag-sets-backoff",
    "cli-retry-max-backoff",
];

/// Functions that this release does not have yet.
const LATER_FUNCTIONS: [&str; 4] =
    ["sockaddr", "sprig_derivePassword", "sprig_mustToDate", "sprig_toDate"];

fn main() {
    let arguments = Arguments::from_args();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/consul_template/cases.json");
    let mut all: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let Value::Array(cases) = all["cases"].take() else { panic!("no list of cases") };
    let trials = cases.into_iter().filter(is_done).map(|case| {
        let name = case["name"].as_str().unwrap().to_owned();
        Trial::test(name, move || run(&case).map_err(Failed::from))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// Whether this release can do what the case asks for.
fn is_done(case: &Value) -> bool {
    let name = case["name"].as_str().unwrap();
    let text = case.to_string();
    case["world"].is_null()
        && !ASK_CONSUL.contains(&name)
        && !LATER_FUNCTIONS.iter().any(|function| text.contains(function))
}

fn run(case: &Value) -> Result<(), String> {
    let needs_root =
        case["needs"].as_array().is_some_and(|needs| needs.iter().any(|need| need == "root"));
    if needs_root && !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    if case["live"] == true { live::run(case) } else { case::run(case) }
}
