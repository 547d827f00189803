//! Reads and follows an interest in one session.
//!
//! A state is reported when every question is answered and no change was reported since the node was
//! asked for. The server reports a change before it answers what it was asked after the change. So every
//! part of the state is that of the moment of the last answer, and it has all changes of a transaction or
//! none. If nodes change without an end, the state is reported after [`UNSETTLED`].
//!
//! When the connection is lost, everything is read again in a new session.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use source::{Answer, Error, Interest, Refusals, Update, Watch};
use store::{Coverage, Key, Scope, Snapshot};
use tokio::time::Instant;
use tracing::debug;

use crate::connection::Connection;
use crate::ensemble::Ensemble;
use crate::failure::{Code, Failure, not_allowed};
use crate::jute::Malformed;
use crate::message::{Ask, Message, data, names};
use crate::tree::{Found, Tree, ancestors};

/// If the connection is lost within this time, the error is reported before it is opened again.
const SHORT_LIVED: Duration = Duration::from_secs(1);

/// How long nodes may change while they are read, before the state is reported all the same.
const UNSETTLED: Duration = Duration::from_millis(500);

/// The number of questions that wait for their answers at the same time. A server stops reading from
/// its clients when a thousand requests of all of them wait.
const TOGETHER: usize = 500;

/// An interest that is followed.
pub(crate) struct Following {
    ensemble: Arc<Ensemble>,
    interest: Interest,
    refusals: Refusals,
    /// The keys that are asked for and not refused, with their paths.
    wanted: BTreeMap<Key, Bytes>,
    tree: Tree,
    session: Option<Session>,
    /// The last reported pairs of each scope; `None` before the first state.
    reported: Option<BTreeMap<Scope, Snapshot>>,
    /// Whether a state must be reported although no value has changed.
    is_due: bool,
    /// Since when the known state is not settled.
    unsettled: Option<Instant>,
}

/// An open session.
struct Session {
    connection: Connection,
    /// The number of the server.
    server: usize,
    opened: Instant,
    /// The questions without an answer, in their order; `None` for one whose answer means nothing.
    asked: VecDeque<(i32, Option<(Bytes, Ask)>)>,
}

impl Session {
    /// Makes sure that the answers to what is asked from now on are not older than this call.
    fn sync(&mut self, chroot: &str) {
        let path = if chroot.is_empty() { "/" } else { chroot };
        let number = self.connection.sync(path.as_bytes());
        self.asked.push_back((number, None));
    }
}

impl Following {
    pub(crate) fn new(ensemble: Arc<Ensemble>, interest: &Interest) -> Self {
        let tree = Tree::new(&ensemble.chroot);
        let mut following = Following {
            ensemble,
            interest: interest.clone(),
            refusals: Refusals::default(),
            wanted: BTreeMap::new(),
            tree,
            session: None,
            reported: None,
            is_due: true,
            unsettled: None,
        };
        following.want();
        following
    }

    /// Ends the session.
    pub(crate) async fn close(self) {
        if let Some(session) = self.session {
            session.connection.close().await;
        }
    }

    /// Selects the keys that are asked for and not refused. Others are forgotten.
    fn want(&mut self) {
        let chroot = &self.ensemble.chroot;
        let scopes = self.refusals.allowed(&self.interest.scopes);
        let path = |key: &Key| (key.clone(), path(chroot, key));
        self.wanted = scopes.flat_map(Scope::iter).map(path).collect();
        let has_new = self.tree.set_roots(self.wanted.values().cloned().collect());
        match &mut self.session {
            Some(session) if has_new => session.sync(chroot),
            _ => {}
        }
        self.is_due = true;
    }

    /// Whether the known values are a state.
    fn is_current(&self) -> bool {
        if self.wanted.is_empty() {
            return true;
        }
        let Some(session) = &self.session else { return false };
        let is_settled = session.asked.is_empty() && self.tree.is_read();
        let is_long = self.unsettled.is_some_and(|since| since.elapsed() > UNSETTLED);
        is_settled || is_long && self.tree.is_known()
    }

    /// The state to report, if there is one.
    fn update(&mut self) -> Option<Update> {
        self.unsettled = None;
        let scopes = &self.interest.scopes;
        let answers: Vec<Answer> = scopes.iter().map(|scope| self.answer(scope)).collect();
        let now = scopes
            .iter()
            .zip(&answers)
            .filter_map(|(scope, answer)| Some((scope.clone(), answer.as_ref().ok()?.clone())));
        let now: BTreeMap<Scope, Snapshot> = now.collect();
        let changed = self.reported.as_ref().map(|before| {
            let both = now.iter().filter_map(|(scope, now)| Some((scope, now, before.get(scope)?)));
            let changed: BTreeSet<Bytes> =
                both.flat_map(|(scope, now, before)| now.changed_since(before, scope)).collect();
            changed.into_iter().collect::<Vec<_>>()
        });
        if !self.is_due && changed.as_ref().is_none_or(Vec::is_empty) {
            return None;
        }
        (self.reported, self.is_due) = (Some(now), false);
        Some(Update { answers, changed })
    }

    /// The answer to a scope, from what is known.
    fn answer(&self, scope: &Scope) -> Answer {
        let leaves = self.tree.leaves();
        let snapshot = match scope.iter().any(is_pattern) {
            false => leaves.clone(),
            // Here a key stands for another key, so exactly the pairs that it stands for are given.
            true => {
                let meant: Scope = scope.iter().map(without_pattern).collect();
                let is_meant = |(key, _): &(&Bytes, &Bytes)| meant.asks_for(Coverage::Subtree, key);
                let pairs = leaves.iter().filter(is_meant);
                let pairs = pairs.map(|(key, value)| (key.clone(), value.clone()));
                Snapshot::from_pairs(Coverage::Exact, pairs)
            }
        };
        self.refusals.answers(std::slice::from_ref(scope), &snapshot).swap_remove(0)
    }

    /// Opens a session. Everything must be read in it.
    async fn open(&mut self) -> Result<(), Error> {
        let (server, connection) = self.ensemble.connect().await?;
        debug!("zookeeper: following at {}", self.ensemble.address(server));
        let asked = VecDeque::new();
        let mut session = Session { connection, server, opened: Instant::now(), asked };
        session.sync(&self.ensemble.chroot);
        self.session = Some(session);
        self.tree.reset();
        Ok(())
    }

    /// Asks for what must be read, and takes the next message.
    ///
    /// # Errors
    ///
    /// The session is lost.
    async fn advance(&mut self) -> Result<(), Failure> {
        let Some(session) = &mut self.session else { return Ok(()) };
        while session.asked.len() < TOGETHER
            && let Some((path, ask)) = self.tree.next()
        {
            let number = session.connection.ask(ask, &path);
            session.asked.push_back((number, Some((path, ask))));
        }
        let (number, code, body) = match session.connection.next().await? {
            Message::Changed(path) => {
                self.tree.changed(&path);
                self.unsettled = self.unsettled.or_else(|| Some(Instant::now()));
                return Ok(());
            }
            Message::Authenticated(_) | Message::Other => return Ok(()),
            Message::Reply { number, code, body } => (number, code, body),
        };
        let Some((expected, question)) = session.asked.pop_front() else {
            return Err(Failure::malformed());
        };
        if number != expected {
            return Err(Failure::malformed());
        }
        let Some((path, ask)) = question else { return Ok(()) };
        let found = match (code, ask) {
            (Code::OK, Ask::Children) => names(body).map(Found::Children),
            (Code::OK, Ask::Data) => data(body).map(Found::Data),
            (Code::OK, Ask::Exists) => Ok(Found::Exists),
            (Code::NO_NODE, _) => Ok(Found::Nothing),
            (Code::NO_AUTH, _) => {
                let server = session.server;
                self.refuse(&path, server);
                return Ok(());
            }
            (code, _) => return Err(Failure::of_code(code)),
        };
        self.tree.answer(&path, ask, found.map_err(|Malformed| Failure::malformed())?);
        Ok(())
    }

    /// The user may not read a node: the keys at its path and above it are refused.
    fn refuse(&mut self, path: &Bytes, server: usize) {
        let above: BTreeSet<&[u8]> = ancestors(path).collect();
        for (key, root) in &self.wanted {
            if above.contains(&**root) {
                let has_login = self.ensemble.options.login.is_some();
                let error = not_allowed(path, has_login, self.ensemble.address(server));
                self.refusals.add(key.clone(), error.into());
                self.tree.forget(root);
            }
        }
    }

    /// Continues without the refused keys, if there are any.
    ///
    /// # Errors
    ///
    /// Every scope is refused.
    fn without_refused(&mut self, refused_before: usize) -> Result<(), Error> {
        if self.refusals.len() == refused_before {
            return Ok(());
        }
        let was_due = self.is_due;
        let checked = self.refusals.check_any_allowed(&self.interest.scopes);
        self.want();
        // If every scope is refused, the error is the report.
        self.is_due = checked.is_ok() || was_due;
        checked
    }

    /// Ends the session because of a failure.
    ///
    /// # Errors
    ///
    /// It was open for a short time, or the server refuses.
    fn lose(&mut self, failure: Failure) -> Result<(), Error> {
        let Some(session) = self.session.take() else { return Ok(()) };
        self.ensemble.leave(session.server);
        let error = failure.at(self.ensemble.address(session.server));
        debug!("zookeeper: the session is lost: {error}");
        let is_short = session.opened.elapsed() < SHORT_LIVED;
        if is_short || error.is_refusal() { Err(error.into()) } else { Ok(()) }
    }
}

#[async_trait]
impl Watch for Following {
    async fn next(&mut self) -> Result<Update, Error> {
        // All progress is kept in `self` before each wait, because the future may be dropped at
        // every wait.
        loop {
            if self.is_current()
                && let Some(update) = self.update()
            {
                return Ok(update);
            }
            if self.wanted.is_empty() {
                self.session = None;
                return std::future::pending().await;
            }
            if self.session.is_none() {
                self.open().await?;
            }
            let refused = self.refusals.len();
            match self.advance().await {
                Ok(()) => self.without_refused(refused)?,
                Err(failure) => self.lose(failure)?,
            }
        }
    }

    fn set_interest(&mut self, interest: &Interest) {
        self.interest = interest.clone();
        self.refusals.clear();
        self.want();
    }

    fn reread(&mut self) {
        if let Some(session) = &mut self.session {
            session.sync(&self.ensemble.chroot);
            self.tree.reset();
        }
    }
}

/// Whether a key has `/*` in it, which means nothing, as in Go confd.
fn is_pattern(key: &Key) -> bool {
    key.as_bytes().windows(2).any(|two| two == b"/*")
}

/// The key without every `/*`.
fn without_pattern(key: &Key) -> Key {
    let mut rest = key.as_bytes();
    let mut kept = Vec::with_capacity(rest.len());
    while let Some((byte, behind)) = rest.split_first() {
        rest = match rest.strip_prefix(b"/*") {
            Some(behind) => behind,
            None => {
                kept.push(*byte);
                behind
            }
        };
    }
    Key::new(&kept)
}

/// The path of a key at the servers.
fn path(chroot: &str, key: &Key) -> Bytes {
    let key = if is_pattern(key) { without_pattern(key) } else { key.clone() };
    match key.as_bytes() {
        b"/" if !chroot.is_empty() => Bytes::copy_from_slice(chroot.as_bytes()),
        key => [chroot.as_bytes(), key].concat().into(),
    }
}
