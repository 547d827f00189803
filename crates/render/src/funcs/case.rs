//! Simple case mappings: each code point is mapped to one code point.
//!
//! The tables hold every mapping of Unicode 17 above ASCII, as Go 1.27 applies it. `to_uppercase`
//! of the standard library does the full mapping (`ß` to `SS`), which Go does not, and its Unicode
//! version is the compiler's.

mod tables;

/// The code points `first`, `first + step`, … `last`. Each maps to itself plus `delta`.
struct Run {
    first: u32,
    last: u32,
    step: u32,
    delta: i32,
}

const fn run(first: u32, last: u32, step: u32, delta: i32) -> Run {
    Run { first, last, step, delta }
}

/// The upper-case form of `c`, or `c`.
pub fn to_upper(c: char) -> char {
    if c.is_ascii() { c.to_ascii_uppercase() } else { map(&tables::UPPER, c) }
}

/// The lower-case form of `c`, or `c`.
pub fn to_lower(c: char) -> char {
    if c.is_ascii() { c.to_ascii_lowercase() } else { map(&tables::LOWER, c) }
}

fn map(runs: &[Run], c: char) -> char {
    let code = u32::from(c);
    let index = runs.partition_point(|run| run.last < code);
    match runs.get(index) {
        Some(run) if run.first <= code && (code - run.first) % run.step == 0 => {
            code.checked_add_signed(run.delta).and_then(char::from_u32).unwrap_or(c)
        }
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_ordered_and_do_not_overlap() {
        for runs in [&tables::UPPER[..], &tables::LOWER] {
            assert!(runs.iter().all(|run| run.first <= run.last && run.step > 0));
            assert!(runs.is_sorted_by(|a, b| a.last < b.first));
        }
    }

    #[test]
    fn single_mappings_agree_with_the_standard_library() {
        let simple = |mut full: std::char::ToUppercase| (full.next(), full.next());
        for c in ('\u{80}'..'\u{3000}').filter(|&c| c.is_alphabetic()) {
            if let (Some(upper), None) = simple(c.to_uppercase()) {
                assert_eq!(to_upper(c), upper, "{c}");
            }
        }
    }

    #[test]
    fn multiple_mappings_are_not_applied() {
        assert_eq!(['ß', 'ŉ', 'ﬁ', 'ǰ'].map(to_upper), ['ß', 'ŉ', 'ﬁ', 'ǰ']);
        assert_eq!(['ǆ', 'ᾳ', 'µ', 'ſ'].map(to_upper), ['Ǆ', 'ᾼ', 'Μ', 'S']);
        assert_eq!(['İ', 'Σ', 'K', 'ẞ', 'Ǆ'].map(to_lower), ['i', 'σ', 'k', 'ß', 'ǆ']);
    }
}
