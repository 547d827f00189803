//! Staging, comparing, checking, replacing and reloading, and what failures leave behind.

mod arguments;
mod commands;
mod compare;
mod directories;
mod environment;
mod ignored;
mod limits;
mod pending;
mod reload;
mod stage;
mod start;
mod switches;
mod targets;

use crate::support::{Ended, Sandbox};

/// The destination of the resource `app`, as the log shows it.
fn dest(sandbox: &Sandbox) -> String {
    sandbox.path("out/app").display().to_string()
}

/// The log lines about a destination, from its comparison on.
fn logged(ended: &Ended) -> Vec<String> {
    let opening = ["INFO Backend", "INFO Starting confd"];
    ended
        .log()
        .into_iter()
        .filter(|line| !opening.iter().any(|start| line.starts_with(start)))
        .collect()
}

/// A tree whose destination exists with other content, with these commands in its resource.
fn outdated(commands: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", commands);
    sandbox.write("out/app", "old");
    sandbox
}

/// Whether a name is that of a stage file for `of`: a dot, the name and up to ten digits.
fn is_stage_name(name: &str, of: &str) -> bool {
    let digits = name.strip_prefix('.').and_then(|name| name.strip_prefix(of));
    digits.is_some_and(|digits| {
        (1..=10).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}
