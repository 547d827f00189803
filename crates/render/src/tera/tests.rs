//! Whole templates, and templates that take others from the folder.

mod functions;
mod shapes;

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use ::store::View;

use super::*;
use crate::{Inputs, MissingKeys, Template};
use std::sync::Arc;

use world::Host;

use crate::Warnings;
use crate::queries::Session;
use crate::testing::{World, view};

fn store() -> View {
    view([("/app/name", "shop"), ("/web/b", "2"), ("/web/a", "10"), ("/web/a/port", "80")])
}

/// A templates folder with these files. `a.tera` is the file of the resource.
struct Templates(tempfile::TempDir);

impl Templates {
    fn new(files: &[(&str, &str)]) -> Self {
        let templates = Self(tempfile::tempdir().expect("a folder"));
        for (name, text) in files {
            templates.write(name, text);
        }
        templates
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn compile(&self) -> Result<Template, Error> {
        let src = self.0.path().join("a.tera");
        Template::compile_tera(&src, &fs::read(&src).expect("a.tera"), self.0.path())
    }

    fn render(&self, view: &View) -> Result<String, Error> {
        let host: Arc<dyn Host> = Arc::new(World);
        let bytes = self.compile()?.render(view, &host)?;
        Ok(String::from_utf8(bytes).expect("UTF-8"))
    }
}

fn render(source: &str) -> Result<String, Error> {
    Templates::new(&[("a.tera", source)]).render(&store())
}

#[track_caller]
fn gives(source: &str, want: &str) {
    assert_eq!(render(source).map_err(|error| error.to_string()), Ok(want.to_owned()), "{source}");
}

#[track_caller]
fn fails(source: &str, want: &str, hint: Option<&str>) -> Error {
    let error = render(source).expect_err(source);
    assert_eq!(error.to_string(), format!("template: a.tera:{want}"), "{source}");
    assert_eq!(error.excerpt().hint(), hint, "{source}");
    error
}

/// The result of rendering `a.tera`, the first of these files, or the error.
fn made_of(files: &[(&str, &str)]) -> String {
    Templates::new(files).render(&store()).unwrap_or_else(|error| error.to_string())
}

#[test]
fn both_languages_have_the_same_functions() {
    let tera: BTreeSet<_> = names().collect();
    assert_eq!(tera, crate::go::names().collect());
}

#[test]
fn every_function_is_a_filter_where_it_takes_a_value() {
    // Without its arguments a call fails, but not with an unknown name.
    let without_value = ["caRoots", "datetime", "dict", "hostname", "map", "now", "partitions"];
    for name in names() {
        let known = |source: &str| match render(source) {
            Err(error) => !error.to_string().contains("Unknown"),
            Ok(_) => true,
        };
        assert!(known(&format!("{{{{ {name}() }}}}")), "{name} is no function");
        let filter = known(&format!("{{{{ 1 | {name} }}}}"));
        assert_eq!(filter, !without_value.contains(&name), "{name} as a filter");
    }
}

#[test]
fn a_missing_key_fails_with_the_key_that_was_meant() {
    let name = Some("did you mean \"/app/name\"?");
    let missing = "error calling getv: key does not exist: /app/nmae";
    let error = fails("{{ getv(key='/app/nmae') }}", &format!("1:3: {missing}"), name);
    assert_eq!(error.stage(), Stage::Render);
    let error = fails(
        "{{ get(key='app/name') }}",
        "1:3: error calling get: key does not exist: app/name",
        name,
    );
    assert!(error.excerpt().to_string().contains("a.tera:1:4"), "{}", error.excerpt());
}

#[test]
fn an_unknown_name_fails_at_compile_time_with_the_nearest_one() {
    let hint = Some("did you mean \"toUpper\"?");
    let error = fails("x\n{{ 'x' | toupper }}", "2:9: Unknown filter `toupper`", hint);
    assert_eq!(error.stage(), Stage::Compile);
    fails("{{ toupper(text='x') }}", "1:3: Unknown function `toupper`", hint);
    fails("{{ 1 is nothing }}", "1:8: Unknown test `nothing`", None);
}

#[test]
fn an_error_is_one_line_with_its_place() {
    for (source, place) in [("a\n{% if %}", "2:"), ("{{ nothing }}", "1:3:"), ("é{{", "1:")] {
        let error = render(source).expect_err(source).to_string();
        assert!(error.starts_with(&format!("template: a.tera:{place}")), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    fails("{{ throw(message='one\ntwo') }}", "1:3: one\\ntwo", None);
    fails("{{ throw(message='\n') }}\n", "1:3: \\n", None);
}

#[test]
fn a_template_that_is_not_utf8_is_reported_with_its_place() {
    let src = Path::new("/t/a.tera");
    let error = Template::compile_tera(src, b"x\n y\xff", Path::new("/t")).expect_err("no text");
    assert_eq!(error.to_string(), "template: a.tera:2:2: not valid UTF-8");
}

#[test]
fn nothing_is_escaped() {
    let files = [("a.html", "{{ '<a>' }}{{ getv(key='/x', default='&') }}")];
    let templates = Templates::new(&files);
    let src = templates.0.path().join("a.html");
    let template =
        Template::compile_tera(&src, files[0].1.as_bytes(), templates.0.path()).expect("compiles");
    let host: Arc<dyn Host> = Arc::new(World);
    assert_eq!(template.render(&store(), &host).expect("renders"), b"<a>&");
}

#[test]
fn the_store_is_an_object() {
    gives("{{ store.app.name }} {{ store.web['b'] }} {{ store.web.a.port }}", "shop 2 80");
    gives("{{ store.web.a[''] }}", "10");
    gives("{% for name, value in store.web %}{{ name }} {% endfor %}", "a b ");
    gives("{{ store.nothing is defined }}{{ store.a?.b is defined }}", "falsefalse");
    assert!(made_of(&[("a.tera", "{{ __tera_context }}")]).contains("shop"));
    let files = [("a.tera", "{% include 'b.tera' %}"), ("b.tera", "{{ store.app.name }}")];
    assert_eq!(made_of(&files), "shop");
    let implicit =
        "{% component name(@store) %}{{ store.app.name }}{% endcomponent %}{{ <name /> }}";
    gives(implicit, "shop");
}

#[test]
fn a_value_that_is_no_text_fails_where_it_is_asked_for() {
    let raw = view([("/bin", &b"\xff"[..]), ("/text", b"x")]);
    let render = |source: &str| match Templates::new(&[("a.tera", source)]).render(&raw) {
        Ok(text) => text,
        Err(error) => error.to_string(),
    };
    let says = "the value of /bin is not valid UTF-8";
    assert_eq!(render("{{ getv(key='/text') }} {{ ls(path='/') }}"), "x [\"bin\", \"text\"]");
    assert_eq!(
        render("{{ getv(key='/bin') }}"),
        format!("template: a.tera:1:3: error calling getv: {says}")
    );
    assert_eq!(
        render("{{ gets(pattern='/*') }}"),
        format!("template: a.tera:1:3: error calling gets: {says}")
    );
    assert_eq!(render("{{ store.text }}"), format!("template: a.tera: store: {says}"));
    assert_eq!(
        render("{{ getvs(pattern='/*') }}"),
        format!("template: a.tera:1:3: error calling getvs: {says}")
    );
}

#[test]
fn files_include_and_extend_each_other() {
    let made = made_of(&[
        ("a.tera", "{% extends 'base/b.tera' %}{% block body %}<{{ super() }}>{% endblock %}"),
        (
            "base/b.tera",
            "{% include 'c.conf' %}{% block body %}{{ getv(key='/app/name') }}{% endblock %}",
        ),
        ("c.conf", "# {{ 'c' | toUpper }}\n"),
        ("broken.tera", "{% if %}"),
    ]);
    assert_eq!(made, "# C\n<shop>");
}

#[test]
fn components_are_found_wherever_they_are_defined() {
    let made = made_of(&[
        ("a.tera", "{{ <server name='a' /> }}{% <wrap> %}x{% </wrap> %}"),
        (
            "lib/server.tera",
            "{% component server(name: string) %}server {{ name }} {{ getv(key='/web/b') }} {{ <end /> }}{% endcomponent %}",
        ),
        ("lib/wrap.tera", "{% component wrap() %}[{{ body }}]{% endcomponent %}"),
        ("end.tera", "{% component end() %};{% endcomponent end %}"),
        ("broken.tera", "{% component other() %}"),
    ]);
    assert_eq!(made, "server a 2 ;[x]");
    let twice = [
        ("a.tera", "{{ <x /> }}"),
        ("b.tera", "{% component x() %}{% endcomponent %}"),
        ("c.tera", "{% component x() %}{% endcomponent %}"),
    ];
    assert_eq!(
        made_of(&twice),
        "template: a.tera: Component `x` is defined in both `b.tera` and `c.tera`"
    );
    assert_eq!(made_of(&twice[..1]), "template: a.tera:1:3: Unknown component `x`");
    // A component that is defined already is not searched.
    let own = "{% component x() %}own{% endcomponent %}{{ <x /> }}";
    assert_eq!(made_of(&[("a.tera", own), twice[1], twice[2]]), "own");
    let included = ("a.tera", "{{ <x /> }}{% include 'b.tera' %}");
    assert_eq!(made_of(&[included, twice[1], twice[2]]), "");
}

#[test]
fn a_missing_file_is_reported_with_the_place_that_includes_it() {
    let fails = |files: &[(&str, &str)], want: &str| {
        assert_eq!(made_of(files), format!("template: {want}"));
    };
    fails(
        &[("a.tera", "\n {% include '../x' %}")],
        "a.tera:2:12: template \"../x\" is outside of the templates folder",
    );
    fails(
        &[("a.tera", "{% extends '/etc/passwd' %}")],
        "a.tera:1:11: template \"/etc/passwd\" is outside of the templates folder",
    );
    fails(
        &[("a.tera", "{% include 'b' %}"), ("b", "é{% include 'no' %}")],
        "b:1:13: template \"no\" does not exist in the templates folder",
    );
    fails(
        &[("a.tera", "{% include 'b' %}"), ("b", "{% if %}")],
        "b:1:6: Found `%}` but expected one of: integer, float, string, bool, ident, `-`, `not`, `<`, `{`, `[` or `(`",
    );
    fails(
        &[("a.tera", "{% include \"b\nc\" %}"), ("b\\nc", "no line break in its name")],
        "a.tera:1:11: Unknown template `b\\nc`",
    );
    fails(
        &[("a.tera", "{% include 'b' %}"), ("b", "{% include 'a.tera' %}")],
        "a.tera: includes itself: a.tera -> b -> a.tera",
    );
    fails(
        &[("a.tera", "{% include 'b' %}"), ("b", "\n{{ getv(key='/no') }}")],
        "b:2:3: error calling getv: key does not exist: /no",
    );
}

#[test]
fn a_missing_file_is_reported_with_the_nearest_name() {
    let files = [("a.tera", "{% include 'part/heder.tera' %}"), ("part/header.tera", "x")];
    let error = Templates::new(&files).render(&store()).expect_err("no such file");
    assert_eq!(error.excerpt().hint(), Some("did you mean \"part/header.tera\"?"));
}

#[test]
fn a_template_outside_of_the_folder_can_take_files_from_it() {
    let templates = Templates::new(&[("b.tera", "{{ 'b' | toUpper }}"), ("sub/a.tera", "")]);
    let folder = templates.0.path().join("sub");
    templates.write("sub/b.tera", "in the folder");
    let src = templates.0.path().join("b.tera");
    let source = b"{% include 'b.tera' %}{{ nothing }}";
    let template = Template::compile_tera(&src, source, &folder).expect("compiles");
    let host: Arc<dyn Host> = Arc::new(World);
    let mut out = Vec::new();
    let error =
        template.render_to(&store(), &host, &Warnings::default(), &mut out).expect_err("undefined");
    assert_eq!(out, b"in the folder");
    let place = format!("template: {}:1:25: ", src.display());
    assert!(error.to_string().starts_with(&place), "{error}");
}

#[test]
fn an_error_in_another_file_shows_that_file() {
    let templates = Templates::new(&[("a.tera", "{% include 'b' %}"), ("b", "\n {{ nothing }}")]);
    let error = templates.render(&store()).expect_err("undefined");
    let excerpt = error.excerpt().to_string();
    let path = templates.0.path().join("b");
    assert!(excerpt.contains(&format!("{}:2:5", path.display())), "{excerpt}");
    assert!(excerpt.contains("{{ nothing }}"), "{excerpt}");
}

#[test]
fn a_template_knows_when_its_other_files_changed() {
    let templates = Templates::new(&[
        ("a.tera", "{% include 'b' %}{{ <x /> }}"),
        ("b", "b"),
        ("x.tera", "{% component x() %}{% endcomponent %}"),
        ("other.tera", ""),
    ]);
    let template = templates.compile().expect("compiles");
    assert!(template.is_current());
    // `is_current` reads neither the resource's file nor files that the template does not use.
    templates.write("a.tera", "changed");
    templates.write("other.tera", "changed");
    assert!(template.is_current());
    templates.write("b", "changed");
    assert!(!template.is_current());
    templates.write("b", "b");
    assert!(template.is_current());
    templates.write("y.tera", "{% component x() %}{% endcomponent %}");
    assert!(!template.is_current());
}

#[test]
fn a_template_lists_the_functions_that_it_mentions() {
    let files = [("a.tera", "{% include 'b' %}"), ("b", "{{ '/x' | fileExists }}")];
    let template = Templates::new(&files).compile().expect("compiles");
    assert!(template.uses("fileExists") && !template.uses("lookupIP"));
}

#[test]
fn a_template_of_too_many_files_fails() {
    let chain = |length: usize| {
        let name = |nth: usize| if nth == 0 { "a.tera".to_owned() } else { format!("{nth}") };
        let text = |nth: usize| match nth + 1 {
            next if next < length => format!("{{% include '{next}' %}}"),
            _ => "end".to_owned(),
        };
        let files: Vec<_> = (0..length).map(|nth| (name(nth), text(nth))).collect();
        let files: Vec<_> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
        // Unoptimised code takes more stack for each include than a test thread has.
        thread::scope(|scope| {
            let render = thread::Builder::new().stack_size(32 << 20);
            let render = render.spawn_scoped(scope, || made_of(&files)).expect("a thread");
            render.join().expect("no panic")
        })
    };
    assert_eq!(chain(100), "end");
    assert_eq!(chain(101), "template: a.tera: needs more than 100 files");
}

#[test]
fn one_template_is_rendered_from_several_threads_at_once() {
    let source = "{% for n in seq(first=1, last=200) %}{{ getv(key='/who') }}{% endfor %}";
    let template = Templates::new(&[("a.tera", source)]).compile().expect("compiles");
    let host: Arc<dyn Host> = Arc::new(World);
    thread::scope(|scope| {
        let threads: Vec<_> = ["a", "b", "c", "d"]
            .map(|who| {
                let (template, host) = (&template, &host);
                let render = move || template.render(&view([("/who", who)]), host);
                (who, scope.spawn(render))
            })
            .into();
        for (who, thread) in threads {
            let text = thread.join().expect("no panic").expect("renders");
            assert_eq!(text, who.repeat(200).as_bytes());
        }
    });
}

#[test]
fn the_output_before_an_error_is_given() {
    let templates = Templates::new(&[("a.tera", "before{{ throw(message='x') }}after")]);
    let host: Arc<dyn Host> = Arc::new(World);
    let mut out = Vec::new();
    let template = templates.compile().expect("compiles");
    assert!(template.render_to(&store(), &host, &Warnings::default(), &mut out).is_err());
    assert_eq!(out, b"before");
}

#[test]
fn loops_that_call_and_print_nothing_are_stopped_at_the_time_limit() {
    const INNER: &str = "{% for b in all %}{% for c in all %}{% endfor %}{% endfor %}";
    let outer = |body: &str| {
        format!("{{% set_global all = range(end=3000) %}}{{% for a in all %}}{body}{{% endfor %}}")
    };
    for files in [
        vec![("a.tera", outer(INNER))],
        vec![("a.tera", outer("{% include 'b.tera' %}")), ("b.tera", INNER.to_owned())],
    ] {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let template = Templates::new(&files).compile().expect("a template");
        let (host, limit): (Arc<dyn Host>, _) = (Arc::new(World), Some(Duration::from_millis(50)));
        let warnings = Warnings::default();
        let limits = crate::Limits { time: limit, ..crate::Limits::default() };
        let (session, missing) = (Session::default(), MissingKeys::default());
        let (view, host, warnings) = (&store(), &host, &warnings);
        let inputs =
            Inputs { view, host, warnings, session: &session, missing: &missing, data: None };
        let rendered = template.render_within(limits, &inputs, &mut Vec::new());
        let error = rendered.expect_err("27,000,000,000 rounds");
        assert!(error.is_out_of_time(), "{error}");
        assert!(error.to_string().contains("rendering takes longer than 50ms"), "{error}");
    }
}
