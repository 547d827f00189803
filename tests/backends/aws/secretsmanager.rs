//! Secrets Manager.

use serde_json::json;
use servers::Moto;

use super::read;

fn secrets(secrets: &[(&str, &str)]) -> Moto {
    let server = Moto::start();
    secrets.iter().for_each(|(name, text)| server.create_secret(name, text));
    server
}

const BACKEND: &str = "secretsmanager";

#[test]
fn a_secret_is_found_by_its_name_by_its_fields_and_below_a_key() {
    let server = secrets(&[
        ("text", "1"),
        ("/slash/text", "2"),
        ("db", r#"{"host":"h","port":5432,"on":true,"none":null,"list":["a",1],"a/b":"c"}"#),
        ("app/one", "3"),
        ("app/two", r#"{"x":"4"}"#),
        ("apple", "5"),
    ]);
    let fields =
        r#"/db/host=h /db/list=["a",1] /db/none=null /db/on=true /db/port=5432 /db/a/b=c "#;
    for (keys, expected) in [
        ("['/text']", "/text=1 "),
        ("['/slash/text']", "/slash/text=2 "),
        ("['/db']", fields),
        ("['/db/host', '/db/port', '/db/a/b']", "/db/host=h /db/port=5432 /db/a/b=c "),
        ("['/db/other', '/text/field']", ""),
        ("['/app']", "/app/one=3 /app/two/x=4 "),
        ("['/slash']", "/slash/text=2 "),
        ("['/none']", ""),
    ] {
        assert_eq!(read(&server, BACKEND, keys, &[]), expected, "{keys}");
    }
    let all = read(&server, BACKEND, "['/']", &[]);
    assert!(all.contains("/apple=5 ") && all.contains("/db/host=h "), "{all}");
}

#[test]
fn a_secret_that_is_not_taken_apart_is_one_value() {
    let server = secrets(&[("db", r#"{"host":"h"}"#)]);
    let whole = ["-secretsmanager-no-flatten"];
    assert_eq!(read(&server, BACKEND, "['/db']", &whole), r#"/db={"host":"h"} "#);
    assert_eq!(read(&server, BACKEND, "['/db/host']", &whole), "");
}

#[test]
fn the_label_of_a_version_can_be_chosen() {
    let server = secrets(&[("text", "old")]);
    let request = json!({"SecretId": "text", "SecretString": "new"});
    server.call("secretsmanager.PutSecretValue", &request);
    let stage =
        |name| read(&server, BACKEND, "['/text']", &["-secretsmanager-version-stage", name]);
    assert_eq!(stage("AWSCURRENT"), "/text=new ");
    assert_eq!(stage("AWSPREVIOUS"), "/text=old ");
    assert_eq!(stage("NONE"), "");
}

#[test]
fn a_binary_secret_is_its_base64_text() {
    let server = Moto::start();
    let request = json!({"Name": "key", "SecretBinary": "AAH/"});
    server.call("secretsmanager.CreateSecret", &request);
    assert_eq!(read(&server, BACKEND, "['/key']", &[]), "/key=AAH/ ");
}
