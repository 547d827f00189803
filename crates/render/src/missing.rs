//! The keys that a template asks for by `get` or `getv` and that do not exist.
//!
//! Usually the first such key ends the rendering. If missing keys read as empty, the rendering goes
//! on, and all of them are noted. So one more rendering finds every missing key of a template that
//! has failed, and a template that succeeds pays nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use store::View;

use crate::{hint, secret};

/// The most missing keys that are noted. A template can ask for any number of keys in a loop.
const MOST: usize = 100;

/// The most missing keys that get a hint: each hint compares the key with all keys that exist.
const HINTED: usize = 10;

/// A key that a template asks for and that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingKey {
    /// The key as the template wrote it; a text in its place if the key can contain a value.
    pub text: String,
    /// The key in any case. It can contain a value, which may be a secret.
    pub exact: String,
    /// What was probably meant, or why the key is missing.
    pub hint: Option<String>,
}

/// The keys that a template missed, in the order in which it asked for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// The keys, each once. At most 100.
    pub keys: Vec<MissingKey>,
    /// Whether there are more.
    pub has_more: bool,
}

impl Missed {
    /// The names of the keys, for people. Keys that can contain values are shown only if
    /// `show_values`.
    pub fn names(&self, show_values: bool) -> Vec<String> {
        let name = |key: &MissingKey| if show_values { &key.exact } else { &key.text }.clone();
        let mut names: Vec<_> = self.keys.iter().map(name).collect();
        names.extend(self.has_more.then(|| "other keys".to_owned()));
        names
    }

    /// The lines that list several keys below an error, with their hints.
    pub(crate) fn lines(&self, show_values: bool) -> Vec<String> {
        let more = if self.has_more { "more than " } else { "" };
        let mut lines = vec![format!("{more}{} keys are missing:", self.keys.len())];
        lines.extend(self.keys.iter().map(|MissingKey { text, exact, hint }| {
            let name = if show_values { exact } else { text };
            let hint = hint.as_ref().map_or(String::new(), |hint| format!(": {hint}"));
            format!("  {name}{hint}")
        }));
        lines
    }
}

/// What `get` and `getv` give for a key that does not exist. By default they fail.
///
/// A copy notes into the same list.
#[derive(Clone, Debug, Default)]
pub struct MissingKeys(Option<Arc<Mutex<Noted>>>);

#[derive(Debug, Default)]
struct Noted {
    keys: Vec<Bytes>,
    known: HashSet<Bytes>,
    has_more: bool,
    /// What the renderings that have ended have missed.
    finished: Missed,
}

impl MissingKeys {
    /// A missing key reads as the empty text, and is noted.
    pub fn read_as_empty() -> Self {
        MissingKeys(Some(Arc::default()))
    }

    /// The value that stands for the missing `key`; `None` if there is none.
    pub(crate) fn instead_of(&self, key: &Bytes) -> Option<Bytes> {
        let mut noted = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.known.contains(key) {
            if noted.keys.len() < MOST {
                noted.known.insert(key.clone());
                noted.keys.push(key.clone());
            } else {
                noted.has_more = true;
            }
        }
        Some(Bytes::new())
    }

    /// Says which keys a rendering with `view` has missed. `may_show` says whether a key stands in
    /// the template, and `template` is its text.
    pub(crate) fn finish(
        &self,
        view: &View,
        may_show: impl Fn(&[u8]) -> bool,
        template: impl FnOnce() -> Bytes,
    ) {
        let Some(noted) = &self.0 else { return };
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        let Noted { keys, has_more, .. } = std::mem::take(&mut *noted);
        if keys.is_empty() {
            return;
        }
        let template = template();
        let missing = keys.iter().enumerate().map(|(nth, key)| {
            let is_shown = may_show(key) || secret::may_show_key(key, view, &template);
            let exact = String::from_utf8_lossy(key).into_owned();
            MissingKey {
                text: if is_shown { exact.clone() } else { "a key made of a value".to_owned() },
                exact,
                hint: if nth < HINTED { hint::of_one(view, key, is_shown) } else { None },
            }
        });
        noted.finished = Missed { keys: missing.collect(), has_more };
    }

    /// Takes out what the last rendering has missed.
    pub fn take(&self) -> Missed {
        let take = |noted: &Arc<Mutex<Noted>>| {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut noted.finished)
        };
        self.0.as_ref().map(take).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use world::Host;

    use super::*;
    use crate::queries::Session;
    use crate::testing::{World, view};
    use crate::{Error, Inputs, Limits, Template, Warnings};

    /// What a template gives if missing keys read as empty, and what it has missed.
    fn rendered(template: Result<Template, Error>) -> (String, Missed) {
        let view = view([("/app/name", "shop"), ("/app/secret", "hunter22")]);
        let (host, missing): (Arc<dyn Host>, _) = (Arc::new(World), MissingKeys::read_as_empty());
        let (view, host) = (&view, &host);
        let (warnings, session) = (&Warnings::default(), &Session::default());
        let inputs = Inputs { view, host, warnings, session, missing: &missing, data: None };
        let mut out = Vec::new();
        let result = template.unwrap().render_within(Limits::default(), &inputs, &mut out);
        let text = result.map_or_else(|error| error.to_string(), |()| String::new());
        (String::from_utf8(out).unwrap() + &text, missing.take())
    }

    fn go(source: &str) -> (String, Missed) {
        rendered(Template::compile(Path::new("a"), source.as_bytes()))
    }

    fn tera(source: &str) -> (String, Missed) {
        let (name, folder) = (Path::new("a"), Path::new("/nowhere"));
        rendered(Template::compile_tera(name, source.as_bytes(), folder))
    }

    #[test]
    fn both_languages_note_each_missing_key_once_and_in_order() {
        for (text, missed) in [
            go(
                "{{getv \"/z\"}}-{{getv \"/app/nmae\"}}-{{(get \"/z\").Value}}-{{getv \"/y\" \"d\"}}",
            ),
            tera(
                "{{ getv(key=\"/z\") }}-{{ '/app/nmae' | getv }}-{% set z = get(key='/z') %}{{ z.value }}-\
                 {{ getv(key='/y', default='d') }}",
            ),
        ] {
            assert_eq!(text, "---d");
            assert_eq!(missed.names(false), ["/z", "/app/nmae"]);
            let hints: Vec<_> = missed.keys.iter().map(|key| key.hint.as_deref()).collect();
            assert_eq!(hints, [None, Some("did you mean \"/app/name\"?")]);
        }
    }

    #[test]
    fn an_error_for_another_reason_ends_the_list() {
        let (text, missed) = go("{{getv \"/a\"}}{{atoi (getv \"/b\")}}{{getv \"/c\"}}");
        assert!(text.contains("strconv.Atoi"), "{text}");
        assert_eq!(missed.names(false), ["/a", "/b"]);
    }

    #[test]
    fn a_key_that_is_made_of_a_value_is_shown_only_with_values() {
        let (_, missed) = go("{{getv (printf \"/of/%s\" (getv \"/app/secret\"))}}{{getv \"/b\"}}");
        assert_eq!(missed.names(false), ["a key made of a value", "/b"]);
        assert_eq!(missed.names(true), ["/of/hunter22", "/b"]);
        assert!(!missed.lines(false).concat().contains("hunter"));
    }

    #[test]
    fn a_template_that_misses_very_many_keys_has_a_list_with_an_end() {
        let (_, missed) = go("{{range seq 1 100000}}{{getv (printf \"/a/%d\" .)}}{{end}}");
        assert_eq!((missed.keys.len(), missed.has_more), (MOST, true));
        assert_eq!(missed.lines(false)[0], "more than 100 keys are missing:");
        assert_eq!(missed.names(false).last().map(String::as_str), Some("other keys"));
    }
}
