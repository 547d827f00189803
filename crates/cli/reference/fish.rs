//! The completions of fish.

use std::fmt::Write as _;

use options::{Kind, Proposed};

use super::first_words;
use crate::{commands::COMMANDS, flags::PROGRAMS, table};

/// What stands above the completions. Without `-f`, fish proposes files everywhere.
const HEAD: &str = r#"# Completions of confd for fish. They are made from the program's tables of options and commands.

# The names of the resources in the folder that CONFD_CONFDIR names.
function __confd_resources
    set -l folder /etc/confd
    set -q CONFD_CONFDIR; and set folder $CONFD_CONFDIR
    for file in $folder/conf.d/**.toml
        string replace -- $folder/conf.d/ '' $file | string replace -r '\.toml$' ''
    end
end

complete -c confd -f
"#;

/// A text in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The options of `complete` for a value of this kind.
fn value(proposed: Proposed) -> String {
    match proposed {
        Proposed::Nothing => " -x".to_owned(),
        Proposed::File => " -r -F".to_owned(),
        Proposed::Folder => " -x -a '(__fish_complete_directories)'".to_owned(),
        Proposed::Words(words) => format!(" -x -a {}", quoted(&words.join(" "))),
    }
}

/// The script.
pub(super) fn script() -> String {
    let mut script = HEAD.to_owned();
    for (word, help) in first_words() {
        let help = quoted(&help);
        let _ = writeln!(script, "complete -c confd -n __fish_use_subcommand -a {word} -d {help}");
    }
    for command in COMMANDS {
        let name = command.name;
        let seen = format!("complete -c confd -n '__fish_seen_subcommand_from {name}'");
        if !command.operands.is_empty() {
            let names = match command.operands.contains("RESOURCE") {
                true => "(__confd_resources)",
                false => "(__fish_complete_directories)",
            };
            let _ = writeln!(script, "{seen} -a '{names}'");
        }
        for option in command.options {
            let name = option.name;
            let value =
                if option.value.is_empty() { String::new() } else { value(option.proposed) };
            let help = quoted(option.help);
            let _ = writeln!(script, "{seen} -o {name} -l {name}{value} -d {help}");
        }
    }
    // The other programs of the binary have flags of their own.
    let others = PROGRAMS.join(" ");
    let (is_run, is_other) = match others.as_str() {
        "" => (String::new(), None),
        others => {
            let is_other = format!("__fish_seen_subcommand_from {others}");
            (format!(" -n 'not {is_other}'"), Some(is_other))
        }
    };
    if let Some(is_other) = is_other {
        let _ = writeln!(script, "complete -c confd -n '{is_other}' -F");
    }
    for option in table::all() {
        let name = option.name;
        let value = match option.kind {
            Kind::Switch => String::new(),
            _ => value(option.proposed),
        };
        let help = quoted(option.help);
        let _ = writeln!(script, "complete -c confd{is_run} -o {name} -l {name}{value} -d {help}");
    }
    script
}
