//! The keys of the configuration: one description of each, from which files are read and flags get
//! their meaning.

/// A key of a block.
#[derive(Debug)]
pub(crate) struct Key {
    /// The name, in lower case. Files may write it in any case.
    pub(crate) name: &'static str,
    /// The key that has the value, if `name` is an older name of that key.
    pub(crate) stands_for: Option<&'static str>,
    pub(crate) kind: Kind,
}

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    Bool,
    Int,
    Float,
    Duration,
    /// The permissions of a file.
    Mode,
    Signal,
    /// A command: a text or a list of arguments. A later one replaces an earlier one.
    Command,
    /// A list of texts. A later one is added to an earlier one.
    List,
    /// The shortest and the longest time of quiescence.
    Wait,
    /// A block. Of several in one file the last counts; those of several files are merged.
    Block(&'static [Key]),
    /// A block that can be repeated.
    Blocks(&'static [Key]),
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, stands_for: None, kind }
}

const fn old(name: &'static str, stands_for: &'static str, kind: Kind) -> Key {
    Key { name, stands_for: Some(stands_for), kind }
}

use Kind::*;

/// The keys of a file.
pub(crate) const ROOT: &[Key] = &[
    key("consul", Block(CONSUL)),
    key("vault", Block(VAULT)),
    key("nomad", Block(NOMAD)),
    key("template", Blocks(TEMPLATE)),
    key("exec", Block(EXEC)),
    key("deduplicate", Block(DEDUPLICATE)),
    key("default_delimiters", Block(DELIMITERS)),
    key("syslog", Block(SYSLOG)),
    key("log_file", Block(LOG_FILE)),
    key("kill_signal", Signal),
    key("reload_signal", Signal),
    key("log_level", Text),
    key("max_stale", Duration),
    key("block_query_wait", Duration),
    key("pid_file", Text),
    key("state_dir", Text),
    key("wait", Wait),
    key("template_error_fatal", Bool),
    key("err_on_failed_lookup", Bool),
    key("once", Bool),
    key("parseonly", Bool),
];

const CONSUL: &[Key] = &[
    key("address", Text),
    key("namespace", Text),
    key("token", Text),
    key("token_file", Text),
    key("auth", Block(AUTH)),
    key("retry", Block(RETRY)),
    key("ssl", Block(SSL)),
    key("transport", Block(TRANSPORT)),
];

const VAULT: &[Key] = &[
    key("address", Text),
    key("enabled", Bool),
    key("namespace", Text),
    key("token", Text),
    key("vault_agent_token_file", Text),
    key("renew_token", Bool),
    key("unwrap_token", Bool),
    key("client_user_agent", Text),
    key("default_lease_duration", Duration),
    key("lease_renewal_threshold", Float),
    key("k8s_auth_role_name", Text),
    key("k8s_service_account_token", Text),
    key("k8s_service_account_token_path", Text),
    key("k8s_service_mount_path", Text),
    key("retry", Block(RETRY)),
    key("ssl", Block(SSL)),
    key("transport", Block(TRANSPORT)),
];

const NOMAD: &[Key] = &[
    key("address", Text),
    key("enabled", Bool),
    key("namespace", Text),
    key("token", Text),
    key("auth_username", Text),
    key("auth_password", Text),
    key("ssl", Block(SSL)),
    key("transport", Block(TRANSPORT)),
    key("retry", Block(RETRY)),
];

const AUTH: &[Key] = &[key("enabled", Bool), key("username", Text), key("password", Text)];

const RETRY: &[Key] = &[
    key("enabled", Bool),
    key("attempts", Int),
    key("backoff", Duration),
    key("max_backoff", Duration),
];

const SSL: &[Key] = &[
    key("enabled", Bool),
    key("verify", Bool),
    key("cert", Text),
    key("key", Text),
    key("ca_cert", Text),
    key("ca_cert_bytes", Text),
    key("ca_path", Text),
    key("server_name", Text),
];

const TRANSPORT: &[Key] = &[
    key("dial_keep_alive", Duration),
    key("dial_timeout", Duration),
    key("disable_keep_alives", Bool),
    key("idle_conn_timeout", Duration),
    key("max_idle_conns", Int),
    key("max_idle_conns_per_host", Int),
    key("max_conns_per_host", Int),
    key("tls_handshake_timeout", Duration),
];

const TEMPLATE: &[Key] = &[
    key("source", Text),
    key("contents", Text),
    key("destination", Text),
    key("create_dest_dirs", Bool),
    key("command", Command),
    key("command_timeout", Duration),
    key("check", Text),
    key("check_timeout", Duration),
    key("exec", Block(EXEC)),
    key("perms", Mode),
    key("user", Text),
    key("uid", Int),
    key("group", Text),
    key("gid", Int),
    key("backup", Bool),
    key("error_on_missing_key", Bool),
    key("error_fatal", Bool),
    key("left_delimiter", Text),
    key("right_delimiter", Text),
    key("wait", Wait),
    key("function_denylist", List),
    old("function_blacklist", "function_denylist", List),
    key("sandbox_path", Text),
];

const EXEC: &[Key] = &[
    key("command", Command),
    key("enabled", Bool),
    key("env", Block(ENV)),
    key("kill_signal", Signal),
    key("kill_timeout", Duration),
    key("reload_signal", Signal),
    key("splay", Duration),
    key("timeout", Duration),
];

const ENV: &[Key] = &[
    key("pristine", Bool),
    key("custom", List),
    key("allowlist", List),
    old("whitelist", "allowlist", List),
    key("denylist", List),
    old("blacklist", "denylist", List),
];

const DEDUPLICATE: &[Key] = &[
    key("enabled", Bool),
    key("prefix", Text),
    key("ttl", Duration),
    key("max_stale", Duration),
    key("block_query_wait", Duration),
];

const DELIMITERS: &[Key] = &[key("left", Text), key("right", Text)];

const SYSLOG: &[Key] = &[key("enabled", Bool), key("facility", Text), key("name", Text)];

const LOG_FILE: &[Key] = &[
    key("path", Text),
    key("log_rotate_bytes", Int),
    key("log_rotate_duration", Duration),
    key("log_rotate_max_files", Int),
];

/// The keys of a `wait` block. The switch is called `bool` in consul-template.
pub(crate) const WAIT: &[Key] = &[key("bool", Bool), key("min", Duration), key("max", Duration)];
