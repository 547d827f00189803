//! Decides when a resource is processed: loads the resources, reads their keys, renders and deploys
//! them.
//!
//! Three drivers share one pipeline. [`Agent::onetime`] makes one pass over all resources and
//! returns its result; [`Agent::onetime_within`] repeats it until the data are there. [`Agent::interval`] makes one pass after the other until the order to stop.
//! [`Agent::watch`] follows the source and the files, and makes a pass of a resource when something
//! it depends on has changed. Every resource is a failure domain of its own: a resource that fails
//! or hangs does not keep the others from their passes.
//!
//! ```text
//! driver (ordered: onetime, interval; watching: watch) ── Wake: why ──► one pass of one resource
//!   pipeline: template ► render ► stage ► compare ► check ► commit ► reload
//!     └── Event: what happened ──► readers: log, status, result of the run
//! ```
//!
//! The pipeline reports everything as [`Event`]s, and every problem as a [`Failure`] with a
//! [`Kind`]. Nothing decides by the text of a message. [`Handle`] reads the state of each resource
//! at any moment.
//!
//! [`Agent::rehearsal`] says what passes would do, and does nothing.
//!
//! This is the only crate that knows sources, templates and destinations together. It does not know
//! flags and does not print.

mod agent;
mod answers;
mod asked;
mod backoff;
mod board;
mod digest;
mod environment;
mod event;
mod failure;
mod files;
mod guards;
mod items;
mod loading;
mod log;
mod maker;
mod missing;
mod ordered;
mod overlap;
mod pending;
mod pipeline;
mod placement;
mod prepare;
mod record;
mod reloads;
mod repeats;
mod resource;
mod settings;
mod status;
mod tally;
mod templates;
pub mod versions;
mod watch;
mod work;
mod worker;

#[cfg(test)]
mod tests;

pub use source::backoff::{Backoff, Growth};

pub use crate::{
    agent::{
        Agent,
        rehearsal::{Rehearsal, Rehearsed, RehearsedFile, RenderedFile, Rendering},
    },
    answers::OpenQueries,
    event::{Event, LoadProblem, Reader, Step, Wake},
    failure::{Failure, Kind, Need},
    overlap::overlap,
    resource::{Part, Resource},
    settings::{Configuration, Ended, Order, Pace, Process, Reload, Schedule, Settings},
    status::{Applied, Handle, LastError, Overview, Pending, State, Status},
    tally::{Failed, Finished},
    templates::compile_template,
};
