//! Adds checks to a template, so that rendering it cannot overflow the stack, and can be stopped.
//!
//! Tera limits the nesting of tags and expressions, and nothing else. A loop can put a list into
//! itself any number of times, and dropping it takes stack for each level. With `super()` two
//! blocks can contain each other without end. Loops in loops can run for years and call nothing.
//! Tera has no hook at any of these places. So calls of three functions are added to the text:
//!
//! - [`NESTED`] around the expression of an assignment that can add levels to a value. The function
//!   returns the value, unless it has too many levels.
//! - [`STACK`] at the beginning of blocks and components, and before includes. The function fails
//!   if the stack is nearly used up.
//!
//! - [`TIME`] at the beginning of the body of each loop. The function fails if the time is over.
//!
//! Most templates need no check, and get none: a template without loops and with few assignments
//! cannot nest values deeply, a few files without `super()` and components need little stack, and
//! loops that are not in other loops end soon.
//!
//! A call is added within a line. [`Inserted`] remembers where, so that errors have their place in
//! the text of the user. The alternative, a process of its own for each template, would cost more
//! than the rendering.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::load::Texts;
use super::tags::{Tag, is_word, tags};

/// The name of the function and filter that checks the levels of a value.
pub(super) const NESTED: &str = "__confd_nested";

/// The name of the function that checks the stack.
pub(super) const STACK: &str = "__confd_stack";

/// The name of the function that checks the time.
pub(super) const TIME: &str = "__confd_time";

/// The most assignments outside of loops that need no check.
const FEW_ASSIGNMENTS: usize = 8;

/// The most files that can include each other without a check of the stack.
const FEW_FILES: usize = 4;

/// The most blocks of a file that can contain each other without a check of the stack.
const FEW_BLOCKS: usize = 4;

/// The calls that were added to one text.
#[derive(Debug, Default)]
pub(super) struct Inserted(Vec<Insertion>);

#[derive(Debug)]
struct Insertion {
    /// The line in which the call was added, counted from 1.
    line: usize,
    /// The number of characters before the call, in the line as it is now.
    column: usize,
    /// The length of the call in characters.
    length: usize,
}

impl Inserted {
    /// The place in the text of the user for a place in the text with calls: the line and the
    /// number of characters before it.
    pub(super) fn original(&self, (line, column): (usize, usize)) -> (usize, usize) {
        let before = self.0.iter().filter(|call| call.line == line && call.column < column);
        let added = before.map(|call| call.length.min(column - call.column)).sum::<usize>();
        (line, column - added)
    }
}

/// What checks a template needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checks {
    /// Its assignments can nest values deeply.
    pub(super) values: bool,
    /// Its blocks, includes and components can be nested deeply.
    pub(super) stack: bool,
    /// Its loops can be in each other.
    pub(super) time: bool,
}

impl Checks {
    /// The checks for a template of these files.
    pub(super) fn of(texts: &Texts) -> Self {
        let mention = |word: &str| texts.values().any(|text| text.contains(word));
        let stack = texts.len() > FEW_FILES
            || mention("super")
            || mention("component")
            || texts.values().any(|text| text.matches("endblock").count() > FEW_BLOCKS);
        let all: Vec<_> = match mention("set") || mention("endfor") {
            true => texts.values().flat_map(|text| tags(text)).collect(),
            false => Vec::new(),
        };
        // The loop around another loop can be in another file or block.
        let is_split = texts.len() > 1 || mention("super") || mention("component");
        let loops = all.iter().map(|tag| tag.split().0);
        let nested = loops.scan(0_usize, |open, word| {
            *open = match word {
                "for" => *open + 1,
                "endfor" => open.saturating_sub(1),
                _ => *open,
            };
            Some(*open)
        });
        let time = nested.max().unwrap_or_default() > if is_split { 0 } else { 1 };
        let assignments = all.iter().filter(|tag| assignment(tag).is_some()).count();
        let repeats = mention("super") || all.iter().any(|tag| tag.split().0 == "for");
        let values = assignments > if repeats { 0 } else { FEW_ASSIGNMENTS };
        Self { values, stack, time }
    }

    /// Whether there is none.
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// Texts with checks, and where each text has them, by the names of the files.
pub(super) fn guarded(texts: &Texts, checks: Checks) -> (Texts, BTreeMap<String, Inserted>) {
    let mut sites = 0;
    let guarded = texts.iter().map(|(name, text)| {
        let (text, inserted) = guard(text, checks, &mut sites);
        ((name.clone(), text), (name.clone(), inserted))
    });
    guarded.unzip()
}

fn guard(text: &str, checks: Checks, sites: &mut usize) -> (String, Inserted) {
    let mut calls: Vec<(usize, String)> = Vec::new();
    for tag in tags(text) {
        if checks.values
            && let Some(assignment) = assignment(&tag)
        {
            let Assignment { at, end, is_filter, steps } = assignment;
            let arguments = format!("site={sites},steps={steps}");
            if is_filter {
                calls.push((end, format!("|{NESTED}({arguments})")));
            } else {
                calls.push((at, format!("{NESTED}({arguments},value=")));
                calls.push((end, ")".to_owned()));
            }
            *sites += 1;
        }
        let dash = if tag.trims_behind() { "-" } else { "" };
        match tag.split().0 {
            "for" if checks.time => calls.push((tag.end, format!("{{{{{TIME}(){dash}}}}}"))),
            _ if !checks.stack => {}
            "block" | "component" => {
                calls.push((tag.end, format!("{{{{{STACK}(){dash}}}}}")));
            }
            "include" => {
                let dash = if tag.trims_before() { "-" } else { "" };
                calls.push((tag.start, format!("{{{{{dash}{STACK}()}}}}")));
            }
            _ => {}
        }
    }
    insert(text, &calls)
}

/// An assignment whose value can have more levels than the values that it is made from.
struct Assignment {
    /// Where the expression begins.
    at: usize,
    /// Where the expression or the last filter ends.
    end: usize,
    /// Whether it is a block with filters instead of an expression.
    is_filter: bool,
    /// The most levels that it can add.
    steps: usize,
}

/// The assignment in `tag`, if it is one that can add levels to a value. An expression without
/// brackets and filters has the levels of a variable.
fn assignment(tag: &Tag<'_>) -> Option<Assignment> {
    let ("set" | "set_global", rest) = tag.split() else { return None };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let rest = rest.trim_start_matches(is_word);
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let is_filter = rest.starts_with('|');
    let expression = if is_filter { rest } else { rest.strip_prefix('=')? };
    let brackets = expression.matches(['[', '{', '(', '|']).count();
    let steps = brackets + expression.matches(super::ALL_VARIABLES).count();
    let end = tag.body_start + tag.body.len();
    (steps > 0).then(|| Assignment { at: end - expression.len(), end, is_filter, steps })
}

/// `text` with `calls`, each at its offset, in ascending order.
fn insert(text: &str, calls: &[(usize, String)]) -> (String, Inserted) {
    let mut out = String::with_capacity(text.len() + 64 * calls.len());
    let mut inserted = Vec::with_capacity(calls.len());
    let (mut copied, mut line, mut column) = (0, 1, 0);
    for (at, call) in calls {
        let part = &text[copied..*at];
        line += part.matches('\n').count();
        column = match part.rfind('\n') {
            Some(end) => part[end + 1..].chars().count(),
            None => column + part.chars().count(),
        };
        out.push_str(part);
        // Writing to a string cannot fail.
        let _ = out.write_str(call);
        inserted.push(Insertion { line, column, length: call.len() });
        column += call.len();
        copied = *at;
    }
    out.push_str(&text[copied..]);
    (out, Inserted(inserted))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Checks = Checks { values: true, stack: true, time: true };

    #[test]
    fn checks_are_added_without_touching_white_space() {
        let (text, _) = guard(
            " {%- set x = [1] -%} {% set y=x %}{% set z | f(a=x) %}{% endset %}\n\
             {% block b -%} {%- include 'c' %}{% endblock %}{% for a in b -%} a{% endfor %}",
            ALL,
            &mut 0,
        );
        assert_eq!(
            text,
            " {%- set x =__confd_nested(site=0,steps=1,value= [1] )-%} {% set y=x %}\
             {% set z | f(a=x) |__confd_nested(site=1,steps=2)%}{% endset %}\n\
             {% block b -%}{{__confd_stack()-}} {{-__confd_stack()}}{%- include 'c' %}{% endblock %}\
             {% for a in b -%}{{__confd_time()-}} a{% endfor %}"
        );
    }

    #[test]
    fn places_are_those_of_the_text_before() {
        let text = "é{% set x = [y] %}{{ a }}\n{% set z=[a] %}b{% set z=[a] %}c";
        let (guarded, inserted) = guard(text, ALL, &mut 0);
        for word in ["y", "a }", "b", "c"] {
            let place = |text: &str| {
                let at = text.rfind(word).expect(word);
                let line = 1 + text[..at].matches('\n').count();
                (line, text[..at].rsplit('\n').next().expect("a line").chars().count())
            };
            assert_eq!(inserted.original(place(&guarded)), place(text), "{word}");
        }
        // A place in a call is where the call was added.
        assert_eq!(inserted.original((2, 15)), (2, 9));
    }

    #[test]
    fn plain_templates_get_no_checks() {
        let checks = |text: &str| Checks::of(&Texts::from([("a".to_owned(), text.to_owned())]));
        for text in ["{{ x }}", "{% for a in b %}{% set x = a %}{% endfor %}", "{% set x = [1] %}"]
        {
            assert!(checks(text).is_none(), "{text}");
        }
        assert!(checks("{% for a in b %}{% set x = [x] %}{% endfor %}").values);
        assert!(checks(&"{% set x = [x] %}".repeat(9)).values);
        assert!(checks("{% block a %}{{ super() }}{% endblock %}").stack);
        let one = "{% for a in b %}{% endfor %}";
        assert!(!checks(&one.repeat(2)).time);
        assert!(checks("{% for a in b %}{% for c in d %}{% endfor %}{% endfor %}").time);
        assert!(checks(&format!("{one}{{{{ super() }}}}")).time);
    }
}
