//! The table of settings: each with its flag, its key in confd.toml, its type and default.
//!
//! Everything that must agree on the set of settings is made from this one table: the flags,
//! the usage text, the reader of confd.toml and its hints for misspelt keys.

use std::ffi::OsString;

/// One setting.
pub(crate) struct Setting {
    /// The flag, without its dash. Also the name by which the code asks for the value.
    pub(crate) flag: &'static str,
    /// The key in confd.toml, or `None` where the file cannot set it.
    pub(crate) key: Option<&'static str>,
    /// The type, with the default.
    pub(crate) kind: Kind,
    /// One line for the usage text.
    pub(crate) help: &'static str,
}

/// The type of a setting, with its default.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A flag that is there or not.
    Switch,
    /// An integer.
    Number(i64),
    /// A text.
    Text(&'static str),
    /// A text given any number of times.
    List,
}

/// A value given for a setting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Of a [`Kind::Switch`].
    Switch(bool),
    /// Of a [`Kind::Number`].
    Number(i64),
    /// Of a [`Kind::Text`].
    Text(OsString),
    /// Of a [`Kind::List`].
    List(Vec<OsString>),
}

impl Kind {
    /// The value when nothing gives one.
    pub(crate) fn default(self) -> Value {
        match self {
            Kind::Switch => Value::Switch(false),
            Kind::Number(number) => Value::Number(number),
            Kind::Text(text) => Value::Text(text.into()),
            Kind::List => Value::List(Vec::new()),
        }
    }
}

/// The setting with this flag.
pub(crate) fn find(flag: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.flag == flag)
}

macro_rules! settings {
    ($( $flag:literal $key:expr, $kind:expr, $help:literal; )*) => {
        &[$( Setting { flag: $flag, key: $key, kind: $kind, help: $help } ),*]
    };
}

/// confd's settings, in byte order of their flags, as the usage text shows them.
pub(crate) const SETTINGS: &[Setting] = settings! {
    "app-id" Some("app_id"), Kind::Text(""), "Vault app-id to log in with (auth-type app-id)";
    "auth-token" Some("auth_token"), Kind::Text(""), "token to log in with (Vault, Consul)";
    "auth-type" Some("auth_type"), Kind::Text(""), "Vault login method: token, app-role, app-id, github, userpass, kubernetes or cert";
    "backend" Some("backend"), Kind::Text("etcd"), "store to read the keys from";
    "basic-auth" Some("basic_auth"), Kind::Switch, "send -username and -password to the backend";
    "client-ca-keys" Some("client_cakeys"), Kind::Text(""), "file of the CA certificates to trust, in PEM";
    "client-cert" Some("client_cert"), Kind::Text(""), "file of the client certificate, in PEM";
    "client-insecure" Some("client_insecure"), Kind::Switch, "accept any server certificate";
    "client-key" Some("client_key"), Kind::Text(""), "file of the client certificate's key, in PEM";
    "confdir" Some("confdir"), Kind::Text("/etc/confd"), "folder that holds conf.d and templates";
    "config-file" None, Kind::Text("/etc/confd/confd.toml"), "confd's own configuration file";
    "config-precedence" Some("config_precedence"), Kind::Text("flags"), "which wins where both are given: flags, or file (as in confd 0.16)";
    "consistency" Some("consistency"), Kind::Text("default"), "how true an answer has to be (Consul): default, consistent or stale";
    "datacenter" Some("datacenter"), Kind::Text(""), "datacenter to read from (Consul; empty: that of the node)";
    "debounce" Some("debounce"), Kind::Text("0s"), "watch: wait until nothing has changed for so long, at most four times as long (such as 500ms)";
    "file" Some("file"), Kind::List, "YAML or JSON file, or folder of them, to read the keys from (backend file; may be repeated)";
    "filter" Some("filter"), Kind::Text("*"), "pattern that the names of files in a folder must match (backend file)";
    "interval" Some("interval"), Kind::Number(600), "seconds between two passes";
    "keep-stage-file" Some("keepstagefile"), Kind::Switch, "keep staged files";
    "log-level" Some("log-level"), Kind::Text(""), "least severe level to log: panic, fatal, error, warning, info (the default), debug or trace";
    "max-stale" Some("max_stale"), Kind::Text("10s"), "how old an answer may be where consistency is stale (Consul)";
    "namespace" Some("namespace"), Kind::Text(""), "namespace of the keys (Consul Enterprise)";
    "node" Some("nodes"), Kind::List, "node of the backend (may be repeated)";
    "noop" Some("noop"), Kind::Switch, "show what would change and change nothing";
    "onetime" Some("onetime"), Kind::Switch, "run once and exit";
    "partition" Some("partition"), Kind::Text(""), "partition of the keys (Consul Enterprise)";
    "password" Some("password"), Kind::Text(""), "password to log in with";
    "path" Some("path"), Kind::Text(""), "mount path of Vault's login method";
    "prefix" Some("prefix"), Kind::Text(""), "prefix of all keys; replaces the prefix that a resource names";
    "reconcile" Some("reconcile"), Kind::Text("10m"), "watch: read everything again and compare, at the latest after so long";
    "role-id" Some("role_id"), Kind::Text(""), "Vault role-id (auth-type app-role, kubernetes)";
    "scheme" Some("scheme"), Kind::Text("http"), "scheme of node addresses that have none: http or https";
    "secret-id" Some("secret_id"), Kind::Text(""), "Vault secret-id (auth-type app-role)";
    "separator" Some("separator"), Kind::Text(""), "separator in Redis key names in place of /";
    "shutdown-timeout" Some("shutdown-timeout"), Kind::Text("30s"), "how long what is under way may take to end after a stop signal";
    "splay" Some("splay"), Kind::Text("0s"), "watch: delay each resource by a fixed part of so long, another one on each host";
    "srv-domain" Some("srv_domain"), Kind::Text(""), "domain whose SRV record names the nodes";
    "srv-record" Some("srv_record"), Kind::Text(""), "SRV record that names the nodes";
    "sync-only" Some("sync-only"), Kind::Switch, "replace files without running check_cmd and reload_cmd";
    "table" Some("table"), Kind::Text(""), "DynamoDB table";
    "tls-server-name" Some("tls_server_name"), Kind::Text(""), "name that the server's certificate has to be for, if it is not that of the node";
    "user-id" Some("user_id"), Kind::Text(""), "Vault user-id (auth-type app-id)";
    "username" Some("username"), Kind::Text(""), "user name to log in with";
    "version" None, Kind::Switch, "print the version and exit";
    "watch" Some("watch"), Kind::Switch, "follow the backend's changes";
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_stand_in_byte_order() {
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.flag));
    }
}
