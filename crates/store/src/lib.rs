//! What a template can see: the pairs of a source at one moment, and one template's part of them.
//!
//! The words build on each other, one module each:
//!
//! - [`path`]: the arithmetic of slash-separated paths, as Go's `path` package has it.
//! - [`pattern`]: shell patterns over whole keys, as Go's `path.Match` has them.
//! - [`key`]: a [`Key`] is a normalised path; a [`Prefix`] joins and strips.
//! - [`scope`]: a [`Scope`] is what was asked of a source; a [`Coverage`] is how generously it answers.
//! - [`snapshot`]: a [`Snapshot`] is what the source answered, immutable and shared.
//! - [`view`]: a [`View`] is what one template sees of a snapshot, with confd's functions.
//! - [`reads`]: [`Reads`] are what a template asked of its view.
//!
//! Keys and values are bytes throughout; nothing here asks for UTF-8. Nothing here does I/O,
//! waits, or knows where the pairs came from.

pub mod key;
pub mod path;
pub mod pattern;
pub mod reads;
pub mod scope;
pub mod snapshot;
pub mod view;

pub use key::{Key, Prefix};
pub use pattern::{Pattern, PatternError};
pub use reads::Reads;
pub use scope::{Coverage, Scope};
pub use snapshot::Snapshot;
pub use view::{NoSuchKey, Pair, View};
