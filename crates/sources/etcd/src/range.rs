//! Which part of etcd's keys is asked for.

use store::{Coverage, Key, Scope};

/// Neighbouring keys that are read and watched as one: those from an asked key to the end of what
/// is below it.
///
/// Between the key itself and what is below it others may stand (`/app-x` between `/app` and
/// `/app/x`), so one range costs little more than is asked for, and half of what two would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: Vec<u8>,
    /// The first key behind the range.
    pub(super) end: Vec<u8>,
    /// The asked keys in the range, none of them below another; the first is its start.
    asked: Vec<Key>,
}

impl Range {
    /// Disjoint ranges, in byte order, of everything that the scopes ask for.
    pub(super) fn of(scopes: &[Scope]) -> Vec<Self> {
        let mut keys: Vec<&Key> = scopes.iter().flat_map(Scope::iter).collect();
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
        // The byte behind `/`: nothing below the key is beyond it.
        let end = if start == b"/" { b"0".to_vec() } else { [&start, b"0".as_slice()].concat() };
        Range { start, end, asked: vec![key.clone()] }
    }

    /// Whether a key in the range is asked for.
    pub(super) fn covers(&self, key: &[u8]) -> bool {
        self.asked.iter().any(|asked| Coverage::Subtree.covers(asked, key))
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
    fn what_is_asked_twice_is_asked_once() {
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
        let range = &Range::of(&[scope])[0];
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
        }
    }
}
