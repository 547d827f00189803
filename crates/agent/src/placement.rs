//! Decides which thread makes a pass in watch mode.
//!
//! Rendering may block on the network, and staging blocks on the disk, so a pass usually gets its
//! own thread. Waking that thread takes as long as all the rest of a small pass. So a pass runs on
//! the runtime's thread if no other resource has work to do and the pass is known to be light.
//!
//! This is the only place where a pass may run on the thread that serves all resources.

use std::{sync::Arc, time::Duration};

use render::Template;

use crate::{pipeline::Prepared, resource::Resource, templates::Current};

/// The longest first half of a light pass.
const LIGHT: Duration = Duration::from_millis(5);

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
    pub(crate) fn note(&mut self, resource: &Resource, prepared: &Prepared, was_light: bool) {
        let can_be_light = || {
            let files = [&resource.src, &resource.target.dest];
            !prepared.template.may_wait() && files.iter().all(|file| deploy::is_local(file))
        };
        let is_light = prepared.elapsed() <= LIGHT && (was_light || can_be_light());
        self.light = is_light.then(|| Arc::clone(&prepared.template));
    }
}

/// Whether a pass with this template may run on the runtime's thread. `light` is the template of
/// the previous pass, if that was light.
pub(crate) fn is_light(current: &Current, light: Option<&Arc<Template>>) -> bool {
    current.is_newest && light.is_some_and(|light| Arc::ptr_eq(light, &current.template))
}
