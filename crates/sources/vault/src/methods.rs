//! The ways to log in, by the words of `-auth-type`.

use std::path::PathBuf;

use client_vault::{Login, variables};
use nodes::{Secret, access};
use options::{Given, Invalid, Opt};
use tls::access::{CLIENT_CERT, CLIENT_KEY};

options::options! {
    /// The options of logging in.
    pub(crate) const OPTIONS;
    const APP_ID: Opt<String> =
        text("app-id", "", "Vault app-id to log in with (auth-type app-id)").key("app_id").secret();
    const AUTH_TYPE: Opt<String> = text(
        "auth-type",
        "",
        "Vault login method: token, app-role, app-id, github, userpass, ldap, kubernetes, jwt or cert",
    )
    .key("auth_type")
    .words(&[
        "token", "app-role", "app-id", "github", "userpass", "ldap", "kubernetes", "jwt", "cert",
    ]);
    const JWT_FILE: Opt<PathBuf> = text(
        "jwt-file",
        "",
        "file of the signed token to log in with (auth-type jwt, kubernetes)",
    )
    .key("jwt_file")
    .path();
    const PATH: Opt<String> = text("path", "", "mount path of Vault's login method").key("path");
    const ROLE_ID: Opt<String> = text(
        "role-id",
        "",
        "Vault role-id, or the role (auth-type app-role, kubernetes, jwt, cert)",
    )
    .key("role_id")
    .secret();
    const SECRET_ID: Opt<String> =
        text("secret-id", "", "Vault secret-id (auth-type app-role)").key("secret_id").secret();
    const USER_ID: Opt<String> =
        text("user-id", "", "Vault user-id (auth-type app-id)").key("user_id").secret();
    const VAULT_ROLE_ID_FILE: Opt<PathBuf> = text(
        "vault-role-id-file",
        "",
        "file with the role-id, read at each login (Vault)",
    )
    .key("vault_role_id_file")
    .path();
    const VAULT_SECRET_ID_FILE: Opt<PathBuf> = text(
        "vault-secret-id-file",
        "",
        "file with the secret-id, read at each login (Vault)",
    )
    .key("vault_secret_id_file")
    .path();
    const VAULT_TOKEN_FILE: Opt<PathBuf> = text(
        "vault-token-file",
        "",
        "file with the token, which may be replaced at any time (Vault)",
    )
    .key("vault_token_file")
    .path();
}

/// Where Kubernetes puts the token of a pod.
const OF_POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The secret of an option, or of the file that a second option names; `None` if neither is given.
fn secret(
    given: &Given,
    option: &Opt<String>,
    file: Option<&Opt<PathBuf>>,
) -> Result<Option<Secret>, Invalid> {
    let text = given.some(option)?.map(Secret::Text);
    let Some(of_file) = file else { return Ok(text) };
    match (text, given.some(of_file)?) {
        (Some(_), Some(_)) => {
            let (option, file) = (option.spec().name, of_file.spec().name);
            Err(Invalid::new(format!("{option} and {file} are both given: leave one out")))
        }
        (text, path) => Ok(text.or(path.map(Secret::File))),
    }
}

/// The error of Go confd, with what to do.
fn missing(name: &str) -> Invalid {
    Invalid::new(format!("{name} is missing from configuration: give -{name}"))
}

/// How the user wants to log in, and the word for it.
///
/// # Errors
/// The method is missing or unknown, or one of its options is missing.
pub(crate) fn login(given: &Given) -> Result<(Login, String), Invalid> {
    let token = || secret(given, &access::AUTH_TOKEN, Some(&VAULT_TOKEN_FILE));
    let chosen = given.get(&AUTH_TYPE)?;
    let mount = |default: &str| -> Result<String, Invalid> {
        let path = given.some(&PATH)?;
        Ok(path.map_or_else(|| default.to_owned(), |path| path.trim_matches('/').to_owned()))
    };
    let role = || secret(given, &ROLE_ID, Some(&VAULT_ROLE_ID_FILE));
    let needed = |name: &str, secret: Option<Secret>| secret.ok_or_else(|| missing(name));
    let text = |option: &Opt<String>| secret(given, option, None);
    let method = |mount: String, fields| {
        let path = format!("auth/{mount}/login");
        Login::Method { path, fields }
    };
    let login = match chosen.as_str() {
        "" => {
            // Go confd wants the word in every case.
            let token = token()?.or_else(|| variables::token(given));
            let token = token.ok_or_else(|| {
                Invalid::new(
                    "you have to set the auth type when using the vault backend: give -auth-type, \
                     such as token or app-role, or a token by -auth-token or VAULT_TOKEN",
                )
            })?;
            return Ok((Login::Token(token), "token".to_owned()));
        }
        "token" => {
            let token = token()?.or_else(|| variables::token(given));
            let token = token.ok_or_else(|| {
                Invalid::new("token is missing from configuration: give -auth-token")
            })?;
            Login::Token(token)
        }
        "app-role" | "approle" => {
            let fields = vec![
                ("role_id", needed("role-id", role()?)?),
                (
                    "secret_id",
                    needed("secret-id", secret(given, &SECRET_ID, Some(&VAULT_SECRET_ID_FILE))?)?,
                ),
            ];
            method(mount("approle")?, fields)
        }
        "app-id" => {
            let fields = vec![
                ("app_id", needed("app-id", text(&APP_ID)?)?),
                ("user_id", needed("user-id", text(&USER_ID)?)?),
            ];
            method(mount("app-id")?, fields)
        }
        "github" => {
            let token = token()?.ok_or_else(|| {
                Invalid::new("token is missing from configuration: give -auth-token")
            })?;
            method(mount("github")?, vec![("token", token)])
        }
        "userpass" | "ldap" => {
            let name = given.some(&access::USERNAME)?.ok_or_else(|| missing("username"))?;
            let password = needed("password", text(&access::PASSWORD)?)?;
            let path = format!("auth/{}/login/{name}", mount(&chosen)?);
            Login::Method { path, fields: vec![("password", password)] }
        }
        "kubernetes" | "jwt" => {
            let file = given.some(&JWT_FILE)?;
            let file = match (file, &*chosen) {
                (Some(file), _) => file,
                (None, "jwt") => return Err(missing("jwt-file")),
                (None, _) => OF_POD.into(),
            };
            let fields = vec![("jwt", Secret::File(file)), ("role", needed("role-id", role()?)?)];
            method(mount(&chosen)?, fields)
        }
        "cert" => {
            given.some(&CLIENT_CERT)?.ok_or_else(|| missing("client-cert"))?;
            given.some(&CLIENT_KEY)?.ok_or_else(|| missing("client-key"))?;
            let role = role()?.map(|role| ("name", role));
            method(mount("cert")?, role.into_iter().collect())
        }
        other => {
            let other = gotmpl::quote(other.as_bytes());
            return Err(Invalid::new(format!(
                "Unable to authenticate: auth-type is token, app-role, app-id, github, userpass, \
                 ldap, kubernetes, jwt or cert, not {other}"
            )));
        }
    };
    Ok((login, chosen))
}
