//! What the options mean for etcd.

use ::options::Given;
use anyhow::bail;
use client_etcd::Options;

use super::access::{discovery, nodes, tls, user};
use crate::{logging::Notice, source::Source};

/// etcd under one of its names, at the nodes `default` if none are given.
pub(super) fn source(
    given: &Given,
    name: &'static str,
    default: Vec<String>,
    notices: &mut Vec<Notice>,
) -> anyhow::Result<Source> {
    let nodes = nodes(given)?.unwrap_or(default);
    let discovery = discovery(given, name)?;
    if nodes.is_empty() && discovery.is_none() {
        bail!("etcdclient: no available endpoints");
    }
    let (tls, user) = (tls(given, tls::Options::default(), notices)?, user(given)?);
    Ok(Source::Etcd { name, discovery, options: Box::new(Options { nodes, tls, user }) })
}
