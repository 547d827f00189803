//! A confd tree, and the folder of its files.

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
        // On a disk and not in memory, because syncing is a part of what is measured.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        for name in ["conf.d", "templates", "out"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        Site { folder, resources: 0 }
    }

    /// Adds a resource that asks for one key and all keys below it. `more` is added to its table.
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

    /// Adds a resource with one file for each item that `pattern` finds. The file of the item `N` is that
    /// of the resource number `N`.
    pub(crate) fn items(&mut self, pattern: &str, template: &str) {
        let out = self.out();
        let out = out.display();
        let resource = format!(
            "[template]\nsrc = 'items'\nfor_each = '{pattern}'\ndest = '{out}/{{{{.name}}}}.conf'\n"
        );
        fs::write(self.path("conf.d/items.toml"), resource).expect("a resource");
        fs::write(self.path("templates/items"), template).expect("a template");
    }

    /// The file of resource number `nth`, in the order in which they were added.
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

    /// Moves the files aside for the next run. They are deleted only at the end: some file systems
    /// search long for an inode that was not freed just before, which would slow down every run but
    /// the first.
    pub(crate) fn set_aside(&self) {
        let old = self.path("old");
        fs::create_dir_all(&old)
            .and_then(|()| Ok(fs::read_dir(&old)?.count()))
            .and_then(|nth| fs::rename(self.out(), old.join(nth.to_string())))
            .and_then(|()| fs::create_dir(self.out()))
            .expect("an empty folder");
    }
}
