//! What happens in the agent, for those who wait for it: systemd and the supervised program.

use std::sync::Arc;

use agent::{Event, Handle, Reader};
use deploy::{Level, Outcome};
use tokio::sync::watch;

/// Notes when passes end. A reader of the agent's events.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The number of events after which the process may be ready.
    ended: watch::Sender<u64>,
    /// The number of passes that changed files whose resource has no reload command.
    changed: watch::Sender<u64>,
}

impl Progress {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Progress { ended: watch::Sender::new(0), changed: watch::Sender::new(0) })
    }

    /// Waits until each required resource has applied its newest data.
    pub(crate) async fn ready(&self, handle: &Handle) {
        let mut ended = self.ended.subscribe();
        while !handle.is_ready() {
            // An error would mean that the sender is gone, and it is here.
            let _ = ended.changed().await;
        }
    }

    /// Sees each pass from now on that changes files whose resource has no reload command.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

impl Reader for Progress {
    fn read(&self, event: &Event<'_>) {
        match event {
            Event::Done { resource, outcome, .. } => {
                let changes = matches!(outcome, Outcome::Updated | Outcome::Removed);
                if changes && !resource.has_reload() {
                    self.changed.send_modify(|count| *count += 1);
                }
                self.ended.send_modify(|count| *count += 1);
            }
            Event::Assigned(_)
            | Event::Loaded { .. }
            | Event::Kept { .. }
            | Event::Failed { .. }
            | Event::PassEnded { .. } => self.ended.send_modify(|count| *count += 1),
            _ => {}
        }
    }

    fn wants(&self, _: Level) -> bool {
        false
    }
}
