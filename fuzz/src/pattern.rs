//! Patterns over keys, compared with a matcher that tries every possibility.

use store::Pattern;

use super::LONGEST;

/// The first line of the input is a pattern, the rest is a name to match.
///
/// A malformed pattern is refused, and no other pattern. Every name that matches begins with the
/// pattern's literal head. The result is that of a matcher that tries every possibility for each
/// star, if both must agree.
pub fn pattern(data: &[u8]) {
    if data.len() > LONGEST {
        return;
    }
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (pattern, name) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let items = items(pattern);
    let read = match Pattern::new(pattern) {
        Ok(read) => read,
        Err(error) => {
            assert_eq!(error.to_string(), "syntax error in pattern");
            assert!(items.is_none(), "a good pattern is refused: {pattern:?}");
            return;
        }
    };
    let items = items.unwrap_or_else(|| panic!("a bad pattern is read: {pattern:?}"));
    let matches = read.matches(name);
    if matches {
        assert!(name.starts_with(read.literal_head()), "{pattern:?} {name:?}");
    }
    if let Some(literal) = read.as_literal() {
        assert_eq!(matches, literal == name, "{pattern:?} {name:?}");
    }
    // Go takes the first place where the part behind a star fits, and no later one. That gives the
    // same result only if no item can match a slash.
    if items.iter().all(|item| !matches!(item, Item::Class { .. }) || !item.fits('/')) {
        assert_eq!(matches, any_way(&items, name), "{pattern:?} {name:?}");
    }
}

enum Item {
    Star,
    Any,
    Byte(u8),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Item {
    fn fits(&self, character: char) -> bool {
        match self {
            Item::Any => character != '/',
            Item::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
            }
            Item::Star | Item::Byte(_) => false,
        }
    }
}

/// The items of a pattern, or `None` if it is malformed.
fn items(pattern: &[u8]) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let mut rest = pattern;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        items.push(match first {
            b'*' => Item::Star,
            b'?' => Item::Any,
            b'\\' => {
                let (escaped, tail) = rest.split_first()?;
                rest = tail;
                Item::Byte(*escaped)
            }
            b'[' => {
                let negated = rest.first() == Some(&b'^');
                rest = &rest[usize::from(negated)..];
                let mut ranges = Vec::new();
                while ranges.is_empty() || rest.first() != Some(&b']') {
                    let low = class_character(&mut rest)?;
                    let high = match rest.split_first() {
                        Some((b'-', tail)) => {
                            rest = tail;
                            class_character(&mut rest)?
                        }
                        _ => low,
                    };
                    ranges.push((low, high));
                }
                rest = &rest[1..];
                Item::Class { negated, ranges }
            }
            byte => Item::Byte(*byte),
        });
    }
    Some(items)
}

/// One character of a class, behind which something must follow.
fn class_character(rest: &mut &[u8]) -> Option<char> {
    if matches!(rest.first()?, b'-' | b']') {
        return None;
    }
    if rest[0] == b'\\' {
        *rest = &rest[1..];
    }
    let (character, length) = character(rest)?;
    if character == char::REPLACEMENT_CHARACTER && length == 1 {
        return None;
    }
    *rest = &rest[length..];
    (!rest.is_empty()).then_some(character)
}

/// The first character and its length; a byte that is not UTF-8 is U+FFFD with length 1.
fn character(text: &[u8]) -> Option<(char, usize)> {
    text.first()?;
    let longest = text.len().min(4);
    let decoded = (1..=longest).find_map(|length| std::str::from_utf8(&text[..length]).ok());
    let character = decoded.and_then(|text| text.chars().next());
    Some(character.map_or((char::REPLACEMENT_CHARACTER, 1), |found| (found, found.len_utf8())))
}

/// Whether the pattern matches the whole of `name` in any way.
fn any_way(items: &[Item], name: &[u8]) -> bool {
    // For each position in `name`, whether the rest of the pattern matches from there to the end.
    // Filled from the last item to the first.
    let mut fits: Vec<bool> = (0..=name.len()).map(|at| at == name.len()).collect();
    for item in items.iter().rev() {
        let mut here = vec![false; name.len() + 1];
        for at in (0..=name.len()).rev() {
            here[at] = match item {
                Item::Star => {
                    fits[at] || name.get(at).is_some_and(|byte| *byte != b'/') && here[at + 1]
                }
                Item::Byte(byte) => name.get(at) == Some(byte) && fits[at + 1],
                Item::Any | Item::Class { .. } => character(&name[at..])
                    .is_some_and(|(character, length)| item.fits(character) && fits[at + length]),
            };
        }
        fits = here;
    }
    fits[0]
}
