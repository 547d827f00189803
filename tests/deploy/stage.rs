//! The stage file: its place, who can read it, and what a check command sees of it.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::Path};

use super::{dest, is_stage_name, outdated};
use crate::support::{Ended, Sandbox, eventually, needs_root};

#[test]
fn a_check_sees_the_whole_file_beside_the_destination_with_its_final_mode_and_owner() {
    needs_root();
    let sandbox = outdated(
        "mode = '0640'\nuid = 1000\ngid = 1001\ncheck_cmd = \"stat -c '%n %a %u %g' {{.src}} > seen; cat {{ .src }} >> seen\"",
    );
    sandbox.onetime().ok();
    let seen = sandbox.read("seen");
    let (path, rest) = seen.split_once(' ').unwrap();
    assert_eq!(rest, "640 1000 1001\nnew");
    assert_eq!(Path::new(path).parent().unwrap(), sandbox.path("out"));
    assert!(is_stage_name(Path::new(path).file_name().unwrap().to_str().unwrap(), "app"), "{path}");
    assert_eq!(
        (sandbox.list("out"), sandbox.mode("out/app"), sandbox.owner("out/app")),
        (vec!["app".into()], 0o640, (1000, 1001))
    );
}

#[test]
fn a_hanging_check_holds_back_the_new_file_and_nothing_else_is_touched() {
    let sandbox = outdated("check_cmd = 'touch started; cat wait'");
    assert!(
        std::process::Command::new("mkfifo").arg(sandbox.path("wait")).status().unwrap().success()
    );
    let running = sandbox.onetime().spawn();
    eventually("the check runs", || sandbox.path("started").exists());

    let names = sandbox.list("out");
    assert!(names.len() == 2 && is_stage_name(&names[0], "app") && names[1] == "app", "{names:?}");
    assert_eq!(
        (sandbox.output(), sandbox.read(&format!("out/{}", names[0]))),
        ("old".into(), "new".into())
    );

    // The check command ends when its input ends.
    drop(fs::OpenOptions::new().write(true).open(sandbox.path("wait")).unwrap());
    assert_eq!(Ended::wait(running).code, Some(0));
    assert_eq!((sandbox.output(), sandbox.list("out")), ("new".into(), vec!["app".into()]));
}

#[test]
fn a_file_is_never_readable_by_users_who_may_not_read_it_in_the_end() {
    const SIZE: u64 = 20_000_000;
    let sandbox = Sandbox::new();
    sandbox.resource("app", vec![b'x'; SIZE as usize], "mode = '0600'");
    let open_to_all = ["sh", "-c", "umask 0; exec \"$@\"", "sh"];
    let mut unfinished = 0;
    // The file can be complete before it is seen growing; then the next run is observed.
    eventually("a stage file is seen while it is written", || {
        let _ = fs::remove_file(sandbox.path("out/app"));
        let mut running = sandbox.onetime().through(&open_to_all).spawn();
        while running.try_wait().unwrap().is_none() {
            for entry in fs::read_dir(sandbox.path("out")).unwrap().flatten() {
                // It can have been renamed in the meantime.
                let Ok(found) = entry.metadata() else { continue };
                assert!(matches!(found.permissions().mode() & 0o777, 0o600 | 0o666));
                unfinished += u32::from(found.len() < SIZE);
            }
        }
        assert_eq!(Ended::wait(running).code, Some(0));
        unfinished > 0
    });
    assert_eq!(fs::metadata(sandbox.path("out/app")).unwrap().len(), SIZE);
}

#[test]
fn a_relative_destination_is_relative_to_the_working_folder_and_so_is_its_stage_file() {
    for (to, folder) in [("out/rel", "out/"), ("./out/./rel", "out/"), ("rel", "./")] {
        let sandbox = Sandbox::new();
        sandbox.write("templates/t", "new");
        let check = "check_cmd = 'echo {{.src}} > seen'";
        sandbox.write("conf.d/r.toml", format!("[template]\nsrc = 't'\ndest = '{to}'\n{check}\n"));
        let ended = sandbox.onetime().ok();
        let seen = sandbox.read("seen");
        assert!(
            seen.trim_end().strip_prefix(folder).is_some_and(|name| is_stage_name(name, "rel")),
            "{to}: {seen}"
        );
        ended.expect(&format!("INFO Target config {to} has been updated"));
        assert_eq!(sandbox.read(to), "new");
    }
}

#[test]
fn a_star_in_the_name_is_where_the_digits_go() {
    let sandbox = Sandbox::new();
    sandbox.resource("a*b", "new", "check_cmd = \"echo '{{.src}}' > seen\"");
    sandbox.onetime().ok();
    let seen = sandbox.read("seen");
    let name = seen.trim_end().rsplit('/').next().unwrap();
    let digits = name.strip_prefix(".a").and_then(|name| name.strip_suffix('b')).unwrap();
    assert!(digits.len() <= 10 && digits.parse::<u64>().is_ok(), "{name}");
    assert_eq!(sandbox.list("out"), ["a*b"]);
}

#[test]
fn a_missing_folder_is_an_error_and_is_not_made() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/t", "new");
    let folder = sandbox.path("missing");
    sandbox.write(
        "conf.d/r.toml",
        format!("[template]\nsrc = 't'\ndest = '{}/a'\n", folder.display()),
    );
    let ended = sandbox.onetime().fails();
    let start = format!("ERROR open {}/.a", folder.display());
    let said =
        |line: &String| line.starts_with(&start) && line.ends_with(": no such file or directory");
    assert!(ended.log().iter().any(said), "{}", ended.stderr);
    assert!(!folder.exists());
}

#[test]
fn a_failing_template_leaves_no_stage_file() {
    let sandbox = outdated("");
    sandbox.write("templates/app.tmpl", "much text before {{getv \"/nokey\"}}");
    sandbox.onetime().fails();
    assert_eq!((sandbox.output(), sandbox.list("out")), ("old".into(), vec!["app".into()]));
}

#[test]
fn a_missing_template_is_named() {
    let sandbox = outdated("");
    fs::remove_file(sandbox.path("templates/app.tmpl")).unwrap();
    let ended = sandbox.onetime().fails();
    ended.expect(&format!(
        "ERROR Missing template: {}",
        sandbox.path("templates/app.tmpl").display()
    ));
}

#[test]
fn the_check_template_knows_the_source_and_the_builtins() {
    for (command, seen) in [
        ("echo {{ .src }} | wc -l > seen", "1\n"),
        ("echo {{printf `%.1s` (len .src | print)}} > seen; test -f {{.src}}", ""),
        ("{{if .src}}echo yes{{end}} > seen", "yes\n"),
    ] {
        let sandbox = outdated(&format!("check_cmd = \"{command}\""));
        sandbox.onetime().ok();
        let found = sandbox.read("seen");
        assert!(
            if seen.is_empty() { !found.is_empty() } else { found == seen },
            "{command}: {found}"
        );
    }
}

#[test]
fn a_fault_in_the_check_template_fails_the_check() {
    for (command, error) in [
        ("{{base .src}}", "template: checkcmd:1: function \"base\" not defined"),
        ("{{getv `/a`}}", "template: checkcmd:1: function \"getv\" not defined"),
        ("true {{", "template: checkcmd:1: unclosed action"),
        (
            "{{index .src 1000}}",
            "template: checkcmd:1:2: executing \"checkcmd\" at <index .src 1000>: error calling index: index out of range: 1000",
        ),
    ] {
        let sandbox = outdated(&format!("check_cmd = '{command}'"));
        let ended = sandbox.onetime().fails();
        ended.expect(&format!("ERROR Config check failed: {error}"));
        assert_eq!((sandbox.output(), sandbox.list("out")), ("old".into(), vec!["app".into()]));
    }
}

#[test]
fn stage_files_of_killed_runs_are_removed_and_those_of_others_are_not() {
    let sandbox = outdated("check_cmd = 'touch started; kill -KILL $PPID'");
    let killed = sandbox.onetime().run();
    assert_eq!(killed.signal, Some(9));
    let left = sandbox.list("out");
    assert!(left.len() == 2 && is_stage_name(&left[0], "app"), "{left:?}");

    // A name that Go confd could have given, and names that only look similar.
    for name in [".app3112632618", ".app1", ".appx", ".other123456789"] {
        fs::File::create(sandbox.path(&format!("out/{name}"))).unwrap().write_all(b"x").unwrap();
    }
    sandbox.resource("app", "new", "");
    let ended = sandbox.onetime().ok();
    let leftover = sandbox.path(&format!("out/{}", left[0]));
    ended.expect(&format!("INFO Removed the stage file of a killed run: {}", leftover.display()));
    ended.expect(&format!("INFO Target config {} has been updated", dest(&sandbox)));
    assert_eq!(sandbox.list("out"), [".app1", ".app3112632618", ".appx", ".other123456789", "app"]);
}
