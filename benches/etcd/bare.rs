//! The bare watcher: a process of its own that does nothing but follow one key.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use etcd_client::{Client, WatchOptions};

/// The first word of this program's arguments if it is to be a bare watcher.
const ROLE: &str = "bare-watcher";

/// What a bare watcher does.
pub(crate) struct Watcher {
    pub(crate) node: String,
    pub(crate) key: String,
    pub(crate) dest: PathBuf,
    /// Whether the file is synced before it is renamed, and its folder behind it.
    pub(crate) sync: bool,
}

impl Watcher {
    /// This program, as such a watcher.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("a path of this program"));
        command.args([ROLE, &self.node, &self.key]).arg(&self.dest).arg(self.sync.to_string());
        command
    }

    /// The watcher that these arguments ask for.
    pub(crate) fn asked_for(words: &[String]) -> Option<Self> {
        let [role, node, key, dest, sync] = words else { return None };
        (role == ROLE).then(|| Watcher {
            node: node.clone(),
            key: key.clone(),
            dest: dest.into(),
            sync: sync == "true",
        })
    }

    /// Follows until it is killed.
    pub(crate) fn run(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(self.follow()).expect("etcd answers");
    }

    async fn follow(&self) -> Result<(), etcd_client::Error> {
        let mut client = Client::connect([&self.node], None).await?;
        let mut stream = client.watch(self.key.as_str(), Some(WatchOptions::new())).await?;
        while let Some(message) = stream.message().await? {
            for pair in message.events().iter().filter_map(|event| event.kv()) {
                self.replace(pair.value()).expect("a file");
            }
        }
        Ok(())
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
