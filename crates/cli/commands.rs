//! The commands of confd, such as `confd check`, in one table.
//!
//! A command is the first word of the command line. Names stand behind it, then its own options, and the
//! flags of a run in any order with these. The reader of these words, the usage texts, the manual page and
//! the completions of shells are made from the table.

use std::{
    ffi::OsString,
    io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use anyhow::{Context as _, anyhow, bail};
use options::Proposed;

use crate::{
    Exit,
    flags::{self, CommandLine, Request},
    prove, remote, schema, versions,
};

/// A command.
pub(crate) struct Command {
    /// The word that asks for it.
    pub(crate) name: &'static str,
    /// The names behind the word, as usage texts show them; an empty text if it takes none.
    pub(crate) operands: &'static str,
    /// The options that a run does not have.
    pub(crate) options: &'static [Own],
    /// What it does.
    pub(crate) help: &'static str,
    /// A flag of a run that people need with it; an empty text if they need none.
    such_as: &'static str,
    /// The exit code if it cannot be done.
    failure: u8,
    run: fn(Asked) -> anyhow::Result<Exit>,
}

/// An option of a command.
pub(crate) struct Own {
    /// The name: the flag without its dash.
    pub(crate) name: &'static str,
    /// The word for its value in usage texts; an empty text for a switch.
    pub(crate) value: &'static str,
    /// What a shell can propose for the value.
    pub(crate) proposed: Proposed,
    /// What it is for.
    pub(crate) help: &'static str,
}

/// What is asked of a command.
pub(crate) struct Asked {
    /// The command.
    pub(crate) command: &'static Command,
    /// The words that are no flags.
    pub(crate) names: Vec<String>,
    /// The flags of a run.
    pub(crate) line: CommandLine,
    /// The values of the command's own options, in their order; those of switches are empty.
    own: Vec<(&'static str, OsString)>,
}

impl Asked {
    /// The command's own options with their values, in their order.
    pub(crate) fn own(&self) -> impl Iterator<Item = (&'static str, &OsString)> {
        self.own.iter().map(|(name, value)| (*name, value))
    }

    /// The value of the command's own option `name`; the last one, if it is given several times.
    pub(crate) fn last(&self, name: &str) -> Option<&OsString> {
        self.own().filter(|(own, _)| *own == name).map(|(_, value)| value).last()
    }

    /// Whether the command's own option `name` is given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.last(name).is_some()
    }
}

const fn own(
    name: &'static str,
    value: &'static str,
    proposed: Proposed,
    help: &'static str,
) -> Own {
    Own { name, value, proposed, help }
}

const fn switch(name: &'static str, help: &'static str) -> Own {
    own(name, "", Proposed::Nothing, help)
}

const DATA: Own = own("data", "FILE", Proposed::File, "take the keys from this YAML or JSON file");
const DEST: Own = own("dest", "FILE", Proposed::File, "show only the file with this destination");
const ITEM: Own = own("item", "NAME", Proposed::Nothing, "show only the file of this item");
const JSON: Own = switch("json", "print one JSON document");

/// The forms in which findings are printed.
const FORMATS: Proposed = Proposed::Words(&["text", "json", "sarif"]);

/// All commands, in alphabetical order.
pub(crate) static COMMANDS: &[Command] = &[
    Command {
        name: "check",
        operands: "",
        options: &[
            own(
                "format",
                "FORM",
                FORMATS,
                "form of the findings: text (the default), json or sarif",
            ),
            switch("strict", "exit code 1 if there is a warning, too"),
        ],
        help: "find all mistakes of the configuration, without a store",
        such_as: "-confdir",
        failure: 1,
        run: prove::run,
    },
    Command {
        name: "explain",
        operands: "RESOURCE[:LINE]",
        options: &[DATA, DEST, ITEM],
        help: "show which keys made each line of a file",
        such_as: "-confdir",
        failure: 1,
        run: prove::run,
    },
    Command {
        name: "history",
        operands: "RESOURCE",
        options: &[JSON],
        help: "list the kept versions of a resource, the newest first",
        such_as: "-confdir",
        failure: 1,
        run: versions::run,
    },
    Command {
        name: "plan",
        operands: "[RESOURCE …]",
        options: &[
            own("set", "KEY=VALUE", Proposed::Nothing, "set a key (may be repeated)"),
            own(
                "delete",
                "KEY",
                Proposed::Nothing,
                "delete a key, or with a / at its end all keys below it (may be repeated)",
            ),
            own(
                "from",
                "FILE",
                Proposed::File,
                "set the keys of a YAML or JSON file (may be repeated)",
            ),
            DATA,
        ],
        help: "show what a change of keys would do to all files",
        such_as: "-confdir",
        failure: 1,
        run: prove::run,
    },
    Command {
        name: "release",
        operands: "RESOURCE",
        options: &[],
        help: "end the hold of a rollback",
        such_as: "-confdir",
        failure: 1,
        run: versions::run,
    },
    Command {
        name: "reload",
        operands: "",
        options: &[],
        help: "make the confd that runs read its configuration and resources again",
        such_as: "-control-socket",
        failure: 1,
        run: remote::run,
    },
    Command {
        name: "render",
        operands: "RESOURCE",
        options: &[DATA, DEST, ITEM],
        help: "print what a pass would write",
        such_as: "-confdir",
        failure: 1,
        run: prove::run,
    },
    Command {
        name: "rollback",
        operands: "RESOURCE",
        options: &[own(
            "to",
            "N",
            Proposed::Nothing,
            "number of the version (not given: the one before that in place)",
        )],
        help: "put a kept version of a resource in place, and hold it",
        such_as: "-confdir",
        failure: 1,
        run: versions::run,
    },
    Command {
        name: "run",
        operands: "RESOURCE",
        options: &[],
        help: "make the confd that runs process a resource now, and say how that ended",
        such_as: "-control-socket",
        failure: 1,
        run: remote::run,
    },
    Command {
        name: "schema",
        operands: "",
        options: &[schema::FOR],
        help: "print the JSON Schema of resource files or of confd.toml, by which editors mark mistakes",
        such_as: "",
        failure: 1,
        run: schema::run,
    },
    Command {
        name: "status",
        operands: "",
        options: &[JSON],
        help: "show the state of the confd that runs",
        such_as: "-control-socket",
        // 1 says that confd is not ready.
        failure: 2,
        run: remote::run,
    },
    Command {
        name: "test",
        operands: "FOLDER [CASE …]",
        options: &[
            own(
                "junit",
                "FILE",
                Proposed::File,
                "write the results to this file, in the form JUnit",
            ),
            switch("update", "make what is rendered the expected files"),
        ],
        help: "compare what templates make of files of keys with what is expected",
        such_as: "-confdir",
        failure: 1,
        run: prove::run,
    },
];

/// The command that `word` asks for.
pub(crate) fn find(word: &std::ffi::OsStr) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| word == command.name)
}

impl Command {
    /// Does it, with the words behind its name.
    pub(crate) fn run(&'static self, words: impl Iterator<Item = OsString>) -> Exit {
        let done = match self.read(words) {
            Ok(Some(asked)) => (self.run)(asked),
            Ok(None) => {
                crate::print(&mut io::stderr(), &self.described());
                return Exit::Success;
            }
            Err(error) => Err(error),
        };
        done.unwrap_or_else(|error| {
            crate::print(&mut io::stderr(), &format!("confd {}: {error:#}\n", self.name));
            Exit::Code(self.failure)
        })
    }

    /// How it is written: its name, its operands and its own options.
    pub(crate) fn synopsis(&self) -> String {
        let gap = if self.operands.is_empty() { "" } else { " " };
        let options = self.options.iter().map(|Own { name, value, proposed, .. }| match proposed {
            Proposed::Words(words) => format!(" [-{name} {}]", words.join("|")),
            _ if value.is_empty() => format!(" [-{name}]"),
            _ => format!(" [-{name} {value}]"),
        });
        format!("{}{gap}{}{}", self.name, self.operands, options.collect::<String>())
    }

    /// The error that the words are not those of the command.
    pub(crate) fn usage(&self) -> anyhow::Error {
        let words = self.synopsis();
        match self.such_as {
            "" => anyhow!("write confd {words}"),
            flag => anyhow!("write confd {words}, and then flags such as {flag}"),
        }
    }

    /// Whether it asks a store, with these options of its own: those that can take keys from a file do if
    /// they take none.
    fn asks(&self, own: &[(&str, OsString)]) -> bool {
        let takes = self.options.iter().any(|option| option.name == DATA.name);
        takes && own.iter().all(|(name, _)| *name != DATA.name)
    }

    /// The text for `-h`.
    fn described(&self) -> String {
        let options = self.options.iter().map(|Own { name, value, help, .. }| {
            let gap = if value.is_empty() { "" } else { " " };
            format!("  -{name}{gap}{value}\n    \t{help}\n")
        });
        let flags = match self.such_as {
            "" => String::new(),
            flag => format!("Flags such as {flag} can follow: confd -h lists them.\n"),
        };
        format!(
            "Usage of confd {}:\n    \t{}\n{}{flags}",
            self.synopsis(),
            self.help,
            options.collect::<String>(),
        )
    }

    /// What the words behind the name ask for; `None` if they ask for help.
    ///
    /// # Errors
    /// A word is no flag, or a flag has no value: a text for people.
    fn read(&'static self, words: impl Iterator<Item = OsString>) -> anyhow::Result<Option<Asked>> {
        let (mut names, mut own, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        let mut words = words.peekable();
        // The names stand first, because the flags of a run end at the first word that is none.
        while let Some(name) = words.next_if(|word| !word.as_bytes().starts_with(b"-")) {
            names.push(name.into_string().map_err(|name| anyhow!("{name:?} is no name"))?);
        }
        while let Some(next) = words.next() {
            let bytes = next.as_bytes();
            let flag = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"));
            let (name, value) = match flag.and_then(|flag| Some((flag, equals(flag)?))) {
                Some((flag, at)) => (Some(&flag[..at]), Some(flag[at + 1..].to_vec())),
                None => (flag, None),
            };
            let is_it = |option: &&Own| name == Some(option.name.as_bytes());
            let Some(option) = self.options.iter().find(is_it) else {
                rest.push(next);
                continue;
            };
            let name = option.name;
            let value = match (option.value, value) {
                ("", None) => OsString::new(),
                ("", Some(_)) => bail!("-{name} takes no value"),
                (_, Some(value)) => OsString::from_vec(value),
                (_, None) => words.next().with_context(|| format!("-{name} needs a value"))?,
            };
            own.push((name, value));
        }
        match flags::read(rest)? {
            Request::Run(mut line, None) => {
                line.asks = self.asks(&own);
                Ok(Some(Asked { command: self, names, line, own }))
            }
            Request::Run(_, Some(word)) => {
                bail!("{} stands behind the flags: names come first", word.display())
            }
            Request::Help(_) => Ok(None),
            Request::Version => Err(self.usage()),
        }
    }
}

/// The place of the first `=`.
pub(crate) fn equals(text: &[u8]) -> Option<usize> {
    text.iter().position(|&byte| byte == b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> anyhow::Result<Option<Asked>> {
        let mut words = line.split_whitespace().map(OsString::from);
        let command = find(&words.next().unwrap()).unwrap();
        command.read(words)
    }

    #[test]
    fn commands_stand_in_byte_order_and_no_option_of_theirs_is_one_of_a_run() {
        assert!(COMMANDS.is_sorted_by(|one, next| one.name < next.name));
        for option in COMMANDS.iter().flat_map(|command| command.options) {
            assert!(crate::table::find(option.name).is_none(), "{}", option.name);
        }
    }

    #[test]
    fn names_come_first_and_own_options_stand_among_the_flags() {
        let line = "plan a b -set /x=1 -noop --set=/y=2 -data f";
        let asked = read(line).unwrap().unwrap();
        assert_eq!(asked.names, ["a", "b"]);
        let own: Vec<_> =
            asked.own().map(|(name, value)| (name, value.to_str().unwrap())).collect();
        assert_eq!(own, [("set", "/x=1"), ("set", "/y=2"), ("data", "f")]);
        assert!(asked.line.flags.has("noop"));
        assert!(!asked.line.asks && read("plan -set /x=1").unwrap().unwrap().line.asks);
        assert!(!read("check").unwrap().unwrap().line.asks);
        assert!(read("status -json").unwrap().unwrap().has("json"));
        assert!(read("status -h").unwrap().is_none());
    }

    #[test]
    fn a_mistake_is_named() {
        let error = |line: &str| read(line).err().unwrap().to_string();
        assert_eq!(error("plan -set"), "-set needs a value");
        assert_eq!(error("status -json=x"), "-json takes no value");
        assert_eq!(error("check -noop x"), "x stands behind the flags: names come first");
        assert_eq!(error("check -nosuch"), "flag provided but not defined: -nosuch");
        let usage = "write confd rollback RESOURCE [-to N], and then flags such as -confdir";
        assert_eq!(error("rollback -version"), usage);
    }
}
