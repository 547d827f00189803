//! Histories of resources at random: keys come, change and go, the store fails or refuses a key, other
//! programs change files. A model says what each file must hold when everything is at rest. The clock is
//! virtual, so that all retries are over in no time.
//!
//! More histories by hand: `PROPTEST_CASES=3000 cargo test -p agent --lib histories` takes a few minutes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use proptest::{
    collection::vec,
    prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest},
};
use tokio::{
    runtime::Builder,
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{Order, Pace, Schedule, tests::site::Site};

/// The keys: two of a group, one that a guard of the group requires, and one of a resource of its own.
const KEYS: [&str; 4] = ["/a", "/b", "/guard", "/single"];
/// Longer than the longest delay of a retry and than `-reconcile`.
const REST: Duration = Duration::from_secs(300);

/// What happens.
#[derive(Clone, Debug)]
enum Happens {
    Put(usize, u8),
    Delete(usize),
    Breaks(bool),
    /// The store refuses to show a key of the group.
    Refuses(bool),
    /// Another program changes a file.
    Edit(usize),
    /// Nothing, until everything is at rest.
    Rest,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        8 => (0..KEYS.len(), 0_u8..4).prop_map(|(key, value)| Happens::Put(key, value)),
        3 => (0..KEYS.len()).prop_map(Happens::Delete),
        1 => any::<bool>().prop_map(Happens::Breaks),
        1 => any::<bool>().prop_map(Happens::Refuses),
        1 => (0..FILES.len()).prop_map(Happens::Edit),
        4 => Just(Happens::Rest),
    ]
}

/// The files: two of the group and the single one.
const FILES: [&str; 3] = ["one", "two", "single"];

/// What the files may hold.
#[derive(Default)]
struct Model {
    keys: BTreeMap<usize, u8>,
    is_broken: bool,
    is_refused: bool,
    /// The contents of the group and of the single file: at the last rest, and whenever the store had all
    /// that they need since then. A pass may have seen any of these states.
    seen: [BTreeSet<Option<String>>; 2],
    /// The files that another program has changed since the last rest.
    edited: [bool; 3],
}

impl Model {
    /// The contents that the files of the group and the single file get in this state; `None` if they
    /// stay as they are.
    fn now(&self) -> [Option<String>; 2] {
        let key = |key: usize| self.keys.get(&key).filter(|_| !self.is_broken);
        let group = match (key(0), key(1), key(2)) {
            (Some(a), Some(b), Some(_)) if !self.is_refused => Some(format!("{a} {b}")),
            _ => None,
        };
        [group, key(3).map(u8::to_string)]
    }

    /// Notes that there was this state.
    fn note(&mut self) {
        let now = self.now();
        for (seen, now) in self.seen.iter_mut().zip(now) {
            seen.extend(now.map(Some));
        }
    }

    /// Compares the files, now that everything is at rest.
    fn check(&mut self, site: &Site) {
        let now = self.now();
        let written = FILES.map(|name| site.written(name));
        let is_edited = |file: usize| self.edited[file];
        for (file, content) in written.iter().enumerate() {
            let of = usize::from(file == 2);
            match &now[of] {
                Some(now) => assert_eq!(content.as_ref(), Some(now), "{}", FILES[file]),
                // A file that was edited while it cannot be made may stay so.
                None if is_edited(file) => {}
                None => assert!(self.seen[of].contains(content), "{}: {content:?}", FILES[file]),
            }
        }
        if !is_edited(0) && !is_edited(1) {
            assert_eq!(written[0], written[1], "the files of the group");
        }
        for (of, now) in now.into_iter().enumerate() {
            let files = if of == 0 { 0..2 } else { 2..3 };
            match now {
                Some(now) => {
                    self.seen[of] = BTreeSet::from([Some(now)]);
                    files.for_each(|file| self.edited[file] = false);
                }
                None => {
                    let left =
                        files.filter(|file| !self.edited[*file]).map(|file| written[file].clone());
                    let left: BTreeSet<_> = left.collect();
                    // Of edited files nothing new is known.
                    if !left.is_empty() {
                        self.seen[of] = left;
                    }
                }
            }
        }
    }
}

fn site() -> Site {
    let site = Site::new();
    for (name, more) in [
        ("one", "group = 'web'\nkeys = ['/a', '/b', '/guard']\nrequired_keys = ['/guard']"),
        ("two", "group = 'web'\nkeys = ['/a', '/b']"),
        ("single", "keys = ['/single']"),
    ] {
        let template = match name {
            "single" => "{{getv \"/single\"}}",
            _ => "{{getv \"/a\"}} {{getv \"/b\"}}",
        };
        fs::write(site.path("templates").join(name), template).unwrap();
        let dest = site.path("out").join(name);
        let table = format!("[template]\nsrc = '{name}'\ndest = '{}'\n{more}\n", dest.display());
        fs::write(site.path("conf.d").join(format!("{name}.toml")), table).unwrap();
    }
    site
}

async fn live(history: Vec<Happens>) {
    let site = site();
    let mut model =
        Model { seen: [BTreeSet::from([None]), BTreeSet::from([None])], ..Model::default() };
    let mut agent = site.agent();
    let (orders, mut receiver) = mpsc::channel(1);
    let schedule = Schedule {
        interval: Duration::ZERO,
        pace: Pace::default(),
        reconcile: Duration::from_secs(60),
        shutdown_timeout: REST,
    };
    let run = agent.watch(schedule, &mut receiver);
    let lives = async {
        for happens in history {
            match happens {
                Happens::Put(key, value) => {
                    site.store.put(KEYS[key], &value.to_string());
                    model.keys.insert(key, value);
                }
                Happens::Delete(key) => {
                    site.store.delete(KEYS[key]);
                    model.keys.remove(&key);
                }
                Happens::Breaks(is_broken) => {
                    site.store.break_down(is_broken.then_some("no store"));
                    model.is_broken = is_broken;
                }
                Happens::Refuses(is_refused) => {
                    site.store.forbid(is_refused.then_some(KEYS[1]));
                    model.is_refused = is_refused;
                }
                Happens::Edit(file) => {
                    let path = site.path("out").join(FILES[file]);
                    if path.exists() {
                        fs::write(path, "edited").unwrap();
                        model.edited[file] = true;
                    }
                }
                Happens::Rest => {
                    sleep_until(Instant::now() + REST).await;
                    model.check(&site);
                }
            }
            model.note();
            // Between two events there can be a pass that sees only the first.
            tokio::task::yield_now().await;
        }
        // In the end everything works.
        site.store.break_down(None);
        site.store.forbid(None);
        (model.is_broken, model.is_refused) = (false, false);
        for (nth, key) in KEYS.iter().enumerate() {
            site.store.put(key, "9");
            model.keys.insert(nth, 9);
        }
        sleep_until(Instant::now() + REST).await;
        model.check(&site);
        orders.send(Order::Stop).await.unwrap();
    };
    tokio::join!(run, lives);
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn files_are_what_the_store_says_in_every_history(history in vec(happens(), 1..25)) {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(live(history));
    }
}
