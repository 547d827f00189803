//! The owner and the mode of a file: which are wanted, and setting them.
//!
//! Some file systems refuse to set them (CIFS, Azure Files, many FUSE file systems), and some show
//! other attributes than were set. An attribute that the resource does not ask for is confd's
//! default. A file that cannot have it is written without it, with a warning. An attribute that the
//! resource asks for and that is refused is an error. If the file system only shows a
//! different one, the file is written with a warning: the attribute may have been set all the same.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use rustix::fs::Stat;
use rustix::process::{getegid, geteuid};

use crate::Target;
use crate::error::Error;
use crate::step::ModeText;

/// The bits of a mode that say what kind of file it is.
pub(crate) const KIND_BITS: u32 = 0o170_000;
/// The kind of a regular file.
pub(crate) const REGULAR: u32 = 0o100_000;
/// The bits of a mode that a mode change sets.
pub(crate) const MODE_BITS: u32 = 0o7777;
/// The bits of a mode that a resource can set; setuid, setgid and sticky are excluded.
const PERMISSIONS: u32 = 0o777;
/// The mode of a new destination whose resource sets none.
const DEFAULT_MODE: u32 = 0o644;

/// The attributes that two files must have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attributes {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Kind, special bits and permissions, as in `st_mode`.
    pub(crate) mode: u32,
}

impl Attributes {
    pub(crate) fn of(found: &Stat) -> Attributes {
        Attributes { uid: found.st_uid, gid: found.st_gid, mode: found.st_mode }
    }

    /// The attributes of a regular file.
    pub(crate) fn regular(uid: u32, gid: u32, permissions: u32) -> Attributes {
        Attributes { uid, gid, mode: REGULAR | permissions }
    }

    /// The attributes that a target's file should have; `found` is its destination, if there is one.
    pub(crate) fn wanted(target: &Target, found: Option<&Stat>) -> Attributes {
        Attributes::regular(
            target.uid.unwrap_or_else(our_user),
            target.gid.unwrap_or_else(our_group),
            target.mode.or(found.map(|found| found.st_mode)).unwrap_or(DEFAULT_MODE) & PERMISSIONS,
        )
    }

    /// The permissions, with setuid, setgid and sticky.
    pub(crate) fn permissions(&self) -> u32 {
        self.mode & MODE_BITS
    }

    /// Whether `found` has these attributes, as far as its file system can show them.
    pub(crate) fn are_those_of(&self, found: &Stat) -> bool {
        let has = Attributes::of(found);
        has == *self || shown(found.st_dev, self) == Some(has)
    }
}

/// The target that asks for exactly the attributes of its destination, `found`.
pub(crate) fn preserving(target: &Target, found: &Stat) -> Target {
    Target {
        uid: Some(found.st_uid),
        gid: Some(found.st_gid),
        mode: Some(found.st_mode),
        ..target.clone()
    }
}

/// The effective user of this process. It never changes, so the system is asked once.
pub(crate) fn our_user() -> u32 {
    static USER: LazyLock<u32> = LazyLock::new(|| geteuid().as_raw());
    *USER
}

/// The effective group of this process. It never changes either.
pub(crate) fn our_group() -> u32 {
    static GROUP: LazyLock<u32> = LazyLock::new(|| getegid().as_raw());
    *GROUP
}

/// Sets the wanted mode, unless the file has it already. The bits outside of [`MODE_BITS`] are
/// ignored.
pub(crate) fn give_mode(
    file: &File,
    has: &Attributes,
    wanted: &Attributes,
) -> Result<(), std::io::Error> {
    let mode = wanted.mode & MODE_BITS;
    match has.mode & MODE_BITS == mode {
        true => Ok(()),
        false => file.set_permissions(Permissions::from_mode(mode)),
    }
}

/// Sets the wanted owner, unless the file has it already.
///
/// A failure is an error only for the user or group that the target asks for.
pub(crate) fn give_owner(
    file: &File,
    path: impl FnOnce() -> PathBuf,
    target: &Target,
    has: &Attributes,
    wanted: &Attributes,
) -> Result<(), Error> {
    let uid = (has.uid != wanted.uid).then_some(wanted.uid);
    let gid = (has.gid != wanted.gid).then_some(wanted.gid);
    if uid.is_none() && gid.is_none() {
        return Ok(());
    }
    let Err(cause) = fchown(file, uid, gid) else { return Ok(()) };
    let asked_for = (target.uid.and(uid), target.gid.and(gid));
    let is_given = match asked_for {
        (None, None) => true,
        // One call sets both: a default that was refused may have kept the other from being set.
        (asked_uid, asked_gid) if asked_for != (uid, gid) => {
            fchown(file, asked_uid, asked_gid).is_ok()
        }
        _ => false,
    };
    if is_given {
        return Ok(());
    }
    Err(Error::Owner {
        path: path(),
        dest: target.dest.clone(),
        uid: wanted.uid,
        gid: wanted.gid,
        cause,
    })
}

/// A difference between the attributes that a file should have and those that its file system
/// shows. [`Display`](fmt::Display) names what differs.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    found: Attributes,
    wanted: Attributes,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kept { found, wanted } = self;
        let is_of_another = (found.uid, found.gid) != (wanted.uid, wanted.gid);
        if is_of_another {
            let (uid, gid) = (found.uid, found.gid);
            write!(f, "owner {uid}:{gid} instead of {}:{}", wanted.uid, wanted.gid)?;
        }
        if found.mode != wanted.mode {
            let and = if is_of_another { " and " } else { "" };
            let (found, wanted) = (ModeText(found.mode), ModeText(wanted.mode));
            write!(f, "{and}mode {found} instead of {wanted}")?;
        }
        Ok(())
    }
}

/// What file systems show instead of the attributes that were to be set. The key has the device and
/// those attributes. Without it, each pass would write a stage file only to find this out.
static SHOWN: LazyLock<Mutex<HashMap<(u64, Attributes), Attributes>>> =
    LazyLock::new(Mutex::default);

/// The attributes that the file system shows instead of `wanted`, if a stage file has had them.
fn shown(device: u64, wanted: &Attributes) -> Option<Attributes> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&(device, *wanted)).copied()
}

/// Records what the file system shows of a stage file that should have the attributes `wanted`.
pub(crate) fn record(stage: &Stat, wanted: &Attributes) {
    let found = Attributes::of(stage);
    if found != *wanted {
        let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        shown.insert((stage.st_dev, *wanted), found);
    }
}

/// What to report about a stage file on this device: once for each file system, and once for each
/// destination if the target asks for what the file has not got.
pub(crate) fn to_report(
    device: u64,
    target: &Target,
    found: Attributes,
    wanted: Attributes,
) -> Option<Kept> {
    /// A device, and a destination on it or `None` for all that asked for nothing.
    type About = (u64, Option<PathBuf>);
    static REPORTED: LazyLock<Mutex<HashSet<About>>> = LazyLock::new(Mutex::default);
    if found == wanted {
        return None;
    }
    let is_asked_for = target.uid.is_some_and(|uid| uid != found.uid)
        || target.gid.is_some_and(|gid| gid != found.gid)
        || target.mode.is_some_and(|_| found.mode != wanted.mode);
    let about = is_asked_for.then(|| target.dest.clone());
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    reported.insert((device, about)).then_some(Kept { found, wanted })
}
