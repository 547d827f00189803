//! The configured source, and how it is opened.

use std::sync::Arc;

use world::Host;

#[cfg(any(feature = "consul", feature = "etcd"))]
use crate::srv::Discovery;

/// The configured source.
#[derive(Debug, PartialEq)]
pub(crate) enum Source {
    /// The environment of the process.
    #[cfg(feature = "env")]
    Env,
    /// YAML and JSON files.
    #[cfg(feature = "file")]
    File {
        /// Files, and folders of files.
        files: Vec<std::path::PathBuf>,
        /// The pattern for the names of files in folders.
        filter: Vec<u8>,
    },
    /// etcd, with version 3 of its protocol.
    #[cfg(feature = "etcd")]
    Etcd {
        /// The name by which the user chose it.
        name: &'static str,
        /// The SRV record with its nodes, if there is one.
        discovery: Option<Discovery>,
        /// Its address, and access to it.
        options: Box<client_etcd::Options>,
    },
    /// Consul's key/value store.
    #[cfg(feature = "consul")]
    Consul {
        /// The SRV record with its nodes, if there is one.
        discovery: Option<Discovery>,
        /// Its address, access to it, and what is asked for.
        options: Box<client_consul::Options>,
    },
}

/// All variables of the environment.
#[cfg(feature = "env")]
#[expect(clippy::disallowed_methods, reason = "the environment is a source")]
fn environment() -> std::env::VarsOs {
    std::env::vars_os()
}

impl Source {
    /// The name of the source in flags and in the log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            #[cfg(feature = "env")]
            Source::Env => "env",
            #[cfg(feature = "file")]
            Source::File { .. } => "file",
            #[cfg(feature = "etcd")]
            Source::Etcd { name, .. } => name,
            #[cfg(feature = "consul")]
            Source::Consul { .. } => "consul",
        }
    }

    /// The files or nodes, as the line at the start lists them.
    pub(crate) fn list(&self) -> String {
        match self {
            #[cfg(feature = "env")]
            Source::Env => String::new(),
            #[cfg(feature = "file")]
            Source::File { files, .. } => {
                let names: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
                names.join(", ")
            }
            #[cfg(any(feature = "consul", feature = "etcd"))]
            _ => self.nodes().join(", "),
        }
    }

    fn nodes(&self) -> &[String] {
        match self {
            #[cfg(feature = "etcd")]
            Source::Etcd { options, .. } => &options.nodes,
            #[cfg(feature = "consul")]
            Source::Consul { options, .. } => &options.nodes,
            #[cfg(any(feature = "env", feature = "file"))]
            _ => &[],
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
            #[cfg(feature = "etcd")]
            Source::Etcd { discovery: Some(discovery), options, .. } => {
                options.nodes = discovery.nodes(host, before).await?;
            }
            #[cfg(feature = "consul")]
            Source::Consul { discovery: Some(discovery), options } => {
                options.nodes = discovery.nodes(host, before).await?;
            }
            // A source without an SRV record has nothing to look up.
            _ => _ = (host, before),
        }
        Ok(())
    }

    /// Opens the source. Connects to no node and reads no file yet.
    pub(crate) fn open(&self) -> Box<dyn ::source::Source> {
        match self {
            #[cfg(feature = "env")]
            Source::Env => Box::new(source_env::Env::new(environment())),
            #[cfg(feature = "file")]
            Source::File { files, filter } => {
                Box::new(source_file::File::new(files.iter().cloned(), filter))
            }
            #[cfg(feature = "etcd")]
            Source::Etcd { options, .. } => Box::new(source_etcd::Etcd::new((**options).clone())),
            #[cfg(feature = "consul")]
            Source::Consul { options, .. } => {
                Box::new(source_consul::Consul::new((**options).clone()))
            }
        }
    }
}
