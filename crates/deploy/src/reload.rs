//! Runs the reload commands of a transaction: each distinct command once.
//!
//! A [`Reloader`] decides when a command runs, so that callers can run one command for several
//! transactions. [`AtOnce`] runs each command when its transaction comes to it.
//!
//! A reload that fails stays pending: its markers exist until a later run makes it succeed. If the
//! files are on trial, the former files are put back first, and the reload runs again for them.
//!
//! The health check belongs to the reload: a reload has succeeded when both have.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use command::Program;

use crate::disk::Disk;
use crate::durable::Durable;
use crate::environment::Environment;
use crate::error::{Error, ReloadError};
use crate::folder::OpenPlace;
use crate::health::Health;
use crate::hold::{Digest, Hold};
use crate::pending::Marker;
use crate::run;
use crate::stage::Staged;
use crate::step::{Observer, Purpose, Step};
use crate::template::{CommandTemplate, Fault};
use crate::trial::{RolledBack, Trial, Trials};
use crate::{FileEvent, Options, Outcome, Target};

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
        run::run(Purpose::Reload, self.command.clone(), self.limit, environment, self.observer)
            .await
    }
}

/// The command at `key`, `reload_cmd` or `start_cmd`, of the file `dest`, if `program` is a template: in
/// it, `{{.dest}}` is the file.
/// `{{.src}}` is the same file, because the stage file has become it before the command runs.
///
/// # Errors
/// The template is malformed, fails, or asks for another name: the text says so.
pub fn rendered_reload(key: &str, program: &Program, dest: &Path) -> Result<Program, String> {
    let values = [("src", dest.as_os_str()), ("dest", dest.as_os_str())];
    CommandTemplate::new(&key.replace('_', ""), program).render(&values).map_err(|fault| match fault {
        Fault::Template(error) => error.to_string(),
        Fault::NoValue(program) => format!(
            "{key} knows only {{{{.src}}}} and {{{{.dest}}}}: without them, the command is {program}"
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
pub(crate) struct Reloads {
    all: Vec<Reload>,
    trials: Trials,
}

/// What a reload that is pending is for. `None` if it is a start and the file was rolled back or
/// deleted: nothing is there to be started.
pub(crate) fn pending_event(target: &Target, place: &OpenPlace) -> Option<FileEvent> {
    let is_start = target.start_cmd.is_some() && Marker::is_of_start(place);
    match (place.dest().stat().is_ok(), is_start) {
        (true, true) => Some(FileEvent::Created),
        (true, false) => Some(FileEvent::Replaced),
        (false, true) => None,
        (false, false) => Some(FileEvent::Removed),
    }
}

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
    /// What decides the command.
    event: FileEvent,
}

/// What the reloads of a transaction use.
pub(crate) struct Surroundings<'a, R> {
    pub(crate) observer: &'a Arc<dyn Observer>,
    pub(crate) disk: Disk,
    pub(crate) reloader: &'a R,
    /// The digest of the contents of the transaction, if it has trials.
    pub(crate) contents: Option<Digest>,
    pub(crate) options: Options,
}

impl Reloads {
    /// Adds the reload of a member whose file was replaced or removed, or the start of one whose file
    /// was created.
    pub(crate) fn add(
        &mut self,
        nth: usize,
        target: Arc<Target>,
        marker: Marker,
        event: FileEvent,
        options: &Options,
    ) {
        self.add_member(Member { nth, target, marker, pending: false, event }, options);
    }

    /// Adds the reload of a member that was found in sync or stays as it is, if its reload is pending.
    /// Whether the file is there decides the command: after a rollback that is not what was wanted.
    pub(crate) fn add_pending(
        &mut self,
        nth: usize,
        target: Arc<Target>,
        place: &OpenPlace,
        options: &Options,
    ) {
        let Some(event) = pending_event(&target, place) else { return };
        if target.command_after(event, options).is_some()
            && let Some(marker) = Marker::find(place)
        {
            self.add_member(Member { nth, target, marker, pending: true, event }, options);
        }
    }

    /// Adds the pending reloads of destinations that stay as they are, with numbers from `first` on.
    pub(crate) fn add_kept(&mut self, first: usize, kept: Vec<Staged>, options: &Options) {
        for (nth, Staged { target, place, .. }) in (first..).zip(kept) {
            // The command of a person who puts an older version back runs the reload itself.
            if !Hold::is_busy(&place) {
                self.add_pending(nth, target, &place, options);
            }
        }
    }

    /// Adds the trial of a file: it is rolled back if a reload fails.
    pub(crate) fn add_trial(&mut self, trial: Trial) {
        self.trials.add(trial);
    }

    /// Whether a file is on trial.
    pub(crate) fn has_trials(&self) -> bool {
        !self.trials.is_empty()
    }

    fn add_member(&mut self, member: Member, options: &Options) {
        let Some(command) = member.target.command_after(member.event, options) else { return };
        let limit = member.target.reload_limit(options);
        match self.all.iter_mut().find(|reload| reload.command == *command) {
            Some(reload) => {
                reload.limit = [reload.limit, limit].into_iter().flatten().min();
                reload.members.push(member);
            }
            None => {
                let command = command.clone();
                self.all.push(Reload { command, limit, members: vec![member] });
            }
        }
    }

    /// Runs all of the commands, even if one fails, and records the outcome of each member that was
    /// only reloaded. With trials, the first failure rolls all of the files back.
    ///
    /// # Errors
    ///
    /// The first failure of a reload that this transaction made necessary. If there is none, the
    /// first failure of a reload that was already pending.
    pub(crate) async fn run<R: Reloader>(
        self,
        outcomes: &mut [Outcome],
        durable: &mut Durable,
        surroundings: Surroundings<'_, R>,
    ) -> Result<(), Error> {
        if !self.trials.is_empty() && self.all.is_empty() {
            // A marker is set after its trial has begun, and is removed after its trial has ended. So
            // without a marker these trials have ended, or their files were never put in place.
            surroundings.disk.run(move || self.trials.succeed()).await;
            return Ok(());
        }
        if !self.trials.is_empty() {
            // Boxed, so that a pass without trials is not as large as one with trials.
            return Box::pin(self.run_on_trial(outcomes, durable, surroundings)).await;
        }
        let Surroundings { observer, disk, reloader, .. } = surroundings;
        let is_pending = |error: &Error| matches!(error, Error::PendingReload { .. });
        let mut failure: Option<Error> = None;
        for reload in self.all {
            // Boxed, so that a pass without commands is not as large as one with commands.
            match Box::pin(reload.attempt(observer, reloader)).await {
                Ok(()) => reload.conclude(observer, outcomes, disk).await,
                Err(cause) => {
                    let error = reload.fail(observer, cause);
                    if failure.as_ref().is_none_or(|first| is_pending(first) && !is_pending(&error))
                    {
                        failure = Some(error);
                    }
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn run_on_trial<R: Reloader>(
        self,
        outcomes: &mut [Outcome],
        durable: &mut Durable,
        surroundings: Surroundings<'_, R>,
    ) -> Result<(), Error> {
        let Surroundings { observer, disk, reloader, contents, options } = surroundings;
        let Reloads { all, trials } = self;
        let mut failed = None;
        for reload in &all {
            if let Err(cause) = reload.attempt(observer, reloader).await {
                failed = Some(cause);
                break;
            }
        }
        let (Some(cause), Some(contents)) = (failed, contents) else {
            disk.run(move || trials.succeed()).await;
            for reload in all {
                reload.conclude(observer, outcomes, disk).await;
            }
            return Ok(());
        };
        let dests = trials.dests();
        let rolled_back = {
            let (observer, cause) = (Arc::clone(observer), cause.clone());
            disk.run(move || {
                let mut durable = Durable::new();
                let done = trials.roll_back(contents, &cause, &*observer, &mut durable);
                (done, durable)
            })
        };
        let (rolled_back, folders) = rolled_back.await;
        durable.absorb(folders);
        if rolled_back? == RolledBack::Not {
            let errors = all.into_iter().map(|reload| reload.fail(observer, cause.clone()));
            return errors.reduce(|first, _| first).map_or(Ok(()), Err);
        }
        let mut again = None;
        let after = disk.run(move || Reloads::after_rollback(all, &options)).await;
        for reload in after.all {
            match reload.attempt(observer, reloader).await {
                Ok(()) => reload.conclude(observer, outcomes, disk).await,
                Err(cause) => again = again.or(Some(cause)),
            }
        }
        Err(Error::RolledBack { dests, cause, again })
    }
}

impl Reloads {
    /// The reloads after former files were put back and new ones were removed again: their commands are
    /// those for what is there now. Nothing is there to be started if a start has failed.
    fn after_rollback(failed: Vec<Reload>, options: &Options) -> Reloads {
        let mut reloads = Reloads::default();
        for mut member in failed.into_iter().flat_map(|reload| reload.members) {
            member.pending = true;
            member.event = match (member.target.dest.exists(), member.event) {
                (false, FileEvent::Created) => {
                    member.marker.clear(&|_: &Step<'_>| {});
                    continue;
                }
                (false, _) => FileEvent::Removed,
                (true, FileEvent::Created) => FileEvent::Created,
                (true, _) => FileEvent::Replaced,
            };
            reloads.add_member(member, options);
        }
        reloads
    }
}

impl Reload {
    /// Runs the command, and then the health checks of the members.
    async fn attempt(
        &self,
        observer: &Arc<dyn Observer>,
        reloader: &impl Reloader,
    ) -> Result<(), ReloadError> {
        for member in self.members.iter().filter(|member| member.pending) {
            observer.observe(&Step::ReloadRetried { dest: &member.target.dest });
        }
        let mut environment = Environment::default();
        for member in &self.members {
            let dest = &member.target.dest;
            let variables = observer.environment(dest);
            environment.merge(match member.event {
                FileEvent::Removed => variables.of_removed(dest),
                FileEvent::Created | FileEvent::Replaced => variables.of_file(dest, dest),
            });
        }
        let due = ReloadCommand::new(&self.command, self.limit, environment, &**observer);
        reloader.reload(&due).await.map_err(ReloadError::Command)?;
        let mut checked: Vec<&Health> = Vec::new();
        for health in self.members.iter().filter_map(|member| member.target.health.as_ref()) {
            if checked.contains(&health) {
                continue;
            }
            let check = Box::pin(health.check(due.environment(), &**observer));
            check.await.map_err(|unhealthy| ReloadError::Health(Arc::new(unhealthy)))?;
            checked.push(health);
        }
        Ok(())
    }

    /// The error of the reload, which stays pending.
    fn fail(self, observer: &Arc<dyn Observer>, cause: ReloadError) -> Error {
        let Reload { command, members, .. } = self;
        // The error names the others.
        for member in members.iter().filter(|member| !member.pending) {
            let (dest, is_removed) = (&member.target.dest, member.event == FileEvent::Removed);
            observer.observe(&Step::ReloadPending { dest, is_removed });
        }
        match members.iter().all(|member| member.pending) {
            true => {
                let dests = members.iter().map(|member| member.target.dest.clone()).collect();
                Error::PendingReload { dests, command, cause, is_held: false }
            }
            false => Error::Reload { command, cause },
        }
    }

    /// Removes the markers after the reload has succeeded.
    async fn conclude(self, observer: &Arc<dyn Observer>, outcomes: &mut [Outcome], disk: Disk) {
        for member in self.members.iter().filter(|member| member.pending) {
            if outcomes[member.nth] == Outcome::Unchanged {
                outcomes[member.nth] = Outcome::Reloaded;
            }
        }
        let (observer, members) = (Arc::clone(observer), self.members);
        disk.run(move || members.into_iter().for_each(|member| member.reloaded(&*observer))).await;
    }
}

impl Member {
    /// Removes the marker after the reload command has succeeded.
    fn reloaded(self, observer: &dyn Observer) {
        let Member { target, marker, pending, event, .. } = self;
        let dest = &target.dest;
        marker.clear(observer);
        observer.observe(&match (pending, event) {
            (true, _) => Step::Reloaded { dest },
            (false, FileEvent::Removed) => Step::Removed { dest },
            (false, FileEvent::Created | FileEvent::Replaced) => Step::Updated { dest },
        });
    }
}
