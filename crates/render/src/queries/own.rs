//! The functions in confd's own templates, in both languages.

use std::path::Path;
use std::sync::Arc;

use world::Host;

use super::Session;
use super::tests::answers;
use crate::testing::{World, view};
use crate::{Inputs, Limits, MissingKeys, Template, Warnings};

/// What `template` gives, and the names of the queries that are missing.
fn rendered(template: &Template) -> (String, Vec<String>) {
    let host: Arc<dyn Host> = Arc::new(World);
    let view = view([("/app/a/ip", "1"), ("/app/b/ip", "2"), ("/app/c", "3")]);
    let session = Session::new(answers());
    let mut out = Vec::new();
    let warnings = Warnings::default();
    let missing = MissingKeys::default();
    let (view, host, warnings) = (&view, &host, &warnings);
    let inputs = Inputs { view, host, warnings, session: &session, missing: &missing, data: None };
    let result = template.render_within(Limits::default(), &inputs, &mut out);
    let text = match result {
        Ok(()) => String::from_utf8(out).expect("UTF-8"),
        Err(error) => error.exact().to_string(),
    };
    (text, session.missing().iter().map(ToString::to_string).collect())
}

fn go(source: &str) -> (String, Vec<String>) {
    rendered(&Template::compile(Path::new("a"), source.as_bytes()).expect(source))
}

#[track_caller]
fn gives(source: &str, want: &str) {
    assert_eq!(go(source), (want.to_owned(), Vec::new()), "{source}");
}

fn tera(source: &str) -> (String, Vec<String>) {
    let folder = Path::new("/nowhere");
    rendered(&Template::compile_tera(Path::new("a"), source.as_bytes(), folder).expect(source))
}

#[track_caller]
fn tera_gives(source: &str, want: &str) {
    assert_eq!(tera(source), (want.to_owned(), Vec::new()), "{source}");
}

#[test]
fn pairs_of_the_store_become_maps() {
    gives(
        r#"{{range $top, $pairs := byKey (gets "/app/*/*")}}{{$top}}:{{range $pairs}} {{.Key}}={{.Value}}{{end}}{{end}}"#,
        "app: a/ip=1 b/ip=2",
    );
    gives(r#"{{with explode (gets "/app/*")}}{{.app.c}}{{end}}"#, "3");
    gives(r#"{{with byKey (gets "/app/*")}}{{.app.c.Value}} {{.app.c.Key}}{{end}}"#, "3 c");
    tera_gives(r#"{% set all = gets(pattern="/app/*") | explode %}{{ all.app.c }}"#, "3");
    tera_gives(r#"{% set all = byKey(pairs=gets(pattern="/app/*")) %}{{ all.app.c.key }}"#, "c");
}

#[test]
fn tera_has_the_same_functions_with_the_same_fields() {
    tera_gives(
        r#"{% for i in service(name="web") %}{{ i.ID }} {{ i.Address }}:{{ i.Port }} {{ i.Tags | join(sep=",") }} {{ i.NodeMeta.rack }} {{ i.Weights.Passing }} {{ i.ServiceTaggedAddresses.lan.Port }} {{ i.Checks[0].CheckID }};{% endfor %}"#,
        "web-1 10.1.0.1:8001 prod,v1 r1 10 9 c1;web-2 10.1.0.1:443 prod r1 10 9 c1;",
    );
    tera_gives(
        r#"{% for i in "front" | preparedQuery %}{{ i.ID }} {{ i.NodeDatacenter }}{% endfor %}"#,
        "web-1 dc2",
    );
    tera_gives(
        r#"{% for i in preparedQuery(name="front") %}{% for c in i.Checks %}{{ c.Definition.HTTP }} {{ c.Definition.Interval }}{% endfor %}{% endfor %}"#,
        "http://x/ 1m30s",
    );
    tera_gives(
        r#"{% set leaf = caLeaf(service="web") %}{{ leaf.ValidAfter }} {{ caRoots()[0]["NotAfter"] }}"#,
        "2026-11-29T22:07:04Z 2036-11-26T22:07:43Z",
    );
    tera_gives(r#"{{ "web" | service | length }}"#, "2");
    tera_gives(r#"{% for s in services() %}{{ s.Name }} {% endfor %}"#, "api web ");
    tera_gives(
        r#"{% set n = node(name="alpha") %}{{ n.Node.Address }} {{ datacenters()[1] }}"#,
        "10.0.0.1 dc2",
    );
    tera_gives(
        r#"{% for tag, list in service(name="web") | byTag %}{{ tag }} {{ list | length }};{% endfor %}"#,
        "prod 2;v1 1;",
    );
    tera_gives(
        r#"{% for name, list in service(name="web") | byMeta(keys="zone") %}{{ name }} {{ list[0].ID }};{% endfor %}"#,
        "a web-1;b_c web-2;",
    );
    tera_gives(
        r#"{% for port, list in byPort(list=service(name="web")) %}{{ port }};{% endfor %}"#,
        "443;8001;",
    );
    let (error, _) = tera(r#"{{ services() | byPort }}"#);
    assert!(
        error.contains("byPort needs a list of maps with Port, as service gives it"),
        "{error}"
    );
}

/// The error that a Go template causes, as the log shows it, and its hint.
fn fails(source: &str) -> (String, String) {
    let host: Arc<dyn Host> = Arc::new(World);
    let view = view([("/app/filter", "secret")]);
    let (session, warnings) = (Session::new(answers()), Warnings::default());
    let missing = MissingKeys::default();
    let run = || {
        let template = Template::compile(Path::new("a"), source.as_bytes())?;
        let (view, host, warnings) = (&view, &host, &warnings);
        let inputs =
            Inputs { view, host, warnings, session: &session, missing: &missing, data: None };
        template.render_within(Limits::default(), &inputs, &mut Vec::new())
    };
    let error = run().expect_err(source);
    (error.to_string(), error.excerpt().hint().unwrap_or_default().to_owned())
}

#[test]
fn a_malformed_query_shows_what_stands_in_the_template_and_hides_values() {
    for (source, text) in [
        (r#"{{service "web" "passin"}}"#, r#"invalid filter: "passin" in "web|passin""#),
        (r#"{{service "web|passin"}}"#, r#"invalid filter: "passin" in "web|passin""#),
        (r#"{{service "web" "passing" "warning"}}"#, r#"invalid format: "web|passing|warning""#),
        (r#"{{service "web|any" "passing"}}"#, r#"invalid format: "web|any|passing""#),
        (r#"{{service "web?dc=x"}}"#, r#"key "dc" in query "dc=x": supported keys: ns,"#),
        (r#"{{service "web" (getv "/app/filter")}}"#, r#"invalid filter: "…" in "web|…""#),
    ] {
        let (error, hint) = fails(source);
        assert!(error.contains(text), "{source}: {error}");
        let is_state = text.contains("invalid f");
        assert_eq!(
            hint.starts_with("the states are passing, warning,"),
            is_state,
            "{source}: {hint}"
        );
    }
}

#[test]
fn mistakes_with_answers_have_hints() {
    for (source, hint) in [
        (r#"{{range service "web"}}{{.Meta}}{{end}}"#, "did you mean .ServiceMeta or .NodeMeta?"),
        (r#"{{range service "web"}}{{.Addr}}{{end}}"#, "did you mean .Address?"),
        (r#"{{range nodes}}{{.Name}}{{end}}"#, "did you mean .Node?"),
        (r#"{{(node "alpha").Address}}"#, "did you mean .Node.Address?"),
        (
            r#"{{range service "web"}}{{if contains .Tags "x"}}{{end}}{{end}}"#,
            "has searches in a list",
        ),
        (r#"{{range service "web"}}{{if in .Tags "x"}}{{end}}{{end}}"#, "has searches in a list"),
        (r#"{{range service "web"}}{{.Tags | join ","}}{{end}}"#, "the list is the first argument"),
    ] {
        let (error, found) = fails(source);
        assert!(found.starts_with(hint), "{source}: {error}: {found}");
    }
}

#[test]
fn what_is_missing_is_noted_in_both_languages() {
    assert_eq!(go(r#"{{len (service "db")}}"#).1, ["health.service(db|passing)"]);
    assert_eq!(tera(r#"{{ service(name="db") | length }}"#).1, ["health.service(db|passing)"]);
    let (error, _) = tera(r#"{{ service(name="web", filter="green") }}"#);
    assert!(error.contains(r#"health.service: invalid filter: "green""#), "{error}");
}
