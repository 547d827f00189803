//! The functions that people know from sprig, from Helm and from Terraform, for templates of all
//! programs.
//!
//! They are written once, over the values of Go templates. [`each`] shows all of them to its caller,
//! with the names of their arguments. consul-template registers them as `sprig_…`, exactly as sprig has
//! them. confd makes those that a template names, in both of its languages. Where sprig and confd
//! differ, one name has two definitions: [`Of`] says whose each is.
//!
//! The functions take values of any type where Go's take `interface {}`, and convert them as sprig does:
//! what cannot be converted is zero.

mod dates;
mod decimal;
mod documents;
pub mod expression;
mod lists;
mod logic;
mod machine;
mod maps;
mod networks;
mod numbers;
mod regexps;
mod semver;
mod text;
mod urls;
pub mod values;
mod words;

use std::sync::OnceLock;

use bytes::Bytes;
use gotmpl::{Definition, Native, Value};
use world::Host;

use values::lossy;

pub use maps::merge;

/// What a function can ask: the machine.
pub type Machine = dyn Host;

/// Whose function it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The same function in all programs.
    All,
    /// Only of sprig: confd has another function of this name, or none.
    Sprig,
    /// Only of confd.
    Confd,
}

/// A function as [`each`] shows it.
pub struct Entry<'a> {
    /// The name.
    pub name: &'static str,
    /// Whose function it is.
    pub of: Of,
    /// The names of the arguments, with blanks between them: `regex |text count`. A bar marks the
    /// argument that a filter is applied to. Behind the last one, `...` says that there can be any
    /// number of it.
    pub parameters: &'static str,
    make: &'a mut dyn FnMut() -> Definition<Machine>,
}

impl Entry<'_> {
    /// Makes the function.
    pub fn make(self) -> Definition<Machine> {
        (self.make)()
    }
}

/// Shows each function to `visit`.
pub fn each(visit: &mut dyn FnMut(Entry<'_>)) {
    let mut library = Library(visit);
    text::add(&mut library);
    words::add(&mut library);
    numbers::add(&mut library);
    lists::add(&mut library);
    maps::add(&mut library);
    logic::add(&mut library);
    regexps::add(&mut library);
    semver::add(&mut library);
    dates::add(&mut library);
    urls::add(&mut library);
    documents::add(&mut library);
    networks::add(&mut library);
    machine::add(&mut library);
}

/// The names of confd's functions, without second names such as `mustToJson`.
pub fn names() -> impl Iterator<Item = &'static str> {
    table().iter().filter(|(name, canonical)| name == canonical).map(|(name, _)| *name)
}

/// All names of confd's functions, each with the name of the function that it stands for. Sprig has two
/// functions of many names: the one with `must` fails where the other one hides an error. confd's
/// functions never hide one, and have both names.
pub(crate) fn table() -> &'static [(&'static str, &'static str)] {
    static TABLE: OnceLock<Vec<(&str, &str)>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let (mut names, mut second) = (Vec::new(), Vec::new());
        each(&mut |entry| match entry.name.starts_with(MUST) {
            true => second.push(entry.name),
            false if entry.of != Of::Sprig => names.push((entry.name, entry.name)),
            false => {}
        });
        names.sort_unstable();
        for name in second {
            // `mustToJson` is `toJson`.
            let rest = &name[MUST.len()..];
            let canonical =
                |known: &str| known.eq_ignore_ascii_case(rest) && known[1..] == rest[1..];
            if let Some((canonical, _)) = names.iter().find(|(known, _)| canonical(known)) {
                names.push((name, canonical));
            }
        }
        names.sort_unstable();
        names
    })
}

/// What the second name of a function begins with.
const MUST: &str = "must";

/// confd's function called `name`: the names of its arguments, as [`Entry::parameters`] has them, and
/// the function.
pub(crate) fn find(name: &str) -> Option<(&'static str, Definition<Machine>)> {
    let names = table();
    let place = names.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    let (_, canonical) = names[place];
    let mut found = None;
    each(&mut |entry| {
        if entry.name == canonical && entry.of != Of::Sprig {
            found = Some((entry.parameters, entry.make()));
        }
    });
    found
}

/// Whether confd knows this name as the second one of a function.
pub(crate) fn is_second_name(name: &str) -> bool {
    name.starts_with(MUST) && table().iter().any(|(known, _)| *known == name)
}

/// Whether the result of confd's function `name` depends on nothing but its arguments.
pub(crate) fn is_pure(name: &str) -> bool {
    let table = table();
    let place = table.binary_search_by(|(known, _)| (*known).cmp(name));
    // These ask the machine: for the time, its zone, its name and its addresses.
    let asks = [
        "now",
        "ago",
        "date",
        "htmlDate",
        "durationRound",
        "toDate",
        "hostname",
        "lookupIfaceIPV4",
        "lookupIfaceIPV6",
    ];
    place.is_ok_and(|place| !asks.contains(&table[place].1))
}

/// Gets each function from the module that has it.
struct Library<'v>(&'v mut dyn FnMut(Entry<'_>));

impl Library<'_> {
    /// A function of all programs.
    fn add<P, F>(&mut self, name: &'static str, parameters: &'static str, function: F)
    where
        F: Native<Machine, P>,
    {
        self.show(name, Of::All, parameters, function);
    }

    /// A function of sprig that confd does not have under this name.
    fn add_sprig<P, F: Native<Machine, P>>(&mut self, name: &'static str, function: F) {
        self.show(name, Of::Sprig, "", function);
    }

    /// A function of confd that sprig does not have, or has otherwise.
    fn add_own<P, F>(&mut self, name: &'static str, parameters: &'static str, function: F)
    where
        F: Native<Machine, P>,
    {
        self.show(name, Of::Confd, parameters, function);
    }

    fn show<P, F>(&mut self, name: &'static str, of: Of, parameters: &'static str, function: F)
    where
        F: Native<Machine, P>,
    {
        let mut function = Some(function);
        let mut make = || {
            let function = function.take().expect("an entry is made once");
            Definition::new(function)
        };
        (self.0)(Entry { name, of, parameters, make: &mut make });
    }
}

/// The text of a value: a text as it is, anything else as Go prints it.
fn text_of(value: &Value) -> Bytes {
    match value {
        Value::String(text) => text.clone(),
        value => value.text(),
    }
}

/// The elements of a list as texts, without those that are nil. Any other value is one element.
fn texts_of(value: &Value) -> Vec<Bytes> {
    match value {
        Value::Slice(slice) => {
            let elements = slice.elements();
            elements.iter().filter(|element| !element.is_nil()).map(text_of).collect()
        }
        value if value.is_nil() => Vec::new(),
        value => vec![text_of(value)],
    }
}

/// The number that a value means; 0 if it means none. A text is a number as in Go's source.
fn to_int(value: &Value) -> i64 {
    match value {
        Value::Bool(value) => i64::from(*value),
        Value::Float(number) => truncated(*number),
        Value::Integer(_, bits) => bits.cast_signed(),
        Value::String(text) => {
            let text = lossy(text);
            let whole = match text.split_once('.') {
                Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
                _ => &text,
            };
            int_literal(whole).unwrap_or(0)
        }
        value => value.as_i64().unwrap_or(0),
    }
}

/// The whole part of a number, as amd64 has it: numbers that do not fit are the smallest integer.
fn truncated(number: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if (-END..END).contains(&number) { number as i64 } else { i64::MIN }
}

/// An integer with the prefixes and the underscores of Go's literals.
fn int_literal(text: &str) -> Option<i64> {
    let bare = text.replace('_', "");
    let is_between = !text.starts_with('_') && !text.ends_with('_') && !text.contains("__");
    let text = if is_between { &bare } else { text };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match digits.get(..2).unwrap_or_default() {
        "0x" | "0X" => (16, &digits[2..]),
        "0b" | "0B" => (2, &digits[2..]),
        "0o" | "0O" => (8, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}

/// The number that a value means; 0 if it means none.
fn to_float(value: &Value) -> f64 {
    match value {
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Float(number) => *number,
        Value::String(text) => float(&lossy(text)).unwrap_or(0.0),
        Value::Integer(ty, bits) if !ty.signed => *bits as f64,
        value => value.as_i64().map_or(0.0, |number| number as f64),
    }
}

/// A number as Go reads it: also in hexadecimal, and with underscores between digits.
pub fn float(text: &str) -> Result<f64, &'static str> {
    let bare = text.replace('_', "");
    let unsigned = bare.strip_prefix(['+', '-']).unwrap_or(&bare);
    let sign = if bare.starts_with('-') { -1.0 } else { 1.0 };
    if let Some(digits) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        return hexadecimal(digits).map(|number| sign * number).ok_or("invalid syntax");
    }
    let number: f64 = bare.parse().map_err(|_| "invalid syntax")?;
    let is_written = unsigned.starts_with(|c: char| c.is_ascii_alphabetic());
    if number.is_infinite() && !is_written { Err("value out of range") } else { Ok(number) }
}

/// A hexadecimal number with an exponent: `1.8p3`.
fn hexadecimal(digits: &str) -> Option<f64> {
    let (digits, exponent) = digits.split_once(['p', 'P'])?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mantissa = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    let exponent: i32 = exponent.parse().ok()?;
    Some(mantissa as f64 * 2_f64.powi(exponent.checked_sub(places.checked_mul(4)?)?))
}

/// Digits of a hash.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
