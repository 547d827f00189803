//! The time of quiescence of a template.

use std::time::Duration;

use tokio::time::Instant;

/// How much earlier than its own time a template is rendered together with another.
const TOGETHER: Duration = Duration::from_millis(20);

/// A time of quiescence: the template is rendered when nothing has changed for `min`, and at the
/// latest `max` after the first change.
pub(crate) struct Quiet {
    min: Duration,
    max: Duration,
    /// When the template is rendered next, and the latest moment for it.
    due: Option<(Instant, Instant)>,
}

impl Quiet {
    /// A time in which nothing has changed yet.
    pub(crate) fn new(min: Duration, max: Duration) -> Quiet {
        Quiet { min, max, due: None }
    }

    /// Notes a change.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        let (_, latest) = *self.due.get_or_insert((now + self.min, now + self.max));
        self.due = Some(((now + self.min).min(latest), latest));
    }

    /// When the template is rendered next; `None` without a change.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due.map(|(due, _)| due)
    }

    /// Whether the template is rendered in a pass that begins now. Templates whose times end nearly
    /// together share a pass, so that a command that they have in common runs once.
    pub(crate) fn is_due(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now() + TOGETHER)
    }
}
