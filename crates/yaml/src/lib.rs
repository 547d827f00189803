//! Reads a YAML document to a tree.
//!
//! [`read`] is the whole interface. A parser returns events; this crate builds their meaning by the
//! rules of YAML 1.1, as Go's libraries apply them: only the first document of a stream is used, the last of equal keys wins, `<<`
//! merges, and keys that are not strings become strings.
//!
//! Nothing here recurses, and hostile input is bounded: containers nest at most `MAX_DEPTH` deep,
//! and all merges together copy at most `MAX_COPIED` bytes. The target of an alias is shared and
//! never copied, and no node can contain itself.
//!
//! Texts that are in the document literally share its storage.

mod scalar;

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

pub use scalar::{Mistyped, Scalar};

/// The deepest nesting of containers. Deeper nesting is an error.
const MAX_DEPTH: usize = 1_000;

/// The most bytes of keys that all `<<` of a document together may copy.
const MAX_COPIED: usize = 64 << 20;

/// The cost of each copied or repeated node, in addition to its key.
pub const COST_OF_A_NODE: usize = 64;

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum YamlError {
    /// The text is not YAML, or does not fit its tags.
    #[error("yaml: line {line}: {problem}")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// The problem.
        problem: String,
    },

    /// The document is a list or a single value.
    #[error(
        "yaml: unmarshal errors:\n  line {line}: cannot unmarshal {found} into map[interface {{}}]interface {{}}"
    )]
    NotAMapping {
        /// The line, counted from 1.
        line: usize,
        /// The tag of its type: `!!seq`, `!!str`, …
        found: &'static str,
    },

    /// Aliases repeat each other until the result is far larger than the text.
    #[error("yaml: document contains excessive aliasing")]
    ExcessiveAliasing,
}

/// A document, or an empty one.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    root: Option<NodeId>,
}

/// The number of a node in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeId(usize);

/// A node of a tree.
#[derive(Debug)]
pub enum Node {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<NodeId>),
    /// Keys as strings, in byte order, after merging and removing duplicates.
    Mapping(Vec<(Bytes, NodeId)>),
}

impl Tree {
    /// The node at the top; `None` for an empty document.
    pub fn root(&self) -> Option<NodeId> {
        self.root
    }

    /// The node of this tree with that number.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The number of nodes. Every [`NodeId::index`] is smaller.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

impl NodeId {
    /// The number, counted from 0. Nodes have smaller numbers than those that contain them.
    pub fn index(self) -> usize {
        self.0
    }
}

/// What may be at the top of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Top {
    /// A mapping.
    Mapping,
    /// Any node.
    Any,
}

/// Reads the first document in `bytes`.
///
/// # Errors
/// The text is not YAML, or has something else at its top than `top` says.
pub fn read(bytes: &Bytes, top: Top) -> Result<Tree, YamlError> {
    let text = decode(bytes)?;
    let mut options = granit_parser::options! {
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    options.set_emit_comments(false);
    let mut builder = Builder::new(bytes.clone());
    for next in Parser::new_from_str_with_options(&text, options) {
        let (event, span) = next.map_err(|error| syntax_error(&error))?;
        if event == Event::DocumentEnd {
            break;
        }
        let event = match event {
            Event::Scalar(value, style, anchor, tag) if ends_unfinished(&text, style, &span) => {
                Event::Scalar(without_line_break(value), style, anchor, tag)
            }
            event => event,
        };
        builder.take(event, span.start.line())?;
    }
    builder.finish(top)
}

/// Checks the syntax of all documents of a text.
///
/// # Errors
/// The line, counted from 1, of the first mistake.
pub fn check(text: &str) -> Result<(), usize> {
    let options = granit_parser::options! {
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut events = Parser::new_from_str_with_options(text, options);
    events.try_for_each(|next| next.map(|_| ()).map_err(|error| error.marker().line().max(1)))
}

/// The text of a document: UTF-8, or UTF-16 if it begins with a byte order mark.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, YamlError> {
    let utf16 = |units: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = units.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        text.map(Cow::Owned).map_err(|_| syntax(1, "invalid UTF-16"))
    };
    match bytes {
        [0xff, 0xfe, units @ ..] => utf16(units, u16::from_le_bytes),
        [0xfe, 0xff, units @ ..] => utf16(units, u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let text = std::str::from_utf8(bytes).map_err(|error| {
                let before = &bytes[..error.valid_up_to()];
                let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                syntax(line, "invalid UTF-8")
            })?;
            Ok(Cow::Borrowed(text))
        }
    }
}

/// Whether a block scalar (`|`, `>`) ends at the end of the text, in a line without a line break.
/// The parser adds a line break there; YAML and confd do not.
fn ends_unfinished(text: &str, style: ScalarStyle, span: &Span) -> bool {
    matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
        && span.byte_range().is_some_and(|range| range.end == text.len())
        && text.trim_end_matches(' ').ends_with(|last| !matches!(last, '\n' | '\r'))
}

fn without_line_break(value: Cow<'_, str>) -> Cow<'_, str> {
    match value {
        Cow::Borrowed(value) => value.strip_suffix('\n').unwrap_or(value).into(),
        Cow::Owned(value) => value.strip_suffix('\n').unwrap_or(&value).to_owned().into(),
    }
}

fn syntax(line: usize, problem: impl Into<String>) -> YamlError {
    YamlError::Syntax { line, problem: problem.into() }
}

fn syntax_error(error: &ScanError) -> YamlError {
    syntax(error.marker().line(), error.info())
}

/// Builds a tree from events. A node gets its number only when it is complete, so no node can
/// contain itself.
struct Builder {
    source: Bytes,
    nodes: Vec<Node>,
    /// The complete nodes that have an anchor, by the parser's number for it.
    anchors: HashMap<usize, NodeId>,
    /// The containers that are still open, outermost first.
    open: Vec<Container>,
    /// The node at the top, and the line where it begins.
    root: Option<(NodeId, usize)>,
    copied: usize,
}

struct Container {
    anchor: usize,
    line: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<NodeId>),
    /// The entries in the order of the text. The last of equal keys wins.
    Mapping {
        entries: Vec<(Bytes, NodeId)>,
        next: Next,
    },
}

/// The meaning of the next node in a mapping.
enum Next {
    Key,
    ValueOf(Bytes),
    /// The value of a `<<`.
    Merged,
}

impl Builder {
    fn new(source: Bytes) -> Builder {
        Builder {
            source,
            nodes: Vec::new(),
            anchors: HashMap::new(),
            open: Vec::new(),
            root: None,
            copied: 0,
        }
    }

    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let tag = tag.as_deref();
                if self.at_key() && text == "<<" && is_merge(plain, tag) {
                    self.set_next(Next::Merged);
                    return Ok(());
                }
                let verbatim = || share(&self.source, &text);
                let scalar = Scalar::new(&text, verbatim, plain, own_tag(tag).as_deref())
                    .map_err(|mistyped| syntax(line, mistyped.to_string()))?;
                self.complete(Node::Scalar(scalar), anchor, line)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(id) => self.place(*id, line),
                None => Err(syntax(line, "anchor value contains itself")),
            },
            Event::SequenceStart(_, anchor, _) => {
                self.begin(Content::Sequence(Vec::new()), anchor, line)
            }
            Event::MappingStart(_, anchor, _) => {
                let content = Content::Mapping { entries: Vec::new(), next: Next::Key };
                self.begin(content, anchor, line)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Container { anchor, line, content: Content::Sequence(items) }) => {
                    self.complete(Node::Sequence(items), anchor, line)
                }
                Some(Container { anchor, line, content: Content::Mapping { entries, .. } }) => {
                    self.complete(Node::Mapping(settled(entries)), anchor, line)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn begin(&mut self, content: Content, anchor: usize, line: usize) -> Result<(), YamlError> {
        if self.at_key() {
            return Err(invalid_key(line));
        }
        self.open.push(Container { anchor, line, content });
        Ok(())
    }

    fn complete(&mut self, node: Node, anchor: usize, line: usize) -> Result<(), YamlError> {
        let id = NodeId(self.nodes.len());
        self.nodes.push(node);
        // The parser numbers anchors from 1; 0 means no anchor.
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        self.place(id, line)
    }

    /// Adds a complete node to the open container.
    fn place(&mut self, id: NodeId, line: usize) -> Result<(), YamlError> {
        let Some(container) = self.open.last_mut() else {
            self.root = Some((id, line));
            return Ok(());
        };
        match &mut container.content {
            Content::Sequence(items) => items.push(id),
            Content::Mapping { entries, next } => match std::mem::replace(next, Next::Key) {
                Next::Key => match &self.nodes[id.0] {
                    Node::Scalar(scalar) => *next = Next::ValueOf(scalar.key()),
                    _ => return Err(invalid_key(line)),
                },
                Next::ValueOf(key) => {
                    entries.push((key, id));
                }
                Next::Merged => {
                    let merged = merge(&self.nodes, id).ok_or_else(|| {
                        syntax(line, "map merge requires map or sequence of maps as the value")
                    })?;
                    for (key, id) in merged.into_iter().flatten() {
                        self.copied += COST_OF_A_NODE + key.len();
                        if self.copied > MAX_COPIED {
                            return Err(YamlError::ExcessiveAliasing);
                        }
                        entries.push((key.clone(), *id));
                    }
                }
            },
        }
        Ok(())
    }

    /// Whether the next node is the key of a mapping.
    fn at_key(&self) -> bool {
        let innermost = self.open.last().map(|container| &container.content);
        matches!(innermost, Some(Content::Mapping { next: Next::Key, .. }))
    }

    fn set_next(&mut self, what: Next) {
        if let Some(Container { content: Content::Mapping { next, .. }, .. }) = self.open.last_mut()
        {
            *next = what;
        }
    }

    fn finish(self, top: Top) -> Result<Tree, YamlError> {
        let found = |line, found| Err(YamlError::NotAMapping { line, found });
        let root = match self.root.map(|(id, line)| (id, line, &self.nodes[id.0])) {
            None | Some((_, _, Node::Scalar(Scalar::Null))) => None,
            Some((id, _, _)) if top == Top::Any => Some(id),
            Some((id, _, Node::Mapping(_))) => Some(id),
            Some((_, line, Node::Sequence(_))) => return found(line, "!!seq"),
            Some((_, line, Node::Scalar(scalar))) => return found(line, scalar.tag()),
        };
        Ok(Tree { nodes: self.nodes, root })
    }
}

/// `text`, sharing the storage of `source` if it is a part of it.
fn share(source: &Bytes, text: &str) -> Bytes {
    let (whole, part) = (source.as_ptr_range(), text.as_bytes().as_ptr_range());
    match whole.start <= part.start && part.end <= whole.end {
        true => source.slice_ref(text.as_bytes()),
        false => Bytes::copy_from_slice(text.as_bytes()),
    }
}

/// Entries in byte order of their keys. The last of equal keys stays.
fn settled(mut entries: Vec<(Bytes, NodeId)>) -> Vec<(Bytes, NodeId)> {
    if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
        // The sort is stable, so the last of equal keys stays last.
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = later.1;
            }
            same
        });
    }
    entries
}

/// The mappings that a `<<` adds, in the order of adding: later ones win over earlier ones. In a
/// list, the first mapping wins.
fn merge(nodes: &[Node], id: NodeId) -> Option<Vec<&Vec<(Bytes, NodeId)>>> {
    let mapping = |id: &NodeId| match &nodes[id.0] {
        Node::Mapping(entries) => Some(entries),
        _ => None,
    };
    match &nodes[id.0] {
        Node::Sequence(items) => items.iter().rev().map(mapping).collect(),
        _ => mapping(&id).map(|entries| vec![entries]),
    }
}

/// Whether a key written `<<` merges: without quotes and tag, or with the tag `!!merge`.
fn is_merge(plain: bool, tag: Option<&Tag>) -> bool {
    match tag {
        None => plain,
        Some(_) => own_tag(tag).is_some_and(|name| name == "merge"),
    }
}

/// The name of one of YAML's own tags (`int` for `!!int`); empty for any other tag.
fn own_tag(tag: Option<&Tag>) -> Option<Cow<'_, str>> {
    tag.map(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:").unwrap_or_default())
}

fn invalid_key(line: usize) -> YamlError {
    syntax(line, "invalid map key: not a single value")
}
