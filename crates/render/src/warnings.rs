//! The warnings of one rendering.

use std::cell::RefCell;
use std::collections::BTreeSet;

use tracing::warn;

/// Logs each warning of one rendering once, however often the template causes it: a failed lookup
/// in a loop is one line of the log and not one for each element.
#[derive(Debug, Default)]
pub struct Warnings {
    logged: RefCell<BTreeSet<String>>,
}

impl Warnings {
    /// Logs `text` at level WARN, unless this rendering has logged the same text already.
    pub fn warn(&self, text: String) {
        let mut logged = self.logged.borrow_mut();
        if !logged.contains(&text) {
            warn!("{text}");
            logged.insert(text);
        }
    }
}
