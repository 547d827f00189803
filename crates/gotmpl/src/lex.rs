//! Cuts the source of a template into tokens.
//!
//! The source is bytes, not text. Only names, and characters that an error shows, are decoded. A
//! fault becomes a token of kind [`Kind::Error`] instead of an error, because the wording depends
//! on where the parser meets it.

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::dialect::Dialect;
use crate::quote::quote;
use crate::unicode::{self, REPLACEMENT};

/// The kind of a token.
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
    // Keywords. Go counts the dot and `nil` among them.
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

/// A token: its kind and the place of its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) extent: Extent,
}

impl Token {
    /// The byte where the text begins.
    pub(crate) fn start(&self) -> usize {
        self.extent.range().start
    }
}

/// A place in the source, as a range of bytes. The source is below 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    start: u32,
    end: u32,
}

impl Extent {
    /// The bytes from `start` up to, but not including, `end`.
    pub(crate) fn new(start: usize, end: usize) -> Extent {
        Extent { start: start as u32, end: end as u32 }
    }

    /// The bytes as a range.
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) fn len(self) -> usize {
        self.range().len()
    }
}

/// The length of a trim marker: `- ` on the left side, ` -` on the right.
const TRIM_MARKER: usize = 2;

/// The bytes of source for each token, in a template with little text and short names. Used to
/// reserve room.
const BYTES_PER_TOKEN: usize = 3;
/// The most tokens that room is reserved for.
const MOST_EXPECTED: usize = 1 << 16;

/// The tokens of a source. The last one is of kind [`Kind::Eof`] or [`Kind::Error`].
pub(crate) struct Tokens<'s> {
    source: &'s [u8],
    tokens: Vec<Token>,
    /// The text of the token of kind [`Kind::Error`].
    fault: String,
}

impl<'s> Tokens<'s> {
    /// The tokens of `source`. `not_keywords` holds those of `break` and `continue` that are names
    /// of registered functions; they become identifiers.
    pub(crate) fn of(source: &'s [u8], not_keywords: &[Kind], dialect: &Dialect) -> Tokens<'s> {
        let mut lexer = Lexer {
            source,
            left: &dialect.left,
            right: &dialect.right,
            position: 0,
            parens: 0,
            tokens: Vec::with_capacity((source.len() / BYTES_PER_TOKEN).min(MOST_EXPECTED)),
            not_keywords,
        };
        let fault = lexer.run().err().unwrap_or_default();
        Tokens { source, tokens: lexer.tokens, fault }
    }

    /// The number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The token at `place`, or the last token if `place` is beyond the end.
    #[inline]
    pub(crate) fn get(&self, place: usize) -> Token {
        match self.tokens.get(place) {
            Some(token) => *token,
            None => self.last(),
        }
    }

    #[cold]
    fn last(&self) -> Token {
        let end = Extent::new(self.source.len(), self.source.len());
        self.tokens.last().copied().unwrap_or(Token { kind: Kind::Eof, extent: end })
    }

    /// The token as error texts show it.
    pub(crate) fn show(&self, token: Token) -> String {
        let text = self.source.get(token.extent.range()).unwrap_or_default();
        match token.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Error => self.fault.clone(),
            kind if kind.is_keyword() => format!("<{}>", String::from_utf8_lossy(text)),
            _ if text.len() > 10 => format!("{}...", quote(&text[..unicode::prefix(text, 10)])),
            _ => quote(text),
        }
    }
}

/// The source, and how far it has been read.
struct Lexer<'l> {
    source: &'l [u8],
    /// The delimiters of actions. Neither is empty.
    left: &'l [u8],
    right: &'l [u8],
    position: usize,
    /// The number of open parentheses in the current action.
    parens: usize,
    tokens: Vec<Token>,
    not_keywords: &'l [Kind],
}

/// The kind and the length of a token.
type Piece = (Kind, usize);

impl Lexer<'_> {
    /// Reads the whole source, or up to the first fault, whose text it returns.
    fn run(&mut self) -> Result<(), String> {
        let read = self.texts_and_actions();
        let last = if read.is_ok() { Kind::Eof } else { Kind::Error };
        self.push(last, 0);
        read
    }

    fn texts_and_actions(&mut self) -> Result<(), String> {
        while let Some(delim) = left_delim(&self.source[self.position..], self.left) {
            let content = self.text_before(self.position + delim);
            // A comment gives no token, not even for its delimiters.
            if self.source[content..].starts_with(b"/*") {
                self.position = content;
                self.comment()?;
            } else {
                self.push(Kind::LeftDelim, self.left.len());
                self.position = content;
                self.action()?;
            }
        }
        match self.source.len() - self.position {
            0 => {}
            length => self.push(Kind::Text, length),
        }
        Ok(())
    }

    /// Adds the text before the left delimiter at `delim` as a token. Returns the place behind the
    /// delimiter and its trim marker.
    fn text_before(&mut self, delim: usize) -> usize {
        let text = &self.source[self.position..delim];
        let content = delim + self.left.len();
        let trimmed = matches!(&self.source[content..], [b'-', space, ..] if is_space(space));
        let length = if trimmed { text.trim_space_end().len() } else { text.len() };
        if length > 0 {
            self.push(Kind::Text, length);
        }
        self.position = delim;
        if trimmed { content + TRIM_MARKER } else { content }
    }

    /// Skips a comment and the right delimiter, which must follow at once.
    fn comment(&mut self) -> Result<(), String> {
        let inner = self.position + 2;
        let Some(length) = memmem::find(&self.source[inner..], b"*/") else {
            return Err("unclosed comment".to_owned());
        };
        let end = inner + length + 2;
        match &self.source[end..] {
            rest if rest.starts_with(self.right) => self.position = end + self.right.len(),
            [space, b'-', rest @ ..] if is_space(space) && rest.starts_with(self.right) => {
                self.position = end + TRIM_MARKER + self.right.len();
                self.skip_space();
            }
            _ => return Err("comment ends before closing delimiter".to_owned()),
        }
        Ok(())
    }

    /// Reads the rest of an action, with its right delimiter.
    fn action(&mut self) -> Result<(), String> {
        let source = self.source;
        self.parens = 0;
        loop {
            let rest = &source[self.position..];
            let Some(first) = rest.first() else {
                return Err("unclosed action".to_owned());
            };
            let (kind, length) = match first {
                _ if rest.starts_with(self.right) => return self.close(0),
                b' ' | b'\t' | b'\r' | b'\n' => {
                    let length = rest.leading_space();
                    // The last blank can be the first byte of the trim marker.
                    if !self.is_marked_end(&rest[length..]) {
                        (Kind::Space, length)
                    } else if length > 1 {
                        (Kind::Space, length - 1)
                    } else {
                        self.close(TRIM_MARKER)?;
                        self.skip_space();
                        return Ok(());
                    }
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.identifier(rest)?,
                // A point before a digit begins a number: see below.
                b'.' if rest.get(1).is_some_and(|byte| !byte.is_ascii_digit()) => {
                    match 1 + self.name(&rest[1..])? {
                        1 => (Kind::Dot, 1),
                        length => (Kind::Field, length),
                    }
                }
                b'$' => (Kind::Variable, 1 + self.name(&rest[1..])?),
                b'"' => quoted(rest, Kind::String)?,
                b'|' => (Kind::Pipe, 1),
                b'(' => {
                    self.parens += 1;
                    (Kind::LeftParen, 1)
                }
                b')' if self.parens == 0 => return Err("unexpected right paren".to_owned()),
                b')' => {
                    self.parens -= 1;
                    (Kind::RightParen, 1)
                }
                b'.' | b'+' | b'-' | b'0'..=b'9' => number(rest)?,
                b'=' => (Kind::Assign, 1),
                b':' if rest.get(1) == Some(&b'=') => (Kind::Declare, 2),
                b':' => return Err("expected :=".to_owned()),
                b'\'' => quoted(rest, Kind::CharConstant)?,
                b'`' => match memchr(b'`', &rest[1..]) {
                    Some(length) => (Kind::RawString, length + 2),
                    None => return Err("unterminated raw quoted string".to_owned()),
                },
                _ => match character(rest) {
                    c if unicode::is_alphanumeric(c) => self.identifier(rest)?,
                    // The comma of `range`, or a character that the parser rejects.
                    c if c.is_ascii() && unicode::is_printable(c) => (Kind::Char, 1),
                    c => {
                        let c = code_point(c);
                        return Err(format!("unrecognized character in action: {c}"));
                    }
                },
            };
            self.push(kind, length);
        }
    }

    /// Ends an action: adds the right delimiter, which follows a trim marker of length `marker`.
    fn close(&mut self, marker: usize) -> Result<(), String> {
        if self.parens > 0 {
            return Err("unclosed left paren".to_owned());
        }
        self.position += marker;
        self.push(Kind::RightDelim, self.right.len());
        Ok(())
    }

    /// Reads the word at the start of `rest`: a keyword, `true`, `false` or an identifier.
    fn identifier(&self, rest: &[u8]) -> Result<Piece, String> {
        let length = self.name(rest)?;
        let kind = match keyword(&rest[..length]) {
            kind if self.not_keywords.contains(&kind) => Kind::Identifier,
            kind => kind,
        };
        Ok((kind, length))
    }

    /// The length of the name at the start of `text`, which can be 0. The error is for a character
    /// that may not follow a name.
    #[inline]
    fn name(&self, text: &[u8]) -> Result<usize, String> {
        let length = name_length(text);
        match &text[length..] {
            [] | [b' ' | b'\t' | b'\r' | b'\n' | b'.' | b',' | b'|' | b':' | b')' | b'(', ..] => {
                Ok(length)
            }
            rest if rest.starts_with(self.right) => Ok(length),
            rest => Err(format!("bad character {}", code_point(character(rest)))),
        }
    }

    /// Whether `text`, which follows a blank, is the rest of a trim marker and the right delimiter.
    fn is_marked_end(&self, text: &[u8]) -> bool {
        text.strip_prefix(b"-").is_some_and(|rest| rest.starts_with(self.right))
    }

    /// Adds a token of this kind and length at the current position.
    #[inline]
    fn push(&mut self, kind: Kind, length: usize) {
        let end = self.position + length;
        self.tokens.push(Token { kind, extent: Extent::new(self.position, end) });
        self.position = end;
    }

    fn skip_space(&mut self) {
        self.position += self.source[self.position..].leading_space();
    }
}

/// A string or character literal: up to the next unescaped quote of the same line.
fn quoted(text: &[u8], kind: Kind) -> Result<Piece, String> {
    let quote = text.first();
    let mut length = 1;
    while let Some(byte) = text.get(length) {
        match byte {
            byte if Some(byte) == quote => return Ok((kind, length + 1)),
            b'\\' if text.get(length + 1) != Some(&b'\n') => length += 2,
            b'\\' | b'\n' => break,
            _ => length += 1,
        }
    }
    Err(match kind {
        Kind::String => "unterminated quoted string".to_owned(),
        _ => "unterminated character constant".to_owned(),
    })
}

/// A token that looks like a number. The parser decides whether it is one.
fn number(text: &[u8]) -> Result<Piece, String> {
    let mut scan = Scan { text, length: 0 };
    let mut good = scan.number();
    let mut kind = Kind::Number;
    if good && matches!(text.get(scan.length), Some(b'+' | b'-')) {
        kind = Kind::Complex;
        good = scan.number() && text[scan.length - 1] == b'i';
    }
    match good {
        true => Ok((kind, scan.length)),
        false => Err(format!("bad number syntax: {}", quote(&text[..scan.length]))),
    }
}

/// A text, and how many of its bytes belong to the number.
struct Scan<'s> {
    text: &'s [u8],
    length: usize,
}

impl Scan<'_> {
    /// Skips a number of one part. Returns false if a letter or digit follows directly; that
    /// character is then skipped too, so that the error shows it.
    fn number(&mut self) -> bool {
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
        // The digits that were accepted tell the base: only decimal and hexadecimal numbers have an
        // exponent.
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
        let (c, width) = unicode::decode(&self.text[self.length..]);
        if c.is_some_and(unicode::is_alphanumeric) {
            self.length += width;
            return false;
        }
        true
    }

    fn accept(&mut self, bytes: &[u8]) -> bool {
        let found = self.text.get(self.length).is_some_and(|byte| bytes.contains(byte));
        self.length += usize::from(found);
        found
    }

    fn accept_run(&mut self, bytes: &[u8]) {
        while self.accept(bytes) {}
    }
}

/// The first character of `text`, for error texts.
fn character(text: &[u8]) -> char {
    unicode::decode(text).0.unwrap_or(REPLACEMENT)
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

/// `c` in the form of Go's `%#U`: `U+0041 'A'`.
fn code_point(c: char) -> String {
    let code = u32::from(c);
    if unicode::is_printable(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}

/// The place of the first left delimiter. A plain loop: text between delimiters is usually short,
/// and braces are rare in it.
fn left_delim(text: &[u8], delim: &[u8]) -> Option<usize> {
    let (first, others) = delim.split_first()?;
    let mut from = 0;
    loop {
        let place = from + memchr(*first, &text[from..])?;
        from = place + 1;
        if text[from..].starts_with(others) {
            return Some(place);
        }
    }
}

/// For each ASCII byte, whether it can be in a name.
const IN_NAMES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_';
        byte += 1;
    }
    table
};

/// The length of the name at the start of `text`.
fn name_length(text: &[u8]) -> usize {
    let mut length = 0;
    loop {
        length += text[length..]
            .iter()
            .position(|byte| !IN_NAMES[usize::from(*byte)])
            .unwrap_or(text.len() - length);
        if text.get(length).is_none_or(u8::is_ascii) {
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

/// Trimming of the four bytes that a template takes as white space.
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
