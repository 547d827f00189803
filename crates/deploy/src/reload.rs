//! Runs the reload commands of a transaction: each distinct command once.
//!
//! A reload that fails stays pending: its markers exist until a later run makes it succeed.

use std::sync::Arc;
use std::time::Duration;

use command::Program;

use crate::disk::Disk;
use crate::error::Error;
use crate::pending::Marker;
use crate::run::run;
use crate::step::{Observer, Step};
use crate::{Options, Outcome, Target};

/// The reloads of one transaction, in the order in which their first members were added.
#[derive(Default)]
pub(crate) struct Reloads(Vec<Reload>);

/// One reload command, and the members it is for.
struct Reload {
    command: String,
    /// The shortest time limit of all members.
    limit: Option<Duration>,
    members: Vec<Member>,
}

struct Member {
    /// The member's number in the transaction.
    nth: usize,
    target: Arc<Target>,
    marker: Marker,
    /// Whether the reload was pending before this transaction, which found the file in sync.
    pending: bool,
}

impl Reloads {
    /// Adds the reload of a member whose file was replaced.
    pub(crate) fn add(
        &mut self,
        nth: usize,
        target: Arc<Target>,
        marker: Marker,
        options: &Options,
    ) {
        self.add_member(Member { nth, target, marker, pending: false }, options);
    }

    /// Adds the reload of a member that was found in sync, if its reload is pending.
    pub(crate) fn add_pending(&mut self, nth: usize, target: Arc<Target>, options: &Options) {
        if target.reload_cmd(options).is_some()
            && let Some(marker) = Marker::find(&target.dest)
        {
            self.add_member(Member { nth, target, marker, pending: true }, options);
        }
    }

    fn add_member(&mut self, member: Member, options: &Options) {
        let Some(command) = member.target.reload_cmd(options) else { return };
        let limit = member.target.reload_limit(options);
        match self.0.iter_mut().find(|reload| reload.command == command) {
            Some(reload) => {
                reload.limit = [reload.limit, limit].into_iter().flatten().min();
                reload.members.push(member);
            }
            None => {
                let command = command.to_owned();
                self.0.push(Reload { command, limit, members: vec![member] });
            }
        }
    }

    /// Runs all of the commands, even if one fails, and records the outcome of each member that was
    /// only reloaded.
    ///
    /// # Errors
    ///
    /// The first failure of a reload that this transaction made necessary. If there is none, the
    /// first failure of a reload that was already pending.
    pub(crate) async fn run(
        self,
        observer: &Arc<dyn Observer>,
        outcomes: &mut [Outcome],
        disk: Disk,
    ) -> Result<(), Error> {
        let is_pending = |error: &Error| matches!(error, Error::PendingReload { .. });
        let mut failure: Option<Error> = None;
        for reload in self.0 {
            if let Err(error) = reload.run(observer, outcomes, disk).await
                && failure.as_ref().is_none_or(|first| is_pending(first) && !is_pending(&error))
            {
                failure = Some(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

impl Reload {
    async fn run(
        self,
        observer: &Arc<dyn Observer>,
        outcomes: &mut [Outcome],
        disk: Disk,
    ) -> Result<(), Error> {
        let Reload { command, limit, members } = self;
        for member in members.iter().filter(|member| member.pending) {
            observer.observe(&Step::ReloadRetried { dest: &member.target.dest });
        }
        let program = Program::Shell(command.clone().into());
        if let Err(cause) = run(program, limit, &**observer).await {
            // The error names the others.
            for member in members.iter().filter(|member| !member.pending) {
                observer.observe(&Step::ReloadPending { dest: &member.target.dest });
            }
            return Err(match members.iter().all(|member| member.pending) {
                true => {
                    let dests = members.iter().map(|member| member.target.dest.clone()).collect();
                    Error::PendingReload { dests, command, cause }
                }
                false => Error::Reload(cause),
            });
        }
        for member in members.iter().filter(|member| member.pending) {
            outcomes[member.nth] = Outcome::Reloaded;
        }
        let observer = Arc::clone(observer);
        disk.run(move || members.into_iter().for_each(|member| member.reloaded(&*observer))).await;
        Ok(())
    }
}

impl Member {
    /// Removes the marker after the reload command has succeeded.
    fn reloaded(self, observer: &dyn Observer) {
        let Member { target, marker, pending, .. } = self;
        let dest = &target.dest;
        marker.clear(observer);
        observer.observe(&match pending {
            true => Step::Reloaded { dest },
            false => Step::Updated { dest },
        });
    }
}
