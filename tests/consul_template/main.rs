//! The program called `consul-template` does what the real one does: every recorded case is a test.
//!
//! `cases.json` was recorded from consul-template 0.42.1. Its member `about` describes the format. A
//! case is one run in a folder of its own: files, arguments, and what must be there afterwards. A
//! case with a world runs beside a real Consul.
//!
//! If the variable `CONSUL_TEMPLATE` names a program, all cases run with that program: the real one shows
//! that a case is run as it was recorded.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod case;
mod folder;
mod live;
mod world;

use std::{collections::HashMap, fs, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

use world::Shared;

fn main() {
    let arguments = Arguments::from_args();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/consul_template/cases.json");
    let mut all: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let Value::Array(mut cases) = all["cases"].take() else { panic!("no list of cases") };
    // The cases of one world follow each other, so that only few servers run at a time.
    cases.sort_by_key(|case| case["world"].as_str().map(str::to_owned));
    let mut worlds: HashMap<String, Arc<Shared>> = HashMap::new();
    let trials = cases.into_iter().map(|case| {
        let name = case["name"].as_str().unwrap().to_owned();
        let world = case["world"].as_str().map(|world| {
            let shared = worlds.entry(world.to_owned());
            Arc::clone(shared.or_insert_with(|| Arc::new(Shared::new(&all["worlds"][world]))))
        });
        Trial::test(name, move || run(&case, world.as_deref()).map_err(Failed::from))
    });
    let trials = trials.collect();
    // From here on, the cases alone have their world: it ends with the last of them.
    drop(worlds);
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(case: &Value, world: Option<&Shared>) -> Result<(), String> {
    let needs_root =
        case["needs"].as_array().is_some_and(|needs| needs.iter().any(|need| need == "root"));
    if needs_root && !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    match case["live"] == true {
        true => live::run(case, world.map(Shared::own)),
        false => case::run(case, world.map(Shared::get)),
    }
}
