//! Calls of a service that answers in JSON.

use std::time::{Duration, SystemTime};

use nodes::{Attempt, Cause, CauseKind, Error, address};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::account::prerequisite;
use crate::connection::{Answer, Connection};
use crate::sts::element;
use crate::{Account, Options, Request, Service, sign};

const PATIENCE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(15));

/// The delay before the second try of a call, which doubles up to the last. Jitter shortens each.
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LAST_DELAY: Duration = Duration::from_secs(8);

/// The codes of a service that takes no more requests now.
const BUSY: [&str; 11] = [
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// The codes of a service that does not accept the credentials. New ones may be accepted.
const CREDENTIALS: [&str; 7] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// A client of one service.
#[derive(Debug)]
pub struct Client {
    service: &'static Service,
    account: Account,
    place: OnceCell<Place>,
}

/// Where the service is asked.
#[derive(Debug)]
struct Place {
    connection: Connection,
    region: String,
}

/// Why a call has no result.
#[derive(Debug)]
pub enum CallError {
    /// The service refused.
    Refused {
        /// Its word for the reason, such as `ParameterNotFound`.
        code: String,
        /// The whole error.
        error: Error,
    },
    /// The service did not answer, or could not be asked.
    Failed(Error),
}

impl CallError {
    /// Whether the service refused with this code.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, CallError::Refused { code, .. } if code == wanted)
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        let (CallError::Refused { error, .. } | CallError::Failed(error)) = error;
        error
    }
}

/// What an answer without success means for the next try.
enum Problem {
    /// The service is busy or has a fault.
    Busy(Cause),
    /// The credentials are not accepted.
    Credentials(String, Cause),
    /// The call is refused.
    Refused(String, Cause),
}

impl Client {
    /// A client of a service. Nothing is asked and no file is read yet.
    pub fn new(service: &'static Service, options: Options) -> Self {
        Client { service, account: Account::new(options), place: OnceCell::new() }
    }

    /// Calls an operation of the service, such as `GetParameter`, and returns its answer. A call that
    /// finds the service busy, or does not reach it, is tried again.
    ///
    /// # Errors
    /// The service refuses or does not answer. There are no credentials, or no region is known.
    pub async fn call(&self, operation: &str, request: &Value) -> Result<Value, CallError> {
        let place = self.place.get_or_try_init(|| self.find_place()).await;
        let place = place.map_err(CallError::Failed)?;
        let target = format!("{}.{operation}", self.service.target);
        let body = request.to_string();
        let (mut tried, mut are_renewed) = (0, false);
        loop {
            tried += 1;
            let credentials = self.account.credentials().await;
            let credentials = credentials
                .map_err(|cause| CallError::Failed(prerequisite(self.service.name, cause)))?;
            let answer = self.send(place, &credentials, &target, body.as_bytes()).await;
            let cause = match answer.map(|answer| self.result(&answer)) {
                Ok(Ok(result)) => return Ok(result),
                Ok(Err(Problem::Refused(code, cause))) => {
                    return Err(self.refused(place, code, cause));
                }
                Ok(Err(Problem::Credentials(code, cause))) => {
                    self.account.forget(&credentials).await;
                    if are_renewed {
                        return Err(self.refused(place, code, cause));
                    }
                    // A file of credentials may have been written again.
                    (are_renewed, tried) = (true, tried - 1);
                    continue;
                }
                Ok(Err(Problem::Busy(cause))) | Err(cause) => cause,
            };
            if tried >= self.account.options().attempts {
                return Err(CallError::Failed(unreachable(self.service, place, cause)));
            }
            debug!("{}: {operation} is tried again: {cause}", self.service.name);
            sleep_until(Instant::now() + delay(tried)).await;
        }
    }

    async fn find_place(&self) -> Result<Place, Error> {
        let prerequisite = |cause| prerequisite(self.service.name, cause);
        let address = self.account.address(self.service).await.map_err(prerequisite)?;
        let region = self.account.region().await.map_err(prerequisite)?.to_owned();
        let connection = Connection::new(&address, PATIENCE).map_err(|cause| {
            let node = address::shown(&address);
            Error::Unreachable { store: self.service.name, attempts: vec![Attempt { node, cause }] }
        })?;
        Ok(Place { connection, region })
    }

    async fn send(
        &self,
        place: &Place,
        credentials: &crate::Credentials,
        target: &str,
        body: &[u8],
    ) -> Result<Answer, Cause> {
        let connection = &place.connection;
        let kind = format!("application/x-amz-json-{}", self.service.version);
        let of_call = [("content-type", kind.as_str()), ("x-amz-target", target)];
        let signed = [("host", connection.host()), of_call[0], of_call[1]];
        let path = connection.path("/");
        let request = Request { method: "POST", path: &path, query: "", headers: &signed, body };
        let added =
            sign(&request, credentials, &place.region, self.service.name, SystemTime::now());
        let mut headers = of_call.to_vec();
        headers.extend(added.iter().map(|(name, value)| (*name, value.as_str())));
        let options = self.account.options();
        let wires = (&options.tls, &options.proxies);
        connection.send(wires, ("POST", "/"), &headers, body.to_vec()).await
    }

    /// The result in an answer.
    fn result(&self, answer: &Answer) -> Result<Value, Problem> {
        let document = serde_json::from_slice::<Value>(&answer.body);
        if answer.is_success() {
            return document.map_err(|_| {
                let text = format!("it does not answer as {} does", self.service.name);
                Problem::Busy(Cause::new(text))
            });
        }
        let document = document.unwrap_or(Value::Null);
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let of_header = answer.headers.get("x-amzn-errortype").and_then(|code| code.to_str().ok());
        let code = text("__type").or(text("code")).or(of_header).unwrap_or_default();
        // `com.amazon.coral.service#AccessDeniedException:http://…`
        let code = code.rsplit('#').next().unwrap_or_default();
        let code = code.split(':').next().unwrap_or_default();
        let message = text("message").or(text("Message"));
        // What stands before a service, such as one that verifies signatures, may answer in XML.
        let body = String::from_utf8_lossy(&answer.body);
        let of_xml = |name| element(&body, name).unwrap_or_default();
        let code = if code.is_empty() { of_xml("Code") } else { code.to_owned() };
        let message = message.map(str::to_owned).or_else(|| element(&body, "Message"));
        let message = message.as_deref();
        let said = match (code.as_str(), message) {
            ("", None) => answer.words(),
            ("", Some(message)) => format!("{message} ({})", answer.status),
            (code, None) => code.to_owned(),
            (code, Some(message)) => format!("{code}: {message}"),
        };
        let cause = Cause::new(said);
        Err(match code.as_str() {
            code if BUSY.contains(&code) || answer.status >= 500 || answer.status == 429 => {
                Problem::Busy(cause.of_kind(CauseKind::TooManyConnections))
            }
            name if CREDENTIALS.contains(&name) => {
                let cause = cause.advised(advice(message.unwrap_or_default()));
                Problem::Credentials(code, cause.of_kind(CauseKind::Credentials))
            }
            _ => Problem::Refused(code, cause),
        })
    }

    fn refused(&self, place: &Place, code: String, reason: Cause) -> CallError {
        let (store, node) = (self.service.name, place.connection.address().to_owned());
        CallError::Refused { code, error: Error::Refused { store, node, reason } }
    }
}

/// What to do about credentials that are not accepted.
fn advice(message: &str) -> Option<&'static str> {
    let is_about_time = message.contains("Signature expired")
        || message.contains("not yet current")
        || message.contains("skewed");
    is_about_time.then_some("the clock of this machine is wrong")
}

fn unreachable(service: &Service, place: &Place, cause: Cause) -> Error {
    let node = place.connection.address().to_owned();
    Error::Unreachable { store: service.name, attempts: vec![Attempt { node, cause }] }
}

/// The delay after this many tries: a random time between half of the full delay and all of it.
fn delay(tried: u32) -> Duration {
    let full = FIRST_DELAY.saturating_mul(1 << (tried - 1).min(10)).min(LAST_DELAY);
    full.mul_f64(f64::midpoint(1.0, fastrand::f64()))
}
