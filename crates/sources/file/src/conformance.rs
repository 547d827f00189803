//! The promises of every source.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use source::Source;
use source::testing::conformance::{self, Fixture};

use super::File;

/// Two files in a folder; each key is in one of them. While the folder is moved away, it still
/// changes.
struct Files {
    place: tempfile::TempDir,
    /// The path of the folder in `place`.
    folder: &'static str,
    pairs: BTreeMap<String, Vec<u8>>,
}

const HERE: &str = "data";
const AWAY: &str = "away";

impl Default for Files {
    fn default() -> Self {
        let files =
            Files { place: tempfile::tempdir().unwrap(), folder: HERE, pairs: BTreeMap::new() };
        fs::create_dir(files.path(HERE)).unwrap();
        files
    }
}

impl Files {
    const NAMES: [&str; 2] = ["1.yaml", "2.yaml"];

    fn path(&self, folder: &str) -> PathBuf {
        self.place.path().join(folder)
    }

    /// The name of the file that a key is in.
    fn name(key: &str) -> &'static str {
        Files::NAMES[key.bytes().map(usize::from).sum::<usize>() % 2]
    }

    /// Replaces a file atomically.
    fn write(&self, name: &str) {
        let mut text = String::new();
        for (key, value) in self.pairs.iter().filter(|(key, _)| Files::name(key) == name) {
            let value = base64::engine::general_purpose::STANDARD.encode(value);
            writeln!(text, "{key:?}: !!binary {value:?}").unwrap();
        }
        let folder = self.path(self.folder);
        fs::write(folder.join("new"), text).unwrap();
        fs::rename(folder.join("new"), folder.join(name)).unwrap();
    }

    fn relocate(&mut self, folder: &'static str) {
        fs::rename(self.path(self.folder), self.path(folder)).unwrap();
        self.folder = folder;
    }
}

impl Fixture for Files {
    const MATCHES_TEXT: bool = true;
    const IMPOSSIBLE: &[u8] = b"";
    const CAN_BE_FOLLOWED: bool = true;

    async fn set(&mut self, key: &str, value: &[u8]) {
        self.pairs.insert(key.to_owned(), value.to_vec());
        self.write(Files::name(key));
    }

    async fn delete(&mut self, key: &str) {
        self.pairs.remove(key);
        self.write(Files::name(key));
    }

    async fn set_all(&mut self, pairs: &[(String, String)]) {
        let pairs = pairs.iter().cloned().map(|(key, value)| (key, value.into_bytes()));
        self.pairs.extend(pairs);
        Files::NAMES.iter().for_each(|name| self.write(name));
    }

    fn source(&self) -> Box<dyn Source> {
        Box::new(File::new([self.path(HERE)], b"*.yaml"))
    }

    fn disconnect(&mut self) {
        self.relocate(AWAY);
    }

    fn reconnect(&mut self) {
        self.relocate(HERE);
    }
}

source::promises! { file: super::Files }

mod following {
    source::promises_of_following! { file: super::super::Files }
}

#[tokio::test]
async fn nothing_is_lost_over_a_disconnect_of_half_a_minute() {
    conformance::nothing_is_lost_over_a_disconnect_of::<Files>(Duration::from_secs(30)).await;
}
