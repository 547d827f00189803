//! The templates folder, from which a template can take other templates.
//!
//! The name of a template is its path below the folder, with `/` between the elements. Files
//! outside of the folder are never read: a name with `..` or a leading `/` is refused, and so is a
//! file that is in the folder only by a symbolic link. Links inside of the folder are followed,
//! because a mounted Kubernetes volume consists of them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use report::{errno_text, read_regular};

/// The ending of the files that are searched for components.
const ENDING: &str = "tera";

/// A folder of templates.
pub(crate) struct Folder<'a> {
    path: &'a Path,
}

/// Why a template cannot be read. `Display` gives the text behind the template's name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    /// The name leads out of the folder, or the file is outside of it.
    #[error("is outside of the templates folder")]
    Outside,

    /// The name has empty elements or elements `.`.
    #[error("is not a plain path in the templates folder")]
    Unclear,

    /// The file does not exist.
    #[error("does not exist in the templates folder")]
    Missing,

    /// It is not a regular file.
    #[error("is not a file")]
    NoFile,

    /// The system refuses to read it.
    #[error("cannot be read: {}", errno_text(.0))]
    Unreadable(io::Error),

    /// It is not UTF-8.
    #[error("is not valid UTF-8")]
    NoText,
}

impl<'a> Folder<'a> {
    pub(crate) fn new(path: &'a Path) -> Self {
        Self { path }
    }

    /// The path of the template `name`.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The text of the template `name`.
    pub(crate) fn read(&self, name: &str) -> Result<String, Unavailable> {
        String::from_utf8(self.read_bytes(name)?).map_err(|_| Unavailable::NoText)
    }

    /// The content of the file `name`, which need not be UTF-8.
    pub(crate) fn read_bytes(&self, name: &str) -> Result<Vec<u8>, Unavailable> {
        check_name(name)?;
        let path = self.resolve(&self.path.join(name))?;
        read_regular(&path).map_err(|error| match error.kind() {
            ErrorKind::IsADirectory | ErrorKind::InvalidInput => Unavailable::NoFile,
            _ => unavailable(error),
        })
    }

    /// The names of the templates that define `component`, in byte order. Files that cannot be read
    /// are left out silently, because they may not be needed.
    pub(crate) fn defining(&self, component: &str) -> Vec<String> {
        let defines = |name: &String| self.read(name).is_ok_and(|text| defines(&text, component));
        self.names().into_iter().filter(defines).collect()
    }

    /// The names of all templates that end in `.tera`, in byte order. Hidden files and folders are
    /// left out: a mounted volume keeps its data in a hidden folder and links to it.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let mut names = self.all_names();
        names.retain(|name| is_template(name));
        names
    }

    /// The names of all files, in byte order, without those that are hidden.
    pub(crate) fn all_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut pending = vec![String::new()];
        let mut seen = BTreeSet::new();
        while let Some(folder) = pending.pop() {
            // By its canonical path, because a link can lead back up.
            let Ok(path) = self.resolve(&self.path.join(&folder)) else { continue };
            let Ok(entries) = fs::read_dir(&path) else { continue };
            // Two links can lead to the same folder.
            if !seen.insert(path) {
                continue;
            }
            for entry in entries.flatten() {
                let Ok(name) = entry.file_name().into_string() else { continue };
                if name.starts_with('.') {
                    continue;
                }
                let below = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                match fs::metadata(entry.path()) {
                    Ok(found) if found.is_dir() => pending.push(below),
                    Ok(_) => _ = names.insert(below),
                    Err(_) => {}
                }
            }
        }
        names
    }

    /// The canonical path of `path`, if it is inside of the folder.
    fn resolve(&self, path: &Path) -> Result<PathBuf, Unavailable> {
        // Both paths are made canonical, because the folder itself can be reached by a link.
        let folder = fs::canonicalize(self.path).map_err(unavailable)?;
        let path = fs::canonicalize(path).map_err(unavailable)?;
        if path.starts_with(folder) { Ok(path) } else { Err(Unavailable::Outside) }
    }
}

/// Whether a file of this name is a Tera template.
pub(crate) fn is_template(name: impl AsRef<Path>) -> bool {
    name.as_ref().extension() == Some(OsStr::new(ENDING))
}

fn check_name(name: &str) -> Result<(), Unavailable> {
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return Err(Unavailable::Outside);
    }
    // Otherwise a file could have several names and define its components several times.
    if name.split('/').any(|part| part.is_empty() || part == ".") || name.contains('\0') {
        return Err(Unavailable::Unclear);
    }
    Ok(())
}

fn unavailable(error: io::Error) -> Unavailable {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unavailable::Missing,
        _ => Unavailable::Unreadable(error),
    }
}

/// Whether `text` has a tag that begins a definition of `component`. Tags in comments count as
/// well: loading the file will show that they define nothing.
fn defines(text: &str, component: &str) -> bool {
    const TAG: &str = "component";
    text.match_indices(TAG).any(|(at, _)| {
        let before = text[..at].trim_end();
        let name = text[at + TAG.len()..].trim_start();
        before.strip_suffix('-').unwrap_or(before).ends_with("{%")
            && name.len() < text.len() - at - TAG.len()
            && name.strip_prefix(component).is_some_and(|rest| {
                !rest.starts_with(|c: char| c == '.' || c == '_' || c.is_alphanumeric())
            })
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder `templates` with these files, and a file `secret` beside it.
    fn sandbox(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().expect("a folder");
        let templates = root.path().join("templates");
        fs::create_dir(&templates).expect("a folder");
        fs::write(root.path().join("secret"), "secret").expect("a file");
        for (name, text) in files {
            let path = templates.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        (root, templates)
    }

    #[track_caller]
    fn refuses(templates: &Path, name: &str, why: &str) {
        let error = Folder::new(templates).read(name).expect_err(name);
        assert_eq!(error.to_string(), why, "{name:?}");
    }

    #[test]
    fn names_cannot_lead_out() {
        let (root, templates) = sandbox(&[("sub/a", "a")]);
        let absolute = root.path().join("secret");
        for name in ["../secret", "sub/../../secret", "sub/../sub/a", "..", "/etc/passwd", "//"] {
            refuses(&templates, name, "is outside of the templates folder");
        }
        refuses(&templates, &absolute.to_string_lossy(), "is outside of the templates folder");
        for name in ["", ".", "./sub/a", "sub//a", "sub/a/", "sub/\0"] {
            refuses(&templates, name, "is not a plain path in the templates folder");
        }
        refuses(&templates, "sub", "is not a file");
        refuses(&templates, "sub/a/b", "does not exist in the templates folder");
        refuses(&templates, "b", "does not exist in the templates folder");
        assert_eq!(Folder::new(&templates).read("sub/a").expect("a file"), "a");
    }

    #[test]
    fn links_cannot_lead_out_either() {
        let (root, templates) = sandbox(&[("..data/a.tera", "a")]);
        symlink("../secret", templates.join("file.tera")).expect("a link");
        symlink(root.path(), templates.join("folder")).expect("a link");
        symlink("..data/a.tera", templates.join("a.tera")).expect("a link");
        symlink("nowhere", templates.join("dangling.tera")).expect("a link");
        refuses(&templates, "file.tera", "is outside of the templates folder");
        refuses(&templates, "folder/secret", "is outside of the templates folder");
        refuses(&templates, "dangling.tera", "does not exist in the templates folder");
        // Links as a mounted Kubernetes volume has them; the folder itself can be a link too.
        let link = root.path().join("link");
        symlink("templates", &link).expect("a link");
        assert_eq!(Folder::new(&link).read("a.tera").expect("a file"), "a");
        assert_eq!(Vec::from_iter(Folder::new(&link).names()), ["a.tera", "file.tera"]);
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let (_root, templates) = sandbox(&[]);
        let made = std::process::Command::new("mkfifo").arg(templates.join("pipe")).status();
        assert!(made.expect("mkfifo").success());
        refuses(&templates, "pipe", "is not a file");
    }

    #[test]
    fn components_are_found_in_files_that_define_them() {
        let (_root, templates) = sandbox(&[
            ("a.tera", "{% component button() %}{% endcomponent %}"),
            ("sub/b.tera", "{%-\n component  button (x) %}{% endcomponent button %}"),
            ("c.tera", "{% component buttons() %} {% component button.x() %} componentbutton"),
            ("d.tera", "{{ <button /> }} component button"),
            ("e.txt", "{% component button() %}{% endcomponent %}"),
            (".hidden/f.tera", "{% component button() %}{% endcomponent %}"),
        ]);
        symlink(".", templates.join("loop")).expect("a link");
        let folder = Folder::new(&templates);
        assert_eq!(folder.defining("button"), ["a.tera", "sub/b.tera"]);
        assert_eq!(folder.defining("button.x"), ["c.tera"]);
        assert_eq!(folder.defining("nothing"), [""; 0]);
    }
}
