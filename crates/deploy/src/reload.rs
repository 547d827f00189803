//! Runs the reload commands of a transaction: each distinct command once.
//!
//! A reload that fails stays owed: its markers stand until a later run makes it succeed.

use std::sync::Arc;
use std::time::Duration;

use command::Program;

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
    /// Its place in the transaction.
    nth: usize,
    target: Arc<Target>,
    marker: Marker,
    /// Whether its reload was owed before this transaction, which found its file in sync.
    owed: bool,
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
        self.add_member(Member { nth, target, marker, owed: false }, options);
    }

    /// Adds the reload of a member that was found in sync, if an earlier run owes it.
    pub(crate) fn add_owed(&mut self, nth: usize, target: Arc<Target>, options: &Options) {
        if target.reload_cmd(options).is_some()
            && let Some(marker) = Marker::find(&target.dest)
        {
            self.add_member(Member { nth, target, marker, owed: true }, options);
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

    /// Runs all of them, also after one has failed, and notes the outcome of each member that was
    /// only reloaded.
    ///
    /// # Errors
    ///
    /// The first failure of a reload that this transaction made necessary; without one, the first
    /// failure of a reload that was owed before.
    pub(crate) async fn run(
        self,
        observer: &dyn Observer,
        outcomes: &mut [Outcome],
    ) -> Result<(), Error> {
        let mut failure: Option<(bool, command::Error)> = None;
        for reload in self.0 {
            let owed = reload.members.iter().all(|member| member.owed);
            if let Err(cause) = reload.run(observer, outcomes).await
                && failure.as_ref().is_none_or(|&(first_owed, _)| first_owed && !owed)
            {
                failure = Some((owed, cause));
            }
        }
        failure.map_or(Ok(()), |(owed, cause)| Err(Error::Reload { cause, owed }))
    }
}

impl Reload {
    async fn run(
        self,
        observer: &dyn Observer,
        outcomes: &mut [Outcome],
    ) -> Result<(), command::Error> {
        for member in self.members.iter().filter(|member| member.owed) {
            observer.observe(&Step::ReloadOwed { dest: &member.target.dest });
        }
        let result = run(Program::Shell(self.command.into()), self.limit, observer).await;
        for Member { nth, target, marker, owed } in self.members {
            let dest = &target.dest;
            if result.is_err() {
                observer.observe(&Step::ReloadPending { dest });
                continue;
            }
            marker.clear(observer);
            if owed {
                outcomes[nth] = Outcome::Reloaded;
                observer.observe(&Step::Reloaded { dest });
            } else {
                observer.observe(&Step::Updated { dest });
            }
        }
        result
    }
}
