//! One TLS configuration for the clients of all stores: trusted CAs and the client's certificate.
//!
//! [`Options`] names files, which are read whenever a configuration is made. A client that makes a
//! configuration for each connection uses replaced certificates from its next connection on.
//! [`advice()`] and [`hung_up`] explain connections that failed. [`access`] has the options by which
//! users choose all this.

pub mod access;

mod advice;
mod identity;
mod options;
mod roots;
mod verifier;
mod x509;

pub use self::options::{Options, check_authorities};
pub use advice::{CLOSED, advice, hung_up};
pub use roots::Roots;
