//! Runs the check commands of files that are not put in place.
//!
//! A transaction checks stage files beside the destinations. A rehearsal leaves the folders of the
//! destinations as they are, so it writes the files to a [`Scratch`], where each has the name that a stage
//! file would have. A check command that looks for files beside its `{{.src}}` does not find them there.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Error;
use crate::group_check::GroupCheck;
use crate::place::{FileKind, Place};
use crate::proposal::Proposal;
use crate::step::Observer;
use crate::{FileState, Options};

/// How many names are tried for a scratch folder.
const TRIES: usize = 16;
/// The numbers in the names of files.
const NUMBERS: std::ops::Range<u64> = 0..1_000_000_000;

/// A private folder for files that are checked. Dropping it removes it.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes a folder in `parent` that only this user can enter.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(parent: &Path) -> io::Result<Scratch> {
        let mut tries = 0;
        loop {
            let path = parent.join(format!("confd-rehearsal-{:09}", fastrand::u64(NUMBERS)));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Scratch(path)),
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && tries < TRIES => {
                    tries += 1;
                }
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Writes a file, with a name like that of the stage file of `dest`, to a folder of its own.
    fn write(&self, nth: usize, dest: &Path, state: &FileState) -> Result<PathBuf, Error> {
        let name: OsString = Place::of(dest)?.file_name(FileKind::Passing, fastrand::u64(NUMBERS));
        let folder = self.0.join(nth.to_string());
        let path = folder.join(name);
        let failed = |cause| Error::file("open", &path, cause);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => {}
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(failed(cause)),
        }
        let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        options.map_err(failed)?.write_all(&state.content).map_err(failed)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // An error cannot be reported here. The folder is private.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The results of the check commands of a rehearsal.
#[derive(Debug, Default)]
pub struct Checks {
    /// The number of commands that ran.
    pub ran: usize,
    /// The files whose check failed: their numbers among the proposals, and why.
    pub failed: Vec<(usize, Error)>,
    /// Why the group check failed. It runs only if all files pass.
    pub group: Option<Error>,
}

impl Checks {
    /// Whether no check failed.
    pub fn are_passed(&self) -> bool {
        self.failed.is_empty() && self.group.is_none()
    }
}

/// Runs the check command of each file that would change, and then the group check. Unlike a transaction,
/// it does not end at the first failure, so that all are known.
pub async fn rehearse_checks(
    proposals: &[Proposal],
    group: Option<GroupCheck>,
    options: &Options,
    scratch: &Scratch,
    observer: &Arc<dyn Observer>,
) -> Checks {
    let mut checks = Checks::default();
    let mut files = Vec::new();
    for (nth, proposal) in proposals.iter().enumerate().filter(|(_, it)| it.is_change) {
        let target = &proposal.target;
        let written = proposal.after.as_ref();
        match written.map(|after| scratch.write(nth, &target.dest, after)).transpose() {
            Ok(path) => files.push((nth, path)),
            Err(error) => checks.failed.push((nth, error)),
        }
    }
    for (nth, path) in &files {
        let target = &proposals[*nth].target;
        let (Some(path), Some(check)) = (path, &target.check_cmd) else { continue };
        let environment = observer.environment(&target.dest).of_file(path, &target.dest);
        let limit = target.check_limit(options);
        checks.ran += 1;
        if let Err(error) = check.run(path, limit, &environment, &**observer).await {
            checks.failed.push((*nth, Error::Check(error)));
        }
    }
    if let Some(group) = group.filter(|_| !files.is_empty() && checks.failed.is_empty()) {
        let files: Vec<_> =
            files.into_iter().map(|(nth, path)| (&*proposals[nth].target.dest, path)).collect();
        let others = proposals.iter().map(|it| it.target.dest.clone()).collect();
        checks.ran += 1;
        checks.group =
            group.beside(others).rehearse(&files, &scratch.0, options, observer).await.err();
    }
    checks
}
