//! The examples in the documents: each is run and must give what the document says.

mod aws;
mod book;
mod codes;
mod commands;
mod examples;
mod guides;
mod moving;
mod operations;
mod stores;
mod trial;

use std::{collections::BTreeSet, fs, path::Path};

use examples::{Example, Language, Outcome};

/// The text of a document.
fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The examples of a document, all of which must be complete.
#[track_caller]
fn examples_of(name: &str) -> Vec<Example> {
    examples::read(&document(name)).unwrap_or_else(|faults| panic!("{}", report(name, &faults)))
}

/// The pages about templates: the languages, and the functions by their subjects.
fn reference() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/functions");
    let pages = fs::read_dir(folder).unwrap();
    let pages = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let pages = pages.map(|page| format!("docs/functions/{page}"));
    ["docs/templates.md".to_owned()].into_iter().chain(pages).collect()
}

/// Runs a document's examples and compares the results with those in the document.
#[track_caller]
fn holds(name: &str) {
    let examples = examples_of(name);
    assert!(!examples.is_empty(), "{name} has no examples");
    let faults = trial::faults(&examples);
    assert!(faults.is_empty(), "{}", report(name, &faults));
}

fn report(name: &str, faults: &[(usize, String)]) -> String {
    let lines = faults.iter().map(|(line, fault)| format!("\n{name}:{line}: {fault}\n"));
    lines.collect()
}

/// Whether a template calls a function: whether the name occurs in it as a word.
fn calls(template: &str, function: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    template.split(|c| !of_name(c)).any(|word| word == function)
}

#[test]
fn every_example_of_the_template_reference_gives_what_it_says() {
    let pages = reference().into_iter().filter(|page| !examples_of(page).is_empty());
    pages.for_each(|page| holds(&page));
}

#[test]
fn every_example_of_the_resource_reference_gives_what_it_says() {
    holds("docs/resources.md");
}

#[test]
fn every_recipe_of_the_cookbook_gives_what_it_says() {
    holds("docs/cookbook.md");
}

/// The recipes whose resource contains this text, each with another template.
fn with_template(resource: &str, template: &str) -> Vec<Example> {
    let mut examples = examples_of("docs/cookbook.md");
    let is_of =
        |example: &Example| example.resource.as_deref().is_some_and(|is| is.contains(resource));
    examples.retain(is_of);
    examples.iter_mut().for_each(|example| example.template = template.to_owned());
    assert!(!examples.is_empty(), "no recipe has {resource}");
    examples
}

/// Expects that confd refuses each example and logs the reason.
#[track_caller]
fn is_refused(examples: &[Example], reason: &str) {
    for example in examples {
        let faults = trial::faults(std::slice::from_ref(example));
        let refused = |(_, fault): &(usize, String)| {
            fault.contains("ERROR Config check failed") && fault.contains(reason)
        };
        assert!(faults.iter().any(refused), "{reason}: {faults:?}");
    }
}

#[test]
fn the_recipes_for_haproxy_refuse_a_broken_file_and_the_log_has_the_reason() {
    for file in ["services.cfg", "haproxy.cfg"] {
        is_refused(
            &with_template(file, "backend x\n  balance nonsense\n"),
            "balance only supports",
        );
    }
}

#[test]
fn the_recipe_for_an_included_file_checks_it_in_the_main_file() {
    let recipes = |template: &str| with_template("/etc/nginx/upstreams.conf", template);
    assert_eq!(recipes("").len(), 2, "one for each language");
    is_refused(&recipes("upstream x { server; }"), "invalid number of arguments");
    let conflict = "upstream static { server 10.0.0.1:80; }";
    is_refused(&recipes(conflict), r#"duplicate upstream \"static\""#);

    // The main file is not the one that includes the fragment.
    let mut unrelated = recipes("upstream api { server 10.0.0.1:80; }");
    for example in &mut unrelated {
        example.world.files = [("/etc/nginx/nginx.conf".into(), "events {}\n".into())].into();
    }
    is_refused(&unrelated, "nginx.conf does not include");

    // Paths in the main file are relative to its folder, and so is the include of the fragment.
    let mut relative = recipes("upstream api { server 10.0.0.1:80; }");
    for example in &mut relative {
        example.result = Outcome::Text(example.template.clone());
        let (path, main) = &example.world.files[0];
        let main = main
            .replace("http {", "http {\n  include mime.types;")
            .replace("include /etc/nginx/upstreams.conf;", "include upstreams.conf;");
        let types = ("/etc/nginx/mime.types".into(), "types { text/html html; }\n".into());
        example.world.files = [(path.clone(), main), types].into();
    }
    assert_eq!(trial::faults(&relative), []);
}

/// The signatures in the entry of a function: in its first block, behind the name of a language or
/// one below the other.
fn signatures<'a>(reference: &'a str, function: &str) -> Vec<&'a str> {
    let heading = format!("`{function}`");
    let is_entry = |entry: &&str| entry.lines().next().is_some_and(|line| line.contains(&heading));
    let entry = reference.split("\n### ").find(is_entry).expect(function);
    let block = entry.split("```").nth(1).expect(function);
    block.lines().filter_map(|line| line.get("Tera  ".len()..)).collect()
}

/// The argument names in Tera's form of a signature, `name(a=A, [b=B])`.
fn arguments(signature: &str) -> impl Iterator<Item = &str> {
    let words = signature.split(['(', ' ', '[']);
    // `map` takes arguments of any name.
    words.filter_map(|word| Some(word.split_once('=')?.0)).filter(|name| *name != "NAME")
}

#[test]
fn what_the_cookbook_calls_json_is_json() {
    let document = document("docs/cookbook.md");
    let blocks: Vec<_> = document.split("```json\n").skip(1).collect();
    assert!(blocks.len() > 1);
    for block in blocks {
        let text = block.split("```").next().unwrap();
        serde_json::from_str::<serde_json::Value>(text).expect(text);
    }
}

#[test]
fn every_function_has_an_entry_with_signatures_and_examples_in_both_languages() {
    let pages = reference();
    let reference: String = pages.iter().map(|page| document(page)).collect();
    let examples: Vec<_> = pages.iter().flat_map(|page| examples_of(page)).collect();
    let documented: BTreeSet<_> =
        examples.iter().flat_map(|example| example.functions.iter().map(String::as_str)).collect();
    let functions: BTreeSet<_> = render::functions().collect();
    assert_eq!(documented, functions);

    let mut missing = Vec::new();
    for function in functions {
        let of_entry: Vec<_> = examples
            .iter()
            .filter(|example| example.functions.iter().any(|name| name == function))
            .collect();
        let mut signatures = signatures(&reference, function);
        signatures.retain(|line| calls(line, function));
        if signatures.len() < 2 {
            missing.push(format!("a signature of {function}"));
        }
        let shows = |language: Language, part: &dyn Fn(&str) -> bool| {
            of_entry.iter().any(|example| example.language == language && part(&example.template))
        };
        for language in [Language::Go, Language::Tera] {
            if !shows(language, &|template| calls(template, function)) {
                missing.push(format!("an example of {function} in {language:?}"));
            }
        }
        for argument in signatures.iter().flat_map(|line| arguments(line)) {
            let named = format!("{argument}=");
            if !shows(Language::Tera, &|template| template.contains(&named)) {
                missing.push(format!("an example of {argument} of {function}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_builtin_of_go_has_an_example() {
    let examples: Vec<_> = reference().iter().flat_map(|page| examples_of(page)).collect();
    for builtin in gotmpl::Functions::<()>::new().names() {
        let is_shown = |example: &Example| {
            example.language == Language::Go && calls(&example.template, builtin)
        };
        assert!(examples.iter().any(is_shown), "{builtin}");
    }
}

/// Examples of which only the first is right.
const WRONG: &str = r#"
| Go | Tera | result |
|---|---|---|
| `{{1}}` | `{{ 1 }}` | `1` |
| `{{2}}` | | `3` |
| | `{{ 2 }}` | `3` |
| `{{nope}}` | | `1` |
| `{{1}}` | | error: `no` |
| `{{20}}` | | like `1` |

```gotmpl
{{1}}
```

```text
2
```

```gotmpl
{{getv "/no"}}
```

```text error
template: example.tmpl:1:2: executing "example.tmpl" at <getv "/no">: error calling getv: key does not exist: /no
```

```toml
[template]
check_cmd = "grep -q 2 {{.src}}"
```

```gotmpl
{{1}}
```

```text
1
```
"#;

#[test]
fn an_example_that_is_wrong_is_found_with_its_line() {
    let faults = trial::faults(&examples::read(WRONG).unwrap());
    let lines: Vec<_> = faults.iter().map(|(line, _)| *line).collect();
    // The error has no excerpt in the document, and the check of the last example fails.
    assert_eq!(lines, [5, 6, 7, 8, 9, 11, 19, 32], "{faults:?}");
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
