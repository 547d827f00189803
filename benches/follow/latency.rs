//! The time until a change is in its file, and whether it gets there at all.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    PATIENCE,
    contender::{Follower, Program},
    site::Site,
    store::Store,
    table::{Table, median, ms, p99},
    usage::Usage,
};

/// A pause after each change. Work that follows a change (syncing the folder, the server's log)
/// must not slow down the next contender.
const PAUSE: Duration = Duration::from_millis(5);

/// Changes before the first one that counts.
const WARM_UP: usize = 20;

/// One resource with one key, and one change at a time.
pub(crate) fn one_resource(store: &mut dyn Store) {
    const CHANGES: usize = 1000;
    let mut followers = Vec::new();
    for (nth, program) in Program::all().iter().enumerate() {
        let key = format!("/one/{nth}");
        store.put(&key, "first");
        followers.push((Follower::confd(program, printing(&key), store), key));
    }
    let key = "/one/template".to_owned();
    store.put(&key, "first");
    followers.extend(Follower::consul_template(&key, store).map(|follower| (follower, key)));
    for (nth, sync) in [true, false].into_iter().enumerate() {
        let key = format!("/bare/{nth}");
        store.put(&key, "first");
        followers.push((Follower::bare(&key, sync, store), key));
    }
    let mut times = vec![Vec::new(); followers.len()];
    let mut puts = Vec::new();
    for nth in 0..WARM_UP + CHANGES {
        let value = format!("value {nth}");
        for ((follower, key), times) in followers.iter().zip(&mut times) {
            let time = follower.change(store, key, &value, &value);
            times.extend(time.filter(|_| nth >= WARM_UP).map(ms));
            sleep(PAUSE);
        }
        let (_, answered) = store.put("/unwatched", &value);
        puts.push(ms(answered));
        sleep(PAUSE);
    }
    let columns = [("median ms", 3), ("99th ms", 3), ("over bare ms", 3), ("99th", 3), ("lost", 0)];
    let title = format!("1. from a put to the new file, one resource: {CHANGES} changes");
    let mut table = Table::new(&title, &columns);
    let syncing = times.len() - 2;
    let (bare, bare_p99) = (median(&times[syncing]), p99(&times[syncing]));
    for ((follower, _), times) in followers.iter().zip(&times) {
        let (middle, slow) = (median(times), p99(times));
        let lost = (CHANGES - times.len()) as f64;
        table.row(&follower.name, &[middle, slow, middle - bare, slow - bare_p99, lost]);
    }
    let puts = &puts[WARM_UP..];
    table.row("the put alone", &[median(puts), p99(puts), f64::NAN, f64::NAN, f64::NAN]);
    table.print();
    assert_eq!(times[0].len(), CHANGES, "confd lost a change");
}

/// One resource that uses 10 keys of many: of 200, and of a hundred times as many.
pub(crate) fn growth(store: &mut dyn Store) {
    const CHANGES: usize = 1000;
    const USED: usize = 10;
    let sizes = [200, 20_000];
    let mut cases = Vec::new();
    for (nth, program) in Program::all().iter().enumerate() {
        for size in sizes {
            // No prefix may begin with another prefix, because Consul matches keys as text.
            let prefix = format!("/tree{nth}of{size:05}");
            let pairs: Vec<_> =
                (0..size).map(|key| (format!("{prefix}/{key:05}"), "first".to_owned())).collect();
            store.put_all(&pairs);
            let line = |key| format!("{{{{getv \"{prefix}/{key:05}\"}}}}\n");
            let template: String = (0..USED).map(line).collect();
            let mut site = Site::new();
            site.resource(&prefix, &template, "");
            let follower = Follower::confd(program, site, store);
            cases.push((follower, prefix, vec!["first".to_owned(); USED], Vec::new()));
        }
    }
    let mut before = Vec::new();
    for nth in 0..WARM_UP + CHANGES {
        if nth == WARM_UP {
            before = cases.iter().map(|case| Usage::settled(case.0.daemon.pid())).collect();
        }
        for (follower, prefix, values, times) in &mut cases {
            let changed = nth % USED;
            values[changed] = format!("value {nth}");
            let content: String = values.iter().map(|value| format!("{value}\n")).collect();
            let key = format!("{prefix}/{changed:05}");
            let time = follower.change(store, &key, &values[changed], &content);
            times.extend(time.filter(|_| nth >= WARM_UP).map(ms));
            sleep(PAUSE);
        }
    }
    let columns = [("median ms", 3), ("99th ms", 3), ("CPU us each", 0), ("MiB", 1), ("lost", 0)];
    let title = format!("3. one resource that uses {USED} of many keys: {CHANGES} changes");
    let mut table = Table::new(&title, &columns);
    for (pair, before) in cases.chunks(2).zip(before.chunks(2)) {
        let mut figures = Vec::new();
        for (((follower, _, _, times), before), size) in pair.iter().zip(before).zip(sizes) {
            let after = Usage::of(follower.daemon.pid());
            let cpu = after.cpu_since(before).as_secs_f64() * 1e6 / CHANGES as f64;
            let lost = (CHANGES - times.len()) as f64;
            let row = [median(times), p99(times), cpu, after.resident, lost];
            table.row(&format!("{}, {size}", follower.name), &row);
            figures.push(row);
        }
        let ratios: Vec<f64> =
            figures[1].iter().zip(figures[0]).map(|(large, small)| large / small).collect();
        table.ratios("  growth", &ratios[..4]);
    }
    table.print();
    for (_, prefix, _, times) in &cases[..2] {
        assert_eq!(times.len(), CHANGES, "confd lost a change below {prefix}");
    }
}

/// A second change shortly after the first.
pub(crate) fn pairs(store: &mut dyn Store) {
    const PAIRS: u32 = 400;
    const FARTHEST: Duration = Duration::from_millis(3);
    let mut cases = Vec::new();
    for (nth, program) in Program::all().iter().enumerate() {
        let key = format!("/pair/{nth}");
        store.put(&key, "first");
        cases.push((Follower::confd(program, printing(&key), store), key, Vec::new()));
    }
    for nth in 0..PAIRS {
        let (one, two) = (format!("one {nth}"), format!("two {nth}"));
        for (follower, key, times) in &mut cases {
            follower.renames.forget();
            store.put(key, &one);
            let due = Instant::now() + FARTHEST * nth / PAIRS;
            // Busy waiting, because a sleep could end too late.
            while Instant::now() < due {
                std::hint::spin_loop();
            }
            let (begun, _) = store.put(key, &two);
            times.extend(follower.renames.until(&two, PATIENCE).map(|moment| ms(moment - begun)));
            sleep(PAUSE);
        }
    }
    let title = format!("7. a second change 0 to 3 ms after the first: {PAIRS} times");
    let mut table = Table::new(&title, &[("lost", 0), ("median ms", 3), ("99th ms", 3)]);
    for (follower, _, times) in &cases {
        let lost = f64::from(PAIRS) - times.len() as f64;
        table.row(&follower.name, &[lost, median(times), p99(times)]);
    }
    table.print();
    assert_eq!(cases[0].2.len(), PAIRS as usize, "confd lost a change");
}

/// A site whose only file has the value of a key.
fn printing(key: &str) -> Site {
    let mut site = Site::new();
    site.resource(key, &format!("{{{{getv \"{key}\"}}}}"), "");
    site
}
