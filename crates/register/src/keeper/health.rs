//! The health of a service that is that of its container's own health check.

use super::Keeper;
use crate::service::Service;

impl Keeper {
    /// The health check of a container has a result. It counts for services that follow it.
    pub(super) async fn is_healthy_now(&mut self, container: &str, is_healthy: bool) {
        for service in self.take_over(container, is_healthy) {
            // Without states in the registry, it has its entry from now on.
            let is_told = !self.registry.has_states();
            self.register(service, "register failed:", is_told).await;
        }
    }

    /// Notes the result of a container's health check. Returns the services that have changed, which
    /// are to be registered.
    pub(super) fn take_over(&mut self, container: &str, is_healthy: bool) -> Vec<Service> {
        let known = self.known.get_mut(container);
        let services = known.into_iter().flat_map(|known| &mut known.services);
        let mut changed = Vec::new();
        for service in services {
            if service.is_healthy.is_some_and(|before| before != is_healthy) {
                service.is_healthy = Some(is_healthy);
                let words = if is_healthy { "healthy:" } else { "unhealthy:" };
                self.log.line(format_args!("{words} {}", service.id));
                changed.push(service.clone());
            }
        }
        changed
    }
}
