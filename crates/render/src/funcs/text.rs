//! Functions for strings: split, join, replace, letter case, order by length.
//!
//! All of them work on bytes. A "character" is a UTF-8 sequence; a byte outside of any sequence
//! counts as a character. A result that is a part of an argument shares its storage.

use bytes::Bytes;
use memchr::memmem;

use super::{Error, MAX_TEXT, case};

/// Whether `needle` occurs in `text`. The empty needle occurs everywhere.
pub fn contains(text: &[u8], needle: &[u8]) -> bool {
    memmem::find(text, needle).is_some()
}

/// The parts of `text` between the occurrences of `separator`, including empty parts. An empty
/// separator splits into characters.
///
/// There is at least one part, except for an empty text that is split into characters.
pub fn split(text: &Bytes, separator: &[u8]) -> Vec<Bytes> {
    if separator.is_empty() {
        let mut parts = Vec::with_capacity(text.len());
        let mut start = 0;
        while start < text.len() {
            let end = start + first_character(&text[start..]);
            parts.push(text.slice(start..end));
            start = end;
        }
        return parts;
    }
    let finder = memmem::Finder::new(separator);
    let mut parts = Vec::new();
    let mut start = 0;
    for at in finder.find_iter(text) {
        parts.push(text.slice(start..at));
        start = at + separator.len();
    }
    parts.push(text.slice(start..));
    parts
}

/// Joins the elements of `list` with `separator` between them.
///
/// # Errors
/// [`Error::TooLong`] when the result would exceed [`MAX_TEXT`].
pub fn join(list: &[Bytes], separator: &[u8]) -> Result<Bytes, Error> {
    if let [only] = list {
        return Ok(only.clone());
    }
    let gaps = separator.len().saturating_mul(list.len().saturating_sub(1));
    let length = list.iter().fold(gaps, |sum, part| sum.saturating_add(part.len()));
    check_length("join", length)?;
    let mut joined = Vec::with_capacity(length);
    for (index, part) in list.iter().enumerate() {
        if index > 0 {
            joined.extend_from_slice(separator);
        }
        joined.extend_from_slice(part);
    }
    Ok(joined.into())
}

/// Replaces the first `count` occurrences of `old` in `text` by `new`, or all of them if the count
/// is negative. An empty `old` occurs before each character and at the end.
///
/// # Errors
/// [`Error::TooLong`] when the result would exceed [`MAX_TEXT`].
pub fn replace(text: &Bytes, old: &[u8], new: &[u8], count: i64) -> Result<Bytes, Error> {
    let limit = if count < 0 { usize::MAX } else { usize::try_from(count).unwrap_or(usize::MAX) };
    if old == new || limit == 0 {
        return Ok(text.clone());
    }
    if old.is_empty() {
        return insert_between(text, new, limit);
    }
    let finder = memmem::Finder::new(old);
    let hits = finder.find_iter(text).take(limit).count();
    if hits == 0 {
        return Ok(text.clone());
    }
    let length = (text.len() - hits * old.len()).saturating_add(hits.saturating_mul(new.len()));
    check_length("replace", length)?;
    let mut replaced = Vec::with_capacity(length);
    let mut start = 0;
    for at in finder.find_iter(text).take(hits) {
        replaced.extend_from_slice(&text[start..at]);
        replaced.extend_from_slice(new);
        start = at + old.len();
    }
    replaced.extend_from_slice(&text[start..]);
    Ok(replaced.into())
}

/// Inserts `new` before each of the first `limit` characters of `text`. The end counts as a
/// character.
fn insert_between(text: &[u8], new: &[u8], limit: usize) -> Result<Bytes, Error> {
    let places = limit.min(text.len() + 1);
    check_length("replace", text.len().saturating_add(places.saturating_mul(new.len())))?;
    let mut replaced = Vec::with_capacity(text.len() + places * new.len());
    let mut start = 0;
    for _ in 0..places {
        replaced.extend_from_slice(new);
        if start == text.len() {
            break;
        }
        let end = start + first_character(&text[start..]);
        replaced.extend_from_slice(&text[start..end]);
        start = end;
    }
    replaced.extend_from_slice(&text[start..]);
    Ok(replaced.into())
}

/// Removes one `suffix` from the end of `text`.
pub fn trim_suffix(text: &Bytes, suffix: &[u8]) -> Bytes {
    if text.ends_with(suffix) { text.slice(..text.len() - suffix.len()) } else { text.clone() }
}

/// `text` in upper case. Each code point has its simple mapping (`ß` has none and stays).
///
/// If `text` is not pure ASCII, each byte that is not UTF-8 becomes U+FFFD.
pub fn to_upper(text: &Bytes) -> Bytes {
    if text.is_ascii() {
        return if text.iter().any(u8::is_ascii_lowercase) {
            text.to_ascii_uppercase().into()
        } else {
            text.clone()
        };
    }
    map_characters(text, case::to_upper)
}

/// `text` in lower case. Each code point has its simple mapping (`İ` becomes `i`).
///
/// If `text` is not pure ASCII, each byte that is not UTF-8 becomes U+FFFD.
pub fn to_lower(text: &Bytes) -> Bytes {
    if text.is_ascii() {
        return if text.iter().any(u8::is_ascii_uppercase) {
            text.to_ascii_lowercase().into()
        } else {
            text.clone()
        };
    }
    map_characters(text, case::to_lower)
}

fn map_characters(text: &[u8], map: impl Fn(char) -> char) -> Bytes {
    let mut mapped = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        mapped.extend(chunk.valid().chars().map(&map));
        mapped.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    mapped.into()
}

/// Sorts by length in bytes, the shortest first. Elements of equal length keep their order.
///
/// Go confd's sort does not keep it beyond twelve elements, so no template can rely on an order
/// there.
pub fn sort_by_length<T>(list: &mut [T], length: impl Fn(&T) -> usize) {
    list.sort_by_key(length);
}

/// The length of the first character of `text`, which must not be empty.
fn first_character(text: &[u8]) -> usize {
    let window = &text[..text.len().min(4)];
    match window.utf8_chunks().next().map(|chunk| chunk.valid().chars().next()) {
        Some(Some(character)) => character.len_utf8(),
        _ => 1,
    }
}

fn check_length(function: &'static str, length: usize) -> Result<(), Error> {
    if length > MAX_TEXT { Err(Error::TooLong { function }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &'static [u8], separator: &[u8]) -> Vec<Bytes> {
        split(&Bytes::from_static(text), separator)
    }

    fn replaced(text: &'static [u8], old: &[u8], new: &[u8], count: i64) -> Bytes {
        replace(&Bytes::from_static(text), old, new, count).expect("short")
    }

    #[test]
    fn split_keeps_empty_parts() {
        assert_eq!(parts(b"", b":"), [""]);
        assert_eq!(parts(b":a::", b":"), ["", "a", "", ""]);
        assert_eq!(parts(b"aXYbXYc", b"XY"), ["a", "b", "c"]);
        assert_eq!(parts(b"aaa", b"aa"), ["", "a"]);
    }

    #[test]
    fn split_by_nothing_gives_characters_and_single_invalid_bytes() {
        assert_eq!(parts("aé日".as_bytes(), b""), ["a", "é", "日"]);
        assert_eq!(parts(b"a\xe2\x82b\xff", b""), [&b"a"[..], b"\xe2", b"\x82", b"b", b"\xff"]);
        assert!(parts(b"", b"").is_empty());
    }

    #[test]
    fn join_puts_the_separator_between_neighbours_only() {
        let list = parts(b"a,b,c", b",");
        assert_eq!(join(&list, b"--").expect("short"), "a--b--c");
        assert_eq!(join(&[], b"--").expect("short"), "");
        assert_eq!(join(&list[..1], b"--").expect("short"), "a");
    }

    #[test]
    fn replace_counts_from_the_left() {
        assert_eq!(replaced(b"aaa", b"a", b"b", 2), "bba");
        assert_eq!(replaced(b"aaa", b"a", b"b", -1), "bbb");
        assert_eq!(replaced(b"aaa", b"a", b"b", 0), "aaa");
        assert_eq!(replaced(b"aaa", b"x", b"b", -1), "aaa");
    }

    #[test]
    fn replacing_nothing_inserts_before_each_character_and_at_the_end() {
        assert_eq!(replaced(b"ab", b"", b"-", -1), "-a-b-");
        assert_eq!(replaced(b"ab", b"", b"-", 2), "-a-b");
        assert_eq!(replaced(b"", b"", b"-", -1), "-");
        assert_eq!(replaced("é日".as_bytes(), b"", b".", 9), ".é.日.");
        assert_eq!(replaced(b"\xff\xe2\x82", b"", b".", -1), &b".\xff.\xe2.\x82."[..]);
    }

    #[test]
    fn a_result_without_bound_is_an_error() {
        let long = Bytes::from(vec![b'a'; 1 << 20]);
        let error = replace(&long, b"a", &long, -1).expect_err("a terabyte");
        assert_eq!(error.to_string(), "replace: result exceeds 256 MiB");
        assert!(replace(&long, b"", &long, -1).is_err());
        assert!(join(&vec![long; 300], b"").is_err());
    }

    #[test]
    fn case_mapping_is_simple_and_by_code_point() {
        let upper = |text: &'static str| to_upper(&Bytes::from_static(text.as_bytes()));
        let lower = |text: &'static str| to_lower(&Bytes::from_static(text.as_bytes()));
        assert_eq!(upper("abcXYZ-1"), "ABCXYZ-1");
        assert_eq!(upper("straße éŉﬁǆᾳ"), "STRAßE ÉŉﬁǄᾼ");
        assert_eq!(lower("ÀÉ İ ΑΣ Ǆ"), "àé i ας ǆ".replace('ς', "σ"));
    }

    #[test]
    fn case_mapping_replaces_invalid_bytes_unless_all_is_ascii() {
        assert_eq!(to_upper(&Bytes::from_static(b"a\xff\xe2\x82")), "A\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(to_lower(&Bytes::from_static(b"A\xff")), "a\u{fffd}");
    }

    #[test]
    fn trim_suffix_cuts_once() {
        let text = Bytes::from_static(b"a.bak.bak");
        assert_eq!(trim_suffix(&text, b".bak"), "a.bak");
        assert_eq!(trim_suffix(&text, b""), text);
        assert_eq!(trim_suffix(&text, b"x"), text);
    }

    #[test]
    fn sort_by_length_is_stable() {
        let mut list: Vec<String> =
            (0..40).map(|n| format!("{}{n:02}", "x".repeat(n % 3))).collect();
        sort_by_length(&mut list, String::len);
        assert!(list.is_sorted_by(|a, b| (a.len(), a) <= (b.len(), b)));
    }
}
