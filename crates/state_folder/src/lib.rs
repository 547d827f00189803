//! The state folder: what a program keeps from one run to the next.
//!
//! [`StateFolder::choose`] finds the folder. It is never needed for rendering: if it is missing or
//! read-only, a program only forgets at its end what it would have kept.
//!
//! A marker is a small file whose name says everything. So setting one is a single step, which is
//! done or not done when the process is killed; a file with a content would have to be written
//! beside its place and renamed. The text of a marker is for people who find it.
//!
//! Another user can plant links and files, if the folder is one that every user can write to. A
//! marker is created and never opened for writing, links are not followed, and only files of this
//! user, or of the owner of the folder, count as markers.
//!
//! The names of markers are made by the caller, from hashes and never from texts that others
//! choose. Nothing here knows what a marker means, and nothing is async.

mod versions;

pub use versions::{Version, VersionFile, Versions};

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    time::SystemTime,
};

use report::FileError;
use rustix::{fs::OFlags, io::Errno, process::geteuid};

/// The state folder of root, if none is set.
const OF_ROOT: &str = "/var/lib/confd";
/// The name of the state folder of another user, in the folder for the state of all programs.
const OF_USER: &str = "confd";
/// The longest text of a marker that is read, in bytes.
const LONGEST: u64 = 16 * 1024;

/// The state folder. It need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFolder {
    path: PathBuf,
    /// Whether an option or a variable names the folder.
    is_set: bool,
}

/// A marker that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The name of its file.
    pub name: String,
    /// When it was set.
    pub set: SystemTime,
}

impl StateFolder {
    /// The state folder of this process: `option`, or the first folder of the variable
    /// `STATE_DIRECTORY`, which systemd sets, or `/var/lib/confd` for root, or `confd` in the folder
    /// that the XDG specification names for the state of a user's programs.
    ///
    /// `None` if the option is an empty text, or if the user has no home. `variable` gives the
    /// variables of the process. Nothing is examined or created.
    pub fn choose(
        option: Option<&str>,
        variable: impl Fn(&str) -> Option<OsString>,
        is_root: bool,
    ) -> Option<StateFolder> {
        if let Some(path) = option {
            return (!path.is_empty()).then(|| StateFolder { path: path.into(), is_set: true });
        }
        let value = |name| variable(name).filter(|value| !value.is_empty());
        if let Some(folders) = value("STATE_DIRECTORY") {
            let first = folders.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
            let path = OsString::from_vec(first.to_vec()).into();
            return Some(StateFolder { path, is_set: true });
        }
        let path = match is_root {
            true => OF_ROOT.into(),
            false => {
                let absolute = |name| value(name).map(PathBuf::from).filter(|at| at.is_absolute());
                let of_home = || Some(absolute("HOME")?.join(".local/state"));
                absolute("XDG_STATE_HOME").or_else(of_home)?.join(OF_USER)
            }
        };
        Some(StateFolder { path, is_set: false })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the user who has the folder, if that is not the user of this process. `None` if
    /// the folder does not exist.
    pub fn foreign_owner(&self) -> Option<u32> {
        let owner = fs::metadata(&self.path).ok()?.uid();
        (owner != geteuid().as_raw()).then_some(owner)
    }

    /// The markers whose names begin with `start`. A folder that does not exist has none.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn markers(&self, start: &str) -> Result<Vec<Marker>, FileError> {
        let failed = |cause| FileError::new("open", &self.path, cause);
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(failed(cause)),
        };
        let mut markers = Vec::new();
        for entry in entries {
            let Ok(name) = entry.map_err(failed)?.file_name().into_string() else { continue };
            if name.starts_with(start)
                && let Some(set) = self.own(&self.path.join(&name))
            {
                markers.push(Marker { name, set });
            }
        }
        Ok(markers)
    }

    /// Sets a marker, and makes the folder if it is missing. The marker is on the disk when this
    /// returns. A marker of this name may be set already.
    ///
    /// Returns false if there is no state folder: neither an option nor a variable names one, and the
    /// usual one does not exist and cannot be made.
    ///
    /// # Errors
    /// The file or the folder cannot be created or synced.
    pub fn set(&self, name: &str, text: &[u8]) -> Result<bool, FileError> {
        let path = self.path.join(name);
        let create = || {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600).open(&path)
        };
        let mut created = create();
        if is_kind(&created, io::ErrorKind::NotFound) {
            if !self.make()? {
                return Ok(false);
            }
            created = create();
        }
        if is_kind(&created, io::ErrorKind::AlreadyExists)
            && self.own(&self.path.join(name)).is_none()
        {
            self.remove(name)?;
            created = create();
        }
        match created {
            Ok(mut file) => {
                // The name is enough, so a full disk, where the text cannot be written, is no error.
                let _ = file.write_all(text);
                sync(&file).map_err(|cause| FileError::new("fsync", &path, cause))?;
            }
            // The process that set it may have been killed before the folder was synced.
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(FileError::new("open", &path, cause)),
        }
        sync_folder(&self.path)?;
        Ok(true)
    }

    /// The text of a marker; `None` if it cannot be read.
    pub fn text(&self, name: &str) -> Option<Vec<u8>> {
        self.read(&self.path.join(name), LONGEST)
    }

    /// The first `longest` bytes of a file in the folder that only its owner can have written.
    fn read(&self, path: &Path, longest: u64) -> Option<Vec<u8>> {
        self.own(path)?;
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let mut text = Vec::new();
        file.ok()?.take(longest).read_to_end(&mut text).ok()?;
        Some(text)
    }

    /// Removes a marker. It need not exist. After a power cut the marker can be there again.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), FileError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(FileError::new("remove", &path, cause))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// When the file `path` was written, if it can be one of this program's: a regular file of this
    /// user, or of the owner of the folder, as on file systems that show one owner for all files.
    fn own(&self, path: &Path) -> Option<SystemTime> {
        let found = fs::symlink_metadata(path).ok().filter(|found| found.is_file())?;
        let is_own = found.uid() == geteuid().as_raw()
            || fs::metadata(&self.path).is_ok_and(|folder| folder.uid() == found.uid());
        found.modified().ok().filter(|_| is_own)
    }

    /// Makes the folder. Folders above it are made only for a folder that is set.
    fn make(&self) -> Result<bool, FileError> {
        match (make_folder(&self.path), self.is_set) {
            (Ok(()), _) => {}
            (Err(cause), true) if cause.kind() == io::ErrorKind::NotFound => {
                let above = self.path.ancestors().skip(1).filter(|at| !at.as_os_str().is_empty());
                let missing = above.take_while(|at| !at.exists()).collect::<Vec<_>>();
                for path in missing.into_iter().rev().chain([&*self.path]) {
                    make_folder(path).map_err(|cause| FileError::new("mkdir", path, cause))?;
                }
            }
            (Err(cause), true) => return Err(FileError::new("mkdir", &self.path, cause)),
            (Err(_), false) => return Ok(false),
        }
        Ok(true)
    }
}

/// Makes a folder for this user alone. It may exist. The folder above it is synced, so that a marker
/// in the new folder survives a power cut.
fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    // A folder that cannot be opened for reading cannot be synced either. The new one is there.
    let _ = sync_folder(above.unwrap_or(Path::new(".")));
    Ok(())
}

fn sync_folder(path: &Path) -> Result<(), FileError> {
    let folder = File::open(path).map_err(|cause| FileError::new("open", path, cause))?;
    sync(&folder).map_err(|cause| FileError::new("fsync", path, cause))
}

/// Waits until a file or folder is on the disk. File systems that cannot do that are no error.
fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(cause) => match Errno::from_io_error(&cause) {
            Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
            _ => Err(cause),
        },
        Ok(()) => Ok(()),
    }
}

fn is_kind<T>(result: &io::Result<T>, kind: io::ErrorKind) -> bool {
    result.as_ref().is_err_and(|cause| cause.kind() == kind)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn chosen(option: Option<&str>, variables: &[(&str, &str)], is_root: bool) -> Option<String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        };
        let folder = StateFolder::choose(option, variable, is_root)?;
        let is_set = if folder.is_set { "set" } else { "usual" };
        Some(format!("{} {is_set}", folder.path.display()))
    }

    #[test]
    fn the_folder_is_set_or_that_of_the_user() {
        let systemd = ("STATE_DIRECTORY", "/run/a:/run/b");
        let xdg = ("XDG_STATE_HOME", "/x");
        let home = ("HOME", "/home/u");
        let all = [systemd, xdg, home];
        for (option, variables, is_root, expected) in [
            (Some("own"), &all[..], true, Some("own set")),
            (Some(""), &all, true, None),
            (None, &all, true, Some("/run/a set")),
            (None, &all[1..], true, Some("/var/lib/confd usual")),
            (None, &all[1..], false, Some("/x/confd usual")),
            (
                None,
                &[("XDG_STATE_HOME", "x"), home],
                false,
                Some("/home/u/.local/state/confd usual"),
            ),
            (None, &[("STATE_DIRECTORY", ""), ("HOME", "")], false, None),
        ] {
            let found = chosen(option, variables, is_root);
            assert_eq!(found.as_deref(), expected, "{option:?} {variables:?} {is_root}");
        }
    }

    fn set(path: PathBuf) -> StateFolder {
        StateFolder { path, is_set: true }
    }

    fn names(folder: &StateFolder) -> Vec<String> {
        let markers = folder.markers("a-").expect("markers");
        markers.into_iter().map(|marker| marker.name).collect()
    }

    #[test]
    fn a_marker_is_there_until_it_is_removed_and_is_for_this_user_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = set(root.path().join("x/y/z"));
        assert_eq!(names(&folder), [""; 0]);
        assert!(!root.path().join("x").exists());
        for _ in 0..2 {
            assert!(folder.set("a-1", b"for people").expect("set"));
        }
        assert!(folder.set("b-1", b"").expect("set"));
        assert_eq!(names(&folder), ["a-1"]);
        assert_eq!(folder.text("a-1").as_deref(), Some(&b"for people"[..]));
        let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode(&folder.path.join("a-1")), 0o600);
        assert_eq!((mode(&folder.path), mode(&root.path().join("x"))), (0o700, 0o700));
        for _ in 0..2 {
            folder.remove("a-1").expect("removed");
        }
        assert_eq!(names(&folder), [""; 0]);
        assert_eq!(folder.text("a-1"), None);
    }

    #[test]
    fn a_link_is_no_marker_and_is_not_followed() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = set(root.path().to_owned());
        let other = root.path().join("other");
        for target in ["other", "nothing"] {
            fs::write(&other, "untouched").expect("write");
            symlink(target, root.path().join("a-1")).expect("a link");
            assert_eq!((names(&folder), folder.text("a-1")), (vec![], None));
            assert!(folder.set("a-1", b"text").expect("set"));
            assert_eq!(names(&folder), ["a-1"]);
            assert_eq!(fs::read_to_string(&other).expect("read"), "untouched");
            assert!(!root.path().join("nothing").exists());
            folder.remove("a-1").expect("removed");
        }
    }

    #[test]
    fn only_a_folder_that_is_set_is_an_error_if_it_cannot_be_made() {
        let root = tempfile::tempdir().expect("a folder");
        let missing = root.path().join("x/y");
        let usual = StateFolder { path: missing.clone(), is_set: false };
        assert!(!usual.set("a-1", b"").expect("no folder"));
        assert!(!root.path().join("x").exists());
        fs::write(root.path().join("x"), "a file").expect("write");
        let error = set(missing.clone()).set("a-1", b"").expect_err("a file is in the way");
        let expected = format!("open {}/a-1: not a directory", missing.display());
        assert_eq!(error.to_string(), expected);
        fs::remove_file(root.path().join("x")).expect("removed");
        fs::create_dir(root.path().join("x")).expect("a folder");
        assert!(usual.set("a-1", b"").expect("set"));
        assert_eq!(names(&usual), ["a-1"]);
    }
}
