//! Reads version 1 of HCL, HashiCorp's configuration language, and its JSON form.
//!
//! [`read`] is the whole interface: it takes the text of a file and gives its keys with their
//! values, each with its [`Place`]. The crate does no I/O and knows no program's keys.
//!
//! Programs of 2014 to 2019 have their configuration in this version: consul-template among them.
//! The crates that exist read version 2, which is another language: there `${…}` is evaluated,
//! `0644` is no octal number, `template { a = 1 b = 2 }` is an error on one line, and repeated keys
//! are refused.
//!
//! ```
//! let body = hcl::read("template {\n  source = \"a\" # comment\n  perms = 0644\n}\n")?;
//! let blocks = body.get("template").and_then(|found| found.value.as_blocks()).unwrap_or_default();
//! assert_eq!(blocks[0].get("perms").map(|found| &found.value), Some(&hcl::Value::Int(0o644)));
//!
//! let error = hcl::read("log_level = warn").unwrap_err();
//! assert_eq!(error.to_string(), "At 1:13: Unknown token: 1:13 IDENT warn");
//! # Ok::<(), hcl::Error>(())
//! ```
//!
//! # The language
//!
//! - A file is a list of entries. An entry is `key = value`, or a block: `key { … }`, or a block
//!   with labels: `key "label" { … }`, which means `key { label { … } }`. Keys and labels are words
//!   or quoted strings. A comma, a line end or nothing separates entries.
//! - A value is `true` or `false`, an integer (decimal, octal with a leading 0, hexadecimal with
//!   `0x`), a number with a point or an exponent, a string, a list, or an object in braces.
//! - A string stands in double quotes, with Go's escapes. `${…}` is kept as it is, and may contain
//!   quotes and line ends. A heredoc (`<<END`) is a string of whole lines; `<<-END` removes the
//!   indentation of the line that ends it from each line, if all lines have it.
//! - `#` and `//` begin a comment up to the end of the line; `/* … */` is one, too.
//! - A key that is repeated: blocks and the elements of lists are added to those before; of other
//!   values the last one counts.
//! - A text whose first character is `{` is JSON.

mod error;
mod heredoc;
mod json;
mod parse;
mod scan;
mod value;

pub use error::{Error, Place};
pub use value::{Body, Entry, Value};

/// How deeply lists and objects may nest.
const DEEPEST: usize = 256;

/// Reads the text of a file.
///
/// # Errors
/// The text is not HCL, or not JSON if it begins with `{`. Also if it nests more than 256 deep.
pub fn read(text: &str) -> Result<Body, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.trim_start().starts_with('{') {
        true => json::read(text),
        false => parse::read(text),
    }
}

#[cfg(test)]
mod tests;
