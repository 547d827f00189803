//! Functions for the keys and values of the store.

use bytes::Bytes;
use store::{Pair, Pattern, View};

use super::Error;
use crate::MissingKeys;

/// The key, as [`gets`] shows it, and its value, or what `missing` says if the key does not exist.
///
/// A key that an item's template writes with two slashes is shown with one: it is that of the whole
/// resource.
///
/// # Errors
/// [`Error::NoSuchKey`] if `missing` does not make it read as empty.
pub fn get(view: &View, missing: &MissingKeys, key: Bytes) -> Result<(Bytes, Bytes), Error> {
    let value = getv(view, missing, &key, None)?;
    let is_of_resource = view.item().is_some() && key.starts_with(b"//");
    Ok((if is_of_resource { key.slice(1..) } else { key }, value))
}

/// The value of exactly this key, or `default` if the key does not exist.
///
/// # Errors
/// [`Error::NoSuchKey`] if there is no `default`, and `missing` does not make the key read as empty.
pub fn getv(
    view: &View,
    missing: &MissingKeys,
    key: &[u8],
    default: Option<Bytes>,
) -> Result<Bytes, Error> {
    view.get(key).cloned().or_else(|absent| {
        let instead = default.or_else(|| missing.instead_of(&absent.key));
        instead.ok_or(Error::NoSuchKey { key: absent.key })
    })
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
        let fail = MissingKeys::default();
        assert_eq!(getv(&view, &fail, b"/a", Some("x".into())), Ok(Bytes::new()));
        assert_eq!(getv(&view, &fail, b"/c", Some("x".into())), Ok("x".into()));
        let missing = getv(&view, &fail, b"/c", None).expect_err("no such key");
        assert_eq!(missing.to_string(), "key does not exist: /c");
        assert_eq!(get(&view, &fail, "/c".into()), Err(missing));
    }

    #[test]
    fn a_missing_key_without_a_default_can_read_as_empty() {
        let view = view(&[("/b", "2")]);
        let empty = MissingKeys::read_as_empty();
        assert_eq!(getv(&view, &empty, b"/c", Some("x".into())), Ok("x".into()));
        assert_eq!(get(&view, &empty, "/b".into()), Ok(("/b".into(), "2".into())));
        for key in ["/d", "/c", "/d"] {
            assert_eq!(get(&view, &empty, key.into()), Ok((key.into(), Bytes::new())));
        }
        empty.finish(&view, |_| true, Bytes::new);
        assert_eq!(empty.take().names(false), ["/d", "/c"]);
        assert_eq!(empty.take().names(false), <[&str; 0]>::default());
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
