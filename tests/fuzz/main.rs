//! The fuzz targets, run for a short time with fixed inputs: each target gets its seeds and some
//! thousand changes of them, and must not panic, take long or take much memory.
//!
//! `FUZZ_CASES=100000 FUZZ_SEED=7 cargo test --test fuzz` uses other inputs. CONTRIBUTING.md says
//! how libFuzzer runs the same targets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mutate;
#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a library where libFuzzer runs it")]
mod targets;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    time::{Duration, Instant},
};

use mutate::Mutator;

/// The number of inputs for each target, unless `FUZZ_CASES` sets it.
const CASES: u64 = 10_000;
/// The seed of the random numbers, unless `FUZZ_SEED` sets it.
const SEED: u64 = 1;
/// The longest time for one input, on a busy machine and without optimisation.
const LONGEST: Duration = Duration::from_secs(20);
/// The most memory for all inputs: the peak of the process, in kB.
const LARGEST: u64 = 1 << 20;

#[test]
fn any_bytes_are_a_template_or_an_error_with_a_place() {
    run("template", targets::parse);
}

#[test]
fn any_template_is_rendered_or_stopped_twice_the_same() {
    run("template", targets::render);
}

#[test]
fn any_pattern_matches_what_trying_every_way_matches() {
    run("pattern", targets::pattern);
}

#[test]
fn any_resource_file_is_read_or_an_error_with_a_place() {
    run("resource", targets::resource);
}

#[test]
fn any_json_is_read_as_serde_reads_it() {
    run("json", targets::json);
}

#[test]
fn any_yaml_becomes_pairs_or_an_error_with_a_line() {
    run("yaml", targets::yaml);
}

#[test]
fn any_hcl_is_read_or_an_error_with_a_place() {
    run("hcl", targets::hcl);
}

/// Runs `target` with the seeds in the folder `name` and with changes of them.
fn run(name: &str, target: fn(&[u8])) {
    let seeds = seeds(name);
    let (cases, seed) = (setting("FUZZ_CASES", CASES), setting("FUZZ_SEED", SEED));
    let mut mutator = Mutator::new(seed, &seeds);
    for seed in &seeds {
        try_one(name, target, seed);
    }
    for _ in 0..cases {
        try_one(name, target, &mutator.next(targets::LONGEST));
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(peak < LARGEST, "the process once had {peak} kB");
}

#[expect(clippy::print_stderr, reason = "the input that failed has to be told")]
fn try_one(name: &str, target: fn(&[u8]), input: &[u8]) {
    let start = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    if let Err(panic) = outcome {
        eprintln!("{name} failed on b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
    let taken = start.elapsed();
    assert!(taken < LONGEST, "{name} took {taken:?} on b\"{}\"", input.escape_ascii());
}

/// The seeds in a folder, in a fixed order.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut paths: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[expect(clippy::disallowed_methods, reason = "the environment says how many cases are run")]
fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")),
        Err(_) => default,
    }
}
