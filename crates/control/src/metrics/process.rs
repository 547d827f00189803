//! What the system says about this process: the usual process metrics, from `/proc`.

use std::{fs, sync::OnceLock};

use super::{
    counts::Counts,
    families::{CPU, GOROUTINES, MAX_FDS, OPEN_FDS, RESIDENT, START, VIRTUAL, VIRTUAL_MAX},
};

/// The metrics of this moment. What the system does not say is left out.
pub(super) fn counts() -> Counts {
    let mut counts = Counts::default();
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    // The name of the process, in parentheses, may have spaces and parentheses.
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    // The first field here is the third of proc_pid_stat(5).
    let field = |number: usize| fields.get(number - 3).copied();
    if let (Some(user), Some(system)) = (field(14), field(15)) {
        counts.set(&CPU, &[], (user + system) / ticks);
    }
    let tasks = tokio::runtime::Handle::try_current();
    let tasks = tasks.map_or(0, |runtime| runtime.metrics().num_alive_tasks());
    counts.set(&GOROUTINES, &[], field(20).unwrap_or(1.0) + tasks as f64);
    if let (Some(started), Some(booted)) = (field(22), boot_time()) {
        counts.set(&START, &[], booted + started / ticks);
    }
    if let (Some(size), Some(pages)) = (field(23), field(24)) {
        counts.set(&VIRTUAL, &[], size);
        counts.set(&RESIDENT, &[], pages * rustix::param::page_size() as f64);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The reading itself has one open.
        counts.set(&OPEN_FDS, &[], open.count().saturating_sub(1) as f64);
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    for (family, name) in [(&MAX_FDS, "Max open files"), (&VIRTUAL_MAX, "Max address space")] {
        let rest = limits.lines().find_map(|line| line.strip_prefix(name));
        if let Some(soft) = rest.and_then(|rest| rest.split_whitespace().next()) {
            // As Go programs say that there is no limit.
            let soft =
                if soft == "unlimited" { u64::MAX as f64 } else { soft.parse().unwrap_or(0.0) };
            counts.set(family, &[], soft);
        }
    }
    counts
}

/// The time of the start of the machine, in seconds since the beginning of 1970.
fn boot_time() -> Option<f64> {
    static BOOT: OnceLock<Option<f64>> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
    })
}
