//! The text of a manifest: records, each of which is whole or ignored.
//!
//! A record has its length, a checksum and lines. A power cut can leave a part of the last record, and
//! nothing was committed then that depends on it. A record that is damaged elsewhere makes the whole
//! manifest useless, because the records behind it may contradict those before it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use md5::{Digest, Md5};

use super::{Known, Names};
use crate::undo::Identity;

/// The first line, for people who find the file.
pub(super) const TITLE: &[u8] =
    b"The files below this folder that confd has made from keys: it removes those whose keys are gone. \
      Without this file it removes none.\n";

/// The most bytes of the line before the lines of a record.
const HEADER: usize = 64;

/// What a manifest says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) names: Names,
    /// The lines of all records.
    pub(super) lines: usize,
    /// The length of the text up to the end of the last whole record.
    pub(super) valid: u64,
}

/// A record of these changes. A name without a state is deleted.
pub(super) fn record<'a>(changes: impl IntoIterator<Item = (&'a OsStr, Option<Known>)>) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, known) in changes {
        match known {
            Some(Known::Ours) => lines.extend_from_slice(b"= "),
            Some(Known::Only { file, former: None }) => {
                lines.extend_from_slice(format!("+ {} ", file.text()).as_bytes());
            }
            Some(Known::Only { file, former: Some(former) }) => {
                lines.extend_from_slice(format!("? {} {} ", file.text(), former.text()).as_bytes());
            }
            None => lines.extend_from_slice(b"- "),
        }
        lines.extend_from_slice(name.as_bytes());
        lines.push(b'\n');
    }
    let mut record = format!("record {} {}\n", lines.len(), checksum(&lines)).into_bytes();
    record.append(&mut lines);
    record
}

/// The whole text of a manifest with these names.
pub(super) fn whole(names: &Names) -> Vec<u8> {
    let all = names.iter().map(|(name, known)| (&**name, Some(*known)));
    [TITLE, &record(all)].concat()
}

fn checksum(lines: &[u8]) -> String {
    Md5::digest(lines).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Parses a manifest. A part of a record at its end is ignored; `None` if it is damaged elsewhere.
pub(super) fn parse(text: &[u8]) -> Option<Parsed> {
    let mut parsed = Parsed::default();
    let Some(mut rest) = text.strip_prefix(TITLE) else {
        let is_torn = TITLE.starts_with(text) || is_hole(text);
        return is_torn.then_some(parsed);
    };
    while !rest.is_empty() {
        match next_record(rest)? {
            Some((lines, behind)) => {
                for line in lines.split_inclusive(|&byte| byte == b'\n') {
                    parsed.take_line(line.strip_suffix(b"\n")?)?;
                }
                rest = behind;
            }
            None => break,
        }
    }
    parsed.valid = (text.len() - rest.len()) as u64;
    Some(parsed)
}

/// Whether a power cut can have left this: a file can be longer than what was written.
fn is_hole(text: &[u8]) -> bool {
    text.iter().all(|&byte| byte == 0)
}

/// The lines of the next record, and what is behind it. `Some(None)` if it is the last one and not
/// whole, and `None` if it is damaged.
fn next_record(text: &[u8]) -> Option<Option<(&[u8], &[u8])>> {
    let Some(end) = text.iter().take(HEADER).position(|&byte| byte == b'\n') else {
        return (text.len() < HEADER || is_hole(text)).then_some(None);
    };
    let header = std::str::from_utf8(&text[..end]).ok()?.strip_prefix("record ")?;
    let (length, sum) = header.split_once(' ')?;
    let length: usize = length.parse().ok()?;
    let Some((lines, behind)) = text[end + 1..].split_at_checked(length) else {
        return Some(None);
    };
    match checksum(lines) == sum {
        true => Some(Some((lines, behind))),
        false => behind.is_empty().then_some(None),
    }
}

impl Parsed {
    fn take_line(&mut self, line: &[u8]) -> Option<()> {
        let (kind, rest) = line.split_at_checked(2)?;
        self.lines += 1;
        let (known, name) = match kind {
            b"= " => (Known::Ours, rest),
            b"+ " => {
                let (file, name) = identity(rest)?;
                (Known::Only { file, former: None }, name)
            }
            b"? " => {
                let (file, rest) = identity(rest)?;
                let (former, name) = identity(rest)?;
                (Known::Only { file, former: Some(former) }, name)
            }
            b"- " => {
                self.names.remove(OsStr::from_bytes(rest));
                return Some(());
            }
            _ => return None,
        };
        self.names.insert(OsString::from_vec(name.to_vec()), known);
        Some(())
    }
}

/// The identity at the start of a text, and what is behind the space after it.
fn identity(text: &[u8]) -> Option<(Identity, &[u8])> {
    // It has four numbers.
    let (end, _) = text.iter().enumerate().filter(|(_, byte)| **byte == b' ').nth(3)?;
    Some((Identity::from_text(&text[..end])?, &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(inode: u64, former: Option<u64>) -> Known {
        let identity = |inode| Identity { device: 1, inode, modified: (-2, 3) };
        Known::Only { file: identity(inode), former: former.map(identity) }
    }

    /// A manifest of three records, and the ends of its records.
    fn manifest() -> (Vec<u8>, Vec<usize>) {
        let (a, b, c) = (OsStr::new("a b/ c"), OsStr::new("b"), OsStr::from_bytes(b"c\xff"));
        let mut text = TITLE.to_vec();
        let mut ends = vec![text.len()];
        for record in [
            record([(a, Some(only(7, None))), (b, Some(Known::Ours))]),
            record([(a, Some(Known::Ours)), (c, Some(only(8, Some(9))))]),
            record([(b, None)]),
        ] {
            text.extend(record);
            ends.push(text.len());
        }
        (text, ends)
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let (text, _) = manifest();
        let parsed = parse(&text).expect("whole");
        let c = OsStr::from_bytes(b"c\xff").to_owned();
        let names = [("a b/ c".into(), Known::Ours), (c, only(8, Some(9)))].into_iter().collect();
        assert_eq!(parsed.names, names);
        assert_eq!((parsed.lines, parsed.valid), (5, text.len() as u64));
        assert_eq!(parse(&whole(&names)).expect("whole").names, names);
    }

    #[test]
    fn a_manifest_from_before_former_files_were_recorded_is_read() {
        let records = b"record 27 a31e377fc9c26d2c\n= b\n+ 1 7 -2 3 a c\n= d\n- d\n";
        let names = [("a c".into(), only(7, None)), ("b".into(), Known::Ours)];
        let parsed = parse(&[TITLE, records].concat()).expect("whole");
        assert_eq!(parsed.names, names.into_iter().collect());
    }

    #[test]
    fn a_manifest_that_is_cut_anywhere_has_its_whole_records() {
        let (text, ends) = manifest();
        for length in 0..text.len() {
            let parsed = parse(&text[..length]).unwrap_or_else(|| panic!("cut at {length}"));
            let valid = ends.iter().rev().find(|end| **end <= length).copied().unwrap_or_default();
            assert_eq!(parsed.valid, valid as u64, "cut at {length}");
            // The rest can be a hole in the file.
            let mut holed = text[..length].to_vec();
            holed.resize(text.len(), 0);
            let is_in_last = length >= ends[2];
            let parsed = parse(&holed);
            assert!(parsed.is_none_or(|parsed| parsed.valid == valid as u64), "hole at {length}");
            assert!(!is_in_last || parse(&holed).is_some(), "hole at {length}");
        }
    }

    #[test]
    fn a_manifest_that_is_damaged_before_its_last_record_is_none() {
        let (text, ends) = manifest();
        for at in 0..ends[2] {
            let mut damaged = text.clone();
            damaged[at] ^= 0x10;
            assert_eq!(parse(&damaged), None, "byte {at}");
        }
    }
}
