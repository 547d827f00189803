//! Where the pairs come from: one [`Backend`] a source.
//!
//! A backend turns scopes into snapshots and knows nothing of templates, destinations or
//! schedules. What its answers mean to a template (prefixes, spelling, order) is decided in
//! `store`; a backend says only, by [`store::Coverage`], how generously its source answers.
//!
//! What every backend promises is written once, as the tests of the `conformance` module, and every
//! source runs all of them.

pub mod env;
pub mod error;
pub mod file;

#[cfg(test)]
mod conformance;

pub use env::Env;
pub use error::Error;
pub use file::File;

use async_trait::async_trait;
use store::{Scope, Snapshot};

/// A source of keys.
#[async_trait]
pub trait Backend: Send + Sync {
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
}
