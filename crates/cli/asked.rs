//! Where the queries of templates are asked.

use options::{Given, Layer, Spec};
use source::{
    Configured, Description, Setup,
    queries::{Queries, Settings},
};
use tracing::{info, warn};

use crate::{discovered::Discovered, environment, general, sources};

/// The names of the options that say where the nodes are.
const NODES: [&str; 3] = ["node", "srv-domain", "srv-record"];

/// The names of the options that are secrets of the store of the backend.
const SECRETS: [&str; 3] = ["auth-token", "username", "password"];

/// What is given for the store that answers queries. Nothing of it is read before a template asks.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// What the table of confd.toml gives.
    table: Layer,
    /// What is given for the backend, if the backend is the source that answers.
    backend: Option<Vec<Layer>>,
    fill_empty: bool,
    /// Whether the user gives a secret for the backend that is not sent to the store.
    keeps_secret: bool,
    /// Whether the table has unknown keys, so that it may not say what the user means.
    is_doubtful: bool,
}

/// Whether the same store is asked in the same way.
impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table
            && self.backend == other.backend
            && self.fill_empty == other.fill_empty
            && self.keeps_secret == other.keeps_secret
    }
}

impl Asked {
    /// Where queries are asked if this is given, and these tables of confd.toml. The tables are
    /// doubtful if they have unknown keys.
    pub(crate) fn new(
        given: &Given,
        tables: Vec<(&'static str, Layer)>,
        is_doubtful: bool,
    ) -> anyhow::Result<Self> {
        let backend = given.get(&general::BACKEND)?;
        let is_named = |source: &Description| source.names.contains(&backend.as_str());
        let is_backend = sources::ANSWERING.is_some_and(is_named);
        let table = tables.into_iter().next().map(|(_, layer)| layer).unwrap_or_default();
        let mut layers = given.layers.clone();
        // A secret is for the nodes with which it is given.
        let mut keeps_secret = false;
        if !is_backend || NODES.iter().any(|name| table.has(name)) {
            for layer in &mut layers {
                let names = if is_backend { &SECRETS[..] } else { &SECRETS[..1] };
                keeps_secret |= layer.remove(names);
            }
        }
        keeps_secret &= !SECRETS.iter().any(|name| table.has(name));
        let backend = is_backend.then_some(layers);
        let fill_empty = given.fill_empty;
        Ok(Asked { table, backend, fill_empty, keeps_secret, is_doubtful })
    }

    /// Whether these settings may replace `before` in a running process. A mistyped key must not move
    /// it to another store.
    ///
    /// # Errors
    /// The table has unknown keys and differs from the one before: a text for people.
    pub(crate) fn check_change_from(&self, before: &Self) -> anyhow::Result<()> {
        if self.is_doubtful && self != before {
            let name = sources::ANSWERING.map_or("consul", |source| source.names[0]);
            anyhow::bail!("the table [{name}] of confd.toml has changed, and has unknown keys");
        }
        Ok(())
    }

    /// Whether the table names its nodes by an SRV record.
    pub(crate) fn is_discovered(&self) -> bool {
        self.has(|option| option.name.starts_with("srv-"))
    }

    /// Whether the table gives one of the options for which `is` holds.
    fn has(&self, is: impl Fn(&Spec) -> bool) -> bool {
        let options = sources::ANSWERING.into_iter().flat_map(|source| source.options);
        options.copied().flatten().any(|option| is(option) && self.table.get(option).is_some())
    }

    /// Opens the store. `nodes` are those of the backend, for the case that a record names them.
    ///
    /// # Errors
    /// This build cannot ask, or an option cannot be used: a text for people.
    pub(crate) fn open(
        &self,
        nodes: &[String],
        settings: Settings,
    ) -> Result<Box<dyn Queries>, String> {
        let source = sources::ANSWERING.ok_or("this build cannot ask Consul")?;
        let name = source.names[0];
        let mut layers = vec![self.table.clone()];
        layers.extend(self.backend.iter().flatten().cloned());
        let mut given = Given::new(layers);
        given.fill_empty = self.fill_empty;
        let variables = source.variables.iter().copied().flatten();
        let given = &given.with_variables(variables, environment);
        let (environment, warnings) = (sources::environment as fn() -> _, &mut Vec::new());
        let configured = (source.configure)(Setup { name, given, environment, warnings });
        warnings.iter().for_each(|warning| warn!("{warning}"));
        if self.keeps_secret {
            warn!(
                "templates ask {name} without the token or password that is given for the backend: \
                 the table [{name}] of confd.toml needs its own"
            );
        }
        let mut configured = configured.map_err(|error| format!("{name}: {error}"))?;
        if self.is_discovered() {
            return Ok(Box::new(Discovered::new(configured, settings)));
        }
        // Nodes of the table win over the record of the backend.
        if !self.has(|option| option.name == "node")
            && let Some((_, discovered)) = configured.discovery()
        {
            *discovered = nodes.to_vec();
        }
        opened(&*configured, settings)
    }
}

/// Opens a store whose nodes are known.
pub(crate) fn opened(
    configured: &dyn Configured,
    settings: Settings,
) -> Result<Box<dyn Queries>, String> {
    let name = configured.name();
    info!("Templates ask {name} at {}", configured.places().join(", "));
    configured.queries(settings).ok_or_else(|| format!("{name} answers no queries"))
}
