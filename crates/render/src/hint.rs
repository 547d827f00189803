//! The key that a template probably meant, if it asks for a key that does not exist.

use report::did_you_mean;
use store::{View, path};

use crate::funcs::NO_SUCH_KEY;

/// The key that was probably meant, if `message` is about a missing key: the same key in the
/// store's spelling, or otherwise a similar key.
pub(crate) fn near_key(view: &View, message: &[u8]) -> Option<String> {
    let key = missing_key(message)?;
    let proper = path::join([b"/", key.as_bytes()]);
    if view.exists(&proper) {
        return did_you_mean(&String::from_utf8_lossy(&proper), [String::from_utf8_lossy(&proper)]);
    }
    did_you_mean(key, view.iter().map(|pair| pair.key.to_string()))
}

/// The key in an error message about a missing key.
fn missing_key(message: &[u8]) -> Option<&str> {
    let failure = std::str::from_utf8(message).ok()?.strip_prefix("error calling get")?;
    failure.strip_prefix('v').unwrap_or(failure).strip_prefix(": ")?.strip_prefix(NO_SUCH_KEY)
}
