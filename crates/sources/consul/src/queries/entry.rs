//! A query that is followed, and the state of its requests.

use std::collections::BTreeSet;

use catalog::{Data, Query, Text};

use super::feed::Running;

/// A query that is followed.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) query: Query,
    /// The last answer.
    pub(super) data: Option<Data>,
    /// The index of the last answer to a request that did not wait.
    pub(super) index: Option<u64>,
    /// The number of answers.
    pub(super) answers: u32,
    /// The attempts that have failed since the last answer.
    pub(super) failed: u32,
    /// The place with which it is followed; `None` if it has a blocking query.
    pub(super) place: Option<catalog::Place>,
    pub(super) state: State,
    /// Whether it must be asked once more after the running request, which may have been answered
    /// before the reported change.
    pub(super) again: bool,
    /// Whether a change was reported that the last answer may not contain.
    pub(super) is_reported: bool,
    /// Whether a failure was reported since the last answer.
    pub(super) is_failing: bool,
    /// Whether there was a warning about the last answer.
    pub(super) is_warned: bool,
    /// Whether the leader is asked next.
    pub(super) from_leader: bool,
    pub(super) running: Option<Running>,
}

/// What is to be asked for an entry. A query with a blocking query of its own is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing.
    Idle,
    /// Its answer: it waits for a connection, or for the moment of the next attempt.
    Ready,
    /// Its answer: a request is running.
    Asking,
    /// Its index: a request is running, or waits for a connection.
    Searched,
    /// Nothing any more.
    Over,
}

impl Entry {
    pub(super) fn new(query: Query) -> Self {
        Entry {
            query,
            data: None,
            index: None,
            answers: 0,
            failed: 0,
            place: None,
            state: State::Idle,
            again: false,
            is_reported: false,
            is_failing: false,
            is_warned: false,
            from_leader: false,
            running: None,
        }
    }

    /// Notes that its answer must be asked for. Returns whether it has to be added to the entries
    /// that are ready.
    pub(super) fn want(&mut self) -> bool {
        match self.state {
            State::Idle | State::Searched => {
                self.is_reported = self.data.is_some();
                self.running = None;
                self.state = State::Ready;
                true
            }
            State::Asking => {
                self.again = true;
                false
            }
            State::Ready | State::Over => false,
        }
    }

    /// Ends what is asked for it. Returns the state that it had, if it was not idle or over.
    pub(super) fn rest(&mut self) -> Option<State> {
        if matches!(self.state, State::Idle | State::Over) {
            return None;
        }
        (self.running, self.again) = (None, false);
        Some(std::mem::replace(&mut self.state, State::Idle))
    }

    /// Whether its answer has an instance on one of these nodes.
    pub(super) fn is_on(&self, nodes: &BTreeSet<Text>) -> bool {
        match &self.data {
            Some(Data::Instances(instances)) => {
                instances.iter().any(|instance| nodes.contains(&instance.node))
            }
            // It is not known yet, or is no list of instances.
            _ => true,
        }
    }
}
