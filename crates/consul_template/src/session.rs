//! What templates ask for, and what they are answered.
//!
//! A template is rendered in a session over the answers there are. A query that has no answer yet
//! is missing, and its function returns a neutral value, so that the rest of the template can ask
//! for more. The result counts when a session had no missing query.

use std::cell::RefCell;
use std::fmt::{self, Display};
use std::rc::Rc;

use bytes::Bytes;

/// A question of a template. Two queries with the same text share one answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Query {
    /// The content of a file.
    File(String),
    /// Something that Consul knows, by its name in the log: `kv.block(a)`.
    Consul(String),
}

impl Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Query::File(path) => write!(f, "file({path})"),
            Query::Consul(name) => f.write_str(name),
        }
    }
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    /// The content of a file.
    Text(Bytes),
}

/// Where answers come from.
pub(crate) trait Answers {
    /// The newest answer to `query`; `None` if there is none yet.
    fn ask(&self, query: &Query) -> Option<Data>;
}

/// The queries of one rendering.
pub(crate) struct Session {
    answers: Rc<dyn Answers>,
    used: RefCell<Vec<Query>>,
    missing: RefCell<Vec<Query>>,
}

impl Session {
    pub(crate) fn new(answers: Rc<dyn Answers>) -> Session {
        Session { answers, used: RefCell::default(), missing: RefCell::default() }
    }

    /// The answer to `query`; `None` if it is missing.
    pub(crate) fn ask(&self, query: Query) -> Option<Data> {
        let answer = self.answers.ask(&query);
        let add = |list: &RefCell<Vec<Query>>| {
            let mut list = list.borrow_mut();
            if !list.contains(&query) {
                list.push(query.clone());
            }
        };
        add(&self.used);
        if answer.is_none() {
            add(&self.missing);
        }
        answer
    }

    /// All queries, and those without an answer.
    pub(crate) fn finish(self) -> (Vec<Query>, Vec<Query>) {
        (self.used.into_inner(), self.missing.into_inner())
    }
}
