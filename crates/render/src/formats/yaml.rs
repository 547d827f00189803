//! YAML, as version 2 of Go's library reads and writes it.

use crate::GoTime;
use ::yaml::{Node, NodeId, Scalar, Top, Tree};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gotmpl::types::{KeyType, UINT64};
use gotmpl::{Failure, Map, Slice, Value};

use super::json::RFC3339;
use crate::library::values::{quoting, shallow, type_of};

/// How deeply a document may nest where its nodes become values.
const DEEPEST: usize = 500;
/// The most values of a document, whose aliases can repeat the same nodes.
const MOST: usize = 1_000_000;

/// The value of a YAML text. An empty text is an empty map.
///
/// # Errors
/// The text is no YAML.
pub fn parse(text: &Bytes) -> Result<Value, Failure> {
    if text.is_empty() {
        return Ok(Value::Map(Map::values(Vec::new())));
    }
    let tree = ::yaml::read(text, Top::Any).map_err(|error| quoting(&error.to_string(), text))?;
    let mut left = MOST;
    tree.root().map_or(Ok(Value::Nil), |root| value_of(&tree, root, 0, &mut left))
}

fn value_of(tree: &Tree, id: NodeId, depth: usize, left: &mut usize) -> Result<Value, Failure> {
    *left = left.checked_sub(1).ok_or_else(|| Failure::new("yaml: too many values"))?;
    if depth > DEEPEST {
        return Err(Failure::new(format!("yaml: nested more than {DEEPEST} deep")));
    }
    Ok(match tree.node(id) {
        Node::Scalar(Scalar::Null) => Value::Nil,
        Node::Scalar(Scalar::Bool(value)) => Value::Bool(*value),
        Node::Scalar(Scalar::Int(number)) => Value::Int(*number),
        Node::Scalar(Scalar::Unsigned(number)) => Value::Integer(&UINT64, *number),
        Node::Scalar(Scalar::Float(number)) => Value::Float(*number),
        Node::Scalar(Scalar::Text(text)) => Value::String(text.clone()),
        Node::Sequence(items) => {
            let items = items.iter().map(|item| value_of(tree, *item, depth + 1, left));
            Value::Slice(Slice::of(&gotmpl::types::VALUES, items.collect::<Result<_, _>>()?))
        }
        Node::Mapping(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                Ok::<_, Failure>((key.clone(), value_of(tree, *value, depth + 1, left)?))
            });
            Value::Map(Map::values(entries.collect::<Result<_, _>>()?))
        }
    })
}

/// The YAML text of a value, without the line end after it.
///
/// # Errors
/// The value has no YAML form.
pub fn text(value: &Value) -> Result<String, Failure> {
    shallow(value)?;
    let mut out = String::new();
    node(&mut out, value, 0, false)?;
    Ok(out.trim().to_owned())
}

/// Writes a value behind `key:` or `-` or at the beginning of the text, and ends the line.
/// `is_element` is true behind `-`.
fn node(out: &mut String, value: &Value, depth: usize, is_element: bool) -> Result<(), Failure> {
    if let Some(members) = members(value) {
        for (nth, (key, value)) in members.into_iter().enumerate() {
            if nth > 0 || !is_element {
                indent(out, depth);
            }
            match key {
                Name::Text(text) if text.len() > LONGEST_KEY || text.contains('\n') => {
                    out.push_str("? ");
                    let place = Place::behind(out, depth + 1);
                    out.push_str(&scalar_text(&text, &place));
                    end(out);
                    indent(out, depth);
                    out.push(':');
                    behind_dash(out, &value, depth)?;
                    continue;
                }
                Name::Text(text) => {
                    let place = Place { may_break: false, ..Place::behind(out, depth) };
                    out.push_str(&scalar_text(&text, &place));
                }
                Name::Number(digits) => out.push_str(&digits),
            }
            out.push(':');
            behind_key(out, &value, depth)?;
        }
        return Ok(());
    }
    match value {
        Value::Slice(slice) if !slice.is_empty() => {
            let elements = slice.elements().to_vec();
            for (nth, element) in elements.iter().enumerate() {
                if nth > 0 || !is_element {
                    indent(out, depth);
                }
                out.push('-');
                behind_dash(out, element, depth)?;
            }
        }
        value => {
            out.push_str(&scalar(value, &Place::behind(out, depth))?);
            end(out);
        }
    }
    Ok(())
}

fn behind_key(out: &mut String, value: &Value, depth: usize) -> Result<(), Failure> {
    match value {
        value if is_block(value) => {
            out.push('\n');
            node(out, value, depth + 1, false)
        }
        // A list is not indented below its key.
        Value::Slice(slice) if !slice.is_empty() => {
            out.push('\n');
            node(out, value, depth, false)
        }
        value => {
            out.push(' ');
            out.push_str(&scalar(value, &Place::behind(out, depth + 1))?);
            end(out);
            Ok(())
        }
    }
}

fn behind_dash(out: &mut String, value: &Value, depth: usize) -> Result<(), Failure> {
    out.push(' ');
    match value {
        value if is_block(value) => node(out, value, depth + 1, true),
        Value::Slice(slice) if !slice.is_empty() => node(out, value, depth + 1, true),
        value => {
            out.push_str(&scalar(value, &Place::behind(out, depth + 1))?);
            end(out);
            Ok(())
        }
    }
}

fn end(out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn lossy(text: &Bytes) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// The key of an entry.
enum Name {
    Text(String),
    Number(String),
}

impl Name {
    fn text(&self) -> &str {
        let (Name::Text(text) | Name::Number(text)) = self;
        text
    }
}

/// Whether a value is written as a line for each of its entries.
fn is_block(value: &Value) -> bool {
    match value {
        Value::Map(map) => !map.is_empty(),
        Value::Struct(_) => true,
        Value::Pointer(pointer) => pointer.target().is_some(),
        _ => false,
    }
}

/// What is written for a value that [is a block](is_block): the entries of a map in Go's order of
/// keys, which compares numbers in them as numbers, or the fields of a struct.
fn members(value: &Value) -> Option<Vec<(Name, Value)>> {
    let record = match value {
        Value::Map(map) if !map.is_empty() => {
            let key = map.ty().key;
            let entries = map.entries();
            let named = entries.iter().map(|(name, value)| {
                let text = lossy(&key.text(name));
                let name = if key == KeyType::Int { Name::Number(text) } else { Name::Text(text) };
                (name, value.clone())
            });
            let mut members: Vec<_> = named.collect();
            members.sort_by(|(a, _), (b, _)| natural(a.text(), b.text()));
            return Some(members);
        }
        Value::Struct(record) => record,
        Value::Pointer(pointer) => pointer.target()?,
        _ => return None,
    };
    let fields = record.ty().fields.iter().zip(record.fields());
    Some(fields.map(|(f, value)| (Name::Text(f.name.to_lowercase()), value.clone())).collect())
}

/// The order of two keys: digits as numbers, letters behind everything else.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut place = 0;
    while place < a.len() && place < b.len() {
        let (x, y) = (a[place], b[place]);
        if x == y {
            place += 1;
            continue;
        }
        let (x_letter, y_letter) = (x.is_alphabetic(), y.is_alphabetic());
        if x_letter && y_letter {
            return x.cmp(&y);
        }
        if x_letter || y_letter {
            return x_letter.cmp(&y_letter);
        }
        let number = |text: &[char]| {
            let mut from = place;
            while from > 0 && text[from - 1].is_ascii_digit() {
                from -= 1;
            }
            let digits = text[from..].iter().take_while(|c| c.is_ascii_digit()).collect::<String>();
            (digits.len().max(1), digits.parse::<u128>().unwrap_or(0))
        };
        let ((a_len, a_number), (b_len, b_number)) = (number(&a), number(&b));
        return a_number.cmp(&b_number).then(a_len.cmp(&b_len)).then(x.cmp(&y));
    }
    a.len().cmp(&b.len())
}

fn scalar(value: &Value, place: &Place) -> Result<String, Failure> {
    Ok(match value {
        Value::String(text) => match std::str::from_utf8(text) {
            Ok(text) => scalar_text(text, place),
            Err(_) => format!("!!binary {}", STANDARD.encode(text)),
        },
        Value::Float(number) if number.is_nan() => ".nan".to_owned(),
        Value::Float(number) if number.is_infinite() => {
            if *number > 0.0 {
                ".inf".to_owned()
            } else {
                "-.inf".to_owned()
            }
        }
        Value::Bool(_) | Value::Int(_) | Value::Integer(..) | Value::Float(_) => {
            lossy(&value.text())
        }
        Value::Map(_) => "{}".to_owned(),
        Value::Slice(_) => "[]".to_owned(),
        value if value.is_nil() => "null".to_owned(),
        value if let Some(time) = GoTime::of(value) => {
            String::from_utf8_lossy(&time.format(RFC3339)).into_owned()
        }
        value => {
            return Err(Failure::new(format!("toYAML: cannot marshal type: {}", type_of(value))));
        }
    })
}

/// A text as a scalar: plain if it means itself, in quotes, or as a block of lines.
fn scalar_text(text: &str, place: &Place) -> String {
    if !text.chars().all(is_printable) {
        return folded(text, Style::Double, place);
    }
    if text.contains('\n') {
        if text.contains(" \n") || text.ends_with(' ') {
            return folded(text, Style::Double, place);
        }
        return lines(text, place.depth);
    }
    if means_something_else(text) {
        return folded(text, Style::Double, place);
    }
    let style = if is_plain(text) { Style::Plain } else { Style::Single };
    folded(text, style, place)
}

/// Whether the library of consul-template writes a character as it is.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{fffd}') && c != '\u{feff}'
}

/// A text of several lines, as a block.
fn lines(text: &str, depth: usize) -> String {
    let content = text.trim_end_matches('\n');
    let breaks = text.len() - content.len();
    let hint = if text.starts_with([' ', '\n']) { "2" } else { "" };
    let chomp = match breaks {
        0 => "-",
        1 if !content.is_empty() => "",
        _ => "+",
    };
    let indent = "  ".repeat(depth.max(1));
    let mut out = format!("|{hint}{chomp}");
    for line in content.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&indent);
            out.push_str(line);
        }
    }
    out.extend(std::iter::repeat_n('\n', breaks));
    out
}

/// Whether a plain scalar with this text is no text: a number, a date, a boolean.
fn means_something_else(text: &str) -> bool {
    const WORDS: [&str; 27] = [
        "", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off",
        "Off", "OFF", "true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL",
        "~",
    ];
    if WORDS.contains(&text) || matches!(text, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN")
    {
        return true;
    }
    let plain = text.replace('_', "");
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let digits = |prefix: &str, base: u32| {
        unsigned
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(base)))
    };
    if digits("0x", 16) || digits("0b", 2) || digits("0o", 8) || digits("", 10) {
        return true;
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let begins = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if begins && unsigned.contains(|c: char| c.is_ascii_digit()) && plain.parse::<f64>().is_ok() {
        return true;
    }
    is_base_60(unsigned) || is_date(text)
}

/// Whether a text is a number of base 60, such as `1:30`.
fn is_base_60(text: &str) -> bool {
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    text.contains(':')
        && is_number(first)
        && parts.all(|part| {
            let part = part.split('.').next().unwrap_or_default();
            is_number(part) && part.len() <= 2 && part.parse::<u8>().is_ok_and(|number| number < 60)
        })
}

/// Whether a text begins with a date: four digits, and two parts of one or two digits.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let (year, month, rest) = (parts.next(), parts.next(), parts.next());
    let (Some(year), Some(month), Some(rest)) = (year, month, rest) else { return false };
    let is_number = |part: &str, longest: usize| {
        !part.is_empty() && part.len() <= longest && part.chars().all(|c| c.is_ascii_digit())
    };
    let day: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let after = rest.chars().nth(day.len());
    year.len() == 4
        && is_number(year, 4)
        && is_number(month, 2)
        && is_number(&day, 2)
        && matches!(after, None | Some('T' | 't' | ' '))
}

/// Whether a text of one line can stand without quotes.
fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let second = text.chars().nth(1);
    if text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    if ",[]{}#&*!|>'\"%@`".contains(first) {
        return false;
    }
    if matches!(first, '-' | '?' | ':') && second.is_none_or(|c| c == ' ' || c == '\t') {
        return false;
    }
    if first == ' ' || text.ends_with(' ') || text.contains(['\u{2028}', '\u{2029}']) {
        return false;
    }
    !text.contains(": ") && !text.ends_with(':') && !text.contains(" #")
}

/// How a text of one line is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
}

/// Where a scalar is written.
struct Place {
    /// The characters before it in its line.
    column: usize,
    /// The depth of its further lines.
    depth: usize,
    /// Whether it may have several lines.
    may_break: bool,
}

impl Place {
    /// The place at the end of `out`.
    fn behind(out: &str, depth: usize) -> Place {
        let line = out.rsplit('\n').next().unwrap_or_default();
        Place { column: line.chars().count(), depth, may_break: true }
    }
}

/// The column behind which a line ends at the next blank.
const WIDTH: usize = 80;

/// The longest key that stands before its colon, in bytes. A longer one, or one with several lines,
/// stands behind a question mark.
const LONGEST_KEY: usize = 128;

/// A text in a style. A line that is longer than [`WIDTH`] ends at a single blank, where a reader
/// joins the lines again.
fn folded(text: &str, style: Style, place: &Place) -> String {
    let quote = match style {
        Style::Plain => "",
        Style::Single => "'",
        Style::Double => "\"",
    };
    let mut out = String::from(quote);
    let mut column = place.column + quote.len();
    let indent = "  ".repeat(place.depth.max(1));
    let mut characters = text.chars().enumerate().peekable();
    let last = text.chars().count().saturating_sub(1);
    let mut is_behind_blank = false;
    while let Some((nth, c)) = characters.next() {
        if c != ' ' {
            let written = match style {
                Style::Double => escaped(c),
                Style::Single if c == '\'' => "''".to_owned(),
                _ => c.to_string(),
            };
            column += written.chars().count();
            out.push_str(&written);
            is_behind_blank = false;
            continue;
        }
        let is_before_blank = characters.peek().is_some_and(|(_, next)| *next == ' ');
        let is_inside = style == Style::Plain || nth > 0 && nth < last;
        if place.may_break
            && column > WIDTH
            && !is_behind_blank
            && is_inside
            && (style == Style::Double || !is_before_blank)
        {
            out.push('\n');
            out.push_str(&indent);
            column = indent.len();
            if is_before_blank {
                out.push('\\');
                column += 1;
            }
        } else {
            out.push(' ');
            column += 1;
        }
        is_behind_blank = true;
    }
    out + quote
}

/// A character in double quotes.
fn escaped(c: char) -> String {
    match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\0' => "\\0".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\u{1b}' => "\\e".to_owned(),
        '\u{85}' => "\\N".to_owned(),
        '\u{2028}' => "\\L".to_owned(),
        '\u{2029}' => "\\P".to_owned(),
        c if is_printable(c) => c.to_string(),
        c => match u32::from(c) {
            number @ ..=0xff => format!("\\x{number:02X}"),
            number @ ..=0xffff => format!("\\u{number:04X}"),
            number => format!("\\U{number:08X}"),
        },
    }
}
