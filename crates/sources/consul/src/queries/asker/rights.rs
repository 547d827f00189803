//! What Consul leaves out of an answer because the token lacks a permission.

use std::sync::atomic::Ordering;

use catalog::Query;
use client_consul::NAME;
use nodes::{Cause, Error};
use source::queries::QueryError;

use super::{Asker, failed};

impl Asker {
    /// The warning about what Consul hides in an answer.
    ///
    /// # Errors
    ///
    /// Consul says that it hides something, the answer is empty, and that counts as a refusal: if it
    /// counted as empty, files would lose their content.
    pub(super) fn hidden(
        &self,
        query: &Query,
        is_empty: bool,
        filtered: bool,
        wants_token: bool,
    ) -> Result<Option<String>, QueryError> {
        if !filtered {
            // Without a token, Consul does not report that it hides something.
            let is_odd = is_empty && wants_token && self.options().token.is_none();
            let warned = &self.warned_of_missing_token;
            let is_new = is_odd && !warned.swap(true, Ordering::Relaxed);
            let text = || {
                format!(
                    "{NAME} at {} shows nothing: it may want a token, and none is given",
                    self.node()
                )
            };
            return Ok(is_new.then(text));
        }
        let lacks = format!("the token lacks a permission: {}", rights(query));
        if is_empty && self.refuse_hidden {
            let (node, reason) = (self.node(), Cause::new(lacks));
            return Err(failed(Error::Refused { store: NAME, node, reason }));
        }
        let node = self.node();
        Ok(Some(format!("{NAME} at {node} hides a part of the answer, because {lacks}")))
    }
}

/// The permissions of which a token lacks one if Consul hides a part of the answer.
fn rights(query: &Query) -> String {
    match query {
        Query::Instances(asked) => {
            let service = &asked.service;
            format!("service:read for {service:?}, or node:read for the nodes of its instances")
        }
        Query::Prepared { .. } => {
            "service:read for the service that it chooses, or node:read for the nodes of its \
             instances"
                .to_owned()
        }
        Query::Node { name: Some(name), .. } => {
            format!("node:read for {name:?}, or service:read for its services")
        }
        Query::Node { name: None, .. } => {
            "node:read for the agent's node, or service:read for its services".to_owned()
        }
        Query::Nodes { .. } => "node:read".to_owned(),
        Query::Services { .. } => "service:read".to_owned(),
        Query::Key { key: path, .. } | Query::Pairs { prefix: path, .. } => {
            format!("key:read below {path:?}")
        }
        _ => "see the documents of Consul".to_owned(),
    }
}
