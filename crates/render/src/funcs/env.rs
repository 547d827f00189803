//! The environment, as templates ask for it.

use bytes::Bytes;

use crate::host::Host;

/// The environment variable `name`; where it is not set or empty, `default`, and without one
/// nothing.
pub fn getenv(host: &dyn Host, name: &[u8], default: Option<Bytes>) -> Bytes {
    let value = host.variable(name).filter(|value| !value.is_empty());
    value.or(default).unwrap_or_default()
}
