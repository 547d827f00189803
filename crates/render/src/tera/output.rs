//! The output of a Tera template, up to a limit.

use std::io::{self, Write};

use gotmpl::Limits;

/// Appends to a vector, up to the limit that Go templates have.
pub(super) struct Output<'a> {
    text: &'a mut Vec<u8>,
    limit: usize,
    left: usize,
    exceeded: bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(text: &'a mut Vec<u8>) -> Self {
        Self::limited(text, Limits::default().output)
    }

    fn limited(text: &'a mut Vec<u8>, limit: usize) -> Self {
        Self { text, limit, left: limit, exceeded: false }
    }

    /// The limit in bytes, if the template exceeded it.
    pub(super) fn exceeded(&self) -> Option<usize> {
        self.exceeded.then_some(self.limit)
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len()) {
            Some(left) => {
                self.left = left;
                self.text.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            None => {
                self.exceeded = true;
                Err(io::ErrorKind::FileTooLarge.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_beyond_the_limit() {
        let mut text = b"before ".to_vec();
        let mut output = Output::limited(&mut text, 5);
        output.write_all(b"abc").expect("fits");
        assert_eq!(output.exceeded(), None);
        assert!(output.write_all(b"def").is_err());
        assert_eq!(output.exceeded(), Some(5));
        assert_eq!(text, b"before abc");
    }
}
