//! Keeps the texts of an answer close together, and without the rest of the answer.
//!
//! Less than half of Consul's JSON is text that templates can read. If the texts were slices of the JSON,
//! all of it would stay in memory, and each text would have cache lines of its own: with a thousand
//! services, a third of the time of rendering was spent waiting for them.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use catalog::Text;
use foldhash::HashSet;

/// The bytes that are allocated at once.
const CHUNK: usize = 1024;

/// The longest text that shares its memory with others.
const SHORT: usize = 256;

/// The texts of one answer. Equal short texts are stored once.
#[derive(Default)]
pub(super) struct Pool(RefCell<Inner>);

#[derive(Default)]
struct Inner {
    chunk: BytesMut,
    known: HashSet<Bytes>,
}

impl Pool {
    /// A copy of a text.
    pub(super) fn text(&self, text: &str) -> Text {
        match text.len() {
            0 => Text::new(),
            1..=SHORT => self.0.borrow_mut().short(text.as_bytes()),
            _ => Text::copy_from_slice(text.as_bytes()),
        }
    }
}

impl Inner {
    fn short(&mut self, text: &[u8]) -> Text {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        // All parts of a chunk share its memory. It is not grown, because that would copy it.
        if self.chunk.capacity() - self.chunk.len() < text.len() {
            self.chunk = BytesMut::with_capacity(CHUNK);
        }
        self.chunk.extend_from_slice(text);
        let text = self.chunk.split().freeze();
        self.known.insert(text.clone());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_stored_once_and_others_side_by_side() {
        let pool = Pool::default();
        let (a, b, again) = (pool.text("web-1"), pool.text("10.0.0.1"), pool.text("web-1"));
        assert_eq!(a.as_ptr(), again.as_ptr());
        assert_eq!(a.as_ptr().wrapping_add(a.len()), b.as_ptr());
        assert_eq!((&a[..], &b[..]), (&b"web-1"[..], &b"10.0.0.1"[..]));
    }

    #[test]
    fn texts_of_all_lengths_are_kept_whole() {
        let pool = Pool::default();
        let texts: Vec<String> = (0..2 * CHUNK).map(|length| "x".repeat(length)).collect();
        let taken: Vec<Text> = texts.iter().map(|text| pool.text(text)).collect();
        assert!(taken.iter().zip(&texts).all(|(taken, text)| *taken == *text));
    }
}
