//! Where the pairs come from: one [`Source`] for each store or kind of file.
//!
//! A source answers an [`Interest`], once or for as long as it is followed: each scope with a snapshot of
//! its keys, or with the reason why the store refuses them. A source knows nothing of templates,
//! destinations or schedules. What its answers mean to a template (prefixes, spelling, order) is decided
//! in `store`; a source says only, by [`store::Coverage`], how generously it answers.
//!
//! What every source promises is written once, as the tests of `testing::conformance`, and every source
//! runs all of them.

mod error;
mod refusals;
mod tracked;

#[cfg(feature = "testing")]
pub mod testing;

pub use error::Error;
pub use refusals::{Refusal, Refusals};
pub use tracked::Tracked;

use async_trait::async_trait;
use bytes::Bytes;
use store::{Scope, Snapshot};

/// What is asked of a source, all at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interest {
    /// The sets of keys. Equal ones cost no more than one.
    pub scopes: Vec<Scope>,
}

impl FromIterator<Scope> for Interest {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Interest { scopes: scopes.into_iter().collect() }
    }
}

/// What a source answers to one scope: its pairs, or why the source refuses them.
///
/// A snapshot may hold more than its scope asks for: [`store::View`] decides what a template sees of it.
pub type Answer = Result<Snapshot, Refusal>;

/// A source of keys.
#[async_trait]
pub trait Source: Send + Sync {
    /// Reads one answer for each scope, in the order of the scopes.
    ///
    /// All are as of one revision where the source can promise it, and the source is read once for
    /// all of them where it can. A scope that is refused costs no other scope its answer.
    ///
    /// # Errors
    ///
    /// One [`Error`] for all scopes, if the source cannot answer any of them: it cannot be reached, or
    /// it refuses every scope ([`Error::is_refusal`]).
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error>;

    /// Follows the interest; `None` if this source cannot tell of changes and has to be polled.
    ///
    /// However many scopes there are, one watch follows them all, so that a process asks its source
    /// for each change once.
    ///
    /// # Errors
    ///
    /// The source refuses, or cannot be reached now. A source may also leave that for
    /// [`Watch::next`] to find out.
    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error>;
}

/// An interest that is being followed.
#[async_trait]
pub trait Watch: Send {
    /// The next state of all scopes. The first call gives the state there is. Later calls resolve when
    /// a value in one of the scopes differs from the state given last, when the source begins or ceases
    /// to refuse a scope, and after [`set_interest`](Watch::set_interest). A source does what it can
    /// not to resolve for anything else.
    ///
    /// Nothing is lost between two calls: what happens meanwhile is in the next state, of which
    /// there may be one for many changes. Dropping the future before it resolves loses nothing
    /// either.
    ///
    /// A scope that is refused is asked for again when the interest is set again, not before.
    ///
    /// # Errors
    ///
    /// Why there is no next state now; a source that refuses every scope gives that as an error. The
    /// watch stays usable, also after an error that is not transient: the next call goes on where this
    /// call failed. Waiting in between, so that a source that is down is not asked without end, is for
    /// the caller to do.
    async fn next(&mut self) -> Result<Update, Error>;

    /// Follows `interest` from now on, instead of the interest before. This takes effect in the
    /// following call of [`next`](Watch::next):
    ///
    /// - The following state answers the new interest, in its order. It comes as soon as every scope is
    ///   known or refused, also if nothing has changed.
    /// - A scope that stays keeps its position: the source does not read it again, no change of it is
    ///   lost, and [`Update::changed`] names its keys that changed.
    /// - A scope that is new is read. A scope that the source had refused counts as new, so setting the
    ///   same interest asks for what was refused.
    /// - What no scope asks for any more is not followed any more, and nothing is read for that.
    ///
    /// If a scope is asked for together with others at the source (see each source), what is read may
    /// be a little more than the scope.
    fn set_interest(&mut self, interest: &Interest);
}

/// A state of an interest that is followed.
#[derive(Debug, Clone)]
pub struct Update {
    /// One answer for each scope, in the order of the interest; see [`Source::read`].
    pub answers: Vec<Answer>,
    /// The keys whose values may differ from the state before, as the source spells them. Only keys
    /// of scopes that were answered in the state before are named: the answer of any other scope is new
    /// as a whole. `None` where only a comparison can tell, as it is for the first state.
    pub changed: Option<Vec<Bytes>>,
}
