//! What is known of the nodes that are asked for, and what must be asked for.
//!
//! No I/O: [`Tree::next`] says what to ask, [`Tree::answer`] and [`Tree::changed`] take what arrives. A
//! node whose children or data are known has a watch at the server, so that its next change is reported.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use store::{Coverage, Snapshot};

use crate::message::Ask;

/// The nodes below some paths, the roots.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The length of the part of paths that users do not see.
    chroot: usize,
    roots: BTreeSet<Bytes>,
    nodes: BTreeMap<Bytes, Node>,
    /// The data of the nodes without children, by their names for users.
    leaves: Snapshot,
    /// What must be asked for.
    unread: BTreeMap<Bytes, Ask>,
}

/// What is known of a node.
#[derive(Debug, PartialEq, Eq)]
enum Node {
    /// Nothing yet.
    Unknown,
    /// It does not exist. Only roots are so.
    Missing,
    /// The names of its children.
    Inner(BTreeSet<Bytes>),
    /// It has no children.
    Leaf,
}

/// The answer to a question.
#[derive(Debug)]
pub(crate) enum Found {
    /// The names of the children.
    Children(Vec<Bytes>),
    /// The data.
    Data(Bytes),
    /// It exists.
    Exists,
    /// There is no such node.
    Nothing,
}

impl Tree {
    /// No roots. `chroot` is the path of the node that is the root for users, or empty.
    pub(crate) fn new(chroot: &str) -> Self {
        Tree {
            chroot: chroot.len(),
            roots: BTreeSet::new(),
            nodes: BTreeMap::new(),
            leaves: Snapshot::new(Coverage::Subtree),
            unread: BTreeMap::new(),
        }
    }

    /// Changes the roots. Returns whether something must be read that is not known.
    pub(crate) fn set_roots(&mut self, roots: BTreeSet<Bytes>) -> bool {
        self.roots = roots;
        let gone: Vec<Bytes> = self
            .nodes
            .iter()
            .filter(|(path, node)| {
                let is_missing = **node == Node::Missing;
                !self.is_below_a_root(path) || is_missing && !self.roots.contains(*path)
            })
            .map(|(path, _)| path.clone())
            .collect();
        gone.iter().for_each(|path| self.drop_node(path));
        let new: Vec<Bytes> =
            self.roots.iter().filter(|root| !self.nodes.contains_key(*root)).cloned().collect();
        let has_new = !new.is_empty();
        self.unread.extend(new.into_iter().map(|root| (root, Ask::Children)));
        has_new
    }

    /// Forgets everything: all must be read.
    pub(crate) fn reset(&mut self) {
        self.nodes.clear();
        self.leaves = Snapshot::new(Coverage::Subtree);
        self.unread = self.roots.iter().map(|root| (root.clone(), Ask::Children)).collect();
    }

    /// Forgets what is known of `root` and below it.
    pub(crate) fn forget(&mut self, root: &Bytes) {
        let mut forgotten = vec![root.clone()];
        forgotten.extend(self.below(root));
        forgotten.iter().for_each(|path| self.drop_node(path));
    }

    /// The next question, if there is one.
    pub(crate) fn next(&mut self) -> Option<(Bytes, Ask)> {
        let (path, ask) = self.unread.pop_first()?;
        self.nodes.entry(path.clone()).or_insert(Node::Unknown);
        Some((path, ask))
    }

    /// Whether nothing is left to ask for.
    pub(crate) fn is_read(&self) -> bool {
        self.unread.is_empty()
    }

    /// Whether everything is known that was true at some time.
    pub(crate) fn is_known(&self) -> bool {
        self.roots.iter().all(|root| self.nodes.contains_key(root))
            && self.nodes.values().all(|node| *node != Node::Unknown)
            && self.unread.keys().all(|path| self.nodes.contains_key(path))
    }

    /// The data of all nodes without children.
    pub(crate) fn leaves(&self) -> &Snapshot {
        &self.leaves
    }

    /// A node has changed, or its children.
    pub(crate) fn changed(&mut self, path: &Bytes) {
        if self.nodes.contains_key(path) {
            self.unread.insert(path.clone(), Ask::Children);
        }
    }

    /// Takes the answer to a question.
    pub(crate) fn answer(&mut self, path: &Bytes, ask: Ask, found: Found) {
        if !self.nodes.contains_key(path) {
            // It is not asked for any more.
            return;
        }
        match found {
            Found::Children(names) => self.take_children(path, names.into_iter().collect()),
            Found::Data(data) => {
                // If it has children by now, that was reported before, and is asked for next.
                self.nodes.insert(path.clone(), Node::Leaf);
                if let Some(name) = self.name(path) {
                    self.leaves.insert(name, data);
                }
            }
            Found::Exists => _ = self.unread.insert(path.clone(), Ask::Children),
            Found::Nothing => {
                self.remove_below(path);
                self.remove(path);
                if self.roots.contains(path) {
                    self.nodes.insert(path.clone(), Node::Missing);
                    // Other questions set no watch on a node that does not exist.
                    match ask {
                        Ask::Exists => _ = self.unread.remove(path),
                        Ask::Children | Ask::Data => {
                            self.unread.insert(path.clone(), Ask::Exists);
                        }
                    }
                }
            }
        }
    }

    /// Takes the names of all children of a node.
    fn take_children(&mut self, path: &Bytes, names: BTreeSet<Bytes>) {
        if names.is_empty() {
            if let Some(Node::Inner(_)) = self.nodes.get(path) {
                self.nodes.insert(path.clone(), Node::Unknown);
                self.remove_below(path);
            }
            self.unread.entry(path.clone()).or_insert(Ask::Data);
            return;
        }
        if let Some(name) = self.name(path) {
            self.leaves.remove(&name);
        }
        if let Some(Node::Inner(before)) = self.nodes.get(path) {
            let gone: Vec<Bytes> =
                before.difference(&names).map(|name| child(path, name)).collect();
            for child in gone {
                self.remove_below(&child);
                self.remove(&child);
            }
        }
        for name in &names {
            let child = child(path, name);
            if matches!(self.nodes.get(&child), None | Some(Node::Missing)) {
                self.unread.insert(child, Ask::Children);
            }
        }
        self.nodes.insert(path.clone(), Node::Inner(names));
    }

    /// The nodes below a node do not exist any more.
    fn remove_below(&mut self, path: &Bytes) {
        let below = self.below(path);
        below.iter().for_each(|path| self.remove(path));
    }

    /// A node does not exist any more.
    fn remove(&mut self, path: &Bytes) {
        self.drop_node(path);
        if self.roots.contains(path) {
            self.unread.insert(path.clone(), Ask::Children);
        }
    }

    /// Forgets a node.
    fn drop_node(&mut self, path: &Bytes) {
        self.nodes.remove(path);
        self.unread.remove(path);
        if let Some(name) = self.name(path) {
            self.leaves.remove(&name);
        }
    }

    /// The known nodes below a node, and those that must be asked for.
    fn below(&self, path: &Bytes) -> Vec<Bytes> {
        let start = child(path, b"");
        let is_below = |found: &&Bytes| found.starts_with(&start);
        let known = self.nodes.range(start.clone()..).map(|(path, _)| path).take_while(is_below);
        let unread = self.unread.range(start.clone()..).map(|(path, _)| path).take_while(is_below);
        let all: BTreeSet<Bytes> =
            known.chain(unread).filter(|found| *found != path).cloned().collect();
        all.into_iter().collect()
    }

    fn is_below_a_root(&self, path: &Bytes) -> bool {
        ancestors(path).any(|ancestor| self.roots.contains(ancestor))
    }

    /// The name of a node for users; `None` for their root, which is no key.
    fn name(&self, path: &Bytes) -> Option<Bytes> {
        (path.len() > self.chroot.max(1)).then(|| path.slice(self.chroot..))
    }
}

/// The path of a child.
fn child(path: &[u8], name: &[u8]) -> Bytes {
    let path = if path == b"/" { b"" } else { path };
    [path, b"/", name].concat().into()
}

/// The path, and those of all nodes above it.
pub(crate) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let above = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/');
    let above = above.map(|(at, _)| &path[..at.max(1)]);
    std::iter::once(path).chain(above.filter(move |above| above.len() < path.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers all questions of a tree from a store of paths with data.
    fn read(tree: &mut Tree, store: &BTreeMap<&str, &str>) -> Vec<String> {
        let mut asked = Vec::new();
        while let Some((path, ask)) = tree.next() {
            let text = std::str::from_utf8(&path).unwrap();
            asked.push(format!("{ask:?} {text}"));
            let found = match (ask, store.get(text)) {
                (_, None) => Found::Nothing,
                (Ask::Data, Some(data)) => Found::Data(Bytes::copy_from_slice(data.as_bytes())),
                (Ask::Exists, Some(_)) => Found::Exists,
                (Ask::Children, Some(_)) => {
                    let start = child(&path, b"");
                    let below = store.keys().filter_map(|key| {
                        let rest = key.as_bytes().strip_prefix(&*start)?;
                        (!rest.is_empty() && !rest.contains(&b'/'))
                            .then(|| Bytes::copy_from_slice(rest))
                    });
                    Found::Children(below.collect())
                }
            };
            tree.answer(&path, ask, found);
        }
        assert!(tree.is_known());
        asked
    }

    fn leaves(tree: &Tree) -> Vec<String> {
        source::testing::text(tree.leaves())
    }

    fn roots(tree: &mut Tree, paths: &[&'static str]) -> bool {
        tree.set_roots(paths.iter().map(|path| Bytes::from(*path)).collect())
    }

    const STORE: [(&str, &str); 6] =
        [("/", ""), ("/a", "x"), ("/a/b", "1"), ("/a/c", "y"), ("/a/c/d", "2"), ("/e", "3")];

    #[test]
    fn only_nodes_without_children_have_values() {
        let store = BTreeMap::from(STORE);
        let mut tree = Tree::new("");
        assert!(roots(&mut tree, &["/"]));
        read(&mut tree, &store);
        assert_eq!(leaves(&tree), ["/a/b=1", "/a/c/d=2", "/e=3"]);
        let mut tree = Tree::new("/a");
        roots(&mut tree, &["/a/c", "/a/none"]);
        let asked = read(&mut tree, &store);
        assert_eq!(leaves(&tree), ["/c/d=2"]);
        assert_eq!(asked.last().unwrap(), "Exists /a/none");
    }

    #[test]
    fn only_what_has_changed_is_asked_for_again() {
        let mut store = BTreeMap::from(STORE);
        let mut tree = Tree::new("");
        roots(&mut tree, &["/a", "/a/c/x", "/none"]);
        read(&mut tree, &store);
        store.extend([("/a/b", "4"), ("/a/f", "5")]);
        tree.changed(&"/a/b".into());
        tree.changed(&"/a".into());
        tree.changed(&"/unknown".into());
        let asked = read(&mut tree, &store);
        assert_eq!(
            asked,
            ["Children /a", "Children /a/b", "Data /a/b", "Children /a/f", "Data /a/f"]
        );
        assert_eq!(leaves(&tree), ["/a/b=4", "/a/c/d=2", "/a/f=5"]);
        // A node that is deleted, and one that loses its last child.
        store.retain(|path, _| !["/a/b", "/a/c/d"].contains(path));
        for path in ["/a", "/a/b", "/a/c", "/a/c/d"] {
            tree.changed(&path.into());
        }
        read(&mut tree, &store);
        assert_eq!(leaves(&tree), ["/a/c=y", "/a/f=5"]);
        store.insert("/a/c/x", "6");
        tree.changed(&"/a/c".into());
        tree.changed(&"/a/c/x".into());
        read(&mut tree, &store);
        assert_eq!(leaves(&tree), ["/a/c/x=6", "/a/f=5"]);
        store.clear();
        for path in ["/a", "/a/c", "/a/c/x", "/a/f"] {
            tree.changed(&path.into());
        }
        read(&mut tree, &store);
        assert!(leaves(&tree).is_empty());
        store.extend(STORE);
        tree.changed(&"/a".into());
        read(&mut tree, &store);
        assert_eq!(leaves(&tree), ["/a/b=1", "/a/c/d=2"]);
    }

    #[test]
    fn roots_that_come_and_go_leave_the_others_as_they_are() {
        let store = BTreeMap::from(STORE);
        let mut tree = Tree::new("");
        roots(&mut tree, &["/a/c"]);
        read(&mut tree, &store);
        assert!(roots(&mut tree, &["/a", "/a/c/none"]));
        let asked = read(&mut tree, &store);
        assert!(!asked.contains(&"Children /a/c/d".to_owned()), "{asked:?}");
        assert_eq!(leaves(&tree), ["/a/b=1", "/a/c/d=2"]);
        assert!(!roots(&mut tree, &["/a/b"]));
        assert_eq!(leaves(&tree), ["/a/b=1"]);
        tree.forget(&"/a/b".into());
        assert!(roots(&mut tree, &["/a/b"]));
        assert!(!tree.is_known());
        assert_eq!(read(&mut tree, &store), ["Children /a/b", "Data /a/b"]);
    }

    #[test]
    fn a_path_has_these_paths_above_it() {
        let texts = |path: &'static str| {
            let texts = ancestors(path.as_bytes()).map(|path| std::str::from_utf8(path).unwrap());
            texts.collect::<Vec<_>>()
        };
        assert_eq!(texts("/a/b"), ["/a/b", "/a", "/"]);
        assert_eq!(texts("/"), ["/"]);
    }
}
