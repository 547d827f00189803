//! Where the keys come from: what a configuration says about it, and the backend it means.

use std::{path::PathBuf, sync::Arc};

use backend::{Backend, Consul, Env, Etcd, File, consul, etcd};
use world::Host;

use crate::srv::Discovery;

/// Where the keys come from.
#[derive(Debug, PartialEq)]
pub(crate) enum Source {
    /// The process's own environment.
    Env,
    /// YAML and JSON files.
    File {
        /// Files, and folders of files.
        files: Vec<PathBuf>,
        /// The pattern for the names of files in folders.
        filter: Vec<u8>,
    },
    /// etcd, by its protocol of version 3.
    Etcd {
        /// By which of its names it was asked for.
        name: &'static str,
        /// Where its nodes are to be looked up, if they are.
        discovery: Option<Discovery>,
        /// Where it is, and who asks.
        options: etcd::Options,
    },
    /// Consul's key/value store.
    Consul {
        /// Where its nodes are to be looked up, if they are.
        discovery: Option<Discovery>,
        /// Where it is, and who asks for what.
        options: consul::Options,
    },
}

impl Source {
    /// The backend's name, as flags and log have it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Source::Env => "env",
            Source::File { .. } => "file",
            Source::Etcd { name, .. } => name,
            Source::Consul { .. } => "consul",
        }
    }

    /// The files or nodes it reads from, as the start-up line lists them.
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

    /// Puts the nodes that are to be looked up, if any are, in the place of those given. `before` is
    /// the source that is in use.
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

    /// The backend. Nothing is connected or read yet.
    pub(crate) fn open(&self) -> Box<dyn Backend> {
        match self {
            Source::Env => Box::new(Env::new(std::env::vars_os())),
            Source::File { files, filter } => Box::new(File::new(files.iter().cloned(), filter)),
            Source::Etcd { options, .. } => Box::new(Etcd::new(options.clone())),
            Source::Consul { options, .. } => Box::new(Consul::new(options.clone())),
        }
    }
}
