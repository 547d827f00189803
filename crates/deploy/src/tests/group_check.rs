//! Checks of all files of a transaction together.

use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;
use crate::place::root_name;
use crate::{CheckCommand, GroupCheck, sweep};

/// A folder with a tree of destinations, and what a group check printed.
struct Group {
    folder: TempDir,
    options: Options,
    steps: Steps,
}

impl Group {
    /// A group in a folder that has the folder `etc/conf.d`.
    fn new() -> Group {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("etc/conf.d")).expect("folders");
        Group { folder, options: Options::default(), steps: Steps::default() }
    }

    /// The folder without symbolic links.
    fn base(&self) -> PathBuf {
        fs::canonicalize(self.folder.path()).expect("a folder")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("write");
        set_mode(&self.path(name), 0o644);
    }

    fn target(&self, name: &str) -> Target {
        Target::new(self.path(name))
    }

    /// Deploys these files, with a shell command in which `$R` is this folder in the root. What it
    /// prints is kept in the file `out`.
    fn deploy(&self, files: &[(&str, &str)], check: &str) -> Result<Vec<Outcome>, Error> {
        let members = files.iter().map(|(name, content)| (self.target(name), *content));
        self.deploy_targets(members.collect(), check)
    }

    fn deploy_targets(
        &self,
        members: Vec<(Target, &str)>,
        check: &str,
    ) -> Result<Vec<Outcome>, Error> {
        let base = self.base();
        let base = base.display();
        self.finish(
            members,
            GroupCheck::new(format!("exec >{base}/out; R={{{{.root}}}}{base}; {check}"), None),
        )
    }

    fn finish(
        &self,
        members: Vec<(Target, &str)>,
        check: GroupCheck,
    ) -> Result<Vec<Outcome>, Error> {
        let members = members
            .into_iter()
            .map(|(target, content)| Member::file(target, content.to_owned()))
            .collect();
        let staged = Transaction::stage(members, &self.options).expect("staged");
        let staged = staged.checked_together(check);
        run(staged.finish(&self.steps.observer(), &mut Durable::new(), Disk::Elsewhere, &AtOnce))
    }

    /// What the last check printed, with the folder shown as `DIR`; empty if none ran.
    fn printed(&self) -> String {
        let text = fs::read_to_string(self.path("out")).unwrap_or_default();
        text.replace(self.base().to_str().expect("text"), "DIR")
    }

    /// The names below `etc` that begin with a dot.
    fn hidden(&self) -> Vec<String> {
        let mut names = names_in(&self.path("etc"));
        names.extend(names_in(&self.path("etc/conf.d")));
        names.retain(|name| name.starts_with('.'));
        names
    }
}

#[test]
fn a_group_check_sees_the_new_files_under_their_final_names_beside_the_others() {
    let group = Group::new();
    group.write("etc/main", "old main\n");
    group.write("etc/same", "same\n");
    group.write("etc/neighbour", "neighbour\n");
    group.write("etc/conf.d/other", "other\n");
    group.write("etc/.other.reload-pending", "a file of confd\n");
    group.write("etc/.hidden", "hidden\n");
    let files = [("etc/main", "main\n"), ("etc/same", "same\n"), ("etc/conf.d/new", "new\n")];
    let check = "cd $R/etc && cat main same neighbour conf.d/*; ls -A . conf.d; cat DIR/etc/main";
    let check = check.replace("DIR", group.base().to_str().expect("text"));
    let outcomes = group.deploy(&files, &check).expect("deployed");
    assert_eq!(outcomes, [Outcome::Updated, Outcome::Unchanged, Outcome::Updated]);
    assert_eq!(
        group.printed(),
        "main\nsame\nneighbour\nnew\nother\n\
         .:\n.hidden\nconf.d\nmain\nneighbour\nsame\n\nconf.d:\nnew\nother\nold main\n"
    );
    assert_eq!(group.hidden(), [".hidden", ".other.reload-pending"]);
}

#[test]
fn a_group_check_that_fails_changes_nothing_and_leaves_nothing() {
    let group = Group::new();
    group.write("etc/main", "old\n");
    let files = [("etc/main", "new\n"), ("etc/conf.d/a", "a\n"), ("etc/conf.d/b", "a\n")];
    // Each file is good by itself: the line is there twice.
    let check = "test -z \"$(cat $R/etc/conf.d/* | sort | uniq -d)\"";
    let error = group.deploy(&files, check).expect_err("refused");
    assert!(matches!(error, Error::GroupCheck(_)), "{error:?}");
    assert_eq!(error.to_string(), "Group check failed: exit status 1");
    assert_eq!(fs::read_to_string(group.path("etc/main")).expect("a file"), "old\n");
    assert_eq!(names_in(&group.path("etc")), ["conf.d", "main"]);
    assert_eq!(names_in(&group.path("etc/conf.d")), [""; 0]);
}

#[test]
fn a_group_check_runs_once_after_the_other_checks_and_only_if_a_file_changes() {
    let mut group = Group::new();
    let mut first = group.target("etc/a");
    first.check_cmd = Some(CheckCommand::new("echo first"));
    let members = || vec![(first.clone(), "x"), (group.target("etc/b"), "x")];
    group.deploy_targets(members(), "echo group").expect("deployed");
    let commands = |group: &Group| {
        let is_command = |line: &String| line.starts_with("DEBUG Running");
        group.steps.all().into_iter().filter(is_command).collect::<Vec<_>>()
    };
    let ran = commands(&group);
    assert_eq!((ran.len(), &*ran[0]), (2, "DEBUG Running echo first"));
    assert_eq!(group.printed(), "group\n");
    assert_eq!(
        group.deploy_targets(members(), "exit 1").expect("in sync"),
        [Outcome::Unchanged; 2]
    );
    assert_eq!(commands(&group).len(), 2);

    let changed = [("etc/a", "y")];
    group.options.noop = true;
    assert_eq!(group.deploy(&changed, "exit 1").expect("noop"), [Outcome::WouldUpdate]);
    group.options = Options { sync_only: true, ..Options::default() };
    assert_eq!(group.deploy(&changed, "exit 1").expect("put in place"), [Outcome::Updated]);
}

#[test]
fn a_group_check_shows_linked_folders_by_both_of_their_paths() {
    let group = Group::new();
    symlink("conf.d", group.path("etc/linked")).expect("a link");
    fs::create_dir(group.path("far")).expect("a folder");
    symlink(group.path("far"), group.path("etc/far")).expect("a link");
    symlink("a", group.path("etc/conf.d/to-a")).expect("a link");
    symlink("../../etc", group.path("etc/conf.d/up")).expect("a link");
    group.write("far/other", "other\n");
    let files = [("etc/linked/a", "a\n"), ("etc/far/b", "b\n"), ("etc/conf.d/c", "c\n")];
    let check = "cd $R; cat etc/linked/* etc/conf.d/* etc/far/* far/* 2>&1 | grep -v 'Is a dir'";
    group.deploy(&files, check).expect("deployed");
    let printed = group.printed();
    assert_eq!(printed, "a\nc\na\n".repeat(2) + &"b\nother\n".repeat(2));
}

#[test]
fn a_group_check_finds_a_relative_destination_by_its_absolute_path() {
    let group = Group::new();
    let here = std::env::current_dir().expect("a working folder");
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(group.path("etc/a").strip_prefix("/").expect("absolute"));
    group.deploy_targets(vec![(Target::new(relative), "a\n")], "cat $R/etc/a").expect("deployed");
    assert_eq!(group.printed(), "a\n");
}

#[test]
fn a_group_check_is_given_the_files_that_are_left_out_of_the_transaction() {
    let group = Group::new();
    fs::create_dir(group.path("elsewhere")).expect("a folder");
    group.write("elsewhere/main", "main\n");
    let base = group.base();
    let text = format!("cat {{{{.root}}}}{}/elsewhere/main > {0}/out", base.display());
    let check = GroupCheck::new(text, None)
        .beside(vec![group.path("elsewhere/main"), group.path("missing/x")]);
    group.finish(vec![(group.target("etc/a"), "a")], check).expect("deployed");
    assert_eq!(group.printed(), "main\n");
}

#[test]
fn the_command_of_a_group_check_has_the_files_and_the_root_in_its_environment() {
    let group = Group::new();
    let files = [("etc/a", "a\n"), ("etc/conf.d/b", "b\n")];
    let check = "echo \"$CONFD_DEST\"; cat $CONFD_SRC; test $CONFD_ROOT/$R/etc -ef $R/etc && echo same; \
                 cat $CONFD_ROOT${R#$CONFD_ROOT}/etc/a; stat -c %a $CONFD_ROOT $R/etc";
    group.deploy(&files, check).expect("deployed");
    assert_eq!(group.printed(), "DIR/etc/a\nDIR/etc/conf.d/b\na\nb\na\n755\n755\n");
}

#[test]
fn what_a_group_check_writes_through_the_root_is_put_in_place() {
    let group = Group::new();
    group.deploy(&[("etc/a", "a\n")], "echo more >> $R/etc/a").expect("deployed");
    assert_eq!(fs::read_to_string(group.path("etc/a")).expect("a file"), "a\nmore\n");
    // The links are those of the root alone.
    group
        .deploy(&[("etc/b", "b\n")], "echo new > $R/etc/n; mkdir $R/x; rm $R/etc/a")
        .expect("done");
    assert_eq!(names_in(&group.path("etc")), ["a", "b", "conf.d"]);
}

#[test]
fn a_group_check_is_stopped_at_its_time_limit() {
    let mut group = Group::new();
    group.options.check_timeout = Some(Duration::from_millis(10));
    let error = group.deploy(&[("etc/a", "a")], "sleep 100").expect_err("stopped");
    assert_eq!(error.to_string(), "Group check failed: timed out after 10ms");
    assert_eq!(group.hidden(), [""; 0]);
}

#[test]
fn a_group_check_that_asks_for_another_value_says_which_one_it_knows() {
    let group = Group::new();
    for (text, expected) in [
        (
            "nginx -t -c {{.src}}",
            "Group check failed: group_check_cmd knows only {{.root}}: without it, the command is \
             nginx -t -c <no value>",
        ),
        (
            "{{root}}",
            "Group check failed: template: groupcheckcmd:1: function \"root\" not defined",
        ),
    ] {
        let check = GroupCheck::new(text, None);
        let error = group.finish(vec![(group.target("etc/a"), "a")], check).expect_err(text);
        assert_eq!(error.to_string(), expected);
        if text == "{{root}}" {
            assert_eq!(error.hint().as_deref(), Some("write {{.root}}, with a dot"));
        }
    }
    assert_eq!(names_in(&group.path("etc")), ["conf.d"]);
}

#[test]
fn the_root_of_a_killed_run_is_swept_with_all_that_is_in_it_and_nothing_that_links_lead_to() {
    let group = Group::new();
    group.write("etc/a", "a\n");
    let root = group.path("etc").join(root_name(7));
    fs::create_dir_all(root.join("etc/conf.d")).expect("folders");
    symlink(group.path("etc/a"), root.join("etc/a")).expect("a link");
    symlink(group.path("etc"), root.join("etc/conf.d/etc")).expect("a link");
    fs::write(root.join("etc/written"), "by the command").expect("write");
    // The same name with one other digit is of another program.
    let other = group.path("etc/.confd-group-check-0000012345");
    fs::create_dir(&other).expect("a folder");
    let dest = group.path("etc/a");
    assert_eq!(sweep([&*dest], &group.options, &group.steps), 0);
    assert_eq!(names_in(&group.path("etc")), [".confd-group-check-0000012345", "a", "conf.d"]);
    let line =
        format!("INFO Removed the folder of a group check of a killed run: {}", root.display());
    assert_eq!(group.steps.all(), [line]);
}

#[test]
fn the_root_of_a_running_group_check_is_not_swept() {
    let group = Group::new();
    let dest = group.path("etc/a");
    let (options, steps) = (group.options, group.steps.clone());
    let (go, ready) = (group.path("go"), group.path("ready"));
    let sweeper = std::thread::spawn(move || {
        crate::testing::wait_until("the check runs", || ready.exists());
        assert_eq!(sweep([&*dest], &options, &steps), 0);
        fs::write(go, "").expect("write");
    });
    let base = group.base();
    let check = format!(
        "touch {0}/ready; until test -e {0}/go; do sleep 0.01; done; cat $R/etc/a",
        base.display()
    );
    group.deploy(&[("etc/a", "a\n")], &check).expect("deployed");
    sweeper.join().expect("swept");
    assert_eq!(group.printed(), "a\n");
}
