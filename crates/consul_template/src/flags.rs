//! The command line, as Go's package `flag` reads it.

use std::ffi::OsString;
use std::num::IntErrorKind;

use crate::config::settings::{Setting, Settings, Wait};
use crate::config::{duration, signal};

/// What the command line asks for.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// The values of flags that files can set, too.
    pub(crate) settings: Settings,
    /// The files and folders of `-config`.
    pub(crate) paths: Vec<String>,
    pub(crate) dry: bool,
    pub(crate) version: bool,
    /// Flags of former releases, each with the flag to use in its place.
    pub(crate) outdated: Vec<(&'static str, Option<&'static str>)>,
}

/// Why the command line was not read.
#[derive(Debug, PartialEq)]
pub(crate) enum Stop {
    /// `-h` asks for the usage text.
    Help,
    /// The command line has this error.
    Error(String),
}

/// The form of a flag's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Text,
    Bool,
    Int,
    Duration,
    Signal,
    /// One element of a list.
    Element,
    Command,
    Wait,
    /// `user` or `user:password`.
    Auth,
    /// `source:destination:command`.
    Template,
    /// A file or folder of the configuration.
    Config,
    Dry,
    Version,
    /// A flag of a former release, which has no effect.
    Ignored,
}

/// A flag, and the path of the setting that it sets.
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) path: &'static [&'static str],
    pub(crate) help: &'static str,
}

const fn flag(
    name: &'static str,
    form: Form,
    path: &'static [&'static str],
    help: &'static str,
) -> Flag {
    Flag { name, form, path, help }
}

/// All flags, in the order of the usage text.
pub(crate) const FLAGS: &[Flag] = &[
    flag("config", Form::Config, &[], "A file or folder of the configuration; can be repeated"),
    flag(
        "template",
        Form::Template,
        &[],
        "A template: source, destination and command; can be repeated",
    ),
    flag("once", Form::Bool, &["once"], "Render every template once, then end"),
    flag("dry", Form::Dry, &[], "Print what would be written, and write nothing"),
    flag("parse-only", Form::Bool, &["parseonly"], "Parse the templates, then end"),
    flag("wait", Form::Wait, &["wait"], "Wait MIN[:MAX] for more changes before rendering"),
    flag("exec", Form::Command, &["exec", "command"], "A program to start and supervise"),
    flag(
        "exec-kill-signal",
        Form::Signal,
        &["exec", "kill_signal"],
        "The signal that ends the program",
    ),
    flag("exec-kill-timeout", Form::Duration, &["exec", "kill_timeout"], "The time it has to end"),
    flag(
        "exec-reload-signal",
        Form::Signal,
        &["exec", "reload_signal"],
        "The signal after a change; none starts it again",
    ),
    flag(
        "exec-splay",
        Form::Duration,
        &["exec", "splay"],
        "The longest random delay before the program is signalled",
    ),
    flag(
        "exec-env-pristine",
        Form::Bool,
        &["exec", "env", "pristine"],
        "Pass no variables of this process to the program",
    ),
    flag(
        "exec-env-custom",
        Form::Element,
        &["exec", "env", "custom"],
        "A variable for the program: NAME=value; can be repeated",
    ),
    flag(
        "exec-env-allowlist",
        Form::Element,
        &["exec", "env", "allowlist"],
        "A pattern of variables to pass; can be repeated",
    ),
    flag(
        "exec-env-denylist",
        Form::Element,
        &["exec", "env", "denylist"],
        "A pattern of variables not to pass; can be repeated",
    ),
    flag("kill-signal", Form::Signal, &["kill_signal"], "The signal that ends this process"),
    flag(
        "reload-signal",
        Form::Signal,
        &["reload_signal"],
        "The signal that makes it read its configuration again",
    ),
    flag("log-level", Form::Text, &["log_level"], "trace, debug, info, warn or err"),
    flag(
        "log-file",
        Form::Text,
        &["log_file", "path"],
        "A file, or a folder with a slash, for the log",
    ),
    flag(
        "log-rotate-bytes",
        Form::Int,
        &["log_file", "log_rotate_bytes"],
        "The size at which a new log file begins",
    ),
    flag(
        "log-rotate-duration",
        Form::Duration,
        &["log_file", "log_rotate_duration"],
        "The age at which a new log file begins",
    ),
    flag(
        "log-rotate-max-files",
        Form::Int,
        &["log_file", "log_rotate_max_files"],
        "The number of former log files to keep",
    ),
    flag("syslog", Form::Bool, &["syslog", "enabled"], "Also write the log to the system's log"),
    flag(
        "syslog-facility",
        Form::Text,
        &["syslog", "facility"],
        "The facility in the system's log",
    ),
    flag("syslog-name", Form::Text, &["syslog", "name"], "The name in the system's log"),
    flag(
        "default-left-delimiter",
        Form::Text,
        &["default_delimiters", "left"],
        "The left delimiter of templates",
    ),
    flag(
        "default-right-delimiter",
        Form::Text,
        &["default_delimiters", "right"],
        "The right delimiter of templates",
    ),
    flag(
        "template-error-fatal",
        Form::Bool,
        &["template_error_fatal"],
        "Whether the error of a template ends the process",
    ),
    flag("pid-file", Form::Text, &["pid_file"], "A file for the id of this process"),
    flag(
        "state-dir",
        Form::Text,
        &["state_dir"],
        "A folder for what must be known at the next start; empty for none",
    ),
    flag("max-stale", Form::Duration, &["max_stale"], "The largest age of answers of Consul"),
    flag("dedup", Form::Bool, &["deduplicate", "enabled"], "Accepted, and has no effect"),
    flag("consul-addr", Form::Text, &["consul", "address"], "The address of Consul"),
    flag("consul-auth", Form::Auth, &["consul", "auth"], "The user and password for Consul"),
    flag("consul-token", Form::Text, &["consul", "token"], "The token for Consul"),
    flag(
        "consul-token-file",
        Form::Text,
        &["consul", "token_file"],
        "A file with the token for Consul",
    ),
    flag(
        "consul-retry",
        Form::Bool,
        &["consul", "retry", "enabled"],
        "Whether failed requests are tried again",
    ),
    flag(
        "consul-retry-attempts",
        Form::Int,
        &["consul", "retry", "attempts"],
        "The number of retries; 0 for no limit",
    ),
    flag(
        "consul-retry-backoff",
        Form::Duration,
        &["consul", "retry", "backoff"],
        "The first delay of a retry",
    ),
    flag(
        "consul-retry-max-backoff",
        Form::Duration,
        &["consul", "retry", "max_backoff"],
        "The longest delay of a retry",
    ),
    flag("consul-ssl", Form::Bool, &["consul", "ssl", "enabled"], "Whether to use TLS"),
    flag(
        "consul-ssl-verify",
        Form::Bool,
        &["consul", "ssl", "verify"],
        "Whether to verify the certificate",
    ),
    flag("consul-ssl-cert", Form::Text, &["consul", "ssl", "cert"], "The client's certificate"),
    flag("consul-ssl-key", Form::Text, &["consul", "ssl", "key"], "The client's key"),
    flag(
        "consul-ssl-ca-cert",
        Form::Text,
        &["consul", "ssl", "ca_cert"],
        "The authority's certificate",
    ),
    flag(
        "consul-ssl-ca-path",
        Form::Text,
        &["consul", "ssl", "ca_path"],
        "A folder of certificates of authorities",
    ),
    flag(
        "consul-ssl-server-name",
        Form::Text,
        &["consul", "ssl", "server_name"],
        "The name in the server's certificate",
    ),
    flag(
        "consul-transport-dial-keep-alive",
        Form::Duration,
        &["consul", "transport", "dial_keep_alive"],
        "",
    ),
    flag(
        "consul-transport-dial-timeout",
        Form::Duration,
        &["consul", "transport", "dial_timeout"],
        "",
    ),
    flag(
        "consul-transport-disable-keep-alives",
        Form::Bool,
        &["consul", "transport", "disable_keep_alives"],
        "",
    ),
    flag(
        "consul-transport-max-idle-conns-per-host",
        Form::Int,
        &["consul", "transport", "max_idle_conns_per_host"],
        "",
    ),
    flag(
        "consul-transport-tls-handshake-timeout",
        Form::Duration,
        &["consul", "transport", "tls_handshake_timeout"],
        "",
    ),
    flag("vault-addr", Form::Text, &["vault", "address"], "The address of Vault"),
    flag("vault-token", Form::Text, &["vault", "token"], ""),
    flag("vault-agent-token-file", Form::Text, &["vault", "vault_agent_token_file"], ""),
    flag("vault-renew-token", Form::Bool, &["vault", "renew_token"], ""),
    flag("vault-unwrap-token", Form::Bool, &["vault", "unwrap_token"], ""),
    flag("vault-default-lease-duration", Form::Duration, &["vault", "default_lease_duration"], ""),
    flag("vault-client-user-agent", Form::Text, &["vault", "client_user_agent"], ""),
    flag("vault-retry", Form::Bool, &["vault", "retry", "enabled"], ""),
    flag("vault-retry-attempts", Form::Int, &["vault", "retry", "attempts"], ""),
    flag("vault-retry-backoff", Form::Duration, &["vault", "retry", "backoff"], ""),
    flag("vault-retry-max-backoff", Form::Duration, &["vault", "retry", "max_backoff"], ""),
    flag("vault-ssl", Form::Bool, &["vault", "ssl", "enabled"], ""),
    flag("vault-ssl-verify", Form::Bool, &["vault", "ssl", "verify"], ""),
    flag("vault-ssl-cert", Form::Text, &["vault", "ssl", "cert"], ""),
    flag("vault-ssl-key", Form::Text, &["vault", "ssl", "key"], ""),
    flag("vault-ssl-ca-cert", Form::Text, &["vault", "ssl", "ca_cert"], ""),
    flag("vault-ssl-ca-path", Form::Text, &["vault", "ssl", "ca_path"], ""),
    flag("vault-ssl-server-name", Form::Text, &["vault", "ssl", "server_name"], ""),
    flag(
        "vault-transport-dial-keep-alive",
        Form::Duration,
        &["vault", "transport", "dial_keep_alive"],
        "",
    ),
    flag(
        "vault-transport-dial-timeout",
        Form::Duration,
        &["vault", "transport", "dial_timeout"],
        "",
    ),
    flag(
        "vault-transport-disable-keep-alives",
        Form::Bool,
        &["vault", "transport", "disable_keep_alives"],
        "",
    ),
    flag(
        "vault-transport-max-idle-conns-per-host",
        Form::Int,
        &["vault", "transport", "max_idle_conns_per_host"],
        "",
    ),
    flag(
        "vault-transport-max-conns-per-host",
        Form::Int,
        &["vault", "transport", "max_conns_per_host"],
        "",
    ),
    flag(
        "vault-transport-tls-handshake-timeout",
        Form::Duration,
        &["vault", "transport", "tls_handshake_timeout"],
        "",
    ),
    flag("version", Form::Version, &[], "Print the version"),
    flag("v", Form::Version, &[], ""),
];

/// The flags of former releases, each with the flag that has its meaning today.
const OUTDATED: &[(&str, Option<&str>)] = &[
    ("auth", Some("consul-auth")),
    ("consul", Some("consul-addr")),
    ("dump-signal", None),
    ("renew-token", Some("vault-renew-token")),
    ("retry", Some("consul-retry-backoff")),
    ("ssl", Some("consul-ssl")),
    ("ssl-ca-cert", Some("consul-ssl-ca-cert")),
    ("ssl-ca-path", Some("consul-ssl-ca-path")),
    ("ssl-cert", Some("consul-ssl-cert")),
    ("ssl-key", Some("consul-ssl-key")),
    ("ssl-verify", Some("consul-ssl-verify")),
    ("token", Some("consul-token")),
];

/// The flag that consul-template still has beside its newer name, so that it deserves no warning.
const STILL_THERE: &str = "retry";

/// Reads the words of a command line, without the program's name.
///
/// # Errors
/// A flag that does not exist, a malformed value, or `-h`.
pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Flags, Stop> {
    let mut flags = Flags::default();
    let mut words = words.into_iter().map(|word| word.to_string_lossy().into_owned());
    let mut extra = Vec::new();
    while let Some(word) = words.next() {
        let dashes = word.bytes().take_while(|byte| *byte == b'-').count();
        if word == "--" {
            break;
        }
        if dashes == 0 || word == "-" {
            extra.push(word);
            break;
        }
        let written = &word[dashes.min(2)..];
        if written.is_empty() || written.starts_with(['-', '=']) {
            return Err(Stop::Error(format!("bad flag syntax: {word}")));
        }
        let (name, value) = match written.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (written, None),
        };
        let flag = find(name, &mut flags)?;
        let value = match value {
            Some(value) => value,
            None if matches!(flag.form, Form::Bool | Form::Dry | Form::Version) => {
                "true".to_owned()
            }
            None => match words.next() {
                Some(value) => value,
                None => return Err(Stop::Error(format!("flag needs an argument: -{name}"))),
            },
        };
        flags.set(name, flag, &value).map_err(Stop::Error)?;
    }
    extra.extend(words);
    if extra.is_empty() {
        return Ok(flags);
    }
    let extra: Vec<_> = extra.iter().map(|word| format!("{word:?}")).collect();
    Err(Stop::Error(format!("cli: extra args: [{}]", extra.join(" "))))
}

/// The flag that is written as `name`.
fn find(name: &str, flags: &mut Flags) -> Result<&'static Flag, Stop> {
    static IGNORED: Flag = flag("", Form::Ignored, &[], "");
    if let Some(flag) = FLAGS.iter().find(|flag| flag.name == name) {
        return Ok(flag);
    }
    if let Some((old, new)) = OUTDATED.iter().find(|(old, _)| *old == name) {
        if *old != STILL_THERE {
            flags.outdated.push((old, *new));
        }
        let flag = new.and_then(|new| FLAGS.iter().find(|flag| flag.name == new));
        return Ok(flag.unwrap_or(&IGNORED));
    }
    Err(match name {
        "h" | "help" => Stop::Help,
        _ => Stop::Error(format!("flag provided but not defined: -{name}")),
    })
}

impl Flags {
    /// Takes the value of a flag that is written as `name`.
    fn set(&mut self, name: &str, flag: &Flag, value: &str) -> Result<(), String> {
        let invalid = |why: String| format!("invalid value {value:?} for flag -{name}: {why}");
        let boolean = || {
            options::gobool::parse(value).ok_or_else(|| {
                format!(
                    "invalid boolean value {value:?} for -{name}: strconv.ParseBool: parsing \
                     {value:?}: invalid syntax"
                )
            })
        };
        let setting = match flag.form {
            Form::Text => Setting::Text(value.to_owned()),
            Form::Bool => Setting::Bool(boolean()?),
            Form::Int => Setting::Int(value.parse::<i32>().map(i64::from).map_err(|error| {
                let why = match error.kind() {
                    IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                    _ => "invalid syntax",
                };
                invalid(format!("strconv.ParseInt: parsing {value:?}: {why}"))
            })?),
            Form::Duration => Setting::Duration(duration::parse(value).map_err(invalid)?),
            Form::Signal => Setting::Signal(signal::parse(value).map_err(invalid)?),
            Form::Element => Setting::List(vec![value.to_owned()]),
            Form::Command => Setting::Command(vec![value.to_owned()]),
            Form::Wait => Setting::Wait(Wait::parse(value).map_err(invalid)?),
            Form::Auth => Setting::Block(auth(value).map_err(invalid)?),
            Form::Template => {
                let template = template(value).map_err(invalid)?;
                self.settings.set(&["template"], Setting::Blocks(vec![template]));
                return Ok(());
            }
            Form::Config => {
                self.paths.push(value.to_owned());
                return Ok(());
            }
            Form::Dry => {
                self.dry = boolean()?;
                return Ok(());
            }
            Form::Version => {
                self.version = boolean()?;
                return Ok(());
            }
            Form::Ignored => return Ok(()),
        };
        self.settings.set(flag.path, setting);
        Ok(())
    }
}

/// The settings of `user` or `user:password`.
fn auth(value: &str) -> Result<Settings, String> {
    if value.is_empty() {
        return Err("auth: cannot be empty".to_owned());
    }
    let (user, password) = match value.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (value, None),
    };
    let mut settings = Settings::default();
    settings.set(&["username"], Setting::Text(user.to_owned()));
    if let Some(password) = password {
        settings.set(&["password"], Setting::Text(password.to_owned()));
    }
    Ok(settings)
}

/// The settings of `source:destination:command`. Parts that are empty are left out, so that the
/// next part takes their place, as in consul-template. There a letter before a colon is a drive of
/// Windows; here it is a name.
fn template(value: &str) -> Result<Settings, String> {
    let mut parts = value.split(':').filter(|part| !part.is_empty());
    let source = parts.next().filter(|_| !value.trim().is_empty());
    let source = source.ok_or_else(|| "template: cannot be empty".to_owned())?;
    let mut settings = Settings::default();
    settings.set(&["source"], Setting::Text(source.to_owned()));
    if let Some(destination) = parts.next() {
        settings.set(&["destination"], Setting::Text(destination.to_owned()));
    }
    let command: Vec<_> = parts.collect();
    if !command.is_empty() {
        settings.set(&["command"], Setting::Command(vec![command.join(":")]));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_words(words: &[&str]) -> Result<Flags, Stop> {
        read(words.iter().map(OsString::from))
    }

    #[test]
    fn a_template_has_a_source_a_destination_and_a_command() {
        for (value, expect) in [
            ("in:out:cmd", ["in", "out", "cmd"]),
            ("/t/in:/t/out:curl http://h:80/x", ["/t/in", "/t/out", "curl http://h:80/x"]),
            ("in::cmd", ["in", "cmd", ""]),
            (":out", ["out", "", ""]),
            ("a:b", ["a", "b", ""]),
        ] {
            let settings = template(value).unwrap();
            let command = settings.list("command").map_or(String::new(), |words| words.concat());
            let found = [settings.text("source"), settings.text("destination"), Some(&*command)];
            assert_eq!(found.map(Option::unwrap_or_default), expect, "{value}");
        }
        assert!(template("::").is_err());
    }

    #[test]
    fn flags_of_former_releases_have_their_new_meaning() {
        let flags = read_words(&["-consul", "h:1", "-ssl-verify=false", "-retry", "5s"]).unwrap();
        let consul = flags.settings.block("consul");
        assert_eq!(consul.text("address"), Some("h:1"));
        assert_eq!(consul.block("ssl").flag("verify"), Some(false));
        assert_eq!(consul.block("retry").duration("backoff"), Some(5_000_000_000));
        let outdated: Vec<_> = flags.outdated.iter().map(|(old, _)| *old).collect();
        assert_eq!(outdated, ["consul", "ssl-verify"]);
    }

    #[test]
    fn every_flag_sets_what_files_can_set() {
        for flag in FLAGS.iter().filter(|flag| !flag.path.is_empty()) {
            let value = match flag.form {
                Form::Bool => "true",
                Form::Int => "3",
                Form::Duration => "4s",
                Form::Wait => "1s:2s",
                Form::Signal => "SIGHUP",
                _ => "text",
            };
            let flags = read_words(&[&format!("-{}={value}", flag.name)]).unwrap();
            assert_eq!(flags.settings.names().next(), Some(flag.path[0]), "{}", flag.name);
        }
    }

    #[test]
    fn a_boolean_takes_a_value_only_after_an_equals_sign() {
        assert_eq!(
            read_words(&["-once", "false"]).unwrap_err(),
            Stop::Error("cli: extra args: [\"false\"]".into())
        );
        assert_eq!(read_words(&["-once=F"]).unwrap().settings.flag("once"), Some(false));
        assert_eq!(read_words(&["--help", "-x"]).unwrap_err(), Stop::Help);
        assert_eq!(
            read_words(&["-x=1"]).unwrap_err(),
            Stop::Error("flag provided but not defined: -x".into())
        );
    }
}
