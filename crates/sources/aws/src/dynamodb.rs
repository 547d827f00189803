//! A table of DynamoDB whose items have the strings `key` and `value`.
//!
//! A key stands for the item of this name. If there is none, it stands for all items whose names begin
//! with it, as text: `/app` also for `/apple`. To find these, the whole table is scanned, once for all
//! keys of a reading.

use async_trait::async_trait;
use bytes::Bytes;
use client_aws::{CallError, Client, Options, Service, VARIABLES};
use nodes::{Cause, Error, proxy};
use options::{Invalid, Variable};
use serde_json::{Map, Value, json};
use source::{Changes, Configured, Description, Setup, Source};
use store::Key;
use tracing::warn;

use crate::keys::{self, OfKey, Pairs, Polled, each, text};

/// The most keys that one scan looks for: an expression has at most 300 operators.
const OF_A_SCAN: usize = 100;

static VARIABLES_OF_DYNAMODB: [Variable; 3] = Service::DYNAMODB.variables();

/// DynamoDB, as users see it.
pub static DESCRIPTION: Description = Description {
    names: &["dynamodb"],
    summary: "a table of AWS DynamoDB",
    options: &[OPTIONS],
    variables: &[VARIABLES, &VARIABLES_OF_DYNAMODB, proxy::VARIABLES, tls::access::VARIABLES],
    changes: Changes::OnlyPolled,
    configure,
};

options::options! {
    /// The options that only this source has.
    const OPTIONS;
    const TABLE: Opt<String> = text("table", "", "DynamoDB table").key("table");
}

#[derive(Debug, PartialEq)]
struct Chosen {
    table: String,
    options: Options,
}

fn configure(setup: Setup<'_>) -> Result<Box<dyn Configured>, Invalid> {
    let Some(table) = setup.given.some(&TABLE)? else {
        return Err(Invalid::new("No DynamoDB table configured: give its name by -table"));
    };
    let options = Options::of(setup.given, &Service::DYNAMODB)?;
    Ok(Box::new(Chosen { table, options }))
}

impl Configured for Chosen {
    fn name(&self) -> &'static str {
        "dynamodb"
    }

    fn places(&self) -> Vec<String> {
        vec![format!("table {}", self.table)]
    }

    fn open(&self) -> Box<dyn Source> {
        let client = Client::new(&Service::DYNAMODB, self.options.clone());
        Box::new(Polled(Box::new(Table { client, name: self.table.clone() })))
    }
}

/// A table.
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

/// The pairs of each key; `None` if the table has to be searched for them.
type Items = Vec<Result<Option<Pairs>, Error>>;

#[async_trait]
impl keys::Service for Table {
    async fn read(&self, keys: &[Key]) -> Vec<OfKey> {
        let mut items: Items = each(keys, async |key| self.item(key).await).await;
        let is_open = |item: &Result<_, _>| matches!(item, Ok(None));
        let open: Vec<usize> = (0..items.len()).filter(|nth| is_open(&items[*nth])).collect();
        for open in open.chunks(OF_A_SCAN) {
            let heads: Vec<String> = open.iter().map(|nth| text(&keys[*nth])).collect();
            match self.scan(&heads).await {
                Ok(found) => {
                    for (nth, head) in open.iter().zip(&heads) {
                        let of_head =
                            found.iter().filter(|(key, _)| key.starts_with(head.as_bytes()));
                        items[*nth] = Ok(Some(of_head.cloned().collect()));
                    }
                }
                Err(Error::Refused { store, node, reason }) => {
                    for nth in open {
                        let (node, reason) = (node.clone(), reason.clone());
                        items[*nth] = Err(Error::Refused { store, node, reason });
                    }
                }
                Err(error) => {
                    items.truncate(open[0]);
                    items.push(Err(error));
                    break;
                }
            }
        }
        items.into_iter().map(|item| item.map(Option::unwrap_or_default)).collect()
    }
}

impl Table {
    /// The item with this name; `None` if there is none, or none with a value.
    async fn item(&self, key: String) -> Result<Option<Pairs>, Error> {
        let request = json!({"TableName": self.name, "Key": {"key": {"S": key}}});
        let answer = self.client.call("GetItem", &request).await;
        let answer = answer.map_err(|error| self.named(error))?;
        let Some(value) = answer["Item"].get("value") else { return Ok(None) };
        Ok(Some(pair(&key, value).into_iter().collect()))
    }

    /// All items whose names begin with one of these texts. The table is scanned to its end.
    async fn scan(&self, heads: &[String]) -> Result<Pairs, Error> {
        let names = (0..heads.len()).map(|nth| format!(":k{nth}"));
        let begins: Vec<_> = names.clone().map(|name| format!("begins_with(#k, {name})")).collect();
        let values = names.zip(heads).map(|(name, head)| (name, json!({"S": head})));
        let mut request = json!({
            "TableName": self.name,
            "ProjectionExpression": "#k, #v",
            "FilterExpression": begins.join(" OR "),
            "ExpressionAttributeNames": {"#k": "key", "#v": "value"},
            "ExpressionAttributeValues": values.collect::<Map<_, _>>(),
        });
        let mut pairs = Pairs::new();
        loop {
            let answer = self.client.call("Scan", &request).await;
            let mut answer = answer.map_err(|error| self.named(error))?;
            for item in answer["Items"].as_array().into_iter().flatten() {
                if let (Some(key), Some(value)) = (item["key"]["S"].as_str(), item.get("value")) {
                    pairs.extend(pair(key, value));
                }
            }
            match answer["LastEvaluatedKey"].take() {
                Value::Null => return Ok(pairs),
                last => request["ExclusiveStartKey"] = last,
            }
        }
    }

    /// The error, with the name of the table if that does not exist.
    fn named(&self, error: CallError) -> Error {
        let is_missing = error.is("ResourceNotFoundException");
        match Error::from(error) {
            Error::Refused { store, node, reason } if is_missing => {
                let reason = Cause::new(format!("there is no table {}: {reason}", self.name));
                Error::Refused { store, node, reason }
            }
            error => error,
        }
    }
}

/// The pair of an item; `None` if its value is no text.
fn pair(key: &str, value: &Value) -> Option<(Bytes, Bytes)> {
    let Some(value) = value["S"].as_str() else {
        warn!("Skipping key '{key}'. 'value' is not of type 'string'.");
        return None;
    };
    Some((key.to_owned().into(), value.to_owned().into()))
}
