//! Stage files: the complete new file, beside the destination, before anything is decided.
//!
//! A stage file is created so that only its owner can read it. It gets its owner and mode through
//! its descriptor, so neither the umask of the process nor other users of the folder can interfere.
//! It is on the disk before [`Staged::new`] returns. Dropping a [`Staged`] removes its file.
//!
//! A member that must not exist has no stage file: only its destination is examined.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use report::Fingerprint;
use rustix::fs::{Stat, fstat, lstat};

use crate::attributes::{self, Attributes, give_mode, give_owner, our_user};
use crate::big::Guards;
use crate::compare;
use crate::create::create_locked;
use crate::durable::sync_file;
use crate::error::Error;
use crate::folder::{FileAt, OpenPlace, is_file, is_folder};
use crate::pending::Marker;
use crate::place::FileKind;
use crate::step::{Observer, Step};
use crate::undo::Identity;
use crate::{Options, Target};

/// The mode of an empty stage file: only its owner can open it.
const PRIVATE: u32 = 0o600;

/// One member of a transaction: staged on the disk, or known to be in sync. Dropping it removes its
/// stage file.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) target: Arc<Target>,
    /// `None` if there must be no file.
    pub(crate) content: Option<Bytes>,
    /// The destination, in its open folder.
    pub(crate) place: OpenPlace,
    /// What the destination becomes; `None` if it was found to be in sync.
    pub(crate) becomes: Option<Becomes>,
    /// The fingerprint of the destination when this member was staged.
    seen: Option<Fingerprint>,
    /// Whether `seen` was [settled](Fingerprint::is_settled) at that time.
    was_settled: bool,
    /// A known difference of the destination.
    pub(crate) difference: Option<Difference>,
}

/// What a destination becomes that is out of sync.
#[derive(Debug)]
pub(crate) enum Becomes {
    /// This stage file.
    File(StageFile),
    /// Nothing: this file is removed.
    Absent(Identity),
}

/// What a commit does to a destination, for texts.
pub(crate) fn done_text(content: &Option<Bytes>) -> &'static str {
    if content.is_some() { "replaced" } else { "removed" }
}

impl Becomes {
    pub(crate) fn file(&self) -> Option<&StageFile> {
        match self {
            Becomes::File(file) => Some(file),
            Becomes::Absent(_) => None,
        }
    }
}

/// A difference between a destination and its new content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// The destination does not exist.
    Missing,
    /// The bytes differ, and not only in ignored lines.
    Bytes,
}

/// What a destination held before a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// No file.
    Nothing,
    /// The content that it is to get. Its owner or its mode can differ. Of a member that must not exist:
    /// no file.
    Same,
    /// Another content.
    Other {
        /// Its size.
        bytes: u64,
    },
}

impl Staged {
    /// Stages `content` for the target, with its final owner and mode, safe on the disk. Writes
    /// nothing if the destination is found to be in sync, unless the stage file is to be kept.
    ///
    /// Without content there must be no file. `None` if even its folder is missing. With `guards`
    /// the stage file is not locked, and guarded.
    pub(crate) fn new(
        target: Arc<Target>,
        content: Option<Bytes>,
        guards: Option<&Guards>,
        options: &Options,
    ) -> Result<Option<Staged>, Error> {
        match content {
            Some(content) => Staged::with_content(target, content, guards, options).map(Some),
            None => Staged::without_file(target),
        }
    }

    fn with_content(
        target: Arc<Target>,
        content: Bytes,
        guards: Option<&Guards>,
        options: &Options,
    ) -> Result<Staged, Error> {
        let place = OpenPlace::of_target(&target, options)?;
        let found = place.dest().stat();
        let is_missing = found.as_ref().is_err_and(|cause| cause.kind() == io::ErrorKind::NotFound);
        let found = found.ok();
        // The file of a resource fails at its commit, with the line that Go confd has for it.
        if target.below.is_some() && found.as_ref().is_some_and(is_folder) {
            return Err(Error::IsFolder { dest: target.dest.clone() });
        }
        let seen = found.as_ref().map(Fingerprint::of_stat);
        let was_settled = seen.is_some_and(|seen| seen.is_settled());
        let target = match &found {
            Some(found) if target.preserve => Arc::new(attributes::preserving(&target, found)),
            _ => target,
        };
        let wanted = Attributes::wanted(&target, found.as_ref());
        let mut difference = is_missing.then_some(Difference::Missing);
        let mut in_sync = false;
        if !options.keep_stage_file
            && let Some(found) = &found
            && wanted.are_those_of(found)
        {
            match compare::has_content_of(&target, place.dest(), found, &content) {
                Ok(true) => in_sync = true,
                Ok(false) => difference = Some(Difference::Bytes),
                // The comparison will report a destination that cannot be read.
                Err(_) => {}
            }
        }
        let becomes = match in_sync {
            true => None,
            false => {
                guards.map_or(Ok(()), |guards| guards.add(place.folder()))?;
                let mut file = StageFile::create(&place, &target, &wanted, &content, options)?;
                if guards.is_some() {
                    file.lock = None;
                }
                Some(Becomes::File(file))
            }
        };
        let content = Some(content);
        Ok(Staged { target, content, place, becomes, seen, was_settled, difference })
    }

    /// A member that must not exist. `None` if even its folder is missing.
    fn without_file(target: Arc<Target>) -> Result<Option<Staged>, Error> {
        let Some(place) = OpenPlace::find(&target)? else { return Ok(None) };
        let found = match place.dest().lstat() {
            Ok(found) => Some(found),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => return Err(Error::file("lstat", &target.dest, cause)),
        };
        let seen = found.as_ref().map(Fingerprint::of_stat);
        let becomes = found.as_ref().map(|found| Becomes::Absent(Identity::of(found)));
        let (content, difference) = (None, None);
        let was_settled = seen.is_none();
        Ok(Some(Staged { target, content, place, becomes, seen, was_settled, difference }))
    }

    /// A member whose content is held back: it is not staged. `None` if it must not exist, and even
    /// its folder is missing.
    pub(crate) fn held(
        target: Arc<Target>,
        content: Option<Bytes>,
    ) -> Result<Option<Staged>, Error> {
        let place = match &content {
            Some(_) => OpenPlace::existing(&target)?,
            None => match OpenPlace::find(&target)? {
                Some(place) => place,
                None => return Ok(None),
            },
        };
        let (becomes, seen, was_settled, difference) = (None, None, false, None);
        Ok(Some(Staged { target, content, place, becomes, seen, was_settled, difference }))
    }

    /// Whether a reload of the destination is pending.
    pub(crate) fn has_marker(&self) -> bool {
        Marker::find(&self.place).is_some()
    }

    /// Whether the destination was found in sync, and every later change is certain to change its
    /// fingerprint. Returns the fingerprint, which is `None` if there is no file.
    pub(crate) fn found_in_sync(&self) -> Option<Option<Fingerprint>> {
        (self.becomes.is_none() && self.was_settled).then_some(self.seen)
    }

    /// What the destination held when this member was staged.
    pub(crate) fn before(&self) -> Before {
        if self.becomes.is_none() {
            return Before::Same;
        }
        let found = match self.place.dest().stat() {
            Ok(found) if is_file(&found) => found,
            _ => return Before::Nothing,
        };
        let dest = self.place.dest();
        let has = |content: &Bytes| compare::has_content_of(&self.target, dest, &found, content);
        match self.content.as_ref().map(has) {
            Some(Ok(true)) => Before::Same,
            _ => Before::Other { bytes: found.st_size.cast_unsigned() },
        }
    }

    /// The fingerprint of the destination now: of the file that a link leads to, or of the link
    /// itself if there must be no file.
    fn look(&self) -> Option<Fingerprint> {
        let dest = self.place.dest();
        let found = if self.content.is_some() { dest.stat() } else { dest.lstat() };
        found.ok().as_ref().map(Fingerprint::of_stat)
    }

    /// The same content for the destination as it is now. It is staged again if the destination has
    /// changed since. The folder stays the same: the commit notices if its path leads to another
    /// folder by now.
    ///
    /// So a destination of two resources ends as if they were deployed one after the other,
    /// although both were staged first.
    pub(crate) fn refreshed(self, options: &Options) -> Result<Option<Staged>, Error> {
        if self.look() == self.seen {
            return Ok(Some(self));
        }
        let (target, content) = (Arc::clone(&self.target), self.content.clone());
        drop(self);
        Staged::new(target, content, None, options)
    }
}

/// The identity and the fingerprint of a stage file.
pub(crate) type State = (Identity, Fingerprint);

/// A file beside the destination, removed on drop unless [`leave`](StageFile::leave) was called.
#[derive(Debug)]
pub(crate) struct StageFile {
    pub(crate) at: FileAt,
    /// The content.
    pub(crate) content: Bytes,
    /// The file's attributes. On some file systems they differ from those that were set.
    pub(crate) attributes: Attributes,
    /// The attributes that were to be set.
    wanted: Attributes,
    /// The permissions with which the file was created: those that it should have, if its file system
    /// refuses to change them, and otherwise [`PRIVATE`].
    pub(crate) born_with: u32,
    /// The identity of the file.
    pub(crate) identity: Identity,
    /// The fingerprint of the file after its content was written.
    pub(crate) written: Option<Fingerprint>,
    /// Whether a check command has run.
    is_checked: bool,
    /// Whether the name of the file can lead to another file by now: a check command has run, or
    /// another user can replace files in the folder.
    pub(crate) is_at_risk: bool,
    /// Whether the file stays: it is to be kept, or has become the destination.
    stays: bool,
    /// Locked, so that a sweep does not remove the file as a leftover. It is opened for reading
    /// only, because a file that is open for writing cannot be executed, and a check command may
    /// execute it. `None` on a file system without locks, and in a big transaction.
    lock: Option<File>,
}

impl StageFile {
    fn create(
        place: &OpenPlace,
        target: &Target,
        wanted: &Attributes,
        content: &Bytes,
        options: &Options,
    ) -> Result<StageFile, Error> {
        let kind = if options.keep_stage_file { FileKind::Kept } else { FileKind::Passing };
        let (mut stage, mut file) = StageFile::create_empty(place, kind, PRIVATE)?;
        // All of this happens while the file is empty, so that only permitted users ever read its
        // content. The mode is set first: only root can change the mode of a file that belongs to
        // another user.
        if let Err(cause) = give_mode(&file, &stage.attributes, wanted) {
            // A file system that refuses to change a mode may still create files with it.
            drop(file);
            drop(stage);
            (stage, file) = StageFile::create_empty(place, kind, wanted.mode)?;
            if target.mode.is_some() && stage.attributes.mode != wanted.mode {
                return Err(Error::file("chmod", &stage.path(), cause));
            }
        }
        give_owner(&file, || stage.path(), target, &stage.attributes, wanted)?;
        file.write_all(content).map_err(|cause| Error::file("write", &stage.path(), cause))?;
        // A file that is never put in place need not survive a power cut.
        if !options.noop {
            sync_file(&file).map_err(|cause| Error::file("fsync", &stage.path(), cause))?;
        }
        let given =
            fstat(&file).map_err(|cause| Error::file("stat", &stage.path(), cause.into()))?;
        attributes::record(&given, wanted);
        stage.content = content.clone();
        stage.wanted = *wanted;
        stage.attributes = Attributes::of(&given);
        stage.identity = Identity::of(&given);
        stage.written = Some(Fingerprint::of_stat(&given));
        Ok(stage)
    }

    /// Creates an empty, locked file under a free name, with the permissions of `mode`.
    fn create_empty(
        place: &OpenPlace,
        kind: FileKind,
        mode: u32,
    ) -> Result<(StageFile, File), Error> {
        let created = create_locked(mode, |random| place.file(kind, random))?;
        let attributes = Attributes::of(&created.born);
        let stage = StageFile {
            at: created.at,
            content: Bytes::new(),
            attributes,
            wanted: attributes,
            born_with: mode,
            identity: Identity::default(),
            written: None,
            is_checked: false,
            is_at_risk: false,
            stays: false,
            lock: created.lock,
        };
        Ok((stage, created.file))
    }

    /// The path of the file, for people and commands.
    pub(crate) fn path(&self) -> PathBuf {
        self.at.path()
    }

    /// The state of the stage file, which is about to be renamed. `None` if there is no file.
    ///
    /// Other users of the folder can swap it for a link to a file that only this process may read,
    /// and a check command may replace it by a new one, as `sed -i` does. If neither can have
    /// happened, the file is as it was staged, and the system is not asked again: only this
    /// user and root could have changed it, and the look after the rename would notice.
    ///
    /// # Errors
    /// The file is neither the stage file nor one that a check command may have made.
    pub(crate) fn state_to_place(&self) -> Result<Option<State>, Error> {
        if !self.is_at_risk {
            return Ok(self.written.map(|written| (self.identity, written)));
        }
        let found = self.verified(self.at.lstat())?;
        Ok(found.map(|found| (Identity::of(&found), Fingerprint::of_stat(&found))))
    }

    /// Looks at the file at the stage file's path, which is what a check command gets: the folder can
    /// have been swapped too.
    ///
    /// # Errors
    /// It is not the stage file.
    pub(crate) fn verify_path(&self) -> Result<(), Error> {
        self.verified(lstat(self.path()).map_err(io::Error::from)).map(drop)
    }

    fn verified(&self, found: io::Result<Stat>) -> Result<Option<Stat>, Error> {
        let Ok(found) = found else { return Ok(None) };
        let is_of_the_check = self.is_checked
            && is_file(&found)
            && found.st_nlink == 1
            && [our_user(), self.attributes.uid].contains(&found.st_uid);
        match self.identity.is_same_file(&Identity::of(&found)) || is_of_the_check {
            true => Ok(Some(found)),
            false => Err(Error::Swapped { path: self.path() }),
        }
    }

    /// Says that a check command has run, which may have replaced the file.
    pub(crate) fn checked(&mut self) {
        self.is_checked = true;
        self.is_at_risk = true;
    }

    /// Keeps the file: it is to stay, or has become the destination.
    pub(crate) fn leave(&mut self) {
        self.stays = true;
    }

    /// Reports attributes that the file should have and has not got.
    pub(crate) fn report_attributes(&self, target: &Target, observer: &dyn Observer) {
        let device = self.identity.device;
        let kept = attributes::to_report(device, target, self.attributes, self.wanted);
        if let Some(kept) = kept {
            let (folder, dest) = (self.at.folder().path(), target.dest.as_path());
            observer.observe(&Step::AttributesKept { folder, dest, kept });
        }
    }
}

impl Drop for StageFile {
    fn drop(&mut self) {
        if !self.stays {
            // File systems of a network or of FUSE rename a file that is removed while it is open, or
            // cannot remove it.
            self.lock = None;
            // An error cannot be reported here. A later run sweeps the file.
            let _ = self.at.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, TryLockError};
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::create::lock;

    #[test]
    fn a_new_stage_file_is_private_empty_and_locked() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = OpenPlace::of(&folder.path().join("a")).expect("a folder");
        let (stage, file) =
            StageFile::create_empty(&place, FileKind::Passing, PRIVATE).expect("created");
        let born = file.metadata().expect("metadata");
        assert_eq!((born.mode() & 0o7777, born.size()), (0o600, 0));
        assert!(matches!(lock(&stage.at), Err(TryLockError::WouldBlock)));
    }

    #[test]
    fn stage_files_of_one_destination_have_different_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = Arc::new(Target::new(folder.path().join("a")));
        let staged: Vec<Staged> = (0..200)
            .map(|_| {
                let content = Bytes::from("x");
                Staged::with_content(Arc::clone(&target), content, None, &Options::default())
            })
            .collect::<Result<_, _>>()
            .expect("staged");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), staged.len());
        drop(staged);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}
