//! The command line: Go's flag syntax in front, clap behind.
//!
//! Go takes `-x`, `--x`, `-x=v` and `-x v`, gives a switch a value only after `=`, and stops
//! at the first word that is no flag. clap does not, so [`scan`] checks the words by Go's
//! rules and rewrites each flag to the one form `--name=value`, from which clap reads the
//! values. Error texts and exit codes are those of Go's `flag` package, which scripts see.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use clap::{Arg, ArgAction, Command, builder::OsStringValueParser, parser::ValueSource};
use config::goint;

use crate::settings::{self, Kind, SETTINGS, Setting, Value};

/// What a command line asks for.
pub(crate) enum Request {
    /// To run, with these flags in the order of the settings' table.
    Run(Vec<(&'static Setting, Value)>),
    /// The usage text.
    Help,
    /// The version.
    Version,
}

/// Reads the words after the program's name.
///
/// # Errors
/// The line Go's `flag` package prints before the usage text; the exit code is then 2.
pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let Some(words) = scan(words.into_iter())? else { return Ok(Request::Help) };
    let matches = command().try_get_matches_from(words).map_err(|error| error.to_string())?;
    let typed = |setting: &Setting| {
        let name = setting.flag;
        Some(match setting.kind {
            Kind::Switch => Value::Switch(*matches.get_one(name)?),
            Kind::Number(_) => Value::Number(*matches.get_one(name)?),
            Kind::Text(_) => Value::Text(matches.get_one::<OsString>(name)?.clone()),
            Kind::List => Value::List(matches.get_many::<OsString>(name)?.cloned().collect()),
        })
    };
    let given = SETTINGS
        .iter()
        .filter(|setting| matches.value_source(setting.flag) == Some(ValueSource::CommandLine))
        .filter_map(|setting| Some((setting, typed(setting)?)))
        .collect::<Vec<_>>();
    let version = |(setting, value): &(&Setting, Value)| {
        setting.flag == "version" && *value == Value::Switch(true)
    };
    Ok(if given.iter().any(version) { Request::Version } else { Request::Run(given) })
}

/// The flags as clap knows them, made from the table of settings.
fn command() -> Command {
    let flags = SETTINGS.iter().map(|setting| {
        let flag = Arg::new(setting.flag).long(setting.flag).help(setting.help);
        match setting.kind {
            Kind::Switch => flag.action(ArgAction::Set).value_parser(clap::value_parser!(bool)),
            Kind::Number(_) => flag.action(ArgAction::Set).value_parser(clap::value_parser!(i64)),
            Kind::Text(_) => flag.action(ArgAction::Set).value_parser(OsStringValueParser::new()),
            Kind::List => flag.action(ArgAction::Append).value_parser(OsStringValueParser::new()),
        }
    });
    Command::new("confd")
        .no_binary_name(true)
        .args_override_self(true)
        .disable_help_flag(true)
        .args(flags)
}

/// The usage text in the layout of Go's `flag` package, for a program invoked as `name`.
pub(crate) fn usage(name: &OsStr) -> String {
    let mut text = format!("Usage of {}:\n", name.display());
    for flag in command().get_arguments() {
        let name = flag.get_id().as_str();
        let Some(setting) = settings::find(name) else { continue };
        let (word, default) = match setting.kind {
            Kind::Switch => ("", String::new()),
            Kind::Number(number) => (" int", format!(" (default {number})")),
            Kind::Text("") => (" string", String::new()),
            Kind::Text(default) => (" string", format!(" (default {default:?})")),
            Kind::List => (" value", String::new()),
        };
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        text += &format!("  -{name}{word}\n    \t{help}{default}\n");
    }
    text
}

/// Checks `words` by Go's rules and rewrites every flag to `--name=value`; `None` asks for help.
fn scan(mut words: impl Iterator<Item = OsString>) -> Result<Option<Vec<OsString>>, String> {
    let mut rewritten = Vec::new();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        let Some(body) = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-")) else {
            break;
        };
        if body.is_empty() {
            break; // a lone `-`, or the `--` that ends the flags
        }
        if matches!(body[0], b'-' | b'=') {
            return Err(format!("bad flag syntax: {}", word.display()));
        }
        let (name, value) = match body.iter().position(|&byte| byte == b'=') {
            Some(at) => (&body[..at], Some(OsStr::from_bytes(&body[at + 1..]).to_os_string())),
            None => (body, None),
        };
        let Some(setting) = std::str::from_utf8(name).ok().and_then(settings::find) else {
            if matches!(name, b"h" | b"help") {
                return Ok(None);
            }
            return Err(format!(
                "flag provided but not defined: -{}",
                OsStr::from_bytes(name).display()
            ));
        };
        let name = setting.flag;
        let value = match (setting.kind, value) {
            (Kind::Switch, None) => "true".into(),
            (Kind::Switch, Some(value)) => match value.to_str().and_then(boolean) {
                Some(on) => on.to_string().into(),
                None => {
                    return Err(format!(
                        "invalid boolean value {} for -{name}: parse error",
                        quoted(&value)
                    ));
                }
            },
            (_, None) => words.next().ok_or_else(|| format!("flag needs an argument: -{name}"))?,
            (_, Some(value)) => value,
        };
        let value = match setting.kind {
            Kind::Number(_) => {
                match value.to_str().map_or(Err(goint::Fault::Syntax), goint::signed) {
                    Ok(number) => number.to_string().into(),
                    Err(fault) => {
                        let fault = match fault {
                            goint::Fault::Syntax => "parse error",
                            goint::Fault::Range => "value out of range",
                        };
                        return Err(format!(
                            "invalid value {} for flag -{name}: {fault}",
                            quoted(&value)
                        ));
                    }
                }
            }
            _ => value,
        };
        let mut flag = format!("--{name}=").into_bytes();
        flag.extend_from_slice(value.as_bytes());
        rewritten.push(OsString::from_vec(flag));
    }
    Ok(Some(rewritten))
}

/// Go's twelve spellings of a boolean.
pub(crate) fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn quoted(value: &OsStr) -> String {
    format!("{:?}", value.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(words: &[&str]) -> Result<Vec<String>, String> {
        let words = scan(words.iter().map(OsString::from))?.ok_or("help")?;
        Ok(words.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn one_dash_and_two_are_the_same_with_and_without_equals() {
        let form = Ok(vec!["--node=a".to_owned()]);
        for words in [&["-node", "a"][..], &["--node", "a"], &["-node=a"], &["--node=a"]] {
            assert_eq!(scanned(words), form);
        }
    }

    #[test]
    fn a_switch_takes_a_value_only_after_equals() {
        assert_eq!(scanned(&["-onetime", "true", "-version"]).unwrap(), ["--onetime=true"]);
        assert_eq!(
            scanned(&["-onetime=F", "-noop=1"]).unwrap(),
            ["--onetime=false", "--noop=true"]
        );
        assert_eq!(
            scanned(&["-onetime=maybe"]).unwrap_err(),
            "invalid boolean value \"maybe\" for -onetime: parse error"
        );
        assert_eq!(
            scanned(&["-onetime="]).unwrap_err(),
            "invalid boolean value \"\" for -onetime: parse error"
        );
    }

    #[test]
    fn parsing_ends_at_the_first_word_that_is_no_flag() {
        for end in ["x", "-", "--", ""] {
            assert_eq!(scanned(&["-noop", end, "-nosuch"]).unwrap(), ["--noop=true"], "{end:?}");
        }
    }

    #[test]
    fn values_may_begin_with_a_dash_or_be_empty() {
        assert_eq!(scanned(&["-prefix", "-x", "-node", ""]).unwrap(), ["--prefix=-x", "--node="]);
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
        ] {
            assert_eq!(scanned(words).unwrap_err(), error);
        }
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
            assert_eq!(scanned(&["-interval", text]).unwrap(), [format!("--interval={number}")]);
        }
    }

    #[test]
    fn scalars_keep_the_last_value_and_lists_all() {
        let Ok(Request::Run(given)) =
            read(["-prefix=a", "-node=1", "-prefix=b", "-node=2,3", "-node="].map(OsString::from))
        else {
            panic!("not a run")
        };
        let value = |flag: &str| {
            given.iter().find(|(setting, _)| setting.flag == flag).map(|(_, value)| value.clone())
        };
        assert_eq!(value("prefix"), Some(Value::Text("b".into())));
        assert_eq!(value("node"), Some(Value::List(vec!["1".into(), "2,3".into(), "".into()])));
        assert_eq!(value("interval"), None);
    }

    #[test]
    fn the_usage_text_has_the_layout_of_go() {
        let text = usage(OsStr::new("./confd"));
        assert!(text.starts_with("Usage of ./confd:\n  -app-id string\n    \t"));
        assert!(
            text.contains("\n  -interval int\n    \tseconds between two passes (default 600)\n")
        );
        assert!(text.contains(" (default \"etcd\")\n"));
        assert!(text.contains("\n  -node value\n"));
        assert!(text.contains("\n  -onetime\n    \trun once and exit\n"));
    }
}
