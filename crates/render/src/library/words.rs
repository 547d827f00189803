//! Words: upper and lower case, and the cases of identifiers.

use crate::funcs::case::{to_lower, to_upper};
use bytes::Bytes;

use super::values::lossy;
use super::{Library, Machine};

pub(super) fn add(library: &mut Library<'_>) {
    library.add("upper", "|text", |_: &Machine, text: Bytes| crate::funcs::text::to_upper(&text));
    library.add("lower", "|text", |_: &Machine, text: Bytes| crate::funcs::text::to_lower(&text));
    library.add("title", "|text", |_: &Machine, text: Bytes| {
        by_word(&lossy(&text), to_upper, |c| !(c.is_alphanumeric() || c == '_'))
    });
    library.add("untitle", "|text", |_: &Machine, text: Bytes| {
        by_word(&lossy(&text), to_lower, char::is_whitespace)
    });
    library.add("swapcase", "|text", |_: &Machine, text: Bytes| {
        let swap = |c: char| match c.is_uppercase() {
            true => to_lower(c),
            false => to_upper(c),
        };
        lossy(&text).chars().map(swap).collect::<String>()
    });
    // These two take each byte for a character, where there are blanks.
    library.add_sprig("nospace", |_: &Machine, text: Bytes| {
        match text.iter().any(|byte| char::from(*byte).is_whitespace()) {
            false => text,
            true => {
                let characters = text.iter().map(|byte| char::from(*byte));
                characters.filter(|c| !c.is_whitespace()).collect::<String>().into()
            }
        }
    });
    library.add_sprig("initials", |_: &Machine, text: Bytes| {
        let text: String = text.iter().map(|byte| char::from(*byte)).collect();
        initials(&text)
    });
    library.add_own("nospace", "|text", |_: &Machine, text: Bytes| {
        lossy(&text).chars().filter(|c| !c.is_whitespace()).collect::<String>()
    });
    library.add_own("initials", "|text", |_: &Machine, text: Bytes| initials(&lossy(&text)));
    for (name, separator) in [("snakecase", '_'), ("kebabcase", '-')] {
        library
            .add(name, "|text", move |_: &Machine, text: Bytes| joined(&lossy(&text), separator));
    }
    library.add("camelcase", "|text", |_: &Machine, text: Bytes| camel(&lossy(&text)));
}

/// The first characters of the words.
fn initials(text: &str) -> String {
    text.split_whitespace().filter_map(|word| word.chars().next()).collect()
}

/// The text with the first character of each word changed.
fn by_word(text: &str, change: impl Fn(char) -> char, is_between: impl Fn(char) -> bool) -> String {
    let mut begins = true;
    let changed = text.chars().map(|c| {
        let changed = if begins { change(c) } else { c };
        begins = is_between(c);
        changed
    });
    changed.collect()
}

/// A word of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Blanks, `-` and `_`, which separate words.
    Separator,
    Punctuation,
    /// A word that begins with a capital letter, or has only capital letters.
    Upper,
    Lower,
    Number,
    Other,
}

fn kind(c: char) -> Kind {
    match c {
        c if is_separator(c) => Kind::Separator,
        c if is_punctuation(c) => Kind::Punctuation,
        c if c.is_uppercase() => Kind::Upper,
        c if is_letter(c) => Kind::Lower,
        c if c.is_numeric() => Kind::Number,
        _ => Kind::Other,
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '-' | '_') || c.is_whitespace()
}

fn is_punctuation(c: char) -> bool {
    // Symbols of ASCII such as `$` and `+` are none.
    match c {
        '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~' => false,
        c if c.is_ascii() => c.is_ascii_punctuation(),
        c => matches!(c, '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
            | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}'),
    }
}

/// Whether a character is a letter of a script with words. Chinese characters are none.
fn is_letter(c: char) -> bool {
    let is_chinese =
        matches!(c, '\u{3400}'..='\u{4d85}' | '\u{4e00}'..='\u{9fcc}' | '\u{20000}'..='\u{2b81d}');
    c.is_alphabetic() && !is_chinese
}

/// The words of an identifier. A capital letter begins a word; of several capital letters before a
/// small one, only the last.
fn words(text: &str) -> Vec<(Kind, String)> {
    let characters: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut place = 0;
    while let Some(first) = characters.get(place) {
        let first_kind = kind(*first);
        let run = |from: usize, fits: &dyn Fn(char) -> bool| {
            from + characters[from..].iter().take_while(|c| fits(**c)).count()
        };
        let is_small = |c: char| is_letter(c) && !c.is_uppercase();
        let end = match first_kind {
            Kind::Upper => {
                let capitals = run(place, &char::is_uppercase);
                let is_word = characters.get(capitals).is_some_and(|c| is_letter(*c));
                match capitals - place {
                    1 => run(place + 1, &is_small),
                    _ if is_word => capitals - 1,
                    _ => capitals,
                }
            }
            Kind::Lower => run(place, &is_small),
            same => run(place, &|c| kind(c) == same),
        };
        words.push((first_kind, characters[place..end].iter().collect()));
        place = end;
    }
    words
}

/// The words of an identifier in small letters, with a separator between them. A number belongs to the
/// word before it, unless small letters follow.
fn joined(text: &str, separator: char) -> String {
    let words = words(text);
    let mut out = String::new();
    let push = |out: &mut String, (kind, word): &(Kind, String)| match kind {
        Kind::Upper | Kind::Separator => out.extend(word.chars().map(|c| match c {
            c if is_separator(c) => separator,
            c => to_lower(c),
        })),
        _ => out.push_str(word),
    };
    let separates = |place: usize| {
        words
            .get(place)
            .is_some_and(|(kind, _)| !matches!(kind, Kind::Separator | Kind::Punctuation))
    };
    let is_tail = |place: usize| {
        words.get(place).is_some_and(|(kind, _)| matches!(kind, Kind::Lower | Kind::Number))
    };
    let mut place = 0;
    while place + 1 < words.len() {
        let (kind, _) = words[place];
        push(&mut out, &words[place]);
        place += 1;
        match kind {
            Kind::Separator | Kind::Punctuation => continue,
            Kind::Number => {}
            _ if words[place].0 != Kind::Number => {}
            _ if place + 1 == words.len() => continue,
            _ => {
                if words[place + 1].0 == Kind::Lower {
                    out.push(separator);
                }
                push(&mut out, &words[place]);
                place += 1;
            }
        }
        let follows_number = kind == Kind::Number || words[place - 1].0 == Kind::Number;
        while follows_number && is_tail(place) {
            push(&mut out, &words[place]);
            place += 1;
        }
        if separates(place) {
            out.push(separator);
        }
    }
    if let Some(last) = words.get(place) {
        push(&mut out, last);
    }
    out
}

/// The words of an identifier, each with a capital letter, without separators between them.
fn camel(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    let first = loop {
        match characters.next() {
            // Separators at the beginning stay. The last one is doubled if nothing follows.
            None => return out.chars().last().map_or(String::new(), |last| format!("{out}{last}")),
            Some(c) if is_separator(c) => out.push(c),
            Some(c) => break c,
        }
    };
    let mut was_upper = first.is_uppercase();
    let mut last = to_upper(first);
    for c in characters {
        let mut next = c;
        if is_separator(c) && is_separator(last) {
            out.push(last);
            last = c;
            continue;
        }
        if is_separator(last) {
            was_upper = c.is_uppercase();
            next = to_upper(c);
        } else {
            if was_upper && c.is_uppercase() {
                next = to_lower(c);
            } else {
                was_upper = false;
            }
            out.push(last);
        }
        last = next;
    }
    out.push(last);
    out
}
