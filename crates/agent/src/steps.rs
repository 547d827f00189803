//! The log as a reader of what `deploy` does: each step at its level.

use deploy::{Level, Observer, Step};
use tracing::{debug, enabled, error, info, warn};

/// Logs the steps of transactions.
pub(crate) struct Logged;

impl Observer for Logged {
    fn observe(&self, step: &Step<'_>) {
        match step.level() {
            Level::Debug => debug!("{step}"),
            Level::Info => info!("{step}"),
            Level::Warning => warn!("{step}"),
            Level::Error => error!("{step}"),
        }
    }

    fn wants(&self, level: Level) -> bool {
        match level {
            Level::Debug => enabled!(tracing::Level::DEBUG),
            Level::Info => enabled!(tracing::Level::INFO),
            Level::Warning => enabled!(tracing::Level::WARN),
            Level::Error => enabled!(tracing::Level::ERROR),
        }
    }
}
