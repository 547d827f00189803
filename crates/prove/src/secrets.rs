//! The values that no diff may show.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;
use store::View;

/// What stands in place of a secret.
pub const MASK: &str = "••••";

/// The patterns that count unless others are given.
const USUAL: [&str; 4] = ["*password*", "*secret*", "*token*", "*private*key*"];

/// The fewest bytes of a value that is masked where it occurs. A shorter value also occurs by chance, so
/// that the mask would show what it hides: the whole line is masked.
const LEAST: usize = 4;

/// Patterns of the names of keys whose values are secrets. `*` stands for any text, also with slashes, and
/// upper and lower case are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// These patterns, or the usual ones if there are none.
    pub fn new(given: impl IntoIterator<Item = String>) -> Patterns {
        let given: Vec<String> = given.into_iter().map(|pattern| pattern.to_lowercase()).collect();
        match given.is_empty() {
            true => Patterns(USUAL.map(str::to_owned).to_vec()),
            false => Patterns(given),
        }
    }

    /// Whether the value of this key is a secret.
    pub fn match_key(&self, key: &[u8]) -> bool {
        let key = String::from_utf8_lossy(key).to_lowercase();
        self.0.iter().any(|pattern| is_match(pattern, &key))
    }
}

/// Whether the whole text is one that the pattern stands for.
fn is_match(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The values of keys that match patterns.
#[derive(Clone, Default)]
pub struct Secrets {
    values: Vec<Bytes>,
}

impl Secrets {
    /// The values of the keys of a view that match `patterns`.
    pub fn of(patterns: &Patterns, keys: &View) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add(patterns, keys);
        secrets
    }

    /// Adds the values of the keys of one more view.
    pub fn add(&mut self, patterns: &Patterns, keys: &View) {
        let secret = keys.iter().filter(|pair| patterns.match_key(pair.key.as_bytes()));
        self.values.extend(secret.map(|pair| pair.value.clone()));
        // Templates often leave out the line break at the end of a value.
        let trimmed: Vec<Bytes> =
            self.values.iter().map(|value| value.slice_ref(value.trim_ascii())).collect();
        self.values.extend(trimmed);
        // A template can indent the lines of a value, and a diff shows lines that stay.
        let lines = |value: &Bytes| {
            let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            let lines = lines.filter(|line| line.len() >= LEAST && line.len() < value.len());
            lines.map(|line| value.slice_ref(line)).collect::<Vec<_>>()
        };
        let lines: Vec<Bytes> = self.values.iter().flat_map(lines).collect();
        self.values.extend(lines);
        self.values.retain(|value| !value.trim_ascii().is_empty());
        self.values.sort_unstable();
        self.values.dedup();
    }

    /// The parts of a text that are masked, in their order and without overlaps.
    pub(crate) fn spans(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut spans = Vec::new();
        for value in &self.values {
            for at in memmem::find_iter(text, value) {
                let found = at..at + value.len();
                spans.push(if value.len() < LEAST { line_around(text, found) } else { found });
            }
        }
        spans.sort_unstable_by_key(|span| (span.start, span.end));
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
                _ => merged.push(span),
            }
        }
        merged
    }
}

/// The line of a text in which a part of it is, without its line break.
fn line_around(text: &[u8], part: Range<usize>) -> Range<usize> {
    let start = memchr::memrchr(b'\n', &text[..part.start]).map_or(0, |at| at + 1);
    let end = memchr::memchr(b'\n', &text[part.end..]).map_or(text.len(), |at| part.end + at);
    start..end
}

#[cfg(test)]
mod tests {
    use store::{Coverage, Key, Prefix, Scope, Snapshot};

    use super::*;

    #[test]
    fn a_pattern_is_a_text_with_gaps_and_case_does_not_count() {
        let usual = Patterns::new([]);
        for key in ["/db/password", "/DB_PASSWORD_2", "/tls/private/key", "/a/Token"] {
            assert!(usual.match_key(key.as_bytes()), "{key}");
        }
        for key in ["/db/user", "/key/private", "/"] {
            assert!(!usual.match_key(key.as_bytes()), "{key}");
        }
        let given = Patterns::new(["/a/*/b".to_owned(), "/exact".to_owned()]);
        for (key, matches) in
            [("/a/x/y/b", true), ("/a/b", false), ("/exact", true), ("/exactly", false)]
        {
            assert_eq!(given.match_key(key.as_bytes()), matches, "{key}");
        }
        assert!(!given.match_key(b"/db/password"));
    }

    #[test]
    fn each_line_of_a_value_is_masked_also_where_it_is_indented() {
        let pairs = [("/tls/private/key", "alice:AAAA\nbob:BBBB\n}\n")];
        let snapshot = Snapshot::from_pairs(Coverage::Subtree, pairs);
        let view = View::new(snapshot, &Scope::from_iter([Key::root()]), &Prefix::default());
        let secrets = Secrets::of(&Patterns::new([]), &view);
        let spans = secrets.spans(b"x\n  bob:BBBB\n}\n");
        assert!(spans.iter().eq([&(4..12)]), "{spans:?}");
    }

    #[test]
    fn a_short_value_masks_its_line_and_overlapping_values_are_one_span() {
        let secrets = Secrets { values: vec!["abcd".into(), "cdef".into(), "xy".into()] };
        assert_eq!(secrets.spans(b"1 abcdef 2\nxyz\n"), [2..8, 11..14]);
    }
}
