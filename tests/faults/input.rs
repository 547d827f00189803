//! Large input, and input that is not UTF-8.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
};

use super::says;
use crate::support::{Ended, Sandbox};

/// Bytes that are not UTF-8, as the system passes them.
fn raw(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

#[test]
fn a_template_that_prints_50_megabytes_is_printed() {
    let template = r#"{{$line := printf "%0999d" 0}}{{range seq 1 50000}}{{$line}}
{{end}}"#;
    let sandbox = Sandbox::rendering(template);
    sandbox.onetime().ok();
    let found = fs::metadata(sandbox.path("out/app")).unwrap();
    assert_eq!((found.size(), sandbox.list("out")), (50_000_000, vec!["app".into()]));
    let content = fs::read(sandbox.path("out/app")).unwrap();
    let line = [&[b'0'; 999][..], b"\n"].concat();
    assert!(content.chunks(1000).all(|found| found == line));
}

#[test]
fn an_endless_template_is_an_error_and_a_deeply_nested_one_is_not() {
    let sandbox = Sandbox::new();
    sandbox.resource("a", r#"{{define "t"}}{{template "t"}}{{end}}{{template "t"}}"#, "");
    sandbox.resource("b", "{{len (seq 1 9223372036854775807)}}", "");
    let (open, close) = ("{{if 1}}".repeat(20_000), "{{end}}".repeat(20_000));
    sandbox.resource("c", format!("{open}deep{close}"), "");
    let ended = sandbox.onetime().fails();
    says(&ended, &["a.tmpl:1:", "exceeded maximum template depth"]);
    says(&ended, &["b.tmpl:1:", "seq: result exceeds"]);
    assert_eq!((sandbox.list("out"), sandbox.read("out/c")), (vec!["c".into()], "deep".into()));
}

#[test]
fn values_that_are_no_utf8_pass_through_byte_for_byte() {
    let sandbox =
        Sandbox::rendering(r#"{{getv "/key"}}|{{getenv "KEY"}}|{{toUpper (getv "/key")}}"#);
    sandbox.onetime().env("KEY", raw(b"a\xff\xfeb")).ok();
    let result = fs::read(sandbox.path("out/app")).unwrap();
    // Letter case exists only for code points; two of these bytes are not part of one.
    assert_eq!(result, b"a\xff\xfeb|a\xff\xfeb|A\xef\xbf\xbd\xef\xbf\xbdB");
}

#[test]
fn environment_names_that_are_no_utf8_do_no_harm() {
    let sandbox = Sandbox::rendering(r#"{{getv "/key"}}{{range gets "/odd*"}}{{.Value}}{{end}}"#);
    sandbox.onetime().env("KEY", "value ").env(raw(b"ODD\xff"), "odd").ok();
    assert_eq!(sandbox.output(), "value odd");
}

#[test]
fn a_prefix_that_is_no_utf8_is_one_like_any_other() {
    let sandbox = Sandbox::rendering(r#"{{exists "/key"}}"#);
    let ended = sandbox
        .onetime()
        .arguments(&[raw(b"-prefix=/p\xff"), raw(b"-log-level=debug")])
        .env("KEY", "value")
        .ok();
    ended.expect("DEBUG Key prefix set to /p\u{fffd}");
    assert_eq!(sandbox.output(), "false");
}

#[test]
fn a_confdir_that_is_no_utf8_is_used_or_named() {
    let sandbox = Sandbox::new();
    let folder = sandbox.root().join(raw(b"c\xff"));
    for name in ["conf.d", "templates"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    fs::write(folder.join("templates/t"), "new").unwrap();
    fs::write(folder.join("conf.d/t.toml"), "[template]\nsrc = 't'\ndest = 'out/app'\n").unwrap();
    sandbox.onetime().arguments(&[raw(b"-confdir"), raw(b"c\xff")]).ok();
    assert_eq!(sandbox.output(), "new");

    let ended = sandbox.onetime().arguments(&[raw(b"-confdir"), raw(b"d\xff")]).ok();
    ended.expect("WARNING Cannot load template resources: confdir 'd\u{fffd}' does not exist");
}

#[test]
fn a_word_that_is_no_utf8_is_an_error_that_shows_it() {
    let sandbox = Sandbox::rendering("new");
    let refused = |arguments: &[&OsStr]| -> Ended { sandbox.onetime().arguments(arguments).run() };
    for flag in ["-backend", "-log-level"] {
        let ended = refused(&[flag.as_ref(), raw(b"e\xff")]);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("FATAL ") && ended.stderr.contains(r"e\xff"),
            "{}",
            ended.stderr
        );
    }
    let ended = refused(&[raw(b"-int\xff")]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.starts_with("flag provided but not defined: -int"), "{}", ended.stderr);
    assert_eq!(sandbox.list("out"), [""; 0]);
}

#[test]
fn a_template_that_is_no_utf8_is_text_like_any_other() {
    let sandbox = Sandbox::rendering(b"\xff{{getv \"/key\"}}\xfe".as_slice());
    sandbox.onetime().env("KEY", "v").ok();
    assert_eq!(fs::read(sandbox.path("out/app")).unwrap(), b"\xffv\xfe");
}

#[test]
fn a_resource_that_is_no_utf8_is_an_error_with_file_and_line() {
    let sandbox = Sandbox::rendering("fine");
    let path = sandbox.write("conf.d/bad.toml", b"[template]\nsrc = 't'\ndest = 'out/\xff'\n");
    let ended = sandbox.onetime().fails();
    says(
        &ended,
        &[
            &format!("ERROR Cannot process template resource {} - toml: line 3", path.display()),
            "UTF-8",
        ],
    );
    assert_eq!((sandbox.output(), sandbox.list("out")), ("fine".into(), vec!["app".into()]));
}

#[test]
fn names_of_files_that_are_no_utf8_are_taken() {
    let sandbox = Sandbox::rendering("fine");
    let resource = fs::read(sandbox.path("conf.d/app.toml")).unwrap();
    fs::write(sandbox.path("conf.d").join(raw(b"\xff.toml")), resource).unwrap();
    fs::remove_file(sandbox.path("conf.d/app.toml")).unwrap();
    sandbox.onetime().ok();
    assert_eq!(sandbox.output(), "fine");
}

#[test]
fn a_value_with_any_bytes_of_yaml_reaches_the_file() {
    let sandbox = Sandbox::rendering(r#"{{getv "/bin"}}{{getv "/text"}}"#);
    sandbox.onetime_with("bin: !!binary /wD+\ntext: \"\\0é\\n\"\n").ok();
    assert_eq!(fs::read(sandbox.path("out/app")).unwrap(), b"\xff\x00\xfe\x00\xc3\xa9\n");
}
