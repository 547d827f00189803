//! One resource in a pass over all: its first half, which may overlap with the passes of others, and its
//! end, which does not.

use std::sync::Arc;

use deploy::{Disk, Durable};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    event::{Readers, Step, say},
    failure::{Failure, Kind},
    pipeline::{Done, Pipeline, Surroundings},
    prepare::{Job, Prepared},
    reloads::Requester,
    resource::Resource,
};

/// How often a template is rendered in one pass because it asks for more each time.
pub(crate) const ROUNDS: usize = 100;

/// A pass that ended.
pub(super) struct Ended {
    pub(super) resource: Arc<Resource>,
    /// The folders that must still be synced.
    pub(super) durable: Durable,
    pub(super) done: Result<Done, Failure>,
}

/// A resource whose first half has begun or is due.
pub(super) struct InFlight {
    pub(super) job: Job,
    /// The number of files that had been replaced when the first half began.
    pub(super) changes: usize,
    pub(super) first: FirstHalf,
}

impl InFlight {
    /// Ends the pass without a trace.
    pub(super) async fn discard(self) {
        if let FirstHalf::Elsewhere(thread) = self.first {
            // What it has staged is removed when it is dropped.
            let _ = thread.await;
        }
    }
}

/// The first half of a pass.
pub(super) enum FirstHalf {
    /// The first half has not begun.
    Due,
    /// The first half ran on this thread and has ended.
    Here(Result<Box<Prepared>, Failure>),
    /// The first half runs on another thread, which keeps its steps until they may be reported.
    /// `None` means that the first half must wait until all earlier resources are finished.
    Elsewhere(JoinHandle<Overlapped>),
}

/// The steps and the result of a first half on another thread.
pub(super) type Overlapped = (Vec<Step<'static>>, Option<Result<Box<Prepared>, Failure>>);

/// Finishes the pass of a resource after all earlier resources are finished.
pub(super) async fn conclude(
    flight: InFlight,
    has_changed: bool,
    pipeline: Arc<Pipeline>,
    readers: Readers,
    requester: Requester,
    disk: Disk,
) -> Ended {
    let InFlight { job, first, .. } = flight;
    let mut durable = Durable::new();
    let prepared = match first {
        FirstHalf::Here(prepared) => Some(prepared),
        FirstHalf::Due => None,
        FirstHalf::Elsewhere(thread) => match thread.await {
            Ok((held, Some(prepared))) => {
                let prepared = match has_changed {
                    true => still_true(prepared, &job, disk).await,
                    false => Some(prepared),
                };
                // The steps of an outdated result are not reported.
                if prepared.is_some() {
                    held.into_iter().for_each(say(&readers, &job.resource));
                }
                prepared
            }
            Ok((_, None)) => None,
            Err(panic) => Some(Err(ended_early(&job, &panic))),
        },
    };
    let prepared = match prepared {
        Some(prepared) => prepared,
        None => {
            let (pipeline, readers, job) = (Arc::clone(&pipeline), readers.clone(), job.clone());
            let again = {
                let job = job.clone();
                spawn_blocking(move || {
                    let say = say(&readers, &job.resource);
                    let current = pipeline.current(&job.resource, &say)?;
                    pipeline.prepare(&job, current, &say)
                })
            };
            again.await.unwrap_or_else(|panic| Err(ended_early(&job, &panic)))
        }
    };
    let prepared = complete(prepared, &job, &pipeline, &readers, disk).await;
    let surroundings = Surroundings { readers: &readers, requester: &requester, disk };
    let done = match prepared {
        Ok(prepared) => {
            pipeline.finish(&job, prepared, &mut durable, |_, _| {}, surroundings).await
        }
        Err(failure) => Err(failure),
    };
    let done = match done {
        Err(failure) => {
            Err(pipeline.after_failure(&job, failure, &mut durable, surroundings).await)
        }
        done => done,
    };
    Ended { resource: job.resource, durable, done }
}

/// The result of a first half in which nothing is missing: waits for the missing answers, and
/// repeats the first half. A template can ask for more each time, because of the answers.
async fn complete(
    mut prepared: Result<Box<Prepared>, Failure>,
    job: &Job,
    pipeline: &Arc<Pipeline>,
    readers: &Readers,
    disk: Disk,
) -> Result<Box<Prepared>, Failure> {
    for _ in 0..ROUNDS {
        let missing = match &prepared {
            Err(failure) if failure.kind() == Kind::Waiting => failure.missing(),
            _ => break,
        };
        pipeline.answers().settled(missing).await?;
        let (pipeline, readers, job) = (Arc::clone(pipeline), readers.clone(), job.clone());
        let again = move || {
            let say = say(&readers, &job.resource);
            let current = pipeline.current(&job.resource, &say)?;
            pipeline.prepare(&job, current, &say)
        };
        prepared = disk.run(again).await;
    }
    prepared
}

/// The result of a first half, if it would be the same after the files that were replaced in the
/// meantime.
async fn still_true(
    prepared: Result<Box<Prepared>, Failure>,
    job: &Job,
    disk: Disk,
) -> Option<Result<Box<Prepared>, Failure>> {
    let resource = Arc::clone(&job.resource);
    let look = move || prepared.ok().filter(|prepared| prepared.has_its_templates(&resource));
    disk.run(look).await.map(Ok)
}

fn ended_early(job: &Job, panic: &tokio::task::JoinError) -> Failure {
    let dests = job.resource.dest_names();
    Failure::panic(format_args!("staging {dests}"), panic)
}
