//! Decides which thread makes a pass in watch mode.
//!
//! Rendering may block on the network, and staging blocks on the disk, so a pass usually gets its
//! own thread. Waking that thread takes as long as all the rest of a small pass. So a pass runs on
//! the runtime's thread if no other resource has work to do and the pass is known to be light: the
//! previous pass was, the template is the same, and the data are few. Few data can still mean much
//! work, so rendering is stopped after [`BUDGET`], and then begins again on another thread.
//!
//! This is the only place where a pass may run on the thread that serves all resources.

use std::{sync::Arc, time::Duration};

use render::Template;
use store::View;

use crate::{
    pipeline::Pipeline,
    prepare::{Job, Prepared},
    resource::Resource,
    templates::Current,
};

/// The longest first half of a light pass.
const LIGHT: Duration = Duration::from_millis(5);

/// The time that rendering may take on the runtime's thread.
pub(crate) const BUDGET: Duration = Duration::from_millis(10);
/// The most keys, and bytes of values, that the template of a light pass can read.
const FEW_KEYS: usize = 256;
const FEW_BYTES: usize = 64 * 1024;

/// What is known about the passes of one resource.
#[derive(Default)]
pub(crate) struct Placement {
    /// The template of the previous pass, if that pass was light.
    light: Option<Arc<Template>>,
}

impl Placement {
    /// The template with which the next pass counts as light, if it may run on the runtime's
    /// thread. Forgets it, so that a pass that fails does not count as light the next time.
    pub(crate) fn take(&mut self, is_alone: bool) -> Option<Arc<Template>> {
        self.light.take().filter(|_| is_alone)
    }

    /// Whether the previous pass was light.
    #[cfg(test)]
    pub(crate) fn is_light(&self) -> bool {
        self.light.is_some()
    }

    /// Records the first half of a pass. A pass counts as light when its first half took less than
    /// [`LIGHT`], and when either the previous pass was light with the same template, or no part of
    /// the first half can have waited for the network.
    ///
    /// A pass of several files is never light.
    pub(crate) fn note(&mut self, resource: &Resource, prepared: &Prepared, was_light: bool) {
        self.light = None;
        let ([part], [file]) = (resource.parts(), &prepared.files[..]) else { return };
        let ([current], false) = (&prepared.templates[..], resource.has_items()) else { return };
        let template = &current.template;
        let can_be_light = || {
            let files = [&part.src, &file.target.dest];
            !template.may_wait() && files.iter().all(|file| deploy::is_local(file))
        };
        let is_light = prepared.elapsed() <= LIGHT && (was_light || can_be_light());
        self.light = is_light.then(|| Arc::clone(template));
    }
}

/// The template with which this pass may run on the runtime's thread; `None` if it may not. `light`
/// is the template of the previous pass, which was light.
pub(crate) fn light(pipeline: &Pipeline, job: &Job, light: &Arc<Template>) -> Option<Vec<Current>> {
    let current = pipeline.known_templates(&job.resource)?;
    let is_it = |current: &Current| Arc::ptr_eq(light, &current.template);
    (current.iter().all(is_it) && are_few(job)).then_some(current)
}

/// Whether the data that the template can read are few now.
fn are_few(job: &Job) -> bool {
    let Job { resource, snapshot, .. } = job;
    let views = resource.parts().iter();
    let views = views.map(|part| View::new(snapshot.clone(), &part.scope, &part.prefix));
    let views: Vec<_> = views.collect();
    let (mut keys, mut bytes) = (0, 0);
    for pair in views.iter().flat_map(View::iter) {
        keys += 1;
        bytes += pair.value.len();
        if keys > FEW_KEYS || bytes > FEW_BYTES {
            return false;
        }
    }
    true
}
