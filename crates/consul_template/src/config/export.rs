//! The variables by which commands find the servers that the configuration names.

use super::settings::Settings;

/// The variables that commands see, and what the log says about connections without verification.
/// `variable` gives the first of several variables of the process that is set.
pub(super) fn exported(
    settings: &Settings,
    variable: impl Fn(&[&str]) -> Option<String>,
) -> (Vec<(String, String)>, Vec<&'static str>) {
    let mut exported = Vec::new();
    let mut warnings = Vec::new();
    let mut export = |name: &str, value: Option<String>| {
        exported
            .extend(value.filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value)));
    };
    let setting = |block: &Settings, key: &str, names: &[&str]| match block.text(key) {
        Some(text) => Some(text.to_owned()),
        None => variable(names),
    };

    let consul = settings.block("consul");
    export("CONSUL_HTTP_ADDR", setting(consul, "address", &["CONSUL_HTTP_ADDR"]));
    let auth = consul.block("auth");
    if is_authenticated(auth) {
        let user = auth.text("username").unwrap_or_default();
        let password = auth.text("password").map(|password| format!(":{password}"));
        export("CONSUL_HTTP_AUTH", Some(user.to_owned() + &password.unwrap_or_default()));
    }
    let names = ["CONSUL_TOKEN", "CONSUL_HTTP_TOKEN"];
    export("CONSUL_HTTP_TOKEN", setting(consul, "token", &names));
    let names = ["CONSUL_TOKEN_FILE", "CONSUL_HTTP_TOKEN_FILE"];
    export("CONSUL_HTTP_TOKEN_FILE", setting(consul, "token_file", &names));
    let ssl = consul.block("ssl");
    let enabled = is_enabled(ssl);
    let verify = ssl.flag("verify").unwrap_or(true);
    export("CONSUL_HTTP_SSL", Some(enabled.to_string()));
    export("CONSUL_HTTP_SSL_VERIFY", Some(verify.to_string()));
    if enabled && !verify {
        warnings.push("(clients) disabling consul SSL verification");
    }

    let vault = settings.block("vault");
    export("VAULT_ADDR", setting(vault, "address", &["VAULT_ADDR"]));
    let ssl = vault.block("ssl");
    if ssl.flag("verify") == Some(false) {
        warnings.push("(clients) disabling vault SSL verification");
        export("VAULT_SKIP_VERIFY", Some("true".to_owned()));
    }
    for (key, name) in [
        ("cert", "VAULT_CLIENT_CERT"),
        ("key", "VAULT_CLIENT_KEY"),
        ("ca_path", "VAULT_CAPATH"),
        ("ca_cert", "VAULT_CACERT"),
        ("ca_cert_bytes", "VAULT_CACERT_BYTES"),
        ("server_name", "VAULT_TLS_SERVER_NAME"),
    ] {
        export(name, setting(ssl, key, &[name]));
    }
    (exported, warnings)
}

/// Whether a block asks for TLS: by its switch, or by any other key. A text counts only if it is not
/// empty.
pub(super) fn is_enabled(ssl: &Settings) -> bool {
    ssl.flag("enabled").unwrap_or_else(|| ssl.flag("verify").is_some() || ssl.has_text())
}

/// Whether a block asks for basic authentication: by its switch, or by a name or a password.
pub(super) fn is_authenticated(auth: &Settings) -> bool {
    auth.flag("enabled").unwrap_or_else(|| auth.has_text())
}
