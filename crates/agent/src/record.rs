//! Records the results of a resource's passes, so that passes that would change nothing are
//! skipped.
//!
//! A pass renders the same content as the previous pass if the template is unchanged, asked for
//! nothing but keys, and gets the same answers. It does nothing at all if the file is also
//! unchanged. If one of these conditions is not certain, no [`InSync`] is recorded.

use std::{
    collections::HashSet,
    mem::take,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use deploy::{Outcome, Placed, Target};
use report::{Fingerprint, read_regular};
use store::Reads;
use tokio::sync::Notify;

use crate::{
    digest::Digest,
    event::Wake,
    prepare::{File, Prepared},
    resource::Resource,
    templates::Current,
};

/// What the files of a resource were rendered from, and their states.
#[derive(Debug)]
pub(crate) struct Origin {
    /// In the order of the parts.
    templates: Vec<Current>,
    files: Vec<(Arc<Target>, Fingerprint)>,
    /// The keys that the templates asked for.
    reads: Vec<Reads>,
}

impl Origin {
    /// The origin of `files`, whose templates asked for the keys in `reads`. `dests` are the
    /// fingerprints of the destinations, which had the right contents. `None` if a later change of a
    /// template might not change its fingerprint.
    pub(crate) fn of(
        templates: &[Current],
        files: &[File],
        reads: Vec<Reads>,
        dests: &[Fingerprint],
    ) -> Option<Self> {
        let is_settled = |current: &Current| current.src.is_some_and(|src| src.is_settled());
        let targets = files.iter().map(|file| Arc::clone(&file.target));
        let files = targets.zip(dests.iter().copied()).collect();
        let templates = templates.to_vec();
        templates.iter().all(is_settled).then_some(Origin { templates, files, reads })
    }
}

/// Whether each part has the template with which it was rendered. Blocks on the disk.
fn has_its_templates(resource: &Resource, templates: &[Current]) -> bool {
    let mut pairs = templates.iter().zip(resource.parts());
    pairs.all(|(current, part)| current.has_its_files(&part.src))
}

/// A destination that is in sync, with no work left to do.
#[derive(Debug)]
pub(crate) struct InSync {
    /// The number of the assignment after which it was in sync.
    pub(crate) assignment: u64,
    resource: Arc<Resource>,
    origin: Origin,
}

impl InSync {
    /// The record of a pass with this outcome; `None` if the next pass may have work to do.
    pub(crate) fn after(
        assignment: u64,
        resource: &Arc<Resource>,
        origin: Origin,
        outcome: Outcome,
    ) -> Option<Self> {
        let resource = Arc::clone(resource);
        match outcome {
            Outcome::Unchanged => Some(InSync { assignment, resource, origin }),
            // The next pass records the new state of the file.
            Outcome::Updated
            | Outcome::Removed
            | Outcome::Reloaded
            | Outcome::WouldUpdate
            | Outcome::WouldRemove
            | Outcome::Refused => None,
        }
    }

    /// Whether a change of this key, which the resource asks for, may change the file.
    pub(crate) fn is_concerned_by(&self, key: &[u8]) -> bool {
        self.origin.reads.iter().any(|reads| reads.concern(key))
    }

    /// Whether the templates and the destinations are unchanged. Blocks on the disk.
    pub(crate) fn has_its_files(&self) -> bool {
        let Origin { templates, files, .. } = &self.origin;
        let is_unchanged = |(target, dest): &(Arc<Target>, Fingerprint)| {
            Fingerprint::at(&target.dest) == Some(*dest)
        };
        has_its_templates(&self.resource, templates) && files.iter().all(is_unchanged)
    }
}

/// The files of a resource after its last pass, whether the pass succeeded or not.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    resource: Arc<Resource>,
    /// In the order of the parts.
    templates: Vec<Current>,
    /// Sorted by their destinations.
    files: Arc<Vec<LeftFile>>,
    /// Whether the pass before had other destinations.
    are_others: bool,
}

/// One file of a resource after its last pass.
#[derive(Clone, Debug)]
struct LeftFile {
    target: Arc<Target>,
    /// Of the content that was rendered.
    digest: Digest,
    /// The fingerprint of the destination after the commit, or as the pass found it.
    dest: Option<Fingerprint>,
    /// Whether the destination must be read to find out if it still has the rendered content. This
    /// is the case if its fingerprint was not settled: a later change may then leave the
    /// fingerprint as it is.
    has_to_be_read: bool,
}

impl Left {
    /// The state that a pass leaves after its first half. The destinations are examined now. `before`
    /// has the files that a partial pass leaves alone.
    pub(crate) fn by(resource: &Arc<Resource>, prepared: &Prepared, before: Option<Left>) -> Self {
        let is_in_sync = prepared.is_in_sync();
        let left = |file: &File| {
            let dest = Fingerprint::at(&file.target.dest);
            let is_settled = dest.is_none_or(|dest| dest.is_settled());
            let (target, digest) = (Arc::clone(&file.target), file.digest);
            LeftFile { target, digest, dest, has_to_be_read: is_in_sync && !is_settled }
        };
        let now = prepared.files.iter().map(left);
        let (resource, templates) = (Arc::clone(resource), prepared.templates.clone());
        let mut files = match before.filter(|_| prepared.is_partial) {
            Some(before) => before.files,
            None => {
                let mut files: Vec<_> = now.collect();
                files.sort_by(|one, two| one.target.dest.cmp(&two.target.dest));
                let are_others = resource.has_items();
                return Left { resource, templates, files: Arc::new(files), are_others };
            }
        };
        let all = Arc::make_mut(&mut files);
        let mut are_others = false;
        for file in now {
            match place_of(all, &file.target.dest) {
                Ok(place) => all[place] = file,
                Err(place) => {
                    all.insert(place, file);
                    are_others = true;
                }
            }
        }
        for (_, target) in &prepared.gone {
            if let Ok(place) = place_of(all, &target.dest) {
                all.remove(place);
                are_others = true;
            }
        }
        Left { resource, templates, files, are_others }
    }

    /// Why the resource needs a pass because of its files; `None` if it needs none. Only the
    /// destinations among `paths` are examined if there are some; else all. Blocks on the disk.
    pub(crate) fn look(&self, paths: Option<&HashSet<PathBuf>>) -> Option<Wake> {
        let Left { resource, templates, files, .. } = self;
        let among = |paths: &HashSet<PathBuf>| {
            let places = paths.iter().filter_map(|path| place_of(files, path).ok());
            places.into_iter().all(|place| files[place].has_its_destination())
        };
        let are_left = || match paths {
            Some(paths) => among(paths),
            None => files.iter().all(LeftFile::has_its_destination),
        };
        if !has_its_templates(resource, templates) {
            Some(Wake::Template)
        } else if resource.heals() && !are_left() {
            Some(Wake::Destination)
        } else {
            None
        }
    }

    /// The destinations.
    pub(crate) fn dests(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| &*file.target.dest)
    }
}

/// The place of a destination among these files, or the place where it belongs.
fn place_of(files: &[LeftFile], dest: &Path) -> Result<usize, usize> {
    files.binary_search_by(|file| file.target.dest.as_path().cmp(dest))
}

impl LeftFile {
    /// Whether the destination is as the pass left it.
    fn has_its_destination(&self) -> bool {
        let LeftFile { target, digest, .. } = self;
        let is_same = Fingerprint::at(&target.dest) == self.dest;
        let digest_of = |held: Vec<u8>| Digest::of(&target.significant(&held));
        let holds_it = || read_regular(&target.dest).is_ok_and(|held| digest_of(held) == *digest);
        is_same && (!self.has_to_be_read || holds_it())
    }
}

/// The record of a worker's passes. A clone is the same record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    notes: Arc<Mutex<Notes>>,
    /// Notifies the waiting looks when a pass ends.
    ended: Arc<Notify>,
    /// Notified when the resource has other files than before, because its items are others.
    other_files: Arc<Notify>,
}

/// A running pass. Dropping it records the end of the pass.
pub(crate) struct Running(Record);

impl Drop for Running {
    fn drop(&mut self) {
        let mut notes = self.0.lock();
        (notes.is_running, notes.finished) = (false, notes.taken);
        drop(notes);
        self.0.ended.notify_waiters();
    }
}

#[derive(Debug, Default)]
struct Notes {
    /// The number of the current or last assignment of the worker.
    taken: u64,
    /// The number of the last assignment of which a pass has ended.
    finished: u64,
    /// Whether the worker has ended.
    has_left: bool,
    /// Whether a pass is running.
    is_running: bool,
    /// The number of passes that have begun.
    passes: u64,
    /// The number of the newest pass after which the files are examined because of their events.
    look_after: u64,
    /// The paths of these events.
    paths: HashSet<PathBuf>,
    in_sync: Option<Arc<InSync>>,
    left: Option<Left>,
}

impl Record {
    /// An empty record. `other_files` is notified when the resource has other files than before,
    /// because its items are others.
    pub(crate) fn new(other_files: &Arc<Notify>) -> Self {
        Record { other_files: Arc::clone(other_files), ..Record::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a pass of this assignment, or of a newer one, has ended, successfully or not. Also true
    /// if the worker has ended.
    pub(crate) fn has_finished(&self, assignment: u64) -> bool {
        let notes = self.lock();
        notes.has_left || notes.finished >= assignment
    }

    /// Waits until [`has_finished`](Self::has_finished) holds.
    pub(crate) async fn finished(&self, assignment: u64) {
        loop {
            let mut ended = pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.has_finished(assignment) {
                return;
            }
            ended.await;
        }
    }

    /// Records that the worker has ended.
    pub(crate) fn leave(&self) {
        self.lock().has_left = true;
        self.ended.notify_waiters();
    }

    /// Records that the worker has started to work on this assignment.
    #[must_use]
    pub(crate) fn begin(&self, assignment: u64) -> Running {
        let mut notes = self.lock();
        notes.taken = assignment;
        notes.is_running = true;
        notes.passes += 1;
        Running(self.clone())
    }

    /// Whether a pass is running.
    pub(crate) fn is_running(&self) -> bool {
        self.lock().is_running
    }

    /// The number of the running pass, at the first call during this pass. There were events of
    /// `paths`.
    pub(crate) fn pass_to_look_after(&self, paths: &HashSet<PathBuf>) -> Option<u64> {
        let mut notes = self.lock();
        notes.paths.extend(paths.iter().cloned());
        let is_new = notes.is_running && notes.look_after < notes.passes;
        notes.look_after = notes.passes;
        is_new.then_some(notes.passes)
    }

    /// Waits for the end of the pass with this number.
    pub(crate) async fn end_of(&self, pass: u64) {
        loop {
            let mut ended = pin!(self.ended.notified());
            ended.as_mut().enable();
            {
                let notes = self.lock();
                if !notes.is_running || notes.passes > pass {
                    return;
                }
            }
            ended.await;
        }
    }

    /// Why the resource needs a pass because of events of files that arrived during the pass that
    /// has just ended; `None` if it needs none. Blocks on the disk.
    pub(crate) fn look_after_a_pass(&self) -> Option<Wake> {
        let (left, is_first, paths) = {
            let mut notes = self.lock();
            (notes.left.clone(), notes.passes <= 1, take(&mut notes.paths))
        };
        match left {
            Some(left) => left.look(Some(&paths)),
            // The pass failed before it had a destination: because of its template, or of what the
            // template asks for. The first events of each file come during the first pass, which
            // is soon tried again anyway.
            None => (!is_first).then_some(Wake::Template),
        }
    }

    /// Whether the worker has begun to work on this assignment.
    pub(crate) fn has_taken(&self, assignment: u64) -> bool {
        self.lock().taken >= assignment
    }

    /// Replaces the record of the state in sync.
    pub(crate) fn set_in_sync(&self, in_sync: Option<InSync>) {
        self.lock().in_sync = in_sync.map(Arc::new);
    }

    /// The state in sync after this assignment; `None` if there is work left to do.
    pub(crate) fn in_sync(&self, assignment: u64) -> Option<Arc<InSync>> {
        let notes = self.lock();
        notes.in_sync.as_ref().filter(|known| known.assignment == assignment).cloned()
    }

    /// Records the files of a pass; `None` if it failed before it examined the destination.
    pub(crate) fn set_left(&self, left: Option<Left>) {
        let mut notes = self.lock();
        notes.left = left;
        if notes.left.as_ref().is_some_and(|left| left.are_others) {
            self.other_files.notify_one();
        }
    }

    /// Takes the files after the last pass out, for a pass that replaces them.
    pub(crate) fn take_left(&self) -> Option<Left> {
        self.lock().left.take()
    }

    /// Records that the destination `dest` was replaced just now.
    pub(crate) fn set_destination(&self, dest: &Path, placed: &Placed) {
        if let Some(left) = &mut self.lock().left
            && let Ok(place) = place_of(&left.files, dest)
        {
            let left = &mut Arc::make_mut(&mut left.files)[place];
            left.dest = Some(placed.file);
            left.has_to_be_read = placed.has_staged_content;
        }
    }

    /// Records the destinations after a rollback, as they are now. Blocks on the disk.
    pub(crate) fn look_at_the_destinations(&self) {
        if let Some(left) = &mut self.lock().left {
            for left in Arc::make_mut(&mut left.files) {
                left.dest = Fingerprint::at(&left.target.dest);
                left.has_to_be_read = false;
            }
        }
    }

    /// The files after the last pass; `None` if no pass has got that far.
    pub(crate) fn left(&self) -> Option<Left> {
        self.lock().left.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::SystemTime};

    use store::Coverage;

    use super::*;
    use crate::answers::Answers;
    use crate::{pipeline::Pipeline, prepare::Job, templates::Templates};

    /// A resource whose destination is in place, with the record of its pass.
    fn left(folder: &Path) -> (Record, Fingerprint) {
        let path = folder.join("a.toml");
        fs::write(folder.join("a"), "content").unwrap();
        let dest = folder.join("dest");
        let table = format!("[template]\nsrc = 'a'\ndest = '{}'\n", dest.display());
        fs::write(&path, table).unwrap();
        let resource = Arc::new(Resource::load(&path, folder).unwrap());
        let templates = Arc::new(Templates::new(folder.to_owned(), true));
        let host = Arc::new(world::System::new());
        let pipeline =
            Pipeline::new(templates, host, Answers::nothing(), deploy::Options::default());
        let snapshot = store::Snapshot::new(Coverage::Subtree);
        let job = Job { resource: Arc::clone(&resource), snapshot, applied: None, is_full: true };
        let current = pipeline.current(&resource, &|_| {}).unwrap();
        let prepared = pipeline.prepare(&job, current, &|_| {}).unwrap();
        let record = Record::default();
        record.set_left(Some(Left::by(&resource, &prepared, None)));
        // This is the change that a commit makes.
        fs::write(&dest, "content").unwrap();
        (record, Fingerprint::at(&dest).unwrap())
    }

    #[test]
    fn a_change_that_leaves_the_fingerprint_alone_is_found_by_reading() {
        let folder = tempfile::tempdir().unwrap();
        let (record, _) = left(folder.path());
        let dest = folder.path().join("dest");
        for (content, wake) in [("content", None), ("CONTENT", Some(Wake::Destination))] {
            // Another program changes the file before confd examines it.
            fs::write(&dest, content).unwrap();
            let file = Fingerprint::at(&dest).unwrap();
            record.set_destination(&dest, &Placed { file, has_staged_content: true });
            assert_eq!(record.left().unwrap().look(None), wake, "{content}");
        }
        // A change by a check command is not an edit by another program.
        let file = Fingerprint::at(&dest).unwrap();
        record.set_destination(&dest, &Placed { file, has_staged_content: false });
        assert_eq!(record.left().unwrap().look(None), None);
    }

    #[test]
    fn every_other_change_is_found_by_the_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let (record, file) = left(folder.path());
        let dest = folder.path().join("dest");
        record.set_destination(&dest, &Placed { file, has_staged_content: false });
        assert_eq!(record.left().unwrap().look(None), None);
        let changes: [fn(&Path); 4] = [
            |dest| fs::set_permissions(dest, fs::Permissions::from_mode(0o600)).unwrap(),
            |dest| fs::File::open(dest).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap(),
            |dest| fs::write(dest, "longer content").unwrap(),
            |dest| fs::remove_file(dest).unwrap(),
        ];
        for change in changes {
            change(&dest);
            assert_eq!(record.left().unwrap().look(None), Some(Wake::Destination));
        }
    }
}
