//! What a key of a scope stands for in Redis, as Go confd has it.
//!
//! - If the key is that of a string, it stands for this string.
//! - If it is that of a hash, it stands for the fields, as keys below it.
//! - Otherwise it stands for all strings below it.
//!
//! Characters that are special in a pattern of Redis, such as `*`, are so in the third case too.

use std::fmt;

use bytes::Bytes;
use store::Key;

/// How keys are spelled in Redis: what separates the parts of a path there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spelling {
    /// The separator; `/` by default.
    separator: Vec<u8>,
}

impl Spelling {
    /// With this separator. An empty one stands for `/`.
    pub(crate) fn new(separator: &str) -> Self {
        let separator = if separator.is_empty() { "/" } else { separator };
        Spelling { separator: separator.into() }
    }

    /// What `key` stands for.
    pub(crate) fn asked(&self, key: &Key) -> Asked {
        let path = without(key.as_bytes(), b"/*");
        let own = match &*self.separator {
            b"/" => path.clone(),
            separator => replaced(path.strip_prefix(b"/").unwrap_or(&path), b"/", separator),
        };
        let below = match &*path {
            b"/" | b"" => b"*".to_vec(),
            _ => [&*own, &*self.separator, b"*"].concat(),
        };
        Asked { own: own.into(), below: below.into() }
    }

    /// The name in confd of a key in Redis.
    pub(crate) fn name(&self, own: &Bytes) -> Bytes {
        if &*self.separator == b"/" && own.starts_with(b"/") {
            return own.clone();
        }
        let path = replaced(own, &self.separator, b"/");
        if path.starts_with(b"/") { path.into() } else { [b"/", &*path].concat().into() }
    }

    /// The name in confd of a field of a hash.
    pub(crate) fn name_of_field(&self, own: &Bytes, field: &[u8]) -> Bytes {
        let name = self.name(own);
        let field = replaced(field, &self.separator, b"/");
        [&*name, b"/", &*field].concat().into()
    }
}

/// A key of a scope, as Redis spells it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    /// The key of a string or a hash.
    pub(crate) own: Bytes,
    /// The pattern of the keys below.
    pub(crate) below: Bytes,
}

impl Asked {
    /// The pattern that only [`own`](Self::own) matches.
    pub(crate) fn exactly(&self) -> Vec<u8> {
        let special = |byte: &u8| br"*?[\".contains(byte);
        let escaped = |byte: &u8| if special(byte) { vec![b'\\', *byte] } else { vec![*byte] };
        self.own.iter().flat_map(escaped).collect()
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(&self.own))
    }
}

/// The text with each `from` replaced.
fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut done = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        match rest.strip_prefix(from) {
            Some(behind) if !from.is_empty() => {
                done.extend_from_slice(to);
                rest = behind;
            }
            _ => {
                done.push(*byte);
                rest = behind;
            }
        }
    }
    done
}

fn without(text: &[u8], part: &[u8]) -> Vec<u8> {
    replaced(text, part, b"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(separator: &str, key: &str) -> (String, String) {
        let asked = Spelling::new(separator).asked(&Key::from(key));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&asked.own), text(&asked.below))
    }

    #[test]
    fn keys_are_spelled_as_in_go_confd() {
        for (separator, key, own, below) in [
            ("", "/app/x", "/app/x", "/app/x/*"),
            ("/", "/app/*", "/app", "/app/*"),
            ("", "/", "/", "*"),
            (":", "/", "", "*"),
            (":", "/app/x", "app:x", "app:x:*"),
            ("::", "/app/x", "app::x", "app::x::*"),
        ] {
            assert_eq!(asked(separator, key), (own.into(), below.into()), "{separator} {key}");
        }
    }

    #[test]
    fn names_have_slashes_and_begin_with_one() {
        for (separator, own, name) in [
            ("", "/app/x", "/app/x"),
            ("", "app:x", "/app:x"),
            (":", "app:x:y", "/app/x/y"),
            (":", "app/x", "/app/x"),
            (":", ":x", "/x"),
        ] {
            assert_eq!(Spelling::new(separator).name(&Bytes::from(own)), name, "{separator} {own}");
        }
        let field = Spelling::new(":").name_of_field(&Bytes::from("app:x"), b"a:b");
        assert_eq!(field, "/app/x/a/b");
    }

    #[test]
    fn a_pattern_for_one_key_takes_its_characters_literally() {
        let asked = Spelling::new("").asked(&Key::from("/a[1]*?"));
        assert_eq!(asked.exactly(), br"/a\[1]\*\?");
    }
}
