//! The state of a followed store, and its changes since the last report.

use std::collections::BTreeMap;

use bytes::Bytes;
use store::Snapshot;

/// A snapshot that is patched, and the keys that were changed since the last report.
#[derive(Debug)]
pub struct Tracked {
    snapshot: Snapshot,
    /// The changed keys, with the values at the time of the last report.
    touched: BTreeMap<Bytes, Option<Bytes>>,
}

impl Tracked {
    /// A state that counts as reported.
    pub fn new(snapshot: Snapshot) -> Self {
        Tracked { snapshot, touched: BTreeMap::new() }
    }

    /// The present pairs.
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

    /// Sets the revision of the pairs.
    pub fn at_revision(&mut self, revision: u64) {
        self.snapshot = self.snapshot.clone().at_revision(revision);
    }

    /// Replaces the snapshot, and records the keys whose values differ.
    pub fn replace(&mut self, new: Snapshot) {
        let old = &self.snapshot;
        let missing = old.iter().filter(|(key, value)| new.get(key) != Some(value));
        let added = new.iter().filter(|(key, _)| old.get(key).is_none());
        for (key, _) in missing.chain(added) {
            self.touched.entry(key.clone()).or_insert_with(|| old.get(key).cloned());
        }
        self.snapshot = new;
    }

    /// Returns the keys whose values differ from the last report. The present state then counts as
    /// reported.
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
    fn a_value_that_changed_back_has_not_changed() {
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
    fn a_new_snapshot_changes_the_keys_that_differ() {
        let mut tracked = tracked();
        tracked.put("/a".into(), "3".into());
        tracked.replace(Snapshot::from_pairs(Coverage::Subtree, [("/a", "1"), ("/c", "4")]));
        assert_eq!(tracked.take_changed(), ["/b", "/c"]);
        assert_eq!(tracked.snapshot().len(), 2);
    }
}
