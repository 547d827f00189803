//! The command line of confd's live fork: `confd BACKEND [flags]`.
//!
//! Its flags are in the one table of options. Where it differs from Go confd's command line, it is read
//! here: the backend is a word, `-n` is the node, and a mistake has exit code 80. A run that begins so
//! understands its files as the fork does, see [`Dialect::Fork`].

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use config::Dialect;
use options::{
    Kind, Layer, Value,
    flags::{self, Line, Stop},
    gobool,
};
use report::did_you_mean;

use crate::{
    flags::{CommandLine, Mistake, Request, asks_version, near_flags},
    general,
    sources::KNOWN,
    table,
};

/// The exit code of a mistake on this command line.
pub(crate) const USAGE: u8 = 80;

/// The names of the backends that can begin this command line: the fork's, and `etcdv3`, the name of
/// its etcd with Go confd's command line.
pub(crate) fn backends() -> impl Iterator<Item = &'static str> {
    KNOWN.into_iter().filter(|name| !matches!(*name, "" | "rancher"))
}

/// The backend whose name `word` probably is, misspelt.
pub(crate) fn near(word: &str) -> Option<String> {
    did_you_mean(word, backends())
}

/// The backend that `word` names, if it can begin this command line.
pub(crate) fn backend(word: &OsStr) -> Option<&'static str> {
    backends().find(|name| word == *name)
}

/// Reads the words behind the name of the backend. `before` has the flags in front of it.
pub(crate) fn read(
    before: Layer,
    backend: &'static str,
    words: impl Iterator<Item = OsString>,
) -> Result<Request, Mistake> {
    let mistake = |line: String, hint| Mistake { line, hint, dialect: Dialect::Fork };
    let mut is_of_program = false;
    let words = words.map(|word| {
        is_of_program |= word == "--";
        if is_of_program { word } else { long(word) }
    });
    let line = match flags::read(words, table::find) {
        Ok(line) => line,
        Err(Stop::Help) => return Ok(Request::Help(Dialect::Fork)),
        Err(Stop::Unknown(name)) => {
            return Err(mistake(format!("unknown flag --{name}"), near_flags(&name)));
        }
        Err(Stop::Wrong(line)) => return Err(mistake(line, None)),
    };
    let Line { given, rest, ended_by_dashes } = line;
    if let Some(word) = rest.first().filter(|_| !ended_by_dashes) {
        let word = word.display();
        return Err(mistake(format!("unexpected argument {word}"), None));
    }
    let mut flags = before;
    flags.extend(given);
    if asks_version(&flags) {
        return Ok(Request::Version);
    }
    let backend_option = general::BACKEND.spec();
    if flags.has(backend_option.name) {
        let line = format!("--backend has no place beside the word {backend}");
        return Err(mistake(line, None));
    }
    flags.set(&backend_option, Value::Text(backend.into()));
    let line = CommandLine { flags, dialect: Dialect::Fork, asks: true, program: rest };
    Ok(Request::Run(line, None))
}

/// The defaults of the backend `name` that are not those of Go confd; `None` if there are none.
pub(crate) fn defaults(name: &str) -> Option<Layer> {
    let node = table::find("node").filter(|_| name == "etcd")?;
    let mut layer = Layer::default();
    layer.set(node, Value::List(vec!["http://127.0.0.1:2379".into()]));
    Some(layer)
}

/// The same values of a confd.toml without those that mean nothing in the fork.
pub(crate) fn meant(mut file: Layer) -> Layer {
    if file.get(&general::INTERVAL.spec()) == Some(&Value::Number(0)) {
        file.remove(&[general::INTERVAL.spec().name]);
    }
    file
}

/// A word in the form that this program reads. The short flag `-n` has its value behind it, behind `=` or
/// as the next word; a switch can be `yes` or `no`, in any case; and `--color` is a switch.
fn long(word: OsString) -> OsString {
    if let Some((name, value)) = word.to_str().and_then(|word| word.split_once('='))
        && name.starts_with('-')
        && let Some(is_on) = gobool::parse(value).or_else(|| gobool::parse_word(value))
        && let Some(option) = table::find(name.trim_start_matches('-'))
    {
        if *option == general::COLOR.spec() {
            return if is_on { "--color=always" } else { "--color=never" }.into();
        }
        if option.kind == Kind::Switch {
            return format!("{name}={is_on}").into();
        }
    }
    if word == "--color" {
        return "--color=always".into();
    }
    let Some(value) = word.as_bytes().strip_prefix(b"-n") else { return word };
    let name = word.to_str().and_then(|word| word[1..].split('=').next());
    if value.is_empty() {
        return "--node".into();
    }
    if name.is_some_and(|name| table::find(name).is_some()) {
        // A flag that begins with this letter, such as -noop.
        return word;
    }
    let value = value.strip_prefix(b"=").unwrap_or(value);
    OsString::from_vec([b"--node=", value].concat())
}

#[cfg(test)]
mod tests {
    use options::{Given, Opt};

    use super::*;

    const NODE: Opt<Vec<OsString>> = Opt::list("node", "");

    fn read(line: &str) -> Result<Request, String> {
        crate::flags::read(line.split_whitespace().map(OsString::from))
            .map_err(|mistake| format!("{:?} {mistake}", mistake.dialect))
    }

    fn given(line: &str) -> Given {
        match read(line) {
            Ok(Request::Run(line, None)) if line.dialect == Dialect::Fork => {
                Given::new(vec![line.flags])
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_backend_is_a_word_and_flags_stand_before_and_behind_it() {
        let given = given("--noop env --onetime --interval=0x10");
        assert_eq!(given.get(&general::BACKEND), Ok("env".to_owned()));
        assert_eq!(given.get(&general::NOOP), Ok(true));
        assert_eq!(given.get(&general::ONETIME), Ok(true));
        assert_eq!(given.get(&general::INTERVAL), Ok(16));
    }

    #[test]
    fn the_short_flag_of_a_node_has_its_value_in_each_form() {
        for line in ["etcd -n a -n=b -nc", "etcd --node a --node=b -node c"] {
            assert_eq!(given(line).get(&NODE).unwrap(), ["a", "b", "c"], "{line}");
        }
        assert_eq!(given("env -noop").get(&general::NOOP), Ok(true));
    }

    #[test]
    fn color_is_a_switch() {
        for (line, word) in [
            ("env --color --diff", "always"),
            ("--color env --diff", "always"),
            ("--color --diff env", "always"),
            ("env --color=yes", "always"),
            ("env --color=0", "never"),
            ("env --color=auto", "auto"),
        ] {
            assert_eq!(given(line).get(&general::COLOR), Ok(word.to_owned()), "{line}");
        }
    }

    #[test]
    fn a_switch_is_a_word_in_any_case() {
        for (word, is_on) in
            [("yes", true), ("TRUE", true), ("1", true), ("No", false), ("0", false)]
        {
            let given = given(&format!("env --noop={word}"));
            assert_eq!(given.get(&general::NOOP), Ok(is_on), "{word}");
        }
    }

    #[test]
    fn a_mistake_behind_the_backend_is_one_of_the_fork() {
        for (line, error) in [
            ("env x", "Fork unexpected argument x"),
            ("env --nosuch", "Fork unknown flag --nosuch"),
            ("env -backend=etcd", "Fork --backend has no place beside the word env"),
            ("env --node", "Fork flag needs an argument: -node"),
        ] {
            assert_eq!(read(line).unwrap_err(), error);
        }
        let error = read("env --onetim").unwrap_err();
        assert_eq!(error, "Fork unknown flag --onetim\n  = did you mean \"-onetime\"?");
        assert_eq!(read("env --onetime --help"), Ok(Request::Help(Dialect::Fork)));
        assert_eq!(read("--version env"), Ok(Request::Version));
        assert_eq!(read("env --version"), Ok(Request::Version));
    }

    #[test]
    fn a_line_of_go_confd_stays_one() {
        for line in ["-backend env -onetime", "-prefix env", "-onetime -- env", "-onetime x env"] {
            let Ok(Request::Run(given, _)) = read(line) else { panic!("{line}") };
            assert_eq!(given.dialect, Dialect::Confd, "{line}");
        }
    }
}
