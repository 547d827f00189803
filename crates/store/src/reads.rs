//! The questions a template asked its view, from which follows which changes of keys can matter to
//! it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::path;
use crate::scope::{Span, Spans, after_all};

/// The most questions that are kept apart. With more, every key counts as asked for.
const LIMIT: usize = 256;

/// The questions that were asked of a [`View`](crate::View).
///
/// If no key has changed for which [`concern`](Reads::concern) is true, a view of the newer
/// snapshot gives the same answers to the same questions.
#[derive(Debug, Clone)]
pub struct Reads {
    /// The bytes that every key must begin with for the view to be a window. `None` if the view is
    /// not a window: then every change can matter.
    base: Option<Bytes>,
    /// The source keys that were looked for. `None` if there were too many questions.
    asked: Option<Spans>,
}

impl Reads {
    /// Reads for which every change matters.
    pub(crate) fn anything() -> Self {
        Reads { base: None, asked: None }
    }

    /// Whether only `source_key`, and keys below it, were looked for.
    pub fn are_below(&self, source_key: &[u8]) -> bool {
        let Some(asked) = &self.asked else { return false };
        let below = [source_key, b"/"].concat();
        let end = after_all(&below);
        asked.iter().all(|span| {
            *span == Span::just(source_key)
                || span.start.starts_with(&below)
                    && span
                        .end
                        .as_ref()
                        .is_some_and(|last| end.as_ref().is_none_or(|end| last <= end))
        })
    }

    /// Whether a change of `source_key`, which must be in the view's scope, can change an answer.
    /// `false` is certain; `true` means that it can.
    pub fn concern(&self, source_key: &[u8]) -> bool {
        let (Some(base), Some(asked)) = (&self.base, &self.asked) else { return true };
        // With a key of another form, the view would not be a window any more.
        let in_window = source_key.strip_prefix(base.as_ref()).is_some_and(|rest| {
            (base.is_empty() || rest.starts_with(b"/")) && path::is_clean_absolute(source_key)
        });
        !in_window || asked.contain(source_key)
    }
}

/// Records the questions asked of a view and its clones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Questions>>);

#[derive(Debug, Default)]
struct Questions {
    spans: Vec<Span>,
    too_many: bool,
}

impl Recorder {
    pub(crate) fn note(&self, span: impl FnOnce() -> Span) {
        let mut questions = self.questions();
        if questions.too_many {
            return;
        }
        let span = span();
        if questions.spans.last() == Some(&span) {
            return;
        }
        questions.spans.push(span);
        if questions.spans.len() > LIMIT {
            // Many questions can be equal: merge them before counting.
            let merged = Spans::new(std::mem::take(&mut questions.spans));
            questions.spans = merged.iter().cloned().collect();
            questions.too_many = questions.spans.len() > LIMIT / 2;
        }
    }

    /// The questions so far. `base` is the base of the view, if it is a window.
    pub(crate) fn reads(&self, base: Option<Bytes>) -> Reads {
        let questions = self.questions();
        let asked = (!questions.too_many).then(|| Spans::new(questions.spans.clone()));
        Reads { base, asked }
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        // A panic while the lock was held can at most lose the question whose answer was lost with
        // it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Coverage, Pattern, Prefix, Scope, Snapshot, View};

    const KEYS: [&str; 9] =
        ["/p", "/p/a", "/p/a/x", "/p/a/y/z", "/p/ab", "/p/b", "/p/b/c/d", "/p/b-", "/pq"];

    type Question = fn(&View) -> String;

    fn pairs(view: &View, pattern: &[u8]) -> String {
        format!("{:?}", view.gets(&Pattern::new(pattern).unwrap()).collect::<Vec<_>>())
    }

    fn questions() -> Vec<Question> {
        let lines: Vec<Question> = vec![
            |_| String::new(),
            |view| format!("{:?}", view.get(b"/p/a").ok()),
            |view| format!("{:?}", view.get(b"/a").ok()),
            |view| format!("{:?}", view.get(b"a").ok()),
            |view| view.exists(b"/b").to_string(),
            |view| view.exists(b"/p/nope").to_string(),
            |view| view.is_empty().to_string(),
            |view| format!("{:?}", view.iter().collect::<Vec<_>>()),
            |view| pairs(view, b"/p/a*"),
            |view| pairs(view, b"/*"),
            |view| format!("{:?}", view.getvs(&Pattern::new(b"/b/*/d").unwrap())),
            |view| format!("{:?}", view.getvs(&Pattern::new(b"/b").unwrap())),
        ];
        let lists: Vec<Question> = vec![
            |view| format!("{:?}", view.ls(b"/p/a")),
            |view| format!("{:?}", view.ls(b"/b")),
            |view| format!("{:?}", view.ls(b"/")),
            |view| format!("{:?}", view.ls(b"//p")),
            |view| format!("{:?}", view.lsdir(b"/p")),
            |view| format!("{:?}", view.lsdir(b"/")),
            |view| format!("{:?}", view.lsdir(b"/b/")),
        ];
        [lines, lists].concat()
    }

    /// The two possible changes of one key: removed, and set to a new value.
    fn changed(before: &Snapshot, key: &str) -> [Snapshot; 2] {
        let (mut without, mut with) = (before.clone(), before.clone());
        without.remove(key.as_bytes());
        with.insert(key.to_owned(), "new");
        [without, with]
    }

    #[test]
    fn a_change_that_does_not_concern_changes_no_answer() {
        let mut unconcerned = 0;
        let more = ["/", "/p/", "/p//a", "/p/a/new", "/p/c", "/q", "relative", "/p/ab/new"];
        for (coverage, prefix, asked) in [
            (Coverage::Subtree, "", vec!["/p"]),
            (Coverage::Text, "", vec!["/p"]),
            (Coverage::Text, "/p", vec!["/p"]),
            (Coverage::Subtree, "/p", vec!["/p/a", "/p/b"]),
            (Coverage::Subtree, "/p", vec!["/p"]),
            (Coverage::Exact, "", vec!["/"]),
        ] {
            let prefix = Prefix::new(prefix.as_bytes());
            let scope: Scope = asked.iter().map(|key| crate::Key::from(*key)).collect();
            for left_out in KEYS {
                let keys = KEYS.iter().filter(|key| **key != left_out);
                let before = Snapshot::from_pairs(coverage, keys.map(|key| (*key, *key)));
                for (nth, question) in questions().iter().enumerate() {
                    let view = View::new(before.clone(), &scope, &prefix).recording();
                    let answer = question(&view);
                    for key in KEYS.iter().chain(&more) {
                        if view.reads().concern(key.as_bytes()) {
                            continue;
                        }
                        for after in changed(&before, key) {
                            let seen = question(&View::new(after, &scope, &prefix));
                            assert_eq!(seen, answer, "{nth}: {key} in {coverage:?} {prefix}");
                            unconcerned += 1;
                        }
                    }
                }
            }
        }
        assert!(unconcerned > 5_000, "{unconcerned}");
    }

    fn window() -> View {
        let snapshot = Snapshot::from_pairs(Coverage::Subtree, KEYS.map(|key| (key, key)));
        let scope = Scope::from_iter([crate::Key::from("/p")]);
        View::new(snapshot, &scope, &Prefix::default()).recording()
    }

    #[test]
    fn what_was_asked_for_concerns_and_nothing_else() {
        let view = window();
        let copy = view.clone();
        assert!(!view.reads().concern(b"/p/a"));
        copy.exists(b"/p/a");
        view.ls(b"/p/b");
        let reads = view.reads();
        for (key, concerns) in [
            ("/p/a", true),
            ("/p/b/new", true),
            ("/p/b/c/new", true),
            ("/p/b", true),
            ("/p/a/x", false),
            ("/p/b-", false),
        ] {
            assert_eq!(reads.concern(key.as_bytes()), concerns, "{key}");
        }
    }

    #[test]
    fn the_same_question_is_one_and_too_many_are_everything() {
        let view = window();
        for _ in 0..10 * LIMIT {
            view.exists(b"/p/a");
            view.exists(b"/p/b");
        }
        assert!(!view.reads().concern(b"/p/ab"));
        for number in 0..=LIMIT {
            view.exists(format!("/p/{number}").as_bytes());
        }
        assert!(view.reads().concern(b"/p/ab"));
    }

    #[test]
    fn who_does_not_record_may_have_asked_for_everything() {
        let snapshot = Snapshot::from_pairs(Coverage::Subtree, KEYS.map(|key| (key, key)));
        let scope = Scope::from_iter([crate::Key::from("/p")]);
        let view = View::new(snapshot, &scope, &Prefix::default());
        assert!(view.reads().concern(b"/p/a"));
    }
}
