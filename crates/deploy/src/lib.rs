//! Puts rendered bytes where they belong and runs the commands that go with it, or leaves
//! everything as it was.
//!
//! A deployment has two halves, so that many of them can wait for the disk at the same time:
//! [`stage()`] writes the bytes beside the destination, on any thread, and [`finish`] compares,
//! checks, commits and reloads. [`Durable::sync`] ends a pass, and [`sweep()`] once begins a run.
//!
//! What callers may rely on, each with a test of the same name:
//!
//! - `readers_see_old_or_new`: never a mix (but see `commit` for mounts).
//! - `a_failed_check_changes_nothing`: not the bytes, not the mode, not the owner.
//! - `a_file_in_sync_is_not_written`: an idle pass does nothing to the disk.
//! - `no_failure_leaves_a_stage_file`, and none of a killed run's outlives the next [`sweep()`].
//! - `a_failed_reload_is_tried_again_by_the_next_pass`: until it succeeds, also in another process.
//!
//! Errors and log lines are confd's, word for word, where confd has them.
//!
//! Nothing here knows keys, backends or schedules; the only template is the check command.

mod check;
mod commit;
mod compare;
mod durable;
mod error;
mod local;
mod pending;
mod place;
mod reload;
mod run;
mod stage;
mod sweep;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use tracing::{debug, info, warn};

pub use check::{CheckCommand, CheckError};
pub use durable::Durable;
pub use error::Error;
pub use local::is_local;
pub use stage::{Staged, stage};
pub use sweep::sweep;

use pending::Marker;
use stage::Difference;

/// Where a resource's bytes go, what the file should be like, and who is to be asked and told.
#[derive(Clone, Debug)]
pub struct Target {
    /// The file, as the user wrote it; relative to the process's folder if it is relative.
    pub dest: PathBuf,
    /// The permissions, of which only the lower nine bits count. `None` keeps those of the
    /// existing file, or gives 0644 to a new one.
    pub mode: Option<u32>,
    /// The owner. `None` is the effective user of this process.
    pub uid: Option<u32>,
    /// The group. `None` is the effective group of this process.
    pub gid: Option<u32>,
    /// Decides about the staged file before it is put in place.
    pub check_cmd: Option<CheckCommand>,
    /// Runs when the file has changed. Given to the shell as it is.
    pub reload_cmd: Option<String>,
    /// How long each of the two commands may take; `None` is for ever.
    pub timeout: Option<Duration>,
}

impl Target {
    /// A file with confd's defaults: permissions kept, our owner, no commands.
    pub fn new(dest: impl Into<PathBuf>) -> Target {
        Target {
            dest: dest.into(),
            mode: None,
            uid: None,
            gid: None,
            check_cmd: None,
            reload_cmd: None,
            timeout: None,
        }
    }
}

/// What the user asked for all deployments of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// `-noop`: find out and say what would change, and change nothing.
    pub noop: bool,
    /// `-sync-only`: put files in place without any command.
    pub sync_only: bool,
    /// `-keep-stage-file`: leave each complete stage file that did not become the destination.
    pub keep_stage_file: bool,
}

/// How a deployment that succeeded ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination was in sync.
    Unchanged,
    /// The destination was out of sync, and stays so: `-noop`.
    WouldUpdate,
    /// The destination was replaced, and its reload command, if any, succeeded.
    Updated,
    /// The destination was in sync, and a reload that an earlier run owed succeeded.
    Reloaded,
}

/// Compares, checks, commits and reloads what [`stage()`] prepared, with confd's steps and log lines.
///
/// The folder of a replaced file is added to `durable`, to be synced by the caller. Apart from
/// waiting for the commands this blocks, for as long as a comparison and a rename need.
///
/// It must run on a Tokio runtime with I/O and time enabled. Dropping the future kills a running command. The destination is then as it was, or replaced with
/// its reload pending.
///
/// # Errors
///
/// The check command refused or the destination could not be replaced: it is as it was. Or the
/// reload command failed: see [`Error::is_written`].
pub async fn finish(
    target: &Target,
    staged: Staged,
    options: &Options,
    durable: &mut Durable,
) -> Result<Outcome, Error> {
    let Staged { content, mut file, difference, .. } = staged.refreshed(target, options)?;
    let dest = target.dest.display();
    let reload_cmd =
        target.reload_cmd.as_deref().filter(|command| !command.is_empty() && !options.sync_only);

    if let Some(file) = &mut file
        && options.keep_stage_file
    {
        info!("Keeping staged file: {}", file.path.display());
        file.leave();
    }
    debug!("Comparing candidate config to {dest}");
    // What is known already is looked at once more only for the log, which has nothing on a file
    // that is missing.
    let is_known = match difference {
        Some(Difference::Missing) => true,
        Some(Difference::Bytes) => !tracing::enabled!(tracing::Level::INFO),
        None => false,
    };
    let file =
        file.filter(|file| is_known || !compare::is_in_sync(target, &file.attributes, &content));
    if options.noop {
        warn!("Noop mode enabled. {dest} will not be modified");
        return Ok(if file.is_some() { Outcome::WouldUpdate } else { Outcome::Unchanged });
    }
    let Some(mut file) = file else {
        debug!("Target config {dest} in sync");
        let Some(command) = reload_cmd else { return Ok(Outcome::Unchanged) };
        let reloaded = reload::reload_if_pending(&target.dest, command, target.timeout).await?;
        return Ok(if reloaded { Outcome::Reloaded } else { Outcome::Unchanged });
    };

    info!("Target config {dest} out of sync");
    if let Some(check) = target.check_cmd.as_ref().filter(|_| !options.sync_only) {
        check.run(&file.path, target.timeout).await.map_err(Error::Check)?;
    }

    debug!("Overwriting target config {dest}");
    let owed = match reload_cmd {
        Some(command) => Some((command, Marker::set(&target.dest)?)),
        None => None,
    };
    if let Err(error) = commit::commit(target, &mut file, &content) {
        if let Some((_, marker)) = owed {
            marker.withdraw();
        }
        return Err(error);
    }
    durable.add(file.folder());
    // The reload may take its time, and needs neither.
    drop((file, content));
    if let Some((command, marker)) = owed {
        reload::reload(&target.dest, command, target.timeout, marker).await?;
    }
    info!("Target config {dest} has been updated");
    Ok(Outcome::Updated)
}
