//! Takes looks: sees to it that all places on the way are watched, and reads what has changed.
//!
//! Everything here blocks.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Look;
use super::places::{Places, Unwatched};
use super::signals::Event;
use crate::file::File;
use crate::file::contents::Contents;
use crate::file::walk::Step;

/// What looks have in common.
#[derive(Debug)]
pub(super) struct Looker {
    source: File,
    contents: Contents,
    places: Option<Places>,
    failure: Option<Unwatched>,
}

impl Looker {
    /// Looks at the files of `source`. Without `inotify` no folder is watched.
    pub(super) fn new(source: File, inotify: Option<Arc<OwnedFd>>) -> Self {
        let places = inotify.map(|inotify| Places::new(inotify, &source.filter));
        Looker { source, contents: Contents::default(), places, failure: None }
    }

    /// The pairs of all files, if they are others than at the last look that went well.
    pub(super) fn look(&mut self) -> Look {
        let File { paths, filter, .. } = &self.source;
        let Some(places) = &mut self.places else {
            return self.contents.read(paths, filter, |_, _| {});
        };
        let former = places.renew();
        let mut ends: Vec<Option<PathBuf>> = Vec::new();
        for path in paths {
            ends.push(places.route(Path::new("."), path));
        }
        let look = self.contents.read(paths, filter, |index, step| {
            // A folder that has come this moment is in an event, and in the next look.
            let Some(end) = &ends[index] else { return };
            match step {
                Step::Folder(path) => places.every_match(&below(end, &paths[index], path)),
                Step::Link(path) => {
                    let link = below(end, &paths[index], path);
                    if let (Some(folder), Some(name)) = (link.parent(), link.file_name()) {
                        places.route(folder, Path::new(name));
                    }
                }
            }
        });
        self.failure = places.settle(former).err();
        look
    }

    /// Why not everything is watched that the last look has come by.
    pub(super) fn take_failure(&mut self) -> Option<Unwatched> {
        self.failure.take()
    }

    /// Leaves all folders unwatched from now on.
    pub(super) fn stop_watching(&mut self) {
        self.places = None;
    }

    /// Whether an event is a reason to look again.
    pub(super) fn concerns(&self, event: &Event<'_>) -> bool {
        self.places.as_ref().is_some_and(|places| places.concerns(event))
    }
}

/// `path`, which is `given` or below it, if `given` leads to `end`.
fn below(end: &Path, given: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix(given) {
        Ok(rest) if rest.as_os_str().is_empty() => end.to_owned(),
        Ok(rest) => end.join(rest),
        Err(_) => path.to_owned(),
    }
}
