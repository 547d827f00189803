//! Applying a set of files: stage all, compare all, check, commit, reload.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use command::Program;
use report::Fingerprint;

use crate::commit::How;
use crate::disk::Disk;
use crate::durable::Durable;
use crate::error::Error;
use crate::failpoint;
use crate::folder::OpenPlace;
use crate::journal::Journal;
use crate::pending::Marker;
use crate::reload::{Reloader, Reloads};
use crate::shared::report_shared;
use crate::stage::{Before, Difference, StageFile, Staged};
use crate::step::{Level, Observer, Placed, Step};
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
        let mut staged = Vec::with_capacity(members.len());
        for Member { target, content } in members {
            staged.push(Staged::new(target, content, options)?);
        }
        Ok(Transaction { members: staged, options: *options })
    }

    /// The members, for tests of the parts of a commit.
    #[cfg(test)]
    pub(crate) fn members(&self) -> &[Staged] {
        &self.members
    }

    /// The fingerprints of the destinations, in the order of the members, if all of them were in
    /// sync and if every later change is certain to change the fingerprint.
    pub fn found_in_sync(&self) -> Option<Vec<Fingerprint>> {
        self.members.iter().map(Staged::found_in_sync).collect()
    }

    /// What each destination holds now, in the order of the members.
    pub fn before(&self) -> impl Iterator<Item = Before> {
        self.members.iter().map(Staged::before)
    }

    /// Whether all destinations were in sync when they were staged.
    pub fn is_in_sync(&self) -> bool {
        self.members.iter().all(|member| member.file.is_none())
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
        let options = self.options;
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
            for (nth, target, marker) in committed? {
                outcomes[nth] = Outcome::Updated;
                if let Some(marker) = marker {
                    reloads.add(nth, target, marker, &options);
                }
            }
        }
        reloads.run(observer, &mut outcomes, disk, reloader).await?;
        Ok(outcomes)
    }
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
    for (nth, member) in members.into_iter().enumerate() {
        if !options.noop {
            forget_reload(&member.target, &member.place, observer);
        }
        match compare(nth, member, &mut reloads, options, observer)? {
            Some(_) if options.noop => outcomes[nth] = Outcome::WouldUpdate,
            Some(change) => changes.push(change),
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
}

/// Compares a member with its destination as it is now. Returns the change, if the destination must
/// be replaced. If it is in sync, a pending reload of the member is added to `reloads`.
fn compare(
    nth: usize,
    member: Staged,
    reloads: &mut Reloads,
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
        reloads.add_pending(nth, Arc::clone(&target), &place, options);
    }
    Ok(file.map(|file| Change { nth, target, content, place, file, is_shared }))
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

/// A member that was put in place, and the marker of its reload, if a reload follows.
type Committed = (usize, Arc<Target>, Option<Marker>);

/// Puts all members in place, in their order, or none of them. Reports the members that have no
/// reload as updated.
fn commit_all(
    changes: Vec<Change>,
    options: &Options,
    observer: &dyn Observer,
    durable: &mut Durable,
) -> Result<Vec<Committed>, Error> {
    let committed = commit(changes, options, observer, durable)?;
    for (_, target, marker) in &committed {
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
    let marker = change.set_marker(options)?;
    if let Err(error) = change.replace(true, observer) {
        if let Some(marker) = marker {
            marker.withdraw(&change.place, observer);
        }
        return Err(error);
    }
    durable.add(change.place.folder());
    Ok(vec![(change.nth, change.target, marker)])
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
            Ok(()) => Err(error),
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
        let marker = change.set_marker(options)?;
        failpoint();
        change.replace(journal.has_copy(nth), observer)?;
        committed.push((change.nth, Arc::clone(&change.target), marker));
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

    /// The entry of the undo journal, whose undo file is made now.
    fn entry(&self, options: &Options) -> Result<(Entry, OpenPlace), Error> {
        let entry = Entry::prepare(&self.target, &self.place, &self.file, options)?;
        Ok((entry, self.place.clone()))
    }

    fn replace(&mut self, may_write_in_place: bool, observer: &dyn Observer) -> Result<(), Error> {
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
            How::Gone => return Ok(()),
            How::WrittenInPlace => match Fingerprint::at(&target.dest) {
                Some(file) => Placed { file, has_staged_content: true },
                None => return Ok(()),
            },
        };
        observer.replaced(&target.dest, &placed);
        Ok(())
    }
}
