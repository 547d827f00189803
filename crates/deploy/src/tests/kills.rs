//! Processes that are killed at random steps of random passes: whatever a killed process leaves, one
//! more process brings the files and the service to what the keys ask for.
//!
//! Each process is this test program, which makes some passes and dies at one of its failpoints. A kill
//! by the clock hardly ever meets a short step; here each step is met as often as the others.
//!
//! 5,000 histories by hand: `PROPTEST_CASES=40000 cargo test -p deploy --lib kills`.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use report::Fingerprint;

use super::*;
use crate::testing::{DIE_AT, variable};
use crate::{
    CheckCommand, Manifest, OnReloadFailure, ReloadCommand, Reloader, may_be_pending, sweep,
};

/// The version of each file that exists, by its name.
type Files = BTreeMap<u8, u8>;

/// The names that files can have are the numbers below this one.
const NAMES: u8 = 3;
/// The versions are the numbers below this one.
const VERSIONS: u8 = 6;
/// The most steps after which a process dies.
const STEPS: usize = 100;

/// The variable with the folder of another process.
const FOLDER: &str = "DEPLOY_TEST_KILLS";
/// The variable with the kind of its files.
const KIND: &str = "DEPLOY_TEST_KIND";

/// What belongs together.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// Whether the files come and go with their keys, and do not need each other. Otherwise they are
    /// always there and have one version.
    is_items: bool,
    rolls_back: bool,
}

/// One pass.
#[derive(Clone, Debug)]
struct Pass {
    wanted: Files,
    /// Whether every reload fails.
    is_down: bool,
    /// The file whose check fails.
    refused: Option<u8>,
    /// Whether no new content can be made.
    is_without_content: bool,
}

/// A process: its passes, and the step at which it dies.
#[derive(Clone, Debug)]
struct Life {
    passes: Vec<Pass>,
    dies_at: Option<usize>,
}

impl Pass {
    fn of(wanted: Files) -> Pass {
        Pass { wanted, is_down: false, refused: None, is_without_content: false }
    }

    /// The pass as a line that [`parse`](Pass::parse) reads.
    fn line(&self) -> String {
        let Pass { wanted, is_down, refused, is_without_content } = self;
        let refused = refused.map(|name| name.to_string()).unwrap_or_default();
        format!("{is_down},{is_without_content},{refused},{}\n", text_of(wanted))
    }

    fn parse(line: &str) -> Pass {
        let words: Vec<&str> = line.splitn(4, ',').collect();
        let [is_down, is_without_content, refused, wanted] = words[..] else {
            panic!("{line}");
        };
        Pass {
            wanted: files_of(wanted),
            is_down: is_down == "true",
            refused: refused.parse().ok(),
            is_without_content: is_without_content == "true",
        }
    }
}

/// The files as words: `0=5 2=1`.
fn text_of(files: &Files) -> String {
    let words: Vec<_> = files.iter().map(|(name, version)| format!("{name}={version}")).collect();
    words.join(" ")
}

fn files_of(text: &str) -> Files {
    let file = |word: &str| {
        let (name, version) = word.split_once('=').expect("a file");
        (name.parse().expect("a name"), version.parse().expect("a version"))
    };
    text.split_whitespace().map(file).collect()
}

/// Whether the service refuses these files for ever.
fn has_bad(files: &Files) -> bool {
    files.values().any(|version| version % 3 == 0)
}

fn kind() -> impl Strategy<Value = Kind> {
    let kind = (any::<bool>(), any::<bool>());
    kind.prop_map(|(is_items, rolls_back)| Kind { is_items, rolls_back })
}

fn pass(kind: Kind) -> impl Strategy<Value = Pass> {
    let wanted = match kind.is_items {
        true => btree_map(..NAMES, ..VERSIONS, 0..=usize::from(NAMES)).boxed(),
        false => (..VERSIONS).prop_map(group_of).boxed(),
    };
    let is_rare = || prop_oneof![4 => Just(false), 1 => Just(true)];
    let refused = option::weighted(0.2, ..NAMES);
    (wanted, is_rare(), refused, is_rare()).prop_map(|(wanted, is_down, refused, fails)| Pass {
        wanted,
        is_down,
        refused,
        is_without_content: fails,
    })
}

fn group_of(version: u8) -> Files {
    (0..NAMES).map(|name| (name, version)).collect()
}

fn history() -> impl Strategy<Value = (Kind, Vec<Life>)> {
    kind().prop_flat_map(|kind| {
        let life = (vec(pass(kind), 1..4), option::weighted(0.9, ..STEPS));
        let life = life.prop_map(|(passes, dies_at)| Life { passes, dies_at });
        (Just(kind), vec(life, 1..5))
    })
}

/// The folder of a history: the files are in `out`.
struct Site {
    base: PathBuf,
    kind: Kind,
}

/// A service that reads all files when it is reloaded, and records what it has read.
struct Service<'s> {
    site: &'s Site,
    is_down: bool,
}

impl Reloader for Service<'_> {
    async fn reload(&self, _: &ReloadCommand<'_>) -> Result<(), Arc<command::Error>> {
        let files = self.site.files();
        let is_bad = self.site.kind.rolls_back && has_bad(&files);
        let is_accepted = !self.is_down && !is_bad;
        let records = fs::OpenOptions::new().append(true).create(true).open(self.site.records());
        let line = format!("{is_accepted},{}\n", text_of(&files));
        records.expect("the records").write_all(line.as_bytes()).expect("written");
        if is_accepted { Ok(()) } else { Err(Arc::new(command::Error::Exit(1))) }
    }
}

impl Site {
    fn out(&self) -> PathBuf {
        self.base.join("out")
    }

    fn records(&self) -> PathBuf {
        self.base.join("records")
    }

    /// What the service has read, and whether it has accepted that, oldest first.
    fn reads(&self) -> Vec<(bool, Files)> {
        let records = fs::read_to_string(self.records()).unwrap_or_default();
        let read = |line: &str| {
            let (is_accepted, files) = line.split_once(',').expect("a record");
            (is_accepted == "true", files_of(files))
        };
        records.lines().map(read).collect()
    }

    /// The files that are in place.
    fn files(&self) -> Files {
        let version = |name: u8| {
            let text = fs::read_to_string(self.out().join(name.to_string())).ok()?;
            Some((name, text.parse().expect("a version")))
        };
        (0..NAMES).filter_map(version).collect()
    }

    fn target(&self, name: &str, refused: Option<u8>) -> Target {
        let mut target = target_in(&self.out(), name);
        target.below = self.kind.is_items.then(|| self.out());
        target.reload_cmd = Some("of the fake".to_owned().into());
        if self.kind.rolls_back {
            target.on_reload_failure = OnReloadFailure::RollBack;
            target.may_be_held = true;
        }
        let is_refused = refused.is_some_and(|refused| name == refused.to_string());
        target.check_cmd = is_refused.then(|| CheckCommand::new("exit 1"));
        target
    }

    /// Starts as a process does: reads the manifest and sweeps the folder.
    fn start(&self) -> Arc<Manifest> {
        let manifest = Manifest::open(&self.out(), OsStr::new("m"), &Steps::default());
        let manifest = manifest.expect("a manifest");
        let names = (0..NAMES).map(|name| self.out().join(name.to_string()));
        let dests: Vec<_> = names.chain([manifest.path().to_owned()]).collect();
        let dests = dests.iter().map(PathBuf::as_path);
        sweep(dests, &Options::default(), &Steps::default());
        Arc::new(manifest)
    }

    /// Makes a pass as the agent does. A failure is what the next passes have to live with.
    fn pass(&self, manifest: &Arc<Manifest>, pass: &Pass) {
        let service = Service { site: self, is_down: pass.is_down };
        let finish = |transaction: Transaction| {
            let (observer, mut durable) = (Steps::default().observer(), Durable::new());
            run(transaction.finish(&observer, &mut durable, Disk::Here, &service))
        };
        let is_before_the_commit = pass.is_without_content
            || finish(self.stage(manifest, pass)).is_err_and(|error| error.is_before_the_commit());
        if is_before_the_commit
            && let Some(kept) =
                Transaction::keep_pending(self.pending(manifest), &Options::default())
        {
            // It is tried again.
            let _ = finish(kept);
        }
    }

    fn stage(&self, manifest: &Arc<Manifest>, pass: &Pass) -> Transaction {
        let wanted = pass.wanted.iter();
        let wanted = wanted.map(|(name, version)| {
            Member::file(self.target(&name.to_string(), pass.refused), version.to_string())
        });
        let mut members: Vec<_> = wanted.collect();
        if !self.kind.is_items {
            return Transaction::stage(members, &Options::default()).expect("staged");
        }
        let ours = manifest.ours().into_iter().map(|name| name.to_str().expect("text").to_owned());
        let gone = ours.filter(|name| !pass.wanted.contains_key(&name.parse().expect("a name")));
        members.extend(gone.map(|name| Member::absent(self.target(&name, None))));
        let recorded: HashSet<_> = (0..members.len()).collect();
        let (staged, failed) = Transaction::stage_each(members, &Options::default());
        assert!(failed.is_empty(), "{failed:?}");
        staged.recorded_in(Arc::clone(manifest), recorded)
    }

    /// The files whose reloads may be pending.
    fn pending(&self, manifest: &Arc<Manifest>) -> Vec<Arc<Target>> {
        let ours: Vec<_> = match self.kind.is_items {
            true => manifest.ours(),
            false => (0..NAMES).map(|name| PathBuf::from(name.to_string())).collect(),
        };
        let targets = ours.iter().map(|name| self.target(name.to_str().expect("text"), None));
        let targets = targets.filter(|it| !self.kind.is_items || may_be_pending(&it.dest));
        targets.map(Arc::new).collect()
    }

    /// Makes the passes of a life. One that ends by a kill has a process of its own. Returns whether it
    /// was killed.
    fn live(&self, life: &Life) -> bool {
        let Some(dies_at) = life.dies_at else {
            let manifest = self.start();
            life.passes.iter().for_each(|pass| self.pass(&manifest, pass));
            return false;
        };
        let lines: String = life.passes.iter().map(Pass::line).collect();
        fs::write(self.base.join("passes"), lines).expect("written");
        let Kind { is_items, rolls_back } = self.kind;
        let mut command = Command::new(std::env::current_exe().expect("the test program"));
        command
            .args(["tests::kills::make_passes_and_die", "--exact", "--nocapture"])
            .env(FOLDER, &self.base)
            .env(KIND, format!("{is_items},{rolls_back}"))
            .env(DIE_AT, dies_at.to_string())
            .stdin(Stdio::null());
        let ended = command.output().expect("started");
        let (is_killed, said) =
            (ended.status.code().is_none(), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success() || is_killed, "{life:?}: {}: {said}", ended.status);
        is_killed
    }

    /// What is not as it must be after a process whose reloads do not fail by chance.
    fn differences(&self, wanted: &Files) -> Vec<String> {
        let mut differences = Vec::new();
        let (files, reads) = (self.files(), self.reads());
        let was_read = |files: &Files, is_accepted: bool| {
            reads.iter().any(|read| *read == (is_accepted, files.clone()))
        };
        let names = names_in(&self.out());
        let (holds, others): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|name| name.ends_with(".held"));
        let mut differs = |what: &str| differences.push(what.to_owned());
        if holds.is_empty() {
            if files != *wanted || (self.kind.rolls_back && has_bad(wanted)) {
                differs("in place");
            }
        } else {
            if files == *wanted || !self.kind.rolls_back {
                differs("in place and held back");
            }
            if !was_read(wanted, false) {
                differs("held back, although no reload failed with it");
            }
            if !was_read(&files, true) && !files.is_empty() {
                differs("rolled back to what was never accepted");
            }
        }
        if reads.last().is_some_and(|read| *read != (true, files.clone())) {
            differs("last read other files");
        }
        let mut expected: Vec<_> = files.keys().map(u8::to_string).collect();
        expected.insert(0, ".m.confd-files".to_owned());
        if others.iter().any(|name| !expected.contains(name)) {
            differs(&format!("left behind: {others:?}"));
        }
        let is_whole = |(_, files): &(bool, Files)| {
            files.values().all(|version| Some(version) == files.values().next())
        };
        if !self.kind.is_items && !reads.iter().all(is_whole) {
            differs("a reload read two versions of a group");
        }
        differences
    }

    fn state(&self) -> Vec<(String, Option<Fingerprint>, usize)> {
        let names = names_in(&self.out()).into_iter();
        let reads = self.reads().len();
        names.map(|name| (name.clone(), Fingerprint::at(&self.out().join(name)), reads)).collect()
    }
}

/// The other process's part of the tests below.
#[test]
fn make_passes_and_die() {
    let (Some(base), Some(kind)) = (variable(FOLDER).map(PathBuf::from), variable(KIND)) else {
        return;
    };
    let kind = kind.into_string().expect("text");
    let (is_items, rolls_back) = kind.split_once(',').expect("a kind");
    let kind = Kind { is_items: is_items == "true", rolls_back: rolls_back == "true" };
    let passes = fs::read_to_string(base.join("passes")).expect("passes");
    let site = Site { base, kind };
    let manifest = site.start();
    passes.lines().for_each(|line| site.pass(&manifest, &Pass::parse(line)));
}

/// Lives through a history, and expects that one more process, whose reloads do not fail by chance,
/// brings everything to its end. Returns whether each of the processes was killed.
fn check(kind: Kind, lives: &[Life], wanted: &Files) -> Vec<bool> {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let folder = folder.expect("a folder");
    let site = Site { base: folder.path().to_owned(), kind };
    fs::create_dir(site.out()).expect("a folder");
    site.live(&life([group_of(1)]));
    let killed = lives.iter().map(|life| site.live(life)).collect();
    let last = life([wanted.clone()]);
    let found = format!("{:?} with {:?}", site.files(), names_in(&site.out()));
    site.live(&last);
    let context = || format!("{lives:?} left {found}, and the service read {:?}", site.reads());
    let (files, differences) = (site.files(), site.differences(wanted));
    assert!(differences.is_empty(), "{differences:?}: {files:?} for {wanted:?}: {}", context());
    let state = site.state();
    site.live(&last);
    assert_eq!(site.state(), state, "there was something to do: {}", context());
    killed
}

/// A process that makes these passes and is not killed.
fn life<const N: usize>(passes: [Files; N]) -> Life {
    Life { passes: passes.map(Pass::of).into(), dies_at: None }
}

/// Lives through histories of three passes, in each of which the second process is killed at another of
/// its steps.
fn check_at_each_step(kind: Kind, [first, killed, last]: [Files; 3]) {
    for step in 0.. {
        let killed = Life { dies_at: Some(step), ..life([killed.clone()]) };
        let ended = check(kind, &[life([first.clone()]), killed], &last);
        if !ended[1] {
            assert!(step > 10, "only {step} steps");
            return;
        }
    }
}

const ITEMS: Kind = Kind { is_items: true, rolls_back: true };
const GROUP: Kind = Kind { is_items: false, rolls_back: true };

#[test]
fn a_new_file_that_its_service_refuses_is_removed_again_after_a_kill_at_any_step() {
    let (before, new) = (Files::from([(0, 1)]), Files::from([(0, 1), (1, 3)]));
    check_at_each_step(ITEMS, [before, new.clone(), new]);
}

#[test]
fn a_name_that_a_killed_process_has_left_does_not_count_for_what_is_held_back() {
    let (before, new) = (Files::from([(0, 1)]), Files::from([(0, 2), (1, 2)]));
    check_at_each_step(ITEMS, [before, new, Files::from([(0, 3)])]);
}

#[test]
fn the_trials_of_a_set_end_together_also_if_a_process_is_killed_between() {
    check_at_each_step(GROUP, [1, 2, 3].map(group_of));
}

#[test]
fn a_trial_that_had_not_begun_leaves_no_former_file_when_the_old_content_is_wanted_again() {
    check_at_each_step(GROUP, [1, 2, 1].map(group_of));
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: ProptestConfig::default().cases / 8,
        ..ProptestConfig::default()
    })]
    #[test]
    fn whatever_killed_processes_leave_one_more_process_ends_what_they_have_begun(
        (kind, lives) in history(),
    ) {
        let passes = lives.iter().flat_map(|life| &life.passes);
        check(kind, &lives, &passes.last().expect("a pass").wanted);
    }
}
