//! Makes the bytes of a file out of a template and what the store holds.

pub mod funcs;
pub mod host;
pub mod json;
pub mod time;

pub use host::{Host, System};
