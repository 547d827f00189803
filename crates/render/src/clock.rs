//! The time limit of one rendering.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

/// Measures a rendering, and says when it has to stop.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The end and the time until then; `None` if there is no limit.
    limit: Option<(Instant, Duration)>,
    has_stopped: Cell<bool>,
}

/// The time of a rendering is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfTime(Duration);

impl fmt::Display for OutOfTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rendering takes longer than {:?}, its time limit", self.0)
    }
}

impl Clock {
    /// A clock that starts now. A limit that is too far away to be a moment in time is no limit.
    pub(crate) fn start(limit: Option<Duration>) -> Self {
        let end = |limit| Some((Instant::now().checked_add(limit)?, limit));
        Clock { limit: limit.and_then(end), has_stopped: Cell::new(false) }
    }

    /// Whether the rendering may go on.
    pub(crate) fn check(&self) -> Result<(), OutOfTime> {
        match self.limit {
            Some((end, limit)) if Instant::now() >= end => {
                self.has_stopped.set(true);
                Err(OutOfTime(limit))
            }
            _ => Ok(()),
        }
    }

    /// Why the rendering was stopped; `None` if it was not.
    pub(crate) fn stopped(&self) -> Option<OutOfTime> {
        let (_, limit) = self.limit?;
        self.has_stopped.get().then_some(OutOfTime(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendering_is_stopped_only_after_its_limit() {
        for limit in [None, Some(Duration::from_secs(3600)), Some(Duration::MAX)] {
            let clock = Clock::start(limit);
            assert_eq!((clock.check(), clock.stopped()), (Ok(()), None));
        }
        let clock = Clock::start(Some(Duration::ZERO));
        assert_eq!(clock.stopped(), None);
        let over = clock.check().expect_err("over");
        assert_eq!(clock.stopped(), Some(over));
        assert_eq!(over.to_string(), "rendering takes longer than 0ns, its time limit");
    }
}
