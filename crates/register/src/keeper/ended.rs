//! What becomes of the services of a container that has ended.

use client_docker::{Event, Moment};

use super::{Dead, Keeper};
use crate::container::{Container, short};

impl Keeper {
    /// Whether a container has ended before its present start. Such events are read after a gap. Clocks
    /// can be put back, so the engine is asked as well.
    pub(super) async fn is_of_former_run(&mut self, event: &Event) -> bool {
        let Some(known) = self.known.get(&event.container) else { return false };
        if Moment::parse(&known.started_at).is_none_or(|started| started <= event.at) {
            return false;
        }
        let engine = self.engine();
        let found = self.waits(engine.inspect(&event.container)).await;
        found.is_ok_and(|found| found.map(Container::new).is_some_and(|one| one.is_running()))
    }

    /// A container has ended, with this exit code if it is known.
    pub(super) async fn died(&mut self, id: &str, code: Option<i64>) {
        if self.flags.only_on_success && !self.is_success(id, code).await {
            if let Some(known) = self.known.remove(id)
                && !self.flags.ttl.is_zero()
            {
                self.dead.insert(id.to_owned(), Dead { known, left: self.flags.ttl });
            }
            return;
        }
        self.forget(id).await;
    }

    /// Removes the services of a container.
    pub(super) async fn forget(&mut self, id: &str) {
        let dead = self.dead.remove(id).map(|dead| dead.known);
        let known = self.known.remove(id).into_iter().chain(dead);
        for service in known.flat_map(|known| known.services).collect::<Vec<_>>() {
            self.deregister(service).await;
        }
    }

    /// Whether the services of a container that has ended are to be removed.
    async fn is_success(&mut self, id: &str, code: Option<i64>) -> bool {
        /// The bit of exit codes that stand for a signal.
        const SIGNAL: i64 = 128;

        let (short, engine) = (short(id), self.engine());
        let code = match code {
            Some(code) => code,
            None => {
                match self.waits(engine.inspect(id)).await.map(|found| found.map(Container::new)) {
                    Ok(None) => {
                        let text = "was removed, could not fetch exit code";
                        self.log.line(format_args!("registrator: container {short} {text}"));
                        return true;
                    }
                    Ok(Some(container)) if container.is_running() => {
                        let text = format!("not removing container {short}, still running");
                        self.log.line(format_args!("registrator: {text}"));
                        return false;
                    }
                    Ok(Some(container)) => container.exit_code(),
                    Err(error) => {
                        let text = "error fetching status for container";
                        self.log.line(format_args!(
                            "registrator: {text} {short} on \"die\" event: {error}"
                        ));
                        return false;
                    }
                }
            }
        };
        code == 0 || code & SIGNAL != 0
    }
}
