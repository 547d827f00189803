//! SIGKILL at random moments of the whole cycle: keys change, checks and reloads fail at random, and
//! resources with a group, with `for_each` and with a rollback are processed beside each other.
//!
//! After some kills the changes stop, and nothing fails any more except content that its service
//! refuses for ever. One more start must then bring everything in sync: see [`Cycle::differences`].
//!
//! `CONFD_CYCLE_KILLS` sets the number of kills, and `CONFD_CYCLE_SEED` the changes, the faults and the
//! lengths of the pauses. 500 kills by hand: `CONFD_CYCLE_KILLS=500 tests/run --test main cycle`. With
//! `TMPDIR=/dev/shm`, the disk of a busy machine does not exceed the deadlines.

mod service;
mod store;

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use rustix::process::Signal;

use self::{
    service::{BAD, CHECK, GROUP_CHECK, RELOAD, SERVICES, is_whole},
    store::Store,
};
use crate::support::{Daemon, Run, Sandbox, eventually, pause};

/// The number of kills, unless the environment sets it.
const KILLS: u32 = 30;
/// The number of kills between two moments at which everything must be in sync.
const ROUND: u32 = 6;
/// The pause between two changes.
const PAUSE: Duration = Duration::from_millis(10);

/// What a confd that is killed can leave behind.
#[derive(Clone, Copy, Debug)]
enum Trace {
    /// The journal of a transaction of several files.
    Journal,
    /// The marker of a reload that is pending.
    Marker,
    /// The record of a trial.
    Trial,
    StageFile,
}

const TRACES: [Trace; 4] = [Trace::Journal, Trace::Marker, Trace::Trial, Trace::StageFile];

impl Trace {
    /// Whether the file of this name is one.
    fn is_in(self, name: &str) -> bool {
        match self {
            Trace::Journal => name.contains("/.confd-transaction-"),
            Trace::Marker => name.ends_with(".reload-pending"),
            Trace::Trial => name.ends_with(".trial"),
            Trace::StageFile => {
                name.contains("/.") && name.ends_with(|end: char| end.is_ascii_digit())
            }
        }
    }
}

/// The folders, and what became of them.
struct Cycle {
    sandbox: Sandbox,
    foreign: Vec<(String, Identity)>,
    seed: u64,
    kills: u32,
    /// The number of kills that left each of [`TRACES`].
    met: [u32; TRACES.len()],
    differences: Vec<String>,
}

/// What shows that a file was written or replaced: inode, mode, time of the last change, and content.
type Identity = (u64, u32, i64, i64, Vec<u8>);

impl Cycle {
    fn new(seed: u64) -> Cycle {
        let sandbox = Sandbox::new();
        for folder in ["records", "faults"] {
            fs::create_dir(sandbox.path(folder)).unwrap();
        }
        for (name, text) in [("reload", RELOAD), ("check", CHECK), ("group_check", GROUP_CHECK)] {
            let script = sandbox.write(name, text);
            fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let foreign = [
            "out/foreign",
            "out/.plain.0123456789",
            "out/.a.swp",
            "out/items/foreign.conf",
            "out/sites/.t0.conf0123456789",
        ];
        for name in foreign {
            sandbox.write(name, name);
        }
        SERVICES.iter().for_each(|service| service.configure(&sandbox));
        let foreign = foreign.map(|name| (name.to_owned(), identity(&sandbox, name))).to_vec();
        Cycle { sandbox, foreign, seed, kills: 0, met: [0; TRACES.len()], differences: Vec::new() }
    }

    /// confd with the keys of the store.
    fn confd(&self, store: &str, mode: &[&str]) -> Run {
        let run = self.sandbox.confd(mode).arguments(&["-backend", "etcdv3", "-node", store]);
        run.arguments(&["-retry-delay", "10ms", "-retry-max-delay", "100ms"])
    }

    /// What is not as it must be when no key changes any more and nothing fails by chance.
    ///
    /// Every file equals the store, or the content that was applied before the one that its service
    /// refused. Every service was reloaded with the contents that are in place, and nothing is left
    /// of the processes that were killed.
    fn differences(&self, pairs: &BTreeMap<String, String>) -> Vec<String> {
        let mut differences = Vec::new();
        let mut expected: Vec<String> = self.foreign.iter().map(|(name, _)| name.clone()).collect();
        for service in &SERVICES {
            let (wanted, seen) = (service.wanted(pairs), service.seen(&self.sandbox));
            let (reloads, holds) = (service.reloads(&self.sandbox), service.holds(&self.sandbox));
            let mut differs = |what: &str| {
                differences.push(format!("{}: {what}: {seen} for {wanted}", service.name));
            };
            let result = |content: &str, is_accepted: bool| {
                reloads.iter().any(|it| it.seen == content && it.is_accepted == is_accepted)
            };
            if holds.is_empty() {
                if seen != wanted || wanted.contains(BAD) {
                    differs("in place");
                }
            } else {
                if seen == wanted || !service.rolls_back {
                    differs("in place and held back");
                }
                if !result(&wanted, false) {
                    differs("held back, although no reload failed with it");
                }
                if !result(&seen, true) {
                    differs("rolled back to content that was never applied");
                }
            }
            match reloads.last() {
                Some(last) if last.is_accepted && last.seen == seen => {}
                Some(last) => differs(&format!("last reloaded with {}", last.seen)),
                None => differs("never reloaded"),
            }
            expected.extend(service.files(&self.sandbox).into_iter().chain(holds));
            if service.has_items() {
                expected.push(format!("out/{0}/.{0}.confd-files", service.name));
            }
        }
        expected.sort();
        let found = self.files();
        let left: Vec<_> = found.iter().filter(|name| !expected.contains(name)).collect();
        let missing: Vec<_> = expected.iter().filter(|name| !found.contains(name)).collect();
        if !left.is_empty() || !missing.is_empty() {
            differences.push(format!("left behind: {left:?}, missing: {missing:?}"));
        }
        differences
    }

    /// The names of all files in `out` and the folders in it, sorted.
    fn files(&self) -> Vec<String> {
        // The root of a group check can be gone by now: then it has no files.
        let in_folder = |folder: &str| -> Vec<String> {
            let entries = fs::read_dir(self.sandbox.path(folder)).into_iter().flatten();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.map(|name| format!("{folder}/{name}")).collect()
        };
        let (folders, mut files): (Vec<_>, Vec<_>) =
            in_folder("out").into_iter().partition(|name| self.sandbox.path(name).is_dir());
        files.extend(folders.iter().flat_map(|folder| in_folder(folder)));
        files.sort();
        files
    }

    /// Whether there is such a file, apart from those of other programs.
    fn has(&self, trace: Trace) -> bool {
        let is_foreign = |name: &String| self.foreign.iter().any(|(foreign, _)| foreign == name);
        self.files().iter().any(|name| trace.is_in(name) && !is_foreign(name))
    }

    /// Expects that the files of each group have one content.
    #[track_caller]
    fn groups_are_whole(&self, when: &str) {
        for service in SERVICES.iter().filter(|service| service.is_group) {
            let seen = service.seen(&self.sandbox);
            assert!(is_whole(&seen), "{} {when}: {seen}", service.name);
        }
    }

    /// Expects what holds at all times: each reload of a living confd saw one version of a group, and
    /// the files of other programs are untouched.
    #[track_caller]
    fn nothing_is_broken(&self) {
        for service in SERVICES.iter().filter(|service| service.is_group) {
            for reload in service.reloads(&self.sandbox).iter().filter(|reload| reload.parent_lives)
            {
                assert!(
                    is_whole(&reload.seen),
                    "{} was reloaded with {}",
                    service.name,
                    reload.seen
                );
            }
        }
        assert!(!self.sandbox.path("torn").exists(), "a group check saw two versions");
        for (name, before) in &self.foreign {
            assert_eq!(&identity(&self.sandbox, name), before, "{name}");
        }
    }

    /// Starts confd in any mode and kills it at any moment, with its commands or without them.
    fn kill_one(&mut self, store: &str, longest: Duration, rng: &mut Rng) {
        let modes: [&[&str]; 4] = [&["-watch"], &["-watch"], &["-interval", "1"], &["-onetime"]];
        let run = self.confd(store, rng.choice(modes).unwrap());
        let daemon = Daemon::start(run, self.sandbox.path("log"));
        // The moment of the kill is what the test varies: any moment, or one at which a file of this
        // kind is there, because some of them are there for a short time only.
        let (begin, limit) = (Instant::now(), longest.mul_f64(rng.f64()));
        let kind = rng.choice(TRACES).filter(|_| rng.bool());
        while begin.elapsed() < limit && !kind.is_some_and(|kind| self.has(kind)) {
            pause(limit.saturating_sub(begin.elapsed()).min(Duration::from_micros(200)));
        }
        if rng.bool() {
            daemon.kill_with_commands();
        } else {
            daemon.stop(Signal::KILL);
        }
        self.kills += 1;
        let met = TRACES.map(|trace| self.has(trace));
        for (count, met) in self.met.iter_mut().zip(met) {
            *count += u32::from(met);
        }
        // The next run undoes what the killed one has half done, also if it changes nothing itself.
        if rng.u32(..3) == 0 {
            self.confd(store, &["-onetime"]).env("REFUSE", "1").run();
            self.groups_are_whole("after a run whose checks refused all");
        }
    }

    /// The last start: expects that it brings everything in sync, and that a later run has nothing
    /// to do.
    fn settles(&mut self, store: &Store, rng: &mut Rng) {
        for name in self.sandbox.list("faults") {
            fs::remove_file(self.sandbox.path("faults").join(name)).unwrap();
        }
        let url = store.etcd.url();
        let is_in_sync = |cycle: &mut Cycle| {
            eventually("everything is in sync", || {
                cycle.differences = cycle.differences(&store.pairs);
                cycle.differences.is_empty()
            });
        };
        if rng.bool() {
            let daemon = Daemon::start(self.confd(&url, &["-watch"]), self.sandbox.path("log"));
            is_in_sync(self);
            assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
        } else {
            let ended = self.confd(&url, &["-onetime"]).run();
            fs::write(self.sandbox.path("log"), ended.stderr).unwrap();
            is_in_sync(self);
        }
        self.nothing_is_broken();
        let state = |cycle: &Cycle| {
            let records = SERVICES.iter().map(|service| format!("records/{}", service.name));
            let names = cycle.files().into_iter().chain(records);
            names.map(|name| (identity(&cycle.sandbox, &name), name)).collect::<Vec<_>>()
        };
        let before = state(self);
        let ended = self.confd(&url, &["-onetime"]).run();
        let is_held = SERVICES.iter().any(|service| !service.holds(&self.sandbox).is_empty());
        assert_eq!(ended.code, Some(i32::from(is_held)), "{}", ended.stderr);
        assert!(state(self) == before, "a run with nothing to do changed files:\n{}", ended.stderr);
    }
}

impl Drop for Cycle {
    /// Says how the failure can be found again, and if the number of kills was set, what they met.
    fn drop(&mut self) {
        let Cycle { seed, kills, met, .. } = self;
        let mut report = String::new();
        if thread::panicking() || variable("CONFD_CYCLE_KILLS").is_some() {
            report =
                format!("seed {seed}: {kills} kills, which left {TRACES:?} in {met:?} cases\n");
        }
        if thread::panicking() {
            report += &format!("{:#?}\n{}", self.differences, self.sandbox.read("log"));
        }
        // There is no other place to report to.
        let _ = std::io::stderr().write_all(report.as_bytes());
    }
}

/// Makes or ends a fault at random.
fn change_fault(faults: &Path, rng: &mut Rng) {
    let (step, service) = (rng.choice(["check", "reload"]), rng.choice(&SERVICES));
    let fault = faults.join(format!("{}-{}", step.unwrap(), service.unwrap().name));
    if rng.u32(..3) == 0 {
        fs::write(fault, "").unwrap();
    } else {
        // An error means that there is no fault now.
        let _ = fs::remove_file(fault);
    }
}

fn identity(sandbox: &Sandbox, name: &str) -> Identity {
    let path = sandbox.path(name);
    let found = fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let content = fs::read(path).unwrap();
    (found.ino(), found.mode(), found.mtime(), found.mtime_nsec(), content)
}

#[expect(clippy::disallowed_methods, reason = "the environment says how long the test runs")]
fn variable(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

#[test]
fn after_kills_at_random_moments_every_file_and_every_service_has_the_last_content() {
    let kills = variable("CONFD_CYCLE_KILLS").map_or(KILLS, |kills| kills as u32);
    let seed = variable("CONFD_CYCLE_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut rng = Rng::with_seed(seed);
    let (mut cycle, mut store) = (Cycle::new(seed), Store::start());
    let url = store.etcd.url();
    let begin = Instant::now();
    cycle.confd(&url, &["-onetime"]).ok();
    let longest = begin.elapsed().mul_f64(1.2);
    while cycle.kills < kills || cycle.met.contains(&0) {
        assert!(cycle.kills < 20 * kills, "one of {TRACES:?} was never left: {:?}", cycle.met);
        let (mut changes, faults) = (rng.fork(), cycle.sandbox.path("faults"));
        thread::scope(|scope| {
            let (running, stopped) = mpsc::channel::<()>();
            let store = &mut store;
            scope.spawn(move || {
                while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                    match changes.u32(..4) {
                        0 => change_fault(&faults, &mut changes),
                        _ => store.change(&mut changes),
                    }
                }
            });
            for _ in 0..ROUND {
                cycle.kill_one(&url, longest, &mut rng);
            }
            drop(running);
        });
        cycle.settles(&store, &mut rng);
    }
}
