//! The options of Go confd's backends, which every build accepts.
//!
//! A command line or a `confd.toml` of Go confd can set the options of several backends, and must
//! keep working where this build has only one of them. If a source of this build describes an
//! option, its description counts. Otherwise the option is accepted and no source reads it.

use std::{ffi::OsString, time::Duration};

/// The help for an option of a source that other builds have.
const ELSEWHERE: &str = "of a backend that is not in this build";

/// The help for an option of the live fork that this confd does not need.
const NOT_NEEDED: &str = "accepted, because the live fork has it; it changes nothing here";

options::options! {
    /// The options of the live fork that change nothing here: compiled templates are kept as long as
    /// their files are the same, and what fails is tried again by `-retry-delay`.
    pub(crate) const OF_FORK;
    const DIAL_TIMEOUT: Opt<String> = text("dial-timeout", "", NOT_NEEDED).key("dial_timeout").unused();
    const NO_TEMPLATE_CACHE: Opt<bool> = switch("no-template-cache", NOT_NEEDED).unused();
    const READ_TIMEOUT: Opt<String> = text("read-timeout", "", NOT_NEEDED).key("read_timeout").unused();
    const RETRY_BASE_DELAY: Opt<String> =
        text("retry-base-delay", "", NOT_NEEDED).key("retry_base_delay").unused();
    const RETRY_MAX_ATTEMPTS: Opt<String> =
        text("retry-max-attempts", "", NOT_NEEDED).key("retry_max_attempts").unused();
    const STAT_CACHE_TTL: Opt<String> =
        text("stat-cache-ttl", "", NOT_NEEDED).key("stat_cache_ttl").unused();
    const TEMPLATE_CACHE: Opt<bool> =
        switch("template-cache", NOT_NEEDED).key("template_cache").unused();
    const WATCH_ERROR_BACKOFF: Opt<String> =
        text("watch-error-backoff", "", NOT_NEEDED).key("watch_error_backoff").unused();
    const WRITE_TIMEOUT: Opt<String> = text("write-timeout", "", NOT_NEEDED).key("write_timeout").unused();
}

options::options! {
    /// The options of all backends of Go confd, in byte order of their flags.
    pub(crate) const ACCEPTED;
    const APP_ID: Opt<String> =
        text("app-id", "", "Vault app-id to log in with (auth-type app-id)").key("app_id").secret();
    const AUTH_TOKEN: Opt<OsString> = text("auth-token", "", ELSEWHERE).key("auth_token").secret();
    const AUTH_TYPE: Opt<String> = text(
        "auth-type",
        "",
        "Vault login method: token, app-role, app-id, github, userpass, kubernetes or cert",
    )
    .key("auth_type");
    const BASIC_AUTH: Opt<bool> = switch("basic-auth", ELSEWHERE).key("basic_auth");
    const CLIENT_CA_KEYS: Opt<OsString> = text("client-ca-keys", "", ELSEWHERE).key("client_cakeys");
    const CLIENT_CERT: Opt<OsString> = text("client-cert", "", ELSEWHERE).key("client_cert");
    const CLIENT_INSECURE: Opt<bool> = switch("client-insecure", ELSEWHERE).key("client_insecure");
    const CLIENT_KEY: Opt<OsString> = text("client-key", "", ELSEWHERE).key("client_key");
    const FILE: Opt<Vec<OsString>> = list("file", ELSEWHERE).key("file");
    const FILTER: Opt<OsString> = text("filter", "", ELSEWHERE).key("filter");
    const NODE: Opt<Vec<OsString>> = list("node", ELSEWHERE).key("nodes");
    const PASSWORD: Opt<OsString> = text("password", "", ELSEWHERE).key("password").secret();
    const PATH: Opt<String> =
        text("path", "", "mount path of Vault's login method").key("path");
    const ROLE_ID: Opt<String> = text(
        "role-id",
        "",
        "Vault role-id (auth-type app-role, kubernetes)",
    )
    .key("role_id")
    .secret();
    const SCHEME: Opt<OsString> = text("scheme", "", ELSEWHERE).key("scheme");
    const SECRET_ID: Opt<String> =
        text("secret-id", "", "Vault secret-id (auth-type app-role)").key("secret_id").secret();
    const SEPARATOR: Opt<String> =
        text("separator", "", "separator in Redis key names in place of /").key("separator");
    const SRV_DOMAIN: Opt<OsString> = text("srv-domain", "", ELSEWHERE).key("srv_domain");
    const SRV_RECORD: Opt<OsString> = text("srv-record", "", ELSEWHERE).key("srv_record");
    const ACM_EXPORT_PRIVATE_KEY: Opt<bool> =
        switch("acm-export-private-key", ELSEWHERE).key("acm_export_private_key");
    const IMDS_CACHE_TTL: Opt<Option<Duration>> = text("imds-cache-ttl", "", ELSEWHERE).key("imds_cache_ttl");
    const SECRETSMANAGER_NO_FLATTEN: Opt<bool> =
        switch("secretsmanager-no-flatten", ELSEWHERE).key("secretsmanager_no_flatten");
    const SECRETSMANAGER_VERSION_STAGE: Opt<String> =
        text("secretsmanager-version-stage", "", ELSEWHERE).key("secretsmanager_version_stage");
    const TABLE: Opt<String> = text("table", "", "DynamoDB table").key("table");
    const USER_ID: Opt<String> =
        text("user-id", "", "Vault user-id (auth-type app-id)").key("user_id").secret();
    const USERNAME: Opt<OsString> = text("username", "", ELSEWHERE).key("username");
}
