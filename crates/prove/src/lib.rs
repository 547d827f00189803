//! What a change would do, before it is made.
//!
//! [`unified`] shows the differences of a file as a unified diff, with the values of [`Secrets`] masked.
//! [`Planning::plan`] says what [`Edits`] of keys would do. [`Checking::checked`]
//! has the mistakes of a configuration. [`find()`] finds a resource for people.
//!
//! [`in_words_of_the_fork`] gives them as the live fork's `--check-config` does.
//!
//! [`Case::run`] compares what templates make of a file of keys with the files that are expected.
//!
//! [`explain()`] says which keys made each line of a file.
//!
//! This crate writes no destination and no store, and does not print: it gives texts and plain data. The
//! passes that it looks at are rehearsals of the agent.

mod cases;
mod check;
mod diff;
mod edits;
mod explain;
mod find;
mod findings;
mod fork;
mod plan;
mod secrets;

pub use cases::{Case, CaseResult, Fault, as_junit, cases, named, summary};
pub use check::{Checked, Checking, Finding, RULES, Severity};
pub use diff::{Look, unified};
pub use edits::Edits;
pub use explain::{Explained, explain};
pub use find::find;
pub use findings::{as_json, as_sarif, as_text, count};
pub use fork::{Named, in_words_of_the_fork};
pub use plan::{Counts, Plan, Planning, Shown};
pub use secrets::{MASK, Patterns, Secrets};
