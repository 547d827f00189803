//! One file for each of many keys (`for_each`): what a change of one of them costs.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    PATIENCE,
    contender::Program,
    site::Site,
    store::Store,
    table::{Table, median, ms},
    usage::Usage,
};

/// 10 items and 10,000 items. One key of one item changes. The costs are compared with those of 10 items.
pub(crate) fn change(store: &mut dyn Store) {
    const CHANGES: usize = 40;
    let columns = [("ms", 2), ("CPU ms", 2), ("ratio", 2), ("CPU ratio", 2), ("MiB", 1)];
    let title = format!("9. a change of one of many items: medians of {CHANGES}");
    let mut table = Table::new(&title, &columns);
    let (mut own, mut next) = ((f64::NAN, f64::NAN), 0);
    for items in [10, 10_000] {
        let root = format!("/items{items}");
        let pairs: Vec<_> = (0..items)
            .map(|item| (format!("{root}/{item}/host"), "a.example".to_owned()))
            .collect();
        store.put_all(&pairs);
        let mut site = Site::new();
        site.items(&format!("{root}/*"), "server {{getv \"/host\"}};\n");
        let program = Program::all().remove(0);
        let daemon = program.watch(&site, items, &store.target());
        let (mut times, mut cpu) = (Vec::new(), Vec::new());
        for change in 0..=CHANGES {
            next += 1;
            let (value, item) = (format!("{next}.example"), next % 10);
            let content = format!("server {value};\n");
            let used = Usage::settled(daemon.pid());
            let (sent, _) = store.put(&format!("{root}/{item}/host"), &value);
            let time = reach(&site, item, &content, sent).expect("confd lost a change");
            let used = Usage::settled(daemon.pid()).cpu_since(&used);
            if change > 0 {
                times.push(ms(time));
                cpu.push(ms(used));
            }
        }
        let (time, used) = (median(&times), median(&cpu));
        if items == 10 {
            own = (time, used);
        }
        let resident = Usage::of(daemon.pid()).resident;
        let figures = [time, used, time / own.0, used / own.1, resident];
        table.row(&format!("{items} items"), &figures);
    }
    table.print();
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
