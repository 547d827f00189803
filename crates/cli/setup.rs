//! Merges flags, environment, confd.toml and defaults into one [`Config`].
//!
//! A flag wins over the environment, the environment over confd.toml, and confd.toml over the
//! default, as confd's documentation has always said. In confd 0.16 the file wins over flags;
//! `-config-precedence file` restores that order.

mod times;

use std::{
    ffi::OsString,
    fmt,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agent::{OpenQueries, Pace, Schedule};
use anyhow::bail;
use config::{
    Conventions, Dialect, NamedBackend, PrefixMode,
    confd_toml::{self, Definitions},
};
use options::{Form, Given, Invalid, Layer, Spec, Value, size::Size};

use backends::Times;
use source::Configured as _;
use state_folder::StateFolder;
use world::Host as _;

use self::times::{interval, limit, retry};
use crate::{
    asked::Asked,
    checks::Checks,
    differences::Differences,
    environment::Environment,
    flags::CommandLine,
    fork, general,
    logging::{Format, Level, Notice},
    outside,
    several::OfRun,
    sources,
    supervised::Plan,
    table,
};

/// Everything a run needs to know.
pub(crate) struct Config {
    /// The least severe level that is logged.
    pub(crate) level: Level,
    /// The layout of the lines of the log.
    pub(crate) format: Format,
    /// Where the keys come from.
    pub(crate) source: OfRun,
    /// Where templates ask for services.
    pub(crate) asked: Asked,
    /// What the agent does with the keys.
    pub(crate) settings: agent::Settings,
    /// The mode in which resources are processed.
    pub(crate) mode: Mode,
    /// Whose command line it is.
    pub(crate) dialect: Dialect,
    /// What is checked in place of a run.
    pub(crate) checks: Option<Checks>,
    /// The program that runs when everything is applied.
    pub(crate) program: Option<Plan>,
    /// The time between two signs of life to systemd; zero if systemd says it.
    pub(crate) watchdog: Duration,
    /// Whether the exit code of a onetime run says what is needed.
    pub(crate) exit_codes: bool,
    /// How long a onetime run waits for its data; zero in the other modes.
    pub(crate) wait: Duration,
    /// How differences are shown.
    pub(crate) differences: Differences,
    /// When resources are processed, in the modes that do not end by themselves.
    pub(crate) schedule: Schedule,
    /// Where a daemon shows its state.
    pub(crate) metrics: Option<control::Address>,
    /// Where a daemon takes orders.
    pub(crate) control: Option<PathBuf>,
}

/// When resources are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Once.
    Onetime,
    /// Every interval.
    Interval,
    /// When keys or files have changed.
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

/// Merges the flags of `line`, the environment and the configuration file.
///
/// # Errors
/// The configuration file cannot be read or parsed, or a value is not valid. A missing file is no
/// error.
pub(crate) fn load(
    line: &CommandLine,
    environment: &Environment,
    notices: &mut Vec<Notice>,
) -> anyhow::Result<Config> {
    let CommandLine { flags, dialect, .. } = line;
    let is_on = |option: Spec| flags.get(&option) == Some(&Value::Switch(true));
    let asks =
        line.asks && !is_on(general::CHECK_CONFIG.spec()) && !is_on(general::VALIDATE.spec());
    let read = |path: &Path| match report::read_regular(path) {
        Ok(content) => Ok(content),
        Err(_) if !asks => Ok(Vec::new()),
        Err(error) => Err(report::file_error_text("open", path, &error)),
    };
    let variables = Layer::of_environment(table::all(), environment.pairs(), read)?;
    let path = config_file(flags, &variables)?;
    let chosen =
        [flags, &variables].iter().any(|layer| layer.has(general::CONFIG_FILE.spec().name));
    if chosen && is_missing(&path) {
        let path = path.display();
        notices.push(Notice::Warning(format!("-config-file {path} does not exist")));
    }
    if !chosen
        && let Some(Value::Text(folder)) = flags.get(&general::CONFDIR.spec())
        && let beside = Path::new(folder).join("confd.toml")
        && beside != path
        && beside.is_file()
    {
        let (beside, path) = (beside.display(), path.display());
        notices.push(Notice::Warning(format!(
            "{beside} is not read, because -confdir is about resources: the configuration file is \
             {path}, or that of -config-file"
        )));
    }
    let definitions = Definitions {
        options: table::all(),
        tables: &sources::tables(),
        kinds: sources::kind,
        dialect: *dialect,
        are_asked: asks,
    };
    let host = world::System::new();
    let texts = config::Environment::new(move |name| host.variable(name));
    let file = confd_toml::read(&path, definitions, &texts)?;
    notices.extend(file.warnings.into_iter().map(|warning| Notice::Warning(warning.text)));
    let is_doubtful = file.has_unknown_in_tables;
    let (flags, named, tables) = (flags.clone(), file.backends, file.tables);
    let file = match dialect {
        Dialect::Confd => file.values,
        Dialect::Fork => fork::meant(file.values),
    };
    let precedence = Given::new(vec![flags.clone(), variables.clone(), file.clone()]);
    let file_wins = precedence.get_as(&general::CONFIG_PRECEDENCE, |word| match word.as_str() {
        "file" => Ok(true),
        "flags" => Ok(false),
        word => {
            let word = gotmpl::quote(word.as_bytes());
            Err(format!("config-precedence is \"flags\" or \"file\", not {word}"))
        }
    })?;
    if !file_wins {
        note_overrides(&flags, &file, &path, notices);
    }
    let layers = if file_wins {
        vec![file, flags.clone(), variables]
    } else {
        vec![flags.clone(), variables, file]
    };
    let mut given = Given::new(layers);
    // In confd 0.16, the environment counts where flags and file give nothing or an empty text.
    given.fill_empty = file_wins;
    let asked = Asked::new(&given, tables, is_doubtful)?;
    note_unused(&given, notices);
    let mut config = Config::new(given, named, asked, line, environment, notices)?;
    config.settings.conventions.backends = config.source.nameable(asks);
    if config.program.is_some() && config.settings.noop {
        bail!(Usage("-noop applies nothing: no program behind -- can be started"));
    }
    if config.mode != Mode::Onetime {
        // A daemon may read the confd.toml of runs with -onetime.
        let flags = Given::new(vec![flags]);
        if !flags.get(&general::WAIT)?.is_zero() {
            bail!(Usage("-wait is for -onetime: a daemon waits by itself"));
        }
        if flags.get(&general::EXIT_CODES)? {
            bail!(Usage("-exit-codes is for -onetime: a daemon ends only when it is stopped"));
        }
    }
    Ok(config)
}

/// A mistake on the command line: flags that do not go together.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) &'static str);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Usage {}

impl Config {
    /// What opens the store of the answers to queries, when a template asks.
    pub(crate) fn queries(&self) -> Arc<OpenQueries> {
        let (asked, nodes) = (self.asked.clone(), self.source.nodes().to_vec());
        Arc::new(move |settings| asked.open(&nodes, settings))
    }

    /// Builds the configuration from the values of the options. `environment` has the variables of the
    /// store's own client.
    fn new(
        values: Given,
        named: Vec<NamedBackend>,
        asked: Asked,
        line: &CommandLine,
        environment: &Environment,
        notices: &mut Vec<Notice>,
    ) -> anyhow::Result<Self> {
        let (given, dialect) = (&values, line.dialect);
        let env = |name: &str| environment.get(name);
        let format = given.get_as(&general::LOG_FORMAT, |name| Format::named(&name))?;
        let level = given.get_as(&general::LOG_LEVEL, |name| match name.as_str() {
            "" => Ok(Level::Info),
            name => Level::named(name).ok_or_else(|| wrong_level(name)),
        })?;
        let checks = Checks::asked(given)?;
        let is_onetime = given.get(&general::ONETIME)? || checks.is_some();
        let mode = match (is_onetime, given.get(&general::WATCH)?) {
            (true, _) => Mode::Onetime,
            (false, true) => Mode::Watch,
            (false, false) => Mode::Interval,
        };
        let of_fork = |seconds| (dialect == Dialect::Fork).then_some(Duration::from_secs(seconds));
        let settings = agent::Settings {
            confdir: given.get(&general::CONFDIR)?,
            conventions: conventions(given, dialect)?,
            noop: given.get(&general::NOOP)?,
            sync_only: given.get(&general::SYNC_ONLY)?,
            force: force(given, mode)?,
            fail_fast: fail_fast(given)?,
            show_values: given.get(&general::SHOW_VALUES)?,
            keep_stage_file: given.get(&general::KEEP_STAGE_FILE)?,
            check_timeout: limit(given, &general::CHECK_CMD_TIMEOUT, mode, of_fork(30))?,
            reload_timeout: limit(given, &general::RELOAD_CMD_TIMEOUT, mode, of_fork(60))?,
            render_timeout: limit(given, &general::RENDER_TIMEOUT, mode, None)?,
            state: state(given, &env)?,
            max_memory: match given.get(&general::MAX_MEMORY)? {
                Size(0) => usize::MAX,
                Size(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
            },
        };
        let schedule = Schedule {
            interval: interval(given, mode, notices)?,
            pace: Pace {
                debounce: given.get(&general::DEBOUNCE)?,
                batch: given.get(&general::BATCH_INTERVAL)?,
                splay: given.get(&general::SPLAY)?,
                retry: retry(given, dialect)?,
            },
            reconcile: given.get(&general::RECONCILE)?,
            shutdown_timeout: given.get(&general::SHUTDOWN_TIMEOUT)?,
        };
        let program = Plan::new(&line.program, given, schedule.pace.retry)?;
        let watchdog = given.get(&general::WATCHDOG_INTERVAL)?;
        let exit_codes = given.get(&general::EXIT_CODES)?;
        let wait = given.get(&general::WAIT)?;
        // A daemon waits by itself, and may read the confd.toml of runs with -onetime.
        let wait = if mode == Mode::Onetime { wait } else { Duration::ZERO };
        let (metrics, control) = (outside::metrics(given)?, outside::control(given, &env)?);
        let differences = Differences::asked(given, &settings, mode, env)?;
        let mut warnings = Vec::new();
        let limit = given.get(&general::BACKEND_TIMEOUT)?.or(of_fork(30));
        let limit = limit.filter(|limit| !limit.is_zero());
        let times = Times { interval: schedule.interval, limit };
        let source = OfRun::given(values, named, times, dialect, env, &mut warnings);
        notices.extend(warnings.into_iter().map(Notice::Warning));
        let source = source?;
        Ok(Config {
            level,
            format,
            source,
            asked,
            settings,
            mode,
            checks,
            dialect,
            exit_codes,
            wait,
            differences,
            schedule,
            program,
            watchdog,
            metrics,
            control,
        })
    }
}

/// How the resource files of a run in this dialect are understood.
fn conventions(given: &Given, dialect: Dialect) -> Result<Conventions, Invalid> {
    let prefix_mode =
        given.get_as(&general::PREFIX_MODE, |word| match (word.as_str(), dialect) {
            ("replace", _) | ("", Dialect::Confd) => Ok(PrefixMode::Replace),
            ("join", _) | ("", Dialect::Fork) => Ok(PrefixMode::Join),
            (word, _) => {
                let word = gotmpl::quote(word.as_bytes());
                Err(format!("prefix-mode is \"replace\" or \"join\", not {word}"))
            }
        })?;
    let prefix = given.get(&general::PREFIX)?.into();
    Ok(Conventions { prefix, prefix_mode, dialect, backends: config::Backends::default() })
}

/// The state folder.
fn state(
    given: &Given,
    env: &impl Fn(&str) -> Option<OsString>,
) -> anyhow::Result<Option<StateFolder>> {
    let option = given.get(&general::STATE_DIR)?;
    let option = (!option.is_empty()).then_some(option.as_str());
    let is_root = rustix::process::geteuid().is_root();
    Ok(StateFolder::choose(option, env, is_root))
}

/// Whether guards are overridden. A running confd would not do that once, but for ever.
fn force(given: &Given, mode: Mode) -> Result<bool, Invalid> {
    given.get_as(&general::FORCE, |force| match force && mode != Mode::Onetime {
        true => Err("-force is for -onetime: run confd -onetime -force beside the confd that runs"
            .to_owned()),
        false => Ok(force),
    })
}

/// Whether the first failure of a resource ends a pass over all.
fn fail_fast(given: &Given) -> Result<bool, Invalid> {
    given.get_as(&general::FAILURE_MODE, |mode| match mode.to_ascii_lowercase().as_str() {
        "best-effort" => Ok(false),
        "fail-fast" => Ok(true),
        _ => {
            let mode = gotmpl::quote(mode.as_bytes());
            Err(format!("failure-mode is \"best-effort\" or \"fail-fast\", not {mode}"))
        }
    })
}

/// The error that there is no level `name`.
fn wrong_level(name: &str) -> String {
    let name = gotmpl::quote(name.as_bytes());
    format!(
        "not a valid level: {name} (the levels are \"panic\", \"fatal\", \"error\", \"warn\", \
         \"info\" and \"debug\")"
    )
}

/// Like [`load`], for a process that has read its configuration before.
///
/// # Errors
/// As for [`load`]; also if the configuration file is not a regular file. The content of a pipe can
/// be read only once, so that a pipe would look like an empty file.
pub(crate) fn load_again(
    line: &CommandLine,
    environment: &Environment,
    notices: &mut Vec<Notice>,
) -> anyhow::Result<Config> {
    // A variable of a secret may name a file, which [`load`] reads.
    let variables =
        Layer::of_environment(&[general::CONFIG_FILE.spec()], environment.pairs(), |_| {
            Ok(Vec::new())
        })?;
    let path = config_file(&line.flags, &variables)?;
    if let Err(error) = report::open_regular(&path)
        && error.kind() != ErrorKind::NotFound
    {
        bail!(report::file_error_text("open", &path, &error));
    }
    load(line, environment, notices)
}

/// The path of confd.toml, which cannot name itself.
fn config_file(flags: &Layer, variables: &Layer) -> anyhow::Result<PathBuf> {
    Ok(Given::new(vec![flags.clone(), variables.clone()]).get(&general::CONFIG_FILE)?)
}

/// Whether nothing is at a path that was given. An empty path is no path.
fn is_missing(path: &Path) -> bool {
    let found = path.metadata();
    let is_missing = found.is_err_and(|error| error.kind() == ErrorKind::NotFound);
    is_missing && !path.as_os_str().is_empty()
}

/// Says once which of the options that are given change nothing.
fn note_unused(given: &Given, notices: &mut Vec<Notice>) {
    let unused = || table::all().iter().filter(|option| option.form == Form::Unused);
    let names = given.layers.iter().flat_map(|layer| {
        let given = unused().filter(|option| layer.has(option.name));
        given.map(|option| layer.name_of(option))
    });
    let names: Vec<_> = names.collect();
    if let [first, others @ ..] = &names[..] {
        let (verb, text) = match others {
            [] => ("is", "changes"),
            _ => ("are", "change"),
        };
        let names = others.iter().fold(first.clone(), |names, name| format!("{names}, {name}"));
        notices.push(Notice::Warning(format!(
            "{names} {verb} accepted from the live fork, and {text} nothing here"
        )));
    }
}

fn note_overrides(flags: &Layer, file: &Layer, path: &Path, notices: &mut Vec<Notice>) {
    for option in table::all() {
        let (Some(flag), Some(key), Some(file)) = (flags.get(option), option.key, file.get(option))
        else {
            continue;
        };
        if flag != file {
            let name = option.name;
            notices.push(Notice::Info(format!(
                "flag -{name} overrides {key:?} of {}",
                path.display()
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use options::Proposed;

    use super::*;
    use crate::flags::{self, Request};

    /// The configuration from flags as they are typed, and from the text of a confd.toml.
    fn loaded(flags: &[&str], file: &str) -> (anyhow::Result<Config>, Vec<Notice>) {
        loaded_in(flags, file, &[])
    }

    /// Like [`loaded`], in the environment `env`.
    fn loaded_in(
        flags: &[&str],
        file: &str,
        env: &[(&str, &str)],
    ) -> (anyhow::Result<Config>, Vec<Notice>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confd.toml");
        fs::write(&path, file).unwrap();
        let Ok(Request::Run(mut line, _)) = flags::read(flags.iter().map(OsString::from)) else {
            panic!("{flags:?} is not a run")
        };
        line.flags.set(&general::CONFIG_FILE.spec(), Value::Text(path.into()));
        let mut notices = Vec::new();
        let config = load(&line, &env.into(), &mut notices);
        (config, notices)
    }

    #[test]
    fn a_flag_wins_over_the_file_and_says_so() {
        let (config, notices) = loaded(
            &["-backend=env", "-interval=5"],
            "backend = 'file'\ninterval = 7\nnoop = true\n",
        );
        let config = config.unwrap();
        assert_eq!(config.source.name(), "env");
        assert_eq!(config.schedule.interval, Duration::from_secs(5));
        assert!(config.settings.noop);
        assert_eq!(notices.len(), 2);
        assert!(
            matches!(&notices[1], Notice::Info(line) if line.starts_with("flag -interval overrides \"interval\" of "))
        );
    }

    #[test]
    fn the_order_of_0_16_can_be_had() {
        for (flag, file) in
            [(Some("-config-precedence=file"), ""), (None, "config_precedence = 'file'\n")]
        {
            let flags: Vec<_> =
                ["-backend=env", "-noop", "-file=a"].into_iter().chain(flag).collect();
            let (config, notices) =
                loaded(&flags, &format!("{file}backend = 'file'\nnoop = false\nfile = []\n"));
            let config = config.unwrap();
            assert_eq!((config.source.name(), config.source.places()), ("file", Vec::new()));
            assert!(!config.settings.noop);
            // Only that there is no file to read keys from.
            assert!(matches!(&notices[..], [Notice::Warning(_)]), "{notices:?}");
        }
    }

    #[test]
    fn the_environment_stands_between_flag_and_file() {
        let certificate = |flags: &[&str], file: &str, variable: &str| {
            let flags = [&["-backend=etcd", "-client-key=k"], flags].concat();
            let set = [("CONFD_CLIENT_CERT", variable)];
            let source = format!("{:?}", loaded_in(&flags, file, &set).0.unwrap().source);
            let (_, shown) = source.split_once("certificate: Some(\"").unwrap();
            shown.split('"').next().unwrap().to_owned()
        };
        let file = "client_cert = 'file'\n";
        assert_eq!(certificate(&[], file, "variable"), "variable");
        assert_eq!(certificate(&["-client-cert=flag"], file, "variable"), "flag");
        assert_eq!(certificate(&[], file, ""), "file");
        // As in confd 0.16.
        let file = format!("config_precedence = 'file'\n{file}");
        assert_eq!(certificate(&["-client-cert=flag"], &file, "variable"), "file");
        let empty = "config_precedence = 'file'\nclient_cert = ''\n";
        assert_eq!(certificate(&["-client-cert="], empty, "variable"), "variable");
    }

    #[test]
    fn warnings_of_the_file_come_first() {
        let (_, notices) = loaded(&["-backend=env"], "backend = 'file'\nzzz = 1\n");
        assert!(matches!(&notices[..], [Notice::Warning(_), Notice::Info(_)]), "{notices:?}");
    }

    #[test]
    fn bad_values_are_errors() {
        for (flags, error) in [
            (&["-backend=nosuch"][..], "Invalid backend \"nosuch\": "),
            (&["-backend=ENV"], "Invalid backend \"ENV\": "),
            (&["-backend=env", "-log-level=bogus"], "not a valid level: \"bogus\""),
            (
                &["-config-precedence=nobody"],
                "config-precedence is \"flags\" or \"file\", not \"nobody\"",
            ),
        ] {
            let (config, _) = loaded(flags, "");
            let found = config.err().unwrap().to_string();
            assert!(found.starts_with(error), "{found}");
        }
        let (config, _) = loaded(&[], "interval = '5'\n");
        let error = config.err().unwrap().to_string();
        let start = "toml: line 1 (last key \"interval\"): incompatible types";
        assert!(error.starts_with(start), "{error}");
    }

    #[test]
    fn each_word_that_shells_propose_is_accepted() {
        for option in table::all() {
            let Proposed::Words(words) = option.proposed else { continue };
            for word in words {
                let flag = format!("-{}={word}", option.name);
                // DynamoDB needs a table, and Vault a token.
                let needed = ["-onetime", "-backend=consul", "-table=t", "-auth-token=t"];
                let (config, _) = loaded(&[&needed[..], &[&flag]].concat(), "");
                assert!(config.is_ok(), "{flag}: {:#}", config.err().unwrap());
            }
        }
    }

    #[test]
    fn an_interval_below_a_second_is_a_second() {
        let (config, notices) = loaded(&["-backend=env", "-interval=0"], "");
        assert_eq!(config.unwrap().schedule.interval, Duration::from_secs(1));
        assert!(matches!(&notices[..], [Notice::Warning(_)]));
    }

    #[test]
    fn commands_of_a_daemon_have_a_limit_and_those_of_a_onetime_run_have_none() {
        let limits = |flags: &[&str], file: &str| {
            let flags = [&["-backend=env"], flags].concat();
            let settings = loaded(&flags, file).0.unwrap().settings;
            let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs());
            (seconds(settings.check_timeout), seconds(settings.reload_timeout))
        };
        assert_eq!(limits(&["-onetime"], ""), (None, None));
        assert_eq!(limits(&[], ""), (Some(60), Some(60)));
        assert_eq!(limits(&["-watch"], ""), (Some(60), Some(60)));
        let file = "check_cmd_timeout = '1m30s'\nreload_cmd_timeout = '0'\n";
        assert_eq!(limits(&["-watch"], file), (Some(90), None));
        let flags = ["-onetime", "-check-cmd-timeout=5s", "-reload-cmd-timeout=7s"];
        assert_eq!(limits(&flags, ""), (Some(5), Some(7)));
    }
}
