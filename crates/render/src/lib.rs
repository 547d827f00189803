//! Renders a template with what the store holds.

pub mod funcs;
pub mod host;
pub mod json;
pub mod time;
