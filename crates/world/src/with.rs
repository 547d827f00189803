//! A host with other variables.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Host, Service, interfaces::Interface, time::Time};

/// A host in whose environment some variables have other values. Everything else is as it is.
pub struct With {
    host: Arc<dyn Host>,
    variables: HashMap<Bytes, Bytes>,
}

impl With {
    /// `host` with these variables, which win over its own.
    pub fn variables(
        host: Arc<dyn Host>,
        variables: impl IntoIterator<Item = (Bytes, Bytes)>,
    ) -> Self {
        With { host, variables: variables.into_iter().collect() }
    }
}

impl Host for With {
    fn variable(&self, name: &[u8]) -> Option<Bytes> {
        self.variables.get(name).cloned().or_else(|| self.host.variable(name))
    }

    fn now(&self) -> Time {
        self.host.now()
    }

    fn file_exists(&self, path: &[u8]) -> bool {
        self.host.file_exists(path)
    }

    fn addresses(&self, name: &[u8]) -> io::Result<Vec<IpAddr>> {
        self.host.addresses(name)
    }

    fn services(&self, name: &[u8]) -> io::Result<Vec<Service>> {
        self.host.services(name)
    }

    fn machine_name(&self) -> io::Result<Bytes> {
        self.host.machine_name()
    }

    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        self.host.interfaces()
    }
}
