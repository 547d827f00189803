//! The fuzz targets: one function for each parser of text that others write.
//!
//! Each takes an input and panics if something is wrong. There are two ways to run them. libFuzzer
//! runs the programs in `fuzz_targets`, for any time. The test `fuzz` of the main workspace
//! includes this file and runs each target with its seeds and some thousand changes of them.

mod excerpt;
mod hcl;
mod json;
mod pattern;
mod resource;
mod template;
mod yaml;

pub use hcl::hcl;
pub use json::json;
pub use pattern::pattern;
pub use resource::resource;
pub use template::{parse, render};
pub use yaml::yaml;

/// The longest input that is tried; longer inputs would show nothing new.
pub const LONGEST: usize = 4096;
