//! Functions for the environment.

use bytes::Bytes;
use world::Host;

/// The environment variable `name`. If it is empty or not set: `default`, or nothing without one.
pub fn getenv(host: &dyn Host, name: &[u8], default: Option<Bytes>) -> Bytes {
    let value = host.variable(name).filter(|value| !value.is_empty());
    value.or(default).unwrap_or_default()
}
