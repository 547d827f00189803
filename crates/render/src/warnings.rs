//! The warnings of one rendering.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Collects what the functions of a template warn about, each text once however often the template
/// causes it: a failed lookup in a loop is one warning and not one for each element.
///
/// The caller of [`Template::render_to`](crate::Template::render_to) says where the texts go. A
/// copy collects into the same set.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<BTreeSet<String>>>);

impl Warnings {
    /// Adds a text. It is one line without the place in the template.
    pub fn warn(&self, text: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(text);
    }

    /// Takes the texts out, in byte order.
    pub fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
