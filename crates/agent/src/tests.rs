//! Tests of the agent through its public interface: the drivers, and the states of resources.

mod placement;
mod site;
mod states;
