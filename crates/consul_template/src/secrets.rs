//! What templates ask Vault, and how the answers are followed: one task for each question.
//!
//! An answer with a lease is renewed for as long as Vault renews it, and then asked for again. Any other is
//! asked for again after a part of the time that it is good, which is different each time, so that many
//! programs do not ask at the same moment.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use bytes::Bytes;
use client_vault::{Client, Mount, Reply, Request};
use nodes::Error;
use source::queries::Retry;
use tokio::time::{Instant, sleep_until};

/// The part of the threshold by which two pauses differ at most, up or down.
const JITTER: f64 = 0.05;

/// The shortest pause between two questions.
const SHORTEST: Duration = Duration::from_secs(1);

/// A question of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// The secret at a path.
    Read {
        /// The path, without slashes around it.
        path: String,
        /// What follows `?` in the URL; mostly nothing.
        query: String,
    },
    /// What Vault answers when these data are written to a path.
    Write {
        /// The path, without slashes around it.
        path: String,
        /// The data.
        data: BTreeMap<String, String>,
    },
    /// The names below a path.
    List {
        /// The path, without slashes around it.
        path: String,
    },
}

impl Display for Question {
    /// The name in the log, in which no data are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Read { path, query } => {
                let version = query.split('&').find_map(|part| part.strip_prefix("version="));
                match version {
                    Some(version) => write!(f, "vault.read({path}.v{version})"),
                    None => write!(f, "vault.read({path})"),
                }
            }
            Question::Write { path, data } => {
                let lines: Vec<_> =
                    data.iter().map(|(key, value)| format!("{key}={value}")).collect();
                let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, lines.join("\n").as_bytes());
                let first = digest.as_ref().iter().take(4);
                let hex: String = first.map(|byte| format!("{byte:02x}")).collect();
                write!(f, "vault.write({path} -> {hex})")
            }
            Question::List { path } => write!(f, "vault.list({path})"),
        }
    }
}

/// What Vault answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// A secret.
    Secret(Arc<Reply>),
    /// Names, sorted.
    Names(Arc<[Bytes]>),
}

impl Answer {
    /// The texts in a secret, as they are and as Go quotes them. They must not be in a message.
    pub(crate) fn values(&self) -> Vec<String> {
        let Answer::Secret(reply) = self else { return Vec::new() };
        let mut values = Vec::new();
        let data = serde_json::from_str(reply.data().unwrap_or("null"));
        collect(&data.unwrap_or_default(), &mut values);
        let quoted = |value: &String| {
            let quoted = gotmpl::quote(value.as_bytes());
            quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
        };
        let quoted: Vec<_> = values.iter().map(quoted).collect();
        values.extend(quoted);
        values.retain(|value| !value.is_empty());
        // The longest first: a value can be a part of one.
        values.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
        values
    }
}

/// Adds the texts and numbers in JSON.
fn collect(value: &serde_json::Value, values: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => values.push(text.clone()),
        // A short number, such as that of a version, would hide the places in messages.
        serde_json::Value::Number(number) => {
            values.extend(Some(number.to_string()).filter(|text| text.len() > 3));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| collect(value, values)),
        serde_json::Value::Object(fields) => {
            fields.values().for_each(|value| collect(value, values));
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) => {}
    }
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Why.
    pub(crate) cause: String,
    /// How many attempts have failed one after the other, this one included.
    pub(crate) attempt: u32,
    /// When the question is asked again; `None` if it is not.
    pub(crate) again: Option<Duration>,
}

/// Vault, and how it is asked.
pub(crate) struct Link {
    pub(crate) client: Arc<Client>,
    pub(crate) retry: Retry,
    /// Whether each question is asked until its first answer only.
    pub(crate) once: bool,
    /// How long an answer is good for which Vault does not say it.
    pub(crate) default_lease: Duration,
    /// The part of that time after which the question is asked again.
    pub(crate) threshold: f64,
}

impl Link {
    /// Asks until the task ends, and reports each new answer and each failed attempt. `report` returns
    /// false if there is no one to report to.
    pub(crate) async fn follow(
        self: Arc<Self>,
        asked: Arc<Question>,
        report: impl Fn(Result<Answer, Failed>) -> bool,
    ) {
        let (mut attempt, mut last) = (0, None);
        loop {
            let answer = match self.ask(&asked).await {
                Ok(answer) => answer,
                Err(cause) => {
                    attempt += 1;
                    let again = self.retry.after(attempt);
                    if !report(Err(Failed { cause, attempt, again })) {
                        return;
                    }
                    let Some(pause) = again else { return };
                    sleep_until(Instant::now() + pause).await;
                    continue;
                }
            };
            attempt = 0;
            let is_new = last.as_ref() != Some(&answer);
            if is_new && !report(Ok(answer.clone())) || self.once {
                return;
            }
            self.wait(&answer).await;
            last = Some(answer);
        }
    }

    async fn ask(&self, asked: &Question) -> Result<Answer, String> {
        let failed = |error: Error| error.to_string();
        let path = match asked {
            Question::Read { path, .. }
            | Question::Write { path, .. }
            | Question::List { path } => path,
        };
        let mount = self.client.mount(path).await.map_err(failed)?;
        let absent = || format!("no secret exists at {}", mount.spelled("data", path));
        match asked {
            Question::Read { query, .. } => {
                let request = Request::get(mount.spelled("data", path)).with_query(query);
                let reply = self.client.read(&request).await.map_err(failed)?;
                let reply = reply.filter(|reply| reply.data().is_some() || reply.auth.is_some());
                reply.map(|reply| Answer::Secret(Arc::new(reply))).ok_or_else(absent)
            }
            Question::Write { data, .. } => {
                let (path, body) = (mount.spelled("data", path), body(&mount, path, data));
                let reply = self.client.write(&path, body).await.map_err(failed)?;
                // Only an engine with versions says what it has written.
                let nothing = (!mount.is_versioned()).then(Reply::default);
                let reply = reply.or(nothing);
                reply.map(|reply| Answer::Secret(Arc::new(reply))).ok_or_else(absent)
            }
            Question::List { .. } => {
                let names = self.client.list(&mount.spelled("metadata", path)).await;
                let mut names = names.map_err(failed)?.unwrap_or_default();
                names.sort_unstable();
                Ok(Answer::Names(names.into_iter().map(Bytes::from).collect()))
            }
        }
    }

    /// Waits until the question has to be asked again.
    async fn wait(&self, answer: &Answer) {
        let reply = match answer {
            Answer::Secret(reply) => reply,
            Answer::Names(_) => return sleep_until(Instant::now() + self.default_lease).await,
        };
        let mut lease = reply.lease();
        if reply.renewable && !reply.lease_id.is_empty() {
            while let Some(lasts) = lease {
                sleep_until(Instant::now() + (lasts * 2 / 3).max(SHORTEST)).await;
                let renewed = self.client.renew(&reply.lease_id).await;
                let renewed = renewed.ok().flatten().and_then(|renewed| renewed.lease());
                // At the end of its longest life a lease grows no more.
                lease = renewed.filter(|renewed| *renewed >= lasts * 2 / 3);
            }
            return;
        }
        let lasts = lease.unwrap_or(self.default_lease);
        let jitter = JITTER * fastrand::f64().mul_add(2.0, -1.0);
        let pause = lasts.mul_f64((self.threshold + jitter).clamp(0.0, 1.0));
        sleep_until(Instant::now() + pause.max(SHORTEST)).await;
    }
}

/// The body of a request that writes these data.
fn body(mount: &Mount, path: &str, data: &BTreeMap<String, String>) -> Vec<u8> {
    let data = serde_json::json!(data);
    match mount.adds_part(path) {
        true => serde_json::json!({ "data": data }),
        false => data,
    }
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_question_shows_no_data() {
        let read = |query: &str| Question::Read { path: "secret/a".into(), query: query.into() };
        assert_eq!(read("").to_string(), "vault.read(secret/a)");
        assert_eq!(read("version=2").to_string(), "vault.read(secret/a.v2)");
        let data = BTreeMap::from([("password".to_owned(), "hunter2".to_owned())]);
        let name = Question::Write { path: "auth/x".into(), data }.to_string();
        assert!(name.starts_with("vault.write(auth/x -> ") && !name.contains("hunter2"), "{name}");
    }
}
