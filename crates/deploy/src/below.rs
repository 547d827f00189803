//! Files below a folder, whose paths come from elsewhere and must not lead out of it.
//!
//! The paths of files that are made from keys depend on the keys. [`relative_path`] refuses a text that
//! is no path below the folder. Links are refused when the folders are opened
//! ([`Target::below`](crate::Target::below)): a text cannot show them, and another program can make one
//! at any moment.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use crate::place::{LONGEST, is_own_name};

/// The most bytes of a refused path that an error shows.
const SHOWN: usize = 200;

/// A text that is no path of a file below a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPath {
    text: OsString,
    problem: PathProblem,
}

/// Why a text is no path of a file below a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathProblem {
    /// It is empty.
    Empty,
    /// It begins with a slash.
    Absolute,
    /// It ends with a slash, so it names a folder.
    TrailingSlash,
    /// It has two slashes one after the other.
    EmptyName,
    /// A name in it is `.` or `..`.
    Dots,
    /// It has a control character, such as NUL or a line break. These would make wrong lines in the log
    /// and in the variables of commands.
    Control,
    /// A name in it has more than 255 bytes.
    LongName,
    /// A name in it is one that this program gives to its own files beside a destination.
    OwnName,
}

impl BadPath {
    /// What is wrong.
    pub fn problem(&self) -> PathProblem {
        self.problem
    }
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.text.as_bytes();
        match shown.len() > SHOWN {
            false => write!(f, "{:?} ", self.text)?,
            true => write!(f, "{:?}… ", OsStr::from_bytes(&shown[..SHOWN]))?,
        }
        f.write_str(match self.problem {
            PathProblem::Empty => "is empty, and names no file",
            PathProblem::Absolute => "begins with a slash, and is not below the folder",
            PathProblem::TrailingSlash => "ends with a slash, and names no file",
            PathProblem::EmptyName => "has an empty name between two slashes",
            PathProblem::Dots => "has the name . or .., which may lead out of the folder",
            PathProblem::Control => "has a control character",
            PathProblem::LongName => "has a name of more than 255 bytes, which no file can have",
            PathProblem::OwnName => "has a name that confd uses for its own files",
        })
    }
}

impl std::error::Error for BadPath {}

/// The path of a file below a folder, if `text` is one. It is looked at as it is, and nothing in it is
/// changed.
///
/// # Errors
/// It is empty, absolute or a folder, or a name in it is empty, `.`, `..`, too long, one of this
/// program's own, or has a control character.
pub fn relative_path(text: &OsStr) -> Result<&Path, BadPath> {
    match problem(text.as_bytes()) {
        None => Ok(Path::new(text)),
        Some(problem) => Err(BadPath { text: text.to_owned(), problem }),
    }
}

fn problem(text: &[u8]) -> Option<PathProblem> {
    match text {
        [] => return Some(PathProblem::Empty),
        _ if text.iter().any(u8::is_ascii_control) => return Some(PathProblem::Control),
        [b'/', ..] => return Some(PathProblem::Absolute),
        [.., b'/'] => return Some(PathProblem::TrailingSlash),
        _ => {}
    }
    text.split(|&byte| byte == b'/').find_map(|name| match name {
        b"" => Some(PathProblem::EmptyName),
        b"." | b".." => Some(PathProblem::Dots),
        _ if name.len() > LONGEST => Some(PathProblem::LongName),
        _ if is_own_name(name) => Some(PathProblem::OwnName),
        _ => None,
    })
}

/// The names of the folders from `below` to `folder`. `None` if `folder` is not below it, as far as the
/// texts show.
pub(crate) fn names_between<'a>(below: &Path, folder: &'a Path) -> Option<Vec<&'a OsStr>> {
    let is_step = |part: &Component<'_>| *part != Component::CurDir;
    let mut parts = folder.components().filter(is_step);
    for above in below.components().filter(is_step) {
        if parts.next() != Some(above) {
            return None;
        }
    }
    let name = |part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    };
    parts.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_a_file_below_the_folder_is_accepted() {
        let long = format!("a/{}", "x".repeat(256));
        let longest = format!("a/{}", "x".repeat(255));
        for good in
            ["a", "a/b.conf", "..a", "a..", "...", ".hidden", "a b", "ä", "~", "-", &longest]
        {
            assert_eq!(relative_path(OsStr::new(good)), Ok(Path::new(good)), "{good:?}");
        }
        let root = crate::place::root_name(1);
        let root = root.to_str().expect("text");
        for (bad, problem) in [
            ("", PathProblem::Empty),
            ("/", PathProblem::Absolute),
            ("/etc/passwd", PathProblem::Absolute),
            ("a/", PathProblem::TrailingSlash),
            ("a//b", PathProblem::EmptyName),
            (".", PathProblem::Dots),
            ("..", PathProblem::Dots),
            ("a/../../b", PathProblem::Dots),
            ("a/./b", PathProblem::Dots),
            ("a/..", PathProblem::Dots),
            ("a\0b", PathProblem::Control),
            ("a\nb", PathProblem::Control),
            (&long, PathProblem::LongName),
            (".a.reload-pending", PathProblem::OwnName),
            ("d/.a.held", PathProblem::OwnName),
            (".a.confd-files", PathProblem::OwnName),
            (root, PathProblem::OwnName),
        ] {
            let refused = relative_path(OsStr::new(bad)).map_err(|bad| bad.problem());
            assert_eq!(refused, Err(problem), "{bad:?}");
        }
    }

    #[test]
    fn a_refused_path_is_shown_escaped_and_not_too_long() {
        let error =
            |text: &[u8]| relative_path(OsStr::from_bytes(text)).expect_err("refused").to_string();
        assert_eq!(error(b"a\n\xffERROR"), r#""a\n\xFFERROR" has a control character"#);
        assert_eq!(
            error(b"../x"),
            r#""../x" has the name . or .., which may lead out of the folder"#
        );
        assert_eq!(error(&[b'x'; 100_000]).len(), error(&[b'y'; 1000]).len());
    }

    #[test]
    fn names_between_two_folders_are_those_below_the_first() {
        let between = |below: &str, folder: &str| {
            let names = names_between(Path::new(below), Path::new(folder))?;
            Some(names.join(OsStr::new("/")).into_string().expect("text"))
        };
        assert_eq!(between("/a", "/a"), Some(String::new()));
        assert_eq!(between("/a/", "/a/b/c"), Some("b/c".to_owned()));
        assert_eq!(between(".", "b"), Some("b".to_owned()));
        assert_eq!(between("", "./b"), Some("b".to_owned()));
        assert_eq!(between("a/../b", "a/../b/c"), Some("c".to_owned()));
        for (below, folder) in
            [("/a", "/b"), ("/a", "/"), ("a", "/a"), ("/a", "/a/../b"), (".", "..")]
        {
            assert_eq!(between(below, folder), None, "{below} {folder}");
        }
    }
}
