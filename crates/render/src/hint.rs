//! Hints for a template that asks for a key that does not exist.

use report::did_you_mean;
use store::{View, path};

use crate::funcs::NO_SUCH_KEY;

/// The most keys that a hint lists.
const LISTED: usize = 3;

/// Why the key `missing` is probably missing: the reason of this key, or the one of all keys. The hint
/// contains the key only if `may_show`, because a key can be made of a value.
pub(crate) fn why_missing(view: &View, missing: &[u8], may_show: bool) -> Option<String> {
    of_one(view, missing, may_show).or_else(|| of_all(view, missing, may_show))
}

/// Why just the key `missing` is probably missing: it repeats the prefix, a similar key was meant, or
/// the same key in the store's spelling, or the resource does not ask for it.
pub(crate) fn of_one(view: &View, missing: &[u8], may_show: bool) -> Option<String> {
    if view.asks_for_nothing() {
        return None;
    }
    if let Some(key) = without_prefix(view, missing) {
        let prefix = shown_prefix(view);
        return Some(format!("templates leave out the prefix {prefix}: did you mean \"{key}\"?"));
    }
    if let Some(near) = near_key(view, missing) {
        return Some(near);
    }
    let is_asked_for = view.asks_for(missing) || !missing.starts_with(b"/");
    (!is_asked_for).then(|| {
        let key = if may_show { gotmpl::quote(missing) } else { "this key".to_owned() };
        format!("`keys` does not ask for {key}")
    })
}

/// Why all keys are probably missing: the resource asks for none, the item has others, or the source has
/// none of those that the resource asks for. A source with names of its own for keys is named too.
pub(crate) fn of_all(view: &View, missing: &[u8], may_show: bool) -> Option<String> {
    if view.asks_for_nothing() {
        return Some("the resource has no `keys`, so it gets no key".to_owned());
    }
    if let Some(has) = of_item(view, missing) {
        return Some(has);
    }
    let named = may_show.then(|| view.name_of(missing)).flatten();
    let named = named.map(|name| format!("{name} would be this key"));
    let named = named.or_else(|| view.advice().map(str::to_owned));
    match (nothing_found(view), named) {
        (Some(reason), Some(named)) => Some(format!("{reason}; {named}")),
        (reason, named) => reason.or(named),
    }
}

/// Which keys the item of the template has, if the missing key is one of an item.
fn of_item(view: &View, missing: &[u8]) -> Option<String> {
    let item = view.item().filter(|item| !item.key.is_empty() && !missing.starts_with(b"//"))?;
    let keys: Vec<_> = view.iter().map(|pair| pair.key.to_string()).take(LISTED + 1).collect();
    let more = if keys.len() > LISTED { ", …" } else { "" };
    let listed = keys.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    Some(format!("the item {} has only {listed}{more}", String::from_utf8_lossy(&item.key)))
}

/// The key `missing` without the prefix that it repeats, if there is such a key.
fn without_prefix(view: &View, missing: &[u8]) -> Option<String> {
    let prefix = view.prefix().as_bytes();
    let rest = missing.strip_prefix(prefix.strip_suffix(b"/").unwrap_or(prefix))?;
    let is_there = rest.starts_with(b"/") && rest.len() < missing.len() && view.exists(rest);
    is_there.then(|| String::from_utf8_lossy(rest).into_owned())
}

/// The prefix as it is shown.
fn shown_prefix(view: &View) -> String {
    String::from_utf8_lossy(view.prefix().as_bytes()).into_owned()
}

/// That the source has none of the keys that the resource asks for, if that is so.
fn nothing_found(view: &View) -> Option<String> {
    if !view.is_empty() {
        return None;
    }
    let keys = view.scope().iter().take(LISTED).map(ToString::to_string).collect::<Vec<_>>();
    let more = if view.scope().len() > LISTED { ", …" } else { "" };
    let text = format!("the source has no key at {}{more}", keys.join(", "));
    Some(match shown_prefix(view).as_str() {
        "/" => text,
        prefix => format!("{text}: `keys` is relative to the prefix {prefix}"),
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
