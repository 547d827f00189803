//! `docs/options.md`, the page of all options, which is made from their table.

use std::{fmt::Write as _, fs, path::Path};

use options::{Kind, Spec};

use crate::{accepted::OF_FORK, general, sources::SOURCES, table};

/// What stands above the tables.
const HEAD: &str = "\
# Options

This page is made from the program's own table of options, which `confd -h` prints too.

Each option is a flag and a variable of the environment; most are also a key of confd.toml.
[Command line and configuration](command-line.md) says how each is written and which wins. A default of
an empty text, of no list or of a switch that is off is not shown. A secret can also be in a file:
`CONFD_PASSWORD_FILE=/run/secrets/password` in place of `CONFD_PASSWORD`.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, "confd", general::OPTIONS.iter());
    let readers = |option: &Spec| -> Vec<&str> {
        let reads = |options: &[&[Spec]]| options.iter().any(|some| some.contains(option));
        let readers = SOURCES.iter().filter(|source| reads(source.options));
        readers.map(|source| source.names[0]).collect()
    };
    let is_general = |option: &&Spec| general::OPTIONS.contains(option);
    let is_listed = |option: &&Spec| is_general(option) || OF_FORK.contains(option);
    let others = || table::all().iter().filter(|option| !is_listed(option));
    let mut groups: Vec<_> = others().map(readers).collect();
    groups.sort_by_key(|names| (std::cmp::Reverse(names.len()), names.clone()));
    groups.dedup();
    for names in groups {
        let title = match &names[..] {
            [] => "Backends that do not exist yet".to_owned(),
            names => names.join(", "),
        };
        section(&mut page, &title, others().filter(|option| readers(option) == names));
    }
    section(&mut page, "Accepted from the live fork", OF_FORK.iter());
    page
}

fn section<'a>(page: &mut String, title: &str, options: impl Iterator<Item = &'a Spec>) {
    let _ = write!(
        page,
        "\n## {title}\n\n| flag | variable | confd.toml | default | |\n|---|---|---|---|---|\n"
    );
    for option in options {
        let code = |text: String| if text.is_empty() { text } else { format!("`{text}`") };
        let variables = match (option.flag_only, option.other_variable) {
            (true, _) => String::new(),
            (false, None) => code(option.variable()),
            (false, Some(other)) => {
                format!("{} or {}", code(option.variable()), code(other.into()))
            }
        };
        let key = code(option.key.unwrap_or_default().to_owned());
        let key = match option.fork_key {
            Some(of_fork) => format!("{key} (fork: `{of_fork}`)"),
            None => key,
        };
        let default = match option.kind {
            Kind::Number(number) => code(number.to_string()),
            Kind::Text(text) => code(text.to_owned()),
            Kind::Switch | Kind::List => String::new(),
        };
        let form = match option.kind {
            Kind::List => "; can be given several times",
            _ => "",
        };
        let secret = if option.secret { "; a secret" } else { "" };
        let Spec { name, help, .. } = option;
        let help = help.replace('|', "\\|");
        let _ = writeln!(
            page,
            "| `-{name}` | {variables} | {key} | {default} | {help}{form}{secret} |"
        );
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the environment says whether the page is written")]
fn the_page_of_options_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/options.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let hint =
        "UPDATE_DOCUMENTS=1 cargo test -p confd --bin confd reference writes docs/options.md";
    assert!(fs::read_to_string(&path).unwrap_or_default() == page, "{hint}");
}
