//! Makes the passes of one resource in watch mode, and chooses the thread of each half.

use std::{path::Path, sync::Arc};

use deploy::{Disk, Durable, Placed};
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::{
    event::{Event, Reader as _, Readers, RunSteps, Step, Wake, say},
    failure::Failure,
    pipeline::{Applied, Done, Pipeline, Surroundings},
    placement::{self, Placement},
    prepare::{Job, Prepared},
    record::{Left, Record},
    reloads::Requester,
    worker::Assignment,
};

/// Makes the passes of one resource.
pub(crate) struct Maker {
    readers: Readers,
    record: Record,
    requester: Arc<Requester>,
    placement: Placement,
    /// For a resource with `heal = false`.
    applied: Option<Applied>,
}

/// The progress of a pass on another thread.
enum Progress {
    Prepared(Box<Prepared>),
    Finished(Box<Result<Done, Failure>>),
}

impl Maker {
    pub(crate) fn new(readers: Readers, record: Record, requester: Arc<Requester>) -> Self {
        Maker { readers, record, requester, placement: Placement::default(), applied: None }
    }

    /// Whether the next pass may be made on the runtime's thread.
    #[cfg(test)]
    pub(crate) fn is_light(&self) -> bool {
        self.placement.is_light()
    }

    /// Makes one pass. Dropping the future kills a running command.
    pub(crate) async fn pass(&mut self, assignment: &Assignment) -> Result<Done, Failure> {
        let job = self.job(assignment);
        let done = match self.attempt(assignment, &job).await {
            Err(failure) => Err(self.after_failure(assignment, &job, failure).await),
            done => done,
        };
        // After a failure the work may have to be repeated, even if the content stays the same.
        self.applied = done.as_ref().ok().and_then(|done| Applied::by(&assignment.resource, done));
        done
    }

    fn job(&self, assignment: &Assignment) -> Job {
        let Assignment { resource, keys, wake, .. } = assignment;
        let Ok(snapshot) = keys.clone() else { return Job::without_keys(resource) };
        let resource = Arc::clone(resource);
        let applied = self.applied.as_ref().and_then(|applied| applied.digest_for(&resource));
        // Without a record of its files, nothing is known of them.
        let is_full = !matches!(wake, Wake::Keys { .. } | Wake::Answers(_) | Wake::Retry)
            || self.record.left().is_none();
        Job { resource, snapshot, applied, is_full }
    }

    async fn attempt(&mut self, assignment: &Assignment, job: &Job) -> Result<Done, Failure> {
        let Assignment { keys, pipeline, is_alone, .. } = assignment;
        if let Err(failure) = keys {
            return Err(failure.clone());
        }
        if let Some(light) = self.placement.take(*is_alone)
            && let Some(current) = placement::light(pipeline, job, &light)
        {
            let say = say(&self.readers, &job.resource);
            let parts = job.resource.parts().iter();
            parts.for_each(|part| say(Step::UsingTemplate(part.src.clone())));
            match pipeline.prepare_within(Some(placement::BUDGET), job, current, &say) {
                Ok(prepared) => {
                    self.placement.note(&job.resource, &prepared, true);
                    let surroundings = self.surroundings(Disk::Here);
                    return finish(pipeline, job, prepared, &self.record, surroundings).await;
                }
                // The pass was not light. It begins again on another thread.
                Err(failure) if failure.needs_a_thread() => {}
                Err(failure) => return Err(failure),
            }
        }
        let runs_commands = pipeline.runs_commands(&job.resource);
        let (readers, record, requester, pipeline) = (
            self.readers.clone(),
            self.record.clone(),
            Arc::clone(&self.requester),
            Arc::clone(pipeline),
        );
        let mut placement = Placement::default();
        let runtime = Handle::current();
        let on_its_thread = {
            let (job, pipeline) = (job.clone(), Arc::clone(&pipeline));
            spawn_blocking(move || {
                let current = pipeline.current(&job.resource, &say(&readers, &job.resource))?;
                let prepared = pipeline.prepare(&job, current, &say(&readers, &job.resource))?;
                placement.note(&job.resource, &prepared, false);
                let progress = match runs_commands {
                    true => Progress::Prepared(prepared),
                    // Without commands the second half waits only for the disk, so it runs here and
                    // does not wait for the runtime.
                    false => {
                        let (readers, requester, disk) = (&readers, &*requester, Disk::Here);
                        let surroundings = Surroundings { readers, requester, disk };
                        let finished = finish(&pipeline, &job, prepared, &record, surroundings);
                        Progress::Finished(Box::new(runtime.block_on(finished)))
                    }
                };
                Ok::<_, Failure>((progress, placement))
            })
        };
        let (progress, placement) = on_its_thread.await.map_err(|panic| {
            let dests = job.resource.dest_names();
            Failure::panic(format_args!("staging {dests}"), &panic)
        })??;
        let done = match progress {
            Progress::Prepared(prepared) => {
                let surroundings = self.surroundings(Disk::Elsewhere);
                finish(&pipeline, job, prepared, &self.record, surroundings).await?
            }
            Progress::Finished(done) => (*done)?,
        };
        self.placement = placement;
        Ok(done)
    }

    /// The failure, after the pending reloads of the files were tried again.
    async fn after_failure(&self, assignment: &Assignment, job: &Job, failure: Failure) -> Failure {
        let (mut durable, disk) = (Durable::default(), Disk::Elsewhere);
        let tried =
            assignment.pipeline.after_failure(job, failure, &mut durable, self.surroundings(disk));
        let failure = tried.await;
        if failure.has_rolled_back() {
            let record = self.record.clone();
            disk.run(move || record.look_at_the_destinations()).await;
        }
        if !durable.is_empty() {
            let readers = self.readers.clone();
            let report = move || {
                for error in durable.sync(&RunSteps(&readers)) {
                    readers.read(&Event::RunFailed { failure: Arc::new(error.into()) });
                }
            };
            disk.run(report).await;
        }
        failure
    }

    fn surroundings(&self, disk: Disk) -> Surroundings<'_> {
        Surroundings { readers: &self.readers, requester: &self.requester, disk }
    }
}

/// The second half of a pass, and the sync of its folders.
async fn finish(
    pipeline: &Pipeline,
    job: &Job,
    prepared: Box<Prepared>,
    record: &Record,
    surroundings: Surroundings<'_>,
) -> Result<Done, Failure> {
    let Surroundings { readers, disk, .. } = surroundings;
    let mut durable = Durable::default();
    let prepared = {
        let (resource, record) = (Arc::clone(&job.resource), record.clone());
        let look = move || {
            let before = record.take_left();
            record.set_left(Some(Left::by(&resource, &prepared, before)));
            prepared
        };
        disk.run(look).await
    };
    let replaced = {
        let record = record.clone();
        move |dest: &Path, placed: &Placed| record.set_destination(dest, placed)
    };
    let done = pipeline.finish(job, prepared, &mut durable, replaced, surroundings).await;
    if done.as_ref().is_err_and(Failure::has_rolled_back) {
        let record = record.clone();
        disk.run(move || record.look_at_the_destinations()).await;
    }
    if durable.is_empty() {
        return done;
    }
    let errors = {
        let readers = readers.clone();
        disk.run(move || durable.sync(&RunSteps(&readers))).await
    };
    match errors.into_iter().next() {
        Some(error) => Err(error.into()),
        None => done,
    }
}
