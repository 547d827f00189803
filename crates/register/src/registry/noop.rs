//! A registry in which nothing is changed.

use std::future::pending;
use std::rc::Rc;

use async_trait::async_trait;
use nodes::Error;

use super::{Entry, Registry};
use crate::log::Log;
use crate::service::Service;

/// Reads another registry, and only logs the changes.
pub(super) struct Noop {
    registry: Rc<dyn Registry>,
    log: Log,
}

impl Noop {
    pub(super) fn new(registry: Rc<dyn Registry>, log: Log) -> Noop {
        Noop { registry, log }
    }
}

#[async_trait(?Send)]
impl Registry for Noop {
    async fn ping(&self) -> Result<Option<String>, Error> {
        self.registry.ping().await
    }

    async fn register(&self, service: &Service) -> Result<(), Error> {
        let Service { id, name, address, port, .. } = service;
        self.log.line(format_args!("noop: would register {id}: {name} at {address}:{port}"));
        Ok(())
    }

    async fn refresh(&self, _: &Service) -> Result<(), Error> {
        Ok(())
    }

    async fn deregister(&self, service: &Service) -> Result<(), Error> {
        self.log.line(format_args!("noop: would remove {}", service.id));
        Ok(())
    }

    fn refuses(&self, service: &Service) -> Option<String> {
        self.registry.refuses(service)
    }

    fn key(&self, service: &Service) -> String {
        self.registry.key(service)
    }

    async fn entries(&self) -> Result<Vec<Entry>, Error> {
        self.registry.entries().await
    }

    async fn remove(&self, entry: &Entry) -> Result<(), Error> {
        self.log.line(format_args!("noop: would remove {}", entry.key));
        Ok(())
    }

    async fn lost(&self) {
        // Nothing was registered, so nothing is lost.
        pending::<()>().await;
    }

    fn is_noop(&self) -> bool {
        true
    }

    fn has_states(&self) -> bool {
        self.registry.has_states()
    }

    fn is_cleaned(&self) -> bool {
        self.registry.is_cleaned()
    }
}
