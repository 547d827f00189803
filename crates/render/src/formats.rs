//! Values of Go templates as texts of JSON, YAML and TOML, and back.

pub mod json;
pub mod toml;
pub mod yaml;
