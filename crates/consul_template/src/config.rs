//! The configuration: what files, `CT_LOCAL_CONFIG` and flags set, with the defaults filled in.

mod consul;
mod decode;
pub(crate) mod duration;
mod export;
mod load;
mod schema;
pub(crate) mod settings;
pub(crate) mod signal;
mod vault;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};
use state_folder::StateFolder;

pub(crate) use consul::Consul;
pub(crate) use decode::decode;
pub(crate) use load::load;
use settings::{Settings, Wait};
use signal::Signal;
pub(crate) use vault::Vault;

/// The time that a command of a template may take, unless it is set.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that a child has to end after its kill signal, unless it is set.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);

/// The configuration of a run.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) templates: Vec<Template>,
    pub(crate) consul: Consul,
    pub(crate) vault: Vault,
    /// The supervised child; `None` if there is none.
    pub(crate) child: Option<Exec>,
    pub(crate) kill_signal: Signal,
    pub(crate) reload_signal: Signal,
    pub(crate) log_level: String,
    pub(crate) log_file: Option<LogFile>,
    pub(crate) syslog: Option<Syslog>,
    pub(crate) pid_file: Option<PathBuf>,
    /// The folder that remembers pending commands; `None` if there is none.
    pub(crate) state_folder: Option<StateFolder>,
    /// The times of quiescence of templates that have none of their own.
    pub(crate) wait: Option<(Duration, Duration)>,
    pub(crate) once: bool,
    pub(crate) parse_only: bool,
    /// The variables that commands and templates see in place of those of the process.
    pub(crate) exported: Vec<(String, String)>,
    /// What the log says about this configuration.
    pub(crate) warnings: Vec<&'static str>,
}

/// A template: where its text is, where the result goes, and what runs then.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) source: Option<PathBuf>,
    pub(crate) contents: Option<String>,
    pub(crate) destination: String,
    pub(crate) create_dest_dirs: bool,
    /// The command that checks the result before it is put in place: a Go template in which
    /// `{{.src}}` is the path of the file to check.
    pub(crate) check: Option<String>,
    /// The time that the check may take. Zero: as long as it takes.
    pub(crate) check_timeout: Duration,
    pub(crate) exec: Exec,
    /// The permissions; `None` keeps those of the file.
    pub(crate) mode: Option<u32>,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) backup: bool,
    pub(crate) error_on_missing_key: bool,
    pub(crate) error_fatal: bool,
    pub(crate) left: String,
    pub(crate) right: String,
    pub(crate) denied: Vec<String>,
    pub(crate) sandbox: Option<PathBuf>,
    /// The shortest and the longest time of quiescence.
    pub(crate) wait: Option<(Duration, Duration)>,
}

/// A command and the way to run it.
#[derive(Clone, Debug)]
pub(crate) struct Exec {
    /// The words of the command; empty for no command.
    pub(crate) command: Vec<String>,
    pub(crate) environment: Environment,
    pub(crate) kill_signal: Signal,
    pub(crate) kill_timeout: Duration,
    /// `None` if the child is to be started again instead.
    pub(crate) reload_signal: Option<Signal>,
    pub(crate) splay: Duration,
    /// The time that the command may take. Zero: it is not waited for.
    pub(crate) timeout: Duration,
}

/// Which variables a command sees.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    pub(crate) pristine: bool,
    pub(crate) custom: Vec<String>,
    pub(crate) allowed: Vec<String>,
    pub(crate) denied: Vec<String>,
}

/// A log file, and when it is replaced by a new one.
#[derive(Clone, Debug)]
pub(crate) struct LogFile {
    pub(crate) path: String,
    /// The largest size in bytes; zero or less for no limit.
    pub(crate) bytes: i64,
    pub(crate) age: Duration,
    /// The number of former files that are kept: 0 for all, less for none.
    pub(crate) files: i64,
}

/// The names of this program in the system's log.
#[derive(Clone, Debug)]
pub(crate) struct Syslog {
    pub(crate) facility: String,
    pub(crate) name: String,
}

impl Config {
    /// The configuration that `settings` make. `environment` gives the process's variables.
    pub(crate) fn new(settings: &Settings, environment: &[(OsString, OsString)]) -> Config {
        let value = |name: &str| {
            let found = environment.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| &**value)
        };
        let variable = |names: &[&str]| {
            let values = names.iter().filter_map(|name| value(name)?.to_str());
            values.filter(|value| !value.is_empty()).map(str::to_owned).next()
        };
        let text = |key: &str| settings.text(key).filter(|text| !text.is_empty());
        let delimiters = settings.block("default_delimiters");
        let fatal = settings.flag("template_error_fatal").unwrap_or(true);
        let templates = settings.blocks("template").iter();
        let (exported, warnings) = export::exported(settings, variable);
        let once = settings.flag("once").unwrap_or(false);
        let child = Exec::new(settings.block("exec"), Duration::ZERO);
        let syslog = settings.block("syslog");
        let log_file = settings.block("log_file");
        let levels = ["CT_LOG", "CONSUL_TEMPLATE_LOG", "CONSUL_TEMPLATE_LOG_LEVEL"];
        Config {
            templates: templates.map(|one| Template::new(one, delimiters, fatal)).collect(),
            consul: Consul::new(settings, once, &variable),
            vault: Vault::new(settings, &variable),
            child: (!child.command.is_empty()).then_some(child),
            kill_signal: settings.signal("kill_signal").unwrap_or(Some(signal::INTERRUPT)),
            reload_signal: settings.signal("reload_signal").unwrap_or(Some(signal::HANGUP)),
            log_level: match settings.text("log_level") {
                Some(level) => level.to_owned(),
                None => variable(&levels).unwrap_or_else(|| "WARN".to_owned()),
            },
            log_file: log_file.text("path").filter(|path| !path.is_empty()).map(|path| LogFile {
                path: path.to_owned(),
                bytes: log_file.int("log_rotate_bytes").unwrap_or(0),
                age: time(log_file.duration("log_rotate_duration").unwrap_or(86_400_000_000_000)),
                files: log_file.int("log_rotate_max_files").unwrap_or(0),
            }),
            syslog: syslog.flag("enabled").unwrap_or(!syslog.is_empty()).then(|| Syslog {
                facility: syslog.text("facility").unwrap_or("LOCAL0").to_owned(),
                name: syslog.text("name").unwrap_or("consul-template").to_owned(),
            }),
            pid_file: text("pid_file").map(PathBuf::from),
            state_folder: StateFolder::choose(
                settings.text("state_dir"),
                |name| value(name).map(OsStr::to_owned),
                rustix::process::geteuid().is_root(),
            ),
            wait: settings.wait("wait").and_then(quiescence),
            once,
            parse_only: settings.flag("parseonly").unwrap_or(false),
            exported,
            warnings,
        }
    }
}

impl Template {
    fn new(settings: &Settings, delimiters: &Settings, fatal: bool) -> Template {
        let text = |key: &str| settings.text(key).map(str::to_owned);
        let id = |key: &str| settings.int(key).map(|id| id.to_string());
        let delimiter = |own: &str, default: &str| {
            let own = settings.text(own).filter(|text| !text.is_empty());
            own.or_else(|| delimiters.text(default)).unwrap_or_default().to_owned()
        };
        let timeout = settings.duration("command_timeout").map_or(COMMAND_TIMEOUT, time);
        let mut exec = Exec::new(settings.block("exec"), timeout);
        if exec.command.is_empty() {
            exec.command = words(settings);
        }
        Template {
            source: settings.text("source").filter(|path| !path.is_empty()).map(PathBuf::from),
            contents: text("contents").filter(|text| !text.is_empty()),
            destination: text("destination").unwrap_or_default(),
            create_dest_dirs: settings.flag("create_dest_dirs").unwrap_or(true),
            check: text("check").filter(|command| !command.trim().is_empty()),
            check_timeout: settings.duration("check_timeout").map_or(COMMAND_TIMEOUT, time),
            exec,
            mode: settings.mode("perms").filter(|mode| *mode != 0),
            user: text("user").or_else(|| id("uid")).filter(|name| !name.is_empty()),
            group: text("group").or_else(|| id("gid")).filter(|name| !name.is_empty()),
            backup: settings.flag("backup").unwrap_or(false),
            error_on_missing_key: settings.flag("error_on_missing_key").unwrap_or(false),
            error_fatal: settings.flag("error_fatal").unwrap_or(fatal),
            left: delimiter("left_delimiter", "left"),
            right: delimiter("right_delimiter", "right"),
            denied: settings.list("function_denylist").unwrap_or_default().to_vec(),
            wait: settings.wait("wait").and_then(quiescence),
            sandbox: settings
                .text("sandbox_path")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
        }
    }

    /// The name of the template in errors.
    pub(crate) fn name(&self) -> String {
        match &self.source {
            Some(source) => source.display().to_string(),
            None => "(dynamic)".to_owned(),
        }
    }

    /// Source and destination, as the log shows them.
    pub(crate) fn display(&self) -> String {
        format!("{:?} => {:?}", self.name(), self.destination)
    }

    /// What identifies the template in the log: a hash of its source, its text and its destination.
    pub(crate) fn id(&self, text: &[u8]) -> String {
        let mut hash = Sha256::new();
        let source = self.source.as_ref().map(|source| source.display().to_string());
        for part in [source.unwrap_or_default().as_bytes(), &[0], text, &[0]] {
            hash.update(part);
        }
        hash.update(self.destination.as_bytes());
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Exec {
    fn new(settings: &Settings, timeout: Duration) -> Exec {
        let env = settings.block("env");
        let list = |key: &str| env.list(key).unwrap_or_default().to_vec();
        Exec {
            command: words(settings),
            environment: Environment {
                pristine: env.flag("pristine").unwrap_or(false),
                custom: list("custom"),
                allowed: list("allowlist"),
                denied: list("denylist"),
            },
            kill_signal: settings.signal("kill_signal").unwrap_or(Some(signal::INTERRUPT)),
            kill_timeout: settings.duration("kill_timeout").map_or(KILL_TIMEOUT, time),
            reload_signal: settings.signal("reload_signal"),
            splay: settings.duration("splay").map_or(Duration::ZERO, time),
            timeout: settings.duration("timeout").map_or(timeout, time),
        }
    }
}

/// The shortest and the longest time of quiescence; `None` if there is none.
fn quiescence(wait: Wait) -> Option<(Duration, Duration)> {
    let min = wait.min.unwrap_or(0);
    let max = wait.max.unwrap_or(min.saturating_mul(4));
    wait.enabled.unwrap_or(min > 0).then_some((time(min), time(max)))
}

/// The words of the command of a block. A command without any text is none.
fn words(settings: &Settings) -> Vec<String> {
    match settings.list("command") {
        Some([only]) if only.is_empty() => Vec::new(),
        words => words.unwrap_or_default().to_vec(),
    }
}

/// A duration in nanoseconds; a negative one is none.
fn time(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}
