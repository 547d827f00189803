//! Looks up names: hosts and services, by the rules of Go's own resolver; users and groups.
//!
//! - [`Resolver::wait_for_addresses`] and [`Resolver::wait_for_services`] are lookups for code that
//!   is not async. [`Resolver::sockets`] is the lookup for a client that makes its own connections.
//! - [`connect()`] opens a TCP connection to a host.
//! - [`Accounts`] are the users and the groups of this machine.
//!
//! The C library's resolver (`getaddrinfo`) is not used: in a static program it loads plugins of
//! the machine's C library, which may be of another version, and in an empty root it finds none.
//! The rules that count instead:
//!
//! - An address stands for itself.
//! - Then `/etc/hosts` is read, then the DNS is asked. `hosts:` in `/etc/nsswitch.conf` can turn
//!   the order round or leave one out.
//! - `localhost` and names below it are the loopback interface, without asking the DNS.
//! - `/etc/resolv.conf` has the name servers, search list and options. If the file is missing or
//!   names no server, this machine is asked.
//! - Each name server has `timeout` to answer, and the list of servers is asked `attempts` times. If
//!   a server has not answered after a second, the next one is asked beside it. A lookup that is
//!   dropped ends at once.
//!
//! The files are read for every lookup, and nothing is cached: a changed file and a changed record
//! count at once, and a program that looks up nothing pays nothing. Lookups are rare: one for each
//! new connection and for each call in a template.
//!
//! The exchange with name servers is made here, and not by `hickory-resolver`. There one timeout
//! covers all servers: a new resolver that asks them in order never comes to the second one if the
//! first is gone, and a resolver that is kept needs a runtime that outlives each lookup.
//! `hickory-proto` reads and writes the messages.
//!
//! This crate does not know templates, stores or nodes.

mod accounts;
mod connect;
mod error;
mod exchange;
mod hosts;
mod name;
mod order;
mod race;
mod resolver;
mod settings;

pub use accounts::Accounts;
pub use connect::connect;
pub use error::Error;
pub use resolver::{Resolver, Service};

#[cfg(test)]
mod tests;
