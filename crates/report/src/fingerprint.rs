//! Fingerprints: what `stat` says about one state of a file.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

/// Longer than a step of any clock that gives the times of files.
const CLOCK_STEP: Duration = Duration::from_millis(100);
/// Longer than a step of the clock if the file system stores whole seconds only. FAT's clock has
/// steps of two seconds.
const WHOLE_SECONDS: Duration = Duration::from_secs(3);

/// One state of a file. It differs from the next state if anything about the file has changed: its
/// bytes, mode, owner or times, or if another file has taken its place.
///
/// Two changes within one step of the file system's clock can give the same fingerprint. So an
/// equal fingerprint proves that a file is unchanged only if the first fingerprint [was
/// settled](Self::is_settled).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    /// The fingerprint of the file at `path`; links are followed. `None` if the file does not exist
    /// or `stat` fails.
    pub fn at(path: &Path) -> Option<Fingerprint> {
        fs::metadata(path).ok().as_ref().map(Fingerprint::of)
    }

    /// The fingerprint of the file that `metadata` describes.
    pub fn of(metadata: &Metadata) -> Fingerprint {
        Fingerprint {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The fingerprint of the file that `found` describes.
    pub fn of_stat(found: &Stat) -> Fingerprint {
        Fingerprint {
            device: found.st_dev,
            inode: found.st_ino,
            size: found.st_size.cast_unsigned(),
            mode: found.st_mode,
            owner: (found.st_uid, found.st_gid),
            modified: (found.st_mtime, found.st_mtime_nsec as i64),
            changed: (found.st_ctime, found.st_ctime_nsec as i64),
        }
    }

    /// Whether `now` can be this state under another name: a rename changes nothing but the time of
    /// the last change, `ctime`.
    pub fn is_renamed_to(&self, now: &Fingerprint) -> bool {
        Fingerprint { changed: now.changed, ..*self } == *now
    }

    /// The file's length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether the file, whose fingerprint must have been taken just now, was last changed long
    /// enough ago that every later change gives another fingerprint.
    pub fn is_settled(&self) -> bool {
        let (seconds, nanos) = self.changed.max(self.modified);
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else {
            return false;
        };
        let step = if nanos == 0 { WHOLE_SECONDS } else { CLOCK_STEP };
        let touched = UNIX_EPOCH.checked_add(Duration::new(seconds, nanos) + step);
        touched.is_some_and(|touched| touched < SystemTime::now())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs::write(&path, "x").expect("a file");
        (folder, path)
    }

    #[test]
    fn an_unchanged_file_keeps_its_fingerprint() {
        let (_folder, path) = file();
        let before = Fingerprint::at(&path);
        assert!(before.is_some());
        assert_eq!(fs::read(&path).expect("the file"), b"x");
        assert_eq!(Fingerprint::at(&path), before);
        assert_eq!(Fingerprint::at(&path.join("below")), None);
    }

    #[test]
    fn bytes_mode_time_and_another_file_each_change_the_fingerprint() {
        let (folder, path) = file();
        let first = Fingerprint::at(&path);
        let restored = |change: &dyn Fn()| {
            change();
            assert_ne!(Fingerprint::at(&path), first);
        };
        restored(&|| {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        });
        restored(&|| fs::write(&path, "xy").expect("other bytes"));
        restored(&|| {
            let other = folder.path().join("b");
            fs::write(&other, "x").expect("a file");
            fs::rename(&other, &path).expect("a rename");
        });
    }

    #[test]
    fn a_file_is_settled_some_time_after_it_was_touched() {
        let touched = |ago: Duration, whole: bool| {
            let then = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") - ago;
            let nanos = if whole { 0 } else { i64::from(then.subsec_nanos()).max(1) };
            Fingerprint {
                device: 1,
                inode: 1,
                size: 1,
                mode: 0o100_644,
                owner: (0, 0),
                modified: (0, 0),
                changed: (i64::try_from(then.as_secs()).expect("seconds"), nanos),
            }
        };
        let seconds = Duration::from_secs;
        for (ago, whole, settled) in [
            (seconds(0), false, false),
            (seconds(1), false, true),
            (seconds(1), true, false),
            (seconds(5), true, true),
        ] {
            assert_eq!(touched(ago, whole).is_settled(), settled, "{ago:?} {whole}");
        }
        let mut late = touched(seconds(5), false);
        late.modified = (late.changed.0 + 60, 1);
        assert!(!late.is_settled());
    }

    #[test]
    fn a_rename_changes_nothing_else() {
        let (folder, path) = file();
        let before = Fingerprint::at(&path).expect("a fingerprint");
        let other = folder.path().join("b");
        fs::rename(&path, &other).expect("a rename");
        let renamed = Fingerprint::at(&other).expect("a fingerprint");
        assert!(before.is_renamed_to(&renamed));
        fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).expect("a mode");
        assert!(!before.is_renamed_to(&Fingerprint::at(&other).expect("a fingerprint")));
    }
}
