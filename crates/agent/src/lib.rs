//! When things happen: finds the resources, reads their keys, renders and deploys them.
//!
//! [`Agent`] does one *pass* over all resources at a time; [`Agent::onetime`] is one pass with
//! an honest result, [`Agent::interval`] one after the other until it is told to stop. Every
//! resource is a failure domain of its own: what is wrong with one is logged and counted, and
//! never keeps another from its pass.
//!
//! This is the one crate that knows backends, templates and destinations. It knows neither
//! flags nor printing.

pub mod document;
pub mod goint;

mod agent;
mod discover;
mod fault;
mod pass;
mod resource;

pub use crate::{
    agent::{Agent, Failed, Settings},
    pass::OVERLAP,
};
