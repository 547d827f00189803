//! Tests of whole transactions.

mod big;
mod confined;
mod directories;
mod failures;
mod group_check;
mod histories;
mod hostile;
mod ignoring;
mod kills;
mod preserving;
mod refusing;
mod reloads;
mod rollback;
mod sets;
mod starting;
mod steps;
mod swapped;
mod sweeping;
mod worlds;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;

use crate::testing::{Steps, run, target_in};
use crate::{AtOnce, Disk, Durable, Error, Member, Options, Outcome, Step, Target, Transaction};

/// A folder with one destination, `app.conf`.
struct Site {
    folder: TempDir,
    target: Target,
    options: Options,
    steps: Steps,
}

impl Site {
    fn new() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let target = target_in(folder.path(), "app.conf");
        Site { folder, target, options: Options::default(), steps: Steps::default() }
    }

    /// A site whose destination holds `content`, with mode 0644.
    fn with(content: &str) -> Site {
        let site = Site::new();
        site.write(content);
        site
    }

    fn write(&self, content: &str) {
        fs::write(&self.target.dest, content).expect("write");
        set_mode(&self.target.dest, 0o644);
    }

    /// One whole transaction on a runtime of its own.
    fn deploy(&self, content: &str) -> Result<Outcome, Error> {
        run(self.deploy_async(content))
    }

    async fn deploy_async(&self, content: &str) -> Result<Outcome, Error> {
        let staged = self.stage(content)?;
        let mut durable = Durable::new();
        let outcomes =
            staged.finish(&self.steps.observer(), &mut durable, Disk::Elsewhere, &AtOnce).await;
        assert!(durable.sync(&|_: &Step<'_>| {}).is_empty());
        outcomes.map(only)
    }

    /// The first half of a transaction.
    fn stage(&self, content: impl AsRef<[u8]>) -> Result<Transaction, Error> {
        let content = Bytes::copy_from_slice(content.as_ref());
        Transaction::stage(vec![Member::file(self.target.clone(), content)], &self.options)
    }

    /// The second half of a transaction, without syncing folders.
    fn finish(&self, staged: Transaction) -> Result<Outcome, Error> {
        run(staged.finish(&self.steps.observer(), &mut Durable::new(), Disk::Here, &AtOnce))
            .map(only)
    }

    /// The steps from now on.
    fn observe(&self) -> Steps {
        self.steps.clear();
        self.steps.clone()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn content(&self) -> String {
        fs::read_to_string(&self.target.dest).expect("a destination")
    }

    fn mode(&self) -> u32 {
        fs::metadata(&self.target.dest).expect("a destination").mode() & 0o7777
    }

    /// The names in the folder, sorted.
    fn names(&self) -> Vec<String> {
        names_in(self.folder.path())
    }

    /// A command that appends a line to the file `ran`.
    fn note(&self, line: &str) -> String {
        format!("echo {line} >> {}", self.path("ran").display())
    }

    /// The lines that the commands appended.
    fn notes(&self) -> String {
        fs::read_to_string(self.path("ran")).unwrap_or_default()
    }

    /// The text of a step or error about this site, with its folder and stage file shown as
    /// `DIR` and `.app.conf#`.
    fn plain(&self, text: impl ToString) -> String {
        let mut text =
            text.to_string().replace(self.folder.path().to_str().expect("a text path"), "DIR");
        while let Some(at) = text.find(".app.conf").map(|at| at + ".app.conf".len()) {
            let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                break;
            }
            assert_eq!(digits, 10, "{text}");
            text.replace_range(at - 1..at + digits, "F#");
        }
        text.replace(".app.conF#", ".app.conf#")
    }

    fn plain_steps(&self, steps: &Steps) -> Vec<String> {
        steps.all().into_iter().map(|line| self.plain(line)).collect()
    }
}

/// The only element.
fn only<T>(all: Vec<T>) -> T {
    let count = all.len();
    let first = all.into_iter().next().filter(|_| count == 1);
    first.unwrap_or_else(|| panic!("{count} elements"))
}

/// The stage file of the only member.
fn stage_file(staged: &Transaction) -> Option<PathBuf> {
    only(staged.stage_files().collect())
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a text name"))
        .collect();
    names.sort();
    names
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

#[test]
fn deployments_may_move_between_threads() {
    fn is_send(_: &impl Send) {}
    let site = Site::new();
    let staged = site.stage("").expect("staged");
    is_send(&staged);
    let mut durable = Durable::new();
    is_send(&staged.finish(&site.steps.observer(), &mut durable, Disk::Elsewhere, &AtOnce));
}
