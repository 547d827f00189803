//! The files that watch mode follows: `conf.d`, the templates and the destinations.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

use filewatch::{FileWatch, Interest};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::resource::Resource;

/// The time after which folders that cannot be watched are tried again.
const REFOLLOW: Duration = Duration::from_secs(60);

/// Follows `conf.d`, the templates and the destinations by inotify, if possible.
pub(crate) struct Files {
    watch: Option<FileWatch>,
    /// Until then nothing is tried again, because nothing can be followed.
    rest_until: Option<Instant>,
    /// Until then no further failure is logged.
    silent_until: Option<Instant>,
    interests: Vec<Interest>,
}

impl Files {
    /// Follows nothing.
    pub(crate) fn new() -> Self {
        Files { watch: None, rest_until: None, silent_until: None, interests: Vec::new() }
    }

    /// Follows the files of these resources from now on, and the destinations `of_items`.
    pub(crate) fn follow<'a>(
        &mut self,
        confdir: &Path,
        resources: impl Iterator<Item = &'a Resource>,
        of_items: impl Iterator<Item = &'a Path>,
    ) {
        let templates = config::templates_folder(confdir);
        self.interests =
            vec![Interest::tree(config::conf_d(confdir), b"*"), Interest::tree(&*templates, b"*")];
        for resource in resources {
            // The template is followed on its own too, because a tree is not followed through links
            // to folders.
            self.interests.extend(resource.parts().iter().map(|part| Interest::path(&*part.src)));
            if resource.heals() {
                self.interests.extend(resource.single_dests().map(Interest::path));
            }
        }
        self.interests.extend(of_items.map(Interest::path));
        if let Some(watch) = &mut self.watch {
            watch.set_interest(self.interests.iter().cloned());
        }
    }

    /// Returns the paths that may have changed. If files cannot be followed, this is logged, and only
    /// a reconcile finds their changes; the other files are followed all the same.
    pub(crate) async fn changed(&mut self) -> HashSet<PathBuf> {
        loop {
            if let Some(moment) = self.rest_until {
                sleep_until(moment).await;
                self.rest_until = None;
            }
            let watch = match &mut self.watch {
                Some(watch) => watch,
                None => match FileWatch::new() {
                    Ok(mut watch) => {
                        watch.set_interest(self.interests.iter().cloned());
                        self.watch.insert(watch)
                    }
                    Err(failure) => {
                        self.failed(&failure);
                        continue;
                    }
                },
            };
            match watch.changed().await {
                Ok(paths) => return paths.into_iter().collect(),
                Err(failure) => self.failed(&failure),
            }
        }
    }

    fn failed(&mut self, failure: &filewatch::Unwatched) {
        let now = Instant::now();
        if self.silent_until.is_none_or(|moment| moment <= now) {
            match failure.is_partial() {
                true => warn!("{failure}; its files are only compared every -reconcile"),
                false => warn!("{failure}; files are only compared every -reconcile"),
            }
            self.silent_until = Some(now + REFOLLOW);
        }
        if !failure.is_partial() {
            self.rest_until = Some(now + REFOLLOW);
        }
    }
}
