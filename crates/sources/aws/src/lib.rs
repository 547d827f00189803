//! The services of AWS that hold keys, each as a source: Systems Manager's Parameter Store
//! ([`SSM`]), DynamoDB ([`DYNAMODB`]), Secrets Manager ([`SECRETSMANAGER`]), Certificate Manager ([`ACM`])
//! and the metadata of an instance ([`IMDS`]).
//!
//! None of them reports changes. They are read again and again, and refuse watch mode, as Go confd and
//! its fork do.
//!
//! The modules: `keys` makes answers of what a service says about single keys; each service has a module
//! of its own. The crate `client-aws` sends the calls and finds the credentials.

mod acm;
#[cfg(test)]
mod conformance;
mod dynamodb;
mod imds;
mod keys;
mod secretsmanager;
mod ssm;

pub use acm::DESCRIPTION as ACM;
pub use dynamodb::DESCRIPTION as DYNAMODB;
pub use imds::DESCRIPTION as IMDS;
pub use secretsmanager::DESCRIPTION as SECRETSMANAGER;
pub use ssm::DESCRIPTION as SSM;
