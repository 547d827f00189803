//! Tables of DynamoDB.

use serde_json::json;
use servers::Moto;

use super::{asking_for, onetime, read};

const TABLE: [&str; 2] = ["-table", "confd"];

fn table() -> Moto {
    let server = Moto::start();
    server.create_table("confd");
    server
}

#[test]
fn a_key_stands_for_its_item_and_otherwise_for_those_that_begin_with_it() {
    let server = table();
    for (key, value) in
        [("/app/port", "80"), ("/app/db/host", "h"), ("/apple", "1"), ("/x", "2"), ("/x/y", "3")]
    {
        server.put_item("confd", key, &json!({"S": value}));
    }
    for (keys, expected) in [
        ("['/app']", "/apple=1 /app/port=80 /app/db/host=h "),
        ("['/app/port', '/app/db']", "/app/port=80 /app/db/host=h "),
        ("['/x']", "/x=2 "),
        ("['/none']", ""),
        ("['/']", "/apple=1 /x=2 /app/port=80 /x/y=3 /app/db/host=h "),
    ] {
        assert_eq!(read(&server, "dynamodb", keys, &TABLE), expected, "{keys}");
    }
}

#[test]
fn a_value_that_is_no_string_is_skipped_with_a_warning() {
    let server = table();
    server.put_item("confd", "/app/a", &json!({"S": "1"}));
    server.put_item("confd", "/app/broken", &json!({"N": "4711"}));
    let request = json!({"TableName": "confd", "Item": {"key": {"S": "/app/empty"}}});
    server.call("DynamoDB_20120810.PutItem", &request);
    for keys in ["['/app']", "['/app/a', '/app/broken', '/app/empty']"] {
        let sandbox = asking_for(keys);
        let ended = onetime(&sandbox, &server, "dynamodb").arguments(&TABLE).ok();
        ended.expect("WARNING Skipping key '/app/broken'. 'value' is not of type 'string'.");
        ended.expect_no("4711");
        assert_eq!(sandbox.output(), "/app/a=1 ", "{keys}");
    }
}

#[test]
fn all_pages_of_a_large_table_are_read() {
    let server = table();
    let large = "x".repeat(390_000);
    for number in 0..4 {
        server.put_item("confd", &format!("/app/{number}"), &json!({"S": large}));
    }
    let sandbox = asking_for("['/app']");
    sandbox.write("templates/app", "{{range gets \"/app/*\"}}{{.Key}}={{len .Value}} {{end}}");
    onetime(&sandbox, &server, "dynamodb").arguments(&TABLE).ok();
    assert_eq!(sandbox.output(), "/app/0=390000 /app/1=390000 /app/2=390000 /app/3=390000 ");
}

#[test]
fn a_table_that_is_not_given_or_does_not_exist_is_an_error() {
    let server = table();
    let sandbox = asking_for("['/app']");
    let ended = onetime(&sandbox, &server, "dynamodb").fails();
    assert_eq!(ended.log(), ["FATAL No DynamoDB table configured: give its name by -table"]);
    let ended = onetime(&sandbox, &server, "dynamodb").arguments(&["-table", "none"]).fails();
    let error = format!(
        "dynamodb at http://{} refused: there is no table none: ResourceNotFoundException",
        server.address()
    );
    assert!(ended.stderr.contains(&error), "{}", ended.stderr);
    assert_eq!(sandbox.list("out"), [""; 0]);
}
