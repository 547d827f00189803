//! Shell patterns over whole keys, which are read and matched exactly as by Go's `path.Match`.
//!
//! - `*` stands for any number of bytes except `/`; `**` means the same.
//! - `?` stands for one character except `/`.
//! - `[abc]`, `[a-z]`, `[^abc]` stand for one character, which can be `/`.
//! - `\x` stands for `x`; every other character stands for itself.
//!
//! A character is a UTF-8 sequence; a byte outside of any sequence counts as the character U+FFFD.
//! Matching takes at most time proportional to the length of the pattern times that of the key,
//! however many stars there are.

/// A pattern, parsed once and matched any number of times.
///
/// ```
/// let pattern = store::Pattern::new(b"/app/*")?;
/// assert!(pattern.matches(b"/app/x"));
/// assert!(!pattern.matches(b"/app/x/y"));
/// # Ok::<(), store::PatternError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pattern {
    chunks: Vec<Chunk>,
}

/// The pattern is malformed: an unclosed or empty `[…]`, a range without an end, a backslash at the
/// end, or a `[…]` that is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct PatternError;

/// A part of the pattern without a star in it, and whether a star stands before it.
#[derive(Debug, Clone, Default)]
struct Chunk {
    after_star: bool,
    items: Vec<Item>,
}

#[derive(Debug, Clone)]
enum Item {
    Literal(Vec<u8>),
    AnyCharacter,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    /// Parses a pattern. All of it is checked, so that a malformed pattern never matches.
    ///
    /// # Errors
    ///
    /// [`PatternError`] if Go's `path.Match` returns `syntax error in pattern`.
    pub fn new(pattern: &[u8]) -> Result<Self, PatternError> {
        let mut chunks = vec![Chunk::default()];
        let mut rest = pattern;
        while let [first, tail @ ..] = rest {
            rest = tail;
            match first {
                b'*' => chunks.push(Chunk { after_star: true, items: Vec::new() }),
                b'?' => push(&mut chunks, Item::AnyCharacter),
                b'[' => {
                    let (class, tail) = class(tail)?;
                    push(&mut chunks, class);
                    rest = tail;
                }
                b'\\' => {
                    let [escaped, tail @ ..] = tail else { return Err(PatternError) };
                    push(&mut chunks, Item::Literal(vec![*escaped]));
                    rest = tail;
                }
                literal => push(&mut chunks, Item::Literal(vec![*literal])),
            }
        }
        // The chunk between two adjacent stars is empty and matches nothing.
        let last = chunks.len() - 1;
        let mut index = 0;
        chunks.retain(|chunk| {
            let keep = index == last || !chunk.items.is_empty();
            index += 1;
            keep
        });
        Ok(Pattern { chunks })
    }

    /// Whether the pattern matches all of `name`.
    pub fn matches(&self, name: &[u8]) -> bool {
        let Some((last, before)) = self.chunks.split_last() else { return name.is_empty() };
        let mut rest = name;
        // Each chunk takes the first place where it fits and never a later one. Go does the same.
        for chunk in before {
            let place = if chunk.after_star { chunk.places(rest).next() } else { chunk.fits(rest) };
            let Some(tail) = place else { return false };
            rest = tail;
        }
        // A star at the end takes everything that is left, if no slash is in it.
        if last.items.is_empty() && last.after_star {
            return !rest.contains(&b'/');
        }
        last.places(rest).any(<[u8]>::is_empty)
    }

    /// The literal bytes that every matching name begins with.
    pub fn literal_head(&self) -> &[u8] {
        match self.chunks.first() {
            Some(Chunk { after_star: false, items }) => match items.first() {
                Some(Item::Literal(head)) => head,
                _ => b"",
            },
            _ => b"",
        }
    }

    /// The only name that matches, if the pattern has no `*`, `?` or `[…]`.
    pub fn as_literal(&self) -> Option<&[u8]> {
        match self.chunks.as_slice() {
            [Chunk { after_star: false, items }] => match items.as_slice() {
                [] => Some(b""),
                [Item::Literal(literal)] => Some(literal),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Chunk {
    /// The rest of `name` behind each place where this chunk fits, from left to right.
    fn places<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let run = match self.after_star {
            true => name.iter().position(|byte| *byte == b'/').unwrap_or(name.len()),
            false => 0,
        };
        (0..=run).filter_map(|start| self.fits(&name[start..]))
    }

    /// The rest of `name` behind this chunk, if `name` begins with it.
    fn fits<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = name;
        for item in &self.items {
            rest = match item {
                Item::Literal(literal) => rest.strip_prefix(literal.as_slice())?,
                Item::AnyCharacter if rest.first() == Some(&b'/') => return None,
                Item::AnyCharacter => first_character(rest)?.1,
                Item::Class { negated, ranges } => {
                    let (character, tail) = first_character(rest)?;
                    let inside =
                        ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                    if inside == *negated {
                        return None;
                    }
                    tail
                }
            };
        }
        Some(rest)
    }
}

/// Adds an item to the last chunk. Adjacent literals are joined.
fn push(chunks: &mut [Chunk], item: Item) {
    let Some(chunk) = chunks.last_mut() else { return };
    match (chunk.items.last_mut(), item) {
        (Some(Item::Literal(before)), Item::Literal(more)) => before.extend(more),
        (_, item) => chunk.items.push(item),
    }
}

/// Parses a class from behind its `[` up to its `]`.
fn class(pattern: &[u8]) -> Result<(Item, &[u8]), PatternError> {
    let (negated, mut rest) = match pattern {
        [b'^', tail @ ..] => (true, tail),
        _ => (false, pattern),
    };
    let mut ranges = Vec::new();
    loop {
        if let ([b']', tail @ ..], false) = (rest, ranges.is_empty()) {
            return Ok((Item::Class { negated, ranges }, tail));
        }
        let (low, tail) = class_character(rest)?;
        let (high, tail) = match tail {
            [b'-', tail @ ..] => class_character(tail)?,
            _ => (low, tail),
        };
        ranges.push((low, high));
        rest = tail;
    }
}

/// Parses one end of a range: a character, with a backslash before it if it has a meaning in a
/// class.
fn class_character(pattern: &[u8]) -> Result<(char, &[u8]), PatternError> {
    let pattern = match pattern {
        [b'-' | b']', ..] => return Err(PatternError),
        [b'\\', tail @ ..] => tail,
        _ => pattern,
    };
    match first_character(pattern) {
        Some((char::REPLACEMENT_CHARACTER, tail)) if pattern.len() - tail.len() == 1 => {
            Err(PatternError)
        }
        Some(found) => Ok(found),
        None => Err(PatternError),
    }
}

/// Splits off the first character. A byte outside of UTF-8 is U+FFFD, with a length of one byte.
fn first_character(bytes: &[u8]) -> Option<(char, &[u8])> {
    let head = &bytes[..bytes.len().min(4)];
    let valid = head.utf8_chunks().next()?.valid();
    Some(match valid.chars().next() {
        Some(character) => (character, &bytes[character.len_utf8()..]),
        None => (char::REPLACEMENT_CHARACTER, &bytes[1..]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &[u8], name: &[u8]) -> bool {
        Pattern::new(pattern).unwrap().matches(name)
    }

    #[test]
    fn a_pattern_matches_the_whole_key() {
        for (pattern, name, expected) in [
            ("/app/*", "/app/x", true),
            ("/app/*", "/app/", true),
            ("/app/*", "/app/x/y", false),
            ("/*/*", "/app/x", true),
            ("/app", "/app", true),
            ("/app", "/app/x", false),
            ("*", "/app", false),
            ("**", "app", true),
            ("/a**b", "/axxb", true),
            ("/a*b*c", "/abbbc", true),
            ("/a*b*c", "/ab/c", false),
            ("/?", "/é", true),
            ("/?", "//", false),
            ("/?", "/", false),
            ("[/]a", "/a", true),
            ("/[a-c]", "/b", true),
            ("/[^a-c]", "/b", false),
            ("/[^a-c]", "//", true),
            ("/[!x]", "/!", true),
            ("/[!x]", "/y", false),
            ("/[b-a]", "/a", false),
            (r"/\*", "/*", true),
            (r"/\*", "/x", false),
            (r"/[\]]", "/]", true),
            ("/a]", "/a]", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn every_bad_pattern_is_refused_as_a_whole() {
        for pattern in [
            "[]k]",
            "[k-]",
            "[",
            "[a",
            "[^]",
            "[]",
            "[-a]",
            "[a-b-c]",
            r"\",
            r"[\",
            r"a[b\]",
            "nomatch*[",
        ] {
            assert_eq!(Pattern::new(pattern.as_bytes()).err(), Some(PatternError), "{pattern}");
        }
        assert!(Pattern::new(b"[\xa9]").is_err());
        assert_eq!(PatternError.to_string(), "syntax error in pattern");
    }

    #[test]
    fn a_byte_outside_utf8_counts_as_one_replacement_character() {
        assert!(matches(b"/?", b"/\xff"));
        assert!(matches("[\u{fffd}]".as_bytes(), b"\xff"));
        // A star matches bytes, so it can end inside of a character.
        assert!(matches("*[\u{fffd}]".as_bytes(), "é".as_bytes()));
    }

    #[test]
    fn a_chunk_stays_where_it_fitted_first() {
        // With full backtracking the star would take `x` and the class `/`. Go does not backtrack
        // there.
        assert!(!matches(b"*[/x]*z", b"x/z"));
    }

    #[test]
    fn stars_do_not_multiply_the_time() {
        let pattern = "a*".repeat(2_000) + "b";
        let name = "a".repeat(20_000);
        assert!(!matches(pattern.as_bytes(), name.as_bytes()));
    }

    #[test]
    fn the_literal_head_ends_at_the_first_sign() {
        for (pattern, head, literal) in [
            (r"/a\*b", "/a*b", true),
            ("/app/*", "/app/", false),
            ("*", "", false),
            ("?", "", false),
            ("/x[a]y", "/x", false),
            ("", "", true),
        ] {
            let read = Pattern::new(pattern.as_bytes()).unwrap();
            assert_eq!(read.literal_head(), head.as_bytes(), "{pattern}");
            assert_eq!(read.as_literal().is_some(), literal, "{pattern}");
        }
    }
}
