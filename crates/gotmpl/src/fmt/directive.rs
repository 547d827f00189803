//! `printf`: reads the format and prints each argument as its directive says.
//!
//! A directive is `%[flags][width][.precision]verb`. `*` takes the width or precision from the
//! arguments; `[n]` chooses the argument. A fault in a directive is reported inside of the text, as
//! `%!VERB(…)`, and the rest is printed.

use super::TooLarge;
use super::spec::Spec;
use super::walk::Printer;
use crate::unicode::{self, REPLACEMENT};
use crate::value::Value;

/// The largest width, precision or argument number.
const LARGEST: usize = 1_000_000;

/// Appends `format` with its directives replaced by `arguments`, as Go's `fmt.Printf` does.
///
/// # Errors
///
/// The text has more than `limit` bytes.
pub(crate) fn printf(
    out: &mut Vec<u8>,
    format: &[u8],
    arguments: &[Value],
    limit: usize,
) -> Result<(), TooLarge> {
    let mut printer = Printer::new(out, limit);
    let mut reader =
        Reader { rest: format, arguments, next: 0, reordered: false, misplaced: false };
    while let Some(percent) = reader.rest.iter().position(|&byte| byte == b'%') {
        printer.push(&reader.rest[..percent])?;
        reader.rest = &reader.rest[percent + 1..];
        reader.directive(&mut printer)?;
    }
    printer.push(reader.rest)?;
    if !reader.reordered && reader.next < arguments.len() {
        printer.push(b"%!(EXTRA ")?;
        for (index, argument) in arguments[reader.next..].iter().enumerate() {
            if index > 0 {
                printer.push(b", ")?;
            }
            match argument.ty() {
                None => printer.push(b"<nil>")?,
                Some(ty) => {
                    printer.push(ty.to_string().as_bytes())?;
                    printer.push(b"=")?;
                    printer.print(&Spec::default(), argument, 'v')?;
                }
            }
        }
        printer.push(b")")?;
    }
    Ok(())
}

struct Reader<'a> {
    /// The part of the format that has not been read.
    rest: &'a [u8],
    arguments: &'a [Value],
    /// The index of the next argument.
    next: usize,
    /// Whether a directive has chosen its argument with `[n]`.
    reordered: bool,
    /// Whether a `[n]` of the current directive is malformed, out of range or in the wrong place.
    misplaced: bool,
}

/// A number in the format.
enum Number {
    Absent,
    Given(usize),
    /// Beyond [`LARGEST`].
    Overflow,
}

impl Reader<'_> {
    /// Reads a directive, whose `%` has been read, and prints it.
    fn directive(&mut self, printer: &mut Printer<'_>) -> Result<(), TooLarge> {
        self.misplaced = false;
        let mut spec = self.flags();
        let mut indexed = self.index();
        if self.accept(b'*') {
            match self.star() {
                None => printer.push(b"%!(BADWIDTH)")?,
                Some(width) => {
                    spec.minus |= width < 0;
                    spec.width = Some(width.unsigned_abs() as usize);
                }
            }
            indexed = false;
        } else {
            match self.number() {
                Number::Absent => {}
                Number::Given(width) => {
                    spec.width = Some(width);
                    // The index of `%[3]2d` stands in the wrong place.
                    self.misplaced |= indexed;
                }
                Number::Overflow => self.rest = &[],
            }
        }
        // A point at the end of the format is a verb, not the beginning of a precision.
        if self.rest.len() > 1 && self.accept(b'.') {
            // The index of `%[3].2d` stands in the wrong place.
            self.misplaced |= indexed;
            indexed = self.index();
            if self.accept(b'*') {
                spec.precision = self.star().and_then(|value| usize::try_from(value).ok());
                if spec.precision.is_none() {
                    printer.push(b"%!(BADPREC)")?;
                }
                indexed = false;
            } else {
                spec.precision = Some(0);
                match self.number() {
                    Number::Absent => {}
                    Number::Given(precision) => spec.precision = Some(precision),
                    Number::Overflow => self.rest = &[],
                }
            }
        }
        if !indexed {
            self.index();
        }

        let (verb, length) = unicode::decode(self.rest);
        if length == 0 {
            return printer.push(b"%!(NOVERB)");
        }
        let verb = verb.unwrap_or(REPLACEMENT);
        self.rest = &self.rest[length..];
        if verb == '%' {
            return printer.push(b"%");
        }
        let fault: &[u8] = if self.misplaced {
            b"(BADINDEX)"
        } else if let Some(argument) = self.arguments.get(self.next) {
            self.next += 1;
            let spec = if matches!(verb, 'v' | 'w') { spec.for_value() } else { spec };
            return printer.print(&spec, argument, verb);
        } else {
            b"(MISSING)"
        };
        printer.push(b"%!")?;
        printer.push_char(verb)?;
        printer.push(fault)
    }

    fn flags(&mut self) -> Spec {
        let mut spec = Spec::default();
        while let Some((flag, rest)) = self.rest.split_first() {
            match flag {
                b'+' => spec.plus = true,
                b'-' => spec.minus = true,
                b'#' => spec.sharp = true,
                b' ' => spec.space = true,
                b'0' => spec.zero = true,
                _ => break,
            }
            self.rest = rest;
        }
        spec
    }

    /// Reads `byte` if it is next, and returns whether it was.
    fn accept(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((&next, rest)) if next == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Reads a decimal number.
    fn number(&mut self) -> Number {
        let mut number = Number::Absent;
        while let Some((digit @ b'0'..=b'9', rest)) = self.rest.split_first() {
            let so_far = match number {
                Number::Given(value) => value,
                _ => 0,
            };
            if so_far > LARGEST {
                return Number::Overflow;
            }
            number = Number::Given(so_far * 10 + usize::from(digit - b'0'));
            self.rest = rest;
        }
        number
    }

    /// Reads a `[n]` if it is next, and makes argument `n` the next one. Returns whether a
    /// well-formed one was read.
    fn index(&mut self) -> bool {
        if !self.accept(b'[') {
            return false;
        }
        self.reordered = true;
        // Without a closing bracket, or at the end of the format, Go reads only the opening
        // bracket.
        let close = self.rest.iter().position(|&byte| byte == b']');
        let Some(close) = close.filter(|_| self.rest.len() > 1) else {
            self.misplaced = true;
            return false;
        };
        let after = &self.rest[close + 1..];
        self.rest = &self.rest[..close];
        let number = self.number();
        let whole = self.rest.is_empty();
        self.rest = after;
        let Number::Given(number) = number else {
            self.misplaced = true;
            return false;
        };
        match number.checked_sub(1).filter(|&index| whole && index < self.arguments.len()) {
            Some(index) => self.next = index,
            None => self.misplaced = true,
        }
        whole
    }

    /// Takes the next argument as a width or precision.
    fn star(&mut self) -> Option<i64> {
        let argument = self.arguments.get(self.next)?;
        self.next += 1;
        argument.as_i64().filter(|value| value.unsigned_abs() <= LARGEST as u64)
    }
}
