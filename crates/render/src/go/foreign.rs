//! Templates in Tera's language that are taken for templates in Go's.

/// What to do with a Go template that is written in Tera's language.
pub const WRITTEN_IN_TERA: &str =
    "{% … %} is Tera's: engine = \"tera\", or a src that ends in .tera";

/// The words with which tags of Tera begin.
const WORDS: [&str; 12] = [
    "if", "elif", "else", "endif", "for", "endfor", "set", "block", "endblock", "extends",
    "include", "raw",
];

/// The most bytes of a tag that are looked at.
const LONGEST: usize = 1000;

/// Whether a template, which is rendered as one in Go's language, is probably written in Tera's. In
/// Go's language it would be text without any action.
pub fn is_probably_tera(source: &[u8]) -> bool {
    !source.windows(2).any(|pair| pair == b"{{") && has_tags(source)
}

/// Whether a template has a tag of Tera, such as `{% if … %}`.
pub(super) fn has_tags(source: &[u8]) -> bool {
    let is_tag = |(at, _): (usize, &[u8])| {
        let line = source[at + 2..].split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(&line[..line.len().min(LONGEST)]);
        let body = line.trim_start_matches('-').trim_start();
        let word = body.split(|c: char| !c.is_ascii_alphanumeric()).next();
        line.contains("%}") && word.is_some_and(|word| WORDS.contains(&word))
    };
    source.windows(2).enumerate().filter(|(_, pair)| pair == b"{%").any(is_tag)
}
