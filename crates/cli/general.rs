//! The options that confd has whatever its source is, with their flags, keys, types and defaults.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use options::{factor::Factor, size::Size};

use crate::sources;

/// The words that say when diffs have colours.
pub(crate) const COLORS: &[&str] = &["auto", "always", "never"];

options::options! {
    /// The options that no source reads.
    pub(crate) const OPTIONS;
    pub(crate) const BACKEND: Opt<String> =
        text("backend", "etcd", "store to read the keys from").key("backend").words(sources::NAMES);
    pub(crate) const BACKEND_TIMEOUT: Opt<Option<Duration>> = text(
        "backend-timeout",
        "",
        "onetime and interval: the longest time for reading the keys (0: no limit; not given: no limit, 30s with the live fork's command line)",
    )
    .key("backend_timeout");
    pub(crate) const BATCH_INTERVAL: Opt<Duration> = text(
        "batch-interval",
        "0s",
        "watch: a pass begins this time after the first change, where the resource has no debounce",
    )
    .key("batch_interval");
    pub(crate) const CHECK_CONFIG: Opt<bool> = switch(
        "check-config",
        "check confd.toml, the resource files and the templates, and exit (confd check shows more)",
    )
    .flag_only();
    pub(crate) const CHECK_CMD_TIMEOUT: Opt<Option<Duration>> = text(
        "check-cmd-timeout",
        "",
        "limit of a check_cmd whose resource has none (0: no limit; not given: 60s, none with -onetime)",
    )
    .key("check_cmd_timeout");
    pub(crate) const COLOR: Opt<String> = text(
        "color",
        "auto",
        "colours of diffs: auto (on a terminal, unless NO_COLOR is set), always or never",
    ).words(COLORS);
    pub(crate) const CONFDIR: Opt<PathBuf> =
        text("confdir", "/etc/confd", "folder that holds conf.d and templates").key("confdir").folder();
    pub(crate) const CONFIG_FILE: Opt<PathBuf> =
        text("config-file", "/etc/confd/confd.toml", "confd's own configuration file").path();
    pub(crate) const CONFIG_PRECEDENCE: Opt<String> = text(
        "config-precedence",
        "flags",
        "which wins where both are given: flags, or file (as in confd 0.16)",
    )
    .key("config_precedence").words(&["flags", "file"]);
    pub(crate) const CONTROL_SOCKET: Opt<PathBuf> = text(
        "control-socket",
        "",
        "interval and watch mode: the socket by which confd status, confd reload and confd run ask it (not given: confd.sock in $RUNTIME_DIRECTORY, if systemd sets that)",
    )
    .key("control_socket").path();
    pub(crate) const DEBOUNCE: Opt<Duration> = text(
        "debounce",
        "0s",
        "watch: before a pass, wait until nothing has changed for this time, and at most four times this time (such as 500ms)",
    )
    .key("debounce");
    pub(crate) const DETAILED_EXITCODE: Opt<bool> = switch(
        "detailed-exitcode",
        "with -noop and -onetime: exit code 2 if a file would change",
    );
    pub(crate) const DIFF: Opt<bool> =
        switch("diff", "with -noop: print a unified diff of each file that would change");
    pub(crate) const DIFF_CONTEXT: Opt<i64> =
        number("diff-context", 3, "unchanged lines around each change of a diff");
    pub(crate) const EXIT_CODES: Opt<bool> = switch(
        "exit-codes",
        "onetime: an exit code for each reason (3: data is missing, 4: a check failed, 5: a reload failed or is pending)",
    )
    .key("exit_codes");
    pub(crate) const FAILURE_MODE: Opt<String> = text(
        "failure-mode",
        "best-effort",
        "onetime and interval: what happens when a resource fails: best-effort (the others get their passes) or fail-fast (they get none)",
    )
    .key("failure_mode").words(&["best-effort", "fail-fast"]);
    pub(crate) const FORCE: Opt<bool> =
        switch("force", "onetime: replace files although guards trip");
    pub(crate) const INTERVAL: Opt<i64> =
        number("interval", 600, "seconds between two passes").key("interval");
    pub(crate) const MASK: Opt<Vec<OsString>> = list(
        "mask",
        "names of keys whose values no diff shows, where * is any text, in place of *password*, *secret*, *token* and *private*key*",
    )
    .key("mask");
    pub(crate) const MAX_MEMORY: Opt<Size> = text(
        "max-memory",
        "1GiB",
        "most memory that rendering one template takes (0: no limit)",
    )
    .key("max_memory");
    pub(crate) const KEEP_STAGE_FILE: Opt<bool> =
        switch("keep-stage-file", "keep staged files").key("keepstagefile").fork_key("keep_stage_file");
    pub(crate) const LOG_FORMAT: Opt<String> = text(
        "log-format",
        "text",
        "layout of the lines of the log: text, logfmt or json",
    )
    .key("log_format")
    .fork_key("log-format").words(&["text", "logfmt", "json"]);
    pub(crate) const LOG_LEVEL: Opt<String> = text(
        "log-level",
        "",
        "least severe level to log: panic, fatal, error, warning, info (the default), debug or trace",
    )
    .key("log-level").words(&["panic", "fatal", "error", "warning", "info", "debug", "trace"]);
    pub(crate) const METRICS_ADDR: Opt<String> = text(
        "metrics-addr",
        "",
        "interval and watch mode: where health, readiness, status and metrics are shown, such as :9100 or unix:/run/confd/metrics.sock",
    )
    .key("metrics_addr");
    pub(crate) const MOCK_DATA: Opt<PathBuf> = text(
        "mock-data",
        "",
        "with -validate: render the templates with this JSON file as their data and as their keys",
    )
    .path()
    .flag_only();
    pub(crate) const NOOP: Opt<bool> =
        switch("noop", "show what would change and change nothing").key("noop");
    pub(crate) const ONETIME: Opt<bool> = switch("onetime", "run once and exit").key("onetime");
    pub(crate) const PREFIX: Opt<Vec<u8>> = text(
        "prefix",
        "",
        "prefix of all keys; see -prefix-mode",
    )
    .key("prefix");
    pub(crate) const PREFIX_MODE: Opt<String> = text(
        "prefix-mode",
        "",
        "what -prefix does to the prefix of a resource: replace, or join (the default with the live fork's command line)",
    )
    .key("prefix_mode").words(&["replace", "join"]);
    pub(crate) const PREFLIGHT: Opt<bool> = switch(
        "preflight",
        "check that the backend answers and has keys for each resource, and exit",
    )
    .flag_only();
    pub(crate) const PREFLIGHT_TIMEOUT: Opt<Duration> =
        text("preflight-timeout", "10s", "the longest time of -preflight").key("preflight_timeout");
    pub(crate) const RECONCILE: Opt<Duration> = text(
        "reconcile",
        "10m",
        "watch: the longest time until everything is read again and compared",
    )
    .key("reconcile");
    pub(crate) const RELOAD_SIGNAL: Opt<String> = text(
        "reload-signal",
        "",
        "signal that tells the program behind -- that files have changed whose resource has no reload_cmd (such as SIGHUP)",
    )
    .key("reload_signal").words(&["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"]);
    pub(crate) const RESOURCE: Opt<PathBuf> = text(
        "resource",
        "",
        "with -check-config or -validate: only this file of conf.d",
    )
    .path()
    .flag_only();
    pub(crate) const RESTART: Opt<String> = text(
        "restart",
        "on-failure",
        "when the program behind -- is started again after it has ended: never, on-failure or always",
    )
    .key("restart").words(&["never", "on-failure", "always"]);
    pub(crate) const RELOAD_CMD_TIMEOUT: Opt<Option<Duration>> = text(
        "reload-cmd-timeout",
        "",
        "limit of a reload_cmd whose resource has none (0: no limit; not given: 60s, none with -onetime)",
    )
    .key("reload_cmd_timeout");
    pub(crate) const RENDER_TIMEOUT: Opt<Option<Duration>> = text(
        "render-timeout",
        "",
        "limit of rendering a template whose resource has none (0: no limit; not given: 60s, none with -onetime)",
    )
    .key("render_timeout");
    pub(crate) const RETRY_DELAY: Opt<Duration> = text(
        "retry-delay",
        "1s",
        "watch: first delay before a failed pass is tried again",
    )
    .key("retry_delay");
    pub(crate) const RETRY_FACTOR: Opt<Factor> = text(
        "retry-factor",
        "2",
        "watch: by what each delay between retries is longer than the one before (1 to 1000)",
    )
    .key("retry_factor");
    pub(crate) const RETRY_MAX_DELAY: Opt<Duration> = text(
        "retry-max-delay",
        "1m",
        "watch: longest delay before a failed pass is tried again",
    )
    .key("retry_max_delay");
    pub(crate) const SHOW_VALUES: Opt<bool> = switch(
        "show-values",
        "show values of keys in errors and warnings of templates, which may be secrets",
    )
    .key("show_values");
    pub(crate) const SHUTDOWN_TIMEOUT: Opt<Duration> = text(
        "shutdown-timeout",
        "30s",
        "the time that running passes have to end after a stop signal",
    )
    .key("shutdown-timeout").fork_key("shutdown_timeout");
    pub(crate) const SPLAY: Opt<Duration> = text(
        "splay",
        "0s",
        "watch: delay each pass by a part of this time, which is fixed for each host and resource",
    )
    .key("splay");
    pub(crate) const STATE_DIR: Opt<String> = text(
        "state-dir",
        "",
        "folder for the versions of files",
    )
    .key("state_dir").folder();
    pub(crate) const SYSTEMD_NOTIFY: Opt<bool> = switch(
        "systemd-notify",
        "accepted: systemd is notified whenever it has set NOTIFY_SOCKET",
    )
    .key("systemd_notify");
    pub(crate) const SYNC_ONLY: Opt<bool> = switch(
        "sync-only",
        "replace files without running check_cmd and reload_cmd",
    )
    .key("sync-only").fork_key("sync_only");
    pub(crate) const VALIDATE: Opt<bool> =
        switch("validate", "check the templates of the resources, and exit").flag_only();
    pub(crate) const VERSION: Opt<bool> = switch("version", "print the version and exit").flag_only();
    pub(crate) const WATCHDOG_INTERVAL: Opt<Duration> = text(
        "watchdog-interval",
        "0s",
        "time between two signs of life to systemd (0: half of the service's WatchdogSec)",
    )
    .key("watchdog_interval");
    pub(crate) const WAIT: Opt<Duration> = text(
        "wait",
        "0s",
        "onetime: how long to wait for the backend and for keys that templates need (such as 60s)",
    )
    .key("wait");
    pub(crate) const WATCH: Opt<bool> =
        switch("watch", "follow the backend's changes").key("watch");
}
