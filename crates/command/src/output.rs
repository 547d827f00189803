//! The output of a command, in bounded memory.

use std::collections::VecDeque;
use std::fmt;

use gotmpl::quote;

/// The number of bytes that are kept of the beginning, and of the end.
const HALF: usize = 32 * 1024;

/// The beginning and the end of a command's output, and the size of what was between.
///
/// It is shown on one line, quoted as by Go's `%q`. If the output was too long to be kept, the line
/// has two quoted strings and the size of the gap between them.
#[derive(Clone, Debug, Default)]
pub struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Output {
    /// Whether the command has printed nothing.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Everything that the command has printed; `None` if a part was left out.
    pub fn whole(&self) -> Option<Vec<u8>> {
        let whole = self.head.iter().chain(&self.tail).copied();
        (self.left_out == 0).then(|| whole.collect())
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let (head, tail) = bytes.split_at(bytes.len().min(HALF - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(tail);
        let excess = self.tail.len().saturating_sub(HALF);
        self.tail.drain(..excess);
        self.left_out += excess as u64;
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = self.head.clone();
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if self.left_out == 0 {
            head.extend(tail);
            return f.write_str(&quote(&head));
        }
        let left_out = self.left_out;
        write!(f, "{} … {left_out} bytes left out … {}", quote(&head), quote(&tail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_shown_on_one_line() {
        let mut output = Output::default();
        assert_eq!(output.to_string(), r#""""#);
        output.push(b"out\n");
        output.push(b"e\"r\xffr\n");
        assert_eq!(output.to_string(), r#""out\ne\"r\xffr\n""#);
    }

    #[test]
    fn up_to_the_limit_nothing_is_left_out() {
        let mut output = Output::default();
        for _ in 0..2 * HALF {
            output.push(b"x");
        }
        assert_eq!(output.to_string(), format!("\"{}\"", "x".repeat(2 * HALF)));
        assert_eq!(output.whole(), Some(vec![b'x'; 2 * HALF]));
    }

    #[test]
    fn of_too_much_output_the_beginning_and_the_end_are_kept() {
        let mut output = Output::default();
        output.push(b"first\n");
        for _ in 0..1000 {
            output.push(&[b'.'; 1000]);
        }
        output.push(b"last\n");
        assert_eq!((output.head.len(), output.tail.len()), (HALF, HALF));
        let left_out = 6 + 1_000_000 + 5 - 2 * HALF;
        let text = output.to_string();
        assert!(text.starts_with("\"first\\n..."), "{}", &text[..20]);
        assert!(text.ends_with("...last\\n\""), "{}", &text[text.len() - 20..]);
        assert!(text.contains(&format!("\" … {left_out} bytes left out … \"")));
    }
}
