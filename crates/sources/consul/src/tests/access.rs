//! Tokens, users, certificates and sockets.

use std::fs;
use std::time::Duration;

use servers::{Certificates, Consul, Proxy, Stub};
use store::Snapshot;

use super::{at, follow, read};
use client_consul::{Options, Token};
use source::testing::{BOUND, Follower, Known, text};

/// The rules of a token that may read `app/`.
const READER: &str = "key_prefix \"app/\" { policy = \"read\" }";

fn with_token(node: &str, token: &str) -> Options {
    Options { token: Some(Token::Text(token.to_owned())), ..at(&[node]) }
}

#[tokio::test]
async fn a_refusal_has_its_reason_and_is_not_transient() {
    let server = Consul::with_tokens();
    server.put("app/a", "1");
    let address = server.address();
    let token = server.token(READER);
    let pairs = read(with_token(&address, &token.secret), &["/app/"]).await.unwrap();
    assert_eq!(text(&pairs), ["/app/a=1"]);
    let unknown = "3ef4cb10-0000-4a4b-9a5c-6b3a4b2d1c0e";
    let error = read(with_token(&address, unknown), &["/app/"]).await.unwrap_err();
    let message = error.to_string();
    assert!(message.contains("refused: ") && message.contains("ACL not found"), "{message}");
    assert!(!message.contains(unknown), "{message}");
    assert!(!error.is_transient() && error.is_refusal(), "{error}");
}

#[tokio::test]
async fn keys_that_a_token_may_not_read_are_refused_and_do_not_count_as_empty() {
    let server = Consul::with_tokens();
    server.put_all([("app/a", "1"), ("other/a", "2")]);
    let token = server.token(READER);
    let options = with_token(&server.address(), &token.secret);
    let error = read(options.clone(), &["/other"]).await.unwrap_err();
    assert!(error.is_refusal(), "{error}");
    // If a token may read a part of the keys, Consul leaves the others out.
    assert_eq!(text(&read(options.clone(), &["/"]).await.unwrap()), ["/app/a=1"]);
    // A prefix without keys is empty and not refused.
    assert!(read(options, &["/none"]).await.unwrap().is_empty());
}

/// To clients without a token, Consul shows an empty store and reports no refusal.
#[tokio::test]
async fn without_a_token_forbidden_keys_do_not_exist() {
    let server = Consul::with_tokens();
    server.put("app/a", "1");
    assert!(read(at(&[&server.address()]), &["/app"]).await.unwrap().is_empty());
}

#[tokio::test]
async fn revoked_rights_do_not_empty_a_state() {
    let server = Consul::with_tokens();
    server.put("app/a", "1");
    let token = server.token(READER);
    let mut follower = follow(with_token(&server.address(), &token.secret)).await;
    server.revoke(&token);
    server.restore(&token, "key_prefix \"other/\" { policy = \"read\" }");
    // The waiting query still has the old rights; the next query does not.
    server.put("app/b", "2");
    server.put("app/b", "3");
    follower.reports_error("refused: the token may not read what is below \"app\"", BOUND).await;
    let is_empty = |known: &Known| known.snapshot.as_ref().is_none_or(Snapshot::is_empty);
    follower.wait("the pairs stay", BOUND, |known| !is_empty(known)).await;
    server.revoke(&token);
    server.restore(&token, READER);
    server.put("app/b", "4");
    follower.sees(&["/app/a=1", "/app/b=4"]).await;
}

#[tokio::test]
async fn revoked_rights_to_one_of_several_prefixes_do_not_empty_a_state() {
    let server = Consul::with_tokens();
    server.put_all([("a/v", "1"), ("b/v", "1"), ("c/v", "1")]);
    let all = "key_prefix \"\" { policy = \"read\" }";
    let token = server.token(all);
    let source = crate::Consul::new(with_token(&server.address(), &token.secret));
    let mut follower = Follower::start_asking(source, &["/a", "/b", "/c"]);
    follower.sees(&["/a/v=1", "/b/v=1", "/c/v=1"]).await;
    server.revoke(&token);
    let two = "key_prefix \"a\" { policy = \"read\" } key_prefix \"b\" { policy = \"read\" }";
    server.restore(&token, two);
    // The waiting query still has the old rights; the next query does not.
    server.put("c/v", "2");
    server.put("c/v", "3");
    for _ in 0..20 {
        follower.fails(BOUND).await;
        let has_it = |known: &Known| known.snapshot.as_ref().unwrap().get(b"/c/v").is_some();
        follower.wait("the pair stays", Duration::ZERO, has_it).await;
    }
    follower.reports_error("the token may not read what is below \"c\"", Duration::ZERO).await;
    server.revoke(&token);
    server.restore(&token, all);
    server.put("c/v", "4");
    follower.sees(&["/a/v=1", "/b/v=1", "/c/v=4"]).await;
}

#[tokio::test]
async fn a_refused_key_is_also_refused_in_a_common_listing() {
    let server = Consul::with_tokens();
    // These keys are too many for one listing each, and have no longer common prefix.
    let keys: Vec<_> = ('A'..='z').map(|letter| format!("app/{letter}")).collect();
    server.put_all(keys.iter().map(|key| (&**key, "0")));
    server.put("app/beside", "0");
    let asked: Vec<_> = keys.iter().map(|key| format!("/{key}")).collect();
    let asked: Vec<_> = asked.iter().map(String::as_str).collect();
    let without = |key: &str| {
        format!(
            "key_prefix \"\" {{ policy = \"read\" }} key_prefix \"{key}\" {{ policy = \"deny\" }}"
        )
    };
    let token = server.token(&without("app/m"));
    let options = with_token(&server.address(), &token.secret);
    let error = read(options.clone(), &asked).await.unwrap_err();
    assert!(error.to_string().contains("may not read what is below \"app/m\""), "{error}");
    assert!(error.is_refusal());
    server.revoke(&token);
    // Hidden or missing keys beside them do not cause a refusal.
    server.restore(&token, &without("app/beside"));
    server.delete("app/q");
    let pairs = read(options, &asked).await.unwrap();
    assert_eq!(pairs.len(), keys.len() - 1);
}

#[tokio::test]
async fn a_token_in_a_file_is_used_as_soon_as_the_file_exists() {
    let server = Consul::with_tokens();
    server.put("app/a", "1");
    let file = tempfile::NamedTempFile::new().unwrap();
    let (first, second) = (server.token(READER), server.token(READER));
    fs::write(file.path(), format!("{}\n", first.secret)).unwrap();
    let token = Some(Token::File(file.path().to_owned()));
    let mut follower = follow(Options { token, ..at(&[&server.address()]) }).await;
    server.revoke(&first);
    server.put("app/a", "2");
    follower.reports_error("refused: ", BOUND).await;
    fs::write(file.path(), &second.secret).unwrap();
    server.put("app/a", "3");
    follower.sees(&["/app/a=3"]).await;
}

#[tokio::test]
async fn a_revoked_token_is_reported_and_a_restored_token_works_again() {
    let server = Consul::with_tokens();
    server.put("app/a", "1");
    let token = server.token(READER);
    let mut follower = follow(with_token(&server.address(), &token.secret)).await;
    follower.sees(&["/app/a=1"]).await;
    server.revoke(&token);
    // The change ends the waiting query, and the next query is refused.
    server.put("app/a", "2");
    follower.reports_error("refused: ACL not found", BOUND).await;
    server.put("app/a", "3");
    server.restore(&token, READER);
    follower.sees(&["/app/a=3"]).await;
}

fn tls(files: &Certificates) -> tls::Options {
    tls::Options {
        ca: Some(files.path("ca.pem")),
        certificate: Some(files.path("client.pem")),
        key: Some(files.path("client.key")),
        ..tls::Options::default()
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_it() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let server = Consul::with_certificates(&ours);
    server.put("app/a", "1");
    let node = format!("https://{}", server.secure_address());
    let asking = |tls| Options { tls, ..at(&[&node]) };
    let mut follower = follow(asking(tls(&ours))).await;
    server.put("app/a", "2");
    follower.sees(&["/app/a=2"]).await;

    let trusting_others = tls::Options { ca: Some(others.path("ca.pem")), ..tls(&ours) };
    let error = read(asking(trusting_others), &["/app"]).await.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
    let named = |name: &str| tls::Options { server_name: Some(name.to_owned()), ..tls(&ours) };
    assert_eq!(text(&read(asking(named("localhost")), &["/app"]).await.unwrap()), ["/app/a=2"]);
    let error = read(asking(named("server.dc1.consul")), &["/app"]).await.unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
    let anonymous = tls::Options { certificate: None, key: None, ..tls(&ours) };
    let error = read(asking(anonymous), &["/app"]).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn new_certificates_are_used_from_the_next_connection_on() {
    let (files, first, second) =
        (tempfile::tempdir().unwrap(), Certificates::new(), Certificates::new());
    let path = |name: &str| files.path().join(name);
    let install = |certificates: &Certificates| {
        for name in ["ca.pem", "client.pem", "client.key"] {
            fs::copy(certificates.path(name), path(name)).unwrap();
        }
    };
    install(&first);
    let (old, new) = (Consul::with_certificates(&first), Consul::with_certificates(&second));
    old.put("app/a", "1");
    new.put("app/a", "2");
    let proxy = Proxy::before(&old.secure_address());
    let tls = tls::Options {
        ca: Some(path("ca.pem")),
        certificate: Some(path("client.pem")),
        key: Some(path("client.key")),
        ..tls::Options::default()
    };
    let node = format!("https://{}", proxy.address());
    // If no query is waiting when the connection is cut, the next query goes to the other Consul,
    // with an index that it may not have reached.
    let wait = Duration::from_secs(1);
    let mut follower = follow(Options { tls, wait, ..at(&[&node]) }).await;
    follower.sees(&["/app/a=1"]).await;
    install(&second);
    proxy.lead_to(&new.secure_address());
    proxy.cut();
    follower.sees(&["/app/a=2"]).await;
}

#[tokio::test]
async fn a_socket_in_the_file_system_is_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("consul.sock");
    let server = Consul::start_with(&format!(
        "addresses {{ http = \"127.0.0.1 unix://{}\" }}",
        socket.display()
    ));
    server.put("app/a", "1");
    let mut follower = follow(at(&[&format!("unix://{}", socket.display())])).await;
    server.put("app/a", "2");
    follower.sees(&["/app/a=2"]).await;
}

/// The value of a header in the first request.
fn header(stub: &Stub, name: &str) -> Option<String> {
    let heads = stub.heads();
    let lines = heads.iter().flat_map(|head| head.lines()).filter_map(|line| line.split_once(": "));
    let mut of_name = lines.filter(|(header, _)| header.eq_ignore_ascii_case(name));
    of_name.next().map(|(_, value)| value.to_owned())
}

#[tokio::test]
async fn a_user_is_named_in_each_request() {
    let stub = Stub::answering(|_| super::answers::answer("404 Not Found", 1, ""));
    let user = Some(("joe".to_owned(), "se:cret".to_owned()));
    read(Options { user, ..at(&[&stub.address()]) }, &["/app"]).await.unwrap();
    // The text is "joe:se:cret" in base64.
    assert_eq!(header(&stub, "Authorization").as_deref(), Some("Basic am9lOnNlOmNyZXQ="));
    assert_eq!(header(&stub, "X-Consul-Token"), None);
}
