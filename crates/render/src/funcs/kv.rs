//! Functions for the keys and values of the store.

use bytes::Bytes;
use store::{Pair, Pattern, View};

use super::Error;

/// The value of exactly this key.
///
/// # Errors
/// [`Error::NoSuchKey`].
pub fn get(view: &View, key: &[u8]) -> Result<Bytes, Error> {
    view.get(key).cloned().map_err(|missing| Error::NoSuchKey { key: missing.key })
}

/// The value of exactly this key, or `default` if the key does not exist.
///
/// # Errors
/// [`Error::NoSuchKey`] if there is no `default`.
pub fn getv(view: &View, key: &[u8], default: Option<Bytes>) -> Result<Bytes, Error> {
    get(view, key).or_else(|missing| default.ok_or(missing))
}

/// Passes the pairs whose whole key matches `pattern` to `take`, in byte order of the keys.
///
/// # Errors
/// [`Error::Pattern`]. Not if the view has no keys: confd does not even parse the pattern then.
pub fn gets(view: &View, pattern: &[u8], take: impl FnMut(Pair)) -> Result<(), Error> {
    if let Some(pattern) = read_pattern(view, pattern)? {
        view.gets(&pattern).for_each(take);
    }
    Ok(())
}

/// The values of the pairs whose whole key matches `pattern`, in byte order of the values.
///
/// # Errors
/// As of [`gets`].
pub fn getvs(view: &View, pattern: &[u8]) -> Result<Vec<Bytes>, Error> {
    Ok(read_pattern(view, pattern)?.map(|pattern| view.getvs(&pattern)).unwrap_or_default())
}

/// Parses the pattern `text`. `None` if it is malformed but the view has no keys to match.
fn read_pattern(view: &View, text: &[u8]) -> Result<Option<Pattern>, Error> {
    match Pattern::new(text) {
        Ok(pattern) => Ok(Some(pattern)),
        Err(_) if view.is_empty() => Ok(None),
        Err(error) => Err(Error::Pattern(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn view(pairs: &[(&'static str, &'static str)]) -> View {
        testing::view(pairs.iter().copied())
    }

    #[test]
    fn a_default_stands_for_a_missing_key_only() {
        let view = view(&[("/a", ""), ("/b", "2")]);
        assert_eq!(getv(&view, b"/a", Some("x".into())), Ok(Bytes::new()));
        assert_eq!(getv(&view, b"/c", Some("x".into())), Ok("x".into()));
        let missing = getv(&view, b"/c", None).expect_err("no such key");
        assert_eq!(missing.to_string(), "key does not exist: /c");
        assert_eq!(get(&view, b"/c"), Err(missing));
    }

    #[test]
    fn a_bad_pattern_fails_only_where_there_are_keys() {
        assert_eq!(gets(&view(&[]), b"[", drop), Ok(()));
        assert_eq!(getvs(&view(&[]), b"["), Ok(Vec::new()));
        let error = gets(&view(&[("/a", "1")]), b"[", drop).expect_err("no pattern");
        assert_eq!(error.to_string(), "syntax error in pattern");
        assert_eq!(getvs(&view(&[("/a", "1")]), b"["), Err(error));
    }
}
