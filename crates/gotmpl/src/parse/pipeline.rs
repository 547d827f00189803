//! Parses pipelines, and the commands and operands in them.

use super::Parser;
use crate::error::{Error, Unknown};
use crate::lex::{Extent, Kind, Token};
use crate::node::{Content, Name, NodeId, Pipe, Span};
use crate::number;
use crate::quote::quote;

/// How deeply parentheses may nest, as in Go.
const MAX_PARENS: usize = 10_000;

/// A pipeline whose end has not been read yet.
struct OpenPipe {
    position: usize,
    /// The name of the surrounding action in error texts.
    context: &'static str,
    /// The kind of token that ends the pipeline.
    end: Kind,
    variables: Span,
    assigns: bool,
    /// The index in `Parser::commands` of its first command.
    commands: usize,
    /// The command being read, if one has begun.
    command: Option<OpenCommand>,
}

/// A command whose end has not been read yet.
struct OpenCommand {
    position: usize,
    /// The index in `Parser::operands` of its first operand.
    operands: usize,
}

impl Parser<'_> {
    /// Reads a pipeline and the token of kind `end` behind it.
    ///
    /// A pipeline in parentheses is an operand of the pipeline around it. The outer pipeline waits
    /// in a list, so that nesting needs no recursion.
    pub(super) fn pipeline(&mut self, context: &'static str, end: Kind) -> Result<NodeId, Error> {
        let mut outer: Vec<OpenPipe> = Vec::new();
        let mut pipe = self.open_pipe(context, end)?;
        loop {
            let token = self.next_non_space();
            if pipe.command.is_none() {
                if token.kind == pipe.end {
                    let node = self.close_pipe(&pipe)?;
                    let Some(around) = outer.pop() else { return Ok(node) };
                    pipe = around;
                    self.after_term(&mut pipe, Some(node))?;
                    continue;
                }
                if !begins_operand(token.kind) {
                    return Err(self.unexpected(token, pipe.context));
                }
                let operands = self.operands.len();
                pipe.command = Some(OpenCommand { position: token.start(), operands });
            }
            if token.kind == Kind::LeftParen {
                if outer.len() == MAX_PARENS {
                    return Err(self.error("max expression depth exceeded"));
                }
                let inner = self.open_pipe("parenthesized pipeline", Kind::RightParen)?;
                outer.push(std::mem::replace(&mut pipe, inner));
                continue;
            }
            let term = self.term(token)?;
            if term.is_none() {
                self.backup();
            }
            self.after_term(&mut pipe, term)?;
        }
    }

    /// Begins a pipeline: reads the variables that it declares or assigns.
    fn open_pipe(&mut self, context: &'static str, end: Kind) -> Result<OpenPipe, Error> {
        let position = self.peek_non_space().start();
        let mut pipe = OpenPipe {
            position,
            context,
            end,
            variables: Span::default(),
            assigns: false,
            commands: self.commands.len(),
            command: None,
        };
        loop {
            let variable = self.peek_non_space();
            if variable.kind != Kind::Variable {
                return Ok(pipe);
            }
            let place = self.next;
            self.next();
            let next = self.peek_non_space();
            let comma = next.kind == Kind::Char && self.tree.written(next.extent) == b",";
            if !comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
                // Not a declaration: the variable is an operand, which is read again from here.
                self.next = place;
                return Ok(pipe);
            }
            self.next_non_space();
            let name = self.tree.intern_written(variable.extent);
            let path = self.tree.add_path(&[name]);
            let node = self.tree.add(variable.start(), Content::Variable(path));
            // `longer_children` needs this list to be the newest, and no other list is made in this
            // loop.
            pipe.variables = self.tree.longer_children(pipe.variables, node);
            // Go declares the name for `=` too, although it must exist already.
            self.variables.push(name);
            if !comma {
                pipe.assigns = next.kind == Kind::Assign;
                return Ok(pipe);
            }
            if context != "range" || pipe.variables.len() > 1 {
                return Err(self.error(&format!("too many declarations in {context}")));
            }
            let next = self.peek_non_space().kind;
            if !matches!(next, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
                return Err(self.error("range can only initialize variables"));
            }
        }
    }

    fn close_pipe(&mut self, pipe: &OpenPipe) -> Result<NodeId, Error> {
        let commands = self.commands.get(pipe.commands..).unwrap_or_default();
        if commands.is_empty() {
            return Err(self.error(&format!("missing value for {}", pipe.context)));
        }
        // Later commands receive a value, so they must be something that takes an argument.
        for (place, command) in commands.iter().enumerate().skip(1) {
            let Content::Command(operands) = self.tree.node(*command).content else { continue };
            let Some(first) = self.tree.children(operands).first() else { continue };
            let executable = !matches!(
                self.tree.node(*first).content,
                Content::Bool(_)
                    | Content::Dot
                    | Content::Nil
                    | Content::Number(..)
                    | Content::String(..)
            );
            if !executable {
                let stage = place + 1;
                let message = format!("non executable command in pipeline stage {stage}");
                return Err(self.error(&message));
            }
        }
        let commands = self.tree.take_children(&mut self.commands, pipe.commands);
        let OpenPipe { variables, assigns, .. } = *pipe;
        let content = Content::Pipe(Pipe { variables, assigns, commands });
        Ok(self.tree.add(pipe.position, content))
    }

    /// Reads what follows an operand: its fields, then the separator or the end of the command.
    fn after_term(&mut self, pipe: &mut OpenPipe, term: Option<NodeId>) -> Result<(), Error> {
        // A space decides here: `.a .b` are two operands, `.a.b` is one.
        let mut token = self.next();
        if let Some(mut operand) = term {
            if token.kind == Kind::Field {
                operand = self.chain(operand, token)?;
                token = self.next();
            }
            self.operands.push(operand);
        }
        match token.kind {
            Kind::Space => return Ok(()),
            Kind::RightDelim | Kind::RightParen => self.backup(),
            Kind::Pipe => {}
            _ => return Err(self.unexpected(token, "operand")),
        }
        if let Some(OpenCommand { position, operands }) = pipe.command.take() {
            let operands = self.tree.take_children(&mut self.operands, operands);
            self.commands.push(self.tree.add(position, Content::Command(operands)));
        }
        Ok(())
    }

    /// Reads the fields after `term`; `first` is the first of them. The fields of a field or
    /// variable become part of its node, any other node gets a chain.
    fn chain(&mut self, term: NodeId, first: Token) -> Result<NodeId, Error> {
        let content = self.tree.node(term).content;
        let mut path = match content {
            Content::Field(path) | Content::Variable(path) => path,
            _ => self.tree.add_path(&[]),
        };
        let mut field = first;
        while field.kind == Kind::Field {
            let name = self.field_name(field);
            path = self.tree.longer_path(path, name);
            field = self.next();
        }
        self.backup();
        let content = match content {
            Content::Field(_) => Content::Field(path),
            Content::Variable(_) => Content::Variable(path),
            Content::Bool(_)
            | Content::Dot
            | Content::Nil
            | Content::Number(..)
            | Content::String(..) => {
                let term = quote(&self.tree.print(term));
                return Err(self.error(&format!("unexpected . after term {term}")));
            }
            _ => Content::Chain(term, path),
        };
        Ok(self.tree.add(first.start(), content))
    }

    fn field_name(&mut self, field: Token) -> Name {
        let written = field.extent.range();
        self.tree.intern_written(Extent::new(written.start + 1, written.end))
    }

    /// The node of an operand of one token, or `None` if `token` cannot begin an operand.
    fn term(&mut self, token: Token) -> Result<Option<NodeId>, Error> {
        let source = self.source;
        let text = &source[token.extent.range()];
        let content = match token.kind {
            Kind::Identifier => match self.functions.find(text) {
                Some(place) => Content::Function(token.extent, place as u32),
                None => {
                    let error = self.error(&format!("function {} not defined", quote(text)));
                    return Err(error.about(Some(Unknown::new(text, self.functions.names()))));
                }
            },
            Kind::Dot => Content::Dot,
            Kind::Nil => Content::Nil,
            Kind::Bool => Content::Bool(text == b"true"),
            Kind::Variable => {
                let name = self.tree.intern_written(token.extent);
                if !self.variables.contains(&name) {
                    let error = self.error(&format!("undefined variable {}", quote(text)));
                    let known = self.variables.iter().filter(|name| **name != self.root);
                    let known = known.map(|name| self.tree.name(*name));
                    let unknown = Unknown::new(text, known);
                    return Err(error.pointing_at(token.start()).about(Some(unknown)));
                }
                Content::Variable(self.tree.add_path(&[name]))
            }
            Kind::Field => {
                let name = self.field_name(token);
                Content::Field(self.tree.add_path(&[name]))
            }
            Kind::CharConstant | Kind::Complex | Kind::Number => {
                let written = String::from_utf8_lossy(text);
                let number = match token.kind {
                    Kind::CharConstant => number::parse_char(text),
                    Kind::Complex => number::parse_complex(&written),
                    _ => number::parse(&written),
                };
                let number = number.map_err(|fault| self.error(&fault.to_string()))?;
                self.tree.add_number(token.extent, number)
            }
            Kind::String | Kind::RawString => {
                let meaning = self.unquote(token)?;
                self.tree.add_string(token.extent, meaning)
            }
            _ => return Ok(None),
        };
        Ok(Some(self.tree.add(token.start(), content)))
    }
}

fn begins_operand(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Bool
            | Kind::CharConstant
            | Kind::Complex
            | Kind::Dot
            | Kind::Field
            | Kind::Identifier
            | Kind::Number
            | Kind::Nil
            | Kind::RawString
            | Kind::String
            | Kind::Variable
            | Kind::LeftParen
    )
}
