//! Members of a set that must not exist.

use super::*;
use crate::{Before, GroupCheck, OnReloadFailure};

impl Set {
    /// Stages a set whose first member gets this content, and whose other members must not exist.
    fn stage_removal(&self, content: &str) -> Result<Transaction, Error> {
        let [first, others @ ..] = &self.targets[..] else { panic!("no targets") };
        let mut members = vec![Member::file(first.clone(), content.to_owned())];
        members.extend(others.iter().cloned().map(Member::absent));
        Transaction::stage(members, &self.options)
    }

    fn remove(&self, content: &str) -> Result<Vec<Outcome>, Error> {
        self.finish(self.stage_removal(content)?)
    }

    /// Has each member reload by this command.
    fn reload_by(&mut self, command: &str) {
        self.targets
            .iter_mut()
            .for_each(|target| target.reload_cmd = Some(command.to_owned().into()));
    }
}

#[test]
fn files_that_must_not_exist_are_removed_with_their_set_and_the_reload_runs_once() {
    let mut set = Set::with("old");
    set.reload_by("echo reload");
    let staged = set.stage_removal("new").expect("staged");
    assert!(!staged.is_in_sync());
    let before: Vec<_> = staged.before().collect();
    assert_eq!(before, [Before::Other { bytes: 3 }; 3]);
    assert_eq!(staged.stage_files().flatten().count(), 1);
    let outcomes = set.finish(staged).expect("deployed");
    assert_eq!(outcomes, [Outcome::Updated, Outcome::Removed, Outcome::Removed]);
    let mut steps = set.plain_steps();
    steps.retain(|line| !line.contains("md5sum"));
    assert_eq!(
        steps,
        [
            "DEBUG Comparing candidate config to DIR/a",
            "INFO Target config DIR/a out of sync",
            "INFO Target config DIR/sub/b out of sync",
            "INFO Target config DIR/c out of sync",
            "DEBUG Overwriting target config DIR/a",
            "DEBUG Removing target config DIR/sub/b",
            "DEBUG Removing target config DIR/c",
            "DEBUG Running echo reload",
            "DEBUG \"reload\\n\"",
            "INFO Target config DIR/a has been updated",
            "INFO Target config DIR/sub/b has been removed",
            "INFO Target config DIR/c has been removed",
        ]
    );
    assert_eq!(set.contents(), ["new", "-", "-"]);
    assert_eq!(set.names(), ["a", "sub"]);
    assert!(!set.has_marker());

    let staged = set.stage_removal("new").expect("staged");
    assert!(staged.is_in_sync());
    assert_eq!(set.finish(staged).expect("in sync"), [Outcome::Unchanged; 3]);
}

#[test]
fn a_file_that_must_not_exist_is_removed_alone_and_its_reload_runs() {
    let mut set = Set::with("old");
    set.reload_by("echo reload");
    set.deploy("new").expect("deployed");
    fs::remove_file(&set.targets[1].dest).expect("removed");
    set.steps.clear();
    assert_eq!(
        set.remove("new").expect("deployed"),
        [Outcome::Unchanged, Outcome::Unchanged, Outcome::Removed]
    );
    let lines = set.plain_steps();
    let infos: Vec<_> = lines.iter().filter(|line| line.starts_with("INFO")).collect();
    assert_eq!(
        infos,
        ["INFO Target config DIR/c out of sync", "INFO Target config DIR/c has been removed"]
    );
    assert_eq!(lines.iter().filter(|line| line.ends_with("Running echo reload")).count(), 1);
    assert_eq!(set.names(), ["a", "sub"]);
    assert!(!set.has_marker());
}

#[test]
fn a_file_that_must_not_exist_needs_no_folder() {
    let set = Set::with("old");
    fs::remove_dir_all(set.path("sub")).expect("removed");
    let staged = set.stage_removal("old").expect("staged");
    assert_eq!(staged.before().collect::<Vec<_>>()[1], Before::Same);
    assert_eq!(
        set.finish(staged).expect("deployed"),
        [Outcome::Unchanged, Outcome::Unchanged, Outcome::Removed]
    );
    let staged = set.stage_removal("old").expect("staged");
    let absent = staged.members().len();
    assert_eq!(absent, 2);
    let found = staged.found_in_sync();
    assert!(found.is_none_or(|found| matches!(found[..], [Some(_), None, None])));
}

#[test]
fn noop_says_what_would_be_removed() {
    let mut set = Set::with("old");
    set.options.noop = true;
    fs::remove_file(&set.targets[2].dest).expect("removed");
    assert_eq!(
        set.remove("old").expect("noop"),
        [Outcome::Unchanged, Outcome::WouldRemove, Outcome::Unchanged]
    );
    let steps = set.plain_steps();
    let about_b: Vec<_> = steps.iter().filter(|line| line.contains("/b")).collect();
    assert_eq!(
        about_b,
        [
            "INFO DIR/sub/b would be removed",
            "WARNING Noop mode enabled. DIR/sub/b will not be modified"
        ]
    );
    assert_eq!(set.contents(), ["old", "old", "-"]);
}

#[test]
fn links_and_folders_that_must_not_exist_stay_and_are_reported() {
    let set = Set::with("old");
    fs::write(set.path("real"), "real").expect("write");
    for target in &set.targets[1..] {
        fs::remove_file(&target.dest).expect("removed");
    }
    symlink(set.path("real"), &set.targets[1].dest).expect("a link");
    fs::create_dir(&set.targets[2].dest).expect("a folder");
    assert_eq!(set.remove("old").expect("deployed"), [Outcome::Unchanged; 3]);
    let steps = set.plain_steps();
    let warnings: Vec<_> = steps.iter().filter(|line| line.starts_with("WARNING")).collect();
    assert_eq!(
        warnings,
        ["DIR/sub/b", "DIR/c"]
            .map(|dest| format!(
                "WARNING {dest} is to be removed, but it is no regular file any more: another \
                 program has put it there, and it stays"
            ))
            .iter()
            .collect::<Vec<_>>()
    );
    assert!(set.targets[1].dest.is_symlink() && set.targets[2].dest.is_dir());
    assert_eq!(fs::read_to_string(set.path("real")).expect("read"), "real");
}

#[test]
fn a_removed_file_is_put_back_if_another_member_cannot_be_replaced() {
    let mut set = Set::with("old");
    set.reload_by("true");
    let before = fs::metadata(&set.targets[1].dest).expect("metadata");
    // The last member is replaced after the others, and is a folder.
    set.targets.rotate_left(1);
    fs::remove_file(&set.targets[2].dest).expect("removed");
    fs::create_dir(&set.targets[2].dest).expect("a folder");
    let members = vec![
        Member::absent(set.targets[0].clone()),
        Member::file(set.targets[1].clone(), "new"),
        Member::file(set.targets[2].clone(), "new"),
    ];
    let staged = Transaction::stage(members, &set.options).expect("staged");
    set.finish(staged).expect_err("a folder");
    let after = fs::metadata(&set.targets[0].dest).expect("metadata");
    assert_eq!((after.ino(), after.nlink()), (before.ino(), 1));
    assert_eq!(set.names(), ["a", "c", "sub", "b"]);
    assert!(!set.has_marker());
    let line = "WARNING Put back DIR/sub/b, because not all files that belong to it were replaced";
    assert!(set.plain_steps().iter().any(|step| step == line));
}

#[test]
fn the_reload_of_removed_files_is_tried_again_until_it_succeeds() {
    let mut set = Set::with("old");
    set.reload_by(&format!("test -e {}", set.path("up").display()));
    set.targets.remove(0);
    let remove = |set: &Set| {
        let members = set.targets.iter().cloned().map(Member::absent);
        set.finish(Transaction::stage(members.collect(), &set.options).expect("staged"))
    };
    let error = remove(&set).expect_err("the service is down");
    assert!(error.is_written(), "{error:?}");
    assert!(set.has_marker());
    assert_eq!(set.contents(), ["-", "-"]);
    let text = fs::read_to_string(set.path(".c.reload-pending")).expect("a marker");
    assert!(text.contains("/c was removed by confd, and its reload command"), "{text}");
    let lines = set.plain_steps();
    let line =
        "WARNING DIR/c was removed but its reload is pending; it will be tried again".to_owned();
    assert!(lines.contains(&line), "{lines:?}");
    let error = remove(&set).expect_err("the service is still down");
    assert!(matches!(error, Error::PendingReload { .. }), "{error:?}");
    fs::write(set.path("up"), "").expect("write");
    assert_eq!(remove(&set).expect("reloaded"), [Outcome::Reloaded; 2]);
    assert!(!set.has_marker());
    assert_eq!(remove(&set).expect("in sync"), [Outcome::Unchanged; 2]);
}

#[test]
fn a_removal_whose_reload_fails_is_rolled_back_and_not_tried_again() {
    let mut set = Set::with("old");
    set.reload_by(&format!("{}; test -e {}/c", set.note("reload"), set.folder.path().display()));
    for target in &mut set.targets {
        target.on_reload_failure = OnReloadFailure::RollBack;
        target.may_be_held = true;
    }
    let before = fs::metadata(&set.targets[2].dest).expect("metadata").ino();
    let error = set.remove("new").expect_err("the service needs the file");
    assert!(matches!(error, Error::RolledBack { again: None, .. }), "{error:?}");
    assert_eq!(set.contents(), all("old"));
    assert_eq!(fs::metadata(&set.targets[2].dest).expect("metadata").ino(), before);
    assert!(!set.has_marker());
    let error = set.remove("new").expect_err("held");
    assert!(matches!(error, Error::Held { .. }), "{error:?}");
    assert_eq!(set.notes(), "reload\n".repeat(2));
    // An empty file is other content than none.
    let members = set.targets.iter().cloned().map(|target| Member::file(target, ""));
    let staged = Transaction::stage(members.collect(), &set.options).expect("staged");
    assert_eq!(set.finish(staged).expect("deployed"), [Outcome::Updated; 3]);
}

#[test]
fn a_group_check_does_not_see_files_that_are_to_be_removed() {
    let mut set = Set::with("old");
    set.targets[2].reload_cmd = Some("test \"$CONFD_DEST\" -a -z \"$CONFD_SRC\"".to_owned().into());
    let base = fs::canonicalize(set.folder.path()).expect("a folder");
    let check = format!(
        "cd {{{{.root}}}}{} && cat a && test ! -e sub/b -a ! -L c && test \"$(echo \"$CONFD_DEST\" | wc -l)\" = 3",
        base.display()
    );
    let staged = set.stage_removal("new").expect("staged");
    let staged = staged.checked_together(GroupCheck::new(check, None));
    let outcomes = set.finish(staged).expect("deployed");
    assert_eq!(outcomes, [Outcome::Updated, Outcome::Removed, Outcome::Removed]);
}

#[test]
fn a_file_that_changes_just_before_its_removal_stays() {
    use crate::commit::remove;
    let set = Set::with("old");
    let staged = set.stage_removal("new").expect("staged");
    let member = staged.members()[2];
    let Some(crate::stage::Becomes::Absent(found)) = member.becomes else { panic!("no removal") };
    fs::write(&set.targets[2].dest, "of another program").expect("write");
    let error = remove(&member.target, &member.place, found).expect_err("changed");
    let text = error.to_string();
    assert!(
        text.ends_with("/c was changed by another program when it was to be removed, and stays"),
        "{text}"
    );
    assert!(set.targets[2].dest.exists());
}

/// The other process's part of the test below: one transaction that removes two files.
#[test]
fn remove_and_die() {
    if let Some(set) = set_of_parent() {
        set.remove("new\n").expect("deployed");
    }
}

#[test]
fn a_set_with_removals_killed_at_any_step_is_whole_after_the_next_sweep() {
    let mut points = 0;
    loop {
        let set = Set::with("old\n");
        let killed = die_at(&set, "removal::remove_and_die", points);
        let context = format!("killed at {points}");
        set.sweep();
        let contents = set.contents();
        let is_new = contents == ["new\n", "-", "-"];
        assert!(is_new || contents == all("old\n"), "{context}: {contents:?}");
        let mut names = set.names();
        names.retain(|name| name != "ran");
        let expected: &[&str] = if is_new { &["a", "sub"] } else { &["a", "c", "sub", "b"] };
        assert_eq!(names, expected, "{context}");
        if is_new && !set.notes().contains("new") {
            assert!(set.has_marker(), "{context}: the reload is forgotten");
        }
        // The next run completes it.
        let mut next = Set::at(tempfile::tempdir().expect("a folder"));
        next.targets = targets_with_reload(set.folder.path());
        next.remove("new\n").expect("deployed");
        assert_eq!(set.contents(), ["new\n", "-", "-"], "{context}");
        assert!(set.notes().ends_with("new\n"), "{context}: {:?}", set.notes());
        assert!(!set.has_marker(), "{context}");
        if !killed {
            break;
        }
        points += 1;
    }
    assert!(points > 20, "only {points} failpoints");
}
