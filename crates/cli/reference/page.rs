//! The page `docs/options.md`.

use std::fmt::Write as _;

use options::{Kind, Spec};

use super::sections;

/// What stands above the tables.
const HEAD: &str = "\
# Options

This page is made from the program's own table of options, which `confd -h` prints too.

Each option is a flag and a variable of the environment; most are also a key of confd.toml.
[Command line and configuration](command-line.md) says how each is written and which wins. A default of
an empty text, of no list or of a switch that is off is not shown. A secret can also be in a file:
`CONFD_PASSWORD_FILE=/run/secrets/password` in place of `CONFD_PASSWORD`.
";

/// The page.
pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    for (title, options) in sections() {
        section(&mut page, &title, options);
    }
    page
}

fn section(page: &mut String, title: &str, options: Vec<&Spec>) {
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
