//! Snapshots: the pairs that a source held at one revision.

use std::fmt;
use std::ops::Bound;

use bytes::Bytes;
use imbl::{OrdMap, OrdSet, ordmap::DiffItem};

use crate::path;
use crate::scope::{Scope, Span};
use crate::{Coverage, Key};

/// The pairs of a source at one revision, sorted by key.
///
/// A clone takes constant time and shares everything. Inserting and removing take logarithmic time
/// and leave all clones unchanged. So any number of resources share one snapshot, and a source that
/// follows its store patches its own copy.
///
/// Keys are kept as the source spells them: `/app/x` and `/app/x/` are two keys, which can come and
/// go separately. A [`View`](crate::View) decides what they mean to a template.
#[derive(Clone)]
pub struct Snapshot {
    pairs: OrdMap<Bytes, Bytes>,
    /// The keys that are not clean absolute paths. Usually there are none.
    unclean: OrdSet<Bytes>,
    revision: u64,
    coverage: Coverage,
    names: Option<fn(&Key) -> String>,
    advice: Option<&'static str>,
}

impl Snapshot {
    /// An empty snapshot at revision 0.
    pub fn new(coverage: Coverage) -> Self {
        Snapshot {
            pairs: OrdMap::new(),
            unclean: OrdSet::new(),
            revision: 0,
            coverage,
            names: None,
            advice: None,
        }
    }

    /// A snapshot of `pairs` at revision 0. If a key occurs several times, its last pair counts.
    pub fn from_pairs<K, V>(coverage: Coverage, pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<Bytes>,
        V: Into<Bytes>,
    {
        let mut snapshot = Snapshot::new(coverage);
        for (key, value) in pairs {
            snapshot.insert(key, value);
        }
        snapshot
    }

    /// A snapshot of the same source at the same revision, with these pairs.
    pub(crate) fn with_pairs<K: Into<Bytes>>(
        &self,
        pairs: impl IntoIterator<Item = (K, Bytes)>,
    ) -> Self {
        let Snapshot { revision, names, advice, .. } = *self;
        Snapshot { revision, names, advice, ..Snapshot::from_pairs(self.coverage, pairs) }
    }

    /// The same pairs at `revision`.
    #[must_use]
    pub fn at_revision(mut self, revision: u64) -> Self {
        self.revision = revision;
        self
    }

    /// The same pairs of a source that has names of its own for keys, such as variables of the
    /// environment. `names` returns the name of a key, for people.
    #[must_use]
    pub fn naming(mut self, names: fn(&Key) -> String) -> Self {
        self.names = Some(names);
        self
    }

    /// The name that the source has for `key`, for people. `None` if its names are the keys.
    pub fn name_of(&self, key: &Key) -> Option<String> {
        self.names.map(|names| names(key))
    }

    /// The same pairs of a source that shows only some of its store's keys. `advice` says which, for
    /// people who miss a key.
    #[must_use]
    pub fn advising(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }

    /// Which of its store's keys the source shows, for people. `None` if it shows all.
    pub fn advice(&self) -> Option<&'static str> {
        self.advice
    }

    /// The revision of the source at which the pairs were read, or 0 if the source has no
    /// revisions.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Which of the source's keys a key of a scope stands for.
    pub fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// Sets the value of a key, spelled as the source spells it. Returns the value before.
    pub fn insert(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Option<Bytes> {
        let key = key.into();
        if !path::is_clean_absolute(&key) {
            self.unclean.insert(key.clone());
        }
        self.pairs.insert(key, value.into())
    }

    /// Removes a key, spelled as the source spells it. Returns its value.
    pub fn remove(&mut self, key: &[u8]) -> Option<Bytes> {
        self.unclean.remove(key);
        self.pairs.remove(key)
    }

    /// The value of a key, spelled as the source spells it.
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.pairs.get(key)
    }

    /// The pair of a key, spelled as the source spells it.
    pub(crate) fn get_pair(&self, key: &[u8]) -> Option<(&Bytes, &Bytes)> {
        self.pairs.get_key_value(key)
    }

    /// Whether both snapshots hold the same pairs in `scope`.
    pub fn agrees_with(&self, other: &Snapshot, scope: &Scope) -> bool {
        self.coverage == other.coverage
            && self.coverage.spans(scope).iter().all(|span| self.range(span).eq(other.range(span)))
    }

    /// The keys in `scope` whose values differ from those in `before`, or that only one of both has,
    /// in byte order and as the source spells them.
    pub fn changed_since(&self, before: &Snapshot, scope: &Scope) -> Vec<Bytes> {
        let spans = self.coverage.spans(scope);
        // What both have in common is not visited.
        let differences = before.pairs.diff(&self.pairs).map(|difference| match difference {
            DiffItem::Add(key, _) | DiffItem::Remove(key, _) => key,
            DiffItem::Update { new: (key, _), .. } => key,
        });
        differences.filter(|key| spans.contain(key)).cloned().collect()
    }

    /// All pairs, in byte order of the source's keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.pairs.iter()
    }

    /// The pairs whose keys, as the source spells them, begin with `head`, in byte order.
    pub fn beginning_with(&self, head: &[u8]) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.range(&Span::beginning_with(head))
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The pairs in `span`, in byte order.
    pub(crate) fn range<'a>(
        &'a self,
        span: &Span,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> + use<'a> {
        self.pairs.range::<_, [u8]>(bounds(span))
    }

    /// Whether a key in `span` is not a clean absolute path.
    pub(crate) fn has_unclean_in(&self, span: &Span) -> bool {
        !self.unclean.is_empty() && self.unclean.range::<_, [u8]>(bounds(span)).next().is_some()
    }
}

fn bounds(span: &Span) -> (Bound<&[u8]>, Bound<&[u8]>) {
    let end = span.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(&span.start), end)
}

impl fmt::Debug for Snapshot {
    /// Shows size and revision. Values can be secrets and are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("pairs", &self.len())
            .field("revision", &self.revision)
            .field("coverage", &self.coverage)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[test]
    fn snapshots_agree_on_a_scope_whatever_is_outside_of_it() {
        let pairs = |pairs: &[(&'static str, &'static str)]| {
            Snapshot::from_pairs(Coverage::Subtree, pairs.iter().copied())
        };
        let scope = Scope::from_iter([Key::from("/a"), Key::from("/c")]);
        let one = pairs(&[("/a/x", "1"), ("/b", "1"), ("/c", "1")]);
        assert!(one.agrees_with(&pairs(&[("/a/x", "1"), ("/ab", "7"), ("/c", "1")]), &scope));
        for other in [
            pairs(&[("/a/x", "2"), ("/b", "1"), ("/c", "1")]),
            pairs(&[("/a/x", "1"), ("/b", "1")]),
            pairs(&[("/a/x", "1"), ("/a/y", ""), ("/b", "1"), ("/c", "1")]),
        ] {
            assert!(!one.agrees_with(&other, &scope));
        }
    }

    #[test]
    fn a_difference_names_new_changed_and_deleted_keys_of_the_scope() {
        let pairs = |pairs: &[(&'static str, &'static str)]| {
            Snapshot::from_pairs(Coverage::Subtree, pairs.iter().copied())
        };
        let scope = Scope::from_iter([Key::from("/a"), Key::from("/c")]);
        let before = pairs(&[("/a/old", "1"), ("/a/same", "1"), ("/b", "1"), ("/c", "1")]);
        let after = pairs(&[("/a/new", ""), ("/a/same", "1"), ("/b", "2"), ("/c", "2")]);
        let changed = |after: &Snapshot, before: &Snapshot| after.changed_since(before, &scope);
        assert_eq!(changed(&after, &before), ["/a/new", "/a/old", "/c"]);
        let nothing = pairs(&[]);
        assert_eq!(changed(&after, &nothing), ["/a/new", "/a/same", "/c"]);
        assert!(changed(&after, &after).is_empty());
    }

    #[test]
    fn a_patch_leaves_the_clones_as_they_were() {
        let before =
            Snapshot::from_pairs(Coverage::Subtree, [("/a", "1"), ("/b", "2")]).at_revision(7);
        let mut after = before.clone().at_revision(8);
        assert_eq!(after.insert("/a", "3").as_deref(), Some(b"1".as_slice()));
        assert_eq!(after.remove(b"/b").as_deref(), Some(b"2".as_slice()));
        assert_eq!(after.remove(b"/c"), None);

        assert_eq!((before.revision(), before.len()), (7, 2));
        assert_eq!(before.get(b"/a").unwrap(), "1");
        assert_eq!((after.revision(), after.len()), (8, 1));
        assert_eq!(after.get(b"/a").unwrap(), "3");
    }

    #[test]
    fn the_last_of_two_pairs_with_one_key_counts() {
        let snapshot = Snapshot::from_pairs(Coverage::Text, [("/a", "1"), ("/a", "2")]);
        assert_eq!(snapshot.get(b"/a").unwrap(), "2");
    }

    #[test]
    fn two_spellings_of_a_key_come_and_go_one_by_one() {
        let mut snapshot = Snapshot::from_pairs(Coverage::Text, [("/a", "1"), ("/a/", "2")]);
        let everything = Span::everything();
        assert!(snapshot.has_unclean_in(&everything));
        snapshot.remove(b"/a/");
        assert_eq!(snapshot.get(b"/a").unwrap(), "1");
        assert!(!snapshot.has_unclean_in(&everything));
    }

    #[test]
    fn values_do_not_show_in_debug_output() {
        let snapshot = Snapshot::from_pairs(Coverage::Text, [("/password", "hunter2")]);
        assert!(!format!("{snapshot:?}").contains("hunter2"));
    }
}
