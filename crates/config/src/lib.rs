//! What is asked of confd: reads the resource files below `conf.d` and says what each asks for.
//!
//! [`load()`] is the entry point: it finds the files and parses each to a [`Resource`], which is plain
//! data and valid once built. What is wrong with a file is a [`Problem`], a value: this crate logs
//! nothing, so that its caller decides which problems a person is shown, and when.
//!
//! [`document`], [`duration`] and [`goint`] read TOML documents, times and integers by confd's rules.
//! The reader of `confd.toml` uses them too.
//!
//! Nothing here knows sources, template languages or how files are written.

pub mod document;
pub mod duration;
pub mod goint;

mod discover;
mod engine;
mod load;
mod problem;
mod resource;

pub use crate::{
    engine::Engine,
    load::{Loaded, load, templates_folder},
    problem::Problem,
    resource::{Confdir, Resource},
};
