//! When things happen: finds the resources, reads their keys, renders and deploys them.
//!
//! [`Agent::onetime`] is one pass over all resources with an honest result, [`Agent::interval`] one
//! after the other until it is told to stop. [`Agent::watch`] follows the backend: one `feed` for
//! all resources, one `worker` each, which has a pass when something it asks for has changed. Every
//! resource is a failure domain of its own: what is wrong with one is logged and counted, and never
//! keeps another from its pass.
//!
//! This is the one crate that knows backends, templates and destinations. It knows neither
//! flags nor printing.

mod agent;
mod applied;
mod backoff;
mod fault;
mod feed;
mod load;
mod pass;
mod process;
mod reading;
mod resource;
mod settings;
mod steps;
mod templates;
mod watch;
mod worker;

pub use crate::{
    agent::Agent,
    fault::Failed,
    pass::OVERLAP,
    settings::{Configuration, Ended, Order, Pace, Schedule, Settings},
};
