//! The configured source, and how it is opened.

use std::{path::PathBuf, sync::Arc};

use client_consul as consul;
use client_etcd as etcd;
use source_consul::Consul;
use source_env::Env;
use source_etcd::Etcd;
use source_file::File;
use world::Host;

use crate::srv::Discovery;

/// The configured source.
#[derive(Debug, PartialEq)]
pub(crate) enum Source {
    /// The environment of the process.
    Env,
    /// YAML and JSON files.
    File {
        /// Files, and folders of files.
        files: Vec<PathBuf>,
        /// The pattern for the names of files in folders.
        filter: Vec<u8>,
    },
    /// etcd, with version 3 of its protocol.
    Etcd {
        /// The name by which the user chose it.
        name: &'static str,
        /// The SRV record with its nodes, if there is one.
        discovery: Option<Discovery>,
        /// Its address, and access to it.
        options: etcd::Options,
    },
    /// Consul's key/value store.
    Consul {
        /// The SRV record with its nodes, if there is one.
        discovery: Option<Discovery>,
        /// Its address, access to it, and what is asked for.
        options: consul::Options,
    },
}

impl Source {
    /// The name of the source in flags and in the log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Source::Env => "env",
            Source::File { .. } => "file",
            Source::Etcd { name, .. } => name,
            Source::Consul { .. } => "consul",
        }
    }

    /// The files or nodes, as the line at the start lists them.
    pub(crate) fn list(&self) -> String {
        match self {
            Source::Env => String::new(),
            Source::File { files, .. } => {
                let names: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
                names.join(", ")
            }
            Source::Etcd { .. } | Source::Consul { .. } => self.nodes().join(", "),
        }
    }

    fn nodes(&self) -> &[String] {
        match self {
            Source::Etcd { options, .. } => &options.nodes,
            Source::Consul { options, .. } => &options.nodes,
            Source::Env | Source::File { .. } => &[],
        }
    }

    /// Looks up the nodes, if they come from an SRV record, and replaces the given nodes. `before`
    /// is the source that is in use.
    ///
    /// # Errors
    /// The nodes cannot be found.
    pub(crate) async fn discover(
        &mut self,
        host: &Arc<dyn Host>,
        before: Option<&Source>,
    ) -> anyhow::Result<()> {
        let before = before.map(Source::nodes).unwrap_or_default();
        match self {
            Source::Etcd { discovery: Some(discovery), options, .. } => {
                options.nodes = discovery.nodes(host, before).await?;
            }
            Source::Consul { discovery: Some(discovery), options } => {
                options.nodes = discovery.nodes(host, before).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Opens the source. Connects to no node and reads no file yet.
    pub(crate) fn open(&self) -> Box<dyn ::source::Source> {
        match self {
            Source::Env => Box::new(Env::new(std::env::vars_os())),
            Source::File { files, filter } => Box::new(File::new(files.iter().cloned(), filter)),
            Source::Etcd { options, .. } => Box::new(Etcd::new(options.clone())),
            Source::Consul { options, .. } => Box::new(Consul::new(options.clone())),
        }
    }
}
