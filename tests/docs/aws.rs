//! The documents about the backends of AWS: each of their examples is run and each of their messages
//! provoked.

use serde_json::json;
use servers::{Moto, Stub};

use super::stores::{Guide, provoke_in};
use crate::support::Sandbox;

/// What the examples have in their environment.
const REGION: &str = "AWS_REGION=eu-west-1";

#[test]
fn every_example_of_aws_gives_what_it_says() {
    let server = Moto::start();
    server.put_parameter("/app/port", "80", "SecureString");
    server.create_table("confd");
    server.put_item("confd", "/app/port", &json!({"S": "80"}));
    server.create_secret("app", "{\"port\": 80}");
    let environment = format!(
        "AWS_ENDPOINT_URL=http://{} AWS_ACCESS_KEY_ID=A AWS_SECRET_ACCESS_KEY=B AWS_REGION=us-east-1",
        server.address()
    );
    let places = [(REGION, environment)];
    for name in ["ssm", "dynamodb", "secretsmanager"] {
        let name = format!("docs/backends/{name}.md");
        Guide { name: &name, places: &places, admin: &[] }.holds();
    }
    let instance = instance();
    let confd = "confd -onetime";
    let places = [(confd, format!("IMDS_ENDPOINT=http://{} {confd}", instance.address()))];
    Guide { name: "docs/backends/imds.md", places: &places, admin: &[] }.holds();
}

/// An instance whose metadata have the key of the examples.
fn instance() -> Stub {
    Stub::answering(|head| {
        let (status, body) = match head.split(' ').nth(1).unwrap_or_default() {
            "/latest/api/token" => (200, "token"),
            "/latest/meta-data/" => (200, "app/"),
            "/latest/meta-data/app/" => (200, "port"),
            "/latest/meta-data/app/port" => (200, "80"),
            _ => (404, ""),
        };
        let length = body.len();
        format!(
            "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    })
}

/// A server that refuses each call with this code and message.
fn refusing(code: &'static str, message: &'static str) -> Stub {
    Stub::answering(move |_| {
        let body = json!({"__type": code, "message": message}).to_string();
        let length = body.len();
        format!("HTTP/1.1 400 X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
            .into_bytes()
    })
}

type Variables<'a> = Vec<(&'a str, &'a str)>;

/// The environment of an account at this address.
fn account(address: &str) -> Variables<'_> {
    vec![
        ("AWS_ENDPOINT_URL", address),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "A"),
        ("AWS_SECRET_ACCESS_KEY", "B"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_MAX_ATTEMPTS", "1"),
    ]
}

/// Provokes the messages of a document by these runs, each in its environment.
#[track_caller]
fn provoke(name: &str, runs: &[(Variables<'_>, &[&str])]) {
    let runs: Vec<_> = runs.iter().map(|(variables, run)| (&**variables, *run)).collect();
    provoke_in(name, &runs);
}

#[test]
fn the_messages_about_accounts_are_those_of_their_document() {
    let unknown = refusing("UnrecognizedClientException", "no");
    let late = refusing("InvalidSignatureException", "Signature expired: 20200101T000000Z");
    let (unknown, late) =
        (format!("http://{}", unknown.address()), format!("http://{}", late.address()));
    let ssm: &[&str] = &["-backend", "ssm"];
    let sandbox = Sandbox::new();
    sandbox.write(".aws/config", "[profile program]\ncredential_process = exit 1\n");
    let home = sandbox.root().to_str().unwrap();
    let nothing = [("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", home)];
    let with = |more: Variables<'static>| -> Variables<'_> { [&nothing[..], &more].concat() };
    let region = ("AWS_REGION", "eu-west-1");
    provoke(
        "docs/backends/aws.md",
        &[
            (with(vec![]), ssm),
            (with(vec![region]), ssm),
            (with(vec![region, ("AWS_PROFILE", "none")]), ssm),
            (with(vec![region, ("AWS_PROFILE", "program")]), ssm),
            (account(&unknown), ssm),
            (account(&late), ssm),
            (account("http://127.0.0.1:1"), ssm),
            (account("http://127.0.0.1:1"), &["-backend", "ssm", "-watch"]),
        ],
    );
}

#[test]
fn the_messages_of_each_service_are_those_of_its_document() {
    let server = Moto::start();
    server.create_table("confd");
    server.put_item("confd", "/app/port", &json!({"N": "80"}));
    let server = format!("http://{}", server.address());
    let stubs = [
        "AccessDeniedException",
        "ThrottlingException",
        "ValidationException",
        "InvalidRequestException",
        "RequestInProgressException",
        "ResourceNotFoundException",
    ]
    .map(|code| refusing(code, "no"));
    let [denied, busy, invalid, deleted, pending, missing] =
        [0, 1, 2, 3, 4, 5].map(|nth: usize| format!("http://{}", stubs[nth].address()));
    let metadata = instance();
    let instance = format!("http://{}", metadata.address());
    let imds: &[&str] = &["-backend", "imds"];
    let ssm: &[&str] = &["-backend", "ssm"];
    let at = |address| account(address);
    provoke(
        "docs/backends/ssm.md",
        &[(at(&denied), ssm), (at(&busy), ssm), (at(&invalid), ssm), (at(&server), ssm)],
    );
    let secrets: &[&str] = &["-backend", "secretsmanager"];
    provoke(
        "docs/backends/secretsmanager.md",
        &[(at(&denied), secrets), (at(&deleted), secrets), (at(&server), secrets)],
    );
    // The prefix makes an ARN of the key.
    let certificate: &[&str] =
        &["-backend", "acm", "-prefix", "/arn:aws:acm:eu-west-1:1:certificate"];
    let exporting: &[&str] = &["-backend", "acm", "-acm-export-private-key"];
    provoke(
        "docs/backends/acm.md",
        &[
            (at(&denied), certificate),
            (at(&pending), certificate),
            (at(&missing), certificate),
            (at(&server), &["-backend", "acm"]),
            (at(&server), exporting),
        ],
    );
    provoke(
        "docs/backends/imds.md",
        &[
            (vec![("IMDS_ENDPOINT", "http://127.0.0.1:1")], imds),
            (vec![("IMDS_ENDPOINT", &denied)], imds),
            (vec![("IMDS_ENDPOINT", &instance)], imds),
            (vec![("AWS_EC2_METADATA_DISABLED", "true")], imds),
        ],
    );
    let table = |name: &'static str| ["-backend", "dynamodb", "-table", name];
    provoke(
        "docs/backends/dynamodb.md",
        &[
            (at(&server), &["-backend", "dynamodb"]),
            (at(&server), &table("none")),
            (at(&denied), &table("confd")),
            (at(&server), &table("confd")),
        ],
    );
}
