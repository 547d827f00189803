//! A command line, in the syntax of Go's package `flag`.
//!
//! Go accepts `-x`, `--x`, `-x=v` and `-x v`. It gives a switch a value only after `=`, and stops
//! at the first word that is not a flag. clap and similar libraries cannot do that, so [`read`]
//! walks over the words itself, guided by a table of options. Error texts are Go's, because scripts
//! depend on them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::{Kind, Layer, Spec, Value, gobool, goint};

/// What a command line gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The values of the flags.
    pub given: Layer,
    /// The words from the first one that is no flag. The `--` that ends the flags is not among them.
    pub rest: Vec<OsString>,
    /// Whether `--` ended the flags.
    pub ended_by_dashes: bool,
}

/// Why a command line was not read to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// `-h` or `-help` asks for the usage text.
    Help,
    /// There is no flag with this name.
    Unknown(String),
    /// Another mistake, in the words of Go's package `flag`.
    Wrong(String),
}

impl Stop {
    /// The line that Go prints before the usage text; `None` where it prints only that text.
    pub fn line(&self) -> Option<String> {
        match self {
            Stop::Help => None,
            Stop::Unknown(name) => Some(format!("flag provided but not defined: -{name}")),
            Stop::Wrong(line) => Some(line.clone()),
        }
    }
}

/// Reads the words after the program's name. `find` has the options by their names.
///
/// # Errors
/// The words ask for help, or one of them is wrong.
pub fn read(
    words: impl IntoIterator<Item = OsString>,
    find: impl Fn(&str) -> Option<&'static Spec>,
) -> Result<Line, Stop> {
    let (mut words, mut line) = (words.into_iter(), Line::default());
    while let Some(word) = words.next() {
        let Some(body) = body(&word)? else {
            line.ended_by_dashes = word == "--";
            line.rest.extend(Some(word).filter(|word| word != "--"));
            line.rest.extend(words);
            break;
        };
        let (name, value) = match body.iter().position(|&byte| byte == b'=') {
            Some(at) => (&body[..at], Some(OsStr::from_bytes(&body[at + 1..]).to_os_string())),
            None => (body, None),
        };
        let Some(option) = std::str::from_utf8(name).ok().and_then(&find) else {
            return Err(match name {
                b"h" | b"help" => Stop::Help,
                name => Stop::Unknown(String::from_utf8_lossy(name).into_owned()),
            });
        };
        let value = match (option.kind, value) {
            (Kind::Switch, None) => Value::Switch(true),
            (_, Some(value)) => typed(option, value)?,
            (_, None) => {
                let missing = || Stop::Wrong(format!("flag needs an argument: -{}", option.name));
                typed(option, words.next().ok_or_else(missing)?)?
            }
        };
        line.given.set(option, value);
    }
    Ok(line)
}

/// The text behind the dashes of a flag. `None` means that the flags end here.
fn body(word: &OsStr) -> Result<Option<&[u8]>, Stop> {
    let bytes = word.as_bytes();
    let body = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"));
    match body {
        // A word that is no flag, a lone `-`, or the `--` that ends the flags.
        None | Some([]) => Ok(None),
        Some([b'-' | b'=', ..]) => Err(Stop::Wrong(format!("bad flag syntax: {}", word.display()))),
        body => Ok(body),
    }
}

/// Reads `text` as the value of the flag `option`.
fn typed(option: &Spec, text: OsString) -> Result<Value, Stop> {
    let quoted = || gotmpl::quote(text.as_bytes());
    let name = option.name;
    match option.kind {
        Kind::Switch => text.to_str().and_then(gobool::parse).map(Value::Switch).ok_or_else(|| {
            let quoted = quoted();
            Stop::Wrong(format!("invalid boolean value {quoted} for -{name}: parse error"))
        }),
        Kind::Number(_) => {
            let number = text.to_str().map_or(Err(goint::Fault::Syntax), goint::signed);
            number.map(Value::Number).map_err(|fault| {
                let fault = match fault {
                    goint::Fault::Syntax if has_unit(&text) => {
                        "parse error (a number without a unit, such as 600)"
                    }
                    goint::Fault::Syntax => "parse error",
                    goint::Fault::Range => "value out of range",
                };
                Stop::Wrong(format!("invalid value {} for flag -{name}: {fault}", quoted()))
            })
        }
        Kind::Text(_) => Ok(Value::Text(text)),
        Kind::List => Ok(Value::List(vec![text])),
    }
}

/// Whether a text is probably a number with a unit, such as `10s`.
fn has_unit(text: &OsStr) -> bool {
    let (first, last) = (text.as_bytes().first(), text.as_bytes().last());
    first.is_some_and(u8::is_ascii_digit) && last.is_some_and(u8::is_ascii_alphabetic)
}

/// The lines of the usage text about these options, in the layout of Go's package `flag`.
pub fn described<'a>(options: impl IntoIterator<Item = &'a Spec>) -> String {
    let mut text = String::new();
    for Spec { name, kind, help, .. } in options {
        let (word, default) = match kind {
            Kind::Switch => ("", String::new()),
            Kind::Number(0) => (" int", String::new()),
            Kind::Number(number) => (" int", format!(" (default {number})")),
            Kind::Text("") => (" string", String::new()),
            Kind::Text(default) => (" string", format!(" (default {default:?})")),
            Kind::List => (" value", String::new()),
        };
        text += &format!("  -{name}{word}\n    \t{help}{default}\n");
    }
    text
}
