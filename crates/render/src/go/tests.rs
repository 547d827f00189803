//! Whole templates: what the functions do when templates call them. The language itself is tested
//! with the vectors in `tests/`.

use store::{Coverage, Prefix, Scope, Snapshot};

use crate::Template;
use crate::testing::{self, World};

use super::*;

fn view() -> View {
    let pairs =
        [("/app/name", "shop"), ("/app/raw", "\u{1}\u{fffd}"), ("/web/b", "2"), ("/web/a", "10")];
    testing::view(pairs)
}

fn render(source: &str) -> Result<String, Error> {
    let host: Arc<dyn Host> = Arc::new(World);
    let template = Template::compile(Path::new("/etc/confd/templates/a.tmpl"), source.as_bytes())?;
    let bytes = template.render(&view(), &host)?;
    Ok(String::from_utf8(bytes).expect("UTF-8"))
}

#[track_caller]
fn gives(source: &str, want: &str) {
    assert_eq!(render(source).map_err(|error| error.to_string()), Ok(want.to_owned()), "{source}");
}

#[track_caller]
fn fails(source: &str, want: &str, hint: Option<&str>) -> Error {
    let error = render(source).expect_err(source);
    assert_eq!(error.to_string(), format!("template: a.tmpl:{want}"));
    assert_eq!(error.excerpt().hint(), hint);
    error
}

#[test]
fn an_unknown_function_fails_at_compile_time_with_the_nearest_name() {
    let unknown = |name: &str| format!("1: function \"{name}\" not defined");
    let error = fails("{{toupper 1}}", &unknown("toupper"), Some("did you mean \"toUpper\"?"));
    assert_eq!(error.stage(), Stage::Compile);
    fails("{{sha256Sum 1}}", &unknown("sha256Sum"), Some("did you mean \"sha256sum\"?"));
    let random = "what is new at each call would change the file in each pass: make it once and put it \
                  into the store";
    fails("{{genPrivateKey 1}}", &unknown("genPrivateKey"), Some(random));
    fails("{{osBase 1}}", &unknown("osBase"), Some("did you mean \"base\"?"));
    fails("{{push 1}}", &unknown("push"), Some("did you mean \"append\"?"));
    fails("{{if", "1: unclosed action", None);
}

#[test]
fn a_block_without_end_is_shown_where_it_begins() {
    let hint = Some("this block has no {{end}}");
    for (source, last, place) in [
        ("a\n {{range .}}\n{{if .}}{{end}}\nb\n", 5, "a.tmpl:2:2\n"),
        ("{{if 1}}\n{{else if 2}}\n{{with 3}}{{end}}", 3, "a.tmpl:1:1\n"),
        ("{{define \"a\"}}x{{end}}\n{{define \"b\"}}", 2, "a.tmpl:2:1\n"),
    ] {
        let error = render(source).expect_err(source);
        assert_eq!(error.to_string(), format!("template: a.tmpl:{last}: unexpected EOF"));
        assert_eq!(error.excerpt().hint(), hint);
        assert!(error.excerpt().to_string().contains(place), "{}", error.excerpt());
    }
}

#[test]
fn unknown_variables_templates_and_fields_come_with_the_nearest_name() {
    let error = fails(
        "{{$name := 1}}{{define \"x\"}}{{end}}\n {{$nmae | print}}",
        "2: undefined variable \"$nmae\"",
        Some("did you mean \"$name\"?"),
    );
    assert!(error.excerpt().to_string().contains("a.tmpl:2:4\n"), "{}", error.excerpt());
    fails("{{$x}}", "1: undefined variable \"$x\"", None);
    fails(
        "{{define \"server\"}}{{end}}{{template \"servr\"}}",
        "1:37: executing \"a.tmpl\" at <{{template \"servr\"}}>: template \"servr\" not defined",
        Some("did you mean \"server\"?"),
    );
    for call in ["(index (gets \"/app/*\") 0).Vaule", "(get \"/app/name\").Vaule"] {
        let error = render(&format!("{{{{{call}}}}}")).expect_err(call);
        assert_eq!(error.excerpt().hint(), Some("did you mean \"Value\"?"), "{error}");
    }
    let error = render("{{(datetime).Hours}}").expect_err("no such method");
    assert_eq!(error.excerpt().hint(), Some("did you mean \"Hour\"?"), "{error}");
}

#[test]
fn a_missing_key_fails_with_the_key_that_was_meant() {
    let missing = |call: &str, function: &str, key: &str| {
        format!(
            "1:2: executing \"a.tmpl\" at <{call}>: error calling {function}: key does not exist: {key}"
        )
    };
    let name = Some("did you mean \"/app/name\"?");
    for (function, key, hint) in [
        ("getv", "/app/nmae", name),
        ("get", "app/name", name),
        ("getv", "/app/name/", name),
        ("getv", "/app//name", name),
        ("getv", "/nowhere/near", None),
    ] {
        let call = format!("{function} \"{key}\"");
        let error = fails(&format!("{{{{{call}}}}}"), &missing(&call, function, key), hint);
        assert_eq!(error.stage(), Stage::Render);
    }
    gives("{{getv \"/app/nmae\" \"default\"}}", "default");
}

#[test]
fn a_bad_pattern_fails_only_where_there_are_keys() {
    let host: Arc<dyn Host> = Arc::new(World);
    let template = Template::compile(Path::new("a"), b"{{gets \"[\"}}").expect("a template");
    let nothing = View::new(Snapshot::new(Coverage::Exact), &Scope::default(), &Prefix::new(b"/"));
    assert_eq!(template.render(&nothing, &host).expect("no key to match"), b"[]");
    fails(
        "{{getvs \"[\"}}",
        "1:2: executing \"a.tmpl\" at <getvs \"[\">: error calling getvs: syntax error in pattern",
        None,
    );
}

#[test]
fn values_go_through_as_bytes() {
    let host: Arc<dyn Host> = Arc::new(World);
    let view = testing::view([("/k", &b"\xff\0\xe2"[..])]);
    let source = b"\xfe{{getv \"/k\"}}{{(get \"/k\").Value}}";
    let template = Template::compile(Path::new("a"), source).expect("a template");
    assert_eq!(template.render(&view, &host).expect("rendered"), b"\xfe\xff\0\xe2\xff\0\xe2");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    gives(
        "{{getenv \"NAME\" \"d\"}} {{getenv \"EMPTY\" \"d\"}} {{getenv \"NONE\" \"d\"}}",
        "value d d",
    );
    gives("[{{getenv \"NONE\"}}]", "[]");
}

#[test]
fn the_host_is_asked_for_files_and_names() {
    gives("{{fileExists \"/there\"}} {{fileExists \"/elsewhere\"}}", "true false");
    gives(
        "{{lookupIP \"host\"}} {{lookupIPV4 \"host\"}} {{lookupIPV6 \"host\"}}",
        "[10.0.0.10 10.0.0.9] [10.0.0.10 10.0.0.9] []",
    );
    gives("{{printf \"%#v\" (lookupIP \"none\")}}", "[]string(nil)");
    gives(
        "{{range lookupSRV \"http\" \"tcp\" \"example\"}}{{.Target}}:{{.Port}} {{.Priority}} {{.Weight}} {{printf \"%T\" .Port}}{{end}}",
        "a.example.:8080 1 2 uint16",
    );
    gives(
        "{{printf \"%T %d\" (lookupSRV \"\" \"\" \"none\") (len (lookupSRV \"\" \"\" \"none\"))}}",
        "[]*net.SRV 0",
    );
}

#[test]
fn times_have_their_methods() {
    gives("{{datetime}}", "2026-02-03 04:05:06.0700809 +0000 UTC m=+0.017068638");
    gives(
        "{{datetime.Format \"Jan 2, 2006\"}} {{datetime.Unix}} {{datetime.Month}}",
        "Feb 3, 2026 1770091506 February",
    );
    gives(
        "{{(datetime.Add 3600000000000).Hour}} {{datetime.Sub (datetime.AddDate 0 0 1)}}",
        "5 -24h0m0s",
    );
    gives(
        "{{printf \"%d %s %T\" datetime.Month datetime.Weekday datetime.Location}}",
        "2 Tuesday *time.Location",
    );
    gives(
        "{{printf \"%#v\" datetime.UTC}}",
        "time.Date(2026, time.February, 3, 4, 5, 6, 70080900, time.UTC)",
    );
    gives(
        "{{eq datetime datetime}} {{eq datetime datetime.UTC}} {{datetime.Equal datetime.UTC}}",
        "true false true",
    );
    fails(
        "{{datetime.wall}}",
        "1:2: executing \"a.tmpl\" at <datetime>: wall is an unexported field of struct type time.Time",
        None,
    );
    fails(
        "{{datetime.Date}}",
        "1:2: executing \"a.tmpl\" at <datetime>: function Date has 3 return values; should be 1 or 2",
        None,
    );
    fails(
        "{{datetime.Foo}}",
        "1:2: executing \"a.tmpl\" at <datetime>: can't evaluate field Foo in type time.Time",
        None,
    );
}

#[test]
fn pairs_have_methods_until_they_are_sorted_by_length() {
    gives("{{(gets \"/web/*\").Len}} {{(gets \"/web/*\").Less 0 1}}", "2 true");
    gives("{{range reverse (sortKVByLength (gets \"/web/*\"))}}{{.Key}} {{end}}", "/web/b /web/a ");
    gives("{{range reverse (gets \"/web/*\")}}{{.Key}} {{end}}", "/web/a /web/b ");
    fails(
        "{{(gets \"/web/*\").Swap 0 1}}",
        "1:8: executing \"a.tmpl\" at <\"/web/*\">: function Swap has 0 return values; should be 1 or 2",
        None,
    );
}

#[test]
fn values_are_sorted_by_value_and_pairs_by_key() {
    gives("{{getvs \"/web/*\"}} {{gets \"/web/*\"}}", "[10 2] [{/web/a 10} {/web/b 2}]");
    gives("{{ls \"/\"}} {{ls \"/web\"}} {{lsdir \"/\"}}", "[] [a b] []");
}

#[test]
fn json_as_deep_as_it_may_be_is_printed_and_dropped() {
    let nested = ["[".repeat(10_000), "]".repeat(10_000)].concat();
    gives(&format!("{{{{len (jsonArray `{nested}`)}}}}"), "1");
}

#[test]
fn a_template_says_which_functions_it_calls() {
    let template = Template::compile(Path::new("a"), b"{{if fileExists \"x\"}}{{end}}");
    let template = template.expect("a template");
    assert!(template.uses("fileExists"));
    assert!(!template.uses("lookupIP"));
}

#[test]
fn a_template_is_rendered_from_any_thread() {
    let template = Template::compile(Path::new("a"), b"{{getv \"/app/name\"}}").expect("compiles");
    let host: Arc<dyn Host> = Arc::new(World);
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| template.render(&view(), &host))).collect();
        for worker in workers {
            let bytes = worker.join().expect("no panic").expect("rendered");
            assert_eq!(bytes, b"shop");
        }
    });
}

#[test]
fn functions_of_the_library_are_called_in_pipelines() {
    gives("{{getv \"/app/name\" | upper | quote}} {{dict \"a\" 1 | toJson}}", "\"SHOP\" {\"a\":1}");
    gives("{{mustToJson (list 1)}} {{mustRegexFind \"[a-z]\" \"1x\"}}", "[1] x");
    fails("{{mustNope 1}}", "1: function \"mustNope\" not defined", None);
    // An integer of sprig is an `int`, and a list of texts stays one.
    gives("{{add (max 1 2) (add1 3)}} {{join (uniq (split \"b,a,b\" \",\")) \",\"}}", "6 b,a");
}

#[test]
fn the_machine_has_a_name_and_interfaces_have_addresses() {
    gives(
        "{{hostname}} {{lookupIfaceIPV4 \"eth0\"}} {{lookupIfaceIPV6 \"eth0\"}} [{{lookupIfaceIPV4 \"eth1\"}}]",
        "web-1 192.0.2.1 ::1 []",
    );
}

#[test]
fn an_error_of_the_library_shows_no_value_of_a_key() {
    let hidden = |call: &str, text: &str| {
        let source = format!("{{{{{call}}}}}");
        let name = call.split(' ').next().expect("a name");
        let error = render(&source).expect_err(call).to_string();
        let (start, _) = error.rsplit_once(" (").expect("the key");
        assert!(start.ends_with(&format!("error calling {name}: {text}")), "{error}");
        assert!(error.ends_with("the value of /app/name)"), "{error}");
        assert!(!error.contains("shop"), "{error}");
    };
    hidden("fail (getv \"/app/name\")", "…");
    hidden("required (getv \"/app/name\") nil", "…");
    hidden(
        "regexMatch (print (getv \"/app/name\") \"(\") \"\"",
        "error parsing regexp: missing closing ): …",
    );
    hidden("duration (getv \"/app/name\")", "not a number of seconds: \"…\"");
    hidden(
        "date \"2006\" (getv \"/app/name\")",
        "not a time, the seconds since 1970, or a text such as 2006-01-02T15:04:05Z: \"…\"",
    );
    hidden("dateModify (getv \"/app/name\") 0", "time: invalid duration \"…\"");
    let of = |value: &str, layout: &str| {
        format!("parsing time {value} as {layout}: cannot parse {value} as {layout}")
    };
    hidden("toDate \"2006\" (getv \"/app/name\")", &of("\"…\"", "\"2006\""));
    hidden("toDate (getv \"/app/name\") \"x\"", &of("\"x\"", "\"…\""));
    hidden("dateInZone \"2006\" 0 (getv \"/app/name\")", "unknown time zone …");
    hidden("semverCompare (getv \"/app/name\") \"1.0.0\"", "improper constraint: …");
    hidden("fromToml (getv \"/app/name\")", "toml: …");
    hidden("fromJson (getv \"/app/name\")", "invalid character … looking for beginning of value");
    hidden("cidrhost (getv \"/app/name\") 1", "not a network such as 10.1.0.0/16: \"…\"");
    hidden("urlParse (print \":\" (getv \"/app/name\"))", "unable to parse url: parse \"…\"");
}

#[test]
fn a_faulty_document_is_not_quoted() {
    for call in ["fromYaml", "fromToml", "fromJson", "fromYamlArray"] {
        for text in ["*%s", "a: [%s", "%s: %s: x", "a = %s", "\t%s: {", "&%s"] {
            let source = format!("{{{{{call} (printf {text:?} (getv \"/app/name\"))}}}}");
            if let Err(error) = render(&source) {
                assert!(!error.to_string().contains("shop"), "{error}");
            }
        }
    }
}

#[test]
fn a_message_that_stands_in_the_template_is_shown() {
    let place = "1:2: executing \"a.tmpl\" at <";
    fails(
        "{{fail \"no servers\"}}",
        &format!("{place}fail \"no servers\">: error calling fail: no servers"),
        None,
    );
    let call = "fail (printf \"no %s\" (upper \"x\"))";
    fails(&format!("{{{{{call}}}}}"), &format!("{place}{call}>: error calling fail: no X"), None);
}

#[test]
fn an_included_template_gives_its_text_to_functions() {
    gives(
        "{{define \"x\"}}<{{.}}>{{end}}{{include \"x\" 1 | quote}} {{include \"x\"}}",
        "\"<1>\" <<no value>>",
    );
    let error =
        render("{{define \"x\"}}{{include \"x\"}}{{end}}{{include \"x\"}}").expect_err("no end");
    assert!(error.to_string().ends_with("nested more than 100 deep"), "{error}");
    let error = render("{{define \"x\"}}{{fail (getv \"/app/name\")}}{{end}}{{include \"x\"}}");
    let text = error.expect_err("it fails").to_string();
    assert!(text.ends_with("error calling fail: … (the value of /app/name)"), "{text}");
}

#[test]
fn a_key_that_is_missing_inside_of_an_included_template_is_marked_as_missing() {
    let piece =
        "{{define \"x\"}}{{getv \"/app/nmae\"}}{{end}}{{define \"y\"}}{{include \"x\"}}{{end}}";
    for call in ["include \"x\"", "include \"y\""] {
        let error = render(&format!("{piece}{{{{{call}}}}}")).expect_err(call);
        assert!(error.is_missing_key(), "{error}");
        assert_eq!(error.excerpt().hint(), Some("did you mean \"/app/name\"?"));
        assert!(error.to_string().ends_with("key does not exist: /app/nmae"), "{error}");
    }
}

#[test]
fn included_templates_and_what_includes_them_have_one_limit_of_memory() {
    let rendered = |source: &str| {
        let template = Template::compile(Path::new("a"), source.as_bytes()).expect("a template");
        let host: Arc<dyn Host> = Arc::new(World);
        let (session, missing) = (Session::default(), MissingKeys::default());
        let (view, warnings) = (&view(), &Warnings::default());
        let inputs = Inputs {
            view,
            host: &host,
            warnings,
            session: &session,
            missing: &missing,
            data: None,
        };
        let limits = crate::Limits { memory: 1 << 20, ..crate::Limits::default() };
        let mut out = Vec::new();
        template.render_within(limits, &inputs, &mut out).map(|()| out)
    };
    let nested = |count: usize| {
        rendered(&format!(
            "{{{{define \"x\"}}}}{{{{$text := repeat 300000 \"a\"}}}}{{{{if gt . 1}}}}\
             {{{{include \"x\" (sub . 1)}}}}{{{{end}}}}{{{{len $text}}}}{{{{end}}}}\
             {{{{include \"x\" {count} | len}}}}"
        ))
    };
    assert_eq!(nested(3).expect("it fits"), b"18");
    let error = nested(4).expect_err("too much");
    let text = "the template holds more than 1048576 bytes, its memory limit";
    assert!(error.to_string().ends_with(text), "{error}");
    assert_eq!(error.excerpt().hint(), Some(MEMORY_HINT));
    // What is dropped does not count.
    let dropped =
        "{{define \"x\"}}{{repeat 300000 \"a\" | len}}{{end}}{{range 20}}{{include \"x\"}}{{end}}";
    assert_eq!(rendered(dropped).expect("it fits"), "300000".repeat(20).as_bytes());
}
