//! Replaces and removes the files of a transaction: all of them, or none.

use std::sync::Arc;

use report::{Fingerprint, read_regular};

use crate::change::{Change, end_hold};
use crate::commit::{self, How};
use crate::durable::Durable;
use crate::error::Error;
use crate::failpoint;
use crate::folder::OpenPlace;
use crate::journal::Journal;
use crate::pending::Marker;
use crate::stage::{Becomes, done_text};
use crate::step::{Observer, Placed, Step};
use crate::trial::Trial;
use crate::undo::{Entry, Identity};
use crate::{FileEvent, Options, Outcome, Target};

/// A member that was put in place or removed.
pub(crate) struct Applied {
    /// The member's number in the transaction.
    pub(crate) nth: usize,
    pub(crate) target: Arc<Target>,
    /// [`Outcome::Updated`] or [`Outcome::Removed`].
    pub(crate) outcome: Outcome,
    /// The marker of its reload, if a reload follows.
    pub(crate) marker: Option<Marker>,
    /// What decides the command of this reload.
    pub(crate) event: FileEvent,
    /// Its trial, if the former file is kept.
    pub(crate) trial: Option<Trial>,
}

/// Puts all members in place, in their order, or none of them. Reports the members that have no
/// reload as updated.
pub(crate) fn apply_all(
    changes: Vec<Change>,
    options: &Options,
    observer: &dyn Observer,
    durable: &mut Durable,
) -> Result<Vec<Applied>, Error> {
    let applied = apply(changes, options, observer, durable)?;
    for Applied { target, outcome, marker, .. } in &applied {
        let dest = &target.dest;
        match (marker, outcome) {
            (None, Outcome::Removed) => observer.observe(&Step::Removed { dest }),
            (None, _) => observer.observe(&Step::Updated { dest }),
            (Some(_), _) => {}
        }
    }
    Ok(applied)
}

fn apply(
    mut changes: Vec<Change>,
    options: &Options,
    observer: &dyn Observer,
    durable: &mut Durable,
) -> Result<Vec<Applied>, Error> {
    if changes.len() > 1 {
        return apply_together(changes, options, observer, durable);
    }
    // A single rename needs no journal.
    let Some(mut change) = changes.pop() else { return Ok(Vec::new()) };
    change.announce(observer);
    let trial = change.begin_trial()?;
    failpoint();
    let marker = change.set_marker(options)?;
    failpoint();
    let how = match change.replace(true, observer) {
        Ok(how) => how,
        Err(error) => {
            if let Some(marker) = marker {
                marker.withdraw(&change.place, observer);
            }
            trial.into_iter().for_each(|trial| trial.withdraw(&change.place));
            return Err(error);
        }
    };
    failpoint();
    durable.add(change.place.folder());
    Ok(vec![change.applied(how, marker, trial, observer)])
}

/// Puts several members in place, with an undo journal.
fn apply_together(
    mut changes: Vec<Change>,
    options: &Options,
    observer: &dyn Observer,
    durable: &mut Durable,
) -> Result<Vec<Applied>, Error> {
    let mut journal = Journal::begin(changes.iter().map(|change| change.place.folder()))?;
    let mut applied = Vec::with_capacity(changes.len());
    match replace_all(&mut journal, &mut changes, &mut applied, options, observer) {
        Ok(()) => {
            // The removal of the journal is the commit. It is synced at the end of the pass.
            journal.dirty(durable);
            journal.commit();
            Ok(applied)
        }
        Err(error) => match journal.roll_back(observer) {
            Ok(()) => {
                for Applied { target, trial, .. } in applied {
                    if let (Some(trial), Ok(place)) = (trial, OpenPlace::existing(&target)) {
                        trial.withdraw(&place);
                    }
                }
                Err(error)
            }
            Err(put_back) => {
                Err(Error::HalfCommitted { commit: Box::new(error), put_back: Box::new(put_back) })
            }
        },
    }
}

fn replace_all(
    journal: &mut Journal,
    changes: &mut [Change],
    applied: &mut Vec<Applied>,
    options: &Options,
    observer: &dyn Observer,
) -> Result<(), Error> {
    for change in &*changes {
        failpoint();
        journal.add(change.entry(options)?);
    }
    journal.write()?;
    for (nth, change) in changes.iter_mut().enumerate() {
        failpoint();
        change.announce(observer);
        let trial = change.begin_trial()?;
        let marker = change.set_marker(options)?;
        failpoint();
        let how = change.replace(journal.has_copy(nth), observer)?;
        applied.push(change.applied(how, marker, trial, observer));
    }
    failpoint();
    // All renames must be on the disk before the journal is removed.
    journal.sync()
}

impl Change {
    fn set_marker(&self, options: &Options) -> Result<Option<Marker>, Error> {
        let (place, dest) = (&self.place, &self.target.dest);
        let set = |_| match self.is_start {
            true => Marker::set_start(place, dest),
            false => Marker::set(place, dest, done_text(&self.content)),
        };
        self.target.command_after(self.event(), options).map(set).transpose()
    }

    /// What happens to the file.
    fn event(&self) -> FileEvent {
        match (&self.becomes, self.is_start) {
            (Becomes::Absent(_), _) => FileEvent::Removed,
            (Becomes::File(_), true) => FileEvent::Created,
            (Becomes::File(_), false) => FileEvent::Replaced,
        }
    }

    /// Keeps the former file, if it may have to be put back.
    fn begin_trial(&self) -> Result<Option<Trial>, Error> {
        // A new mode or owner is no content that can be bad.
        let is_new = || {
            let found = read_regular(&self.target.dest).ok();
            found.is_none() || found.as_deref() != self.content.as_deref()
        };
        let begin = || Trial::begin(&self.target, &self.content, &self.place, &self.becomes);
        (self.rolls_back && is_new()).then(begin).transpose()
    }

    /// The former file of an earlier trial that goes on, if this change may be rolled back to it.
    pub(crate) fn former_on_trial(&self) -> Option<Identity> {
        let find = || Trial::find(&self.target, &self.content, &self.place);
        self.rolls_back.then(find)??.former(&self.place)
    }

    /// Says what is about to be done.
    fn announce(&self, observer: &dyn Observer) {
        let dest = &self.target.dest;
        observer.observe(&match self.becomes {
            Becomes::File(_) => Step::Overwriting { dest },
            Becomes::Absent(_) => Step::Removing { dest },
        });
    }

    /// The member after it was put in place or removed.
    fn applied(
        &self,
        how: How,
        marker: Option<Marker>,
        trial: Option<Trial>,
        observer: &dyn Observer,
    ) -> Applied {
        end_hold(&self.target, &self.place, self.contents, observer);
        let is_spoiled = |trial: &Trial| how == How::WrittenInPlace && trial.is_link();
        if trial.as_ref().is_some_and(is_spoiled) {
            Trial::discard(&self.place);
        }
        let trial = trial.filter(|trial| !is_spoiled(trial));
        let outcome = match self.becomes {
            Becomes::File(_) => Outcome::Updated,
            Becomes::Absent(_) => Outcome::Removed,
        };
        let (nth, target, event) = (self.nth, Arc::clone(&self.target), self.event());
        Applied { nth, target, outcome, marker, event, trial }
    }

    /// The entry of the undo journal, whose undo file is made now.
    fn entry(&self, options: &Options) -> Result<(Entry, OpenPlace), Error> {
        let entry = Entry::prepare(
            &self.target,
            &self.place,
            &self.becomes,
            self.target.command_after(self.event(), options).is_some(),
        )?;
        Ok((entry, self.place.clone()))
    }

    fn replace(&mut self, may_write_in_place: bool, observer: &dyn Observer) -> Result<How, Error> {
        let Change { target, place, becomes, is_shared, .. } = self;
        let file = match becomes {
            Becomes::File(file) => file,
            Becomes::Absent(found) => return commit::remove(target, place, *found),
        };
        file.is_at_risk |= *is_shared;
        let how = commit::commit(target, place, file, may_write_in_place, observer)?;
        let placed = match how {
            // Between the rename and the look at the destination another program may have changed
            // the file: then it was as it was staged.
            How::Renamed { staged, placed } => Placed {
                file: if staged.is_renamed_to(&placed) { placed } else { staged },
                has_staged_content: file.written == Some(staged),
            },
            How::Gone | How::Removed => return Ok(how),
            How::WrittenInPlace => match Fingerprint::at(&target.dest) {
                Some(file) => Placed { file, has_staged_content: true },
                None => return Ok(how),
            },
        };
        observer.replaced(&target.dest, &placed);
        Ok(how)
    }
}
