//! The files of resources with `for_each`: which items there are, which of their files a pass has to
//! make, and what is known of them after the pass.
//!
//! A change of one key costs what depends on it. After a pass that succeeded, [`Made`] has what each
//! file was made from. The next pass finds the keys that have changed since, renders the items that
//! these concern, and leaves all others alone. Everything is made again at the start, after a failure,
//! after a change of a template, and whenever files may have changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use catalog::{Data, Query};
use config::{ForEach, Items};
use deploy::{Manifest, Observer, Target};
use render::{
    Template,
    queries::{Asks as _, Session},
};
use store::{Item, Reads, Snapshot, View};

use crate::{
    digest::Digest,
    resource::{Part, Resource},
};

/// What is known of the resources with `for_each`, and of the files of all others.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The resources with `for_each`, by their files.
    made: HashMap<PathBuf, Made>,
    /// The destinations of all parts with a single file, with the names of their resources.
    singles: HashMap<PathBuf, Arc<str>>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is known of the files of `resource` out. If its pass fails, nothing is known.
    pub(crate) fn take(&self, resource: &Resource) -> Option<Made> {
        let made = self.lock().made.remove(&resource.path)?;
        made.resource.is_same_as(resource).then_some(made)
    }

    /// Notes what a pass that succeeded has made.
    pub(crate) fn put(&self, made: Made) {
        self.lock().made.insert(made.resource.path.clone(), made);
    }

    /// Forgets the files of resources that are not among `resources`.
    pub(crate) fn keep_only(&self, resources: &[Arc<Resource>]) {
        let mut known = self.lock();
        if !known.made.is_empty() {
            let paths: HashSet<&Path> = resources.iter().map(|resource| &*resource.path).collect();
            known.made.retain(|path, _| paths.contains(&**path));
        }
        if resources.iter().any(|resource| resource.has_items()) {
            let singles = resources.iter().flat_map(|resource| {
                let dests = resource.single_dests();
                dests.map(|dest| (dest.to_owned(), Arc::clone(resource.name())))
            });
            known.singles = singles.collect();
        }
    }

    /// Whether this destination is that of another resource, as far as that is known.
    pub(crate) fn is_of_another(&self, resource: &Resource, dest: &Path) -> bool {
        let known = self.lock();
        let others = known.made.values().filter(|made| made.resource.path != resource.path);
        let is_made =
            others.flat_map(|made| &made.parts).any(|part| part.by_dest.contains_key(dest));
        is_made || known.singles.contains_key(dest)
    }

    /// The resource whose file this destination is, if an item of `resource` must not have it: a resource
    /// with a single file, or one with items whose name comes first.
    pub(crate) fn owner_before(&self, resource: &Resource, dest: &Path) -> Option<Arc<str>> {
        let known = self.lock();
        // The resource itself says which of its own files come first.
        let single = known.singles.get(dest).filter(|name| *name != resource.name());
        if let Some(name) = single {
            return Some(Arc::clone(name));
        }
        let first = known.made.values().filter(|made| made.resource.name() < resource.name());
        let owner = first
            .filter(|made| made.parts.iter().any(|part| part.by_dest.contains_key(dest)))
            .map(|made| made.resource.name())
            .min();
        owner.cloned()
    }
}

/// What the files of a resource are made from.
pub(crate) struct Made {
    resource: Arc<Resource>,
    snapshot: Snapshot,
    /// The manifests of the parts with items, by their folders and names. `None` if one cannot be read:
    /// then it is not known which files are ours.
    manifests: BTreeMap<(PathBuf, Arc<str>), Option<Arc<Manifest>>>,
    /// Empty for a part without `for_each`.
    parts: Vec<MadePart>,
}

/// What the files of one part are made from.
#[derive(Default)]
pub(crate) struct MadePart {
    template: Option<Arc<Template>>,
    /// By the keys of their items, or by their names.
    files: HashMap<Bytes, MadeFile>,
    /// The items by the destinations of their files.
    by_dest: HashMap<PathBuf, Bytes>,
    /// The items whose templates have read keys that are not theirs.
    outside: BTreeSet<Bytes>,
    /// The items without a file, or with an old one, because their templates have failed.
    failed: BTreeSet<Item>,
}

/// What one file is made from.
pub(crate) struct MadeFile {
    pub(crate) item: Item,
    pub(crate) target: Arc<Target>,
    pub(crate) digest: Digest,
    /// The keys that its template asked for. `None` if it asked for something else too.
    pub(crate) reads: Option<Reads>,
}

impl Made {
    /// What was made before a pass, for a resource of which nothing is known.
    pub(crate) fn nothing(resource: &Arc<Resource>, snapshot: &Snapshot) -> Self {
        let parts = resource.parts().iter().map(|_| MadePart::default()).collect();
        let (resource, snapshot) = (Arc::clone(resource), snapshot.clone());
        Made { resource, snapshot, manifests: BTreeMap::new(), parts }
    }

    /// Opens the manifests that are not open. Returns why one of them cannot be read; its files are
    /// left alone then. Blocks on the disk.
    pub(crate) fn open_manifests(&mut self, observer: &dyn Observer) -> Option<deploy::Error> {
        let mut unreadable = None;
        for key in self.resource.parts().iter().filter_map(manifest_of) {
            let manifest = self.manifests.entry(key.clone()).or_default();
            if manifest.is_none() {
                match Manifest::open(&key.0, OsStr::new(&*key.1), observer) {
                    Ok(open) => *manifest = Some(Arc::new(open)),
                    Err(error) => unreadable = Some(error),
                }
            }
        }
        unreadable
    }

    /// The manifests, each with the numbers of the parts that it is for.
    pub(crate) fn manifests(&self) -> Vec<(Arc<Manifest>, Vec<usize>)> {
        let parts_of = |key: &(PathBuf, Arc<str>)| -> Vec<usize> {
            let parts = self.resource.parts().iter().enumerate();
            let parts = parts.filter(|(_, part)| manifest_of(part).as_ref() == Some(key));
            parts.map(|(nth, _)| nth).collect()
        };
        let open = self.manifests.iter().filter_map(|(key, it)| Some((key, it.as_ref()?)));
        open.map(|(key, manifest)| (Arc::clone(manifest), parts_of(key))).collect()
    }

    /// The manifest of the part `nth`, if it can be read.
    fn manifest(&self, nth: usize) -> Option<&Arc<Manifest>> {
        self.manifests.get(&manifest_of(&self.resource.parts()[nth])?)?.as_ref()
    }

    /// The target of the file of an item that is gone and of which this process has made no file, if the
    /// file is ours.
    pub(crate) fn found(&self, nth: usize, item: &Item) -> Option<Arc<Target>> {
        let part = &self.resource.parts()[nth];
        let each = part.for_each.as_ref()?;
        let target = target_of(part, each, item).ok()?;
        let is_it = |file: PathBuf| each.dest_of(&file) == target.dest;
        self.manifest(nth)?.ours().into_iter().any(is_it).then_some(target)
    }

    /// Whether this destination is that of the file of another item than `item` of the part `nth`.
    pub(crate) fn is_of_another(&self, nth: usize, dest: &Path, item: &Item) -> bool {
        let mut parts = self.parts.iter().enumerate();
        parts.any(|(other, part)| match part.by_dest.get(dest) {
            Some(known) => other != nth || known != id(item),
            None => false,
        })
    }

    /// The files of the part `nth` that are ours, according to its manifest, and are not among those
    /// that the resource has now. `dests` are the destinations of this pass.
    pub(crate) fn left_over(&self, nth: usize, dests: &HashSet<PathBuf>) -> Vec<Arc<Target>> {
        let part = &self.resource.parts()[nth];
        let Some(each) = &part.for_each else { return Vec::new() };
        let Some(manifest) = self.manifest(nth) else { return Vec::new() };
        let made = self.parts.iter().flat_map(|part| part.files.values());
        let made: HashSet<&Path> = made.map(|file| &*file.target.dest).collect();
        let target = |file: PathBuf| target_of_file(part, each, file.as_os_str()).ok();
        let ours = manifest.ours().into_iter().filter_map(target);
        let is_left = |target: &Target| {
            let dest = &*target.dest;
            !dests.contains(dest)
                && !made.contains(dest)
                && self.resource.dests().all(|it| it != dest)
        };
        ours.filter(is_left).map(Arc::new).collect()
    }

    /// Notes that the file `dest` of an item could not be made. Returns the name of the item, for people;
    /// `None` if no item has this file.
    pub(crate) fn refuse(&mut self, dest: &Path) -> Option<String> {
        let part = self.parts.iter_mut().find(|part| part.by_dest.contains_key(dest))?;
        let id = part.by_dest.get(dest)?.clone();
        let item = part.files.get(&id)?.item.clone();
        part.forget(&id);
        let name = name_of(&item);
        part.failed(item);
        Some(name)
    }

    /// The keys that have changed since, for a pass with `snapshot`, which is that of the files from
    /// now on.
    pub(crate) fn changed_to(&mut self, snapshot: &Snapshot) -> Vec<Bytes> {
        let before = std::mem::replace(&mut self.snapshot, snapshot.clone());
        snapshot.changed_since(&before, &self.resource.scope)
    }

    /// The item of the part `nth` whose file is `dest`.
    pub(crate) fn item_of(&self, nth: usize, dest: &Path) -> Option<Item> {
        let part = &self.parts[nth];
        Some(part.files.get(part.by_dest.get(dest)?)?.item.clone())
    }

    /// The number of files of the part with this number.
    pub(crate) fn count(&self, nth: usize) -> usize {
        self.parts[nth].files.len()
    }

    /// The destination of one file of each part with items.
    pub(crate) fn a_file_of_each_part(&self) -> Vec<PathBuf> {
        let first = |part: &MadePart| Some(part.files.values().next()?.target.dest.clone());
        self.parts.iter().filter_map(first).collect()
    }

    /// The part with this number.
    pub(crate) fn part(&mut self, nth: usize) -> &mut MadePart {
        &mut self.parts[nth]
    }
}

/// What a pass has to do for one part.
pub(crate) struct Plan {
    /// The items that have to be rendered.
    pub(crate) items: Vec<Item>,
    /// The targets of the items that are gone, of those that are known.
    pub(crate) gone: Vec<Arc<Target>>,
    /// The items that are gone and of which no file is known: there may be one from before.
    pub(crate) unknown: Vec<Item>,
    /// Whether all other items stay as they are. If not, there are no other items.
    pub(crate) is_partial: bool,
}

impl MadePart {
    /// Finds out what a pass has to do. `view` is the view of the whole part, and `changed` has the
    /// changed keys; `None` if everything has to be made. `None` if the items are not known yet.
    pub(crate) fn plan(
        &mut self,
        each: &ForEach,
        template: &Arc<Template>,
        view: &View,
        changed: Option<&[Bytes]>,
        session: &Session,
    ) -> Option<Plan> {
        let known = self.template.as_ref().is_some_and(|known| Arc::ptr_eq(known, template));
        self.template = Some(Arc::clone(template));
        let found = match &each.items {
            Items::Keys(pattern) => {
                let concerned = changed.filter(|_| known).and_then(|keys| {
                    let concerned = self.concerned_by(keys, |key| view.item_of(pattern, key).ok());
                    concerned.map(|items| self.split(items, view))
                });
                if let Some(plan) = concerned {
                    return Some(plan);
                }
                view.items(pattern)
            }
            Items::Services(pattern) => {
                let query = Query::Services { place: catalog::Place::default() };
                let Some(Data::Services(services)) = session.ask(&query) else {
                    session.miss(&query);
                    return None;
                };
                let names = services.iter().map(|service| service.name.clone());
                names.filter(|name| pattern.matches(name)).map(Item::named).collect()
            }
        };
        // What is not found any more is gone; the manifest knows more of it than this process.
        let ids: BTreeSet<&Bytes> = found.iter().map(id).collect();
        let gone: Vec<Bytes> =
            self.files.keys().filter(|known| !ids.contains(known)).cloned().collect();
        let gone = gone.iter().filter_map(|id| self.forget(id)).collect();
        self.failed.clear();
        Some(Plan { items: found, gone, unknown: Vec::new(), is_partial: false })
    }

    /// The items that a change of these keys concerns, and those that have to be rendered each time.
    /// `None` if that is not known for one of the keys.
    fn concerned_by(
        &self,
        keys: &[Bytes],
        item_of: impl Fn(&[u8]) -> Option<Option<Item>>,
    ) -> Option<BTreeSet<Item>> {
        let mut items = self.failed.clone();
        for key in keys {
            items.extend(item_of(key)?);
            let reads_it =
                |file: &&MadeFile| file.reads.as_ref().is_none_or(|reads| reads.concern(key));
            let outside = self.outside.iter().filter_map(|id| self.files.get(id));
            items.extend(outside.filter(reads_it).map(|file| file.item.clone()));
        }
        if keys.is_empty() {
            let each_time = self.outside.iter().filter_map(|id| self.files.get(id));
            let each_time = each_time.filter(|file| file.reads.is_none());
            items.extend(each_time.map(|file| file.item.clone()));
        }
        Some(items)
    }

    /// The plan for these items, some of which may be gone.
    fn split(&mut self, items: BTreeSet<Item>, view: &View) -> Plan {
        let (items, gone): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| !view.of_item(item).is_empty());
        self.failed.retain(|item| !gone.contains(item));
        let (known, unknown): (Vec<_>, Vec<_>) =
            gone.into_iter().partition(|item| self.files.contains_key(id(item)));
        let gone = known.iter().filter_map(|item| self.forget(id(item))).collect();
        Plan { items, gone, unknown, is_partial: true }
    }

    /// Forgets an item, and returns the target of its file, if it has one.
    fn forget(&mut self, id: &Bytes) -> Option<Arc<Target>> {
        self.outside.remove(id);
        let target = self.files.remove(id)?.target;
        self.by_dest.remove(&target.dest);
        Some(target)
    }

    /// What is known of the file of `item`.
    pub(crate) fn file_of(&self, item: &Item) -> Option<&MadeFile> {
        self.files.get(id(item))
    }

    /// Notes that a file was rendered. `view` is that of its item.
    pub(crate) fn rendered(&mut self, file: MadeFile, view: &View) {
        let id = id(&file.item).clone();
        let is_inside = file.reads.as_ref().is_some_and(|reads| reads.are_below(view.source_key()));
        match is_inside {
            true => self.outside.remove(&id),
            false => self.outside.insert(id.clone()),
        };
        self.failed.remove(&file.item);
        if !self.files.contains_key(&id) {
            self.by_dest.insert(file.target.dest.clone(), id.clone());
        }
        self.files.insert(id, file);
    }

    /// Notes that an item could not be rendered. Its file stays as it is.
    pub(crate) fn failed(&mut self, item: Item) {
        self.failed.insert(item);
    }
}

/// The files of items that a process may have left half-made, for `deploy::sweep`. Blocks on the disk.
pub(crate) fn to_sweep(resource: &Resource) -> Vec<PathBuf> {
    let of_part = |part: &Part| {
        let (each, name) = (part.for_each.as_ref()?, OsStr::new(&**part.name()));
        let manifest = Manifest::open(&each.folder, name, &Silent).ok()?;
        let files = manifest.ours().into_iter().map(|file| each.dest_of(&file));
        Some(files.chain([manifest.path().to_owned()]).collect::<Vec<_>>())
    };
    resource.parts().iter().filter_map(of_part).flatten().collect()
}

/// The targets of the files of the items of `part` whose reloads may be pending; `None` if it has no
/// items. A manifest that cannot be read names no file. Blocks on the disk.
pub(crate) fn pending_of(part: &Part) -> Option<Vec<Arc<Target>>> {
    let each = part.for_each.as_ref()?;
    let manifest = Manifest::open(&each.folder, OsStr::new(&**part.name()), &Silent);
    let ours = manifest.map(|manifest| manifest.ours()).unwrap_or_default().into_iter();
    let pending = ours.filter(|file| deploy::may_be_pending(&each.dest_of(file)));
    let target = |file: PathBuf| target_of_file(part, each, file.as_os_str()).ok();
    Some(pending.filter_map(target).map(Arc::new).collect())
}

/// The folder and the name of the manifest of a part.
fn manifest_of(part: &Part) -> Option<(PathBuf, Arc<str>)> {
    // The name is that of the resource and not that of its group, which can change.
    part.for_each.as_ref().map(|each| (each.folder.clone(), Arc::clone(part.name())))
}

/// What identifies an item.
fn id(item: &Item) -> &Bytes {
    match item.names.last() {
        Some(name) if item.key.is_empty() => name,
        _ => &item.key,
    }
}

/// The target of the file of `item`.
///
/// # Errors
/// The path that `dest` gives is none below the folder of its literal part.
pub(crate) fn target_of(part: &Part, each: &ForEach, item: &Item) -> Result<Arc<Target>, String> {
    let file = each.file_of(item)?;
    target_of_file(part, each, &file).map(Arc::new)
}

/// The target of a file below the folder of `for_each`.
///
/// # Errors
/// `file` is no path below the folder.
pub(crate) fn target_of_file(part: &Part, each: &ForEach, file: &OsStr) -> Result<Target, String> {
    let file = deploy::relative_path(file).map_err(|bad| format!("dest {bad}"))?;
    if part.shows_paths_to_a_shell() && !is_plain(file) {
        return Err(format!(
            "dest {file:?} has characters that mean something to a shell, and a command of the resource \
             puts the path into a text for the shell: write that command as a list, or use \
             \"$CONFD_SRC\", \"$CONFD_DEST\" and \"$CONFD_ROOT\" in it"
        ));
    }
    part.target_at(&each.dest_of(file), &each.folder)
}

/// Reports nothing: the pass reports it.
struct Silent;

impl Observer for Silent {
    fn observe(&self, _: &deploy::Step<'_>) {}
}

/// Whether a path has only characters that mean nothing to a shell.
fn is_plain(path: &Path) -> bool {
    let is_plain = |byte: &u8| {
        byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"._/@%+=:,-".contains(byte)
    };
    path.as_os_str().as_bytes().iter().all(is_plain)
}

/// An item for people.
pub(crate) fn name_of(item: &Item) -> String {
    id(item).escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::mpsc, thread, time::Duration};

    use super::*;

    #[test]
    fn loading_and_a_pass_at_the_same_moment_do_not_wait_for_each_other() {
        const TIMES: usize = 50_000;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        fs::write(&path, "[template]\nsrc='a'\ndest='/x/{{.name}}'\nfor_each='/t/*'\n").unwrap();
        let resource = Arc::new(Resource::load(&path, folder.path()).unwrap());
        let memory = Arc::new(Memory::default());
        let (done, ended) = mpsc::channel();
        let begin = |work: fn(&Memory, &Arc<Resource>)| {
            let (memory, resource, done) = (memory.clone(), resource.clone(), done.clone());
            thread::spawn(move || {
                (0..TIMES).for_each(|_| work(&memory, &resource));
                done.send(())
            });
        };
        begin(|memory, resource| memory.keep_only(&[Arc::clone(resource)]));
        begin(|memory, resource| _ = memory.owner_before(resource, Path::new("/x/one")));
        begin(|memory, resource| _ = memory.is_of_another(resource, Path::new("/x/one")));
        for _ in 0..3 {
            ended.recv_timeout(Duration::from_secs(30)).expect("a thread waits for ever");
        }
    }
}
