//! Reads HCL's own form.

use crate::DEEPEST;
use crate::error::{Error, Place};
use crate::scan::{Kind, Scanner, Token};
use crate::value::{Body, Value};

/// Reads a whole file.
pub(crate) fn read(text: &str) -> Result<Body, Error> {
    let mut scanner = Scanner::new(text);
    let next = scanner.token()?;
    let mut parser = Parser { scanner, next, depth: 0 };
    let body = parser.body()?;
    match parser.next.kind {
        Kind::Eof => Ok(body),
        _ => Err(parser.unexpected_key()),
    }
}

struct Parser<'t> {
    scanner: Scanner<'t>,
    /// The token that comes next.
    next: Token<'t>,
    /// The number of open lists and objects.
    depth: usize,
}

impl<'t> Parser<'t> {
    /// Takes the next token.
    fn take(&mut self) -> Result<Token<'t>, Error> {
        let following = self.scanner.token()?;
        Ok(std::mem::replace(&mut self.next, following))
    }

    /// Takes the next token if it is of this kind.
    fn accept(&mut self, kind: &Kind) -> Result<bool, Error> {
        let found = self.next.kind == *kind;
        if found {
            self.take()?;
        }
        Ok(found)
    }

    /// Opens a list or an object.
    fn enter(&mut self, place: Place) -> Result<(), Error> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => Err(Error::new(place, format!("nested more than {DEEPEST} deep"))),
            false => Ok(()),
        }
    }

    /// Reads entries up to what is no entry.
    fn body(&mut self) -> Result<Body, Error> {
        let mut body = Body::default();
        while is_key(&self.next) {
            self.entry(&mut body)?;
            self.accept(&Kind::Comma)?;
        }
        Ok(body)
    }

    fn entry(&mut self, body: &mut Body) -> Result<(), Error> {
        let mut keys = Vec::new();
        while is_key(&self.next) {
            let token = self.take()?;
            let place = token.place;
            let key = match token.kind {
                Kind::String(content) => content,
                _ => token.text.to_owned(),
            };
            keys.push((key, place));
        }
        let value = match self.next.kind {
            Kind::Assign if keys.len() > 1 => {
                let text = format!("nested object expected: LBRACE got: {}", self.next.name());
                return Err(Error::new(self.next.place, text));
            }
            Kind::Assign => {
                self.take()?;
                self.value()?
            }
            Kind::LeftBrace => self.object()?,
            _ => {
                let names: Vec<_> = keys.iter().map(|(key, _)| key.as_str()).collect();
                let text = format!(
                    "key '{}' expected start of object ('{{') or assignment ('=')",
                    names.join(" ")
                );
                return Err(Error::new(self.next.place, text));
            }
        };
        let mut value = value;
        while let Some((key, place)) = keys.pop() {
            if keys.is_empty() {
                body.add(key, place, value);
                break;
            }
            let mut labelled = Body::default();
            labelled.add(key, place, value);
            value = Value::Blocks(vec![labelled]);
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Value, Error> {
        Ok(match self.next.kind {
            Kind::LeftBrace => return self.object(),
            Kind::LeftBracket => return self.list(),
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::String(_) | Kind::Heredoc(_) => {
                match self.take()?.kind {
                    Kind::Bool(value) => Value::Bool(value),
                    Kind::Int(value) => Value::Int(value),
                    Kind::Float(value) => Value::Float(value),
                    Kind::String(value) | Kind::Heredoc(value) => Value::String(value),
                    _ => Value::Null,
                }
            }
            _ => return Err(self.unknown_token()),
        })
    }

    fn object(&mut self) -> Result<Value, Error> {
        let open = self.take()?;
        self.enter(open.place)?;
        let body = self.body()?;
        match self.next.kind {
            Kind::RightBrace => {}
            Kind::Eof => {
                let text = "object expected closing RBRACE got: EOF";
                return Err(Error::new(self.next.place, text));
            }
            _ => return Err(self.unexpected_key()),
        }
        self.take()?;
        self.depth -= 1;
        Ok(Value::Blocks(vec![body]))
    }

    fn list(&mut self) -> Result<Value, Error> {
        let open = self.take()?;
        self.enter(open.place)?;
        let mut elements = Vec::new();
        loop {
            if self.accept(&Kind::RightBracket)? {
                break;
            }
            if self.next.kind == Kind::Eof {
                let text = "unexpected token while parsing list: EOF";
                return Err(Error::new(self.next.place, text));
            }
            elements.push(self.value()?);
            if !self.accept(&Kind::Comma)? && self.next.kind != Kind::RightBracket {
                let text = format!(
                    "error parsing list, expected comma or list end, got: {}",
                    self.next.name()
                );
                return Err(Error::new(self.next.place, text));
            }
        }
        self.depth -= 1;
        Ok(list(elements))
    }

    /// The error for a token that is no value.
    fn unknown_token(&self) -> Error {
        let Token { place, text, .. } = &self.next;
        Error::new(*place, format!("Unknown token: {place} {} {text}", self.next.name()))
    }

    /// The error for a token that is no key.
    fn unexpected_key(&self) -> Error {
        let found = self.next.name();
        let text = format!("expected: IDENT | STRING | ASSIGN | LBRACE got: {found}");
        Error::new(self.next.place, text)
    }
}

/// Whether the token can be a key.
fn is_key(token: &Token<'_>) -> bool {
    matches!(token.kind, Kind::Ident | Kind::String(_))
}

/// A list with these elements. A list that has only objects means the same as that many blocks.
pub(crate) fn list(elements: Vec<Value>) -> Value {
    let only_objects = elements.iter().all(|element| element.as_blocks().is_some());
    if elements.is_empty() || !only_objects {
        return Value::List(elements);
    }
    let bodies = elements.into_iter().flat_map(|element| match element {
        Value::Blocks(bodies) => bodies,
        _ => Vec::new(),
    });
    Value::Blocks(bodies.collect())
}
