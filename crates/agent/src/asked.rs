//! Detects that a template asked the machine for something (clock, DNS, environment). Its answer
//! may change without a change of keys.
//! key has changed.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use world::{Host, Service, interfaces::Interface, time::Time};

/// A host that passes on every question and records whether there was any.
pub(crate) struct Asked {
    host: Arc<dyn Host>,
    was_asked: AtomicBool,
}

impl Asked {
    pub(crate) fn new(host: &Arc<dyn Host>) -> Self {
        Asked { host: Arc::clone(host), was_asked: AtomicBool::new(false) }
    }

    pub(crate) fn anything(&self) -> bool {
        self.was_asked.load(Ordering::Relaxed)
    }

    fn host(&self) -> &dyn Host {
        self.was_asked.store(true, Ordering::Relaxed);
        &*self.host
    }
}

impl Host for Asked {
    fn variable(&self, name: &[u8]) -> Option<Bytes> {
        self.host().variable(name)
    }

    fn now(&self) -> Time {
        self.host().now()
    }

    fn file_exists(&self, path: &[u8]) -> bool {
        self.host().file_exists(path)
    }

    fn addresses(&self, name: &[u8]) -> io::Result<Vec<IpAddr>> {
        self.host().addresses(name)
    }

    fn services(&self, name: &[u8]) -> io::Result<Vec<Service>> {
        self.host().services(name)
    }

    fn machine_name(&self) -> io::Result<Bytes> {
        self.host().machine_name()
    }

    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        self.host().interfaces()
    }
}
