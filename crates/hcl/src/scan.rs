//! Cuts a text into tokens, and reads what strings and numbers mean.

use crate::error::{Error, Place};
use crate::heredoc;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Eof,
    Ident,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(String),
    Heredoc(String),
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Assign,
    Plus,
    Minus,
    Period,
}

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token<'t> {
    pub(crate) kind: Kind,
    pub(crate) place: Place,
    /// The text as it is written.
    pub(crate) text: &'t str,
}

impl Token<'_> {
    /// HashiCorp's name of the kind.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Eof => "EOF",
            Kind::Ident => "IDENT",
            Kind::Bool(_) => "BOOL",
            Kind::Int(_) => "NUMBER",
            Kind::Float(_) => "FLOAT",
            Kind::String(_) => "STRING",
            Kind::Heredoc(_) => "HEREDOC",
            Kind::LeftBrace => "LBRACE",
            Kind::RightBrace => "RBRACE",
            Kind::LeftBracket => "LBRACK",
            Kind::RightBracket => "RBRACK",
            Kind::Comma => "COMMA",
            Kind::Assign => "ASSIGN",
            Kind::Plus => "ADD",
            Kind::Minus => "SUB",
            Kind::Period => "PERIOD",
        }
    }
}

/// The text, and how far it has been read.
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    place: Place,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0, place: Place { line: 1, column: 1 } }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The place of the next character.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Takes the next character.
    pub(crate) fn next_char(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.place = Place { line: self.place.line + 1, column: 1 };
        } else {
            self.place.column += 1;
        }
        Some(c)
    }

    fn accept(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        if found {
            self.next_char();
        }
        found
    }

    fn accept_run(&mut self, wanted: impl Fn(char) -> bool + Copy) -> usize {
        let start = self.at;
        while self.accept(wanted) {}
        self.at - start
    }

    /// Takes the characters that are wanted.
    pub(crate) fn take_run(&mut self, wanted: impl Fn(char) -> bool + Copy) -> &'t str {
        let start = self.at;
        self.accept_run(wanted);
        &self.text[start..self.at]
    }

    /// Takes `text`, which has no line end, if it comes next.
    pub(crate) fn accept_text(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
            self.place.column += text.chars().count();
        }
        found
    }

    /// Skips white space.
    pub(crate) fn skip_space(&mut self) {
        self.accept_run(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
    }

    /// Skips white space and comments.
    fn skip(&mut self) -> Result<(), Error> {
        loop {
            self.skip_space();
            let place = self.place;
            if self.accept(|c| c == '#') || self.accept_text("//") {
                self.accept_run(|c| c != '\n');
            } else if self.accept_text("/*") {
                let Some(length) = self.rest().find("*/") else {
                    while self.next_char().is_some() {}
                    return Err(Error::new(self.place, "comment not terminated"));
                };
                let end = self.at + length + 2;
                while self.at < end && self.next_char().is_some() {}
            } else if self.peek() == Some('/') {
                return Err(Error::new(place, "expected '/' for comment"));
            } else {
                return Ok(());
            }
        }
    }

    /// The next token.
    pub(crate) fn token(&mut self) -> Result<Token<'t>, Error> {
        self.skip()?;
        let (start, mut place) = (self.at, self.place);
        let kind = self.kind(place)?;
        // The library reports the end of a text one character behind it, unless a line ends there.
        if kind == Kind::Eof && !self.text.is_empty() && !self.text.ends_with('\n') {
            place.column += 1;
        }
        Ok(Token { kind, place, text: &self.text[start..self.at] })
    }

    fn kind(&mut self, place: Place) -> Result<Kind, Error> {
        let start = self.at;
        let Some(first) = self.peek() else { return Ok(Kind::Eof) };
        if is_letter(first) {
            self.accept_run(|c| is_letter(c) || c.is_numeric() || c == '-' || c == '.');
            return Ok(match &self.text[start..self.at] {
                "true" => Kind::Bool(true),
                "false" => Kind::Bool(false),
                _ => Kind::Ident,
            });
        }
        let mut after = self.rest().chars();
        after.next();
        let digit_follows = after.next().is_some_and(|c| c.is_ascii_digit());
        if first.is_ascii_digit() || matches!(first, '-' | '.') && digit_follows {
            return self.number(place);
        }
        if first == '"' {
            return self.string().map(Kind::String);
        }
        if first == '<' {
            return self.heredoc(place).map(Kind::Heredoc);
        }
        self.next_char();
        Ok(match first {
            '{' => Kind::LeftBrace,
            '}' => Kind::RightBrace,
            '[' => Kind::LeftBracket,
            ']' => Kind::RightBracket,
            ',' => Kind::Comma,
            '=' => Kind::Assign,
            '+' => Kind::Plus,
            '-' => Kind::Minus,
            '.' => Kind::Period,
            _ => return Err(Error::new(place, "illegal char")),
        })
    }

    fn number(&mut self, place: Place) -> Result<Kind, Error> {
        let start = self.at;
        self.accept(|c| c == '-');
        let digits = self.at;
        let has_zero = self.accept(|c| c == '0');
        if has_zero && self.accept(|c| matches!(c, 'x' | 'X')) {
            if self.accept_run(|c| c.is_ascii_hexdigit()) == 0 {
                return Err(Error::new(self.place, "illegal hexadecimal number"));
            }
            return self.integer(place, start, &self.text[digits + 2..self.at], 16);
        }
        self.accept_run(|c| c.is_ascii_digit());
        let whole = &self.text[digits..self.at];
        let mut is_float = false;
        if self.accept(|c| c == '.') {
            is_float = true;
            self.accept_run(|c| c.is_ascii_digit());
        }
        if self.accept(|c| matches!(c, 'e' | 'E')) {
            is_float = true;
            self.accept(|c| matches!(c, '+' | '-'));
            self.accept_run(|c| c.is_ascii_digit());
        }
        if is_float {
            let number = self.text[start..self.at].parse().ok();
            return number.map(Kind::Float).ok_or_else(|| Error::new(place, "illegal number"));
        }
        if has_zero && whole.contains(['8', '9']) {
            return Err(Error::new(self.place, "illegal octal number"));
        }
        self.integer(place, start, whole, if has_zero { 8 } else { 10 })
    }

    /// The integer with these digits. It is written from `start` on.
    fn integer(&self, place: Place, start: usize, digits: &str, base: u32) -> Result<Kind, Error> {
        let sign = if self.text[start..].starts_with('-') { "-" } else { "" };
        i64::from_str_radix(&format!("{sign}{digits}"), base)
            .map(Kind::Int)
            .map_err(|_| Error::new(place, "number out of range"))
    }

    /// Reads a string in quotes. In `${…}` quotes, escapes and line ends have no meaning.
    fn string(&mut self) -> Result<String, Error> {
        let mut content = String::new();
        let mut braces = 0_usize;
        self.next_char();
        loop {
            let place = self.place;
            let unfinished = || Error::new(place, "literal not terminated");
            let c = self.next_char().ok_or_else(unfinished)?;
            match c {
                '\n' if braces == 0 => return Err(unfinished()),
                '"' if braces == 0 => return Ok(content),
                '\\' if braces == 0 => {
                    content.push(self.escape(place)?);
                    continue;
                }
                '$' if braces == 0 && self.peek() == Some('{') => {
                    self.next_char();
                    content.push_str("${");
                    braces = 1;
                    continue;
                }
                '{' if braces > 0 => braces += 1,
                '}' if braces > 0 => braces -= 1,
                _ => {}
            }
            content.push(c);
        }
    }

    /// The character that an escape means. Its backslash, at `place`, has been taken.
    fn escape(&mut self, place: Place) -> Result<char, Error> {
        let place = Place { column: place.column + 1, ..place };
        let wrong = || Error::new(place, "illegal char escape");
        let c = self.next_char().ok_or_else(wrong)?;
        let (base, digits) = match c {
            'a' => return Ok('\u{7}'),
            'b' => return Ok('\u{8}'),
            'f' => return Ok('\u{c}'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'v' => return Ok('\u{b}'),
            '\\' | '"' => return Ok(c),
            '0'..='7' => (8, 2),
            'x' => (16, 2),
            'u' => (16, 4),
            'U' => (16, 8),
            _ => return Err(wrong()),
        };
        let mut code = if base == 8 { c.to_digit(8).unwrap_or_default() } else { 0 };
        for _ in 0..digits {
            let digit = self.next_char().and_then(|c| c.to_digit(base)).ok_or_else(wrong)?;
            code = code
                .checked_mul(base)
                .and_then(|code| code.checked_add(digit))
                .ok_or_else(wrong)?;
        }
        // Go lets `\x` and octal escapes make bytes that are no text. Nothing here has use for those.
        char::from_u32(code).ok_or_else(wrong)
    }

    fn heredoc(&mut self, place: Place) -> Result<String, Error> {
        if !self.accept_text("<<") {
            return Err(Error::new(place, "heredoc expected second '<', didn't see it"));
        }
        let is_indented = self.accept(|c| c == '-');
        let start = self.at;
        self.accept_run(|c| is_letter(c) || c.is_numeric());
        let marker = &self.text[start..self.at];
        self.accept(|c| c == '\r');
        if !self.accept(|c| c == '\n') {
            return Err(Error::new(place, "invalid characters in heredoc anchor"));
        }
        if marker.is_empty() {
            return Err(Error::new(place, "zero-length heredoc anchor"));
        }
        let content = self.at;
        loop {
            let line = self.at;
            self.accept_run(|c| c != '\n');
            let written = &self.text[line..self.at];
            if written.trim_start().trim_end_matches('\r') == marker {
                let lines = &self.text[content..line];
                let indent = &written[..written.len() - written.trim_start().len()];
                return Ok(match is_indented {
                    true => heredoc::without_indent(lines, indent),
                    false => lines.to_owned(),
                });
            }
            if !self.accept(|c| c == '\n') {
                return Err(Error::new(self.place, "heredoc not terminated"));
            }
        }
    }
}

/// Whether `c` can begin a word.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}
