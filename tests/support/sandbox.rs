//! A temporary confd tree.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::Run;

/// A folder with a confd tree in it, removed at the end of the test.
pub struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    /// An empty tree: `conf.d`, `templates` and `out`.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("confd-test-").tempdir().unwrap();
        for name in ["conf.d", "templates", "out"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    /// A tree with one resource `app.toml` that renders `template` from all keys to `out/app`.
    pub fn rendering(template: impl AsRef<[u8]>) -> Self {
        let sandbox = Self::new();
        sandbox.resource("app", template, "");
        sandbox
    }

    /// Adds the resource `NAME.toml`, which renders `template` from all keys to `out/NAME`. `more`
    /// is added to its table and can set every key except `src`, `dest` and `keys`.
    pub fn resource(&self, name: &str, template: impl AsRef<[u8]>, more: &str) {
        let dest = self.path(&format!("out/{name}"));
        self.write(&format!("templates/{name}.tmpl"), template);
        self.write(
            &format!("conf.d/{name}.toml"),
            format!(
                "[template]\nsrc = '{name}.tmpl'\ndest = '{}'\nkeys = ['/']\n{more}\n",
                dest.display()
            ),
        );
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders it needs.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The content of a file as text, or an empty text if the file does not exist.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// The result of the resource of [`rendering`](Self::rendering).
    pub fn output(&self) -> String {
        self.read("out/app")
    }

    /// A file's permission bits.
    pub fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }

    /// A file's owner and group.
    pub fn owner(&self, name: &str) -> (u32, u32) {
        let metadata = fs::metadata(self.path(name)).unwrap();
        (metadata.uid(), metadata.gid())
    }

    /// The names in a folder, sorted, including hidden ones.
    pub fn list(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// confd in this folder with only these arguments. Its environment contains only `PATH`.
    pub fn bare(&self, arguments: &[&str]) -> Run {
        Run::new(env!("CARGO_BIN_EXE_confd"), self.root()).arguments(arguments)
    }

    /// confd on this tree and with its confd.toml, which is empty unless the test writes it.
    pub fn confd(&self, arguments: &[&str]) -> Run {
        if !self.path("confd.toml").exists() {
            self.write("confd.toml", "");
        }
        let run = self.bare(&["-config-file", "confd.toml", "-confdir"]);
        run.arguments(&[self.root()]).arguments(arguments)
    }

    /// One pass with the env backend.
    pub fn onetime(&self) -> Run {
        self.confd(&["-onetime", "-backend", "env"])
    }

    /// One pass with the file backend on this YAML.
    pub fn onetime_with(&self, yaml: &str) -> Run {
        self.write("data.yaml", yaml);
        self.confd(&["-onetime", "-backend", "file", "-file", "data.yaml"])
    }
}
