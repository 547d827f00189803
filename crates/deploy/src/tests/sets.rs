//! Sets of several files: all of them are replaced, or none.

mod manifest;
mod removal;

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use report::Fingerprint;

use super::*;
use crate::testing::{DIE_AT, World, end_with_the_input, in_world, variable, wait_until};
use crate::{CheckCommand, sweep};

/// A folder with three destinations, one of them in a folder of its own.
struct Set {
    folder: TempDir,
    targets: Vec<Target>,
    options: Options,
    steps: Steps,
}

const NAMES: [&str; 3] = ["a", "sub/b", "c"];

impl Set {
    fn new() -> Set {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("sub")).expect("folder");
        Set::at(folder)
    }

    fn at(folder: TempDir) -> Set {
        let targets = Set::targets(folder.path());
        Set { folder, targets, options: Options::default(), steps: Steps::default() }
    }

    fn targets(folder: &Path) -> Vec<Target> {
        NAMES.iter().map(|name| target_in(folder, name)).collect()
    }

    /// A set whose destinations hold `content`, with mode 0640.
    fn with(content: &str) -> Set {
        let set = Set::new();
        for target in &set.targets {
            fs::write(&target.dest, content).expect("write");
            set_mode(&target.dest, 0o640);
        }
        set
    }

    fn stage(&self, content: &str) -> Result<Transaction, Error> {
        let members =
            self.targets.iter().map(|target| Member::file(target.clone(), content.to_owned()));
        Transaction::stage(members.collect(), &self.options)
    }

    /// One whole transaction that gives each file this content.
    fn deploy(&self, content: &str) -> Result<Vec<Outcome>, Error> {
        self.finish(self.stage(content)?)
    }

    fn finish(&self, staged: Transaction) -> Result<Vec<Outcome>, Error> {
        let mut durable = Durable::new();
        let outcomes =
            run(staged.finish(&self.steps.observer(), &mut durable, Disk::Elsewhere, &AtOnce));
        assert!(durable.sync(&|_: &Step<'_>| {}).is_empty());
        outcomes
    }

    fn sweep(&self) -> usize {
        let dests = self.targets.iter().map(|target| target.dest.as_path());
        sweep(dests, &self.options, &self.steps)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The contents of all members; `-` for one that does not exist.
    fn contents(&self) -> Vec<String> {
        let read = |target: &Target| fs::read_to_string(&target.dest).unwrap_or("-".into());
        self.targets.iter().map(read).collect()
    }

    /// The names in both folders, without the markers of pending reloads.
    fn names(&self) -> Vec<String> {
        let mut names = names_in(self.folder.path());
        names.extend(names_in(&self.path("sub")));
        names.retain(|name| !name.ends_with(".reload-pending"));
        names
    }

    fn has_marker(&self) -> bool {
        let names = [names_in(self.folder.path()), names_in(&self.path("sub"))].concat();
        names.iter().any(|name| name.ends_with(".reload-pending"))
    }

    fn notes(&self) -> String {
        fs::read_to_string(self.path("ran")).unwrap_or_default()
    }

    fn note(&self, line: &str) -> String {
        format!("echo {line} >> {}", self.path("ran").display())
    }

    /// The steps so far, with the folder shown as `DIR`.
    fn plain_steps(&self) -> Vec<String> {
        let folder = self.folder.path().to_str().expect("text");
        self.steps.all().iter().map(|line| line.replace(folder, "DIR")).collect()
    }
}

/// The contents of a set whose members are all alike.
fn all(content: &str) -> Vec<String> {
    vec![content.to_owned(); NAMES.len()]
}

#[test]
fn a_set_goes_step_by_step_and_each_distinct_reload_runs_once() {
    let mut set = Set::with("old");
    for (target, reload) in set.targets.iter_mut().zip(["echo one", "echo two", "echo one"]) {
        target.check_cmd = Some(CheckCommand::new("true"));
        target.reload_cmd = Some(reload.to_owned().into());
    }
    assert_eq!(set.deploy("new").expect("deployed"), [Outcome::Updated; 3]);
    let mut steps = set.plain_steps();
    steps.retain(|line| !line.contains("md5sum") && *line != "DEBUG \"\"");
    assert_eq!(
        steps,
        [
            "DEBUG Comparing candidate config to DIR/a",
            "INFO Target config DIR/a out of sync",
            "DEBUG Comparing candidate config to DIR/sub/b",
            "INFO Target config DIR/sub/b out of sync",
            "DEBUG Comparing candidate config to DIR/c",
            "INFO Target config DIR/c out of sync",
            "DEBUG Running true",
            "DEBUG Running true",
            "DEBUG Running true",
            "DEBUG Overwriting target config DIR/a",
            "DEBUG Overwriting target config DIR/sub/b",
            "DEBUG Overwriting target config DIR/c",
            "DEBUG Running echo one",
            "DEBUG \"one\\n\"",
            "INFO Target config DIR/a has been updated",
            "INFO Target config DIR/c has been updated",
            "DEBUG Running echo two",
            "DEBUG \"two\\n\"",
            "INFO Target config DIR/sub/b has been updated",
        ]
    );
    assert_eq!(set.contents(), all("new"));
    assert_eq!(set.names(), ["a", "c", "sub", "b"]);
    assert_eq!(set.deploy("new").expect("in sync"), [Outcome::Unchanged; 3]);
}

#[test]
fn members_in_sync_are_left_alone() {
    let set = Set::with("old");
    fs::write(&set.targets[1].dest, "new").expect("write");
    let before = Fingerprint::at(&set.targets[1].dest);
    let outcomes = set.deploy("new").expect("deployed");
    assert_eq!(outcomes, [Outcome::Updated, Outcome::Unchanged, Outcome::Updated]);
    assert_eq!(Fingerprint::at(&set.targets[1].dest), before);
}

#[test]
fn a_failed_check_of_one_member_changes_no_member() {
    let mut set = Set::with("old");
    set.targets[2].check_cmd = Some(CheckCommand::new("exit 3"));
    let before: Vec<_> = set.targets.iter().map(|target| Fingerprint::at(&target.dest)).collect();
    let error = set.deploy("new").expect_err("refused");
    assert_eq!(error.to_string(), "Config check failed: exit status 3");
    let after: Vec<_> = set.targets.iter().map(|target| Fingerprint::at(&target.dest)).collect();
    assert_eq!(before, after);
    assert_eq!(set.names(), ["a", "c", "sub", "b"]);
}

#[test]
fn a_member_that_cannot_be_staged_leaves_no_stage_file() {
    let mut set = Set::with("old");
    set.targets[2].dest = set.path("missing/c");
    set.deploy("new").expect_err("no folder");
    assert_eq!(set.names(), ["a", "c", "sub", "b"]);
}

#[test]
fn a_member_that_cannot_be_replaced_has_the_others_put_back() {
    let mut set = Set::new();
    for target in &mut set.targets {
        target.reload_cmd = Some(set.folder.path().join("nothing").display().to_string().into());
    }
    // The first is a file, the second is missing, the third cannot be replaced.
    fs::write(&set.targets[0].dest, "old").expect("write");
    set_mode(&set.targets[0].dest, 0o604);
    fs::create_dir(&set.targets[2].dest).expect("folder");
    let before = fs::metadata(&set.targets[0].dest).expect("metadata");
    let error = set.deploy("new").expect_err("a folder").to_string();
    assert!(error.starts_with("rename ") && error.ends_with("/c: file exists"), "{error}");
    assert!(!error.contains("put back"), "{error}");
    let after = fs::metadata(&set.targets[0].dest).expect("metadata");
    assert_eq!((after.ino(), after.mode(), after.nlink()), (before.ino(), before.mode(), 1));
    assert_eq!(set.contents(), ["old", "-", "-"]);
    assert_eq!(set.names(), ["a", "c", "sub"]);
    assert!(!set.has_marker());
    let steps = set.plain_steps();
    let put_back = steps.iter().filter(|line| line.starts_with("WARNING Put back"));
    assert_eq!(
        put_back.collect::<Vec<_>>(),
        ["DIR/sub/b", "DIR/a"]
            .map(|dest| format!(
                "WARNING Put back {dest}, because not all files that belong to it were replaced"
            ))
            .iter()
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_link_that_was_replaced_is_put_back_as_a_link() {
    let set = Set::new();
    fs::write(set.path("real"), "old").expect("write");
    symlink("real", &set.targets[0].dest).expect("link");
    fs::create_dir(&set.targets[2].dest).expect("folder");
    set.deploy("new").expect_err("a folder");
    assert_eq!(fs::read_link(&set.targets[0].dest).expect("a link"), Path::new("real"));
    assert_eq!(fs::read_to_string(set.path("real")).expect("read"), "old");
}

#[test]
fn a_pending_reload_of_one_member_is_made_with_its_set() {
    let mut set = Set::with("old");
    let up = set.path("up");
    let reload = format!("{}; test -e {}", set.note("reload"), up.display());
    for target in &mut set.targets {
        target.reload_cmd = Some(reload.clone().into());
    }
    let error = set.deploy("new").expect_err("the service is down");
    assert!(matches!(error, Error::Reload { .. }), "{error:?}");
    assert!(error.is_written());
    // A member may now be deployed alone, or in another set: its marker is beside it.
    let error = set.deploy("new").expect_err("the service is still down");
    assert!(matches!(error, Error::PendingReload { .. }), "{error:?}");
    set.targets.truncate(1);
    fs::write(&up, "").expect("write");
    assert_eq!(set.deploy("new").expect("reloaded"), [Outcome::Reloaded]);
    set.targets = Set::targets(set.folder.path());
    for target in &mut set.targets {
        target.reload_cmd = Some(reload.clone().into());
    }
    fs::write(&set.targets[0].dest, "other").expect("write");
    let outcomes = set.deploy("new").expect("deployed");
    assert_eq!(outcomes, [Outcome::Updated, Outcome::Reloaded, Outcome::Reloaded]);
    assert_eq!(set.notes(), "reload\n".repeat(4));
    assert!(!set.has_marker());
}

#[test]
fn noop_says_what_a_set_would_do_and_neither_does_nor_sweeps_anything() {
    let mut set = Set::with("old");
    assert!(die_at(&set, "deploy_and_die", 12));
    let names = set.names();
    assert!(names.len() > NAMES.len() + 1, "{names:?}");
    set.options.noop = true;
    assert_eq!(set.sweep(), 0);
    assert_eq!(set.deploy("newer").expect("noop"), [Outcome::WouldUpdate; 3]);
    assert_eq!(set.names(), names);
}

/// The variable that passes the folder to the other process.
const FOLDER: &str = "DEPLOY_TEST_FOLDER";

/// The set of the other process, if this is the other process.
fn set_of_parent() -> Option<Set> {
    let folder = variable(FOLDER).map(PathBuf::from)?;
    // The parent removes the folder.
    let mut set = Set::at(tempfile::tempdir().expect("a folder"));
    set.targets = targets_with_reload(&folder);
    Some(set)
}

/// The targets in this folder, with a reload that adds the content of a member to the file `ran`.
fn targets_with_reload(folder: &Path) -> Vec<Target> {
    let mut targets = Set::targets(folder);
    let reload = format!("cat {}/a >> {0}/ran", folder.display());
    targets.iter_mut().for_each(|target| target.reload_cmd = Some(reload.clone().into()));
    targets
}

fn other_process(set: &Set, part: &str) -> Command {
    other_process_in(set.folder.path(), part)
}

fn other_process_in(folder: &Path, part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the test program"));
    command
        .args([&format!("tests::sets::{part}"), "--exact"])
        .env(FOLDER, folder)
        .env("TMPDIR", std::env::temp_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Runs a part in another process that is killed at its nth failpoint. Returns whether it was
/// killed: a part that has fewer failpoints succeeds.
fn die_at(set: &Set, part: &str, nth: usize) -> bool {
    let status = other_process(set, part).env(DIE_AT, nth.to_string()).status().expect("started");
    !status.success()
}

/// The other process's part of the tests below: one transaction.
#[test]
fn deploy_and_die() {
    if let Some(set) = set_of_parent() {
        set.deploy("new\n").expect("deployed");
    }
}

/// The other process's part of a test below: one sweep.
#[test]
fn sweep_and_die() {
    if let Some(set) = set_of_parent() {
        set.sweep();
    }
}

/// The other process's part of a test below: transactions without end.
#[test]
fn deploy_sets_for_ever() {
    let Some(mut set) = set_of_parent() else { return };
    set.targets.iter_mut().for_each(|target| target.reload_cmd = Some("true".into()));
    end_with_the_input();
    for number in 0_u64.. {
        set.deploy(&format!("{number}\n").repeat(1000)).expect("deployed");
    }
}

/// Asserts the state after a process was killed while it replaced all members of `set`, two of
/// which existed, and after a sweep: all old or all new, no leftovers, and the reload pending if
/// new.
fn assert_whole(set: &Set, context: &str) {
    set.sweep();
    let contents = set.contents();
    let old = ["old\n", "-", "old\n"];
    assert!(contents == old || contents == all("new\n"), "{context}: {contents:?}");
    let mut names = set.names();
    names.retain(|name| name != "ran");
    let count = if contents == old { 2 } else { 3 };
    assert_eq!(names.len(), count + 1, "{context}: {names:?}");
    if contents != old && !set.notes().contains("new") {
        assert!(set.has_marker(), "{context}: the reload is forgotten");
    }
}

/// A set of which one member is missing.
fn set_with_a_gap() -> Set {
    let set = Set::with("old\n");
    fs::remove_file(&set.targets[1].dest).expect("remove");
    set
}

#[test]
fn a_set_killed_at_any_step_is_whole_after_the_next_sweep() {
    let mut points = 0;
    loop {
        let set = set_with_a_gap();
        let killed = die_at(&set, "deploy_and_die", points);
        assert_whole(&set, &format!("killed at {points}"));
        // The next run replaces all of them and makes the reload.
        let mut next = Set::at(tempfile::tempdir().expect("a folder"));
        next.targets = targets_with_reload(set.folder.path());
        next.deploy("new\n").expect("deployed");
        assert_eq!(set.contents(), all("new\n"));
        assert!(set.notes().ends_with("new\n"), "killed at {points}: {:?}", set.notes());
        assert!(!set.has_marker());
        if !killed {
            break;
        }
        points += 1;
    }
    assert!(points > 20, "only {points} failpoints");
}

/// The failpoint at which all members but the last are new: most files must be put back.
fn half_way() -> usize {
    let half = (0..).find(|&nth| {
        let set = set_with_a_gap();
        assert!(die_at(&set, "deploy_and_die", nth), "no part of the set is new alone");
        set.contents() == ["new\n", "new\n", "old\n"]
    });
    half.expect("found")
}

#[test]
fn a_sweep_killed_at_any_step_is_completed_by_the_next() {
    let half = half_way();
    let mut points = 0;
    loop {
        let set = set_with_a_gap();
        assert!(die_at(&set, "deploy_and_die", half));
        let killed = die_at(&set, "sweep_and_die", points);
        assert_whole(&set, &format!("sweep killed at {points}"));
        assert_eq!(set.contents(), ["old\n", "-", "old\n"]);
        assert!(!set.has_marker(), "sweep killed at {points}: nothing is pending");
        if !killed {
            break;
        }
        points += 1;
    }
    assert!(points > 8, "only {points} failpoints");
}

#[test]
fn a_set_killed_at_any_moment_is_whole_after_the_next_sweep() {
    let set = Set::new();
    for round in 0..20 {
        let mut other = other_process(&set, "deploy_sets_for_ever").spawn().expect("started");
        let mut changes = 0;
        let mut seen = None;
        wait_until("the other process deploys", || {
            let now = Fingerprint::at(&set.targets[2].dest);
            changes += u32::from(now != seen);
            seen = now;
            changes > 2 + round % 5
        });
        other.kill().expect("killed");
        other.wait().expect("ended");
        set.sweep();
        let contents = set.contents();
        assert!(contents.iter().all(|content| *content == contents[0]), "a mix of versions");
        assert_eq!(set.names(), ["a", "c", "sub", "b"]);
    }
}

#[test]
fn a_sweep_leaves_a_living_transaction_alone() {
    use crate::{folder::Folder, journal::Journal, undo::Entry};
    let set = Set::with("old");
    let staged = set.stage("new").expect("staged");
    let folders = [set.folder.path().to_owned(), set.path("sub")];
    let folders = folders.map(|path| Folder::open(&path).expect("open"));
    let mut journal = Journal::begin(folders.iter()).expect("begun");
    let files: Vec<_> = staged.stage_files().map(|path| path.expect("a stage file")).collect();
    let count = set.names().len();
    assert_eq!(count, 2 * NAMES.len() + 3, "{files:?}");
    for member in staged.members() {
        let becomes = member.becomes.as_ref().expect("a stage file");
        let entry = {
            let has_command = member.target.reload_cmd(&set.options).is_some();
            Entry::prepare(&member.target, &member.place, becomes, has_command)
        };
        journal.add((entry.expect("prepared"), member.place.clone()));
    }
    journal.write().expect("written");
    assert_eq!(set.sweep(), 0);
    assert_eq!(set.names().len(), count + NAMES.len());
    journal.commit();
    assert_eq!(set.names().len(), 2 * NAMES.len() + 1);
}

#[test]
fn a_journal_that_others_can_write_is_not_followed() {
    let set = set_with_a_gap();
    assert!(die_at(&set, "deploy_and_die", half_way()));
    let is_journal = |name: &String| name.starts_with(".confd-transaction-");
    let journals: Vec<PathBuf> = names_in(set.folder.path())
        .iter()
        .filter(|name| is_journal(name))
        .map(|name| set.path(name))
        .collect();
    let [journal] = journals.as_slice() else { panic!("{journals:?}") };
    let contents = set.contents();
    set_mode(journal, 0o620);
    set.sweep();
    assert_eq!(set.contents(), contents);
    assert!(journal.exists());
    set_mode(journal, 0o600);
    fs::hard_link(journal, set.path("another name")).expect("link");
    set.sweep();
    assert!(journal.exists());
    fs::remove_file(set.path("another name")).expect("remove");
    assert_whole(&set, "obeyed");
}

#[test]
fn a_mounted_member_is_put_back_in_place() {
    in_world(World::Mounts, "tests::sets::a_mounted_member_is_put_back_in_place", || {
        let set = Set::with("old");
        fs::write(set.path("source"), "old").expect("write");
        set_mode(&set.path("source"), 0o604);
        let dir = set.folder.path().display();
        let mount = format!("mount --bind {dir}/source {dir}/a");
        assert!(Command::new("sh").args(["-c", &mount]).status().expect("sh").success());
        assert_eq!(set.deploy("newer").expect("deployed"), [Outcome::Updated; 3]);
        assert_eq!(set.contents(), all("newer"));
        fs::remove_file(&set.targets[2].dest).expect("remove");
        fs::create_dir(&set.targets[2].dest).expect("folder");
        set.deploy("new").expect_err("a folder");
        assert_eq!(set.contents(), ["newer", "newer", "-"]);
        assert_eq!(fs::metadata(set.path("source")).expect("metadata").mode() & 0o7777, 0o604);
        assert_eq!(set.names(), ["a", "c", "source", "sub", "b"]);
        assert!(Command::new("umount").arg(set.path("a")).status().expect("umount").success());
    });
}
