//! Chooses the listings that answer the scopes.
//!
//! A blocking query needs a connection, and Consul accepts a limited number from one address (200
//! by default). So there are at most [`MOST`] listings, or [`FOLLOWED`] that are followed, and fewer if
//! Consul accepts fewer. If the scopes ask for more prefixes, neighbouring prefixes are listed together by their common
//! beginning.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;
use store::{Coverage, Key, Scope};

/// The most listings at the same time, if Consul accepts that many.
pub(super) const MOST: usize = 32;

/// The most listings that are followed. Each has two blocking queries, so these are as many.
pub(super) const FOLLOWED: usize = MOST / 2;

/// The prefixes that the scopes ask for: sorted, and no prefix begins with another prefix.
pub(super) fn asked<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> Vec<Key> {
    let mut keys: Vec<&Key> = scopes.into_iter().flat_map(Scope::iter).collect();
    keys.sort_unstable();
    let mut asked: Vec<Key> = Vec::new();
    for key in keys {
        if !asked.last().is_some_and(|last| Coverage::Text.covers(last, key.as_bytes())) {
            asked.push(key.clone());
        }
    }
    asked
}

/// Whether a key begins with one of these prefixes, which are sorted, and none begins with another
/// prefix.
pub(super) fn covers(asked: &[Key], key: &[u8]) -> bool {
    let behind = asked.partition_point(|asked| asked.as_bytes() <= key);
    let before = behind.checked_sub(1).and_then(|index| asked.get(index));
    before.is_some_and(|asked| Coverage::Text.covers(asked, key))
}

/// Prefixes that are listed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// The beginning of all listed keys.
    pub(super) head: Vec<u8>,
    /// The prefixes that are asked for: sorted, and no prefix begins with another prefix.
    asked: Vec<Key>,
}

impl Group {
    /// Divides the prefixes `asked` into at most `most` groups, in byte order. No key is in two of
    /// them. For the form of `asked` see the function [`asked`].
    pub(super) fn of(asked: Vec<Key>, most: usize) -> Vec<Self> {
        if asked.is_empty() {
            return Vec::new();
        }
        let mut groups = Vec::new();
        // The largest group is divided first, as long as there are not too many parts.
        let mut divisible = BinaryHeap::from([BySize(Group::new(asked))]);
        while let Some(BySize(group)) = divisible.pop() {
            let parts = group.parts();
            let others = groups.len() + divisible.len();
            if parts.len() > 1 && others + parts.len() <= most {
                divisible.extend(parts.into_iter().map(BySize));
            } else {
                groups.push(group);
            }
        }
        groups.sort_unstable_by(|one, two| one.head.cmp(&two.head));
        groups
    }

    /// A group for each prefix that has no pair in a listing of this group. `None` are returned if
    /// only one prefix is asked for, because the listing is then its own.
    pub(super) fn missing(&self, pairs: &[(Bytes, Bytes)]) -> impl Iterator<Item = Self> {
        let several = if self.is_one() { &[] } else { &self.asked[..] };
        let is_missing = |asked: &&Key| {
            let first = pairs.partition_point(|(key, _)| key < asked.as_bytes());
            !pairs.get(first).is_some_and(|(key, _)| Coverage::Text.covers(asked, key))
        };
        several.iter().filter(is_missing).map(|asked| Group::new(vec![asked.clone()]))
    }

    /// A group for each prefix that is asked for.
    pub(super) fn each(&self) -> impl Iterator<Item = Self> {
        self.asked.iter().map(|asked| Group::new(vec![asked.clone()]))
    }

    /// The prefixes that are asked for.
    pub(super) fn asked(&self) -> &[Key] {
        &self.asked
    }

    /// Whether only one prefix is asked for.
    pub(super) fn is_one(&self) -> bool {
        self.asked.len() == 1
    }

    /// The name in messages: the prefix, as Consul spells it.
    pub(super) fn name(&self) -> String {
        let head = self.head.strip_prefix(b"/").unwrap_or(&self.head);
        format!("{:?}", String::from_utf8_lossy(head))
    }

    /// Whether a key of the listing is asked for.
    pub(super) fn covers(&self, key: &[u8]) -> bool {
        covers(&self.asked, key)
    }

    fn new(asked: Vec<Key>) -> Self {
        let (first, last) = (asked.first(), asked.last());
        let head = match (first.map(Key::as_bytes), last.map(Key::as_bytes)) {
            (Some(first), Some(last)) if asked.len() > 1 => common(first, last),
            (first, _) => first.unwrap_or_default(),
        };
        Group { head: head.to_vec(), asked }
    }

    /// The parts of the group, each with a longer head.
    fn parts(&self) -> Vec<Self> {
        // A head may be shorter than the common beginning, so the parts may differ in more than the
        // next byte.
        let alike =
            |one: &Key, two: &Key| common(one.as_bytes(), two.as_bytes()).len() > self.head.len();
        self.asked.chunk_by(alike).map(|part| Group::new(part.to_vec())).collect()
    }
}

/// The common beginning of two keys, in a form that can be the path of a URL, where `.` and `..`
/// have a special meaning, and that Consul accepts: it refuses a space at the end.
fn common<'a>(one: &'a [u8], two: &[u8]) -> &'a [u8] {
    let length = one.iter().zip(two).take_while(|(one, two)| one == two).count();
    let mut head = &one[..length];
    while [&b"/."[..], b"/..", b" "].iter().any(|end| head.ends_with(end)) {
        head = &head[..head.len() - 1];
    }
    head
}

/// Orders groups by the number of their prefixes. Of equal groups, the first is the greatest.
struct BySize(Group);

impl BySize {
    fn rank(&self) -> (usize, Reverse<&[u8]>) {
        (self.0.asked.len(), Reverse(&self.0.head))
    }
}

impl PartialEq for BySize {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for BySize {}

impl PartialOrd for BySize {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BySize {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups<K: AsRef<str>>(scopes: &[&[K]]) -> Vec<Group> {
        let scope = |keys: &&[K]| keys.iter().map(|key| Key::from(key.as_ref())).collect();
        Group::of(asked(&scopes.iter().map(scope).collect::<Vec<Scope>>()), MOST)
    }

    fn heads(groups: &[Group]) -> Vec<String> {
        groups.iter().map(|group| String::from_utf8_lossy(&group.head).into_owned()).collect()
    }

    #[test]
    fn a_prefix_that_begins_with_another_is_listed_with_it() {
        let asked: [&[&str]; 3] = [&["/app", "/b"], &["/apple", "/b", "/app/x"], &[]];
        assert_eq!(heads(&groups(&asked)), ["/app", "/b"]);
        assert_eq!(heads(&groups(&[&["/x", "/"]])), ["/"]);
        assert!(groups::<&str>(&[&[]]).is_empty());
    }

    #[test]
    fn few_prefixes_are_listed_one_by_one() {
        let keys: Vec<_> = (0..MOST).map(|number| format!("/service/{number:02}/up")).collect();
        assert_eq!(heads(&groups(&[&keys])), keys);
    }

    #[test]
    fn many_are_listed_with_their_neighbours() {
        let keys: Vec<_> = (0..1_000).map(|number| format!("/service/{number:03}/up")).collect();
        let groups = groups(&[&keys]);
        assert!(groups.len() <= MOST);
        let covering = |key: &String| {
            let covers = |group: &&Group| group.covers(key.as_bytes());
            groups.iter().filter(covers).count()
        };
        assert!(keys.iter().all(|key| covering(key) == 1));
        assert!(groups.iter().all(|group| group.head.len() > "/service/".len()));
        let disjoint = |pair: &[Group]| !pair[1].head.starts_with(&pair[0].head);
        assert!(groups.windows(2).all(disjoint), "{:?}", heads(&groups));
    }

    #[test]
    fn many_similar_prefixes_leave_room_for_single_ones() {
        let crowd = (0..1_000).map(|number| format!("/crowd/{}{number:03}", number % 7));
        let keys: Vec<_> = crowd.chain(["/alone".into(), "/other".into()]).collect();
        let heads = heads(&groups(&[&keys]));
        assert!(heads.len() <= MOST);
        assert_eq!((&*heads[0], &**heads.last().unwrap()), ("/alone", "/other"));
    }

    #[test]
    fn a_group_covers_the_keys_that_are_asked_for_and_not_all_listed_keys() {
        let group = Group::new(["/a/1", "/a/3", "/a/5/x"].map(Key::from).to_vec());
        assert_eq!(group.head, b"/a/");
        for (key, covered) in [
            ("/a/1", true),
            ("/a/1/x", true),
            ("/a/10", true),
            ("/a/2", false),
            ("/a/3", true),
            ("/a/5", false),
            ("/a/5/xy", true),
            ("/a/6", false),
            ("/a/", false),
        ] {
            assert_eq!(group.covers(key.as_bytes()), covered, "{key}");
        }
    }

    #[test]
    fn a_prefix_without_a_pair_is_missing() {
        let group = Group::new(["/a/1", "/a/3", "/a/5", "/a/7"].map(Key::from).to_vec());
        let pairs = ["/a/1", "/a/30/x", "/a/70"].map(|key| (key.into(), Bytes::new()));
        assert_eq!(heads(&group.missing(&pairs).collect::<Vec<_>>()), ["/a/5"]);
        assert_eq!(group.missing(&[]).count(), 4);
        assert_eq!(Group::new(vec![Key::from("/a")]).missing(&[]).count(), 0);
    }

    #[test]
    fn a_head_does_not_end_in_dots_or_a_space() {
        for begin in ["/app/..", "/app - ", "/app/. "] {
            // These are too many for single listings, and have no other common beginning.
            let keys = ('0'..='z').map(|letter| format!("{begin}{letter}"));
            let keys: Vec<_> = keys.chain(["/apple".into()]).collect();
            let groups = groups(&[&keys]);
            assert!(groups.len() <= MOST);
            let heads = heads(&groups);
            assert!(heads.iter().all(|head| !head.ends_with("/..") && !head.ends_with(' ')));
            let disjoint = |pair: &[String]| !pair[1].starts_with(&pair[0]);
            assert!(heads.windows(2).all(disjoint), "{heads:?}");
        }
    }
}
