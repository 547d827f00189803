//! Histories of resources at random: keys come, change and go, the store fails or refuses a key, other
//! programs change files, checks and reloads fail, and confd is started again. A model says what each file
//! must hold, and what each service must have seen, when everything is at rest. The clock is virtual, so
//! that all retries are over in no time. The commands are run by services that exist only in the test.
//!
//! 100,000 histories by hand: `PROPTEST_CASES=100000 cargo test -p agent --lib histories`. An optimized build
//! and `taskset -c 0` make that several times faster, because most of the time is handing work to threads.

mod model;
mod resources;
mod services;

use std::{
    cell::{Cell, RefCell},
    fs,
    sync::Arc,
    time::Duration,
};

use proptest::{
    collection::vec,
    prelude::{Just, ProptestConfig, Strategy, any, prop_oneof},
    test_runner::{TestRunner, contextualize_config},
};
use tokio::{
    runtime::Builder,
    sync::{Notify, mpsc},
    time::{Instant, sleep_until},
};

use self::{
    model::Model,
    resources::{FILES, ITEMS, POOL, Service},
    services::{Services, Step},
};
use crate::{Growth, Order, Pace, Schedule, tests::site::Site};

/// Longer than the longest delay of a retry, than `-reconcile` and than the time after which a refused key
/// is asked for again.
const REST: Duration = Duration::from_secs(45);
/// A time in which a pass, but not a slow reload, comes to its end.
const MOMENT: Duration = Duration::from_secs(1);

/// What happens.
#[derive(Clone, Debug)]
enum Happens {
    /// A key gets a value, or is deleted.
    Set(Key, Option<u8>),
    /// All keys of the pool whose bits are not set are deleted.
    Shrinks(u8),
    Breaks(bool),
    /// The store refuses to show a key of the group.
    Refuses(bool),
    Fails(Step, bool),
    /// Everything works again.
    Recovers,
    IsSlow(bool),
    /// Another program changes a file.
    Edit(usize),
    /// confd is stopped and started again.
    Restart,
    /// Nothing, for a moment.
    Pause,
    /// Nothing, until everything is at rest.
    Rest,
}

/// A key in the store.
#[derive(Clone, Copy, Debug)]
enum Key {
    A,
    B,
    Guard,
    Single,
    Pool(usize),
    Item(usize),
    /// A key of an item that its template does not use.
    OfItem(usize),
    Shared,
}

impl Key {
    fn path(self) -> String {
        match self {
            Key::A => "/a".to_owned(),
            Key::B => "/b".to_owned(),
            Key::Guard => "/guard".to_owned(),
            Key::Single => "/single".to_owned(),
            Key::Pool(nth) => format!("/pool/{nth}"),
            Key::Item(nth) => format!("/items/{nth}/v"),
            Key::OfItem(nth) => format!("/items/{nth}/other"),
            Key::Shared => "/shared".to_owned(),
        }
    }
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        2 => Just(Key::A),
        2 => Just(Key::B),
        1 => Just(Key::Guard),
        3 => Just(Key::Single),
        3 => (0..POOL).prop_map(Key::Pool),
        4 => (0..ITEMS).prop_map(Key::Item),
        1 => (0..ITEMS).prop_map(Key::OfItem),
        1 => Just(Key::Shared),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let service = (0..Service::ALL.len()).prop_map(|nth| Step::Reload(Service::ALL[nth]));
    prop_oneof![1 => Just(Step::Check), 1 => Just(Step::GroupCheck), 4 => service]
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        10 => (key(), 0_u8..4).prop_map(|(key, value)| Happens::Set(key, Some(value))),
        4 => key().prop_map(|key| Happens::Set(key, None)),
        1 => any::<u8>().prop_map(Happens::Shrinks),
        1 => any::<bool>().prop_map(Happens::Breaks),
        1 => any::<bool>().prop_map(Happens::Refuses),
        3 => (step(), any::<bool>()).prop_map(|(step, fails)| Happens::Fails(step, fails)),
        2 => Just(Happens::Recovers),
        1 => any::<bool>().prop_map(Happens::IsSlow),
        1 => (0..FILES.len()).prop_map(Happens::Edit),
        1 => Just(Happens::Restart),
        3 => Just(Happens::Pause),
        4 => Just(Happens::Rest),
    ]
}

/// A history while it happens.
struct History<'a> {
    site: &'a Site,
    services: &'a Services,
    model: Model,
}

impl History<'_> {
    fn set(&mut self, key: Key, value: Option<u8>) {
        match value {
            Some(value) => _ = self.site.store.put(&key.path(), &value.to_string()),
            None => self.site.store.delete(&key.path()),
        }
        let keys = &mut self.model.keys;
        match key {
            Key::A => keys.a = value,
            Key::B => keys.b = value,
            Key::Guard => keys.guard = value.is_some(),
            Key::Single => keys.single = value,
            Key::Pool(nth) => keys.pool[nth] = value,
            Key::Item(nth) => keys.items[nth] = value,
            Key::OfItem(nth) => keys.others[nth] = value.is_some(),
            Key::Shared => keys.shared = value,
        }
    }

    fn breaks(&mut self, is_broken: bool) {
        self.site.store.break_down(is_broken.then_some("no store"));
        self.model.keys.is_broken = is_broken;
    }

    fn refuses(&mut self, is_refused: bool) {
        self.site.store.forbid(is_refused.then_some("/b"));
        self.model.keys.is_refused = is_refused;
    }

    fn edit(&mut self, file: usize) {
        let path = self.site.path("out").join(FILES[file]);
        if path.exists() {
            fs::write(path, "edited").unwrap();
            self.model.edited(file);
        }
    }

    fn note(&mut self) {
        self.model.note(self.services);
    }

    /// Waits until everything is at rest, and compares.
    async fn rest(&mut self) {
        sleep_until(Instant::now() + REST).await;
        self.model.check(self.site, self.services);
        self.note();
    }

    /// Lets everything work again.
    fn recover(&mut self) {
        self.breaks(false);
        self.refuses(false);
        self.services.recover();
        self.note();
    }

    /// Lets everything work again, and compares what confd makes of it: of the keys as they are, and of
    /// keys that all are new.
    async fn end(&mut self) {
        self.recover();
        self.rest().await;
        let single = [Key::A, Key::B, Key::Guard, Key::Single, Key::Shared];
        let pool = (0..POOL).map(Key::Pool);
        let items = (0..ITEMS - 1).map(Key::Item);
        for key in single.into_iter().chain(pool).chain(items) {
            self.set(key, Some(9));
        }
        for key in [Key::Item(ITEMS - 1), Key::OfItem(ITEMS - 1)] {
            self.set(key, None);
        }
        self.note();
        self.rest().await;
    }
}

async fn live(site: &Site, history: &[Happens]) {
    let services = Arc::new(Services::new(site.path("out")));
    let mut live = History { site, services: &services, model: Model::new() };
    let (orders, mut receiver) = mpsc::channel(1);
    let schedule = Schedule {
        interval: Duration::ZERO,
        pace: Pace { retry: Growth::doubling(MOMENT, 15 * MOMENT), ..Pace::default() },
        reconcile: 30 * MOMENT,
        shutdown_timeout: REST,
    };
    let (is_last, stopped) = (Cell::new(false), Notify::new());
    let run = async {
        while !is_last.get() {
            let mut agent = site.agent().with_runner(Arc::clone(&services) as _);
            agent.watch(schedule.clone(), &mut receiver).await;
            stopped.notify_one();
        }
    };
    let lives = async {
        for happens in history {
            match *happens {
                Happens::Set(key, value) => live.set(key, value),
                Happens::Shrinks(rest) => {
                    let gone = (0..POOL).filter(|nth| rest >> nth & 1 == 0);
                    gone.for_each(|nth| live.set(Key::Pool(nth), None));
                }
                Happens::Breaks(is_broken) => live.breaks(is_broken),
                Happens::Refuses(is_refused) => live.refuses(is_refused),
                Happens::Fails(step, fails) => services.fails(step, fails),
                Happens::Recovers => live.recover(),
                Happens::IsSlow(is_slow) => services.set_slow(is_slow),
                Happens::Edit(file) => live.edit(file),
                Happens::Restart => {
                    orders.send(Order::Stop).await.unwrap();
                    stopped.notified().await;
                }
                Happens::Pause => sleep_until(Instant::now() + MOMENT).await,
                Happens::Rest => live.rest().await,
            }
            live.note();
            // Between two events there can be a pass that sees only the first.
            tokio::task::yield_now().await;
        }
        live.end().await;
        is_last.set(true);
        orders.send(Order::Stop).await.unwrap();
    };
    tokio::join!(run, lives);
}

/// Removes everything that an earlier history has left.
fn clear(site: &mut Site) {
    let out = site.path("out");
    fs::remove_dir_all(&out).unwrap();
    fs::create_dir_all(out.join("items")).unwrap();
    site.clear_the_store();
}

/// Runs histories, all of them with the same resources.
struct Lives {
    site: RefCell<Site>,
}

impl Lives {
    fn new() -> Self {
        let site = Site::in_memory();
        resources::write(&site);
        Lives { site: RefCell::new(site) }
    }

    fn live(&self, history: &[Happens]) {
        let mut site = self.site.borrow_mut();
        clear(&mut site);
        // A pass that holds a thread must not keep the thread from all other passes.
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).max_blocking_threads(2).build();
        runtime.unwrap().block_on(live(&site, history));
    }
}

#[test]
fn files_and_services_are_what_the_store_says_in_every_history() {
    let config = ProptestConfig {
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::with_cases(128)
    };
    let lives = Lives::new();
    let run = |history: Vec<Happens>| {
        lives.live(&history);
        Ok(())
    };
    let result = TestRunner::new(contextualize_config(config)).run(&vec(happens(), 1..25), run);
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
