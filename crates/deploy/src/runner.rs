//! What runs the commands of a transaction.

use std::pin::Pin;

use command::{Command, Ended, Notice};

/// A command that is being run. Dropping it kills the command and everything that the command started.
pub type Run<'a> = Pin<Box<dyn Future<Output = Ended> + Send + 'a>>;

/// Runs the commands that check files, reload services and ask for their health.
///
/// [`Processes`] is the runner of the program. With a runner that starts nothing, a caller can follow
/// what its transactions do under a virtual clock, which does not wait for real processes.
pub trait Runner: Send + Sync {
    /// Runs `command` to its end, or to its time limit. `notify` is called while the command runs.
    fn run<'a>(
        &'a self,
        command: &'a Command,
        notify: &'a (dyn Fn(Notice) + Send + Sync),
    ) -> Run<'a>;
}

/// Runs each command as a process of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processes;

impl Runner for Processes {
    fn run<'a>(
        &'a self,
        command: &'a Command,
        notify: &'a (dyn Fn(Notice) + Send + Sync),
    ) -> Run<'a> {
        Box::pin(command.run(notify))
    }
}
