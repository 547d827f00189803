//! Tests of the agent with a store in memory.

mod answers;
mod disk;
mod histories;
mod pending;
mod placement;
pub(crate) mod site;
mod slow;
mod states;
mod waiting;
