//! YAML and JSON files as a source of keys.
//!
//! Each path is a file, which is read whatever its name is, or a folder. Of a folder, all files
//! below it are read whose base names match the filter. A file is one document of YAML 1.1 (which
//! includes JSON) with a mapping at the top, and its leaves become pairs: `app: {port: 80}` is
//! `/app/port` with the value `80`. Items of lists are numbered from 0.
//!
//! Later files win, key by key: a key of an earlier file stays if a later file does not have it,
//! has a shorter list, or has null.
//!
//! The modules: `description` has the options, `walk` finds the files, `flatten` converts a
//! document, which the crate `yaml` reads, to pairs, `watch`
//! follows the files, and `contents` reads only the files that may have changed.

#[cfg(test)]
mod conformance;
mod contents;
mod description;
mod flatten;
mod walk;
mod watch;

pub use description::DESCRIPTION;
pub use yaml::YamlError;

use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use async_trait::async_trait;
use bytes::Bytes;
use source::{Answer, Error, Interest, Source, Watch};
use store::{Coverage, Pattern, Snapshot};

use watch::Following;

/// Files and folders of files.
///
/// A key of a scope covers all keys that begin with its bytes ([`Coverage::Text`]), as in confd:
/// `/app` also gets `/apple`.
#[derive(Debug, Clone)]
pub struct File {
    paths: Vec<PathBuf>,
    filter: Vec<u8>,
    /// Whether the log has a line about missing events. There is one such line, however often the
    /// files are followed again.
    polling_reported: Arc<Once>,
}

impl File {
    /// A source of these files and folders, in this order. `filter` is a pattern (see
    /// [`store::Pattern`]) for the base names of the files in folders; confd's default is `*`, and
    /// an empty one matches nothing.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>, filter: &[u8]) -> Self {
        let paths = paths.into_iter().collect();
        File { paths, filter: filter.to_vec(), polling_reported: Arc::new(Once::new()) }
    }

    /// Reads all files into one snapshot.
    fn snapshot(&self) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::new(Coverage::Text);
        for path in &self.paths {
            for file in walk::files(path, &self.filter)? {
                parse(&mut open(&file)?, &file, |key, value| {
                    snapshot.insert(key, value);
                })?;
            }
        }
        Ok(snapshot)
    }
}

#[async_trait]
impl Source for File {
    /// Reads the files once, for all scopes. They are read one after the other, so a change of two
    /// files may be seen in one of them only.
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        if interest.scopes.is_empty() {
            return Ok(Vec::new());
        }
        let snapshot = self.snapshot()?;
        Ok(vec![Ok(snapshot); interest.scopes.len()])
    }

    /// Follows the files by inotify on their folders. Without inotify, the files are checked every
    /// two seconds.
    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        Ok(Some(Box::new(Following::new(self.clone(), interest))))
    }

    fn reads_file(&self, path: &Path) -> bool {
        let Some(path) = location(path) else { return false };
        let matches = |pattern: &Pattern| {
            path.file_name().is_some_and(|name| pattern.matches(name.as_bytes()))
        };
        self.paths.iter().any(|read| match fs::canonicalize(read) {
            Ok(folder) if folder.is_dir() => {
                path.starts_with(folder) && Pattern::new(&self.filter).as_ref().is_ok_and(matches)
            }
            // If the path that is read is a link, both the link and its target count.
            Ok(file) => path == file || location(read).is_some_and(|read| read == path),
            Err(_) => location(read).is_some_and(|read| read == path),
        })
    }
}

/// Where the entry `path` is: its folder without links, and its name.
fn location(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
    Some(folder.join(path.file_name()?))
}

fn open(path: &Path) -> Result<fs::File, Error> {
    report::open_regular(path).map_err(|cause| Error::file("open", path, cause))
}

/// Passes the pairs of an open file to `add`, in the order of the document. Returns the size of the
/// file in bytes. `path` is for errors.
fn parse(file: &mut fs::File, path: &Path, add: impl FnMut(Bytes, Bytes)) -> Result<u64, Error> {
    let mut bytes = Vec::new();
    let length = file.read_to_end(&mut bytes).map_err(|cause| Error::file("read", path, cause))?;
    pairs(&bytes.into(), add)
        .map_err(|cause| Error::Document { path: path.to_owned(), reason: cause.to_string() })?;
    Ok(length as u64)
}

/// Calls `add` with each pair of the YAML document `bytes`, as the source reads a file; of pairs
/// with the same key the last one counts.
///
/// # Errors
///
/// What is wrong with the document; `add` may have been called before.
pub fn pairs(bytes: &Bytes, add: impl FnMut(Bytes, Bytes)) -> Result<(), YamlError> {
    flatten::pairs(&yaml::read(bytes, yaml::Top::Mapping)?, add)
}

#[cfg(test)]
mod tests {
    use store::{Key, Scope};

    use super::*;

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    async fn read(paths: &[&Path]) -> Result<String, Error> {
        let source = File::new(paths.iter().map(|path| path.to_path_buf()), b"*");
        let scope = Scope::from_iter([Key::root()]);
        let answers = source.read(&Interest::from_iter([scope])).await?;
        let line = |(key, value)| {
            format!("{}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(value))
        };
        let pairs =
            answers[0].as_ref().unwrap().iter().map(|(key, value)| line((&key[..], &value[..])));
        Ok(pairs.collect::<Vec<_>>().join(" "))
    }

    #[tokio::test]
    async fn later_files_win_key_by_key() {
        let folder = tempfile::tempdir().unwrap();
        let one = write(folder.path(), "1.yaml", "a: 1\nb: {c: 2, d: 3}\nlist: [x, v, z]\n");
        let two = write(folder.path(), "2.yaml", "a: ~\nb: {c: 4}\nlist: [w]\n");
        let expected = "/a=1 /b/c=4 /b/d=3 /list/0=w /list/1=v /list/2=z";
        assert_eq!(read(&[folder.path()]).await.unwrap(), expected);
        assert_eq!(read(&[&one, &two]).await.unwrap(), expected);
        assert_eq!(
            read(&[&two, &one]).await.unwrap(),
            "/a=1 /b/c=2 /b/d=3 /list/0=x /list/1=v /list/2=z"
        );
    }

    #[tokio::test]
    async fn without_files_there_are_no_pairs() {
        assert_eq!(read(&[]).await.unwrap(), "");
    }

    #[tokio::test]
    async fn an_error_in_any_file_fails_the_reading_and_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "1.yaml", "a: 1\n");
        let bad = write(folder.path(), "2.yaml", "a: 1\nb: 2\nc: [\n");
        let error = read(&[folder.path()]).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("yaml: line "), "{text}");
        assert!(text.ends_with(&format!(" (in {})", bad.display())), "{text}");
        assert!(!error.is_transient());
    }

    #[tokio::test]
    async fn a_list_at_the_top_is_refused_in_the_words_of_confd() {
        let folder = tempfile::tempdir().unwrap();
        let bad = write(folder.path(), "list.yaml", "- a\n");
        assert_eq!(
            read(&[&bad]).await.unwrap_err().to_string(),
            format!(
                "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into map[interface {{}}]interface {{}} (in {})",
                bad.display()
            )
        );
    }

    #[tokio::test]
    async fn a_missing_file_fails_the_reading() {
        let error = read(&[Path::new("/nope.yaml")]).await.unwrap_err();
        assert_eq!(error.to_string(), "stat /nope.yaml: no such file or directory");
    }

    #[tokio::test]
    async fn a_value_may_hold_bytes_that_are_no_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "binary.yaml", "a: !!binary AP+A\n");
        let source = File::new([path], b"*");
        let scope = Scope::from_iter([Key::root()]);
        let answers = source.read(&Interest::from_iter([scope])).await.unwrap();
        assert_eq!(answers[0].as_ref().unwrap().get(b"/a").unwrap().as_ref(), b"\x00\xff\x80");
    }

    #[tokio::test]
    async fn without_scopes_nothing_is_read() {
        let source = File::new([PathBuf::from("/nope.yaml")], b"*");
        assert!(source.read(&Interest::default()).await.unwrap().is_empty());
    }
}
