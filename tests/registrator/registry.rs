//! What a registry contains: the services of a Consul, or the pairs of a store of keys.

use std::fs;
use std::path::{Path, PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use servers::http::{Answer, escape, exchange};

/// The members of a check that do not describe what it runs.
const NOT_RUN: [&str; 4] = ["CheckID", "Name", "Status", "Notes"];
/// The members of a check that are durations, in nanoseconds.
const DURATIONS: [&str; 4] = ["Interval", "Timeout", "TTL", "DeregisterCriticalServiceAfter"];

/// A registry.
pub(crate) enum Registry {
    /// The services of the agent at this address. Its data is in this folder.
    Consul { address: String, data: PathBuf },
    /// The keys of the Consul at this address.
    ConsulKeys { address: String },
    /// The keys of the etcd at this address, by version 2 or 3 of its API.
    Etcd { address: String, is_v2: bool },
}

impl Registry {
    fn address(&self) -> &str {
        match self {
            Registry::Consul { address, .. }
            | Registry::ConsulKeys { address }
            | Registry::Etcd { address, .. } => address,
        }
    }

    /// Sends a request, which must succeed.
    fn ask(&self, request: &str, body: &Value) -> Answer {
        let answer = self.try_ask(request, body);
        assert!(answer.status < 300, "{request}: {} {}", answer.status, answer.text());
        answer
    }

    fn try_ask(&self, request: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = exchange(self.address(), request, &[], body.as_bytes());
        answer.unwrap_or_else(|why| panic!("{request}: {why}"))
    }

    fn json(&self, request: &str, body: &Value) -> Value {
        serde_json::from_slice(&self.ask(request, body).body).unwrap()
    }

    /// Sends the request of a case. Requests to etcd are recorded with version 2 of its API.
    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) {
        let keys = path.strip_prefix("/v2/keys").and_then(|rest| rest.split('?').next());
        match (self, keys) {
            (Registry::Etcd { is_v2: false, .. }, Some(keys)) => {
                assert_eq!(method, "DELETE", "{path}");
                for (key, end) in [
                    (keys.to_owned(), None),
                    (
                        format!("{}/", keys.trim_end_matches('/')),
                        Some(format!("{}0", keys.trim_end_matches('/'))),
                    ),
                ] {
                    let mut range = json!({"key": BASE64_STANDARD.encode(key)});
                    if let Some(end) = end {
                        range["range_end"] = BASE64_STANDARD.encode(end).into();
                    }
                    self.ask("POST /v3/kv/deleterange", &range);
                }
            }
            _ => _ = self.ask(&format!("{method} {}", path.replace(' ', "%20")), body),
        }
    }

    /// Removes everything.
    pub(crate) fn clear(&self) {
        match self {
            Registry::Consul { .. } => {
                let services = self.json("GET /v1/agent/services", &Value::Null);
                for id in services.as_object().unwrap().keys() {
                    let id = escape(id).replace('/', "%2F");
                    self.ask(&format!("PUT /v1/agent/service/deregister/{id}"), &Value::Null);
                }
            }
            Registry::ConsulKeys { .. } => _ = self.ask("DELETE /v1/kv/?recurse", &Value::Null),
            Registry::Etcd { is_v2, .. } => {
                self.ask("POST /v3/kv/deleterange", &all_keys());
                if *is_v2 {
                    for node in nodes(&self.json("GET /v2/keys/", &Value::Null)["node"]) {
                        let key = escape(node["key"].as_str().unwrap());
                        self.try_ask(&format!("DELETE /v2/keys{key}?recursive=true"), &Value::Null);
                    }
                }
            }
        }
    }

    /// What is in the registry, in the form of the cases.
    pub(crate) fn state(&self) -> Value {
        match self {
            Registry::Consul { data, .. } => self.services(data),
            Registry::ConsulKeys { .. } => {
                let answer = self.try_ask("GET /v1/kv/?recurse", &Value::Null);
                let pairs: Vec<Value> = serde_json::from_slice(&answer.body).unwrap_or_default();
                let pair =
                    |pair: &Value| json!({"key": pair["Key"], "value": decoded(&pair["Value"])});
                sorted("keys", pairs.iter().map(pair))
            }
            Registry::Etcd { is_v2: true, .. } => {
                let root = self.json("GET /v2/keys/?recursive=true", &Value::Null);
                sorted("keys", leaves(&root["node"]))
            }
            Registry::Etcd { is_v2: false, .. } => {
                let answer = self.json("POST /v3/kv/range", &all_keys());
                let pairs = answer["kvs"].as_array().cloned().unwrap_or_default();
                sorted("keys", pairs.iter().filter_map(|pair| self.leased(pair)))
            }
        }
    }

    /// A pair of etcd with the time that its lease was granted.
    fn leased(&self, pair: &Value) -> Option<Value> {
        let mut known = json!({"key": decoded(&pair["key"]), "value": decoded(&pair["value"])});
        if let Some(lease) = pair["lease"].as_str() {
            let lease = self.json("POST /v3/lease/timetolive", &json!({"ID": lease}));
            // The lease, and with it the pair, can have ended since the pair was read.
            known["ttl"] = lease["grantedTTL"].as_str()?.parse::<u64>().unwrap().into();
        }
        Some(known)
    }

    fn services(&self, data: &Path) -> Value {
        let services = self.json("GET /v1/agent/services", &Value::Null);
        let services = services.as_object().unwrap().values().map(|service| {
            json!({
                "id": service["ID"],
                "name": service["Service"],
                "address": service["Address"],
                "port": service["Port"],
                "tags": service["Tags"],
                "meta": service["Meta"],
            })
        });
        let checks = self.json("GET /v1/agent/checks", &Value::Null);
        let checks = checks.as_object().unwrap().values().map(|check| {
            json!({
                "id": check["CheckID"],
                "name": check["Name"],
                "service": check["ServiceID"],
                "type": check["Type"],
                "status": check["Status"],
                "runs": runs(data, &check["CheckID"]),
            })
        });
        let mut state = sorted("services", services);
        state["checks"] = sorted("checks", checks)["checks"].take();
        state
    }
}

/// What a check runs. No request answers this, but the agent keeps it in its folder.
fn runs(data: &Path, id: &Value) -> Value {
    for entry in fs::read_dir(data.join("checks")).into_iter().flatten().flatten() {
        // A file can be gone, or written at present.
        let content = fs::read(entry.path()).unwrap_or_default();
        let check: Value = serde_json::from_slice(&content).unwrap_or_default();
        if check["Check"]["CheckID"] != *id {
            continue;
        }
        let members = check["ChkType"].as_object().unwrap().iter();
        let is_set = |(name, value): &(&String, &Value)| {
            let default = matches!(value, Value::Null | Value::Bool(false))
                || **value == ""
                || **value == 0
                || **value == json!([])
                || **value == json!({});
            !default && !NOT_RUN.contains(&name.as_str())
        };
        let members = members.filter(is_set).map(|(name, value)| {
            let is_duration = DURATIONS.contains(&name.as_str());
            let duration = value.as_u64().filter(|_| is_duration).map(duration);
            (name.clone(), duration.map_or_else(|| value.clone(), Value::from))
        });
        return members.collect::<Map<_, _>>().into();
    }
    Value::Null
}

/// A duration in nanoseconds as Go writes it, for whole seconds: `1h30m0s`.
fn duration(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// The request for all keys of etcd.
fn all_keys() -> Value {
    json!({"key": "AA==", "range_end": "AA=="})
}

fn decoded(base64: &Value) -> String {
    let bytes = BASE64_STANDARD.decode(base64.as_str().unwrap_or_default()).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// A state with this list, whose members are sorted.
fn sorted(name: &str, list: impl Iterator<Item = Value>) -> Value {
    let mut list: Vec<Value> = list.collect();
    list.sort_by_key(|member| member["id"].as_str().or(member["key"].as_str()).map(str::to_owned));
    json!({name: list})
}

fn nodes(folder: &Value) -> Vec<Value> {
    folder["nodes"].as_array().cloned().unwrap_or_default()
}

/// The pairs in a folder of version 2 of etcd's API.
fn leaves(folder: &Value) -> std::vec::IntoIter<Value> {
    let mut found = Vec::new();
    for node in nodes(folder) {
        if node["dir"] == true {
            found.extend(leaves(&node));
            continue;
        }
        let mut pair = json!({"key": node["key"], "value": node["value"]});
        if !node["ttl"].is_null() {
            // Version 2 answers the time that is left.
            pair["ttl"] = json!({"left": node["ttl"]});
        }
        found.push(pair);
    }
    found.into_iter()
}

/// Why the state is not the one that is wanted, with its placeholders filled.
pub(crate) fn difference(want: &Value, state: &Value) -> Option<String> {
    for name in ["services", "checks", "keys"] {
        let list = |state: &Value| {
            let list = state[name].as_array().cloned().unwrap_or_default();
            sorted(name, list.into_iter())[name].take()
        };
        let (want, got) = (list(want), list(state));
        let (want_list, got_list) = (want.as_array().unwrap(), got.as_array().unwrap());
        let fits = want_list.len() == got_list.len()
            && want_list.iter().zip(got_list).all(|(want, got)| fits(want, got));
        if !fits {
            return Some(format!("{name}: want {want:#}\ngot {got:#}"));
        }
    }
    None
}

/// Whether a service, a check or a pair is the one that is wanted.
fn fits(want: &Value, got: &Value) -> bool {
    if want["key"].is_null() {
        return want == got;
    }
    // JSON is compared as JSON, for its spaces do not count.
    let value = match (&want["value"], got["value"].as_str()) {
        (Value::Object(_), Some(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => got["value"].clone(),
    };
    let left = got["ttl"]["left"].as_u64().unwrap_or(0);
    let is_left = (1..=want["ttl"].as_u64().unwrap_or(0)).contains(&left);
    want["key"] == got["key"] && want["value"] == value && (want["ttl"] == got["ttl"] || is_left)
}
