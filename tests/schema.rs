//! The JSON Schemas of resource files and of confd.toml, and the files of this repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::Sandbox;

/// A schema that checks documents.
struct Validator {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Validator {
    /// What `confd schema` prints with these words behind it.
    fn printed(words: &[&str]) -> Self {
        let text = printed(words);
        let name = "file:///schema.json";
        let mut compiler = boon::Compiler::new();
        compiler.add_resource(name, serde_json::from_str(&text).unwrap()).unwrap();
        let mut schemas = boon::Schemas::new();
        let index = compiler.compile(name, &mut schemas).unwrap();
        Validator { schemas, index }
    }

    /// Why the schema refuses a file in TOML.
    fn refusal(&self, text: &str) -> Option<String> {
        let table: toml::Table = text.parse().unwrap();
        let document = serde_json::to_value(table).unwrap();
        let refusal = self.schemas.validate(&document, self.index).err();
        refusal.map(|why| format!("{why:#}"))
    }
}

fn printed(words: &[&str]) -> String {
    let arguments: Vec<_> = ["schema"].iter().chain(words).copied().collect();
    let ended = Sandbox::new().bare(&arguments).ok();
    assert_eq!(ended.stderr, "");
    ended.stdout
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the repository with one of these endings, without those that cargo makes.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let (mut pending, mut files) = (vec![root().to_owned()], Vec::new());
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                pending.push(path);
            } else if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                files.push(path);
            }
        }
    }
    files
}

/// The texts in TOML in the files and the documents of the repository, each with the place where it stands.
fn texts() -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for path in files(&[".toml", ".md"]) {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let content = fs::read_to_string(&path).unwrap();
        if name.ends_with(".toml") {
            texts.push((name, content));
            continue;
        }
        for (nth, block) in content.split("```toml\n").skip(1).enumerate() {
            let block = block.split("```").next().unwrap();
            texts.push((format!("{name}, block {}", nth + 1), block.to_owned()));
        }
    }
    texts
}

/// Whether `confd check` finds nothing of this rule in a folder with this text as the file `name`.
fn has_no_finding(name: &str, text: &str, rule: &str) -> bool {
    let sandbox = Sandbox::new();
    sandbox.write("conf.d/README", "");
    let file = sandbox.write(name, text);
    let confdir = sandbox.root().to_str().unwrap();
    let mut words = vec!["check", "-format", "json", "-confdir", confdir];
    if name == "confd.toml" {
        words.extend(["-config-file", file.to_str().unwrap()]);
    }
    let run = sandbox.bare(&words);
    // A variable that examples use.
    let ended = run.env("SITE", "blue").run();
    // A confd.toml that cannot be read is an error of the command.
    let Ok(found) = serde_json::from_str::<serde_json::Value>(&ended.stdout) else {
        assert!(ended.stderr.starts_with("confd check: toml: line "), "{}", ended.stderr);
        return false;
    };
    let findings = found["findings"].as_array().unwrap();
    let mut rules = findings.iter().map(|finding| finding["rule"].as_str().unwrap());
    !rules.any(|found| found.starts_with(rule))
}

/// Whether confd reads this text as a resource file, without a warning about it.
fn is_resource_for_confd(text: &str) -> bool {
    has_no_finding("conf.d/a.toml", text, "resource")
}

/// Whether confd reads this text as its configuration file, without a warning about it.
fn is_confd_toml_for_confd(text: &str) -> bool {
    has_no_finding("confd.toml", text, "configuration")
}

#[test]
fn the_schemas_of_the_documentation_are_printed() {
    for (words, name) in [
        (&[][..], "resource"),
        (&["-for", "resource"], "resource"),
        (&["-for=confd.toml"], "confd"),
    ] {
        let path = root().join(format!("docs/schema/{name}.schema.json"));
        assert_eq!(printed(words), fs::read_to_string(path).unwrap(), "{words:?}");
    }
}

#[test]
fn every_resource_file_of_the_repository_that_confd_reads_is_valid_by_the_schema() {
    let schema = Validator::printed(&[]);
    let mut count = 0;
    for (place, text) in texts() {
        let is_resource = |line: &str| matches!(line.trim(), "[template]" | "[[template]]");
        if !text.lines().any(is_resource) || !is_resource_for_confd(&text) {
            continue;
        }
        count += 1;
        if let Some(why) = schema.refusal(&text) {
            panic!("{place}: {why}\n{text}");
        }
    }
    assert!(count > 40, "only {count} resource files were found");
}

#[test]
fn a_mistake_in_a_resource_file_is_named_with_its_key() {
    let schema = Validator::printed(&[]);
    let refusal = |line: &str| {
        let text = format!("[template]\nsrc = 'a'\ndest = 'd'\n{line}\n");
        assert!(!is_resource_for_confd(&text), "{text}");
        schema.refusal(&text).unwrap_or_else(|| panic!("the schema accepts {text}"))
    };
    for line in [
        "mode = 644",
        "mode = '644'",
        "chek_cmd = 'x'",
        "keys = '/a'",
        "check_timeout = '5 apples'",
    ] {
        let key = line.split(' ').next().unwrap();
        let refusal = refusal(line);
        assert!(refusal.contains(key), "{line}: {refusal}");
    }
}

#[test]
fn every_confd_toml_of_the_repository_that_confd_reads_is_valid_by_the_schema() {
    let schema = Validator::printed(&["-for", "confd.toml"]);
    let mut count = 0;
    for (place, text) in texts() {
        let has_key = text.parse::<toml::Table>().is_ok_and(|table| !table.is_empty());
        if !has_key || !is_confd_toml_for_confd(&text) {
            continue;
        }
        count += 1;
        if let Some(why) = schema.refusal(&text) {
            panic!("{place}: {why}\n{text}");
        }
    }
    assert!(count > 5, "only {count} files were found");
}

#[test]
fn a_mistake_in_confd_toml_is_named_with_its_key() {
    let schema = Validator::printed(&["-for", "confd.toml"]);
    for line in ["interval = '5'", "nodes = 'a'", "noop = 1", "log_level = 'debug'"] {
        assert!(!is_confd_toml_for_confd(line), "{line}");
        let key = line.split(' ').next().unwrap();
        let refusal = schema.refusal(line).unwrap_or_else(|| panic!("the schema accepts {line}"));
        assert!(refusal.contains(key), "{line}: {refusal}");
    }
}

#[test]
fn words_that_are_not_those_of_the_command_are_refused() {
    for (words, error) in [
        (&["schema", "x"][..], "write confd schema [-for resource|confd.toml]"),
        (&["schema", "-for", "x"], "-for is followed by one of resource, confd.toml"),
    ] {
        let ended = Sandbox::new().bare(words).run();
        assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
        assert_eq!(ended.stderr, format!("confd schema: {error}\n"));
    }
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let sandbox = Sandbox::rendering("x");
    sandbox.write("data.yaml", "a: 1\n");
    for words in [
        &["schema"][..],
        &["check", "-confdir", ".", "-format", "json"],
        &["render", "app", "-data", "data.yaml", "-confdir", "."],
    ] {
        let full = || fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = sandbox.bare(words).with(|run| _ = run.stdout(full())).run();
        assert_eq!(ended.code, Some(1), "{words:?}: {}", ended.stderr);
        let why = "cannot write to standard output: No space left on device";
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
}
