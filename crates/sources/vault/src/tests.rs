//! Secrets with a lease, which only engines have that need another server: a stub stands for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use client_vault::{Login, Options};
use nodes::Secret;
use servers::Stub;
use source::testing::{interest, pause};
use source::{Interest, Source};
use tokio::time::Instant;

use crate::Vault;

/// A server whose secret at any path has a lease of three seconds, and a value that counts the requests
/// for it.
fn stub() -> (Stub, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let of_stub = Arc::clone(&made);
    let stub = Stub::answering(move |head| {
        let body = match () {
            () if head.contains("/sys/internal/ui/mounts/") => {
                r#"{"data":{"path":"database/","type":"database"}}"#.to_owned()
            }
            () if head.contains("list=true") || !head.contains("/creds/") => return not_found(),
            () => {
                let number = of_stub.fetch_add(1, Ordering::SeqCst) + 1;
                format!(
                    r#"{{"lease_id":"l/{number}","lease_duration":3,"data":{{"value":"{number}"}}}}"#
                )
            }
        };
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
            .into_bytes()
    });
    (stub, made)
}

fn not_found() -> Vec<u8> {
    b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 13\r\n\r\n{\"errors\":[]}"
        .to_vec()
}

async fn value(vault: &Vault, interest: &Interest) -> String {
    let answers = vault.read(interest).await.unwrap();
    let value = answers[0].as_ref().unwrap().get(b"/database/creds/app").unwrap().clone();
    String::from_utf8(value.to_vec()).unwrap()
}

#[tokio::test]
async fn a_secret_with_a_lease_is_made_again_only_when_two_thirds_of_the_lease_are_over() {
    let (stub, made) = stub();
    let login = Login::Token(Secret::Text("x".to_owned()));
    let nodes = vec![format!("http://{}", stub.address())];
    let vault = Vault::new(Options { nodes, login, ..Options::default() });
    assert_eq!(vault.next_reading(), None);
    let asked = interest(&[&["/database/creds/app"]]);
    let begun = Instant::now();
    assert_eq!(value(&vault, &asked).await, "1");
    assert_eq!(value(&vault, &asked).await, "1");
    let due = vault.next_reading().unwrap();
    assert!(due >= begun + Duration::from_secs(2) && due < Instant::now() + Duration::from_secs(2));
    pause(due - Instant::now()).await;
    assert_eq!(value(&vault, &asked).await, "2");
    assert_eq!(made.load(Ordering::SeqCst), 2);
    // What is not asked for any more is forgotten.
    vault.read(&interest(&[&[]])).await.unwrap();
    assert_eq!(vault.next_reading(), None);
    assert_eq!(value(&vault, &asked).await, "3");
}

#[tokio::test]
async fn what_another_program_does_not_find_is_not_deleted() {
    // A proxy answers like this while no Vault is behind it.
    let stub = Stub::answering(|_| {
        b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 21\r\n\r\ndefault backend - 404".to_vec()
    });
    let login = Login::Token(Secret::Text("x".to_owned()));
    let nodes = vec![format!("http://{}", stub.address())];
    let vault = Vault::new(Options { nodes, login, ..Options::default() });
    let error = vault.read(&interest(&[&["/secret/app"]])).await.unwrap_err().to_string();
    assert!(error.contains("its answer is not that of a Vault"), "{error}");
}

/// An answer to a request that ends the connection.
fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// An engine without versions at `kv`, whose secret `a` can be read, and whose secret `b` has this answer.
fn engine_with(b: Vec<u8>) -> (Stub, Vault) {
    let stub = Stub::answering(move |head| match head.split(' ').nth(1).unwrap_or_default() {
        path if path.starts_with("/v1/sys/internal/ui/mounts/") => {
            answer("200 OK", r#"{"data":{"path":"kv/","type":"kv"}}"#)
        }
        "/v1/kv?list=true" => answer("200 OK", r#"{"data":{"keys":["a","b"]}}"#),
        "/v1/kv/a" => answer(
            "200 OK",
            r#"{"data":{"x":"1","../b/y":"2","..":"3","":"4","z":{"../../c":"5"}}}"#,
        ),
        "/v1/kv/b" => b.clone(),
        _ => not_found(),
    });
    let login = Login::Token(Secret::Text("x".to_owned()));
    let nodes = vec![format!("http://{}", stub.address())];
    (stub, Vault::new(Options { nodes, login, renew: false, ..Options::default() }))
}

#[tokio::test]
async fn each_key_that_needs_a_refused_secret_is_refused() {
    let (_stub, vault) =
        engine_with(answer("403 Forbidden", r#"{"errors":["permission denied"]}"#));
    let answers = vault.read(&interest(&[&["/kv"], &["/kv/a"], &["/kv/b"]])).await.unwrap();
    let refused: Vec<bool> = answers.iter().map(Result::is_err).collect();
    assert_eq!(refused, [true, false, true]);
}

#[tokio::test]
async fn an_engine_that_cannot_give_one_secret_keeps_no_other_back() {
    let body = r#"{"errors":["1 error occurred: the database is away"]}"#;
    let (_stub, vault) = engine_with(answer("500 Internal Server Error", body));
    let answers = vault.read(&interest(&[&["/kv/a"], &["/kv/b"]])).await.unwrap();
    assert!(answers[0].is_ok());
    let error = answers[1].as_ref().unwrap_err().to_string();
    assert!(error.contains("GET /v1/kv/b") && error.contains("the database is away"), "{error}");
}

#[tokio::test]
async fn no_field_of_a_secret_makes_a_key_outside_of_it() {
    let (_stub, vault) = engine_with(not_found());
    let answers = vault.read(&interest(&[&["/kv/a"]])).await.unwrap();
    let pairs: Vec<_> = answers[0].as_ref().unwrap().iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(pairs, ["/kv/a", "/kv/a/x"]);
}
