//! What a change would do, before it is made.
//!
//! [`unified`] shows the differences of a file as a unified diff, with the values of [`Secrets`] masked.
//! [`Planning::plan`] says what [`Edits`] of keys would do. [`find()`] finds a resource for people.
//!
//! This crate writes no destination and no store, and does not print: it gives texts and plain data. The
//! passes that it looks at are rehearsals of the agent.

mod diff;
mod edits;
mod find;
mod plan;
mod secrets;

pub use diff::{Look, unified};
pub use edits::Edits;
pub use find::find;
pub use plan::{Counts, Plan, Planning, Shown};
pub use secrets::{MASK, Patterns, Secrets};
