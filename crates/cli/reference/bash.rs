//! The completions of bash.

use std::fmt::Write as _;

use options::{Kind, Proposed};

use super::first_words;
use crate::{commands::COMMANDS, flags::PROGRAMS, table};

/// What stands above the tables. bash splits `-flag=value` at the `=`, so the word before it is the flag.
const HEAD: &str = r#"# Completions of confd for bash. They are made from the program's tables of options and commands.

# Proposes the names of the resources in the folder that -confdir or CONFD_CONFDIR names.
_confd_resources() {
  local nth name confdir=${CONFD_CONFDIR:-/etc/confd}
  for ((nth = 1; nth < ${#COMP_WORDS[@]} - 1; nth++)); do
    if [[ ${COMP_WORDS[nth]} == -confdir || ${COMP_WORDS[nth]} == --confdir ]]; then
      confdir=${COMP_WORDS[nth + 1]}
      [[ $confdir == = ]] && confdir=${COMP_WORDS[nth + 2]}
    fi
  done
  while IFS= read -r name; do
    [[ $name == "$current"* ]] && COMPREPLY+=("$name")
  done < <(
    cd -- "$confdir/conf.d" >/dev/null 2>&1 || exit
    shopt -s globstar nullglob
    for file in **/*.toml; do printf '%s\n' "${file%.toml}"; done
  )
}

# Proposes files (-f) or folders (-d).
_confd_paths() {
  mapfile -t COMPREPLY < <(compgen "$1" -- "$current")
  compopt -o filenames 2>/dev/null
}

# Proposes the words of $1 that begin with the word that is written.
_confd_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
}

_confd() {
  local current=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} own=
  COMPREPLY=()
  if [[ $current == = ]]; then
    current=
  elif [[ $flag == = ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  # The program behind --.
  if [[ " ${COMP_WORDS[*]:0:COMP_CWORD} " == *" -- "* ]]; then
    mapfile -t COMPREPLY < <(compgen -c -f -- "$current")
    return
  fi
"#;

const TAIL: &str = r#"}

complete -F _confd confd
"#;

/// The lines that propose values of this kind.
fn lines(proposed: Proposed) -> String {
    match proposed {
        Proposed::Nothing => "return".to_owned(),
        Proposed::File => "_confd_paths -f; return".to_owned(),
        Proposed::Folder => "_confd_paths -d; return".to_owned(),
        Proposed::Words(words) => format!("_confd_words '{}'; return", words.join(" ")),
    }
}

/// The script.
pub(super) fn script() -> String {
    let mut script = HEAD.to_owned();
    let first: Vec<_> = first_words().into_iter().map(|(word, _)| word).collect();
    let others = PROGRAMS.join(" | ");
    if !others.is_empty() {
        script += "  # The other programs of the binary have flags of their own.\n";
        script += "  if ((COMP_CWORD > 1)); then\n    case ${COMP_WORDS[1]} in\n";
        let _ = writeln!(script, "      {others}) _confd_paths -f; return ;;\n    esac\n  fi");
    }
    script += "  case ${COMP_WORDS[1]} in\n";
    for command in COMMANDS.iter().filter(|command| !command.options.is_empty()) {
        let own: Vec<_> =
            command.options.iter().map(|option| format!("-{}", option.name)).collect();
        let _ = writeln!(script, "    {}) own='{}' ;;", command.name, own.join(" "));
    }
    script += "  esac\n";
    script += "  if [[ $flag == -* ]]; then\n    case ${COMP_WORDS[1]}:${flag/#--/-} in\n";
    for command in COMMANDS {
        for option in command.options.iter().filter(|option| !option.value.is_empty()) {
            let lines = lines(option.proposed);
            let _ = writeln!(script, "      {}:-{}) {lines} ;;", command.name, option.name);
        }
    }
    script += "    esac\n    case ${flag/#--/-} in\n";
    let mut free = Vec::new();
    for option in table::all().iter().filter(|option| option.kind != Kind::Switch) {
        match option.proposed {
            Proposed::Nothing => free.push(format!("-{}", option.name)),
            proposed => {
                let _ = writeln!(script, "      -{}) {} ;;", option.name, lines(proposed));
            }
        }
    }
    let _ = write!(script, "      {}) return ;;\n    esac\n  fi\n", free.join(" | \\\n        "));
    script += "  if [[ $current != -* ]]; then\n";
    let _ = writeln!(
        script,
        "    if ((COMP_CWORD == 1)); then\n      _confd_words '{}'",
        first.join(" ")
    );
    script += "      return\n    fi\n    case ${COMP_WORDS[1]} in\n";
    for command in COMMANDS.iter().filter(|command| !command.operands.is_empty()) {
        let proposes = match command.operands.contains("RESOURCE") {
            true => "_confd_resources".to_owned(),
            false => lines(Proposed::Folder),
        };
        let _ = writeln!(script, "      {}) {proposes} ;;", command.name);
    }
    script += "    esac\n    return\n  fi\n";
    let flags: Vec<_> = table::all().iter().map(|option| format!("-{}", option.name)).collect();
    let _ = writeln!(script, "  local flags=(\n    -h\n    {}\n  )", flags.join("\n    "));
    script += "  local all=\" $own ${flags[*]}\"\n";
    script += "  [[ $current == --* ]] && all=${all// -/ --}\n";
    script += "  _confd_words \"$all\"\n";
    script + TAIL
}
