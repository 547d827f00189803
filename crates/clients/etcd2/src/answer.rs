//! What a node answers: pairs, or why there is no result.

use bytes::Bytes;
use nodes::{Cause, CauseKind};
use reqwest::Response;
use serde_json::Value;

use crate::Options;

/// The code of an answer about a key that does not exist.
const KEY_NOT_FOUND: u64 = 100;

/// The code of an answer about events that the node no longer has.
const EVENTS_GONE: u64 = 401;

/// The header with the number of changes that the store has seen.
const INDEX: &str = "x-etcd-index";

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The number of changes that the store has seen.
    pub(crate) index: u64,
    body: Value,
    /// The words of a body that is no JSON.
    words: String,
}

impl Answer {
    pub(crate) fn new(status: u16, index: u64, body: &[u8]) -> Self {
        let (body, words) = match serde_json::from_slice(body) {
            Ok(document) => (document, String::new()),
            Err(_) => (Value::Null, client_http::words(body)),
        };
        Answer { status, index, body, words }
    }

    /// Whether the key that was asked for does not exist.
    pub(crate) fn is_missing(&self) -> bool {
        self.code() == Some(KEY_NOT_FOUND)
    }

    /// Whether the node no longer has the events that were asked for.
    pub(crate) fn lacks_events(&self) -> bool {
        self.code() == Some(EVENTS_GONE)
    }

    fn code(&self) -> Option<u64> {
        self.body["errorCode"].as_u64()
    }

    /// Why there is no result.
    pub(crate) fn cause(&self, options: &Options) -> Cause {
        let text = |name: &str| self.body[name].as_str().unwrap_or_default();
        let said = match (text("message"), text("cause")) {
            ("", _) => self.words.clone(),
            (message, "") => message.to_owned(),
            (message, cause) => format!("{message}: {cause}"),
        };
        let cause = Cause::new(format!("{said} ({})", self.status).trim_start());
        match self.status {
            _ if self.is_missing() => cause.of_kind(CauseKind::Missing),
            404 if self.code().is_none() => cause.advised(options.without_v2),
            401 | 403 if options.user.is_none() => {
                cause.of_kind(CauseKind::Credentials).advised(options.without_user)
            }
            401 => cause.of_kind(CauseKind::Credentials),
            _ => cause,
        }
    }

    /// The pairs of a listing, as etcd spells the keys; `None` if this is no listing. Folders are no
    /// pairs.
    pub(crate) fn pairs(&self) -> Option<Vec<(Bytes, Bytes)>> {
        let mut pairs = Vec::new();
        let mut pending = vec![self.body["node"].as_object()?];
        while let Some(node) = pending.pop() {
            let text = |name: &str| node.get(name).and_then(Value::as_str);
            if let (Some(key), Some(value)) = (text("key"), text("value")) {
                pairs.push((key.to_owned().into(), value.to_owned().into()));
            }
            let below = node.get("nodes").and_then(Value::as_array);
            pending.extend(below.into_iter().flatten().filter_map(Value::as_object));
        }
        Some(pairs)
    }
}

/// The number of changes that the store has seen.
pub(crate) fn index(response: &Response) -> u64 {
    let header = response.headers().get(INDEX).and_then(|value| value.to_str().ok());
    header.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer::new(status, 7, body.as_bytes())
    }

    #[test]
    fn a_listing_is_its_values_and_not_its_folders() {
        let listing = answer(
            200,
            r#"{"action":"get","node":{"dir":true,"nodes":[
                {"key":"/a","dir":true,"nodes":[{"key":"/a/b","value":"1"}]},
                {"key":"/c","value":""},{"key":"/empty","dir":true}]}}"#,
        );
        let mut pairs = listing.pairs().unwrap();
        pairs.sort_unstable();
        assert_eq!(pairs, [("/a/b".into(), "1".into()), ("/c".into(), "".into())]);
        assert_eq!(answer(200, "{}").pairs(), None);
    }

    #[test]
    fn an_answer_without_a_result_says_why() {
        let options = Options {
            without_user: Some("give a user"),
            without_v2: Some("switch it on"),
            ..Options::default()
        };
        let missing =
            answer(404, r#"{"errorCode":100,"message":"Key not found","cause":"/a","index":8}"#);
        assert!(missing.is_missing());
        let text = |answer: &Answer| answer.cause(&options).to_string();
        assert_eq!(text(&missing), "Key not found: /a (404)");
        assert_eq!(
            text(&answer(404, "404 page not found")),
            "404 page not found (404) (switch it on)"
        );
        let refused = answer(401, r#"{"errorCode":110,"message":"No","cause":""}"#);
        assert_eq!(text(&refused), "No (401) (give a user)");
        assert!(answer(400, r#"{"errorCode":401}"#).lacks_events());
    }
}
