//! The output of a Tera template, up to a limit.

use std::io::{self, Write};
use std::rc::Rc;

use gotmpl::Limits;

use super::meter::Meter;
use crate::clock::Clock;

/// Appends to a vector, up to the limit that Go templates have.
pub(super) struct Output<'a> {
    text: &'a mut Vec<u8>,
    limit: usize,
    left: usize,
    exceeded: bool,
    clock: Rc<Clock>,
    meter: Rc<Meter>,
    is_out_of_time: bool,
    /// The number of writes.
    writes: u32,
}

/// The time is checked at each write whose number is a multiple of this.
const CHECK_EVERY: u32 = 64;

impl<'a> Output<'a> {
    pub(super) fn new(text: &'a mut Vec<u8>, clock: Rc<Clock>, meter: Rc<Meter>) -> Self {
        Self::limited(text, clock, meter, Limits::default().output)
    }

    fn limited(text: &'a mut Vec<u8>, clock: Rc<Clock>, meter: Rc<Meter>, limit: usize) -> Self {
        let (exceeded, is_out_of_time) = (false, false);
        Self { text, limit, left: limit, exceeded, clock, meter, is_out_of_time, writes: 0 }
    }

    /// Whether a write failed because the time of the rendering was over.
    pub(super) fn is_out_of_time(&self) -> bool {
        self.is_out_of_time
    }

    /// The limit in bytes, if the template exceeded it.
    pub(super) fn exceeded(&self) -> Option<usize> {
        self.exceeded.then_some(self.limit)
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes = self.writes.wrapping_add(1);
        if self.writes.is_multiple_of(CHECK_EVERY) && self.clock.check().is_err() {
            self.is_out_of_time = true;
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.meter.count(bytes.len()).is_err() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
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
        let clock = Rc::new(Clock::start(None));
        let meter = Rc::new(Meter::new(usize::MAX));
        let mut output = Output::limited(&mut text, clock, meter, 5);
        output.write_all(b"abc").expect("fits");
        assert_eq!(output.exceeded(), None);
        assert!(output.write_all(b"def").is_err());
        assert_eq!(output.exceeded(), Some(5));
        assert_eq!(text, b"before abc");
    }
}
