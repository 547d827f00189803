//! Calls of functions with constant texts, found in the expressions of the files of a template.
//!
//! Tera gives its syntax tree to no other crate. Comments, `raw` sections and texts are left out.

use bytes::Bytes;

use super::TeraTemplate;
use super::tags::scan;
use super::tokens::{Token, tokens};
use crate::calls::ConstantCall;

/// The names of the arguments of our functions that are keys or patterns of keys.
const ARGUMENTS: [&str; 2] = ["key", "pattern"];

impl TeraTemplate {
    /// The calls with constants in all files of the template.
    pub(crate) fn constant_calls(&self) -> Vec<ConstantCall> {
        let mut all = Vec::new();
        let sources = &self.sources;
        for (name, text) in &sources.files.texts {
            let path = match *name == sources.files.first {
                true => sources.src.clone(),
                false => sources.folder.join(name),
            };
            let source = Bytes::copy_from_slice(text.as_bytes());
            all.extend(calls(text).into_iter().map(|(function, offset, argument)| ConstantCall {
                path: path.clone(),
                source: source.clone(),
                offset,
                function: function.to_owned(),
                argument: Bytes::copy_from_slice(argument.as_bytes()),
            }));
        }
        all
    }
}

/// The function, its place and the constant, for each call in the text of a template.
fn calls(text: &str) -> Vec<(&str, usize, &str)> {
    let mut found = Vec::new();
    for body in scan(text).bodies {
        let tokens = tokens(text, body);
        for (nth, token) in tokens.iter().enumerate() {
            let Token::Word(function, offset) = *token else { continue };
            let before = nth.checked_sub(2).and_then(|from| tokens.get(from..nth));
            let piped = match before {
                Some([Token::Text(text), Token::Sign(b'|')]) => *text,
                _ => None,
            };
            let argument = match tokens.get(nth + 1) {
                Some(Token::Sign(b'(')) => argument(&tokens[nth + 2..]),
                _ => None,
            };
            found.extend(argument.or(piped).map(|argument| (function, offset, argument)));
        }
    }
    found
}

/// The constant among the arguments of a call, which begin here.
fn argument<'a>(tokens: &[Token<'a>]) -> Option<&'a str> {
    let mut depth = 0_usize;
    for (nth, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign(b'(' | b'[' | b'{') => depth += 1,
            Token::Sign(b')' | b']' | b'}') => depth = depth.checked_sub(1)?,
            Token::Word(name, _) if depth == 0 && ARGUMENTS.contains(name) => {
                let value = tokens.get(nth + 1..nth + 3)?;
                // More than a text, such as a text that is joined to others, is no constant.
                let is_whole = matches!(tokens.get(nth + 3), None | Some(Token::Sign(b',' | b')')));
                return match value {
                    [Token::Sign(b'='), Token::Text(text)] if is_whole => *text,
                    _ => None,
                };
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_of_calls_are_found_in_expressions_and_tags_and_nowhere_else() {
        let text = r#"getv(key="/no") {# getv(key="/no") #}{% raw %}{{ getv(key="/no") }}{% endraw %}
            {{ getv(key="/a") }}{{ getv( default="x", key = '/b') }}{% if exists(key=`/c`) %}
            {{ "/d" | getv }}{{ getv(key="/no" ~ x) }}{{ getv(key="/n\"o") }}{{ 'getv(key="/no")' }}
            {% for s in gets(pattern="/e/*") %}{{ f(x=[getv(key="/f")]) }}{% endfor %}{% endif %}"#;
        let found = calls(text);
        let found: Vec<_> = found
            .iter()
            .map(|(function, at, constant)| {
                assert!(text[*at..].starts_with(function));
                (*function, *constant)
            })
            .collect();
        assert_eq!(
            found,
            [
                ("getv", "/a"),
                ("getv", "/b"),
                ("exists", "/c"),
                ("getv", "/d"),
                ("gets", "/e/*"),
                ("getv", "/f"),
            ]
        );
    }
}
