//! The command lines of the program in all documents: its commands and flags exist.

use std::{collections::BTreeSet, fs, os::unix::fs::symlink, path::Path};

use crate::support::{Run, Sandbox, search_path};

/// The names of the program.
const NAMES: [&str; 3] = ["confd", "registrator", "consul-template"];

/// What ends the words of a command in a line of the shell. Behind `--` stands another program.
const ENDS: [&str; 9] = [" -- ", " | ", " & ", " && ", " || ", "; ", " >", " 2>", " # "];

/// The documents below a folder.
fn documents(folder: &Path) -> Vec<String> {
    let mut documents = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            documents.extend(self::documents(&path));
        } else if path.extension().is_some_and(|end| end == "md") {
            documents.push(fs::read_to_string(path).unwrap());
        }
    }
    documents
}

/// The commands in a document that start the program, without what stands behind them.
fn commands(document: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for block in document.split("```").skip(1).step_by(2) {
        let Some(text) = block.strip_prefix("sh\n") else { continue };
        for line in text.replace("\\\n", " ").lines() {
            // So that every end has a blank on both sides.
            let line = format!("{} ", line.trim());
            let end = ENDS.iter().filter_map(|end| line.find(end)).min();
            let command = line[..end.unwrap_or(line.len())].trim();
            // Variables stand before the name of the program.
            let mut words = command.split(' ').skip_while(|word| word.contains('='));
            if words.next().is_some_and(|word| NAMES.contains(&word)) {
                commands.push(command.to_owned());
            }
        }
    }
    commands
}

#[test]
fn every_command_line_in_the_documents_has_commands_and_flags_that_exist() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("bin")).unwrap();
    for name in NAMES {
        symlink(env!("CARGO_BIN_EXE_confd"), sandbox.path("bin").join(name)).unwrap();
    }
    let path = format!("{}:{}", sandbox.path("bin").display(), search_path());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = ["docs", "examples"].into_iter().flat_map(|name| documents(&root.join(name)));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let commands: BTreeSet<_> =
        documents.chain([readme]).flat_map(|document| self::commands(&document)).collect();
    assert!(commands.len() > 30, "{commands:#?}");
    for command in commands {
        // The usage is printed if everything before `-h` is understood.
        let script = format!("{command} -h");
        let run = Run::new("sh", sandbox.root()).arguments(&["-c", &script]).env("PATH", &path);
        let ended = run.run();
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        assert!(ended.code == Some(0) && printed.contains("Usage"), "{command}: {printed}");
    }
}

#[test]
fn a_command_ends_where_the_shell_goes_on() {
    let document = "```sh\nA=1 confd -watch 2>log &\nconfd register -port 1 \\\n  x -- y -z\n\
                    echo confd\nconfd status | head   # x\n```\n\n```text\nconfd -no\n```\n";
    assert_eq!(
        commands(document),
        ["A=1 confd -watch", "confd register -port 1    x", "confd status"]
    );
}
