//! When things happen: finds the resources, reads their keys, renders and deploys them.
//!
//! Three drivers share one pipeline. [`Agent::onetime`] is one pass over all resources with an honest
//! result; [`Agent::interval`] one pass after the other until the order to stop; [`Agent::watch`]
//! follows the source and the files, and gives a resource a pass when something it depends on has
//! changed. Every resource is a failure domain of its own: what is wrong with one keeps no other
//! from its pass, and one that hangs holds up no other.
//!
//! ```text
//! driver (ordered: onetime, interval; watching: watch) ── Wake: why ──► one pass of one resource
//!   pipeline: template ► render ► stage ► compare ► check ► commit ► reload
//!     └── Event: what happened ──► readers: log, status, result of the run
//! ```
//!
//! What happens leaves the pipeline as [`Event`]s, and what goes wrong as a [`Failure`] with a
//! [`Kind`]; nothing decides by the text of a message. [`Handle`] reads the state of each resource at
//! any moment.
//!
//! This is the one crate that knows sources, templates and destinations. It knows neither flags nor
//! printing.

mod agent;
mod asked;
mod backoff;
mod digest;
mod event;
mod failure;
mod feed;
mod loading;
mod log;
mod ordered;
mod pipeline;
mod placement;
mod reading;
mod record;
mod resource;
mod settings;
mod status;
mod tally;
mod templates;
mod watch;
mod worker;

#[cfg(test)]
mod tests;

pub use crate::{
    agent::Agent,
    event::{Event, Reader, Step, Wake},
    failure::{Failure, Kind},
    ordered::OVERLAP,
    resource::Resource,
    settings::{Configuration, Ended, Order, Pace, Schedule, Settings},
    status::{Applied, Handle, LastError, Pending, State, Status},
    tally::Failed,
};
