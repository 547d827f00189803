//! Applying a set of files: stage all, compare all, check, commit, reload.

mod held;

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use report::{Fingerprint, read_regular};

use self::held::{held_by, is_held_meanwhile, say_held};
use crate::apply::{Applied, apply_all};
use crate::big::{Guards, stage_all};
use crate::change::{Compared, check, compare_all};
use crate::disk::Disk;
use crate::durable::Durable;
use crate::error::Error;
use crate::folder::OpenPlace;
use crate::group_check::GroupCheck;
use crate::hold::{Digest, HeldBy};
use crate::manifest::{Manifest, Recording};
use crate::reload::{Reloader, Surroundings};
use crate::stage::{Before, StageFile, Staged};
use crate::step::Observer;
use crate::trial::Trial;
use crate::{Options, Outcome, Target};

/// One file of a transaction.
#[derive(Clone, Debug)]
pub struct Member {
    /// The destination, with its attributes and commands.
    pub target: Arc<Target>,
    /// The content that the file must get. `None` if there must be no file: only a regular file is
    /// removed.
    pub content: Option<Bytes>,
}

impl Member {
    /// The part of the content that counts when contents are compared, and the path if it depends on data.
    fn identified(&self) -> (Option<&Path>, Option<Cow<'_, [u8]>>) {
        let path = self.target.below.is_some().then_some(&*self.target.dest);
        (path, self.content.as_ref().map(|content| self.target.significant(content)))
    }

    fn of(staged: &Staged) -> Member {
        Member { target: Arc::clone(&staged.target), content: staged.content.clone() }
    }

    /// Whether it counts for the set: there is to be a file, or there is one if the set is rolled back. A
    /// name that was in a manifest only, or whose file another program has removed, is gone in the next
    /// pass.
    fn counts(&self) -> bool {
        if self.content.is_some() {
            return true;
        }
        let place = OpenPlace::find(&self.target).ok().flatten();
        let on_trial = place.as_ref().and_then(|place| {
            let trial = Trial::find(&self.target, &None, place)?.of_present(place)?;
            Some(trial.former(place).is_some())
        });
        on_trial.unwrap_or_else(|| self.target.dest.symlink_metadata().is_ok())
    }

    /// A file with this content.
    pub fn file(target: impl Into<Arc<Target>>, content: impl Into<Bytes>) -> Member {
        Member { target: target.into(), content: Some(content.into()) }
    }

    /// A file that must not exist.
    pub fn absent(target: impl Into<Arc<Target>>) -> Member {
        Member { target: target.into(), content: None }
    }
}

/// A set of staged members. Each has a stage file on the disk beside its destination, or is known
/// to be in sync. One file is a set of one.
///
/// It holds an open file descriptor for each folder, and for each stage file if there are few. Dropping
/// it removes the stage files.
#[derive(Debug)]
pub struct Transaction {
    /// `None` is a member that must not exist, and even its folder is missing.
    members: Vec<Option<Staged>>,
    /// What protects the stage files of a big transaction. It is dropped after them.
    guards: Option<Guards>,
    /// The target of each member, and whether it must not exist.
    wanted: Vec<(Arc<Target>, bool)>,
    /// Whether a member that fails its check is left out, and the others go on.
    is_each_for_itself: bool,
    options: Options,
    /// The digest of the contents, if they may be held back.
    contents: Option<Digest>,
    /// Why the destinations stay as they are, if they do. Then nothing is staged.
    stays: Option<Stays>,
    group_check: Option<GroupCheck>,
    /// Each with the numbers of the members that it is for.
    manifests: Vec<(Arc<Manifest>, HashSet<usize>)>,
    /// Further destinations, which stay as they are and whose reloads are pending.
    beside: Vec<Staged>,
}

/// Why the destinations of a transaction stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stays {
    /// The contents are held back.
    Held(HeldBy),
    /// There are no new contents.
    Kept,
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
        let (staged, failed) = Transaction::stage_each(members, options);
        match failed.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(Transaction { is_each_for_itself: false, ..staged }),
        }
    }

    /// Like [`stage`](Transaction::stage), for members of which none needs the others: one that cannot be
    /// staged is left out. Those are returned, with their numbers in `members`. Of the others, a file
    /// that fails its check is left out too ([`Outcome::Refused`]).
    pub fn stage_each(
        members: Vec<Member>,
        options: &Options,
    ) -> (Transaction, Vec<(usize, Error)>) {
        let may_be_held = members.iter().any(|member| member.target.may_be_held);
        let mut contents = may_be_held.then(|| digest(&members));
        let mut held = contents.and_then(|contents| held_by(&members, contents));
        let all = if may_be_held { members.clone() } else { Vec::new() };
        let wanted: Vec<_> = members
            .iter()
            .map(|member| (Arc::clone(&member.target), member.content.is_none()))
            .collect();
        let (results, guards) = match held {
            Some(_) => {
                let hold = |Member { target, content }| Staged::held(target, content);
                (members.into_iter().map(hold).collect(), None)
            }
            None => stage_all(members, options),
        };
        let (mut members, mut failed) = (Vec::with_capacity(results.len()), Vec::new());
        let mut staged_of = Vec::with_capacity(results.len());
        for (nth, (result, wanted)) in results.into_iter().zip(wanted).enumerate() {
            match result {
                Ok(staged) => {
                    members.push(staged);
                    staged_of.push(wanted);
                }
                Err(error) => failed.push((nth, error)),
            }
        }
        if may_be_held && !failed.is_empty() {
            // The reload will be that of the others.
            let is_staged = |nth: &usize| failed.iter().all(|(other, _)| other != nth);
            let others = all.iter().enumerate().filter(|(nth, _)| is_staged(nth));
            let others: Vec<_> = others.map(|(_, member)| member.clone()).collect();
            let of_others = digest(&others);
            contents = Some(of_others);
            held = held.or_else(|| held_by(&others, of_others));
        }
        let transaction = Transaction {
            members,
            guards,
            wanted: staged_of,
            is_each_for_itself: true,
            options: *options,
            contents,
            stays: held.map(Stays::Held),
            group_check: None,
            manifests: Vec::new(),
            beside: Vec::new(),
        };
        (transaction, failed)
    }

    /// A transaction that leaves the destinations of `targets` as they are, and tries their pending
    /// reloads again.
    ///
    /// # Errors
    ///
    /// A folder is missing.
    pub fn keep(
        targets: impl IntoIterator<Item = Arc<Target>>,
        options: &Options,
    ) -> Result<Transaction, Error> {
        let held = |target| Staged::held(target, Some(Bytes::new()));
        let members = targets.into_iter().map(held).collect::<Result<_, _>>()?;
        Ok(Transaction::of_kept(members, options))
    }

    /// Like [`keep`](Transaction::keep), for destinations without new content because something has
    /// failed. `None` if no reload is pending. A destination whose folder cannot be opened is left out.
    pub fn keep_pending(
        targets: impl IntoIterator<Item = Arc<Target>>,
        options: &Options,
    ) -> Option<Transaction> {
        let held = |target| Staged::held(target, Some(Bytes::new())).ok();
        let members: Vec<_> = targets.into_iter().filter_map(held).collect();
        let is_pending = members.iter().flatten().any(|member| member.has_marker());
        is_pending.then(|| Transaction::of_kept(members, options))
    }

    fn of_kept(mut members: Vec<Option<Staged>>, options: &Options) -> Transaction {
        let rolls_back = members.iter().flatten().any(|member| member.target.rolls_back(options));
        // Content on trial is held back if its reload fails.
        let contents = rolls_back.then(|| {
            let now = members.iter_mut().flatten().map(|member| {
                member.content = read_regular(&member.target.dest).ok().map(Bytes::from);
                let (target, content) = (Arc::clone(&member.target), member.content.clone());
                Member { target, content }
            });
            let now: Vec<Member> = now.collect();
            digest(&now)
        });
        Transaction {
            members,
            guards: None,
            wanted: Vec::new(),
            is_each_for_itself: false,
            options: *options,
            contents,
            stays: Some(Stays::Kept),
            group_check: None,
            manifests: Vec::new(),
            beside: Vec::new(),
        }
    }

    /// Tries the pending reloads of `targets` again too, whose files stay as they are because no new
    /// content could be made for them. Equal commands run once.
    #[must_use]
    pub fn beside_kept(mut self, targets: impl IntoIterator<Item = Arc<Target>>) -> Transaction {
        let held = |target| Staged::held(target, Some(Bytes::new())).ok().flatten();
        let pending = targets.into_iter().filter_map(held).filter(Staged::has_marker);
        self.beside.extend(pending);
        self
    }

    /// Has the members checked together by `check`, after the check command of each, if one of them
    /// changes. The last check counts.
    #[must_use]
    pub fn checked_together(mut self, check: GroupCheck) -> Transaction {
        self.group_check = Some(check);
        self
    }

    /// Records in `manifest` which files of its folder are made and removed, of the members with these
    /// numbers. Several manifests are written one after the other.
    #[must_use]
    pub fn recorded_in(mut self, manifest: Arc<Manifest>, members: HashSet<usize>) -> Transaction {
        self.manifests.push((manifest, members));
        self
    }

    /// The members, for tests of the parts of a commit.
    #[cfg(test)]
    pub(crate) fn members(&self) -> Vec<&Staged> {
        self.members.iter().flatten().collect()
    }

    /// The fingerprints of the destinations, in the order of the members, if all of them were in
    /// sync and if every later change is certain to change the fingerprint. A file that must not
    /// exist has none.
    pub fn found_in_sync(&self) -> Option<Vec<Option<Fingerprint>>> {
        self.members
            .iter()
            .map(|member| member.as_ref().map_or(Some(None), Staged::found_in_sync))
            .collect::<Option<_>>()
            .filter(|_| self.stays.is_none())
    }

    /// What each destination holds now, in the order of the members.
    pub fn before(&self) -> impl Iterator<Item = Before> {
        self.members.iter().map(|member| member.as_ref().map_or(Before::Same, Staged::before))
    }

    /// Whether all destinations were in sync when they were staged.
    pub fn is_in_sync(&self) -> bool {
        self.stays.is_none() && self.members.iter().flatten().all(|member| member.becomes.is_none())
    }

    /// The digest of the contents, if they may be held back.
    pub fn contents(&self) -> Option<Digest> {
        self.contents
    }

    /// Whether the destinations stay as they are: the contents are held back, or there are none.
    pub fn stays(&self) -> bool {
        self.stays.is_some()
    }

    /// The stage file of each member, in their order; `None` for a member that was found in sync or
    /// that must not exist.
    pub fn stage_files(&self) -> impl Iterator<Item = Option<PathBuf>> {
        let file = |member: &Staged| member.becomes.as_ref()?.file().map(StageFile::path);
        self.members.iter().map(move |member| member.as_ref().and_then(file))
    }

    /// Compares, checks, commits and reloads, with confd's steps. Files that must not exist are removed
    /// by the commit, and are put back with the others if it fails. Returns the outcome of each
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
    /// - A check command or the group check failed, or a destination could not be replaced: the destinations are as
    ///   they were.
    /// - A reload command failed: see [`Error::is_written`].
    pub async fn finish(
        mut self,
        observer: &Arc<dyn Observer>,
        durable: &mut Durable,
        disk: Disk,
        reloader: &impl Reloader,
    ) -> Result<Vec<Outcome>, Error> {
        if let Some(stays) = self.stays {
            // Boxed, because hardly any content is held back.
            let held = Box::pin(self.finish_held(stays, observer, durable, disk, reloader));
            return held.await;
        }
        let manifests = std::mem::take(&mut self.manifests);
        if manifests.is_empty() || self.options.noop {
            return self.finish_members(None, observer, durable, disk, reloader).await;
        }
        let wanted = std::mem::take(&mut self.wanted);
        let recordings = manifests.into_iter();
        let recordings = recordings
            .map(|(manifest, members)| Recording::new(manifest, wanted.iter().cloned(), &members))
            .collect();
        let recordings: Arc<Vec<Recording>> = Arc::new(recordings);
        let members = self.finish_members(Some(&recordings), observer, durable, disk, reloader);
        // Boxed, so that a pass without a manifest is not as large as one with it.
        let result = Box::pin(members).await;
        let observer = Arc::clone(observer);
        let conclude =
            move || recordings.iter().fold(result, |result, one| one.conclude(result, &*observer));
        disk.run(conclude).await
    }

    async fn finish_members(
        self,
        recordings: Option<&Arc<Vec<Recording>>>,
        observer: &Arc<dyn Observer>,
        durable: &mut Durable,
        disk: Disk,
        reloader: &impl Reloader,
    ) -> Result<Vec<Outcome>, Error> {
        let Transaction { options, mut contents, is_each_for_itself, beside, .. } = self;
        let all: Vec<Option<Member>> = match is_each_for_itself && contents.is_some() {
            true => self.members.iter().map(|member| member.as_ref().map(Member::of)).collect(),
            false => Vec::new(),
        };
        let group_check = self.group_check.filter(|_| !options.noop && !options.sync_only);
        let group_check = group_check.map(|mut check| {
            let members = self.members.iter().flatten();
            members.for_each(|member| check.add(member.target.dest.clone()));
            check
        });
        let compared = {
            let observer = Arc::clone(observer);
            let compare = move || {
                let compared = compare_all(self.members, contents, &options, &*observer)?;
                Ok::<_, Error>(if options.noop {
                    compared
                } else {
                    compared.beside(beside, &options)
                })
            };
            disk.run(compare).await?
        };
        let Compared { mut outcomes, mut changes, mut reloads } = compared;
        let mut refused = HashSet::new();
        for change in &mut changes {
            match check(change, &options, &**observer).await {
                Ok(()) => {}
                Err(error) if is_each_for_itself => {
                    observer.refused(&change.target.dest, error);
                    outcomes[change.nth] = Outcome::Refused;
                    // What is in place gets its reload.
                    let target = Arc::clone(&change.target);
                    reloads.add_pending(change.nth, target, &change.place, &options);
                    refused.insert(change.nth);
                }
                Err(error) => {
                    // This removes the stage files.
                    disk.run(move || drop(changes)).await;
                    return Err(error);
                }
            }
        }
        let mut held = None;
        if !refused.is_empty() {
            let keep = move || {
                changes.retain(|change| !refused.contains(&change.nth));
                // The reload will be that of the others.
                let others = all.into_iter().enumerate();
                let others = others.filter(|(nth, _)| !refused.contains(nth));
                let others: Vec<Member> = others.filter_map(|(_, member)| member).collect();
                let of_others = contents.map(|_| digest(&others));
                changes.iter_mut().for_each(|change| change.contents = of_others);
                let held = of_others.filter(|_| !changes.is_empty());
                let held = held.and_then(|contents| held_by(&others, contents));
                (changes, of_others, held)
            };
            (changes, contents, held) = disk.run(keep).await;
        }
        let mut stay = Vec::new();
        if held.is_some() {
            stay.extend(changes.iter().map(|change| change.target.dest.clone()));
            // This removes the stage files.
            let held = std::mem::take(&mut changes);
            disk.run(move || drop(held)).await;
        }
        if let Some(check) = group_check.filter(|_| !changes.is_empty()) {
            // Boxed, so that a pass without this command is not as large as one with it.
            let (checked, result) = Box::pin(check.run(changes, &options, disk, observer)).await;
            changes = checked;
            if let Err(error) = result {
                disk.run(move || drop(changes)).await;
                return Err(error);
            }
        }
        if !changes.is_empty() {
            let (observer, mut folders) = (Arc::clone(observer), std::mem::take(durable));
            let (recordings, guards) = (recordings.cloned(), self.guards);
            let has_trials = reloads.has_trials();
            let applied = disk.run(move || {
                let recordings = recordings.as_deref().map(Vec::as_slice).unwrap_or_default();
                // Files of which none has a former version have nothing that could be put back.
                let may_roll_back = changes.iter().any(|change| change.rolls_back) && !has_trials;
                if may_roll_back && !changes.iter().any(|change| change.has_former(recordings)) {
                    changes.iter_mut().for_each(|change| change.rolls_back = false);
                }
                let apply = || {
                    if is_held_meanwhile(&changes, &*observer) {
                        return Ok(Vec::new());
                    }
                    recordings.iter().try_for_each(|one| one.begin(&changes))?;
                    let applied = apply_all(changes, &options, &*observer, &mut folders)?;
                    recordings.iter().for_each(|one| one.committed(&applied));
                    Ok(applied)
                };
                let applied: Result<_, Error> = apply();
                drop(guards);
                (applied, folders)
            });
            let (applied, folders) = applied.await;
            *durable = folders;
            for Applied { nth, target, outcome, marker, event, trial } in applied? {
                outcomes[nth] = outcome;
                if let Some(marker) = marker {
                    reloads.add(nth, target, marker, event, &options);
                }
                trial.into_iter().for_each(|trial| reloads.add_trial(trial));
            }
        }
        let surroundings = Surroundings { observer, disk, reloader, contents, options };
        reloads.run(&mut outcomes, durable, surroundings).await?;
        held.map_or(Ok(()), |by| say_held(by, stay, &**observer))?;
        Ok(outcomes)
    }
}

/// The digest of the contents of a set.
fn digest(members: &[Member]) -> Digest {
    let members = members.iter().filter(|member| member.counts());
    Digest::of_members(members.map(Member::identified))
}
