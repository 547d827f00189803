//! Keys that a template names and that its resource does not ask for.

use agent::Part;
use config::{Engine, Problem};
use report::{Excerpt, Place};
use store::{Coverage, Snapshot, View};

use super::Findings;

/// The functions whose first argument is a key.
const OF_KEYS: [&str; 3] = ["getv", "get", "exists"];

/// Finds the literal keys of a template that `keys` does not ask for. Only the text of the one file is
/// looked at, and only names that stand directly behind a function: `getv "/a"`, or in Tera `getv(key="/a")`.
pub(super) fn check(part: &Part, findings: &mut Findings) {
    // In the template of an item, keys can be relative to it.
    if part.for_each.is_some() {
        return;
    }
    let Ok(source) = report::read_regular(&part.src) else { return };
    // A source whose rule covers most: a key that it does not ask for is asked for by none.
    let view = View::new(Snapshot::new(Coverage::Text), &part.scope, &part.prefix);
    for (at, key) in literals(&source, part.engine) {
        if view.asks_for(&source[key.clone()]) {
            continue;
        }
        let key = String::from_utf8_lossy(&source[key]).into_owned();
        let text = format!("the template asks for {key}, and keys does not have it");
        let hint = format!("add {key:?} to keys in {}", part.path.display());
        let excerpt = Excerpt::of(Place::at_offset(&part.src, &source, at));
        let problem = Problem { text, excerpt: excerpt.hinting(Some(hint)) };
        findings.warning("key-not-asked", Some(&part.src), problem);
    }
}

/// The places of functions, and of the literal keys behind them.
fn literals(source: &[u8], engine: Engine) -> Vec<(usize, std::ops::Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = find(source, b"{{", at) {
        let Some(close) = find(source, b"}}", open) else { break };
        let action = &source[open + 2..close];
        at = close + 2;
        let inner = action.trim_ascii_start();
        let inner = inner.strip_prefix(b"-").unwrap_or(inner).trim_ascii_start();
        if inner.starts_with(b"/*") {
            continue;
        }
        for name in OF_KEYS {
            let mut from = open + 2;
            while let Some(start) = find(&source[..close], name.as_bytes(), from) {
                let end = start + name.len();
                from = end;
                let is_word = !is_of_name(source[start - 1]) && !is_of_name(source[end]);
                if is_word && let Some(key) = literal(&source[..close], end, engine) {
                    found.push((start, key));
                }
            }
        }
    }
    found.sort_by_key(|(at, _)| *at);
    found
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b'"')
}

/// The literal argument that stands behind a function.
fn literal(source: &[u8], at: usize, engine: Engine) -> Option<std::ops::Range<usize>> {
    let skip = |at: usize| at + source[at..].iter().take_while(|byte| **byte == b' ').count();
    let mut at = skip(at);
    if engine == Engine::Tera {
        at = skip(at + usize::from(source.get(at) == Some(&b'(')));
        at = if source[at..].starts_with(b"key") { skip(at + 3) } else { at };
        at = if source.get(at) == Some(&b'=') { skip(at + 1) } else { at };
    }
    let quote = *source.get(at).filter(|byte| matches!(byte, b'"' | b'`'))?;
    let end = find(source, &[quote], at + 1)?;
    let text = at + 1..end;
    let is_key = source.get(text.start) == Some(&b'/') && !source[text.clone()].contains(&b'\\');
    is_key.then_some(text)
}

fn find(text: &[u8], part: &[u8], from: usize) -> Option<usize> {
    let found = text.get(from..)?.windows(part.len()).position(|window| window == part)?;
    Some(from + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(source: &str, engine: Engine) -> Vec<&str> {
        let found = literals(source.as_bytes(), engine).into_iter();
        found.map(|(_, key)| &source[key]).collect()
    }

    #[test]
    fn only_literal_keys_behind_a_function_are_found() {
        let go = r#"getv "/text" {{getv "/a"}}{{- if exists `/b` }}{{/* getv "/c" */}}{{getv $x}}
            {{.getv "/d"}}{{printf "getv" "/e"}}{{(get "/f").Value}}{{getvs "/g"}}{{getv "h"}}"#;
        assert_eq!(keys(go, Engine::Go), ["/a", "/b", "/f"]);
        let tera = r#"{{ getv(key="/a") }}{{ getv( key = "/b", default="x") }}"#;
        assert_eq!(keys(tera, Engine::Tera), ["/a", "/b"]);
    }
}
