//! Templates that include files of a folder, and templates that execute texts.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use world::Host;

use crate::Error;
use crate::testing::{World, view};

use super::*;

/// A folder `templates` with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = root.path().join("templates").join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    root
}

fn compiled(root: &TempDir, source: &str) -> crate::Template {
    let templates = root.path().join("templates");
    crate::Template::compile_with(&templates.join("main"), source.as_bytes(), &templates)
        .expect("a template")
}

fn rendered(template: &crate::Template) -> Result<String, Error> {
    let host: Arc<dyn Host> = Arc::new(World);
    let view = view([
        ("/app/name", "shop"),
        ("/app/secret", "hunter22 {{oops}}"),
        ("/app/text", "{{.}}-{{getv \"/app/name\"}}"),
        ("/app/open", "hunter22 {{getv \"/app/none\"}}"),
    ]);
    template.render(&view, &host).map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
}

/// What `source` gives with these files.
fn render(files: &[(&str, &str)], source: &str) -> Result<String, Error> {
    rendered(&compiled(&folder(files), source))
}

#[track_caller]
fn gives(files: &[(&str, &str)], source: &str, want: &str) {
    assert_eq!(render(files, source).map_err(|error| error.to_string()), Ok(want.to_owned()));
}

/// Expects an error with this end, and gives it.
#[track_caller]
fn fails(files: &[(&str, &str)], source: &str, want: &str) -> Error {
    let error = render(files, source).expect_err(source);
    assert!(error.to_string().ends_with(want), "{error}");
    error
}

#[test]
fn a_file_gets_the_value_and_the_functions_and_has_pieces_of_its_own() {
    let files = [
        ("a", "<{{.}} {{getv \"/app/name\"}}>"),
        ("sub/b.tmpl", "{{define \"x\"}}b{{.}}{{end}}{{template \"x\" .}}{{include \"x\" 2}}"),
    ];
    gives(&files, "{{include \"a\" 1 | quote}}{{include \"/a\"}}", "\"<1 shop>\"<<no value> shop>");
    gives(&files, "{{include \"sub/b.tmpl\" 1}}{{include \"./sub/../sub//b.tmpl\" 3}}", "b1b2b3b2");
    // What the same file defines comes first. The name of the file itself is that of a file.
    gives(&files, "{{define \"a\"}}piece{{end}}{{include \"a\"}}", "piece");
    gives(&[("main", "file")], "{{include \"main\"}}", "file");
    let error =
        fails(&files, "{{define \"y\"}}{{end}}{{include \"no-file\"}}", "the templates folder");
    assert_eq!(error.excerpt().hint(), Some(WHAT_IT_TAKES));
    let private = [("a", "{{include \"piece\"}}")];
    fails(
        &private,
        "{{define \"piece\"}}{{end}}{{include \"a\"}}",
        "error calling include: include path \"piece\" does not exist in the templates folder",
    );
}

#[test]
fn nothing_outside_of_the_folder_is_included() {
    let root = folder(&[("a", "a")]);
    fs::write(root.path().join("secret"), "secret").expect("a file");
    symlink("../secret", root.path().join("templates/link")).expect("a link");
    for name in ["../secret", "a/../../secret", "/../secret", "link", "../templates/a"] {
        let error =
            rendered(&compiled(&root, &format!("{{{{include {name:?}}}}}"))).expect_err(name);
        let text = format!("include path \"{name}\" is outside of the templates folder");
        assert!(error.to_string().ends_with(&text), "{error}");
    }
    for name in ["", ".", "/", "a\\x00", "\\xff"] {
        let error = rendered(&compiled(&root, &format!("{{{{include \"{name}\"}}}}")));
        let error = error.expect_err(name).to_string();
        assert!(error.contains("error calling include: include path \""), "{error}");
    }
    let absolute = root.path().join("secret");
    let source = format!("{{{{include {absolute:?}}}}}");
    assert!(rendered(&compiled(&root, &source)).is_err());
}

#[test]
fn files_nest_ten_deep_and_never_in_a_cycle() {
    let names: Vec<_> = (0..=11).map(|nth| nth.to_string()).collect();
    let texts: Vec<_> = (0..=11)
        .map(|nth| format!("{nth} {{{{if . }}}}{{{{include \"{}\" .}}}}{{{{end}}}}", nth + 1))
        .collect();
    let mut files: Vec<_> =
        names.iter().zip(&texts).map(|(a, b)| (a.as_str(), b.as_str())).collect();
    fails(
        &files,
        "{{include \"1\" 1}}",
        "error calling include: maximum include depth (10) exceeded",
    );
    files[10].1 = "end";
    gives(&files, "{{include \"1\" 1}}", "1 2 3 4 5 6 7 8 9 end");
    let text = "include cycle detected: a is already being processed";
    fails(&[("a", "{{include \"b\"}}"), ("b", "{{include \"a\"}}")], "{{include \"a\"}}", text);
    // The same file twice in a row is no cycle.
    gives(&[("a", "a")], "{{include \"a\"}}{{include \"a\"}}", "aa");
    let text = "maximum include depth (10) exceeded";
    fails(&[], "{{define \"x\"}}{{tpl \"{{include `x`}}\"}}{{end}}{{include \"x\"}}", text);
}

#[test]
fn an_error_in_a_file_names_all_places_and_shows_the_innermost() {
    let files =
        [("a", "\n{{fail \"no servers\"}}"), ("b", "x\n {{if}}"), ("c", "{{getv \"/app/nmae\"}}")];
    let error = fails(
        &files,
        "{{include \"a\"}}",
        "main:1:2: executing \"main\" at <include \"a\">: error calling include: execute include a: \
         template: a:2:2: executing \"a\" at <fail \"no servers\">: error calling fail: no servers",
    );
    let excerpt = error.excerpt().to_string();
    assert!(excerpt.contains("templates/a:2:3"), "{excerpt}");
    let error = fails(
        &files,
        "{{include \"b\"}}",
        "error calling include: parse include b: template: b:2: missing value for if",
    );
    assert!(error.excerpt().to_string().contains("templates/b:2:"), "{}", error.excerpt());
    let error = fails(&files, "{{include \"c\"}}", "key does not exist: /app/nmae");
    assert!(error.is_missing_key());
    assert_eq!(error.excerpt().hint(), Some("did you mean \"/app/name\"?"));
}

#[test]
fn a_template_is_current_while_the_files_that_it_has_included_are_unchanged() {
    let root = folder(&[("a", "1"), ("shop", "2"), ("other", "3"), ("broken", "{{if}}")]);
    let write = |name: &str, text: &str| {
        fs::write(root.path().join("templates").join(name), text).expect("a file");
    };
    let template = compiled(&root, "{{include \"a\"}}{{include (getv \"/app/name\")}}");
    write("a", "0");
    assert!(template.is_current());
    assert_eq!(rendered(&template).expect("it renders"), "02");
    write("other", "4");
    assert!(template.is_current());
    write("shop", "5");
    assert!(!template.is_current());
    // It stays the template that it was.
    assert_eq!(rendered(&template).expect("it renders"), "02");
    for (name, text) in [("broken", "whole"), ("none", "there")] {
        let template = compiled(&root, &format!("{{{{include {name:?}}}}}"));
        rendered(&template).expect_err(name);
        assert!(template.is_current());
        write(name, text);
        assert!(!template.is_current());
    }
}

#[test]
fn a_text_is_executed_with_the_functions_and_the_pieces_of_the_template() {
    gives(&[], "{{tpl (getv \"/app/text\") 7}}", "7-shop");
    let source = "{{define \"x\"}}piece{{end}}{{tpl \"{{include `x`}}{{include `a`}}\" | upper}}";
    gives(&[("a", " file")], source, "PIECE FILE");
    gives(&[], "{{tpl \"{{tpl `{{.}}` .}}\" 5}}", "5");
    fails(&[], "{{tpl \"\" 1 2}}", "a template gets one value: map or dict holds several");
    let long = "{{tpl (repeat 1048577 \"a\")}}";
    fails(&[], long, "error calling tpl: the text is larger than 1048576 bytes");
}

#[test]
fn an_error_in_a_text_that_is_a_value_shows_nothing_of_it() {
    for key in ["secret", "open"] {
        let source = format!("{{{{tpl (getv \"/app/{key}\")}}}}");
        let error = fails(&[], &source, &format!("tpl: … (the value of /app/{key})"));
        assert!(!error.excerpt().to_string().contains("hunter"), "{}", error.excerpt());
        assert_eq!(error.is_missing_key(), key == "open");
    }
    // A text that stands in the template is shown.
    let text =
        "execute tpl: template: tpl:1:2: executing \"tpl\" at <atoi \"x\">: error calling atoi: ";
    let error = render(&[], "{{tpl `{{atoi \"x\"}}`}}").expect_err("no number").to_string();
    assert!(error.contains(text), "{error}");
}

#[test]
fn what_files_and_texts_call_counts_as_called_by_the_template() {
    let root = folder(&[("a", "{{if false}}{{service \"web\"}}{{end}}")]);
    let template = compiled(&root, "{{include \"a\"}}");
    assert!(!template.asks() && template.may_wait());
    rendered(&template).expect("it renders");
    assert!(template.asks());
    let template = compiled(&root, "{{tpl \"\"}}");
    assert!(template.asks() && template.may_wait());
    assert!(!compiled(&root, "{{getv \"/app/name\"}}").may_wait());
}
