//! Views: the part of a snapshot that one template sees, under the names that the template uses.
//!
//! A view is usually a window on the shared snapshot and copies nothing: the cost of a template
//! depends on the keys it uses and not on the number of keys. The view builds a map of its own only
//! if stripping the prefix does not keep the keys distinct and in order, which is the case for keys
//! outside of the prefix and for keys that are not clean paths.
//!
//! The arguments of all functions are taken literally, as in confd: `/app/` is a different key from
//! `/app`, and no key is called `app`.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::key::Stripping;
use crate::reads::{Reads, Recorder};
use crate::scope::{Span, Spans, after_all};
use crate::{Coverage, Item, ItemPattern, Key, Pattern, Prefix, Scope, Snapshot, path};

/// The part of a snapshot that one template sees.
#[derive(Debug, Clone)]
pub struct View {
    pairs: Snapshot,
    /// The keys that the resource asks for.
    scope: Scope,
    /// The keys of `pairs` that are visible.
    spans: Spans,
    /// The bytes that begin every visible key of `pairs` and are hidden from the template; empty
    /// for none. The key that equals `base` is shown as `/`.
    base: Bytes,
    /// Whether `pairs` are the source's own pairs.
    is_window: bool,
    /// The prefix of the resource.
    prefix: Prefix,
    /// Records the questions that are asked, if [`View::recording`] turned that on.
    recorder: Option<Recorder>,
    /// If this is the view of an item: which one.
    of: Option<Box<OfItem>>,
}

/// The item of a view, and the view of the whole resource.
#[derive(Debug, Clone)]
struct OfItem {
    item: Item,
    whole: View,
}

/// A key as the template sees it, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The key, without the prefix.
    pub key: Key,
    /// The value, byte for byte as the source has it.
    pub value: Bytes,
}

/// A template asked for a key that its view does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key does not exist: {}", String::from_utf8_lossy(key))]
pub struct NoSuchKey {
    /// The key as the template wrote it.
    pub key: Bytes,
}

/// A view does not know what a source's key is to its template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

impl View {
    /// The view of a resource: `scope` is the set of its keys with the prefix, and `prefix` is
    /// stripped.
    ///
    /// If two source keys become one key, the value of the one that sorts last by its bytes counts.
    pub fn new(snapshot: Snapshot, scope: &Scope, prefix: &Prefix) -> Self {
        let spans = snapshot.coverage().spans(scope);
        let (scope, recorder, base) = (scope.clone(), None, window_base(&snapshot, &spans, prefix));
        let is_window = base.is_some();
        let (pairs, spans) = match is_window {
            true => (snapshot, spans),
            false => (stripped(&snapshot, &spans, prefix), Spans::everything()),
        };
        let (base, prefix) = (base.unwrap_or_default(), prefix.clone());
        View { pairs, scope, spans, base, is_window, prefix, recorder, of: None }
    }

    /// The items that `pattern` finds among the keys, in byte order of their paths.
    pub fn items(&self, pattern: &ItemPattern) -> Vec<Item> {
        let keys = self.beginning_with(pattern.folder().as_bytes());
        pattern.items_of(keys.map(|(source_key, _)| self.seen(source_key)))
    }

    /// The item of `pattern` that the source's key belongs to, if the view shows that key. A view that
    /// shows keys under other names than by cutting off the prefix does not know it.
    ///
    /// # Errors
    /// The view does not know it.
    pub fn item_of(
        &self,
        pattern: &ItemPattern,
        source_key: &[u8],
    ) -> Result<Option<Item>, Unknown> {
        if !self.is_window || !path::is_clean_absolute(source_key) {
            return Err(Unknown);
        }
        if !self.is_below(source_key) {
            return Ok(None);
        }
        Ok(pattern.item_of(self.seen(source_key)))
    }

    /// The view of the template of `item`: its keys are those below the item, and the item itself is
    /// shown as `/`. A key that is written with two slashes is one of this view, which is that of the
    /// whole resource: `//shared/x` is `/shared/x` here.
    ///
    /// An item that is not a path has the same keys as the resource.
    #[must_use]
    pub fn of_item(&self, item: &Item) -> Self {
        View {
            base: [&*self.base, &item.key].concat().into(),
            prefix: Prefix::new(self.prefix.join(&item.key).as_bytes()),
            of: Some(Box::new(OfItem { item: item.clone(), whole: self.clone() })),
            ..self.clone()
        }
    }

    /// The item whose view this is; `None` if it is that of a whole resource.
    pub fn item(&self) -> Option<&Item> {
        self.of.as_ref().map(|of| &of.item)
    }

    /// The view of the whole resource.
    pub fn whole(&self) -> &View {
        self.of.as_ref().map_or(self, |of| &of.whole)
    }

    /// The key of the item of this view, as the source spells it.
    pub fn source_key(&self) -> &[u8] {
        &self.base
    }

    /// Whether `source_key` is the item of this view, or below it.
    pub fn is_below(&self, source_key: &[u8]) -> bool {
        let rest = source_key.strip_prefix(&self.base[..]);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }

    /// The view of the whole resource and what of `text` is meant there, if `text` is a key, or the
    /// beginning of keys, that is written with two slashes in the template of an item.
    fn whole_for<'a, 't>(&'a self, text: &'t [u8]) -> Option<(&'a View, &'t [u8])> {
        let whole = &self.of.as_ref()?.whole;
        text.starts_with(b"//").then(|| (whole, &text[1..]))
    }

    /// The same view, which from now on records the questions asked of it and its clones.
    #[must_use]
    pub fn recording(self) -> Self {
        let recorder = Some(Recorder::default());
        let of = self.of.map(|of| {
            let whole = View { recorder: recorder.clone(), ..of.whole };
            Box::new(OfItem { whole, ..*of })
        });
        View { recorder, of, ..self }
    }

    /// The questions that a [`recording`](Self::recording) view was asked. A view that does not
    /// record answers as if it had been asked everything.
    pub fn reads(&self) -> Reads {
        // Both views of an item show a window on the same keys.
        let base = self.of.as_ref().map_or(&self.base, |of| &of.whole.base);
        let base = self.is_window.then(|| base.clone());
        match &self.recorder {
            Some(recorder) => recorder.reads(base),
            None => Reads::anything(),
        }
    }

    /// Whether there are no keys. confd then does not even check whether a pattern is well-formed.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// All pairs, in byte order of the keys.
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

    /// Whether the resource asks for this key of the template. If the keys are shown under other
    /// names, that cannot be known, and the answer is yes.
    pub fn asks_for(&self, key: &[u8]) -> bool {
        if let Some((whole, key)) = self.whole_for(key) {
            return whole.asks_for(key);
        }
        let coverage = match self.pairs.coverage() {
            // Such a source finds by the beginning of a name what belongs to a key.
            Coverage::Exact => Coverage::Text,
            coverage => coverage,
        };
        let whole = [&self.base, &*path::clean(key)].concat();
        !self.is_window || self.scope.asks_for(coverage, &whole)
    }

    /// Whether the resource asks for no key at all.
    pub fn asks_for_nothing(&self) -> bool {
        self.scope.is_empty()
    }

    /// The keys that the resource asks for, with the prefix.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The prefix that is stripped.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// The name that the source has for this key of the template, for people. `None` if its names
    /// are the keys.
    pub fn name_of(&self, key: &[u8]) -> Option<String> {
        if let Some((whole, key)) = self.whole_for(key) {
            return whole.name_of(key);
        }
        self.pairs.name_of(&self.prefix.join(key))
    }

    /// Which of its store's keys the source shows, for people. `None` if it shows all.
    pub fn advice(&self) -> Option<&'static str> {
        self.pairs.advice()
    }

    /// Whether exactly this key exists. A folder of keys is not a key.
    pub fn exists(&self, key: &[u8]) -> bool {
        self.find(key).is_some()
    }

    /// The pairs whose whole key matches `pattern`, in byte order of the keys.
    pub fn gets<'a>(&'a self, pattern: &'a Pattern) -> impl Iterator<Item = Pair> {
        let shown_by = self.whole_for(pattern.literal_head()).map_or(self, |(whole, _)| whole);
        self.matching(pattern).map(|pair| shown_by.pair(pair))
    }

    /// The values of the pairs whose whole key matches `pattern`, in byte order of the values.
    pub fn getvs(&self, pattern: &Pattern) -> Vec<Bytes> {
        let mut values: Vec<Bytes> =
            self.matching(pattern).map(|(_, value)| value.clone()).collect();
        values.sort_unstable();
        values
    }

    /// The names of the keys and folders directly below `folder`, in byte order.
    ///
    /// The details are confd's. A key lists itself by its own name, also if it is a folder too (but
    /// `ls "/app/"` does not). Below the root only keys are listed. `folder` is cut off literally,
    /// so other spellings give other names (`ls "//app"` gives `app`).
    pub fn ls(&self, folder: &[u8]) -> Vec<Bytes> {
        if let Some((whole, folder)) = self.whole_for(folder) {
            return whole.ls(folder);
        }
        let mut names = BTreeSet::new();
        if self.exists(folder) {
            names.insert(Bytes::copy_from_slice(path::base(folder)));
        }
        let cleaned = path::clean(folder);
        self.walk_below(&cleaned, is_plain(folder, &cleaned), |key, depth| {
            // Only a key directly below the root has the root as its folder.
            let listed = *cleaned != *b"/" || depth == Depth::Child;
            if listed && key.as_bytes() != folder {
                names.insert(name_behind(key, folder));
            }
        });
        names.into_iter().collect()
    }

    /// The names of the folders directly below `folder`, in byte order. None for the root, and none
    /// if no key begins with `folder` as it is spelled.
    pub fn lsdir(&self, folder: &[u8]) -> Vec<Bytes> {
        if let Some((whole, folder)) = self.whole_for(folder) {
            return whole.lsdir(folder);
        }
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

    /// The pair of exactly this key; its key is the source's.
    fn find_pair(&self, key: &[u8]) -> Option<(&Bytes, &Bytes)> {
        if let Some((whole, key)) = self.whole_for(key) {
            return whole.find_pair(key);
        }
        let joined;
        let source_key = match key {
            key if self.base.is_empty() => key,
            // The key that equals the base is the template's root.
            b"/" => &self.base,
            [b'/', ..] => {
                joined = [&self.base, key].concat();
                &joined
            }
            // No key of a window has another beginning.
            _ => return None,
        };
        self.note(|| Span::just(source_key));
        if self.spans.contain(source_key) { self.pairs.get_pair(source_key) } else { None }
    }

    /// The pairs whose whole key matches `pattern`, in byte order of the keys; their keys are the
    /// source's.
    fn matching<'a>(
        &'a self,
        pattern: &'a Pattern,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> {
        let literal = pattern.as_literal();
        let head = pattern.literal_head();
        let (view, head, slash) = match self.whole_for(head) {
            Some((whole, head)) => (whole, head, b"/".as_slice()),
            None => (self, head, b"".as_slice()),
        };
        let searched = literal.is_none().then(|| {
            view.beginning_with(head).filter(move |(source_key, _)| match slash {
                b"" => pattern.matches(view.seen(source_key)),
                slash => pattern.matches(&[slash, view.seen(source_key)].concat()),
            })
        });
        // A pattern without special characters is looked up like a key, without a search.
        let found = literal.and_then(|literal| self.find_pair(literal));
        found.into_iter().chain(searched.into_iter().flatten())
    }

    /// The pairs whose keys, as the template sees them, begin with `head`, in byte order of the
    /// keys; their keys are the source's.
    fn beginning_with<'a>(
        &'a self,
        head: &[u8],
    ) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> + use<'a> {
        // Every key begins with `/`, so an empty head finds the same keys.
        let head = if head.is_empty() { b"/" } else { head };
        // The base itself is shown as `/`, but does not begin with the base and a slash.
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

    /// Calls `visit` with each key below the clean path `folder` and with its depth; below the root
    /// also with the root's own key. With `skip`, only the first key below each child is visited,
    /// so that the cost depends on the number of children and not on the number of keys below them.
    fn walk_below(&self, folder: &[u8], skip: bool, mut visit: impl FnMut(&Key, Depth<'_>)) {
        let head = match folder {
            b"/" => folder.to_vec(),
            [b'/', ..] => [folder, b"/"].concat(),
            _ => return,
        };
        // The root key has no path element of its own, so the search below does not find it.
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
                        // All other keys below this child give the same name: the search goes on
                        // behind them.
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

    /// Records that these source keys are looked for.
    fn note(&self, span: impl FnOnce() -> Span) {
        if let Some(recorder) = &self.recorder {
            recorder.note(span);
        }
    }

    /// The visible pairs in `window`; their keys are the source's.
    fn range(&self, window: Span) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.spans.within(window).flat_map(|span| self.pairs.range(&span))
    }

    /// A visible source key as the template sees it.
    #[inline]
    fn seen<'a>(&self, source_key: &'a [u8]) -> &'a [u8] {
        match &source_key[self.base.len()..] {
            b"" => b"/",
            key => key,
        }
    }

    /// A visible source key as the template sees it, as a [`Key`].
    #[inline]
    fn key(&self, source_key: &Bytes) -> Key {
        match source_key.slice(self.base.len()..) {
            root if root.is_empty() => Key::root(),
            key => Key::from_clean(key),
        }
    }

    /// A visible pair as the template sees it.
    #[inline]
    fn pair(&self, (source_key, value): (&Bytes, &Bytes)) -> Pair {
        Pair { key: self.key(source_key), value: value.clone() }
    }
}

/// The depth of a key below a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth<'a> {
    /// Directly below.
    Child,
    /// Below the child of this name.
    Deeper { name: &'a [u8] },
}

/// The base of a window on `snapshot` that shows the visible keys with the prefix stripped. `None`
/// if a window cannot show that, so that each key has to be stripped.
fn window_base(snapshot: &Snapshot, spans: &Spans, prefix: &Prefix) -> Option<Bytes> {
    // Unclean keys can become equal or change their order when they are cleaned.
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
    // A key outside of the base would keep its whole name, which a window cannot show.
    let outside = [
        Some(Span { start: Bytes::new(), end: Some(base.clone()) }),
        between.map(|start| Span { start, end: Some(below.start.clone()) }),
        below.end.map(|start| Span { start, end: None }),
    ];
    let stays =
        |window: Span| spans.within(window).any(|span| snapshot.range(&span).next().is_some());
    if outside.into_iter().flatten().any(stays) { None } else { Some(base) }
}

/// The visible pairs with the prefix stripped.
fn stripped(snapshot: &Snapshot, spans: &Spans, prefix: &Prefix) -> Snapshot {
    let visible = spans.within(Span::everything()).flat_map(|span| snapshot.range(&span));
    // In byte order of the source keys, so that of several with one stripped name the last counts.
    let pairs = visible.map(|(key, value)| (prefix.strip(key), value.clone()));
    snapshot.with_pairs(pairs)
}

/// Whether `folder` is spelled as its cleaned form, with or without a slash at the end. Then all
/// keys below one child give the same name in a listing.
fn is_plain(folder: &[u8], cleaned: &[u8]) -> bool {
    folder == cleaned || folder.strip_suffix(b"/") == Some(cleaned)
}

/// The first path element of `key` behind `folder`. `folder` is cut off only if the key begins with
/// its bytes.
fn name_behind(key: &Key, folder: &[u8]) -> Bytes {
    let key = key.as_bytes();
    let rest = key.strip_prefix(folder).unwrap_or(key);
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    Bytes::copy_from_slice(&rest[..end])
}

#[cfg(test)]
mod tests;
