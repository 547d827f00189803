//! The Parameter Store of Systems Manager.
//!
//! A key stands for all parameters below it, `/app` for `/app/port`. If there are none, it stands for
//! the parameter with its own name. Values that are encrypted (`SecureString`) are decrypted.

use async_trait::async_trait;
use bytes::Bytes;
use client_aws::{CallError, Client, Options, Service, VARIABLES};
use nodes::proxy;
use options::{Invalid, Variable};
use serde_json::{Value, json};
use source::{Changes, Configured, Description, Setup, Source};
use store::Key;

use crate::keys::{self, OfKey, Pairs, Polled, each};

static VARIABLES_OF_SSM: [Variable; 3] = Service::SSM.variables();

/// The Parameter Store, as users see it.
pub static DESCRIPTION: Description = Description {
    names: &["ssm"],
    summary: "the Parameter Store of AWS Systems Manager",
    options: &[],
    variables: &[VARIABLES, &VARIABLES_OF_SSM, proxy::VARIABLES, tls::access::VARIABLES],
    changes: Changes::OnlyPolled,
    configure,
};

#[derive(Debug, PartialEq)]
struct Chosen(Options);

fn configure(setup: Setup<'_>) -> Result<Box<dyn Configured>, Invalid> {
    Ok(Box::new(Chosen(Options::of(setup.given, &Service::SSM)?)))
}

impl Configured for Chosen {
    fn name(&self) -> &'static str {
        "ssm"
    }

    fn nodes(&self) -> &[String] {
        self.0.endpoint.as_slice()
    }

    fn open(&self) -> Box<dyn Source> {
        let client = Client::new(&Service::SSM, self.0.clone());
        Box::new(Polled(Box::new(Parameters { client })))
    }
}

/// The parameters of an account in one region.
pub(crate) struct Parameters {
    pub(crate) client: Client,
}

#[async_trait]
impl keys::Service for Parameters {
    async fn read(&self, keys: &[Key]) -> Vec<OfKey> {
        each(keys, async |key| Ok(self.of_key(&key).await?)).await
    }
}

impl Parameters {
    async fn of_key(&self, key: &str) -> Result<Pairs, CallError> {
        let refused = match self.below(key).await {
            Ok(pairs) if !pairs.is_empty() => return Ok(pairs),
            Ok(_) => None,
            // Who may read a parameter by its name need not be allowed to list.
            Err(error) if error.is("AccessDeniedException") => Some(error),
            Err(error) => return Err(error),
        };
        // No parameter has the name `/`.
        let named = if key == "/" { Ok(Pairs::new()) } else { self.named(key).await };
        match (named, refused) {
            (Ok(pairs), Some(refused)) if pairs.is_empty() => Err(refused),
            (Err(_), Some(refused)) => Err(refused),
            (named, _) => named,
        }
    }

    /// All parameters below a key.
    async fn below(&self, key: &str) -> Result<Pairs, CallError> {
        let mut pairs = Pairs::new();
        let mut request = json!({"Path": key, "Recursive": true, "WithDecryption": true});
        loop {
            let mut answer = self.client.call("GetParametersByPath", &request).await?;
            let parameters = answer["Parameters"].as_array().into_iter().flatten();
            pairs.extend(parameters.filter_map(pair));
            match answer["NextToken"].take() {
                Value::String(token) if !token.is_empty() => request["NextToken"] = token.into(),
                _ => return Ok(pairs),
            }
        }
    }

    /// The parameter with this name; nothing if there is none.
    async fn named(&self, key: &str) -> Result<Pairs, CallError> {
        let request = json!({"Name": key, "WithDecryption": true});
        match self.client.call("GetParameter", &request).await {
            Ok(answer) => Ok(pair(&answer["Parameter"]).into_iter().collect()),
            Err(error) if error.is("ParameterNotFound") => Ok(Pairs::new()),
            Err(error) => Err(error),
        }
    }
}

fn pair(parameter: &Value) -> Option<(Bytes, Bytes)> {
    let text = |name: &str| Some(Bytes::from(parameter[name].as_str()?.to_owned()));
    Some((text("Name")?, text("Value")?))
}
