//! Runs the reload commands of a transaction: each distinct command once.
//!
//! A [`Reloader`] decides when a command runs, so that callers can run one command for several
//! transactions. [`AtOnce`] runs each command when its transaction comes to it.
//!
//! A reload that fails stays pending: its markers exist until a later run makes it succeed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use command::Program;

use crate::disk::Disk;
use crate::environment::Environment;
use crate::error::Error;
use crate::folder::OpenPlace;
use crate::pending::Marker;
use crate::run;
use crate::step::{Observer, Step};
use crate::template::{CommandTemplate, Fault};
use crate::{Options, Outcome, Target};

/// Runs the reload commands of transactions.
pub trait Reloader: Send + Sync {
    /// Runs `reload`, or waits for an equal command that starts after this call and runs for another
    /// transaction. Returns the result of the command.
    ///
    /// All files of the transaction are in place when this is called.
    fn reload(
        &self,
        reload: &ReloadCommand<'_>,
    ) -> impl Future<Output = Result<(), Arc<command::Error>>> + Send;
}

/// A reload command that is due.
pub struct ReloadCommand<'a> {
    command: &'a Program,
    limit: Option<Duration>,
    environment: Environment,
    observer: &'a dyn Observer,
}

impl<'a> ReloadCommand<'a> {
    /// The `command`, with this time limit and these variables. Its steps are reported to
    /// `observer`.
    pub fn new(
        command: &'a Program,
        limit: Option<Duration>,
        environment: Environment,
        observer: &'a dyn Observer,
    ) -> Self {
        ReloadCommand { command, limit, environment, observer }
    }

    /// The command.
    pub fn command(&self) -> &Program {
        self.command
    }

    /// What the command finds in its environment about the files of the transaction.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The time limit; `None` means no limit.
    pub fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// Runs the command to its end and reports its steps. `environment` is about all files that the
    /// run is for. Dropping the future kills the command.
    ///
    /// # Errors
    /// The command could not be started, it failed, or it exceeded its time limit.
    pub async fn run(&self, environment: &Environment) -> Result<(), command::Error> {
        run::run(self.command.clone(), self.limit, environment, self.observer).await
    }
}

/// The reload command of the file `dest`, if `program` is a template: in it, `{{.dest}}` is the file.
/// `{{.src}}` is the same file, because the stage file has become it before the command runs.
///
/// # Errors
/// The template is malformed, fails, or asks for another name: the text says so.
pub fn rendered_reload(program: &Program, dest: &Path) -> Result<Program, String> {
    let values = [("src", dest.as_os_str()), ("dest", dest.as_os_str())];
    CommandTemplate::new("reloadcmd", program).render(&values).map_err(|fault| match fault {
        Fault::Template(error) => error.to_string(),
        Fault::NoValue(program) => format!(
            "reload_cmd knows only {{{{.src}}}} and {{{{.dest}}}}: without them, the command is {program}"
        ),
    })
}

/// Runs each reload command immediately, for one transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtOnce;

impl Reloader for AtOnce {
    async fn reload(&self, reload: &ReloadCommand<'_>) -> Result<(), Arc<command::Error>> {
        reload.run(reload.environment()).await.map_err(Arc::new)
    }
}

/// The reloads of one transaction, in the order in which their first members were added.
#[derive(Default)]
pub(crate) struct Reloads(Vec<Reload>);

/// One reload command, and the members it is for.
struct Reload {
    command: Program,
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
    pub(crate) fn add_pending(
        &mut self,
        nth: usize,
        target: Arc<Target>,
        place: &OpenPlace,
        options: &Options,
    ) {
        if target.reload_cmd(options).is_some()
            && let Some(marker) = Marker::find(place)
        {
            self.add_member(Member { nth, target, marker, pending: true }, options);
        }
    }

    fn add_member(&mut self, member: Member, options: &Options) {
        let Some(command) = member.target.reload_cmd(options) else { return };
        let limit = member.target.reload_limit(options);
        match self.0.iter_mut().find(|reload| reload.command == *command) {
            Some(reload) => {
                reload.limit = [reload.limit, limit].into_iter().flatten().min();
                reload.members.push(member);
            }
            None => {
                let command = command.clone();
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
        reloader: &impl Reloader,
    ) -> Result<(), Error> {
        let is_pending = |error: &Error| matches!(error, Error::PendingReload { .. });
        let mut failure: Option<Error> = None;
        for reload in self.0 {
            // Boxed, so that a pass without commands is not as large as one with commands.
            let run = Box::pin(reload.run(observer, outcomes, disk, reloader));
            if let Err(error) = run.await
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
        reloader: &impl Reloader,
    ) -> Result<(), Error> {
        let Reload { command, limit, members } = self;
        for member in members.iter().filter(|member| member.pending) {
            observer.observe(&Step::ReloadRetried { dest: &member.target.dest });
        }
        let mut environment = Environment::default();
        for member in &members {
            let dest = &member.target.dest;
            environment.merge(observer.environment(dest).of_file(dest, dest));
        }
        let due = ReloadCommand::new(&command, limit, environment, &**observer);
        if let Err(cause) = reloader.reload(&due).await {
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
