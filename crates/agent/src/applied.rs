//! What a resource's file was made of when it was put in place, so that a pass that could change
//! nothing need not be made.
//!
//! A pass gives the same file as the one before if its template has not changed, has asked nobody
//! but its view, and gets the same answers from it; it does nothing at all if the file is still what
//! it was made. Wherever one of these is not known for certain there is nothing [`Applied`].

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use deploy::Outcome;
use render::Template;
use report::Fingerprint;
use store::Reads;
use world::{Host, Service, time::Time};

use crate::resource::Resource;

/// What a file was made of, and what it is.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) template: Arc<Template>,
    /// The template's file, when it was read.
    pub(crate) src: Fingerprint,
    /// What the template asked of its view.
    pub(crate) reads: Reads,
    /// The file, which had the right content.
    pub(crate) dest: Fingerprint,
}

/// A file that is what its resource makes of the store, with nothing left to do.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The number of the assignment that found it so.
    pub(crate) assignment: u64,
    resource: Arc<Resource>,
    origin: Origin,
}

impl Applied {
    /// What is known behind a pass that ended so; none if the next pass might do something.
    pub(crate) fn after(
        assignment: u64,
        resource: &Arc<Resource>,
        origin: Origin,
        outcome: Outcome,
    ) -> Option<Self> {
        let resource = Arc::clone(resource);
        match outcome {
            Outcome::Unchanged => Some(Applied { assignment, resource, origin }),
            // What the file has become is seen by the next pass.
            Outcome::Updated | Outcome::Reloaded | Outcome::WouldUpdate => None,
        }
    }

    /// Whether a change of this key of the source, which the resource asks for, may make the file
    /// another.
    pub(crate) fn is_concerned_by(&self, key: &[u8]) -> bool {
        self.origin.reads.concern(key)
    }

    /// Whether template and file are as they were. Looks at the disk, and waits for it.
    pub(crate) fn has_its_files(&self) -> bool {
        let (src, target) = (&self.resource.src, &self.resource.target);
        Fingerprint::at(src) == Some(self.origin.src)
            && Fingerprint::at(&target.dest) == Some(self.origin.dest)
            && self.origin.template.is_current()
    }
}

/// Where a worker says what its resource's file is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report(Arc<Mutex<Option<Arc<Applied>>>>);

impl Report {
    /// Replaces what was said before.
    pub(crate) fn set(&self, applied: Option<Applied>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = applied.map(Arc::new);
    }

    /// What came of this assignment, once there is nothing left to do for it.
    pub(crate) fn of(&self, assignment: u64) -> Option<Arc<Applied>> {
        let applied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        applied.as_ref().filter(|applied| applied.assignment == assignment).cloned()
    }
}

/// Asks another host, and remembers whether anything was asked at all.
pub(crate) struct Witness {
    host: Arc<dyn Host>,
    was_asked: AtomicBool,
}

impl Witness {
    pub(crate) fn new(host: &Arc<dyn Host>) -> Self {
        Witness { host: Arc::clone(host), was_asked: AtomicBool::new(false) }
    }

    pub(crate) fn was_asked(&self) -> bool {
        self.was_asked.load(Ordering::Relaxed)
    }

    fn host(&self) -> &dyn Host {
        self.was_asked.store(true, Ordering::Relaxed);
        &*self.host
    }
}

impl Host for Witness {
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
}
