//! The paths of URLs, and their parameters.

use std::borrow::Cow;
use std::fmt::Write;

use client_consul::Consistency;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Beyond;

/// The path and query of a URL.
pub(super) fn target(
    path: &str,
    parameters: &str,
    beyond: Option<Beyond>,
    consistency: Consistency,
) -> String {
    let mut query = String::new();
    query += match consistency {
        Consistency::Default => "",
        Consistency::Consistent => "&consistent=",
        Consistency::Stale(_) => "&stale=",
    };
    query += parameters;
    if let Some(Beyond { index, wait, .. }) = beyond {
        // Writing to a string cannot fail.
        let _ = write!(query, "&index={index}&wait={}ms", wait.as_millis());
    }
    match query.strip_prefix('&') {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// A parameter behind `&`; nothing if it has no value.
pub(super) fn named(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)),
        None => String::new(),
    }
}

/// A filter of answers behind `&`.
pub(super) fn filter(expression: &str) -> String {
    named("filter", Some(expression))
}

/// A key as Consul spells it in the path of a URL: without empty names and dots. Consul redirects
/// every other spelling to this one.
pub(super) fn spelled(key: &str) -> Cow<'_, str> {
    let is_odd = |name: &str| matches!(name, "" | "." | "..");
    let names = key.strip_suffix('/').unwrap_or(key);
    if !names.split('/').any(is_odd) {
        return Cow::Borrowed(key);
    }
    let mut kept = Vec::new();
    for name in names.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    let end = if key.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    Cow::Owned(kept.join("/") + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_spelled_as_consul_spells_it_in_paths() {
        for (key, expected) in [
            ("app/name", "app/name"),
            ("app/", "app/"),
            ("//app//name", "app/name"),
            ("/app//", "app/"),
            ("a/./b/../c", "a/c"),
            ("/", ""),
            ("a..b/.c", "a..b/.c"),
        ] {
            assert_eq!(spelled(key), expected, "{key}");
        }
    }
}
