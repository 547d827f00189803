//! Checks of a process: whether it answers.

use std::time::Duration;

use command::{Command, Program};
use nodes::address;
use tokio::time::timeout;

use crate::registry::Health;

/// The most of a command's output that is passed on, in bytes.
const OUTPUT: usize = 500;

/// A check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    /// The port accepts connections.
    Tcp {
        /// A name or an IP address.
        host: String,
        /// The port.
        port: u16,
    },
    /// The URL is answered with a status from 200 to 399.
    Http(String),
    /// The shell's text ends with exit status 0.
    Command(String),
}

impl Probe {
    /// Parses `tcp`, `http:/PATH`, `https:/PATH`, a whole URL, or `cmd:TEXT`, for a service at this
    /// address. `none` is no check.
    ///
    /// # Errors
    /// The text has another form.
    pub(crate) fn parse(text: &str, host: &str, port: u16) -> Result<Option<Probe>, String> {
        let authority = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        Ok(Some(match text.split_once(':') {
            None if text == "none" => return Ok(None),
            None if text == "tcp" => Probe::Tcp { host: host.to_owned(), port },
            Some(("cmd", command)) => Probe::Command(command.to_owned()),
            Some(("http" | "https", rest)) if rest.starts_with("//") => {
                Probe::Http(text.to_owned())
            }
            Some((scheme @ ("http" | "https"), path)) if path.starts_with('/') => {
                Probe::Http(format!("{scheme}://{authority}{path}"))
            }
            _ => {
                let forms = "tcp, http:/PATH, https:/PATH, cmd:COMMAND or none";
                return Err(format!("the check {text:?} has none of the forms {forms}"));
            }
        }))
    }

    /// What it looks at, for people.
    fn shown(&self) -> String {
        match self {
            Probe::Tcp { host, port } if host.contains(':') => format!("tcp [{host}]:{port}"),
            Probe::Tcp { host, port } => format!("tcp {host}:{port}"),
            Probe::Http(url) => address::shown(url),
            Probe::Command(text) => format!("cmd:{text}"),
        }
    }

    async fn run(&self, limit: Duration) -> Result<(), String> {
        let late = |_| format!("no answer within {limit:?}");
        match self {
            Probe::Tcp { host, port } => {
                let connected = timeout(limit, names::connect(host, *port)).await.map_err(late)?;
                connected.map(|_| ()).map_err(|error| report::errno_text(&error))
            }
            Probe::Http(url) => timeout(limit, get(url)).await.map_err(late)?,
            Probe::Command(text) => {
                let command = Command::new(Program::Shell(text.into())).limit(Some(limit));
                let ended = command.run(&|_| ()).await;
                ended.result.map_err(|error| {
                    let output = ended.output.to_string();
                    let end = output.floor_char_boundary(OUTPUT);
                    format!("{error}: {}", output[..end].trim())
                })
            }
        }
    }
}

/// Runs all checks, one after the other, each with this limit.
pub(crate) async fn all(probes: &[Probe], limit: Duration) -> Health {
    for probe in probes {
        if let Err(why) = probe.run(limit).await {
            return Health::Failing(format!("{}: {why}", probe.shown()));
        }
    }
    Health::Passing("the process answers".to_owned())
}

async fn get(url: &str) -> Result<(), String> {
    // The process is on this machine, and its certificate is seldom for that name.
    let tls = tls::Options { insecure: true, ..tls::Options::default() };
    let tls = url.starts_with("https:").then_some(&tls);
    let client = client_http::builder(tls).map_err(|error| error.to_string())?;
    let client = client.build().map_err(|error| error.to_string())?;
    let answer = client.get(url).send().await;
    let answer = answer.map_err(|error| client_http::chain(&error).to_string())?;
    match answer.status().as_u16() {
        200..=399 => Ok(()),
        status => Err(format!("the answer has status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_has_one_of_five_forms() {
        let parse = |text: &str| Probe::parse(text, "127.0.0.1", 80).unwrap();
        assert_eq!(parse("none"), None);
        assert_eq!(parse("tcp"), Some(Probe::Tcp { host: "127.0.0.1".into(), port: 80 }));
        assert_eq!(parse("http:/h"), Some(Probe::Http("http://127.0.0.1:80/h".into())));
        assert_eq!(parse("https://x/h"), Some(Probe::Http("https://x/h".into())));
        assert_eq!(parse("cmd:a b: c"), Some(Probe::Command("a b: c".into())));
        for text in ["udp", "http:h", "", "ping:x"] {
            assert!(Probe::parse(text, "h", 1).unwrap_err().contains("http:/PATH"), "{text}");
        }
    }
}
