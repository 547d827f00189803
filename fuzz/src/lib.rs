//! What is tried with arbitrary bytes: one function for each reader of text that others write.
//!
//! Each takes an input and panics if something does not hold for it. There are two ways to run
//! them: libFuzzer, by the programs in `fuzz_targets`, for as long as one likes; and the test
//! `fuzz` of the main workspace, which includes this file and runs each over its seeds and some
//! thousand changes of them.

mod excerpt;
mod json;
mod pattern;
mod resource;
mod template;
mod yaml;

pub use json::json;
pub use pattern::pattern;
pub use resource::resource;
pub use template::{parse, render};
pub use yaml::yaml;

/// The longest input that is tried; what longer ones show, shorter ones do.
pub const LONGEST: usize = 4096;
