//! The last versions of the files of resources with `backup`, in the state folder: keeping them,
//! listing them, and putting one of them back.
//!
//! Versions are never needed for rendering. If the state folder cannot be written, one warning says
//! so, and nothing else happens.

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use deploy::{
    AtOnce, Digest, Disk, Durable, Environment, HeldBy, Hold, Member, Observer, OnReloadFailure,
    Outcome, Target, Transaction,
};
use report::read_regular;
use state_folder::{StateFolder, Version, VersionFile, Versions};
use tracing::warn;

use crate::{environment, prepare::Job, resource::Resource, settings::Settings};

/// The most bytes of the text that says what woke a resource.
const WOKE: usize = 500;

/// A version that a person has put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldVersion {
    /// Its number; `None` if what is in place is no kept version.
    pub number: Option<u64>,
}

/// Keeps versions.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    state: Option<StateFolder>,
    /// The resource files whose files in place are known to be kept.
    kept: Mutex<HashSet<PathBuf>>,
    has_warned: Mutex<bool>,
}

/// What is known of a pass whose result is kept.
#[derive(Clone)]
pub(crate) struct Note {
    pub(crate) resource: Arc<Resource>,
    pub(crate) revision: u64,
    /// The keys that have changed.
    pub(crate) woke: String,
    pub(crate) keys: Option<u64>,
    /// The digest of the rendered content; `None` for a file whose content is not known.
    pub(crate) rendered: Option<String>,
    /// Whether the file was in place before the pass.
    pub(crate) is_in_sync: bool,
}

impl Note {
    pub(crate) fn of(job: &Job, keys: Option<usize>, environment: Environment) -> Self {
        let changed = environment.variables().find(|(name, _)| name == "CONFD_CHANGED_KEYS");
        let changed = changed.map(|(_, lines)| lines.to_string_lossy().into_owned());
        let changed = changed.unwrap_or_default();
        let mut woke = String::new();
        for key in changed.lines() {
            if woke.len() + key.len() > WOKE {
                woke.push_str(", …");
                break;
            }
            woke = if woke.is_empty() { key.to_owned() } else { format!("{woke}, {key}") };
        }
        Note {
            resource: Arc::clone(&job.resource),
            revision: job.snapshot.revision(),
            woke,
            keys: keys.map(|keys| keys as u64),
            rendered: None,
            is_in_sync: false,
        }
    }
}

/// How many versions of a resource are kept besides the one in place.
fn former(resource: &Resource) -> usize {
    let kept = resource.parts().iter().filter_map(|part| Some(part.after.as_ref()?.backup));
    kept.max().unwrap_or(0)
}

/// The versions of a resource, by its destinations.
fn versions(state: &StateFolder, resource: &Resource) -> io::Result<Versions> {
    use std::os::unix::ffi::OsStrExt as _;
    let dests: Vec<_> = resource.dests().map(std::path::absolute).collect::<io::Result<_>>()?;
    let name = Digest::of(dests.iter().map(|dest| dest.as_os_str().as_bytes())).text();
    Ok(state.versions(&format!("versions-{name}")))
}

/// The files in place; `None` if one of them is missing or cannot be kept.
fn in_place(resource: &Resource) -> Option<Vec<VersionFile>> {
    let file = |dest: &Path| {
        let path = dest.to_owned();
        let content = read_regular(&path).ok()?;
        let found = fs::metadata(&path).ok()?;
        let (mode, owner) = (found.permissions().mode() & 0o777, (found.uid(), found.gid()));
        Some(VersionFile { path, mode, owner, content })
    };
    resource.dests().map(file).collect()
}

/// The digest of the contents of these files of the resource.
fn digest_of(resource: &Resource, files: &[VersionFile]) -> Digest {
    let members = resource.parts().iter().zip(files);
    Digest::of(members.map(|(part, file)| part.target.significant(&file.content)))
}

impl Keeper {
    /// The same keeper, for this state folder.
    pub(crate) fn with(self: Arc<Self>, state: Option<&StateFolder>) -> Arc<Self> {
        match self.state.as_ref() == state {
            true => self,
            false => Arc::new(Keeper { state: state.cloned(), ..Keeper::default() }),
        }
    }

    /// Whether versions of the resource are kept.
    pub(crate) fn keeps(&self, resource: &Resource) -> bool {
        self.state.is_some() && former(resource) > 0
    }

    /// The number of keys of the newest version. Blocks on the disk.
    pub(crate) fn keys_of_newest(&self, resource: &Resource) -> Option<usize> {
        let state = self.state.as_ref().filter(|_| self.keeps(resource))?;
        let newest = versions(state, resource).ok()?.list().ok()?.into_iter().next()?;
        newest.keys.and_then(|keys| usize::try_from(keys).ok())
    }

    /// Keeps the file that is about to be replaced, if there is no version yet. Blocks on the disk.
    pub(crate) fn keep_found(&self, note: &Note) {
        if !note.is_in_sync && !self.is_known(note) {
            let found = Note {
                woke: "found in place".to_owned(),
                rendered: None,
                keys: None,
                revision: 0,
                ..note.clone()
            };
            self.add(&found, true);
        }
    }

    /// Keeps the file that a pass has applied. Blocks on the disk.
    pub(crate) fn keep(&self, note: &Note, outcome: Outcome) {
        if outcome != Outcome::Unchanged || !self.is_known(note) {
            self.add(note, false);
        }
    }

    /// The version whose files are in place. Blocks on the disk.
    pub(crate) fn in_place(&self, resource: &Resource) -> HeldVersion {
        let state = self.state.as_ref();
        let history = state.and_then(|state| history(state, resource).ok());
        let mut versions = history.into_iter().flat_map(|history| history.versions);
        let number = versions.find(|it| it.is_in_place).map(|it| it.version.number);
        HeldVersion { number }
    }

    fn is_known(&self, note: &Note) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.contains(&note.resource.path)
    }

    fn add(&self, note: &Note, only_the_first: bool) {
        let (Some(state), Some(files)) = (&self.state, in_place(&note.resource)) else { return };
        let add = || -> io::Result<bool> {
            let versions = versions(state, &note.resource)?;
            let newest = versions.list().map_err(io::Error::other)?.into_iter().next();
            let is_there = newest.is_some_and(|newest| only_the_first || newest.files == files);
            if is_there {
                return Ok(true);
            }
            let rendered = note.rendered.clone();
            let rendered = rendered.unwrap_or_else(|| digest_of(&note.resource, &files).text());
            let version = Version {
                number: 0,
                at: SystemTime::now(),
                revision: note.revision,
                woke: note.woke.clone(),
                rendered,
                keys: note.keys,
                files: files.clone(),
            };
            let most = former(&note.resource).saturating_add(1);
            versions.add(&version, most).map_err(io::Error::other)
        };
        let why = match add() {
            Ok(true) => {
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                if !only_the_first {
                    kept.insert(note.resource.path.clone());
                }
                return;
            }
            Ok(false) => "there is no state folder".to_owned(),
            Err(error) => error.to_string(),
        };
        let mut has_warned = self.has_warned.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *has_warned, true) {
            warn!(
                "{why}: no versions of {} are kept (resource {}); -state-dir names a folder for them",
                note.resource.dest_names(),
                note.resource.name()
            );
        }
    }
}

/// A version, and what it is at the moment.
#[derive(Debug)]
pub struct Listed {
    /// The version.
    pub version: Version,
    /// Whether it is in place.
    pub is_in_place: bool,
}

/// The versions of a resource, and the hold of its destinations.
#[derive(Debug)]
pub struct History {
    /// The newest first.
    pub versions: Vec<Listed>,
    /// The hold, if there is one.
    pub hold: Option<Hold>,
}

/// What a person asked for is not possible: the reason, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Impossible(String);

fn impossible(text: impl std::fmt::Display) -> Impossible {
    Impossible(text.to_string())
}

/// The versions of a resource.
///
/// # Errors
/// The state folder cannot be read.
pub fn history(state: &StateFolder, resource: &Resource) -> Result<History, Impossible> {
    let versions = versions(state, resource).map_err(impossible)?.list().map_err(impossible)?;
    let now = in_place(resource);
    let place = versions.iter().position(|version| now.as_ref() == Some(&version.files));
    let listed = versions.into_iter().enumerate();
    let listed = listed.map(|(nth, version)| Listed { version, is_in_place: Some(nth) == place });
    Ok(History { versions: listed.collect(), hold: resource.dests().find_map(Hold::of) })
}

/// Why there are no versions of a resource, and what to do.
pub fn why_none(state: &StateFolder, resource: &Resource) -> String {
    let (name, path) = (resource.name(), state.path().display());
    if resource.has_items() {
        return format!("the resource {name} has for_each, for which no versions are kept");
    }
    format!(
        "there are no versions of the resource {name} in {path}: backup = 5 in its file keeps five \
         besides the one in place from the next change on, in the folder that -state-dir names"
    )
}

/// Puts a version back, `to` or the one before that in place, and holds it. Returns its number.
///
/// # Errors
/// There is no such version, or it cannot be put in place, checked or reloaded.
pub async fn roll_back(
    state: &StateFolder,
    resource: &Resource,
    to: Option<u64>,
    observer: &Arc<dyn Observer>,
    settings: &Settings,
) -> Result<u64, Impossible> {
    let (name, path) = (resource.name(), state.path().display());
    if settings.noop {
        return Err(impossible("-noop has no meaning here: confd history lists the versions"));
    }
    if let Some(owner) = state.foreign_owner() {
        return Err(impossible(format_args!(
            "{path} belongs to the user {owner}, whose confd would not see a hold of another user: run \
             confd rollback as that user"
        )));
    }
    let History { versions, hold } = history(state, resource)?;
    if versions.is_empty() {
        return Err(impossible(why_none(state, resource)));
    }
    if former(resource) == 0 {
        return Err(impossible(format_args!(
            "the file of the resource {name} has no backup any more, so confd would not leave a version in \
             place: set backup = 5 again"
        )));
    }
    let place = versions.iter().position(|listed| listed.is_in_place);
    let chosen = match to {
        Some(number) => versions.iter().find(|listed| listed.version.number == number),
        // A file that no version has is newer than all of them.
        None => versions.get(place.map_or(0, |place| place + 1)),
    };
    let Some(Listed { version, .. }) = chosen else {
        let numbers: Vec<_> =
            versions.iter().map(|listed| listed.version.number.to_string()).collect();
        let wanted = to.map_or("before the present one".to_owned(), |number| number.to_string());
        return Err(impossible(format_args!(
            "the resource {name} has no version {wanted}; its versions are {}",
            numbers.join(", ")
        )));
    };
    let members: Vec<_> = resource
        .parts()
        .iter()
        .filter_map(|part| {
            let file = version.files.iter().find(|file| file.path == part.target.dest)?;
            Some(Member::file(as_it_was(&part.target, file), file.content.clone()))
        })
        .collect();
    if members.is_empty() || members.len() != version.files.len() {
        let number = version.number;
        return Err(impossible(format_args!(
            "version {number} has other files than the resource {name} has now"
        )));
    }
    // What the template gives now: that of the newest version, or what is held back already.
    let mut contents = hold.map(|hold| hold.contents).unwrap_or_default();
    contents.extend(versions.first().and_then(|it| Digest::from_text(&it.version.rendered)));
    // A file whose reload has failed is in place, and no version has it.
    contents.extend(in_place(resource).map(|now| digest_of(resource, &now)));
    let before: Vec<_> = resource.dests().map(|dest| (dest, Hold::of(dest))).collect();
    // The holds come first, so that a confd that runs does not restore the files.
    let new = Hold::new(HeldBy::Person, contents);
    let for_now = new.clone().while_busy();
    resource.dests().try_for_each(|dest| for_now.set(dest)).map_err(impossible)?;
    let _busy: Vec<_> = resource.dests().map(Hold::keep_busy).collect();
    let mut durable = Durable::new();
    let by_person: Arc<dyn Observer> = Arc::new(ByPerson {
        observer: Arc::clone(observer),
        resource: resource.path.clone(),
        revision: version.revision,
    });
    let done = async {
        let staged = Transaction::stage(members, &settings.options())?;
        staged.finish(&by_person, &mut durable, Disk::Here, &AtOnce).await
    };
    let done = done.await;
    if done.as_ref().err().is_none_or(|error| error.is_written()) {
        resource.dests().try_for_each(|dest| new.set(dest)).map_err(impossible)?;
    }
    let synced = durable.sync(&**observer).into_iter().next();
    match done {
        Ok(_) => synced.map_or(Ok(version.number), |error| Err(impossible(error))),
        Err(error) if error.is_written() => Err(impossible(format_args!(
            "version {} is in place and held, but its reload is pending: {error}",
            version.number
        ))),
        Err(error) => {
            // Nothing has changed, so the holds are as they were.
            let mut before = before.into_iter();
            let undone = before.try_for_each(|(dest, hold)| match hold {
                Some(hold) => hold.set(dest),
                None => Hold::release(dest).map(drop),
            });
            undone.map_err(impossible)?;
            Err(impossible(error))
        }
    }
}

/// The target with the mode and the owner of this file.
fn as_it_was(target: &Target, file: &VersionFile) -> Target {
    Target {
        mode: Some(file.mode),
        uid: Some(file.owner.0),
        gid: Some(file.owner.1),
        preserve: false,
        may_be_held: false,
        on_reload_failure: OnReloadFailure::Keep,
        ..target.clone()
    }
}

/// Passes the steps of a rollback on, and says to its commands what they run for.
struct ByPerson {
    observer: Arc<dyn Observer>,
    resource: PathBuf,
    /// The revision of the version.
    revision: u64,
}

impl Observer for ByPerson {
    fn observe(&self, step: &deploy::Step<'_>) {
        self.observer.observe(step);
    }

    fn environment(&self, _: &Path) -> Environment {
        environment::of(&self.resource, self.revision, std::iter::empty())
    }

    fn runner(&self) -> &dyn deploy::Runner {
        self.observer.runner()
    }
}

/// Ends the hold of a resource. Returns whether there was one.
///
/// # Errors
/// The hold cannot be removed.
pub fn release(resource: &Resource) -> Result<bool, Impossible> {
    let mut released = false;
    for dest in resource.dests() {
        released |= Hold::release(dest).map_err(impossible)?;
    }
    Ok(released)
}
