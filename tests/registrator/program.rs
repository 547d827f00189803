//! The program under test: registrator, with the host name, the hosts file and the Docker socket of
//! its case.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use servers::Process;

/// Gives the program its host name, its files and its name, then becomes the program.
const SCRIPT: &str = r#"
set -e
host=$1 folder=$2 program=$3 socket=$4
shift 4
hostname "$host"
mount --bind "$folder/hosts" /etc/hosts
mount --bind "$folder/resolv.conf" /etc/resolv.conf
mount --bind "$program" "$folder/registrator"
if [ "$socket" = true ]; then
  mount -t tmpfs none /tmp
  : >/tmp/docker.sock
  mount --bind "$folder/docker.sock" /tmp/docker.sock
fi
exec "$folder/registrator" "$@"
"#;

/// How the program is started.
pub(crate) struct Start {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// The host name, and the content of `/etc/hosts`.
    pub(crate) host: String,
    pub(crate) hosts: String,
    /// Whether the socket of the engine is also at `/tmp/docker.sock`.
    pub(crate) has_default_socket: bool,
}

/// A program that was started.
pub(crate) struct Program {
    process: Process,
    log: PathBuf,
    /// The length of the log when the program was started.
    began: usize,
}

impl Program {
    /// Starts the program in the network of this thread. `folder` contains the engine's socket.
    pub(crate) fn start(folder: &Path, start: &Start) -> Program {
        fs::write(folder.join("hosts"), &start.hosts).unwrap();
        // Nothing answers at this address, so a name that is not in the hosts file does not exist.
        let servers = "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n";
        fs::write(folder.join("resolv.conf"), servers).unwrap();
        // The program is mounted on this file.
        fs::write(folder.join("registrator"), "").unwrap();
        let program = real_program().unwrap_or_else(|| env!("CARGO_BIN_EXE_confd").into());
        let mut words = vec!["-i".to_owned()];
        words.extend(start.environment.iter().map(|(name, value)| format!("{name}={value}")));
        words.extend(["unshare", "--mount", "--uts", "sh", "-c", SCRIPT, "sh"].map(str::to_owned));
        words.extend([
            start.host.clone(),
            folder.display().to_string(),
            program.into_string().unwrap(),
            start.has_default_socket.to_string(),
        ]);
        words.extend(start.arguments.iter().cloned());
        let log = folder.join("registrator.log");
        let began = fs::read(&log).map_or(0, |log| log.len());
        let process = Process::start(Path::new("env"), &words, &log);
        Program { process, log, began }
    }

    /// How the program ended; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Asks the program to end, and waits until it has.
    pub(crate) fn terminate(&mut self) {
        self.process.terminate();
    }

    /// What the program has printed.
    pub(crate) fn printed(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[self.began..]).into_owned()
    }
}

/// The program that the variable `REGISTRATOR` names, to be run in place of ours.
#[expect(clippy::disallowed_methods, reason = "the environment says which program is run")]
pub(crate) fn real_program() -> Option<OsString> {
    std::env::var_os("REGISTRATOR").filter(|program| !program.is_empty())
}
