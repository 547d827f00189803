//! Holds: content that is not put in place for now, although the template gives it.
//!
//! A hold is a file beside the destination. It has the digests of the contents that are not put in
//! place: one whose reload failed and was rolled back, or those that were there before a person put
//! an older version back. As soon as the template gives other content, the hold has no effect, and
//! the next commit removes it.
//!
//! The file is written beside its place and renamed, so it is whole or not there. If the folder cannot
//! be written, this process remembers the hold.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use md5::{Digest as _, Md5};
use rustix::fs::{OFlags, fstat};

use crate::attributes::our_user;
use crate::create::{create_locked, lock};
use crate::durable::sync_file;
use crate::error::Error;
use crate::folder::{FileAt, OpenPlace, is_file};
use crate::place::FileKind;

/// The fields behind the text for people.
const FIELDS: &[u8] = b"hold 1";
const END: &[u8] = b"end";
/// The longest file of a hold that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// The digest of the contents of a set of files. Equal contents have equal digests in every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 16]);

impl Digest {
    /// The digest of the contents of a set, in the order of its members.
    pub fn of<C: AsRef<[u8]>>(contents: impl IntoIterator<Item = C>) -> Digest {
        Digest::of_members(contents.into_iter().map(|content| (None, Some(content))))
    }

    /// The digest of a set of files, each with its path and its content. A file that is always in the
    /// set needs no path: its place in the order identifies it. A file without content must not exist.
    pub(crate) fn of_members<'a, C: AsRef<[u8]>>(
        members: impl IntoIterator<Item = (Option<&'a Path>, Option<C>)>,
    ) -> Digest {
        let mut sum = Md5::new();
        for (path, content) in members {
            // No path and no content have these lengths.
            if let Some(path) = path {
                sum.update((u64::MAX - 1).to_le_bytes());
                let path = path.as_os_str().as_bytes();
                sum.update((path.len() as u64).to_le_bytes());
                sum.update(path);
            }
            let content = content.as_ref().map(AsRef::as_ref);
            let length = content.map_or(u64::MAX, |content: &[u8]| content.len() as u64);
            sum.update(length.to_le_bytes());
            sum.update(content.unwrap_or_default());
        }
        Digest(sum.finalize().into())
    }

    /// The digest in hexadecimal.
    pub fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The digest that [`text`](Digest::text) wrote.
    pub fn from_text(text: &str) -> Option<Digest> {
        let mut digest = [0; 16];
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        for (nth, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * nth..2 * nth + 2], 16).ok()?;
        }
        Some(Digest(digest))
    }
}

/// Why content is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// The reload with this content failed, and the former file was put back.
    Failure,
    /// A person put an older version back.
    Person,
}

/// The word for a hold of a person that counts while its process is busy.
const PASSING: &[u8] = b"person for now";

impl HeldBy {
    fn word(self) -> &'static [u8] {
        match self {
            HeldBy::Failure => b"failure",
            HeldBy::Person => b"person",
        }
    }
}

/// Content that is not put in place for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The reason.
    pub by: HeldBy,
    /// The contents that are held back.
    pub contents: Vec<Digest>,
    /// The time of the hold, in whole seconds.
    pub since: SystemTime,
    /// Whether the hold counts only while its process is [busy](Hold::keep_busy).
    pub(crate) is_passing: bool,
}

/// The holds that could not be written, by their destinations.
static REMEMBERED: LazyLock<Mutex<HashMap<OsString, Hold>>> = LazyLock::new(Mutex::default);

fn remembered() -> MutexGuard<'static, HashMap<OsString, Hold>> {
    REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hold {
    /// A hold of these contents from now on.
    pub fn new(by: HeldBy, contents: Vec<Digest>) -> Hold {
        Hold { by, contents, since: SystemTime::now(), is_passing: false }
    }

    /// The same hold, but only while the process that sets it is [busy](Hold::keep_busy): if it is
    /// killed, nothing is held.
    #[must_use]
    pub fn while_busy(self) -> Hold {
        Hold { is_passing: true, ..self }
    }

    /// The hold of a destination, if there is one.
    pub fn of(dest: &Path) -> Option<Hold> {
        Hold::find(&OpenPlace::of(dest).ok()?)
    }

    /// Holds contents of `dest` back. An earlier hold is replaced.
    ///
    /// # Errors
    /// The file of the hold cannot be written. Only this process knows the hold then.
    pub fn set(&self, dest: &Path) -> Result<(), Error> {
        self.write(&OpenPlace::of(dest)?, dest)
    }

    /// Ends the hold of a destination. Returns whether there was one.
    ///
    /// # Errors
    /// The file of the hold cannot be removed.
    pub fn release(dest: &Path) -> Result<bool, Error> {
        Hold::remove(&OpenPlace::of(dest)?)
    }

    /// Says for as long as the result lives that the process of the hold still replaces and reloads
    /// `dest` itself. `None` on a file system without locks.
    pub fn keep_busy(dest: &Path) -> Option<File> {
        lock(&OpenPlace::of(dest).ok()?.hold()).ok()
    }

    /// Whether the process that has set the hold is still busy with the destination.
    pub(crate) fn is_busy(place: &OpenPlace) -> bool {
        matches!(lock(&place.hold()), Err(TryLockError::WouldBlock))
    }

    pub(crate) fn find(place: &OpenPlace) -> Option<Hold> {
        if let Some(hold) = remembered().get(place.dest().path().as_os_str()) {
            return Some(hold.clone());
        }
        let hold = decode(&own_text(&place.hold(), LONGEST)?)?;
        (!hold.is_passing || Hold::is_busy(place)).then_some(hold)
    }

    pub(crate) fn write(&self, place: &OpenPlace, dest: &Path) -> Result<(), Error> {
        let why = match self.by {
            HeldBy::Failure => "the reload failed with it, and the former file was put back",
            HeldBy::Person => "a person put an older version back",
        };
        let text = format!(
            "confd does not put content in place at {} that it has tried before: {why}. confd \
             tries again when the content changes, or when this file is removed.\n",
            dest.display()
        );
        let since = self.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let by = if self.is_passing { PASSING } else { self.by.word() };
        let mut fields = vec![FIELDS.to_vec(), by.to_vec(), since.to_string().into()];
        fields.extend(self.contents.iter().map(|digest| digest.text().into_bytes()));
        fields.push(END.to_vec());
        let written = put(place, &place.hold(), text.into_bytes(), &fields);
        let key = place.dest().path().into_os_string();
        match &written {
            Ok(()) => drop(remembered().remove(&key)),
            Err(_) => drop(remembered().insert(key, self.clone())),
        }
        written
    }

    pub(crate) fn remove(place: &OpenPlace) -> Result<bool, Error> {
        let was_remembered = remembered().remove(place.dest().path().as_os_str()).is_some();
        let file = place.hold();
        match file.remove() {
            Ok(()) => match sync_folder(place) {
                Ok(()) => Ok(true),
                Err(cause) => Err(Error::file("fsync", place.folder().path(), cause)),
            },
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(was_remembered),
            Err(cause) => Err(Error::file("remove", &file.path(), cause)),
        }
    }
}

fn decode(text: &[u8]) -> Option<Hold> {
    let mut fields = text.split(|&byte| byte == 0).skip(1);
    if fields.next()? != FIELDS {
        return None;
    }
    let (by, is_passing) = match fields.next()? {
        b"failure" => (HeldBy::Failure, false),
        b"person" => (HeldBy::Person, false),
        PASSING => (HeldBy::Person, true),
        _ => return None,
    };
    let since = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let since = UNIX_EPOCH.checked_add(Duration::from_secs(since))?;
    let mut contents = Vec::new();
    loop {
        match fields.next()? {
            END => return Some(Hold { by, contents, since, is_passing }),
            digest => contents.push(Digest::from_text(std::str::from_utf8(digest).ok()?)?),
        }
    }
}

/// Writes a file of this program beside a destination: a text for people, and fields. It is whole
/// and on the disk, or as it was before.
pub(crate) fn put(
    place: &OpenPlace,
    to: &FileAt,
    mut text: Vec<u8>,
    fields: &[Vec<u8>],
) -> Result<(), Error> {
    for field in fields {
        text.push(0);
        text.extend_from_slice(field);
    }
    // A file that is left behind has the name of a stage file, and is swept like one.
    let mut made = create_locked(0o600, |random| place.file(FileKind::Passing, random))?;
    let written = made.file.write_all(&text).and_then(|()| sync_file(&made.file));
    let placed = written.and_then(|()| made.at.rename(to)).and_then(|()| sync_folder(place));
    placed.map_err(|cause| {
        // The error to report is that of writing.
        let _ = made.at.remove();
        Error::file("write", &to.path(), cause)
    })
}

/// Waits until the names in the folder are on the disk. A folder that this process may not read
/// cannot be synced, which is no error.
pub(crate) fn sync_folder(place: &OpenPlace) -> io::Result<()> {
    match place.folder().readable() {
        Ok(folder) => sync_file(&File::from(folder)),
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(cause) => Err(cause),
    }
}

/// The text of a file that [`put`] wrote; `None` if there is none, or if another user could have
/// written it.
pub(crate) fn own_text(at: &FileAt, longest: u64) -> Option<Vec<u8>> {
    let file = at.open(OFlags::RDONLY | OFlags::NOFOLLOW).ok()?;
    let found = fstat(&file).ok()?;
    if !is_file(&found) || found.st_uid != our_user() || found.st_nlink != 1 {
        return None;
    }
    let mut text = Vec::new();
    file.take(longest).read_to_end(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_read_as_it_was_written_and_ends_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let dest = folder.path().join("a");
        assert_eq!(Hold::of(&dest), None);
        let contents = vec![Digest::of([&b"x"[..]]), Digest::of([&b"x"[..], b""])];
        let mut hold = Hold::new(HeldBy::Person, contents);
        hold.set(&dest).expect("written");
        let found = Hold::of(&dest).expect("a hold");
        hold.since = found.since;
        assert_eq!(found, hold);
        assert!(Hold::release(&dest).expect("released"));
        assert!(!Hold::release(&dest).expect("nothing to release"));
        assert_eq!(Hold::of(&dest), None);
    }

    #[test]
    fn a_hold_that_is_cut_or_a_link_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let dest = folder.path().join("a");
        let file = folder.path().join(".a.held");
        Hold::new(HeldBy::Failure, vec![Digest::of([b""; 0])]).set(&dest).expect("written");
        let whole = std::fs::read(&file).expect("a file");
        std::fs::write(&file, &whole[..whole.len() - 1]).expect("write");
        assert_eq!(Hold::of(&dest), None);
        std::fs::write(&file, &whole).expect("write");
        assert!(Hold::of(&dest).is_some());
        std::fs::rename(&file, folder.path().join("other")).expect("rename");
        std::os::unix::fs::symlink("other", &file).expect("a link");
        assert_eq!(Hold::of(&dest), None);
    }
}
