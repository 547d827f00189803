//! Which paths of Vault a key stands for.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use client_vault::{Client, Mount, Reply};
use futures_util::future::{BoxFuture, try_join_all};
use nodes::Error;
use serde_json::value::RawValue;
use store::Key;
use tracing::debug;

/// A path that is read, and the key that its secret has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The path in Vault, without a slash at its beginning.
    pub(crate) path: String,
    /// The key.
    pub(crate) name: Bytes,
    /// Whether the secret has versions, so that its data have one more level.
    pub(crate) is_versioned: bool,
}

/// The secrets engines that were found during one reading. They are looked for again in each reading,
/// because an engine can be replaced.
#[derive(Default)]
pub(crate) struct Mounts(Mutex<Vec<Mount>>);

impl Mounts {
    /// The mount of a path.
    async fn of(&self, client: &Client, path: &str) -> Result<Mount, Error> {
        let known = |mounts: &Vec<Mount>| mounts.iter().find(|mount| mount.has(path)).cloned();
        if let Some(mount) = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(mount);
        }
        let mount = client.mount(path).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(mount.clone());
        Ok(mount)
    }
}

/// The paths that `key` stands for: its own, and all that are listed below it.
///
/// As in Go confd, what cannot be listed is not listed: a token may be allowed to read a secret and not
/// to list what is below it.
///
/// # Errors
/// No node answers, or Vault refuses the request for the mount.
pub(crate) async fn paths(
    client: &Client,
    mounts: &Mounts,
    key: &Key,
) -> Result<Vec<Wanted>, Error> {
    let path = String::from_utf8_lossy(key.as_bytes()).trim_matches('/').to_owned();
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let mount = mounts.of(client, &path).await?;
    let mut found = vec![path.clone()];
    found.extend(below(client, &mount, path).await?);
    let wanted = |path: String| {
        let name = format!("/{path}").into();
        let is_versioned = mount.adds_part(&path);
        Wanted { path: mount.spelled("data", &path), name, is_versioned }
    };
    Ok(found.into_iter().map(wanted).collect())
}

/// The paths of all secrets below `path`.
fn below<'a>(
    client: &'a Client,
    mount: &'a Mount,
    path: String,
) -> BoxFuture<'a, Result<Vec<String>, Error>> {
    Box::pin(async move {
        let names = match client.list(&mount.spelled("metadata", &path)).await {
            Ok(names) => names.unwrap_or_default(),
            Err(error) if error.is_refusal() => {
                debug!("there was an error extracting /{path}: {error}");
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let (mut found, mut folders) = (Vec::new(), Vec::new());
        for name in names {
            match name.strip_suffix('/') {
                Some("" | "." | "..") => {}
                Some(folder) => folders.push(format!("{path}/{folder}")),
                None if matches!(&*name, "" | "." | "..") => {}
                None => found.push(format!("{path}/{name}")),
            }
        }
        for inner in
            try_join_all(folders.into_iter().map(|folder| below(client, mount, folder))).await?
        {
            found.extend(inner);
        }
        Ok(found)
    })
}

/// The data of a secret; of one with versions, those of the version.
pub(crate) fn data<'a>(wanted: &Wanted, reply: &'a Reply) -> Option<&'a str> {
    let data = reply.data()?;
    if !wanted.is_versioned {
        return Some(data);
    }
    #[derive(serde::Deserialize)]
    struct Version<'a> {
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    let version: Version<'a> = serde_json::from_str(data).ok()?;
    version.data.map(RawValue::get).filter(|data| *data != "null")
}
