//! What Go knows about a code point: whether it is printable, a letter or a decimal digit.
//!
//! The answers are those of Go 1.27 (Unicode 17). The Rust standard library can have another
//! Unicode version, and quoting and names in templates depend on these answers. This module also
//! decodes code points from bytes that need not be UTF-8.

mod tables;

use std::borrow::Cow;

/// The code point that replaces bytes which are not UTF-8.
pub(crate) const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Whether `set`, a table of boundaries, contains `c`.
fn holds(set: &[u32], c: char) -> bool {
    let c = u32::from(c);
    set.partition_point(|&boundary| boundary <= c) % 2 == 1
}

/// Whether quoted text shows `c` without an escape: Go's `strconv.IsPrint`.
///
/// True for letters, marks, numbers, punctuation and symbols, and of all spaces only for U+0020.
pub(crate) fn is_printable(c: char) -> bool {
    if c.is_ascii() { matches!(c, ' '..='~') } else { holds(&tables::PRINTABLE, c) }
}

/// Whether `c` can be in an identifier of a template: an underscore, a letter or a decimal digit.
pub(crate) fn is_alphanumeric(c: char) -> bool {
    if c.is_ascii() {
        c == '_' || c.is_ascii_alphanumeric()
    } else {
        holds(&tables::LETTER, c) || holds(&tables::DIGIT, c)
    }
}

/// Decodes the code point at the start of `bytes`. Also returns its length in bytes.
///
/// `None` as the code point means that the first byte does not begin a UTF-8 sequence; the length
/// is then 1, and Go takes the byte as U+FFFD. Of empty `bytes` the length is 0.
pub(crate) fn decode(bytes: &[u8]) -> (Option<char>, usize) {
    match bytes.first() {
        None => return (None, 0),
        Some(&byte) if byte.is_ascii() => return (Some(char::from(byte)), 1),
        Some(_) => {}
    }
    let window = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(window) {
        Ok(text) => text,
        // The part that was found valid is UTF-8, so this conversion cannot fail.
        Err(error) => std::str::from_utf8(&window[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(c) => (Some(c), c.len_utf8()),
        None => (None, 1),
    }
}

/// `bytes` as text, with one U+FFFD for every byte that is not UTF-8, as Go does. Rust's own
/// conversion gives one U+FFFD for a whole broken sequence.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n(REPLACEMENT, chunk.invalid().len()));
    }
    Cow::Owned(text)
}

/// The number of code points in `bytes`; every byte that is not UTF-8 counts as one. This is Go's
/// `utf8.RuneCount`, the measure of widths and precisions.
pub(crate) fn count(bytes: &[u8]) -> usize {
    if bytes.is_ascii() {
        return bytes.len();
    }
    bytes.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum()
}

/// The length in bytes of the first `runes` code points of `bytes`, counted as [`count`] counts.
pub(crate) fn prefix(bytes: &[u8], runes: usize) -> usize {
    if runes >= bytes.len() {
        return bytes.len();
    }
    let mut length = 0;
    for _ in 0..runes {
        let (_, width) = decode(&bytes[length..]);
        if width == 0 {
            break;
        }
        length += width;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many code points `accepts` accepts, and the FNV-1a hash of its answers (1 or 0) for
    /// U+0000 to U+10FFFF. Surrogates, which a `char` cannot hold, are in no set.
    fn fingerprint(accepts: impl Fn(char) -> bool) -> (u32, u64) {
        let mut count = 0;
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for code in 0..=0x10_FFFF {
            let accepted = char::from_u32(code).is_some_and(&accepts);
            count += u32::from(accepted);
            hash = (hash ^ u64::from(accepted)).wrapping_mul(0x0100_0000_01b3);
        }
        (count, hash)
    }

    // Go 1.27.3 printed the three expected fingerprints below.

    #[test]
    fn every_bad_byte_becomes_one_replacement_character() {
        assert_eq!(lossy(b"a\xe6\x97b\xff"), "a\u{fffd}\u{fffd}b\u{fffd}");
    }

    #[test]
    fn printable_is_what_go_says_of_every_code_point() {
        assert_eq!(fingerprint(is_printable), (159_613, 0x00d8_c326_5c7d_f90a));
    }

    #[test]
    fn letters_are_what_go_says_of_every_code_point() {
        assert_eq!(fingerprint(|c| holds(&tables::LETTER, c)), (145_672, 0x9223_05fd_e0a6_d1e9));
    }

    #[test]
    fn digits_are_what_go_says_of_every_code_point() {
        assert_eq!(fingerprint(|c| holds(&tables::DIGIT, c)), (770, 0xf16f_4246_f846_4d23));
    }

    #[test]
    fn the_ascii_path_of_identifiers_agrees_with_the_tables() {
        for c in (0..128_u8).map(char::from) {
            let by_table = c == '_' || holds(&tables::LETTER, c) || holds(&tables::DIGIT, c);
            assert_eq!(is_alphanumeric(c), by_table, "{c:?}");
            assert_eq!(is_printable(c), holds(&tables::PRINTABLE, c), "{c:?}");
        }
    }

    #[test]
    fn decode_takes_one_code_point_or_one_bad_byte() {
        assert_eq!(decode(b""), (None, 0));
        assert_eq!(decode(b"ab"), (Some('a'), 1));
        assert_eq!(decode("é!".as_bytes()), (Some('é'), 2));
        assert_eq!(decode("😀😀".as_bytes()), (Some('😀'), 4));
        assert_eq!(decode("\u{fffd}".as_bytes()), (Some(REPLACEMENT), 3));
        assert_eq!(decode(b"\xff"), (None, 1));
        assert_eq!(decode(b"\xe2\x82"), (None, 1));
        assert_eq!(decode(b"\xed\xa0\x80"), (None, 1), "a surrogate is not UTF-8");
    }

    #[test]
    fn a_bad_byte_counts_as_one_code_point() {
        assert_eq!(count(b"abc"), 3);
        assert_eq!(count("aé😀".as_bytes()), 3);
        assert_eq!(count(b"a\xe2\x82b\xff"), 5);
        assert_eq!(prefix(b"a\xe2\x82b\xff", 3), 3);
        assert_eq!(prefix("aé😀b".as_bytes(), 3), 7);
        assert_eq!(prefix(b"ab", 9), 2);
        assert_eq!(prefix(b"ab", 0), 0);
    }
}
