//! Leftovers of killed runs, and files that look like leftovers but are not.

use std::process::{Child, Command, Stdio};

use super::*;
use crate::folder::{FileAt, Folder};
use crate::sweep;
use crate::testing::{end_with_the_input, variable, wait_until};

fn sweep_site(site: &Site) -> usize {
    sweep([site.target.dest.as_path()], &site.options, &site.steps)
}

/// Starts this test program again, to run one of the two parts below for `dest`.
///
/// The process is killed, so its temporary files are made in `elsewhere`.
fn other_process(part: &str, dest: &Path, elsewhere: &TempDir) -> Child {
    let program = std::env::current_exe().expect("the test program");
    Command::new(program)
        .args([&format!("tests::sweeping::{part}"), "--exact"])
        .env(DEST, dest)
        .env("TMPDIR", elsewhere.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("started")
}

/// The variable with the destination for a started process.
const DEST: &str = "DEPLOY_TEST_DEST";

/// The other process's part of a test below. Without a destination it stages a file and removes it.
#[test]
fn stage_and_hang() {
    let mut site = Site::new();
    let told = variable(DEST);
    if let Some(dest) = &told {
        site.target.dest = dest.into();
    }
    let staged = site.stage("x").expect("staged");
    assert!(stage_file(&staged).expect("a stage file").exists());
    if told.is_some() {
        // Waits until the parent ends or kills this process.
        std::io::stdin().lines().for_each(drop);
    }
}

/// The other process's part of a test below. Without a destination it deploys twice.
#[test]
fn deploy_for_ever() {
    let mut site = Site::new();
    let told = variable(DEST);
    if let Some(dest) = &told {
        site.target.dest = dest.into();
        site.target.reload_cmd = Some("true".into());
        end_with_the_input();
    }
    loop {
        for content in CONTENTS {
            // A process that was killed before may have left this content.
            site.deploy(&content.repeat(50_000)).expect("deployed");
        }
        if told.is_none() {
            return;
        }
    }
}

/// The texts that [`deploy_for_ever`] repeats to make a file's content.
const CONTENTS: [&str; 2] = ["old\n", "new!\n"];

#[test]
fn a_run_killed_at_any_moment_leaves_old_or_new() {
    let site = Site::new();
    let elsewhere = tempfile::tempdir().expect("a folder");
    for round in 0..20 {
        let mut other = other_process("deploy_for_ever", &site.target.dest, &elsewhere);
        // The process is killed at a random moment after this number of changes. Its steps take
        // different times.
        let mut changes = 0;
        let mut seen = None;
        wait_until("the other process deploys", || {
            let inode = fs::metadata(&site.target.dest).map(|found| found.ino()).ok();
            changes += u32::from(inode != seen);
            seen = inode;
            changes > 2 + round % 5
        });
        other.kill().expect("killed");
        other.wait().expect("ended");
        let content = site.content();
        assert!(CONTENTS.iter().any(|wanted| content == wanted.repeat(50_000)), "torn");
        sweep_site(&site);
        let mut names = site.names();
        names.retain(|name| name != ".app.conf.reload-pending");
        assert_eq!(names, ["app.conf"]);
    }
}

#[test]
fn leftovers_of_a_killed_run_are_swept_and_files_of_a_living_run_are_not() {
    let site = Site::with("old");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let mut other = other_process("stage_and_hang", &site.target.dest, &elsewhere);
    wait_until("the other process has staged", || {
        // The lock is asked for, because the name alone does not show the state.
        site.names().len() == 2 && sweep_is_held(&site)
    });
    assert_eq!(sweep_site(&site), 0);
    assert_eq!(site.names().len(), 2);

    other.kill().expect("killed");
    other.wait().expect("ended");
    let steps = site.observe();
    assert_eq!(sweep_site(&site), 1);
    assert_eq!(
        site.plain_steps(&steps),
        ["INFO Removed the stage file of a killed run: DIR/.app.conf#"]
    );
    assert_eq!(site.names(), ["app.conf"]);
    assert_eq!(site.content(), "old");
}

/// Whether a process holds the lock of the site's stage file.
fn sweep_is_held(site: &Site) -> bool {
    let stage = site.names().into_iter().find(|name| name != "app.conf").expect("a stage file");
    let folder = Folder::open(site.folder.path()).expect("open");
    let locked = crate::create::lock(&FileAt::new(&folder, stage));
    matches!(locked, Err(std::fs::TryLockError::WouldBlock))
}

/// Leaves a stage file as a killed process would.
fn leave_one(target: &Target, options: Options) -> PathBuf {
    let member = Member::file(target.clone(), "left");
    let staged = Transaction::stage(vec![member], &options).expect("staged");
    let path = stage_file(&staged).expect("a stage file");
    let copy = path.with_extension("copy");
    fs::copy(&path, &copy).expect("copy");
    drop(staged);
    fs::rename(&copy, &path).expect("rename");
    path
}

#[test]
fn kept_stage_files_and_other_programs_files_are_never_swept() {
    let site = Site::with("old");
    leave_one(&site.target, Options { keep_stage_file: true, ..Options::default() });
    for name in [
        ".app.conf3112632618",
        ".app.conf",
        ".app.conf.swp",
        ".app.conf123",
        ".app.conf.reload-pending",
        "app.conf1234567890",
        ".other1234567890",
    ] {
        fs::write(site.path(name), "").expect("write");
    }
    let before = site.names();
    assert_eq!(sweep_site(&site), 0);
    assert_eq!(site.names(), before);
}

#[test]
fn only_regular_files_are_swept() {
    let site = Site::with("old");
    let path = leave_one(&site.target, Options::default());
    fs::remove_file(&path).expect("remove");
    fs::create_dir(&path).expect("folder");
    assert_eq!(sweep_site(&site), 0);
    fs::remove_dir(&path).expect("remove");
    std::os::unix::fs::symlink("app.conf", &path).expect("link");
    assert_eq!(sweep_site(&site), 0);
    assert!(path.is_symlink());
}

#[test]
fn leftovers_of_many_destinations_are_found_in_their_folders() {
    let site = Site::new();
    fs::create_dir(site.path("sub")).expect("folder");
    let targets: Vec<Target> = ["a", "b", "a*b*c", "*", "sub/a", "b."]
        .iter()
        .map(|name| target_in(site.folder.path(), name))
        .collect();
    for target in &targets {
        leave_one(target, Options::default());
    }
    let unrelated = leave_one(&target_in(site.folder.path(), "z"), Options::default());
    let missing = site.path("missing/a");
    let dests = targets.iter().map(|target| target.dest.as_path()).chain([missing.as_path()]);
    assert_eq!(sweep(dests, &site.options, &site.steps), targets.len());
    assert_eq!(names_in(&site.path("sub")), [""; 0]);
    assert_eq!(
        site.names(),
        [unrelated.file_name().expect("a name").to_str().expect("text"), "sub"]
    );
}
