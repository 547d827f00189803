//! The encoding of certificates and keys: tag, length, content.

/// The tags that are used.
pub(super) mod tag {
    pub(in super::super) const BOOLEAN: u8 = 1;
    pub(in super::super) const INTEGER: u8 = 2;
    pub(in super::super) const BIT_STRING: u8 = 3;
    pub(in super::super) const OCTET_STRING: u8 = 4;
    pub(in super::super) const NULL: u8 = 5;
    pub(in super::super) const OID: u8 = 6;
    pub(in super::super) const UTF8: u8 = 12;
    pub(in super::super) const PRINTABLE: u8 = 19;
    pub(in super::super) const UTC_TIME: u8 = 23;
    pub(in super::super) const TIME: u8 = 24;
    pub(in super::super) const SEQUENCE: u8 = 0x30;
    pub(in super::super) const SET: u8 = 0x31;
    /// A field of this number, as it is.
    pub(in super::super) const fn implicit(number: u8) -> u8 {
        0x80 | number
    }
    /// A field of this number, with the encoding of its content inside.
    pub(in super::super) const fn explicit(number: u8) -> u8 {
        0xa0 | number
    }
}

/// A value with its tag and length.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(len) if len < 0x80 => out.push(len),
        _ => {
            let bytes = content.len().to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            out.push(0x80 | (bytes.len() - zeros) as u8);
            out.extend_from_slice(&bytes[zeros..]);
        }
    }
    out.extend_from_slice(content);
    out
}

/// A sequence of values.
pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(tag::SEQUENCE, &parts.concat())
}

/// A number that is not negative, from its bytes.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    match &bytes[zeros..] {
        [] => value(tag::INTEGER, &[0]),
        rest @ [0x80..=0xff, ..] => value(tag::INTEGER, &[&[0], rest].concat()),
        rest => value(tag::INTEGER, rest),
    }
}

/// A string of whole bytes as bits.
pub(super) fn bits(content: &[u8]) -> Vec<u8> {
    value(tag::BIT_STRING, &[&[0], content].concat())
}

/// A value that was read.
pub(super) struct Read<'d> {
    pub(super) tag: u8,
    pub(super) content: &'d [u8],
    /// The value with its tag and length.
    pub(super) whole: &'d [u8],
}

/// Takes the first value of `rest`. `None` if there is none.
pub(super) fn take<'d>(rest: &mut &'d [u8]) -> Option<Read<'d>> {
    let all = *rest;
    let (tag, first) = (*all.first()?, *all.get(1)?);
    let (start, len) = match first {
        0..=0x7f => (2, usize::from(first)),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let bytes = all.get(2..2 + count)?;
            (2 + count, bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)))
        }
        _ => return None,
    };
    let end = start.checked_add(len)?;
    let content = all.get(start..end)?;
    *rest = &all[end..];
    Some(Read { tag, content, whole: &all[..end] })
}

/// Takes the first value of `rest`, whose tag must be `tag`, and returns its content.
pub(super) fn take_content<'d>(rest: &mut &'d [u8], tag: u8) -> Option<&'d [u8]> {
    take(rest).filter(|read| read.tag == tag).map(|read| read.content)
}
