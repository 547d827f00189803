//! What a template can see: the pairs of a source at one revision, and the part of them that
//! belongs to one resource.
//!
//! Each module has one concept and builds on those before it:
//!
//! - [`path`]: operations on slash-separated paths, as in Go's package `path`.
//! - [`pattern`]: shell patterns over whole keys, as in Go's `path.Match`.
//! - [`key`]: a [`Key`] is a normalised path; a [`Prefix`] is joined to keys and stripped from
//!   them.
//! - [`scope`]: a [`Scope`] is the set of keys that a resource asks a source for; a [`Coverage`]
//!   says which of the source's keys each of them stands for.
//! - [`snapshot`]: a [`Snapshot`] is the answer of a source: pairs at one revision, immutable and
//!   shared.
//! - [`view`]: a [`View`] is the part of a snapshot that one template sees, with confd's functions.
//! - [`items`]: an [`ItemPattern`] finds [`Item`]s, the paths of which each gets a file of its own.
//! - [`reads`]: [`Reads`] are the questions that a template asked its view.
//!
//! Keys and values are bytes and need not be UTF-8. This crate does no I/O, never waits, and does
//! not know where the pairs come from.

pub mod items;
pub mod key;
pub mod path;
pub mod pattern;
pub mod reads;
pub mod scope;
pub mod snapshot;
pub mod view;

pub use items::{Item, ItemPattern, ItemPatternError};
pub use key::{Key, Prefix};
pub use pattern::{Pattern, PatternError};
pub use reads::Reads;
pub use scope::{Coverage, Scope};
pub use snapshot::Snapshot;
pub use view::{NoSuchKey, Pair, Unknown, View};
