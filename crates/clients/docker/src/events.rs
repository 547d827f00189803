//! The events of containers, as a stream of JSON objects.

use std::fmt;
use std::mem;

use client_http::chain;
use nodes::Error;
use reqwest::Response;
use serde::Deserialize;

use crate::Address;
use crate::engine::unreachable;

/// What the engine is asked to send. `died` is what Podman calls the end of a container.
pub(crate) const FILTERS: &str =
    r#"{"type":["container"],"event":["start","die","died","health_status"]}"#;

/// The longest event that is read, in bytes. An event has all labels of its container.
const LONGEST: usize = 4 << 20;

/// The stream of events. It ends when the engine ends.
pub struct Events {
    response: Response,
    address: Address,
    /// What has arrived and was not returned yet.
    buffer: Vec<u8>,
    /// Whether the buffer has the rest of an event that is too long.
    is_too_long: bool,
}

/// The time of an event by the engine's clock, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// What happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It was started.
    Start,
    /// It has ended, with this exit code where the engine says so.
    Die(Option<i64>),
    /// Its health check has this result: `healthy` or another word.
    Health(String),
    /// Something else.
    Other,
}

/// An event of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The container's id.
    pub container: String,
    /// What happened.
    pub action: Action,
    /// When it happened.
    pub at: Moment,
}

impl Moment {
    /// Parses a time in the form of inspected containers: `2026-01-31T12:00:00.123456789Z`. `None` for
    /// another form, and for times before 1970: the engine writes the year 1 for "never".
    pub fn parse(text: &str) -> Option<Moment> {
        let time: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(time.as_nanosecond()).ok().map(Moment)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NANOSECONDS: u64 = 1_000_000_000;
        write!(f, "{}.{:09}", self.0 / NANOSECONDS, self.0 % NANOSECONDS)
    }
}

impl Events {
    pub(crate) fn new(response: Response, address: Address) -> Self {
        Events { response, address, buffer: Vec::new(), is_too_long: false }
    }

    /// The next event; `None` if the engine has ended the stream. A call that is dropped loses
    /// nothing. An event of more than 4 MiB is skipped: as an error it would come again, because a
    /// new stream begins with the events that were not returned yet.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let line = mem::replace(&mut self.buffer, rest);
                if !mem::take(&mut self.is_too_long)
                    && let Some(event) = parse(&line)
                {
                    return Ok(Some(event));
                }
                continue;
            }
            if self.buffer.len() > LONGEST {
                self.buffer.clear();
                self.is_too_long = true;
            }
            match self.response.chunk().await {
                Ok(Some(part)) => self.buffer.extend_from_slice(&part),
                Ok(None) => return Ok(None),
                Err(error) => return Err(unreachable(&self.address, chain(&error))),
            }
        }
    }
}

/// The event in a line. `None` for an empty line, and for one that is no event of a container.
fn parse(line: &[u8]) -> Option<Event> {
    /// The event as engines send it. `status` and `id` are of old engines, and new ones do not
    /// send them.
    #[derive(Deserialize)]
    struct Sent {
        #[serde(rename = "Type", default)]
        kind: String,
        #[serde(rename = "Action", default)]
        action: String,
        #[serde(rename = "Actor", default)]
        actor: Actor,
        #[serde(default)]
        status: String,
        #[serde(default)]
        id: String,
        #[serde(rename = "timeNano", default)]
        nanoseconds: u64,
    }

    #[derive(Default, Deserialize)]
    struct Actor {
        #[serde(rename = "ID", default)]
        id: String,
        #[serde(rename = "Attributes", default)]
        attributes: serde_json::Value,
    }

    let sent: Sent = serde_json::from_slice(line).ok()?;
    if !matches!(&sent.kind[..], "container" | "") {
        return None;
    }
    let either = |new: String, old: String| if new.is_empty() { old } else { new };
    let code = |name| {
        let code = sent.actor.attributes.get(name)?;
        code.as_i64().or_else(|| code.as_str()?.parse().ok())
    };
    let text = |name| {
        let value = sent.actor.attributes.get(name).and_then(|value| value.as_str());
        value.unwrap_or_default().to_owned()
    };
    let action = match &either(sent.action, sent.status)[..] {
        "start" => Action::Start,
        "die" | "died" => Action::Die(code("exitCode").or_else(|| code("containerExitCode"))),
        // Podman has the result in an attribute.
        "health_status" => Action::Health(text("health_status")),
        action => match action.strip_prefix("health_status: ") {
            Some(health) => Action::Health(health.to_owned()),
            None => Action::Other,
        },
    };
    let container = either(sent.actor.id, sent.id);
    Some(Event { container, action, at: Moment(sent.nanoseconds) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Option<(String, Action, String)> {
        let event = parse(text.as_bytes())?;
        Some((event.container, event.action, event.at.to_string()))
    }

    #[test]
    fn an_event_is_read_from_the_fields_of_new_engines_and_of_old_ones() {
        let new = r#"{"Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":
            {"exitCode":"137","image":"nginx"}},"time":17,"timeNano":17000000042}"#;
        let died = Action::Die(Some(137));
        assert_eq!(event(new), Some(("c1".into(), died, "17.000000042".into())));
        let old = r#"{"status":"start","id":"c1","from":"nginx","time":17,"timeNano":17000000000}"#;
        assert_eq!(event(old), Some(("c1".into(), Action::Start, "17.000000000".into())));
    }

    #[test]
    fn health_and_other_actions_are_distinguished() {
        let of = |action: &str| {
            event(&format!(r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"c"}}}}"#))
                .map(|(_, action, _)| action)
        };
        assert_eq!(of("health_status: unhealthy"), Some(Action::Health("unhealthy".into())));
        assert_eq!(of("died"), Some(Action::Die(None)));
        assert_eq!(of("exec_start: true"), Some(Action::Other));
    }

    #[test]
    fn what_is_no_event_of_a_container_is_passed_over() {
        assert_eq!(event(r#"{"Type":"network","Action":"start","Actor":{"ID":"n"}}"#), None);
        assert_eq!(event("\n"), None);
        assert_eq!(event("no JSON"), None);
    }
}
