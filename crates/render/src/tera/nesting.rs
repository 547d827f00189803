//! How much stack Tera needs to compile a text.
//!
//! Tera's parser and compiler call themselves for each tag inside of a tag, each operand, and each
//! `elif` of a chain. Tera limits the first two. A usual thread has enough stack for nearly all
//! templates, and the others are compiled on a deep stack.

use super::tags::scan;

/// The most `elif` that are open at the same time.
pub(super) const MAX_ELIF: usize = 10_000;

/// The most `elif` and tags that are open at the same time on a usual stack.
const FEW_OPEN: usize = 20;

/// The most tokens of an expression on a usual stack. Each operand takes at least two.
const FEW_TOKENS: usize = 64;

/// The stack that compiling a text needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// The caller's stack is enough.
    UsualStack,
    /// A deep stack is needed to compile the text, and to drop the result.
    DeepStack,
    /// There are too many `elif`. The place of the first one too many: its line, counted from 1,
    /// and the number of characters before it.
    TooManyElif((usize, usize)),
}

/// The stack that compiling `text` needs.
pub(super) fn needs(text: &str) -> Needs {
    let found = scan(text);
    // The `elif` of each tag that is open. A tag that Tera will refuse can be counted wrongly: Tera
    // parses nothing behind it.
    let mut open: Vec<usize> = Vec::new();
    let (mut elif, mut most) = (0, 0);
    for tag in &found.tags {
        let (word, rest) = tag.split();
        match word {
            "if" | "for" | "block" | "filter" | "component" => open.push(0),
            "set" | "set_global" if !rest.contains('=') || rest.contains('|') => open.push(0),
            "" if !rest.starts_with("</") => open.push(0),
            "elif" => {
                if let Some(chain) = open.last_mut() {
                    *chain += 1;
                    elif += 1;
                }
            }
            "" => elif -= open.pop().unwrap_or_default(),
            end if end.starts_with("end") => elif -= open.pop().unwrap_or_default(),
            _ => {}
        }
        if elif > MAX_ELIF {
            let before = &text[..tag.start];
            let line = 1 + before.matches('\n').count();
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
            return Needs::TooManyElif((line, column));
        }
        most = most.max(elif + open.len());
    }
    let is_shallow = most <= FEW_OPEN && found.most_tokens <= FEW_TOKENS;
    if is_shallow { Needs::UsualStack } else { Needs::DeepStack }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(links: usize) -> String {
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(links))
    }

    #[test]
    fn elif_are_counted_while_they_are_open() {
        assert_eq!(needs(&chain(FEW_OPEN - 1).repeat(5)), Needs::UsualStack);
        assert_eq!(needs(&chain(FEW_OPEN)), Needs::DeepStack);
        let place = (2, 10 + 12 * MAX_ELIF);
        assert_eq!(needs(&format!("\n{}", chain(MAX_ELIF + 1))), Needs::TooManyElif(place));
        let inside = format!("{{% if a %}}{}{}", "{% elif a %}".repeat(9_000), chain(1_001));
        assert!(matches!(needs(&inside), Needs::TooManyElif(_)));
    }

    #[test]
    fn long_expressions_and_deep_tags_need_a_deep_stack() {
        assert_eq!(needs(&format!("{{{{ '{}' + aaaa }}}}", "+1".repeat(99))), Needs::UsualStack);
        assert_eq!(needs(&format!("{{{{ 1{} }}}}", "+1".repeat(99))), Needs::DeepStack);
        assert_eq!(needs(&"{% <c> %}".repeat(FEW_OPEN + 1)), Needs::DeepStack);
        assert_eq!(
            needs(&"{% set a %}{% endset %}{% set b = [1] %}".repeat(99)),
            Needs::UsualStack
        );
    }
}
