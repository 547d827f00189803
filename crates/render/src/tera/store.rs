//! The view as a nested object, the variable `store` of templates.
//!
//! The key `/services/web/url` is `store.services.web.url`. A path element that is not an
//! identifier is written `store["my-service"]` or `store.servers["0"]`. On each level the names are
//! in byte order.
//!
//! If a key is also a folder, its name stands for the folder. Its own value then has the empty
//! name, which no path element can have: with `/app` and `/app/port`, `store.app.port` is the value
//! of the second and `store.app[""]` that of the first.

use std::collections::BTreeMap;

use ::tera::Value;
use bytes::Bytes;
use store::View;

use super::binding::Failure;
use super::values;

/// A path: a folder, or a key, or both.
#[derive(Default)]
struct Node {
    /// The whole key and its value, if the path is a key.
    own: Option<(Bytes, Bytes)>,
    below: BTreeMap<String, Node>,
}

/// The object for all keys of `view`.
///
/// # Errors
/// A key or a value is not UTF-8, or a key has too many path elements.
pub(super) fn object(view: &View) -> Result<Value, Failure> {
    let mut root = Node::default();
    for pair in view.iter() {
        let key: Bytes = pair.key.into();
        let name = values::name_of(&key)?;
        let mut node = &mut root;
        for (depth, part) in name.split('/').filter(|part| !part.is_empty()).enumerate() {
            // The object is nested as deeply as the key, and Tera needs stack for each level.
            if depth >= values::MAX_DEPTH {
                let most = values::MAX_DEPTH;
                return Err(Failure::new(format!("{name} has more than {most} parts")));
            }
            node = node.below.entry(part.to_owned()).or_default();
        }
        node.own = Some((key, pair.value));
    }
    // The root is a folder, even an empty one.
    root.folder()
}

impl Node {
    fn value(self) -> Result<Value, Failure> {
        match self.own {
            Some((key, value)) if self.below.is_empty() => values::value_of(&key, &value),
            _ => self.folder(),
        }
    }

    fn folder(self) -> Result<Value, Failure> {
        let own = self.own.map(|(key, value)| Ok((String::new(), values::value_of(&key, &value)?)));
        let below = self.below.into_iter().map(|(name, node)| Ok((name, node.value()?)));
        let entries: Vec<_> = own.into_iter().chain(below).collect::<Result<_, Failure>>()?;
        Ok(values::map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::view;

    fn object_of<K: Into<Bytes>, V: Into<Bytes>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> String {
        match object(&view(pairs)) {
            Ok(value) => value.to_string(),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn parts_of_keys_are_levels_in_byte_order() {
        assert_eq!(
            object_of([("/b/y", "1"), ("/b/x", "2"), ("/a", "3")]),
            r#"{"a": "3", "b": {"x": "2", "y": "1"}}"#
        );
        // In the order of whole keys, `/b-` comes before `/b/x`.
        assert_eq!(object_of([("/b/x", "1"), ("/b-", "2")]), r#"{"b": {"x": "1"}, "b-": "2"}"#);
        assert_eq!(object_of([("/", "1"); 0]), "{}");
    }

    #[test]
    fn the_value_of_a_key_that_is_a_folder_has_the_empty_name() {
        assert_eq!(
            object_of([("/app/port", "80"), ("/app", "shop"), ("/", "root")]),
            r#"{"": "root", "app": {"": "shop", "port": "80"}}"#
        );
    }

    #[test]
    fn what_cannot_be_shown_is_named() {
        let pairs = [("/a", &b"x"[..]), ("/bin", b"\xff")];
        assert_eq!(object_of(pairs), "the value of /bin is not valid UTF-8");
        let deep = "/a".repeat(values::MAX_DEPTH);
        assert!(object_of([(deep.clone(), "x")]).starts_with("{\"a\""));
        let deeper = format!("{deep}/a");
        assert_eq!(object_of([(deeper.clone(), "x")]), format!("{deeper} has more than 128 parts"));
    }
}
