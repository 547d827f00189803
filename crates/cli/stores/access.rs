//! What the options mean for stores with nodes: where they are, TLS, user and password.

use std::path::PathBuf;

use ::options::Given;

use super::{SSL_CERT_DIR, SSL_CERT_FILE};
use crate::{logging::Notice, options, srv::Discovery};

/// The nodes that the user gives, if any.
pub(super) fn nodes(given: &Given) -> anyhow::Result<Option<Vec<String>>> {
    let given = given.some(&options::NODE)?;
    let nodes =
        given.map(|nodes| nodes.into_iter().map(|node| node.to_string_lossy().into_owned()));
    Ok(nodes.map(Iterator::collect))
}

/// The TLS options. Settings that the user does not give are taken from `default`.
pub(super) fn tls(
    given: &Given,
    default: tls::Options,
    notices: &mut Vec<Notice>,
) -> anyhow::Result<tls::Options> {
    // As in Go's TLS.
    let folders = given.variable(SSL_CERT_DIR).unwrap_or_default().split(':');
    let roots = tls::Roots {
        file: given.variable(SSL_CERT_FILE).map(PathBuf::from),
        folders: folders.filter(|folder| !folder.is_empty()).map(PathBuf::from).collect(),
    };
    let tls = tls::Options {
        roots,
        ca: given.some(&options::CLIENT_CA_KEYS)?.or(default.ca),
        certificate: given.some(&options::CLIENT_CERT)?.or(default.certificate),
        key: given.some(&options::CLIENT_KEY)?.or(default.key),
        insecure: given.get(&options::CLIENT_INSECURE)? || default.insecure,
        server_name: given.some(&options::TLS_SERVER_NAME)?.or(default.server_name),
    };
    if tls.certificate.is_some() != tls.key.is_some() {
        notices.push(Notice::Warning(
            "client-cert and client-key count only together: no client certificate is used".into(),
        ));
    }
    Ok(tls)
}

/// User name and password, if they must be sent. As in confd, one without the other counts as none.
pub(super) fn user(given: &Given) -> anyhow::Result<Option<(String, String)>> {
    if !given.get(&options::BASIC_AUTH)? {
        return Ok(None);
    }
    let user = (given.get(&options::USERNAME)?, given.get(&options::PASSWORD)?);
    Ok(Some(user).filter(|(name, password)| !name.is_empty() && !password.is_empty()))
}

/// The SRV record with the nodes of `backend`, if there is one. As in confd, only `etcd` puts the
/// scheme before them.
pub(super) fn discovery(given: &Given, backend: &str) -> anyhow::Result<Option<Discovery>> {
    let record = match (given.get(&options::SRV_RECORD)?, given.get(&options::SRV_DOMAIN)?) {
        (record, _) if !record.is_empty() => record,
        (_, domain) if !domain.is_empty() => format!("_{backend}._tcp.{domain}."),
        _ => return Ok(None),
    };
    let scheme = if backend == "etcd" { Some(given.get(&options::SCHEME)?) } else { None };
    Ok(Some(Discovery { record, scheme }))
}
