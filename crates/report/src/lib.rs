//! Words for people, and the one way to see that a file was replaced.
//!
//! - [`Excerpt`]: the line of a file that is at fault, with a caret and a hint.
//! - [`did_you_mean`], [`did_you_mean_spelled`]: the known names that come nearest to a mistyped one.
//! - [`errno_text`], [`errno_text_in`], [`signal_text`]: the system's errors and signals in the words
//!   of Go's programs, which people's alerts look for.
//! - [`Fingerprint`]: one state of a file, different as soon as the file was touched.
//!
//! Every crate that reads files or talks to people needs these, so each exists once, here, below all
//! of them. Nothing here knows keys, templates, sources or destinations; nothing is async, and the
//! only system call is the `stat` of [`Fingerprint::at`].

mod errno;
mod excerpt;
mod fingerprint;
mod nearest;

pub use errno::{errno_text, errno_text_in, signal_text};
pub use excerpt::{Excerpt, Place};
pub use fingerprint::Fingerprint;
pub use nearest::{did_you_mean, did_you_mean_spelled};
