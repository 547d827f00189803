//! The HTTP connections to one address.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use client_http::chain;
use nodes::body::Bounds;
use nodes::proxy::Proxies;
use nodes::{Cause, Error, address};
use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderValue};
use tokio::time::timeout;

/// The form of an address.
const FORM: &str = "not an address of the form http://HOST:PORT or https://HOST:PORT";

/// An address, and the connections to it.
#[derive(Debug)]
pub struct Connection {
    base: String,
    /// The host as HTTP names it: with the port, if that is not the usual one.
    host: String,
    name: String,
    port: u16,
    /// What stands before the path of each request.
    path: String,
    over_https: bool,
    /// How long a new connection may take, and then the beginning of an answer.
    patience: (Duration, Duration),
    client: OnceLock<Client>,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What an answer without success says.
    pub fn words(&self) -> String {
        match client_http::words(&self.body) {
            words if words.is_empty() => self.status.to_string(),
            words => format!("{words} ({})", self.status),
        }
    }
}

impl Connection {
    /// The connections to `http://HOST:PORT/PATH` or `https://HOST:PORT/PATH`, which may take
    /// `patience` to be open, and then to begin an answer.
    ///
    /// # Errors
    /// The text is no such address.
    pub fn new(base: &str, patience: (Duration, Duration)) -> Result<Self, Cause> {
        let no_address = || Cause::new(FORM);
        let (over_https, rest) = match base.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(no_address()),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let usual = if over_https { 443 } else { 80 };
        let (name, port) = address::parse(authority, usual).ok_or_else(no_address)?;
        let name = name.to_ascii_lowercase();
        let host = match port == usual {
            false => address::authority(&name, port),
            true if name.contains(':') => format!("[{name}]"),
            true => name.clone(),
        };
        let path = path.trim_matches('/');
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/%".contains(c);
        if !path.chars().all(allowed) {
            return Err(no_address());
        }
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        let scheme = if over_https { "https" } else { "http" };
        let base = format!("{scheme}://{host}{path}");
        let client = OnceLock::new();
        Ok(Connection { base, host, name, port, path, over_https, patience, client })
    }

    /// The address, as errors name it.
    pub fn address(&self) -> &str {
        &self.base
    }

    /// The value of the header `host`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path of a request, whose own path is `path`.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.path)
    }

    /// Whether the connections are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.over_https
    }

    /// The name or IP address of the host.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sends a request and reads the whole answer. `path` has the parameters behind it.
    ///
    /// # Errors
    /// There is no whole answer, or the connection cannot be prepared by `tls` and `proxies`.
    pub async fn send(
        &self,
        (tls, proxies): (&tls::Options, &Proxies),
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, Cause> {
        let client = self.client(tls, proxies).map_err(|error| Cause::new(error.to_string()))?;
        let method = method.parse().map_err(|_| Cause::new("not a method of HTTP"))?;
        let mut request = client.request(method, format!("{}{path}", self.base)).body(body);
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value).map_err(|_| {
                Cause::new(format!("the header {name} would hold bytes that no header may hold"))
            })?;
            // reqwest keeps it out of its debug output.
            value.set_sensitive(true);
            request = request.header(*name, value);
        }
        let silence = self.patience.0 + self.patience.1;
        let response = match timeout(silence, request.send()).await {
            Ok(sent) => sent.map_err(|error| self.cause(&error))?,
            Err(_) => {
                return Err(Cause::new(format!("no answer within {} seconds", silence.as_secs())));
            }
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body =
            client_http::body(response, Bounds::default(), |error| self.cause(error)).await?;
        Ok(Answer { status, headers, body })
    }

    fn client(&self, tls: &tls::Options, proxies: &Proxies) -> Result<&Client, Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let mut builder = client_http::builder(self.over_https.then_some(tls))?
            .connect_timeout(self.patience.0)
            // Connections that are kept for longer are closed by the services, without a word.
            .pool_idle_timeout(Duration::from_secs(15));
        let proxy = client_http::proxy(proxies, self.over_https, &self.name, self.port)?;
        if let Some(proxy) = proxy {
            builder = builder.proxy(proxy);
        }
        let client =
            builder.build().map_err(|cause| Error::tls(Path::new("HTTP"), chain(&cause)))?;
        Ok(self.client.get_or_init(|| client))
    }

    fn cause(&self, error: &reqwest::Error) -> Cause {
        if error.is_timeout() && error.is_connect() {
            let seconds = self.patience.0.as_secs();
            return Cause::new(format!("no connection within {seconds} seconds"));
        }
        chain(error).advised(tls::advice(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(1));

    #[test]
    fn the_host_has_a_port_only_if_it_is_not_the_usual_one() {
        for (address, host, base) in [
            ("https://SSM.example", "ssm.example", "https://ssm.example"),
            ("https://ssm.example:443/", "ssm.example", "https://ssm.example"),
            ("http://127.0.0.1:80", "127.0.0.1", "http://127.0.0.1"),
            ("http://127.0.0.1:8000", "127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://[fd00:ec2::254]", "[fd00:ec2::254]", "http://[fd00:ec2::254]"),
            ("https://gate.example:8443/aws", "gate.example:8443", "https://gate.example:8443/aws"),
        ] {
            let connection = Connection::new(address, PATIENCE).unwrap();
            assert_eq!((connection.host(), connection.address()), (host, base), "{address}");
        }
    }

    #[test]
    fn other_texts_are_no_addresses() {
        for text in ["", "localhost:8000", "ftp://a", "http://", "http://a/?x", "http://u:p@a"] {
            let cause = Connection::new(text, PATIENCE).unwrap_err();
            assert_eq!(cause.to_string(), FORM, "{text}");
        }
    }
}
