//! Checks the guards of a resource: a file is not replaced if the store gives too little.
//!
//! A guard trips only if the file would change. So a file that is in place, for example because a
//! person put it there with `-force`, causes no failures.

mod format;

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use config::Guards;
use deploy::Before;
use store::{Coverage, Key, View};

/// What is known of a file that is to be replaced.
pub(crate) struct Change<'a> {
    /// What the resource asks for.
    pub(crate) view: &'a View,
    /// What the destination holds.
    pub(crate) before: Before,
    /// The number of keys of which it was made, if that is known.
    pub(crate) keys_before: Option<usize>,
    /// What it is to get; `None` if the template has failed, or if files are only removed.
    pub(crate) content: Option<&'a [u8]>,
    /// The number of files of all items before and after the pass, if some are removed.
    pub(crate) files: Option<(usize, usize)>,
}

impl<'a> Change<'a> {
    /// The change of one file, without what is known from before.
    pub(crate) fn of(view: &'a View, before: Before, content: Option<&'a [u8]>) -> Self {
        Change { view, before, keys_before: None, content, files: None }
    }
}

/// The guards that trip.
pub(crate) struct Tripped {
    /// All of them, in the words of people.
    pub(crate) text: String,
    /// Whether keys are missing, which a store can get later.
    pub(crate) lacks_keys: bool,
}

/// The guards that trip; `None` if all hold.
pub(crate) fn tripped(guards: &Guards, change: &Change<'_>) -> Option<Tripped> {
    let Change { view, before, keys_before, content, files } = change;
    if *before == Before::Same {
        return None;
    }
    let missing: Vec<_> = guards
        .required_keys
        .iter()
        .filter(|key| !is_there(view, key))
        .map(Key::to_string)
        .collect();
    let mut tripped = Vec::new();
    match &missing[..] {
        [] => {}
        [key] => tripped.push(format!("required_keys: {key} is missing")),
        keys => tripped.push(format!("required_keys: {} are missing", keys.join(", "))),
    }
    let keys = match guards.min_keys.is_some() || guards.max_shrink.is_some() {
        true => view.iter().count(),
        false => 0,
    };
    if let Some(least) = guards.min_keys.filter(|least| (keys as u64) < *least) {
        tripped
            .push(format!("min_keys: {}, and {least} are the least", Counted(keys as u64, "key")));
    }
    let lacks_keys = !tripped.is_empty();
    if let (Some(most), Some(before)) = (guards.max_shrink, keys_before) {
        tripped.extend(shrunk(*before as u64, keys as u64, "key", most));
    }
    if let (Some(most), Some((before, now))) = (guards.max_shrink, files) {
        tripped.extend(shrunk(*before as u64, *now as u64, "file", most));
    }
    let Some(content) = content else { return all(&tripped, lacks_keys) };
    let bytes = content.len() as u64;
    if let Some(least) = guards.min_bytes.filter(|least| bytes < *least) {
        tripped.push(format!("min_bytes: {}, and {least} are the least", Counted(bytes, "byte")));
    }
    if let (Some(most), Before::Other { bytes: before }) = (guards.max_shrink, before) {
        tripped.extend(shrunk(*before, bytes, "byte", most));
    }
    tripped.extend(malformed(guards, content));
    all(&tripped, lacks_keys)
}

/// Why a content does not have the format that it must have, for people.
pub(crate) fn malformed(guards: &Guards, content: &[u8]) -> Option<String> {
    let format = guards.output_format?;
    format::check(format, content).err().map(|fault| format!("output_format: {fault}"))
}

fn all(tripped: &[String], lacks_keys: bool) -> Option<Tripped> {
    (!tripped.is_empty()).then(|| Tripped { text: tripped.join("; "), lacks_keys })
}

/// Whether a key exists, or keys below it.
fn is_there(view: &View, key: &Key) -> bool {
    view.iter().any(|pair| Coverage::Subtree.covers(key, pair.key.as_bytes()))
}

/// Says by how much something shrinks, if that is more than `most` per cent.
fn shrunk(before: u64, now: u64, what: &'static str, most: u64) -> Option<String> {
    let lost = before.saturating_sub(now);
    if u128::from(lost) * 100 <= u128::from(before) * u128::from(most) {
        return None;
    }
    let percent = u128::from(lost) * 100 / u128::from(before);
    let (now, before) = (Counted(now, what), Counted(before, what));
    Some(format!("max_shrink: {now} after {before}, {percent}% less, and {most}% are the most"))
}

/// A number of things.
struct Counted(u64, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counted(number, what) = self;
        write!(f, "{number} {what}{}", if *number == 1 { "" } else { "s" })
    }
}

/// The number of keys of which each resource with `max_shrink` was applied last, by the paths of
/// the resource files.
#[derive(Default)]
pub(crate) struct AppliedKeys(Mutex<HashMap<PathBuf, usize>>);

impl AppliedKeys {
    pub(crate) fn of(&self, resource: &Path) -> Option<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(resource).copied()
    }

    pub(crate) fn note(&self, resource: &Path, keys: usize) {
        let mut applied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        applied.insert(resource.to_owned(), keys);
    }
}

#[cfg(test)]
mod tests {
    use store::{Prefix, Scope, Snapshot};

    use super::*;

    fn view(keys: &[&'static str]) -> View {
        let pairs = keys.iter().map(|key| (*key, "v"));
        let scope: Scope = [Key::new(b"/")].into_iter().collect();
        View::new(Snapshot::from_pairs(Coverage::Exact, pairs), &scope, &Prefix::new(b""))
    }

    fn tripped_by(guards: Guards, keys: &[&'static str], content: &[u8]) -> Option<String> {
        let (view, keys_before) = (view(keys), Some(4));
        let before = Before::Other { bytes: 10 };
        let content = Some(content);
        let change = Change { keys_before, ..Change::of(&view, before, content) };
        tripped(&guards, &change).map(|tripped| tripped.text)
    }

    #[test]
    fn a_required_key_exists_or_has_keys_below_it() {
        let required = |names: &[&str]| Guards {
            required_keys: names.iter().map(|name| Key::new(name.as_bytes())).collect(),
            ..Guards::default()
        };
        let keys = ["/a/b", "/ab"];
        assert_eq!(tripped_by(required(&["/a", "/a/b", "/ab", "/"]), &keys, b""), None);
        assert!(tripped_by(required(&["/"]), &[], b"").is_some());
        let one = "required_keys: /a/c is missing";
        assert_eq!(tripped_by(required(&["/a", "/a/c"]), &keys, b"").as_deref(), Some(one));
        let two = "required_keys: /b, /x are missing";
        assert_eq!(tripped_by(required(&["/b", "/x"]), &keys, b"").as_deref(), Some(two));
    }

    #[test]
    fn a_limit_is_kept_to_the_last_key_and_byte() {
        let of = |min_keys, min_bytes| Guards { min_keys, min_bytes, ..Guards::default() };
        assert_eq!(tripped_by(of(Some(2), Some(3)), &["/a", "/b"], b"abc"), None);
        let text = "min_keys: 2 keys, and 3 are the least; min_bytes: 1 byte, and 2 are the least";
        assert_eq!(tripped_by(of(Some(3), Some(2)), &["/a", "/b"], b"a").as_deref(), Some(text));
    }

    #[test]
    fn shrinking_is_measured_in_keys_and_bytes() {
        let of = |most| Guards { max_shrink: Some(most), ..Guards::default() };
        assert_eq!(tripped_by(of(50), &["/a", "/b"], b"12345"), None);
        assert_eq!(tripped_by(of(100), &[], b""), None);
        let text = "max_shrink: 1 key after 4 keys, 75% less, and 50% are the most; \
                    max_shrink: 4 bytes after 10 bytes, 60% less, and 50% are the most";
        assert_eq!(tripped_by(of(50), &["/a"], b"1234").as_deref(), Some(text));
        assert!(tripped_by(of(0), &["/a", "/b", "/c", "/d"], b"123456789").is_some());
        assert_eq!(tripped_by(of(0), &["/a", "/b", "/c", "/d", "/e"], b"1234567890"), None);
    }

    #[test]
    fn nothing_trips_for_a_file_that_stays_as_it_is() {
        let guards = Guards { min_keys: Some(9), ..Guards::default() };
        let nothing = view(&[]);
        let change = Change::of(&nothing, Before::Same, Some(b""));
        assert!(tripped(&guards, &change).is_none());
        assert!(tripped(&guards, &Change { before: Before::Nothing, ..change }).is_some());
    }
}
