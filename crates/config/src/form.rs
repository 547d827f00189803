//! Hints for TOML that is malformed or has a value of the wrong type: how it is written.
//!
//! Hints are made from the text of the file around the fault, and never from the words of the
//! parser's message, which can change with each version of the parser.

use toml::de::DeValue;

use crate::keys::{self, Kind};

/// How something is written, in words and as an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Form {
    /// The rule, without anything that the file contains except the key.
    rule: String,
    /// The user's own text, written in the right way.
    example: Option<String>,
    /// An example in which nothing of the user's text stands.
    blank: Option<String>,
}

impl Form {
    fn new(rule: impl Into<String>) -> Self {
        Form { rule: rule.into(), example: None, blank: None }
    }

    fn such_as(self, example: impl Into<String>) -> Self {
        Form { example: Some(example.into()), ..self }
    }

    /// The rule and the example. The example shows a value of the file.
    pub(crate) fn hint(&self) -> String {
        match &self.example {
            Some(example) => format!("{}: {example}", self.rule),
            None => self.rule.clone(),
        }
    }

    /// The rule and an example without the user's text, for files that can contain passwords.
    pub(crate) fn without_value(&self) -> String {
        match &self.blank {
            Some(blank) => format!("{}: {blank}", self.rule),
            None => self.rule.clone(),
        }
    }
}

/// The right form for the value `found` at `key`, whose type is not `wanted`: one of Go's words
/// `string`, `integer`, `boolean` and `slice`.
pub(crate) fn of_type(key: &str, wanted: &str, found: &DeValue<'_>) -> Option<Form> {
    let form = match (wanted, found) {
        ("string", DeValue::Integer(number)) if is_mode(key) => {
            let digits = number.as_str().trim_start_matches('0');
            Form::new(format!("{key} is text")).such_as(format!("{key} = \"0{digits}\""))
        }
        ("string", DeValue::Integer(number)) if matches!(kind(key), Some(Kind::Percentage)) => {
            Form::new(format!("{key} is text with %"))
                .such_as(format!("{key} = \"{}%\"", number.as_str()))
        }
        ("string", DeValue::Integer(number)) if is_time(key) => {
            Form::new(format!("{key} is text with a unit"))
                .such_as(format!("{key} = \"{}s\"", number.as_str()))
        }
        ("string", DeValue::Array(elements)) => {
            let texts = elements.iter().map(|element| element.get_ref().as_str());
            let texts = texts.collect::<Option<Vec<_>>>().unwrap_or_default();
            let form = Form::new(format!("{key} is one text"));
            match texts.as_slice() {
                [] => form,
                [text, ..] if !key.ends_with("_cmd") => form.such_as(assigned(key, text)),
                words => form.such_as(assigned(key, &words.join(" "))),
            }
        }
        ("string", DeValue::Integer(number)) => {
            Form::new(format!("{key} is text")).such_as(assigned(key, number.as_str()))
        }
        ("string", DeValue::Boolean(flag)) => {
            Form::new(format!("{key} is text")).such_as(assigned(key, &flag.to_string()))
        }
        ("string", _) => Form::new(format!("{key} is text, which stands in quotes")),
        ("integer", DeValue::String(text)) => {
            let form = Form::new(format!("{key} is a number, without quotes"));
            match text.parse::<i64>() {
                Ok(number) => form.such_as(format!("{key} = {number}")),
                Err(_) => form,
            }
        }
        ("integer", _) => Form::new(format!("{key} is a whole number")),
        ("boolean", found) => {
            let form = Form::new(format!("{key} is true or false, without quotes"));
            match found.as_str().map(str::to_lowercase).as_deref() {
                Some(word @ ("true" | "false")) => form.such_as(format!("{key} = {word}")),
                _ => form,
            }
        }
        ("slice", DeValue::String(text)) => {
            let form = Form::new(format!("{key} is a list"));
            let blank = Some(format!("{key} = [\"…\"]"));
            Form { blank, ..form.such_as(format!("{key} = [{}]", quoted(text))) }
        }
        ("slice", _) => Form::new(format!("{key} is a list of texts, each in quotes")),
        _ => return None,
    };
    Some(form)
}

/// The right form for the malformed TOML at byte `offset` of `text`.
pub(crate) fn of_syntax(text: &str, offset: usize) -> Option<Form> {
    let (before, after) = text.split_at_checked(offset)?;
    let before = before.rsplit('\n').next().unwrap_or_default();
    let after = after.split('\n').next().unwrap_or_default().trim_end();
    let (key, value) = match before.split_once('=') {
        Some((key, value)) => (key.trim(), value.trim_start()),
        None => (before.trim(), ""),
    };
    let is_value = before.contains('=');
    let whole = after.split(['#', '"', '\'']).next().unwrap_or_default().trim_end();
    let form = match after.chars().next() {
        Some(':') if !is_value && !key.is_empty() => Form::new("TOML has = between key and value"),
        Some(',') if is_value && value.starts_with(['"', '\'']) => {
            Form::new("a list stands in brackets").such_as(format!("[{value}{after}]"))
        }
        Some('0') if is_value && value.is_empty() && is_mode(key) => {
            Form::new("a mode stands in quotes").such_as(assigned(key, whole))
        }
        Some('0') if is_value && value.is_empty() => Form::new("a number begins with no 0"),
        Some('“' | '”' | '„' | '‘' | '’' | '«' | '»' | '`') if is_value => {
            let inner = after.trim_matches(|c: char| !c.is_ascii() || c == '`');
            let form = Form::new("text stands between straight quotes");
            if value.is_empty() { form.such_as(assigned(key, inner)) } else { form }
        }
        _ if before.ends_with('\\') && value.starts_with('"') => {
            Form::new("between \"…\", a backslash begins an escape: write \\\\, or use '…'")
        }
        Some(c) if value.ends_with('"') && value.len() > 1 && !c.is_whitespace() => {
            Form::new("the text ends at its second quote: use '…' around a text with \"")
        }
        Some(c) if value.ends_with('\'') && value.len() > 1 && !c.is_whitespace() => {
            Form::new("the text ends at its second quote: use \"…\" around a text with '")
        }
        None if value.starts_with(['"', '\'']) => Form::new("the closing quote is missing"),
        Some('a'..='z' | 'A'..='Z' | '/' | '~' | '$' | '.' | '%' | '*') if is_value => {
            if value.is_empty() {
                Form::new("text stands in quotes").such_as(assigned(key, whole))
            } else if value.starts_with('[') {
                let element = whole.split([',', ']']).next().unwrap_or_default().trim_end();
                Form::new("text stands in quotes").such_as(quoted(element))
            } else {
                return None;
            }
        }
        _ => return None,
    };
    Some(form)
}

/// What the values of `key` are, if it is a key of a resource.
fn kind(key: &str) -> Option<Kind> {
    keys::find(key).map(|key| key.kind)
}

/// Whether the value of `key` is a mode.
fn is_mode(key: &str) -> bool {
    matches!(kind(key), Some(Kind::Mode))
}

/// Whether the value of `key`, of a resource or of `confd.toml`, is a duration.
fn is_time(key: &str) -> bool {
    matches!(kind(key), Some(Kind::Duration))
        || key.ends_with("timeout")
        || key.ends_with("interval")
}

/// The line that sets `key` to `text`.
fn assigned(key: &str, text: &str) -> String {
    format!("{key} = {}", quoted(text))
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) && !text.contains('\'') {
        format!("'{text}'")
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
