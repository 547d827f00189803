//! Applying a set of files: stage all, compare all, check, commit, reload.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use command::Program;
use report::{Fingerprint, read_regular};

use crate::commit::How;
use crate::disk::Disk;
use crate::durable::Durable;
use crate::error::Error;
use crate::failpoint;
use crate::folder::OpenPlace;
use crate::hold::{Digest, HeldBy, Hold};
use crate::journal::Journal;
use crate::pending::Marker;
use crate::reload::{Reloader, Reloads, Surroundings};
use crate::shared::report_shared;
use crate::stage::{Before, Difference, StageFile, Staged};
use crate::step::{Level, Observer, Placed, Step};
use crate::trial::{Trial, Trials};
use crate::undo::Entry;
use crate::{Options, Outcome, Target, commit, compare};

/// One file of a transaction.
#[derive(Clone, Debug)]
pub struct Member {
    /// The destination, with its attributes and commands.
    pub target: Arc<Target>,
    /// The content that the file must get.
    pub content: Bytes,
}

/// A set of staged members. Each has a stage file on the disk beside its destination, or is known
/// to be in sync. One file is a set of one.
///
/// It holds one open file descriptor for each stage file and one for each folder. Dropping it removes the stage files.
#[derive(Debug)]
pub struct Transaction {
    members: Vec<Staged>,
    options: Options,
    /// The digest of the contents, if they may be held back.
    contents: Option<Digest>,
    /// Why the contents are held back, if they are. Then nothing is staged.
    held: Option<HeldBy>,
}

impl Transaction {
    /// Stages every member, with its final owner and mode, safe on the disk.
    ///
    /// It may run on any thread, and blocks until the disk has finished, so callers with many
    /// transactions should stage several at the same time. A destination that is found to be in
    /// sync needs no stage file, unless stage files are to be kept.
    ///
    /// # Errors
    ///
    /// A folder is missing or not writable, the disk is full, or the owner that was asked for
    /// cannot be set. No stage file is left.
    pub fn stage(members: Vec<Member>, options: &Options) -> Result<Transaction, Error> {
        let may_be_held = members.iter().any(|member| member.target.may_be_held);
        let contents =
            may_be_held.then(|| Digest::of(members.iter().map(|member| &*member.content)));
        let held = contents.and_then(|contents| held_by(&members, contents));
        let mut staged = Vec::with_capacity(members.len());
        for Member { target, content } in members {
            staged.push(match held {
                Some(_) => Staged::held(target, content)?,
                None => Staged::new(target, content, options)?,
            });
        }
        Ok(Transaction { members: staged, options: *options, contents, held })
    }

    /// The members, for tests of the parts of a commit.
    #[cfg(test)]
    pub(crate) fn members(&self) -> &[Staged] {
        &self.members
    }

    /// The fingerprints of the destinations, in the order of the members, if all of them were in
    /// sync and if every later change is certain to change the fingerprint.
    pub fn found_in_sync(&self) -> Option<Vec<Fingerprint>> {
        self.members
            .iter()
            .map(Staged::found_in_sync)
            .collect::<Option<_>>()
            .filter(|_| !self.is_held())
    }

    /// What each destination holds now, in the order of the members.
    pub fn before(&self) -> impl Iterator<Item = Before> {
        self.members.iter().map(Staged::before)
    }

    /// Whether all destinations were in sync when they were staged.
    pub fn is_in_sync(&self) -> bool {
        !self.is_held() && self.members.iter().all(|member| member.file.is_none())
    }

    /// The digest of the contents, if they may be held back.
    pub fn contents(&self) -> Option<Digest> {
        self.contents
    }

    /// Whether the contents are held back, so that the destinations stay as they are.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// The stage file of each member, in their order; `None` for a member that was found in sync.
    pub fn stage_files(&self) -> impl Iterator<Item = Option<PathBuf>> {
        self.members.iter().map(|member| member.file.as_ref().map(StageFile::path))
    }

    /// Compares, checks, commits and reloads, with confd's steps. Returns the outcome of each
    /// member, in their order.
    ///
    /// Members that are in sync are left alone. A reload command that several members share runs
    /// once. The folder of each replaced file is added to `durable`, to be synced by the caller.
    ///
    /// `reloader` decides when the reload commands run. `disk` chooses the thread that compares,
    /// renames and removes files; only the commands are waited for on the caller's thread. It must run on a Tokio runtime with I/O and time enabled.
    /// Dropping the future kills a running command. The destinations are then as they were, or
    /// replaced with their reloads pending.
    ///
    /// # Errors
    /// - A check command failed, or a destination could not be replaced: the destinations are as
    ///   they were.
    /// - A reload command failed: see [`Error::is_written`].
    pub async fn finish(
        self,
        observer: &Arc<dyn Observer>,
        durable: &mut Durable,
        disk: Disk,
        reloader: &impl Reloader,
    ) -> Result<Vec<Outcome>, Error> {
        let Transaction { options, contents, held, .. } = self;
        if let Some(by) = held {
            // Boxed, because hardly any content is held back.
            let held = Box::pin(self.finish_held(by, observer, durable, disk, reloader));
            return held.await;
        }
        let compared = {
            let observer = Arc::clone(observer);
            disk.run(move || compare_all(self.members, &options, &*observer)).await?
        };
        let Compared { mut outcomes, mut changes, mut reloads } = compared;
        for change in &mut changes {
            if let Err(error) = check(change, &options, &**observer).await {
                // This removes the stage files.
                disk.run(move || drop(changes)).await;
                return Err(error);
            }
        }
        if !changes.is_empty() {
            let (observer, mut folders) = (Arc::clone(observer), std::mem::take(durable));
            let committed = disk.run(move || {
                let committed = commit_all(changes, &options, &*observer, &mut folders);
                (committed, folders)
            });
            let (committed, folders) = committed.await;
            *durable = folders;
            for Committed { nth, target, marker, trial } in committed? {
                outcomes[nth] = Outcome::Updated;
                if let Some(marker) = marker {
                    reloads.add(nth, target, marker, &options);
                }
                trial.into_iter().for_each(|trial| reloads.add_trial(trial));
            }
        }
        let surroundings = Surroundings { observer, disk, reloader, contents };
        reloads.run(&mut outcomes, durable, surroundings).await?;
        Ok(outcomes)
    }

    /// The second half for contents that are held back: completes a rollback that was interrupted,
    /// and tries a pending reload again.
    async fn finish_held(
        self,
        by: HeldBy,
        observer: &Arc<dyn Observer>,
        durable: &mut Durable,
        disk: Disk,
        reloader: &impl Reloader,
    ) -> Result<Vec<Outcome>, Error> {
        let Transaction { members, options, contents, .. } = self;
        let mut outcomes = vec![Outcome::Unchanged; members.len()];
        let dests: Vec<PathBuf> = members.iter().map(|member| member.target.dest.clone()).collect();
        if !options.noop {
            let prepared = {
                let observer = Arc::clone(observer);
                disk.run(move || held_reloads(members, by, contents, &options, &*observer))
            };
            let (reloads, folders) = prepared.await?;
            durable.absorb(folders);
            let surroundings = Surroundings { observer, disk, reloader, contents };
            reloads.run(&mut outcomes, durable, surroundings).await?;
        }
        match by {
            HeldBy::Failure => Err(Error::Held { dests }),
            HeldBy::Person => {
                dests.iter().for_each(|dest| observer.observe(&Step::HeldByPerson { dest }));
                Ok(outcomes)
            }
        }
    }
}

/// Why the contents of these members are held back; `None` if they are not. Contents that failed and
/// are in place all the same, because a person has put them there, are not held back.
fn held_by(members: &[Member], contents: Digest) -> Option<HeldBy> {
    let by = members.iter().find_map(|member| {
        let hold = Hold::of(&member.target.dest)?;
        hold.contents.contains(&contents).then_some(hold.by)
    });
    // A trial that has not ended is completed first.
    let is_there = |member: &Member| {
        let dest = &member.target.dest;
        read_regular(dest).is_ok_and(|found| found == *member.content)
            && OpenPlace::of(dest).is_ok_and(|place| place.trial().lstat().is_err())
    };
    by.filter(|by| *by == HeldBy::Person || !members.iter().all(is_there))
}

/// The pending reloads of members whose contents are held back. Completes a rollback first.
fn held_reloads(
    members: Vec<Staged>,
    by: HeldBy,
    contents: Option<Digest>,
    options: &Options,
    observer: &dyn Observer,
) -> Result<(Reloads, Durable), Error> {
    let (mut reloads, mut trials, mut durable) =
        (Reloads::default(), Trials::default(), Durable::new());
    for (nth, member) in members.into_iter().enumerate() {
        let Staged { target, content, place, .. } = member;
        if by == HeldBy::Failure {
            match Trial::find(&target, &content, &place) {
                Some(trial) if !trial.is_undone(&place) => trials.add(trial),
                Some(_) | None => Trial::discard(&place),
            }
        }
        // The command of a person runs the reload itself.
        if by == HeldBy::Failure || !Hold::is_busy(&place) {
            reloads.add_pending(nth, target, &place, options);
        }
    }
    if let Some(contents) = contents {
        let cause = "confd ended before the former file was back";
        trials.roll_back(contents, &cause, observer, &mut durable)?;
    }
    Ok((reloads, durable))
}

/// The members of a transaction, compared with their destinations.
struct Compared {
    /// The outcomes, as far as they are known.
    outcomes: Vec<Outcome>,
    changes: Vec<Change>,
    /// The pending reloads of members that are in sync.
    reloads: Reloads,
}

fn compare_all(
    members: Vec<Staged>,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Compared, Error> {
    let mut outcomes = vec![Outcome::Unchanged; members.len()];
    let (mut changes, mut reloads) = (Vec::with_capacity(members.len()), Reloads::default());
    // A set is rolled back together.
    let rolls_back = members.iter().any(|member| member.target.rolls_back(options));
    for (nth, member) in members.into_iter().enumerate() {
        if !options.noop {
            forget_reload(&member.target, &member.place, observer);
        }
        match compare(nth, member, &mut reloads, rolls_back, options, observer)? {
            Some(_) if options.noop => outcomes[nth] = Outcome::WouldUpdate,
            Some(change) => changes.push(Change { rolls_back, ..change }),
            None => {}
        }
    }
    Ok(Compared { outcomes, changes, reloads })
}

/// Removes the marker of a pending reload if the target has no reload command any more. Such a
/// marker would stay for ever.
fn forget_reload(target: &Target, place: &OpenPlace, observer: &dyn Observer) {
    if target.reload_cmd.as_ref().is_none_or(Program::is_empty)
        && let Some(marker) = Marker::find_forgotten(place)
    {
        observer.observe(&Step::ReloadForgotten { dest: &target.dest });
        marker.clear(observer);
    }
}

/// A member whose destination is to be replaced.
struct Change {
    /// The member's number in the transaction.
    nth: usize,
    target: Arc<Target>,
    content: Bytes,
    place: OpenPlace,
    file: StageFile,
    /// Whether another user can replace files in the folder.
    is_shared: bool,
    /// Whether the former file is kept until the reload has succeeded.
    rolls_back: bool,
}

/// Compares a member with its destination as it is now. Returns the change, if the destination must
/// be replaced. If it is in sync, a pending reload of the member is added to `reloads`.
fn compare(
    nth: usize,
    member: Staged,
    reloads: &mut Reloads,
    rolls_back: bool,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Option<Change>, Error> {
    let Staged { target, content, place, mut file, difference, .. } = member.refreshed(options)?;
    let dest = &target.dest;
    if let Some(file) = &mut file
        && options.keep_stage_file
    {
        observer.observe(&Step::Kept { stage: &file.path() });
        file.leave();
    }
    observer.observe(&Step::Comparing { dest });
    // A known difference is computed again only for the log. A missing file has no such line.
    let is_known = match difference {
        Some(Difference::Missing) => true,
        Some(Difference::Bytes) => !observer.wants(Level::Info),
        None => false,
    };
    let file = file.filter(|file| {
        is_known
            || !compare::is_in_sync(&target, place.dest(), &file.attributes, &content, observer)
    });
    let mut is_shared = false;
    if options.noop {
        if difference == Some(Difference::Missing) {
            observer.observe(&Step::WouldCreate { dest });
        }
        observer.observe(&Step::Noop { dest });
    } else if let Some(file) = &file {
        is_shared = report_shared(place.folder().path(), observer);
        file.report_attributes(&target, observer);
        observer.observe(&Step::OutOfSync { dest });
    } else {
        observer.observe(&Step::InSync { dest });
    }
    if file.is_none() && !options.noop {
        if rolls_back && let Some(trial) = Trial::find(&target, &content, &place) {
            reloads.add_trial(trial);
        }
        reloads.add_pending(nth, Arc::clone(&target), &place, options);
        end_hold(&target, &place, observer);
    }
    Ok(file.map(|file| Change { nth, target, content, place, file, is_shared, rolls_back }))
}

/// Runs the member's check command, if it has one.
async fn check(
    change: &mut Change,
    options: &Options,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let Change { target, file, .. } = change;
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

/// Ends the hold of a destination that has got other content than the one that was held back.
fn end_hold(target: &Target, place: &OpenPlace, observer: &dyn Observer) {
    if target.may_be_held
        && let Err(error) = Hold::remove(place)
    {
        // Content that was held back once stays held back.
        observer.observe(&Step::NotPutBack { error: &error });
    }
}

/// A member that was put in place.
struct Committed {
    /// The member's number in the transaction.
    nth: usize,
    target: Arc<Target>,
    /// The marker of its reload, if a reload follows.
    marker: Option<Marker>,
    /// Its trial, if the former file is kept.
    trial: Option<Trial>,
}

/// Puts all members in place, in their order, or none of them. Reports the members that have no
/// reload as updated.
fn commit_all(
    changes: Vec<Change>,
    options: &Options,
    observer: &dyn Observer,
    durable: &mut Durable,
) -> Result<Vec<Committed>, Error> {
    let committed = commit(changes, options, observer, durable)?;
    for Committed { target, marker, .. } in &committed {
        if marker.is_none() {
            observer.observe(&Step::Updated { dest: &target.dest });
        }
    }
    Ok(committed)
}

fn commit(
    mut changes: Vec<Change>,
    options: &Options,
    observer: &dyn Observer,
    durable: &mut Durable,
) -> Result<Vec<Committed>, Error> {
    if changes.len() > 1 {
        return commit_together(changes, options, observer, durable);
    }
    // A single rename needs no journal.
    let Some(mut change) = changes.pop() else { return Ok(Vec::new()) };
    observer.observe(&Step::Overwriting { dest: &change.target.dest });
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
    Ok(vec![change.committed(how, marker, trial, observer)])
}

/// Puts several members in place, with an undo journal.
fn commit_together(
    mut changes: Vec<Change>,
    options: &Options,
    observer: &dyn Observer,
    durable: &mut Durable,
) -> Result<Vec<Committed>, Error> {
    let mut journal = Journal::begin(changes.iter().map(|change| change.place.folder()))?;
    let mut committed = Vec::with_capacity(changes.len());
    match replace_all(&mut journal, &mut changes, &mut committed, options, observer) {
        Ok(()) => {
            // The removal of the journal is the commit. It is synced at the end of the pass.
            journal.dirty(durable);
            journal.commit();
            Ok(committed)
        }
        Err(error) => match journal.roll_back(observer) {
            Ok(()) => {
                for Committed { target, trial, .. } in committed {
                    if let (Some(trial), Ok(place)) = (trial, OpenPlace::of(&target.dest)) {
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
    committed: &mut Vec<Committed>,
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
        observer.observe(&Step::Overwriting { dest: &change.target.dest });
        let trial = change.begin_trial()?;
        let marker = change.set_marker(options)?;
        failpoint();
        let how = change.replace(journal.has_copy(nth), observer)?;
        committed.push(change.committed(how, marker, trial, observer));
    }
    failpoint();
    // All renames must be on the disk before the journal is removed.
    journal.sync()
}

impl Change {
    fn set_marker(&self, options: &Options) -> Result<Option<Marker>, Error> {
        let dest = &self.target.dest;
        self.target.reload_cmd(options).map(|_| Marker::set(&self.place, dest)).transpose()
    }

    /// Keeps the former file, if it may have to be put back.
    fn begin_trial(&self) -> Result<Option<Trial>, Error> {
        // A new mode or owner is no content that can be bad.
        let is_new = || !read_regular(&self.target.dest).is_ok_and(|found| found == *self.content);
        let begin = || Trial::begin(&self.target, &self.content, &self.place, &self.file);
        (self.rolls_back && is_new()).then(begin).transpose()
    }

    /// The member after it was put in place.
    fn committed(
        &self,
        how: How,
        marker: Option<Marker>,
        trial: Option<Trial>,
        observer: &dyn Observer,
    ) -> Committed {
        end_hold(&self.target, &self.place, observer);
        let is_spoiled = |trial: &Trial| how == How::WrittenInPlace && trial.is_link();
        if trial.as_ref().is_some_and(is_spoiled) {
            Trial::discard(&self.place);
        }
        let trial = trial.filter(|trial| !is_spoiled(trial));
        Committed { nth: self.nth, target: Arc::clone(&self.target), marker, trial }
    }

    /// The entry of the undo journal, whose undo file is made now.
    fn entry(&self, options: &Options) -> Result<(Entry, OpenPlace), Error> {
        let entry = Entry::prepare(&self.target, &self.place, &self.file, options)?;
        Ok((entry, self.place.clone()))
    }

    fn replace(&mut self, may_write_in_place: bool, observer: &dyn Observer) -> Result<How, Error> {
        let Change { target, place, file, content, is_shared, .. } = self;
        file.is_at_risk |= *is_shared;
        let how = commit::commit(target, place, file, content, may_write_in_place, observer)?;
        let placed = match how {
            // Between the rename and the look at the destination another program may have changed
            // the file: then it was as it was staged.
            How::Renamed { staged, placed } => Placed {
                file: if staged.is_renamed_to(&placed) { placed } else { staged },
                has_staged_content: file.written == Some(staged),
            },
            How::Gone => return Ok(how),
            How::WrittenInPlace => match Fingerprint::at(&target.dest) {
                Some(file) => Placed { file, has_staged_content: true },
                None => return Ok(how),
            },
        };
        observer.replaced(&target.dest, &placed);
        Ok(how)
    }
}
