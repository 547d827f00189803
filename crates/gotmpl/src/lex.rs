//! Cuts the source of a template into tokens.
//!
//! Tokens are made one at a time, as the parser asks. Everything is bytes; only names and the
//! characters shown in errors are looked at as code points. A fault becomes the token
//! [`Kind::Error`], because what the parser says of it depends on where the parser is.

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::quote::quote;
use crate::unicode::{self, REPLACEMENT};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Eof,
    Text,
    LeftDelim,
    RightDelim,
    Space,
    Assign,
    Declare,
    Pipe,
    LeftParen,
    RightParen,
    Bool,
    Char,
    CharConstant,
    Complex,
    Number,
    String,
    RawString,
    Field,
    Identifier,
    Variable,
    // Keywords, among which Go counts the dot and nil.
    Dot,
    Nil,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

impl Kind {
    fn is_keyword(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Dot | Nil
                | Block
                | Break
                | Continue
                | Define
                | Else
                | End
                | If
                | Range
                | Template
                | With
        )
    }
}

/// A token: its kind and where its text is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) extent: Extent,
}

impl Token {
    /// Where the text begins.
    pub(crate) fn start(&self) -> usize {
        self.extent.range().start
    }
}

/// Where a piece of the source is. The source is below 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    start: u32,
    end: u32,
}

impl Extent {
    /// From byte `start` up to `end`.
    pub(crate) fn new(start: usize, end: usize) -> Extent {
        Extent { start: start as u32, end: end as u32 }
    }

    /// The places of its bytes.
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) fn len(self) -> usize {
        self.range().len()
    }
}

const LEFT: &[u8] = b"{{";
const RIGHT: &[u8] = b"}}";
/// A minus and a space, in the order that the side asks for.
const TRIM_MARKER: usize = 2;

/// The source and how far it has been read.
pub(crate) struct Lexer<'s> {
    source: &'s [u8],
    /// Where the token being made begins.
    start: usize,
    position: usize,
    inside_action: bool,
    parens: usize,
    /// The text of the fault, once there is one; it ends the input.
    fault: Option<String>,
    /// Names that are functions and therefore no keywords.
    not_keywords: Vec<Kind>,
}

impl<'s> Lexer<'s> {
    /// A lexer at the start of `source`. `break` and `continue` are keywords only where they are
    /// not in `not_keywords`, the ones that are names of functions.
    pub(crate) fn new(source: &'s [u8], not_keywords: Vec<Kind>) -> Lexer<'s> {
        Lexer {
            source,
            start: 0,
            position: 0,
            inside_action: false,
            parens: 0,
            fault: None,
            not_keywords,
        }
    }

    /// The text of the token of kind [`Kind::Error`].
    pub(crate) fn fault(&self) -> &str {
        self.fault.as_deref().unwrap_or_default()
    }

    /// How a token is shown in errors.
    pub(crate) fn show(&self, token: &Token) -> String {
        let text = self.source.get(token.extent.range()).unwrap_or_default();
        match token.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Error => self.fault().to_owned(),
            kind if kind.is_keyword() => format!("<{}>", String::from_utf8_lossy(text)),
            _ if text.len() > 10 => format!("{}...", quote(&text[..unicode::prefix(text, 10)])),
            _ => quote(text),
        }
    }

    /// The next token. After the end there are more of [`Kind::Eof`].
    pub(crate) fn next(&mut self) -> Token {
        if self.fault.is_some() {
            return self.token(Kind::Eof);
        }
        if self.inside_action { self.action() } else { self.text() }
    }

    /// Text up to the next action. Goes through comments, which are no tokens.
    fn text(&mut self) -> Token {
        loop {
            let rest = &self.source[self.position..];
            let Some(length) = left_delim(rest) else {
                if rest.is_empty() {
                    return self.token(Kind::Eof);
                }
                self.position = self.source.len();
                return self.token(Kind::Text);
            };
            let after = self.position + length + LEFT.len();
            let trimmed = self.at_left_marker(after);
            let kept = if trimmed { rest[..length].trim_space_end().len() } else { length };
            let text_end = self.position + kept;
            let action = self.position + length;
            if kept > 0 {
                self.position = text_end;
                let token = self.token(Kind::Text);
                self.skip_to(action);
                return token;
            }
            self.skip_to(action);
            let content = if trimmed { after + TRIM_MARKER } else { after };
            if self.source[content..].starts_with(b"/*") {
                self.skip_to(content);
                if let Err(token) = self.comment() {
                    return token;
                }
                continue;
            }
            self.position = after;
            let token = self.token(Kind::LeftDelim);
            self.skip_to(content);
            self.inside_action = true;
            self.parens = 0;
            return token;
        }
    }

    /// Passes over a comment and the delimiter that has to follow, or gives the fault.
    fn comment(&mut self) -> Result<(), Token> {
        let inner = self.position + 2;
        let Some(length) = memmem::find(&self.source[inner..], b"*/") else {
            return Err(self.fail("unclosed comment".to_owned()));
        };
        self.position = inner + length + 2;
        let Some(delim) = self.right_delim() else {
            return Err(self.fail("comment ends before closing delimiter".to_owned()));
        };
        let mut end = self.position + delim;
        if delim > RIGHT.len() {
            end += self.source[end..].leading_space();
        }
        self.skip_to(end);
        Ok(())
    }

    /// A token inside an action.
    fn action(&mut self) -> Token {
        if let Some(delim) = self.right_delim() {
            if self.parens > 0 {
                return self.fail("unclosed left paren".to_owned());
            }
            return self.close(delim);
        }
        let Some(&first) = self.source.get(self.position) else {
            return self.fail("unclosed action".to_owned());
        };
        match first {
            b' ' | b'\t' | b'\r' | b'\n' => self.space(),
            b'=' => self.take(1, Kind::Assign),
            b':' => match self.source.get(self.position + 1) {
                Some(b'=') => self.take(2, Kind::Declare),
                _ => self.fail("expected :=".to_owned()),
            },
            b'|' => self.take(1, Kind::Pipe),
            b'"' => self.quoted(b'"', Kind::String, "unterminated quoted string"),
            b'\'' => self.quoted(b'\'', Kind::CharConstant, "unterminated character constant"),
            b'`' => match memchr(b'`', &self.source[self.position + 1..]) {
                Some(length) => self.take(length + 2, Kind::RawString),
                None => self.fail("unterminated raw quoted string".to_owned()),
            },
            b'$' => self.name(Kind::Variable),
            b'.' if self.source.get(self.position + 1).is_some_and(|b| !b.is_ascii_digit()) => {
                self.name(Kind::Field)
            }
            b'.' | b'+' | b'-' | b'0'..=b'9' => self.number(),
            b'(' => {
                self.parens += 1;
                self.take(1, Kind::LeftParen)
            }
            b')' if self.parens == 0 => self.fail("unexpected right paren".to_owned()),
            b')' => {
                self.parens -= 1;
                self.take(1, Kind::RightParen)
            }
            _ => match self.peek() {
                c if unicode::is_alphanumeric(c) => self.name(Kind::Identifier),
                c if c.is_ascii() && unicode::is_printable(c) => self.take(1, Kind::Char),
                c => self.fail(format!("unrecognized character in action: {}", code_point(c))),
            },
        }
    }

    /// A run of spaces. The last one may belong to a trim marker, and is left to it.
    fn space(&mut self) -> Token {
        let mut end = self.position + self.source[self.position..].leading_space();
        let rest = &self.source[end..];
        if rest.first() == Some(&b'-') && rest[1..].starts_with(RIGHT) {
            end -= 1;
        }
        if end == self.position {
            return self.close(TRIM_MARKER + RIGHT.len());
        }
        self.position = end;
        self.token(Kind::Space)
    }

    /// The end of an action: `delim` bytes, of which all but two are a trim marker.
    fn close(&mut self, delim: usize) -> Token {
        let trimmed = delim > RIGHT.len();
        self.skip_to(self.position + delim - RIGHT.len());
        let token = self.take(RIGHT.len(), Kind::RightDelim);
        if trimmed {
            self.skip_to(self.position + self.source[self.position..].leading_space());
        }
        self.inside_action = false;
        token
    }

    /// A string or character literal that ends at the next unescaped `quote` on the line.
    fn quoted(&mut self, quote: u8, kind: Kind, unterminated: &str) -> Token {
        let mut escaped = false;
        let rest = &self.source[self.position + 1..];
        for (length, byte) in rest.iter().enumerate() {
            match byte {
                b'\n' => break,
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                byte if *byte == quote => return self.take(length + 2, kind),
                _ => {}
            }
        }
        self.fail(unterminated.to_owned())
    }

    /// An identifier, or a variable or field after its first byte.
    fn name(&mut self, kind: Kind) -> Token {
        if kind != Kind::Identifier {
            self.position += 1;
            if self.at_terminator() {
                let alone = if kind == Kind::Field { Kind::Dot } else { Kind::Variable };
                return self.token(alone);
            }
        }
        self.position += name_length(&self.source[self.position..]);
        if !self.at_terminator() {
            return self.fail(format!("bad character {}", code_point(self.peek())));
        }
        match kind {
            Kind::Identifier => {
                let kind = keyword(&self.source[self.start..self.position]);
                let known = !self.not_keywords.contains(&kind);
                self.token(if known { kind } else { Kind::Identifier })
            }
            kind => self.token(kind),
        }
    }

    fn number(&mut self) -> Token {
        let mut good = self.scan_number();
        let mut kind = Kind::Number;
        if good && matches!(self.source.get(self.position), Some(b'+' | b'-')) {
            kind = Kind::Complex;
            good = self.scan_number() && self.source[self.position - 1] == b'i';
        }
        if good {
            return self.token(kind);
        }
        let text = quote(&self.source[self.start..self.position]);
        self.fail(format!("bad number syntax: {text}"))
    }

    /// Passes over what looks like a number; whether it is one the parser finds out. False if it
    /// runs into a name, whose first character is then passed over as well.
    fn scan_number(&mut self) -> bool {
        self.accept(b"+-");
        let mut digits: &[u8] = b"0123456789_";
        if self.accept(b"0") {
            if self.accept(b"xX") {
                digits = b"0123456789abcdefABCDEF_";
            } else if self.accept(b"oO") {
                digits = b"01234567_";
            } else if self.accept(b"bB") {
                digits = b"01_";
            }
        }
        self.accept_run(digits);
        if self.accept(b".") {
            self.accept_run(digits);
        }
        let exponent: &[u8] = match digits.len() {
            11 => b"eE",
            23 => b"pP",
            _ => b"",
        };
        if self.accept(exponent) {
            self.accept(b"+-");
            self.accept_run(b"0123456789_");
        }
        self.accept(b"i");
        let (c, width) = unicode::decode(&self.source[self.position..]);
        if c.is_some_and(unicode::is_alphanumeric) {
            self.position += width;
            return false;
        }
        true
    }

    fn accept(&mut self, bytes: &[u8]) -> bool {
        let found = self.source.get(self.position).is_some_and(|byte| bytes.contains(byte));
        self.position += usize::from(found);
        found
    }

    fn accept_run(&mut self, bytes: &[u8]) {
        while self.accept(bytes) {}
    }

    /// The length of the right delimiter that begins here, its trim marker included.
    fn right_delim(&self) -> Option<usize> {
        match &self.source[self.position..] {
            [space, b'-', rest @ ..] if is_space(space) && rest.starts_with(RIGHT) => {
                Some(TRIM_MARKER + RIGHT.len())
            }
            rest if rest.starts_with(RIGHT) => Some(RIGHT.len()),
            _ => None,
        }
    }

    /// Whether a trim marker begins at `position`, which follows a left delimiter.
    fn at_left_marker(&self, position: usize) -> bool {
        matches!(&self.source[position..], [b'-', space, ..] if is_space(space))
    }

    /// Whether what comes next may follow a name.
    fn at_terminator(&self) -> bool {
        match &self.source[self.position..] {
            [] | [b' ' | b'\t' | b'\r' | b'\n' | b'.' | b',' | b'|' | b':' | b')' | b'(', ..] => {
                true
            }
            rest => rest.starts_with(RIGHT),
        }
    }

    /// The character that comes next, as errors show it.
    fn peek(&self) -> char {
        unicode::decode(&self.source[self.position..]).0.unwrap_or(REPLACEMENT)
    }

    fn take(&mut self, length: usize, kind: Kind) -> Token {
        self.position += length;
        self.token(kind)
    }

    /// The token that ends here. The next one begins here.
    fn token(&mut self, kind: Kind) -> Token {
        let token = Token { kind, extent: Extent::new(self.start, self.position) };
        self.start = self.position;
        token
    }

    /// Leaves out what is before `position`.
    fn skip_to(&mut self, position: usize) {
        self.start = position;
        self.position = position;
    }

    fn fail(&mut self, fault: String) -> Token {
        self.fault = Some(fault);
        Token { kind: Kind::Error, extent: Extent::new(self.start, self.start) }
    }
}

fn keyword(word: &[u8]) -> Kind {
    match word {
        b"block" => Kind::Block,
        b"break" => Kind::Break,
        b"continue" => Kind::Continue,
        b"define" => Kind::Define,
        b"else" => Kind::Else,
        b"end" => Kind::End,
        b"if" => Kind::If,
        b"nil" => Kind::Nil,
        b"range" => Kind::Range,
        b"template" => Kind::Template,
        b"with" => Kind::With,
        b"true" | b"false" => Kind::Bool,
        _ => Kind::Identifier,
    }
}

/// `c` as Go's `%#U` prints it.
fn code_point(c: char) -> String {
    let code = u32::from(c);
    if unicode::is_printable(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}

/// The place of the first left delimiter. Text is short as a rule, and braces are rare in it.
fn left_delim(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let brace = from + memchr(b'{', &text[from..])?;
        from = brace + 1;
        if text.get(from) == Some(&b'{') {
            return Some(brace);
        }
    }
}

/// How long the name is that `text` begins with.
fn name_length(text: &[u8]) -> usize {
    let mut length = 0;
    while let Some(byte) = text.get(length) {
        if byte.is_ascii_alphanumeric() || *byte == b'_' {
            length += 1;
            continue;
        }
        if byte.is_ascii() {
            break;
        }
        match unicode::decode(&text[length..]) {
            (Some(c), width) if unicode::is_alphanumeric(c) => length += width,
            _ => break,
        }
    }
    length
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The four bytes that count as space in a template, at the ends of a piece of it.
trait Spaced {
    fn leading_space(&self) -> usize;
    fn trim_space_end(&self) -> &[u8];
}

impl Spaced for [u8] {
    fn leading_space(&self) -> usize {
        self.iter().position(|byte| !is_space(byte)).unwrap_or(self.len())
    }

    fn trim_space_end(&self) -> &[u8] {
        let end = self.iter().rposition(|byte| !is_space(byte)).map_or(0, |last| last + 1);
        &self[..end]
    }
}
