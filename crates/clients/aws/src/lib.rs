//! A client of the services of Amazon Web Services.
//!
//! [`Client`] sends calls to one service: JSON requests, signed, and tried again if the service is busy.
//! [`Account`] finds credentials and the region by the rules of Amazon's own clients, and renews
//! credentials before they expire. [`Metadata`] asks the machine itself, if it is an instance of EC2.
//! [`sign()`] signs a request of any service, for a program that has to prove who it is, such as Vault's
//! login by IAM.
//!
//! The SDK of Amazon is not used: its crates would make the program larger by 4 MB, and confd needs
//! a dozen calls of one form.
//!
//! The modules: `options` reads the variables, `profile` the files of profiles, `account` chooses where
//! credentials come from; `sts`, `sso`, `container`, `metadata` and `process` are the places that have
//! them. `endpoint` says where a service is, `connection` sends a request, `client` makes calls.

mod account;
mod client;
mod connection;
mod container;
mod credentials;
mod endpoint;
mod metadata;
mod options;
mod process;
mod profile;
mod service;
mod sign;
mod sso;
mod sts;

#[cfg(test)]
mod tests;

pub use account::Account;
pub use client::{CallError, Client};
pub use connection::{Answer, Connection};
pub use credentials::Credentials;
pub use metadata::Metadata;
pub use options::{MetadataPlace, Options, VARIABLES};
pub use service::Service;
pub use sign::{Request, sign};
