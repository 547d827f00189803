//! Which secrets engine has a path.

use nodes::{CauseKind, Error};
use reqwest::StatusCode;
use serde::Deserialize;

use crate::reply::is_versioned;
use crate::{Client, Reply, Request};

/// What kind of secrets engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Key/value with versions (KV v2): `data/` or `metadata/` follows the mount in each path.
    Versioned,
    /// Any other: paths are as users write them.
    Plain,
}

/// Where a secrets engine is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The path, without slashes around it.
    pub path: String,
    /// What is there.
    pub engine: Engine,
}

impl Mount {
    /// Whether the engine keeps versions of its secrets.
    pub fn is_versioned(&self) -> bool {
        self.engine == Engine::Versioned
    }

    /// Whether the engine has this path.
    pub fn has(&self, path: &str) -> bool {
        self.rest(path).is_some()
    }

    /// The part of a path behind the mount, without a slash at its beginning; `None` if the path is
    /// elsewhere.
    pub fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&*self.path)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// Whether a part, such as `data`, has to be put into the path. Users may also write the whole path.
    pub fn adds_part(&self, path: &str) -> bool {
        let first = self.rest(path).unwrap_or_default().split('/').next().unwrap_or_default();
        self.is_versioned() && !matches!(first, "data" | "metadata" | "subkeys")
    }

    /// The path as Vault has it, with `part` behind the mount if that has to be put in.
    pub fn spelled(&self, part: &str, path: &str) -> String {
        match self.adds_part(path) {
            true => self.with(part, self.rest(path).unwrap_or_default()),
            false => path.to_owned(),
        }
    }

    /// The path with a part, such as `data`, behind the mount.
    fn with(&self, part: &str, rest: &str) -> String {
        let slash = if rest.is_empty() { "" } else { "/" };
        format!("{}/{part}{slash}{rest}", self.path)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Described {
    path: String,
    r#type: String,
    options: Option<Version>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Version {
    version: Option<String>,
}

impl Client {
    /// The mount of the secrets engine that has `path`. If Vault does not say it, because the token may
    /// not ask or the server is too old, the first part of the path counts as the mount, and it is tried
    /// out whether paths there have versions.
    ///
    /// # Errors
    /// Vault does not answer.
    pub async fn mount(&self, path: &str) -> Result<Mount, Error> {
        let request = Request::get(format!("sys/internal/ui/mounts/{path}"));
        match self.send(&request).await {
            Ok(answer) if answer.status.is_success() => {
                let reply: Option<Reply> = answer.reply()?;
                let data = reply.as_ref().and_then(Reply::data).unwrap_or("null");
                let found: Option<Described> = serde_json::from_str(data).unwrap_or_default();
                if let Some(Described { path, r#type, options }) = found
                    && !path.is_empty()
                {
                    let version = options.and_then(|options| options.version);
                    let is_versioned = r#type == "kv" && version.as_deref() == Some("2");
                    let engine = if is_versioned { Engine::Versioned } else { Engine::Plain };
                    return Ok(Mount { path: path.trim_matches('/').to_owned(), engine });
                }
            }
            Ok(_) => {}
            // It is about this path, and not about the token.
            Err(error) if is_about_path(&error) => {}
            Err(error) => return Err(error),
        }
        self.tried_out(path).await
    }

    /// The mount as the answers to two requests let it look.
    async fn tried_out(&self, path: &str) -> Result<Mount, Error> {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let mut mount = Mount { path: first.to_owned(), engine: Engine::Plain };
        match self.send(&Request::get(path)).await {
            Ok(answer) if answer.status == StatusCode::NOT_FOUND && is_versioned(&answer.body) => {
                mount.engine = Engine::Versioned;
            }
            Ok(_) => {}
            // A policy for an engine with versions allows only the longer path.
            Err(error) if error.is_refusal() => {
                match self.send(&Request::get(mount.with("data", rest))).await {
                    Ok(_) => mount.engine = Engine::Versioned,
                    Err(error) if error.is_refusal() => {}
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
        Ok(mount)
    }
}

/// Whether Vault refuses the path, and not the token itself.
fn is_about_path(error: &Error) -> bool {
    matches!(error, Error::Refused { reason, .. } if reason.kind() != CauseKind::Credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_has_the_paths_below_it() {
        let mount = Mount { path: "team/kv".to_owned(), engine: Engine::Versioned };
        assert_eq!(mount.rest("team/kv/app/db"), Some("app/db"));
        assert_eq!(mount.rest("team/kv"), Some(""));
        assert_eq!(mount.rest("team/kvs/app"), None);
        assert_eq!(mount.with("data", "app"), "team/kv/data/app");
        assert_eq!(mount.spelled("metadata", "team/kv"), "team/kv/metadata");
        assert_eq!(mount.spelled("data", "team/kv/app/db"), "team/kv/data/app/db");
        assert_eq!(mount.spelled("data", "team/kv/data/app"), "team/kv/data/app");
    }
}
