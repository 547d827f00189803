//! The backends as a user of confd sees them: the keys that are asked for, and the values that
//! templates get.

mod aws;
mod consul;
mod credentials;
mod env;
mod etcd;
mod etcdv2;
mod file;
mod names;
mod proxies;
mod redis;
mod several;
mod srv;
mod vault;
mod zookeeper;
