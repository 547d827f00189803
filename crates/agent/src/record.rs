//! What the passes of a resource left behind, so that a pass that could change nothing is left out.
//!
//! A pass makes the same file as the pass before if its template is the same, asked for nothing but
//! keys, and gets the same answers; and it does nothing at all if the file is still the same. Where
//! one of these is not known for certain, no [`InSync`] is recorded.

use std::{
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use deploy::{Outcome, Placed};
use render::Template;
use report::Fingerprint;
use store::Reads;

use crate::{digest::Digest, event::Wake, pipeline::Prepared, resource::Resource};

/// What a file was made of, and what it is.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) template: Arc<Template>,
    /// The template's file, when it was read.
    pub(crate) src: Fingerprint,
    /// What the template asked of its view.
    pub(crate) reads: Reads,
    /// The file, which had the right content.
    pub(crate) dest: Fingerprint,
}

/// A file that is what its resource makes of the store, with nothing left to do.
#[derive(Debug)]
pub(crate) struct InSync {
    /// The number of the assignment that found it so.
    pub(crate) assignment: u64,
    resource: Arc<Resource>,
    origin: Origin,
}

impl InSync {
    /// What is known behind a pass that ended so; none if the next pass might do something.
    pub(crate) fn after(
        assignment: u64,
        resource: &Arc<Resource>,
        origin: Origin,
        outcome: Outcome,
    ) -> Option<Self> {
        let resource = Arc::clone(resource);
        match outcome {
            Outcome::Unchanged => Some(InSync { assignment, resource, origin }),
            // What the file has become is seen by the next pass.
            Outcome::Updated | Outcome::Reloaded | Outcome::WouldUpdate => None,
        }
    }

    /// Whether a change of this key of the source, which the resource asks for, may change the file.
    pub(crate) fn is_concerned_by(&self, key: &[u8]) -> bool {
        self.origin.reads.concern(key)
    }

    /// Whether template and file are as they were. Looks at the disk, and waits for it.
    pub(crate) fn has_its_files(&self) -> bool {
        let resource = &self.resource;
        Fingerprint::at(&resource.src) == Some(self.origin.src)
            && Fingerprint::at(&resource.target.dest) == Some(self.origin.dest)
            && self.origin.template.is_current()
    }
}

/// The files of a resource as its last pass left them, whether it succeeded or not.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    resource: Arc<Resource>,
    template: Arc<Template>,
    /// The template's file before it was read.
    src: Option<Fingerprint>,
    /// The destination after the commit, or as it was found.
    dest: Option<Fingerprint>,
    /// What the pass rendered.
    rendered: Digest,
    /// Whether the destination has to be read to find out if it still holds what was rendered. That
    /// is so if the file was changed so shortly before its fingerprint was taken that another change
    /// may have left the fingerprint as it is.
    has_to_be_read: bool,
}

impl Left {
    /// What a pass leaves that has got this far. The destination is looked at now.
    pub(crate) fn by(resource: &Arc<Resource>, prepared: &Prepared) -> Self {
        let dest = Fingerprint::at(&resource.target.dest);
        let is_settled = dest.is_none_or(|dest| dest.is_settled());
        Left {
            resource: Arc::clone(resource),
            template: Arc::clone(&prepared.template),
            src: prepared.src,
            dest,
            rendered: prepared.digest,
            has_to_be_read: prepared.is_in_sync() && !is_settled,
        }
    }

    /// Why the resource needs a pass for the sake of its files, if it does. Looks at the disk, and
    /// waits for it.
    pub(crate) fn look(&self) -> Option<Wake> {
        let resource = &self.resource;
        if Fingerprint::at(&resource.src) != self.src || !self.template.is_current() {
            Some(Wake::Template)
        } else if resource.heal && !self.has_its_destination() {
            Some(Wake::Destination)
        } else {
            None
        }
    }

    /// Whether the destination is as the pass left it.
    fn has_its_destination(&self) -> bool {
        let dest = &self.resource.target.dest;
        let is_same = Fingerprint::at(dest) == self.dest;
        let holds_it = || fs::read(dest).is_ok_and(|held| Digest::of(&held) == self.rendered);
        is_same && (!self.has_to_be_read || holds_it())
    }
}

/// Where a worker records what its passes came to; a copy is another hand on the same record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    /// The number of the assignment that is or was worked on last.
    taken: u64,
    in_sync: Option<Arc<InSync>>,
    left: Option<Left>,
}

impl Record {
    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker works on this assignment now.
    pub(crate) fn set_taken(&self, assignment: u64) {
        self.lock().taken = assignment;
    }

    /// Whether the worker has begun to work on this assignment.
    pub(crate) fn has_taken(&self, assignment: u64) -> bool {
        self.lock().taken >= assignment
    }

    /// Replaces what was recorded as in sync.
    pub(crate) fn set_in_sync(&self, in_sync: Option<InSync>) {
        self.lock().in_sync = in_sync.map(Arc::new);
    }

    /// What came of this assignment, once there is nothing left to do for it.
    pub(crate) fn in_sync(&self, assignment: u64) -> Option<Arc<InSync>> {
        let notes = self.lock();
        notes.in_sync.as_ref().filter(|known| known.assignment == assignment).cloned()
    }

    /// Records the files of a pass; `None` if it failed before it looked at the destination.
    pub(crate) fn set_left(&self, left: Option<Left>) {
        self.lock().left = left;
    }

    /// Records that the destination was replaced just now.
    pub(crate) fn set_destination(&self, placed: &Placed) {
        if let Some(left) = &mut self.lock().left {
            left.dest = Some(placed.file);
            left.has_to_be_read = placed.has_staged_content;
        }
    }

    /// The files as the last pass left them; `None` if it has not got that far.
    pub(crate) fn left(&self) -> Option<Left> {
        self.lock().left.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, path::Path, time::SystemTime};

    use store::Coverage;

    use super::*;
    use crate::{
        pipeline::{Job, Pipeline},
        templates::Templates,
    };

    /// A resource whose destination is in place, and how its pass left it.
    fn left(folder: &Path) -> (Record, Fingerprint) {
        let path = folder.join("a.toml");
        fs::write(folder.join("a"), "content").unwrap();
        let dest = folder.join("dest");
        let table = format!("[template]\nsrc = 'a'\ndest = '{}'\n", dest.display());
        fs::write(&path, table).unwrap();
        let resource = Arc::new(Resource::load(&path, folder).unwrap());
        let templates = Arc::new(Templates::new(folder.to_owned(), true));
        let host = Arc::new(world::System::new());
        let pipeline = Pipeline::new(templates, host, deploy::Options::default());
        let snapshot = store::Snapshot::new(Coverage::Subtree);
        let job = Job { resource: Arc::clone(&resource), snapshot, applied: None };
        let current = pipeline.template(&resource, &|_| {}).unwrap();
        let prepared = pipeline.prepare(&job, current, &|_| {}).unwrap();
        let record = Record::default();
        record.set_left(Some(Left::by(&resource, &prepared)));
        // What the commit does.
        fs::write(&dest, "content").unwrap();
        (record, Fingerprint::at(&dest).unwrap())
    }

    #[test]
    fn a_change_that_leaves_the_fingerprint_alone_is_found_by_reading() {
        let folder = tempfile::tempdir().unwrap();
        let (record, _) = left(folder.path());
        let dest = folder.path().join("dest");
        for (content, wake) in [("content", None), ("CONTENT", Some(Wake::Destination))] {
            // Another program was faster than the look at the file.
            fs::write(&dest, content).unwrap();
            let file = Fingerprint::at(&dest).unwrap();
            record.set_destination(&Placed { file, has_staged_content: true });
            assert_eq!(record.left().unwrap().look(), wake, "{content}");
        }
        // What a check command made of the file is nobody's mistake.
        let file = Fingerprint::at(&dest).unwrap();
        record.set_destination(&Placed { file, has_staged_content: false });
        assert_eq!(record.left().unwrap().look(), None);
    }

    #[test]
    fn every_other_change_is_found_by_the_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let (record, file) = left(folder.path());
        let dest = folder.path().join("dest");
        record.set_destination(&Placed { file, has_staged_content: false });
        assert_eq!(record.left().unwrap().look(), None);
        let changes: [fn(&Path); 4] = [
            |dest| fs::set_permissions(dest, fs::Permissions::from_mode(0o600)).unwrap(),
            |dest| fs::File::open(dest).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap(),
            |dest| fs::write(dest, "longer content").unwrap(),
            |dest| fs::remove_file(dest).unwrap(),
        ];
        for change in changes {
            change(&dest);
            assert_eq!(record.left().unwrap().look(), Some(Wake::Destination));
        }
    }
}
