//! Scopes: what a resource asks a source for, and which of the source's keys that covers.

use std::sync::Arc;

use bytes::Bytes;

use crate::Key;

/// The set of keys that a resource asks for: sorted and without duplicates. Cheap to clone and to
/// compare, so that resources with equal scopes can share one snapshot and one watch.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    keys: Arc<[Key]>,
    backends: Arc<[Arc<str>]>,
}

impl Scope {
    /// The keys in byte order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Key> {
        self.keys.iter()
    }

    /// The names of the backends whose keys are meant, the most important first. Empty for the keys
    /// of the run.
    pub fn backends(&self) -> &Arc<[Arc<str>]> {
        &self.backends
    }

    /// The same keys in these backends.
    #[must_use]
    pub fn of_backends(self, backends: Arc<[Arc<str>]>) -> Self {
        Scope { backends, ..self }
    }

    /// The number of different keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the scope has no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether `source_key` belongs to one of the scope's keys, by the rule `coverage`.
    pub fn asks_for(&self, coverage: Coverage, source_key: &[u8]) -> bool {
        self.iter().any(|asked| coverage.covers(asked, source_key))
    }
}

impl FromIterator<Key> for Scope {
    fn from_iter<T: IntoIterator<Item = Key>>(keys: T) -> Self {
        let mut keys: Vec<Key> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        Scope { keys: keys.into(), ..Scope::default() }
    }
}

/// Which keys of a source a key of a scope stands for. Each source has one rule, so each snapshot
/// carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// The snapshot holds what the source returned for the scope, and everything in it counts. For
    /// sources whose rule cannot be expressed by the keys alone.
    Exact,
    /// The key itself and all keys below it: `/app` does not cover `/apple`.
    Subtree,
    /// Every key that begins with the same bytes: `/app` covers `/apple`, as in confd's `file`,
    /// `consul` and others.
    Text,
}

impl Coverage {
    /// Whether `source_key` belongs to the scope's key `asked`.
    pub fn covers(self, asked: &Key, source_key: &[u8]) -> bool {
        match (self, source_key.strip_prefix(asked.as_bytes())) {
            (Coverage::Exact, _) => true,
            (Coverage::Text, rest) => rest.is_some(),
            (Coverage::Subtree, Some([] | [b'/', ..])) => true,
            (Coverage::Subtree, rest) => rest.is_some() && *asked == Key::root(),
        }
    }

    /// The source keys that `scope` covers, as ranges of bytes.
    pub(crate) fn spans(self, scope: &Scope) -> Spans {
        let spans = match self {
            Coverage::Exact => vec![Span::everything()],
            Coverage::Text => {
                scope.iter().map(|key| Span::beginning_with(key.as_bytes())).collect()
            }
            Coverage::Subtree => scope.iter().flat_map(Span::subtree).collect(),
        };
        Spans::new(spans)
    }
}

/// The source keys from `start` up to, but not including, `end`. Without an end, all keys from
/// `start` on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: Bytes,
    pub(crate) end: Option<Bytes>,
}

impl Span {
    /// Every key.
    pub(crate) fn everything() -> Self {
        Span { start: Bytes::new(), end: None }
    }

    /// The keys that begin with `head`.
    pub(crate) fn beginning_with(head: &[u8]) -> Self {
        Span { start: Bytes::copy_from_slice(head), end: after_all(head) }
    }

    /// Only `key`.
    pub(crate) fn just(key: &[u8]) -> Self {
        let start = Bytes::copy_from_slice(key);
        Span { start, end: Some([key, b"\0"].concat().into()) }
    }

    fn subtree(key: &Key) -> Vec<Self> {
        match key.as_bytes() {
            b"/" => vec![Span::beginning_with(b"/")],
            key => vec![Span::just(key), Span::beginning_with(&[key, b"/"].concat())],
        }
    }

    /// The keys that are in both spans.
    pub(crate) fn intersection(&self, other: &Span) -> Span {
        let end = match (&self.end, &other.end) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.as_ref().or(two.as_ref()),
        };
        Span { start: self.start.clone().max(other.start.clone()), end: end.cloned() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

/// The smallest string above all strings that begin with `head`. `None` if there is none.
pub(crate) fn after_all(head: &[u8]) -> Option<Bytes> {
    let last = head.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = head[..=last].to_vec();
    end[last] += 1;
    Some(end.into())
}

/// Spans that do not overlap, in byte order.
#[derive(Debug, Clone)]
pub(crate) struct Spans(Vec<Span>);

impl Spans {
    pub(crate) fn new(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable();
        let mut disjoint: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match disjoint.last_mut() {
                // A span without an end contains all that follow.
                Some(Span { end: None, .. }) => {}
                Some(before) if before.end.as_ref().is_some_and(|end| *end >= span.start) => {
                    before.end = match (before.end.take(), span.end) {
                        (Some(one), Some(two)) => Some(one.max(two)),
                        _ => None,
                    };
                }
                _ => disjoint.push(span),
            }
        }
        Spans(disjoint)
    }

    /// Every key.
    pub(crate) fn everything() -> Self {
        Spans(vec![Span::everything()])
    }

    /// The spans in byte order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Span> {
        self.0.iter()
    }

    /// Whether `key` is in one of the spans.
    pub(crate) fn contain(&self, key: &[u8]) -> bool {
        // The spans do not overlap, so only the last one that begins before the key can contain it.
        let after = self.0.partition_point(|span| span.start <= key);
        let Some(span) = after.checked_sub(1).and_then(|index| self.0.get(index)) else {
            return false;
        };
        span.end.as_ref().is_none_or(|end| key < end.as_ref())
    }

    /// The parts of the spans that are in `window`, in byte order.
    pub(crate) fn within<'a>(&'a self, window: Span) -> impl Iterator<Item = Span> + use<'a> {
        let ends_before = |span: &Span| span.end.as_ref().is_some_and(|end| *end <= window.start);
        let first = self.0.partition_point(ends_before);
        self.0[first..]
            .iter()
            .map(move |span| span.intersection(&window))
            .take_while(|part| !part.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(keys: &[&str]) -> Scope {
        keys.iter().map(|key| Key::from(*key)).collect()
    }

    #[test]
    fn a_scope_is_sorted_and_asks_for_each_key_once() {
        let asked = scope(&["/b", "/a", "b/", "/a"]);
        assert_eq!(asked.iter().map(Key::to_string).collect::<Vec<_>>(), ["/a", "/b"]);
        assert_eq!(asked.len(), 2);
        assert_eq!(asked, scope(&["/a", "/b"]));
        assert!(Scope::default().is_empty());
    }

    #[test]
    fn the_same_keys_of_other_backends_are_another_scope() {
        let asked = scope(&["/a"]);
        let of_vault = asked.clone().of_backends(["vault".into()].into());
        assert_ne!(asked, of_vault);
        assert!(asked.backends().is_empty());
        assert!(of_vault.asks_for(Coverage::Subtree, b"/a/b"));
        assert_eq!(of_vault.of_backends([].into()), asked);
    }

    #[test]
    fn a_scope_asks_for_what_one_of_its_keys_covers() {
        let asked = scope(&["/a", "/b/c"]);
        for (key, subtree) in [("/a", true), ("/a/x", true), ("/ab", false), ("/b", false)] {
            assert_eq!(asked.asks_for(Coverage::Subtree, key.as_bytes()), subtree, "{key}");
        }
        assert!(!Scope::default().asks_for(Coverage::Text, b"/a"));
    }

    #[test]
    fn a_subtree_ends_at_a_path_boundary_and_text_does_not() {
        for (asked, key, subtree, text) in [
            ("/app", "/app", true, true),
            ("/app", "/app/", true, true),
            ("/app", "/app/x", true, true),
            ("/app", "/apple", false, true),
            ("/app", "/app-x", false, true),
            ("/app", "/ap", false, false),
            ("/", "/anything", true, true),
        ] {
            let asked = Key::from(asked);
            assert_eq!(Coverage::Subtree.covers(&asked, key.as_bytes()), subtree, "{asked} {key}");
            assert_eq!(Coverage::Text.covers(&asked, key.as_bytes()), text, "{asked} {key}");
            assert!(Coverage::Exact.covers(&asked, key.as_bytes()));
        }
    }

    #[test]
    fn spans_hold_exactly_what_is_covered() {
        let scopes = [
            scope(&[]),
            scope(&["/"]),
            scope(&["/app"]),
            scope(&["/app", "/app/x", "/apple"]),
            scope(&["/a", "/app/x/y", "/b"]),
        ];
        let keys = [
            "/",
            "/a",
            "/a/",
            "/a/b",
            "/ab",
            "/app",
            "/app-x",
            "/app/",
            "/app/x",
            "/app/x/y/z",
            "/app0",
            "/apple",
            "/apple/x",
            "/applf",
            "/b",
            "/b\u{1}",
            "/c",
            "app",
        ];
        for asked in &scopes {
            for coverage in [Coverage::Subtree, Coverage::Text] {
                let spans = coverage.spans(asked);
                for key in keys {
                    let covered = asked.iter().any(|asked| coverage.covers(asked, key.as_bytes()));
                    assert_eq!(
                        spans.contain(key.as_bytes()),
                        covered,
                        "{asked:?} {coverage:?} {key}"
                    );
                    let window = Span::just(key.as_bytes());
                    assert_eq!(
                        spans.within(window).count(),
                        usize::from(covered),
                        "{asked:?} {key}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_key_of_only_the_highest_bytes_has_nothing_above_it() {
        assert_eq!(after_all(b"\xff\xff"), None);
        assert_eq!(after_all(b"/a\xff").as_deref(), Some(b"/b".as_slice()));
    }
}
