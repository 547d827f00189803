//! Finds the resource files under `conf.d`, in the order in which confd processes them.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// What a walk of `conf.d` found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The resource files, in processing order.
    pub(crate) files: Vec<PathBuf>,
    /// Names of resource files with nothing readable behind them, such as dangling links.
    pub(crate) broken: Vec<(PathBuf, io::Error)>,
    /// Folders that could not be read.
    pub(crate) closed: Vec<(PathBuf, io::Error)>,
}

/// Walks `conf.d`: every file whose name ends in `toml`, depth first, entries in byte order.
///
/// `conf.d` itself may be a file (then it is the one resource) or a link to a folder. Below
/// it, links to files are followed and links to folders are not, as in confd. Names that
/// begin with two dots are left out and files are taken once by their real path, so that a
/// mounted Kubernetes ConfigMap is not found twice.
///
/// # Errors
/// `conf.d` itself cannot be read. What cannot be read below it is in [`Found::broken`] and
/// [`Found::closed`].
pub(crate) fn resource_files(conf_d: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    if !fs::metadata(conf_d)?.is_dir() {
        found.files.push(conf_d.to_path_buf());
        return Ok(found);
    }
    let mut links = false;
    walk(conf_d, &mut found, &mut links)?;
    if links {
        let mut seen = HashSet::new();
        found.files.retain(|file| fs::canonicalize(file).map_or(true, |real| seen.insert(real)));
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut Found, links: &mut bool) -> io::Result<()> {
    let named = |entry: io::Result<fs::DirEntry>| entry.map(|entry| (entry.file_name(), entry));
    let mut entries = fs::read_dir(folder)?.map(named).collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    for (name, entry) in entries {
        if name.as_bytes().starts_with(b"..") {
            continue;
        }
        let path = folder.join(&name);
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                if let Err(error) = walk(&path, found, links) {
                    found.closed.push((path, error));
                }
            }
            Ok(kind) if is_resource_name(&name) => {
                match kind.is_symlink().then(|| fs::metadata(&path)) {
                    None => found.files.push(path),
                    Some(Ok(target)) if target.is_dir() => {}
                    Some(Ok(_)) => {
                        *links = true;
                        found.files.push(path);
                    }
                    Some(Err(error)) => found.broken.push((path, error)),
                }
            }
            Ok(_) => {}
            Err(error) => found.broken.push((path, error)),
        }
    }
    Ok(())
}

/// Whether `name` matches confd's pattern `*toml`: `a.toml`, but also `.toml`, `xtoml` and `toml`.
fn is_resource_name(name: &OsStr) -> bool {
    name.as_bytes().ends_with(b"toml")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let found = resource_files(folder).unwrap();
        let relative = |path: PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
        found.files.into_iter().map(relative).collect()
    }

    #[test]
    fn files_come_depth_first_in_byte_order() {
        let folder = tree(&[
            "b.toml",
            "a.toml",
            "a-b.toml",
            "a/z.toml",
            "B.toml",
            "9.toml",
            "10.toml",
            ".hidden.toml",
            ".hid/q.toml",
            "a.TOML",
            "a.toml.bak",
            "xtoml",
            "d.toml/e.toml",
        ]);
        assert_eq!(
            names(folder.path()),
            [
                ".hid/q.toml",
                ".hidden.toml",
                "10.toml",
                "9.toml",
                "B.toml",
                "a/z.toml",
                "a-b.toml",
                "a.toml",
                "b.toml",
                "d.toml/e.toml",
                "xtoml",
            ]
        );
    }

    #[test]
    fn a_link_to_a_file_counts_and_a_link_to_a_folder_does_not() {
        let folder = tree(&["conf.d/a.toml", "else/x", "folder/b.toml"]);
        let conf_d = folder.path().join("conf.d");
        symlink("../else/x", conf_d.join("x.toml")).unwrap();
        symlink("../folder", conf_d.join("f.toml")).unwrap();
        symlink("/nowhere", conf_d.join("dangling")).unwrap();
        assert_eq!(names(&conf_d), ["a.toml", "x.toml"]);
    }

    #[test]
    fn a_dangling_link_is_one_bad_resource_not_the_end() {
        let folder = tree(&["a.toml"]);
        symlink("/nowhere", folder.path().join("b.toml")).unwrap();
        let found = resource_files(folder.path()).unwrap();
        assert_eq!(found.files.len(), 1);
        assert_eq!(found.broken[0].0, folder.path().join("b.toml"));
    }

    #[test]
    fn conf_d_may_be_a_link_or_a_file() {
        let folder = tree(&["real/a.toml", "file"]);
        symlink("real", folder.path().join("conf.d")).unwrap();
        assert_eq!(names(&folder.path().join("conf.d")), ["a.toml"]);
        assert_eq!(
            resource_files(&folder.path().join("file")).unwrap().files,
            [folder.path().join("file")]
        );
        assert!(resource_files(&folder.path().join("nothing")).is_err());
    }

    #[test]
    fn a_mounted_config_map_is_found_once() {
        let folder = tree(&["..2024_01_01/a.toml"]);
        symlink("..2024_01_01", folder.path().join("..data")).unwrap();
        symlink("..data/a.toml", folder.path().join("a.toml")).unwrap();
        assert_eq!(names(folder.path()), ["a.toml"]);
    }
}
