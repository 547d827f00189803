//! Guards a listing against deletions that Consul does not report to its blocking query.
//!
//! Consul keeps a tombstone for each deletion, for about 15 minutes, and the index of a listing counts
//! the tombstones below its prefix. A recursive deletion leaves one tombstone, with the deleted
//! prefix. If that is shorter than the listed prefix, the tombstone does not count. All listed keys are
//! gone then, and the index falls back to an earlier tombstone, if there is one. The blocking query
//! waits for a greater index, so it stays silent.
//!
//! So one key of each listing, the guard, has a blocking query of its own. Such a deletion deletes the
//! guard, too, and Consul always reports the deletion of a key that is asked for alone. An answer does
//! not show whether there are tombstones, because a newer pair hides them. Therefore every listing
//! that is followed has a guard. A key that does not exist would be no guard: Consul does not
//! report that a missing key is still missing.

use std::time::Duration;

use bytes::Bytes;

/// The pause before the guard is asked for again. A listing whose keys change all the time then costs
/// few requests more.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A key of a listing, and what its own blocking query waits for.
#[derive(Debug)]
pub(crate) struct Guard {
    key: Bytes,
    /// The index of the last answer.
    index: u64,
    pause: Duration,
}

/// What is known of a guard now.
#[derive(Debug)]
pub(crate) enum State {
    /// It exists. An index beyond that of the listing says that the guard has changed.
    Exists(u64),
    /// It does not exist: the listing must be read again.
    Missing,
}

impl Guard {
    /// Chooses one of the keys, as Consul spells them; `None` if there is none that a URL can spell.
    pub(crate) fn of<'a>(mut keys: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let key = Bytes::copy_from_slice(keys.find(|key| is_plain(key))?);
        Some(Guard { key, index: 0, pause: Duration::ZERO })
    }

    /// The key, as Consul spells it.
    pub(crate) fn key(&self) -> &Bytes {
        &self.key
    }

    /// The index beyond which the next query waits, if the listing was answered at `listed`.
    pub(crate) fn index(&self, listed: u64) -> u64 {
        self.index.max(listed)
    }

    /// The pause before the next query.
    pub(crate) fn pause(&self) -> Duration {
        self.pause
    }

    /// Notes an answer.
    pub(crate) fn answered(&mut self, state: &State) {
        match state {
            State::Exists(index) => (self.index, self.pause) = (*index, PAUSE),
            // If it is still listed, a server is behind, or refuses to show it alone.
            State::Missing => self.failed(),
        }
    }

    /// Notes that there was no answer.
    pub(crate) fn failed(&mut self) {
        self.pause = (self.pause * 2).clamp(PAUSE, LONGEST_PAUSE);
    }
}

/// Whether the key can be the path of a URL: Consul redirects paths with empty names and dots, and
/// refuses spaces at the ends.
fn is_plain(key: &[u8]) -> bool {
    let names = key.strip_suffix(b"/").unwrap_or(key);
    let is_name = |name: &[u8]| !matches!(name, b"" | b"." | b"..");
    names.split(|byte| *byte == b'/').all(is_name) && key.trim_ascii() == key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(keys: &[&'static str]) -> Option<Bytes> {
        Guard::of(keys.iter().map(|key| key.as_bytes())).map(|guard| guard.key)
    }

    #[test]
    fn the_first_key_that_a_url_can_spell_is_the_guard() {
        assert_eq!(chosen(&["/a", "a//b", "a/../b", "a ", "a/.", "a/b", "c"]).unwrap(), "a/b");
        assert_eq!(chosen(&["a/"]).unwrap(), "a/");
        assert_eq!(chosen(&["..", ""]), None);
    }

    #[test]
    fn a_guard_waits_beyond_its_last_answer_and_beyond_the_listing() {
        let mut guard = Guard::of([&b"a"[..]].into_iter()).unwrap();
        assert_eq!((guard.index(7), guard.pause()), (7, Duration::ZERO));
        guard.answered(&State::Exists(9));
        assert_eq!((guard.index(7), guard.index(12), guard.pause()), (9, 12, PAUSE));
    }

    #[test]
    fn pauses_grow_while_a_listed_guard_is_missing_or_not_answered() {
        let mut guard = Guard::of([&b"a"[..]].into_iter()).unwrap();
        guard.answered(&State::Missing);
        assert_eq!(guard.pause(), PAUSE);
        guard.failed();
        assert_eq!(guard.pause(), 2 * PAUSE);
        (0..20).for_each(|_| guard.failed());
        assert_eq!(guard.pause(), LONGEST_PAUSE);
        guard.answered(&State::Exists(1));
        assert_eq!(guard.pause(), PAUSE);
    }
}
