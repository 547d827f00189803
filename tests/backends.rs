//! The backends as a user of confd sees them: what is asked, what comes back.

mod consul;
mod env;
mod etcd;
mod file;
mod srv;
