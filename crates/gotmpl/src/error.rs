//! What went wrong with a template, and where.

use std::fmt;

use crate::quote::quote;
use crate::unicode;

/// Whether a template could not be read or could not be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The source is not a template.
    Parse,
    /// The template was stopped while it ran.
    Execute,
}

/// Why a template could not be read or executed.
///
/// The display is Go's own text, on one line unless a quoted part of the template has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Report>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    name: String,
    line: usize,
    offset: usize,
    message: Vec<u8>,
    unknown: Option<Unknown>,
    execution: Option<Execution>,
}

/// A name that a template uses and that means nothing there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The name.
    pub name: String,
    /// The names that mean something there, in no particular order.
    pub known: Vec<String>,
}

impl Unknown {
    /// `name`, where only `known` mean something.
    pub(crate) fn new<N: AsRef<[u8]>>(name: &[u8], known: impl IntoIterator<Item = N>) -> Unknown {
        let known = known.into_iter().map(|name| unicode::lossy(name.as_ref()).into_owned());
        Unknown { name: unicode::lossy(name).into_owned(), known: known.collect() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Execution {
    column: usize,
    template: Vec<u8>,
    node: Vec<u8>,
}

impl Error {
    /// The source of the template `name` is wrong at `line`, where the lexer is, and at byte
    /// `offset`.
    pub(crate) fn parse(name: &str, line: usize, offset: usize, message: Vec<u8>) -> Error {
        let name = name.to_owned();
        Error(Box::new(Report { name, line, offset, message, unknown: None, execution: None }))
    }

    /// Execution of `template` stopped at the node that starts at byte `offset` of `source` and
    /// prints as `node`.
    pub(crate) fn execute(
        name: &str,
        source: &[u8],
        offset: usize,
        template: &[u8],
        node: Vec<u8>,
        message: Vec<u8>,
    ) -> Error {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = before.len() - line_start;
        let execution = Some(Execution { column, template: template.to_owned(), node });
        let name = name.to_owned();
        Error(Box::new(Report { name, line, offset, message, unknown: None, execution }))
    }

    /// The error, whose fault is at byte `offset` of the source.
    pub(crate) fn pointing_at(mut self, offset: usize) -> Error {
        self.0.offset = offset;
        self
    }

    /// The error, which is about `unknown` if there is one.
    pub(crate) fn about(mut self, unknown: Option<Unknown>) -> Error {
        self.0.unknown = unknown;
        self
    }

    /// Whether the template could not be read or not be executed.
    pub fn kind(&self) -> ErrorKind {
        match self.0.execution {
            None => ErrorKind::Parse,
            Some(_) => ErrorKind::Execute,
        }
    }

    /// The name the template was parsed under.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The line of the fault, counted from 1. Of a parse error it is the line of the last token
    /// read, which can be a little behind the fault.
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// The bytes between the beginning of the line and the fault; known of execution errors only.
    pub fn column(&self) -> Option<usize> {
        self.0.execution.as_ref().map(|execution| execution.column)
    }

    /// The offset of the fault in the source, in bytes.
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// The name of the (possibly defined) template that was being executed.
    pub fn executing(&self) -> Option<&[u8]> {
        self.0.execution.as_ref().map(|execution| execution.template.as_slice())
    }

    /// The part of the template that was being executed, as Go prints it.
    pub fn node(&self) -> Option<&[u8]> {
        self.0.execution.as_ref().map(|execution| execution.node.as_slice())
    }

    /// The name that is not known, if the error is about one: of a function, variable, template,
    /// field or method.
    pub fn unknown(&self) -> Option<&Unknown> {
        self.0.unknown.as_ref()
    }

    /// What is wrong, without the place. May hold any bytes, as values may.
    pub fn message(&self) -> &[u8] {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { name, line, message, execution, .. } = &*self.0;
        write!(f, "template: {name}:{line}:")?;
        if let Some(Execution { column, template, node }) = execution {
            let node = unicode::lossy(node);
            write!(f, "{column}: executing {} at <{node}>:", quote(template))?;
        }
        write!(f, " {}", unicode::lossy(message))
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_bytes_from_the_last_newline() {
        let source = "a\né{{x}}".as_bytes();
        let error = Error::execute("t", source, 6, b"t", b"x".to_vec(), b"no".to_vec());
        assert_eq!(error.to_string(), r#"template: t:2:4: executing "t" at <x>: no"#);
    }

    #[test]
    fn a_name_with_a_percent_sign_is_printed_as_it_is() {
        let error = Error::parse("50%d.tmpl", 3, 0, b"unexpected EOF".to_vec());
        assert_eq!(error.to_string(), "template: 50%d.tmpl:3: unexpected EOF");
    }
}
