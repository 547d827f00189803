//! The arguments of Tera's own filters and functions.
//!
//! Tera ignores an argument that a filter does not have, so that a mistyped name has no effect. Such a name
//! is a fault of the template here, as with confd's functions.

use super::mistakes::place;
use super::report::Fault;
use super::tags::scan;
use super::tokens::{Token, tokens};

/// Tera's filters that are not replaced by confd's, each with its arguments, as of Tera 2.4.
const FILTERS: &[(&str, &[&str])] = &[
    ("abs", &[]),
    ("capitalize", &[]),
    ("default", &["value", "boolean"]),
    ("escape", &[]),
    ("escape_html", &[]),
    ("escape_xml", &[]),
    ("first", &[]),
    ("float", &[]),
    ("get", &["key", "default"]),
    ("group_by", &["attribute"]),
    ("indent", &["width", "indentation", "first", "blank"]),
    ("int", &["base"]),
    ("keys", &[]),
    ("last", &[]),
    ("length", &[]),
    ("lower", &[]),
    ("newlines_to_br", &[]),
    ("nth", &["n"]),
    ("pairs", &[]),
    ("pluralize", &["singular", "plural"]),
    ("reverse", &[]),
    ("round", &["method", "precision"]),
    ("safe", &[]),
    ("sort", &["attribute"]),
    ("str", &[]),
    ("title", &[]),
    ("trim", &["pat"]),
    ("trim_end", &["pat"]),
    ("trim_start", &["pat"]),
    ("truncate", &["length", "end"]),
    ("unique", &[]),
    ("upper", &[]),
    ("wordcount", &[]),
];

/// Tera's functions, each with its arguments.
const FUNCTIONS: &[(&str, &[&str])] =
    &[("range", &["start", "end", "step_by"]), ("throw", &["message"])];

/// The first argument in `text`, that of the file `template`, which Tera's filter or function does not have.
pub(super) fn unknown_argument(template: &str, text: &str) -> Option<Fault> {
    scan(text).bodies.into_iter().find_map(|body| {
        let tokens = tokens(text, body);
        (0..tokens.len()).find_map(|nth| {
            let Token::Word(name, _) = tokens[nth] else { return None };
            let is_filter = match nth.checked_sub(1).map(|before| tokens[before]) {
                Some(Token::Sign(b'|')) => true,
                // The tag of a section.
                Some(Token::Word("filter", _)) => nth == 1,
                Some(Token::Sign(b'.')) => return None,
                _ => false,
            };
            let table = if is_filter { FILTERS } else { FUNCTIONS };
            let (_, known) = table.iter().find(|(own, _)| *own == name)?;
            let arguments = tokens.get(nth + 1).filter(|next| **next == Token::Sign(b'('));
            let arguments = arguments.and(tokens.get(nth + 2..))?;
            let (unknown, at) = named(arguments).find(|(given, _)| !known.contains(given))?;
            let message = format!("error calling {name}: {}", unknown_text(unknown, known));
            Some(Fault { position: Some(place(text, at)), ..Fault::of(template, message) })
        })
    })
}

/// The names of the arguments of a call, which begin here, each with its place.
fn named<'a>(tokens: &[Token<'a>]) -> impl Iterator<Item = (&'a str, usize)> {
    let (mut depth, mut names) = (0_usize, Vec::new());
    for (nth, token) in tokens.iter().enumerate() {
        let begins = nth == 0 || depth == 0 && tokens[nth - 1] == Token::Sign(b',');
        match token {
            Token::Sign(b'(' | b'[' | b'{') => depth += 1,
            Token::Sign(b')' | b']' | b'}') => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => break,
            },
            Token::Word(name, at) if begins && tokens.get(nth + 1) == Some(&Token::Sign(b'=')) => {
                names.push((*name, *at));
            }
            _ => {}
        }
    }
    names.into_iter()
}

/// That a function has no argument `name`, with those that it has.
pub(super) fn unknown_text(name: &str, known: &[&str]) -> String {
    let known: Vec<_> = known.iter().map(|known| format!("\"{known}\"")).collect();
    match known.as_slice() {
        [] => format!("unknown argument \"{name}\"; there are none"),
        [only] => format!("unknown argument \"{name}\"; the only one is {only}"),
        [known @ .., last] => {
            format!("unknown argument \"{name}\"; there are {} and {last}", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tera::mistakes;

    fn unknown(text: &str) -> Option<String> {
        unknown_argument("a", text).map(|fault| format!("{:?} {}", fault.position, fault.message))
    }

    #[test]
    fn arguments_that_a_filter_does_not_have_are_found() {
        for (text, place, name) in [
            ("\n{{ x | indent(widht=2) }}", (2, 14), "widht"),
            ("{% filter indent(width=2, firts=true) %}{% endfilter %}", (1, 26), "firts"),
            ("{{ f(a=[x | upper(x=1)]) }}", (1, 18), "x"),
            ("{% for i in range(end=3, step=2) %}{% endfor %}", (1, 25), "step"),
        ] {
            let found = unknown(text).unwrap();
            let start = format!("Some({place:?}) error calling ");
            assert!(found.starts_with(&start), "{found}");
            assert!(found.contains(&format!("unknown argument \"{name}\"; ")), "{found}");
        }
        let text = "{{ x | indent(width=2, first=a == b, blank=f(widht=1)) | default(value=x(b=1)) }}\
                    {{ indent(zz=1) }}{{ x.indent(zz=1) }}{# x | indent(zz=1) #}{{ '| indent(zz=1)' }}\
                    {{ x | join(zz=1) }}{{ x | nindent(zz=1) }}";
        assert_eq!(unknown(text), None);
    }

    #[test]
    fn the_filters_are_those_that_stay_teras() {
        let replaced = ["replace", "join", "split"];
        for (name, _) in FILTERS.iter().filter(|(name, _)| *name != "wordcount") {
            assert!(mistakes::FILTERS.contains(name) && !replaced.contains(name), "{name}");
        }
    }
}
