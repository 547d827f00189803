//! Which backends answer a scope, and what each of them is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use source::{Answer, Refusal};
use store::{Key, Scope};

use crate::{Backend, List};

/// What a scope asks of one backend.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) backend: Arc<Backend>,
    /// The keys, as the backend spells them.
    pub(crate) scope: Scope,
    /// The key below which they stand in the scope that asks.
    pub(crate) at: Key,
}

/// A scope and what it asks of each backend, the most important first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) scope: Scope,
    pub(crate) parts: Vec<Part>,
    /// What there is no backend for. That is no reason to ask only for the rest.
    pub(crate) lack: Option<Lack>,
}

/// Why a scope cannot be answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Lack {
    /// It names a backend that there is not.
    Backend(Arc<str>),
    /// No backend of the run has this key: there is no main one, and none is mounted there.
    Mount(Key),
}

impl List {
    /// What `scope` asks of which backends. A scope without keys asks the last of them.
    pub(crate) fn asked(&self, scope: &Scope) -> Asked {
        let keys = scope.clone().of_backends([].into());
        let (mut parts, mut lack) = (Vec::new(), None);
        if scope.backends().is_empty() {
            parts.extend(self.of_run.iter().filter_map(|backend| mounted(backend, &keys)));
            let is_answered = |key: &&Key| {
                let mut mounts = parts.iter().map(|part: &Part| &part.at);
                mounts.any(|mount| below(key, mount).is_some())
            };
            lack = keys.iter().find(|key| !is_answered(key)).cloned().map(Lack::Mount);
        }
        for name in scope.backends().iter() {
            match self.find(name) {
                Some(backend) => {
                    parts.push(Part { backend, scope: keys.clone(), at: Key::root() });
                }
                None => lack = lack.or_else(|| Some(Lack::Backend(Arc::clone(name)))),
            }
        }
        if keys.is_empty() {
            parts.drain(..parts.len().saturating_sub(1));
        }
        Asked { scope: scope.clone(), parts, lack }
    }
}

/// What each backend is asked for, by its name, each scope once.
pub(crate) fn by_backend<'a>(
    asked: impl IntoIterator<Item = &'a Asked>,
) -> BTreeMap<Arc<str>, (Arc<Backend>, BTreeSet<Scope>)> {
    let mut all: BTreeMap<Arc<str>, (Arc<Backend>, BTreeSet<Scope>)> = BTreeMap::new();
    for part in asked.into_iter().flat_map(|asked| &asked.parts) {
        let entry = all.entry(Arc::clone(&part.backend.name));
        let (_, scopes) = entry.or_insert((Arc::clone(&part.backend), BTreeSet::new()));
        scopes.insert(part.scope.clone());
    }
    all
}

/// What `keys` of the key space of the run ask of `backend`; `None` if that is nothing.
fn mounted(backend: &Arc<Backend>, keys: &Scope) -> Option<Part> {
    let at = backend.mount.clone()?;
    let own: Scope = keys.iter().filter_map(|key| below(key, &at)).collect();
    let asks = !own.is_empty() || (keys.is_empty() && at == Key::root());
    asks.then(|| Part { backend: Arc::clone(backend), scope: own, at })
}

/// What `key` means below `mount`: the rest of its path, or everything if the mount is below the key.
fn below(key: &Key, mount: &Key) -> Option<Key> {
    if *mount == Key::root() {
        return Some(key.clone());
    }
    match key.as_bytes().strip_prefix(mount.as_bytes()) {
        Some([]) => Some(Key::root()),
        Some(rest @ [b'/', ..]) => Some(Key::new(rest)),
        _ => {
            let above = mount.as_bytes().strip_prefix(key.as_bytes());
            let is_above = *key == Key::root() || matches!(above, Some([b'/', ..]));
            is_above.then(Key::root)
        }
    }
}

impl Part {
    /// Whether the answer of the backend is that of the scope.
    pub(crate) fn is_whole(&self) -> bool {
        self.at == Key::root()
    }

    /// The key that `own`, a key of the backend, is in the scope.
    pub(crate) fn shown(&self, own: &Bytes) -> Bytes {
        if self.is_whole() {
            return own.clone();
        }
        let slash: &[u8] = if own.starts_with(b"/") { b"" } else { b"/" };
        [self.at.as_bytes(), slash, own].concat().into()
    }

    /// The key of the backend that `shown` is in the scope; `None` if it is not below the mount.
    pub(crate) fn own<'a>(&self, shown: &'a [u8]) -> Option<&'a [u8]> {
        match self.is_whole() {
            true => Some(shown),
            false => shown.strip_prefix(self.at.as_bytes()).filter(|own| own.starts_with(b"/")),
        }
    }
}

impl Asked {
    /// The only part, if its answer is that of the scope.
    pub(crate) fn whole(&self) -> Option<&Part> {
        match &*self.parts {
            [part] if part.is_whole() && self.lack.is_none() => Some(part),
            _ => None,
        }
    }
}

/// The backend that answers all these scopes alone, and what it is asked for.
pub(crate) fn alone(asked: &[Asked]) -> Option<(Arc<Backend>, Vec<Scope>)> {
    let backend = &asked.first()?.whole()?.backend;
    let scope = |one: &Asked| {
        let part = one.whole().filter(|part| part.backend.name == backend.name)?;
        Some(part.scope.clone())
    };
    Some((Arc::clone(backend), asked.iter().map(scope).collect::<Option<_>>()?))
}

/// The answers of a backend to its scopes, as those of the scopes that asked.
pub(crate) fn of_scopes<'a>(
    answers: Vec<Answer>,
    scopes: impl Iterator<Item = &'a Scope>,
) -> Vec<Answer> {
    let answers = answers.into_iter().zip(scopes);
    answers.map(|(answer, scope)| of_scope(answer, scope)).collect()
}

/// The answer of a backend, as that of `scope`.
pub(crate) fn of_scope(answer: Answer, scope: &Scope) -> Answer {
    answer.map_err(|refusal: Refusal| refusal.of_scope(scope.clone()))
}
