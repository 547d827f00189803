//! Digests of file contents, which show whether a content has changed without keeping it.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::LazyLock,
};

/// The digest of a content. Equal contents have equal digests within one process, and different
/// digests in different processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    /// The digest of the contents that have these digests, in this order.
    pub(crate) fn of_all(contents: impl Iterator<Item = Digest>) -> Self {
        let each = contents.map(|content| content.0.to_ne_bytes());
        Digest::of(&each.collect::<Vec<_>>().concat())
    }

    /// The digest of this content.
    pub(crate) fn of(content: &[u8]) -> Self {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Digest(KEY.hash_one(content))
    }
}
