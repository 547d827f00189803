//! The names of the files that belong to a destination: its stage files, the undo files and
//! journals of transactions, and its pending-reload marker.
//!
//! All of them are in the destination's own folder, because only there a rename is atomic. Except
//! for journals, their names begin with a dot and the destination's name, as confd's do.
//!
//! The name of a stage file ends in ten digits. confd's digits are random. Ours are five random
//! digits and five check digits, which are computed from the random digits, the destination's name
//! and the kind of file. So a leftover of a killed process can be distinguished from the files of
//! other programs. If these names are taken, because another program made files with all of them,
//! there are fifteen random digits. If the destination's name is too long for the digits or the
//! ending, a hash takes the name's place.
//!
//! This module only computes names; it never accesses the disk.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use md5::{Digest, Md5};

use crate::error::Error;

/// Check digits in a stage file's name.
const CHECK_DIGITS: usize = 5;
/// All digits in a stage file's name.
const DIGITS: usize = 10;
/// All digits in a stage file's name if the shorter names are taken.
const MANY_DIGITS: usize = 20;
/// One more than the largest random number of a name with [`DIGITS`] digits.
pub(crate) const RANDOM_RANGE: u64 = 100_000;
/// One more than the largest random number of a name with [`MANY_DIGITS`] digits.
pub(crate) const WIDE_RANGE: u64 = 1_000_000_000_000_000;
/// One more than the largest number of [`CHECK_DIGITS`] digits.
const CHECK_RANGE: u64 = 100_000;

/// The most bytes of a name, on all usual file systems.
pub(crate) const LONGEST: usize = 255;
/// The ending of the marker of a pending reload.
const PENDING: &str = ".reload-pending";
/// The ending of the former file of a trial.
const FORMER: &str = ".former";
/// The ending of the record of a trial.
const TRIAL: &str = ".trial";
/// The ending of a hold.
const HELD: &str = ".held";
/// The ending of a manifest.
const MANIFEST: &str = ".confd-files";

/// The beginning of a journal's name. It is the same in every folder, so that a journal is found
/// even when no resource has its destinations any more.
const JOURNAL: &[u8] = b"confd-transaction-";
/// The beginning of the name of a group check's root. It is the same in every folder, too.
const ROOT: &[u8] = b"confd-group-check-";

/// The purpose of a file with digits in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A stage file that is removed if it is not renamed. If it is left behind, its process was
    /// killed.
    Passing,
    /// A stage file that is kept for a person to read (`-keep-stage-file`). It is never swept.
    Kept,
    /// The destination as it was before a transaction.
    Undo,
}

/// How the path of a destination ends. Only a path with a name at its end can be a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathEnd {
    Name,
    Slash,
    Empty,
}

/// A destination, split into its folder and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    folder: PathBuf,
    name: OsString,
    path_end: PathEnd,
    /// What stands for the name in the names of stage files, if the name is too long.
    stem: Option<OsString>,
}

impl Place {
    /// Splits a destination as Go's `filepath.Dir` and `filepath.Base` do.
    ///
    /// `a/` is the name `a` in the folder `a`, and the empty path is the name `.` in the folder
    /// `.`, so that malformed paths fail with confd's words. One difference: `..` is left for the
    /// system to resolve, because removing it textually is wrong where a folder is a symbolic link.
    pub(crate) fn of(dest: &Path) -> Result<Place, Error> {
        let bytes = dest.as_os_str().as_bytes();
        let folder_end = bytes.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
        let folder = tidy(&bytes[..folder_end]);

        let name = match bytes.iter().rposition(|&byte| byte != b'/') {
            Some(last) => bytes[..=last].rsplit(|&byte| byte == b'/').next().unwrap_or_default(),
            None if bytes.is_empty() => b".",
            None => return Err(Error::NoName),
        };
        let name = OsStr::from_bytes(name).to_owned();
        // A name that no file can have fails with confd's words.
        let is_long = 1 + name.len() + DIGITS > LONGEST && name.len() <= LONGEST;
        let stem = is_long.then(|| hash_of(&name));
        let path_end = match bytes {
            [] => PathEnd::Empty,
            [.., b'/'] => PathEnd::Slash,
            _ => PathEnd::Name,
        };
        Ok(Place { folder, name, path_end, stem })
    }

    /// The folder, never empty: `.` for a destination without one.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder as text, which is compared faster than a path.
    pub(crate) fn folder_text(&self) -> &OsStr {
        self.folder.as_os_str()
    }

    /// The name in the folder that means the same as the path of the destination: `.` if the path
    /// ends in a slash, and nothing if it is empty.
    pub(crate) fn dest_name(&self) -> &OsStr {
        match self.path_end {
            PathEnd::Name => &self.name,
            PathEnd::Slash => OsStr::new("."),
            PathEnd::Empty => OsStr::new(""),
        }
    }

    /// The name of the file of this kind with this random part (below [`WIDE_RANGE`]).
    ///
    /// The digits replace the last `*` of the name, or follow the name if it has none.
    pub(crate) fn file_name(&self, kind: FileKind, random: u64) -> OsString {
        let check = check_number(salt(kind), &self.name, random);
        let (before, after) = self.around_digits();
        let mut name = Vec::with_capacity(1 + before.len() + MANY_DIGITS + after.len());
        name.push(b'.');
        name.extend_from_slice(before);
        push_digits(&mut name, random, check);
        name.extend_from_slice(after);
        OsString::from_vec(name)
    }

    /// The name of the marker of a pending reload.
    pub(crate) fn pending_name(&self) -> OsString {
        self.name_with(PENDING)
    }

    /// The name of the former file of a trial.
    pub(crate) fn former_name(&self) -> OsString {
        self.name_with(FORMER)
    }

    /// The name of the record of a trial.
    pub(crate) fn trial_name(&self) -> OsString {
        self.name_with(TRIAL)
    }

    /// The name of a hold.
    pub(crate) fn hold_name(&self) -> OsString {
        self.name_with(HELD)
    }

    /// The hidden name of the one file that has this ending and belongs to the destination.
    fn name_with(&self, ending: &str) -> OsString {
        hidden_name(&self.name, ending)
    }

    /// The parts of the destination's name before and after a stage file's digits.
    pub(crate) fn around_digits(&self) -> (&[u8], &[u8]) {
        let name = self.stem.as_ref().unwrap_or(&self.name).as_bytes();
        match name.iter().rposition(|&byte| byte == b'*') {
            Some(star) => (&name[..star], &name[star + 1..]),
            None => (name, b""),
        }
    }

    /// Whether `digits` are valid for a file of this kind of this destination.
    pub(crate) fn made(&self, kind: FileKind, digits: &[u8]) -> bool {
        is_checked(digits, |random| check_number(salt(kind), &self.name, random))
    }

    /// Splits the name of a folder's entry into the part before the digits, the digits, and the
    /// last `after` bytes, in each way that is possible. There is none if the name is too short or
    /// does not begin with a dot.
    pub(crate) fn split_entry(
        entry: &[u8],
        after: usize,
    ) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
        [DIGITS, MANY_DIGITS].into_iter().filter_map(move |count| {
            let entry = entry.strip_prefix(b".")?;
            let (entry, rest) = entry.split_at_checked(entry.len().checked_sub(after)?)?;
            let (before, digits) = entry.split_at_checked(entry.len().checked_sub(count)?)?;
            Some((before, digits, rest))
        })
    }
}

/// Removes the parts of a path that have no meaning: double slashes, `.` elements, the trailing
/// slash.
fn tidy(folder: &[u8]) -> PathBuf {
    // Nearly every folder has no other such part than the slash at its end.
    if let [folder @ .., b'/'] = folder
        && let mut parts = folder.split(|&byte| byte == b'/')
        && parts.next() != Some(b".")
        && parts.all(|part| !matches!(part, b"" | b"."))
        && !folder.is_empty()
    {
        return PathBuf::from(OsStr::from_bytes(folder));
    }
    let parts = Path::new(OsStr::from_bytes(folder)).components();
    let tidied: PathBuf = parts.filter(|part| !matches!(part, Component::CurDir)).collect();
    if tidied.as_os_str().is_empty() { PathBuf::from(".") } else { tidied }
}

/// The name of a manifest. `name` distinguishes the manifests in one folder.
pub(crate) fn manifest_name(name: &OsStr) -> OsString {
    match name.as_bytes().contains(&b'/') {
        true => hidden_name(&hash_of(name), MANIFEST),
        false => hidden_name(name, MANIFEST),
    }
}

/// A hidden name with this ending. A hash takes the place of a name that is too long.
fn hidden_name(name: &OsStr, ending: &str) -> OsString {
    let mut hidden = OsString::from(".");
    match 1 + name.len() + ending.len() > LONGEST {
        true => hidden.push(hash_of(name)),
        false => hidden.push(name),
    }
    hidden.push(ending);
    hidden
}

/// A name that stands for a name that is too long.
fn hash_of(name: &OsStr) -> OsString {
    let sum = Md5::digest(name.as_bytes());
    let hash = sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    OsString::from(format!("confd-{hash}"))
}

/// Adds the digits of a file's name. Formatting them as text takes much longer.
fn push_digits(name: &mut Vec<u8>, random: u64, check: u64) {
    let count = if random < RANDOM_RANGE { DIGITS } else { MANY_DIGITS } - CHECK_DIGITS;
    for (number, count) in [(random, count), (check, CHECK_DIGITS)] {
        let start = name.len();
        name.resize(start + count, b'0');
        let mut rest = number;
        for digit in name[start..].iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
    }
}

/// The name of the journal with this random part (below [`WIDE_RANGE`]).
pub(crate) fn journal_name(random: u64) -> OsString {
    numbered(JOURNAL, random)
}

/// Whether a folder's entry has the name of a journal.
pub(crate) fn is_journal(entry: &[u8]) -> bool {
    is_numbered(JOURNAL, entry)
}

/// The name of the root of a group check with this random part (below [`WIDE_RANGE`]).
pub(crate) fn root_name(random: u64) -> OsString {
    numbered(ROOT, random)
}

/// Whether a folder's entry has the name of the root of a group check.
pub(crate) fn is_root(entry: &[u8]) -> bool {
    is_numbered(ROOT, entry)
}

/// A hidden name with this beginning and digits.
fn numbered(beginning: &[u8], random: u64) -> OsString {
    let check = check_number(beginning, OsStr::new(""), random);
    let mut name = vec![b'.'];
    name.extend_from_slice(beginning);
    push_digits(&mut name, random, check);
    OsString::from_vec(name)
}

fn is_numbered(beginning: &[u8], entry: &[u8]) -> bool {
    let digits = entry.strip_prefix(b".").and_then(|name| name.strip_prefix(beginning));
    digits.is_some_and(|digits| {
        is_checked(digits, |random| check_number(beginning, OsStr::new(""), random))
    })
}

/// Whether a folder's entry has a name that this program gives to files beside a destination.
///
/// Stage files and undo files of a destination whose name has a `*`, or is too long for the digits,
/// are not recognized: that needs the destination.
pub(crate) fn is_own_name(entry: &[u8]) -> bool {
    if !entry.starts_with(b".") {
        return false;
    }
    let has_ending = [PENDING, FORMER, TRIAL, HELD, MANIFEST]
        .iter()
        .any(|ending| entry.ends_with(ending.as_bytes()));
    let kinds = [FileKind::Passing, FileKind::Kept, FileKind::Undo];
    has_ending
        || is_journal(entry)
        || is_root(entry)
        || kinds.into_iter().any(|kind| is_of_any(kind, entry))
}

/// Whether a folder's entry has the name of a file of this kind of any destination.
///
/// The name is not recognized if the destination's name has a `*`, or is too long for the digits.
pub(crate) fn is_of_any(kind: FileKind, entry: &[u8]) -> bool {
    Place::split_entry(entry, 0).any(|(name, digits, _)| {
        is_checked(digits, |random| check_number(salt(kind), OsStr::from_bytes(name), random))
    })
}

/// Whether a folder's entry has the name of a manifest.
pub(crate) fn is_manifest(entry: &[u8]) -> bool {
    entry.starts_with(b".") && entry.ends_with(MANIFEST.as_bytes())
}

/// Whether a folder's entry has the name of the marker of a pending reload, of any destination.
pub(crate) fn is_marker(entry: &[u8]) -> bool {
    entry.starts_with(b".") && entry.ends_with(PENDING.as_bytes())
}

/// Whether these are ten or twenty digits of which the last five are the check number of the others.
fn is_checked(digits: &[u8], check_of: impl FnOnce(u64) -> u64) -> bool {
    let has_length = [DIGITS, MANY_DIGITS].contains(&digits.len());
    if !has_length || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |n, d| n * 10 + u64::from(d - b'0'));
    let (random, check) = digits.split_at(digits.len() - CHECK_DIGITS);
    number(check) == check_of(number(random))
}

fn salt(kind: FileKind) -> &'static [u8] {
    match kind {
        FileKind::Passing => b"confd stage file",
        FileKind::Kept => b"confd kept stage file",
        FileKind::Undo => b"confd undo file",
    }
}

/// The check digits of a file's name, as a number below [`CHECK_RANGE`].
///
/// The check digits only recognise a file; they protect nothing. Every version must compute the
/// same digits.
fn check_number(salt: &[u8], name: &OsStr, random: u64) -> u64 {
    let sum = Md5::new()
        .chain_update(salt)
        .chain_update([0])
        .chain_update(name.as_bytes())
        .chain_update([0])
        .chain_update(random.to_le_bytes())
        .finalize();
    sum.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte)) % CHECK_RANGE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(dest: &str) -> Place {
        Place::of(Path::new(dest)).expect("a destination with a name")
    }

    /// The stage path with its ten digits shown as `#`.
    fn shape(dest: &str) -> String {
        let path = place(dest);
        let path = path.folder().join(path.file_name(FileKind::Passing, 7));
        let text = path.to_str().expect("text");
        assert_eq!(text.bytes().filter(u8::is_ascii_digit).count(), DIGITS, "{text}");
        text.replace(|c: char| c.is_ascii_digit(), "#").replace("##########", "#")
    }

    #[test]
    fn a_stage_file_is_beside_its_destination() {
        for (dest, stage) in [
            ("/etc/nginx/nginx.conf", "/etc/nginx/.nginx.conf#"),
            ("r/out/rel", "r/out/.rel#"),
            ("rel", "./.rel#"),
            ("./rel", "./.rel#"),
            ("../rel", "../.rel#"),
            ("", "./..#"),
            ("..", "./...#"),
            ("/x", "/.x#"),
            ("a/", "a/.a#"),
            ("/tmp//d/./e", "/tmp/d/.e#"),
            ("/tmp/a*b*c", "/tmp/.a*b#c"),
            ("/tmp/*", "/tmp/.#"),
        ] {
            assert_eq!(shape(dest), stage, "{dest:?}");
        }
    }

    #[test]
    fn the_root_folder_is_no_destination() {
        for dest in ["/", "//"] {
            let error = Place::of(Path::new(dest)).expect_err("no name");
            assert_eq!(error.to_string(), "createtemp ./: pattern contains path separator");
        }
    }

    #[test]
    fn dots_are_not_resolved_textually() {
        assert_eq!(place("link/../x").folder(), Path::new("link/.."));
    }

    #[test]
    fn our_own_digits_are_recognised_and_others_are_not() {
        let place = place("/etc/app.conf");
        for random in [0, 1, 99_999] {
            let name = place.file_name(FileKind::Passing, random);
            let entry = name.as_bytes();
            let (before, digits, rest) =
                Place::split_entry(entry, 0).next().expect("dot and digits");
            assert_eq!((before, rest), (&b"app.conf"[..], &b""[..]));
            assert!(place.made(FileKind::Passing, digits));

            let mut other = digits.to_vec();
            other[9] = if other[9] == b'9' { b'0' } else { other[9] + 1 };
            assert!(!place.made(FileKind::Passing, &other));
            assert!(
                !Place::of(Path::new("/etc/other"))
                    .expect("a name")
                    .made(FileKind::Passing, digits)
            );
        }
        for digits in [&b"123"[..], b"12345x7890", b"+123456789", b""] {
            assert!(!place.made(FileKind::Passing, digits));
        }
    }

    #[test]
    fn a_kept_stage_file_is_not_recognised() {
        let place = place("/etc/app.conf");
        let name = place.file_name(FileKind::Kept, 12_345);
        let entry = name.as_bytes();
        let (_, digits, _) = Place::split_entry(entry, 0).next().expect("dot and digits");
        assert!(!place.made(FileKind::Passing, digits));
    }

    #[test]
    fn the_check_digits_are_the_same_in_every_version() {
        let name = place("/etc/nginx/nginx.conf").file_name(FileKind::Passing, 31_126);
        assert_eq!(name, ".nginx.conf3112689105");
    }

    #[test]
    fn each_kind_of_file_is_recognised_as_its_own_kind_only() {
        let place = place("/etc/app.conf");
        for made in [FileKind::Passing, FileKind::Kept, FileKind::Undo] {
            let name = place.file_name(made, 4_711);
            let entry = name.as_bytes();
            let (_, digits, _) = Place::split_entry(entry, 0).next().expect("dot and digits");
            for kind in [FileKind::Passing, FileKind::Kept, FileKind::Undo] {
                assert_eq!(place.made(kind, digits), kind == made);
            }
            assert!(!is_journal(entry));
        }
    }

    #[test]
    fn a_journal_is_recognised_in_every_folder() {
        let name = journal_name(4_711);
        assert_eq!(name, ".confd-transaction-0471149721");
        assert!(is_journal(name.as_bytes()));
        assert!(!is_journal(b".confd-transaction-0471149722"));
        assert!(!is_journal(b".confd-transaction-"));
    }
}
