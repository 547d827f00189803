//! Go's `fmt`: the text of values, in actions and for `print`, `println` and `printf`.
//!
//! Every entry point appends to a vector, up to a limit that the caller gives, so that no template
//! can make one text of any size. Nested values are walked without recursion, because a template
//! decides how deeply they nest.
//!
//! The text is that of Go 1.27, byte for byte, also for verbs that do not fit their argument. Only
//! addresses differ (`%p`, and pointers inside of other values); in Go they differ from run to run.

mod directive;
mod float;
mod int;
mod spec;
#[cfg(test)]
mod tests;
mod text;
mod walk;

pub(crate) use self::directive::printf;
use self::spec::Spec;
use self::walk::Printer;
use bytes::Bytes;

use crate::exec::Limits;
use crate::value::Value;

/// The text would exceed the limit. A part of it may have been appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the text is larger than allowed")
    }
}

impl std::error::Error for TooLarge {}

/// The text of nil in an action.
const NO_VALUE: &[u8] = b"<no value>";

/// What the builtin `printf` makes of a format and its arguments. At most 256 MiB long, and cut
/// there.
pub fn printf_text(format: &[u8], arguments: &[Value]) -> Bytes {
    let mut text = Vec::new();
    // A longer text stays cut.
    let _ = printf(&mut text, format, arguments, Limits::default().value);
    text.into()
}

/// Appends `value` as an action prints it: like `%v`, but nil is `<no value>` and a pointer is
/// followed.
///
/// # Errors
///
/// The text has more than `limit` bytes.
pub(crate) fn print_value(out: &mut Vec<u8>, value: &Value, limit: usize) -> Result<(), TooLarge> {
    show(&mut Printer::new(out, limit), value)
}

/// Prints `value` as an action does.
fn show(printer: &mut Printer<'_>, value: &Value) -> Result<(), TooLarge> {
    match value {
        Value::Nil => printer.push(NO_VALUE),
        Value::Pointer(pointer) if let Some(target) = pointer.target() => {
            printer.print(&Spec::default(), &Value::Struct(target.clone()), 'v')
        }
        _ => printer.print_plain(value),
    }
}

/// Appends all `arguments` as Go's `fmt.Print` does: with a blank between two arguments if neither
/// is a string.
///
/// # Errors
///
/// The text has more than `limit` bytes.
pub(crate) fn print(out: &mut Vec<u8>, arguments: &[Value], limit: usize) -> Result<(), TooLarge> {
    let mut printer = Printer::new(out, limit);
    for (index, argument) in arguments.iter().enumerate() {
        let is_string = |value: &Value| matches!(value, Value::String(_));
        if index > 0 && !is_string(argument) && !is_string(&arguments[index - 1]) {
            printer.push(b" ")?;
        }
        printer.print_plain(argument)?;
    }
    Ok(())
}

/// Appends all of `arguments` as Go's `fmt.Println`: blanks between all, a newline at the end.
///
/// # Errors
///
/// The text has more than `limit` bytes.
pub(crate) fn println(
    out: &mut Vec<u8>,
    arguments: &[Value],
    limit: usize,
) -> Result<(), TooLarge> {
    let mut printer = Printer::new(out, limit);
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            printer.push(b" ")?;
        }
        printer.print_plain(argument)?;
    }
    printer.push(b"\n")
}

/// Appends all of `arguments` as `html`, `js` and `urlquery` see them: each as an action shows
/// it, with blanks as [`print()`] puts them; the text `<no value>` of a nil counts as a string.
///
/// # Errors
///
/// The text has more than `limit` bytes.
pub(crate) fn print_shown(
    out: &mut Vec<u8>,
    arguments: &[Value],
    limit: usize,
) -> Result<(), TooLarge> {
    let mut printer = Printer::new(out, limit);
    for (index, argument) in arguments.iter().enumerate() {
        let is_string = |value: &Value| matches!(value, Value::String(_) | Value::Nil);
        if index > 0 && !is_string(argument) && !is_string(&arguments[index - 1]) {
            printer.push(b" ")?;
        }
        show(&mut printer, argument)?;
    }
    Ok(())
}
