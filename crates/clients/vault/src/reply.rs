//! What Vault answers.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The answer to a request: data, a lease on it, or a token.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// The number of the request.
    pub request_id: String,
    /// The lease on the data; empty if there is none.
    pub lease_id: String,
    /// How long the data are good, in seconds; 0 if Vault does not say it.
    pub lease_duration: u64,
    /// Whether the lease can be renewed.
    pub renewable: bool,
    /// The data, as JSON.
    pub data: Option<Box<RawValue>>,
    /// What a person should know.
    pub warnings: Option<Vec<String>>,
    /// A token, after a login.
    pub auth: Option<Auth>,
    /// Where the answer is, if it was wrapped.
    pub wrap_info: Option<WrapInfo>,
}

impl Reply {
    /// The data as JSON; `None` if there are none.
    pub fn data(&self) -> Option<&str> {
        self.data.as_deref().map(RawValue::get).filter(|data| *data != "null")
    }

    /// How long the data are good; `None` if Vault does not say it.
    pub fn lease(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.lease_duration)).filter(|lease| !lease.is_zero())
    }
}

impl fmt::Debug for Reply {
    /// Shows no value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("request_id", &self.request_id)
            .field("lease_duration", &self.lease_duration)
            .field("renewable", &self.renewable)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Reply {
    /// Whether both have the same data and lease. Each request has a number of its own.
    fn eq(&self, other: &Self) -> bool {
        let of = |reply: &Self| (reply.lease_duration, reply.renewable);
        self.data() == other.data() && self.lease_id == other.lease_id && of(self) == of(other)
    }
}

/// A token, and what is known of it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Auth {
    /// The token.
    pub client_token: String,
    /// Its other name, by which it can be revoked.
    pub accessor: String,
    /// The policies.
    pub policies: Option<Vec<String>>,
    /// How long the token lives, in seconds; 0 if it has no end.
    pub lease_duration: u64,
    /// Whether it can be renewed.
    pub renewable: bool,
}

impl fmt::Debug for Auth {
    /// Shows no token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("lease_duration", &self.lease_duration).finish_non_exhaustive()
    }
}

/// Where a wrapped answer is.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct WrapInfo {
    /// The token that gives the answer, once.
    pub token: String,
    /// How long it lives, in seconds.
    pub ttl: u64,
    /// When it was made.
    pub creation_time: String,
    /// The other name of the token inside.
    pub wrapped_accessor: String,
}

/// What Vault says about a request without a result, in one line.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Complaint {
    errors: Vec<String>,
    warnings: Vec<String>,
}

/// The texts of an answer without a result. `words` are those of a body that is not Vault's.
pub(crate) fn complaint(body: &[u8]) -> String {
    let Complaint { errors, .. } = serde_json::from_slice(body).unwrap_or_default();
    let one_line = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match errors.is_empty() {
        true if body.starts_with(b"{") => String::new(),
        true => client_http::words(body),
        false => errors.iter().map(one_line).collect::<Vec<_>>().join(", "),
    }
}

/// Whether the answer says that the path belongs to a secrets engine with versions, whose paths have one
/// more part.
pub(crate) fn is_versioned(body: &[u8]) -> bool {
    let Complaint { warnings, .. } = serde_json::from_slice(body).unwrap_or_default();
    warnings.iter().any(|warning| warning.contains("versioned K/V"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_secret() {
        let text = r#"{"lease_id":"database/creds/hunter2","data":{"password":"hunter2"},
            "auth":{"client_token":"hunter2","lease_duration":3}}"#;
        let reply: Reply = serde_json::from_str(text).unwrap();
        assert!(!format!("{reply:?} {:?}", reply.auth).contains("hunter2"));
        assert_eq!(reply.data(), Some(r#"{"password":"hunter2"}"#));
    }

    #[test]
    fn a_complaint_is_one_line() {
        let body = br#"{"errors":["1 error occurred:\n\t* permission denied\n\n","x"]}"#;
        assert_eq!(complaint(body), "1 error occurred: * permission denied, x");
        assert_eq!(complaint(br#"{"errors":[]}"#), "");
        assert_eq!(complaint(b"Bad\n gateway"), "Bad gateway");
    }
}
