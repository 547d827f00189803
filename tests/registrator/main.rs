//! The program called `registrator` does what the real one does: every recorded case is a test.
//!
//! `cases.json` was recorded from registrator with a real Docker engine and real registries.
//! A case is a command line, containers, steps such as `run` and `stop`, and what the registry
//! holds at each checkpoint. It runs in a [`World`]: an engine, Consuls and an etcd in a network of
//! their own. Each world runs one case at a time.
//!
//! If the variable `REGISTRATOR` names a program, all cases run with that program: the real one
//! shows that a case is run as it was recorded. Its etcd is read by version 2 of the API, ours by
//! version 3. So each case with an etcd runs a second time with the scheme `etcd2`, by which ours uses
//! version 2 as the real program does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod case;
mod containers;
mod faults;
mod placeholders;
mod program;
mod registry;
mod world;

use std::fs;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

use world::World;

/// The number of worlds if the arguments do not set the number of threads. A case often waits, so
/// there can be more worlds than processors.
const WORLDS: usize = 4;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(WORLDS);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/registrator/cases.json");
    let cases: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let Value::Array(mut cases) = cases else { panic!("no list of cases") };
    if program::real_program().is_none() {
        cases.extend(cases.iter().filter_map(with_v2).collect::<Vec<_>>());
    }
    // The worlds in which no case runs at present.
    let idle = Arc::new(Mutex::new(Vec::new()));
    let trials = cases.into_iter().map(|case| {
        let name = case["name"].as_str().unwrap().to_owned();
        let idle = Arc::clone(&idle);
        Trial::test(name, move || {
            let world = idle.lock().unwrap().pop();
            let mut world = world.unwrap_or_else(World::start);
            let result = world.run(&case);
            // A case that panics loses its world, which may be in any state.
            idle.lock().unwrap().push(world);
            result.map_err(Failed::from)
        })
    });
    let faults = faults::TESTS.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.chain(faults).collect());
    idle.lock().unwrap().clear();
    conclusion.exit();
}

/// The case of an etcd with the scheme for version 2 of its API; `None` for one without an etcd.
fn with_v2(case: &Value) -> Option<Value> {
    let is_etcd = matches!(case["registry"].as_str(), Some("etcd" | "skydns2"));
    let text = is_etcd.then(|| case.to_string())?;
    let text = text.replace("etcd://", "etcd2://").replace("skydns2://", "skydns2+etcd2://");
    let text = text.replace("Using etcd adapter", "Using etcd2 adapter");
    let mut case: Value = serde_json::from_str(&text).unwrap();
    case["name"] = format!("etcd2-{}", case["name"].as_str().unwrap()).into();
    case["registry"] = "etcd2".into();
    Some(case)
}
