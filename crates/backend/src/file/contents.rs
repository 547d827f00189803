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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn read(contents: &mut Contents, paths: &[PathBuf]) -> Option<String> {
        let snapshot = contents.read(paths, b"*", |_, _| {}).unwrap()?;
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let pairs = snapshot.iter().map(|(key, value)| format!("{}={}", text(key), text(value)));
        Some(pairs.collect::<Vec<_>>().join(" "))
    }

    /// What a file would be known by that is only said to hold `a: known`.
    fn known(stamp: Option<Stamp>) -> Known {
        Known { stamp, pairs: Arc::new(vec![("/a".into(), "known".into())]) }
    }

    #[test]
    fn the_same_files_are_no_answer_and_others_are() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_owned()];
        let mut contents = Contents::default();
        assert_eq!(read(&mut contents, &paths).as_deref(), Some(""));
        assert_eq!(read(&mut contents, &paths), None);
        let one = write(folder.path(), "1", "a: 1");
        assert_eq!(read(&mut contents, &paths).as_deref(), Some("/a=1"));
        write(folder.path(), "2", "a: 2");
        assert_eq!(read(&mut contents, &paths).as_deref(), Some("/a=2"));
        assert_eq!(read(&mut contents, &paths), None);
        // Same size and, for all we know, the same time.
        write(folder.path(), "2", "a: 3");
        assert_eq!(read(&mut contents, &paths).as_deref(), Some("/a=3"));
        fs::remove_file(one).unwrap();
        assert_eq!(read(&mut contents, &paths).as_deref(), Some("/a=3"));
        assert_eq!(contents.files.len(), 1);
    }

    #[test]
    fn an_error_does_not_hide_what_else_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_owned()];
        write(folder.path(), "1", "a: 1");
        write(folder.path(), "2", "b: 1");
        let mut contents = Contents::default();
        assert_eq!(read(&mut contents, &paths).as_deref(), Some("/a=1 /b=1"));
        write(folder.path(), "1", "a: 2");
        write(folder.path(), "2", "b: [");
        contents.read(&paths, b"*", |_, _| {}).unwrap_err();
        write(folder.path(), "2", "b: 1");
        assert_eq!(read(&mut contents, &paths).as_deref(), Some("/a=2 /b=1"));
    }

    #[test]
    fn a_file_is_read_unless_its_stamp_is_believed_and_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "a.yaml", "a: read");
        let stamp = Stamp::of(&fs::metadata(&path).unwrap());
        let older = Stamp { changed: (stamp.changed.0 - 1, stamp.changed.1), ..stamp };
        for (stamp, expected) in
            [(Some(stamp), "/a=known"), (Some(older), "/a=read"), (None, "/a=read")]
        {
            let files = HashMap::from([(path.clone(), known(stamp))]);
            let mut contents = Contents { files, parts: None };
            assert_eq!(read(&mut contents, std::slice::from_ref(&path)).unwrap(), expected);
        }
    }

    #[test]
    fn the_stamp_of_a_file_is_believed_once_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "a.yaml", "a: 1");
        assert_eq!(Stamp::settled(&fs::metadata(&path).unwrap()), None);
        // Setting an old time changes the file now.
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(Stamp::settled(&fs::metadata(&path).unwrap()), None);
        let shell = fs::metadata("/bin/sh").unwrap();
        assert_eq!(Stamp::settled(&shell), Some(Stamp::of(&shell)));
        assert_eq!(Stamp::settled(&fs::metadata("/dev/null").unwrap()), None);
    }

    #[test]
    fn a_file_whose_size_is_not_what_it_says_is_always_read() {
        let path = Path::new("/proc/sys/kernel/osrelease");
        let text = fs::read_to_string(path).unwrap();
        assert_ne!(fs::metadata(path).unwrap().len(), text.len() as u64);
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("a.yaml");
        std::os::unix::fs::symlink("/proc/cpuinfo", &link).unwrap();
        assert_eq!(refreshed(None, &link).unwrap().stamp, None);
    }
}
