//! Compares the members of a transaction with their destinations, and checks those that differ.

use std::sync::Arc;

use bytes::Bytes;
use command::Program;

use crate::error::Error;
use crate::folder::{OpenPlace, is_file};
use crate::hold::{Digest, HeldBy, Hold};
use crate::manifest::Recording;
use crate::pending::Marker;
use crate::proposal::Proposal;
use crate::reload::{Reloads, pending_event};
use crate::shared::report_shared;
use crate::stage::{Becomes, Difference, StageFile, Staged};
use crate::step::{Level, Observer, Step};
use crate::trial::Trial;
use crate::undo::Identity;
use crate::{Options, Outcome, Target, compare};

/// The members of a transaction, compared with their destinations.
pub(crate) struct Compared {
    /// The outcomes, as far as they are known.
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) changes: Vec<Change>,
    /// The pending reloads of members that are in sync.
    pub(crate) reloads: Reloads,
}

impl Compared {
    /// The same, with the pending reloads of destinations that stay as they are. Their outcomes come
    /// after those of the members.
    pub(crate) fn beside(mut self, kept: Vec<Staged>, options: &Options) -> Compared {
        let first = self.outcomes.len();
        self.outcomes.resize(first + kept.len(), Outcome::Unchanged);
        self.reloads.add_kept(first, kept, options);
        self
    }
}

pub(crate) fn compare_all(
    members: Vec<Option<Staged>>,
    contents: Option<Digest>,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Compared, Error> {
    let mut outcomes = vec![Outcome::Unchanged; members.len()];
    let (mut changes, mut reloads) = (Vec::with_capacity(members.len()), Reloads::default());
    // A set is rolled back together.
    let rolls_back = members.iter().flatten().any(|member| member.target.rolls_back(options));
    for (nth, member) in members.into_iter().enumerate() {
        let Some(member) = member else { continue };
        if !options.noop {
            forget_reload(&member.target, &member.place, observer);
        }
        match compare(nth, member, &mut reloads, rolls_back, contents, options, observer)? {
            Some(Change { becomes: Becomes::File(_), .. }) if options.noop => {
                outcomes[nth] = Outcome::WouldUpdate;
            }
            Some(_) if options.noop => outcomes[nth] = Outcome::WouldRemove,
            Some(change) => changes.push(Change { rolls_back, ..change }),
            None => {}
        }
    }
    Ok(Compared { outcomes, changes, reloads })
}

/// Removes the marker of a pending reload if the target has no command for it any more. Such a
/// marker would stay for ever.
fn forget_reload(target: &Target, place: &OpenPlace, observer: &dyn Observer) {
    if target.reload_cmd.as_ref().is_none_or(Program::is_empty)
        && let Some(marker) = Marker::find_forgotten(place)
        && let Some(event) = pending_event(target, place)
        && target.command_after(event, &Options::default()).is_none()
    {
        observer.observe(&Step::ReloadForgotten { dest: &target.dest });
        marker.clear(observer);
    }
}

/// A member whose destination is to be replaced or removed.
pub(crate) struct Change {
    /// The member's number in the transaction.
    pub(crate) nth: usize,
    pub(crate) target: Arc<Target>,
    pub(crate) content: Option<Bytes>,
    pub(crate) place: OpenPlace,
    pub(crate) becomes: Becomes,
    /// Whether the start command follows, if the target has one: the file did not exist before, or it
    /// has not been started since.
    pub(crate) is_start: bool,
    /// Whether another user can replace files in the folder.
    pub(crate) is_shared: bool,
    /// Whether the former file is kept until the reload has succeeded.
    pub(crate) rolls_back: bool,
    /// The digest of the contents of the transaction, if they may be held back.
    pub(crate) contents: Option<Digest>,
}

impl Change {
    /// Whether there is something to go back to: a former file, which the trial of an earlier process can
    /// have, or the absence of a file that depends on data. If that file was put in place before, and
    /// nothing is left of a rollback that has removed it, it was deleted, which is no state to go back to.
    pub(crate) fn has_former(&self, recordings: &[Recording]) -> bool {
        let place = &self.place;
        let was_deleted = || {
            recordings.iter().any(|recording| recording.has_committed(self.nth))
                && [place.hold(), place.marker()].iter().all(|file| file.lstat().is_err())
        };
        Identity::at(place.dest()).is_some()
            || place.trial().lstat().is_ok()
            || (self.target.below.is_some() && !was_deleted())
    }
}

/// Compares a member with its destination as it is now. Returns the change, if the destination must
/// be replaced or removed. If it is in sync, a pending reload of the member is added to `reloads`.
fn compare(
    nth: usize,
    member: Staged,
    reloads: &mut Reloads,
    rolls_back: bool,
    contents: Option<Digest>,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Option<Change>, Error> {
    let Some(member) = member.refreshed(options)? else { return Ok(None) };
    let Staged { target, content, place, mut becomes, difference, .. } = member;
    let dest = &target.dest;
    if content.is_some() {
        if options.keep_stage_file
            && let Some(Becomes::File(file)) = &mut becomes
        {
            observer.observe(&Step::Kept { stage: &file.path() });
            file.leave();
        }
        observer.observe(&Step::Comparing { dest });
    }
    let becomes = becomes.filter(|becomes| match becomes {
        Becomes::File(file) => differs(file, &target, &place, difference, observer),
        Becomes::Absent(_) => may_be_removed(&target, &place, observer),
    });
    let mut is_shared = false;
    if options.noop {
        match &becomes {
            Some(Becomes::Absent(_)) => observer.observe(&Step::WouldRemove { dest }),
            Some(Becomes::File(_)) if difference == Some(Difference::Missing) => {
                observer.observe(&Step::WouldCreate { dest });
            }
            Some(Becomes::File(_)) | None => {}
        }
        observer.observe(&Step::Noop { dest });
        if becomes.is_some()
            && observer.wants_proposals()
            && let Ok(proposal) = Proposal::at(&target, &place, content.as_ref())
        {
            observer.proposed(&proposal);
        }
    } else if let Some(becomes) = &becomes {
        if let Becomes::File(file) = becomes {
            is_shared = report_shared(place.folder().path(), observer);
            file.report_attributes(&target, observer);
        }
        observer.observe(&Step::OutOfSync { dest });
    } else {
        observer.observe(&Step::InSync { dest });
        if rolls_back {
            let trial = Trial::find(&target, &content, &place);
            match trial.and_then(|trial| trial.of_present(&place)) {
                Some(trial) => reloads.add_trial(trial),
                None => Trial::discard_rest(&place),
            }
        }
        reloads.add_pending(nth, Arc::clone(&target), &place, options);
        end_hold(&target, &place, contents, observer);
    }
    let is_start = target.start_cmd.is_some()
        && content.is_some()
        && (difference == Some(Difference::Missing) || Marker::is_of_start(&place));
    Ok(becomes.map(|becomes| Change {
        nth,
        target,
        content,
        place,
        becomes,
        is_start,
        is_shared,
        rolls_back,
        contents,
    }))
}

/// Whether the destination differs from its stage file. Reports the differences.
fn differs(
    file: &StageFile,
    target: &Target,
    place: &OpenPlace,
    difference: Option<Difference>,
    observer: &dyn Observer,
) -> bool {
    // A known difference is computed again only for the log. A missing file has no such line.
    let is_known = match difference {
        Some(Difference::Missing) => true,
        Some(Difference::Bytes) => !observer.wants(Level::Info),
        None => false,
    };
    is_known
        || !compare::is_in_sync(target, place.dest(), &file.attributes, &file.content, observer)
}

/// Whether the destination, which must not exist, is a regular file. This program has made no other.
fn may_be_removed(target: &Target, place: &OpenPlace, observer: &dyn Observer) -> bool {
    let is_regular = place.dest().lstat().is_ok_and(|found| is_file(&found));
    if !is_regular {
        observer.observe(&Step::NotRemoved { dest: &target.dest });
    }
    is_regular
}

/// Runs the member's check command, if it has one.
pub(crate) async fn check(
    change: &mut Change,
    options: &Options,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let Change { target, becomes: Becomes::File(file), .. } = change else { return Ok(()) };
    let Some(check) = target.check_cmd.as_ref().filter(|_| !options.sync_only) else {
        return Ok(());
    };
    file.verify_path()?;
    let path = file.path();
    let environment = observer.environment(&target.dest).of_file(&path, &target.dest);
    // Boxed, so that a pass without commands is not as large as one with commands.
    let run = Box::pin(check.run(&path, target.check_limit(options), &environment, observer));
    run.await.map_err(Error::Check)?;
    file.checked();
    Ok(())
}

/// Whether a person has put an older version back, or is about to, after these contents were staged.
pub(crate) fn is_held_by_person(place: &OpenPlace, contents: Option<Digest>) -> bool {
    contents.is_some_and(|contents| {
        Hold::find(place)
            .is_some_and(|hold| hold.by == HeldBy::Person && hold.contents.contains(&contents))
    })
}

/// Ends the hold of a destination that has got other content than the one that was held back.
/// `contents` are those of the transaction: a person may be putting an older version back just now.
pub(crate) fn end_hold(
    target: &Target,
    place: &OpenPlace,
    contents: Option<Digest>,
    observer: &dyn Observer,
) {
    if target.may_be_held
        && !is_held_by_person(place, contents)
        && let Err(error) = Hold::remove(place)
    {
        // Content that was held back once stays held back.
        observer.observe(&Step::NotPutBack { error: &error });
    }
}
