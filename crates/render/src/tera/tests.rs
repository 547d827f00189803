//! Templates as a whole: what the functions do once they are bound, and what one template may
//! take from others.

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use ::store::View;

use super::*;
use crate::Template;
use crate::world::{World, view};

fn store() -> View {
    view([("/app/name", "shop"), ("/web/b", "2"), ("/web/a", "10"), ("/web/a/port", "80")])
}

/// A templates folder with these files, of which `a.tera` is the resource's.
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

/// What comes of `a.tera`, the first of these files, or its error.
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
    // Without the arguments it needs, a call fails, but not because nobody knows the name.
    let without_value = ["datetime", "map"];
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
fn functions_ask_the_store() {
    gives("{{ exists(key='/app/name') }} {{ '/app' | exists }}", "true false");
    gives("{% set pair = get(key='/app/name') %}{{ pair.key }}={{ pair.value }}", "/app/name=shop");
    gives("{{ getv(key='/app/name') }} {{ '/app/name' | getv }}", "shop shop");
    gives("{{ getv(key='/x', default='y') }} {{ '/x' | getv(default='') }}", "y ");
    gives(
        "{% for p in gets(pattern='/web/*') %}{{ p.key }}={{ p.value }} {% endfor %}",
        "/web/a=10 /web/b=2 ",
    );
    gives("{{ getvs(pattern='/web/*') }} {{ '/no/*' | gets }}", r#"["10", "2"] []"#);
    gives("{{ ls(path='/web') }} {{ '/web' | lsdir }}", r#"["a", "b"] ["a"]"#);
    fails("{{ gets(pattern='[') }}", "1:3: error calling gets: syntax error in pattern", None);
}

#[test]
fn functions_work_on_strings() {
    gives("{{ base(path='/a/b/') }} {{ '/a/b/' | dir }}", "b /a/b");
    gives("{{ contains(text='abc', pat='bc') }} {{ 'abc' | contains(pat='x') }}", "true false");
    gives(
        "{{ split(text='a:b', pat=':') }}{{ 'é日' | split(pat='') }}",
        r#"["a", "b"]["é", "日"]"#,
    );
    gives("{{ join(list=['a', 1, 1.5], sep='-') }} {{ ['a', 'b'] | join }}", "a-1-1.5 ab");
    gives(
        "{{ replace(text='aaa', from='a', to='b', count=2) }} {{ 'aa' | replace(from='a', to='b') }}",
        "bba bb",
    );
    gives("{{ toUpper(text='aß') }} {{ 'AẞB' | toLower }}", "Aß aßb");
    gives(
        "{{ trimSuffix(text='a.b.b', suffix='.b') }} {{ 'a' | trimSuffix(suffix='b') }}",
        "a.b a",
    );
}

#[test]
fn functions_count() {
    gives("{{ add(a=1, b=2) }} {{ 5 | sub(b=7) }} {{ mul(a=3, b=4) }}", "3 -2 12");
    gives("{{ div(a=-7, b=2) }} {{ -7 | mod(b=2) }} {{ add(a=4 / 2, b=1) }}", "-3 -1 3");
    gives("{{ seq(first=-1, last=2) }} {{ 3 | seq(last=2) }}", "[-1, 0, 1, 2] []");
    gives("{{ atoi(text='-07') + 1 }} {{ '1' | parseBool }}", "-6 true");
    fails(
        "{{ div(a=1, b=0) }}",
        "1:3: error calling div: runtime error: integer divide by zero",
        None,
    );
    fails(
        "\n é {{ 'x' | atoi }}",
        "2:13: error calling atoi: strconv.Atoi: parsing \"x\": invalid syntax",
        None,
    );
}

#[test]
fn functions_read_and_write_data() {
    gives(
        "{% set j = json(text='{\"port\":8080,\"up\":[\"a\"]}') %}{{ j.port }}{{ j.up[0] }}",
        "8080a",
    );
    gives("{{ ('[1,{}]' | jsonArray)[0] }}{{ 'null' | json }}", "1{}");
    gives("{{ base64Encode(text='hé') }} {{ 'aMOp' | base64Decode }}", "aMOp hé");
    gives("{{ map(b=1, a='x') }} {{ map() }}", r#"{"a": "x", "b": 1} {}"#);
    fails(
        "{{ '_' | base64Decode }}",
        "1:9: error calling base64Decode: illegal base64 data at input byte 0",
        None,
    );
    fails(
        "{{ '/w==' | base64Decode }}",
        "1:12: error calling base64Decode: the result is not valid UTF-8",
        None,
    );
    fails("{{ '[' | json }}", "1:9: error calling json: unexpected end of JSON input", None);
}

#[test]
fn lists_are_ordered_in_a_new_list() {
    gives(
        "{% set l = ['bb', 'a'] %}{{ sortByLength(list=l) }}{{ l | sortByLength }}{{ l }}",
        r#"["a", "bb"]["a", "bb"]["bb", "a"]"#,
    );
    gives(
        "{% for p in gets(pattern='/web/*') | reverse | sortKVByLength %}{{ p.key }}{% endfor %}",
        "/web/b/web/a",
    );
    gives("{{ reverse(list=[1, 2]) }}{{ [1, 2] | reverse }}{{ 'ab' | reverse }}", "[2, 1][2, 1]ba");
}

#[test]
fn functions_ask_the_world() {
    gives(
        "{{ getenv(name='NAME') }} {{ 'EMPTY' | getenv(default='x') }} {{ getenv(name='NO') }}",
        "value x ",
    );
    gives("{{ datetime() }}", "2026-02-03 04:05:06.0700809 +0000 UTC m=+0.017068638");
    gives(
        "{{ datetime(format='2006-01-02 15:04', utc=true) }} {{ datetime(timestamp=true) }}",
        "2026-02-03 04:05 1770091506",
    );
    gives("{{ fileExists(path='/there') }} {{ '/nowhere' | fileExists }}", "true false");
    gives(
        "{{ lookupIP(name='host') }} {{ 'host' | lookupIPV4 }} {{ 'host' | lookupIPV6 }}",
        r#"["10.0.0.10", "10.0.0.9"] ["10.0.0.10", "10.0.0.9"] []"#,
    );
    gives(
        "{% for s in lookupSRV(name='example', service='http', protocol='tcp') -%}
        {{ s.target }}:{{ s.port }} {{ s.priority }} {{ s.weight }}{% endfor %}",
        "a.example.:8080 1 2",
    );
    fails(
        "{{ 'RAW' | getenv }}",
        "1:11: error calling getenv: the value of RAW is not valid UTF-8",
        None,
    );
}

#[test]
fn filters_of_tera_keep_their_names() {
    gives(
        "{% set m = map(key='x') %}{{ m | get(key='key') }}{{ m | get(key='no', default='-') }}",
        "x-",
    );
    gives(
        "{{ 'aXbX' | replace(from='X', to='') | upper }}{{ '-' | split(pat='-') | length }}",
        "AB2",
    );
    gives("{{ 'aa' | replace(from='', to='-') }}", "-a-a-");
}

#[test]
fn arguments_are_checked() {
    let error = |call: &str, place: usize, want: &str| {
        fails(&format!("{{{{ {call} }}}}"), &format!("1:{place}: error calling {want}"), None);
    };
    error("getv()", 3, "getv: argument \"key\" is missing");
    error("getv(key=1)", 3, "getv: argument \"key\" must be a string, not an integer");
    error("1 | getv", 7, "getv: the value must be a string, not an integer");
    error(
        "getv(key='/app/name', defualt='')",
        3,
        "getv: unknown argument \"defualt\"; there are \"key\" and \"default\"",
    );
    error(
        "'/a' | getv(key='/b')",
        10,
        "getv: unknown argument \"key\"; the only one is \"default\"",
    );
    error("'/a' | exists(x=1)", 10, "exists: unknown argument \"x\"; there are none");
    error("add(a=1.5, b=1)", 3, "add: argument \"a\" must be an integer, not a float");
    error("[1] | sortByLength", 9, "sortByLength: the value must be a list of strings, not a list");
    error("datetime(format='', timestamp=true)", 3, "datetime: a timestamp has no format");
    error(
        "sortKVByLength(list=[1])",
        3,
        "sortKVByLength: argument \"list\" must be a list of maps with a key, as gets gives it, not a list",
    );
    error("seq(first=0, last=10000000)", 3, "seq: seq: result exceeds 10000000 elements");
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
fn a_template_that_is_no_text_is_told_where() {
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
        "template: a.tera:1:3: error calling getvs: the result is not valid UTF-8"
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
    // One that is there already is not looked for.
    let own = "{% component x() %}own{% endcomponent %}{{ <x /> }}";
    assert_eq!(made_of(&[("a.tera", own), twice[1], twice[2]]), "own");
}

#[test]
fn what_cannot_be_included_is_told_with_the_place_that_wants_it() {
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
        &[("a.tera", "{% include 'b' %}"), ("b", "{% include 'a.tera' %}")],
        "a.tera: includes itself: a.tera -> b -> a.tera",
    );
    fails(
        &[("a.tera", "{% include 'b' %}"), ("b", "\n{{ getv(key='/no') }}")],
        "b:2:3: error calling getv: key does not exist: /no",
    );
}

#[test]
fn a_file_that_does_not_exist_is_told_with_the_one_that_was_meant() {
    let files = [("a.tera", "{% include 'part/heder.tera' %}"), ("part/header.tera", "x")];
    let error = Templates::new(&files).render(&store()).expect_err("no such file");
    assert_eq!(error.excerpt().hint(), Some("did you mean \"part/header.tera\"?"));
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
    // Neither its own file nor that of others is looked at.
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
fn a_template_says_which_functions_it_mentions() {
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
        // Without optimization, each takes more of the stack than threads of tests have for it.
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
    assert!(template.render_to(&store(), &host, &mut out).is_err());
    assert_eq!(out, b"before");
}
