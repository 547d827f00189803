//! Backends that are followed: one alone, or several together.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::select_all;
use source::{Answer, Error, Feed, Interest, Pauses, Refusal, State, Update, Watch};
use store::{Scope, Snapshot};
use tokio::time::{Instant, sleep_until};

use crate::{
    Backend, List, Times, merge,
    parts::{self, Asked, alone},
};

/// How long a state waits for backends that have neither answered nor failed so far. After this time
/// they count as backends that refuse.
const PATIENCE: Duration = Duration::from_secs(2);

/// [`Together`] orders the complete readings itself.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// One backend that answers all scopes, or several from the first interest that needs more than one.
pub(crate) enum Following {
    Alone { watch: Box<dyn Watch>, backend: Arc<Backend>, scopes: Vec<Scope> },
    Together(Box<Together>),
}

/// An interest that is followed in the backends that answer it.
pub(crate) struct Followed {
    pub(crate) list: Arc<List>,
    pub(crate) times: Times,
    pub(crate) following: Following,
}

#[async_trait]
impl Watch for Followed {
    async fn next(&mut self) -> Result<Update, Error> {
        match &mut self.following {
            Following::Alone { watch, scopes, .. } => {
                let Update { answers, changed } = watch.next().await?;
                Ok(Update { answers: parts::of_scopes(answers, scopes.iter()), changed })
            }
            Following::Together(together) => Ok(together.next().await),
        }
    }

    fn set_interest(&mut self, interest: &Interest) {
        let asked: Vec<_> = interest.scopes.iter().map(|scope| self.list.asked(scope)).collect();
        match (&mut self.following, alone(&asked)) {
            (Following::Alone { watch, backend, scopes }, Some((same, of_backend)))
                if Arc::ptr_eq(backend, &same) =>
            {
                watch.set_interest(&Interest { scopes: of_backend });
                scopes.clone_from(&interest.scopes);
            }
            (Following::Together(together), _) => together.ask(asked),
            _ => self.following = Following::Together(Together::new(self.times, asked).into()),
        }
    }

    fn reread(&mut self) {
        match &mut self.following {
            Following::Alone { watch, .. } => watch.reread(),
            Following::Together(together) => {
                together.lines.values().for_each(|line| line.feed.reread());
            }
        }
    }
}

/// Several backends that are followed together, each by a feed of its own.
pub(crate) struct Together {
    times: Times,
    scopes: Vec<Known>,
    lines: BTreeMap<Arc<str>, Line>,
    /// When backends that are silent begin to count as backends that refuse.
    patience: Instant,
    /// Whether there is something to report.
    is_due: bool,
    /// The keys that have changed since the last report.
    changed: BTreeSet<Bytes>,
    /// Whether nothing has been reported so far.
    is_first: bool,
}

/// A backend that is followed.
struct Line {
    feed: Feed,
    /// Whether the last thing that it gave was an error.
    has_failed: bool,
}

/// A scope, and what is known of it.
struct Known {
    asked: Asked,
    /// The answers of the backends to its parts. `None` before a backend has answered.
    answers: Vec<Option<Answer>>,
    /// The answer that they make together, if it has been made. The answer of a single backend needs
    /// none.
    whole: Option<Snapshot>,
}

impl Together {
    pub(crate) fn new(times: Times, asked: Vec<Asked>) -> Self {
        let mut together = Together {
            times,
            scopes: Vec::new(),
            lines: BTreeMap::new(),
            patience: Instant::now(),
            is_due: true,
            changed: BTreeSet::new(),
            is_first: true,
        };
        together.ask(asked);
        together
    }

    /// Follows these scopes from now on. What is known of scopes that stay is kept.
    fn ask(&mut self, asked: Vec<Asked>) {
        let mut before: BTreeMap<Scope, Known> =
            self.scopes.drain(..).map(|known| (known.asked.scope.clone(), known)).collect();
        let needed = parts::by_backend(&asked);
        for asked in asked {
            let known = before.remove(&asked.scope).filter(|known| known.asked == asked);
            self.scopes.push(known.unwrap_or_else(|| Known {
                answers: vec![None; asked.parts.len()],
                whole: None,
                asked,
            }));
        }
        self.lines.retain(|name, _| needed.contains_key(name));
        let pauses = Pauses { interval: self.times.interval, reconcile: NEVER };
        for (name, (backend, scopes)) in needed {
            let scopes: Vec<Scope> = scopes.into_iter().collect();
            match self.lines.get_mut(&name) {
                Some(line) => line.feed.set_scopes(scopes),
                None => {
                    let feed = Feed::new(Arc::clone(backend.source()), scopes, pauses);
                    self.lines.insert(name, Line { feed, has_failed: false });
                }
            }
        }
        self.patience = Instant::now() + PATIENCE;
        self.is_due = true;
    }

    /// The next state; see [`Watch::next`]. It is never an error: a scope is refused with the reason of
    /// its backend.
    async fn next(&mut self) -> Update {
        loop {
            let waits = self.scopes.iter().any(Known::waits) && Instant::now() < self.patience;
            if self.is_due && !waits {
                return self.report();
            }
            let patience = self.patience;
            let next = async |(name, line): (&Arc<str>, &mut Line)| {
                (Arc::clone(name), line.feed.next().await)
            };
            let feeds: Vec<_> = self.lines.iter_mut().map(|line| Box::pin(next(line))).collect();
            let any = async {
                match feeds.is_empty() {
                    true => std::future::pending().await,
                    false => select_all(feeds).await.0,
                }
            };
            let (name, given) = tokio::select! {
                given = any => given,
                () = sleep_until(patience), if self.is_due => continue,
            };
            self.take(&name, given);
        }
    }

    /// Notes what a backend has given.
    fn take(&mut self, name: &Arc<str>, given: Result<State, Error>) {
        let Some(line) = self.lines.get_mut(name) else { return };
        let had_failed = std::mem::replace(&mut line.has_failed, given.is_err());
        match given {
            Ok(state) => {
                for known in &mut self.scopes {
                    self.is_due |= known.take(name, &state, &mut self.changed);
                }
            }
            // It has been reported.
            Err(_) if had_failed => {}
            Err(error) => {
                let error = Arc::new(error);
                self.is_due = true;
                for known in &mut self.scopes {
                    known.fail(name, &error);
                }
            }
        }
    }

    fn report(&mut self) -> Update {
        self.is_due = false;
        let answers = self.scopes.iter_mut().map(Known::answer).collect();
        let changed = std::mem::take(&mut self.changed).into_iter().collect();
        let is_first = std::mem::replace(&mut self.is_first, false);
        Update { answers, changed: (!is_first).then_some(changed) }
    }
}

impl Known {
    /// Whether a backend has neither answered nor failed so far.
    fn waits(&self) -> bool {
        self.answers.iter().any(Option::is_none)
    }

    /// Notes a state of the backend `name`. Returns whether that is news, and adds the keys that have
    /// changed.
    fn take(&mut self, name: &str, state: &State, changed: &mut BTreeSet<Bytes>) -> bool {
        let mut is_news = false;
        for nth in 0..self.answers.len() {
            let part = &self.asked.parts[nth];
            if *part.backend.name != *name {
                continue;
            }
            let Some(answer) = state.answer(&part.scope) else { continue };
            let before = self.answers[nth].replace(answer.clone());
            let (before, after) = match (before, answer) {
                (Some(Ok(before)), Ok(after)) => (before, after),
                (before, after) => {
                    is_news |= !(matches!(before, Some(Err(_))) && after.is_err());
                    self.whole = None;
                    continue;
                }
            };
            let keys: Vec<Bytes> = match &state.update.changed {
                Some(keys) => {
                    let is_own = |key: &&Bytes| part.scope.asks_for(after.coverage(), key);
                    keys.iter().filter(is_own).map(|key| part.shown(key)).collect()
                }
                None => {
                    let keys = after.changed_since(&before, &part.scope);
                    keys.iter().map(|key| part.shown(key)).collect()
                }
            };
            let keys = match &mut self.whole {
                Some(whole) => {
                    let snapshots = self.answers.iter().flatten().flatten().cloned();
                    merge::patch(whole, &self.asked, &snapshots.collect::<Vec<_>>(), keys)
                }
                None => keys,
            };
            is_news |= !keys.is_empty();
            changed.extend(keys);
        }
        is_news
    }

    /// Notes that the backend `name` cannot be read.
    fn fail(&mut self, name: &str, error: &Arc<Error>) {
        for (part, answer) in self.asked.parts.iter().zip(&mut self.answers) {
            if *part.backend.name == *name {
                *answer = Some(Err(Refusal::new(part.scope.clone(), Arc::clone(error))));
                self.whole = None;
            }
        }
    }

    fn answer(&mut self) -> Answer {
        if let Some(whole) = &self.whole {
            return Ok(whole.clone());
        }
        let answer = merge::merged(&self.asked, &self.answers)?;
        if self.asked.whole().is_none() {
            self.whole = Some(answer.clone());
        }
        Ok(answer)
    }
}
