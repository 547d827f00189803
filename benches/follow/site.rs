//! A confd tree, and the folder that its files are put in.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A folder with `conf.d`, `templates` and `out`.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    resources: usize,
}

impl Site {
    /// A tree without resources.
    pub(crate) fn new() -> Self {
        // On a disk, not in memory: syncing is a part of what is measured.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        for name in ["conf.d", "templates", "out"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        Site { folder, resources: 0 }
    }

    /// Adds a resource that asks for one key and all below it; `more` are further lines of its
    /// section.
    pub(crate) fn resource(&mut self, key: &str, template: &str, more: &str) {
        let nth = self.resources;
        self.resources += 1;
        let dest = self.dest(nth);
        let dest = dest.display();
        let resource =
            format!("[template]\nsrc = '{nth}'\ndest = '{dest}'\nkeys = ['{key}']\n{more}");
        fs::write(self.path("conf.d").join(format!("{nth}.toml")), resource).expect("a resource");
        fs::write(self.path("templates").join(nth.to_string()), template).expect("a template");
    }

    /// The file of the resource that was added so many others after.
    pub(crate) fn dest(&self, nth: usize) -> PathBuf {
        self.out().join(format!("{nth}.conf"))
    }

    /// The folder of all files that confd writes.
    pub(crate) fn out(&self) -> PathBuf {
        self.path("out")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Makes room for the next run. Nothing is deleted before the end: some file systems search
    /// long for an inode that was not freed just now, and so would every run but the first.
    pub(crate) fn set_aside(&self) {
        let old = self.path("old");
        fs::create_dir_all(&old)
            .and_then(|()| Ok(fs::read_dir(&old)?.count()))
            .and_then(|nth| fs::rename(self.out(), old.join(nth.to_string())))
            .and_then(|()| fs::create_dir(self.out()))
            .expect("an empty folder");
    }
}
