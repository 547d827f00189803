//! The bare watcher: a separate process that does nothing but follow one key.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use etcd_client::{Client, WatchOptions};
use reqwest::header::HeaderMap;

use crate::store::{Target, consul, etcd};

/// The first argument that makes this program a bare watcher.
const ROLE: &str = "bare-watcher";

/// The task of a bare watcher.
pub(crate) struct Watcher {
    pub(crate) target: Target,
    pub(crate) key: String,
    pub(crate) dest: PathBuf,
    /// Whether to sync the file before the rename, and its folder after it.
    pub(crate) sync: bool,
}

impl Watcher {
    /// The command that starts this program as the watcher.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("a path of this program"));
        let Target { backend, url } = &self.target;
        command.args([ROLE, backend, url, &self.key]).arg(&self.dest).arg(self.sync.to_string());
        command
    }

    /// The watcher that these arguments ask for, if they ask for one.
    pub(crate) fn asked_for(words: &[String]) -> Option<Self> {
        let [role, backend, url, key, dest, sync] = words else { return None };
        let backend = [etcd::BACKEND, consul::BACKEND].into_iter().find(|name| name == backend)?;
        (role == ROLE).then(|| Watcher {
            target: Target { backend, url: url.clone() },
            key: key.clone(),
            dest: dest.into(),
            sync: sync == "true",
        })
    }

    /// Follows the key until the process is killed.
    pub(crate) fn run(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        match self.target.backend {
            etcd::BACKEND => runtime.block_on(self.follow_etcd()).expect("etcd answers"),
            _ => runtime.block_on(self.follow_consul()).expect("Consul answers"),
        }
    }

    async fn follow_etcd(&self) -> Result<(), etcd_client::Error> {
        let mut client = Client::connect([&self.target.url], None).await?;
        let mut stream = client.watch(self.key.as_str(), Some(WatchOptions::new())).await?;
        while let Some(message) = stream.message().await? {
            for pair in message.events().iter().filter_map(|event| event.kv()) {
                self.replace(pair.value()).expect("a file");
            }
        }
        Ok(())
    }

    async fn follow_consul(&self) -> reqwest::Result<()> {
        let (client, mut index) = (consul::client(), 0);
        loop {
            let url = format!("{}/v1/kv{}?raw=&index={index}", self.target.url, self.key);
            let answer = client.get(url).send().await?.error_for_status()?;
            let next = index_of(answer.headers());
            let value = answer.bytes().await?;
            // The first answer is the value from before the watch.
            if index > 0 && next != index {
                self.replace(&value).expect("a file");
            }
            index = next;
        }
    }

    fn replace(&self, value: &[u8]) -> std::io::Result<()> {
        let stage = self.dest.with_extension("stage");
        let mut file = File::create(&stage)?;
        file.write_all(value)?;
        if self.sync {
            file.sync_all()?;
        }
        fs::rename(stage, &self.dest)?;
        match (self.sync, self.dest.parent()) {
            (true, Some(folder)) => File::open::<&Path>(folder)?.sync_all(),
            _ => Ok(()),
        }
    }
}

fn index_of(headers: &HeaderMap) -> u64 {
    let index = headers.get("x-consul-index").and_then(|index| index.to_str().ok()?.parse().ok());
    index.expect("an index")
}
