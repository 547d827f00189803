//! The files of the templates folder that a Go template includes.
//!
//! A name can be made while the template is rendered, so a file is read when it is included for the
//! first time. From then on it belongs to the template: it is compiled once, and
//! [`is_current`](Files::is_current) compares it. The alternative, to read the files before rendering,
//! would miss names that are made of keys, and would fail for a file that is never included.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use gotmpl::Template;
use report::did_you_mean;

use super::{Context, functions};
use crate::folder::{Folder, Unavailable};

/// The most files that are kept. Names that are made of keys can differ in each rendering.
const MOST: usize = 10_000;

/// The files that a template has included so far.
#[derive(Debug)]
pub(super) struct Files {
    /// The templates folder; `None` if the template can include no files.
    folder: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    files: BTreeMap<String, Arc<Included>>,
    /// Whether files were forgotten, because there were too many.
    has_forgotten: bool,
}

/// A file that was included.
#[derive(Debug)]
pub(super) enum Included {
    /// It is a template.
    Template { path: Arc<Path>, template: Arc<Template<Context>> },
    /// It is malformed.
    Malformed { path: Arc<Path>, source: Bytes, error: gotmpl::Error },
    /// It cannot be read.
    Unavailable { why: Unavailable, hint: Option<String> },
}

impl Files {
    /// The files of `folder`, none of which is included yet.
    pub(super) fn new(folder: Option<&Path>) -> Self {
        Files { folder: folder.map(Path::to_path_buf), known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file `name`, and whether it is included for the first time. `None` if there is no folder.
    pub(super) fn include(&self, name: &str) -> Option<(Arc<Included>, bool)> {
        let folder = Folder::new(self.folder.as_deref()?);
        if let Some(known) = self.known().files.get(name) {
            return Some((Arc::clone(known), false));
        }
        let found = Arc::new(read(&folder, name));
        let mut known = self.known();
        if known.files.len() >= MOST {
            known.files.clear();
            known.has_forgotten = true;
        }
        // Two renderings that read the file at the same time use the same content.
        let kept = known.files.entry(name.to_owned()).or_insert(found);
        Some((Arc::clone(kept), true))
    }

    /// Whether each file that was included is as it was then. A file that could not be read counts as
    /// changed when it can be read.
    pub(super) fn is_current(&self) -> bool {
        let Some(folder) = &self.folder else { return true };
        let folder = Folder::new(folder);
        let files = {
            let known = self.known();
            if known.has_forgotten {
                return false;
            }
            known.files.clone()
        };
        files.iter().all(|(name, included)| match (folder.read_bytes(name), &**included) {
            (Ok(now), Included::Template { template, .. }) => now == *template.source(),
            (Ok(now), Included::Malformed { source, .. }) => now == *source,
            (Err(now), Included::Unavailable { why, .. }) => now.to_string() == why.to_string(),
            _ => false,
        })
    }

    /// Whether one of the files calls the function `name`.
    pub(super) fn use_function(&self, name: &str) -> bool {
        self.templates().any(|template| template.uses(name))
    }

    /// Whether `value` stands in one of the files as a constant.
    pub(super) fn have_constant(&self, value: &[u8]) -> bool {
        self.templates().any(|template| template.has_constant(value))
    }

    /// `source`, followed by the sources of all files.
    pub(super) fn sources(&self, source: &Bytes) -> Bytes {
        let mut all = source.clone();
        for template in self.templates() {
            all = [&*all, b"\n", template.source()].concat().into();
        }
        all
    }

    fn templates(&self) -> impl Iterator<Item = Arc<Template<Context>>> + use<> {
        let known = self.known();
        let templates = known.files.values().filter_map(|included| match &**included {
            Included::Template { template, .. } => Some(Arc::clone(template)),
            _ => None,
        });
        templates.collect::<Vec<_>>().into_iter()
    }
}

/// Reads and compiles the file `name` of `folder`.
fn read(folder: &Folder<'_>, name: &str) -> Included {
    let source = match folder.read_bytes(name) {
        Ok(source) => Bytes::from(source),
        Err(why) => {
            let is_missing = matches!(why, Unavailable::Missing);
            let hint = is_missing.then(|| did_you_mean(name, folder.all_names())).flatten();
            return Included::Unavailable { why, hint };
        }
    };
    let path = Arc::from(folder.path_of(name));
    // A line break in a name would be one in the log.
    let shown = name.escape_debug().to_string();
    match Template::parse(&shown, source.clone(), functions()) {
        Ok(template) => Included::Template { path, template: Arc::new(template) },
        Err(error) => Included::Malformed { path, source, error },
    }
}
