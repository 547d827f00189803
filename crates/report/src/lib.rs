//! Texts for people, and fingerprints of files.
//!
//! - [`Excerpt`]: the faulty line of a file, with a caret and a hint.
//! - [`did_you_mean`], [`did_you_mean_spelled`]: the known names that come nearest to a mistyped
//!   one.
//! - [`errno_text`], [`errno_text_in`], [`signal_text`]: the system's errors and signals in the
//!   words of Go programs, which people's alerts search for.
//! - [`FileError`]: an operation on a file that failed, with its path, in the same words.
//! - [`Fingerprint`]: one state of a file, which shows whether the file was changed.
//! - [`harmless()`], [`Harmless`]: a text that stays in its line and cannot control a terminal.
//! - [`open_regular`], [`read_regular`], [`read_with_fingerprint`]: reading a file that cannot
//!   block its reader.
//!
//! Every crate that reads files or writes messages needs these, so they are in a crate below all
//! others. It does not know keys, templates, sources or destinations. Nothing is async; the only
//! system calls are the `stat` of [`Fingerprint::at`] and those of
//! [`read_with_fingerprint`].

mod errno;
mod excerpt;
mod file_error;
mod fingerprint;
mod harmless;
mod nearest;
mod regular;

pub use errno::{errno_text, errno_text_in, signal_text};
pub use excerpt::{Excerpt, Place};
pub use file_error::{FileError, file_error_text};
pub use fingerprint::Fingerprint;
pub use harmless::{Harmless, harmless, is_harmful};
pub use nearest::{did_you_mean, did_you_mean_spelled};
pub use regular::{open_regular, read_regular, read_with_fingerprint};
