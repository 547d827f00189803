//! Parses the source of a template into a [`Tree`].
//!
//! Messages and their line numbers are Go's. A message carries the line of the last token *read*,
//! and that token may only have been looked at. So the parser reads exactly as far ahead as Go's
//! parser does, at most three tokens (see [`Parser::error`]).
//!
//! Open blocks and parentheses are in lists on the heap, so that a source of any depth is safe.

mod pipeline;

use std::borrow::Cow;
use std::mem;

use bytes::Bytes;
use foldhash::HashMap;

use crate::dialect::Dialect;
use crate::error::Error;
use crate::func::Table;
use crate::lex::{Kind, Token, Tokens};
use crate::node::{Branch, Choice, Content, Name, NodeId, Span, Tree};
use crate::quote::{self, quote};

/// Parses `source` as the template `name`; the source can define more templates. A function that is
/// not in `functions` is an error.
pub(crate) fn parse(
    name: &str,
    source: Bytes,
    dialect: &Dialect,
    functions: &Table,
) -> Result<Tree, Error> {
    if u32::try_from(source.len()).is_err() {
        return Err(Error::parse(name, 1, 0, b"source of 4 GiB or more".to_vec()));
    }
    let keywords = [(Kind::Break, &b"break"[..]), (Kind::Continue, b"continue")];
    let not_keywords: Vec<Kind> = keywords
        .into_iter()
        .filter(|(_, word)| functions.is_registered(word))
        .map(|(kind, _)| kind)
        .collect();
    let tokens = Tokens::of(&source, &not_keywords, dialect);
    // About half of the tokens are spaces or delimiters, which give no node.
    let mut tree = Tree::new(source.clone(), tokens.len() / 2);
    let root = tree.intern(b"$");
    let mut parser = Parser {
        name,
        source: &source,
        functions,
        tokens,
        next: 0,
        read: 0,
        action: None,
        delim: 0,
        tree,
        root,
        variables: vec![root],
        range_depth: 0,
        nodes: Vec::new(),
        open: Vec::new(),
        operands: Vec::new(),
        commands: Vec::new(),
        defined: HashMap::default(),
    };
    parser.run()?;
    Ok(parser.tree)
}

struct Parser<'s> {
    name: &'s str,
    source: &'s Bytes,
    functions: &'s Table,
    tokens: Tokens<'s>,
    /// The index of the next token.
    next: usize,
    /// The number of tokens read so far, including those that were put back.
    read: usize,
    /// Where the current action began, while error texts have to name it.
    action: Option<usize>,
    /// Where the last action began.
    delim: usize,
    tree: Tree,
    /// The name `$`.
    root: Name,
    /// The variables in scope, innermost last.
    variables: Vec<Name>,
    range_depth: usize,
    /// The nodes of all open blocks; those of the innermost block are last.
    nodes: Vec<NodeId>,
    open: Vec<Open>,
    /// The operands of all open commands; those of the innermost command are last.
    operands: Vec<NodeId>,
    /// The complete commands of all open pipelines; those of the innermost pipeline are last.
    commands: Vec<NodeId>,
    defined: HashMap<Name, usize>,
}

/// A block whose `end` has not come yet.
struct Open {
    purpose: Purpose,
    /// The byte where its first action begins.
    start: usize,
    /// The index in `Parser::nodes` of its first node.
    nodes: usize,
    /// The number of variables before the block.
    variables: usize,
}

enum Purpose {
    Branch {
        choice: Choice,
        pipe: NodeId,
        /// The statements before `else`, once `else` has come.
        list: Option<Span>,
        /// Whether this is the `if` of an `else if`, which has no `end` of its own.
        chained: bool,
    },
    /// The body of a `define` or `block`. It sees no variable of the blocks around it.
    Body { name: Name, block: Option<Block>, variables: Vec<Name>, range_depth: usize },
}

/// The `block` action that a body belongs to.
struct Block {
    position: usize,
    pipe: NodeId,
    /// The last token of the `block` action; some errors carry its line.
    header: Token,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), Error> {
        loop {
            let token = self.next_non_space();
            match token.kind {
                Kind::Text => {
                    let node = self.tree.add(token.start(), Content::Text(token.extent));
                    self.nodes.push(node);
                }
                Kind::LeftDelim => self.action(token)?,
                Kind::Eof if self.open.is_empty() => break,
                Kind::Eof => return Err(self.unclosed()),
                _ => return Err(self.unexpected(token, "input")),
            }
        }
        // Everything outside of definitions is the template of the file itself.
        let name = self.tree.intern(self.name.as_bytes());
        self.define(name, 0)
    }

    /// Reads an action; its left delimiter has been read.
    fn action(&mut self, delim: Token) -> Result<(), Error> {
        self.delim = delim.start();
        let token = self.next_non_space();
        // `define` is only allowed at the top level; inside of a block it is an unexpected command.
        if token.kind == Kind::Define && self.open.is_empty() {
            return self.definition();
        }
        // From here on, an error names the line in which the action began.
        self.action = Some(delim.start());
        match token.kind {
            Kind::If => return self.branch(Choice::If, false),
            Kind::Range => return self.branch(Choice::Range, false),
            Kind::With => return self.branch(Choice::With, false),
            Kind::Block => return self.block(),
            Kind::Else => self.else_action()?,
            Kind::End => self.end_action()?,
            Kind::Break => self.leave(token, Content::Break)?,
            Kind::Continue => self.leave(token, Content::Continue)?,
            Kind::Template => self.template()?,
            _ => {
                self.backup();
                let position = self.peek().start();
                let pipe = self.pipeline("command", Kind::RightDelim)?;
                let node = self.tree.add(position, Content::Action(pipe));
                self.nodes.push(node);
            }
        }
        self.action = None;
        Ok(())
    }

    /// Reads the pipeline of `if`, `with` or `range` and opens the block.
    fn branch(&mut self, choice: Choice, chained: bool) -> Result<(), Error> {
        let variables = self.variables.len();
        let context = match choice {
            Choice::If => "if",
            Choice::With => "with",
            Choice::Range => "range",
        };
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        if choice == Choice::Range {
            self.range_depth += 1;
        }
        let purpose = Purpose::Branch { choice, pipe, list: None, chained };
        self.open_block(purpose, variables);
        Ok(())
    }

    fn else_action(&mut self) -> Result<(), Error> {
        let next = self.peek_non_space().kind;
        // `else if` and `else with` go on with a pipeline.
        if !matches!(next, Kind::If | Kind::With) {
            self.expect(Kind::RightDelim, "else")?;
        }
        self.action = None;
        let Some(Open { purpose, nodes, .. }) = self.open.last_mut() else {
            return Err(self.error("unexpected {{else}}"));
        };
        let choice = match purpose {
            Purpose::Branch { list: Some(_), .. } => {
                return Err(self.error("expected end; found {{else}}"));
            }
            Purpose::Branch { choice, list, .. } => {
                *list = Some(self.tree.take_children(&mut self.nodes, *nodes));
                *choice
            }
            Purpose::Body { block: None, .. } => {
                return Err(self.error("unexpected {{else}} in define clause"));
            }
            Purpose::Body { block: Some(Block { header, .. }), .. } => {
                let header = *header;
                return Err(self.error_at(header, "unexpected {{else}} in block clause"));
            }
        };
        match (choice, next) {
            // For `break`, the `else` list does not count as inside of the loop.
            (Choice::Range, _) => self.range_depth -= 1,
            (Choice::If, Kind::If) | (Choice::With, Kind::With) => {
                self.next();
                self.branch(choice, true)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn end_action(&mut self) -> Result<(), Error> {
        self.expect(Kind::RightDelim, "end")?;
        // An `else if` has no `end` of its own, so one `end` can close a whole chain.
        loop {
            let Some(Open { purpose, nodes, variables: mark, .. }) = self.open.pop() else {
                return Err(self.error("unexpected {{end}}"));
            };
            match purpose {
                Purpose::Branch { choice, pipe, list, chained } => {
                    let last = self.tree.take_children(&mut self.nodes, nodes);
                    if choice == Choice::Range && list.is_none() {
                        self.range_depth -= 1;
                    }
                    let (list, otherwise) = match list {
                        Some(list) => (list, last),
                        None => (last, Span::default()),
                    };
                    let position = self.tree.node(pipe).position();
                    let declares = self.variables.len() > mark;
                    self.variables.truncate(mark);
                    let branch = Branch { choice, pipe, list, otherwise, declares };
                    let node = self.tree.add(position, Content::Branch(branch));
                    self.nodes.push(node);
                    if chained {
                        continue;
                    }
                }
                Purpose::Body { name, block, variables, range_depth } => {
                    self.define(name, nodes)?;
                    self.variables = variables;
                    self.range_depth = range_depth;
                    if let Some(Block { position, pipe, .. }) = block {
                        let content = Content::Template(name, Some(pipe));
                        let node = self.tree.add(position, content);
                        self.nodes.push(node);
                    }
                }
            }
            return Ok(());
        }
    }

    /// Reads the rest of `break` or `continue`.
    fn leave(&mut self, token: Token, content: Content) -> Result<(), Error> {
        let word = if matches!(content, Content::Break) { "{{break}}" } else { "{{continue}}" };
        self.expect(Kind::RightDelim, word)?;
        if self.range_depth == 0 {
            return Err(self.error(&format!("{word} outside {{{{range}}}}")));
        }
        let node = self.tree.add(token.start(), content);
        self.nodes.push(node);
        Ok(())
    }

    fn template(&mut self) -> Result<(), Error> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(token, CONTEXT)?;
        let pipe = if self.next_non_space().kind == Kind::RightDelim {
            None
        } else {
            self.backup();
            Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
        };
        let node = self.tree.add(token.start(), Content::Template(name, pipe));
        self.nodes.push(node);
        Ok(())
    }

    fn block(&mut self) -> Result<(), Error> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        // Errors in the body carry the line of this token.
        let header = self.last_read();
        self.open_body(name, Some(Block { position: token.start(), pipe, header }));
        Ok(())
    }

    fn definition(&mut self) -> Result<(), Error> {
        const CONTEXT: &str = "define clause";
        let token = self.next_non_space();
        let name = self.template_name(token, CONTEXT)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        self.open_body(name, None);
        Ok(())
    }

    fn open_body(&mut self, name: Name, block: Option<Block>) {
        self.action = None;
        // A body sees only `$`, and no loop around its definition.
        let variables = mem::replace(&mut self.variables, vec![self.root]);
        let range_depth = mem::take(&mut self.range_depth);
        let purpose = Purpose::Body { name, block, variables, range_depth };
        self.open_block(purpose, 0);
    }

    fn open_block(&mut self, purpose: Purpose, variables: usize) {
        self.open.push(Open { purpose, start: self.delim, nodes: self.nodes.len(), variables });
    }

    fn template_name(&mut self, token: Token, context: &str) -> Result<Name, Error> {
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return Err(self.unexpected(token, context));
        }
        let name = self.unquote(token)?;
        Ok(self.tree.intern(&name))
    }

    /// Ends the template `name`; its nodes are the open ones from index `first` on. Of two
    /// definitions of one name, at least one must be blank: the other one counts. If both are blank
    /// the later one counts.
    fn define(&mut self, name: Name, first: usize) -> Result<(), Error> {
        let list = self.tree.take_children(&mut self.nodes, first);
        if let Some(place) = self.defined.get(&name).copied() {
            if self.is_blank(self.tree.templates[place].1) {
                self.tree.templates[place].1 = list;
            } else if !self.is_blank(list) {
                let name = quote(self.tree.name(name));
                let message = format!("template: multiple definition of template {name}");
                return Err(self.error(&message));
            }
            return Ok(());
        }
        self.defined.insert(name, self.tree.templates.len());
        self.tree.templates.push((name, list));
        Ok(())
    }

    /// Whether the list holds nothing but white space.
    fn is_blank(&self, list: Span) -> bool {
        self.tree.children(list).iter().all(|node| {
            let Content::Text(extent) = self.tree.node(*node).content else { return false };
            let text = std::str::from_utf8(self.tree.written(extent));
            text.is_ok_and(|text| text.trim().is_empty())
        })
    }

    /// The meaning of a string token.
    fn unquote(&self, token: Token) -> Result<Bytes, Error> {
        match quote::unquote(self.tree.written(token.extent)) {
            Ok(Cow::Borrowed(text)) => Ok(self.source.slice_ref(text)),
            Ok(Cow::Owned(text)) => Ok(text.into()),
            Err(fault) => Err(self.error(&fault.to_string())),
        }
    }

    /// The next token.
    #[inline]
    fn next(&mut self) -> Token {
        let token = self.tokens.get(self.next);
        self.next += 1;
        self.read = self.read.max(self.next);
        token
    }

    /// Puts back the token that was read last.
    #[inline]
    fn backup(&mut self) {
        self.next -= 1;
    }

    /// The last of all tokens read, including those put back.
    fn last_read(&self) -> Token {
        self.tokens.get(self.read.saturating_sub(1))
    }

    fn peek(&mut self) -> Token {
        let token = self.next();
        self.backup();
        token
    }

    fn next_non_space(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> Token {
        let token = self.next_non_space();
        self.backup();
        token
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token, Error> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(token, context)) }
    }

    fn unexpected(&self, token: Token, context: &str) -> Error {
        let shown = self.tokens.show(token);
        if token.kind != Kind::Error {
            return self.error(&format!("unexpected {shown} in {context}"));
        }
        match self.action.map(|start| self.line(start)) {
            Some(line) if line != self.line(token.start()) => {
                let action = if shown.ends_with(" action") { "" } else { " in action" };
                self.error(&format!("{shown}{action} started at {}:{line}", self.name))
            }
            _ => self.error(&shown),
        }
    }

    /// The error for a source that ends inside of a block; it points at the beginning of that
    /// block.
    fn unclosed(&self) -> Error {
        let chained = |open: &&Open| matches!(open.purpose, Purpose::Branch { chained: true, .. });
        let open = self.open.iter().rev().find(|open| !chained(open));
        let start = open.map_or(self.source.len(), |open| open.start);
        self.error("unexpected EOF").pointing_at(start)
    }

    /// An error with the line of the last token read, which can be ahead of the parser's position.
    fn error(&self, message: &str) -> Error {
        self.error_at(self.last_read(), message)
    }

    fn error_at(&self, token: Token, message: &str) -> Error {
        let start = token.start();
        Error::parse(self.name, self.line(start), start, message.as_bytes().to_vec())
    }

    /// The line, counted from 1, of the byte at `position`.
    fn line(&self, position: usize) -> usize {
        1 + memchr::memchr_iter(b'\n', &self.source[..position]).count()
    }
}
