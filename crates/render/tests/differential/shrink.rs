//! Finds a small template that shows a difference.

use proptest::strategy::ValueTree;

use super::support::Request;
use super::support::go::Go;
use super::{Seedling, differs, request};

/// The most simpler cases that proptest tries.
const TRIES: usize = 500;

/// The smallest request that differs, found from `failed` and the `tree` it was made from.
pub(crate) fn shrink(
    mut tree: impl ValueTree<Value = Seedling>,
    failed: Request,
    go: &mut Go,
) -> Request {
    let mut smallest = failed;
    let mut go_on = tree.simplify();
    for _ in 0..TRIES {
        if !go_on {
            break;
        }
        let simpler = request(&tree.current());
        go_on = if still_differs(&simpler, go) {
            smallest = simpler;
            tree.simplify()
        } else {
            tree.complicate()
        };
    }
    without_bytes(smallest, go)
}

fn still_differs(request: &Request, go: &mut Go) -> bool {
    let answers = go.ask(std::slice::from_ref(request));
    differs(request, &answers[0], go)
}

/// Removes bytes of the template, many at a time and then fewer, as long as the results still
/// differ.
fn without_bytes(mut request: Request, go: &mut Go) -> Request {
    let mut length = request.template.len() / 2;
    while length > 0 {
        let mut at = 0;
        while at + length <= request.template.len() {
            let mut shorter = request.clone();
            shorter.template.drain(at..at + length);
            if still_differs(&shorter, go) {
                request = shorter;
            } else {
                at += length.div_ceil(2);
            }
        }
        length /= 2;
    }
    request
}
