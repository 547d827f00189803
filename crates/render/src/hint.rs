//! Hints for a template that asks for a key that does not exist.

use report::did_you_mean;
use store::{View, path};

use crate::funcs::NO_SUCH_KEY;

/// Why the key `missing` is probably missing: the resource does not ask for it, or a similar key
/// was meant, or the same key in the store's spelling. The hint contains the key only if `may_show`,
/// because a key can be made of a value.
pub(crate) fn why_missing(view: &View, missing: &[u8], may_show: bool) -> Option<String> {
    if view.asks_for_nothing() {
        return Some("the resource has no `keys`, so it gets no key".to_owned());
    }
    near_key(view, missing).or_else(|| {
        let is_asked_for = view.asks_for(missing) || !missing.starts_with(b"/");
        let key = if may_show { gotmpl::quote(missing) } else { "this key".to_owned() };
        (!is_asked_for).then(|| format!("`keys` does not ask for {key}"))
    })
}

/// The key that was probably meant by the missing key `missing`: the same key in the store's
/// spelling, or otherwise a similar key.
fn near_key(view: &View, missing: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(missing).ok()?;
    let proper = path::join([b"/", missing]);
    if view.exists(&proper) {
        return did_you_mean(&String::from_utf8_lossy(&proper), [String::from_utf8_lossy(&proper)]);
    }
    did_you_mean(key, view.iter().map(|pair| pair.key.to_string()))
}

/// The key in an error message about a missing key; `None` for any other message.
pub(crate) fn missing_key(message: &[u8]) -> Option<&[u8]> {
    let failure = message.strip_prefix(b"error calling get")?;
    let failure = failure.strip_prefix(b"v").unwrap_or(failure).strip_prefix(b": ")?;
    failure.strip_prefix(NO_SUCH_KEY.as_bytes())
}
