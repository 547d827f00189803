//! The ranges of etcd's keys that are asked for.

use store::{Coverage, Key, Scope};

/// Neighbouring keys that are read and watched together: from a key to the end of the keys below
/// it.
///
/// Other keys can be between a key and the keys below it (`/app-x` between `/app` and `/app/x`).
/// Reading them costs little, and one range costs half of two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: Vec<u8>,
    /// The first key after the range.
    pub(super) end: Vec<u8>,
    /// The keys in the range that are asked for. None is below another; the first is the start of
    /// the range.
    asked: Vec<Key>,
}

impl Range {
    /// The disjoint ranges, in byte order, of all keys that the scopes ask for.
    pub(super) fn of<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> Vec<Self> {
        let mut keys: Vec<&Key> = scopes.into_iter().flat_map(Scope::iter).collect();
        keys.sort_unstable();
        let mut ranges: Vec<Range> = Vec::new();
        for key in keys {
            match ranges.last_mut() {
                Some(last) if last.covers(key.as_bytes()) => {}
                Some(last) if key.as_bytes() < last.end.as_slice() => last.asked.push(key.clone()),
                _ => ranges.push(Range::below(key)),
            }
        }
        ranges
    }

    fn below(key: &Key) -> Self {
        let start = key.as_bytes().to_vec();
        // The byte after `/`: it is greater than all keys below.
        let end = if start == b"/" { b"0".to_vec() } else { [&start, b"0".as_slice()].concat() };
        Range { start, end, asked: vec![key.clone()] }
    }

    /// Whether a key in the range is asked for.
    pub(super) fn covers(&self, key: &[u8]) -> bool {
        self.asked.iter().any(|asked| Coverage::Subtree.covers(asked, key))
    }

    /// The first key that is asked for. Its keys and the keys below it are the range, so a user who
    /// may not read the range may not read them.
    pub(super) fn key(&self) -> &Key {
        &self.asked[0]
    }

    /// Whether this range covers all that `other` asks for, and reads nothing else.
    pub(super) fn serves(&self, other: &Range) -> bool {
        self.start == other.start && other.asked.iter().all(|key| self.covers(key.as_bytes()))
    }

    /// Whether a key is asked for in one of `ranges`, which are disjoint and in byte order.
    pub(super) fn any_covers(ranges: &[Range], key: &[u8]) -> bool {
        let after = ranges.partition_point(|range| range.start.as_slice() <= key);
        let before = after.checked_sub(1).and_then(|index| ranges.get(index));
        before.is_some_and(|range| key < range.end.as_slice() && range.covers(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(scopes: &[&[&str]]) -> Vec<String> {
        let scopes: Vec<Scope> =
            scopes.iter().map(|keys| keys.iter().map(|key| Key::from(*key)).collect()).collect();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let range = |range: Range| format!("{}..{}", text(&range.start), text(&range.end));
        Range::of(&scopes).into_iter().map(range).collect()
    }

    #[test]
    fn a_key_of_two_scopes_is_read_once() {
        assert_eq!(ranges(&[&["/a", "/b"], &["/b", "/a/x"], &[]]), ["/a../a0", "/b../b0"]);
        assert_eq!(ranges(&[&["/a", "/a/x"], &["/"]]), ["/..0"]);
        assert_eq!(ranges(&[&[]]), [""; 0]);
    }

    #[test]
    fn neighbours_within_a_range_join_it() {
        assert_eq!(
            ranges(&[&["/app", "/app-x", "/app/y", "/apple"]]),
            ["/app../app0", "/apple../apple0"]
        );
        let scope = Scope::from_iter(["/app", "/app-x"].map(Key::from));
        let range = &Range::of([&scope])[0];
        for (key, covered) in [
            ("/app", true),
            ("/app/y", true),
            ("/app/", true),
            ("/app-x", true),
            ("/app-x/y", true),
            ("/app-y", false),
            ("/app.x", false),
        ] {
            assert_eq!(range.covers(key.as_bytes()), covered, "{key}");
            assert_eq!(Range::any_covers(std::slice::from_ref(range), key.as_bytes()), covered);
        }
        let alone = &Range::of([&Scope::from_iter([Key::from("/app")])])[0];
        assert!(range.serves(alone) && !alone.serves(range) && alone.serves(alone));
    }

    #[test]
    fn a_key_is_found_among_many_ranges() {
        let scope = Scope::from_iter(["/a", "/b/c", "/b/d"].map(Key::from));
        let ranges = Range::of([&scope]);
        for (key, covered) in
            [("/a/x", true), ("/b", false), ("/b/c", true), ("/b/d/e", true), ("/0", false)]
        {
            assert_eq!(Range::any_covers(&ranges, key.as_bytes()), covered, "{key}");
        }
    }
}
