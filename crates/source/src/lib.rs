//! Where the pairs come from: one [`Source`] for each store or kind of file.
//!
//! A source answers an [`Interest`], once or for as long as it is followed. For each scope the
//! answer is a snapshot of its keys, or the reason why the store refuses to show them. A source
//! does not know templates, destinations or schedules. `store` decides what the answers mean to a
//! template (prefixes, spelling, order); a source only says, by [`store::Coverage`], which keys a
//! scope stands for.
//!
//! A [`Description`] says how users choose a source, which options it has, and how it is opened.
//!
//! A source can also answer queries, which templates ask while they are rendered: see [`queries`].
//!
//! The promises of every source are the tests of `testing::conformance`. Every source runs all of
//! them.

pub mod backoff;
mod comparison;
mod description;
mod error;
mod feed;
pub mod queries;
mod refusals;
mod tracked;

#[cfg(feature = "testing")]
pub mod testing;

pub use comparison::Comparison;
pub use description::{Changes, Comparable, Configured, Description, Setup};
pub use error::Error;
pub use feed::{Feed, Pauses, State};
pub use nodes::access::Discovery;
pub use refusals::{Refusal, Refusals};
pub use tracked::Tracked;

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use store::{Scope, Snapshot};
use tokio::time::Instant;

/// Everything that is asked of a source at the same time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interest {
    /// The sets of keys. Equal sets cost no more than one set.
    pub scopes: Vec<Scope>,
}

impl FromIterator<Scope> for Interest {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Interest { scopes: scopes.into_iter().collect() }
    }
}

/// The answer of a source to one scope: its pairs, or the reason why the source refuses to show
/// them.
///
/// A snapshot may contain more than its scope asks for: [`store::View`] decides what a template
/// sees.
pub type Answer = Result<Snapshot, Refusal>;

/// A source of keys.
#[async_trait]
pub trait Source: Send + Sync {
    /// Reads one answer for each scope, in the order of the scopes.
    ///
    /// All answers have one revision if the source can promise that, and the source reads them
    /// together if it can. A refused scope does not affect other scopes.
    ///
    /// # Errors
    ///
    /// One [`Error`] for all scopes, if the source cannot answer any of them: it cannot be reached,
    /// or it refuses every scope ([`Error::is_refusal`]).
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error>;

    /// Follows the interest; `None` if this source cannot report changes and must be polled.
    ///
    /// One watch follows all scopes, so a process receives each change once.
    ///
    /// # Errors
    ///
    /// The source refuses, or cannot be reached now. A source may also report this by
    /// [`Watch::next`].
    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error>;

    /// When a source that must be polled has to be read again, if that may be before the end of the
    /// interval: a lease on what it has read ends.
    fn next_reading(&self) -> Option<Instant> {
        None
    }

    /// Whether a file at `path` is one that the source reads its keys from, or would be one. Such a
    /// file can be no destination while the source is followed: each writing would change the keys.
    fn reads_file(&self, path: &Path) -> bool {
        let _ = path;
        false
    }
}

/// An interest that is being followed.
#[async_trait]
pub trait Watch: Send {
    /// Returns the next state of all scopes. The first call returns the present state. Later calls
    /// resolve when a value in one of the scopes differs from the last state, when the source
    /// starts or stops refusing a scope, and after [`set_interest`](Watch::set_interest). A source
    /// avoids resolving for any other reason.
    ///
    /// No change between two calls is lost: it is in the next state. One state may contain many
    /// changes. Dropping the future before it resolves loses nothing either.
    ///
    /// A refused scope is asked for again only when the interest is set again.
    ///
    /// The reason why there is no next state now. A source that refuses every scope returns that as
    /// an error. The watch stays usable, also after an error that is not transient: the next call
    /// continues where this call failed. The caller must wait between calls, so that a source that
    /// is down is not asked without a pause.
    async fn next(&mut self) -> Result<Update, Error>;

    /// Follows `interest` from now on, instead of the interest before. This takes effect in the
    /// following call of [`next`](Watch::next):
    ///
    /// - The next state answers the new interest, in its order. It comes as soon as every scope is
    ///   known or refused, also if no value has changed.
    /// - A scope that stays keeps its position: the source does not read it again, no change of it
    ///   is lost, and [`Update::changed`] names its keys that changed.
    /// - A new scope is read. A scope that the source had refused counts as new, so setting the
    ///   same interest again asks for refused scopes again.
    /// - The answer to a new scope is not older than this call. It may be newer than the answers to
    ///   the scopes that stay, until the next state. Each scope has one revision, where the source
    ///   can promise that.
    /// - Keys that no scope asks for any more are not followed any more, and nothing is read for
    ///   this.
    ///
    /// If the source reads a scope together with others (see each source), it may read a little
    /// more than the scope.
    fn set_interest(&mut self, interest: &Interest);

    /// Reads all followed scopes once more, in case a change was missed. This takes effect in the
    /// following calls of [`next`](Watch::next). What is found is compared with the known state: a
    /// difference gives a state like any other change, and no difference gives none. Requests that
    /// wait for changes stay open if they cost the store something.
    fn reread(&mut self);
}

/// A state of an interest that is followed.
#[derive(Debug, Clone)]
pub struct Update {
    /// One answer for each scope, in the order of the interest; see [`Source::read`].
    pub answers: Vec<Answer>,
    /// The keys whose values may differ from the previous state, as the source spells them. Only
    /// keys of scopes that were answered in the previous state are listed: the answer to any other
    /// scope is completely new. `None` if only a comparison can show the differences, as for the
    /// first state.
    pub changed: Option<Vec<Bytes>>,
}
