//! What Go knows about a code point: is it printable, a letter, a decimal digit.
//!
//! The answers are those of Go 1.27 (Unicode 17), not of the Unicode version that came with the
//! Rust compiler, as quoting and the names in a template depend on them. Also here: reading one
//! code point from bytes that need not be UTF-8, which every caller of the above has to do.

mod tables;

use std::borrow::Cow;

/// The code point that stands for bytes which are not UTF-8.
pub(crate) const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Whether `set`, a table of boundaries, holds `c`.
fn holds(set: &[u32], c: char) -> bool {
    let c = u32::from(c);
    set.partition_point(|&boundary| boundary <= c) % 2 == 1
}

/// Whether `c` shows as itself in quoted text: Go's `strconv.IsPrint`.
///
/// Letters, marks, numbers, punctuation, symbols, and of all spaces only U+0020.
pub(crate) fn is_printable(c: char) -> bool {
    if c.is_ascii() { matches!(c, ' '..='~') } else { holds(&tables::PRINTABLE, c) }
}

/// Whether `c` may be in an identifier of a template: an underscore, a letter or a decimal digit.
pub(crate) fn is_alphanumeric(c: char) -> bool {
    if c.is_ascii() {
        c == '_' || c.is_ascii_alphanumeric()
    } else {
        holds(&tables::LETTER, c) || holds(&tables::DIGIT, c)
    }
}

/// Reads the code point at the start of `bytes`: it and its length in bytes.
///
/// `None` in place of the code point means one byte that no UTF-8 sequence begins with; Go takes
/// such a byte for U+FFFD of width 1. `bytes` must not be empty; an empty slice gives length 0.
pub(crate) fn decode(bytes: &[u8]) -> (Option<char>, usize) {
    match bytes.first() {
        None => return (None, 0),
        Some(&byte) if byte.is_ascii() => return (Some(char::from(byte)), 1),
        Some(_) => {}
    }
    let window = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(window) {
        Ok(text) => text,
        // The prefix found valid is UTF-8, so the second conversion cannot fail.
        Err(error) => std::str::from_utf8(&window[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(c) => (Some(c), c.len_utf8()),
        None => (None, 1),
    }
}

/// `bytes` as text, with U+FFFD for every byte that is not UTF-8. Go counts like that; Rust's own
/// conversion makes one of several bytes that begin a sequence.
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

/// The number of code points in `bytes`, every byte that is not UTF-8 counting as one: Go's
/// `utf8.RuneCount`, and so the measure of widths and precisions.
pub(crate) fn count(bytes: &[u8]) -> usize {
    if bytes.is_ascii() {
        return bytes.len();
    }
    bytes.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum()
}

/// The length in bytes of the first `runes` code points of `bytes`, counted as [`count`] does.
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

    /// How many code points a test accepts, and the FNV-1a hash of its answers (1 or 0) for all
    /// of U+0000 to U+10FFFF. Surrogates, which `char` cannot hold, are in none of the sets.
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

    // The three fingerprints were printed by Go 1.27.3.

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
