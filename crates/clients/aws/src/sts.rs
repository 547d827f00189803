//! Temporary credentials of a role, from the Security Token Service.

use std::time::{Duration, SystemTime};

use nodes::Cause;
use nodes::address::shown;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use report::{file_error_text, read_regular};

use crate::connection::Connection;
use crate::credentials::moment;
use crate::options::WebIdentity;
use crate::{Credentials, Options, Request, Service, endpoint, sign};

const PATIENCE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(10));

/// The region whose service answers if no region is known.
const ANY_REGION: &str = "us-east-1";

/// What is escaped in the value of a form.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A role that is assumed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Role<'a> {
    /// Its name, which begins with `arn:`.
    pub(crate) arn: &'a str,
    /// The name of the session, which the logs of the account show.
    pub(crate) session: Option<&'a str>,
    /// A text that the owner of the role asks for.
    pub(crate) external_id: Option<&'a str>,
    /// How long the credentials are valid, in seconds.
    pub(crate) seconds: Option<&'a str>,
}

/// The Security Token Service of a region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sts<'a> {
    pub(crate) options: &'a Options,
    /// The address that the profile has for it.
    pub(crate) address: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
}

impl Sts<'_> {
    /// The credentials of `role`, as which the owner of `credentials` acts.
    pub(crate) async fn assume(
        self,
        role: Role<'_>,
        credentials: &Credentials,
    ) -> Result<Credentials, Cause> {
        let mut form = vec![("Action", "AssumeRole"), ("RoleArn", role.arn)];
        form.extend(role.external_id.map(|id| ("ExternalId", id)));
        self.ask(role, form, Some(credentials)).await
    }

    /// The credentials of the role of a web identity.
    pub(crate) async fn assume_with(self, identity: &WebIdentity) -> Result<Credentials, Cause> {
        let path = &identity.token_file;
        let token = read_regular(path)
            .map_err(|error| Cause::new(file_error_text("open", path, &error)))?;
        let token = String::from_utf8_lossy(&token);
        let role = Role {
            arn: &identity.role,
            session: identity.session.as_deref(),
            external_id: None,
            seconds: None,
        };
        let action = ("Action", "AssumeRoleWithWebIdentity");
        let form = vec![action, ("RoleArn", role.arn), ("WebIdentityToken", token.trim())];
        self.ask(role, form, None).await
    }

    async fn ask(
        self,
        role: Role<'_>,
        mut form: Vec<(&str, &str)>,
        credentials: Option<&Credentials>,
    ) -> Result<Credentials, Cause> {
        let session = role.session.unwrap_or("confd");
        form.extend([("RoleSessionName", session), ("Version", "2011-06-15")]);
        form.extend(role.seconds.map(|seconds| ("DurationSeconds", seconds)));
        let form: Vec<_> = form
            .into_iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, FORM)))
            .collect();
        let body = form.join("&").into_bytes();
        let region = self.region.unwrap_or(ANY_REGION);
        let address = match (&self.options.sts, self.address) {
            (Some(address), _) => address.clone(),
            (None, Some(address)) => address.to_owned(),
            (None, None) => endpoint::address(&Service::STS, region, self.options),
        };
        let failed = |text: String| {
            Cause::new(format!("the role {}: {}: {text}", role.arn, shown(&address)))
        };
        let sts = Connection::new(&address, PATIENCE).map_err(|cause| failed(cause.to_string()))?;
        let path = sts.path("/");
        let kind = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let added = credentials.map(|credentials| {
            let headers = [("host", sts.host()), kind];
            let request =
                Request { method: "POST", path: &path, query: "", headers: &headers, body: &body };
            sign(&request, credentials, region, Service::STS.name, SystemTime::now())
        });
        let mut headers = vec![kind];
        let added = added.unwrap_or_default();
        headers.extend(added.iter().map(|(name, value)| (*name, value.as_str())));
        let wires = (&self.options.tls, &self.options.proxies);
        let answer = sts
            .send(wires, ("POST", "/"), &headers, body.clone())
            .await
            .map_err(|cause| failed(cause.to_string()))?;
        let text = String::from_utf8_lossy(&answer.body);
        if !answer.is_success() {
            return Err(failed(match (element(&text, "Code"), element(&text, "Message")) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                _ => answer.words(),
            }));
        }
        // The document is not shown: it has the secret.
        credentials_in(&text).ok_or_else(|| failed("its answer has no credentials".to_owned()))
    }
}

fn credentials_in(document: &str) -> Option<Credentials> {
    Some(Credentials {
        access_key_id: element(document, "AccessKeyId")?,
        secret_access_key: element(document, "SecretAccessKey")?,
        token: element(document, "SessionToken"),
        expires: element(document, "Expiration").as_deref().and_then(moment),
    })
}

/// The text of the first element with this name. The documents of the service are so regular that this
/// needs no parser of XML.
pub(crate) fn element(document: &str, name: &str) -> Option<String> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.trim();
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(entities.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_found_in_the_document_of_an_assumed_role() {
        let document = "<AssumeRoleResponse><AssumeRoleResult>\n<Credentials>\
            <AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>a/b+c</SecretAccessKey>\n\
            <SessionToken> x&amp;lt;y </SessionToken><Expiration>2026-11-30T22:00:00Z</Expiration>\
            </Credentials></AssumeRoleResult></AssumeRoleResponse>";
        let found = credentials_in(document).unwrap();
        assert_eq!(found.secret_access_key, "a/b+c");
        assert_eq!(found.token.as_deref(), Some("x&lt;y"));
        assert_eq!(found.expires, moment("2026-11-30T22:00:00Z"));
        assert_eq!(credentials_in("<Error><Code>x</Code></Error>"), None);
    }
}
