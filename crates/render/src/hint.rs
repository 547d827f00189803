//! What somebody probably meant who named something that does not exist.

use store::{View, path};

use crate::funcs::NO_SUCH_KEY;

/// How many names a hint offers at most.
const OFFERED: usize = 3;

/// Names longer than this are not compared, since it takes time by the square of their lengths.
const LONGEST: usize = 256;

/// `did you mean "…"?` with those of `known` that come nearest to `name`, if any come near.
///
/// Near is what differs by no more than a third of the letters, in their order and whatever
/// their case.
pub(crate) fn did_you_mean<N: AsRef<str>>(
    name: &str,
    known: impl IntoIterator<Item = N>,
) -> Option<String> {
    if name.len() > LONGEST {
        return None;
    }
    let wanted = name.to_lowercase();
    let mut near = (wanted.chars().count() / 3).max(1);
    let mut nearest: Vec<String> = Vec::new();
    for candidate in known {
        let candidate = candidate.as_ref();
        // Each letter more or less is a difference.
        if candidate.len() > LONGEST || candidate.len().abs_diff(name.len()) > 4 * near {
            continue;
        }
        let distance = strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase());
        if distance < near {
            nearest.clear();
            near = distance;
        }
        if distance == near {
            nearest.push(format!("\"{candidate}\""));
        }
    }
    nearest.sort();
    nearest.truncate(OFFERED);
    let last = nearest.pop()?;
    Some(match nearest.as_slice() {
        [] => format!("did you mean {last}?"),
        others => format!("did you mean {} or {last}?", others.join(", ")),
    })
}

/// The key that was probably meant, where `message` is about one that nobody has set: the same
/// one spelled as the store spells keys, else a similar one.
pub(crate) fn near_key(view: &View, message: &[u8]) -> Option<String> {
    let key = missing_key(message)?;
    let proper = path::join([b"/", key.as_bytes()]);
    if view.exists(&proper) {
        return did_you_mean(&String::from_utf8_lossy(&proper), [String::from_utf8_lossy(&proper)]);
    }
    did_you_mean(key, view.iter().map(|pair| pair.key.to_string()))
}

/// The key in the message of an error that is about a key nobody has set.
fn missing_key(message: &[u8]) -> Option<&str> {
    let failure = std::str::from_utf8(message).ok()?.strip_prefix("error calling get")?;
    failure.strip_prefix('v').unwrap_or(failure).strip_prefix(": ")?.strip_prefix(NO_SUCH_KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 7] = ["getv", "gets", "getvs", "get", "json", "toUpper", "trimSuffix"];

    #[test]
    fn the_nearest_names_are_offered() {
        assert_eq!(did_you_mean("toupper", KNOWN).as_deref(), Some("did you mean \"toUpper\"?"));
        assert_eq!(did_you_mean("toJson", KNOWN).as_deref(), Some("did you mean \"json\"?"));
        assert_eq!(
            did_you_mean("trimPrefix", KNOWN).as_deref(),
            Some("did you mean \"trimSuffix\"?")
        );
        assert_eq!(
            did_you_mean("getx", KNOWN).as_deref(),
            Some("did you mean \"get\", \"gets\" or \"getv\"?")
        );
    }

    #[test]
    fn nothing_is_offered_that_is_not_near() {
        assert_eq!(did_you_mean("sha256sum", KNOWN), None);
        assert_eq!(did_you_mean("x", KNOWN), None);
        assert_eq!(did_you_mean(&"get".repeat(1_000_000), KNOWN), None);
    }

    #[test]
    fn many_names_are_looked_through_quickly() {
        let keys: Vec<String> = (0..20_000).map(|n| format!("/services/web/{n}/host")).collect();
        let hint = did_you_mean("/services/web/19999/hots", &keys);
        assert_eq!(hint.as_deref(), Some("did you mean \"/services/web/19999/host\"?"));
    }
}
