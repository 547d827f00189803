//! `${NAME}` in the texts of a resource, for tables that say `expand_env = true`.
//!
//! The whole table is expanded before any of its keys is read, so that it does not matter to which key a
//! text belongs. Without the key nothing is expanded: in Go confd a `$` is only a dollar.
//!
//! `${NAME}` is the value of the variable, `${NAME:-default}` has a default for a variable that is empty
//! or not set, and `$$` is a dollar. A dollar before any other character stays, so that `$NAME` is left
//! for the shell.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{document::Document, environment::Environment, keys, resource::Reason};

/// Expands the texts of each table `name` that asks for it. Returns for each table whether it is whole. With
/// `may_lack`, a variable that is not set is no error, but its table is not whole.
pub(crate) fn expand(
    document: &mut Document<'_>,
    name: &str,
    environment: &Environment,
    may_lack: bool,
) -> Result<Vec<bool>, Reason> {
    let mut are_whole = Vec::new();
    for table in document.tables_mut(name) {
        are_whole.push(true);
        if !is_asked_for(table) {
            continue;
        }
        if may_lack && table.values().any(|value| lacks(value.get_ref(), environment)) {
            are_whole.pop();
            are_whole.push(false);
            continue;
        }
        for (key, value) in table.iter_mut() {
            expand_value(value, key.get_ref(), environment).map_err(|reason| match name {
                // A text of any other table may be a password.
                "template" => reason,
                _ => reason.without_form(key.get_ref()),
            })?;
        }
    }
    Ok(are_whole)
}

/// Whether a text in the value names a variable that is not set.
fn lacks(value: &DeValue<'_>, environment: &Environment) -> bool {
    match value {
        DeValue::String(text) => matches!(expanded(text, environment), Err(Fault::NotSet(_))),
        DeValue::Array(elements) => {
            elements.iter().any(|element| lacks(element.get_ref(), environment))
        }
        DeValue::Table(table) => table.values().any(|value| lacks(value.get_ref(), environment)),
        _ => false,
    }
}

fn is_asked_for(table: &DeTable<'_>) -> bool {
    let mut switches =
        table.iter().filter(|(key, _)| key.get_ref().eq_ignore_ascii_case(keys::EXPAND_ENV.name));
    switches.any(|(_, value)| matches!(value.get_ref(), DeValue::Boolean(true)))
}

/// Expands a text, or the texts in a list or a table. `key` is the key of the resource.
fn expand_value(
    value: &mut Spanned<DeValue<'_>>,
    key: &str,
    environment: &Environment,
) -> Result<(), Reason> {
    let offset = value.span().start;
    match value.get_mut() {
        DeValue::String(text) if text.contains('$') => {
            *text = expanded(text, environment).map_err(|fault| fault.at(key, offset))?.into();
        }
        DeValue::Array(elements) => {
            for element in elements.iter_mut() {
                expand_value(element, key, environment)?;
            }
        }
        DeValue::Table(table) => {
            for (_, value) in table.iter_mut() {
                expand_value(value, key, environment)?;
            }
        }
        _ => {}
    }
    Ok(())
}

impl Reason {
    /// The same reason, without the text that has the wrong form.
    fn without_form(self, key: &str) -> Self {
        match self.text.ends_with(WRONG_FORM) {
            true => {
                Reason { text: format!("{key}: a text that begins with ${{{WRONG_FORM}"), ..self }
            }
            false => self,
        }
    }
}

/// The end of the error about a text that begins with `${` and has no right form.
const WRONG_FORM: &str = " is not ${NAME} or ${NAME:-default}";

/// Why a text cannot be expanded.
#[derive(Debug, PartialEq, Eq)]
enum Fault<'t> {
    /// The variable is not set, and has no default.
    NotSet(&'t str),
    /// The value of the variable is not UTF-8.
    NoText(&'t str),
    /// This begins with `${` and is none of the forms.
    Form(&'t str),
}

impl Fault<'_> {
    fn at(&self, key: &str, offset: usize) -> Reason {
        let (why, hint) = match self {
            Fault::NotSet(name) => (
                format!("the variable {name} is not set"),
                format!("${{{name}:-default}} has a default; $${{{name}}} is left for the shell"),
            ),
            Fault::NoText(name) => (
                format!("the value of the variable {name} is not UTF-8"),
                "a resource file is UTF-8, and so are the values in it".to_owned(),
            ),
            Fault::Form(text) => (
                format!("{text}{WRONG_FORM}"),
                "$${ is for the shell what ${ is elsewhere".to_owned(),
            ),
        };
        Reason::new(format!("{key}: {why}"), Some(offset)).hinting(Some(hint))
    }
}

/// The text with the values of the variables that it names.
fn expanded<'t>(text: &'t str, environment: &Environment) -> Result<String, Fault<'t>> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = match after.as_bytes() {
            [b'$', ..] => {
                expanded.push('$');
                &after[1..]
            }
            [b'{', ..] => {
                let whole = &rest[before.len()..];
                let end = whole.find('}').ok_or(Fault::Form(whole))?;
                expanded.push_str(&value(&whole[..=end], environment)?);
                &whole[end + 1..]
            }
            _ => {
                expanded.push('$');
                after
            }
        };
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The value of a reference, from its dollar to its brace.
fn value<'t>(reference: &'t str, environment: &Environment) -> Result<String, Fault<'t>> {
    let inside = &reference[2..reference.len() - 1];
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_letter = |c: char| c == '_' || c.is_ascii_alphabetic();
    let is_name =
        name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit());
    // A default ends at the first brace, so it can have no reference of its own.
    if !is_name || default.is_some_and(|default| default.contains("${")) {
        return Err(Fault::Form(reference));
    }
    match (environment.variable(name.as_bytes()), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => String::from_utf8(value.into()).map_err(|_| Fault::NoText(name)),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Fault::NotSet(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment::new(|name| match name {
            b"SITE" => Some("blue".into()),
            b"_2" => Some("two".into()),
            b"EMPTY" => Some("".into()),
            b"RAW" => Some(vec![0xff].into()),
            _ => None,
        })
    }

    #[test]
    fn variables_defaults_and_dollars_are_expanded_and_the_shells_words_stay() {
        for (text, expected) in [
            ("", ""),
            ("/etc/${SITE}/a", "/etc/blue/a"),
            ("${SITE}${_2}", "bluetwo"),
            ("${NO:-x}${EMPTY:-y}${SITE:-z}${NO:-}", "xyblue"),
            ("[${EMPTY}]", "[]"),
            ("${NO:-a:-b}", "a:-b"),
            ("$$ $${SITE} $$$$", "$ ${SITE} $$"),
            ("$SITE $1 $( $", "$SITE $1 $( $"),
            ("é${SITE}é$é", "éblueé$é"),
        ] {
            assert_eq!(expanded(text, &environment()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_is_named() {
        for (text, fault) in [
            ("a${NO}", Fault::NotSet("NO")),
            ("${RAW}", Fault::NoText("RAW")),
            ("a${SITE", Fault::Form("${SITE")),
            ("${}", Fault::Form("${}")),
            ("${1}", Fault::Form("${1}")),
            ("${SITE%x} b", Fault::Form("${SITE%x}")),
            ("${SITE:-${NO}}", Fault::Form("${SITE:-${NO}")),
        ] {
            assert_eq!(expanded(text, &environment()), Err(fault), "{text}");
        }
    }
}
