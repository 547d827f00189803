//! What a person probably meant with a template that Tera cannot compile.
//!
//! Tera's messages say what its parser found: `Unknown tag` for an `endfor` that closes an `if`,
//! and `Unexpected end of input` at the end of the file for a block that was never closed. The
//! tags of the text show more.

use ::report::did_you_mean;

use super::report::Fault;
use super::tags::{Tag, is_word, tags};
use super::{foreign, names};

/// The words that begin a tag.
const WORDS: [&str; 16] = [
    "block",
    "break",
    "component",
    "continue",
    "elif",
    "else",
    "extends",
    "filter",
    "for",
    "if",
    "include",
    "raw",
    "set",
    "set_global",
    "endif",
    "endfor",
];

/// Tera's own filters.
pub(super) const FILTERS: [&str; 40] = [
    "abs",
    "array",
    "bool",
    "capitalize",
    "default",
    "escape",
    "escape_html",
    "escape_xml",
    "first",
    "float",
    "get",
    "group_by",
    "indent",
    "int",
    "integer",
    "join",
    "keys",
    "last",
    "length",
    "lower",
    "map",
    "newlines_to_br",
    "nth",
    "number",
    "pairs",
    "pluralize",
    "replace",
    "reverse",
    "round",
    "safe",
    "sort",
    "split",
    "str",
    "title",
    "trim",
    "trim_end",
    "trim_start",
    "truncate",
    "unique",
    "upper",
];

/// Names that other programs have for a function or filter, each with ours.
const SPELLINGS: [(&str, &str); 7] = [
    ("env", "getenv"),
    ("get_env", "getenv"),
    ("key", "getv"),
    ("keyExists", "exists"),
    ("toInt", "int"),
    ("to_int", "int"),
    ("from_json", "fromJson"),
];

/// A block that is open.
struct Open<'a> {
    word: &'a str,
    /// Where its tag begins.
    start: usize,
}

/// The same fault with a hint, if there is one. A block that is never closed is reported where it
/// begins. `text` is the template that the fault is in.
pub(super) fn explained(fault: Fault, text: &str) -> Fault {
    if fault.hint.is_some() {
        return fault;
    }
    if fault.message == "Unexpected end of input" {
        let Some(open) = open_blocks(&tags(text)).pop() else { return fault };
        let hint = format!("this `{0}` has no {{% end{0} %}}", open.word);
        return Fault { position: Some(place(text, open.start)), hint: Some(hint), ..fault };
    }
    let hint = hint(&fault, text);
    Fault { hint, ..fault }
}

fn hint(fault: &Fault, text: &str) -> Option<String> {
    if let Some(name) = fault.unknown_name() {
        return unknown_name(name, fault.message.starts_with("Unknown filter"));
    }
    let at = offset(text, fault.position?)?;
    if fault.message == "Unknown tag" {
        return unknown_tag(text, at);
    }
    unnamed_argument(fault, &text[..at]).or_else(|| foreign::syntax(text, at))
}

/// The hint for a function whose first argument has no name. `before` is the text before the fault.
fn unnamed_argument(fault: &Fault, before: &str) -> Option<String> {
    fault.message.strip_suffix("but expected identifier.")?;
    let before = before.trim_end().strip_suffix('(')?;
    let name = &before[before.rfind(|c| !is_word(c)).map_or(0, |at| at + 1)..];
    Some(format!("arguments have names: {name}({}=…)", foreign::argument_of(name)?))
}

/// The hint for a name that is no filter, or no function.
fn unknown_name(name: &str, as_filter: bool) -> Option<String> {
    let is_function = names().any(|function| function == name);
    if as_filter && is_function {
        return Some(format!("{name} is a function and no filter"));
    }
    if !as_filter && FILTERS.contains(&name) {
        return Some(format!("{name} is a filter and no function: … | {name}"));
    }
    match SPELLINGS.iter().find(|(spelling, _)| *spelling == name) {
        Some((_, known)) => did_you_mean(known, [known]),
        None => did_you_mean(name, names().chain(FILTERS)),
    }
}

/// The hint for a tag of which Tera does not know the word, at the offset `at`.
fn unknown_tag(text: &str, at: usize) -> Option<String> {
    let tags = tags(text);
    let nth = tags.iter().position(|tag| (tag.start..tag.end).contains(&at))?;
    let (word, _) = tags[nth].split();
    if matches!(word, "macro" | "import" | "endmacro") {
        return Some("Tera 2 has components in place of macros".to_owned());
    }
    if !word.starts_with("end") {
        return did_you_mean(word, WORDS);
    }
    match open_blocks(&tags[..nth]).pop() {
        Some(open) => {
            let (line, _) = place(text, open.start);
            let of = open.word;
            Some(format!("the `{of}` in line {line} is open: it ends with {{% end{of} %}}"))
        }
        None => Some(format!("no `{}` is open here", word.trim_start_matches("end"))),
    }
}

/// The blocks that are open behind the tags, the outermost first.
fn open_blocks<'a>(tags: &[Tag<'a>]) -> Vec<Open<'a>> {
    let mut open = Vec::new();
    for tag in tags {
        match tag.split().0 {
            word @ ("if" | "for" | "block" | "filter" | "component") => {
                open.push(Open { word, start: tag.start });
            }
            end if end.starts_with("end") => _ = open.pop(),
            _ => {}
        }
    }
    open
}

/// The line of an offset, counted from 1, and the number of characters before it in that line.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line = 1 + before.matches('\n').count();
    (line, before.rsplit('\n').next().unwrap_or_default().chars().count())
}

/// The offset of a place, the inverse of [`place`].
fn offset(text: &str, (line, characters): (usize, usize)) -> Option<usize> {
    let mut start = 0;
    for _ in 1..line {
        start += text[start..].find('\n')? + 1;
    }
    let rest = &text[start..];
    Some(start + rest.char_indices().nth(characters).map_or(rest.len(), |(at, _)| at))
}
