//! The content of all files together, while they are followed.
//!
//! [`Contents::read`] returns the same result as reading all files, but opens only files that may
//! have changed. It does not know when to read.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use report::Fingerprint;
use source::Error;
use store::{Coverage, Snapshot};

use super::{open, parse, walk};

/// The files when they were last read.
#[derive(Debug, Default)]
pub(super) struct Contents {
    files: HashMap<PathBuf, Known>,
    /// The files, in order, of the last result.
    parts: Option<Vec<Arc<Pairs>>>,
}

/// The leaves of one document, in its order.
type Pairs = Vec<(Bytes, Bytes)>;

#[derive(Debug, Clone)]
struct Known {
    /// The fingerprint of the file when it was read, if an equal fingerprint proves later that the
    /// file is unchanged.
    fingerprint: Option<Fingerprint>,
    pairs: Arc<Pairs>,
}

impl Contents {
    /// The pairs of all files of `paths`; `None` if they are the same as in the last result.
    ///
    /// # Errors
    ///
    /// A path or a file cannot be read. The next call still compares with the last result.
    pub(super) fn read(
        &mut self,
        paths: &[PathBuf],
        filter: &[u8],
    ) -> Result<Option<Snapshot>, Error> {
        // Files that are not visited are forgotten, so nothing is kept of removed files.
        let mut before = std::mem::take(&mut self.files);
        let mut parts = Vec::new();
        for path in paths {
            for file in walk::files(path, filter)? {
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

/// The present content of the file. The file is not read if it is certainly unchanged.
fn refreshed(known: Option<Known>, path: &Path) -> Result<Known, Error> {
    if let Some(known) = &known
        && known.fingerprint.is_some()
        && Fingerprint::at(path) == known.fingerprint
    {
        return Ok(known.clone());
    }
    let mut file = open(path)?;
    // Taken before the file is read, so that a change during the reading makes the fingerprint
    // outdated.
    let fingerprint = file.metadata().ok().and_then(|metadata| settled(&metadata));
    let mut pairs = Vec::new();
    let length = parse(&mut file, path, |key, value| pairs.push((key, value)))?;
    // A file of /proc or /sys has neither its real size nor a modification time.
    let fingerprint = fingerprint.filter(|fingerprint| fingerprint.size() == length);
    let pairs = match known {
        Some(known) if *known.pairs == pairs => known.pairs,
        _ => Arc::new(pairs),
    };
    Ok(Known { fingerprint, pairs })
}

/// The fingerprint of a regular file, if every later change is certain to change it.
fn settled(metadata: &Metadata) -> Option<Fingerprint> {
    let fingerprint = Fingerprint::of(metadata);
    (metadata.is_file() && fingerprint.is_settled()).then_some(fingerprint)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn read(contents: &mut Contents, paths: &[PathBuf]) -> Option<String> {
        let snapshot = contents.read(paths, b"*").unwrap()?;
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let pairs = snapshot.iter().map(|(key, value)| format!("{}={}", text(key), text(value)));
        Some(pairs.collect::<Vec<_>>().join(" "))
    }

    /// The record of a file with the content `a: known`, which exists only in this test.
    fn known(fingerprint: Option<Fingerprint>) -> Known {
        Known { fingerprint, pairs: Arc::new(vec![("/a".into(), "known".into())]) }
    }

    #[test]
    fn unchanged_files_give_no_result_and_changed_files_do() {
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
        // The same size and, possibly, the same time.
        write(folder.path(), "2", "a: 3");
        assert_eq!(read(&mut contents, &paths).as_deref(), Some("/a=3"));
        fs::remove_file(one).unwrap();
        assert_eq!(read(&mut contents, &paths).as_deref(), Some("/a=3"));
        assert_eq!(contents.files.len(), 1);
    }

    #[test]
    fn an_error_does_not_hide_other_changes() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_owned()];
        write(folder.path(), "1", "a: 1");
        write(folder.path(), "2", "b: 1");
        let mut contents = Contents::default();
        assert_eq!(read(&mut contents, &paths).as_deref(), Some("/a=1 /b=1"));
        write(folder.path(), "1", "a: 2");
        write(folder.path(), "2", "b: [");
        contents.read(&paths, b"*").unwrap_err();
        write(folder.path(), "2", "b: 1");
        assert_eq!(read(&mut contents, &paths).as_deref(), Some("/a=2 /b=1"));
    }

    #[test]
    fn a_file_is_read_unless_its_fingerprint_is_known_and_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let older = Fingerprint::at(&write(folder.path(), "older.yaml", "a: read"));
        let path = write(folder.path(), "a.yaml", "a: read");
        let current = Fingerprint::at(&path);
        for (fingerprint, expected) in
            [(current, "/a=known"), (older, "/a=read"), (None, "/a=read")]
        {
            let files = HashMap::from([(path.clone(), known(fingerprint))]);
            let mut contents = Contents { files, parts: None };
            assert_eq!(read(&mut contents, std::slice::from_ref(&path)).unwrap(), expected);
        }
    }

    #[test]
    fn only_a_settled_regular_file_is_known_by_its_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "a.yaml", "a: 1");
        assert_eq!(settled(&fs::metadata(&path).unwrap()), None);
        // Setting an old time is itself a change of the file now.
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(settled(&fs::metadata(&path).unwrap()), None);
        let shell = fs::metadata("/bin/sh").unwrap();
        assert_eq!(settled(&shell), Some(Fingerprint::of(&shell)));
        assert_eq!(settled(&fs::metadata("/dev/null").unwrap()), None);
    }

    #[test]
    fn a_file_with_a_wrong_size_is_always_read() {
        let path = Path::new("/proc/sys/kernel/osrelease");
        let text = fs::read_to_string(path).unwrap();
        assert_ne!(fs::metadata(path).unwrap().len(), text.len() as u64);
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("a.yaml");
        std::os::unix::fs::symlink("/proc/cpuinfo", &link).unwrap();
        assert_eq!(refreshed(None, &link).unwrap().fingerprint, None);
    }
}
