//! Transactions of many files.

use std::process::{Command, Stdio};

use super::*;
use crate::Member;
use crate::sweep;
use crate::testing::{DIE_AT, World, in_world, variable};

/// More files than a process may have open in the test below.
const MANY: usize = 300;

fn members(folder: &Path, content: &str) -> Vec<Member> {
    let member = |nth| Member::file(target_in(folder, &format!("f{nth}")), content.to_owned());
    (0..MANY).map(member).collect()
}

fn deploy(folder: &Path, content: &str) -> Result<Vec<Outcome>, Error> {
    let staged = Transaction::stage(members(folder, content), &Options::default())?;
    let observer = Steps::default().observer();
    run(staged.finish(&observer, &mut Durable::new(), Disk::Elsewhere, &AtOnce))
}

/// The distinct contents of all files.
fn contents(folder: &Path) -> Vec<String> {
    let read = |nth| fs::read_to_string(folder.join(format!("f{nth}"))).unwrap_or("-".to_owned());
    let mut contents: Vec<String> = (0..MANY).map(read).collect();
    contents.dedup();
    contents
}

fn swept(folder: &Path) -> usize {
    let dests: Vec<PathBuf> = (0..MANY).map(|nth| folder.join(format!("f{nth}"))).collect();
    sweep(dests.iter().map(PathBuf::as_path), &Options::default(), &Steps::default())
}

#[test]
fn a_transaction_may_have_more_files_than_the_process_may_open() {
    let test = "tests::big::a_transaction_may_have_more_files_than_the_process_may_open";
    in_world(World::FewOpenFiles, test, || {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(deploy(folder.path(), "one").expect("deployed"), [Outcome::Updated; MANY]);
        assert_eq!(deploy(folder.path(), "one").expect("in sync"), [Outcome::Unchanged; MANY]);
        assert_eq!(deploy(folder.path(), "two").expect("deployed"), [Outcome::Updated; MANY]);
        assert_eq!(contents(folder.path()), ["two"]);
        assert_eq!(names_in(folder.path()).len(), MANY);
    });
}

#[test]
fn a_sweep_leaves_the_stage_files_of_a_big_transaction_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let staged = Transaction::stage(members(folder.path(), "x"), &Options::default());
    let staged = staged.expect("staged");
    let names = names_in(folder.path());
    assert_eq!(names.len(), MANY + 1);
    assert_eq!(swept(folder.path()), 0);
    assert_eq!(names_in(folder.path()), names);
    drop(staged);
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn a_big_transaction_that_cannot_be_staged_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut members = members(folder.path(), "x");
    let last = members.len() - 1;
    members[last] = Member::file(target_in(&folder.path().join("missing"), "a"), "x");
    Transaction::stage(members, &Options::default()).expect_err("no folder");
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[test]
fn a_big_transaction_in_sync_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    deploy(folder.path(), "x").expect("deployed");
    let staged = Transaction::stage(members(folder.path(), "x"), &Options::default());
    let staged = staged.expect("staged");
    assert!(staged.is_in_sync());
    assert_eq!(names_in(folder.path()).len(), MANY);
}

/// The variable that passes the folder to the other process.
const FOLDER: &str = "DEPLOY_TEST_FOLDER";

/// The other process's part of the test below: one transaction.
#[test]
fn deploy_many_and_die() {
    if let Some(folder) = variable(FOLDER) {
        deploy(Path::new(&folder), "new").expect("deployed");
    }
}

#[test]
fn a_big_transaction_that_is_killed_is_whole_after_the_next_sweep() {
    // Before the journal is written, among the renames, and after the last one.
    for point in [1, MANY, 3 * MANY, 4 * MANY, 5 * MANY] {
        let folder = tempfile::tempdir().expect("a folder");
        deploy(folder.path(), "old").expect("deployed");
        let status = Command::new(std::env::current_exe().expect("the test program"))
            .args(["tests::big::deploy_many_and_die", "--exact"])
            .env(FOLDER, folder.path())
            .env(DIE_AT, point.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("started");
        swept(folder.path());
        let contents = contents(folder.path());
        assert!(contents == ["old"] || contents == ["new"], "killed at {point}: {contents:?}");
        assert_eq!(names_in(folder.path()).len(), MANY, "killed at {point}: {status}");
    }
}
