//! Where Vault is and how it is asked: the block `vault`, and the variables of Vault's own client where
//! the block leaves something open.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use client_vault::{Login, Options};
use nodes::Secret;
use nodes::proxy::{self, Proxies};
use options::{Given, gobool};
use source::queries::Retry;

use super::settings::Settings;
use super::{consul, time};

/// The address, unless one is given.
const ADDRESS: &str = "https://127.0.0.1:8200";
/// How long an answer is good for which Vault does not say it, unless it is set.
const DEFAULT_LEASE: Duration = Duration::from_secs(5 * 60);
/// The part of that time after which it is asked for again, unless it is set.
const THRESHOLD: f64 = 0.90;
/// Where Kubernetes puts the token of a pod.
const OF_POD: &str = "/run/secrets/kubernetes.io/serviceaccount/token";

/// Where Vault is and how it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Vault {
    pub(crate) options: Options,
    pub(crate) retry: Retry,
    pub(crate) default_lease: Duration,
    pub(crate) threshold: f64,
}

impl Vault {
    /// What `settings` say. `variable` gives the first of several variables of the process that is set.
    pub(super) fn new(settings: &Settings, variable: &impl Fn(&[&str]) -> Option<String>) -> Vault {
        let vault = settings.block("vault");
        let text = |key: &str, names: &[&str]| {
            let own = vault.text(key).map(str::to_owned);
            own.or_else(|| variable(names)).filter(|text| !text.is_empty())
        };
        let given = Given::default()
            .with_variables(proxy::VARIABLES.iter().chain(tls::access::VARIABLES), |name| {
                variable(&[name]).map(OsString::from)
            });
        let (login, is_own) = login(&text, variable);
        let renew = vault.flag("renew_token");
        let renew =
            renew.or_else(|| variable(&["VAULT_RENEW_TOKEN"]).as_deref().and_then(gobool::parse));
        let options = Options {
            nodes: vec![text("address", &["VAULT_ADDR"]).unwrap_or_else(|| ADDRESS.to_owned())],
            not_given: None,
            https: vault.block("ssl").flag("enabled").unwrap_or(true),
            tls: secured(vault.block("ssl"), &given, variable),
            namespace: text("namespace", &["VAULT_NAMESPACE"]),
            login,
            renew: renew.unwrap_or(is_own),
            proxies: Proxies::of(&given),
            connecting: consul::connecting(vault.block("transport")),
            ..Options::default()
        };
        Vault {
            options,
            retry: consul::retry(vault.block("retry")),
            default_lease: vault.duration("default_lease_duration").map_or(DEFAULT_LEASE, time),
            threshold: vault.float("lease_renewal_threshold").unwrap_or(THRESHOLD),
        }
    }
}

/// How a token is got, and whether it is renewed unless that is set: the token of an agent is renewed by
/// the agent.
fn login(
    text: &impl Fn(&str, &[&str]) -> Option<String>,
    variable: &impl Fn(&[&str]) -> Option<String>,
) -> (Login, bool) {
    if let Some(path) = text("vault_agent_token_file", &[]) {
        return (Login::Token(Secret::File(path.into())), false);
    }
    if let Some(token) = text("token", &["VAULT_TOKEN"]) {
        return (Login::Token(Secret::Text(token)), true);
    }
    if let Some(role) = text("k8s_auth_role_name", &["VAULT_K8S_AUTH_ROLE_NAME"]) {
        let of_account = text("k8s_service_account_token", &["VAULT_K8S_SERVICE_ACCOUNT_TOKEN"]);
        let names = ["VAULT_K8S_SERVICE_ACCOUNT_TOKEN_PATH"];
        let path = text("k8s_service_account_token_path", &names);
        let file = || Secret::File(path.map_or_else(|| OF_POD.into(), PathBuf::from));
        let jwt = of_account.map_or_else(file, Secret::Text);
        let mount = text("k8s_service_mount_path", &["VAULT_K8S_SERVICE_MOUNT_PATH"]);
        let mount = mount.unwrap_or_else(|| "kubernetes".to_owned());
        let path = format!("auth/{}/login", mount.trim_matches('/'));
        let fields = vec![("role", Secret::Text(role)), ("jwt", jwt)];
        return (Login::Method { path, fields }, true);
    }
    let file = variable(&["HOME"]).map(|home| PathBuf::from(home).join(".vault-token"));
    match file.filter(|path| path.exists()) {
        Some(path) => (Login::Token(Secret::File(path)), true),
        None => (Login::Nothing, false),
    }
}

/// How Vault is connected to by TLS.
fn secured(
    ssl: &Settings,
    given: &Given,
    variable: &impl Fn(&[&str]) -> Option<String>,
) -> tls::Options {
    let text = |key: &str, name: &str| {
        let own = ssl.text(key).map(str::to_owned);
        own.or_else(|| variable(&[name])).filter(|text| !text.is_empty())
    };
    let system = tls::Options::of(given, tls::Options::default(), &mut Vec::new());
    let mut tls = system.unwrap_or_default();
    tls.ca = text("ca_cert", "VAULT_CACERT").map(PathBuf::from);
    if let Some(folder) = text("ca_path", "VAULT_CAPATH") {
        tls.roots = tls::Roots { file: None, folders: vec![folder.into()] };
    }
    tls.certificate = text("cert", "VAULT_CLIENT_CERT").map(PathBuf::from);
    let key = text("key", "VAULT_CLIENT_KEY").map(PathBuf::from);
    // The file of the certificate can have the key too.
    tls.key = key.or_else(|| tls.certificate.clone()).filter(|_| tls.certificate.is_some());
    tls.server_name = text("server_name", "VAULT_TLS_SERVER_NAME");
    let skips = variable(&["VAULT_SKIP_VERIFY"]).as_deref().and_then(gobool::parse);
    tls.insecure = ssl.flag("verify").map_or(skips == Some(true), |verify| !verify);
    tls
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    /// What a file and variables of the process say.
    fn vault(file: &str, variables: &[(&str, &str)]) -> Vault {
        let (settings, _) = decode(file).unwrap();
        let variable = |names: &[&str]| {
            let mut found = names.iter().filter_map(|name| {
                let (_, value) = variables.iter().find(|(known, _)| known == name)?;
                Some((*value).to_owned())
            });
            found.next()
        };
        Vault::new(&settings, &variable)
    }

    #[test]
    fn without_settings_the_defaults_of_consul_template_count() {
        let Vault { options, default_lease, threshold, .. } = vault("", &[]);
        assert_eq!(options.nodes, ["https://127.0.0.1:8200"]);
        assert_eq!(options.login, Login::Nothing);
        assert!(!options.renew);
        assert_eq!((default_lease, threshold), (Duration::from_secs(300), 0.9));
    }

    #[test]
    fn the_file_of_an_agent_wins_over_a_token_and_the_block_over_variables() {
        let token = |file: &str| {
            let variables = [("VAULT_TOKEN", "env"), ("VAULT_ADDR", "http://env:1")];
            let options = vault(file, &variables).options;
            (options.login, options.renew)
        };
        let text = |text: &str| Login::Token(Secret::Text(text.to_owned()));
        assert_eq!(token(""), (text("env"), true));
        assert_eq!(token("vault { token = \"own\" }"), (text("own"), true));
        assert_eq!(token("vault { token = \"own\" renew_token = false }"), (text("own"), false));
        let file = "vault { token = \"own\" vault_agent_token_file = \"/t\" }";
        assert_eq!(token(file), (Login::Token(Secret::File("/t".into())), false));
        let role = [("VAULT_K8S_AUTH_ROLE_NAME", "app")];
        let Login::Method { path, .. } = vault("", &role).options.login else { panic!() };
        assert_eq!(path, "auth/kubernetes/login");
    }
}
