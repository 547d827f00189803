//! The command lines of registrator and of `confd register`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use nodes::address;
use options::flags::{self, Stop};
use options::{Given, Invalid, Spec, Value};
use report::did_you_mean;

use crate::announce::Times;
use crate::announce::file::Described;
use crate::metadata::plain_list;
use crate::service::Rules;

options::options! {
    /// The flags, in the order of the usage text.
    const OPTIONS;
    const CLEANUP: Opt<bool> = switch(
        "cleanup",
        "remove entries of this host whose container is gone, at the start and at each resync",
    );
    const DEREGISTER: Opt<String> = text(
        "deregister",
        "always",
        "when a service is removed after its container has ended: \"always\" or \"on-success\"",
    );
    const DEREGISTER_ON_EXIT: Opt<bool> = switch(
        "deregister-on-exit",
        "remove at SIGTERM and SIGINT what this process has registered",
    );
    const EXPLICIT: Opt<bool> =
        switch("explicit", "only register services that have a name of their own");
    const HEALTH: Opt<bool> =
        switch("health", "a service is as healthy as its container's own health check says");
    const INTERNAL: Opt<bool> =
        switch("internal", "register the addresses and ports of the containers");
    const IP: Opt<String> = text("ip", "", "address of every service");
    const NOOP: Opt<bool> = switch("noop", "only log what would be changed in the registry");
    const PRUNE: Opt<bool> = switch(
        "prune",
        "like -cleanup, for every kind of registry and whatever the names of the services",
    );
    const RESYNC: Opt<i64> = number("resync", 0, "seconds between two resyncs; 0 for none");
    const RETRY_ATTEMPTS: Opt<i64> = number(
        "retry-attempts",
        0,
        "attempts to reach the registry at the start after the first one; -1 for no limit",
    );
    const RETRY_INTERVAL: Opt<i64> =
        number("retry-interval", 2000, "milliseconds between two of these attempts");
    const TAGS: Opt<String> =
        text("tags", "", "tags of every service: a list with commas, and a Go template");
    const TTL: Opt<i64> =
        number("ttl", 0, "seconds after which an entry that is not refreshed is removed");
    const TTL_REFRESH: Opt<i64> =
        number("ttl-refresh", 0, "seconds between two refreshes of all entries");
    const USE_IP_FROM_LABEL: Opt<String> =
        text("useIpFromLabel", "", "label of a container that has the address of its services");
    const VERSION: Opt<bool> = switch("version", "print the version");
}

options::options! {
    /// The flags that only `confd register` has.
    const OWN;
    const ADDRESS: Opt<String> = text("address", "", "address of the service; that of this host");
    const CHECK: Opt<Vec<OsString>> = list(
        "check",
        "what has to hold: tcp (the default), http:/PATH, https:/PATH, cmd:COMMAND or none",
    );
    const DRAIN: Opt<Duration> =
        text("drain", "2s", "time between removing the service and stopping the command");
    const FILE: Opt<PathBuf> = text("file", "", "file with services, in tables [[register]]");
    const ID: Opt<String> = text("id", "", "id of the service; NAME@HOST:PORT");
    const INTERVAL: Opt<Duration> = text("interval", "2s", "time between two checks");
    const KILL_TIMEOUT: Opt<Duration> =
        text("kill-timeout", "10s", "time that the command has to end before it is killed");
    const META: Opt<Vec<OsString>> = list("meta", "NAME=VALUE that is registered with the service");
    const NAME: Opt<String> = text("name", "", "name of the service");
    const PORT: Opt<i64> = number("port", 0, "port of the service");
}

/// The life of an entry of a process, where `-ttl` is not given.
const LIFE: Duration = Duration::from_secs(10);

/// The program whose command line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// registrator.
    Original,
    /// `confd register`.
    Own,
}

/// Services of processes.
#[derive(Debug, PartialEq)]
pub(crate) struct Processes {
    /// The service that flags describe.
    pub(crate) described: Option<Described>,
    pub(crate) file: Option<PathBuf>,
    /// The command that is the service; empty for none.
    pub(crate) command: Vec<OsString>,
    pub(crate) times: Times,
}

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    /// To run.
    Run(Box<Flags>),
    /// To print the version.
    Version,
}

/// Why there is nothing to run.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The command line asks for the usage text.
    Help,
    /// The command line has this mistake. The usage text follows it.
    Usage(String),
    /// A value is wrong.
    Value(String),
}

/// The values of the flags.
#[derive(Debug, PartialEq)]
pub(crate) struct Flags {
    pub(crate) rules: Rules,
    /// The template of the tags of every service.
    pub(crate) tags: String,
    /// The life of an entry after its last refresh; zero for no end.
    pub(crate) ttl: Duration,
    /// The time between two refreshes; zero for none.
    pub(crate) refresh: Duration,
    /// The time between two resyncs; zero for none.
    pub(crate) resync: Duration,
    /// Whether a service stays registered when its container has failed.
    pub(crate) only_on_success: bool,
    pub(crate) cleanup: bool,
    pub(crate) prune: bool,
    pub(crate) deregister_on_exit: bool,
    pub(crate) noop: bool,
    pub(crate) retry_interval: Duration,
    /// The attempts after the first one; `None` for no limit.
    pub(crate) retry_attempts: Option<u64>,
    /// The number of attempts in the log.
    pub(crate) shown_attempts: i64,
    /// The registry.
    pub(crate) uri: String,
    /// Words that stand behind the URI, although flags belong before it.
    pub(crate) misplaced: Vec<String>,
    /// What is registered in place of containers.
    pub(crate) processes: Option<Processes>,
}

/// Reads the words after the program's name.
pub(crate) fn read(mut words: Vec<OsString>, program: Program) -> Result<Request, Refusal> {
    if words.len() == 1 && words[0] == "--version" {
        return Ok(Request::Version);
    }
    let mut command = Vec::new();
    if program == Program::Own
        && let Some(end) = words.iter().position(|word| word == "--")
    {
        command = words.split_off(end).into_iter().skip(1).collect();
        if command.is_empty() {
            return Err(Refusal::Usage("a command is missing behind --\n".to_owned()));
        }
    }
    let read = |words: Vec<OsString>| {
        let find = |name: &str| options(program).find(|option| option.name == name);
        flags::read(words, find).map_err(|stop| match stop {
            Stop::Help => Refusal::Help,
            stop => {
                let mut text = stop.line().unwrap_or_default();
                if let Stop::Unknown(name) = &stop
                    && let Some(hint) = did_you_mean(name, options(program).map(|spec| spec.name))
                {
                    text += &format!("\nhint: {hint}");
                }
                Refusal::Usage(text)
            }
        })
    };
    let line = read(words)?;
    let mut rest = line.rest.into_iter();
    let Some(uri) = rest.next() else {
        return match line.given.get(&VERSION.spec()) {
            Some(Value::Switch(true)) => Ok(Request::Version),
            _ => Err(Refusal::Usage("Missing required argument for registry URI.\n".to_owned())),
        };
    };
    let behind: Vec<OsString> = rest.collect();
    let mut given = vec![line.given];
    // Flags count also behind the URI. A word that is no flag does not.
    if behind.first().is_some_and(|word| word.as_encoded_bytes().starts_with(b"-")) {
        let more = read(behind.clone())?;
        if !more.rest.is_empty() {
            return Err(extra(&more.rest, program, &uri));
        }
        given.insert(0, more.given);
    } else if !behind.is_empty() {
        return Err(extra(&behind, program, &uri));
    }
    let values = values(&Given::new(given), program, command, &uri, &behind);
    values
        .map(|flags| Request::Run(Box::new(flags)))
        .map_err(|invalid| Refusal::Value(invalid.to_string()))
}

/// The options of a program.
fn options(program: Program) -> impl Iterator<Item = &'static Spec> {
    let own = if program == Program::Own { OWN } else { &[] };
    OPTIONS.iter().chain(own)
}

fn extra(words: &[OsString], program: Program, uri: &OsString) -> Refusal {
    let shown: Vec<_> = text(words).iter().map(|word| address::shown(word)).collect();
    let (words, uri) = (shown.join(" "), address::shown(&uri.to_string_lossy()));
    let advice = match program {
        Program::Original => "Options should come before the registry URI argument.\n".to_owned(),
        Program::Own => {
            format!("A command stands behind --: {uri} -- {words}\n")
        }
    };
    Refusal::Usage(format!("Extra unparsed arguments:\n{words}\n{advice}"))
}

fn text(words: &[OsString]) -> Vec<String> {
    words.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn values(
    given: &Given,
    program: Program,
    command: Vec<OsString>,
    uri: &OsString,
    behind: &[OsString],
) -> Result<Flags, Invalid> {
    /// A hundred years.
    const LONGEST: i64 = 100 * 365 * 24 * 3600;
    let seconds =
        |number: i64| Duration::from_secs(u64::try_from(number.min(LONGEST)).unwrap_or(0));
    let (ttl, refresh) = (given.get(&TTL)?, given.get(&TTL_REFRESH)?);
    // Entries can be refreshed three times before they end.
    let is_derived = program == Program::Own && refresh == 0;
    if (ttl == 0) != (refresh == 0) && !is_derived {
        let text = "-ttl and -ttl-refresh must be specified together or not at all";
        return Err(Invalid::new(text));
    }
    if ttl > 0 && ttl <= refresh && !is_derived {
        return Err(Invalid::new("-ttl must be greater than -ttl-refresh"));
    }
    let retry_interval = given.get(&RETRY_INTERVAL)?;
    let Some(retry_interval) = u64::try_from(retry_interval).ok().filter(|&pause| pause > 0) else {
        return Err(Invalid::new("-retry-interval must be greater than 0"));
    };
    let only_on_success = match &given.get(&DEREGISTER)?[..] {
        "always" => false,
        "on-success" => true,
        _ => return Err(Invalid::new("-deregister must be \"always\" or \"on-success\"")),
    };
    let attempts = given.get(&RETRY_ATTEMPTS)?;
    // Without the flag, a registry that is not there is waited for.
    let is_limited = given.layers.iter().any(|layer| layer.get(&RETRY_ATTEMPTS.spec()).is_some());
    let ttl = seconds(ttl);
    let refresh = if is_derived { ttl / 3 } else { seconds(refresh) };
    let processes = match program {
        Program::Original => None,
        Program::Own => processes(given, command, ttl)?,
    };
    Ok(Flags {
        rules: Rules {
            address: given.get(&IP)?,
            is_internal: given.get(&INTERNAL)?,
            is_explicit: given.get(&EXPLICIT)?,
            address_label: given.get(&USE_IP_FROM_LABEL)?,
            is_plain: program == Program::Own,
            follows_health: given.get(&HEALTH)? || program == Program::Own,
        },
        tags: given.get(&TAGS)?,
        ttl: if processes.is_some() && ttl.is_zero() { LIFE } else { ttl },
        refresh,
        resync: seconds(given.get(&RESYNC)?),
        only_on_success,
        cleanup: given.get(&CLEANUP)?,
        prune: given.get(&PRUNE)? || program == Program::Own,
        deregister_on_exit: given.get(&DEREGISTER_ON_EXIT)?,
        noop: given.get(&NOOP)?,
        retry_interval: Duration::from_millis(retry_interval),
        retry_attempts: u64::try_from(attempts).ok().filter(|_| is_limited),
        shown_attempts: attempts,
        uri: uri.to_string_lossy().into_owned(),
        misplaced: if program == Program::Own { Vec::new() } else { text(behind) },
        processes,
    })
}

/// The services of processes, if the command line asks for some.
fn processes(
    given: &Given,
    command: Vec<OsString>,
    ttl: Duration,
) -> Result<Option<Processes>, Invalid> {
    let (name, port, file) = (given.get(&NAME)?, given.get(&PORT)?, given.some(&FILE)?);
    if name.is_empty() && file.is_none() && command.is_empty() {
        return Ok(None);
    }
    let described = match name.is_empty() {
        true if file.is_none() => {
            return Err(Invalid::new("a command needs -name and -port, or a -file"));
        }
        true => None,
        false => {
            let pair = |word: &String| {
                let pair = word.split_once('=');
                pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .ok_or_else(|| Invalid::new("-meta has the form NAME=VALUE"))
            };
            let port = match u16::try_from(port) {
                Ok(0) if !given.layers.iter().any(|layer| layer.has("port")) => {
                    return Err(Invalid::new("-port is missing"));
                }
                Ok(port) if port > 0 => port,
                _ => return Err(Invalid::new("-port is from 1 to 65535")),
            };
            Some(Described {
                place: String::new(),
                name,
                id: given.get(&ID)?,
                address: given.get(&ADDRESS)?,
                port,
                tags: plain_list(&given.get(&TAGS)?),
                meta: text(&given.get(&META)?).iter().map(pair).collect::<Result<_, _>>()?,
                checks: text(&given.get(&CHECK)?),
            })
        }
    };
    let times = Times {
        ttl: if ttl.is_zero() { LIFE } else { ttl },
        interval: given.get(&INTERVAL)?,
        drain: given.get(&DRAIN)?,
        kill: given.get(&KILL_TIMEOUT)?,
    };
    Ok(Some(Processes { described, file, command, times }))
}

/// The end of the usage text of `confd register`.
const EXAMPLES: &str = "Examples:
  confd register -name web -port 8080 etcd://127.0.0.1:2379/services -- nginx -g 'daemon off;'
  confd register -file services.toml consul://127.0.0.1:8500
  confd register -ip 10.0.0.5 consul://127.0.0.1:8500     (the services of all containers)
";

/// The usage text.
pub(crate) fn usage(program: Program) -> String {
    let described = flags::described(options(program));
    match program {
        Program::Original => {
            let line = "registrator [options] <registry URI>";
            format!("Usage of registrator:\n  {line}\n\n{described}")
        }
        Program::Own => {
            let line = "confd register [options] <registry URI> [-- <command> [<argument>...]]";
            format!("Usage of confd register:\n  {line}\n\n{described}\n{EXAMPLES}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<Flags, Refusal> {
        run_as(Program::Original, words)
    }

    fn run_as(program: Program, words: &[&str]) -> Result<Flags, Refusal> {
        match read(words.iter().map(OsString::from).collect(), program)? {
            Request::Run(flags) => Ok(*flags),
            Request::Version => panic!("the version"),
        }
    }

    fn line(words: &[&str]) -> String {
        match run(words).unwrap_err() {
            Refusal::Help => "help".to_owned(),
            Refusal::Usage(text) | Refusal::Value(text) => text.lines().next().unwrap().to_owned(),
        }
    }

    #[test]
    fn the_errors_are_registrators() {
        for (words, error) in [
            (&[][..], "Missing required argument for registry URI."),
            (&["consul:", "x"], "Extra unparsed arguments:"),
            (&["-internal", "false", "consul:"], "Extra unparsed arguments:"),
            (
                &["-useIpFromNetwork", "app", "consul:"],
                "flag provided but not defined: -useIpFromNetwork",
            ),
            (&["-tags"], "flag needs an argument: -tags"),
            (&["-h"], "help"),
            (
                &["-ttl", "30", "consul:"],
                "-ttl and -ttl-refresh must be specified together or not at all",
            ),
            (&["-ttl=10", "-ttl-refresh=30", "consul:"], "-ttl must be greater than -ttl-refresh"),
            (&["-retry-interval", "-5", "consul:"], "-retry-interval must be greater than 0"),
            (&["-deregister", "never", "x:"], "-deregister must be \"always\" or \"on-success\""),
        ] {
            assert_eq!(line(words), error, "{words:?}");
        }
        assert_eq!(read(vec!["--version".into()], Program::Original), Ok(Request::Version));
    }

    #[test]
    fn a_misspelt_flag_is_reported_with_the_flag_that_was_probably_meant() {
        for (program, word, hint) in [
            (Program::Original, "-intrenal", "\nhint: did you mean \"internal\"?"),
            (Program::Own, "-chekc", "\nhint: did you mean \"check\"?"),
        ] {
            let Err(Refusal::Usage(text)) = run_as(program, &[word, "consul:"]) else {
                panic!("{word} was read")
            };
            assert!(text.ends_with(hint), "{text}");
        }
    }

    #[test]
    fn the_usage_of_confd_register_ends_with_examples() {
        assert!(usage(Program::Own).ends_with(EXAMPLES));
        assert!(!usage(Program::Original).contains(EXAMPLES));
    }

    #[test]
    fn flags_behind_the_uri_count_and_are_reported() {
        let flags = run(&["-tags", "a", "consul:", "-internal", "-tags=b"]).unwrap();
        assert!(flags.rules.is_internal);
        assert_eq!((&flags.tags[..], flags.uri.as_str()), ("b", "consul:"));
        assert_eq!(flags.misplaced, ["-internal", "-tags=b"]);
        assert_eq!(run(&["-internal", "--", "consul:"]).unwrap().misplaced, Vec::<String>::new());
    }

    #[test]
    fn a_registry_is_waited_for_unless_the_attempts_are_limited() {
        let attempts = |words: &[&str]| run(words).unwrap().retry_attempts;
        assert_eq!(attempts(&["consul:"]), None);
        assert_eq!(attempts(&["-retry-attempts", "0", "consul:"]), Some(0));
        assert_eq!(attempts(&["-retry-attempts", "-1", "consul:"]), None);
    }

    #[test]
    fn a_command_is_a_service_with_a_name_and_a_port() {
        let words = ["-name", "web", "-port", "80", "-tags", "a,b", "etcd:///s", "--", "x", "-y"];
        let flags = run_as(Program::Own, &words).unwrap();
        assert_eq!((flags.ttl, &flags.uri[..]), (LIFE, "etcd:///s"));
        let refresh = run_as(Program::Own, &["-ttl", "1", "etcd:"]).unwrap().refresh;
        assert!(refresh > Duration::ZERO && refresh < Duration::from_secs(1));
        let processes = flags.processes.unwrap();
        assert_eq!(processes.command, ["x", "-y"]);
        assert_eq!(processes.described.unwrap().tags, ["a", "b"]);
        for words in [&["etcd:", "--", "x"][..], &["-name", "web", "etcd:", "--", "x"]] {
            assert!(matches!(run_as(Program::Own, words), Err(Refusal::Value(_))), "{words:?}");
        }
        assert_eq!(run_as(Program::Own, &["etcd:", "-internal"]).unwrap().processes, None);
    }
}
