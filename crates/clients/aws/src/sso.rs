//! Credentials of a role by single sign-on, with the token that `aws sso login` has left in the folder
//! of Amazon's command line.

use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use nodes::Cause;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use report::{file_error_text, read_regular};
use serde_json::Value;

use crate::connection::Connection;
use crate::credentials::moment;
use crate::profile::Profiles;
use crate::sign::hex;
use crate::{Credentials, Options};

const PATIENCE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(10));

/// What to do if the token has expired: confd cannot open a browser.
const LOG_IN: &str = "log in again with: aws sso login";

/// The credentials of the account and role in `profile`; `None` if it is not one of single sign-on.
pub(crate) async fn credentials(
    profiles: &Profiles,
    profile: &str,
    options: &Options,
) -> Result<Option<Credentials>, Cause> {
    let (Some(account), Some(role)) =
        (profiles.get(profile, "sso_account_id"), profiles.get(profile, "sso_role_name"))
    else {
        return Ok(None);
    };
    let (Some(region), Some(url)) =
        (profiles.of_session(profile, "sso_region"), profiles.of_session(profile, "sso_start_url"))
    else {
        let text = format!("the profile {profile} has no sso_region and no sso_start_url");
        return Err(Cause::new(text));
    };
    // The file has the name of the session, or that of the address, in a form without slashes.
    let named = profiles.get(profile, "sso_session").unwrap_or(url);
    let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, named.as_bytes());
    let file = format!("{}.json", hex(sum.as_ref()));
    let path = options.sso_cache.as_deref().unwrap_or(Path::new("")).join(file);
    let token = token(&path)?;

    let address = format!("https://portal.sso.{region}.amazonaws.com");
    let failed = |text: String| Cause::new(format!("single sign-on: {address}: {text}"));
    let portal = Connection::new(&address, PATIENCE).map_err(|cause| failed(cause.to_string()))?;
    let escaped = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let (role, account) = (escaped(role), escaped(account));
    let target = format!("/federation/credentials?role_name={role}&account_id={account}");
    let answer = portal
        .send(
            (&options.tls, &options.proxies),
            ("GET", &target),
            &[("x-amz-sso_bearer_token", &token)],
            Vec::new(),
        )
        .await
        .map_err(|cause| failed(cause.to_string()))?;
    if !answer.is_success() {
        return Err(failed(answer.words()).advised((answer.status == 401).then_some(LOG_IN)));
    }
    of_role(&answer.body).map(Some).ok_or_else(|| failed("it gives no credentials".to_owned()))
}

/// The token in a file of the cache.
fn token(path: &Path) -> Result<String, Cause> {
    let bytes = read_regular(path)
        .map_err(|error| Cause::new(file_error_text("open", path, &error)).advised(Some(LOG_IN)))?;
    let document = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let expires = text("expiresAt").and_then(moment);
    match text("accessToken") {
        Some(token) if expires.is_none_or(|expires| expires > SystemTime::now()) => {
            Ok(token.to_owned())
        }
        _ => Err(Cause::new(format!("the token in {} has expired", path.display()))
            .advised(Some(LOG_IN))),
    }
}

/// The credentials in the answer of the portal, whose expiry is in milliseconds.
fn of_role(body: &[u8]) -> Option<Credentials> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let role = document.get("roleCredentials")?;
    let text = |name: &str| Some(role.get(name)?.as_str()?.to_owned());
    let expires = role.get("expiration").and_then(Value::as_u64);
    Some(Credentials {
        access_key_id: text("accessKeyId")?,
        secret_access_key: text("secretAccessKey")?,
        token: text("sessionToken"),
        expires: expires.map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_missing_or_expired_asks_for_a_login() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        let cause = token(&path).unwrap_err().to_string();
        assert!(cause.ends_with("no such file or directory (log in again with: aws sso login)"));
        let write = |until: &str| {
            let text = format!(r#"{{"accessToken":"hunter2","expiresAt":"{until}"}}"#);
            std::fs::write(&path, text).unwrap();
        };
        write("2020-01-01T00:00:00Z");
        let cause = token(&path).unwrap_err().to_string();
        assert!(cause.contains("has expired (log in again") && !cause.contains("hunter2"));
        write("2999-01-01T00:00:00Z");
        assert_eq!(token(&path).unwrap(), "hunter2");
    }

    #[test]
    fn the_answer_of_the_portal_has_credentials_that_expire() {
        let answer = br#"{"roleCredentials":{"accessKeyId":"A","secretAccessKey":"B",
                          "sessionToken":"C","expiration":1000}}"#;
        let found = of_role(answer).unwrap();
        assert_eq!(found.expires, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1)));
        assert_eq!(of_role(b"{}"), None);
    }
}
