//! The client and moto, which verifies signatures like AWS; and answers that moto never gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use servers::{Moto, Stub};

use crate::options::{ContainerPlace, MetadataPlace, WebIdentity};
use crate::{Account, CallError, Client, Credentials, Options, Service};

fn key(id: &str, secret: &str) -> Credentials {
    Credentials {
        access_key_id: id.to_owned(),
        secret_access_key: secret.to_owned(),
        token: None,
        expires: None,
    }
}

/// Options for a server at this address, of an account with a key.
fn options(address: &str) -> Options {
    Options {
        credentials: Some(key("AKIDTEST", "hunter2")),
        endpoint: Some(format!("http://{address}")),
        sts: Some(format!("http://{address}")),
        region: Some("us-east-1".to_owned()),
        metadata: MetadataPlace { disabled: true, ..MetadataPlace::default() },
        attempts: 3,
        ..Options::default()
    }
}

/// Options of an account without a key in the environment, whose file of profiles has this text.
fn with_profiles(address: &str, folder: &tempfile::TempDir, text: &str) -> Options {
    let path = folder.path().join("config");
    std::fs::write(&path, text).unwrap();
    Options { credentials: None, files: [None, Some(path)], ..options(address) }
}

async fn get(client: &Client, name: &str) -> Result<Value, CallError> {
    client.call("GetParameter", &json!({"Name": name, "WithDecryption": true})).await
}

#[tokio::test]
async fn a_server_that_verifies_signatures_accepts_ours_and_refuses_those_of_another_key() {
    let allowed = json!([{"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*"}]);
    let (server, user) = Moto::verifying(&allowed);
    let client = |secret: &str| {
        let credentials = Some(key(&user.id, secret));
        Client::new(&Service::SSM, Options { credentials, ..options(&server.address()) })
    };
    let error = get(&client(&user.secret), "/none").await.unwrap_err();
    assert!(error.is("ParameterNotFound"), "{error:?}");
    let error = get(&client("wrong"), "/none").await.unwrap_err();
    assert!(error.is("SignatureDoesNotMatch"), "{error:?}");
    let request = json!({"Path": "/"});
    let denied = client(&user.secret).call("GetParametersByPath", &request).await.unwrap_err();
    let text = nodes::Error::from(denied).to_string();
    let begin = format!("ssm at http://{} refused: AccessDenied", server.address());
    assert!(text.starts_with(&begin), "{text}");
}

/// An answer in JSON, with this status.
fn answer(status: u16, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A server that gives these answers, the last one for ever.
fn answering(answers: Vec<Vec<u8>>) -> Stub {
    let next = Arc::new(AtomicUsize::new(0));
    Stub::answering(move |_| {
        let nth = next.fetch_add(1, Ordering::SeqCst);
        answers[nth.min(answers.len() - 1)].clone()
    })
}

#[tokio::test]
async fn a_busy_service_is_asked_again_and_a_refusal_is_final() {
    let busy = answer(400, &json!({"__type": "ThrottlingException", "message": "Rate exceeded"}));
    let broken = answer(503, &json!({}));
    let stub = answering(vec![busy.clone(), broken, answer(200, &json!({"done": true}))]);
    let client = Client::new(&Service::SSM, options(&stub.address()));
    assert_eq!(get(&client, "/a").await.unwrap(), json!({"done": true}));
    assert_eq!(stub.heads().len(), 3);

    let stub = answering(vec![busy]);
    let client = Client::new(&Service::SSM, options(&stub.address()));
    let error = nodes::Error::from(get(&client, "/a").await.unwrap_err());
    assert_eq!(
        error.to_string(),
        format!("cannot reach ssm: http://{}: ThrottlingException: Rate exceeded", stub.address())
    );
    assert!(error.is_transient());
    assert_eq!(stub.heads().len(), 3);

    let denied = json!({"__type": "com.amazon#AccessDeniedException", "Message": "no"});
    let stub = answering(vec![answer(400, &denied)]);
    let client = Client::new(&Service::SSM, options(&stub.address()));
    assert!(get(&client, "/a").await.unwrap_err().is("AccessDeniedException"));
    assert_eq!(stub.heads().len(), 1);
}

#[tokio::test]
async fn credentials_that_are_refused_are_looked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let profile =
        |id: &str| format!("[default]\naws_access_key_id={id}\naws_secret_access_key=b\n");
    let written = (path.clone(), profile("NEW"));
    let stub = Stub::answering(move |head| match head.contains("Credential=NEW/") {
        true => answer(200, &json!({})),
        false => {
            std::fs::write(&written.0, &written.1).unwrap();
            answer(403, &json!({"__type": "ExpiredTokenException", "message": "expired"}))
        }
    });
    let client =
        Client::new(&Service::SSM, with_profiles(&stub.address(), &folder, &profile("OLD")));
    assert_eq!(get(&client, "/a").await.unwrap(), json!({}));
}

#[tokio::test]
async fn a_role_is_assumed_with_the_credentials_of_its_source() {
    let server = Moto::start();
    let folder = tempfile::tempdir().unwrap();
    let text = "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = key\n\
                external_id = x\n[profile key]\naws_access_key_id = A\naws_secret_access_key = B\n\
                [profile loop]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = loop2\n\
                [profile loop2]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = loop\n";
    let account = |profile: &str| {
        let profile = Some(profile.to_owned());
        Account::new(Options { profile, ..with_profiles(&server.address(), &folder, text) })
    };
    let found = account("role").credentials().await.unwrap();
    assert!(found.token.is_some() && found.access_key_id.starts_with("ASIA"), "{found:?}");
    assert!(found.expires.unwrap() > SystemTime::now() + Duration::from_secs(600));
    let cause = account("loop").credentials().await.unwrap_err().to_string();
    assert_eq!(cause, "the profile loop2: its source_profile leads back to it");
    let cause = account("none").credentials().await.unwrap_err().to_string();
    assert!(cause.starts_with("there is no profile none in "), "{cause}");
}

#[tokio::test]
async fn a_web_identity_assumes_its_role() {
    let server = Moto::start();
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    let identity = WebIdentity {
        token_file: token_file.clone(),
        role: "arn:aws:iam::123456789012:role/r".to_owned(),
        session: None,
    };
    let with = with_profiles(&server.address(), &folder, "");
    let account = Account::new(Options { web_identity: Some(identity), ..with });
    let cause = account.credentials().await.unwrap_err().to_string();
    let path = token_file.display();
    assert_eq!(cause, format!("open {path}: no such file or directory"));
    std::fs::write(&token_file, "token\n").unwrap();
    assert!(account.credentials().await.unwrap().token.is_some());
}

#[tokio::test]
async fn the_agent_of_a_container_and_the_metadata_of_an_instance_give_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let document = json!({
        "AccessKeyId": "A", "SecretAccessKey": "B", "Token": "C", "Expiration": "2999-01-01T00:00:00Z"
    });
    let stub = answering(vec![answer(200, &document)]);
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "secret\n").unwrap();
    let place = ContainerPlace {
        address: format!("http://{}/v1/credentials", stub.address()),
        token: None,
        token_file: Some(token_file),
    };
    let without = with_profiles("127.0.0.1:1", &folder, "");
    let account = Account::new(Options { container: Some(place), ..without.clone() });
    assert_eq!(account.credentials().await.unwrap().token.as_deref(), Some("C"));
    let head = &stub.heads()[0];
    assert!(head.starts_with("GET /v1/credentials ") && head.contains("authorization: secret\r\n"));

    let far =
        ContainerPlace { address: "http://192.0.2.1/x".into(), token: None, token_file: None };
    let account = Account::new(Options { container: Some(far), ..without.clone() });
    let cause = account.credentials().await.unwrap_err().to_string();
    assert!(cause.contains("only by https"), "{cause}");

    let server = Moto::start();
    let address = format!("http://{}", server.address());
    let metadata = MetadataPlace { disabled: false, address };
    let account = Account::new(Options { metadata, region: None, ..without.clone() });
    assert!(account.credentials().await.unwrap().token.is_some());

    let cause = Account::new(without).credentials().await.unwrap_err().to_string();
    assert!(cause.starts_with("no credentials: set AWS_ACCESS_KEY_ID and "), "{cause}");
}

#[tokio::test]
async fn the_metadata_ask_for_a_new_token_when_theirs_has_expired() {
    let tokens = AtomicUsize::new(0);
    let plain = |status: u16, body: &str| {
        format!(
            "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let stub = Stub::answering(move |head| match head.starts_with("PUT /latest/api/token ") {
        true => plain(200, &format!("t{}", tokens.fetch_add(1, Ordering::SeqCst))),
        false if head.contains("x-aws-ec2-metadata-token: t0\r\n") => plain(401, ""),
        false if head.contains("/placement/region ") => plain(200, "eu-north-1"),
        false => plain(404, ""),
    });
    let place = MetadataPlace { disabled: false, address: format!("http://{}", stub.address()) };
    let account = Account::new(Options { metadata: place, ..Options::default() });
    assert_eq!(account.region().await.unwrap(), "eu-north-1");
    assert_eq!(account.metadata().get("meta-data/none").await.unwrap(), None);
    assert_eq!(account.metadata().credentials().await.unwrap(), None);
}

#[tokio::test]
async fn a_program_gives_credentials_until_they_expire() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let script = |seconds: u64| {
        let until = SystemTime::now() + Duration::from_secs(seconds);
        let until = jiff::Timestamp::try_from(until).unwrap();
        format!(
            "[default]\ncredential_process = echo x >> {}; echo noise >&2; echo '{{\"Version\":1,\
             \"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"SessionToken\":\"C\",\
             \"Expiration\":\"{until}\"}}'\n",
            count.display()
        )
    };
    let runs = || std::fs::read_to_string(&count).unwrap().lines().count();
    let account = Account::new(with_profiles("127.0.0.1:1", &folder, &script(3600)));
    for _ in 0..2 {
        assert_eq!(account.credentials().await.unwrap().token.as_deref(), Some("C"));
    }
    assert_eq!(runs(), 1);
    let account = Account::new(with_profiles("127.0.0.1:1", &folder, &script(60)));
    for _ in 0..2 {
        account.credentials().await.unwrap();
    }
    assert_eq!(runs(), 3);
    let broken = "[default]\ncredential_process = echo hunter2; exit 3\n";
    let account = Account::new(with_profiles("127.0.0.1:1", &folder, broken));
    let cause = account.credentials().await.unwrap_err().to_string();
    assert!(cause.starts_with("credential_process: exit status 3 (run "), "{cause}");
}
