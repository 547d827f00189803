//! The pairs that a key of a scope stands for, while it is followed.

use std::collections::BTreeMap;

use bytes::Bytes;
use store::Snapshot;

use crate::no_pairs;
use crate::read::{Content, Kind};

/// The pairs of one key of a scope.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) kind: Kind,
    /// The values by the name in confd and the key in Redis (or the field of a hash): several keys of
    /// Redis can have one name.
    values: BTreeMap<(Bytes, Bytes), Bytes>,
    snapshot: Snapshot,
}

impl Held {
    pub(crate) fn new(content: Content) -> Self {
        let mut held = Held { kind: content.kind, values: BTreeMap::new(), snapshot: no_pairs() };
        for (name, key, value) in content.pairs {
            held.set(name, key, Some(value));
        }
        held
    }

    /// The pairs. If several keys of Redis have one name, the last one by its bytes counts.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The number of pairs.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The keys in Redis, or the fields of a hash.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.values.keys().map(|(_, key)| key)
    }

    /// Sets the value of a key in Redis that has this name; `None` if it has none.
    pub(crate) fn set(&mut self, name: Bytes, key: Bytes, value: Option<Bytes>) {
        match value {
            Some(value) => _ = self.values.insert((name.clone(), key), value),
            None => _ = self.values.remove(&(name.clone(), key)),
        }
        let of_name = self.values.range((name.clone(), Bytes::new())..);
        let last = of_name.take_while(|((other, _), _)| *other == name).last();
        match last {
            Some((_, value)) => _ = self.snapshot.insert(name, value.clone()),
            None => _ = self.snapshot.remove(&name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_keys_with_one_name_the_last_counts_as_long_as_it_exists() {
        let pair = |key: &'static str, value: &'static str| {
            ("/a".into(), Bytes::from(key), Bytes::from(value))
        };
        let pairs = vec![pair("a", "1"), pair("/a", "2")];
        let mut held = Held::new(Content { kind: Kind::Below, pairs });
        let value = |held: &Held| held.snapshot().get(b"/a").cloned();
        assert_eq!(value(&held).unwrap(), "1");
        held.set("/a".into(), "/a".into(), Some("3".into()));
        assert_eq!(value(&held).unwrap(), "1");
        held.set("/a".into(), "a".into(), None);
        assert_eq!(value(&held).unwrap(), "3");
        held.set("/a".into(), "/a".into(), None);
        assert_eq!(value(&held), None);
    }
}
