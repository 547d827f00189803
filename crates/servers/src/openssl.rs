//! Certificates of every kind that openssl makes.

use std::{fs, path::PathBuf, process::Command};

/// A folder in which `openssl` makes keys and certificates.
#[derive(Debug)]
pub struct OpenSsl {
    folder: tempfile::TempDir,
}

impl OpenSsl {
    /// An empty folder.
    pub fn new() -> Self {
        Self { folder: crate::folder() }
    }

    /// Runs `openssl` in the folder with arguments that are separated by spaces.
    #[track_caller]
    pub fn run(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split_whitespace()).current_dir(self.folder.path());
        let output = output.output().unwrap_or_else(|error| {
            panic!("openssl does not start ({error}): tests/install-servers installs it")
        });
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {words}");
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Joins the contents of files to one file.
    pub fn join(&self, names: &[&str], into: &str) {
        let texts = names.iter().map(|name| fs::read_to_string(self.path(name)).unwrap());
        self.write(into, &texts.collect::<String>());
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Default for OpenSsl {
    fn default() -> Self {
        Self::new()
    }
}
