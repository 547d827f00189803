//! The metadata of an instance.

use servers::Stub;

use super::asking_for;
use crate::support::{Ended, Sandbox};

/// What an instance answers: folders end with a slash.
const TREE: &[(&str, &str)] = &[
    ("meta-data/", "ami-id\niam/\nplacement/\npublic-keys/\ntags/"),
    ("meta-data/ami-id", "ami-1"),
    ("meta-data/iam/", "info"),
    ("meta-data/iam/info", "{\n  \"Code\" : \"Success\"\n}"),
    ("meta-data/placement/", "availability-zone\nregion"),
    ("meta-data/placement/availability-zone", "eu-west-1a"),
    ("meta-data/placement/region", "eu-west-1"),
    ("meta-data/public-keys/", "0=joe"),
    ("meta-data/public-keys/0/", "openssh-key"),
    ("meta-data/public-keys/0/openssh-key", "ssh-ed25519 A"),
    ("meta-data/tags/", "instance/"),
    ("meta-data/tags/instance/", "Name"),
    ("meta-data/tags/instance/Name", "web"),
    ("dynamic/", "instance-identity/"),
    ("dynamic/instance-identity/", "document"),
    ("dynamic/instance-identity/document", "{\n}"),
    ("user-data", "#!/bin/sh\necho hello\n"),
];

/// An instance that gives its metadata only with a token.
fn instance() -> Stub {
    let answer = |status: u16, body: &str| {
        format!(
            "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    Stub::answering(move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches("/latest/");
        match TREE.iter().find(|(known, _)| *known == path) {
            _ if head.starts_with("PUT /latest/api/token ") => answer(200, "secret"),
            _ if !head.contains("x-aws-ec2-metadata-token: secret\r\n") => answer(401, ""),
            Some((_, body)) => answer(200, body),
            None => answer(404, "<html>"),
        }
    })
}

fn onetime(sandbox: &Sandbox, address: &str) -> Ended {
    let run = sandbox.confd(&["-onetime", "-backend", "imds"]);
    run.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{address}")).run()
}

#[track_caller]
fn read(instance: &Stub, keys: &str) -> String {
    let sandbox = asking_for(keys);
    let ended = onetime(&sandbox, &instance.address());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    sandbox.output()
}

#[test]
fn a_key_stands_for_a_value_or_for_everything_below_a_folder() {
    let instance = instance();
    for (keys, expected) in [
        ("['/ami-id']", "/ami-id=ami-1 "),
        ("['/meta-data/ami-id', '/none']", "/meta-data/ami-id=ami-1 "),
        ("['/placement']", "/placement/availability-zone=eu-west-1a /placement/region=eu-west-1 "),
        ("['/meta-data/placement/region']", "/meta-data/placement/region=eu-west-1 "),
        ("['/tags']", "/tags/instance/Name=web "),
        ("['/public-keys']", "/public-keys/0/openssh-key=ssh-ed25519 A "),
        ("['/meta-data/iam/info']", "/meta-data/iam/info={\n  \"Code\" : \"Success\"\n} "),
        ("['/dynamic']", "/dynamic/instance-identity/document={\n} "),
        ("['/user-data']", "/user-data=#!/bin/sh\necho hello\n "),
    ] {
        assert_eq!(read(&instance, keys), expected, "{keys}");
    }
    let all = read(&instance, "['/']");
    assert!(
        all.starts_with("/ami-id=ami-1 /iam/info={") && all.contains("/tags/instance/Name=web ")
    );
}

#[test]
fn an_answer_counts_for_all_keys_of_a_pass() {
    let instance = instance();
    read(&instance, "['/placement', '/placement/region', '/ami-id']");
    let heads = instance.heads();
    let asked = |path: &str| heads.iter().filter(|head| head.contains(path)).count();
    assert_eq!((asked(" /latest/meta-data/placement/region "), asked("/api/token ")), (1, 1));
}

#[test]
fn an_instance_that_does_not_answer_is_named() {
    let sandbox = asking_for("['/ami-id']");
    let ended = onetime(&sandbox, "127.0.0.1:1");
    assert_eq!(ended.code, Some(1));
    let error = "ERROR cannot reach imds: http://127.0.0.1:1: connection refused (";
    assert!(ended.stderr.contains(error), "{}", ended.stderr);
    let off =
        sandbox.confd(&["-onetime", "-backend", "imds"]).env("AWS_EC2_METADATA_DISABLED", "true");
    let error = "ERROR imds: the instance metadata are turned off by AWS_EC2_METADATA_DISABLED";
    assert!(off.fails().stderr.contains(error));
    let watching = sandbox.confd(&["-watch", "-backend", "imds"]).fails();
    assert!(watching.stderr.contains("FATAL Watch is not supported for backend imds. Exiting..."));
}
