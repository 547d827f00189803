//! What templates ask for, and what they are answered.
//!
//! A template is rendered in a session over the answers there are. A query that has no answer yet
//! is missing, and its function returns a neutral value, so that the rest of the template can ask
//! for more. The result counts when a session had no missing query.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use catalog::Data;
use foldhash::{HashMap, HashSet};

use crate::secrets::{self, Question};

/// A question of a template. Equal queries share one answer. Clones are cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Query {
    /// The content of the file with this path.
    File(Arc<str>),
    /// Something that Consul knows.
    Consul(Arc<catalog::Query>),
    /// Something that Vault knows.
    Vault(Arc<Question>),
}

impl Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Query::File(path) => write!(f, "file({path})"),
            Query::Consul(query) => query.fmt(f),
            Query::Vault(asked) => asked.fmt(f),
        }
    }
}

/// The newest answers.
#[derive(Default)]
pub(crate) struct Store {
    files: RefCell<HashMap<Arc<str>, Bytes>>,
    consul: RefCell<HashMap<Arc<catalog::Query>, Answer>>,
    vault: RefCell<HashMap<Arc<Question>, secrets::Answer>>,
    /// The number of the last session.
    sessions: Cell<u64>,
}

/// An answer of Consul.
struct Answer {
    data: Data,
    /// The number of the last session that has used it; 0 is none. A session that asks a thousand
    /// times notes this without a search.
    session: Cell<u64>,
}

impl Store {
    /// Sets the content of a file.
    pub(crate) fn set_file(&self, path: Arc<str>, content: Bytes) {
        self.files.borrow_mut().insert(path, content);
    }

    /// Sets the answer of Consul to a query.
    pub(crate) fn set_consul(&self, query: Arc<catalog::Query>, data: Data) {
        self.consul.borrow_mut().insert(query, Answer { data, session: Cell::default() });
    }

    /// Sets the answer of Vault to a question.
    pub(crate) fn set_vault(&self, asked: Arc<Question>, answer: secrets::Answer) {
        self.vault.borrow_mut().insert(asked, answer);
    }

    /// The text of an error without the values of secrets.
    pub(crate) fn redacted(&self, text: String) -> String {
        let values = self.vault.borrow();
        let values = values.values().flat_map(secrets::Answer::values);
        values.fold(text, |text, value| text.replace(&value, "[redacted]"))
    }

    /// Forgets the answer to a query.
    pub(crate) fn forget(&self, query: &Query) {
        match query {
            Query::File(path) => drop(self.files.borrow_mut().remove(path)),
            Query::Consul(query) => drop(self.consul.borrow_mut().remove(query)),
            Query::Vault(asked) => drop(self.vault.borrow_mut().remove(asked)),
        }
    }
}

/// The queries of one execution of a template.
pub(crate) struct Session {
    store: Rc<Store>,
    number: u64,
    used: RefCell<Asked>,
    missing: RefCell<Asked>,
}

/// Queries in the order in which they were asked first.
#[derive(Default)]
struct Asked {
    known: HashSet<Query>,
    order: Vec<Query>,
}

impl Asked {
    fn add(&mut self, query: Query) {
        if self.known.insert(query.clone()) {
            self.order.push(query);
        }
    }
}

impl Session {
    /// A session over the answers of `store`.
    pub(crate) fn new(store: Rc<Store>) -> Session {
        let number = store.sessions.get() + 1;
        store.sessions.set(number);
        Session { store, number, used: RefCell::default(), missing: RefCell::default() }
    }

    /// The content of a file; `None` if it is missing.
    pub(crate) fn file(&self, path: &str) -> Option<Bytes> {
        let files = self.store.files.borrow();
        let (path, content) = match files.get_key_value(path) {
            Some((path, content)) => (Arc::clone(path), Some(content.clone())),
            None => (path.into(), None),
        };
        self.note(Query::File(path), content.is_none());
        content
    }

    /// The answer of Vault to a question; `None` if it is missing.
    pub(crate) fn vault(&self, asked: &Question) -> Option<secrets::Answer> {
        let answers = self.store.vault.borrow();
        let (asked, answer) = match answers.get_key_value(asked) {
            Some((asked, answer)) => (Arc::clone(asked), Some(answer.clone())),
            None => (Arc::new(asked.clone()), None),
        };
        self.note(Query::Vault(asked), answer.is_none());
        answer
    }

    /// The answer of Consul to a query; `None` if it is missing.
    pub(crate) fn consul(&self, query: &catalog::Query) -> Option<Data> {
        let answers = self.store.consul.borrow();
        let Some((query, answer)) = answers.get_key_value(query) else {
            self.note(Query::Consul(Arc::new(query.clone())), true);
            return None;
        };
        if answer.session.replace(self.number) != self.number {
            self.used.borrow_mut().order.push(Query::Consul(Arc::clone(query)));
        }
        Some(answer.data.clone())
    }

    /// Counts a query as missing although it has an answer.
    pub(crate) fn miss(&self, query: &catalog::Query) {
        if self.consul(query).is_some() {
            self.missing.borrow_mut().add(Query::Consul(Arc::new(query.clone())));
        }
    }

    fn note(&self, query: Query, is_missing: bool) {
        if is_missing {
            self.missing.borrow_mut().add(query.clone());
        }
        self.used.borrow_mut().add(query);
    }

    /// All queries, and those without an answer.
    pub(crate) fn finish(self) -> (Vec<Query>, Vec<Query>) {
        (self.used.into_inner().order, self.missing.into_inner().order)
    }
}
