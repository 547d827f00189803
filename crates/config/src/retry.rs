//! When a pass of a resource that failed is tried again.

use std::time::Duration;

use options::factor::Factor;

use crate::{
    keys::{self, Key, ResourceTable},
    resource::Reason,
};

/// The delays between the retries of a resource. What is not set is that of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retry {
    /// The first delay.
    pub delay: Option<Duration>,
    /// By what each delay is longer than the one before.
    pub factor: Option<Factor>,
    /// The longest delay.
    pub max_delay: Option<Duration>,
}

impl Retry {
    /// These delays, and those of `other` where these say nothing.
    #[must_use]
    pub fn or(self, other: &Retry) -> Retry {
        Retry {
            delay: self.delay.or(other.delay),
            factor: self.factor.or(other.factor),
            max_delay: self.max_delay.or(other.max_delay),
        }
    }

    /// The delays in the table of a resource.
    pub(crate) fn read(table: &ResourceTable<'_, '_>) -> Result<Self, Reason> {
        let delay = not_zero(table, &keys::RETRY_DELAY)?;
        let factor = table.get(&keys::RETRY_FACTOR)?;
        let max_delay = not_zero(table, &keys::RETRY_MAX_DELAY)?;
        if let (Some(first), Some(last)) = (delay, max_delay)
            && last < first
        {
            let text = format!("retry_max_delay {last:?} is less than retry_delay {first:?}");
            return Err(Reason::new(text, table.offset(&keys::RETRY_MAX_DELAY)));
        }
        Ok(Retry { delay, factor, max_delay })
    }
}

/// The duration at `key`, which may not be zero.
fn not_zero(
    table: &ResourceTable<'_, '_>,
    key: &Key<Duration>,
) -> Result<Option<Duration>, Reason> {
    let delay = table.get(key)?;
    if delay.is_some_and(|delay| delay.is_zero()) {
        let hint = "without a delay, a pass that fails would be tried again without a pause";
        let text = format!("{} is 0", key.name);
        return Err(Reason::new(text, table.offset(key)).hinting(Some(hint.to_owned())));
    }
    Ok(delay)
}
