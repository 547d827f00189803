//! The files that one pass renders, removes and leaves alone.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use config::OnMissing;
use deploy::{Observer, Target};
use render::queries::Session;
use store::{Item, View};

use crate::{
    event::{Say, Step},
    failure::Failure,
    items::{self, Made, MadeFile, Memory, Plan},
    missing,
    prepare::{Job, Output},
    resource::{Part, Resource},
    templates::Current,
};

/// The work of a pass.
pub(crate) struct Work {
    /// What is known of the files of items; `None` if the resource has none.
    made: Option<Made>,
    /// What was known before a full pass, for files that are not restored.
    former: Option<Made>,
    /// The keys that have changed since; `None` if everything has to be made.
    changed: Option<Vec<Bytes>>,
    /// The destinations of this pass.
    dests: HashSet<PathBuf>,
    /// What was found to be gone, by the number of its part.
    gone: Vec<(usize, Arc<Target>)>,
    /// The parts all of whose files are in this pass.
    whole: Vec<usize>,
    failed: Vec<ItemFailure>,
    /// Why a manifest cannot be read.
    unreadable: Option<deploy::Error>,
}

/// An item that has no file, or keeps its old one.
struct ItemFailure {
    item: Item,
    failure: Failure,
    /// Its file, which stays as it is.
    target: Option<Arc<Target>>,
    /// Whether a missing key is the reason, and the resource says that the file is kept then.
    is_kept: bool,
    /// The missing keys, for people.
    missing: Vec<String>,
}

/// The result of the work.
pub(crate) struct Worked {
    pub(crate) gone: Vec<(usize, Arc<Target>)>,
    pub(crate) is_partial: bool,
    /// A file of each part whose files are not all in this pass.
    pub(crate) beside: Vec<PathBuf>,
    pub(crate) made: Option<Made>,
    pub(crate) failed: FailedItems,
    /// The files that stay as they are, because their templates have failed.
    pub(crate) kept: Vec<Arc<Target>>,
}

/// The items whose files could not be made, and why; the other files are applied.
#[derive(Default)]
pub(crate) struct FailedItems {
    /// With the names of the items, in the order in which they were found.
    items: Vec<(String, Failure)>,
    /// Why a manifest cannot be read.
    unreadable: Option<Failure>,
}

impl FailedItems {
    /// Adds the item of this name.
    pub(crate) fn add(&mut self, name: String, failure: Failure) {
        self.items.push((name, failure));
    }

    /// The failure of the pass; `None` if nothing failed.
    pub(crate) fn failure(self) -> Option<Failure> {
        let (names, failures): (Vec<_>, Vec<_>) = self.items.into_iter().unzip();
        let first = failures.first().map(|first| Failure::items(first, &names));
        first.or(self.unreadable)
    }
}

/// What manifests have reported.
#[derive(Default)]
struct Reported(Mutex<Vec<String>>);

impl Observer for Reported {
    fn observe(&self, step: &deploy::Step<'_>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(step.to_string());
    }
}

impl Work {
    /// The work of the pass `job`. `memory` is needed for items. Blocks on the disk.
    pub(crate) fn new(job: &Job, memory: Option<&Memory>, say: &Say<'_>) -> Self {
        let known = memory.and_then(|memory| memory.take(&job.resource));
        let (mut made, changed, former) = match (memory, known) {
            (None, _) => (None, None, None),
            (Some(_), Some(mut made)) if !job.is_full => {
                let changed = made.changed_to(&job.snapshot);
                (Some(made), Some(changed), None)
            }
            (Some(_), known) => {
                let former = known.filter(|_| !job.resource.heals());
                (Some(Made::nothing(&job.resource, &job.snapshot)), None, former)
            }
        };
        let reported = Reported::default();
        let unreadable = made.as_mut().and_then(|made| made.open_manifests(&reported));
        let reported = reported.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        reported.into_iter().for_each(|text| say(Step::ManifestWarns(text)));
        Work {
            made,
            former,
            dests: job.resource.single_dests().map(Path::to_owned).collect(),
            gone: Vec::new(),
            whole: Vec::new(),
            failed: Vec::new(),
            unreadable,
            changed,
        }
    }

    /// The files of the part with the number `nth` that have to be rendered. `view` is what the whole
    /// part can see.
    pub(crate) fn outputs<'a>(
        &mut self,
        (nth, part): (usize, &'a Part),
        (resource, memory): (&Resource, &Memory),
        current: &Current,
        view: &View,
        session: &Session,
    ) -> Vec<Output<'a>> {
        let (Some(each), Some(made)) = (&part.for_each, &mut self.made) else {
            let target = Arc::clone(&part.target);
            return vec![Output { nth, part, target, view: view.clone(), item: None }];
        };
        let changed = self.changed.as_deref();
        let plan = made.part(nth).plan(each, &current.template, view, changed, session);
        let Some(Plan { items, gone, unknown, is_partial }) = plan else { return Vec::new() };
        let found = unknown.iter().filter_map(|item| made.found(nth, item));
        self.gone.extend(found.map(|target| (nth, target)));
        self.gone.extend(gone.into_iter().map(|target| (nth, target)));
        if !is_partial {
            self.whole.push(nth);
        }
        let mut outputs = Vec::with_capacity(items.len());
        for item in items {
            let known = made.part(nth).file_of(&item).map(|file| Arc::clone(&file.target));
            let target = known.map_or_else(|| items::target_of(part, each, &item), Ok);
            let target = target.and_then(|target| {
                let dest = &target.dest;
                if let Some(owner) = memory.owner_before(resource, dest) {
                    let dest = dest.display();
                    return Err(format!("the resource {owner} has the same dest {dest}"));
                }
                let is_free = !made.is_of_another(nth, dest, &item);
                match is_free && self.dests.insert(dest.clone()) {
                    true => Ok(target),
                    false => Err(format!("another file has the same dest {}", dest.display())),
                }
            });
            match target {
                Ok(target) => {
                    let view = view.of_item(&item);
                    outputs.push(Output { nth, part, target, view, item: Some(item) });
                }
                Err(why) => {
                    let failure = Failure::item(&why);
                    made.part(nth).failed(item.clone());
                    self.failed.push(ItemFailure {
                        item,
                        failure,
                        target: None,
                        is_kept: false,
                        missing: Vec::new(),
                    });
                }
            }
        }
        outputs
    }

    /// Notes that the file of an item was rendered. Returns whether it may differ from the file in
    /// place.
    pub(crate) fn is_news(&mut self, nth: usize, file: MadeFile, view: &View) -> bool {
        let Some(made) = &mut self.made else { return true };
        let before = self.former.as_mut().unwrap_or(made);
        let before = before.part(nth).file_of(&file.item).map(|before| before.digest);
        let is_same = before == Some(file.digest);
        made.part(nth).rendered(file, view);
        !is_same
    }

    /// Notes that the template of an item has failed.
    pub(crate) fn fail(
        &mut self,
        nth: usize,
        part: &Part,
        (item, target): (Item, &Arc<Target>),
        error: render::Error,
        show_values: bool,
    ) {
        let keeps = part.on_missing == OnMissing::Keep && error.is_missing_key();
        let is_kept = keeps && target.dest.is_file();
        let missing = missing::of_item(error.missed().names(show_values), Some(&item));
        let failure = Failure::render(error, false);
        if let Some(made) = &mut self.made {
            made.part(nth).failed(item.clone());
        }
        let target = Some(Arc::clone(target));
        self.failed.push(ItemFailure { item, failure, target, is_kept, missing });
    }

    /// The missing keys because of which files of items stay as they are, for people.
    pub(crate) fn kept_for(&self) -> Vec<String> {
        let kept = self.failed.iter().filter(|failed| failed.is_kept);
        kept.flat_map(|failed| failed.missing.iter().cloned()).collect()
    }

    /// Whether items that nothing has changed for stay out of the pass.
    pub(crate) fn is_partial(&self) -> bool {
        self.changed.is_some()
    }

    /// Ends the work: what is gone, and what is known of the files from now on.
    pub(crate) fn end(self, resource: &Resource, memory: &Memory) -> Worked {
        let is_partial = self.is_partial();
        let Work { made, mut dests, mut gone, whole, failed, unreadable, .. } = self;
        let stays = |dest: &Path| dests.contains(dest) || memory.is_of_another(resource, dest);
        gone.retain(|(_, target)| !stays(&target.dest));
        if let Some(made) = &made {
            dests.extend(gone.iter().map(|(_, target)| target.dest.clone()));
            for nth in whole {
                let left = made.left_over(nth, &dests).into_iter();
                let left = left.filter(|target| !memory.is_of_another(resource, &target.dest));
                gone.extend(left.map(|target| (nth, target)));
            }
        }
        let known = made.as_ref().filter(|_| is_partial);
        let beside = known.map(Made::a_file_of_each_part).unwrap_or_default();
        let kept = failed.iter().filter_map(|failed| failed.target.clone()).collect();
        let failed = failed.into_iter().filter(|failed| !failed.is_kept);
        let items = failed.map(|failed| (items::name_of(&failed.item), failed.failure)).collect();
        let failed = FailedItems { items, unreadable: unreadable.map(Failure::from) };
        Worked { gone, is_partial, beside, made, failed, kept }
    }
}
