//! Changes of keys before they are written.

use bytes::Bytes;
use store::{Key, Snapshot};

/// Keys that would be set and deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The keys that would be set, with their values. The last value of a key counts.
    pub set: Vec<(Bytes, Bytes)>,
    /// The keys that would be deleted before others are set. One that ends with a slash stands for all
    /// keys below it.
    pub delete: Vec<Bytes>,
}

impl Edits {
    /// Whether nothing would be set or deleted.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.delete.is_empty()
    }

    /// All keys that these edits name.
    pub fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.delete.iter().chain(self.set.iter().map(|(key, _)| key))
    }

    /// The snapshot as it would be afterwards, for a resource for which `asks` says whether it asks for a key.
    #[must_use]
    pub fn applied_to(&self, before: &Snapshot, asks: impl Fn(&Bytes) -> bool) -> Snapshot {
        let mut after = before.clone();
        for gone in &self.delete {
            for key in before.iter().map(|(key, _)| key).filter(|key| is_meant(gone, key)) {
                after.remove(key);
            }
        }
        for (key, value) in self.set.iter().filter(|(key, _)| asks(key)) {
            // A source can have other spellings of a key, such as one with a slash at its end.
            let mut known = before.iter().map(|(known, _)| known);
            let known = known.find(|known| Key::new(known) == Key::new(key)).cloned();
            after.insert(known.unwrap_or_else(|| spelled(key, before)), value.clone());
        }
        after
    }

    /// The keys to be deleted that do not exist in any of these snapshots.
    pub fn missing(&self, snapshots: &[&Snapshot]) -> Vec<&Bytes> {
        let exists = |gone: &&Bytes| {
            snapshots.iter().any(|snapshot| snapshot.iter().any(|(key, _)| is_meant(gone, key)))
        };
        self.delete.iter().filter(|gone| !exists(gone)).collect()
    }
}

/// Whether the deletion of `gone` deletes `key`.
fn is_meant(gone: &Bytes, key: &Bytes) -> bool {
    let (asked, key) = (Key::new(gone), Key::new(key));
    match gone.ends_with(b"/") {
        true => key
            .as_bytes()
            .strip_prefix(asked.as_bytes())
            .is_some_and(|rest| asked == Key::root() || rest.first() == Some(&b'/')),
        false => asked == key,
    }
}

/// A new key as a source with these keys spells it.
fn spelled(key: &Bytes, before: &Snapshot) -> Bytes {
    let has_slash = before.iter().next().is_none_or(|(known, _)| known.starts_with(b"/"));
    match (has_slash, key.strip_prefix(b"/")) {
        (false, Some(rest)) => key.slice_ref(rest),
        (true, None) => [b"/", &key[..]].concat().into(),
        _ => key.clone(),
    }
}

#[cfg(test)]
mod tests {
    use store::Coverage;

    use super::*;

    fn keys(edits: &Edits) -> Vec<String> {
        let pairs = [("/a/x", "1"), ("/a/y", "2"), ("/ab", "3"), ("/c/", "4")];
        let after = edits.applied_to(&Snapshot::from_pairs(Coverage::Subtree, pairs), |_| true);
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        after.iter().map(|(key, value)| format!("{}={}", text(key), text(value))).collect()
    }

    #[test]
    fn a_slash_at_the_end_deletes_what_is_below_and_a_key_keeps_its_spelling() {
        let delete = |key: &'static str| Edits { delete: vec![key.into()], ..Edits::default() };
        assert_eq!(keys(&delete("/a/")), ["/ab=3", "/c/=4"]);
        assert_eq!(keys(&delete("/a")), ["/a/x=1", "/a/y=2", "/ab=3", "/c/=4"]);
        assert_eq!(keys(&delete("/a/x")), ["/a/y=2", "/ab=3", "/c/=4"]);
        let set = vec![("/c".into(), "5".into()), ("/d".into(), "6".into())];
        let edits = Edits { set, delete: vec!["/".into()] };
        assert_eq!(keys(&edits), ["/c/=5", "/d=6"]);
    }
}
