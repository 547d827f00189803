//! The command line of confd: its flags, and hints for words that are none.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::OsStrExt as _,
};

use config::Dialect;
use options::{
    Layer, Value,
    flags::{self, Stop},
};
use report::{did_you_mean, did_you_mean_spelled, harmless};

use crate::{
    commands::COMMANDS,
    fork,
    general::{COLORS, VERSION},
    sources, table,
};

/// The flags of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CommandLine {
    /// Their values.
    pub(crate) flags: Layer,
    /// Whose command line it is.
    pub(crate) dialect: Dialect,
    /// Whether stores are asked. If not, what only they need may be missing, such as their passwords.
    pub(crate) asks: bool,
    /// The program behind `--`, with its arguments; empty if there is none.
    pub(crate) program: Vec<OsString>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    /// To run. The word is the first one that is no flag.
    Run(CommandLine, Option<OsString>),
    /// To print the usage text.
    Help(Dialect),
    /// To print the version.
    Version,
}

/// Reads the words after the program's name.
///
/// # Errors
/// The line that Go's package `flag` prints before the usage text, or one that says that a word is
/// no flag. The exit code is then 2; with the live fork's command line it is [`fork::USAGE`].
pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Request, Mistake> {
    let mut words = words.into_iter().peekable();
    let mut is_of_program = false;
    // The fork's switch, which can stand before the name of the backend.
    let words = std::iter::from_fn(|| {
        let word = words.next()?;
        is_of_program |= word == "--";
        let is_value = |next: &OsString| next.to_str().is_some_and(|next| COLORS.contains(&next));
        let is_switch = !is_of_program && word == "--color" && !words.peek().is_some_and(is_value);
        Some(if is_switch { "--color=always".into() } else { word })
    });
    let line = match flags::read(words, table::find) {
        Ok(line) => line,
        Err(stop) => {
            let hint = if let Stop::Unknown(name) = &stop { near_flags(name) } else { None };
            let Some(line) = stop.line() else { return Ok(Request::Help(Dialect::Confd)) };
            return Err(Mistake { hint, ..Mistake::from(line) });
        }
    };
    if !line.ended_by_dashes
        && let Some(backend) = line.rest.first().and_then(|word| fork::backend(word))
    {
        return fork::read(line.given, backend, line.rest.into_iter().skip(1));
    }
    requested(line)
}

/// Whether the flags ask for the version, and for nothing else therefore.
pub(crate) fn asks_version(flags: &Layer) -> bool {
    flags.get(&VERSION.spec()) == Some(&Value::Switch(true))
}

/// A mistake on the command line.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) line: String,
    /// What was probably meant, for a line of its own.
    pub(crate) hint: Option<String>,
    /// Whose command line it is.
    pub(crate) dialect: Dialect,
}

impl From<String> for Mistake {
    fn from(line: String) -> Self {
        Mistake { line, hint: None, dialect: Dialect::Confd }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&harmless(&self.line))?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  = {hint}"))
    }
}

impl std::error::Error for Mistake {}

fn requested(line: flags::Line) -> Result<Request, Mistake> {
    let (given, dialect) = (line.given, Dialect::Confd);
    if asks_version(&given) {
        return Ok(Request::Version);
    }
    if line.ended_by_dashes {
        if line.rest.is_empty() {
            return Err("-- is followed by nothing: the program and its arguments stand behind it"
                .to_owned()
                .into());
        }
        let line = CommandLine { flags: given, dialect, asks: true, program: line.rest };
        return Ok(Request::Run(line, None));
    }
    let is_first = given == Layer::default();
    let mut rest = line.rest.into_iter();
    let ignored = rest.next().filter(|word| !word.is_empty()).or_else(|| rest.next());
    match ignored.as_ref().and_then(|word| word.to_str()) {
        Some(word) if word == "help" || table::find(word).is_some() => {
            Err(format!("confd has no commands: did you mean -{word}?").into())
        }
        Some(word) if first_words().any(|first| first == word) => {
            Err(format!("{word} must be the first word of the command line").into())
        }
        Some(word) if let Some(hint) = did_you_mean(word, first_words()) => {
            let line = format!("unknown command {}", gotmpl::quote(word.as_bytes()));
            Err(Mistake { hint: Some(hint), ..Mistake::from(line) })
        }
        Some(word)
            if rest.len() > 0
                && let Some(hint) = fork::near(word) =>
        {
            let line = format!("unknown backend {}", gotmpl::quote(word.as_bytes()));
            Err(Mistake { hint: Some(hint), ..Mistake::from(line) })
        }
        #[cfg(feature = "registrator")]
        Some(word) if is_registry(word) => {
            // What follows can contain a password.
            let scheme = word.split(':').next().unwrap_or_default();
            let line = format!("{scheme}://… is the address of a registry");
            let hint = format!("to register containers, write confd registrator {scheme}://…");
            Err(Mistake { hint: Some(hint), ..Mistake::from(line) })
        }
        Some(word) if let Some(flag) = behind_long_dash(word) => {
            Err(format!("{word} does not begin with the - of a flag: did you mean -{flag}?").into())
        }
        // Go confd would run without these flags.
        Some(word) if is_first && rest.any(|word| word.as_bytes().starts_with(b"-")) => {
            let line = format!("unknown command or backend {}", gotmpl::quote(word.as_bytes()));
            let hint = format!(
                "the backends are {}; the commands are {}",
                sources::built(),
                sources::list(first_words())
            );
            Err(Mistake { hint: Some(hint), ..Mistake::from(line) })
        }
        _ => {
            let line = CommandLine { flags: given, dialect, asks: true, program: Vec::new() };
            Ok(Request::Run(line, ignored))
        }
    }
}

/// The words that mean something else than a run of confd, if the command line begins with them.
fn first_words() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().copied().chain(COMMANDS.iter().map(|command| command.name))
}

/// The other programs of this binary. Such a name is the first word of their command line.
pub(crate) const PROGRAMS: &[&str] = &[
    #[cfg(feature = "consul-template")]
    crate::consul_template::NAME,
    #[cfg(feature = "registrator")]
    crate::register::NAME,
    #[cfg(feature = "registrator")]
    crate::register::WORD,
];

/// Whether a word is the address of a registry, as registrator has it in its command line.
#[cfg(feature = "registrator")]
fn is_registry(word: &str) -> bool {
    let scheme = word.split_once(':').filter(|(_, rest)| rest.starts_with("//"));
    let kinds = ["consul", "consulkv", "etcd", "skydns2"];
    scheme.is_some_and(|(scheme, _)| kinds.contains(&scheme.split('-').next().unwrap_or_default()))
}

/// Names that other programs have for a flag, each with the flag.
const SPELLINGS: [(&str, &str); 12] = [
    ("v", "-version"),
    ("once", "-onetime"),
    ("config", "-config-file"),
    ("c", "-config-file"),
    ("dryrun", "-noop"),
    ("endpoint", "-node"),
    ("endpoints", "-node"),
    ("host", "-node"),
    ("url", "-node"),
    ("debug", "-log-level"),
    ("verbose", "-log-level"),
    ("loglevel", "-log-level"),
];

/// The flags that the unknown flag `name` probably means. `-` and `_` do not count.
pub(crate) fn near_flags(name: &str) -> Option<String> {
    let folded = |text: &str| text.replace(['-', '_'], "").to_lowercase();
    let name = folded(name);
    if let Some((_, flag)) = SPELLINGS.iter().find(|(spelling, _)| *spelling == name) {
        return Some(format!("did you mean \"{flag}\"?"));
    }
    let known =
        table::all().iter().map(|option| (folded(option.name), format!("-{}", option.name)));
    did_you_mean_spelled(&name, known)
}

/// The flag behind a dash that is no `-`. Text processors replace `-` and `--` by such a dash.
fn behind_long_dash(word: &str) -> Option<&'static str> {
    const DASHES: [char; 3] = ['–', '—', '−'];

    let name = word.trim_start_matches(DASHES).split('=').next()?;
    table::find(name).filter(|_| word.starts_with(DASHES)).map(|option| option.name)
}

/// The usage text, in the layout of Go's package `flag`, for a program that was started as `name`.
pub(crate) fn usage(name: &OsStr) -> String {
    let name = harmless(&name.to_string_lossy());
    let others = PROGRAMS.iter().map(|other| format!("  {name} {other} -h\n"));
    let others: String = others.collect();
    let others = match others.is_empty() {
        true => others,
        false => format!("Other programs of this binary:\n{others}"),
    };
    let flags = flags::described(table::all());
    let commands = COMMANDS.iter().map(|command| format!("  {name} {}\n", command.synopsis()));
    let commands: String = commands.collect();
    format!("Usage of {name}:\n{flags}Commands:\n{commands}{others}")
}

#[cfg(test)]
mod tests {
    use options::{Given, Opt, Read};

    use super::*;
    use crate::general::{INTERVAL, NOOP, ONETIME, PREFIX};

    /// An option that can be given any number of times.
    const NODE: Opt<Vec<OsString>> = Opt::list("node", "");

    /// The values that the command line `words` gives, or the error. "help" and "version" are
    /// errors too.
    fn given(words: &[&str]) -> Result<Given, String> {
        match read(words.iter().map(OsString::from)).map_err(|mistake| mistake.to_string())? {
            Request::Run(line, _) => Ok(Given::new(vec![line.flags])),
            Request::Help(_) => Err("help".to_owned()),
            Request::Version => Err("version".to_owned()),
        }
    }

    fn get<T: Read>(words: &[&str], option: &Opt<T>) -> T {
        given(words).unwrap().get(option).unwrap()
    }

    #[test]
    fn the_words_of_a_program_are_left_as_they_are() {
        let program = ["prog", "--color", "red", "-n", "x", "-nfoo", "--noop=yes"];
        for words in [&["-watch", "--"][..], &["env", "--watch", "--"]] {
            let words = words.iter().chain(&program).map(OsString::from);
            let Ok(Request::Run(line, _)) = read(words) else { panic!("a run") };
            assert_eq!(line.program, program);
        }
        assert_eq!(get(&["env", "--prefix", "noop=yes"], &PREFIX), b"noop=yes");
    }

    #[test]
    fn one_dash_and_two_are_the_same_with_and_without_equals() {
        for words in [&["-node", "a"][..], &["--node", "a"], &["-node=a"], &["--node=a"]] {
            assert_eq!(get(words, &NODE), ["a"]);
        }
    }

    #[test]
    fn a_switch_takes_a_value_only_after_equals() {
        let words = ["-onetime", "true", "-version"];
        assert!(get(&words, &ONETIME));
        let words = ["-onetime=F", "-noop=1"];
        assert_eq!((get(&words, &ONETIME), get(&words, &NOOP)), (false, true));
        for (word, value) in [("-onetime=maybe", "maybe"), ("-onetime=", "")] {
            let error = format!("invalid boolean value {value:?} for -onetime: parse error");
            assert_eq!(given(&[word]).unwrap_err(), error);
        }
    }

    #[test]
    fn parsing_ends_at_the_first_word_that_is_no_flag() {
        for end in ["x", "-", "--", ""] {
            assert!(get(&["-noop", end, "-nosuch"], &NOOP), "{end:?}");
        }
    }

    #[test]
    fn values_may_begin_with_a_dash_or_be_empty() {
        let words = ["-prefix", "-x", "-node", ""];
        assert_eq!((get(&words, &PREFIX), get(&words, &NODE)), (b"-x".to_vec(), vec!["".into()]));
    }

    #[test]
    fn errors_are_those_of_go() {
        for (words, error) in [
            (&["-nosuch"][..], "flag provided but not defined: -nosuch"),
            (&["--nosuch=1"], "flag provided but not defined: -nosuch"),
            (&["-interval", "abc"], "invalid value \"abc\" for flag -interval: parse error"),
            (
                &["-interval=9223372036854775808"],
                "invalid value \"9223372036854775808\" for flag -interval: value out of range",
            ),
            (&["-node"], "flag needs an argument: -node"),
            (&["---x"], "bad flag syntax: ---x"),
            (&["-=x"], "bad flag syntax: -=x"),
            (&["-h"], "help"),
            (&["--help"], "help"),
            (&["-h=1"], "help"),
            (&["-version"], "version"),
        ] {
            assert_eq!(given(words).unwrap_err(), error);
        }
        assert!(given(&["-version", "-version=false"]).is_ok());
    }

    #[test]
    fn numbers_choose_their_base() {
        for (text, number) in [
            ("600", 600),
            ("0x10", 16),
            ("017", 15),
            ("0b11", 3),
            ("0o17", 15),
            ("1_000", 1000),
            ("-5", -5),
        ] {
            assert_eq!(get(&["-interval", text], &INTERVAL), number);
        }
    }

    #[test]
    fn scalars_keep_the_last_value_and_lists_all() {
        let words = ["-prefix=a", "-node=1", "-prefix=b", "-node=2,3", "-node="];
        assert_eq!(get(&words, &PREFIX), b"b");
        assert_eq!(get(&words, &NODE), ["1", "2,3", ""]);
        assert_eq!(get(&["-noop"], &NODE), Vec::<OsString>::new());
        assert_eq!(get(&words, &INTERVAL), 600);
    }

    #[test]
    fn the_usage_text_has_the_layout_of_go() {
        let text = usage(OsStr::new("./confd"));
        assert!(text.starts_with("Usage of ./confd:\n  -acm-export-private-key\n    \t"));
        assert!(
            text.contains("\n  -interval int\n    \tseconds between two passes (default 600)\n")
        );
        assert!(text.contains(" (default \"etcd\")\n"));
        assert!(text.contains("\n  -node value\n"));
        assert!(text.contains("\n  -onetime\n    \trun once and exit\n"));
    }
}
