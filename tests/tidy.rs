//! Rules about the repository itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::Sandbox;

/// The crates by layer: each may use those of lower layers, and none of its own.
const LAYERS: &[&[&str]] = &[
    &["servers"],
    &["store", "gotmpl", "hcl", "yaml", "catalog", "regexp"],
    &["report", "options"],
    &["names"],
    &["config", "filewatch", "state-folder", "world", "command", "nodes"],
    &["tls"],
    &["client-http"],
    &[
        "client-etcd",
        "client-etcd2",
        "client-consul",
        "client-vault",
        "client-docker",
        "client-aws",
    ],
    &["source", "render", "deploy"],
    &[
        "agent",
        "consul-template",
        "register",
        "backends",
        "source-env",
        "source-file",
        "source-etcd",
        "source-etcdv2",
        "source-consul",
        "source-redis",
        "source-vault",
        "source-aws",
        "source-zookeeper",
    ],
    &["control", "prove"],
    &["confd"],
];

/// How long a source file may be.
const LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below these folders of the repository whose names end so.
fn files(folders: &[&str], end: &str) -> Vec<PathBuf> {
    let mut pending: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut files = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.to_string_lossy().ends_with(end) {
                files.push(path);
            }
        }
    }
    files
}

/// All of our Rust.
fn sources() -> Vec<PathBuf> {
    files(&["crates", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"], ".rs")
}

/// The documents, those at the top and those below `docs` and `examples`.
fn documents() -> Vec<PathBuf> {
    let at_top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let at_top = at_top.filter(|path| path.extension().is_some_and(|end| end == "md"));
    at_top.chain(files(&["docs", "examples"], ".md")).collect()
}

/// A path as people write it.
fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The names between these columns of a Markdown table's bars, without their backticks.
fn column(table: &str, nth: usize) -> Vec<String> {
    let cells = table.lines().filter_map(|line| line.strip_prefix('|')?.split('|').nth(nth));
    cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
}

#[test]
fn dependencies_point_one_way() {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let manifests = files(&["crates"], "Cargo.toml").into_iter().chain([root().join("Cargo.toml")]);
    let mut seen = BTreeSet::new();
    for path in manifests {
        let manifest: toml::Table = read(&path).parse().unwrap();
        let user = manifest["package"]["name"].as_str().unwrap().to_owned();
        let of_user = layer(&user).unwrap_or_else(|| panic!("{user} has no layer"));
        for used in dependencies(&manifest) {
            assert!(
                layer(&used).is_none_or(|of_used| of_used < of_user),
                "{user} may not use {used}"
            );
        }
        seen.insert(user);
    }
    assert_eq!(seen, LAYERS.concat().into_iter().map(str::to_owned).collect());
}

/// The crates that forbid themselves more calls than the others.
const PURE: [&str; 5] = ["store", "gotmpl", "hcl", "yaml", "catalog"];

#[test]
fn pure_crates_forbid_themselves_what_all_crates_do() {
    // clippy reads only the nearest of these files.
    let of_all = read(&root().join("clippy.toml"));
    for name in PURE {
        let of_crate = read(&root().join(format!("crates/{name}/clippy.toml")));
        for line in of_all.lines().filter(|line| !line.starts_with('#')) {
            assert!(of_crate.contains(line), "crates/{name}/clippy.toml lacks {line:?}");
        }
    }
}

/// The files of tables about code points, each with the argument by which `tools/tables` prints it.
const TABLES: [(&str, &str); 2] = [
    ("crates/gotmpl/src/unicode/tables.rs", "gotmpl"),
    ("crates/render/src/funcs/case/tables.rs", "case"),
];

#[test]
fn the_tables_are_what_their_generator_prints() {
    let folder = root().join("tools/tables");
    let module = read(&folder.join("go.mod"));
    let toolchain = module.lines().find_map(|line| line.strip_prefix("toolchain ")).unwrap();
    for (file, argument) in TABLES {
        let printed = Command::new("go")
            .args(["run", ".", argument])
            .current_dir(&folder)
            .env("GOTOOLCHAIN", toolchain)
            .output()
            .unwrap_or_else(|error| panic!("cannot run go ({error}): install Go"));
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let same = read(&root().join(file)).as_bytes() == printed.stdout;
        assert!(same, "{file} differs: `cd tools/tables && go run . {argument}` prints it");
    }
}

/// The names of a package's dependencies, of all kinds and for all targets.
fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(toml::Table::values);
    let tables = targets.filter_map(toml::Value::as_table).chain([manifest]);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let of_kinds = tables.flat_map(|table| kinds.map(|kind| table.get(kind)));
    let used = of_kinds.flatten().filter_map(toml::Value::as_table).flat_map(toml::Table::keys);
    used.cloned().collect()
}

/// The dependencies that no code names: `.cargo/config.toml` finds protoc in these.
const NAMED_NOWHERE: [&str; 2] =
    ["protoc-bin-vendored-linux-x86_64", "protoc-bin-vendored-linux-aarch_64"];

#[test]
fn every_dependency_is_used() {
    let of_workspace: toml::Table = read(&root().join("Cargo.toml")).parse().unwrap();
    let of_workspace = of_workspace["workspace"]["dependencies"].as_table().unwrap();
    let mut used_somewhere = BTreeSet::new();
    let manifests = files(&["crates"], "Cargo.toml").into_iter().chain([root().join("Cargo.toml")]);
    for path in manifests {
        let manifest: toml::Table = read(&path).parse().unwrap();
        let folder = name(path.parent().unwrap());
        let folders = match &*folder {
            "" => vec!["crates/cli", "tests", "benches"],
            folder => vec![folder],
        };
        let code: String = files(&folders, ".rs").iter().map(|path| read(path)).collect();
        let words: BTreeSet<_> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        for dependency in dependencies(&manifest) {
            // The library of this package has a name of its own.
            let library = if dependency == "md-5" { "md5" } else { &dependency };
            assert!(
                words.contains(&*library.replace('-', "_")) || NAMED_NOWHERE.contains(&library),
                "{} does not use {dependency}",
                name(&path)
            );
            used_somewhere.insert(dependency);
        }
    }
    for dependency in of_workspace.keys() {
        assert!(used_somewhere.contains(dependency), "no crate uses {dependency}");
    }
}

#[test]
fn the_log_shows_every_crate_that_logs() {
    let logging = read(&root().join("crates/cli/logging.rs"));
    for path in files(&["crates"], "Cargo.toml") {
        let manifest: toml::Table = read(&path).parse().unwrap();
        if manifest.get("dependencies").is_some_and(|used| used.get("tracing").is_some()) {
            let target = manifest["package"]["name"].as_str().unwrap().replace('-', "_");
            // These beginnings are in `OF_SOURCES`.
            let by_beginning = target.starts_with("client_") || target.starts_with("source_");
            let is_logged = by_beginning || logging.contains(&format!("{target:?},"));
            assert!(is_logged, "events of {target} are not logged");
        }
    }
}

#[test]
fn one_file_of_the_program_names_sources() {
    let name_of = |manifest: PathBuf| {
        let manifest: toml::Table = read(&manifest).parse().unwrap();
        manifest["package"]["name"].as_str().unwrap().replace('-', "_")
    };
    let names: BTreeSet<_> =
        files(&["crates/sources"], "Cargo.toml").into_iter().map(name_of).collect();
    for path in files(&["crates/cli"], ".rs") {
        let text = read(&path);
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        let named: Vec<_> = words.filter(|word| names.contains(*word)).collect();
        assert!(named.is_empty() || path.ends_with("sources.rs"), "{}: {named:?}", name(&path));
    }
}

#[test]
fn the_code_map_shows_every_crate() {
    let architecture = read(&root().join("ARCHITECTURE.md"));
    let shown: BTreeSet<_> = column(&architecture, 0).into_iter().collect();
    let manifests = files(&["crates"], "Cargo.toml");
    let of_crates = manifests.iter().map(|manifest| name(manifest.parent().unwrap()));
    for folder in of_crates.chain(["crates/cli".to_owned()]) {
        let short = folder.strip_prefix("crates/").unwrap();
        assert!(shown.contains(short) || shown.contains(&folder), "{folder}");
    }
}

#[test]
fn no_source_file_is_longer_than_600_lines() {
    for path in sources() {
        let lines = read(&path).lines().count();
        assert!(lines <= LINES, "{} has {lines} lines", name(&path));
    }
}

#[test]
fn nothing_unfinished_is_left() {
    // Put together here, so that this file does not have them.
    let words = [
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
        ["dbg", "!("].concat(),
        ["FIX", "ME"].concat(),
        ["TO", "DO"].concat(),
        ["#[", "ignore"].concat(),
        ["fn ", "test_"].concat(),
        ["#![allow", "(dead_code"].concat(),
    ];
    for path in sources() {
        let text = read(&path);
        for word in &words {
            assert!(!text.contains(word), "{} has {word:?}", name(&path));
        }
    }
}

/// Words that comments and names of tests do not use, each with the word to use instead. See the
/// glossary in ARCHITECTURE.md.
const EXCLUDED: &[(&str, &str)] = &[
    ("staged file", "stage file"),
    ("staged files", "stage files"),
    ("owed", "pending"),
    ("owes", "has a pending reload"),
    ("told", "reported, logged or sent"),
    ("whoever", "the program, node or user that is meant"),
    ("somebody", "another program, or a user"),
    ("nobody", "no resource, or no program"),
    ("anew", "again"),
    ("in vain", "without an answer, or without success"),
    ("another one", "another, with its noun"),
    ("so long", "this time, or for as long as"),
    ("its turn", "when the earlier resources are finished"),
    ("their turn", "when the earlier resources are finished"),
    ("holds up", "blocks"),
    ("hold up", "block"),
    ("held up", "blocked"),
    ("crew", "workers"),
    ("parole", "retry"),
    ("setback", "failure"),
    ("witness", "server"),
];

/// The prose of a line of Rust: its comment without code spans, or the name of its function.
fn prose(line: &str) -> Option<String> {
    let line = line.trim_start();
    if line.starts_with("//") {
        return Some(line.split('`').step_by(2).collect::<Vec<_>>().join("`"));
    }
    let (before, name) = line.split_once("fn ")?;
    let is_item = before
        .split(' ')
        .all(|word| matches!(word, "" | "async" | "pub" | "pub(crate)" | "pub(super)"));
    is_item.then(|| name.split(['(', '<']).next().unwrap_or_default().replace('_', " "))
}

#[test]
fn comments_and_names_of_tests_use_the_words_of_the_glossary() {
    let mut found = Vec::new();
    for path in sources() {
        for (nth, line) in read(&path).lines().enumerate() {
            let Some(prose) = prose(line) else { continue };
            let letters = |c: char| !c.is_alphanumeric();
            let words: Vec<_> = prose.split(letters).filter(|word| !word.is_empty()).collect();
            let text = format!(" {} ", words.join(" ").to_lowercase());
            for (word, instead) in EXCLUDED {
                if text.contains(&format!(" {word} ")) {
                    let place = format!("{}:{}", name(&path), nth + 1);
                    found.push(format!("{place}: instead of {word:?} write {instead:?}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_exception_from_a_lint_has_its_reason() {
    for path in sources() {
        let text = read(&path);
        for kind in ["allow", "expect"] {
            for opening in [format!("#[{kind}("), format!("#![{kind}(")] {
                for (at, _) in text.match_indices(&opening) {
                    let attribute = &text[at..at + text[at..].find(")]").unwrap()];
                    assert!(attribute.contains("reason = \""), "{}: {attribute}", name(&path));
                }
            }
        }
    }
}

/// The modules that exist only for tests, as `crate folder/module`.
fn modules_of_tests() -> BTreeSet<PathBuf> {
    let mut modules = BTreeSet::new();
    for path in files(&["crates"], ".rs") {
        let stem = path.file_stem().unwrap();
        let folder = match stem.to_str() {
            Some("lib" | "main" | "mod") => path.parent().unwrap().to_owned(),
            _ => path.with_extension(""),
        };
        let text = read(&path);
        for (_, rest) in
            text.match_indices("#[cfg(test)]").map(|(at, found)| (at, &text[at + found.len()..]))
        {
            let declared = rest.trim_start().split(';').next().unwrap_or_default();
            let module =
                declared.strip_prefix("pub(crate) ").unwrap_or(declared).strip_prefix("mod ");
            modules.extend(
                module.filter(|name| !name.contains('{')).map(|name| folder.join(name.trim())),
            );
        }
    }
    modules
}

#[test]
fn code_outside_tests_does_not_unwrap() {
    let of_tests = modules_of_tests();
    for path in files(&["crates"], ".rs") {
        let module = path.with_extension("");
        // The crate `servers`, and modules of this name, are for tests alone.
        let of_tests_alone = |part: &str| matches!(part, "tests" | "servers" | "testing");
        let in_tests =
            path.components().any(|part| part.as_os_str().to_str().is_some_and(of_tests_alone));
        if in_tests || module.ancestors().any(|module| of_tests.contains(module)) {
            continue;
        }
        let text = read(&path);
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let unwraps =
            |line: &&str| !line.trim_start().starts_with("//") && line.contains(".unwrap()");
        assert_eq!(code.lines().find(unwraps), None, "{}", name(&path));
    }
}

#[test]
fn every_test_module_is_in_the_table_of_contents() {
    let contents = read(&root().join("tests/main.rs"));
    let shown =
        |line: &str| line.strip_prefix("//! - `")?.split_once('`').map(|(name, _)| name.to_owned());
    let shown: BTreeSet<_> = contents.lines().filter_map(shown).collect();
    let declared = |line: &str| Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned());
    let mut declared: BTreeSet<_> = contents.lines().filter_map(declared).collect();
    assert!(declared.remove("support"));
    assert_eq!(declared, shown);
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_module = path.extension().is_some_and(|end| end == "rs") && module != "main";
        assert!(!is_module || declared.contains(&module), "{} is not run", name(&path));
    }
}

/// The flags of the usage text, with their defaults.
fn flags() -> BTreeMap<String, String> {
    let usage = Sandbox::new().bare(&["-h"]).ok().stderr;
    let lines = usage.lines().skip(1).take_while(|line| *line != "Commands:");
    let lines: Vec<_> = lines.collect();
    let flag = |pair: &[&str]| {
        let flag = pair[0].trim().split(' ').next().unwrap().to_owned();
        let default = pair[1]
            .rsplit_once(" (default ")
            .map_or("", |(_, default)| default.trim_end_matches(')'));
        (flag, default.trim_matches('"').to_owned())
    };
    lines.chunks(2).map(flag).collect()
}

#[test]
fn the_documentation_has_every_flag_and_its_default() {
    let document = read(&root().join("docs/options.md"));
    let (names, defaults) = (column(&document, 0), column(&document, 3));
    let rows: BTreeMap<_, _> =
        names.into_iter().zip(defaults).filter(|(name, _)| name.starts_with('-')).collect();
    let documented: BTreeMap<_, _> =
        rows.into_iter().filter(|(name, _)| !name.starts_with("---")).collect();
    assert_eq!(documented, flags());
}

#[test]
fn links_in_documents_lead_somewhere() {
    for document in documents() {
        let text = read(&document);
        // What is between fences is no prose.
        let prose: String = text.split("```").step_by(2).collect();
        for (at, _) in prose.match_indices("](") {
            let target = prose[at + 2..].split(')').next().unwrap();
            if target.starts_with("http") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match path {
                "" => document.clone(),
                _ => document.parent().unwrap().join(path),
            };
            assert!(file.exists(), "{}: {target}", name(&document));
            assert!(
                anchor.is_empty() || headings(&read(&file)).contains(anchor),
                "{}: {target}",
                name(&document)
            );
        }
    }
}

/// The anchors of a document's headings.
fn headings(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| {
        line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
    });
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    headings
        .map(|heading| {
            heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
        })
        .collect()
}

/// The tests in our sources, as `module::name`, where the module is the file's name.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for path in sources() {
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = read(&path);
        // This macro makes a test of each function that it is given.
        for list in text.split("with_both_releases![").skip(1) {
            let names = list.split(']').next().unwrap().split(',').map(str::trim);
            tests.extend(names.map(|name| format!("{module}::{name}")));
        }
        let mut lines = text.lines().map(str::trim_start);
        while let Some(line) = lines.next() {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                let function = lines.find_map(|line| line.split_once("fn ")).unwrap().1;
                tests.insert(format!("{module}::{}", function.split('(').next().unwrap()));
            }
        }
    }
    tests
}

#[test]
fn the_tests_that_pin_a_difference_exist() {
    let tests = tests();
    let document = read(&root().join("COMPATIBILITY.md"));
    let is_test = |word: &&str| word.contains("::") && !word.contains(' ');
    let named: Vec<_> = document.split('`').skip(1).step_by(2).filter(is_test).collect();
    assert!(named.len() > 20, "{named:?}");
    for test in named {
        assert!(tests.contains(test), "COMPATIBILITY.md names {test}");
    }
}

#[test]
fn every_invariant_names_what_holds_it() {
    let tests = tests();
    let document = read(&root().join("ARCHITECTURE.md"));
    let section = document.split("\n## Invariants\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    for invariant in section.split("\n- ").skip(1) {
        let holders = invariant.split_once("*Held by*");
        let (_, holders) = holders.unwrap_or_else(|| panic!("nothing holds: {invariant}"));
        let words: Vec<_> = holders.split('`').skip(1).step_by(2).collect();
        for word in words.iter().filter(|word| word.contains("::") && !word.contains("pause")) {
            assert!(tests.contains(*word), "ARCHITECTURE.md names {word}");
        }
        for word in words.iter().filter(|word| word.ends_with(".toml")) {
            assert!(root().join(word).exists(), "ARCHITECTURE.md names {word}");
        }
        let holds = |word: &&str| word.contains("::") || word.ends_with(".toml");
        assert!(words.iter().any(holds), "nothing holds: {invariant}");
    }
}

#[test]
fn every_difference_is_pinned_by_a_test() {
    let document = read(&root().join("COMPATIBILITY.md"));
    let entries = document.split("\n- ").skip(1);
    for entry in entries {
        let entry = entry.split("\n\n").next().unwrap();
        assert!(entry.contains("::"), "no test is named: {entry}");
    }
}
