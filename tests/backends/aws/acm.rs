//! Certificates of Certificate Manager.

use std::fs;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;
use servers::{Certificates, Moto};

use super::onetime;
use crate::support::Sandbox;

/// A server with a certificate, the ARN of that, and the texts of the certificate and its chain.
fn imported() -> (Moto, String, [String; 2]) {
    let files = Certificates::new();
    let [certificate, key, chain] = ["server.pem", "server.key", "ca.pem"]
        .map(|name| fs::read_to_string(files.path(name)).unwrap());
    let encoded = |text: &str| BASE64_STANDARD.encode(text);
    let server = Moto::start();
    let answer = server.call(
        "CertificateManager.ImportCertificate",
        &json!({
            "Certificate": encoded(&certificate),
            "PrivateKey": encoded(&key),
            "CertificateChain": encoded(&chain),
        }),
    );
    (server, answer["CertificateArn"].as_str().unwrap().to_owned(), [certificate, chain])
}

/// A resource that asks for this key and prints the values of these keys.
fn printing(key: &str, shown: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let values = shown.iter().map(|end| format!("{{{{getv \"{key}{end}\"}}}}"));
    sandbox.write("templates/app", values.collect::<String>());
    let table = format!("[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = ['{key}']\n");
    sandbox.write("conf.d/app.toml", table);
    sandbox
}

#[test]
fn a_certificate_and_its_chain_are_read_by_the_arn_also_below_a_prefix() {
    let (server, arn, [certificate, chain]) = imported();
    let sandbox = printing(&format!("/{arn}"), &["", "_chain"]);
    for prefix in [&[][..], &["-prefix", "/prod"]] {
        onetime(&sandbox, &server, "acm").arguments(prefix).ok();
        let lines = |text: &str| text.split_whitespace().collect::<String>();
        let expected = lines(&format!("{certificate}{chain}"));
        // Moto adds a CA of Amazon.
        assert!(lines(&sandbox.output()).starts_with(&expected), "{}", sandbox.output());
        fs::remove_file(sandbox.path("out/app")).unwrap();
    }
}

#[test]
fn a_key_that_is_no_arn_or_no_certificate_is_refused() {
    let (server, arn, _) = imported();
    let other = arn.rsplit_once('/').unwrap().0.to_owned() + "/none";
    for (key, error) in [
        ("/app".to_owned(), "refused: /app is not the ARN of a certificate"),
        (format!("/{other}"), "refused: ResourceNotFoundException"),
    ] {
        let sandbox = printing(&key, &[]);
        let ended = onetime(&sandbox, &server, "acm").fails();
        assert!(ended.stderr.contains(error), "{}", ended.stderr);
    }
}

#[test]
fn a_private_key_is_exported_only_if_it_is_asked_for_and_with_a_passphrase() {
    let server = Moto::start();
    let authority = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/x";
    let request = json!({"DomainName": "a.example", "CertificateAuthorityArn": authority});
    let answer = server.call("CertificateManager.RequestCertificate", &request);
    let arn = answer["CertificateArn"].as_str().unwrap();
    let sandbox = printing(&format!("/{arn}"), &["_private_key"]);
    let run = || onetime(&sandbox, &server, "acm");
    let missing = run().arguments(&["-acm-export-private-key"]).fails();
    let line = "FATAL ACM_PASSPHRASE environment variable is required when exporting private keys";
    assert_eq!(missing.log(), [line]);
    let off = run().env("ACM_EXPORT_PRIVATE_KEY", "0").env("ACM_PASSPHRASE", "hunter4").fails();
    assert!(off.stderr.contains("key does not exist"), "{}", off.stderr);
    let on = run().env("ACM_EXPORT_PRIVATE_KEY", "1").env("ACM_PASSPHRASE", "hunter4").ok();
    on.expect_no("hunter4");
    assert!(sandbox.output().contains("ENCRYPTED PRIVATE KEY"), "{}", sandbox.output());
}
