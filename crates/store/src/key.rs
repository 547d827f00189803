//! Keys and prefixes. Joining and stripping of prefixes happens only here.
//!
//! A [`Key`] is a normalised absolute path, which its type proves. The keys that a source returns
//! are not `Key`s yet: a source may spell them in any way (`/app//x`, `/app/`). [`Prefix::strip`]
//! turns them into `Key`s.

use std::borrow::Borrow;
use std::fmt;

use bytes::Bytes;

use crate::path;

/// A normalised absolute path: it begins with `/`, contains no `//`, `.` or `..` element, and does
/// not end in `/` unless it is the root.
///
/// Keys are ordered by their bytes. A clone shares the bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// The key for `path`, which is made absolute and cleaned.
    pub fn new(path: &[u8]) -> Self {
        Self::from(Bytes::copy_from_slice(path))
    }

    /// The key `/`.
    pub fn root() -> Self {
        Key(Bytes::from_static(b"/"))
    }

    /// The bytes of the key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A key of bytes that the caller knows to be absolute and clean.
    pub(crate) fn from_clean(bytes: Bytes) -> Self {
        debug_assert!(path::is_clean_absolute(&bytes), "not a clean absolute path");
        Key(bytes)
    }
}

impl From<Bytes> for Key {
    /// Like [`Key::new`], but does not copy a path that is normalised already.
    fn from(bytes: Bytes) -> Self {
        if path::is_clean_absolute(&bytes) {
            return Key(bytes);
        }
        let rooted = [b"/", bytes.as_ref()].concat();
        Key(path::clean(&rooted).into_owned().into())
    }
}

impl From<&str> for Key {
    fn from(path: &str) -> Self {
        Key::new(path.as_bytes())
    }
}

impl From<Key> for Bytes {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Key {
    /// The key as text; bytes that are not UTF-8 become U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", String::from_utf8_lossy(&self.0))
    }
}

/// The prefix of a resource, which its keys are relative to. Kept as the user wrote it, except that
/// it always begins with `/`.
///
/// The spelling matters, because confd cleans the result of joining but strips the prefix
/// literally. With the prefix `/app/` the source's key `/app` stays `/app`; with `//app//` no clean
/// key ever loses anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prefix(Bytes);

/// What stripping a prefix does to source keys that are clean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stripping {
    /// Every key stays as it is.
    Nothing,
    /// Keys below `base` lose it. If `itself` is set, the key `base` becomes `/`.
    Below { base: Bytes, itself: bool },
}

impl Prefix {
    /// The prefix `text`. A missing leading `/` is added; nothing else is changed.
    pub fn new(text: &[u8]) -> Self {
        match text {
            b"" | b"/" => Prefix(Bytes::from_static(b"/")),
            [b'/', ..] => Prefix(Bytes::copy_from_slice(text)),
            _ => Prefix([b"/", text].concat().into()),
        }
    }

    /// The prefix as written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key to ask a source for: prefix and `key`, joined and cleaned. A `..` can lead out of
    /// the prefix.
    pub fn join(&self, key: &[u8]) -> Key {
        Key::from(Bytes::from(path::join([self.as_bytes(), key])))
    }

    /// The key under which a template finds the source's key `source_key`. The prefix is removed
    /// once from the front, if a path element ends there; the rest is cleaned.
    pub fn strip(&self, source_key: &[u8]) -> Key {
        match source_key.strip_prefix(self.as_bytes()) {
            Some(rest) if self.0.ends_with(b"/") || matches!(rest, [] | [b'/', ..]) => {
                Key::new(rest)
            }
            _ => Key::new(source_key),
        }
    }

    /// What [`strip`](Prefix::strip) does to clean keys.
    pub(crate) fn stripping(&self) -> Stripping {
        let (base, itself) = match self.0.strip_suffix(b"/") {
            Some(base) => (base, false),
            None => (self.as_bytes(), true),
        };
        match path::is_clean_absolute(base) && base != b"/" {
            true => Stripping::Below { base: self.0.slice_ref(base), itself },
            // Stripping the root changes nothing, and no clean key begins with an unclean prefix.
            false => Stripping::Nothing,
        }
    }
}

impl Default for Prefix {
    /// The prefix `/`.
    fn default() -> Self {
        Prefix(Bytes::from_static(b"/"))
    }
}

impl fmt::Display for Prefix {
    /// The prefix as written; bytes that are not UTF-8 become U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_absolute_and_clean() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("app", "/app"),
            ("/app//x/", "/app/x"),
            ("../x", "/x"),
            ("/a/../b", "/b"),
        ] {
            assert_eq!(Key::from(path).to_string(), expected, "{path:?}");
        }
    }

    #[test]
    fn a_prefix_keeps_its_spelling_behind_a_slash() {
        for (text, expected) in [("", "/"), ("app", "/app"), ("/x/", "/x/"), ("//app//", "//app//")]
        {
            assert_eq!(Prefix::new(text.as_bytes()).to_string(), expected);
        }
        assert_eq!(Prefix::default().to_string(), "/");
    }

    #[test]
    fn joining_cleans_and_may_lead_out() {
        for (prefix, key, expected) in [
            ("/", "app", "/app"),
            ("/", "", "/"),
            ("app", "", "/app"),
            ("app", "/", "/app"),
            ("/app", "x/", "/app/x"),
            ("//app//", "x", "/app/x"),
            ("/app", "/../apple", "/apple"),
        ] {
            let joined = Prefix::new(prefix.as_bytes()).join(key.as_bytes());
            assert_eq!(joined.to_string(), expected, "{prefix} {key}");
        }
    }

    #[test]
    fn stripping_is_literal_but_never_inside_a_segment() {
        for (prefix, key, expected) in [
            ("/", "/app", "/app"),
            ("/", "/", "/"),
            ("/app", "/app", "/"),
            ("/app", "/app/", "/"),
            ("/app", "/app/x", "/x"),
            ("/app", "/app//x", "/x"),
            ("/app", "/apple", "/apple"),
            ("/app/", "/app", "/app"),
            ("/app/", "/app/", "/"),
            ("/app/", "/app/x", "/x"),
            ("//app//", "/app/x", "/app/x"),
            ("/app/app", "/app/x", "/app/x"),
            ("/app", "/app/app/x", "/app/x"),
        ] {
            let stripped = Prefix::new(prefix.as_bytes()).strip(key.as_bytes());
            assert_eq!(stripped.to_string(), expected, "{prefix} {key}");
        }
    }

    #[test]
    fn the_summary_of_stripping_agrees_with_stripping() {
        let keys = ["/", "/a", "/a/b", "/a/b/c", "/ab", "/b"];
        for prefix in ["/", "/a", "/a/", "/a//", "//a", "/a/b", "/a/b/", "/.", "/a/../b", "/b"] {
            let prefix = Prefix::new(prefix.as_bytes());
            for key in keys {
                let expected = match prefix.stripping() {
                    Stripping::Nothing => key.to_owned(),
                    Stripping::Below { base, itself } => {
                        let base = String::from_utf8(base.to_vec()).unwrap();
                        match key.strip_prefix(&base) {
                            Some("") if itself => "/".to_owned(),
                            Some(rest) if rest.starts_with('/') => rest.to_owned(),
                            _ => key.to_owned(),
                        }
                    }
                };
                assert_eq!(prefix.strip(key.as_bytes()).to_string(), expected, "{prefix} {key}");
            }
        }
    }
}
