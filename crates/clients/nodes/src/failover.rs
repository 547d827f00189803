//! Which of several nodes is asked.
//!
//! One node is asked as long as it answers. If it does not, the others are, each once, before an
//! error is given; the one that answers is asked from then on.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::debug;

use crate::{Attempt, Cause, Error};

/// The nodes of one store, by number.
#[derive(Debug)]
pub struct Failover {
    store: &'static str,
    /// The addresses, for messages.
    nodes: Vec<String>,
    /// Which one is asked.
    current: AtomicUsize,
}

/// Why a node gave no answer.
#[derive(Debug)]
pub enum NodeError {
    /// It could not be asked, or could not answer now: another node may.
    Unreachable(Cause),
    /// No node would answer otherwise.
    Final(Error),
}

impl Failover {
    /// Nodes of a kind of store, of which the first is asked first.
    pub fn new(store: &'static str, nodes: Vec<String>) -> Self {
        Failover { store, nodes, current: AtomicUsize::new(0) }
    }

    /// The address of a node.
    pub fn address(&self, node: usize) -> &str {
        self.nodes.get(node).map_or("", String::as_str)
    }

    /// The node that is asked first; `None` if there are none.
    pub fn current(&self) -> Option<usize> {
        let current = self.current.load(Ordering::Relaxed);
        (current < self.nodes.len()).then_some(current)
    }

    /// Puts a question to one node after the other until one answers; says which did.
    ///
    /// # Errors
    ///
    /// No node answers, or one says no.
    pub async fn ask<Q, A, T>(&self, question: Q) -> Result<(usize, T), Error>
    where
        Q: Fn(usize) -> A,
        A: Future<Output = Result<T, NodeError>>,
    {
        let first = self.current.load(Ordering::Relaxed);
        let mut attempts = Vec::new();
        for nth in 0..self.nodes.len() {
            let node = (first + nth) % self.nodes.len();
            match question(node).await {
                Ok(answer) => {
                    if nth > 0 {
                        debug!("{}: {} is asked from now on", self.store, self.address(node));
                    }
                    self.current.store(node, Ordering::Relaxed);
                    return Ok((node, answer));
                }
                Err(NodeError::Final(error)) => return Err(error),
                Err(NodeError::Unreachable(cause)) => {
                    debug!("{}: {} does not answer: {cause}", self.store, self.address(node));
                    attempts.push(Attempt { node: self.address(node).to_owned(), cause });
                }
            }
        }
        Err(Error::Unreachable { store: self.store, attempts })
    }

    /// Asks the node behind `node` first from now on, if `node` is the one that is asked now:
    /// somebody else may have found another already.
    pub fn leave(&self, node: usize) {
        let next = (node + 1) % self.nodes.len().max(1);
        let relaxed = Ordering::Relaxed;
        let _ = self.current.compare_exchange(node, next, relaxed, relaxed);
    }
}
