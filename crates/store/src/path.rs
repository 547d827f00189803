//! Operations on slash-separated paths, exactly as in Go's package `path`.
//!
//! confd normalises keys with them and offers `base` and `dir` to templates, so every detail is
//! visible in rendered files. Unlike Go's, these functions take bytes, because a key need not be
//! UTF-8. They never look at a file system.

use std::borrow::Cow;

/// The shortest path equivalent to `path`: `//` becomes `/`, `.` is removed, `..` is resolved, and
/// only the root ends in a slash. A `..` at the root is removed; one that leads out of a relative
/// path stays. An empty result is `.`.
///
/// ```
/// assert_eq!(store::path::clean(b"/app//x/../y/"), b"/app/y".as_slice());
/// assert_eq!(store::path::clean(b""), b".".as_slice());
/// ```
pub fn clean(path: &[u8]) -> Cow<'_, [u8]> {
    if is_clean_absolute(path) {
        return Cow::Borrowed(path);
    }
    let rooted = path.first() == Some(&b'/');
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match parts.last() {
                Some(last) if *last != b".." => {
                    parts.pop();
                }
                // Nothing is above the root.
                _ if rooted => {}
                _ => parts.push(part),
            },
            _ => parts.push(part),
        }
    }
    let relative = parts.join(&b'/');
    Cow::Owned(match (rooted, relative.is_empty()) {
        // An empty relative path means the root, or the current folder.
        (true, _) => [b"/", relative.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => relative,
    })
}

/// Whether `path` begins with `/` and [`clean`] would leave it as it is.
pub fn is_clean_absolute(path: &[u8]) -> bool {
    match path {
        b"/" => true,
        [b'/', rest @ ..] => {
            rest.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
        }
        _ => false,
    }
}

/// Whether `name`, joined to any folder, is a path below this folder.
///
/// ```
/// assert!(store::path::is_below(b"a/../b"));
/// assert!(!store::path::is_below(b"a/../../b"));
/// ```
pub fn is_below(name: &[u8]) -> bool {
    let start = name.iter().take_while(|byte| **byte == b'/').count();
    let cleaned = clean(&name[start..]);
    !matches!(&*cleaned, b"." | b"..") && !cleaned.starts_with(b"../")
}

/// Joins the elements with `/` and cleans the result. Empty elements are skipped. If all are empty,
/// so is the result.
///
/// ```
/// assert_eq!(store::path::join([b"/app".as_slice(), b"../x/"]), b"/x");
/// ```
pub fn join<'a>(elements: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>) -> Vec<u8> {
    let elements = elements.into_iter().filter(|element| !element.is_empty());
    let mut joined = Vec::with_capacity(elements.clone().map(|element| element.len() + 1).sum());
    for element in elements {
        // With one slash between them, most elements need no cleaning.
        match (joined.last(), element) {
            (None, _) => joined.extend_from_slice(element),
            (Some(b'/'), [b'/', rest @ ..]) => joined.extend_from_slice(rest),
            (Some(b'/'), _) | (Some(_), [b'/', ..]) => joined.extend_from_slice(element),
            (Some(_), _) => {
                joined.push(b'/');
                joined.extend_from_slice(element);
            }
        }
    }
    if joined.is_empty() || is_clean_absolute(&joined) {
        return joined;
    }
    clean(&joined).into_owned()
}

/// The last element of `path`, without trailing slashes. The result is `.` for the empty path and
/// `/` for a path of slashes.
///
/// ```
/// assert_eq!(store::path::base(b"/app/x/"), b"x");
/// ```
pub fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let Some(end) = path.iter().rposition(|byte| *byte != b'/') else {
        return b"/";
    };
    let path = &path[..=end];
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => &path[slash + 1..],
        None => path,
    }
}

/// Everything before the last slash of `path`, cleaned. A path with a trailing slash is therefore
/// its own folder, as in Go.
///
/// ```
/// assert_eq!(store::path::dir(b"/app/x"), b"/app".as_slice());
/// assert_eq!(store::path::dir(b"/app/x/"), b"/app/x".as_slice());
/// ```
pub fn dir(path: &[u8]) -> Cow<'_, [u8]> {
    let end = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    match &path[..end] {
        // Returns the common case without a copy: cleaning would only remove the trailing slash.
        [folder @ .., b'/'] if is_clean_absolute(folder) && folder != b"/" => Cow::Borrowed(folder),
        folder => clean(folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: impl AsRef<[u8]>) -> String {
        String::from_utf8(bytes.as_ref().to_vec()).unwrap()
    }

    #[test]
    fn clean_gives_the_shortest_equivalent_path() {
        for (path, expected) in [
            ("", "."),
            (".", "."),
            ("./", "."),
            ("..", ".."),
            ("../..", "../.."),
            ("/", "/"),
            ("//", "/"),
            ("/.", "/"),
            ("/..", "/"),
            ("/../a", "/a"),
            ("a/..", "."),
            ("a/../..", ".."),
            ("../a/../b", "../b"),
            ("/a/", "/a"),
            ("/a//b", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("a//b/", "a/b"),
            ("/...", "/..."),
            ("/a/..b", "/a/..b"),
        ] {
            assert_eq!(text(clean(path.as_bytes())), expected, "clean({path:?})");
        }
    }

    #[test]
    fn a_clean_absolute_path_is_not_copied() {
        assert!(matches!(clean(b"/app/x"), Cow::Borrowed(_)));
        assert!(matches!(dir(b"/app/x"), Cow::Borrowed(_)));
    }

    #[test]
    fn join_skips_empty_elements() {
        for (elements, expected) in [
            (vec![], ""),
            (vec!["", ""], ""),
            (vec!["", "a"], "a"),
            (vec!["/app", "/x"], "/app/x"),
            (vec!["/app", ""], "/app"),
            (vec!["/app", "/"], "/app"),
            (vec!["/app/", "../x"], "/x"),
            (vec!["a", "../.."], ".."),
        ] {
            assert_eq!(text(join(elements.iter().map(|e| e.as_bytes()))), expected, "{elements:?}");
        }
    }

    #[test]
    fn base_is_the_last_element() {
        for (path, expected) in [
            ("", "."),
            ("/", "/"),
            ("///", "/"),
            ("a", "a"),
            ("/a/b", "b"),
            ("/a/b//", "b"),
            ("..", ".."),
        ] {
            assert_eq!(text(base(path.as_bytes())), expected, "base({path:?})");
        }
    }

    #[test]
    fn dir_is_everything_before_the_last_slash() {
        for (path, expected) in [
            ("", "."),
            ("a", "."),
            ("/", "/"),
            ("/a", "/"),
            ("//a", "/"),
            ("/a/b", "/a"),
            ("/a/b/", "/a/b"),
            ("/a//b", "/a"),
            ("a/b", "a"),
            ("../a", ".."),
            ("/a/../b", "/"),
        ] {
            assert_eq!(text(dir(path.as_bytes())), expected, "dir({path:?})");
        }
    }
}
