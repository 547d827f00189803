//! Words: upper and lower case, and the cases of identifiers.

use bytes::Bytes;

use super::super::Context;
use super::super::values::lossy;
use super::Library;

pub(super) fn add(library: &mut Library<'_>) {
    library.add("upper", |_: &Context, text: Bytes| render::funcs::text::to_upper(&text));
    library.add("lower", |_: &Context, text: Bytes| render::funcs::text::to_lower(&text));
    library.add("title", |_: &Context, text: Bytes| {
        by_word(
            &lossy(&text),
            |c| c.to_uppercase().next().unwrap_or(c),
            |c| !(c.is_alphanumeric() || c == '_'),
        )
    });
    library.add("untitle", |_: &Context, text: Bytes| {
        by_word(&lossy(&text), |c| c.to_lowercase().next().unwrap_or(c), char::is_whitespace)
    });
    library.add("swapcase", |_: &Context, text: Bytes| {
        let swap = |c: char| match c.is_uppercase() {
            true => c.to_lowercase().next().unwrap_or(c),
            false => c.to_uppercase().next().unwrap_or(c),
        };
        lossy(&text).chars().map(swap).collect::<String>()
    });
    library.add("nospace", |_: &Context, text: Bytes| {
        lossy(&text).chars().filter(|c| !c.is_whitespace()).collect::<String>()
    });
    library.add("initials", |_: &Context, text: Bytes| {
        let text = lossy(&text);
        text.split_whitespace().filter_map(|word| word.chars().next()).collect::<String>()
    });
    library.add("shuffle", |_: &Context, text: Bytes| {
        let mut characters: Vec<char> = lossy(&text).chars().collect();
        fastrand::shuffle(&mut characters);
        characters.into_iter().collect::<String>()
    });
    library
        .add("snakecase", |_: &Context, text: Bytes| parts(&lossy(&text)).join("_").to_lowercase());
    library
        .add("kebabcase", |_: &Context, text: Bytes| parts(&lossy(&text)).join("-").to_lowercase());
    library.add("camelcase", |_: &Context, text: Bytes| {
        let text = lossy(&text);
        let words = text.split(['_', '-', ' ']).filter(|word| !word.is_empty());
        let capital = |word: &str| {
            let mut characters = word.chars();
            let first = characters.next().into_iter().flat_map(char::to_uppercase);
            first.chain(characters).collect::<String>()
        };
        words.map(capital).collect::<String>()
    });
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

/// The words of an identifier: between separators, and from each capital letter on.
fn parts(text: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let characters: Vec<char> = text.chars().collect();
    for (place, c) in characters.iter().copied().enumerate() {
        if matches!(c, '_' | '-' | ' ') {
            words.push(String::new());
            continue;
        }
        let before = place.checked_sub(1).and_then(|place| characters.get(place));
        let after = characters.get(place + 1);
        let begins = c.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || before.is_uppercase() && after.is_some_and(|after| after.is_lowercase())
            });
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
