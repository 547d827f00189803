//! Hints for resource files with the mistakes of a first try.

use std::{fs, path::Path};

use report::did_you_mean_spelled;

use crate::{
    document::Unknown,
    keys::{self, TEMPLATE},
};

/// The hint for a `confdir` that has no folder `conf.d` in it.
pub(crate) fn without_conf_d(confdir: &Path) -> String {
    // Probably conf.d itself or a file in it was given.
    let above = confdir.ancestors().skip(1).take(2);
    let above = above.map(|folder| if folder == Path::new("") { Path::new(".") } else { folder });
    match above.into_iter().find(|folder| folder.join("conf.d").is_dir()) {
        Some(folder) => format!("-confdir is the folder that holds conf.d: {}", folder.display()),
        None => "-confdir is the folder that holds conf.d and templates".to_owned(),
    }
}

/// The hint for a folder `conf_d` without resource files. It names the first other file.
pub(crate) fn without_resources(conf_d: &Path) -> String {
    let rule = format!("a resource is a file in {} whose name ends in .toml", conf_d.display());
    let entries = fs::read_dir(conf_d).into_iter().flatten().filter_map(Result::ok);
    let files = entries.filter(|entry| entry.path().is_file());
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    match names.filter(|name| !name.starts_with('.')).min() {
        Some(name) => format!("{rule}, and {name} does not"),
        None => rule,
    }
}

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
    if is_near {
        return Some("the table is called [template]".to_owned());
    }
    unknown.is_empty().then(|| "the file has no table [template]".to_owned())
}

/// The hint for a file whose parsing ended at byte `offset`, where a table `template` begins that
/// is not the first one.
pub(crate) fn for_second_table(text: &str, offset: usize) -> Option<String> {
    let before = text.get(..offset)?;
    let is_table = before.ends_with('[') && text[offset..].starts_with("template]");
    let hint = "several templates of one file, which are replaced together, stand below [[template]] \
                each; other resources need files of their own";
    (is_table && before.contains("[template]")).then(|| hint.to_owned())
}

/// The hint for a resource without `src` that has these keys instead.
pub(crate) fn without_src(unknown: &[Unknown<'_>]) -> Option<String> {
    instead_of(&[("src", "src"), ("source", "src"), ("template", "src")], unknown)
}

/// The hint for a resource without `dest` that has these keys instead.
pub(crate) fn without_dest(unknown: &[Unknown<'_>]) -> Option<String> {
    instead_of(&[("dest", "dest"), ("destination", "dest"), ("target", "dest")], unknown)
}

/// The hint for the first unknown key that is near one of the `spellings`.
fn instead_of(spellings: &[(&str, &str)], unknown: &[Unknown<'_>]) -> Option<String> {
    unknown.iter().find_map(|Unknown { key, .. }| {
        let hint = did_you_mean_spelled(key, spellings.iter().copied())?;
        Some(format!("`{key}` is not a key of a resource, {hint}"))
    })
}

/// The hint for a mode that is not a number.
pub(crate) fn for_mode() -> Option<String> {
    Some("a mode has digits from 0 to 7, such as \"0644\"".to_owned())
}

/// The hint for the name of a user or group at the key of its number, `by_number`.
pub(crate) fn for_name_of_owner(by_number: &str, by_name: &str, name: &str) -> String {
    format!("{by_number} is a number; a name is written {by_name} = {name:?}")
}

/// Words that people write for a key although their letters are far from it, each with the key.
const SPELLINGS: [(&str, &str); 7] = [
    ("source", "src"),
    ("destination", "dest"),
    ("check", "check_cmd"),
    ("reload", "reload_cmd"),
    ("user", "owner"),
    ("create_dest_dirs", "make_directories"),
    ("reload_interval", "min_reload_interval"),
];

/// The warning about a key that confd does not read.
pub(crate) fn ignored(table: &str, key: &str) -> String {
    match key.to_lowercase().as_str() {
        folded if table.is_empty() && keys::find(folded).is_some() => {
            format!("unknown key {}: it belongs below [template]", gotmpl::quote(key.as_bytes()))
        }
        folded if table.is_empty() && folded.starts_with("template") => {
            let key = gotmpl::quote(key.as_bytes());
            format!(
                "unknown key {key}: a resource stands in the table [template], and each of several \
                 that are replaced together in a table [[template]]"
            )
        }
        _ => {
            let used = TEMPLATE.keys.iter().filter(|key| key.is_used);
            let known = used.map(|key| (key.name, key.name)).chain(SPELLINGS);
            let hint = did_you_mean_spelled(key, known);
            let hint = hint.map_or(String::new(), |hint| format!(", {hint}"));
            let key = gotmpl::quote(format!("{table}{key}").as_bytes());
            format!("unknown key {key}{hint}")
        }
    }
}
