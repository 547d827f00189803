//! Makes pairs of a tree: each leaf under the path of the keys and indexes that lead to it.

use bytes::Bytes;
use store::path;

use super::YamlError;
use super::document::{COST_OF_A_NODE, Node, NodeId, Tree};

/// How many bytes of paths the aliases of a document may repeat.
const MAX_REPEATED: usize = 64 << 20;

/// Calls `add` with every pair of the tree. Paths are joined and cleaned, so the key `a/b` makes two
/// levels and `../up` climbs; of pairs with the same path the one that `add` gets last counts, and
/// they come in byte order of the keys of each mapping.
pub(super) fn pairs(tree: &Tree, mut add: impl FnMut(Bytes, Bytes)) -> Result<(), YamlError> {
    let mut seen = vec![false; tree.len()];
    let mut repeated = 0;
    // Nodes still to be flattened, the next one last. A stack of our own: trees may be deep.
    let mut pending: Vec<(NodeId, Vec<u8>)> = Vec::new();
    pending.extend(tree.root().map(|root| (root, b"/".to_vec())));
    while let Some((id, path)) = pending.pop() {
        let first = pending.len();
        match tree.node(id) {
            Node::Scalar(scalar) => {
                if let Some(value) = scalar.value() {
                    add(path.into(), value);
                }
            }
            Node::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    pending.push((*item, child(&path, index.to_string().as_bytes())));
                }
            }
            Node::Mapping(entries) => {
                pending.extend(entries.iter().map(|(key, value)| (*value, child(&path, key))));
            }
        }
        for (id, path) in &pending[first..] {
            // Only an alias leads to a node a second time.
            if std::mem::replace(&mut seen[id.index()], true) {
                repeated += COST_OF_A_NODE + path.len();
            }
        }
        if repeated > MAX_REPEATED {
            return Err(YamlError::ExcessiveAliasing);
        }
        pending[first..].reverse();
    }
    Ok(())
}

/// The path of `name` in the folder `path`.
fn child(path: &[u8], name: &[u8]) -> Vec<u8> {
    path::join([path, name])
}
