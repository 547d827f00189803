//! Merges bursts of events.
//!
//! Events come in bursts: a file is truncated, written and closed, or a folder is filled.
//! [`Signals`] waits for the end of a burst, so that the caller seldom reads a half-written file.
//! It does not know what the events mean.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::select;
use tokio::time::{Instant, sleep_until};

use crate::{LONGEST_WAIT, QUIET};

/// The size of the buffer for events. One event with the longest possible name must fit.
const BUFFER: usize = 4096;

/// The events of an inotify instance.
#[derive(Debug)]
pub(crate) struct Signals {
    inotify: AsyncFd<Arc<OwnedFd>>,
    burst: Option<Burst>,
}

/// An event of a watched folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    /// The number of the folder's watch.
    pub(crate) watch: i32,
    /// The name in the folder that the event is about. `None` if it is about the folder itself.
    pub(crate) name: Option<&'a OsStr>,
    pub(crate) flags: ReadFlags,
}

/// Events that matter and follow each other within a short time.
#[derive(Debug)]
struct Burst {
    first: Instant,
    last: Instant,
    /// The files that were written to and have not been closed, by folder and name.
    open: HashSet<(i32, OsString)>,
}

impl Signals {
    /// A new instance, with nothing watched.
    ///
    /// # Errors
    ///
    /// The system has no free instances or descriptors.
    pub(crate) fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Signals::of(inotify)
    }

    /// The events of an instance from the caller, which must be non-blocking.
    #[expect(
        deprecated,
        reason = "its successor is unsafe, for descriptors that may be closed too early; this one is owned"
    )]
    pub(crate) fn of(inotify: OwnedFd) -> io::Result<Self> {
        Ok(Signals { inotify: AsyncFd::new(Arc::new(inotify))?, burst: None })
    }

    /// The instance, with which folders are watched.
    pub(crate) fn inotify(&self) -> Arc<OwnedFd> {
        Arc::clone(self.inotify.get_ref())
    }

    /// Waits for an event that `matters`, and then until the burst is over: until there was no
    /// event for [`QUIET`] and no file is being written, but no longer than [`LONGEST_WAIT`]. The
    /// future can be dropped and the function called again.
    ///
    /// # Errors
    ///
    /// There will be no more events.
    pub(crate) async fn settled(
        &mut self,
        mut matters: impl FnMut(&Event<'_>) -> bool,
    ) -> io::Result<()> {
        loop {
            let readable = self.inotify.readable();
            let mut ready = match &self.burst {
                None => readable.await?,
                Some(burst) => select! {
                    biased;
                    // Checked first, because events without end must not delay it.
                    () = sleep_until(burst.end()) => {
                        self.burst = None;
                        return Ok(());
                    }
                    ready = readable => ready?,
                },
            };
            let burst = &mut self.burst;
            let read = ready.try_io(|inotify| {
                events(inotify.get_ref(), |event| {
                    if matters(&event) {
                        burst.get_or_insert_with(Burst::new).add(&event);
                    }
                })
            });
            if let Ok(read) = read {
                read?;
            }
        }
    }
}

impl Burst {
    fn new() -> Self {
        let now = Instant::now();
        Burst { first: now, last: now, open: HashSet::new() }
    }

    fn add(&mut self, event: &Event<'_>) {
        self.last = Instant::now();
        let Some(name) = event.name else { return };
        let file = (event.watch, name.to_owned());
        if event.flags.contains(ReadFlags::MODIFY) {
            self.open.insert(file);
        } else {
            // The file was closed or removed, or another file took its name.
            self.open.remove(&file);
        }
    }

    /// The end of the burst, if no further event comes.
    fn end(&self) -> Instant {
        let latest = self.first + LONGEST_WAIT;
        if self.open.is_empty() { latest.min(self.last + QUIET) } else { latest }
    }
}

/// Reads some of the waiting events.
fn events(inotify: &OwnedFd, mut handle: impl FnMut(Event<'_>)) -> io::Result<()> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    loop {
        match reader.next() {
            Ok(event) => handle(Event {
                watch: event.wd(),
                name: event.file_name().map(|name| OsStr::from_bytes(name.to_bytes())),
                flags: event.events(),
            }),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if reader.is_buffer_empty() {
            return Ok(());
        }
    }
}
