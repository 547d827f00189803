//! A resource of watch mode and its worker: what a change of keys means to it, and what its last pass
//! left.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use store::Snapshot;
use tokio::sync::watch;

use crate::{
    event::Wake,
    failure::Failure,
    pipeline::Pipeline,
    record::{InSync, Left, Record},
    reloads::Requester,
    resource::Resource,
    worker::Assignment,
};

/// One resource and its worker.
pub(super) struct Member {
    pub(super) resource: Arc<Resource>,
    /// The newest state; `None` before the first state for this resource's scope.
    pub(super) snapshot: Option<Snapshot>,
    /// Why the source has shown no state yet, for a resource whose reload may be pending.
    pub(super) no_keys: Option<Failure>,
    /// Whether the source refuses its keys.
    pub(super) is_refused: bool,
    /// `None` before the first assignment.
    pub(super) worker: Option<Worker>,
    /// The members whose passes come before those of this one. All of them have smaller numbers.
    pub(super) after: Vec<usize>,
}

/// The connection to a worker.
pub(super) struct Worker {
    /// The number and the reason of its newest assignment.
    pub(super) newest: (u64, Wake),
    pub(super) assignments: watch::Sender<Assignment>,
    pub(super) record: Record,
    pub(super) requester: Arc<Requester>,
}

/// The meaning of a new state for a resource.
pub(super) enum News {
    /// No change.
    None,
    /// A key that it asks for has changed, but its file stays the same, unless another program has
    /// changed the file.
    Look(Arc<InSync>),
    /// It needs a pass.
    Wake(Wake),
}

impl Member {
    /// The meaning of a change of these keys. `snapshot` is the state after the change.
    pub(super) fn news(&self, snapshot: &Snapshot, changed: &[Bytes]) -> News {
        let scope = &self.resource.scope;
        // Several backends can have the same key.
        let before = self.snapshot.as_ref();
        let has_changed =
            |key: &Bytes| before.is_none_or(|before| before.get(key) != snapshot.get(key));
        let asks_for = |key: &&Bytes| scope.asks_for(snapshot.coverage(), key) && has_changed(key);
        let own = || changed.iter().filter(asks_for);
        if own().next().is_none() {
            return News::None;
        }
        let in_sync =
            self.worker.as_ref().and_then(|worker| worker.record.in_sync(worker.newest.0));
        match in_sync {
            Some(known) if !own().any(|key| known.is_concerned_by(key)) => News::Look(known),
            _ => News::Wake(Wake::Keys {
                changed: own().cloned().collect(),
                revision: snapshot.revision(),
            }),
        }
    }

    /// Notes that the source shows no keys, because of `failure`. Returns whether that is news for a
    /// resource without keys whose reload may be pending.
    pub(super) fn lacks_keys(&mut self, failure: &Failure, pipeline: &Pipeline) -> bool {
        let is_news = self.snapshot.is_none() && self.no_keys.is_none();
        if !is_news || !pipeline.runs_commands(&self.resource) {
            return false;
        }
        self.no_keys = Some(failure.clone());
        true
    }

    /// Whether the resource file `path` describes it or a part of it.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.resource.parts().iter().any(|part| part.path == path)
    }

    /// Whether the worker has started on the newest assignment, so that only a new assignment has
    /// an effect.
    pub(super) fn is_idle(&self) -> bool {
        let has_taken = |worker: &Worker| worker.record.has_taken(worker.newest.0);
        self.worker.as_ref().is_some_and(has_taken)
    }

    /// The files after the last pass, if the worker has nothing to do.
    pub(super) fn left(&self) -> Option<(u64, Left)> {
        let worker = self.worker.as_ref().filter(|_| self.is_idle())?;
        if worker.record.is_running() {
            return None;
        }
        Some((worker.newest.0, worker.record.left()?))
    }

    /// The worker whose pass is running, if it has started on the newest assignment.
    pub(super) fn running(&self) -> Option<&Worker> {
        self.worker.as_ref().filter(|worker| self.is_idle() && worker.record.is_running())
    }
}
