//! The queries of one rendering.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::{Data, Query};

use super::Asks;

/// The newest answers.
pub type Answers = HashMap<Query, Data>;

/// One rendering over the answers there are. It notes which queries were used, and which of them
/// have no answer.
///
/// A copy notes into the same lists.
#[derive(Clone, Debug, Default)]
pub struct Session {
    answers: Arc<Answers>,
    asked: Arc<Mutex<Asked>>,
}

#[derive(Debug, Default)]
struct Asked {
    used: BTreeSet<Query>,
    missing: BTreeSet<Query>,
}

impl Session {
    /// A session over `answers`.
    pub fn new(answers: Arc<Answers>) -> Self {
        Session { answers, asked: Arc::default() }
    }

    /// A session over the same answers, which notes into lists of its own.
    #[must_use]
    pub fn apart(&self) -> Self {
        Session::new(Arc::clone(&self.answers))
    }

    /// The queries that were asked, each once, sorted.
    pub fn used(&self) -> Vec<Query> {
        self.asked().used.iter().cloned().collect()
    }

    /// The queries that have no answer, each once, sorted. With one of them, the output is not
    /// complete.
    pub fn missing(&self) -> Vec<Query> {
        self.asked().missing.iter().cloned().collect()
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asks for Session {
    fn ask(&self, query: &Query) -> Option<Data> {
        let answer = self.answers.get(query).cloned();
        let mut asked = self.asked();
        if !asked.used.contains(query) {
            asked.used.insert(query.clone());
        }
        if answer.is_none() {
            asked.missing.insert(query.clone());
        }
        answer
    }

    fn miss(&self, query: &Query) {
        self.asked().missing.insert(query.clone());
    }
}
