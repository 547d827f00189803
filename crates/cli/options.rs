//! The options of confd: each with its flag, its key in confd.toml, its type and its default.
//!
//! Everything that must agree on the set of options is made from this one table: the flags, the
//! usage text, the readers of confd.toml and of the environment, and the hints for misspelt keys.
//! Other code reads the value of an option through the option's constant.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use ::options::Spec;

::options::options! {
    /// confd's options, in byte order of their flags, as the usage text shows them.
    pub(crate) const OPTIONS;
    pub(crate) const APP_ID: Opt<String> =
        text("app-id", "", "Vault app-id to log in with (auth-type app-id)").key("app_id").secret();
    pub(crate) const AUTH_TOKEN: Opt<String> =
        text("auth-token", "", "token to log in with (Vault, Consul)").key("auth_token").secret();
    pub(crate) const AUTH_TYPE: Opt<String> = text(
        "auth-type",
        "",
        "Vault login method: token, app-role, app-id, github, userpass, kubernetes or cert",
    )
    .key("auth_type");
    pub(crate) const BACKEND: Opt<String> =
        text("backend", "etcd", "store to read the keys from").key("backend");
    pub(crate) const BASIC_AUTH: Opt<bool> =
        switch("basic-auth", "send -username and -password to the backend").key("basic_auth");
    pub(crate) const CHECK_CMD_TIMEOUT: Opt<Option<Duration>> = text(
        "check-cmd-timeout",
        "",
        "limit of a check_cmd whose resource has none (0: no limit; not given: 60s, none with -onetime)",
    )
    .key("check_cmd_timeout");
    pub(crate) const CLIENT_CA_KEYS: Opt<PathBuf> = text(
        "client-ca-keys",
        "",
        "file of the CA certificates to trust, in PEM",
    )
    .key("client_cakeys")
    .variable("CONFD_CLIENT_CAKEYS");
    pub(crate) const CLIENT_CERT: Opt<PathBuf> = text(
        "client-cert",
        "",
        "file of the client certificate, in PEM",
    )
    .key("client_cert")
    .variable("CONFD_CLIENT_CERT");
    pub(crate) const CLIENT_INSECURE: Opt<bool> =
        switch("client-insecure", "accept any server certificate").key("client_insecure");
    pub(crate) const CLIENT_KEY: Opt<PathBuf> = text(
        "client-key",
        "",
        "file of the client certificate's key, in PEM",
    )
    .key("client_key")
    .variable("CONFD_CLIENT_KEY");
    pub(crate) const CONFDIR: Opt<PathBuf> =
        text("confdir", "/etc/confd", "folder that holds conf.d and templates").key("confdir");
    pub(crate) const CONFIG_FILE: Opt<PathBuf> =
        text("config-file", "/etc/confd/confd.toml", "confd's own configuration file");
    pub(crate) const CONFIG_PRECEDENCE: Opt<String> = text(
        "config-precedence",
        "flags",
        "which wins where both are given: flags, or file (as in confd 0.16)",
    )
    .key("config_precedence");
    pub(crate) const CONSISTENCY: Opt<String> = text(
        "consistency",
        "default",
        "how true an answer has to be (Consul): default, consistent or stale",
    )
    .key("consistency");
    pub(crate) const DATACENTER: Opt<String> = text(
        "datacenter",
        "",
        "datacenter to read from (Consul; empty: that of the node)",
    )
    .key("datacenter");
    pub(crate) const DEBOUNCE: Opt<Duration> = text(
        "debounce",
        "0s",
        "watch: wait until nothing has changed for so long, at most four times as long (such as 500ms)",
    )
    .key("debounce");
    pub(crate) const FILE: Opt<Vec<OsString>> = list(
        "file",
        "YAML or JSON file, or folder of them, to read the keys from (backend file; may be repeated)",
    )
    .key("file");
    pub(crate) const FILTER: Opt<Vec<u8>> = text(
        "filter",
        "*",
        "pattern that the names of files in a folder must match (backend file)",
    )
    .key("filter");
    pub(crate) const INTERVAL: Opt<i64> =
        number("interval", 600, "seconds between two passes").key("interval");
    pub(crate) const KEEP_STAGE_FILE: Opt<bool> =
        switch("keep-stage-file", "keep staged files").key("keepstagefile");
    pub(crate) const LOG_LEVEL: Opt<String> = text(
        "log-level",
        "",
        "least severe level to log: panic, fatal, error, warning, info (the default), debug or trace",
    )
    .key("log-level");
    pub(crate) const MAX_STALE: Opt<Duration> = text(
        "max-stale",
        "10s",
        "how old an answer may be where consistency is stale (Consul)",
    )
    .key("max_stale");
    pub(crate) const NAMESPACE: Opt<String> =
        text("namespace", "", "namespace of the keys (Consul Enterprise)").key("namespace");
    pub(crate) const NODE: Opt<Vec<OsString>> =
        list("node", "node of the backend (may be repeated)").key("nodes");
    pub(crate) const NOOP: Opt<bool> =
        switch("noop", "show what would change and change nothing").key("noop");
    pub(crate) const ONETIME: Opt<bool> = switch("onetime", "run once and exit").key("onetime");
    pub(crate) const PARTITION: Opt<String> =
        text("partition", "", "partition of the keys (Consul Enterprise)").key("partition");
    pub(crate) const PASSWORD: Opt<String> =
        text("password", "", "password to log in with").key("password").secret();
    pub(crate) const PATH: Opt<String> =
        text("path", "", "mount path of Vault's login method").key("path");
    pub(crate) const PREFIX: Opt<Vec<u8>> = text(
        "prefix",
        "",
        "prefix of all keys; replaces the prefix that a resource names",
    )
    .key("prefix");
    pub(crate) const RECONCILE: Opt<Duration> = text(
        "reconcile",
        "10m",
        "watch: read everything again and compare, at the latest after so long",
    )
    .key("reconcile");
    pub(crate) const RELOAD_CMD_TIMEOUT: Opt<Option<Duration>> = text(
        "reload-cmd-timeout",
        "",
        "limit of a reload_cmd whose resource has none (0: no limit; not given: 60s, none with -onetime)",
    )
    .key("reload_cmd_timeout");
    pub(crate) const ROLE_ID: Opt<String> = text(
        "role-id",
        "",
        "Vault role-id (auth-type app-role, kubernetes)",
    )
    .key("role_id")
    .secret();
    pub(crate) const SCHEME: Opt<String> = text(
        "scheme",
        "http",
        "scheme of node addresses that have none: http or https",
    )
    .key("scheme");
    pub(crate) const SECRET_ID: Opt<String> =
        text("secret-id", "", "Vault secret-id (auth-type app-role)").key("secret_id").secret();
    pub(crate) const SEPARATOR: Opt<String> =
        text("separator", "", "separator in Redis key names in place of /").key("separator");
    pub(crate) const SHUTDOWN_TIMEOUT: Opt<Duration> = text(
        "shutdown-timeout",
        "30s",
        "how long what is under way may take to end after a stop signal",
    )
    .key("shutdown-timeout");
    pub(crate) const SPLAY: Opt<Duration> = text(
        "splay",
        "0s",
        "watch: delay each resource by a fixed part of so long, another one on each host",
    )
    .key("splay");
    pub(crate) const SRV_DOMAIN: Opt<String> =
        text("srv-domain", "", "domain whose SRV record names the nodes").key("srv_domain");
    pub(crate) const SRV_RECORD: Opt<String> =
        text("srv-record", "", "SRV record that names the nodes").key("srv_record");
    pub(crate) const SYNC_ONLY: Opt<bool> = switch(
        "sync-only",
        "replace files without running check_cmd and reload_cmd",
    )
    .key("sync-only");
    pub(crate) const TABLE: Opt<String> = text("table", "", "DynamoDB table").key("table");
    pub(crate) const TLS_SERVER_NAME: Opt<String> = text(
        "tls-server-name",
        "",
        "name that the server's certificate has to be for, if it is not that of the node",
    )
    .key("tls_server_name");
    pub(crate) const USER_ID: Opt<String> =
        text("user-id", "", "Vault user-id (auth-type app-id)").key("user_id").secret();
    pub(crate) const USERNAME: Opt<String> =
        text("username", "", "user name to log in with").key("username");
    pub(crate) const VERSION: Opt<bool> = switch("version", "print the version and exit");
    pub(crate) const WATCH: Opt<bool> =
        switch("watch", "follow the backend's changes").key("watch");
}

/// The option whose flag is `flag`.
pub(crate) fn find(flag: &str) -> Option<&'static Spec> {
    OPTIONS.iter().find(|option| option.name == flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_stand_in_byte_order() {
        assert!(OPTIONS.is_sorted_by_key(|option| option.name));
    }
}
