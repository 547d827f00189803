//! The questions.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

/// A question about what Consul knows, whose answer can change.
///
/// Two equal queries have one answer. The text is the name of the query in the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Query {
    /// The value of a key.
    Key {
        /// The key. One slash at its beginning has been dropped.
        key: String,
        /// Whether there is no answer as long as the key does not exist.
        must_exist: bool,
        /// Where the key is.
        place: Place,
    },
    /// The pairs whose keys begin with a text.
    Pairs {
        /// The beginning of the keys. It need not end in a slash.
        prefix: String,
        /// Where the keys are.
        place: Place,
    },
    /// The instances of a service.
    Instances(Instances),
    /// The instances that a prepared query chooses: a question that is stored in Consul.
    Prepared {
        /// Its name or id.
        name: String,
        /// Where it is stored. It can choose instances of other datacenters too.
        place: Place,
        /// The node, or `_agent`, from which the distances are counted by which the instances are
        /// sorted. Without one they are sorted by node and id.
        near: Option<String>,
    },
    /// The names of all services, with their tags.
    Services {
        /// Where the services are.
        place: Place,
    },
    /// A node and the services on it.
    Node {
        /// The name of the node; `None` for the node of the agent that is asked.
        name: Option<String>,
        /// Where the node is.
        place: Place,
    },
    /// All nodes.
    Nodes {
        /// Where the nodes are.
        place: Place,
        /// The node, or `_agent`, from which the distances are counted by which the nodes are
        /// sorted. Without one they are sorted by name.
        near: Option<String>,
    },
    /// The names of the datacenters.
    Datacenters {
        /// Whether datacenters whose catalogue cannot be read are left out.
        only_reachable: bool,
    },
    /// The root certificates of the service mesh.
    CaRoots,
    /// The certificate of a service in the mesh.
    CaLeaf {
        /// The name of the service.
        service: String,
    },
    /// The partitions, in Consul Enterprise.
    Partitions,
    /// The peers of the cluster.
    Peerings {
        /// The partition, in Consul Enterprise.
        partition: Option<String>,
    },
    /// The services that are exported to peers.
    ExportedServices {
        /// The partition; may be empty.
        partition: String,
    },
    /// The services that are imported from peers.
    ImportedServices {
        /// The partition.
        partition: String,
    },
}

/// Which instances of a service are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instances {
    /// The name of the service.
    pub service: String,
    /// The tag that an instance must have.
    pub tag: Option<String>,
    /// Whether the instances are asked for that can take connections of the service mesh: its
    /// proxies.
    pub mesh: bool,
    /// Where the service is.
    pub place: Place,
    /// The node, or `_agent`, from which the distances are counted by which the instances are
    /// sorted. Without one they are sorted by node and id.
    pub near: Option<String>,
    /// The states that an instance may have. Without one, no instance is chosen.
    pub filters: BTreeSet<Filter>,
}

/// A state by which instances are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Filter {
    /// Every instance, whatever its state.
    Any,
    /// Instances with a critical check.
    Critical,
    /// Instances in maintenance.
    Maintenance,
    /// Instances whose checks pass.
    Passing,
    /// Instances with a warning.
    Warning,
}

impl Filter {
    /// Each filter with its name in templates, in the order of the names.
    pub const ALL: [(&'static str, Filter); 5] = [
        ("any", Filter::Any),
        ("critical", Filter::Critical),
        ("maintenance", Filter::Maintenance),
        ("passing", Filter::Passing),
        ("warning", Filter::Warning),
    ];

    /// The name in templates.
    pub fn name(self) -> &'static str {
        match self {
            Filter::Any => "any",
            Filter::Critical => "critical",
            Filter::Maintenance => "maintenance",
            Filter::Passing => "passing",
            Filter::Warning => "warning",
        }
    }
}

/// The part of all Consuls in which something is asked for. What is not given is chosen by the
/// node that is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The datacenter.
    pub datacenter: Option<String>,
    /// The partition, in Consul Enterprise.
    pub partition: Option<String>,
    /// The namespace, in Consul Enterprise.
    pub namespace: Option<String>,
    /// The peer that the services are imported from.
    pub peer: Option<String>,
    /// The group of partitions and peers that are asked one after the other, in Consul Enterprise.
    pub sameness_group: Option<String>,
}

impl Place {
    /// The parameters that say this in a URL, with their values.
    pub fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("dc", &self.datacenter),
            ("partition", &self.partition),
            ("ns", &self.namespace),
            ("peer", &self.peer),
            ("sameness-group", &self.sameness_group),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

impl Display for Place {
    /// What follows the name of a thing: `@dc2@ns=team`. Empty if nothing is given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.parameters() {
            match name {
                "dc" => write!(f, "@{value}")?,
                _ => write!(f, "@{name}={value}")?,
            }
        }
        Ok(())
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optional =
            |f: &mut fmt::Formatter<'_>, kind: &str, detail: String| match detail.is_empty() {
                true => f.write_str(kind),
                false => write!(f, "{kind}({detail})"),
            };
        let distance = |near: &Option<String>| match near {
            Some(near) => format!("~{near}"),
            None => String::new(),
        };
        match self {
            Query::Key { key, must_exist: true, place } => write!(f, "kv.block({key}{place})"),
            Query::Key { key, must_exist: false, place } => write!(f, "kv.get({key}{place})"),
            Query::Pairs { prefix, place } => write!(f, "kv.list({prefix}{place})"),
            Query::Instances(asked) => {
                let Instances { service, tag, mesh, place, near, filters } = asked;
                f.write_str(if *mesh { "health.connect(" } else { "health.service(" })?;
                if let Some(tag) = tag {
                    write!(f, "{tag}.")?;
                }
                write!(f, "{service}{place}{}", distance(near))?;
                for (index, filter) in filters.iter().enumerate() {
                    let separator = if index == 0 { "|" } else { "," };
                    write!(f, "{separator}{}", filter.name())?;
                }
                f.write_str(")")
            }
            Query::Prepared { name, place, near } => {
                write!(f, "query.execute({name}{place}{})", distance(near))
            }
            Query::Services { place } => optional(f, "catalog.services", place.to_string()),
            Query::Node { name, place } => {
                let name = name.as_deref().unwrap_or_default();
                optional(f, "catalog.node", format!("{name}{place}"))
            }
            Query::Nodes { place, near } => {
                optional(f, "catalog.nodes", format!("{place}{}", distance(near)))
            }
            Query::Datacenters { .. } => f.write_str("catalog.datacenters"),
            Query::CaRoots => f.write_str("connect.caroots"),
            Query::CaLeaf { service } => write!(f, "connect.caleaf({service})"),
            Query::Partitions => f.write_str("list.partitions"),
            Query::Peerings { partition: None } => f.write_str("list.peerings"),
            Query::Peerings { partition: Some(partition) } => {
                write!(f, "list.peerings?partition={partition}")
            }
            Query::ExportedServices { partition } => {
                write!(f, "list.exportedServices({partition})")
            }
            Query::ImportedServices { partition } => {
                write!(f, "list.importedServices({partition})")
            }
        }
    }
}
