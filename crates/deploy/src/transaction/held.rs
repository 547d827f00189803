//! Sets whose destinations stay as they are: because their contents are held back, or because there are no new
//! contents.

use std::path::PathBuf;
use std::sync::Arc;

use report::read_regular;

use super::{Member, Stays, Transaction};
use crate::change::{Change, is_held_by_person};
use crate::disk::Disk;
use crate::durable::Durable;
use crate::error::Error;
use crate::folder::OpenPlace;
use crate::hold::{Digest, HeldBy, Hold};
use crate::reload::{Reloader, Reloads, Surroundings};
use crate::stage::Staged;
use crate::step::{Observer, Step};
use crate::trial::{Trial, Trials};
use crate::{Options, Outcome};

impl Transaction {
    /// The second half for destinations that stay as they are: completes a rollback that was
    /// interrupted, and tries a pending reload again.
    pub(super) async fn finish_held(
        self,
        stays: Stays,
        observer: &Arc<dyn Observer>,
        durable: &mut Durable,
        disk: Disk,
        reloader: &impl Reloader,
    ) -> Result<Vec<Outcome>, Error> {
        let Transaction { members, options, contents, beside, .. } = self;
        let mut outcomes = vec![Outcome::Unchanged; members.len() + beside.len()];
        let all: Vec<Member> = members.iter().flatten().map(Member::of).collect();
        if !options.noop {
            let prepared = {
                let observer = Arc::clone(observer);
                disk.run(move || {
                    let count = members.len();
                    let (mut reloads, folders) =
                        held_reloads(members, stays, contents, &options, &*observer)?;
                    reloads.add_kept(count, beside, &options);
                    Ok::<_, Error>((reloads, folders))
                })
            };
            let (reloads, folders) = prepared.await?;
            durable.absorb(folders);
            let surroundings = Surroundings { observer, disk, reloader, contents, options };
            let reloaded = reloads.run(&mut outcomes, durable, surroundings).await;
            reloaded.map_err(|error| match error {
                Error::PendingReload { dests, command, cause, .. } => {
                    let is_held = stays == Stays::Held(HeldBy::Failure);
                    Error::PendingReload { dests, command, cause, is_held }
                }
                error => error,
            })?;
        }
        match stays {
            Stays::Kept => Ok(outcomes),
            Stays::Held(by) => {
                let dests = disk.run(move || not_in_place(&all)).await;
                say_held(by, dests, &**observer).map(|()| outcomes)
            }
        }
    }
}

/// Says that the contents of these destinations are held back. That is an error, unless a person wants it.
pub(super) fn say_held(
    by: HeldBy,
    dests: Vec<PathBuf>,
    observer: &dyn Observer,
) -> Result<(), Error> {
    match by {
        HeldBy::Failure => Err(Error::Held { dests }),
        HeldBy::Person => {
            dests.iter().for_each(|dest| observer.observe(&Step::HeldByPerson { dest }));
            Ok(())
        }
    }
}

/// Whether a person has put an older version back since the contents of these changes were staged.
pub(super) fn is_held_meanwhile(changes: &[Change], observer: &dyn Observer) -> bool {
    let is_held = changes.iter().any(|change| is_held_by_person(&change.place, change.contents));
    if is_held {
        for change in changes {
            observer.observe(&Step::HeldByPerson { dest: &change.target.dest });
        }
    }
    is_held
}

/// Why the contents of these members are held back; `None` if they are not. Contents that failed and
/// are in place all the same, because a person has put them there, are not held back.
pub(super) fn held_by(members: &[Member], contents: Digest) -> Option<HeldBy> {
    let by = members.iter().find_map(|member| {
        let hold = Hold::of(&member.target.dest)?;
        hold.contents.contains(&contents).then_some(hold.by)
    });
    // A trial that has not ended is completed first.
    let is_there = |member: &Member| {
        let has_trial =
            || !OpenPlace::of(&member.target.dest).is_ok_and(|it| it.trial().lstat().is_err());
        is_in_place(member) && !has_trial()
    };
    by.filter(|by| *by == HeldBy::Person || !members.iter().all(is_there))
}

/// Whether the destination has the content of this member.
fn is_in_place(Member { target, content }: &Member) -> bool {
    let dest = &target.dest;
    match content {
        Some(content) => read_regular(dest)
            .is_ok_and(|found| target.significant(&found) == target.significant(content)),
        None => !dest.is_symlink() && !dest.exists(),
    }
}

/// The destinations of those members that have other content, for people. All of them if none has.
fn not_in_place(members: &[Member]) -> Vec<PathBuf> {
    let dests = |members: &mut dyn Iterator<Item = &Member>| -> Vec<PathBuf> {
        members.map(|member| member.target.dest.clone()).collect()
    };
    match dests(&mut members.iter().filter(|member| !is_in_place(member))) {
        others if others.is_empty() => dests(&mut members.iter()),
        others => others,
    }
}

/// The pending reloads of members whose destinations stay as they are. Completes a rollback first.
fn held_reloads(
    members: Vec<Option<Staged>>,
    stays: Stays,
    contents: Option<Digest>,
    options: &Options,
    observer: &dyn Observer,
) -> Result<(Reloads, Durable), Error> {
    let (mut reloads, mut trials, mut durable) =
        (Reloads::default(), Trials::default(), Durable::new());
    let mut left = LeftOver::default();
    for Staged { target, content, place, .. } in members.iter().flatten() {
        if stays == Stays::Held(HeldBy::Failure) {
            match Trial::find(target, content, place) {
                Some(trial) if !trial.is_undone(place) => trials.add(trial),
                Some(_) | None => Trial::discard(place),
            }
        } else if stays == Stays::Kept && contents.is_some() && !Hold::is_busy(place) {
            left.add(Trial::find(target, content, place), place);
        }
    }
    let held = match left.held() {
        Some(held) => {
            left.trials.into_iter().for_each(|trial| trials.add(trial));
            Some(held)
        }
        None => {
            left.trials.into_iter().for_each(|trial| reloads.add_trial(trial));
            contents
        }
    };
    if let Some(held) = held {
        let cause = "confd ended before the former file was back";
        trials.roll_back(held, &cause, observer, &mut durable)?;
    }
    for (nth, member) in members.into_iter().enumerate() {
        let Some(Staged { target, place, .. }) = member else { continue };
        // The command of a person runs the reload itself.
        if stays == Stays::Held(HeldBy::Failure) || !Hold::is_busy(&place) {
            reloads.add_pending(nth, target, &place, options);
        }
    }
    Ok((reloads, durable))
}

/// What an earlier process has left of the trials of a set without new content.
#[derive(Default)]
struct LeftOver {
    trials: Vec<Trial>,
    is_one_undone: bool,
    /// What is in place and held back: a rollback has begun.
    held: Option<Digest>,
}

impl LeftOver {
    fn add(&mut self, trial: Option<Trial>, place: &OpenPlace) {
        let Some(trial) = trial else {
            // Its former file is the destination again.
            self.is_one_undone |= place.trial().lstat().is_ok();
            return;
        };
        if trial.is_undone(place) {
            self.is_one_undone = true;
        } else if let Some(hold) = Hold::find(place).filter(|hold| hold.by == HeldBy::Failure) {
            self.held = hold.contents.first().copied();
        }
        self.trials.extend(trial.of_present(place));
    }

    /// What was to be held back by a rollback that the process has begun and not ended: one file is the
    /// former one, and another file is not. No service may see that.
    fn held(&self) -> Option<Digest> {
        self.held.filter(|_| self.is_one_undone)
    }
}
