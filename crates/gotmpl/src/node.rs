//! The nodes of a parsed template, and how Go prints them in errors.
//!
//! All nodes of a source are in one list and refer to each other by index. So a template can nest
//! to any depth: neither printing nor dropping a tree recurses.

use std::ops::Range;

use bytes::Bytes;
use foldhash::HashMap;

use crate::lex::Extent;
use crate::number::Number;
use crate::quote::quote;

/// The index of a node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

/// The index of a name of a field, variable or template. Equal names have equal indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name(u32);

impl Name {
    /// The name `$`, the first name of every tree.
    pub(crate) const ROOT: Name = Name(0);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A range of indexes in one of the tree's lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) fn len(self) -> usize {
        self.range().len()
    }
}

/// A node: its place in the source and its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    position: u32,
    pub(crate) content: Content,
}

impl Node {
    /// The byte of the source where errors point. It is not always the first byte of the node.
    pub(crate) fn position(&self) -> usize {
        self.position as usize
    }
}

/// What a node is: the statements first, then the expressions. The type is kept small (it is copied
/// often), so numbers, strings and lists are in lists of the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    /// A piece of the source that is output as it is.
    Text(Extent),
    /// A pipeline whose value is output.
    Action(NodeId),
    /// `if`, `with` or `range`.
    Branch(Branch),
    Break,
    Continue,
    /// A template call: the name, and the pipeline that gives the dot.
    Template(Name, Option<NodeId>),

    Pipe(Pipe),
    /// A command: an operand, then its arguments.
    Command(Span),
    /// A function: its name in the source, and its index in the table of functions.
    Function(Extent, u32),
    /// A variable and the fields after it: `$x.a.b`.
    Variable(Span),
    /// Fields of the dot: `.a.b`.
    Field(Span),
    /// Fields of the value of another node: `(f).a.b`.
    Chain(NodeId, Span),
    Dot,
    Nil,
    Bool(bool),
    /// A number or character: its text in the source, and the index for [`Tree::number`].
    Number(Extent, u32),
    /// A string: its text in the source, and the index for [`Tree::string`].
    String(Extent, u32),
}

/// `if`, `with` or `range`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Branch {
    pub(crate) choice: Choice,
    pub(crate) pipe: NodeId,
    pub(crate) list: Span,
    /// The statements after `else`.
    pub(crate) otherwise: Span,
    /// Whether the pipeline declares variables.
    pub(crate) declares: bool,
}

/// Which of the three statements a [`Branch`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    If,
    With,
    Range,
}

/// A pipeline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pipe {
    /// The variables that get the value, as nodes.
    pub(crate) variables: Span,
    /// Whether the variables exist already (`=`) or are declared here (`:=`).
    pub(crate) assigns: bool,
    pub(crate) commands: Span,
}

/// All templates of one source.
#[derive(Debug)]
pub(crate) struct Tree {
    source: Bytes,
    nodes: Vec<Node>,
    children: Vec<NodeId>,
    path_names: Vec<Name>,
    numbers: Vec<Number>,
    strings: Vec<Bytes>,
    names: Vec<Bytes>,
    names_by_text: HashMap<Bytes, Name>,
    /// For each template, its name and its statements.
    pub(crate) templates: Vec<(Name, Span)>,
}

impl Tree {
    /// An empty tree of `source`, with room for about `nodes` nodes.
    pub(crate) fn new(source: Bytes, nodes: usize) -> Tree {
        Tree {
            source,
            nodes: Vec::with_capacity(nodes),
            children: Vec::with_capacity(nodes),
            path_names: Vec::new(),
            numbers: Vec::new(),
            strings: Vec::new(),
            names: Vec::new(),
            names_by_text: HashMap::default(),
            templates: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, position: usize, content: Content) -> NodeId {
        // This cannot overflow: the source is below 4 GiB, and each node takes at least one byte of
        // it.
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(Node { position: position as u32, content });
        id
    }

    pub(crate) fn add_number(&mut self, written: Extent, number: Number) -> Content {
        self.numbers.push(number);
        Content::Number(written, self.numbers.len() as u32 - 1)
    }

    pub(crate) fn add_string(&mut self, written: Extent, meaning: Bytes) -> Content {
        self.strings.push(meaning);
        Content::String(written, self.strings.len() as u32 - 1)
    }

    pub(crate) fn add_children(&mut self, nodes: &[NodeId]) -> Span {
        let start = self.children.len() as u32;
        self.children.extend_from_slice(nodes);
        Span { start, end: self.children.len() as u32 }
    }

    /// The list `children` with `node` added. `children` must be the list made last, or empty.
    pub(crate) fn longer_children(&mut self, children: Span, node: NodeId) -> Span {
        self.children.push(node);
        let end = self.children.len() as u32;
        Span { start: if children.len() == 0 { end - 1 } else { children.start }, end }
    }

    /// Moves the nodes from index `first` on out of `nodes` into a list of the tree.
    pub(crate) fn take_children(&mut self, nodes: &mut Vec<NodeId>, first: usize) -> Span {
        let span = self.add_children(nodes.get(first..).unwrap_or_default());
        nodes.truncate(first);
        span
    }

    pub(crate) fn add_path(&mut self, names: &[Name]) -> Span {
        let start = self.path_names.len() as u32;
        self.path_names.extend_from_slice(names);
        Span { start, end: self.path_names.len() as u32 }
    }

    /// The path with `name` added. Copies the path unless it is the one made last.
    pub(crate) fn longer_path(&mut self, path: Span, name: Name) -> Span {
        let mut start = path.start;
        if path.range().end < self.path_names.len() {
            start = self.path_names.len() as u32;
            self.path_names.extend_from_within(path.range());
        }
        self.path_names.push(name);
        Span { start, end: self.path_names.len() as u32 }
    }

    /// The index of the name `text`.
    pub(crate) fn intern(&mut self, text: &[u8]) -> Name {
        if let Some(name) = self.names_by_text.get(text) {
            return *name;
        }
        self.add_name(Bytes::copy_from_slice(text))
    }

    /// The index of the name that is written at this place of the source.
    pub(crate) fn intern_written(&mut self, written: Extent) -> Name {
        if let Some(name) = self.names_by_text.get(self.written(written)) {
            return *name;
        }
        self.add_name(self.source.slice(written.range()))
    }

    fn add_name(&mut self, text: Bytes) -> Name {
        let name = Name(self.names.len() as u32);
        self.names.push(text.clone());
        self.names_by_text.insert(text, name);
        name
    }

    /// The source, byte for byte.
    pub(crate) fn source(&self) -> &Bytes {
        &self.source
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(crate) fn children(&self, span: Span) -> &[NodeId] {
        &self.children[span.range()]
    }

    pub(crate) fn path(&self, span: Span) -> &[Name] {
        &self.path_names[span.range()]
    }

    /// The text at this place of the source.
    pub(crate) fn written(&self, extent: Extent) -> &[u8] {
        &self.source[extent.range()]
    }

    /// The meaning of a number; `place` is from [`Content::Number`].
    pub(crate) fn number(&self, place: u32) -> &Number {
        &self.numbers[place as usize]
    }

    /// The meaning of a string; `place` is from [`Content::String`].
    pub(crate) fn string(&self, place: u32) -> &Bytes {
        &self.strings[place as usize]
    }

    pub(crate) fn name(&self, name: Name) -> &Bytes {
        &self.names[name.index()]
    }

    /// The index of the template called `name`.
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        let name = self.names_by_text.get(name)?;
        self.templates.iter().position(|(other, _)| other == name)
    }

    /// Whether the pipeline of a statement that has a node at byte `position` reads neither the dot
    /// nor a variable, and calls only functions for which `is_pure` is true.
    pub(crate) fn is_constant(
        &self,
        position: usize,
        mut is_pure: impl FnMut(&[u8]) -> bool,
    ) -> bool {
        let pipe = self.nodes.iter().find_map(|node| {
            let (Content::Action(pipe)
            | Content::Branch(Branch { pipe, .. })
            | Content::Template(_, Some(pipe))) = node.content
            else {
                return None;
            };
            let within = self.within(pipe);
            within.iter().any(|node| node.position() == position).then_some(within)
        });
        pipe.is_some_and(|pipe| {
            pipe.into_iter().all(|node| match node.content {
                Content::Variable(_) | Content::Field(_) | Content::Dot => false,
                Content::Function(written, _) => is_pure(self.written(written)),
                _ => true,
            })
        })
    }

    /// The node `id` of an expression, and all nodes below it.
    fn within(&self, id: NodeId) -> Vec<&Node> {
        let (mut found, mut pending) = (Vec::new(), vec![id]);
        while let Some(id) = pending.pop() {
            let node = self.node(id);
            found.push(node);
            match node.content {
                Content::Pipe(Pipe { variables, commands, .. }) => {
                    pending.extend_from_slice(self.children(variables));
                    pending.extend_from_slice(self.children(commands));
                }
                Content::Command(arguments) => {
                    pending.extend_from_slice(self.children(arguments));
                }
                Content::Chain(operand, _) => pending.push(operand),
                _ => {}
            }
        }
        found
    }

    /// The node as Go prints it in errors: without comments and trim markers, with Go's spacing,
    /// and with literals as they are written.
    ///
    /// Errors never point at the lists of a branch, so those are not printed.
    pub(crate) fn print(&self, id: NodeId) -> Vec<u8> {
        let mut out = Vec::new();
        // What is still to be printed; the next piece is last.
        let mut pending = vec![Piece::Node(id)];
        while let Some(piece) = pending.pop() {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Path(span) => {
                    for name in self.path(span) {
                        out.push(b'.');
                        out.extend_from_slice(self.name(*name));
                    }
                }
                Piece::Node(id) => self.print_node(id, &mut out, &mut pending),
            }
        }
        out
    }

    fn print_node(&self, id: NodeId, out: &mut Vec<u8>, pending: &mut Vec<Piece>) {
        match &self.node(id).content {
            Content::Text(_) => {}
            Content::Action(pipe) => {
                out.extend_from_slice(b"{{");
                pending.extend([Piece::Text(b"}}"), Piece::Node(*pipe)]);
            }
            Content::Branch(branch) => {
                out.extend_from_slice(match branch.choice {
                    Choice::If => b"{{if ",
                    Choice::With => b"{{with ",
                    Choice::Range => b"{{range ",
                });
                pending.extend([Piece::Text(b"}}"), Piece::Node(branch.pipe)]);
            }
            Content::Break => out.extend_from_slice(b"{{break}}"),
            Content::Continue => out.extend_from_slice(b"{{continue}}"),
            Content::Template(name, pipe) => {
                out.extend_from_slice(b"{{template ");
                out.extend_from_slice(quote(self.name(*name)).as_bytes());
                pending.push(Piece::Text(b"}}"));
                if let Some(pipe) = pipe {
                    pending.extend([Piece::Node(*pipe), Piece::Text(b" ")]);
                }
            }
            Content::Pipe(pipe) => {
                self.list(pipe.commands, b" | ", pending);
                if pipe.variables.len() > 0 {
                    pending.push(Piece::Text(if pipe.assigns { b" = " } else { b" := " }));
                    self.list(pipe.variables, b", ", pending);
                }
            }
            Content::Command(arguments) => {
                for (place, argument) in self.children(*arguments).iter().enumerate().rev() {
                    self.operand(*argument, pending);
                    if place > 0 {
                        pending.push(Piece::Text(b" "));
                    }
                }
            }
            Content::Function(written, _)
            | Content::Number(written, _)
            | Content::String(written, _) => out.extend_from_slice(self.written(*written)),
            Content::Variable(path) => {
                for (place, name) in self.path(*path).iter().enumerate() {
                    if place > 0 {
                        out.push(b'.');
                    }
                    out.extend_from_slice(self.name(*name));
                }
            }
            Content::Field(path) => pending.push(Piece::Path(*path)),
            Content::Chain(node, path) => {
                pending.push(Piece::Path(*path));
                self.operand(*node, pending);
            }
            Content::Dot => out.push(b'.'),
            Content::Nil => out.extend_from_slice(b"nil"),
            Content::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        }
    }

    /// Prints a node; a pipeline gets parentheses.
    fn operand(&self, id: NodeId, pending: &mut Vec<Piece>) {
        if matches!(self.node(id).content, Content::Pipe(_)) {
            pending.extend([Piece::Text(b")"), Piece::Node(id), Piece::Text(b"(")]);
        } else {
            pending.push(Piece::Node(id));
        }
    }

    fn list(&self, span: Span, separator: &'static [u8], pending: &mut Vec<Piece>) {
        for (place, node) in self.children(span).iter().enumerate().rev() {
            pending.push(Piece::Node(*node));
            if place > 0 {
                pending.push(Piece::Text(separator));
            }
        }
    }
}

/// A piece that is still to be printed.
enum Piece {
    Text(&'static [u8]),
    Path(Span),
    Node(NodeId),
}
