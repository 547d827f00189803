//! What one template sees: the part of a snapshot that its resource asked for, under the names it
//! knows them by.
//!
//! A view copies nothing in the normal case: it is a window over the shared snapshot, and what a
//! template costs depends on the keys it uses, not on the keys there are. Only where stripping the
//! prefix does not keep the keys apart and in order (keys outside the prefix, or keys that are no
//! clean paths) the view's own map is built, once.
//!
//! Arguments are taken literally, as confd takes them: `/app/` is not `/app`, and `app` is nothing.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::key::Stripping;
use crate::reads::{Reads, Recorder};
use crate::scope::{Span, Spans, after_all};
use crate::{Key, Pattern, Prefix, Scope, Snapshot, path};

/// One template's part of a snapshot.
#[derive(Debug, Clone)]
pub struct View {
    pairs: Snapshot,
    /// Which keys of `pairs` are visible.
    spans: Spans,
    /// What every visible key of `pairs` begins with and a template does not see; empty for none.
    /// A key that is `base` and nothing else is seen as `/`.
    base: Bytes,
    /// Whether `pairs` are the source's own.
    is_window: bool,
    /// Notes what is asked.
    recorder: Option<Recorder>,
}

/// A key as the template sees it, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The key, without the prefix.
    pub key: Key,
    /// The value, byte for byte as the source has it.
    pub value: Bytes,
}

/// A template asked for a key that is not in its view.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key does not exist: {}", String::from_utf8_lossy(key))]
pub struct NoSuchKey {
    /// The key as the template wrote it.
    pub key: Bytes,
}

impl View {
    /// The view of a resource with these keys (`scope`, prefix included) and this prefix.
    ///
    /// Of two source keys that become the same key, the one that sorts last by its bytes counts.
    pub fn new(snapshot: Snapshot, scope: &Scope, prefix: &Prefix) -> Self {
        let spans = snapshot.coverage().spans(scope);
        match window_base(&snapshot, &spans, prefix) {
            Some(base) => View { pairs: snapshot, spans, base, is_window: true, recorder: None },
            None => View {
                pairs: stripped(&snapshot, &spans, prefix),
                spans: Spans::everything(),
                base: Bytes::new(),
                is_window: false,
                recorder: None,
            },
        }
    }

    /// The same view, which notes what it is asked from now on, and so do its clones.
    #[must_use]
    pub fn recording(self) -> Self {
        View { recorder: Some(Recorder::default()), ..self }
    }

    /// What a [`recording`](Self::recording) view was asked. Of any other it could be anything.
    pub fn reads(&self) -> Reads {
        let base = self.is_window.then(|| self.base.clone());
        match &self.recorder {
            Some(recorder) => recorder.reads(base),
            None => Reads::anything(),
        }
    }

    /// Whether there is no key to see. confd then does not even look whether a pattern is a good one.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Every pair, in byte order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = Pair> {
        self.beginning_with(b"/").map(|pair| self.pair(pair))
    }

    /// The value of exactly this key.
    ///
    /// # Errors
    ///
    /// [`NoSuchKey`]: `key does not exist: <key>`.
    pub fn get(&self, key: &[u8]) -> Result<&Bytes, NoSuchKey> {
        self.find(key).ok_or_else(|| NoSuchKey { key: Bytes::copy_from_slice(key) })
    }

    /// Whether exactly this key exists. A folder of keys is no key.
    pub fn exists(&self, key: &[u8]) -> bool {
        self.find(key).is_some()
    }

    /// The pairs whose whole key matches, in byte order of the keys.
    pub fn gets<'a>(&'a self, pattern: &'a Pattern) -> impl Iterator<Item = Pair> {
        self.matching(pattern).map(|pair| self.pair(pair))
    }

    /// The values of the pairs whose whole key matches, in byte order of the values.
    pub fn getvs(&self, pattern: &Pattern) -> Vec<Bytes> {
        let mut values: Vec<Bytes> =
            self.matching(pattern).map(|(_, value)| value.clone()).collect();
        values.sort_unstable();
        values
    }

    /// The names directly below `folder`, of keys and of folders, in byte order.
    ///
    /// As confd has it: a key lists itself by its own name, also when it is a folder as well
    /// (`ls "/app/"` does not); of the root only keys are listed; and since `folder` is cut off
    /// literally, other spellings give other names (`ls "//app"` gives `app`).
    pub fn ls(&self, folder: &[u8]) -> Vec<Bytes> {
        let mut names = BTreeSet::new();
        if self.exists(folder) {
            names.insert(Bytes::copy_from_slice(path::base(folder)));
        }
        let cleaned = path::clean(folder);
        self.walk_below(&cleaned, is_plain(folder, &cleaned), |key, depth| {
            // In the root's terms, nothing but a key directly below it has the root as its folder.
            let listed = *cleaned != *b"/" || depth == Depth::Child;
            if listed && key.as_bytes() != folder {
                names.insert(name_behind(key, folder));
            }
        });
        names.into_iter().collect()
    }

    /// The names of the folders directly below `folder`, in byte order; none for the root, and none
    /// where keys do not begin with `folder` as it is spelled.
    pub fn lsdir(&self, folder: &[u8]) -> Vec<Bytes> {
        let mut names = BTreeSet::new();
        let cleaned = path::clean(folder);
        if *cleaned == *b"/" {
            return Vec::new();
        }
        self.walk_below(&cleaned, is_plain(folder, &cleaned), |key, depth| {
            if let Depth::Deeper { name } = depth
                && key.as_bytes().starts_with(folder)
            {
                names.insert(Bytes::copy_from_slice(name));
            }
        });
        names.into_iter().collect()
    }

    fn find(&self, key: &[u8]) -> Option<&Bytes> {
        self.find_pair(key).map(|(_, value)| value)
    }

    /// The pair of exactly this key, under its source key.
    fn find_pair(&self, key: &[u8]) -> Option<(&Bytes, &Bytes)> {
        let joined;
        let source_key = match key {
            key if self.base.is_empty() => key,
            b"/" => &self.base,
            [b'/', ..] => {
                joined = [&self.base, key].concat();
                &joined
            }
            _ => return None,
        };
        self.note(|| Span::just(source_key));
        if self.spans.contain(source_key) { self.pairs.get_pair(source_key) } else { None }
    }

    /// The pairs whose whole key matches, in byte order of the keys, under their source keys.
    fn matching<'a>(
        &'a self,
        pattern: &'a Pattern,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> {
        let literal = pattern.as_literal();
        let searched = literal.is_none().then(|| {
            self.beginning_with(pattern.literal_head())
                .filter(|(source_key, _)| pattern.matches(self.seen(source_key)))
        });
        let found = literal.and_then(|literal| self.find_pair(literal));
        found.into_iter().chain(searched.into_iter().flatten())
    }

    /// The pairs whose keys begin with `head` to a template, in byte order of the keys, under
    /// their source keys.
    fn beginning_with<'a>(
        &'a self,
        head: &[u8],
    ) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> + use<'a> {
        // Every key begins with `/`, so an empty head finds no other keys than this one.
        let head = if head.is_empty() { b"/" } else { head };
        let root = match (head, self.base.is_empty()) {
            (b"/", false) => self.find_pair(b"/"),
            _ => None,
        };
        let below = head.starts_with(b"/").then(|| {
            let window = Span::beginning_with(&[&self.base, head].concat());
            self.note(|| window.clone());
            self.range(window)
        });
        root.into_iter().chain(below.into_iter().flatten())
    }

    /// Calls `visit` with the keys below the clean path `folder`, and with how far below they are;
    /// below the root, with the root's own key too. With `skip`, of the keys below a child only the
    /// first is visited, so that the cost follows the children and not all that is below them.
    fn walk_below(&self, folder: &[u8], skip: bool, mut visit: impl FnMut(&Key, Depth<'_>)) {
        let head = match folder {
            b"/" => folder.to_vec(),
            [b'/', ..] => [folder, b"/"].concat(),
            _ => return,
        };
        if let (b"/", true) = (folder, self.exists(b"/")) {
            visit(&Key::root(), Depth::Child);
        }
        let hidden = self.base.len();
        let mut window = Span::beginning_with(&[&self.base, head.as_slice()].concat());
        self.note(|| window.clone());
        'window: loop {
            for (source_key, _) in self.range(window.clone()) {
                let below = &source_key[hidden + head.len()..];
                if below.is_empty() {
                    continue;
                }
                let key = self.key(source_key);
                match below.iter().position(|byte| *byte == b'/') {
                    None => visit(&key, Depth::Child),
                    Some(end) => {
                        visit(&key, Depth::Deeper { name: &below[..end] });
                        let child = &source_key[..=hidden + head.len() + end];
                        if let (true, Some(next)) = (skip, after_all(child)) {
                            window.start = next;
                            continue 'window;
                        }
                    }
                }
            }
            return;
        }
    }

    /// Notes that these source keys are looked for.
    fn note(&self, span: impl FnOnce() -> Span) {
        if let Some(recorder) = &self.recorder {
            recorder.note(span);
        }
    }

    /// The visible pairs in `window`, under their source keys.
    fn range(&self, window: Span) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.spans.within(window).flat_map(|span| self.pairs.range(&span))
    }

    /// The name by which a template knows a visible source key.
    #[inline]
    fn seen<'a>(&self, source_key: &'a [u8]) -> &'a [u8] {
        match &source_key[self.base.len()..] {
            b"" => b"/",
            key => key,
        }
    }

    /// The same as a key.
    #[inline]
    fn key(&self, source_key: &Bytes) -> Key {
        match source_key.slice(self.base.len()..) {
            root if root.is_empty() => Key::root(),
            key => Key::from_clean(key),
        }
    }

    /// A visible pair as a template sees it.
    #[inline]
    fn pair(&self, (source_key, value): (&Bytes, &Bytes)) -> Pair {
        Pair { key: self.key(source_key), value: value.clone() }
    }
}

/// How far a key is below a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth<'a> {
    /// Directly below.
    Child,
    /// Below the child of this name.
    Deeper { name: &'a [u8] },
}

/// The base of a window over `snapshot` that shows the visible keys under their stripped names;
/// none if there is no such window and the names have to be worked out one by one.
fn window_base(snapshot: &Snapshot, spans: &Spans, prefix: &Prefix) -> Option<Bytes> {
    if spans.within(Span::everything()).any(|span| snapshot.has_unclean_in(&span)) {
        return None;
    }
    let (base, itself) = match prefix.stripping() {
        Stripping::Nothing => return Some(Bytes::new()),
        Stripping::Below { base, itself } => (base, itself),
    };
    let below = Span::beginning_with(&[&base, b"/".as_slice()].concat());
    let between = match itself {
        true => Span::just(&base).end,
        false => Some(base.clone()),
    };
    let outside = [
        Some(Span { start: Bytes::new(), end: Some(base.clone()) }),
        between.map(|start| Span { start, end: Some(below.start.clone()) }),
        below.end.map(|start| Span { start, end: None }),
    ];
    let stays =
        |window: Span| spans.within(window).any(|span| snapshot.range(&span).next().is_some());
    if outside.into_iter().flatten().any(stays) { None } else { Some(base) }
}

/// The visible pairs under their stripped names.
fn stripped(snapshot: &Snapshot, spans: &Spans, prefix: &Prefix) -> Snapshot {
    let visible = spans.within(Span::everything()).flat_map(|span| snapshot.range(&span));
    // In byte order of the source keys, so that the last of several with one name counts.
    let pairs = visible.map(|(key, value)| (prefix.strip(key), value.clone()));
    Snapshot::from_pairs(snapshot.coverage(), pairs).at_revision(snapshot.revision())
}

/// Whether `folder` is spelled as its cleaned form, perhaps with a slash behind it. Then all keys
/// below one child have the same name in a listing.
fn is_plain(folder: &[u8], cleaned: &[u8]) -> bool {
    folder == cleaned || folder.strip_suffix(b"/") == Some(cleaned)
}

/// The first part of `key` behind `folder`, which is cut off only if the key begins with its bytes.
fn name_behind(key: &Key, folder: &[u8]) -> Bytes {
    let key = key.as_bytes();
    let rest = key.strip_prefix(folder).unwrap_or(key);
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    Bytes::copy_from_slice(&rest[..end])
}

#[cfg(test)]
mod tests;
