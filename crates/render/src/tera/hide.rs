//! Hides values in the texts of Tera's own errors.
//!
//! Tera returns a finished text, and does not say which parts of it are values. So a word of the
//! text is shown only if it is known to be no secret: a word of Tera's own texts, a word that stands
//! in the template, or a part of a key. Every other word is hidden. The alternative, a list of
//! Tera's texts with the places of their values, would show a value when Tera gets a new text.

use std::collections::HashSet;

use gotmpl::HIDDEN;

/// The words of Tera's own texts, and its names of types.
const WORDS: &str = "Array Available Block Blocks Cannot Circular Component Could Couldn't Delimiters Do \
    Errored Exponent Failed Field Filter Function Include Index Inheritance Invalid Io It Iteration \
    Key/value MIN Map Math Maximum Missing Not Number Only Operand Reloading Slice Slicing Spread \
    String Template The This Tried UTF-8 Unable Unknown Value Variable Vec a absolute added adding \
    after allowed already an and any are argument arguments arithmetic array arrays at attribute \
    available base be been before between block bool bools both but by called calling can cannot \
    ceil chain character characters check chunk classic comparable compare component components \
    contain container containment converted could default defined depth deserialization detected \
    determine divide divisibility does doesn't done elements end error escape escaping even exactly \
    exceeded exceeds exist exists expected expression extend failed fields fill filter finalized fit \
    float floor for found from function getting glob got greater has have i128 i64 u64 u128 f64 \
    f32 i8 i16 i32 isize u8 u16 usize &str &[Value] Vec<Value> \
    bytes none if in include indentation index inheritance inheriting int integer integers into is \
    isn't it it's iteration its key keys keyword length level limit lineage load loaded map \
    map/struct map/structs maps means method modified must negate negated newtype no non-integer not \
    number numbers odd of on one only open operands operations operator or out output outside \
    overflow parameter parent path perform pluralize possible produce properly range read received \
    recursion registered render render_str rendered rendering requires result reversed round \
    serialization set_fallback_prefixes single slice sort start step step_by string strings struct \
    super supported template templates test than that the this to top tuple type u32 undefined use \
    used using usually valid value values variable variables variant want was were which while with \
    would writing you 0 2 10 36 + - * / % // **";

/// The longest text that is searched for words that may be shown, because that takes time for each
/// word. Tera's own texts are much shorter, so a longer text is mostly a value.
const LONGEST: usize = 4096;

/// The beginning of a list of the fields of a map.
const NAMES: &str = " Available fields: ";

/// Whose words a text consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// It is a text of Tera.
    Tera,
    /// It is the template's own, so that the words of Tera can be a value as well.
    None,
}

/// `text` without words that may be values. `is_known` says which other words may be shown. What
/// stands between back quotes counts as one word. The hidden words are added to `hidden`.
pub(super) fn hide(
    text: &str,
    words: Words,
    is_known: &dyn Fn(&str) -> bool,
    hidden: &mut Vec<String>,
) -> String {
    if text.len() > LONGEST {
        hidden.push(text.to_owned());
        return HIDDEN.to_owned();
    }
    // A list of names is left out if a name in it has to be hidden: most of it would be hidden.
    if let Some((before, names)) = text.split_once(NAMES) {
        let shown = names.split(", ").all(is_known);
        return hide(before, words, is_known, hidden)
            + &if shown { format!("{NAMES}{names}") } else { String::new() };
    }
    let known: HashSet<&str> = match words {
        Words::Tera => WORDS.split_whitespace().collect(),
        Words::None => HashSet::new(),
    };
    let may_show = |word: &str| word.is_empty() || known.contains(word) || is_known(word);
    let mut shown = String::new();
    for (nth, part) in text.split('`').enumerate() {
        if nth > 0 {
            shown.push('`');
        }
        match nth % 2 {
            0 => hide_words(part, &may_show, &mut shown, hidden),
            _ if may_show(part) => shown.push_str(part),
            _ => {
                hidden.push(part.to_owned());
                shown.push_str(HIDDEN);
            }
        }
    }
    shown
}

fn hide_words(
    text: &str,
    may_show: &dyn Fn(&str) -> bool,
    shown: &mut String,
    hidden: &mut Vec<String>,
) {
    let mut after_hidden = false;
    for (nth, word) in text.split(' ').enumerate() {
        let core = word.trim_matches(MARKS);
        let is_hidden = !may_show(core);
        let (before, after) = match is_hidden {
            false => (word, ""),
            true => {
                match hidden.last_mut().filter(|_| after_hidden) {
                    // Neighbours are probably words of one value.
                    Some(last) => *last = format!("{last} {core}"),
                    None => hidden.push(core.to_owned()),
                }
                let begin = word.len() - word.trim_start_matches(MARKS).len();
                (&word[..begin], &word[word.trim_end_matches(MARKS).len()..])
            }
        };
        if is_hidden && after_hidden && before.is_empty() {
            shown.push_str(after);
        } else {
            shown.push_str(if nth > 0 { " " } else { "" });
            shown.push_str(before);
            shown.push_str(if is_hidden { HIDDEN } else { "" });
            shown.push_str(after);
        }
        after_hidden = is_hidden && after.is_empty();
    }
}

/// What can stand around a word.
const MARKS: [char; 8] = ['\'', '"', '.', ',', ';', ':', '(', ')'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_tera_and_known_words_are_shown_and_others_are_not() {
        let hide_in =
            |text: &str, words| hide(text, words, &|word| word == "known", &mut Vec::new());
        let hide = |text: &str| hide_in(text, Words::Tera);
        for (text, hidden) in [
            (
                "The string `open sesame` cannot be converted to a float",
                "The string `…` cannot be converted to a float",
            ),
            ("Variable `known` is not defined.", "Variable `known` is not defined."),
            ("Field `x` is not defined. Available fields: known, y", "Field `…` is not defined."),
            (
                "Field `x` is not defined. Available fields: known",
                "Field `…` is not defined. Available fields: known",
            ),
            ("Unable to perform 7 ** 31337", "Unable to perform … ** …"),
            ("a-b_c", "…"),
            ("tell no one", "… no one"),
        ] {
            assert_eq!(hide(text), hidden);
        }
        assert_eq!(hide(&"known ".repeat(LONGEST)), "…");
        assert_eq!(hide_in("known, the value", Words::None), "known, …");
    }
}
