use std::fs;

use store::Key;

use super::*;
use crate::schema;

pub(crate) fn loaded(text: &str) -> Result<Resource, String> {
    loaded_with_prefix(text, "")
}

fn loaded_with_prefix(text: &str, prefix: &str) -> Result<Resource, String> {
    // A variable, and one that is empty.
    let environment = Environment::new(|name| match name {
        b"SITE" => Some("blue".into()),
        b"EMPTY" => Some("".into()),
        _ => None,
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    // Every resource needs a destination.
    let has_no_dest = text.to_lowercase().contains("src=") && !text.contains("dest=");
    let text = text.to_owned() + if has_no_dest { "\ndest='d'\n" } else { "" };
    fs::write(&path, &text).unwrap();
    let conventions = crate::Conventions::with_prefix(prefix.as_bytes().to_vec());
    let confdir = Confdir {
        conf_d: folder.path().to_path_buf(),
        ..Confdir::new(Path::new("/etc/confd"), &conventions, &environment)
    };
    let read = crate::Group::load(&path, &confdir).map(|mut group| group.resources.remove(0));
    if read.as_ref().is_ok_and(|resource| resource.warnings.is_empty()) {
        assert!(
            schema::tests::is_resource(&text),
            "the schema refuses a file that confd reads: {text}"
        );
    }
    read.map_err(|problem| problem.text.replace(path.to_str().unwrap(), "a.toml"))
}

fn scope(resource: &Resource) -> Vec<String> {
    resource.scope.iter().map(Key::to_string).collect()
}

#[test]
fn keys_are_joined_to_the_prefix_and_cleaned() {
    let resource =
        loaded("[template]\nsrc='a'\nprefix='app'\nkeys=['/x/', 'y', '/app/../z', '']").unwrap();
    assert_eq!(scope(&resource), ["/app", "/app/x", "/app/y", "/app/z"]);
    let resource = loaded("[TEMPLATE]\nSRC='a'\nKEYS=['/']").unwrap();
    assert_eq!(scope(&resource), ["/"]);
}

#[test]
fn the_global_prefix_replaces_the_resources_own() {
    let resource =
        loaded_with_prefix("[template]\nsrc='a'\nprefix='/own'\nkeys=['x']", "/global").unwrap();
    assert_eq!(scope(&resource), ["/global/x"]);
}

#[test]
fn src_is_below_the_templates_folder_unless_it_climbs() {
    for (src, path) in [
        ("a.tmpl", "/etc/confd/templates/a.tmpl"),
        ("sub//a", "/etc/confd/templates/sub/a"),
        ("/tmp/a", "/etc/confd/templates/tmp/a"),
        ("../x", "/etc/confd/x"),
    ] {
        let resource = loaded(&format!("[template]\nsrc='{src}'")).unwrap();
        assert_eq!(resource.src, Path::new(path));
    }
}

#[test]
fn a_name_is_the_path_below_conf_d_and_unique() {
    let conf_d = Path::new("/etc/confd/conf.d");
    for (path, expected) in [
        ("a.toml", "a"),
        ("sub/b.toml", "sub/b"),
        ("atoml", "atoml"),
        ("toml", "toml"),
        (".toml", ".toml"),
        ("sub/.toml", "sub/.toml"),
        (".toml.toml", ".toml.toml"),
        ("a.toml.toml", "a.toml.toml"),
    ] {
        assert_eq!(name(&conf_d.join(path), conf_d), expected);
    }
    assert_eq!(name(conf_d, conf_d), "conf.d");
}

#[test]
fn problems_name_the_file() {
    for (text, error) in [
        ("", "empty src template"),
        ("[template]\ndest='a'", "empty src template"),
        ("[template]\nsrc='a'\nmode='abc'", "strconv.ParseUint: parsing \"abc\": invalid syntax"),
        ("[template]\nsrc='a'\nmode='0888'", "strconv.ParseUint: parsing \"0888\": invalid syntax"),
        (
            "[template]\nsrc='a'\nmode='999999999999'",
            "strconv.ParseUint: parsing \"999999999999\": value out of range",
        ),
        (
            "[template]\nsrc='a'\nengine='jinja'",
            "unknown engine \"jinja\"; the known ones are \"go\", \"tera\"",
        ),
        (
            "[template]\nsrc='a'\nengine=2",
            "toml: line 3 (last key \"template.engine\"): incompatible types: TOML value has type int64; destination has type string",
        ),
        (
            "[template]\nsrc='a'\nuid='root'",
            "toml: line 3 (last key \"template.uid\"): incompatible types: TOML value has type string; destination has type integer",
        ),
    ] {
        assert_eq!(
            loaded(text).unwrap_err(),
            format!("Cannot process template resource a.toml - {error}")
        );
    }
}

#[test]
fn the_name_of_the_file_decides_the_language_unless_engine_is_set() {
    for (table, engine) in [
        ("src='a.tmpl'", Engine::Go),
        ("src='tera'", Engine::Go),
        ("src='a.conf.tera'", Engine::Tera),
        ("src='a.conf'\nengine='tera'", Engine::Tera),
        ("src='a.tera'\nengine='go'", Engine::Go),
    ] {
        let resource = loaded(&format!("[template]\n{table}")).unwrap();
        assert_eq!(resource.engine, engine, "{table}");
        assert!(resource.warnings.is_empty(), "{table}");
    }
}

#[test]
fn a_resource_sets_the_limits_of_its_commands_and_zero_means_no_limit() {
    let resource = loaded("[template]\nsrc='a'\ncheck_timeout='1m30s'\nreload_timeout='0'");
    let resource = resource.unwrap();
    assert_eq!(resource.check_timeout, Some(Duration::from_secs(90)));
    assert_eq!(resource.reload_timeout, Some(Duration::ZERO));
    assert!(resource.warnings.is_empty());
    let resource = loaded("[template]\nsrc='a'").unwrap();
    assert_eq!((resource.check_timeout, resource.reload_timeout), (None, None));
    let error = loaded("[template]\nsrc='a'\ncheck_timeout='soon'").unwrap_err();
    assert!(error.contains("check_timeout \"soon\": not a duration"), "{error}");
}

#[test]
fn a_file_is_healed_unless_its_resource_forbids_it() {
    assert!(loaded("[template]\nsrc='a'").unwrap().heal);
    let resource = loaded("[template]\nsrc='a'\nheal=false").unwrap();
    assert!(!resource.heal && resource.warnings.is_empty());
    let error = loaded("[template]\nsrc='a'\nheal='no'").unwrap_err();
    assert!(error.ends_with("destination has type boolean"), "{error}");
}

#[test]
fn unknown_keys_are_reported() {
    let resource =
        loaded("[template]\nsrc='a'\nOwners='nginx'\nreload='x'\ndest='d'\n[other]\n").unwrap();
    let ends = [
        ":3: unknown key \"template.Owners\", did you mean \"owner\"?",
        ":4: unknown key \"template.reload\", did you mean \"reload_cmd\"?",
        ":6: unknown key \"other\"",
    ];
    for (warning, end) in resource.warnings.iter().zip(ends) {
        assert!(warning.text.ends_with(end), "{}", warning.text);
    }
    assert_eq!(resource.warnings.len(), 3);
}

#[test]
fn a_misspelt_key_has_a_hint_whichever_key_is_meant() {
    let resource = loaded("[template]\nsrc='a'\non_mising='keep'").unwrap();
    let end = ":3: unknown key \"template.on_mising\", did you mean \"on_missing\"?";
    assert!(resource.warnings[0].text.ends_with(end), "{}", resource.warnings[0]);
}

#[test]
fn dest_keys_and_prefix_can_use_the_environment() {
    let resource = loaded(
        "[template]\nsrc='a'\ndest='/etc/{{getenv \"SITE\"}}/a'\nprefix='/{{getenv \"SITE\"}}'\n\
         keys=['/x', '/{{getenv \"EMPTY\" \"y\"}}', '{{printf \"%s-%s\" (getenv \"SITE\") (getenv \"NO\" \"z\")}}']",
    )
    .unwrap();
    assert_eq!(resource.dest, Path::new("/etc/blue/a"));
    assert_eq!(scope(&resource), ["/blue/blue-z", "/blue/x", "/blue/y"]);
    assert!(resource.warnings.is_empty());
    // The prefix of the run is no template.
    let resource = loaded_with_prefix("[template]\nsrc='a'\nkeys=['x']", "/{{1}}").unwrap();
    assert_eq!(scope(&resource), ["/{{1}}/x"]);
}

#[test]
fn a_template_in_a_key_that_gives_nothing_or_is_malformed_is_an_error_with_its_place() {
    for (line, error) in [
        ("dest='{{getenv \"NO\"}}'", "empty dest"),
        ("dest='{{getenv \"SITE\"'", "template: dest:1: unclosed action"),
        ("dest='/{{getv \"/x\"}}'", "template: dest:1: function \"getv\" not defined"),
        ("dest='/{{.}}'", "dest asks for data, and there is none"),
        ("keys=['{{x}}']", "template: keys:1: function \"x\" not defined"),
        ("prefix='{{x}}'", "template: prefix:1: function \"x\" not defined"),
    ] {
        assert_eq!(
            loaded(&format!("[template]\nsrc='a'\n{line}")).unwrap_err(),
            format!("Cannot process template resource a.toml - {error}")
        );
    }
}

#[test]
fn all_texts_of_a_table_that_asks_for_it_are_expanded() {
    let resource = loaded(
        "[template]\nexpand_env=true\nsrc='${SITE}.tmpl'\ndest='/etc/${SITE}'\nprefix='${NO:-p}'\n\
         keys=['/${SITE}', '/$$']\nmode='${MODE:-0600}'\n\
         check_cmd=['check', '${SITE}']\nreload_cmd='echo $HOME $${X} ${SITE}'",
    )
    .unwrap();
    assert_eq!(resource.src, Path::new("/etc/confd/templates/blue.tmpl"));
    assert_eq!(resource.dest, Path::new("/etc/blue"));
    assert_eq!(scope(&resource), ["/p/$", "/p/blue"]);
    assert_eq!(resource.mode, Some(0o600));
    assert_eq!(resource.check_cmd, Some(Command::Argv(vec!["check".into(), "blue".into()])));
    assert_eq!(resource.reload_cmd, Some(Command::Shell("echo $HOME ${X} blue".into())));
    assert!(resource.warnings.is_empty());
}

#[test]
fn without_being_asked_for_nothing_is_expanded() {
    for line in ["", "expand_env=false"] {
        let resource = loaded(&format!("[template]\n{line}\nsrc='a'\ndest='/${{NO}}/$$'")).unwrap();
        assert_eq!(resource.dest, Path::new("/${NO}/$$"));
    }
    let error = loaded("[template]\nexpand_env='yes'\nsrc='a'").unwrap_err();
    assert!(error.ends_with("destination has type boolean"), "{error}");
    let error = loaded("[template]\nexpand_env=true\nsrc='a'\nkeys=['/a', '/${NO}']").unwrap_err();
    assert!(error.ends_with(" - keys: the variable NO is not set"), "{error}");
}
