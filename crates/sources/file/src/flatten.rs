//! Converts a tree to pairs: each leaf gets the path of the keys and indexes that lead to it.

use std::ops::Range;

use bytes::Bytes;
use store::path;

use super::YamlError;
use yaml::{COST_OF_A_NODE, Node, NodeId, Tree};

/// The most bytes of paths that the aliases of a document may repeat.
const MAX_REPEATED: usize = 64 << 20;

/// Calls `add` with every pair of the tree. Paths are joined and cleaned, so the key `a/b` makes
/// two levels, and `../up` leads up. Pairs come in byte order of the keys of each mapping, and the
/// last of several pairs with the same path wins. All paths share their storage.
pub(super) fn pairs(tree: &Tree, mut add: impl FnMut(Bytes, Bytes)) -> Result<(), YamlError> {
    let mut flattener = Flattener {
        tree,
        seen: vec![false; tree.len()],
        repeated: 0,
        paths: Vec::new(),
        pending: Vec::new(),
    };
    flattener.pending.extend(tree.root().map(|root| Pending::Folder(root, b"/".to_vec())));
    let mut leaves = Vec::new();
    while let Some(next) = flattener.pending.pop() {
        match next {
            Pending::Leaf(path, value) => leaves.push((path, value)),
            Pending::Folder(id, path) => flattener.open(id, &path)?,
        }
    }
    let paths = Bytes::from(flattener.paths);
    for (path, value) in leaves {
        add(paths.slice(path), value);
    }
    Ok(())
}

/// A node that must still be flattened.
enum Pending {
    /// A value, and the range of its path in the paths of all leaves.
    Leaf(Range<usize>, Bytes),
    /// A sequence or mapping, and its path.
    Folder(NodeId, Vec<u8>),
}

struct Flattener<'t> {
    tree: &'t Tree,
    /// Whether each node has been visited.
    seen: Vec<bool>,
    repeated: usize,
    /// The paths of the leaves, one after the other.
    paths: Vec<u8>,
    /// The pending nodes; the next node is last. The list is on the heap, because trees may be
    /// deep.
    pending: Vec<Pending>,
}

impl Flattener<'_> {
    /// Queues the nodes in a sequence or mapping.
    fn open(&mut self, id: NodeId, path: &[u8]) -> Result<(), YamlError> {
        let first = self.pending.len();
        match self.tree.node(id) {
            Node::Scalar(_) => {}
            Node::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.visit(*item, path, index.to_string().as_bytes())?;
                }
            }
            Node::Mapping(entries) => {
                for (key, value) in entries {
                    self.visit(*value, path, key)?;
                }
            }
        }
        self.pending[first..].reverse();
        Ok(())
    }

    /// Queues the node called `name` in `folder`.
    fn visit(&mut self, id: NodeId, folder: &[u8], name: &[u8]) -> Result<(), YamlError> {
        let length = match self.tree.node(id) {
            Node::Scalar(scalar) => {
                let start = self.paths.len();
                append_child(&mut self.paths, folder, name);
                let path = start..self.paths.len();
                self.pending.extend(scalar.value().map(|value| Pending::Leaf(path, value)));
                self.paths.len() - start
            }
            Node::Sequence(_) | Node::Mapping(_) => {
                let mut path = Vec::with_capacity(folder.len() + 1 + name.len());
                append_child(&mut path, folder, name);
                let length = path.len();
                self.pending.push(Pending::Folder(id, path));
                length
            }
        };
        // Only an alias leads to a node a second time.
        if std::mem::replace(&mut self.seen[id.index()], true) {
            self.repeated += COST_OF_A_NODE + length;
            if self.repeated > MAX_REPEATED {
                return Err(YamlError::ExcessiveAliasing);
            }
        }
        Ok(())
    }
}

/// Appends the path of `name` in the clean path `folder`.
fn append_child(out: &mut Vec<u8>, folder: &[u8], name: &[u8]) {
    // The usual case: a name after a slash leaves the path clean.
    if !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') {
        if folder != b"/" {
            out.extend_from_slice(folder);
        }
        out.push(b'/');
        out.extend_from_slice(name);
    } else {
        out.extend_from_slice(&path::join([folder, name]));
    }
}

#[cfg(test)]
mod tests;
