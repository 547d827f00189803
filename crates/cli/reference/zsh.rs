//! The completions of zsh.

use std::fmt::Write as _;

use options::{Kind, Proposed, Spec};

use super::{first_words, placeholder};
use crate::{
    commands::{COMMANDS, Own},
    flags::PROGRAMS,
    table,
};

/// What stands above the tables.
const HEAD: &str = r#"#compdef confd
# Completions of confd for zsh. They are made from the program's tables of options and commands.

# The names of the resources in the folder that CONFD_CONFDIR names.
_confd_resources() {
  local folder=${CONFD_CONFDIR:-/etc/confd}/conf.d
  local -a names
  names=($folder/**/*.toml(N))
  names=(${${names#$folder/}%.toml})
  compadd -a names
}

_confd() {
  local -a flags own first
"#;

/// A text that stands in single quotes, in a place where `_arguments` gives `[`, `]` and `:` a meaning.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        match c {
            '\'' => quoted += "'\\''",
            '[' | ']' | ':' | '\\' => quoted.extend(['\\', c]),
            c => quoted.push(c),
        }
    }
    quoted
}

/// The part of a specification that is about a value of this kind.
fn value(word: &str, proposed: Proposed) -> String {
    let action = match proposed {
        Proposed::Nothing => " ".to_owned(),
        Proposed::File => "_files".to_owned(),
        Proposed::Folder => "_files -/".to_owned(),
        Proposed::Words(words) => format!("({})", words.join(" ")),
    };
    format!(":{word}:{action}")
}

/// The specification of a flag, with one dash and with two.
fn flag(name: &str, help: &str, value: Option<String>, repeats: bool) -> String {
    let before = match repeats {
        true => "'*'".to_owned(),
        false => format!("'(-{name} --{name})'"),
    };
    let equals = if value.is_some() { "=" } else { "" };
    let (help, value) = (quoted(help), value.unwrap_or_default());
    format!("    {before}{{-,--}}{name}'{equals}[{help}]{value}'\n")
}

fn of_run(option: &Spec) -> String {
    let value = placeholder(option).map(|word| value(word, option.proposed));
    flag(option.name, option.help, value, option.kind == Kind::List)
}

fn of_command(option: &Own) -> String {
    let value = (!option.value.is_empty()).then(|| value(option.value, option.proposed));
    flag(option.name, option.help, value, true)
}

/// The script.
pub(super) fn script() -> String {
    let mut script = HEAD.to_owned();
    script += "  flags=(\n    '(- *)'{-h,--help}'[show all flags and commands]'\n";
    table::all().iter().for_each(|option| script += &of_run(option));
    script += "  )\n  first=(\n";
    for (word, help) in first_words() {
        let _ = writeln!(script, "    '{word}:{}'", quoted(&help));
    }
    script += "  )\n  if ((CURRENT == 2)) && [[ $PREFIX != -* ]]; then\n    \
               _describe 'command or backend' first\n    return\n  fi\n  case $words[2] in\n";
    if !PROGRAMS.is_empty() {
        let others = PROGRAMS.join("|");
        let _ = writeln!(script, "  {others})\n    _files\n    return\n    ;;");
    }
    for command in COMMANDS {
        let operands = match command.operands {
            "" => "",
            operands if operands.contains("RESOURCE") => "'*:resource:_confd_resources'",
            _ => "'*:folder:_files -/'",
        };
        let own: String = command.options.iter().map(of_command).collect();
        let _ = writeln!(script, "  {})\n    own=({operands}\n{own}    )\n    ;;", command.name);
    }
    script += "  *) own=('*::program:_normal') ;;\n  esac\n";
    script += "  if [[ $words[2] != -* ]]; then\n    shift words\n    ((CURRENT--))\n  fi\n";
    script += "  _arguments -S : $own $flags\n}\n\n_confd \"$@\"\n";
    script
}
