//! What is asked of confd: the resource files below `conf.d`, and its own configuration file.
//!
//! [`load()`] finds the resource files and parses each into a [`Resource`], which is plain data and
//! valid once built. [`confd_toml`] reads confd's own configuration file. A [`Problem`] says what is
//! wrong with a file. This crate logs nothing; its caller decides which problems a person is shown,
//! and when.
//!
//! [`document`] reads TOML documents by confd's rules, and [`keys`] describes the keys of resource files. [`schema`] makes JSON Schemas of
//! such descriptions.
//!
//! Nothing here knows sources, template engines, or how files are written.

pub mod confd_toml;
pub mod document;
pub mod keys;
pub mod schema;

mod after;
mod backends;
mod commands;
mod conventions;
mod discover;
mod engine;
mod environment;
mod expand;
mod file;
mod for_each;
mod form;
mod group;
mod guards;
mod hint;
mod load;
mod missing;
mod order;
mod permissions;
mod problem;
mod resource;
mod retry;

pub use options::factor::Factor;

pub use crate::{
    after::{After, Health, OnReloadFailure},
    backends::{Backends, Described, FindKind, Kind, NamedBackend, Tables},
    commands::Command,
    conventions::{Conventions, Dialect, PrefixMode},
    engine::Engine,
    environment::Environment,
    for_each::{ForEach, Items, ServicePattern},
    group::{BrokenGroup, Group, GroupCheck},
    guards::{Guards, OutputFormat},
    load::{Loaded, conf_d, load, templates_folder},
    missing::OnMissing,
    problem::Problem,
    resource::{Confdir, Resource, name},
    retry::Retry,
};
