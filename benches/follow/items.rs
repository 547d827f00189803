//! One file for each of many keys (`for_each`): what a change of one of them costs.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    PATIENCE,
    contender::{Daemon, Program},
    site::Site,
    store::Store,
    table::{Table, median, ms},
    usage::Usage,
};

/// 10 items and 10,000 items. One key of one item changes. The costs are compared with those of 10 items.
///
/// Both daemons run at once and take turns, so that whatever else the machine does meets both alike: in
/// the minute after the first pass of 10,000 items, the kernel still writes their files to the disk.
pub(crate) fn change(store: &mut dyn Store) {
    const CHANGES: usize = 40;
    let columns = [("ms", 2), ("CPU ms", 2), ("ratio", 2), ("CPU ratio", 2), ("MiB", 1)];
    let title = format!("9. a change of one of many items: medians of {CHANGES}");
    let mut table = Table::new(&title, &columns);
    let mut runs = [10, 10_000].map(|items| Run::started(items, store));
    for change in 0..=CHANGES {
        for run in &mut runs {
            let (time, used) = run.change(change, store);
            // The first change finds things cold that no later one does.
            if change > 0 {
                run.times.push(ms(time));
                run.cpu.push(ms(used));
            }
        }
    }
    let costs = runs.each_ref().map(|run| (median(&run.times), median(&run.cpu)));
    for (run, (time, used)) in runs.iter().zip(costs) {
        let resident = Usage::of(run.daemon.pid()).resident;
        let figures = [time, used, time / costs[0].0, used / costs[0].1, resident];
        table.row(&format!("{} items", run.items), &figures);
    }
    table.print();
}

/// A confd with a file for each of many keys.
struct Run {
    items: usize,
    root: String,
    /// Ends before its files go.
    daemon: Daemon,
    site: Site,
    times: Vec<f64>,
    cpu: Vec<f64>,
}

impl Run {
    /// Returns when all files are written and confd is at rest.
    fn started(items: usize, store: &mut dyn Store) -> Self {
        let root = format!("/items{items}");
        let pairs: Vec<_> = (0..items)
            .map(|item| (format!("{root}/{item}/host"), "a.example".to_owned()))
            .collect();
        store.put_all(&pairs);
        let mut site = Site::new();
        site.items(&format!("{root}/*"), "server {{getv \"/host\"}};\n");
        let daemon = Program::all().remove(0).watch(&site, items, &store.target());
        Run { items, root, daemon, site, times: Vec::new(), cpu: Vec::new() }
    }

    /// How long it takes until the change with this number is in its file, and the CPU time that is
    /// used until confd is at rest again.
    fn change(&self, number: usize, store: &mut dyn Store) -> (Duration, Duration) {
        let (value, item) = (format!("{number}.example"), number % 10);
        let content = format!("server {value};\n");
        let before = Usage::settled(self.daemon.pid());
        let (sent, _) = store.put(&format!("{}/{item}/host", self.root), &value);
        let time = reach(&self.site, item, &content, sent).expect("confd lost a change");
        (time, Usage::settled(self.daemon.pid()).cpu_since(&before))
    }
}

/// The time from `sent` until the file of an item has this content; `None` if that takes too long.
fn reach(site: &Site, item: usize, content: &str, sent: Instant) -> Option<Duration> {
    while !fs::read(site.dest(item)).is_ok_and(|found| found == content.as_bytes()) {
        if sent.elapsed() > PATIENCE {
            return None;
        }
        sleep(Duration::from_micros(200));
    }
    Some(sent.elapsed())
}
