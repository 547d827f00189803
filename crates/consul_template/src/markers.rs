//! Markers of pending commands, so that a command is run by the next start if this process is killed,
//! or ends, between the writing of a destination and the success of its command.
//!
//! A marker says which content the destination was given. It is on the disk before the destination
//! is written, and is removed when the command has succeeded. If it is there at the next start, and
//! the destination has that content, the command is pending. If the destination has another content,
//! the file was not put in place, or was replaced since: the marker is removed.
//!
//! confd has its marker beside the destination. consul-template leaves no other file there, and neither
//! does this program, so its markers are in the state folder. The marker does not say which command
//! is pending: if a failed command was mended in the configuration, the mended one has to run.
//!
//! The name of a marker consists of three hashes: of the process's command line, of the destination
//! and of its content. By the first one, a process leaves the markers of other processes alone. The
//! content itself is not kept. The hash of a short secret can be guessed, but markers are for their
//! user alone, who can read the destination. A key for the hash would lie beside the marker, and
//! protect nothing.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use report::{FileError, read_regular};
use sha2::{Digest, Sha256};
use state_folder::{Marker, StateFolder};

use crate::Edge;
use crate::config::{Config, Template};
use crate::log::Log;

/// The beginning of the names of all markers.
const START: &str = "command-";
/// The number of hexadecimal digits of a hash in a name.
const DIGITS: usize = 32;
/// The end of a marker's text, after the destination.
const TEXT: &str = "\nwas written by consul-template, and its command has not succeeded since. It is run at \
                    the next start, unless this file is removed.\n";
/// The age at which the marker of another process is removed, if its destination is gone.
const OLD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The names of the markers that are set. It outlives the configuration: when that is read again, a
/// thread may still write a destination for the former one.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<BTreeSet<Name>>>);

/// The name of a marker: what it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    destination: String,
    content: String,
    /// The hash of the command line.
    owner: String,
}

impl Memory {
    fn names(&self) -> MutexGuard<'_, BTreeSet<Name>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the names for which `is_taken` is true out of the memory.
    fn take(&self, is_taken: impl Fn(&Name) -> bool) -> Vec<Name> {
        self.names().extract_if(.., |name| is_taken(name)).collect()
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{START}{}-{}-{}", self.owner, self.destination, self.content)
    }
}

impl Name {
    fn parse(text: &str) -> Option<Name> {
        let mut parts = text.strip_prefix(START)?.split('-').map(str::to_owned);
        let (owner, destination, content) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then_some(Name { destination, content, owner })
    }
}

/// The markers of a template that has a command.
#[derive(Clone)]
pub(crate) struct Markers {
    shared: Arc<Shared>,
    destination: PathBuf,
    /// The hash of the destination.
    hash: String,
}

/// What the markers of all templates have in common.
struct Shared {
    memory: Memory,
    /// `None` if markers are only in the memory of this process.
    folder: Option<StateFolder>,
    /// The hash of the command line.
    owner: String,
    /// Whether the log has said that the folder cannot be used.
    is_reported: AtomicBool,
    log: Log,
}

impl Markers {
    /// The markers of each template of a configuration, `None` for a template without a command. Markers of a
    /// former run whose templates or commands are gone are removed.
    /// `owner` is the hash of the command line.
    pub(crate) fn find(
        config: &Config,
        owner: String,
        memory: &Memory,
        log: &Log,
    ) -> Vec<Option<Markers>> {
        let shared = Arc::new(Shared {
            memory: memory.clone(),
            folder: config.state_folder.clone(),
            owner,
            is_reported: AtomicBool::new(false),
            log: log.clone(),
        });
        let markers = |template: &Template| {
            let destination = absolute(&template.destination);
            let hash = hash([&destination]);
            let markers = Markers { shared: Arc::clone(&shared), destination, hash };
            (!template.exec.command.is_empty()).then_some(markers)
        };
        let all: Vec<_> = config.templates.iter().map(markers).collect();
        let destinations = all.iter().flatten().map(|markers| &*markers.hash).collect();
        shared.find(&destinations);
        all
    }

    /// Notes that the destination is about to get `content`. The marker is on the disk when this
    /// returns, if there is a state folder.
    ///
    /// Until the destination is written it has its former content, with which the command can be
    /// pending, too. So the former marker stays.
    pub(crate) fn before_writing(&self, content: &[u8]) {
        let (destination, content) = (self.hash.clone(), hash([OsStr::from_bytes(content)]));
        let name = Name { destination, content, owner: self.shared.owner.clone() };
        let text = [self.destination.as_os_str().as_bytes(), TEXT.as_bytes()].concat();
        self.shared.set(&name, &text);
        self.shared.memory.names().insert(name);
    }

    /// Notes whether the destination has got `content`.
    pub(crate) fn after_writing(&self, content: &[u8], is_written: bool) {
        let content = hash([OsStr::from_bytes(content)]);
        self.shared.remove(|name| {
            name.destination == self.hash && (name.content == content) != is_written
        });
    }

    /// Whether the command is pending, given that the destination has `content` and was not written
    /// now. Markers of other contents are removed.
    pub(crate) fn is_pending(&self, content: &[u8]) -> bool {
        let is_set = || self.shared.memory.names().iter().any(|name| name.destination == self.hash);
        if !is_set() {
            return false;
        }
        self.after_writing(content, true);
        is_set()
    }

    /// Notes that the command has succeeded, and removes the markers.
    pub(crate) fn succeeded(&self) {
        self.shared.remove(|name| name.destination == self.hash);
    }
}

impl Shared {
    /// Reads the names of all markers. `destinations` are the hashes of those that have a command.
    fn find(&self, destinations: &BTreeSet<&str>) {
        let Some(folder) = &self.folder else { return };
        let found = match folder.markers(START) {
            Ok(found) => found,
            Err(error) if !destinations.is_empty() => return self.warn(folder, &error),
            Err(_) => return,
        };
        for marker in found {
            let Some(name) = Name::parse(&marker.name) else { continue };
            let is_used = destinations.contains(&*name.destination);
            if is_used || name.owner == self.owner || is_left_behind(folder, &marker, &name) {
                self.memory.names().insert(name);
            }
        }
        self.remove(|name| !destinations.contains(&*name.destination));
    }

    fn set(&self, name: &Name, text: &[u8]) {
        let Some(folder) = &self.folder else { return };
        match folder.set(&name.to_string(), text) {
            Ok(true) => {}
            Ok(false) if self.is_reported.swap(true, Ordering::Relaxed) => {}
            Ok(false) => self.log.info(format_args!(
                "(runner) there is no state folder {}: commands that are pending at the end of this \
                 process are forgotten",
                folder.path().display()
            )),
            Err(error) => self.warn(folder, &error),
        }
    }

    /// Removes the markers for whose names `is_done` is true.
    fn remove(&self, is_done: impl Fn(&Name) -> bool) {
        for name in self.memory.take(is_done) {
            if let Some(folder) = &self.folder
                && let Err(error) = folder.remove(&name.to_string())
            {
                self.warn(folder, &error);
            }
        }
    }

    /// Warns once that the folder cannot be used.
    fn warn(&self, folder: &StateFolder, error: &FileError) {
        if !self.is_reported.swap(true, Ordering::Relaxed) {
            self.log.warn(format_args!(
                "(runner) the state folder {} cannot be used, so commands that are pending at the \
                 end of this process are forgotten: {error}",
                folder.path().display()
            ));
        }
    }
}

/// Whether a marker of another process is old and its destination is gone.
fn is_left_behind(folder: &StateFolder, marker: &Marker, name: &Name) -> bool {
    marker.set.elapsed().is_ok_and(|age| age > OLD)
        && folder.text(&marker.name).is_some_and(|text| {
            let path = text.strip_suffix(TEXT.as_bytes()).map(OsStr::from_bytes);
            path.is_some_and(|path| hash([path]) == name.destination && !Path::new(path).exists())
        })
}

/// Whether the destination has this content now.
pub(crate) fn has_content(destination: &Path, content: &[u8]) -> bool {
    read_regular(destination).is_ok_and(|found| found == content)
}

/// The hash of what the configuration comes from: the folder in which the process was started, its
/// command line, and the variable with settings.
pub(crate) fn owner(edge: &Edge) -> String {
    let local = edge.environment.iter().find(|(name, _)| name == "CT_LOCAL_CONFIG");
    let local = local.map(|(_, value)| value.clone()).unwrap_or_default();
    let folder = std::env::current_dir().unwrap_or_default().into_os_string();
    let words = [folder, local].into_iter().chain(edge.words.iter().cloned());
    hash(words.collect::<Vec<OsString>>())
}

/// The destination as a path that does not depend on the folder of the process.
fn absolute(destination: &str) -> PathBuf {
    // The error is that the path is empty, or that the folder of the process is gone.
    std::path::absolute(destination).unwrap_or_else(|_| destination.into())
}

fn hash(parts: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref().as_bytes();
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digits = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    digits[..DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::SystemTime;

    use super::*;
    use crate::config::decode;

    /// A folder with the destination `result` of a template, and the state folder.
    struct World(tempfile::TempDir);

    impl World {
        fn new() -> World {
            World(tempfile::tempdir().expect("a folder"))
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// The markers of the template in a process that starts now. `owner` stands for its command
        /// line.
        fn start(&self, owner: &str) -> Markers {
            self.start_with(owner, &Memory::default(), "result").expect("a command")
        }

        fn start_with(&self, owner: &str, memory: &Memory, destination: &str) -> Option<Markers> {
            let destination = self.path(destination);
            let text = format!(
                "template {{ contents = \"\" destination = {destination:?} command = \"true\" }}"
            );
            let (settings, _) = decode(&text).expect("settings");
            let environment = [("STATE_DIRECTORY".into(), self.path("state").into_os_string())];
            let log = Log::new(Arc::new(world::System::new()), Box::new(std::io::sink()));
            let config = Config::new(&settings, &environment);
            Markers::find(&config, owner.to_owned(), memory, &log).pop().flatten()
        }

        /// The names in the state folder.
        fn names(&self) -> Vec<String> {
            let Ok(entries) = fs::read_dir(self.path("state")) else { return Vec::new() };
            let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
            entries.map(|entry| name(entry).into_string().expect("a text")).collect()
        }
    }

    #[test]
    fn a_kill_before_the_destination_is_written_leaves_its_former_content_pending() {
        let world = World::new();
        let markers = world.start("a");
        markers.before_writing(b"old");
        markers.after_writing(b"old", true);
        // The command did not run. The next process is killed before it has written the new content.
        let markers = world.start("a");
        markers.before_writing(b"new");
        assert_eq!(world.names().len(), 2);
        // In the next process the data have changed back.
        assert!(world.start("a").is_pending(b"old"));
        assert_eq!(world.names().len(), 1);
        let markers = world.start("a");
        assert!(markers.is_pending(b"old"));
        markers.succeeded();
        assert!(!markers.is_pending(b"old"));
        assert_eq!(world.names(), [""; 0]);
    }

    #[test]
    fn a_destination_that_is_not_written_leaves_no_marker() {
        let world = World::new();
        let markers = world.start("a");
        markers.before_writing(b"old");
        markers.after_writing(b"old", true);
        markers.before_writing(b"new");
        markers.after_writing(b"new", false);
        assert_eq!(world.names().len(), 1);
        assert!(markers.is_pending(b"old"));
        assert!(!markers.is_pending(b"other"));
        assert_eq!(world.names(), [""; 0]);
    }

    #[test]
    fn another_command_line_finds_the_markers_of_its_destinations() {
        let world = World::new();
        world.start("a").before_writing(b"x");
        let markers = world.start("b");
        assert!(markers.is_pending(b"x"));
        markers.succeeded();
        assert_eq!(world.names(), [""; 0]);
    }

    #[test]
    fn what_a_thread_writes_for_the_former_configuration_is_known_to_the_next() {
        let (world, memory) = (World::new(), Memory::default());
        let former = world.start_with("a", &memory, "result").expect("a command");
        let next = world.start_with("a", &memory, "result").expect("a command");
        former.before_writing(b"x");
        former.after_writing(b"x", true);
        assert!(next.is_pending(b"x"));
        // A configuration without the template forgets it.
        world.start_with("a", &memory, "other");
        assert!(!next.is_pending(b"x"));
        assert_eq!(world.names(), [""; 0]);
    }

    #[test]
    fn an_old_marker_of_another_process_is_removed_if_its_destination_is_gone() {
        let world = World::new();
        for (exists, is_old, remains) in [(true, true, 1), (false, false, 1), (false, true, 0)] {
            world.start("a").before_writing(b"x");
            fs::write(world.path("result"), "x").expect("write");
            if !exists {
                fs::remove_file(world.path("result")).expect("remove");
            }
            let name = world.names().pop().expect("a marker");
            let age = if is_old { OLD * 2 } else { OLD / 2 };
            let file = File::options().write(true).open(world.path("state").join(name));
            file.and_then(|file| file.set_modified(SystemTime::now() - age)).expect("set");
            world.start_with("b", &Memory::default(), "other");
            assert_eq!(world.names().len(), remains, "{exists} {is_old}");
        }
    }
}
