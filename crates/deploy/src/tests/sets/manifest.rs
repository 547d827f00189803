//! The manifest of files that are made from keys.

use std::ffi::OsStr;
use std::mem::forget;

use super::*;
use crate::{Manifest, OnReloadFailure};

/// A folder of made files.
struct Made {
    folder: TempDir,
    target: Target,
    options: Options,
    steps: Steps,
}

impl Made {
    fn new() -> Made {
        Made::at(tempfile::tempdir().expect("a folder"))
    }

    fn at(folder: TempDir) -> Made {
        let mut target = Target::new("");
        target.make_directories = Some(0o755);
        target.below = Some(folder.path().to_owned());
        Made { folder, target, options: Options::default(), steps: Steps::default() }
    }

    fn open(&self) -> Result<Manifest, Error> {
        Manifest::open(self.folder.path(), OsStr::new("vhosts"), &self.steps)
    }

    /// The names in the manifest on the disk, which count as ours.
    fn ours(&self) -> Vec<String> {
        ours(&self.open().expect("a manifest"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn manifest_file(&self) -> PathBuf {
        self.path(".vhosts.confd-files")
    }

    /// Deploys these files; those without content must not exist.
    fn deploy(
        &self,
        manifest: &Arc<Manifest>,
        files: &[(&str, Option<&str>)],
    ) -> Result<Vec<Outcome>, Error> {
        let member = |(name, content): &(&str, Option<&str>)| Member {
            target: Arc::new(Target { dest: self.path(name), ..self.target.clone() }),
            content: content.map(|content| Bytes::copy_from_slice(content.as_bytes())),
        };
        let staged = Transaction::stage(files.iter().map(member).collect(), &self.options)?;
        let staged = staged.recorded_in(Arc::clone(manifest), (0..100).collect());
        run(staged.finish(&self.steps.observer(), &mut Durable::new(), Disk::Elsewhere, &AtOnce))
    }

    /// Opens the manifest, deploys, and leaves the manifest as a killed process does.
    fn deploy_once(&self, files: &[(&str, Option<&str>)]) -> Result<Vec<Outcome>, Error> {
        let manifest = Arc::new(self.open()?);
        let outcomes = self.deploy(&manifest, files);
        forget(manifest);
        outcomes
    }
}

fn ours(manifest: &Manifest) -> Vec<String> {
    let text = |path: PathBuf| path.into_os_string().into_string().expect("text");
    manifest.ours().into_iter().map(text).collect()
}

#[test]
fn made_files_are_ours_until_they_are_removed() {
    let made = Made::new();
    assert_eq!(made.ours(), [""; 0]);
    assert_eq!(names_in(made.folder.path()), [""; 0]);
    fs::write(made.path("foreign"), "x").expect("write");
    made.deploy_once(&[("b", Some("1")), ("sub/a", Some("1"))]).expect("deployed");
    assert_eq!(made.ours(), ["b", "sub/a"]);
    made.deploy_once(&[("b", Some("2"))]).expect("deployed");
    made.deploy_once(&[("b", Some("3"))]).expect("deployed");
    assert_eq!(made.ours(), ["b", "sub/a"]);
    let outcomes = made.deploy_once(&[("b", Some("3")), ("sub/a", None)]).expect("deployed");
    assert_eq!(outcomes, [Outcome::Unchanged, Outcome::Removed]);
    assert_eq!(made.ours(), ["b"]);
    assert_eq!(names_in(made.folder.path()), [".vhosts.confd-files", "b", "foreign", "sub"]);
    // Even its folder may be gone.
    fs::remove_dir(made.path("sub")).expect("removed");
    made.deploy_once(&[("sub/a", None)]).expect("nothing to do");
}

#[test]
fn a_file_beside_the_folder_of_the_manifest_is_not_recorded() {
    let mut made = Made::new();
    made.target.below = None;
    made.deploy_once(&[("../beside", Some("1"))]).expect("deployed");
    fs::remove_file(made.path("../beside")).expect("removed");
    assert_eq!(made.ours(), [""; 0]);
}

#[test]
fn noop_records_nothing() {
    let mut made = Made::new();
    made.deploy_once(&[("a", Some("1"))]).expect("deployed");
    let before = fs::read(made.manifest_file()).expect("a manifest");
    made.options.noop = true;
    let outcomes = made.deploy_once(&[("a", None), ("b", Some("1"))]).expect("noop");
    assert_eq!(outcomes, [Outcome::WouldRemove, Outcome::WouldUpdate]);
    assert_eq!(fs::read(made.manifest_file()).expect("a manifest"), before);
}

#[test]
fn a_name_whose_commit_did_not_happen_counts_only_for_that_file() {
    let made = Made::new();
    // The second member cannot be replaced.
    fs::create_dir(made.path("b")).expect("a folder");
    let manifest = Arc::new(made.open().expect("a manifest"));
    made.deploy(&manifest, &[("a", Some("1")), ("b", Some("1"))]).expect_err("a folder");
    assert!(!ours(&manifest).contains(&"a".to_owned()));
    assert!(!made.path("a").exists());
    drop(manifest);
    fs::write(made.path("a"), "of another program").expect("write");
    assert_eq!(made.ours(), [""; 0]);
}

#[test]
fn a_removed_file_stays_in_the_manifest_until_its_reload_has_succeeded() {
    let mut made = Made::new();
    made.deploy_once(&[("a", Some("1")), ("b", Some("1"))]).expect("deployed");
    let reload = format!("test -e {}", made.path("up").display());
    made.target.reload_cmd = Some(reload.into());
    made.deploy_once(&[("a", None)]).expect_err("the service is down");
    assert_eq!(made.ours(), ["a", "b"]);
    let error = made.deploy_once(&[("a", None)]).expect_err("the service is still down");
    assert!(matches!(error, Error::PendingReload { .. }), "{error:?}");
    fs::write(made.path("up"), "").expect("write");
    assert_eq!(made.deploy_once(&[("a", None)]).expect("reloaded"), [Outcome::Reloaded]);
    assert_eq!(made.ours(), ["b"]);
}

#[test]
fn a_rollback_brings_the_manifest_back_too() {
    let mut made = Made::new();
    made.deploy_once(&[("a", Some("1"))]).expect("deployed");
    made.target.reload_cmd = Some("exit 1".to_owned().into());
    made.target.on_reload_failure = OnReloadFailure::RollBack;
    made.target.may_be_held = true;
    let error = made.deploy_once(&[("a", None), ("b", Some("1"))]).expect_err("the reload fails");
    assert!(matches!(error, Error::RolledBack { .. }), "{error:?}");
    // A reload is pending for `b`, which is not there again.
    assert_eq!(made.ours(), ["a", "b"]);
    fs::write(made.path("b"), "of another program").expect("write");
    assert_eq!(made.ours(), ["a"]);
    fs::write(made.path("a"), "changed").expect("write");
    assert_eq!(made.ours(), ["a"]);
}

#[test]
fn files_that_are_in_sync_are_recorded_again_if_the_manifest_is_lost() {
    let made = Made::new();
    made.deploy_once(&[("a", Some("1")), ("b", Some("1"))]).expect("deployed");
    fs::remove_file(made.manifest_file()).expect("removed");
    let manifest = Arc::new(made.open().expect("a manifest"));
    assert_eq!(made.deploy(&manifest, &[("a", Some("1"))]).expect("in sync"), [Outcome::Unchanged]);
    drop(manifest);
    assert_eq!(made.ours(), ["a"]);
}

#[test]
fn several_processes_may_write_one_manifest() {
    let made = Made::new();
    let one = Arc::new(made.open().expect("a manifest"));
    let other = Arc::new(made.open().expect("a manifest"));
    made.deploy(&one, &[("a", Some("1"))]).expect("deployed");
    made.deploy(&other, &[("b", Some("1"))]).expect("deployed");
    made.deploy(&one, &[("c", Some("1"))]).expect("deployed");
    made.deploy(&other, &[("a", None)]).expect("removed");
    // One of them writes the whole file again.
    for number in 0..200 {
        let content = (number % 2 == 0).then_some("1");
        made.deploy(&one, &[("d", content)]).expect("deployed");
    }
    made.deploy(&other, &[("e", Some("1"))]).expect("deployed");
    drop((one, other));
    assert_eq!(made.ours(), ["b", "c", "e"]);
    assert!(fs::metadata(made.manifest_file()).expect("a manifest").len() < 10_000);
    let hidden: Vec<_> = names_in(made.folder.path());
    assert_eq!(hidden, [".vhosts.confd-files", "b", "c", "e"]);
}

#[test]
fn a_manifest_that_cannot_be_trusted_is_an_error_that_says_what_to_do() {
    let made = Made::new();
    made.deploy_once(&[("a", Some("1"))]).expect("deployed");
    made.deploy_once(&[("b", Some("1"))]).expect("deployed");
    let whole = fs::read(made.manifest_file()).expect("a manifest");
    let text = |error: Error| error.to_string().replace(made.path("").to_str().expect("text"), "");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(made.manifest_file(), &damaged).expect("write");
    let error = made.open().expect_err("damaged");
    assert_eq!(
        text(error),
        ".vhosts.confd-files: this list of the files that confd has made is damaged, so no file is \
         removed; without it confd begins a new list, and keeps the files whose keys are gone by then"
    );
    fs::rename(made.manifest_file(), made.path("elsewhere")).expect("renamed");
    symlink(made.path("elsewhere"), made.manifest_file()).expect("a link");
    let error = text(made.open().expect_err("a link"));
    assert_eq!(error, "open .vhosts.confd-files: too many levels of symbolic links");
    fs::remove_file(made.manifest_file()).expect("removed");
    fs::write(made.path("elsewhere"), &whole).expect("write");
    fs::hard_link(made.path("elsewhere"), made.manifest_file()).expect("linked");
    let error = text(made.open().expect_err("two names"));
    let expected = "open .vhosts.confd-files: it is not a file of the user of this process with one \
                    name";
    assert_eq!(error, expected);
    fs::rename(made.manifest_file(), made.path("beside")).expect("renamed");
    fs::create_dir(made.manifest_file()).expect("a folder");
    assert_eq!(text(made.open().expect_err("a folder")), expected);
    fs::remove_dir(made.manifest_file()).expect("removed");
    fs::rename(made.path("beside"), made.manifest_file()).expect("renamed");
    fs::remove_file(made.path("elsewhere")).expect("removed");
    assert_eq!(made.ours(), ["a", "b"]);
    // A record that was cut is ignored, and the next one replaces it.
    fs::write(made.manifest_file(), &whole[..whole.len() - 1]).expect("write");
    assert_eq!(made.ours(), ["a"]);
    made.deploy_once(&[("c", Some("1"))]).expect("deployed");
    assert_eq!(made.ours(), ["a", "c"]);
}

#[test]
fn names_that_lead_out_of_the_folder_are_reported_and_ignored() {
    let made = Made::new();
    crate::manifest::write_names(&made.manifest_file(), &["/etc/passwd", "a/../../b", "good"]);
    assert_eq!(made.ours(), ["good"]);
    let folder = made.folder.path().to_str().expect("text");
    let lines: Vec<_> = made.steps.all().iter().map(|line| line.replace(folder, "DIR")).collect();
    assert_eq!(
        lines,
        [
            "ERROR DIR/.vhosts.confd-files: \"/etc/passwd\" begins with a slash, and is not below the \
             folder: the name is ignored, and its file is not removed",
            "ERROR DIR/.vhosts.confd-files: \"a/../../b\" has the name . or .., which may lead out of \
             the folder: the name is ignored, and its file is not removed",
        ]
    );
}

/// The made files of the other process, if this is the other process.
fn made_by_parent() -> Option<(Made, PathBuf)> {
    let folder = variable(FOLDER).map(PathBuf::from)?;
    Some((Made::new(), folder))
}

/// The other process's part of the test below: two new files, an update and a removal.
#[test]
fn make_and_die() {
    let Some((mut made, folder)) = made_by_parent() else { return };
    let manifest = Manifest::open(&folder, OsStr::new("vhosts"), &made.steps);
    let manifest = Arc::new(manifest.expect("a manifest"));
    made.target.below = Some(folder.clone());
    made.target.reload_cmd = Some(format!("echo ran >> {}/ran", folder.display()).into());
    let names = FILES.map(|(name, content)| (folder.join(name), content));
    let files = names.each_ref().map(|(name, content)| (name.to_str().expect("text"), *content));
    made.deploy(&manifest, &files).expect("deployed");
}

const FILES: [(&str, Option<&str>); 4] =
    [("new", Some("new")), ("sub/new", Some("new")), ("changed", Some("new")), ("gone", None)];

#[test]
fn a_process_killed_at_any_step_leaves_a_manifest_of_exactly_our_files() {
    let mut points = 0;
    loop {
        let made = Made::new();
        made.deploy_once(&[("changed", Some("old")), ("gone", Some("old"))]).expect("deployed");
        let context = format!("killed at {points}");
        let status = other_process_in(made.folder.path(), "manifest::make_and_die")
            .env(DIE_AT, points.to_string())
            .status()
            .expect("started");
        let paths = FILES.map(|(name, _)| made.path(name));
        sweep(paths.iter().map(|path| &**path), &made.options, &made.steps);
        let listed = made.ours();
        for (name, _) in FILES {
            if made.path(name).exists() {
                assert!(listed.contains(&name.to_owned()), "{context}: {name} is not listed");
            }
        }
        let is_pending = made.path(".gone.reload-pending").exists();
        if is_pending {
            assert!(listed.contains(&"gone".to_owned()), "{context}: the reload is forgotten");
        }
        // Another program makes the files that are not there.
        for (name, _) in FILES {
            if !made.path(name).exists() && made.path(name).parent().is_some_and(Path::exists) {
                fs::write(made.path(name), "of another program").expect("write");
                let listed = made.ours();
                assert!(!listed.contains(&name.to_owned()), "{context}: {name} is listed");
                fs::remove_file(made.path(name)).expect("removed");
            }
        }
        made.deploy_once(&FILES).expect("deployed");
        assert_eq!(made.ours(), ["changed", "new", "sub/new"], "{context}");
        if status.success() {
            break;
        }
        points += 1;
    }
    assert!(points > 25, "only {points} failpoints");
}

#[test]
fn ten_thousand_names_are_written_and_read_at_once() {
    let made = Made::new();
    let names: Vec<String> = (0..10_000).map(|nth| format!("host-{nth:05}.example.org")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    crate::manifest::write_names(&made.manifest_file(), &names);
    assert_eq!(made.ours(), names);
}
