//! The log: lines on standard error, in the form of Go's standard logger.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;

use world::Host;

/// The time of a line, in Go's form of layouts.
const LAYOUT: &[u8] = b"2006/01/02 15:04:05 ";

/// The longest text of a line, in bytes. What a container says can be much longer.
const LONGEST: usize = 4096;

/// The log of a run. Clones write to the same place.
#[derive(Clone)]
pub(crate) struct Log {
    host: Arc<dyn Host>,
    stderr: Rc<RefCell<Box<dyn Write>>>,
}

impl Log {
    pub(crate) fn new(host: Arc<dyn Host>, stderr: Box<dyn Write>) -> Log {
        Log { host, stderr: Rc::new(RefCell::new(stderr)) }
    }

    /// Writes a line. Line breaks and other control characters of its text are escaped: what a
    /// container says must not forge lines.
    pub(crate) fn line(&self, text: impl Display) {
        let mut line = self.host.now().format(LAYOUT);
        let text = text.to_string();
        let end = text.floor_char_boundary(LONGEST);
        for letter in text[..end].chars().chain((end < text.len()).then_some('…')) {
            match letter.is_control() && letter != '\t' {
                true => line.extend(letter.escape_default().map(|letter| letter as u8)),
                false => line.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
            }
        }
        line.push(b'\n');
        self.print(&line);
    }

    /// Writes a text that is no line of the log.
    pub(crate) fn print(&self, text: &[u8]) {
        // Nothing can be done if standard error is closed.
        let _ = self.stderr.borrow_mut().write_all(text);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use world::System;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_at_most_4_kib_of_its_text_and_ends_at_a_whole_letter() {
        let written = Written::default();
        let log = Log::new(Arc::new(System::new()), Box::new(written.clone()));
        log.line("x".repeat(LONGEST));
        log.line(format!("{}ä", "x".repeat(LONGEST - 1)));
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.split_once(" x").unwrap().1).collect();
        assert_eq!(lines, ["x".repeat(LONGEST - 1), format!("{}…", "x".repeat(LONGEST - 2))]);
    }
}
