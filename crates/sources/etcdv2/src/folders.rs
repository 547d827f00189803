//! Chooses the folders that are listed, and followed by one waiting request each.

use source::{Answer, Refusals};
use store::{Coverage, Key, Scope, Snapshot};

/// The most folders that are followed at the same time: each needs a connection.
pub(crate) const MOST: usize = 16;

/// The keys that the scopes ask for: sorted, each once, and none that another shows.
pub(crate) fn asked<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> Vec<Key> {
    let keys: Vec<&Key> = scopes.into_iter().flat_map(Scope::iter).collect();
    outermost(keys.into_iter().cloned().collect())
}

/// At most `most` folders in which all of these keys are. If there are more keys than that, keys that
/// share a folder are listed together by that folder.
pub(crate) fn around(asked: &[Key], most: usize) -> Vec<Key> {
    let deepest = asked.iter().map(depth).max().unwrap_or(0);
    let cut = |depth: usize| {
        outermost(asked.iter().map(|key| ancestor(key, depth.max(hidden(key)))).collect())
    };
    let mut depths = (0..=deepest).rev().map(cut);
    depths.find(|folders| folders.len() <= most.max(1)).unwrap_or_else(|| cut(0))
}

/// Whether a listing of `outer` has `key`. etcd lists a name that begins with `_` only if it is asked for.
pub(crate) fn shows(outer: &Key, key: &[u8]) -> bool {
    Coverage::Subtree.covers(outer, key) && hidden(&Key::new(key)) <= depth(outer)
}

/// The answers to the scopes. A hidden key is only in those that ask for it.
pub(crate) fn answers(scopes: &[Scope], refusals: &Refusals, snapshot: &Snapshot) -> Vec<Answer> {
    let is_hidden = |scope: &Scope| scope.iter().any(|key| hidden(key) > 0);
    if !scopes.iter().any(is_hidden) {
        return refusals.answers(scopes, snapshot);
    }
    let of_scope = |scope: &Scope| {
        let is_shown =
            |(key, _): &(&bytes::Bytes, &bytes::Bytes)| scope.iter().any(|it| shows(it, key));
        let pairs = snapshot.iter().filter(is_shown);
        let pairs = pairs.map(|(key, value)| (key.clone(), value.clone()));
        let shown = Snapshot::from_pairs(Coverage::Exact, pairs).at_revision(snapshot.revision());
        refusals.answers(std::slice::from_ref(scope), &shown)
    };
    scopes.iter().flat_map(of_scope).collect()
}

/// The keys that no other of these keys shows, sorted.
fn outermost(mut keys: Vec<Key>) -> Vec<Key> {
    keys.sort_unstable();
    let mut outermost: Vec<Key> = Vec::new();
    // A folder can be followed by keys such as `/app-x` before the keys below it, `/app/x`.
    for key in keys {
        let covers = |outer: &Key| shows(outer, key.as_bytes());
        if !(0..=depth(&key)).any(|depth| {
            let outer = ancestor(&key, depth);
            outermost.binary_search(&outer).is_ok_and(|place| covers(&outermost[place]))
        }) {
            outermost.push(key);
        }
    }
    outermost
}

/// The number of names in a key.
fn depth(key: &Key) -> usize {
    names(key).count()
}

/// The depth of the last hidden name in a key; 0 if it has none.
fn hidden(key: &Key) -> usize {
    let names: Vec<&[u8]> = names(key).collect();
    names.iter().rposition(|name| name.starts_with(b"_")).map_or(0, |place| place + 1)
}

/// The folder of this depth around a key, or the key itself if it is not that deep.
fn ancestor(key: &Key, depth: usize) -> Key {
    let mut path = Vec::new();
    for name in names(key).take(depth) {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    Key::new(if path.is_empty() { b"/" } else { &path })
}

fn names(key: &Key) -> impl Iterator<Item = &[u8]> {
    key.as_bytes().split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(texts: &[&str]) -> Vec<Key> {
        texts.iter().map(|text| Key::from(*text)).collect()
    }

    #[test]
    fn a_key_below_another_key_needs_no_listing_of_its_own() {
        let scopes = [
            keys(&["/app/x", "/app-x"]).into_iter().collect::<Scope>(),
            keys(&["/app", "/app/x/y"]).into_iter().collect(),
        ];
        assert_eq!(asked(&scopes), keys(&["/app", "/app-x"]));
        let root: Scope = keys(&["/"]).into_iter().collect();
        assert_eq!(asked([&scopes[0], &root]), keys(&["/"]));
        assert_eq!(asked([]), []);
    }

    #[test]
    fn a_hidden_key_needs_a_listing_of_its_own() {
        let scopes = [keys(&["/h", "/h/_s/x", "/h/_s/y", "/h/a"]).into_iter().collect::<Scope>()];
        let asked = asked(&scopes);
        assert_eq!(asked, keys(&["/h", "/h/_s/x", "/h/_s/y"]));
        assert_eq!(around(&asked, 3), asked);
        assert_eq!(around(&asked, 2), keys(&["/h", "/h/_s"]));
        // There is no way to list them together.
        assert_eq!(around(&asked, 1), keys(&["/", "/h/_s"]));
    }

    #[test]
    fn too_many_keys_are_listed_by_the_folders_that_they_share() {
        let asked = keys(&["/a/x/1", "/a/x/2", "/a/y", "/b"]);
        assert_eq!(around(&asked, 4), asked);
        assert_eq!(around(&asked, 3), keys(&["/a/x", "/a/y", "/b"]));
        assert_eq!(around(&asked, 2), keys(&["/a", "/b"]));
        assert_eq!(around(&asked, 1), keys(&["/"]));
        assert_eq!(around(&[], 1), []);
    }
}
