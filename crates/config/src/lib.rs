//! What is asked of confd: the resource files below `conf.d`, and the options of a run.
//!
//! [`load()`] finds the resource files and parses each into a [`Resource`], which is plain data and
//! valid once built. [`mod@options`] describes options and reads their values. [`confd_toml`] reads
//! confd's own configuration file. A [`Problem`] says what is wrong with a file. This crate logs
//! nothing; its caller decides which problems a person is shown, and when.
//!
//! [`document`], [`duration`] and [`goint`] read TOML documents, durations and integers by confd's
//! rules.
//!
//! Nothing here knows sources, template engines, or how files are written.

pub mod confd_toml;
pub mod document;
pub mod duration;
pub mod goint;
pub mod options;

mod discover;
mod engine;
mod load;
mod problem;
mod resource;

pub use crate::{
    engine::Engine,
    load::{Loaded, conf_d, load, templates_folder},
    problem::Problem,
    resource::{Confdir, Resource, name},
};
