//! The folder of a case: its files before, and its state afterwards.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use crate::world::World;

/// A folder, and the texts that stand for placeholders.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
    /// The state folder of the program, so that no run knows what another run has left.
    state: tempfile::TempDir,
    placeholders: Vec<(&'static str, String)>,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    File { content: Vec<u8>, mode: u32, owner: String },
    Folder { mode: u32 },
    Link(String),
}

impl Folder {
    /// A folder with the files of a case, which runs in this world.
    pub(crate) fn new(case: &Value, world: Option<&World>) -> Folder {
        let [folder, state] = ["consul-template-", "consul-template-state-"]
            .map(|prefix| tempfile::Builder::new().prefix(prefix).tempdir().unwrap());
        let [dead] = servers::free_ports();
        let mut placeholders = world.map(World::placeholders).unwrap_or_default();
        placeholders.push(("{{DIR}}", folder.path().to_str().unwrap().to_owned()));
        placeholders.push(("{{DEAD}}", format!("127.0.0.1:{dead}")));
        let folder = Folder { folder, state, placeholders };
        for (name, file) in case["files"].as_object().into_iter().flatten() {
            folder.create(name, file);
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The state folder of the program.
    pub(crate) fn state_folder(&self) -> &Path {
        self.state.path()
    }

    /// The text with its placeholders replaced.
    pub(crate) fn fill(&self, text: &str) -> String {
        let replace = |text: String, (name, value): &(&str, String)| text.replace(name, value);
        self.placeholders.iter().fold(text.to_owned(), replace)
    }

    fn create(&self, name: &str, file: &Value) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if let Some(target) = file["symlink"].as_str() {
            symlink(self.fill(target), &path).unwrap();
            return;
        }
        let mode = match file["dir"].as_str() {
            Some(mode) => {
                fs::create_dir_all(&path).unwrap();
                Some(mode)
            }
            None => {
                fs::write(&path, self.content(file)).unwrap();
                file["mode"].as_str()
            }
        };
        if let Some(mode) = mode {
            let mode = u32::from_str_radix(mode, 8).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    /// The bytes that a description of a file stands for.
    fn content(&self, file: &Value) -> Vec<u8> {
        match (file.as_str().or(file["content"].as_str()), file["content_b64"].as_str()) {
            (Some(text), _) => self.fill(text).into_bytes(),
            (None, Some(text)) => BASE64_STANDARD.decode(text).unwrap(),
            _ => Vec::new(),
        }
    }

    /// Everything in the folder.
    pub(crate) fn state(&self) -> BTreeMap<String, Entry> {
        let mut state = BTreeMap::new();
        let mut pending = vec![self.path().to_owned()];
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                // A stage file can be gone again.
                let Ok(found) = fs::symlink_metadata(&path) else { continue };
                let name = path.strip_prefix(self.path()).unwrap().to_str().unwrap().to_owned();
                let mode = found.mode() & 0o7777;
                let entry = if found.is_symlink() {
                    Entry::Link(fs::read_link(&path).unwrap().to_str().unwrap().to_owned())
                } else if found.is_dir() {
                    pending.push(path);
                    Entry::Folder { mode }
                } else {
                    let Ok(content) = fs::read(&path) else { continue };
                    Entry::File { content, mode, owner: format!("{}:{}", found.uid(), found.gid()) }
                };
                state.insert(name, entry);
            }
        }
        state
    }

    /// Why the state is not what is expected, given the state before.
    pub(crate) fn difference(
        &self,
        before: &BTreeMap<String, Entry>,
        expected: &Map<String, Value>,
        ignored: &Value,
    ) -> Option<String> {
        let after = self.state();
        let is_ignored = |name: &str| {
            ignored.as_array().into_iter().flatten().any(|pattern| {
                let pattern = pattern.as_str().unwrap();
                pattern == name
                    || pattern.strip_suffix('*').is_some_and(|start| name.starts_with(start))
            })
        };
        for (name, want) in expected {
            let found = after.get(name);
            let fits = match found {
                None => want.is_null(),
                Some(Entry::Folder { mode }) => fits_mode(&want["dir"], *mode),
                Some(Entry::Link(target)) => {
                    want["symlink"].as_str().is_some_and(|want| self.fill(want) == *target)
                }
                Some(Entry::File { content, mode, owner }) => {
                    !want.is_null()
                        && self.content(want) == *content
                        && (want["mode"].is_null() || fits_mode(&want["mode"], *mode))
                        && want["owner"].as_str().is_none_or(|want| want == owner)
                }
            };
            if !fits {
                return Some(format!("{name}: want {want}, got {}", shown(found)));
            }
        }
        let names = before.keys().chain(after.keys());
        let mut changed = names.filter(|name| before.get(*name) != after.get(*name));
        let other = changed.find(|name| !expected.contains_key(*name) && !is_ignored(name));
        other.map(|name| format!("{name} is not expected: {}", shown(after.get(name))))
    }
}

fn fits_mode(want: &Value, mode: u32) -> bool {
    want.as_str().is_some_and(|want| u32::from_str_radix(want, 8) == Ok(mode))
}

fn shown(entry: Option<&Entry>) -> String {
    match entry {
        None => "nothing".to_owned(),
        Some(Entry::File { content, mode, owner }) => {
            format!("{:?} mode {mode:o} owner {owner}", String::from_utf8_lossy(content))
        }
        Some(entry) => format!("{entry:?}"),
    }
}
