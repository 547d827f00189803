//! Special surroundings for a process: namespaces, mounts and missing privileges.

use std::process::{Command, Stdio};

use super::{Run, search_path};

/// Runs as root, but with permissions in force: no capability is left to bypass them.
const UNPRIVILEGED: &[&str] = &["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"];

/// Fails with a clear text if the test cannot work without root.
#[track_caller]
pub fn needs_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test makes namespaces, mounts and owners: run it as root"
    );
}

impl Run {
    /// Runs it through another command: `words`, then the program and its arguments.
    pub fn through(self, words: &[&str]) -> Self {
        let (launcher, rest) = words.split_first().expect("a command");
        let mut command = Command::new(launcher);
        command
            .args(rest)
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        // System tools can be in folders that are only in root's `PATH`.
        let path = search_path();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    /// Runs it in new namespaces, by a shell script in which `"$@"` is the command. `namespaces`
    /// are options of `unshare`: `-m` for mounts, `-n` for the network.
    #[track_caller]
    pub fn unshared(self, namespaces: &str, script: &str) -> Self {
        needs_root();
        self.through(&["unshare", namespaces, "--", "sh", "-ec", script, "sh"])
    }

    /// Runs it as root without any capability, so that permissions and owners apply.
    #[track_caller]
    pub fn unprivileged(self) -> Self {
        needs_root();
        self.through(UNPRIVILEGED)
    }
}
