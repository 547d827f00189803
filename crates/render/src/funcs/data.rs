//! Functions for data: base64 and maps. (JSON is in [`crate::json`].)

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Error, MAX_TEXT};

/// Encodes `data` in the standard base64 alphabet, with padding.
///
/// # Errors
/// [`Error::TooLong`] when the result would exceed [`MAX_TEXT`].
pub fn base64_encode(data: &[u8]) -> Result<Bytes, Error> {
    if data.len() / 3 >= MAX_TEXT / 4 {
        return Err(Error::TooLong { function: "base64Encode" });
    }
    Ok(STANDARD.encode(data).into())
}

/// Decodes `text` from the standard base64 alphabet.
///
/// Padding is required. Carriage returns and line feeds are skipped everywhere. Unused bits of the
/// last character can have any value.
///
/// # Errors
/// [`Error::Base64`] with the offset that Go reports: that of the first wrong byte or, if `text`
/// ends too early, that of its end minus the characters of the unfinished group.
pub fn base64_decode(text: &[u8]) -> Result<Bytes, Error> {
    decode(text, sextet)
}

/// As [`base64_decode`], from the alphabet for URLs, with `-` and `_`.
///
/// # Errors
/// As for [`base64_decode`].
pub fn base64_url_decode(text: &[u8]) -> Result<Bytes, Error> {
    decode(text, |byte| match byte {
        b'-' => Some(62),
        b'_' => Some(63),
        b'+' | b'/' => None,
        byte => sextet(byte),
    })
}

/// Decodes `text`, in which each character stands for the six bits that `sextet` says.
fn decode(text: &[u8], sextet: impl Fn(u8) -> Option<u8>) -> Result<Bytes, Error> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let mut group = 0_u32;
    let mut filled = 0_usize;
    for (at, &byte) in text.iter().enumerate() {
        match sextet(byte) {
            Some(bits) => {
                group = group << 6 | u32::from(bits);
                filled += 1;
                if filled == 4 {
                    decoded.extend_from_slice(&group.to_be_bytes()[1..]);
                    (group, filled) = (0, 0);
                }
            }
            None if is_line_end(byte) => {}
            None if byte == b'=' && filled >= 2 => {
                check_padding(text, at, filled)?;
                let bytes = (group << (6 * (4 - filled))).to_be_bytes();
                decoded.extend_from_slice(&bytes[1..filled]);
                return Ok(decoded.into());
            }
            None => return Err(Error::Base64 { at }),
        }
    }
    if filled == 0 { Ok(decoded.into()) } else { Err(Error::Base64 { at: text.len() - filled }) }
}

/// Checks the text from the first `=` on, which is at `at`. Before it, `filled` characters of its
/// group were read.
fn check_padding(text: &[u8], at: usize, filled: usize) -> Result<(), Error> {
    let next = |from: usize| (from..text.len()).find(|&at| !is_line_end(text[at]));
    let mut last = at;
    if filled == 2 {
        last = match next(at + 1) {
            Some(second) if text[second] == b'=' => second,
            // Go reports the byte before the one that is not `=`.
            Some(other) => return Err(Error::Base64 { at: other - 1 }),
            None => return Err(Error::Base64 { at: text.len() }),
        };
    }
    next(last + 1).map_or(Ok(()), |at| Err(Error::Base64 { at }))
}

/// The entries of a map, from alternating keys and values. `text` converts a key. If keys are
/// equal, the caller must let the last one count.
///
/// # Errors
/// [`Error::OddMap`] for a key without a value, [`Error::MapKey`] for a key that is not a string.
pub fn map<V>(
    arguments: Vec<V>,
    text: impl Fn(&V) -> Option<Bytes>,
) -> Result<Vec<(Bytes, V)>, Error> {
    if !arguments.len().is_multiple_of(2) {
        return Err(Error::OddMap);
    }
    let mut entries = Vec::with_capacity(arguments.len() / 2);
    let mut arguments = arguments.into_iter();
    while let (Some(key), Some(value)) = (arguments.next(), arguments.next()) {
        entries.push((text(&key).ok_or(Error::MapKey)?, value));
    }
    Ok(entries)
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The six bits that a character of the standard alphabet stands for.
fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let data: Vec<u8> = (0..=255).collect();
        for length in [0, 1, 2, 3, 4, 5, 255, 256] {
            let encoded = base64_encode(&data[..length]).expect("short");
            assert_eq!(base64_decode(&encoded).expect("valid"), &data[..length]);
        }
        assert_eq!(base64_encode(b"hello").expect("short"), "aGVsbG8=");
    }

    #[test]
    fn line_ends_and_loose_bits_are_ignored() {
        for text in ["YQ==", "Y\nQ==", "YQ=\r\n=\n", "YR==", "\nYQ==\n\n"] {
            assert_eq!(base64_decode(text.as_bytes()).expect("valid"), "a", "{text:?}");
        }
    }

    #[test]
    fn a_map_needs_texts_as_keys_and_a_value_for_each() {
        let text = |value: &Option<&'static str>| value.map(Bytes::from);
        assert_eq!(map(vec![], text), Ok(vec![]));
        assert_eq!(map(vec![Some("a"), None], text), Ok(vec![("a".into(), None)]));
        assert_eq!(map(vec![None, Some("a")], text), Err(Error::MapKey));
        let odd = map(vec![None], text).expect_err("odd");
        assert_eq!(odd.to_string(), "invalid map call");
    }

    #[test]
    fn the_offset_of_a_fault_is_the_one_of_go() {
        for (text, at) in [
            ("Y", 0),
            ("YQ", 0),
            ("YQ=", 3),
            ("YQ=\n", 4),
            ("YQ===", 4),
            ("YSsvw6k_", 7),
            ("=", 0),
            ("Y==", 1),
            ("YWI", 0),
            ("YWI==", 4),
            ("YWJjYQ", 4),
            ("YWJj=", 4),
            ("YWJjYQ=x", 6),
            ("YWJjYQ==YWJj", 8),
            ("YQ\r\n", 2),
            ("YQ=\nx", 3),
            ("YQ=x", 2),
            ("YWI=x", 4),
            ("YWI=\nx", 5),
            ("Y Q==", 1),
            ("é", 0),
        ] {
            let error = base64_decode(text.as_bytes()).expect_err(text);
            assert_eq!(error.to_string(), format!("illegal base64 data at input byte {at}"));
        }
    }
}
