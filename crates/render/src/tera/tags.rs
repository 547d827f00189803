//! Finds the tags of a template, `{% … %}`, as Tera's own lexer does.
//!
//! Tera does not give its tokens to others. Limits on nesting are checked before Tera parses the text, and
//! checks are added to the text (`guard`), so both need the places of tags. The scanner need not
//! find errors: it stops where Tera's lexer would fail.

use std::ops::Range;

/// A tag, as byte offsets into the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag<'a> {
    /// Where the tag begins: its `{%`.
    pub(super) start: usize,
    /// Where the text between the delimiters begins, behind `{%` or `{%-`.
    pub(super) body_start: usize,
    /// The text between the delimiters.
    pub(super) body: &'a str,
    /// The offset behind the tag.
    pub(super) end: usize,
}

impl<'a> Tag<'a> {
    /// Whether the tag removes the white space before it.
    pub(super) fn trims_before(&self) -> bool {
        self.body_start - self.start > 2
    }

    /// Whether the tag removes the white space behind it.
    pub(super) fn trims_behind(&self) -> bool {
        self.end - (self.body_start + self.body.len()) > 2
    }

    /// The first word, which says what kind of tag it is, and the text behind it.
    pub(super) fn split(&self) -> (&'a str, &'a str) {
        let text = self.body.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
        text.split_at(end)
    }
}

/// Whether `c` can be in a name.
pub(super) fn is_word(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

/// The tags of `text` in their order. Tags in comments and in `raw` sections are left out.
pub(super) fn tags(text: &str) -> Vec<Tag<'_>> {
    scan(text).tags
}

/// What [`scan`] finds.
#[derive(Debug, Default)]
pub(super) struct Scan<'a> {
    pub(super) tags: Vec<Tag<'a>>,
    /// What stands between delimiters, whether of a tag or of `{{ … }}`, as byte offsets.
    pub(super) bodies: Vec<Range<usize>>,
    /// The most tokens that are between two delimiters, whether of a tag or of `{{ … }}`.
    pub(super) most_tokens: usize,
}

/// Finds the tags of `text`, and its longest expression.
pub(super) fn scan(text: &str) -> Scan<'_> {
    let mut found = Scan::default();
    let mut at = 0;
    while let Some(start) = memchr::memchr(b'{', &text.as_bytes()[at..]).map(|found| at + found) {
        let next = match text.as_bytes().get(start + 1) {
            Some(b'{') => {
                let inside = inside(text, start + 2, b'}', &mut found.most_tokens);
                inside.map(|(body_end, end)| {
                    found.bodies.push(start + 2..body_end);
                    end
                })
            }
            Some(b'%') => {
                let body_start = start + 2 + dash(text, start + 2);
                match raw(text, body_start) {
                    Some(end) => end,
                    None => {
                        let inside = inside(text, body_start, b'%', &mut found.most_tokens);
                        inside.map(|(body_end, end)| {
                            let body = &text[body_start..body_end];
                            found.bodies.push(body_start..body_end);
                            found.tags.push(Tag { start, body_start, body, end });
                            end
                        })
                    }
                }
            }
            Some(b'#') => {
                let from = start + 2 + dash(text, start + 2);
                text[from..].find("#}").map(|found| from + found + 2)
            }
            _ => Some(start + 1),
        };
        let Some(next) = next else { break };
        at = next;
    }
    found
}

/// 1 if there is a `-` at `at`, otherwise 0.
fn dash(text: &str, at: usize) -> usize {
    usize::from(text.as_bytes().get(at) == Some(&b'-'))
}

/// From `at`, which is inside of `{{` or `{%`: where the closing delimiter begins, and where it
/// ends. `first` is the delimiter's first byte, the second one is `}`. `None` if it is missing.
/// `most` becomes the number of tokens if there are more.
fn inside(text: &str, mut at: usize, first: u8, most: &mut usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let closes = |at: usize| bytes.get(at) == Some(&first) && bytes.get(at + 1) == Some(&b'}');
    let mut tokens = 0;
    let mut in_word = false;
    loop {
        let byte = *bytes.get(at)?;
        let begins = !(byte.is_ascii_whitespace() || in_word && is_word(byte.into()));
        in_word = is_word(byte.into());
        tokens += usize::from(begins);
        *most = tokens.max(*most);
        match byte {
            b'-' if closes(at + 1) => return Some((at, at + 3)),
            _ if closes(at) => return Some((at, at + 2)),
            quote @ (b'"' | b'\'' | b'`') => {
                at += 1;
                while *bytes.get(at)? != quote {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// If a `raw` section begins with the tag whose body begins at `at`: the offset behind the section.
/// The inner `None` says that the section has no end.
fn raw(text: &str, at: usize) -> Option<Option<usize>> {
    let mut from = only(text, at, "raw")?;
    while let Some(found) = text[from..].find("{%") {
        from += found + 2;
        if let Some(end) = only(text, from, "endraw") {
            return Some(Some(end));
        }
    }
    Some(None)
}

/// If `at` is in a tag that consists of the word `name`: the offset behind the tag.
fn only(text: &str, at: usize, name: &str) -> Option<usize> {
    let blank = |c: char| c.is_ascii_whitespace();
    let rest = &text[at..];
    let rest = rest.strip_prefix('-').unwrap_or(rest).trim_start_matches(blank);
    let rest = rest.strip_prefix(name)?.trim_start_matches(blank);
    let rest = rest.strip_prefix('-').unwrap_or(rest).strip_prefix("%}")?;
    Some(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_where_tera_finds_them() {
        let text = "{ {% a %}{{ '}}' ~ \"{% no %}\" }}{# {% no %} #}{%- raw -%}{% no %}{%endraw%}\
                    {%- b x='%}\\'' -%}{%c-%}é{{ {'k': '{%'} }}{% d";
        let found: Vec<_> = tags(text)
            .iter()
            .map(|tag| (tag.split(), tag.trims_before(), tag.trims_behind()))
            .collect();
        assert_eq!(
            found,
            [
                (("a", " "), false, false),
                (("b", " x='%}\\'' "), true, true),
                (("c", ""), false, true),
            ]
        );
    }
}
