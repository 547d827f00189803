//! Files that are made from the tables of options, commands and keys: `docs/options.md`, the JSON Schemas, the
//! manual page, and the completions of shells.
//!
//! They are made by this test, so nothing of it is in the program that is shipped. `clap_complete` and
//! `clap_mangen` make no flags with one dash, such as `-onetime`, so the few lines that write these files
//! are here.

mod bash;
mod fish;
mod man;
mod page;
mod zsh;

use std::{cmp::Reverse, fs, path::Path};

use options::{Kind, Proposed, Spec};

use crate::{
    accepted::OF_FORK, commands::COMMANDS, flags::PROGRAMS, fork, general, schema,
    sources::SOURCES, table,
};

/// All options in groups, each with its title: those of confd, and those that the same sources read.
fn sections() -> Vec<(String, Vec<&'static Spec>)> {
    let readers = |option: &Spec| -> Vec<&str> {
        let reads = |options: &[&[Spec]]| options.iter().any(|some| some.contains(option));
        let readers = SOURCES.iter().filter(|source| reads(source.options));
        readers.map(|source| source.names[0]).collect()
    };
    let is_listed = |option: &&Spec| general::OPTIONS.contains(option) || OF_FORK.contains(option);
    let others = || table::all().iter().filter(|option| !is_listed(option));
    let mut groups: Vec<_> = others().map(readers).collect();
    groups.sort_by_key(|names| (Reverse(names.len()), names.clone()));
    groups.dedup();
    let of_sources = groups.into_iter().map(|names| {
        let title = match &names[..] {
            [] => "Backends that do not exist yet".to_owned(),
            names => names.join(", "),
        };
        (title, others().filter(|option| readers(option) == names).collect())
    });
    let general = ("confd".to_owned(), general::OPTIONS.iter().collect());
    let of_fork = (
        "Accepted from the live fork".to_owned(),
        OF_FORK.iter().filter(|option| table::all().contains(option)).collect(),
    );
    [general].into_iter().chain(of_sources).chain([of_fork]).collect()
}

/// The word for the value of an option; `None` for a switch.
fn placeholder(option: &Spec) -> Option<&'static str> {
    match (option.kind, option.proposed) {
        (Kind::Switch, _) => None,
        (Kind::Number(_), _) => Some("N"),
        (_, Proposed::File) => Some("FILE"),
        (_, Proposed::Folder) => Some("FOLDER"),
        (_, Proposed::Words(_)) => Some("WORD"),
        (_, Proposed::Nothing) => Some("VALUE"),
    }
}

/// The words that can begin a command line, each with what it is: commands, other programs of this binary,
/// and the backends of the fork's command line that this build has.
fn first_words() -> Vec<(&'static str, String)> {
    let commands = COMMANDS.iter().map(|command| (command.name, command.help.to_owned()));
    let programs = PROGRAMS.iter().map(|name| (*name, "another program of this binary".to_owned()));
    let of_build = SOURCES.iter().flat_map(|source| source.names).copied();
    let backends = fork::backends().filter(|name| of_build.clone().any(|it| it == *name));
    let backends = backends.map(|name| (name, format!("run with the backend {name}")));
    commands.chain(programs).chain(backends).collect()
}

/// The files, with their content.
fn files() -> [(&'static str, String); 7] {
    [
        ("docs/options.md", page::page()),
        ("docs/schema/resource.schema.json", schema::of_resource_files()),
        ("docs/schema/confd.schema.json", schema::of_confd_toml()),
        ("packaging/man/confd.1", man::page()),
        ("packaging/completions/confd.bash", bash::script()),
        ("packaging/completions/_confd", zsh::script()),
        ("packaging/completions/confd.fish", fish::script()),
    ]
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the environment says whether the files are written")]
fn the_files_are_those_of_the_tables() {
    let writes = std::env::var_os("UPDATE_DOCUMENTS").is_some();
    for (name, content) in files() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if writes {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &content).unwrap();
        }
        assert!(
            fs::read_to_string(&path).unwrap_or_default() == content,
            "{name} differs: UPDATE_DOCUMENTS=1 cargo test -p confd --bin confd reference writes it"
        );
    }
}
