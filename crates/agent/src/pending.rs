//! The reloads that a pass tries although it has failed.
//!
//! A reload is pending if its file is in place and its command has not succeeded since. If a pass fails
//! before it has put newer content in place, for whatever reason, what is in place still gets its
//! reload, as in a pass that finds it unchanged. The failure of the pass stays the same.

use std::sync::{Arc, OnceLock};

use deploy::{Durable, Observer, Outcome, Target, Transaction};

use crate::{
    event::Readers,
    failure::{Failure, Need},
    items,
    pipeline::{Observing, Pipeline, Surroundings, notices},
    prepare::Job,
    resource::Resource,
};

impl Pipeline {
    /// What becomes of a pass that has failed: the pending reloads of its files are tried again, unless
    /// the pass has come to its reloads. Returns the failure, with that of a reload that has failed
    /// again.
    ///
    /// Dropping the future kills a running command.
    pub(crate) async fn after_failure(
        &self,
        job: &Job,
        failure: Failure,
        durable: &mut Durable,
        surroundings: Surroundings<'_>,
    ) -> Failure {
        let is_soon_tried_again = self.waits_for_data && failure.need() == Need::Data;
        if !self.runs_commands(&job.resource)
            || self.options.noop
            || !failure.is_before_the_commit()
            || is_soon_tried_again
        {
            return failure;
        }
        let Surroundings { readers, requester, disk } = surroundings;
        let (resource, options) = (Arc::clone(&job.resource), self.options);
        let look = move || Transaction::keep_pending(targets(&resource), &options);
        let Some(kept) = disk.run(look).await else { return failure };
        let observer = self.observer_of_kept(job, !failure.is_of_the_source(), readers);
        let say = notices(readers, &job.resource);
        let reloader = requester.reloader(&say);
        // Boxed, because few passes fail while a reload is pending.
        match Box::pin(kept.finish(&observer, durable, disk, &reloader)).await {
            Ok(outcomes) => {
                debug_assert!(!outcomes.contains(&Outcome::Updated), "the files stay");
                failure
            }
            Err(error) => failure.beside(error.into()),
        }
    }

    fn observer_of_kept(
        &self,
        job: &Job,
        shows_keys: bool,
        readers: &Readers,
    ) -> Arc<dyn Observer> {
        let (applied, of) = (Arc::clone(&self.applied), job.clone());
        Arc::new(Observing {
            job: job.clone(),
            runner: Arc::clone(&self.runner),
            readers: readers.clone(),
            replaced: |_: &_, _: &_| {},
            make_environment: move || applied.of_kept(&of, shows_keys),
            environment: OnceLock::new(),
            refused: Arc::default(),
        })
    }
}

/// The files of `resource`: those with a path of their own, and those of items whose reloads may be
/// pending. Blocks on the disk.
fn targets(resource: &Resource) -> Vec<Arc<Target>> {
    let of_part = |part| match items::pending_of(part) {
        Some(pending) => pending,
        None => vec![Arc::clone(&part.target)],
    };
    resource.parts().iter().flat_map(of_part).collect()
}
