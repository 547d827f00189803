//! What a template calls with constants, as its source says.

use bytes::Bytes;

use crate::node::{Content, NodeId, Pipe, Tree};
use crate::template::Template;

/// A call of a function whose first argument is a constant text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstantCall<'t> {
    /// The name of the function.
    pub function: &'t [u8],
    /// Its first argument, or the text that is piped to it alone.
    pub argument: &'t Bytes,
    /// Where the name of the function begins in the source.
    pub offset: usize,
}

impl<C: ?Sized> Template<C> {
    /// The calls with a constant text as the first argument, in this template and in those that its source
    /// defines, reached or not, in the order of the source.
    pub fn constant_calls(&self) -> Vec<ConstantCall<'_>> {
        let tree = self.tree();
        let mut calls: Vec<_> = tree
            .nodes()
            .iter()
            .flat_map(|node| match node.content {
                Content::Command(operands) => match tree.children(operands) {
                    [function, argument, ..] => vec![call(tree, *function, *argument)],
                    _ => Vec::new(),
                },
                Content::Pipe(Pipe { commands, .. }) => {
                    let pairs = tree.children(commands).windows(2);
                    pairs
                        .map(|pair| call(tree, only(tree, pair[1])?, only(tree, pair[0])?))
                        .collect()
                }
                _ => Vec::new(),
            })
            .flatten()
            .collect();
        calls.sort_by_key(|call| call.offset);
        calls
    }

    /// The names that the source calls by `{{template NAME}}` and does not define, each with the place of
    /// the call. Such a call fails.
    pub fn undefined(&self) -> Vec<(&Bytes, usize)> {
        let tree = self.tree();
        let called = tree.nodes().iter().filter_map(|node| match node.content {
            Content::Template(name, _) => Some((tree.name(name), node.position())),
            _ => None,
        });
        called.filter(|(name, _)| tree.find(name).is_none()).collect()
    }
}

/// The call of `function` with `argument`, if they are a function and a text.
fn call(tree: &Tree, function: NodeId, argument: NodeId) -> Option<ConstantCall<'_>> {
    let Content::Function(written, _) = tree.node(function).content else { return None };
    let Content::String(_, place) = tree.node(argument).content else { return None };
    let (function, offset) = (tree.written(written), written.range().start);
    Some(ConstantCall { function, argument: tree.string(place), offset })
}

/// The operand of a command that has no arguments.
fn only(tree: &Tree, command: NodeId) -> Option<NodeId> {
    let Content::Command(operands) = tree.node(command).content else { return None };
    match tree.children(operands) {
        [operand] => Some(*operand),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Functions;

    fn template(source: &'static str) -> Template<()> {
        let mut functions = Functions::<()>::new();
        functions.add("getv", |_: &(), key: Bytes| -> Result<Bytes, crate::Failure> { Ok(key) });
        Template::parse("a", source, &Arc::new(functions)).unwrap()
    }

    #[test]
    fn constant_arguments_are_found_wherever_they_stand() {
        let template = template(
            "getv \"/text\"{{/* getv \"/c\" */}}{{getv \"/a\\x62\"}}{{if eq (getv `/b`) \"getv\"}}\
             {{\"/c\" | getv | printf \"%s\"}}{{$x := \"/d\"}}{{getv $x}}{{end}}\
             {{define \"piece\"}}{{with getv \"/e\"}}{{end}}{{end}}",
        );
        let calls = template.constant_calls();
        let of_getv = calls.iter().filter(|call| call.function == b"getv");
        let keys: Vec<_> = of_getv.clone().map(|call| &call.argument[..]).collect();
        assert_eq!(keys, [&b"/ab"[..], b"/b", b"/c", b"/e"]);
        for call in of_getv {
            assert!(template.source()[call.offset..].starts_with(b"getv"));
        }
    }

    #[test]
    fn templates_that_nothing_defines_are_found() {
        let template =
            template("{{define \"one\"}}{{template \"two\"}}{{end}}{{template \"one\"}}");
        let undefined = template.undefined();
        assert_eq!(undefined.len(), 1);
        assert_eq!((&undefined[0].0[..], undefined[0].1 < 34), (&b"two"[..], true));
    }
}
