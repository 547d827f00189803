//! The sources that this build has, and the source that the user chose.
//!
//! This is the only place of the program that names a source. A source is one line of [`SOURCES`],
//! and a feature of the build.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::bail;
use bytes::Bytes;
use config::{Dialect, Kind, confd_toml::Table};
use options::{Given, Spec};
use report::did_you_mean;
#[cfg(feature = "consul-template")]
use source::queries::{Queries, Settings};
use source::{Changes, Configured, Description, Setup, Source};

use crate::{environment::Environment, fork, general, table};

/// The sources of this build, in alphabetical order.
pub(crate) static SOURCES: &[&Description] = &[
    #[cfg(feature = "aws")]
    &source_aws::ACM,
    #[cfg(feature = "consul")]
    &source_consul::DESCRIPTION,
    #[cfg(feature = "aws")]
    &source_aws::DYNAMODB,
    #[cfg(feature = "env")]
    &source_env::DESCRIPTION,
    #[cfg(feature = "etcd")]
    &source_etcd::DESCRIPTION,
    #[cfg(feature = "etcdv2")]
    &source_etcdv2::DESCRIPTION,
    #[cfg(feature = "file")]
    &source_file::DESCRIPTION,
    #[cfg(feature = "aws")]
    &source_aws::IMDS,
    #[cfg(feature = "redis")]
    &source_redis::DESCRIPTION,
    #[cfg(feature = "aws")]
    &source_aws::SECRETSMANAGER,
    #[cfg(feature = "aws")]
    &source_aws::SSM,
    #[cfg(feature = "vault")]
    &source_vault::DESCRIPTION,
    #[cfg(feature = "zookeeper")]
    &source_zookeeper::DESCRIPTION,
];

/// The names of the backends of this build, in alphabetical order.
pub(crate) const NAMES: &[&str] = &[
    #[cfg(feature = "aws")]
    "acm",
    #[cfg(feature = "consul")]
    "consul",
    #[cfg(feature = "aws")]
    "dynamodb",
    #[cfg(feature = "env")]
    "env",
    #[cfg(feature = "etcd")]
    "etcd",
    #[cfg(feature = "etcdv2")]
    "etcdv2",
    #[cfg(feature = "etcd")]
    "etcdv3",
    #[cfg(feature = "file")]
    "file",
    #[cfg(feature = "aws")]
    "imds",
    #[cfg(feature = "redis")]
    "redis",
    #[cfg(feature = "aws")]
    "secretsmanager",
    #[cfg(feature = "aws")]
    "ssm",
    #[cfg(feature = "vault")]
    "vault",
    #[cfg(feature = "zookeeper")]
    "zookeeper",
];

/// The source that answers the queries of templates; `None` if this build has none.
#[cfg(feature = "consul")]
pub(crate) const ANSWERING: Option<&Description> = Some(&source_consul::DESCRIPTION);
#[cfg(not(feature = "consul"))]
pub(crate) const ANSWERING: Option<&Description> = None;

/// The tables of confd.toml. Each has the name and the options of a source that answers queries.
pub(crate) fn tables() -> Vec<Table> {
    let table = |source: &Description| {
        let options = source.options.iter().copied().flatten().copied();
        Table { name: source.names[0], options: options.collect() }
    };
    ANSWERING.map(table).into_iter().collect()
}

/// The names of the backends of Go confd and of its live fork, and those that only this confd has. The
/// empty name means etcd.
pub(crate) const KNOWN: [&str; 16] = [
    "",
    "acm",
    "consul",
    "dynamodb",
    "env",
    "etcd",
    "etcdv2",
    "etcdv3",
    "file",
    "imds",
    "rancher",
    "redis",
    "secretsmanager",
    "ssm",
    "vault",
    "zookeeper",
];

/// The options of all kinds of backends that tables of files can set, each once.
pub(crate) fn options() -> Vec<Spec> {
    let mut options: Vec<Spec> = Vec::new();
    for option in SOURCES.iter().flat_map(|source| source.options.iter().copied().flatten()) {
        if can_be_in_a_table(option) && options.iter().all(|known| known.name != option.name) {
            options.push(*option);
        }
    }
    options
}

/// Whether a backend besides the main one can have this option: only the main one is found by SRV records.
fn can_be_in_a_table(option: &Spec) -> bool {
    !option.name.starts_with("srv-")
}

/// The kind of backend that has this name, for tables of files.
pub(crate) fn kind(name: &str) -> Result<Kind, String> {
    let (source, _) = named(name).map_err(|error| error.to_string())?;
    let options = source.options.iter().copied().flatten().copied();
    let options: Vec<_> = options.filter(can_be_in_a_table).collect();
    let is_another = |option: &Spec| options.iter().all(|own| own.name != option.name);
    // In the live fork it is an option of Redis.
    let of_fork = general::RETRY_MAX_DELAY.spec();
    let others = table::of_backends().copied().chain([of_fork]);
    let others = others.filter(|option| can_be_in_a_table(option) && is_another(option)).collect();
    let name = source.names.iter().find(|known| **known == name).unwrap_or(&"");
    Ok(Kind { name, options, others })
}

/// Configures the source that the user chose. `env` looks up an environment variable.
///
/// # Errors
/// The backend does not exist, this build does not have it, or one of its options cannot be used.
pub(crate) fn configured(
    mut given: Given,
    dialect: Dialect,
    env: impl Fn(&str) -> Option<OsString>,
    warnings: &mut Vec<String>,
) -> anyhow::Result<Box<dyn Configured>> {
    let (source, name) = named(&given.get(&general::BACKEND)?)?;
    given.layers.extend(fork::defaults(name).filter(|_| dialect == Dialect::Fork));
    let variables = source.variables.iter().copied().flatten();
    let given = &given.with_variables(variables, env);
    Ok((source.configure)(Setup { name, given, environment, warnings })?)
}

/// Whether a run whose main source has this name can have watch mode.
pub(crate) fn can_be_watched(name: &str) -> bool {
    let is_named = |source: &&&Description| source.names.contains(&name);
    SOURCES.iter().find(is_named).is_none_or(|source| source.changes != Changes::OnlyPolled)
}

/// Opens Consul for the queries of consul-template. Nothing is connected to yet.
#[cfg(feature = "consul-template")]
pub(crate) fn queries_of_consul(
    options: client_consul::Options,
    settings: Settings,
) -> Box<dyn Queries> {
    source_consul::queries(options, settings)
}

/// The files of `-data` as a source.
///
/// # Errors
/// This build has no source that reads files.
pub(crate) fn of_data(path: PathBuf) -> anyhow::Result<Box<dyn Source>> {
    #[cfg(feature = "file")]
    return Ok(Box::new(source_file::File::new([path], b"*")));
    #[cfg(not(feature = "file"))]
    bail!(
        "this confd cannot read keys from {}: it is built without the backend file",
        path.display()
    )
}

/// The pairs of a YAML or JSON file, as the backend `file` reads it. `path` is for errors.
///
/// # Errors
/// The file cannot be understood, or this build cannot read files.
pub(crate) fn pairs_of(bytes: &Bytes, path: &Path) -> anyhow::Result<Vec<(Bytes, Bytes)>> {
    #[cfg(feature = "file")]
    {
        let mut pairs = Vec::new();
        let read = source_file::pairs(bytes, |key, value| pairs.push((key, value)));
        read.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        Ok(pairs)
    }
    #[cfg(not(feature = "file"))]
    {
        let _ = bytes;
        bail!("this confd cannot read {}: it is built without the backend file", path.display())
    }
}

/// The source that has the name `wanted`, and that name.
pub(crate) fn named(wanted: &str) -> anyhow::Result<(&'static Description, &'static str)> {
    let names = |source: &&'static Description| {
        let name = source.names.iter().find(|name| **name == wanted)?;
        Some((*source, *name))
    };
    match SOURCES.iter().find_map(names) {
        Some(found) => Ok(found),
        None if !KNOWN.contains(&wanted) => {
            let names =
                SOURCES.iter().flat_map(|source| source.names).filter(|name| !name.is_empty());
            let hint = did_you_mean(wanted, names).map(|hint| format!("; {hint}"));
            let (built, hint) = (built(), hint.unwrap_or_default());
            let wanted = gotmpl::quote(wanted.as_bytes());
            bail!("Invalid backend {wanted}: this confd reads keys from {built}{hint}")
        }
        None if cfg!(feature = "default") => {
            bail!("backend {wanted:?} is not there yet: this confd reads keys from {}", built())
        }
        None => {
            let wanted = if wanted.is_empty() { "etcd" } else { wanted };
            bail!("backend {wanted:?} is not in this build, which reads keys from {}", built())
        }
    }
}

/// The usual names of the sources in this build, as a list in a sentence.
pub(crate) fn built() -> String {
    list(SOURCES.iter().map(|source| source.names[0]))
}

/// Names as a list in a sentence.
pub(crate) fn list(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<_> = names.map(|name| format!("{name:?}")).collect();
    match names.split_last() {
        None => "nowhere".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// All variables of the environment.
pub(crate) fn environment() -> Vec<(OsString, OsString)> {
    Environment::of_process().into_pairs()
}

#[cfg(test)]
mod tests {
    use options::{Layer, Value};
    use source::Interest;

    use super::*;

    #[test]
    fn no_two_sources_have_the_same_name_and_all_say_what_they_read() {
        let mut names: Vec<_> = SOURCES.iter().flat_map(|source| source.names).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        // The empty name is etcd too.
        names.retain(|name| !name.is_empty());
        assert!(names.iter().copied().eq(NAMES));
        assert!(SOURCES.is_sorted_by_key(|source| source.names[0]));
        assert!(SOURCES.iter().all(|source| !source.summary.is_empty()));
    }

    #[tokio::test]
    async fn a_source_is_followed_as_its_description_says() {
        let mut layer = Layer::default();
        // Vault is not configured without a token, and DynamoDB not without a table.
        for option in
            options().iter().filter(|option| ["auth-token", "table"].contains(&option.name))
        {
            layer.set(option, Value::Text("x".into()));
        }
        let given = &Given::new(vec![layer]);
        for source in SOURCES {
            let (name, warnings) = (source.names[0], &mut Vec::new());
            let setup = Setup { name, given, environment, warnings };
            let opened = (source.configure)(setup).unwrap().open();
            let watch = opened.watch(&Interest::default()).await.unwrap();
            assert_eq!(watch.is_some(), source.changes == Changes::Reported, "{name}");
        }
    }
}
