//! Black-box tests: the binary as a person runs it, against real files, commands and servers.
//!
//! - `cli`: flags, usage text, version, exit codes.
//! - `completions`: the completions of bash, and the manual page.
//! - `config`: confd.toml, environment and flags, and which of them wins.
//! - `logs`: the layout and the texts of the log.
//! - `excerpts`: the lines of files that the log shows below an error.
//! - `resources`: which files of conf.d are taken, what they may say, prefixes and keys.
//! - `fork`: the command line of the live fork, and its meaning of files.
//! - `functions`: template functions as a user of confd sees them, and their errors.
//! - `tera`: Tera templates, their functions, the files they share, and their errors.
//! - `include`: Go templates that include files or execute texts.
//! - `docs`: the examples in the documents, each of which is run.
//! - `deploy`: staging, comparing, checking, replacing, reloading, and what failures leave behind.
//! - `faults`: killed processes, full disks, read-only folders, hostile input.
//! - `backends`: the backends of AWS, and consul, env, etcd, etcdv2, file, redis, vault and zookeeper, seen from outside.
//! - `certificates`: certificates and keys of every kind, with etcdctl as the judge.
//! - `beginners`: the mistakes of the first hours, each with its hint.
//! - `integration`: confd's own integration suite.
//! - `prove`: what a change would do, before it is made: diffs, renderings, plans, checks.
//! - `quickstart`: the first command of the README and the guide, with the real nginx, HAProxy and keepalived.
//! - `chains`: the folders in `examples/`: a store, confd and a load balancer, under load.
//! - `consul`: the program consul-template and a real Consul.
//! - `interval`: interval mode: a hanging resource blocks no other.
//! - `order`: the files of earlier resources that a resource sees, and the order of log lines.
//! - `process`: what confd reports to systemd, and the program that confd starts and supervises.
//! - `register`: processes and the services of a file announce themselves.
//! - `restart`: commands of consul-template that did not run before it was killed or ended.
//! - `watch`: watch mode, SIGHUP, restored files, templates and resources that appear and
//!   disappear.
//! - `schema`: the JSON Schemas of files, and all files of the repository.
//! - `services`: templates that ask Consul for services.
//! - `soak`: changes and faults for a time that can be chosen.
//! - `seen`: what a running confd shows over HTTP: health, readiness, status, metrics; the control
//!   socket.
//! - `standalone`: what the program needs of the machine it runs on.
//! - `tidy`: rules about the repository itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

mod backends;
mod beginners;
mod certificates;
mod chains;
mod cli;
mod completions;
mod config;
mod consul;
mod deploy;
mod docs;
mod excerpts;
mod faults;
mod fork;
mod functions;
mod include;
mod integration;
mod interval;
mod logs;
mod order;
mod process;
mod prove;
mod quickstart;
mod register;
mod resources;
mod restart;
mod schema;
mod seen;
mod services;
mod soak;
mod standalone;
mod tera;
mod tidy;
mod watch;
