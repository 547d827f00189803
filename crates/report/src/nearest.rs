//! Finds the known names that come nearest to a name that does not exist.

/// The most names in a hint.
const OFFERED: usize = 3;

/// The longest names that are compared: the time of a comparison grows with the square of the
/// length.
const LONGEST: usize = 256;

/// `did you mean "…"?` with the names in `known` that come nearest to `name`. `None` if no name
/// comes near.
///
/// A known name is near if at most a third of its letters differ from `name`, or only one letter. A
/// difference is a missing, additional or replaced letter, or two exchanged neighbours. Case does
/// not count. At most three names are offered, in byte order: `did you mean "get", "gets" or
/// "getv"?`.
pub fn did_you_mean<N: AsRef<str>>(
    name: &str,
    known: impl IntoIterator<Item = N>,
) -> Option<String> {
    offer(nearest(name, known, AsRef::as_ref).iter().map(AsRef::as_ref))
}

/// Like [`did_you_mean`], for names with several spellings. Of each pair in `known`, the first part
/// is compared with `name`, and the second part is offered.
///
/// For callers that ignore some differences, such as `-` and `_`: they remove these differences
/// from `name` and from the first parts.
pub fn did_you_mean_spelled<S: AsRef<str>, N: AsRef<str>>(
    name: &str,
    known: impl IntoIterator<Item = (S, N)>,
) -> Option<String> {
    offer(
        nearest(name, known, |(spelling, _)| spelling.as_ref())
            .iter()
            .map(|(_, name)| name.as_ref()),
    )
}

/// The hint that offers `names`.
fn offer<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut names: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
    names.sort();
    names.dedup();
    names.truncate(OFFERED);
    let last = names.pop()?;
    Some(match names.as_slice() {
        [] => format!("did you mean {last}?"),
        others => format!("did you mean {} or {last}?", others.join(", ")),
    })
}

/// The items of `known` whose spelling comes nearest to `name`; all of them are equally near. Empty
/// if no spelling comes near.
fn nearest<T>(
    name: &str,
    known: impl IntoIterator<Item = T>,
    spelling: impl Fn(&T) -> &str,
) -> Vec<T> {
    if name.len() > LONGEST {
        return Vec::new();
    }
    let wanted = name.to_lowercase();
    let mut near = (wanted.chars().count() / 3).max(1);
    let mut nearest = Vec::new();
    for candidate in known {
        let spelling = spelling(&candidate);
        // Each additional or missing letter is a difference and has at most four bytes.
        if spelling.len() > LONGEST || spelling.len().abs_diff(name.len()) > 4 * near {
            continue;
        }
        let distance = strsim::damerau_levenshtein(&wanted, &spelling.to_lowercase());
        if distance < near {
            nearest.clear();
            near = distance;
        }
        if distance == near {
            nearest.push(candidate);
        }
    }
    nearest
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
    fn a_name_is_compared_by_its_spellings_and_offered_once() {
        let known = [("loglevel", "log-level"), ("loglevels", "log-level"), ("noop", "noop")];
        let hint = |name| did_you_mean_spelled(name, known);
        assert_eq!(hint("LogLevel").as_deref(), Some("did you mean \"log-level\"?"));
        assert_eq!(hint("loglevelx").as_deref(), Some("did you mean \"log-level\"?"));
        assert_eq!(hint("level"), None);
    }

    #[test]
    fn many_names_are_looked_through_quickly() {
        let keys: Vec<String> = (0..20_000).map(|n| format!("/services/web/{n}/host")).collect();
        let hint = did_you_mean("/services/web/19999/hots", &keys);
        assert_eq!(hint.as_deref(), Some("did you mean \"/services/web/19999/host\"?"));
    }
}
