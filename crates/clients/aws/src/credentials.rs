//! Credentials: whose requests these are.

use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use nodes::Cause;
use serde_json::Value;

/// This time before they expire, credentials are renewed.
const EARLY: Duration = Duration::from_secs(300);

/// The credentials of a user, or temporary ones of a role.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The public name of the key.
    pub access_key_id: String,
    /// The key, which never leaves this machine.
    pub secret_access_key: String,
    /// The token that temporary credentials have.
    pub token: Option<String>,
    /// When they expire; `None` if that is unknown, or never.
    pub expires: Option<SystemTime>,
}

impl Credentials {
    /// The credentials in a JSON answer, whose token has this name. `None` if the answer has none.
    pub(crate) fn of_json(answer: &Value, token: &str) -> Option<Self> {
        let text = |name: &str| Some(answer.get(name)?.as_str()?.to_owned());
        Some(Credentials {
            access_key_id: text("AccessKeyId")?,
            secret_access_key: text("SecretAccessKey")?,
            token: text(token).filter(|token| !token.is_empty()),
            expires: text("Expiration").as_deref().and_then(moment),
        })
    }

    /// Whether they have to be renewed before this moment is used for a request.
    pub(crate) fn must_be_renewed(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| now + EARLY >= expires)
    }

    /// Whether they have expired.
    pub(crate) fn have_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}

impl fmt::Debug for Credentials {
    /// Shows the public name of the key, and never the key or the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// The moment of a text such as `2026-11-30T22:00:00Z`.
pub(crate) fn moment(text: &str) -> Option<SystemTime> {
    Some(text.parse::<Timestamp>().ok()?.into())
}

/// The credentials in a document that `place` has given.
pub(crate) fn of_document(place: &str, body: &[u8], token: &str) -> Result<Credentials, Cause> {
    let document = serde_json::from_slice(body).unwrap_or(Value::Null);
    // The document is not shown: it has the secret.
    Credentials::of_json(&document, token)
        .ok_or_else(|| Cause::new(format!("{place} gives no credentials in JSON")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_renewed_before_they_expire() {
        let now = SystemTime::now();
        let expiring = |after: u64| Credentials {
            access_key_id: "A".to_owned(),
            secret_access_key: "B".to_owned(),
            token: None,
            expires: Some(now + Duration::from_secs(after)),
        };
        assert!(!expiring(600).must_be_renewed(now));
        assert!(expiring(299).must_be_renewed(now) && !expiring(299).have_expired(now));
        assert!(expiring(0).have_expired(now));
        let for_ever = Credentials { expires: None, ..expiring(0) };
        assert!(!for_ever.must_be_renewed(now) && !for_ever.have_expired(now));
    }

    #[test]
    fn neither_key_nor_token_is_shown() {
        let document = br#"{"AccessKeyId":"AKID","SecretAccessKey":"hunter2","Token":"hunter3",
                            "Expiration":"2026-11-30T22:00:00Z"}"#;
        let credentials = of_document("it", document, "Token").unwrap();
        assert_eq!(credentials.expires, moment("2026-11-30T22:00:00Z"));
        let shown = format!("{credentials:?}");
        assert!(shown.contains("AKID") && !shown.contains("hunter"), "{shown}");
        let broken = of_document("it", b"hunter2", "Token").unwrap_err().to_string();
        assert_eq!(broken, "it gives no credentials in JSON");
    }
}
