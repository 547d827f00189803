//! A world of its own for a process: namespaces, mounts and missing privileges.

use std::process::{Command, Stdio};

use super::Run;

/// A root user whom permissions apply to: no capability is left to pass them over.
const UNPRIVILEGED: &[&str] = &["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"];

/// Fails with a clear word where the test cannot work.
#[track_caller]
pub fn needs_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test makes namespaces, mounts and owners: run it as root"
    );
}

impl Run {
    /// Runs it through other commands: `words`, then the program and its arguments.
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
        // System tools may be where only root's shell looks.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    /// Runs it in namespaces of its own, by a shell script in which `"$@"` is the command.
    /// `namespaces` are the options of `unshare`: `-m` mounts, `-n` network.
    #[track_caller]
    pub fn unshared(self, namespaces: &str, script: &str) -> Self {
        needs_root();
        self.through(&["unshare", namespaces, "--", "sh", "-ec", script, "sh"])
    }

    /// Runs it as root without any privilege: neither permissions nor owners yield to it.
    #[track_caller]
    pub fn unprivileged(self) -> Self {
        needs_root();
        self.through(UNPRIVILEGED)
    }
}
