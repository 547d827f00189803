//! The exit codes of commands: each code in their table is seen.

use std::collections::BTreeSet;

use super::document;
use crate::support::{Daemon, Sandbox, eventually};

/// What the table says: commands, each with an exit code that it can have.
fn documented() -> BTreeSet<(String, i32)> {
    let page = document("docs/exit-codes.md");
    let section = page.split("\n## Exit codes of commands\n").nth(1).unwrap();
    let table = section.split("\n\n").find(|part| part.starts_with("| command")).unwrap();
    let mut codes = BTreeSet::new();
    for line in table.lines().skip(2) {
        let cells: Vec<_> = line.split('|').skip(1).map(str::trim).collect();
        let command = cells[0].trim_matches('`').strip_prefix("confd ").unwrap();
        let others = cells[3].split("; ").filter_map(|other| other.split_once(':'));
        let others = others.map(|(code, _)| code.parse().unwrap());
        let usual = [(0, cells[1]), (1, cells[2])];
        let usual = usual.into_iter().filter(|(_, cell)| !cell.is_empty()).map(|(code, _)| code);
        codes.extend(usual.chain(others).map(|code| (command.to_owned(), code)));
    }
    codes
}

/// The exit codes that were seen.
#[derive(Default)]
struct Seen(BTreeSet<(String, i32)>);

impl Seen {
    /// Runs a command on the tree, and expects this exit code.
    #[track_caller]
    fn expect(&mut self, code: i32, sandbox: &Sandbox, words: &str) {
        let words: Vec<_> = words.split(' ').collect();
        let run = sandbox.bare(&words).arguments(&FLAGS);
        let ended = run.run();
        assert_eq!(ended.code, Some(code), "{words:?}: {}{}", ended.stdout, ended.stderr);
        self.0.insert((words[0].to_owned(), code));
    }
}

/// The flags of each run: one tree, one file of keys, and a state folder of its own.
const FLAGS: [&str; 10] = [
    "-confdir",
    ".",
    "-config-file",
    "confd.toml",
    "-backend",
    "file",
    "-file",
    "data.yaml",
    "-state-dir",
    "state",
];

/// A tree with the resource `app`, whose check refuses the value 3.
fn tree() -> Sandbox {
    let sandbox = Sandbox::new();
    let check = "check_cmd = '! grep -qx 3 {{.src}}'\nbackup = 1";
    sandbox.write("templates/app", "{{getv \"/a\"}}\n");
    let table = "[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = ['/a']\n";
    sandbox.write("conf.d/app.toml", format!("{table}{check}\n"));
    sandbox.write("data.yaml", "a: 1\n");
    for (cases, expected) in [("right", "1\n"), ("wrong", "2\n")] {
        sandbox.write(&format!("{cases}/x/data.yaml"), "a: 1\n");
        sandbox.write(&format!("{cases}/x/expected/out/app"), expected);
    }
    sandbox
}

#[test]
fn each_command_ends_as_the_table_of_exit_codes_says() {
    let mut seen = Seen::default();
    let sandbox = tree();
    for value in [1, 2] {
        sandbox.write("data.yaml", format!("a: {value}\n"));
        sandbox.bare(&["-onetime"]).arguments(&FLAGS).ok();
    }
    for (code, words) in [
        (0, "check"),
        (0, "explain app"),
        (1, "explain nope"),
        (0, "render app"),
        (1, "render nope"),
        (0, "plan -set /a=2"),
        (1, "plan nope -set /a=2"),
        (2, "plan -set /a=4"),
        (4, "plan -set /a=3"),
        (0, "test right"),
        (1, "test wrong"),
        (1, "test nope"),
        (0, "schema -for confd.toml"),
        (1, "schema -for nope"),
        (2, "status"),
        (1, "reload"),
        (1, "run app"),
        (0, "history app"),
        (1, "history nope"),
        (1, "rollback nope"),
        (0, "rollback app"),
        (1, "release nope"),
        (0, "release app"),
        (0, "release app"),
        (0, "-check-config"),
        (0, "-validate"),
        (0, "-preflight"),
        // A command line that is wrong.
        (1, "check -bogus"),
        (1, "rollback"),
        (2, "status -bogus"),
    ] {
        seen.expect(code, &sandbox, words);
    }
    sandbox.write("templates/app", "{{nosuch}}");
    for words in ["check", "explain app", "render app", "-check-config", "-validate"] {
        seen.expect(1, &sandbox, words);
    }
    std::fs::remove_file(sandbox.path("data.yaml")).unwrap();
    seen.expect(1, &sandbox, "-preflight");

    let sandbox = tree();
    let run = sandbox.bare(&["-watch", "-control-socket", "socket"]).arguments(&FLAGS);
    let daemon = Daemon::start(run, sandbox.path("log"));
    let status = || sandbox.bare(&["status", "-control-socket", "socket"]).run();
    eventually("the daemon is ready", || status().code == Some(0));
    for words in ["status", "reload", "run app"] {
        seen.expect(0, &sandbox, &format!("{words} -control-socket socket"));
    }
    sandbox.write("data.yaml", "a: 3\n");
    daemon.wait_for("Config check failed");
    for words in ["status", "run app"] {
        seen.expect(1, &sandbox, &format!("{words} -control-socket socket"));
    }
    assert_eq!(seen.0, documented());
}
