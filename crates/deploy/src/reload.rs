//! Telling the service about its new file, now or, if that fails, later.

use std::path::Path;
use std::time::Duration;

use tracing::{info, warn};

use crate::error::Error;
use crate::pending::Marker;
use crate::run::run;

/// Runs the reload command that the marker stands for, and removes the marker if it succeeds.
pub(crate) async fn reload(
    dest: &Path,
    command: &str,
    limit: Option<Duration>,
    marker: Marker,
) -> Result<(), Error> {
    match run(command.into(), limit).await {
        Ok(()) => {
            marker.clear();
            Ok(())
        }
        Err(cause) => {
            let dest = dest.display();
            warn!("{dest} is in place but its reload is pending; it will be tried again");
            Err(Error::Reload(cause))
        }
    }
}

/// Reloads for a destination that is in sync, if an earlier run still owes it.
///
/// Gives whether that was so.
pub(crate) async fn reload_if_pending(
    dest: &Path,
    command: &str,
    limit: Option<Duration>,
) -> Result<bool, Error> {
    let Some(marker) = Marker::find(dest) else { return Ok(false) };
    info!("{} has a reload pending from an earlier run; trying it again", dest.display());
    reload(dest, command, limit, marker).await?;
    info!("{} has been reloaded", dest.display());
    Ok(true)
}
