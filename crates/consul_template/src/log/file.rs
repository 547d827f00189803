//! A log file that is replaced by a new one when it is large or old.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::config::LogFile;

/// The name of the file in a folder that is given with a slash at its end.
const NAME: &str = "consul-template.log";
/// The permissions of log files.
const MODE: u32 = 0o640;

/// The current log file, and what decides about the next one.
pub(super) struct Rotating {
    folder: PathBuf,
    /// The name up to the time, and the extension with its point.
    stem: String,
    extension: String,
    largest: u64,
    longest: Duration,
    kept: i64,
    file: File,
    written: u64,
    opened: Instant,
}

/// The folder and the name of a log file, without the time in its name.
fn parts(settings: &LogFile) -> (PathBuf, &str) {
    match settings.path.rsplit_once('/') {
        Some((folder, "")) => (PathBuf::from(format!("{folder}/")), NAME),
        Some((folder, name)) => (PathBuf::from(format!("{folder}/")), name),
        None => (PathBuf::new(), &settings.path),
    }
}

/// The path as the log shows it.
pub(super) fn shown_path(settings: &LogFile) -> PathBuf {
    let (folder, name) = parts(settings);
    folder.join(name)
}

impl Rotating {
    /// Opens a new log file, and removes former ones that are too many.
    pub(super) fn open(settings: &LogFile) -> io::Result<Rotating> {
        let (folder, name) = parts(settings);
        let (stem, extension) = match name.rsplit_once('.') {
            Some((stem, extension)) => (stem.to_owned(), format!(".{extension}")),
            None => (name.to_owned(), ".log".to_owned()),
        };
        remove_former(&folder, &stem, &extension, settings.files)?;
        let file = create(&folder, &stem, &extension)?;
        Ok(Rotating {
            folder,
            stem,
            extension,
            largest: u64::try_from(settings.bytes).unwrap_or(0),
            longest: settings.age,
            kept: settings.files,
            file,
            written: 0,
            opened: Instant::now(),
        })
    }

    /// Adds a line.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let is_large = self.largest > 0 && self.written >= self.largest;
        let is_old = !self.longest.is_zero() && self.opened.elapsed() >= self.longest;
        if is_large || is_old {
            // The current file is a former one from here on.
            remove_former(&self.folder, &self.stem, &self.extension, self.kept)?;
            self.file = create(&self.folder, &self.stem, &self.extension)?;
            self.written = 0;
            self.opened = Instant::now();
        }
        self.written += line.len() as u64;
        self.file.write_all(line)
    }
}

/// Creates a file with the present time in its name.
fn create(folder: &Path, stem: &str, extension: &str) -> io::Result<File> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let path = folder.join(format!("{stem}-{now}{extension}"));
    let opened = OpenOptions::new().create(true).append(true).mode(MODE).open(&path);
    opened.map_err(|cause| {
        let why = report::errno_text(&cause);
        io::Error::new(cause.kind(), format!("open {}: {why}", path.display()))
    })
}

/// Removes the oldest of the former log files, except for the `kept` newest: 0 keeps all, and a
/// negative number none.
fn remove_former(folder: &Path, stem: &str, extension: &str, kept: i64) -> io::Result<()> {
    if kept == 0 {
        return Ok(());
    }
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut former = Vec::new();
    for entry in fs::read_dir(listed)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let time = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('-'));
        let time = time.and_then(|rest| rest.strip_suffix(extension)?.parse::<u128>().ok());
        former.extend(time.map(|time| (time, path)));
    }
    former.sort();
    let kept = usize::try_from(kept).unwrap_or(0);
    let surplus = former.len().saturating_sub(kept);
    for (_, path) in former.into_iter().take(surplus) {
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_large_file_is_followed_by_a_new_one_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ct.log").display().to_string();
        let settings = LogFile { path, bytes: 4, age: Duration::from_secs(3600), files: 2 };
        let mut log = Rotating::open(&settings).unwrap();
        for _ in 0..5 {
            log.write(b"line\n").unwrap();
        }
        // Two former files, and the current one.
        assert_eq!(names(folder.path()), 3);
        drop(log);
        Rotating::open(&LogFile { files: 0, ..settings }).unwrap();
        assert_eq!(names(folder.path()), 4);
    }

    #[test]
    fn the_current_file_stays_although_no_former_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ct.log").display().to_string();
        let settings = LogFile { path, bytes: 4, age: Duration::from_secs(3600), files: -1 };
        let mut log = Rotating::open(&settings).unwrap();
        for line in [b"one__\n", b"two__\n", b"three\n"] {
            log.write(line).unwrap();
            assert_eq!(names(folder.path()), 1);
            let current = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
            assert_eq!(fs::read(current.path()).unwrap(), line);
        }
    }
}
