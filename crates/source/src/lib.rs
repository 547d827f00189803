//! Where the pairs come from: one [`Source`] for each store or kind of file.
//!
//! A source turns scopes into snapshots, once or for as long as it is followed, and knows nothing
//! of templates, destinations or schedules. What its answers mean to a template (prefixes, spelling, order) is decided in
//! `store`; a source says only, by [`store::Coverage`], how generously its source answers.
//!
//! What every source promises is written once, as the tests of `testing::conformance`, and every source
//! runs all of them.

mod error;
mod tracked;

#[cfg(feature = "testing")]
pub mod testing;

pub use error::Error;
pub use tracked::Tracked;

use async_trait::async_trait;
use bytes::Bytes;
use store::{Scope, Snapshot};

/// A source of keys.
#[async_trait]
pub trait Source: Send + Sync {
    /// Reads one snapshot for each scope, in the order of the scopes.
    ///
    /// All are as of one revision where the source can promise it, and the source is read once for
    /// all of them where it can. A snapshot may hold more than its scope asks for: what a template
    /// gets to see of it is for [`store::View`] to say.
    ///
    /// # Errors
    ///
    /// One [`Error`] for all scopes: either every snapshot is whole or there is none.
    async fn read(&self, scopes: &[Scope]) -> Result<Vec<Snapshot>, Error>;

    /// Follows the scopes; `None` if this source cannot tell of changes and has to be polled.
    ///
    /// However many scopes there are, one watch follows them all, so that a process asks its source
    /// for each change once.
    ///
    /// # Errors
    ///
    /// The source refuses, or cannot be reached now. A source may also leave that for
    /// [`Watch::next`] to find out.
    async fn watch(&self, scopes: &[Scope]) -> Result<Option<Box<dyn Watch>>, Error>;
}

/// Scopes that are being followed.
#[async_trait]
pub trait Watch: Send {
    /// The next state of all scopes. The first call gives the state there is, later ones resolve
    /// when a value in one of the scopes is another than in the state given last; a source does
    /// what it can not to resolve for anything else.
    ///
    /// Nothing is lost between two calls: what happens meanwhile is in the next state, of which
    /// there may be one for many changes. Dropping the future before it resolves loses nothing
    /// either.
    ///
    /// # Errors
    ///
    /// Why there is no next state now. The watch stays usable, also after an error that is not
    /// transient: the next call goes on where this one failed. Waiting in between, so that a
    /// source that is down is not asked without end, is for the caller to do.
    async fn next(&mut self) -> Result<Update, Error>;
}

/// A state of the scopes that are followed.
#[derive(Debug, Clone)]
pub struct Update {
    /// One snapshot for each scope, in the order of the scopes; see [`Source::read`].
    pub snapshots: Vec<Snapshot>,
    /// The keys whose values may be others than in the state before, as the source spells them.
    /// `None` where only a comparison can tell, as it is for the first state and after a position
    /// in the source's history was lost.
    pub changed: Option<Vec<Bytes>>,
}
