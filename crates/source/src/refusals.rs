//! The keys that a store refuses to show, and their effect on scopes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use store::{Key, Scope, Snapshot};

use crate::{Answer, Error};

/// Why a source does not show the keys of a scope, while it answers other scopes.
///
/// The text is `Cannot read KEYS: REASON`.
#[derive(Debug, Clone)]
pub struct Refusal {
    scope: Scope,
    error: Arc<Error>,
}

impl Refusal {
    /// The refusal of `scope`, for the reason `error`.
    pub fn new(scope: Scope, error: impl Into<Arc<Error>>) -> Self {
        Refusal { scope, error: error.into() }
    }

    /// The same refusal, of a scope that needs what was refused.
    #[must_use]
    pub fn of_scope(self, scope: Scope) -> Self {
        Refusal { scope, ..self }
    }

    /// Whether the same request may succeed later, without a correction by a person.
    pub fn is_transient(&self) -> bool {
        self.error.is_transient() && !self.error.is_refusal()
    }

    /// The refused scope. Perhaps only one of its keys is refused.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.scope.iter().map(Key::to_string).collect();
        write!(f, "Cannot read {}: {}", keys.join(", "), self.error)
    }
}

impl std::error::Error for Refusal {}

/// The refused keys of a store, for implementations of sources.
///
/// A scope is refused if one of its keys is refused, because a template must not see a part of its
/// keys as if it were the whole.
#[derive(Debug, Default)]
pub struct Refusals(BTreeMap<Key, Arc<Error>>);

impl Refusals {
    /// Records that the store refuses to show `key`.
    pub fn add(&mut self, key: Key, error: Error) {
        self.add_shared(key, Arc::new(error));
    }

    /// Records that the store refuses to show `key`, with an error that other keys have too.
    pub fn add_shared(&mut self, key: Key, error: Arc<Error>) {
        self.0.insert(key, error);
    }

    /// Forgets all refusals, so that every key is asked for again.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether no key was refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of refused keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The scopes without a refused key, in their order.
    pub fn allowed<'a>(&'a self, scopes: &'a [Scope]) -> impl Iterator<Item = &'a Scope> {
        scopes.iter().filter(|scope| self.of(scope).is_none())
    }

    /// Checks that at least one scope has no refused key. If there is none, all refusals are
    /// forgotten, so that the keys are asked for again.
    ///
    /// # Errors
    ///
    /// Every scope has a refused key. The error is the reason for one of them. If states or several keys
    /// share each of the reasons, there is no error, and the refusals stay: each answer is one.
    pub fn check_any_allowed(&mut self, scopes: &[Scope]) -> Result<(), Error> {
        if self.is_empty() || self.allowed(scopes).next().is_some() {
            return Ok(());
        }
        let is_own = |(_, error): &(&Key, &Arc<Error>)| Arc::strong_count(error) == 1;
        let own = self.0.iter().find(is_own).map(|(key, _)| key.clone());
        match own.and_then(|key| self.0.remove(&key)).and_then(Arc::into_inner) {
            Some(error) => {
                self.clear();
                Err(error)
            }
            None => Ok(()),
        }
    }

    /// The answer to each scope: `snapshot`, or the reason for its refusal.
    pub fn answers(&self, scopes: &[Scope], snapshot: &Snapshot) -> Vec<Answer> {
        let answer = |scope: &Scope| match self.of(scope) {
            None => Ok(snapshot.clone()),
            Some(error) => Err(Refusal::new(scope.clone(), Arc::clone(error))),
        };
        scopes.iter().map(answer).collect()
    }

    /// The reason why `scope` is refused; `None` if it is not.
    fn of(&self, scope: &Scope) -> Option<&Arc<Error>> {
        if self.is_empty() { None } else { scope.iter().find_map(|key| self.0.get(key)) }
    }
}

#[cfg(test)]
mod tests {
    use store::Coverage;

    use super::*;

    fn scope(keys: &[&str]) -> Scope {
        keys.iter().map(|key| Key::from(*key)).collect()
    }

    fn forbidden(reason: &str) -> Error {
        let reason = nodes::Cause::new(reason);
        nodes::Error::Refused { store: "etcd", node: "n1".into(), reason }.into()
    }

    #[test]
    fn only_scopes_with_a_refused_key_are_refused() {
        let mut refusals = Refusals::default();
        let scopes = [scope(&["/a"]), scope(&["/b", "/a/x"]), scope(&[])];
        refusals.add(Key::from("/b"), forbidden("no"));
        let answers = refusals.answers(&scopes, &Snapshot::new(Coverage::Subtree));
        let refusal = answers[1].as_ref().unwrap_err();
        assert_eq!(refusal.to_string(), "Cannot read /a/x, /b: etcd at n1 refused: no");
        assert_eq!(refusal.scope(), &scopes[1]);
        assert!(answers[0].is_ok() && answers[2].is_ok());
        assert_eq!(refusals.allowed(&scopes).count(), 2);
        refusals.check_any_allowed(&scopes).unwrap();
    }

    #[test]
    fn if_every_scope_is_refused_there_is_an_error_and_all_are_asked_for_again() {
        let mut refusals = Refusals::default();
        let scopes = [scope(&["/b"]), scope(&["/a"])];
        refusals.add(Key::from("/a"), forbidden("no a"));
        refusals.add(Key::from("/b"), forbidden("no b"));
        let error = refusals.check_any_allowed(&scopes).unwrap_err();
        assert!(error.is_refusal());
        assert_eq!(error.to_string(), "etcd at n1 refused: no a");
        assert!(refusals.is_empty());
        refusals.check_any_allowed(&scopes).unwrap();
    }

    #[test]
    fn if_a_shared_reason_refuses_every_scope_each_answer_is_a_refusal() {
        let mut refusals = Refusals::default();
        let scopes = [scope(&["/a"]), scope(&["/a/b"])];
        let shared = Arc::new(forbidden("no"));
        for key in ["/a", "/a/b"] {
            refusals.add_shared(Key::from(key), Arc::clone(&shared));
        }
        refusals.check_any_allowed(&scopes).unwrap();
        let answers = refusals.answers(&scopes, &Snapshot::new(Coverage::Subtree));
        assert!(answers.iter().all(Result::is_err));
    }
}
