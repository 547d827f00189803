//! The command line of registrator.

use std::ffi::OsString;
use std::time::Duration;

use options::flags::{self, Stop};
use options::{Given, Invalid, Value};

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
}

/// Reads the words after the program's name.
pub(crate) fn read(words: Vec<OsString>) -> Result<Request, Refusal> {
    if words.len() == 1 && words[0] == "--version" {
        return Ok(Request::Version);
    }
    let read = |words: Vec<OsString>| {
        let find = |name: &str| OPTIONS.iter().find(|option| option.name == name);
        flags::read(words, find).map_err(|stop| match stop {
            Stop::Help => Refusal::Help,
            stop => Refusal::Usage(stop.line().unwrap_or_default()),
        })
    };
    let line = read(words)?;
    let mut rest = line.rest.into_iter().map(|word| word.to_string_lossy().into_owned());
    let Some(uri) = rest.next() else {
        return Err(match line.given.get(&VERSION.spec()) {
            Some(Value::Switch(true)) => return Ok(Request::Version),
            _ => Refusal::Usage("Missing required argument for registry URI.\n".to_owned()),
        });
    };
    let behind: Vec<String> = rest.collect();
    let mut given = vec![line.given];
    // Flags count also behind the URI. A word that is no flag does not.
    if behind.first().is_some_and(|word| word.starts_with('-')) {
        let more = read(behind.iter().map(OsString::from).collect())?;
        if !more.rest.is_empty() {
            return Err(extra(
                &more.rest.iter().map(|word| word.to_string_lossy().into()).collect::<Vec<_>>(),
            ));
        }
        given.insert(0, more.given);
    } else if !behind.is_empty() {
        return Err(extra(&behind));
    }
    let is_limited = given.iter().any(|layer| layer.get(&RETRY_ATTEMPTS.spec()).is_some());
    let given = Given::new(given);
    let values = values(&given, is_limited, uri, behind);
    values
        .map_err(|invalid| Refusal::Value(invalid.to_string()))
        .map(|flags| Request::Run(Box::new(flags)))
}

fn extra(words: &[String]) -> Refusal {
    let words = words.join(" ");
    Refusal::Usage(format!(
        "Extra unparsed arguments:\n{words}\nOptions should come before the registry URI argument.\n"
    ))
}

fn values(
    given: &Given,
    is_limited: bool,
    uri: String,
    misplaced: Vec<String>,
) -> Result<Flags, Invalid> {
    let (ttl, refresh) = (given.get(&TTL)?, given.get(&TTL_REFRESH)?);
    if (ttl == 0) != (refresh == 0) {
        let text = "-ttl and -ttl-refresh must be specified together or not at all";
        return Err(Invalid::new(text));
    }
    if ttl > 0 && ttl <= refresh {
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
    let seconds = |number: i64| Duration::from_secs(u64::try_from(number).unwrap_or(0));
    Ok(Flags {
        rules: Rules {
            address: given.get(&IP)?,
            is_internal: given.get(&INTERNAL)?,
            is_explicit: given.get(&EXPLICIT)?,
            address_label: given.get(&USE_IP_FROM_LABEL)?,
        },
        tags: given.get(&TAGS)?,
        ttl: seconds(ttl),
        refresh: seconds(refresh),
        resync: seconds(given.get(&RESYNC)?),
        only_on_success,
        cleanup: given.get(&CLEANUP)?,
        prune: given.get(&PRUNE)?,
        deregister_on_exit: given.get(&DEREGISTER_ON_EXIT)?,
        noop: given.get(&NOOP)?,
        retry_interval: Duration::from_millis(retry_interval),
        // Without the flag, a registry that is not there is waited for.
        retry_attempts: u64::try_from(attempts).ok().filter(|_| is_limited),
        shown_attempts: attempts,
        uri,
        misplaced,
    })
}

/// The usage text.
pub(crate) fn usage(program: &str) -> String {
    let options = flags::described(OPTIONS);
    format!("Usage of {program}:\n  {program} [options] <registry URI>\n\n{options}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<Flags, Refusal> {
        match read(words.iter().map(OsString::from).collect())? {
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
        assert_eq!(read(vec!["--version".into()]), Ok(Request::Version));
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
}
