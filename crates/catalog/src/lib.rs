//! What templates ask of Consul, and what Consul answers, as plain data.
//!
//! A [`Query`] is a question: the instances of a service, the nodes of a datacenter, a key. Its
//! text ([`Display`](std::fmt::Display)) names it in the log, as consul-template does, and its
//! functions read the forms in which templates write it (`web|passing`, `app/name@dc2`). A [`Data`]
//! is the answer. Answers are shared between threads and cheap to clone.
//!
//! This crate does no I/O: a source answers the queries, and a template language shows the answers.

mod data;
mod query;
mod read;

pub use data::{
    CaRoot, Check, Data, Definition, ExportedService, ImportedService, Instance, Leaf, Node,
    NodeService, NodeWithServices, Pair, Partition, Peering, Service, Status, TaggedAddress, Text,
    Texts, Weights,
};
pub use query::{Filter, Instances, Place, Query};
pub use read::Malformed;
