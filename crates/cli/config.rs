//! From what was given to what is meant: flags, environment, confd.toml and defaults become
//! one [`Config`].
//!
//! A flag wins over the environment, the environment over confd.toml, confd.toml over the
//! default, as confd's documentation has always said. confd 0.16 did the reverse (its file
//! wins over flags); `-config-precedence file` brings that order back.

use std::{
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use ::config::document::{Document, Unknown};
use agent::{Pace, Schedule};
use anyhow::{Context as _, anyhow, bail};
use report::{did_you_mean_spelled, errno_text};

use crate::{
    logging::{Level, Notice},
    merged::{Layer, Merged},
    settings::{Kind, SETTINGS, Setting, Value},
    source::Source,
    stores,
};

/// Everything a run needs to know.
pub(crate) struct Config {
    /// The least severe level that is logged.
    pub(crate) level: Level,
    /// Where the keys come from.
    pub(crate) source: Source,
    /// What is done with them.
    pub(crate) settings: agent::Settings,
    /// In which mode.
    pub(crate) mode: Mode,
    /// When, in the modes that go on.
    pub(crate) schedule: Schedule,
}

/// When resources are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Once.
    Onetime,
    /// Every interval.
    Interval,
    /// Whenever the backend says that something has changed.
    Watch,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Onetime => "onetime",
            Mode::Interval => "interval",
            Mode::Watch => "watch",
        })
    }
}

/// What the command line gives.
pub(crate) type Flags = Vec<(&'static Setting, Value)>;

/// Merges `flags`, the environment (looked up through `env`) and the configuration file.
///
/// # Errors
/// The configuration file cannot be read or understood, or a value is not valid. A file that
/// does not exist is no error.
pub(crate) fn load(
    flags: &Flags,
    env: impl Fn(&str) -> Option<OsString>,
    notices: &mut Vec<Notice>,
) -> anyhow::Result<Config> {
    let flags: Layer = flags.iter().map(|(setting, value)| (setting.flag, value.clone())).collect();
    let path = match flags.get("config-file") {
        Some(Value::Text(path)) => PathBuf::from(path),
        _ => PathBuf::from("/etc/confd/confd.toml"),
    };
    let file = read_file(&path, notices)?;
    let variables = stores::variables(&env);
    let env = read_env(env);
    let file_wins = match flags.get("config-precedence").or(file.get("config-precedence")) {
        Some(Value::Text(word)) if word == "file" => true,
        Some(Value::Text(word)) if word != "flags" => {
            bail!("config-precedence is \"flags\" or \"file\", not {word:?}")
        }
        _ => false,
    };
    if !file_wins {
        note_overrides(&flags, &file, &path, notices);
    }
    let layers = if file_wins { [file, flags, env] } else { [flags, env, file] };
    Config::new(&Merged { layers, fill_empty: file_wins, variables }, notices)
}

impl Config {
    /// What the settings mean.
    fn new(given: &Merged, notices: &mut Vec<Notice>) -> anyhow::Result<Self> {
        let level = match given.text("log-level")?.as_str() {
            "" => Level::Info,
            name => Level::named(name).ok_or_else(|| anyhow!("not a valid level: {name:?}"))?,
        };
        let settings = agent::Settings {
            confdir: given.path("confdir"),
            prefix: given.bytes("prefix").into(),
            noop: given.switch("noop"),
            sync_only: given.switch("sync-only"),
            keep_stage_file: given.switch("keep-stage-file"),
        };
        let mode = match (given.switch("onetime"), given.switch("watch")) {
            (true, _) => Mode::Onetime,
            (false, true) => Mode::Watch,
            (false, false) => Mode::Interval,
        };
        let schedule = Schedule {
            interval: interval(given, mode, notices),
            pace: Pace { debounce: given.duration("debounce")?, splay: given.duration("splay")? },
            reconcile: given.duration("reconcile")?,
            shutdown_timeout: given.duration("shutdown-timeout")?,
        };
        let source = stores::source(given, notices)?;
        Ok(Config { level, source, settings, mode, schedule })
    }
}

fn interval(given: &Merged, mode: Mode, notices: &mut Vec<Notice>) -> Duration {
    let seconds = given.number("interval");
    let positive = u64::try_from(seconds).ok().filter(|&seconds| seconds > 0);
    Duration::from_secs(positive.unwrap_or_else(|| {
        if mode != Mode::Onetime {
            notices.push(Notice::Warning(format!(
                "interval {seconds} is too short: 1 second is used"
            )));
        }
        1
    }))
}

/// The environment variables that stand for settings; an empty one counts as absent.
fn read_env(env: impl Fn(&str) -> Option<OsString>) -> Layer {
    let variables = [
        ("CONFD_CLIENT_CAKEYS", "client-ca-keys"),
        ("CONFD_CLIENT_CERT", "client-cert"),
        ("CONFD_CLIENT_KEY", "client-key"),
    ];
    let given = variables.into_iter().filter_map(|(variable, flag)| {
        let value = env(variable).filter(|value| !value.is_empty())?;
        Some((flag, Value::Text(value)))
    });
    given.collect()
}

/// Reads confd.toml by the table of settings, and notes the keys that are none.
fn read_file(path: &Path, notices: &mut Vec<Notice>) -> anyhow::Result<Layer> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Layer::new()),
        Err(error) => {
            let operation =
                if error.kind() == io::ErrorKind::IsADirectory { "read" } else { "open" };
            return Err(anyhow!("{operation} {}: {}", path.display(), errno_text(&error)));
        }
    };
    let text = std::str::from_utf8(&bytes)
        .with_context(|| format!("{}: not a TOML file, which has to be UTF-8", path.display()))?;
    let document = Document::parse(text)?;
    let root = document.root();
    let mut layer = Layer::new();
    for setting in SETTINGS {
        let Some(key) = setting.key else { continue };
        let value = match setting.kind {
            Kind::Switch => root.boolean(key)?.map(Value::Switch),
            Kind::Number(_) => root.integer(key)?.map(Value::Number),
            Kind::Text(_) => root.string(key)?.map(|text| Value::Text(text.into())),
            Kind::List => root
                .strings(key)?
                .map(|list| Value::List(list.into_iter().map(OsString::from).collect())),
        };
        layer.extend(value.map(|value| (setting.flag, value)));
    }
    if root.line("template").is_some() {
        notices.push(Notice::Warning(format!(
            "{} is a template resource, not a configuration file: it sets nothing here, \
             and resources are taken from -confdir",
            path.display()
        )));
        return Ok(layer);
    }
    for Unknown { key, line, .. } in root.unknown() {
        let hint = near_keys(key).map_or(String::new(), |hint| format!(", {hint}"));
        notices
            .push(Notice::Warning(format!("{}:{line}: unknown key {key:?}{hint}", path.display())));
    }
    Ok(layer)
}

/// The keys of confd.toml that were probably meant by `key`, which is none. A flag's name counts as
/// a spelling of its key, and `-` and `_` do not count.
fn near_keys(key: &str) -> Option<String> {
    let folded = |text: &str| text.replace(['-', '_'], "");
    let keys = SETTINGS.iter().filter_map(|setting| Some((setting.flag, setting.key?)));
    let known = keys.flat_map(|(flag, key)| [(folded(flag), key), (folded(key), key)]);
    did_you_mean_spelled(&folded(key), known)
}

fn note_overrides(flags: &Layer, file: &Layer, path: &Path, notices: &mut Vec<Notice>) {
    for setting in SETTINGS {
        let (Some(flag), Some(key), Some(file)) =
            (flags.get(setting.flag), setting.key, file.get(setting.flag))
        else {
            continue;
        };
        if flag != file {
            let name = setting.flag;
            notices.push(Notice::Info(format!(
                "flag -{name} overrides {key:?} of {}",
                path.display()
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    /// A configuration from flags given as (name, value) and the text of a confd.toml.
    fn loaded(flags: &[(&str, Value)], file: &str) -> (anyhow::Result<Config>, Vec<Notice>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confd.toml");
        fs::write(&path, file).unwrap();
        let mut given: Vec<_> = flags
            .iter()
            .map(|(name, value)| (settings::find(name).unwrap(), value.clone()))
            .collect();
        given.push((settings::find("config-file").unwrap(), Value::Text(path.into())));
        let mut notices = Vec::new();
        let config = load(&given, |_| None, &mut notices);
        (config, notices)
    }

    fn text(value: &str) -> Value {
        Value::Text(value.into())
    }

    #[test]
    fn a_flag_wins_over_the_file_and_says_so() {
        let (config, notices) = loaded(
            &[("backend", text("env")), ("interval", Value::Number(5))],
            "backend = 'file'\ninterval = 7\nnoop = true\n",
        );
        let config = config.unwrap();
        assert_eq!(config.source, Source::Env);
        assert_eq!(config.schedule.interval, Duration::from_secs(5));
        assert!(config.settings.noop);
        assert_eq!(notices.len(), 2);
        assert!(
            matches!(&notices[1], Notice::Info(line) if line.starts_with("flag -interval overrides \"interval\" of "))
        );
    }

    #[test]
    fn the_order_of_0_16_can_be_had() {
        for (flags, file) in [
            (vec![("config-precedence", text("file"))], ""),
            (vec![], "config_precedence = 'file'\n"),
        ] {
            let mut flags = flags.clone();
            flags.extend([
                ("backend", text("env")),
                ("noop", Value::Switch(true)),
                ("file", Value::List(vec!["a".into()])),
            ]);
            let (config, notices) =
                loaded(&flags, &format!("{file}backend = 'file'\nnoop = false\nfile = []\n"));
            let config = config.unwrap();
            assert_eq!(config.source, Source::File { files: vec![], filter: b"*".to_vec() });
            assert!(!config.settings.noop);
            assert_eq!(notices, []);
        }
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_the_nearest() {
        let (_, notices) =
            loaded(&[("backend", text("env"))], "noop = true\nlog_level = 'debug'\n");
        assert!(
            matches!(&notices[0], Notice::Warning(line) if line.ends_with("confd.toml:2: unknown key \"log_level\", did you mean \"log-level\"?"))
        );
        let (_, notices) = loaded(&[("backend", text("env"))], "zzz = 1\n");
        assert!(
            matches!(&notices[0], Notice::Warning(line) if line.ends_with(":1: unknown key \"zzz\""))
        );
    }

    #[test]
    fn a_resource_as_configuration_file_is_told_once() {
        let (config, notices) =
            loaded(&[("backend", text("env"))], "[template]\nsrc = 'a'\n[other]\nx = 1\n");
        assert!(config.is_ok());
        assert!(
            matches!(&notices[..], [Notice::Warning(line)] if line.contains("is a template resource"))
        );
    }

    #[test]
    fn a_missing_file_is_none_and_a_folder_an_error() {
        let load = |path: &str| {
            let flags = vec![
                (settings::find("backend").unwrap(), text("env")),
                (settings::find("config-file").unwrap(), text(path)),
            ];
            load(&flags, |_| None, &mut Vec::new()).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(load("/nonexistent/confd.toml"), Ok(()));
        assert_eq!(load("/tmp"), Err("read /tmp: is a directory".into()));
        assert_eq!(load("/dev/null/x"), Err("open /dev/null/x: not a directory".into()));
    }

    #[test]
    fn bad_values_are_errors() {
        for (flag, value, error) in [
            ("backend", "nosuch", "Invalid backend"),
            ("backend", "ENV", "Invalid backend"),
            ("log-level", "bogus", "not a valid level: \"bogus\""),
        ] {
            let (config, _) = loaded(&[("backend", text("env")), (flag, text(value))], "");
            assert_eq!(config.err().unwrap().to_string(), error);
        }
        let (config, _) = loaded(&[], "interval = '5'\n");
        let error = config.err().unwrap().to_string();
        assert!(
            error.starts_with("toml: line 1 (last key \"interval\"): incompatible types"),
            "{error}"
        );
    }

    #[test]
    fn the_environment_stands_between_flag_and_file() {
        let layer = read_env(|name| (name == "CONFD_CLIENT_CERT").then(|| "cert.pem".into()));
        assert_eq!(layer, Layer::from([("client-cert", text("cert.pem"))]));
        assert_eq!(read_env(|_| Some(OsString::new())), Layer::new());
    }

    #[test]
    fn an_interval_below_a_second_is_a_second() {
        let (config, notices) =
            loaded(&[("backend", text("env")), ("interval", Value::Number(0))], "");
        assert_eq!(config.unwrap().schedule.interval, Duration::from_secs(1));
        assert!(matches!(&notices[..], [Notice::Warning(_)]));
    }
}
