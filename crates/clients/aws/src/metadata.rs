//! The metadata that an instance of EC2 has about itself, by the second version of their protocol.

use std::time::Duration;

use nodes::proxy::Proxies;
use nodes::{Attempt, Cause, Error};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::Credentials;
use crate::connection::{Answer, Connection};
use crate::options::MetadataPlace;

/// The name in errors.
const NAME: &str = "imds";

/// How long the instance may take. It answers from the same machine.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));

/// The lifetime of a token, in seconds.
const LIFETIME: &str = "21600";

const ROLES: &str = "meta-data/iam/security-credentials/";

/// The metadata of the instance.
#[derive(Debug)]
pub struct Metadata {
    place: MetadataPlace,
    connection: Result<Connection, Cause>,
    /// The token that each request must show.
    token: Mutex<Option<String>>,
}

impl Metadata {
    /// The metadata at this place. Nothing is asked yet.
    pub fn new(place: MetadataPlace) -> Self {
        let connection = Connection::new(&place.address, PATIENCE);
        Metadata { place, connection, token: Mutex::new(None) }
    }

    /// What is at a path below `latest`, such as `meta-data/instance-id`; `None` if nothing is.
    ///
    /// # Errors
    /// The metadata do not answer, or refuse.
    pub async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        if self.place.disabled {
            let reason = "the instance metadata are turned off by AWS_EC2_METADATA_DISABLED";
            return Err(Error::Prerequisite { store: NAME, reason: Cause::new(reason) });
        }
        let answer = self.answer(path).await.map_err(|cause| self.unreachable(cause))?;
        match answer.status {
            _ if answer.is_success() => Ok(Some(answer.body)),
            404 => Ok(None),
            500.. => Err(self.unreachable(Cause::new(answer.words()))),
            _ => Err(Error::Refused {
                store: NAME,
                node: self.place.address.clone(),
                reason: Cause::new(answer.words()),
            }),
        }
    }

    fn unreachable(&self, cause: Cause) -> Error {
        let node = nodes::address::shown(&self.place.address);
        Error::Unreachable { store: NAME, attempts: vec![Attempt { node, cause }] }
    }

    async fn answer(&self, path: &str) -> Result<Answer, Cause> {
        let connection = self.connection.as_ref().map_err(Cause::clone)?;
        let path = format!("/latest/{path}");
        let mut token = self.token.lock().await;
        for is_last in [false, true] {
            let current = match token.clone() {
                Some(token) => token,
                None => token.insert(new_token(connection).await?).clone(),
            };
            let headers = [("x-aws-ec2-metadata-token", current.as_str())];
            let answer = send(connection, ("GET", &path), &headers).await?;
            if answer.status != 401 || is_last {
                return Ok(answer);
            }
            // The token has expired.
            *token = None;
        }
        Err(Cause::new("the token was refused twice"))
    }

    /// The region of the instance.
    pub(crate) async fn region(&self) -> Result<Option<String>, Error> {
        let region = self.get("meta-data/placement/region").await?;
        Ok(region.map(|bytes| text(&bytes)).filter(|region| !region.is_empty()))
    }

    /// The credentials of the role of the instance; `None` if it has no role.
    pub(crate) async fn credentials(&self) -> Result<Option<Credentials>, Error> {
        let Some(roles) = self.get(ROLES).await? else { return Ok(None) };
        let roles = text(&roles);
        let Some(role) = roles.lines().next().filter(|role| !role.is_empty()) else {
            return Ok(None);
        };
        let document = self.get(&format!("{ROLES}{role}")).await?.unwrap_or_default();
        let document = serde_json::from_slice(&document).unwrap_or(Value::Null);
        Credentials::of_json(&document, "Token").map(Some).ok_or_else(|| {
            let code = document.get("Code").and_then(Value::as_str).unwrap_or("no JSON");
            self.unreachable(Cause::new(format!("no credentials for the role {role}: {code}")))
        })
    }
}

async fn new_token(connection: &Connection) -> Result<String, Cause> {
    let headers = [("x-aws-ec2-metadata-token-ttl-seconds", LIFETIME)];
    let answer =
        send(connection, ("PUT", "/latest/api/token"), &headers).await.map_err(|cause| {
            let advice = "is this an instance of EC2? In a container of one, the hop limit of the \
                      metadata has to be 2";
            cause.advised(Some(advice))
        })?;
    match answer.is_success() {
        true => Ok(text(&answer.body)),
        false => Err(Cause::new(format!("it gives no token: {}", answer.words()))),
    }
}

async fn send(
    connection: &Connection,
    request: (&str, &str),
    headers: &[(&str, &str)],
) -> Result<Answer, Cause> {
    let plain = (&tls::Options::default(), &Proxies::default());
    connection.send(plain, request, headers, Vec::new()).await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
