//! Functions for paths, which need not be keys.

use bytes::Bytes;
use store::path;

/// The last element of `name`: `b` for `/a/b/`, `.` for an empty name, `/` for slashes only.
pub fn base(name: &Bytes) -> Bytes {
    let base = path::base(name);
    let end = name.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    // If the result is a part of `name`, as it usually is, it shares its storage.
    match end.checked_sub(base.len()) {
        Some(start) if name[start..end] == *base => name.slice(start..end),
        _ => Bytes::copy_from_slice(base),
    }
}

/// Everything before the last slash of `name`, cleaned: `/a` for `/a/b`, but `/a/b` for `/a/b/`.
pub fn dir(name: &[u8]) -> Bytes {
    path::dir(name).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_is_the_last_element() {
        for (name, want) in [
            ("", "."),
            ("/", "/"),
            ("///", "/"),
            ("a", "a"),
            ("/a/b", "b"),
            ("/a/b///", "b"),
            (".", "."),
            ("a/..", ".."),
        ] {
            assert_eq!(base(&Bytes::from_static(name.as_bytes())), want, "{name:?}");
        }
    }

    #[test]
    fn base_shares_the_storage_of_its_argument() {
        let name = Bytes::from_static(b"/a/b/");
        assert_eq!(base(&name).as_ptr(), name[3..].as_ptr());
    }

    #[test]
    fn dir_is_the_rest_cleaned() {
        for (name, want) in
            [("", "."), ("/a/b/", "/a/b"), ("/a/../b/c", "/b"), ("a", "."), ("/a", "/")]
        {
            assert_eq!(dir(name.as_bytes()), want, "{name:?}");
        }
    }
}
