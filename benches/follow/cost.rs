//! What following costs the store and the machine.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use wait4::Wait4 as _;

use crate::{
    PATIENCE,
    contender::Program,
    site::Site,
    store::Store,
    table::{Table, median, ms},
    usage::Usage,
};

/// 50 resources that all ask for one tree of 1,000 keys. One key changes, which one resource
/// prints, or all of them.
pub(crate) fn shared_tree(store: &mut dyn Store) {
    const KEYS: usize = 1000;
    const RESOURCES: usize = 50;
    const CHANGES: usize = 5;
    const ROUNDS: usize = 5;
    let value = |nth: usize| format!("value {nth:020}");
    let pairs: Vec<_> = (0..KEYS).map(|key| (format!("/shared/{key:04}"), value(0))).collect();
    store.put_all(&pairs);
    let columns = [("requests", 0), ("kB", 1), ("CPU ms", 2), ("CPU ratio", 2)];
    let title = format!(
        "2. {RESOURCES} resources, one tree of {KEYS} keys, {CHANGES} changes of one: medians of {ROUNDS}"
    );
    let mut table = Table::new(&title, &columns);
    let mut next = 0;
    for (seen_by, what) in [(1, "one file"), (RESOURCES, "all files")] {
        let mut own = f64::NAN;
        for program in Program::all() {
            let mut site = Site::new();
            for nth in 0..RESOURCES {
                let key = if nth < seen_by { 0 } else { nth };
                site.resource("/shared", &format!("{{{{getv \"/shared/{key:04}\"}}}}"), "");
            }
            let daemon = program.watch(&site, RESOURCES, &store.counted());
            let (mut requests, mut bytes, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..=ROUNDS {
                let (asked, used) = (store.asked(), Usage::settled(daemon.pid()));
                for _ in 0..CHANGES {
                    next += 1;
                    let value = value(next);
                    store.put("/shared/0000", &value);
                    let seen = reach(&site, seen_by, &value);
                    assert!(seen || !program.is_own(), "confd lost a change");
                }
                let used = Usage::settled(daemon.pid()).cpu_since(&used);
                if round > 0 {
                    let now = store.asked();
                    requests.push(now.requests - asked.requests);
                    bytes.push((now.bytes - asked.bytes) / 1e3);
                    cpu.push(ms(used));
                }
            }
            let used = median(&cpu);
            if program.is_own() {
                own = used;
            }
            let figures = [median(&requests), median(&bytes), used, used / own];
            table.row(&format!("{}, {what}", program.name), &figures);
            assert!(
                !program.is_own()
                    || median(&requests) <= store.requests_a_change() * CHANGES as f64,
                "confd read after a change"
            );
        }
    }
    table.print();
}

/// Waits until this number of files has this content. Returns false if that takes too long. It
/// polls the files: time does not matter here, and inotify would add to the costs of the process
/// that writes.
fn reach(site: &Site, files: usize, content: &str) -> bool {
    let begun = Instant::now();
    let is_there = |nth| fs::read(site.dest(nth)).is_ok_and(|found| found == content.as_bytes());
    while !(0..files).all(is_there) {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        sleep(Duration::from_millis(2));
    }
    true
}

/// `-onetime` with 1,000 resources, each with its own key.
pub(crate) fn onetime(store: &mut dyn Store) {
    const RESOURCES: usize = 1000;
    const ROUNDS: usize = 15;
    let pairs: Vec<_> =
        (0..RESOURCES).map(|nth| (format!("/once/{nth}"), "value".to_owned())).collect();
    store.put_all(&pairs);
    let mut site = Site::new();
    for (key, _) in &pairs {
        site.resource(key, &format!("value: {{{{getv \"{key}\"}}}}\n"), "");
    }
    let programs = Program::all();
    let mut samples = vec![[Vec::new(), Vec::new(), Vec::new(), Vec::new()]; programs.len()];
    for round in 0..=ROUNDS {
        for (program, samples) in programs.iter().zip(&mut samples) {
            site.set_aside();
            let asked = store.asked();
            let begun = Instant::now();
            let child = program.command("-onetime", &site, &store.counted()).spawn();
            let ended = child.and_then(|mut child| child.wait4()).expect("the program runs");
            let wall = begun.elapsed();
            assert!(ended.status.success(), "{} ended with {}", program.name, ended.status);
            assert!(site.dest(RESOURCES - 1).exists(), "{} wrote nothing", program.name);
            let figures = [
                ms(wall),
                ms(ended.rusage.utime + ended.rusage.stime),
                ended.rusage.maxrss as f64 / 1024.0 / 1024.0,
                store.asked().requests - asked.requests,
            ];
            for (samples, figure) in samples.iter_mut().zip(figures).filter(|_| round > 0) {
                samples.push(figure); // the first round only warms up
            }
        }
    }
    let columns =
        [("wall ms", 1), ("CPU ms", 1), ("peak MiB", 1), ("requests", 0), ("wall ratio", 2)];
    let title = format!("4. {RESOURCES} resources once, all files new: medians of {ROUNDS} runs");
    let mut table = Table::new(&title, &columns);
    let own = median(&samples[0][0]);
    for (program, samples) in programs.iter().zip(&samples) {
        let mut figures: Vec<f64> = samples.iter().map(|figures| median(figures)).collect();
        figures.push(figures[0] / own);
        table.row(program.name, &figures);
    }
    table.print();
}

/// 100 resources, each with its own key, and no change.
pub(crate) fn idle(store: &mut dyn Store) {
    const RESOURCES: usize = 100;
    const WINDOW: Duration = Duration::from_secs(60);
    // By then, the threads that the first pass needed have ended.
    const REST: Duration = Duration::from_secs(11);
    let pairs: Vec<_> =
        (0..RESOURCES).map(|nth| (format!("/idle/{nth}"), "value".to_owned())).collect();
    store.put_all(&pairs);
    let mut running = Vec::new();
    for program in Program::all() {
        let mut site = Site::new();
        for (key, _) in &pairs {
            site.resource(key, &format!("{{{{getv \"{key}\"}}}}\n"), "");
        }
        running.push((program.watch(&site, RESOURCES, &store.counted()), program.name, site));
    }
    sleep(REST);
    let usage = || running.iter().map(|(daemon, ..)| Usage::of(daemon.pid())).collect::<Vec<_>>();
    let before = usage();
    sleep(WINDOW);
    let columns = [("CPU ms", 2), ("wake-ups", 0), ("MiB", 1), ("peak MiB", 1), ("descriptors", 0)];
    let title = format!("5. {RESOURCES} resources watched, {} s of nothing", WINDOW.as_secs());
    let mut table = Table::new(&title, &columns);
    for (((_, name, _), before), after) in running.iter().zip(before).zip(usage()) {
        let (cpu, wakeups) = (ms(after.cpu_since(&before)), after.wakeups_since(&before) as f64);
        let descriptors = after.descriptors as f64;
        table.row(name, &[cpu, wakeups, after.resident, after.peak, descriptors]);
    }
    table.print();
}
