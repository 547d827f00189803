//! What a file is and what it would become, found out without touching its folder.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{OFlags, fstat};

use crate::attributes::{Attributes, preserving};
use crate::compare::{has_content_of, is_in_sync};
use crate::error::Error;
use crate::folder::{OpenPlace, is_file};
use crate::stage::Before;
use crate::step::{Level, Observer, Step};
use crate::{Member, Target};

/// One state of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Its bytes. Anything but a regular file has none.
    pub content: Bytes,
    /// Its permissions, with setuid, setgid and sticky.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl FileState {
    fn new(content: Bytes, attributes: Attributes) -> FileState {
        let Attributes { uid, gid, .. } = attributes;
        FileState { content, mode: attributes.permissions(), uid, gid }
    }
}

/// What would become of one file.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The destination, with its commands.
    pub target: Arc<Target>,
    /// The file now; `None` if there is none.
    pub before: Option<FileState>,
    /// The file afterwards; `None` if there is none.
    pub after: Option<FileState>,
    /// Whether a transaction would replace or remove the file. If not, the contents can still differ in
    /// lines that are ignored.
    pub is_change: bool,
}

impl Proposal {
    /// What a transaction would make of this member. Reads the destination and writes nothing.
    ///
    /// # Errors
    /// The folder of the destination is missing and is not to be created, or the destination cannot be
    /// read.
    pub fn of(member: &Member) -> Result<Proposal, Error> {
        let Member { target, content } = member;
        let place = match OpenPlace::find(target)? {
            Some(place) => place,
            None if content.is_none() || target.make_directories.is_some() => {
                let after = content.as_ref().map(|content| {
                    FileState::new(content.clone(), Attributes::wanted(target, None))
                });
                let is_change = after.is_some();
                let target = Arc::clone(target);
                return Ok(Proposal { target, before: None, after, is_change });
            }
            // This is the error of a transaction.
            None => OpenPlace::existing(target)?,
        };
        Proposal::at(target, &place, content.as_ref())
    }

    /// The same for the destination in its open folder.
    pub(crate) fn at(
        target: &Arc<Target>,
        place: &OpenPlace,
        content: Option<&Bytes>,
    ) -> Result<Proposal, Error> {
        let dest = place.dest();
        let failed = |cause| Error::file("open", &target.dest, cause);
        let found = match dest.stat() {
            Ok(found) => Some(found),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => return Err(failed(cause)),
        };
        let before = match &found {
            Some(found) if is_file(found) => {
                let mut file = dest.open(OFlags::RDONLY).map_err(failed)?;
                let found = fstat(&file).map_err(|cause| failed(cause.into()))?;
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(failed)?;
                Some(FileState::new(bytes.into(), Attributes::of(&found)))
            }
            Some(found) => Some(FileState::new(Bytes::new(), Attributes::of(found))),
            None => None,
        };
        let Some(content) = content else {
            let is_change = dest.lstat().is_ok_and(|found| is_file(&found));
            let target = Arc::clone(target);
            return Ok(Proposal { target, before, after: None, is_change });
        };
        let target = match &found {
            Some(found) if target.preserve => Arc::new(preserving(target, found)),
            _ => Arc::clone(target),
        };
        let wanted = Attributes::wanted(&target, found.as_ref());
        let is_same = found.as_ref().is_some_and(|found| {
            let is_shown_so = wanted.are_those_of(found)
                && has_content_of(&target, dest, found, content).unwrap_or(false);
            is_shown_so || is_in_sync(&target, dest, &wanted, content, &Silent)
        });
        let after = Some(FileState::new(content.clone(), wanted));
        Ok(Proposal { target, before, after, is_change: !is_same })
    }

    /// What the destination holds now, for guards.
    pub fn held(&self) -> Before {
        match (&self.before, &self.after) {
            (None, None) => Before::Same,
            (None, Some(_)) => Before::Nothing,
            (Some(before), Some(after))
                if self.target.significant(&before.content)
                    == self.target.significant(&after.content) =>
            {
                Before::Same
            }
            (Some(before), _) => Before::Other { bytes: before.content.len() as u64 },
        }
    }
}

/// Receives nothing.
struct Silent;

impl Observer for Silent {
    fn observe(&self, _: &Step<'_>) {}

    fn wants(&self, _: Level) -> bool {
        false
    }
}
