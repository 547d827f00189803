//! The last versions of the files of a resource.
//!
//! Each version is one file. It is written under another name and renamed, so that a kill leaves a
//! whole list. Files and folders are for this user alone, because contents can be secrets.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::OpenOptionsExt as _,
    },
    path::PathBuf,
    process,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use report::FileError;

use crate::{StateFolder, make_folder, sync, sync_folder};

/// The first field of a version.
const TITLE: &str = "confd version 1";
/// The beginning of the name of a version that is being written.
const UNFINISHED: &str = ".new-";

/// What was applied at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The number, which grows by one with each version.
    pub number: u64,
    /// When it was applied, in whole seconds.
    pub at: SystemTime,
    /// The revision of the keys; 0 if the source has none.
    pub revision: u64,
    /// What woke the resource, for people.
    pub woke: String,
    /// The digest of the contents that the template gave.
    pub rendered: String,
    /// The number of keys that the resource saw, if it is known.
    pub keys: Option<u64>,
    /// The files, of which a resource has at least one.
    pub files: Vec<VersionFile>,
}

/// One file of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionFile {
    /// Its path.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Its owner and its group.
    pub owner: (u32, u32),
    /// Its content.
    pub content: Vec<u8>,
}

/// The versions of one resource, in a folder of their own.
#[derive(Clone, Debug)]
pub struct Versions {
    state: StateFolder,
    folder: PathBuf,
}

impl StateFolder {
    /// The versions under `name`, which is made of a hash.
    pub fn versions(&self, name: &str) -> Versions {
        Versions { state: self.clone(), folder: self.path.join(name) }
    }
}

impl Versions {
    /// All versions, the newest first. A folder that does not exist has none. A file that is no
    /// version, or that cannot be read, is left out.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<Version>, FileError> {
        let mut numbers = self.numbers()?;
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        // Another process may remove an old version now.
        let read = |number: u64| self.state.read(&self.path(number), u64::MAX);
        let decoded = numbers.into_iter().filter_map(|number| decode(number, &read(number)?));
        Ok(decoded.collect())
    }

    /// Adds a version with the next number, and removes those that are older than the last `most`.
    /// It is on the disk when this returns.
    ///
    /// Returns false if there is no state folder, as [`StateFolder::set`] does.
    ///
    /// # Errors
    /// The version cannot be written.
    pub fn add(&self, version: &Version, most: usize) -> Result<bool, FileError> {
        if !self.state.make()? {
            return Ok(false);
        }
        make_folder(&self.folder).map_err(|cause| FileError::new("mkdir", &self.folder, cause))?;
        let mut numbers = self.numbers()?;
        let number = numbers.iter().max().map_or(1, |newest| newest.saturating_add(1));
        let unfinished = self.folder.join(format!("{UNFINISHED}{}", process::id()));
        // It is left behind by a process that had this number and was killed.
        let _ = fs::remove_file(&unfinished);
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&unfinished)?;
            file.write_all(&encode(version))?;
            sync(&file)?;
            fs::rename(&unfinished, self.path(number))
        };
        write().map_err(|cause| {
            // The error to report is that of writing.
            let _ = fs::remove_file(&unfinished);
            FileError::new("write", &self.path(number), cause)
        })?;
        sync_folder(&self.folder)?;
        numbers.push(number);
        numbers.sort_unstable();
        for old in numbers.iter().rev().skip(most.max(1)) {
            let path = self.path(*old);
            fs::remove_file(&path).map_err(|cause| FileError::new("remove", &path, cause))?;
        }
        Ok(true)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(name(number))
    }

    fn numbers(&self) -> Result<Vec<u64>, FileError> {
        let failed = |cause| FileError::new("open", &self.folder, cause);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(failed(cause)),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let entry_name = entry.map_err(failed)?.file_name();
            let number = entry_name.to_str().and_then(|name| name.parse().ok());
            numbers.extend(number.filter(|number| entry_name == *name(*number)));
        }
        Ok(numbers)
    }
}

/// The name of the file of a version.
fn name(number: u64) -> String {
    format!("{number:010}")
}

fn encode(version: &Version) -> Vec<u8> {
    let Version { at, revision, woke, rendered, keys, files, .. } = version;
    let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let keys = keys.map(|keys| keys.to_string()).unwrap_or_default();
    let mut fields = vec![TITLE.as_bytes().to_vec()];
    let texts =
        [at.to_string(), revision.to_string(), woke.replace('\0', ""), rendered.clone(), keys];
    fields.extend(texts.map(String::into_bytes));
    fields.push(files.len().to_string().into_bytes());
    for VersionFile { path, mode, owner: (uid, gid), content } in files {
        fields.push(path.as_os_str().as_bytes().to_vec());
        fields.push(format!("{mode:o} {uid} {gid} {}", content.len()).into_bytes());
    }
    fields.push(Vec::new());
    let mut text = fields.join(&0);
    files.iter().for_each(|file| text.extend_from_slice(&file.content));
    text
}

fn decode(number: u64, mut rest: &[u8]) -> Option<Version> {
    let mut field = || {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (field, more) = rest.split_at(end);
        rest = &more[1..];
        Some(field)
    };
    if field()? != TITLE.as_bytes() {
        return None;
    }
    let text = |field: &[u8]| String::from_utf8(field.to_vec()).ok();
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(text(field()?)?.parse().ok()?))?;
    let revision = text(field()?)?.parse().ok()?;
    let woke = String::from_utf8_lossy(field()?).into_owned();
    let rendered = text(field()?)?;
    let keys = text(field()?)?.parse().ok();
    let count: usize = text(field()?)?.parse().ok()?;
    let mut files = Vec::new();
    let mut lengths = Vec::new();
    for _ in 0..count {
        let path = std::ffi::OsString::from_vec(field()?.to_vec()).into();
        let numbers = text(field()?)?;
        let mut numbers = numbers.split(' ');
        let mode = u32::from_str_radix(numbers.next()?, 8).ok()?;
        let owner = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        lengths.push(numbers.next()?.parse::<usize>().ok()?);
        files.push(VersionFile { path, mode, owner, content: Vec::new() });
    }
    for (file, length) in files.iter_mut().zip(lengths) {
        let (content, more) = rest.split_at_checked(length)?;
        file.content = content.to_vec();
        rest = more;
    }
    rest.is_empty().then_some(Version { number, at, revision, woke, rendered, keys, files })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn version(content: &[u8]) -> Version {
        Version {
            number: 0,
            at: UNIX_EPOCH + Duration::from_secs(7),
            revision: 3,
            woke: "keys changed: /a".into(),
            rendered: "d".into(),
            keys: Some(2),
            files: vec![VersionFile {
                path: "/d\n".into(),
                mode: 0o640,
                owner: (1, 2),
                content: content.into(),
            }],
        }
    }

    #[test]
    fn the_last_versions_are_kept_whole_and_for_this_user_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let state = StateFolder { path: root.path().join("state"), is_set: true };
        let versions = state.versions("versions-x");
        assert_eq!(versions.list().expect("none"), []);
        for content in [&b"one"[..], b"\0two\n", b""] {
            assert!(versions.add(&version(content), 2).expect("added"));
        }
        let expected =
            [Version { number: 3, ..version(b"") }, Version { number: 2, ..version(b"\0two\n") }];
        assert_eq!(versions.list().expect("two"), expected);
        let mode =
            |path: &PathBuf| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!((mode(&versions.folder), mode(&versions.path(3))), (0o700, 0o600));
        // A kill leaves an unfinished file, and a power cut can leave a cut one.
        fs::write(versions.folder.join(".new-1"), "part").expect("write");
        fs::write(versions.path(4), "confd ver").expect("write");
        assert_eq!(versions.list().expect("two"), expected);
    }

    #[test]
    fn files_with_other_names_or_owners_are_no_versions() {
        let root = tempfile::tempdir().expect("a folder");
        let state = StateFolder { path: root.path().join("state"), is_set: true };
        let versions = state.versions("versions-x");
        versions.add(&version(b"one"), 3).expect("added");
        for name in ["7", "00000000007", "+000000007", "x"] {
            fs::copy(versions.path(1), versions.folder.join(name)).expect("a copy");
        }
        std::os::unix::fs::symlink(versions.path(1), versions.path(3)).expect("a link");
        let numbers: Vec<u64> =
            versions.list().expect("one").iter().map(|version| version.number).collect();
        assert_eq!(numbers, [1]);
        fs::copy(versions.path(1), versions.path(u64::MAX)).expect("a copy");
        versions.add(&version(b"two"), 3).expect("added");
    }
}
