//! Many changes in a short time.

use std::{fs, time::Duration};

use crate::{
    contender::{Follower, Program},
    site::Site,
    store::Store,
    table::{Table, median, ms},
};

const CHANGES: usize = 1000;
const KEYS: usize = 100;
const BURSTS: usize = 7;

/// The burst is over when no new file has come for this time, which is longer than any debounce
/// here.
const QUIET: Duration = Duration::from_secs(1);

/// 1,000 changes over 100 keys, one after the other and as fast as the store accepts them. The
/// resource prints all keys and has a reload command.
pub(crate) fn changes(store: &mut dyn Store) {
    let mut programs = vec![Program::own_with("confd, debounce 20ms", &["-debounce", "20ms"])];
    programs.splice(0..0, Program::all());
    let mut cases = Vec::new();
    for (nth, program) in programs.iter().enumerate() {
        let prefix = format!("/burst{nth}");
        let pairs: Vec<_> = (0..KEYS).map(|key| (path(&prefix, key), "first".to_owned())).collect();
        store.put_all(&pairs);
        let mut site = Site::new();
        let reloads = site.path("reloads");
        let reload = format!("reload_cmd = \"printf x >>'{}'\"\n", reloads.display());
        let template = format!("{{{{range getvs \"{prefix}/*\"}}}}{{{{.}}}}\n{{{{end}}}}");
        site.resource(&prefix, &template, &reload);
        let follower = Follower::confd(program, site, store);
        cases.push((follower, prefix, reloads, Vec::new(), Vec::new()));
    }
    for nth in 0..BURSTS {
        for (follower, prefix, reloads, times, counts) in &mut cases {
            let before = count(reloads);
            follower.renames.forget();
            for change in 0..CHANGES - 1 {
                let key = path(prefix, change % KEYS);
                store.put(&key, &format!("{:06}", nth * CHANGES + change));
            }
            let last = nth * CHANGES + CHANGES - 1;
            let (begun, _) = store.put(&path(prefix, last % KEYS), &format!("{last:06}"));
            let moment = follower.renames.last(QUIET);
            // `getvs` sorts by value, and the last 100 changes set the last value of each key.
            let expected: String =
                (last + 1 - KEYS..=last).map(|value| format!("{value:06}\n")).collect();
            let found = fs::read_to_string(follower.site.dest(0)).expect("a file");
            if let Some(moment) = moment.filter(|_| found == expected) {
                times.push(ms(moment.saturating_duration_since(begun)));
            }
            counts.push((count(reloads) - before) as f64);
        }
    }
    let columns = [("median ms", 2), ("most ms", 2), ("reloads", 0), ("wrong at end", 0)];
    let title =
        format!("6. {CHANGES} changes over {KEYS} keys, from the last put: {BURSTS} bursts");
    let mut table = Table::new(&title, &columns);
    for (follower, _, _, times, counts) in &cases {
        let most = times.iter().copied().reduce(f64::max).unwrap_or(f64::NAN);
        let wrong = (BURSTS - times.len()) as f64;
        table.row(&follower.name, &[median(times), most, median(counts), wrong]);
    }
    table.print();
    assert_eq!(cases[0].3.len(), BURSTS, "confd's file is not what the store has");
}

fn path(prefix: &str, key: usize) -> String {
    format!("{prefix}/{key:03}")
}

fn count(reloads: &std::path::Path) -> usize {
    fs::read(reloads).map_or(0, |found| found.len())
}
