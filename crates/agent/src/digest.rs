//! Digests of what files hold, so that an old content can be told from a new one without being kept.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::LazyLock,
};

/// The digest of some content. Equal contents have equal digests for as long as the process lives,
/// and in no other process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    /// The digest of this content.
    pub(crate) fn of(content: &[u8]) -> Self {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Digest(KEY.hash_one(content))
    }
}
