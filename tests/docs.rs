//! The documents' examples: each is run, and gives what the document says.

mod examples;
mod trial;

use std::{collections::BTreeSet, fs, path::Path};

use examples::{Example, Language, Outcome};

/// The text of a document.
fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The examples of a document, each of which has to be whole.
#[track_caller]
fn examples_of(name: &str) -> Vec<Example> {
    examples::read(&document(name)).unwrap_or_else(|faults| panic!("{}", report(name, &faults)))
}

/// Runs a document's examples and expects of each what it says.
#[track_caller]
fn holds(name: &str) {
    let examples = examples_of(name);
    assert!(examples.len() > 10, "{name} has {} examples", examples.len());
    let faults = trial::faults(&examples);
    assert!(faults.is_empty(), "{}", report(name, &faults));
}

fn report(name: &str, faults: &[(usize, String)]) -> String {
    let lines = faults.iter().map(|(line, fault)| format!("\n{name}:{line}: {fault}\n"));
    lines.collect()
}

/// Whether a template calls a function: its name stands there as a word of its own.
fn calls(template: &str, function: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    template.split(|c| !of_name(c)).any(|word| word == function)
}

#[test]
fn every_example_of_the_template_reference_gives_what_it_says() {
    holds("docs/templates.md");
}

#[test]
fn every_recipe_of_the_cookbook_gives_what_it_says() {
    holds("docs/cookbook.md");
}

#[test]
fn every_function_has_an_entry_with_signatures_and_examples_in_both_languages() {
    let document = document("docs/templates.md");
    let examples = examples_of("docs/templates.md");
    let documented: BTreeSet<_> =
        examples.iter().flat_map(|example| example.functions.iter().map(String::as_str)).collect();
    let functions: BTreeSet<_> = render::functions().collect();
    assert_eq!(documented, functions);
    for function in functions {
        let heading = format!("`{function}`");
        let mut entries = document.split("\n### ");
        let entry = entries.find(|entry| entry.lines().next().unwrap().contains(&heading)).unwrap();
        // Signatures stand behind the name of the language or below one another.
        let signatures: Vec<_> =
            entry.lines().filter_map(|line| line.get("Tera  ".len()..)).collect();
        let has_signature = |end: &str| {
            signatures
                .iter()
                .any(|line| line.strip_prefix(function).is_some_and(|rest| rest.starts_with(end)))
        };
        assert!(has_signature("(") && (has_signature(" ") || function == "datetime"), "{function}");
        for language in [Language::Go, Language::Tera] {
            let of_it = |example: &&Example| {
                example.functions.iter().any(|name| name == function)
                    && example.language == language
                    && calls(&example.template, function)
            };
            let shown = examples.iter().filter(of_it).count();
            assert!(shown > 0, "{function} has no example in {language:?}");
        }
    }
}

#[test]
fn an_example_that_is_wrong_is_found_with_its_line() {
    let document = "# X\n\n| Go | result |\n|---|---|\n| `{{1}}` | `1` |\n| `{{2}}` | `3` |\n\
                    | `{{nope}}` | `1` |\n| `{{1}}` | error: `no` |\n| `{{20}}` | like `1` |\n\n\
                    ```gotmpl\n{{1}}\n```\n\n```text\n2\n```\n\n\
                    ```toml\n[template]\ncheck_cmd = \"grep -q 2 {{.src}}\"\n```\n\n\
                    ```gotmpl\n{{1}}\n```\n\n```text\n1\n```\n";
    let faults = trial::faults(&examples::read(document).unwrap());
    let lines: Vec<_> = faults.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [6, 7, 8, 9, 11, 24], "{faults:?}");
}

#[test]
fn an_example_without_a_result_is_no_example() {
    for (document, line) in [
        ("```gotmpl\n{{1}}\n```\n", 1),
        ("```gotmpl\n{{1}}\n```\n\n# Next\n\n```text\n1\n```\n", 1),
        ("```gotmpl\n1\n```\n\n```gotmpl\n2\n```\n\n```text\n2\n```\n", 1),
        ("```text error\nx\n```\n", 1),
        ("| Go | result |\n|---|---|\n| `{{1}}` | 1 |\n", 3),
        ("| Go | result |\n|---|---|\n| `{{1}}` |\n", 3),
        ("| Go | result |\n|---|---|\n| {{1}} | `1` |\n", 3),
    ] {
        let faults = examples::read(document).unwrap_err();
        assert_eq!(faults[0].0, line, "{document}");
    }
}

#[test]
fn both_forms_of_examples_are_read() {
    let document = "```yaml\na: 1\n```\n\n## `one` and `two`\n\n| Go | Tera | result | |\n|---|---|---|---|\n\
                    | `` {{`a\\|b`}} `` | `{{ 1 }}` | (nothing) | a note |\n\n\
                    ```toml\n[template]\n```\n\n```gotmpl\ng\n```\n\n```jinja\nt\n```\n\n```json\n1\n```\n";
    let examples = examples::read(document).unwrap();
    let seen: Vec<_> =
        examples.iter().map(|example| (example.language, example.template.as_str())).collect();
    assert_eq!(
        seen,
        [
            (Language::Go, "{{`a|b`}}"),
            (Language::Tera, "{{ 1 }}"),
            (Language::Go, "g\n"),
            (Language::Tera, "t\n")
        ]
    );
    assert_eq!(examples[0].result, Outcome::Text(String::new()));
    assert_eq!(examples[3].result, Outcome::Text("1\n".into()));
    assert_eq!(&*examples[3].functions, ["one", "two"]);
    assert_eq!(&*examples[3].world.keys, "a: 1\n");
    assert!(examples[0].resource.is_none() && examples[3].resource.is_some());
}
