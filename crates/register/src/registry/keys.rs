//! The keys of services in a store, and their values.

use std::fmt::Write as _;

use super::key_outside;
use crate::service::Service;
use crate::uri::clean;

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `ADDRESS:PORT`.
    Address,
    /// SkyDNS's JSON.
    Skydns,
}

/// The keys of services in etcd: `PREFIX/NAME/ID`.
#[derive(Debug)]
pub(super) struct Keys {
    /// With a slash before it; empty for none.
    prefix: String,
    form: Form,
}

impl Keys {
    /// The keys below the path of a URI.
    pub(super) fn below(path: &str) -> Keys {
        let prefix = match clean(path) {
            prefix if prefix.is_empty() => prefix,
            prefix => format!("/{prefix}"),
        };
        Keys { prefix, form: Form::Address }
    }

    /// SkyDNS's keys for this domain.
    pub(super) fn of_domain(domain: &str) -> Keys {
        let mut prefix = "/skydns".to_owned();
        for label in domain.split('.').rev() {
            // A string takes every text.
            let _ = write!(prefix, "/{label}");
        }
        Keys { prefix: format!("/{}", clean(&prefix)), form: Form::Skydns }
    }

    /// The key of a service.
    pub(super) fn of(&self, service: &Service) -> String {
        format!("/{}", clean(&format!("{}/{}/{}", self.prefix, service.name, service.id)))
    }

    /// What all keys begin with.
    pub(super) fn place(&self) -> String {
        format!("{}/", self.prefix)
    }

    /// The value of the key of a service.
    pub(super) fn value(&self, service: &Service) -> String {
        match self.form {
            Form::Address => host_and_port(service),
            Form::Skydns => {
                let Service { address, port, .. } = service;
                format!("{{\"host\":\"{address}\",\"port\":{port}}}")
            }
        }
    }

    /// Why the service can have no key: a text for people. `None` if it can.
    pub(super) fn refuses(&self, service: &Service) -> Option<String> {
        key_outside(self.prefix.trim_start_matches('/'), self.of(service).trim_start_matches('/'))
    }
}

/// Host and port, as a value in a store has them.
pub(super) fn host_and_port(service: &Service) -> String {
    nodes::address::authority(&service.address, service.port)
}
