//! One listing: its request, and the meaning of the answer.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::StatusCode;
use serde::Deserialize;

use client_consul::{Consistency, Head, Options, path_of};
use nodes::Cause;

use super::group::Group;

/// The pairs of a group at an index.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing {
    /// The index up to which the group has this content.
    pub(super) index: u64,
    /// The listed pairs that are asked for, sorted by key.
    pub(super) pairs: Vec<(Bytes, Bytes)>,
    /// Whether the token hid keys.
    pub(super) filtered: bool,
    /// Whether requests without a token may read nothing.
    pub(super) wants_token: bool,
}

/// Why an answer contains no listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The node cannot answer now, or is not a Consul.
    Unavailable(Cause),
    /// The answer is older than allowed.
    TooStale,
    /// The node refuses, and every other node would refuse too.
    Refused(Cause),
}

/// The path and query of the URL that lists a group. With an index and a wait, the answer comes
/// after a change beyond the index, or after the wait.
pub(super) fn target(
    options: &Options,
    consistency: Consistency,
    group: &Group,
    beyond: Option<(u64, Duration)>,
) -> String {
    let head = group.head.strip_prefix(b"/").unwrap_or(&group.head);
    let mut target = format!("/v1/kv/{}?recurse=", path_of(head));
    target += mode(consistency);
    target += &options.place();
    if let Some((index, wait)) = beyond {
        let _ = write!(target, "&index={index}&wait={}ms", wait.as_millis());
    }
    target
}

/// The path and query of the URL that waits for a change of a key beyond an index.
pub(super) fn target_of_key(
    options: &Options,
    consistency: Consistency,
    key: &[u8],
    (index, wait): (u64, Duration),
) -> String {
    let (path, wait) = (path_of(key), wait.as_millis());
    let (mode, place) = (mode(consistency), options.place());
    format!("/v1/kv/{path}?index={index}&wait={wait}ms{mode}{place}")
}

/// The parameter that asks for this consistency.
fn mode(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::Default => "",
        Consistency::Consistent => "&consistent=",
        Consistency::Stale(_) => "&stale=",
    }
}

/// Reads an answer about a group.
pub(super) fn read(
    head: &Head,
    body: &[u8],
    consistency: Consistency,
    group: &Group,
) -> Result<Listing, Failure> {
    let refused = || Failure::Refused(head.cause(body));
    let unavailable = || Failure::Unavailable(head.cause(body));
    let found = match head.status {
        StatusCode::OK => true,
        // There is no key below the prefix.
        StatusCode::NOT_FOUND => false,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => return Err(unavailable()),
        status if status.is_client_error() => return Err(refused()),
        // Since 1.21.5 Consul has rules for keys, and answers a violation with a server error.
        _ if body.starts_with(b"invalid key name") => return Err(refused()),
        _ => return Err(unavailable()),
    };
    let Some(index) = head.number("x-consul-index") else {
        let status = head.status.as_u16();
        let reason = format!("answered {status} without an index, as Consul never does");
        return Err(Failure::Unavailable(Cause::new(reason)));
    };
    let has_leader = head.text("x-consul-knownleader") != Some("false");
    match consistency {
        Consistency::Stale(bound) => {
            let age = head.number("x-consul-lastcontact").map(Duration::from_millis);
            if !has_leader || age.is_some_and(|age| age > bound) {
                return Err(Failure::TooStale);
            }
        }
        _ if !has_leader => return Err(Failure::Unavailable(Cause::new("it knows of no leader"))),
        _ => {}
    }
    let pairs = if found {
        pairs(body, group).map_err(|cause| Failure::Unavailable(Cause::new(cause)))?
    } else {
        Vec::new()
    };
    let filtered = head.text("x-consul-results-filtered-by-acls") == Some("true");
    let wants_token = head.text("x-consul-default-acl-policy") == Some("deny");
    Ok(Listing { index, pairs, filtered, wants_token })
}

/// A key in Consul's listing.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "Key", borrow)]
    key: Cow<'a, str>,
    /// In base64; `null` for an empty value.
    #[serde(rename = "Value")]
    value: Option<&'a str>,
}

fn pairs(body: &[u8], group: &Group) -> Result<Vec<(Bytes, Bytes)>, String> {
    let no_listing = |cause: &dyn std::fmt::Display| format!("answered with no listing: {cause}");
    let entries: Vec<Entry<'_>> =
        serde_json::from_slice(body).map_err(|cause| no_listing(&cause))?;
    let mut pairs = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = Bytes::from(["/", &entry.key].concat());
        if group.covers(&key) {
            let value = STANDARD.decode(entry.value.unwrap_or_default());
            pairs.push((key, value.map_err(|cause| no_listing(&cause))?.into()));
        }
    }
    pairs.sort_unstable_by(|(one, _), (two, _)| one.cmp(two));
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};
    use store::{Key, Scope};

    use super::*;

    fn group(key: &str) -> Group {
        Group::of(vec![Key::from(key)], 1).remove(0)
    }

    fn head(status: u16, headers: &[(&'static str, &'static str)]) -> Head {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers = headers.iter().map(header).collect();
        Head { status: StatusCode::from_u16(status).unwrap(), headers, wants_tls: false }
    }

    fn answer(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Result<Listing, Failure> {
        read(&head(status, headers), body.as_bytes(), Consistency::Default, &group("/app"))
    }

    const INDEX: (&str, &str) = ("x-consul-index", "7");

    #[test]
    fn a_prefix_is_a_path_and_every_other_byte_is_escaped() {
        let options = Options::default();
        let target = |key: &str| target(&options, Consistency::Default, &group(key), None);
        assert_eq!(target("/app/x-1.0"), "/v1/kv/app/x-1.0?recurse=");
        assert_eq!(target("/"), "/v1/kv/?recurse=");
        assert_eq!(target("/a b/ä?#%"), "/v1/kv/a%20b/%C3%A4%3F%23%25?recurse=");
    }

    #[test]
    fn options_and_the_index_are_parts_of_the_question() {
        let options = Options {
            datacenter: Some("dc2".into()),
            namespace: Some("a&b".into()),
            partition: Some("p".into()),
            ..Options::default()
        };
        let beyond = Some((42, Duration::from_secs(60)));
        let target = |consistency| target(&options, consistency, &group("/app"), beyond);
        let rest = "&dc=dc2&ns=a%26b&partition=p&index=42&wait=60000ms";
        assert_eq!(target(Consistency::Default), format!("/v1/kv/app?recurse={rest}"));
        assert_eq!(
            target(Consistency::Consistent),
            format!("/v1/kv/app?recurse=&consistent={rest}")
        );
        let stale = Consistency::Stale(Duration::from_secs(1));
        assert_eq!(target(stale), format!("/v1/kv/app?recurse=&stale={rest}"));
    }

    #[test]
    fn listed_keys_that_are_not_asked_for_are_dropped() {
        let keys = (0..40).map(|number| Key::from(&*format!("/app/{number}/x")));
        let groups = Group::of(super::super::group::asked([&Scope::from_iter(keys)]), 32);
        let group = groups.iter().find(|group| group.head == b"/app/3").unwrap();
        let body = r#"[{"Key":"app/30/x","Value":"MQ=="},{"Key":"app/30/y","Value":"Mg=="}]"#;
        let listing = read(&head(200, &[INDEX]), body.as_bytes(), Consistency::Default, group);
        assert_eq!(listing.unwrap().pairs, [("/app/30/x".into(), "1".into())]);
    }

    #[test]
    fn a_value_may_be_missing_and_a_key_escaped() {
        let body = r#"[{"LockIndex":0,"Key":"app/\u003cb\u003e\"","Value":null,"ModifyIndex":7}]"#;
        let listing = answer(200, &[INDEX], body).unwrap();
        assert_eq!(listing.pairs, [("/app/<b>\"".into(), Bytes::new())]);
        assert_eq!((listing.index, listing.filtered), (7, false));
    }

    #[test]
    fn a_missing_page_is_an_empty_prefix_only_with_an_index() {
        assert_eq!(
            answer(404, &[INDEX], ""),
            Ok(Listing { index: 7, pairs: Vec::new(), filtered: false, wants_token: false })
        );
        for status in [200, 404] {
            assert!(matches!(answer(status, &[], "[]"), Err(Failure::Unavailable(_))), "{status}");
        }
    }

    #[test]
    fn only_a_refusal_is_final() {
        for status in [408, 500, 503, 301] {
            let answer = answer(status, &[INDEX], "No cluster leader\n");
            let expected = format!("No cluster leader ({status})");
            assert_eq!(answer, Err(Failure::Unavailable(Cause::new(expected))));
        }
        let expected = "it takes no more requests from this address: slower! (429)".to_owned();
        let expected = Cause::new(expected).of_kind(nodes::CauseKind::TooManyConnections);
        assert_eq!(answer(429, &[INDEX], "slower!"), Err(Failure::Unavailable(expected)));
        let expected = "invalid key name, leading/trailing spaces are not allowed";
        let expected_with_status = format!("{expected} (500)");
        assert_eq!(
            answer(500, &[INDEX], expected),
            Err(Failure::Refused(Cause::new(expected_with_status)))
        );
        for status in [400, 401, 403] {
            let answer = answer(status, &[INDEX], "ACL not found");
            assert_eq!(
                answer,
                Err(Failure::Refused(Cause::new(format!("ACL not found ({status})"))))
            );
        }
    }

    #[test]
    fn an_answer_without_a_leader_or_from_too_long_ago_is_an_error() {
        let alone = [INDEX, ("x-consul-knownleader", "false"), ("x-consul-lastcontact", "1500")];
        assert!(matches!(answer(200, &alone, "[]"), Err(Failure::Unavailable(_))));
        let late = [INDEX, ("x-consul-knownleader", "true"), ("x-consul-lastcontact", "1500")];
        let stale = |headers: &[_], bound| {
            let consistency = Consistency::Stale(Duration::from_secs(bound));
            read(&head(200, headers), b"[]", consistency, &group("/app"))
        };
        assert_eq!(stale(&late, 1), Err(Failure::TooStale));
        assert!(stale(&late, 2).is_ok());
        assert_eq!(stale(&alone, 2), Err(Failure::TooStale));
        assert!(answer(200, &late, "[]").is_ok());
    }

    #[test]
    fn a_malformed_listing_is_an_error_and_not_empty() {
        for body in ["", "{}", "[{\"Key\":1}]", "[{\"Key\":\"app\",\"Value\":\"&\"}]", "<html>"] {
            assert!(matches!(answer(200, &[INDEX], body), Err(Failure::Unavailable(_))), "{body}");
        }
    }
}
