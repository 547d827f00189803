//! Finds the files of a path.

use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use source::Error;
use store::Pattern;

/// The file `path`; or, if `path` is a folder, the files below it whose base names match `filter`.
/// They come in byte order of their names; the files of a subfolder come at the position of its
/// name.
///
/// A link to a file counts as a file with the link's name. A link to a folder is ignored, unless it
/// is `path` itself. Names that begin with a dot are not special.
pub(super) fn files(path: &Path, filter: &[u8]) -> Result<Vec<PathBuf>, Error> {
    let metadata = fs::metadata(path).map_err(|cause| Error::file("stat", path, cause))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let filter = Pattern::new(filter).map_err(Error::Filter)?;
    let mut files = Vec::new();
    // The entries that must still be visited; the next is last. The list is on the heap, because
    // folders may nest deeply.
    let mut pending = entries(path).map_err(|cause| Error::file("open", path, cause))?;
    while let Some((path, kind)) = pending.pop() {
        if kind.is_dir() {
            // As in confd, a subfolder that may not be read is skipped.
            pending.extend(entries(&path).unwrap_or_default());
        } else if filter.matches(path.file_name().unwrap_or(OsStr::new("")).as_bytes()) {
            let target = fs::metadata(&path).map_err(|cause| Error::file("stat", &path, cause))?;
            if target.is_file() {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// The entries of a folder, last name first.
fn entries(folder: &Path) -> std::io::Result<Vec<(PathBuf, FileType)>> {
    let mut entries = fs::read_dir(folder)?
        .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))))
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort_by(|one, two| two.0.file_name().cmp(&one.0.file_name()));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with these files. Each file contains its own name; a name with `->` is a link.
    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let (name, target) = name.split_once(" -> ").unwrap_or((name, ""));
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match target {
                "" => fs::write(path, name).unwrap(),
                target => symlink(target, path).unwrap(),
            }
        }
        folder
    }

    fn found(folder: &Path, filter: &str) -> Vec<String> {
        let names = files(folder, filter.as_bytes()).unwrap();
        names.iter().map(|name| name.strip_prefix(folder).unwrap().display().to_string()).collect()
    }

    #[test]
    fn files_come_in_byte_order_with_folders_in_their_place() {
        let names = [
            ".hid/q.yaml",
            ".hidden.yaml",
            "10.yaml",
            "9.yaml",
            "B.yaml",
            "a/z.yaml",
            "a-b.yaml",
            "a.yaml",
            "b.yaml",
        ];
        assert_eq!(found(folder(&names).path(), "*"), names);
    }

    #[test]
    fn the_filter_is_for_base_names_in_folders_only() {
        let folder = folder(&["a.yaml", "b.json", "c/d.yaml", "x.yaml/e.json"]);
        assert_eq!(found(folder.path(), "*.yaml"), ["a.yaml", "c/d.yaml"]);
        assert!(found(folder.path(), "").is_empty());
        let file = folder.path().join("b.json");
        assert_eq!(files(&file, b"*.yaml").unwrap(), [file]);
    }

    #[test]
    fn links_to_files_count_and_links_to_folders_do_not() {
        let folder = folder(&["real/a.yaml", "link.yaml -> real/a.yaml", "linked -> real"]);
        assert_eq!(found(folder.path(), "*"), ["link.yaml", "real/a.yaml"]);
    }

    #[test]
    fn a_folder_given_as_a_link_is_followed() {
        let folder = folder(&["real/a.yaml", "linked -> real"]);
        assert_eq!(found(&folder.path().join("linked"), "*"), ["a.yaml"]);
    }

    #[test]
    fn a_dangling_link_is_an_error_only_if_its_name_matches() {
        let folder = folder(&["a.yaml", "b.json -> nowhere"]);
        assert_eq!(found(folder.path(), "*.yaml"), ["a.yaml"]);
        let error = files(folder.path(), b"*").unwrap_err();
        let link = folder.path().join("b.json");
        assert_eq!(
            error.to_string(),
            format!("stat {}: no such file or directory", link.display())
        );
    }

    #[test]
    fn a_mounted_config_map_is_read_through_its_links() {
        let folder = folder(&["..2024/a.yaml", "..data -> ..2024", "a.yaml -> ..data/a.yaml"]);
        assert_eq!(found(folder.path(), "*"), ["..2024/a.yaml", "a.yaml"]);
    }

    #[test]
    fn a_malformed_filter_is_an_error() {
        let folder = folder(&["a.yaml"]);
        let error = files(folder.path(), b"[").unwrap_err();
        assert_eq!(error.to_string(), "syntax error in pattern");
    }

    #[test]
    fn a_missing_path_is_an_error() {
        let error = files(Path::new("/nope.yaml"), b"*").unwrap_err();
        assert_eq!(error.to_string(), "stat /nope.yaml: no such file or directory");
    }
}
