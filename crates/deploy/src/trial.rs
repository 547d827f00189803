//! The trial of new content: until its reload has succeeded, the former file can be put back.
//!
//! Before a commit the former file gets a second name beside the destination, and a record says how
//! it is put back. The marker of the pending reload, the record and the former file exist until the
//! reload has succeeded. So a process that is killed at any moment leaves enough for the next one:
//! it tries the reload again, and rolls back if that fails.
//!
//! To roll back is: hold the new content back, rename the former file to the destination, reload.
//! The hold comes first: a process that is killed after it leaves content that is in place and held,
//! and the next one completes the rollback.
//!
//! Trials of one transaction end together: a [journal](crate::journal) says that they have ended until all
//! that they have left is removed.
//!
//! If a trial is followed by newer content before its reload has succeeded, the former file stays
//! the same: it is the last one that is known to be good.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::Target;
use crate::compare;
use crate::durable::Durable;
use crate::error::Error;
use crate::failpoint;
use crate::folder::{OpenPlace, is_file};
use crate::hold::{self, Digest, HeldBy, Hold};
use crate::journal::{Journal, encode, next_entry};
use crate::stage::{Becomes, done_text};
use crate::step::{Observer, RollbackCause, Step};
use crate::undo::{Entry, Identity, Undo};

const FIELDS: &[u8] = b"trial 1";
const END: &[u8] = b"end";
/// The longest record that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// One destination whose new content is in place, or about to be, and is not known to be good.
pub(crate) struct Trial {
    target: Arc<Target>,
    content: Option<Bytes>,
    entry: Entry,
    /// The destination from before the commit.
    before: Option<Identity>,
    /// Whether the former file is that of an earlier trial, whose reload has not succeeded.
    is_continued: bool,
}

impl Trial {
    /// Keeps the former file of a destination that is about to be replaced or removed.
    pub(crate) fn begin(
        target: &Arc<Target>,
        content: &Option<Bytes>,
        place: &OpenPlace,
        becomes: &Becomes,
    ) -> Result<Trial, Error> {
        let staged = match becomes {
            Becomes::File(file) => {
                Some(file.state_to_place()?.map_or(file.identity, |(identity, _)| identity))
            }
            Becomes::Absent(_) => None,
        };
        let before = Identity::at(place.dest());
        let earlier = Trial::find(target, content, place);
        let is_continued = earlier.is_some();
        let undo = match earlier {
            Some(earlier) => earlier.entry.undo,
            None => {
                // It belongs to a trial that has ended.
                let _ = place.former().remove();
                Undo::keep(place, &target.dest)?
            }
        };
        failpoint();
        let dest = std::path::absolute(&target.dest)
            .map_err(|cause| Error::file("getwd", &target.dest, cause))?;
        let entry = Entry { dest, staged, undo, marker: None };
        let (target, content) = (Arc::clone(target), content.clone());
        let trial = Trial { target, content, entry, before, is_continued };
        trial.write(place)?;
        failpoint();
        Ok(trial)
    }

    fn write(&self, place: &OpenPlace) -> Result<(), Error> {
        let text = format!(
            "{} was {} by confd, and the reload of its service has not succeeded since. If it \
             fails, confd puts the former file back, which is {} until then.\n",
            self.target.dest.display(),
            done_text(&self.content),
            place.former().path().display()
        );
        let mut fields = vec![FIELDS.to_vec()];
        encode(&self.entry, &mut fields);
        let before = self.before.map(|before| before.text()).unwrap_or_default();
        fields.extend([before.into_bytes(), END.to_vec()]);
        hold::put(place, &place.trial(), text.into_bytes(), &fields)
    }

    /// The trial of an earlier transaction, if its content is in place and its former file is there.
    pub(crate) fn find(
        target: &Arc<Target>,
        content: &Option<Bytes>,
        place: &OpenPlace,
    ) -> Option<Trial> {
        let text = hold::own_text(&place.trial(), LONGEST)?;
        let mut fields = text.split(|&byte| byte == 0).skip(1);
        if fields.next()? != FIELDS {
            return None;
        }
        let entry = next_entry(fields.next()?, &mut fields)?;
        let before = match fields.next()? {
            b"" => None,
            before => Some(Identity::from_text(before)?),
        };
        if fields.next()? != END {
            return None;
        }
        let (target, content) = (Arc::clone(target), content.clone());
        let trial = Trial { target, content, entry, before, is_continued: true };
        // A process that was killed before its commit has left the destination as it was before.
        let is_of_dest = Identity::at(place.dest()) == trial.before || trial.is_unchanged(place);
        (is_of_dest && trial.entry.has_former(place)).then_some(trial)
    }

    /// Whether the destination is what the commit has made it. One that was written in place is still
    /// the file that was there before, with the new content.
    fn is_unchanged(&self, place: &OpenPlace) -> bool {
        let Some(now) = Identity::at(place.dest()) else { return self.entry.staged.is_none() };
        let is_written_in_place = || {
            let (Undo::Copy { old, .. }, Some(content)) = (&self.entry.undo, &self.content) else {
                return false;
            };
            let found =
                place.dest().stat().ok().filter(|found| is_file(found) && now.is_same_file(old));
            found.is_some_and(|found| {
                compare::has_content(place.dest(), &found, content).unwrap_or(false)
            })
        };
        Some(now) == self.entry.staged || is_written_in_place()
    }

    fn place(&self) -> Result<OpenPlace, Error> {
        OpenPlace::existing(&self.target)
    }

    /// Ends the trial because the commit did not happen. An earlier trial goes on.
    pub(crate) fn withdraw(self, place: &OpenPlace) {
        if !self.is_continued {
            Trial::discard(place);
        }
    }

    /// Whether the former file is the destination itself under another name. If that is written in
    /// place, there is no former content any more.
    pub(crate) fn is_link(&self) -> bool {
        matches!(self.entry.undo, Undo::Link { .. })
    }

    /// The identity of the former file; `None` if there was none.
    pub(crate) fn former(&self, place: &OpenPlace) -> Option<Identity> {
        self.entry.undo.file(place).map(|(_, identity)| *identity)
    }

    /// Whether the destination is as it was before the commit.
    pub(crate) fn is_undone(&self, place: &OpenPlace) -> bool {
        self.before != self.entry.staged && Identity::at(place.dest()) == self.before
    }

    /// The trial of the file that is in place. If a process was killed between the record and its commit,
    /// that is the file from before the commit: either it is the former file, and there is no trial, or
    /// it belongs to the trial that the record continues.
    pub(crate) fn of_present(mut self, place: &OpenPlace) -> Option<Trial> {
        if !self.is_undone(place) {
            return Some(self);
        }
        if self.before == self.former(place) {
            return None;
        }
        self.entry.staged = self.before;
        Some(self)
    }

    /// Removes what a trial has left that has ended or has not begun. A file that stays as it is, or that
    /// is gone, has no next trial, which would remove it.
    pub(crate) fn discard_rest(place: &OpenPlace) {
        if [place.trial(), place.former()].iter().any(|file| file.lstat().is_ok()) {
            Trial::discard(place);
        }
    }

    /// Removes what the trial that `record` identifies has left, unless a newer trial has begun since.
    pub(crate) fn discard_ended(place: &OpenPlace, record: &Identity) {
        if Identity::at(&place.trial()).is_none_or(|now| now == *record) {
            Trial::discard(place);
        }
    }

    /// Removes what trials have left beside a destination.
    pub(crate) fn discard(place: &OpenPlace) {
        // The former file comes first. What stays is removed by the next trial.
        let _ = place.former().remove();
        failpoint();
        let _ = place.trial().remove();
    }
}

/// The trials of a transaction.
#[derive(Default)]
pub(crate) struct Trials(Vec<Trial>);

/// How the files of a transaction were rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RolledBack {
    /// The former files are in place.
    Whole,
    /// Nothing was changed: there is no former file, or another program changed a destination.
    Not,
}

impl Trials {
    pub(crate) fn add(&mut self, trial: Trial) {
        self.0.push(trial);
    }

    /// The destinations.
    pub(crate) fn dests(&self) -> Vec<PathBuf> {
        self.0.iter().map(|trial| trial.target.dest.clone()).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends the trials of files whose reloads have succeeded.
    pub(crate) fn succeed(self) {
        let places = self.0.iter().filter_map(|trial| trial.place().ok());
        discard_together(&places.collect::<Vec<_>>());
    }

    /// Puts the former files of all members back, or none of them, and holds the new content back.
    ///
    /// `whole` has the digest of the new contents of the set.
    pub(crate) fn roll_back(
        self,
        whole: Digest,
        cause: &dyn RollbackCause,
        observer: &dyn Observer,
        durable: &mut Durable,
    ) -> Result<RolledBack, Error> {
        let mut trials = Vec::with_capacity(self.0.len());
        for trial in self.0 {
            let place = trial.place()?;
            trials.push((trial, place));
        }
        if trials.is_empty() {
            return Ok(RolledBack::Not);
        }
        if let Some((changed, _)) = trials.iter().find(|(trial, place)| !trial.is_unchanged(place))
        {
            observer.observe(&Step::NotRolledBack { dest: &changed.target.dest });
            let places = trials.into_iter().map(|(_, place)| place);
            discard_together(&places.collect::<Vec<_>>());
            return Ok(RolledBack::Not);
        }
        failpoint();
        let hold = Hold::new(HeldBy::Failure, vec![whole]);
        for (trial, place) in &trials {
            if let Err(error) = hold.write(place, &trial.target.dest) {
                observer.observe(&Step::HoldNotKept { error: &error });
            }
            failpoint();
        }
        for (trial, place) in trials.iter().rev() {
            failpoint();
            trial.entry.put_back(place, observer)?;
            durable.add(place.folder());
            let is_removed = trial.entry.undo == Undo::Remove;
            observer.observe(&Step::RolledBack { dest: &trial.target.dest, is_removed, cause });
        }
        for (_, place) in &trials {
            Trial::discard(place);
        }
        Ok(RolledBack::Whole)
    }
}

/// Ends trials that belong together: all of them, also if this process is killed between two of them. If
/// one went on, a later rollback would put files of two versions in place.
fn discard_together(places: &[OpenPlace]) {
    // Without a journal, as on a full disk, they end all the same.
    let journal = if places.len() > 1 { Journal::of_ended(places).ok() } else { None };
    for place in places {
        failpoint();
        Trial::discard(place);
    }
    journal.into_iter().for_each(Journal::close);
}
