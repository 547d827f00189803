//! Secrets of Secrets Manager.
//!
//! A key stands for the secret of its name, with or without the slash at its beginning. If the secret
//! is a JSON object, each of its fields is a key below that of the secret. If there is no such secret,
//! the key may be a field of the secret that a beginning of it names: `/db/host` is the field `host` of
//! the secret `db`. Otherwise it stands for all secrets below it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;
use bytes::Bytes;
use client_aws::{Client, Options, Service, VARIABLES};
use nodes::{Cause, Error, proxy};
use options::{Invalid, Variable};
use serde_json::{Map, Value, json};
use source::{Changes, Configured, Description, Setup, Source};
use store::{Key, path};
use tracing::{debug, warn};

use crate::keys::{self, OfKey, Pairs, Polled, text};

static VARIABLES_OF_SECRETS: [Variable; 3] = Service::SECRETSMANAGER.variables();

/// Secrets Manager, as users see it.
pub static DESCRIPTION: Description = Description {
    names: &["secretsmanager"],
    summary: "AWS Secrets Manager",
    options: &[OPTIONS],
    variables: &[VARIABLES, &VARIABLES_OF_SECRETS, proxy::VARIABLES, tls::access::VARIABLES],
    changes: Changes::OnlyPolled,
    configure,
};

options::options! {
    /// The options that only this source has.
    const OPTIONS;
    const NO_FLATTEN: Opt<bool> = switch(
        "secretsmanager-no-flatten",
        "leave secrets that are JSON objects whole, in place of a key for each field",
    )
    .key("secretsmanager_no_flatten");
    const VERSION_STAGE: Opt<String> = text(
        "secretsmanager-version-stage",
        "AWSCURRENT",
        "label of the version of secrets that is read",
    )
    .key("secretsmanager_version_stage");
}

#[derive(Debug, PartialEq)]
struct Chosen {
    stage: String,
    is_flat: bool,
    options: Options,
}

fn configure(setup: Setup<'_>) -> Result<Box<dyn Configured>, Invalid> {
    let given = setup.given;
    Ok(Box::new(Chosen {
        stage: given.get(&VERSION_STAGE)?,
        is_flat: !given.get(&NO_FLATTEN)?,
        options: Options::of(given, &Service::SECRETSMANAGER)?,
    }))
}

impl Configured for Chosen {
    fn name(&self) -> &'static str {
        "secretsmanager"
    }

    fn nodes(&self) -> &[String] {
        self.options.endpoint.as_slice()
    }

    fn open(&self) -> Box<dyn Source> {
        let client = Client::new(&Service::SECRETSMANAGER, self.options.clone());
        let (stage, is_flat) = (self.stage.clone(), self.is_flat);
        Box::new(Polled(Box::new(Secrets { client, stage, is_flat })))
    }
}

/// The secrets of an account in one region.
pub(crate) struct Secrets {
    pub(crate) client: Client,
    pub(crate) stage: String,
    pub(crate) is_flat: bool,
}

/// The secrets that one reading has asked for, by their names.
type Known = HashMap<String, Secret>;

/// What Secrets Manager says about a name.
enum Secret {
    /// The secret is a JSON object, which is taken apart.
    Fields(Map<String, Value>),
    /// The whole secret. Bytes are written in Base64.
    Whole(Bytes),
    /// There is no such secret, or no such version of it.
    Missing,
    /// It must not be read. A secret that does not exist is refused too, if the rights name others.
    Denied(Denial),
}

/// A refusal of a secret, which several keys may need.
struct Denial {
    node: String,
    reason: Cause,
}

impl Denial {
    fn error(&self) -> Error {
        let Denial { node, reason } = self;
        Error::Refused { store: "secretsmanager", node: node.clone(), reason: reason.clone() }
    }
}

#[async_trait]
impl keys::Service for Secrets {
    async fn read(&self, keys: &[Key]) -> Vec<OfKey> {
        let (mut known, mut results) = (Known::new(), Vec::new());
        // One after the other: keys of one secret share its request.
        for key in keys {
            let result = self.of_key(&text(key), &mut known).await;
            let has_failed = result.as_ref().is_err_and(|error| !error.is_refusal());
            results.push(result);
            if has_failed {
                break;
            }
        }
        results
    }
}

impl Secrets {
    async fn of_key(&self, key: &str, known: &mut Known) -> OfKey {
        let whole = key.trim_start_matches('/');
        let mut refused = None;
        // The secret of this name, then those whose fields it may be.
        let mut end = whole.len();
        while end > 0 {
            let (name, field) = (&whole[..end], whole[end..].trim_start_matches('/'));
            for name in [name.to_owned(), format!("/{name}")] {
                let pairs = match self.secret(name, known).await? {
                    Secret::Missing => continue,
                    Secret::Denied(denial) => {
                        refused.get_or_insert(denial.error());
                        continue;
                    }
                    Secret::Fields(fields) if field.is_empty() => of_fields(key, fields).collect(),
                    Secret::Fields(fields) => fields
                        .get(field)
                        .map(|value| (Bytes::from(key.to_owned()), shown(value)))
                        .into_iter()
                        .collect(),
                    Secret::Whole(value) if field.is_empty() => {
                        vec![(key.to_owned().into(), value.clone())]
                    }
                    // It has no fields.
                    Secret::Whole(_) => continue,
                };
                return Ok(pairs);
            }
            if !self.is_flat {
                break;
            }
            end = whole[..end].rfind('/').unwrap_or(0);
        }
        match (self.below(whole, known).await?, refused) {
            (pairs, Some(refused)) if pairs.is_empty() => Err(refused),
            (pairs, _) => Ok(pairs),
        }
    }

    /// The secret of this name.
    async fn secret<'a>(&self, name: String, known: &'a mut Known) -> Result<&'a Secret, Error> {
        match known.entry(name) {
            Entry::Occupied(found) => Ok(found.into_mut()),
            Entry::Vacant(place) => {
                let request = json!({"SecretId": place.key(), "VersionStage": self.stage});
                let secret = match self.client.call("GetSecretValue", &request).await {
                    Ok(answer) => self.taken_apart(&answer),
                    Err(error) if error.is("ResourceNotFoundException") => Secret::Missing,
                    Err(error) => {
                        let is_denied = error.is("AccessDeniedException");
                        match Error::from(error) {
                            Error::Refused { node, reason, .. } if is_denied => {
                                Secret::Denied(Denial { node, reason })
                            }
                            error => return Err(error),
                        }
                    }
                };
                Ok(place.insert(secret))
            }
        }
    }

    fn taken_apart(&self, answer: &Value) -> Secret {
        let part = |name: &str| answer[name].as_str().map(str::to_owned);
        let Some(text) = part("SecretString") else {
            return Secret::Whole(part("SecretBinary").unwrap_or_default().into());
        };
        match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) if self.is_flat => Secret::Fields(fields),
            _ => Secret::Whole(text.into()),
        }
    }

    /// All secrets below `folder`, which has no slash at its beginning. If they must not be listed, there
    /// are none.
    async fn below(&self, folder: &str, known: &mut Known) -> OfKey {
        let heads = match folder {
            "" => [String::new(), "/".to_owned()],
            folder => [format!("{folder}/"), format!("/{folder}/")],
        };
        let mut request = json!({});
        if !folder.is_empty() {
            request["Filters"] = json!([{"Key": "name", "Values": heads}]);
        }
        let mut names = Vec::new();
        loop {
            let mut answer = match self.client.call("ListSecrets", &request).await {
                Ok(answer) => answer,
                Err(error) if error.is("AccessDeniedException") => {
                    debug!("Secrets below /{folder} are not searched for: {}", Error::from(error));
                    return Ok(Pairs::new());
                }
                Err(error) => return Err(error.into()),
            };
            let listed = answer["SecretList"].as_array().into_iter().flatten();
            let listed = listed.filter_map(|secret| secret["Name"].as_str().map(str::to_owned));
            // The filter does not distinguish upper and lower case.
            names.extend(listed.filter(|name| heads.iter().any(|head| name.starts_with(head))));
            match answer["NextToken"].take() {
                Value::String(token) if !token.is_empty() => request["NextToken"] = token.into(),
                _ => break,
            }
        }
        let mut pairs = Pairs::new();
        for name in names {
            let key = format!("/{}", name.trim_start_matches('/'));
            match self.secret(name, known).await? {
                Secret::Fields(fields) => pairs.extend(of_fields(&key, fields)),
                Secret::Whole(value) => pairs.push((key.into(), value.clone())),
                Secret::Missing => {}
                Secret::Denied(denial) => return Err(denial.error()),
            }
        }
        Ok(pairs)
    }
}

/// The pairs of the fields of the secret at `key`. A field whose key would be outside of the secret is left
/// out: who may write one secret could forge others.
fn of_fields<'a>(
    key: &'a str,
    fields: &'a Map<String, Value>,
) -> impl Iterator<Item = (Bytes, Bytes)> + 'a {
    let is_below = move |(name, _): &(&String, &Value)| {
        let is_below = path::is_below(name.as_bytes());
        if !is_below {
            warn!("Skipping the field '{name}' of the secret '{key}': it leads out of the secret.");
        }
        is_below
    };
    let pair =
        move |(name, value): (&String, &Value)| (format!("{key}/{name}").into(), shown(value));
    fields.iter().filter(is_below).map(pair)
}

/// The value of a field: a text as it is, and anything else in JSON.
fn shown(value: &Value) -> Bytes {
    match value {
        Value::String(text) => text.clone().into(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_of_a_secret_makes_a_key_outside_of_it() {
        let document = r#"{"a":"1","..":"2","../../x":"3","":"4","b/../c":"5"}"#;
        let Ok(Value::Object(fields)) = serde_json::from_str(document) else { panic!("an object") };
        let keys: Vec<_> = of_fields("/app/db", &fields).map(|(key, _)| key).collect();
        assert_eq!(keys, ["/app/db/a", "/app/db/b/../c"]);
    }

    #[test]
    fn fields_that_are_no_texts_are_written_in_json() {
        let document = r#"{"a":"x","b":12345678,"c":true,"d":null,"e":[1,"y"],"f":{"g":2.5}}"#;
        let Ok(Value::Object(fields)) = serde_json::from_str(document) else { panic!("an object") };
        let found: Vec<_> = fields.values().map(shown).collect();
        assert_eq!(found, ["x", "12345678", "true", "null", r#"[1,"y"]"#, r#"{"g":2.5}"#]);
    }
}
