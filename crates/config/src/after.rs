//! What happens after the file of a resource was put in place: the health check, and what a failed
//! reload causes.

use std::time::Duration;

use crate::{
    commands::Command,
    keys::{self, ResourceTable, Word},
    resource::Reason,
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

impl After {
    /// What the table of a resource says; `None` if it says nothing.
    pub(crate) fn read(table: &ResourceTable<'_, '_>) -> Result<Option<Box<After>>, Reason> {
        let timeout = table.duration(&keys::HEALTH_TIMEOUT)?;
        let window = table.duration(&keys::HEALTH_WINDOW)?;
        let interval = table.duration(&keys::HEALTH_INTERVAL)?;
        let health = table.get(&keys::HEALTH_CMD)?.map(|command| Health {
            command,
            timeout,
            window,
            interval,
        });
        let backup = table.get(&keys::BACKUP)?.unwrap_or_default();
        let backup = usize::try_from(backup).unwrap_or(usize::MAX);
        let on_reload_failure = table.get(&keys::ON_RELOAD_FAILURE)?.unwrap_or_default();
        let after = After { on_reload_failure, health, backup };
        Ok((after != After::default()).then(|| Box::new(after)))
    }
}

impl Word for OnReloadFailure {
    const ALL: &'static [(&'static str, Self)] =
        &[("keep", Self::Keep), ("rollback", Self::RollBack)];
}
