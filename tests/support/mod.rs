//! What the tests share: a folder of its own for each test, and the binary run in it, to its end
//! or for as long as the test likes.

#![expect(unreachable_pub, reason = "what is shared is public within this one binary")]

mod daemon;
mod network;
mod run;
mod sandbox;
mod world;

pub use daemon::Daemon;
pub use network::Network;
pub use run::{Ended, Run, is_excerpt};
pub use sandbox::Sandbox;
pub use servers::eventually;
pub use world::needs_root;
