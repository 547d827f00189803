//! Hints for Tera templates that are written in the syntax of another language, or that take keys
//! for variables.

use ::store::View;

use super::report::Fault;
use super::tags::is_word;
use super::{functions, library};

/// The hint for a template in Go's language.
const GO: &str = "this is Go's language, and a src that ends in .tera is Tera: engine = \"go\"";

/// The words with which actions of Go's language begin that are no expressions of Tera.
const GO_WORDS: [&str; 8] = ["range", "end", "with", "template", "define", "block", "else", "if"];

/// Filters of Tera that need an argument, each with the name of the argument.
const ARGUMENTS: [(&str, &str); 5] = [
    ("default", "value"),
    ("truncate", "length"),
    ("nth", "n"),
    ("get", "key"),
    ("round", "method"),
];

/// What was probably meant by the text at byte `at` of a template, which Tera cannot parse.
pub(super) fn syntax(text: &str, at: usize) -> Option<String> {
    let (before, after) = text.split_at_checked(at)?;
    let start = before.rfind('{').map_or(0, |start| start.saturating_sub(1));
    let inside = text.get(start..)?;
    let body = inside.trim_start_matches(['{', '%', '-']).trim_start();
    let word = &body[..body.find(|c| !is_word(c)).unwrap_or(body.len())];
    let is_output = inside.starts_with("{{");
    if is_output && (body.starts_with(['$', '.']) || GO_WORDS.contains(&word)) {
        return Some(GO.to_owned());
    }
    let mut characters = after.chars();
    let hint = match (characters.next()?, characters.next()) {
        ('&', Some('&')) | ('|', Some('|')) => "conditions are joined by and, or, not",
        ('|', _) if before.ends_with('|') => "conditions are joined by and, or, not",
        ('=', _) if matches!(word, "if" | "elif") => "values are compared by ==",
        ('“' | '”' | '„' | '‘' | '’' | '«', _) => "text stands between straight quotes",
        ('"' | '\'' | '`', _) if is_output && before.trim_end().ends_with(word) => {
            let argument = argument_of(word)?;
            let rule = "arguments stand in parentheses and have names";
            return Some(format!("{rule}: {word}({argument}=…)"));
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// The name of the first argument of the function or filter `name`.
pub(super) fn argument_of(name: &str) -> Option<&'static str> {
    if let Some((_, argument)) = ARGUMENTS.iter().find(|(filter, _)| *filter == name) {
        return Some(argument);
    }
    let ours = functions::table().into_iter().find(|function| function.name == name);
    let function = ours.or_else(|| library::function(name))?;
    function.parameters().first().copied()
}

/// What was probably meant by a template that cannot be rendered with `view`.
pub(super) fn rendering(fault: &Fault, view: &View) -> Option<String> {
    if let Some(operands) = fault.message.strip_prefix("`+` requires both operands to be numbers") {
        return match operands {
            ", found `string` and `string`" => Some("texts are joined by ~".to_owned()),
            _ if operands.contains("`string`") => {
                Some("values of keys are text: | int makes a number of it".to_owned())
            }
            _ => None,
        };
    }
    let name = fault.message.strip_prefix("Variable `")?.strip_suffix("` is not defined.")?;
    if GO_WORDS.contains(&name) {
        return Some(GO.to_owned());
    }
    let is_in_store = view.iter().any(|pair| {
        let key = pair.key.as_bytes().strip_prefix(b"/").unwrap_or_default();
        key.split(|byte| *byte == b'/').next() == Some(name.as_bytes())
    });
    is_in_store.then(|| format!("keys are below store: store.{name}"))
}
