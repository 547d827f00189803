//! Tests against real servers.

use std::time::Duration;

use crate::Options;
use crate::asked::Spelling;
use crate::connection::Limits;

/// The options of a source of these nodes.
pub(crate) fn options(nodes: &[String]) -> Options {
    let limit = Duration::from_secs(1);
    Options {
        nodes: nodes.to_vec(),
        nodes_are_default: false,
        tls_is_default: false,
        tls: tls::Options::default(),
        login: None,
        sentinel: None,
        spelling: Spelling::new(""),
        limits: Limits { connecting: limit, reading: limit, writing: limit },
        poll: Duration::from_secs(1),
    }
}
