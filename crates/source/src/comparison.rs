//! States of a source that knows whole snapshots, and no single changes.

use bytes::Bytes;
use store::Scope;

use crate::{Answer, Update};

/// Makes the states of a watch by comparing the present answers with those of the last state, for
/// implementations of [`Watch`](crate::Watch).
///
/// Snapshots share what they have in common, so a comparison visits only what differs.
#[derive(Debug)]
pub struct Comparison {
    /// The last state; `None` before the first.
    given: Option<(Vec<Scope>, Vec<Answer>)>,
    /// Whether a state must be reported although no value has changed.
    is_due: bool,
}

impl Default for Comparison {
    /// Nothing was reported, and the first state is due.
    fn default() -> Self {
        Comparison { given: None, is_due: true }
    }
}

impl Comparison {
    /// Makes a state due although no value has changed, because the interest was set.
    pub fn set_due(&mut self) {
        self.is_due = true;
    }

    /// Whether a state is due although no value may have changed.
    pub fn is_due(&self) -> bool {
        self.is_due
    }

    /// The next state, with these answers to these scopes; `None` if it would be no news. The state
    /// counts as reported.
    pub fn state(&mut self, scopes: &[Scope], answers: Vec<Answer>) -> Option<Update> {
        let mut has_news = self.is_due;
        let changed = self.given.as_ref().map(|(known, before)| {
            let mut keys: Vec<Bytes> = Vec::new();
            for (scope, answer) in scopes.iter().zip(&answers) {
                let place = known.iter().position(|known| known == scope);
                match (place.map(|place| &before[place]), answer) {
                    (Some(Ok(before)), Ok(now)) => keys.extend(now.changed_since(before, scope)),
                    (Some(Err(_)), Err(_)) => {}
                    _ => has_news = true,
                }
            }
            keys.sort_unstable();
            keys.dedup();
            keys
        });
        has_news |= changed.as_ref().is_none_or(|keys| !keys.is_empty());
        if !has_news {
            return None;
        }
        self.is_due = false;
        self.given = Some((scopes.to_vec(), answers.clone()));
        Some(Update { answers, changed })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::{Coverage, Key, Snapshot};

    use super::*;
    use crate::{Error, Refusal};

    fn scope(key: &str) -> Scope {
        Scope::from_iter([Key::from(key)])
    }

    fn snapshot(pairs: &[(&'static str, &'static str)]) -> Answer {
        Ok(Snapshot::from_pairs(Coverage::Subtree, pairs.iter().copied()))
    }

    #[test]
    fn only_a_difference_in_a_known_scope_is_a_changed_key() {
        let mut comparison = Comparison::default();
        let scopes = [scope("/a"), scope("/b")];
        let one = snapshot(&[("/a", "1"), ("/b", "1"), ("/c", "1")]);
        let first = comparison.state(&scopes[..1], vec![one.clone()]).unwrap();
        assert_eq!(first.changed, None);
        assert!(comparison.state(&scopes[..1], vec![one]).is_none());
        // A change outside of the scope.
        let two = snapshot(&[("/a", "1"), ("/b", "2"), ("/c", "2")]);
        assert!(comparison.state(&scopes[..1], vec![two.clone()]).is_none());
        comparison.set_due();
        let both = comparison.state(&scopes, vec![two.clone(), two]).unwrap();
        assert_eq!(both.changed.unwrap(), [""; 0]);
        let three = snapshot(&[("/b", "3"), ("/c", "2")]);
        let third = comparison.state(&scopes, vec![three.clone(), three]).unwrap();
        assert_eq!(third.changed.unwrap(), ["/a", "/b"]);
    }

    #[test]
    fn a_refusal_that_begins_or_ends_is_news() {
        let mut comparison = Comparison::default();
        let scopes = [scope("/a")];
        let silent = || Error::Unanswered { backend: "main".to_owned() };
        let refused = || vec![Err(Refusal::new(scope("/a"), Arc::new(silent())))];
        let shown = || vec![snapshot(&[("/a", "1")])];
        assert!(comparison.state(&scopes, shown()).is_some());
        assert!(comparison.state(&scopes, refused()).is_some());
        assert!(comparison.state(&scopes, refused()).is_none());
        assert_eq!(comparison.state(&scopes, shown()).unwrap().changed.unwrap(), [""; 0]);
    }
}
