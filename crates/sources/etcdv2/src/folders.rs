//! Chooses the folders that are listed, and followed by one waiting request each.

use store::{Coverage, Key, Scope};

/// The most folders that are followed at the same time: each needs a connection.
pub(crate) const MOST: usize = 16;

/// The keys that the scopes ask for: sorted, each once, and none below another.
pub(crate) fn asked<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> Vec<Key> {
    let keys: Vec<&Key> = scopes.into_iter().flat_map(Scope::iter).collect();
    outermost(keys.into_iter().cloned().collect())
}

/// At most `most` folders in which all of these keys are. If there are more keys than that, keys that
/// share a folder are listed together by that folder.
pub(crate) fn around(asked: &[Key], most: usize) -> Vec<Key> {
    let deepest = asked.iter().map(depth).max().unwrap_or(0);
    let cut = |depth: usize| outermost(asked.iter().map(|key| ancestor(key, depth)).collect());
    let mut depths = (0..=deepest).rev().map(cut);
    depths.find(|folders| folders.len() <= most.max(1)).unwrap_or_default()
}

/// The keys that are not below another of these keys, sorted.
fn outermost(mut keys: Vec<Key>) -> Vec<Key> {
    keys.sort_unstable();
    let mut outermost: Vec<Key> = Vec::new();
    // A folder can be followed by keys such as `/app-x` before the keys below it, `/app/x`.
    for key in keys {
        let covers = |outer: &Key| Coverage::Subtree.covers(outer, key.as_bytes());
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
    fn too_many_keys_are_listed_by_the_folders_that_they_share() {
        let asked = keys(&["/a/x/1", "/a/x/2", "/a/y", "/b"]);
        assert_eq!(around(&asked, 4), asked);
        assert_eq!(around(&asked, 3), keys(&["/a/x", "/a/y", "/b"]));
        assert_eq!(around(&asked, 2), keys(&["/a", "/b"]));
        assert_eq!(around(&asked, 1), keys(&["/"]));
        assert_eq!(around(&[], 1), []);
    }
}
