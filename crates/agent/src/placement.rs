//! Decides which thread makes a pass of watch mode.
//!
//! Rendering may wait, for the network even, and the disk does, so a pass gets a thread of its own.
//! To wake that thread takes as long as all the rest of a small pass. So a pass is made on the
//! runtime's thread if no other resource has something to do, and the pass is known to be light.
//!
//! This is the one place where a pass may run on the thread that serves all resources.

use std::{sync::Arc, time::Duration};

use render::Template;

use crate::{pipeline::Prepared, resource::Resource, templates::Current};

/// The longest first half of a light pass.
const LIGHT: Duration = Duration::from_millis(5);

/// What is known about the passes of one resource.
#[derive(Default)]
pub(crate) struct Placement {
    /// The template of the pass before, if that pass was light.
    light: Option<Arc<Template>>,
}

impl Placement {
    /// Whether the next pass may be made on the runtime's thread, as far as is known before its
    /// template is. What fails is not known to be light any more.
    pub(crate) fn take(&mut self, is_alone: bool) -> Option<Arc<Template>> {
        self.light.take().filter(|_| is_alone)
    }

    /// Whether the pass before was light.
    #[cfg(test)]
    pub(crate) fn is_light(&self) -> bool {
        self.light.is_some()
    }

    /// Notes the first half of a pass. A pass counts as light when its first half took less than
    /// [`LIGHT`], and either the pass before was light with the same template, or nothing of it can
    /// have waited for anything but this machine.
    pub(crate) fn note(&mut self, resource: &Resource, prepared: &Prepared, was_light: bool) {
        let can_be_light = || {
            let files = [&resource.src, &resource.target.dest];
            !prepared.template.may_wait() && files.iter().all(|file| deploy::is_local(file))
        };
        let is_light = prepared.elapsed() <= LIGHT && (was_light || can_be_light());
        self.light = is_light.then(|| Arc::clone(&prepared.template));
    }
}

/// Whether a pass with this template may be made on the runtime's thread; `light` is the template of
/// the pass before, if that was light.
pub(crate) fn is_light(current: &Current, light: Option<&Arc<Template>>) -> bool {
    current.is_newest && light.is_some_and(|light| Arc::ptr_eq(light, &current.template))
}
