//! How paths are written in URLs.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// The bytes that are escaped in the path of a URL.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A path of Vault, without the slash at its beginning, as a part of the path of a URL.
pub fn escaped(path: &[u8]) -> impl fmt::Display + '_ {
    percent_encode(path, PATH)
}
