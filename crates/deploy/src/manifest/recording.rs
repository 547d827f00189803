//! Keeps a manifest true while a transaction makes and removes files.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use super::Manifest;
use crate::apply::Applied;
use crate::change::Change;
use crate::error::Error;
use crate::folder::{FileAt, OpenPlace};
use crate::step::{Observer, Step};
use crate::{OnReloadFailure, Outcome, Target};

/// The members of a transaction that a manifest records, by their numbers.
pub(crate) struct Recording {
    manifest: Arc<Manifest>,
    members: Vec<Recorded>,
}

struct Recorded {
    target: Arc<Target>,
    /// `None` if the file is not below the folder of the manifest.
    name: Option<OsString>,
    /// Whether there must be no file.
    is_absent: bool,
}

fn is_regular(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file())
}

/// Whether a later transaction has something to do for a file that is not there: a reload is pending
/// after the file was removed again, or a hold has to end. Without its name in the manifest, no member
/// would be made for it after its keys are gone.
fn is_something_pending(target: &Target) -> bool {
    let is_there = |file: FileAt| file.lstat().is_ok();
    let place = OpenPlace::find(target).ok().flatten();
    place.is_some_and(|place| {
        [place.marker(), place.hold(), place.trial()].into_iter().any(is_there)
    })
}

impl Recording {
    /// Prepares for these members: each with its target, and whether it must be absent. `recorded` are
    /// the numbers of those that the manifest is for.
    pub(crate) fn new(
        manifest: Arc<Manifest>,
        members: impl Iterator<Item = (Arc<Target>, bool)>,
        recorded: &HashSet<usize>,
    ) -> Recording {
        let members = members.enumerate().map(|(nth, (target, is_absent))| Recorded {
            name: manifest.name_of(&target.dest).filter(|_| recorded.contains(&nth)),
            target,
            is_absent,
        });
        let members = members.collect();
        Recording { manifest, members }
    }

    fn name(&self, nth: usize) -> Option<OsString> {
        self.members.get(nth)?.name.clone()
    }

    /// Whether the file of the member with this number was certainly put in place before.
    pub(crate) fn has_committed(&self, nth: usize) -> bool {
        self.name(nth).is_some_and(|name| self.manifest.has_committed(&name))
    }

    /// Records what is about to be committed.
    ///
    /// # Errors
    /// The manifest cannot be written. Nothing may be committed.
    pub(crate) fn begin(&self, changes: &[Change]) -> Result<(), Error> {
        self.manifest
            .begin(changes.iter().filter_map(|change| Some((self.name(change.nth)?, change))))
    }

    /// Notes which files are in place.
    pub(crate) fn committed(&self, applied: &[Applied]) {
        let updated = applied.iter().filter(|applied| applied.outcome == Outcome::Updated);
        self.manifest.note_ours(updated.filter_map(|applied| self.name(applied.nth)));
    }

    /// Records the result of the transaction. Files that were found in sync are recorded too: their
    /// manifest may have been lost.
    pub(crate) fn conclude(
        &self,
        result: Result<Vec<Outcome>, Error>,
        observer: &dyn Observer,
    ) -> Result<Vec<Outcome>, Error> {
        let Recording { manifest, members } = self;
        let name = |member: &Recorded| member.name.clone();
        let written = match &result {
            Ok(outcomes) => {
                let (mut gone, mut must_write, mut is_good) = (Vec::new(), false, false);
                for (member, outcome) in members.iter().zip(outcomes) {
                    match (name(member), outcome) {
                        (Some(name), outcome) if member.is_absent => {
                            // It stays if a person has put an older version back.
                            let stays =
                                *outcome == Outcome::Unchanged && is_regular(&member.target.dest);
                            gone.extend((!stays).then_some(name));
                        }
                        (Some(name), Outcome::Unchanged | Outcome::Reloaded) => {
                            must_write |= manifest.note_ours([name]);
                        }
                        (Some(_), Outcome::Updated) => {
                            is_good |= member.target.on_reload_failure == OnReloadFailure::RollBack;
                        }
                        _ => {}
                    }
                }
                let forgotten = manifest.forget(gone, must_write);
                forgotten.and_then(|()| if is_good { manifest.write_noted() } else { Ok(()) })
            }
            Err(_) => {
                // Files may have been put back, some of them as copies.
                let (found, missing): (Vec<_>, Vec<_>) = members
                    .iter()
                    .partition(|member| member.target.dest.symlink_metadata().is_ok());
                let back = found.into_iter().filter(|member| member.is_absent);
                let (pending, gone): (Vec<_>, Vec<_>) =
                    missing.into_iter().partition(|member| is_something_pending(&member.target));
                let [gone, pending] = [gone, pending].map(|it| it.into_iter().filter_map(name));
                manifest.restore(back.filter_map(name), gone, pending)
            }
        };
        if let Err(error) = written {
            observer.observe(&Step::ManifestNotWritten { error: &error });
        }
        result
    }
}
