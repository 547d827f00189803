//! What the files say together, for as long as they are followed.
//!
//! [`Contents::read`] answers as reading everything would, but opens only the files that may have
//! changed. Nothing here knows when to look.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use store::{Coverage, Snapshot};

use super::walk::{self, Step};
use super::{open, parse};
use crate::Error;

/// How long a file must have been as it is before its times are believed: two writes in one tick
/// of a file system's clock leave the same time, and the coarsest of these clocks, FAT's, ticks
/// every two seconds.
const SETTLED: Duration = Duration::from_secs(3);

/// The files as they were last read.
#[derive(Debug, Default)]
pub(super) struct Contents {
    files: HashMap<PathBuf, Known>,
    /// The files, in order, that the last answer was made of.
    parts: Option<Vec<Arc<Pairs>>>,
}

/// The leaves of one document, in its order.
type Pairs = Vec<(Bytes, Bytes)>;

#[derive(Debug, Clone)]
struct Known {
    stamp: Option<Stamp>,
    pairs: Arc<Pairs>,
}

/// What the system says about a file that changes when the file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Contents {
    /// The pairs of all files that `paths` stand for; `None` if they are those of the last answer.
    /// `step` is told what a walk comes by, with the index of its path.
    ///
    /// # Errors
    ///
    /// A path or a file cannot be read. The next call compares with the last answer all the same.
    pub(super) fn read(
        &mut self,
        paths: &[PathBuf],
        filter: &[u8],
        mut step: impl FnMut(usize, Step<'_>),
    ) -> Result<Option<Snapshot>, Error> {
        // What is not come by is forgotten, so nothing is kept of files that are gone.
        let mut before = std::mem::take(&mut self.files);
        let mut parts = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            for file in walk::files(path, filter, |found| step(index, found))? {
                let known = match self.files.get(&file) {
                    Some(known) => known.clone(),
                    None => refreshed(before.remove(&file), &file)?,
                };
                parts.push(Arc::clone(&known.pairs));
                self.files.insert(file, known);
            }
        }
        if self.parts.as_ref().is_some_and(|last| same(last, &parts)) {
            return Ok(None);
        }
        let mut snapshot = Snapshot::new(Coverage::Text);
        for (key, value) in parts.iter().flat_map(|pairs| pairs.iter()) {
            snapshot.insert(key.clone(), value.clone());
        }
        self.parts = Some(parts);
        Ok(Some(snapshot))
    }
}

fn same(one: &[Arc<Pairs>], two: &[Arc<Pairs>]) -> bool {
    one.len() == two.len() && one.iter().zip(two).all(|(one, two)| Arc::ptr_eq(one, two))
}

/// What the file holds now, without reading it if it is for certain what is known already.
fn refreshed(known: Option<Known>, path: &Path) -> Result<Known, Error> {
    if let Some(known) = &known
        && known.stamp.is_some()
        && std::fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata)) == known.stamp
    {
        return Ok(known.clone());
    }
    let mut file = open(path)?;
    // Before the reading, so that a change in between makes the stamp an old one.
    let stamp = file.metadata().ok().and_then(|metadata| Stamp::settled(&metadata));
    let mut pairs = Vec::new();
    let length = parse(&mut file, path, |key, value| pairs.push((key, value)))?;
    // A file of /proc or /sys never has the size that it says, nor a time of its own.
    let stamp = stamp.filter(|stamp| stamp.size == length);
    let pairs = match known {
        Some(known) if *known.pairs == pairs => known.pairs,
        _ => Arc::new(pairs),
    };
    Ok(Known { stamp, pairs })
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The stamp of a regular file that no change from now on can leave as it is.
    fn settled(metadata: &Metadata) -> Option<Self> {
        let stamp = Stamp::of(metadata);
        let seconds = stamp.modified.0.max(stamp.changed.0);
        let seconds = u64::try_from(seconds).ok()?;
        let latest = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
        let age = SystemTime::now().duration_since(latest).ok()?;
        (metadata.is_file() && age > SETTLED).then_some(stamp)
    }
}
