//! Texts of errors, which know where they quote values.
//!
//! Go's errors quote the values that they are about. Such a value may be a secret, so a caller must
//! be able to show the text without it. To search for the value in the finished text is not enough:
//! a quoted or cut value differs from the value itself. So the code that makes a text says which
//! parts of it are values.

use std::borrow::Cow;

use bytes::Bytes;

/// The text that stands in place of a hidden value.
pub const HIDDEN: &str = "…";

/// The text of an error. It has Go's words, and knows which parts are values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    text: Vec<u8>,
    quotes: Vec<Quote>,
}

/// A part of a message that shows a value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Quote {
    /// Where the part begins and ends in the text.
    start: usize,
    end: usize,
    /// The value, before it was quoted.
    value: Bytes,
}

impl Message {
    /// A message that begins with `text`, which is no value.
    pub fn new(text: impl Into<Vec<u8>>) -> Message {
        Message { text: text.into(), quotes: Vec::new() }
    }

    /// The message, followed by `text`, which is no value.
    #[must_use]
    pub fn text(mut self, text: impl AsRef<[u8]>) -> Message {
        self.text.extend_from_slice(text.as_ref());
        self
    }

    /// The message, followed by `shown`, the form in which Go shows `value`.
    #[must_use]
    pub fn value(mut self, shown: impl AsRef<[u8]>, value: impl Into<Bytes>) -> Message {
        let start = self.text.len();
        self.text.extend_from_slice(shown.as_ref());
        self.quotes.push(Quote { start, end: self.text.len(), value: value.into() });
        self
    }

    /// The message, followed by a number that is a value.
    #[must_use]
    pub(crate) fn number(self, number: impl std::fmt::Display) -> Message {
        let digits = number.to_string();
        self.value(digits.as_bytes(), digits.clone())
    }

    /// The message, followed by another message.
    #[must_use]
    pub fn and(mut self, other: &Message) -> Message {
        let moved = |quote: &Quote| Quote {
            start: quote.start + self.text.len(),
            end: quote.end + self.text.len(),
            value: quote.value.clone(),
        };
        self.quotes.extend(other.quotes.iter().map(moved).collect::<Vec<_>>());
        self.text.extend_from_slice(&other.text);
        self
    }

    /// The whole text, as in Go, with all values.
    pub fn exact(&self) -> &[u8] {
        &self.text
    }

    /// The values that the text shows.
    pub fn values(&self) -> impl Iterator<Item = &Bytes> {
        self.quotes.iter().map(|quote| &quote.value)
    }

    /// The text without those values that `may_show` does not allow. Quotation marks stay.
    pub fn without(&self, may_show: impl Fn(&[u8]) -> bool) -> Cow<'_, [u8]> {
        if self.quotes.iter().all(|quote| may_show(&quote.value)) {
            return Cow::Borrowed(&self.text);
        }
        let mut text = Vec::with_capacity(self.text.len());
        let mut done = 0;
        for Quote { start, end, value } in &self.quotes {
            text.extend_from_slice(&self.text[done..*start]);
            let shown = &self.text[*start..*end];
            if may_show(value) {
                text.extend_from_slice(shown);
            } else {
                let mark = shown.first().filter(|_| shown.starts_with(b"\"")).copied();
                text.extend(mark);
                text.extend_from_slice(HIDDEN.as_bytes());
                text.extend(mark);
            }
            done = *end;
        }
        text.extend_from_slice(&self.text[done..]);
        Cow::Owned(text)
    }
}

impl<T: Into<Vec<u8>>> From<T> for Message {
    fn from(text: T) -> Message {
        Message::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(message: &Message, shown: &str) -> String {
        String::from_utf8(message.without(|value| value == shown.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn values_are_replaced_and_their_quotation_marks_stay() {
        let message =
            Message::new("parsing ").value("\"a\\n\"", "a\n").text(": bad ").value("7", "7");
        assert_eq!(message.exact(), b"parsing \"a\\n\": bad 7");
        assert_eq!(without(&message, ""), "parsing \"…\": bad …");
        assert_eq!(without(&message, "7"), "parsing \"…\": bad 7");
        assert_eq!(
            without(&Message::new("error: ").and(&message), "7"),
            "error: parsing \"…\": bad 7"
        );
        assert!(message.values().eq(["a\n", "7"]));
    }
}
