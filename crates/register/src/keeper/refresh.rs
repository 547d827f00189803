//! Keeps entries alive, also while something else is waited for.

use std::pin::pin;

use super::{Keeper, tick};
use crate::container::short;
use crate::service::Service;

impl Keeper {
    /// Waits for the answer of something other than the registry: the engine, a name server, the
    /// template of `-tags`. Entries are refreshed meanwhile, because each of these can be silent for
    /// longer than an entry lives.
    pub(super) async fn waits<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                () = tick(&mut self.refreshes) => self.refresh().await,
            }
        }
    }

    /// Keeps all entries alive.
    pub(super) async fn refresh(&mut self) {
        let period = self.flags.refresh;
        self.dead.retain(|_, dead| {
            dead.left = dead.left.saturating_sub(period);
            !dead.left.is_zero()
        });
        let services = self.known.values().flat_map(|known| &known.services);
        let is_there = |service: &&Service| {
            !self.registry.is_left_out(service) && !self.pending.has(&self.registry.key(service))
        };
        for service in services.filter(is_there) {
            let (short, id) = (short(&service.container), &service.id);
            match self.registry.refresh(service).await {
                Ok(()) => {
                    let refreshed = self.registry.word("refreshed:", "would refresh:");
                    self.log.line(format_args!("{refreshed} {short} {id}"));
                }
                Err(error) => {
                    self.log.line(format_args!("refresh failed: {id} {error}"));
                    if !error.is_refusal() {
                        // The others would wait for the same.
                        break;
                    }
                }
            }
        }
    }
}
