//! Values of keys may be secrets: errors of templates name the key and hide the value.

use crate::support::{Ended, Sandbox};

const DATA: &str = "secret: opensesame
pair: user:letmein
number: '31337'
huge: '99999999999999999999'
object: '{\"a\": \"privately\"}'
broken: '{\"a\": opensesame}'
escape: '\"\\otherwise\"'
name: opensesame.invalid
phrase: the open key
services: {web: {x: y}}
";

/// Renders `template`, in the language of files that end in `extension`.
fn rendered(extension: &str, template: &str, arguments: &[&str]) -> Ended {
    let sandbox = Sandbox::new();
    let src = format!("app.{extension}");
    sandbox.write(&format!("templates/{src}"), template);
    let table = format!("[template]\nsrc = '{src}'\ndest = 'out/app'\nkeys = ['/']\n");
    sandbox.write("conf.d/app.toml", table);
    sandbox.onetime_with(DATA).arguments(&["-log-level", "debug"]).arguments(arguments).run()
}

/// Go templates that fail, each with the end of the error, and with the end of Go's own error.
const GO: &[(&str, &str, &str)] = &[
    (
        "{{atoi (getv \"/secret\")}}",
        "strconv.Atoi: parsing \"…\": invalid syntax (the value of /secret)",
        "strconv.Atoi: parsing \"opensesame\": invalid syntax",
    ),
    (
        "{{atoi (getv \"/huge\")}}",
        "strconv.Atoi: parsing \"…\": value out of range (the value of /huge)",
        "strconv.Atoi: parsing \"99999999999999999999\": value out of range",
    ),
    (
        "{{parseBool (getv \"/secret\")}}",
        "strconv.ParseBool: parsing \"…\": invalid syntax (the value of /secret)",
        "strconv.ParseBool: parsing \"opensesame\": invalid syntax",
    ),
    (
        "{{atoi (index (split (getv \"/pair\") \":\") 1)}}",
        "strconv.Atoi: parsing \"…\": invalid syntax (from the value of /pair)",
        "strconv.Atoi: parsing \"letmein\": invalid syntax",
    ),
    (
        "{{atoi (printf \"%s!\" (getv \"/secret\"))}}",
        "strconv.Atoi: parsing \"…\": invalid syntax (from the value of /secret)",
        "strconv.Atoi: parsing \"opensesame!\": invalid syntax",
    ),
    (
        "{{getv (getv \"/secret\")}}",
        "error calling getv: key does not exist: … (the value of /secret)",
        "error calling getv: key does not exist: opensesame",
    ),
    (
        "{{getv (printf \"/app/%s/x\" (getv \"/secret\"))}}",
        "error calling getv: key does not exist: … (from the value of /secret)",
        "error calling getv: key does not exist: /app/opensesame/x",
    ),
    (
        "{{getv (printf \"/app/%s\" (toUpper (getv \"/secret\")))}}",
        "error calling getv: key does not exist: …",
        "error calling getv: key does not exist: /app/OPENSESAME",
    ),
    (
        "{{getv (printf \"/app/%s\" (base64Encode (getv \"/secret\")))}}",
        "error calling getv: key does not exist: …",
        "error calling getv: key does not exist: /app/b3BlbnNlc2FtZQ==",
    ),
    (
        "{{getv (join (split (getv \"/secret\") \"n\") \"/\")}}",
        "error calling getv: key does not exist: …",
        "error calling getv: key does not exist: ope/sesame",
    ),
    (
        "{{atoi (toUpper (getv \"/secret\"))}}",
        "strconv.Atoi: parsing \"…\": invalid syntax",
        "strconv.Atoi: parsing \"OPENSESAME\": invalid syntax",
    ),
    (
        "{{range getv \"/secret\"}}{{end}}",
        "range can't iterate over … (the value of /secret)",
        "range can't iterate over opensesame",
    ),
    (
        "{{eq (json (getv \"/object\")) (json (getv \"/object\"))}}",
        "error calling eq: non-comparable type …: map[string]interface {}",
        "error calling eq: non-comparable type map[a:privately]: map[string]interface {}",
    ),
    (
        "{{json (getv \"/broken\")}}",
        "error calling json: invalid character … looking for beginning of value (the value of /broken)",
        "error calling json: invalid character 'o' looking for beginning of value",
    ),
    (
        "{{jsonArray (printf \"[%s]\" (getv \"/escape\"))}}",
        "error calling jsonArray: invalid escape sequence … in string (from the value of /escape)",
        "error calling jsonArray: invalid escape sequence `\\o` in string",
    ),
    (
        "{{getv \"/secret\" | call}}",
        "error calling call: non-function … of type string (the value of /secret)",
        "error calling call: non-function opensesame of type string",
    ),
    (
        "{{index (split \"a,b\" \",\") (atoi (getv \"/number\"))}}",
        "error calling index: index out of range: … (the value of /number)",
        "error calling index: index out of range: 31337",
    ),
    (
        "{{slice \"text\" 2 (atoi (getv \"/number\"))}}",
        "error calling slice: index out of range: … (the value of /number)",
        "error calling slice: index out of range: 31337",
    ),
];

/// Tera templates that fail, each with the end of the error, and with the end of Tera's own error.
const TERA: &[(&str, &str, &str)] = &[
    (
        "{{ getv(key='/secret') | atoi }}",
        "error calling atoi: strconv.Atoi: parsing \"…\": invalid syntax (the value of /secret)",
        "error calling atoi: strconv.Atoi: parsing \"opensesame\": invalid syntax",
    ),
    (
        "{{ getv(key=store.secret) }}",
        "error calling getv: key does not exist: … (the value of /secret)",
        "error calling getv: key does not exist: opensesame",
    ),
    (
        "{{ store.broken | json }}",
        "error calling json: invalid character … looking for beginning of value (the value of /broken)",
        "error calling json: invalid character 'o' looking for beginning of value",
    ),
    (
        "{{ store.secret | int }}",
        "The string `…` cannot be converted to an int in base 10 (the value of /secret)",
        "The string `opensesame` cannot be converted to an int in base 10",
    ),
    (
        "{{ store.secret | float }}",
        "The string `…` cannot be converted to a float (the value of /secret)",
        "The string `opensesame` cannot be converted to a float",
    ),
    ("{{ throw(message=store.secret) }}", ": … (the value of /secret)", ": opensesame"),
    ("{{ throw(message=store.phrase) }}", ": … (the value of /phrase)", ": the open key"),
    (
        "{{ throw(message='No ' ~ store.phrase) }}",
        ": No … (the value of /phrase)",
        ": No the open key",
    ),
    (
        "{{ getv(key='/app/' ~ (store.secret | upper)) }}",
        "error calling getv: key does not exist: …",
        "error calling getv: key does not exist: /app/OPENSESAME",
    ),
    (
        "{{ (store.huge | int) ** (store.number | int) }}",
        "Unable to perform … ** … (the value of /huge, /number)",
        "Unable to perform 99999999999999999999 ** 31337",
    ),
];

fn fails(ended: &Ended, end: &str) {
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let last = ended.log().pop().unwrap();
    assert!(last.starts_with("FATAL ") && last.ends_with(end), "{last}\nnot with {end}");
}

#[test]
fn an_error_of_a_template_hides_values_and_names_their_keys() {
    for (extension, cases) in [("tmpl", GO), ("tera", TERA)] {
        for (template, hidden, exact) in cases {
            let ended = rendered(extension, template, &[]);
            fails(&ended, hidden);
            for value in [
                "sesame",
                "SESAME",
                "b3BlbnNlc2FtZQ",
                "the open",
                "letmein",
                "privately",
                "otherwise",
                "31337",
                "99999999999999999999",
                "'o'",
            ] {
                assert!(!ended.stderr.contains(value), "{template}: {}", ended.stderr);
            }
            fails(&rendered(extension, template, &["-show-values"]), exact);
        }
    }
}

#[test]
fn what_stands_in_the_template_is_shown() {
    for (extension, template, end) in [
        ("tmpl", "{{atoi \"letters\"}}", "strconv.Atoi: parsing \"letters\": invalid syntax"),
        ("tmpl", "{{range \"letters\"}}{{end}}", "range can't iterate over letters"),
        ("tmpl", "{{getv \"/app/missing\"}}", "key does not exist: /app/missing"),
        (
            "tmpl",
            "{{range lsdir \"/services\"}}{{getv (printf \"/%s/missing\" .)}}{{end}}",
            "key does not exist: /web/missing",
        ),
        ("tmpl", "{{index (split \"a,b\" \",\") 7}}", "index out of range: 7"),
        // What pure functions make of constants contains no value of a key.
        ("tmpl", "{{index (split \"a,b\" \",\") (add 3 4)}}", "index out of range: 7"),
        ("tmpl", "{{atoi (base64Decode \"eHl6\")}}", "parsing \"xyz\": invalid syntax"),
        ("tmpl", "{{\"eHl6\" | base64Decode | atoi}}", "parsing \"xyz\": invalid syntax"),
        ("tmpl", "{{getv (printf \"/a%d\" 7)}}", "key does not exist: /a7"),
        (
            "tmpl",
            "{{range lsdir \"/services\"}}{{getv (printf \"/%s-web/missing.x\" .)}}{{end}}",
            "key does not exist: /web-web/missing.x",
        ),
        ("tera", "{{ [1, 2]['zz'] }}", "Array index must be an integer, got `string`."),
        ("tera", "{{ store.services | nth(n=1) }}", "expected `&[Value]` but got `map/struct`"),
        ("tera", "{{ 'abc' | truncate(length='x') }}", "expected `usize` but got `string`"),
        ("tera", "{{ 'letters' | atoi }}", "strconv.Atoi: parsing \"letters\": invalid syntax"),
        ("tera", "{{ 'letters' | float }}", "The string `letters` cannot be converted to a float"),
        ("tera", "{{ throw(message='Stop here') }}", ": Stop here"),
        ("tera", "{{ store.nothing.more }}", "Field `nothing` is not defined."),
    ] {
        let ended = rendered(extension, template, &[]);
        let last = ended.log().pop().unwrap();
        assert!(last.contains(end), "{template}: {last}");
    }
}

#[test]
fn a_warning_of_a_template_function_hides_values_and_names_their_keys() {
    for (extension, template) in
        [("tmpl", "{{lookupIP (getv \"/name\")}}"), ("tera", "{{ store.name | lookupIP }}")]
    {
        let ended = rendered(extension, template, &[]);
        ended.expect_no("sesame");
        let begin = "WARNING lookupIP: cannot resolve …: ";
        let is_it =
            |line: &String| line.starts_with(begin) && line.ends_with(" (the value of /name)");
        assert!(ended.log().iter().any(is_it), "{}", ended.stderr);
        let ended = rendered(extension, template, &["-show-values"]);
        let begin = "WARNING lookupIP: cannot resolve opensesame.invalid: ";
        assert!(ended.log().iter().any(|line| line.starts_with(begin)), "{}", ended.stderr);
    }
    let ended = rendered("tmpl", "{{lookupSRV \"\" \"\" (getv \"/name\")}}", &[]);
    assert!(ended.stderr.contains("WARNING lookupSRV: "), "{}", ended.stderr);
    ended.expect_no("sesame");
    // A name that stands in the template is shown.
    let ended = rendered("tmpl", "{{lookupIP \"here.invalid\"}}", &[]);
    assert!(ended.stderr.contains("cannot resolve here.invalid: "), "{}", ended.stderr);
}

#[test]
fn a_hint_shows_no_key_that_is_made_of_a_value() {
    for (src, template) in [
        ("app.tmpl", "{{getv (printf \"/app/%s\" (toUpper (getv \"/secret\")))}}"),
        ("app.tera", "{{ getv(key='/app/' ~ (getv(key='/secret') | upper)) }}"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write(&format!("templates/{src}"), template);
        let table = format!("[template]\nsrc = '{src}'\ndest = 'out/app'\nkeys = ['/secret']\n");
        sandbox.write("conf.d/app.toml", table);
        let ended = sandbox.onetime_with(DATA).fails();
        assert!(ended.stderr.contains("= `keys` does not ask for this key\n"), "{}", ended.stderr);
        ended.expect_no("SESAME");
    }
}
