//! Hints for resource files with the mistakes of a first try.

use report::did_you_mean_spelled;

use crate::document::Unknown;

/// Keys that only `confd.toml` has, or that everybody writes there.
const OF_CONFD_TOML: [&str; 8] =
    ["backend", "nodes", "confdir", "interval", "log-level", "noop", "watch", "onetime"];

/// The keys of which a resource has at least one.
const OF_RESOURCE: [&str; 3] = ["src", "dest", "keys"];

/// The hint for a file that has no table `template`, but these keys and tables.
pub(crate) fn without_template(unknown: &[Unknown<'_>]) -> Option<String> {
    let has = |names: &[&str]| {
        unknown.iter().any(|unknown| names.contains(&&*unknown.key.to_lowercase()))
    };
    if has(&["confd"]) || has(&OF_CONFD_TOML) {
        return Some("this looks like confd.toml, which belongs one folder up".to_owned());
    }
    if has(&OF_RESOURCE) {
        return Some("the keys of a resource stand below [template]".to_owned());
    }
    let near = |unknown: &Unknown<'_>| {
        did_you_mean_spelled(unknown.key, [("template", "template")]).is_some()
    };
    let is_near = unknown.iter().any(near);
    is_near.then(|| "the table is called [template]".to_owned())
}

/// The hint for a resource without `dest` that has these keys instead.
pub(crate) fn without_dest(unknown: &[Unknown<'_>]) -> Option<String> {
    let spellings = [("dest", "dest"), ("destination", "dest"), ("target", "dest")];
    unknown.iter().find_map(|Unknown { key, .. }| {
        let hint = did_you_mean_spelled(key, spellings)?;
        Some(format!("`{key}` is not a key of a resource, {hint}"))
    })
}

/// The hint for a mode that is not a number.
pub(crate) fn for_mode() -> Option<String> {
    Some("a mode has digits from 0 to 7, such as \"0644\"".to_owned())
}

/// The hint for the name of a user or group in the place of its number, which `key` asks for.
pub(crate) fn for_identity(key: &str, name: &str) -> String {
    match key {
        "uid" => format!("uid is a number, which `id -u {name}` shows"),
        _ => format!("{key} is a number, which `getent group {name}` shows"),
    }
}

/// The keys of a resource.
const KEYS: [&str; 16] = [
    "src",
    "dest",
    "keys",
    "prefix",
    "mode",
    "uid",
    "gid",
    "engine",
    "check_cmd",
    "reload_cmd",
    "check_timeout",
    "reload_timeout",
    "render_timeout",
    "heal",
    "debounce",
    "min_reload_interval",
];

/// Words that people write for a key although their letters are far from it, each with the key.
const SPELLINGS: [(&str, &str); 5] = [
    ("source", "src"),
    ("destination", "dest"),
    ("check", "check_cmd"),
    ("reload", "reload_cmd"),
    ("reload_interval", "min_reload_interval"),
];

/// The warning about a key that confd does not read.
pub(crate) fn ignored(table: &str, key: &str) -> String {
    match key.to_lowercase().as_str() {
        "owner" if table == "template." => {
            "owner is ignored, as in confd; use uid, a number".into()
        }
        "group" if table == "template." => {
            "group is ignored, as in confd; use gid, a number".into()
        }
        _ => {
            let known = KEYS.iter().map(|key| (*key, *key)).chain(SPELLINGS);
            let hint = did_you_mean_spelled(key, known);
            let hint = hint.map_or(String::new(), |hint| format!(", {hint}"));
            format!("unknown key \"{table}{key}\"{hint}")
        }
    }
}
