//! What is asked of confd: the resource files below `conf.d`, and the options of a run.
//!
//! [`load()`] finds the resource files and parses each to a [`Resource`], which is plain data and
//! valid once built. [`options`] describes options and reads their values, and [`confd_toml`] is the
//! reader of confd's own configuration file. What is wrong with a file is a [`Problem`], a value:
//! this crate logs nothing, so that its caller decides which problems a person is shown, and when.
//!
//! [`document`], [`duration`] and [`goint`] read TOML documents, times and integers by confd's rules.
//!
//! Nothing here knows sources, template languages or how files are written.

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
    load::{Loaded, load, templates_folder},
    problem::Problem,
    resource::{Confdir, Resource},
};
