//! What must be true for every excerpt of a file.

use report::Excerpt;

/// Panics unless the excerpt consists of a few short, indented lines without control characters.
pub(super) fn check(excerpt: &Excerpt) {
    let text = excerpt.to_string();
    assert!(text.lines().count() <= 5, "{text}");
    for line in text.lines() {
        assert!(line.starts_with("  "), "{text}");
        assert!(line.chars().all(|character| !character.is_control()), "{text:?}");
        assert!(line.chars().count() < 4_000, "{text}");
    }
}
