//! What all tests use: a folder for each test, and the binary run in that folder, to its end or
//! until the test stops it.

#![expect(unreachable_pub, reason = "what is shared is public within this one binary")]

mod consul;
mod daemon;
mod follower;
mod network;
mod run;
mod sandbox;
mod time;
mod world;

pub use consul::consul_with;
pub use daemon::Daemon;
pub use follower::{Follower, Rendered};
pub use network::{Network, World};
pub use run::{Ended, Run, is_excerpt, search_path};
pub use sandbox::Sandbox;
pub use servers::{eventually, pause};
pub use time::{throughout, within};
pub use world::needs_root;
