//! What happens after the file of a resource was put in place: the health check, and what a failed
//! reload causes.

use std::time::Duration;

use crate::{
    commands::Command,
    document::Section,
    guards::count,
    resource::{Reason, quoted, time},
};

/// What happens after the file was put in place.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct After {
    /// What a failed reload causes.
    pub on_reload_failure: OnReloadFailure,
    /// What must succeed after `reload_cmd`.
    pub health: Option<Health>,
    /// How many of the last versions are kept.
    pub backup: usize,
}

/// What a failed reload causes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnReloadFailure {
    /// The new file stays, and its reload is tried again.
    #[default]
    Keep,
    /// The former file is put back, and the new content is not tried again until it changes.
    RollBack,
}

/// A command that shows whether the service works after its reload.
#[derive(Debug, PartialEq, Eq)]
pub struct Health {
    /// The command.
    pub command: Command,
    /// The time limit of one run. Zero means without a limit of its own.
    pub timeout: Duration,
    /// How long the command is tried until it succeeds.
    pub window: Duration,
    /// The time between two tries.
    pub interval: Duration,
}

/// The keys that have no effect without `reload_cmd`.
pub(crate) const OF_RELOAD: [&str; 2] = ["on_reload_failure", HEALTH_CMD];

/// The key of the health check.
pub(crate) const HEALTH_CMD: &str = "health_cmd";

/// How long a health check is tried if the resource does not say it.
const WINDOW: Duration = Duration::from_secs(10);
/// The time between two tries if the resource does not say it.
const INTERVAL: Duration = Duration::from_secs(1);

impl After {
    /// What the table of a resource says; `None` if it says nothing.
    pub(crate) fn read(table: &Section<'_, '_>) -> Result<Option<Box<After>>, Reason> {
        let timeout = time(table, "health_timeout")?.unwrap_or_default();
        let window = time(table, "health_window")?.unwrap_or(WINDOW);
        let interval = time(table, "health_interval")?.unwrap_or(INTERVAL);
        let health = Command::read(table, "health_cmd")?.map(|command| Health {
            command,
            timeout,
            window,
            interval,
        });
        let backup = count(table, "backup")?.unwrap_or_default();
        let backup = usize::try_from(backup).unwrap_or(usize::MAX);
        let after = After { on_reload_failure: policy(table)?, health, backup };
        Ok((after != After::default()).then(|| Box::new(after)))
    }
}

fn policy(table: &Section<'_, '_>) -> Result<OnReloadFailure, Reason> {
    let key = "on_reload_failure";
    match table.string(key)? {
        None | Some("keep") => Ok(OnReloadFailure::Keep),
        Some("rollback") => Ok(OnReloadFailure::RollBack),
        Some(word) => {
            let text = format!(
                "unknown {key} {}; the known ones are \"keep\", \"rollback\"",
                quoted(word)
            );
            Err(Reason::new(text, table.offset(key)))
        }
    }
}
