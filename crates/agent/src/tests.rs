//! The agent as its caller sees it: drivers, states of resources, and what holds up whom.

mod placement;
mod site;
mod states;
