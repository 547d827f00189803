//! Moto: a server that stands for the services of AWS.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Process, folder, free_ports, http, installed};

/// One server, with data of its own. It is killed when this is dropped.
#[derive(Debug)]
pub struct Moto {
    process: Option<Process>,
    folder: tempfile::TempDir,
    port: u16,
    /// What stands before the command of the program.
    environment: Vec<String>,
}

/// A key of a user of the server.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its public name.
    pub id: String,
    /// The key.
    pub secret: String,
}

impl Moto {
    /// Starts a server that accepts every signature.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_in(&[])
    }

    /// Starts a server that verifies signatures and rights, and makes a user who may do what `policy`
    /// allows: a list of statements of IAM.
    #[track_caller]
    pub fn verifying(policy: &Value) -> (Self, Key) {
        // These are the calls below, which no user could be allowed to make.
        let server = Self::start_in(&["INITIAL_NO_AUTH_ACTION_COUNT=3"]);
        server.form("iam", "Action=CreateUser&UserName=confd");
        let made = server.form("iam", "Action=CreateAccessKey&UserName=confd");
        let element = |name: &str| {
            let (_, rest) = made.split_once(&format!("<{name}>")).unwrap();
            rest.split_once('<').unwrap().0.to_owned()
        };
        let key = Key { id: element("AccessKeyId"), secret: element("SecretAccessKey") };
        let document = json!({"Version": "2012-10-17", "Statement": policy}).to_string();
        let escaped: String = document.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let put = "Action=PutUserPolicy&UserName=confd&PolicyName=confd&PolicyDocument=";
        server.form("iam", &format!("{put}{escaped}"));
        (server, key)
    }

    #[track_caller]
    fn start_in(environment: &[&str]) -> Self {
        // Another process can have taken a port since it was found free.
        for _ in 0..3 {
            let [port] = free_ports();
            let environment = environment.iter().map(|one| (*one).to_owned()).collect();
            let mut server = Moto { process: None, folder: folder(), port, environment };
            server.spawn();
            if server.becomes_ready() {
                return server;
            }
        }
        panic!("moto does not start: see the output above");
    }

    fn spawn(&mut self) {
        let program = installed("moto_server").display().to_string();
        let mut arguments = self.environment.clone();
        let port = self.port.to_string();
        arguments.extend([&program, "-H", "127.0.0.1", "-p", &port].map(str::to_owned));
        let log = self.folder.path().join("log");
        self.process = Some(Process::start(Path::new("/usr/bin/env"), &arguments, &log));
    }

    #[track_caller]
    fn becomes_ready(&mut self) -> bool {
        let address = self.address();
        Process::becomes_ready(&mut self.process, "moto", || {
            http::exchange(&address, "GET /moto-api/", &[], b"")
                .is_ok_and(|answer| answer.status == 200)
        })
    }

    /// The address for clients: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The process, while it runs.
    #[track_caller]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }

    /// Kills the server. Its data are lost.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the server again after [`kill`](Self::kill), without data.
    #[track_caller]
    pub fn restart(&mut self) {
        self.spawn();
        assert!(self.becomes_ready(), "moto does not start again");
    }

    /// Calls an operation of a service that speaks JSON, such as `AmazonSSM.PutParameter`.
    #[track_caller]
    pub fn call(&self, target: &str, request: &Value) -> Value {
        let service = match target.split('.').next().unwrap() {
            "AmazonSSM" => "ssm",
            "DynamoDB_20120810" => "dynamodb",
            "CertificateManager" => "acm",
            other => other,
        };
        let headers = [("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", target)];
        let answer = self.send(service, &headers, request.to_string().as_bytes());
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// Sends a form to a service that speaks XML.
    #[track_caller]
    fn form(&self, service: &str, form: &str) -> String {
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        self.send(service, &headers, form.as_bytes())
    }

    #[track_caller]
    fn send(&self, service: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=test/20300101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        let headers = [headers, &[("Authorization", &authorization)]].concat();
        let send = || http::exchange(&self.address(), "POST /", &headers, body);
        // The first call of a service loads its code, which takes long on a busy machine.
        let answer = send().or_else(|_| send()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// Writes a parameter of the Parameter Store.
    #[track_caller]
    pub fn put_parameter(&self, name: &str, value: &str, kind: &str) {
        let request = json!({"Name": name, "Value": value, "Type": kind, "Overwrite": true});
        self.call("AmazonSSM.PutParameter", &request);
    }

    /// Makes a table of DynamoDB whose items have the string `key` as their key.
    #[track_caller]
    pub fn create_table(&self, name: &str) {
        self.call(
            "DynamoDB_20120810.CreateTable",
            &json!({
                "TableName": name,
                "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
                "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
            }),
        );
    }

    /// Writes an item of a table. `value` has the form of DynamoDB, such as `{"S": "text"}`.
    #[track_caller]
    pub fn put_item(&self, table: &str, key: &str, value: &Value) {
        let item = json!({"key": {"S": key}, "value": value});
        self.call("DynamoDB_20120810.PutItem", &json!({"TableName": table, "Item": item}));
    }

    /// Makes a secret of Secrets Manager.
    #[track_caller]
    pub fn create_secret(&self, name: &str, text: &str) {
        let request = json!({"Name": name, "SecretString": text});
        self.call("secretsmanager.CreateSecret", &request);
    }
}
