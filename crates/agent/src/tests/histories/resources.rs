//! The resources of a history, and which contents are good for their services.

use std::{collections::BTreeMap, fs, path::Path};

use crate::tests::site::Site;

/// The contents of the files of a service, by their names.
pub(super) type Files = BTreeMap<String, String>;

/// A service whose files confd makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    /// Its files are a group with a required key, a check of one file and a group check.
    Web,
    /// Its file is rolled back.
    Single,
    /// Its file has the guards `min_keys` and `max_shrink`.
    Pool,
    /// It has a file for each item.
    Items,
}

impl Service {
    pub(super) const ALL: [Service; 4] =
        [Service::Web, Service::Single, Service::Pool, Service::Items];

    pub(super) fn named(name: &str) -> Service {
        match name {
            "web" => Service::Web,
            "single" => Service::Single,
            "pool" => Service::Pool,
            _ => Service::Items,
        }
    }
}

/// The number of items that there can be.
pub(super) const ITEMS: usize = 3;
/// The number of keys that the pool can have.
pub(super) const POOL: usize = 7;
/// The least number of keys of the pool.
const MIN_KEYS: usize = 2;

/// All files, below the folder of the destinations.
pub(super) const FILES: [&str; 4 + ITEMS] =
    ["one", "two", "single", "pool", "items/0", "items/1", "items/2"];

/// The service that reads this file.
pub(super) fn service_of(file: &str) -> Service {
    match file {
        "one" | "two" => Service::Web,
        "single" => Service::Single,
        "pool" => Service::Pool,
        _ => Service::Items,
    }
}

/// Whether a service reads this file.
pub(super) fn is_of(service: Service, file: &Path) -> bool {
    file.to_str().is_some_and(|file| service_of(file) == service)
}

/// The files of a service that exist.
pub(super) fn files_of(service: Service, folder: &Path) -> Files {
    let files = FILES.into_iter().filter(|file| service_of(file) == service);
    let read = |file: &str| Some((file.to_owned(), fs::read_to_string(folder.join(file)).ok()?));
    files.filter_map(read).collect()
}

/// Whether the check of a single file refuses this content.
pub(super) fn is_bad(content: &str) -> bool {
    content.contains('3')
}

/// Whether the group check refuses a group with this content.
pub(super) fn is_bad_group(content: &str) -> bool {
    content == "2 2"
}

/// Whether a service never accepts these files.
pub(super) fn is_refused(service: Service, files: &Files) -> bool {
    service == Service::Single && files.values().any(|content| content == "3")
}

/// The number of keys from which this content of the pool was made.
pub(super) fn keys_in(pool: &str) -> usize {
    pool.matches('=').count()
}

/// Whether a guard of the pool trips when its keys are `now` in place of `before`.
pub(super) fn trips(before: usize, now: usize) -> bool {
    now < MIN_KEYS || now * 2 < before
}

/// Writes all resources and their templates.
pub(super) fn write(site: &Site) {
    let check = "check_cmd = ['check', '{{.src}}']";
    let web = "group = 'web'\nreload_cmd = ['reload', 'web']";
    let group_check = "group_check_cmd = ['group-check', '{{.root}}']";
    let each = "for_each = '/items/*'\nkeys = ['/items', '/shared']";
    let removed = "remove_cmd = ['reload', 'items', 'removed']";
    for (name, dest, template, more) in [
        (
            "one",
            "one",
            "{{getv \"/a\"}} {{getv \"/b\"}}",
            format!(
                "{web}\n{check}\n{group_check}\nkeys = ['/a', '/b', '/guard']\nrequired_keys = ['/guard']"
            ),
        ),
        ("two", "two", "{{getv \"/a\"}} {{getv \"/b\"}}", format!("{web}\nkeys = ['/a', '/b']")),
        (
            "single",
            "single",
            "{{getv \"/single\"}}",
            "keys = ['/single']\nreload_cmd = ['reload', 'single']\non_reload_failure = 'rollback'"
                .to_owned(),
        ),
        (
            "pool",
            "pool",
            "{{range gets \"/pool/*\"}}{{base .Key}}={{.Value}} {{end}}",
            format!(
                "keys = ['/pool']\nmin_keys = {MIN_KEYS}\nmax_shrink = '50%'\nreload_cmd = ['reload', 'pool']"
            ),
        ),
        (
            "items",
            "items/{{.name}}",
            "{{getv \"/v\"}} {{getv \"//shared\" \"-\"}}",
            format!("{each}\n{check}\n{removed}\nreload_cmd = ['reload', 'items']"),
        ),
    ] {
        let dest = site.path("out").join(dest);
        let table = format!("[template]\nsrc = '{name}'\ndest = '{}'\n{more}\n", dest.display());
        fs::write(site.path("templates").join(name), template).unwrap();
        fs::write(site.path("conf.d").join(format!("{name}.toml")), table).unwrap();
    }
}
