//! Errors of parsing and executing a template, with the place in the source.

use std::fmt;

use crate::message::Message;
use crate::quote::quote;
use crate::unicode;

/// Whether parsing or executing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The source is not a template.
    Parse,
    /// The execution stopped.
    Execute,
}

/// Why a template could not be parsed, or why its execution stopped.
///
/// `Display` gives Go's own text. It has one line, unless the quoted part of the template contains
/// line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Report>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    name: String,
    line: usize,
    offset: usize,
    message: Message,
    unknown: Option<Unknown>,
    execution: Option<Execution>,
}

/// A name in a template that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The name.
    pub name: String,
    /// The names that exist in its place, in no particular order.
    pub known: Vec<String>,
}

impl Unknown {
    /// The unknown `name`, and the names that are `known` in its place.
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
    /// A parse error of the template `name`. `line` is the line of the last token read, `offset`
    /// the byte of the fault.
    pub(crate) fn parse(name: &str, line: usize, offset: usize, message: Vec<u8>) -> Error {
        let (name, message) = (name.to_owned(), Message::new(message));
        Error(Box::new(Report { name, line, offset, message, unknown: None, execution: None }))
    }

    /// An execution error in `template`, at the node that starts at byte `offset` of `source` and
    /// prints as `node`.
    pub(crate) fn execute(
        name: &str,
        source: &[u8],
        offset: usize,
        template: &[u8],
        node: Vec<u8>,
        message: Message,
    ) -> Error {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = before.len() - line_start;
        let execution = Some(Execution { column, template: template.to_owned(), node });
        let name = name.to_owned();
        Error(Box::new(Report { name, line, offset, message, unknown: None, execution }))
    }

    /// The same error, with byte `offset` of the source as the place of the fault.
    pub(crate) fn pointing_at(mut self, offset: usize) -> Error {
        self.0.offset = offset;
        self
    }

    /// The same error, with the unknown name that it is about.
    pub(crate) fn about(mut self, unknown: Option<Unknown>) -> Error {
        self.0.unknown = unknown;
        self
    }

    /// Whether parsing or executing failed.
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

    /// The line of the fault, counted from 1. For a parse error this is the line of the last token
    /// read, which can be later than the fault.
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// The number of bytes between the beginning of the line and the fault. `None` for a parse
    /// error.
    pub fn column(&self) -> Option<usize> {
        self.0.execution.as_ref().map(|execution| execution.column)
    }

    /// The byte offset of the fault in the source.
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// The name of the template that was executing: the parsed one, or one that its source defines.
    /// `None` for a parse error.
    pub fn executing(&self) -> Option<&[u8]> {
        self.0.execution.as_ref().map(|execution| execution.template.as_slice())
    }

    /// The part of the template that was executing, as Go prints it. `None` for a parse error.
    pub fn node(&self) -> Option<&[u8]> {
        self.0.execution.as_ref().map(|execution| execution.node.as_slice())
    }

    /// The name that does not exist, if that is the fault: of a function, variable, template, field
    /// or method.
    pub fn unknown(&self) -> Option<&Unknown> {
        self.0.unknown.as_ref()
    }

    /// The fault without its place. Can hold any bytes, because it can quote values.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// The whole text of the error, with its place.
    pub fn whole(&self) -> Message {
        Message::new(Place(&self.0).to_string()).and(&self.0.message)
    }

    /// The text of the error without those values that `may_show` does not allow. What stands in
    /// the template is always shown.
    pub fn without(&self, may_show: impl Fn(&[u8]) -> bool) -> String {
        format!("{}{}", Place(&self.0), unicode::lossy(&self.0.message.without(may_show)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Place(&self.0), unicode::lossy(self.0.message.exact()))
    }
}

/// The part of an error's text before its message.
struct Place<'a>(&'a Report);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { name, line, execution, .. } = self.0;
        write!(f, "template: {name}:{line}:")?;
        if let Some(Execution { column, template, node }) = execution {
            let node = unicode::lossy(node);
            write!(f, "{column}: executing {} at <{node}>:", quote(template))?;
        }
        f.write_str(" ")
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_bytes_from_the_last_newline() {
        let source = "a\né{{x}}".as_bytes();
        let error = Error::execute("t", source, 6, b"t", b"x".to_vec(), "no".into());
        assert_eq!(error.to_string(), r#"template: t:2:4: executing "t" at <x>: no"#);
    }

    #[test]
    fn a_name_with_a_percent_sign_is_printed_as_it_is() {
        let error = Error::parse("50%d.tmpl", 3, 0, b"unexpected EOF".to_vec());
        assert_eq!(error.to_string(), "template: 50%d.tmpl:3: unexpected EOF");
    }
}
