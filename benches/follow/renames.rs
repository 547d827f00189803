//! The moments at which a file was replaced.

use std::{
    ffi::OsStr,
    fs,
    mem::MaybeUninit,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

/// The moments at which a rename put a file in place.
pub(crate) struct Renames {
    dest: PathBuf,
    moments: Receiver<Instant>,
}

impl Renames {
    /// Listens for renames of one file, which need not exist yet.
    pub(crate) fn of(dest: &Path) -> Self {
        let folder = dest.parent().expect("a file in a folder");
        let name = dest.file_name().map(OsStr::to_owned).expect("a file with a name");
        let events = inotify::init(CreateFlags::CLOEXEC).expect("inotify");
        inotify::add_watch(&events, folder, WatchFlags::MOVED_TO).expect("a folder");
        let (sender, moments) = channel();
        thread::spawn(move || {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = Reader::new(events, &mut buffer);
            while let Ok(event) = reader.next() {
                let now = Instant::now();
                let is_it = |found: &std::ffi::CStr| found.to_bytes() == name.as_bytes();
                if event.events().contains(ReadFlags::IGNORED) // the folder is gone
                    || event.file_name().is_some_and(is_it) && sender.send(now).is_err()
                {
                    return;
                }
            }
        });
        Renames { dest: dest.to_owned(), moments }
    }

    /// Forgets all moments so far.
    pub(crate) fn forget(&self) {
        self.moments.try_iter().for_each(drop);
    }

    /// The moment from which the file had this content. `None` if it did not get it within
    /// `patience`.
    pub(crate) fn until(&self, content: &str, patience: Duration) -> Option<Instant> {
        self.until_is(|found| found == content.as_bytes(), patience)
    }

    /// The moment from which the file had a content like this. `None` if it did not get it within
    /// `patience`.
    pub(crate) fn until_is(
        &self,
        is: impl Fn(&[u8]) -> bool,
        patience: Duration,
    ) -> Option<Instant> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let moment = self.moments.recv_timeout(left).ok()?;
            if fs::read(&self.dest).is_ok_and(|found| is(&found)) {
                return Some(moment);
            }
        }
    }

    /// The moment of the last replacement, after which the file was not replaced for the time
    /// `quiet`.
    pub(crate) fn last(&self, quiet: Duration) -> Option<Instant> {
        let next = || self.moments.recv_timeout(quiet).ok();
        std::iter::from_fn(next).last()
    }
}
