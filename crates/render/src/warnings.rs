//! The warnings of one rendering.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gotmpl::Message;

/// A warning of a template function: one line, without its place in the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The text, without the values of keys.
    pub text: String,
    /// The text with all values. They may be secrets.
    pub exact: String,
}

/// Collects what the functions of a template warn about, each text once however often the template
/// causes it: a failed lookup in a loop is one warning and not one for each element.
///
/// The caller of [`Template::render_to`](crate::Template::render_to) says where the texts go. A
/// copy collects into the same set.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Collected>>);

#[derive(Debug, Default)]
struct Collected {
    /// By their exact texts.
    messages: BTreeMap<Vec<u8>, Message>,
    finished: Vec<Warning>,
}

impl Warnings {
    /// Adds a text. It is one line without the place in the template.
    pub fn warn(&self, message: Message) {
        let mut collected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        collected.messages.insert(message.exact().to_vec(), message);
    }

    /// Makes the texts of the warnings so far, in byte order. `hide` makes the text without values.
    pub(crate) fn finish(&self, hide: impl Fn(&Message) -> String) {
        let mut collected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (exact, message) in std::mem::take(&mut collected.messages) {
            let exact = String::from_utf8_lossy(&exact).into_owned();
            collected.finished.push(Warning { text: hide(&message), exact });
        }
    }

    /// Takes the warnings out that renderings have finished.
    pub fn take(&self) -> Vec<Warning> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).finished)
    }
}
