//! Histories of the files of one resource, at random: contents come, change and go, reloads are accepted
//! or refused, and processes end in the middle of a reload. The service is a fake, and a model says what
//! it must see.
//!
//! 100,000 histories by hand: `PROPTEST_CASES=100000 cargo test -p deploy --lib histories`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::future::pending;
use std::sync::{Mutex, MutexGuard};

use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use tokio::sync::Notify;

use super::*;
use crate::trial::Trial;
use crate::{Manifest, OnReloadFailure, ReloadCommand, Reloader, sweep};

/// The version of each file that exists, by its name.
type Files = BTreeMap<u8, u8>;

/// The names that files can have are the numbers below this one.
const NAMES: u8 = 3;
/// A version that no history contains.
const FRESH: u8 = 99;

/// What happens when the service is reloaded.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reaction {
    Accepts,
    Refuses,
    /// The process that asks for the reload is killed, after the service has read the files.
    Dies,
}

/// One pass: the files that the keys ask for, and what the first reload and the one after a rollback
/// lead to.
#[derive(Clone, Debug)]
struct Pass {
    wanted: Files,
    reactions: [Reaction; 2],
}

fn reaction() -> impl Strategy<Value = Reaction> {
    prop_oneof![3 => Just(Reaction::Accepts), 3 => Just(Reaction::Refuses), 1 => Just(Reaction::Dies)]
}

fn pass() -> impl Strategy<Value = Pass> {
    let wanted = btree_map(..NAMES, 0_u8..3, 0..=usize::from(NAMES));
    (wanted, [reaction(), reaction()]).prop_map(|(wanted, reactions)| Pass { wanted, reactions })
}

/// A service that reads all files when it is reloaded.
struct Service {
    folder: PathBuf,
    reactions: Mutex<VecDeque<Reaction>>,
    /// What it has read, and whether it has accepted that, oldest first.
    reads: Mutex<Vec<(Files, bool)>>,
    has_died: Notify,
}

impl Service {
    fn reads(&self) -> MutexGuard<'_, Vec<(Files, bool)>> {
        self.reads.lock().expect("the reads")
    }
}

impl Reloader for Service {
    async fn reload(&self, _: &ReloadCommand<'_>) -> Result<(), Arc<command::Error>> {
        let reaction = self.reactions.lock().expect("the reactions").pop_front();
        let reaction = reaction.expect("at most two reloads in a pass");
        self.reads().push((files_in(&self.folder), reaction == Reaction::Accepts));
        match reaction {
            Reaction::Accepts => Ok(()),
            Reaction::Refuses => Err(Arc::new(command::Error::Exit(1))),
            Reaction::Dies => {
                self.has_died.notify_one();
                pending().await
            }
        }
    }
}

/// The files that are in place.
fn files_in(folder: &Path) -> Files {
    let version = |name: u8| {
        let text = fs::read_to_string(folder.join(name.to_string())).ok()?;
        Some((name, text.parse().expect("a version")))
    };
    (0..NAMES).filter_map(version).collect()
}

/// One history.
struct History {
    folder: TempDir,
    rolls_back: bool,
    service: Service,
    /// The manifest as the process knows it. `None` if no process runs.
    manifest: Option<Arc<Manifest>>,
    /// The files that the service has accepted last, apart from those of the former ones that were put
    /// back.
    good: Files,
    refused: BTreeSet<Files>,
}

impl History {
    fn new(rolls_back: bool) -> History {
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let folder = folder.expect("a folder");
        let service = Service {
            folder: folder.path().to_owned(),
            reactions: Mutex::default(),
            reads: Mutex::default(),
            has_died: Notify::new(),
        };
        let (good, refused) = (Files::new(), BTreeSet::new());
        History { folder, rolls_back, service, manifest: None, good, refused }
    }

    fn files(&self) -> Files {
        files_in(self.folder.path())
    }

    fn target(&self, name: &str) -> Target {
        let mut target = target_in(self.folder.path(), name);
        target.below = Some(self.folder.path().to_owned());
        target.reload_cmd = Some("of the fake".to_owned().into());
        if self.rolls_back {
            target.on_reload_failure = OnReloadFailure::RollBack;
            target.may_be_held = true;
        }
        target
    }

    /// The manifest of the process. If none runs, one is started, which sweeps the folder.
    fn manifest(&mut self) -> Arc<Manifest> {
        let folder = self.folder.path();
        let start = || {
            let manifest = Manifest::open(folder, OsStr::new("m"), &Steps::default());
            let manifest = manifest.expect("a manifest");
            let names = (0..NAMES).map(|name| folder.join(name.to_string()));
            let dests: Vec<_> = names.chain([manifest.path().to_owned()]).collect();
            let dests = dests.iter().map(PathBuf::as_path);
            sweep(dests, &Options::default(), &Steps::default());
            Arc::new(manifest)
        };
        Arc::clone(self.manifest.get_or_insert_with(start))
    }

    /// Makes a pass as the agent does: a file of ours that is not wanted must not exist. `None` if the
    /// process died.
    fn pass(&mut self, pass: &Pass) -> Option<Result<Vec<Outcome>, Error>> {
        let manifest = self.manifest();
        let ours = manifest.ours().into_iter().map(|name| name.to_str().expect("text").to_owned());
        let gone = ours.filter(|name| !pass.wanted.contains_key(&name.parse().expect("a name")));
        let gone = gone.map(|name| Member::absent(self.target(&name)));
        let wanted = pass.wanted.iter();
        let wanted =
            wanted.map(|(name, it)| Member::file(self.target(&name.to_string()), it.to_string()));
        let members: Vec<_> = wanted.chain(gone).collect();
        let recorded = (0..members.len()).collect();
        let staged = Transaction::stage(members, &Options::default()).expect("staged");
        let staged = staged.recorded_in(Arc::clone(&manifest), recorded);
        *self.service.reactions.lock().expect("the reactions") = pass.reactions.into();
        let mut durable = Durable::new();
        let observer = Steps::default().observer();
        let finish = staged.finish(&observer, &mut durable, Disk::Here, &self.service);
        let finished = run(async {
            tokio::select! {
                finished = finish => Some(finished),
                () = self.service.has_died.notified() => None,
            }
        });
        if finished.is_none() {
            // What the process has not written is lost.
            std::mem::forget(manifest);
            std::mem::forget(self.manifest.take());
        }
        finished
    }

    /// Makes a pass, and compares what it leaves with the model.
    fn check(&mut self, pass: &Pass) {
        let (before, reads) = (self.files(), self.service.reads().len());
        let result = self.pass(pass);
        let after = self.files();
        let context =
            format!("{pass:?} on {before:?} after {:?} left {after:?}: {result:?}", self.good);
        for (read, is_accepted) in &self.service.reads()[reads..] {
            assert!(
                [&pass.wanted, &self.good, &before].contains(&read),
                "read {read:?}: {context}"
            );
            if !is_accepted {
                self.refused.insert(read.clone());
            }
        }
        let allowed = match &result {
            Some(Ok(_)) => {
                let last = self.service.reads().last().cloned();
                let last = last.unwrap_or((Files::new(), true));
                assert_eq!(last, (pass.wanted.clone(), true), "{context}");
                self.good = pass.wanted.clone();
                vec![&pass.wanted]
            }
            Some(Err(Error::RolledBack { .. })) => vec![&self.good],
            Some(Err(Error::Held { .. })) => {
                assert!(self.refused.contains(&pass.wanted), "never refused: {context}");
                vec![&before, &self.good]
            }
            Some(Err(Error::Reload { .. })) => vec![&pass.wanted],
            Some(Err(Error::PendingReload { .. })) => vec![&pass.wanted, &before],
            None => vec![&pass.wanted, &self.good, &before],
            Some(Err(_)) => panic!("{context}"),
        };
        assert!(allowed.contains(&&after), "{context}");
    }

    /// The names in the folder.
    fn names(&self) -> Vec<String> {
        names_in(self.folder.path())
    }

    /// Expects that one more process brings everything to its end, whatever happened before.
    fn settles(&mut self, last: Files) {
        let accepted = |wanted| Pass { wanted, reactions: [Reaction::Accepts; 2] };
        // The first of them may complete what was interrupted.
        let pass = accepted(last);
        self.check(&pass);
        self.check(&pass);
        let (files, reads) = (self.files(), self.service.reads().clone());
        let is_told = reads.last().is_none_or(|last| *last == (files.clone(), true));
        assert!(is_told, "{files:?} are in place, and the service has read {reads:?}");
        for wanted in [Files::from([(0, FRESH), (1, FRESH)]), Files::new()] {
            self.check(&accepted(wanted.clone()));
            assert_eq!(self.files(), wanted);
            let mut names: Vec<_> = wanted.keys().map(u8::to_string).collect();
            let ours = self.manifest().ours();
            assert_eq!(ours, names.iter().map(PathBuf::from).collect::<Vec<_>>());
            names.extend(self.names().contains(&MANIFEST.to_owned()).then(|| MANIFEST.to_owned()));
            names.sort();
            assert_eq!(self.names(), names);
        }
    }
}

const MANIFEST: &str = ".m.confd-files";

#[test]
fn a_trial_whose_commit_did_not_happen_does_not_prevent_the_rollback_of_other_files() {
    let mut history = History::new(true);
    let mut pass = |one, two, first| {
        let wanted = Files::from([(0, one), (1, two)]);
        history.check(&Pass { wanted, reactions: [first, Reaction::Accepts] });
        history.files()
    };
    pass(0, 0, Reaction::Accepts);
    assert_eq!(pass(1, 0, Reaction::Dies), Files::from([(0, 1), (1, 0)]));
    // The next process is killed just before it puts the second file in place.
    let member = Member::file(history.target("1"), "1");
    let staged = Transaction::stage(vec![member], &Options::default()).expect("staged");
    let member = only(staged.members());
    let becomes = member.becomes.as_ref().expect("a change");
    let trial = Trial::begin(&member.target, &member.content, &member.place, becomes);
    std::mem::forget(trial.expect("a trial"));
    drop(staged);
    let wanted = Files::from([(0, 1), (1, 0)]);
    history
        .check(&Pass { wanted: wanted.clone(), reactions: [Reaction::Refuses, Reaction::Accepts] });
    assert_eq!(history.files(), Files::from([(0, 0), (1, 0)]));
    history.settles(wanted);
}

#[test]
fn a_file_that_was_put_back_is_still_ours_in_the_next_process() {
    use Reaction::{Accepts, Dies, Refuses};
    let (kept, newer, none) = (Files::from([(0, 2)]), Files::from([(0, 0)]), Files::new());
    // The former file waits behind a new file, or behind its own removal, while processes die.
    for wanted in [[&newer, &none], [&none, &newer]] {
        let mut history = History::new(true);
        let mut pass = |wanted: &Files, reactions| {
            history.check(&Pass { wanted: wanted.clone(), reactions });
            history.files()
        };
        pass(&kept, [Accepts, Accepts]);
        pass(wanted[0], [Dies, Accepts]);
        assert_eq!(pass(wanted[1], [Refuses, Dies]), kept, "after {wanted:?}");
        assert_eq!(history.manifest().ours(), [PathBuf::from("0")], "after {wanted:?}");
        history.settles(none.clone());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn in_each_history_files_stay_together_and_no_reload_is_forgotten(
        rolls_back in any::<bool>(),
        passes in vec(pass(), 1..12),
    ) {
        let mut history = History::new(rolls_back);
        passes.iter().for_each(|pass| history.check(pass));
        history.settles(passes[passes.len() - 1].wanted.clone());
    }
}
