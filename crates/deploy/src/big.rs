//! Staging many files at the same time, with few open descriptors.
//!
//! A stage file is locked for as long as its process needs it, which takes a descriptor for each. A
//! transaction of thousands of files has not so many. So the stage files of a big transaction are not
//! locked, and a guard protects all of those in a folder from sweeps: an empty journal, which is
//! locked. It is made before the first stage file of the folder, and removed after the commit.
//!
//! Several threads stage the files, because most of the time is spent waiting for the disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::Options;
use crate::error::Error;
use crate::folder::Folder;
use crate::journal::Guard;
use crate::stage::Staged;
use crate::transaction::Member;

/// The most members whose stage files are locked one by one, and staged one after the other.
const FEW: usize = 64;
/// The most members that are staged at the same time.
const OVERLAP: usize = 16;

/// The guards of a big transaction, one for each folder in which it has stage files.
#[derive(Debug, Default)]
pub(crate) struct Guards(Mutex<Vec<Guard>>);

impl Guards {
    /// Guards the stage files of a folder, if that is not done yet.
    pub(crate) fn add(&self, folder: &Arc<Folder>) -> Result<(), Error> {
        let mut guards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !guards.iter().any(|guard| guard.folder() == folder.identity()) {
            guards.push(Guard::new(folder)?);
        }
        Ok(())
    }
}

/// The results of staging members, in their order.
pub(crate) type StagedEach = Vec<Result<Option<Staged>, Error>>;

/// Stages members, in their order. `None` is a member that must not exist and whose folder is missing.
/// The guards must live until the stage files are not needed any more.
///
/// Each has its own error if it cannot be staged.
pub(crate) fn stage_all(members: Vec<Member>, options: &Options) -> (StagedEach, Option<Guards>) {
    if members.len() <= FEW {
        let stage = |Member { target, content }| Staged::new(target, content, None, options);
        return (members.into_iter().map(stage).collect(), None);
    }
    let guards = Guards::default();
    let stage = |members: &[Member]| -> StagedEach {
        let stage = |Member { target, content }: &Member| {
            Staged::new(Arc::clone(target), content.clone(), Some(&guards), options)
        };
        members.iter().map(stage).collect()
    };
    let shares = thread::scope(|scope| {
        let threads: Vec<_> = members
            .chunks(members.len().div_ceil(OVERLAP))
            .map(|share| (share, thread::Builder::new().spawn_scoped(scope, || stage(share))))
            .collect();
        let staged = threads.into_iter().map(|(share, thread)| match thread.map(|t| t.join()) {
            Ok(Ok(staged)) => staged,
            // If no thread can be started, this thread does its work.
            Ok(Err(_)) | Err(_) => stage(share),
        });
        staged.collect::<Vec<_>>()
    });
    (shares.into_iter().flatten().collect(), Some(guards))
}
