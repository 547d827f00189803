//! What a source knows of its store while it follows it, and what of it nobody has been told yet.

use std::collections::BTreeMap;

use bytes::Bytes;
use store::Snapshot;

/// A snapshot that is patched, and the keys touched since its state was given last.
#[derive(Debug)]
pub struct Tracked {
    snapshot: Snapshot,
    /// The keys that were touched since then, with the values they had.
    touched: BTreeMap<Bytes, Option<Bytes>>,
}

impl Tracked {
    /// A state that is taken for given.
    pub fn new(snapshot: Snapshot) -> Self {
        Tracked { snapshot, touched: BTreeMap::new() }
    }

    /// The pairs as they are known now.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Sets the value of a key.
    pub fn put(&mut self, key: Bytes, value: Bytes) {
        let before = self.snapshot.insert(key.clone(), value);
        self.touched.entry(key).or_insert(before);
    }

    /// Removes a key.
    pub fn delete(&mut self, key: &[u8]) {
        let before = self.snapshot.remove(key);
        self.touched.entry(Bytes::copy_from_slice(key)).or_insert(before);
    }

    /// Says that the pairs are as of `revision`.
    pub fn at_revision(&mut self, revision: u64) {
        self.snapshot = self.snapshot.clone().at_revision(revision);
    }

    /// Takes another snapshot in the place of the one known, and touches what differs.
    pub fn replace(&mut self, new: Snapshot) {
        let old = &self.snapshot;
        let missing = old.iter().filter(|(key, value)| new.get(key) != Some(value));
        let added = new.iter().filter(|(key, _)| old.get(key).is_none());
        for (key, _) in missing.chain(added) {
            self.touched.entry(key.clone()).or_insert_with(|| old.get(key).cloned());
        }
        self.snapshot = new;
    }

    /// The touched keys whose values are others than in the state given last. The present state
    /// counts as given from now on.
    pub fn take_changed(&mut self) -> Vec<Bytes> {
        let touched = std::mem::take(&mut self.touched);
        let differs = |(key, before): (Bytes, Option<Bytes>)| {
            (self.snapshot.get(&key) != before.as_ref()).then_some(key)
        };
        touched.into_iter().filter_map(differs).collect()
    }
}

#[cfg(test)]
mod tests {
    use store::Coverage;

    use super::*;

    fn tracked() -> Tracked {
        Tracked::new(Snapshot::from_pairs(Coverage::Subtree, [("/a", "1"), ("/b", "2")]))
    }

    #[test]
    fn what_is_as_it_was_given_has_not_changed() {
        let mut tracked = tracked();
        tracked.put("/a".into(), "3".into());
        tracked.put("/a".into(), "1".into());
        tracked.delete(b"/b");
        tracked.put("/b".into(), "2".into());
        tracked.put("/c".into(), "4".into());
        tracked.delete(b"/c");
        assert!(tracked.take_changed().is_empty());
        tracked.put("/a".into(), "3".into());
        tracked.delete(b"/b");
        assert_eq!(tracked.take_changed(), ["/a", "/b"]);
        assert!(tracked.take_changed().is_empty());
    }

    #[test]
    fn a_new_snapshot_changes_what_differs_from_the_one_given() {
        let mut tracked = tracked();
        tracked.put("/a".into(), "3".into());
        tracked.replace(Snapshot::from_pairs(Coverage::Subtree, [("/a", "1"), ("/c", "4")]));
        assert_eq!(tracked.take_changed(), ["/b", "/c"]);
        assert_eq!(tracked.snapshot().len(), 2);
    }
}
