//! The promises of every source, with moto in place of AWS.

use std::future::ready;

use client_aws::{Client, Credentials, Options, Service};
use serde_json::{Value, json};
use servers::Moto;
use source::Source;
use source::testing::conformance::Fixture;

use crate::dynamodb::Table;
use crate::keys::Polled;
use crate::secretsmanager::Secrets;
use crate::ssm::Parameters;

/// The bytes that no text in UTF-8 can have alone.
const NOT_TEXT: &[u8] = &{
    let mut bytes = [0; 128];
    let mut nth = 0;
    while nth < 128 {
        bytes[nth] = 128 + nth as u8;
        nth += 1;
    }
    bytes
};

fn client(server: &Moto, service: &'static Service) -> Client {
    let credentials = Credentials {
        access_key_id: "test".to_owned(),
        secret_access_key: "test".to_owned(),
        token: None,
        expires: None,
    };
    let options = Options {
        credentials: Some(credentials),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(format!("http://{}", server.address())),
        attempts: 1,
        ..Options::default()
    };
    Client::new(service, options)
}

fn text(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap()
}

struct Ssm(Moto);

impl Default for Ssm {
    fn default() -> Self {
        Ssm(Moto::start())
    }
}

impl Fixture for Ssm {
    const MATCHES_TEXT: bool = false;
    const HIDES_A_VALUE_ABOVE_KEYS: bool = true;
    const HOLDS_EMPTY_VALUES: bool = false;
    const IMPOSSIBLE: &[u8] = NOT_TEXT;
    const LARGEST_VALUE: usize = 4 << 10;
    // Each page has ten of them.
    const MANY: usize = 300;
    const CAN_BE_FOLLOWED: bool = false;

    async fn set(&mut self, key: &str, value: &[u8]) {
        self.0.put_parameter(key, text(value), "SecureString");
    }

    async fn delete(&mut self, key: &str) {
        self.0.call("AmazonSSM.DeleteParameter", &json!({"Name": key}));
    }

    fn source(&self) -> Box<dyn Source> {
        let client = client(&self.0, &Service::SSM);
        Box::new(Polled(Box::new(Parameters { client })))
    }
}

struct Dynamodb(Moto);

impl Default for Dynamodb {
    fn default() -> Self {
        let server = Moto::start();
        server.create_table("confd");
        Dynamodb(server)
    }
}

impl Fixture for Dynamodb {
    const MATCHES_TEXT: bool = true;
    const HIDES_KEYS_BELOW_A_VALUE: bool = true;
    const IMPOSSIBLE: &[u8] = NOT_TEXT;
    const LARGEST_VALUE: usize = 390 << 10;
    // Moto looks at each of them slowly.
    const MANY: usize = 1_000;
    const CAN_BE_FOLLOWED: bool = false;

    async fn set(&mut self, key: &str, value: &[u8]) {
        self.0.put_item("confd", key, &json!({"S": text(value)}));
    }

    async fn delete(&mut self, key: &str) {
        let request = json!({"TableName": "confd", "Key": {"key": {"S": key}}});
        self.0.call("DynamoDB_20120810.DeleteItem", &request);
    }

    async fn set_all(&mut self, pairs: &[(String, String)]) {
        for pairs in pairs.chunks(25) {
            let put = |(key, value): &(String, String)| json!({"PutRequest": {"Item": {"key": {"S": key}, "value": {"S": value}}}});
            let puts: Vec<Value> = pairs.iter().map(put).collect();
            let request = json!({"RequestItems": {"confd": puts}});
            self.0.call("DynamoDB_20120810.BatchWriteItem", &request);
        }
        ready(()).await;
    }

    fn source(&self) -> Box<dyn Source> {
        let client = client(&self.0, &Service::DYNAMODB);
        Box::new(Polled(Box::new(Table { client, name: "confd".to_owned() })))
    }
}

struct Secretsmanager(Moto);

impl Default for Secretsmanager {
    fn default() -> Self {
        Secretsmanager(Moto::start())
    }
}

impl Fixture for Secretsmanager {
    const MATCHES_TEXT: bool = false;
    const HIDES_KEYS_BELOW_A_VALUE: bool = true;
    const HOLDS_EMPTY_VALUES: bool = false;
    const IMPOSSIBLE: &[u8] = NOT_TEXT;
    const LARGEST_VALUE: usize = 60 << 10;
    // Each is a request.
    const MANY: usize = 150;
    const CAN_BE_FOLLOWED: bool = false;

    async fn set(&mut self, key: &str, value: &[u8]) {
        let name = &key[1..];
        let value = text(value);
        let known = self.0.call("secretsmanager.ListSecrets", &json!({}))["SecretList"].clone();
        match known.as_array().unwrap().iter().any(|secret| secret["Name"] == name) {
            true => {
                let request = json!({"SecretId": name, "SecretString": value});
                self.0.call("secretsmanager.PutSecretValue", &request);
            }
            false => self.0.create_secret(name, value),
        }
    }

    async fn delete(&mut self, key: &str) {
        let request = json!({"SecretId": &key[1..], "ForceDeleteWithoutRecovery": true});
        self.0.call("secretsmanager.DeleteSecret", &request);
    }

    async fn set_all(&mut self, pairs: &[(String, String)]) {
        pairs.iter().for_each(|(key, value)| self.0.create_secret(&key[1..], value));
        ready(()).await;
    }

    fn source(&self) -> Box<dyn Source> {
        let client = client(&self.0, &Service::SECRETSMANAGER);
        let stage = "AWSCURRENT".to_owned();
        Box::new(Polled(Box::new(Secrets { client, stage, is_flat: true })))
    }
}

source::promises! {
    ssm: super::Ssm, dynamodb: super::Dynamodb, secretsmanager: super::Secretsmanager,
}
