//! The health of a service that is that of its container's own health check.

use super::Keeper;

impl Keeper {
    /// The health check of a container has a result. It counts for services that follow it.
    pub(super) async fn is_healthy_now(&mut self, container: &str, is_healthy: bool) {
        let Some(known) = self.known.get_mut(container) else { return };
        let mut changed = Vec::new();
        for service in &mut known.services {
            if service.is_healthy.is_some_and(|before| before != is_healthy) {
                service.is_healthy = Some(is_healthy);
                changed.push(service.clone());
            }
        }
        for service in changed {
            let words = if is_healthy { "healthy:" } else { "unhealthy:" };
            self.log.line(format_args!("{words} {}", service.id));
            self.register(service, "register failed:", false).await;
        }
    }
}
