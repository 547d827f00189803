//! Signs requests: Signature Version 4.

use std::fmt::Write as _;
use std::time::SystemTime;

use aws_lc_rs::{digest, hmac};
use jiff::Timestamp;

use crate::Credentials;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A request that is signed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, such as `POST`.
    pub method: &'a str,
    /// The path, escaped once, such as `/`.
    pub path: &'a str,
    /// The parameters behind `?`, each escaped and with its `=`; empty if there are none.
    pub query: &'a str,
    /// The headers, with `host`. All of them are signed, so a proxy must not change them.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

/// The headers that must be added to a request so that `service` in `region` accepts it as one of the
/// owner of `credentials`: `x-amz-date`, `x-amz-security-token` if there is one, and `authorization`.
pub fn sign(
    request: &Request<'_>,
    credentials: &Credentials,
    region: &str,
    service: &str,
    at: SystemTime,
) -> Vec<(&'static str, String)> {
    let time = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    let time = time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = time.split('T').next().unwrap_or_default();
    let mut added = vec![("x-amz-date", time.clone())];
    if let Some(token) = &credentials.token {
        added.push(("x-amz-security-token", token.clone()));
    }
    let of_request =
        request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), *value));
    let of_signature = added.iter().map(|(name, value)| ((*name).to_owned(), value.as_str()));
    let mut headers: Vec<_> = of_request.chain(of_signature).collect();
    // Stable: values of equal names stay in their order.
    headers.sort_by(|one, other| one.0.cmp(&other.0));

    let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    let names = names.join(";");
    let (method, path) = (request.method, request.path);
    let mut parameters: Vec<_> = request.query.split('&').filter(|one| !one.is_empty()).collect();
    parameters.sort_unstable();
    let mut canonical = format!("{method}\n{path}\n{}\n", parameters.join("&"));
    let mut before = "";
    for (name, value) in &headers {
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        if name == before {
            // Values of one name share a line.
            canonical.pop();
            canonical.push(',');
            canonical.push_str(&value);
        } else {
            canonical.push_str(name);
            canonical.push(':');
            canonical.push_str(&value);
        }
        canonical.push('\n');
        before = name;
    }
    canonical.push_str(&format!("\n{names}\n{}", sum(request.body)));

    let scope = format!("{date}/{region}/{service}/aws4_request");
    let text = format!("{ALGORITHM}\n{time}\n{scope}\n{}", sum(canonical.as_bytes()));
    let secret = format!("AWS4{}", credentials.secret_access_key);
    let parts = [date, region, service, "aws4_request"];
    let key = parts.iter().fold(secret.into_bytes(), |key, part| keyed(&key, part));
    let signature = hex(&keyed(&key, &text));
    let key = &credentials.access_key_id;
    added.push((
        "authorization",
        format!(
            "{ALGORITHM} Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
        ),
    ));
    added
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_owned()
}

fn sum(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The moment, the key and the place of the test vectors that Amazon has published for Signature
    /// Version 4.
    fn signed(request: &Request<'_>, token: Option<&str>) -> String {
        let credentials = Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            token: token.map(str::to_owned),
            expires: None,
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        sign(request, &credentials, "us-east-1", "service", at).pop().unwrap().1
    }

    const HOST: (&str, &str) = ("Host", "example.amazonaws.com");

    fn request<'a>(method: &'a str, headers: &'a [(&'a str, &'a str)]) -> Request<'a> {
        Request { method, path: "/", query: "", headers, body: b"" }
    }

    #[test]
    fn signatures_are_those_of_the_published_test_vectors() {
        for (request, names, signature) in [
            (
                request("GET", &[HOST]),
                "host;x-amz-date",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                request("POST", &[HOST]),
                "host;x-amz-date",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                Request { query: "Param2=value2&Param1=value1", ..request("GET", &[HOST]) },
                "host;x-amz-date",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                Request {
                    body: b"Param1=value1",
                    ..request(
                        "POST",
                        &[("Content-Type", "application/x-www-form-urlencoded"), HOST],
                    )
                },
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                request(
                    "GET",
                    &[HOST, ("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
                ),
                "host;my-header1;my-header2;x-amz-date",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
        ] {
            assert_eq!(
                signed(&request, None),
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders={names}, Signature={signature}"
                )
            );
        }
    }

    #[test]
    fn a_token_is_signed_too() {
        let header = signed(&request("POST", &[HOST]), Some("TOKEN"));
        assert!(header.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"), "{header}");
    }
}
