//! The log: its layout, its levels, and the lines that alerts and people look for.

mod blocked;
mod forged;
mod named;
mod repeated;
mod secrets;
mod structured;

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    time::{Duration, SystemTime},
};

use crate::support::{Ended, Sandbox, is_excerpt, needs_root};

/// The MD5 sums of `old` and of `new`.
const MD5: (&str, &str) = ("149603e6c03516362a8da23f624db945", "22af645d1859cb5ca6da0c484f1f37ea");

/// A sandbox whose run logs messages of all levels: one resource that `-noop` does not write, and
/// one that fails.
fn noisy() -> Sandbox {
    let sandbox = Sandbox::rendering("x");
    sandbox.resource("bad", "{{getv \"/nokey\"}}", "");
    sandbox
}

/// The levels in a log.
fn levels(ended: &Ended) -> Vec<String> {
    let mut levels: Vec<_> =
        ended.log().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    levels.sort();
    levels.dedup();
    levels
}

/// The lines that every run with the env backend begins with.
const START: [&str; 3] =
    ["INFO Backend set to env", "INFO Starting confd", "INFO Backend source(s) set to "];

/// [`START`], followed by `lines`.
fn started(lines: &[String]) -> Vec<String> {
    START.iter().map(ToString::to_string).chain(lines.iter().cloned()).collect()
}

#[test]
fn a_line_is_time_host_program_and_process_then_level_and_message() {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for program in ["confd", "./confd", "/usr/local/bin/confd"] {
        let sandbox = noisy();
        let run = sandbox.onetime().arguments(&["-noop", "-log-level", "debug"]);
        let child = run.with(|command| _ = command.arg0(program)).spawn();
        let pid = child.id();
        let ended = Ended::wait(child);
        assert_eq!(levels(&ended), ["DEBUG", "ERROR", "FATAL", "INFO", "WARNING"]);
        for line in ended.stderr.lines().filter(|line| !is_excerpt(line)) {
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(time.parse::<toml::value::Datetime>().is_ok() && time.len() >= 20, "{line}");
            let header = format!("{} {program}[{pid}]: ", host.trim());
            let message =
                rest.strip_prefix(&header).unwrap_or_else(|| panic!("no {header:?} in {line:?}"));
            assert!(
                message
                    .split_once(' ')
                    .is_some_and(|(level, _)| level.chars().all(|c| c.is_ascii_uppercase()))
            );
        }
        assert!(!ended.stderr.contains('\x1b'));
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn times_are_local_and_in_whole_seconds() {
    let seconds_of_day = |time: &str| -> i64 {
        let parts: Vec<i64> = time[11..19].split(':').map(|part| part.parse().unwrap()).collect();
        (parts[0] * 60 + parts[1]) * 60 + parts[2]
    };
    for (suffix, offset) in [("Z", 0), ("-05:00", -18_000), ("+05:30", 19_800)] {
        let sandbox = Sandbox::new();
        fs::write(sandbox.path("zone"), zone_file(offset)).unwrap();
        let ended = sandbox.onetime().env("TZ", sandbox.path("zone")).ok();
        let time = ended.stderr.split(' ').next().unwrap();
        assert_eq!(&time[19..], suffix, "{time}");
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_secs();
        let local = (i64::try_from(now).unwrap() + i64::from(offset)).rem_euclid(86_400);
        let age = (local - seconds_of_day(time)).rem_euclid(86_400);
        assert!(age < 60, "{time} is {age} s ago");
    }
}

/// A zone file (RFC 9636, version 1) for a zone that is always `offset` seconds ahead of UTC.
fn zone_file(offset: i32) -> Vec<u8> {
    let mut file = b"TZif".to_vec();
    file.resize(20, 0); // version 1 and what is reserved
    for count in [0_u32, 0, 0, 0, 1, 4] {
        file.extend(count.to_be_bytes()); // no leap seconds, no transitions, one type
    }
    file.extend(offset.to_be_bytes());
    file.extend([0, 0]); // no summer time, the abbreviation at place 0
    file.extend(b"TST\0");
    file
}

#[test]
fn a_level_shows_itself_and_all_more_severe_levels() {
    let all = ["DEBUG", "ERROR", "FATAL", "INFO", "WARNING"];
    for (names, shown) in [
        (&["panic", "PANIC"][..], &[][..]),
        (&["fatal", "Fatal"], &["FATAL"]),
        (&["error", "ERROR"], &["ERROR", "FATAL"]),
        (&["warn", "warning", "WARN", "Warning"], &["ERROR", "FATAL", "WARNING"]),
        (&["info", "", "Info"], &["ERROR", "FATAL", "INFO", "WARNING"]),
        (&["debug", "trace", "TRACE"], &all),
    ] {
        for name in names {
            let sandbox = noisy();
            let ended = sandbox.onetime().arguments(&["-noop", "-log-level", name]).fails();
            assert_eq!(levels(&ended), shown, "{name}");
            sandbox.write("confd.toml", format!("log-level = '{name}'"));
            assert_eq!(
                levels(&sandbox.onetime().arguments(&["-noop"]).fails()),
                shown,
                "{name} in confd.toml"
            );
        }
    }
    assert_eq!(levels(&noisy().onetime().arguments(&["-noop"]).fails()).len(), 4);
}

#[test]
fn a_level_that_does_not_exist_is_fatal() {
    let sandbox = noisy();
    for name in ["bogus", "0", "information"] {
        let ended = sandbox.onetime().arguments(&["-log-level", name]).fails();
        let log = ended.log();
        assert!(log[0].starts_with(&format!("FATAL not a valid level: \"{name}\" (")), "{log:?}");
    }
}

#[test]
fn messages_are_printed_as_they_are() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", "x");
    sandbox.write(
        "conf.d/app.toml",
        "[template]\nsrc = 'app'\ndest = \"out/100% %s %d\"\nreload_cmd = 'date +%s # 100% reload'\n",
    );
    sandbox.write("conf.d/line.toml", "[template]\nsrc = 'app'\ndest = \"out/two\\nlines\"\n");
    let ended = sandbox.onetime().arguments(&["-log-level", "debug"]).ok();
    ended.expect("INFO Target config out/100% %s %d has been updated");
    ended.expect("DEBUG Running date +%s # 100% reload");
    // A message stays in its line.
    ended.expect("INFO Target config out/two\\nlines has been updated");
}

#[test]
fn a_run_begins_with_backend_and_sources() {
    let sandbox = Sandbox::new();
    sandbox.write("a.yaml", "");
    sandbox.write("b/c.yaml", "");
    let ended =
        sandbox.confd(&["-onetime", "-backend", "file", "-file", "a.yaml", "-file", "b"]).ok();
    assert_eq!(
        ended.log(),
        [
            "INFO Backend set to file",
            "INFO Starting confd",
            "INFO Backend source(s) set to a.yaml, b",
            "WARNING Found no templates",
        ]
    );
    let env = sandbox.onetime().ok().log();
    assert_eq!(env, started(&["WARNING Found no templates".into()]));
    let file = sandbox.confd(&["-onetime", "-backend", "file"]).ok().log();
    assert_eq!(file[3], "INFO Backend source(s) set to ");
}

#[test]
fn a_new_file_is_two_lines() {
    let sandbox = Sandbox::rendering("new");
    let dest = sandbox.path("out/app").display().to_string();
    let lines = [
        format!("INFO Target config {dest} out of sync"),
        format!("INFO Target config {dest} has been updated"),
    ];
    assert_eq!(sandbox.onetime().ok().log(), started(&lines));
    assert_eq!(sandbox.onetime().ok().log(), START);
}

#[test]
fn differences_of_a_file_are_logged_in_a_fixed_order() {
    needs_root();
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", "mode = '0644'");
    let path = sandbox.write("out/app", "old");
    let dest = path.display();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    chown(&path, Some(1000), Some(1001)).unwrap();
    let differences = [
        format!("INFO {dest} has UID 1000 should be 0"),
        format!("INFO {dest} has GID 1001 should be 0"),
        format!("INFO {dest} has mode -rw------- should be -rw-r--r--"),
        format!("INFO {dest} has md5sum {} should be {}", MD5.0, MD5.1),
    ];
    let noop = sandbox.onetime().arguments(&["-noop"]).ok().log();
    let only_looked = format!("WARNING Noop mode enabled. {dest} will not be modified");
    assert_eq!(noop, started(&[&differences[..], &[only_looked]].concat()));
    let lines = [
        format!("INFO Target config {dest} out of sync"),
        format!("INFO Target config {dest} has been updated"),
    ];
    assert_eq!(sandbox.onetime().ok().log(), started(&[&differences[..], &lines].concat()));
    assert_eq!(
        (sandbox.output().as_str(), sandbox.mode("out/app"), sandbox.owner("out/app")),
        ("new", 0o644, (0, 0))
    );
    assert_eq!(sandbox.onetime().ok().log(), START);
}

#[test]
fn modes_are_written_as_go_writes_them() {
    for (mode, text) in [
        (0o644, "-rw-r--r--"),
        (0o000, "----------"),
        (0o751, "-rwxr-x--x"),
        (0o4755, "urwxr-xr-x"),
        (0o2755, "grwxr-xr-x"),
        (0o1777, "trwxrwxrwx"),
        (0o7777, "ugtrwxrwxrwx"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "x", "mode = '0640'");
        let path = sandbox.write("out/app", "x");
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let ended = sandbox.onetime().ok();
        ended.expect(&format!("INFO {} has mode {text} should be -rw-r-----", path.display()));
        assert_eq!(sandbox.mode("out/app"), 0o640);
    }
}

#[test]
fn noop_warns_of_every_resource_even_in_sync() {
    let sandbox = Sandbox::rendering("x");
    let warning = format!(
        "WARNING Noop mode enabled. {} will not be modified",
        sandbox.path("out/app").display()
    );
    let created =
        format!("INFO {} does not exist and would be created", sandbox.path("out/app").display());
    assert_eq!(
        sandbox.onetime().arguments(&["-noop"]).ok().log(),
        started(&[created, warning.clone()])
    );
    assert_eq!(sandbox.list("out"), [""; 0]);
    sandbox.onetime().ok();
    assert_eq!(sandbox.onetime().arguments(&["-noop"]).ok().log(), started(&[warning]));
}

#[test]
fn a_kept_stage_file_is_named() {
    let sandbox = Sandbox::rendering("x");
    let ended = sandbox.onetime().arguments(&["-noop", "-keep-stage-file"]).ok();
    let kept = sandbox.list("out");
    assert!(kept.len() == 1 && kept[0].starts_with(".app"), "{kept:?}");
    ended.expect(&format!(
        "INFO Keeping staged file: {}",
        sandbox.path("out").join(&kept[0]).display()
    ));
}

#[test]
fn each_failure_is_an_error_at_once_and_the_last_is_fatal_at_the_end() {
    let sandbox = Sandbox::new();
    sandbox.resource("a", "{{getv \"/a\"}}", "");
    sandbox.resource("b", "{{getv \"/b\"}}", "");
    sandbox.resource("c", "x", "");
    let error = |name: &str| {
        format!(
            "template: {name}.tmpl:1:2: executing \"{name}.tmpl\" at <getv \"/{name}\">: error calling getv: key does not exist: /{name}"
        )
    };
    let dest = sandbox.path("out/c").display().to_string();
    let lines = [
        format!("ERROR {}", error("a")),
        format!("ERROR {}", error("b")),
        format!("INFO Target config {dest} out of sync"),
        format!("INFO Target config {dest} has been updated"),
        "WARNING 2 of 3 resources failed: a, b".to_owned(),
        format!("FATAL {}", error("b")),
    ];
    assert_eq!(sandbox.onetime().fails().log(), started(&lines));
}

#[test]
fn a_failed_command_shows_its_output_quoted_as_go_quotes() {
    let sandbox = Sandbox::new();
    let path = sandbox.write(
        "output",
        b"out\n\t\"q\" \\ \x07\x08\x0c\r\x0b\x00\x1f\x7f\xff \xc3\xa9 \xe2\x82\xac \xe2\x80\xa8 \xf0\x9f\x98\x80 \xef\xbf\xbd",
    );
    sandbox.resource(
        "app",
        "x",
        &format!("check_cmd = 'cat {}; echo err >&2; exit 3'", path.display()),
    );
    let ended = sandbox.onetime().fails();
    let quoted = r#""out\n\t\"q\" \\ \a\b\f\r\v\x00\x1f\x7f\xff é € \u2028 😀 �err\n""#;
    ended.expect(&format!("ERROR {quoted}"));
    ended
        .expect("ERROR Config check failed: exit status 3")
        .expect("FATAL Config check failed: exit status 3");
}

#[test]
fn the_output_of_a_command_that_succeeds_is_for_debug() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", "reload_cmd = 'echo done'");
    let ended = sandbox.onetime().arguments(&["-log-level", "debug"]).ok();
    ended.expect("DEBUG Running echo done").expect("DEBUG \"done\\n\"");
    sandbox.resource("app", "y", "reload_cmd = 'echo done'");
    sandbox.onetime().ok().expect_no("done\\n");
}

#[test]
fn debug_shows_each_step() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/app/key\"}}", "prefix = '/'");
    let root = sandbox.root().display();
    let run = || sandbox.onetime().arguments(&["-log-level", "debug"]).env("APP_KEY", "value").ok();
    let ended = run();
    for line in [
        format!("Loading template resources from confdir {root}"),
        format!("Found template: {root}/conf.d/app.toml"),
        format!("Loading template resource from {root}/conf.d/app.toml"),
        "Retrieving keys from store".into(),
        "Key prefix set to /".into(),
        format!("Using source template {root}/templates/app.tmpl"),
        format!("Compiling source template {root}/templates/app.tmpl"),
        format!("Comparing candidate config to {root}/out/app"),
        format!("Overwriting target config {root}/out/app"),
    ] {
        ended.expect(&format!("DEBUG {line}"));
    }
    run().expect(&format!("DEBUG Target config {root}/out/app in sync"));
}

#[test]
fn debug_shows_one_retrieval_for_each_pass_then_each_template_and_its_keys() {
    let sandbox = Sandbox::new();
    for (name, keys) in [("one", "keys = ['/app']"), ("two", "prefix = '/app'\nkeys = ['/b']")] {
        let dest = sandbox.path(name);
        sandbox.write(&format!("templates/{name}.tmpl"), "x");
        sandbox.write(
            &format!("conf.d/{name}.toml"),
            format!("[template]\nsrc = '{name}.tmpl'\ndest = '{}'\n{keys}\n", dest.display()),
        );
    }
    let run = sandbox.onetime().arguments(&["-log-level", "debug"]);
    let ended = run.env("APP_A", "value").env("APP_B", "value").ok();
    let log = ended.log();
    let told: Vec<&str> = log
        .iter()
        .filter_map(|line| line.strip_prefix("DEBUG "))
        .filter(|line| {
            ["Retrieving", "Using", "Key", "Got"].iter().any(|start| line.starts_with(start))
        })
        .collect();
    let using = |name: &str| {
        format!("Using source template {}/templates/{name}.tmpl", sandbox.root().display())
    };
    assert_eq!(
        told,
        [
            "Retrieving keys from store",
            &using("one"),
            "Key prefix set to /",
            "Got the following keys from store: map[/app/a:… /app/b:…]",
            &using("two"),
            "Key prefix set to /app",
            "Got the following keys from store: map[/b:…]",
        ]
    );
}

#[test]
fn values_are_never_logged() {
    for (template, code) in [
        ("{{getv \"/secret\"}}", Some(0)),
        ("{{getv \"/secret\"}}{{getv \"/nokey\"}}", Some(1)),
        ("{{range gets \"/*\"}}{{.Nothing}}{{end}}", Some(1)),
    ] {
        let sandbox = Sandbox::rendering(template);
        for level in ["debug", "trace"] {
            let _ = fs::remove_file(sandbox.path("out/app"));
            let run =
                sandbox.onetime().arguments(&["-log-level", level, "-password", "opensesame"]);
            let ended = run.env("SECRET", "opensesame").env("CONFD_CLIENT_KEY", "opensesame").run();
            assert_eq!(ended.code, code, "{}", ended.stderr);
            ended.expect_no("opensesame");
            assert!(ended.stderr.contains("/secret"), "keys are named: {}", ended.stderr);
        }
        let yaml = "secret: opensesame\nlist: [opensesame]";
        let ended = sandbox.onetime_with(yaml).arguments(&["-log-level", "debug"]).run();
        assert_eq!(ended.code, code, "{}", ended.stderr);
        ended.expect_no("opensesame");
    }
}

#[test]
fn an_error_in_the_data_does_not_show_them() {
    for yaml in [
        "opensesame",
        "a: opensesame\nb: [",
        "a: !!int opensesame",
        "a: !!binary open*sesame",
        "- opensesame",
    ] {
        let sandbox = Sandbox::rendering("x");
        sandbox.onetime_with(yaml).arguments(&["-log-level", "debug"]).fails().expect_no("sesame");
    }
}

#[test]
fn a_run_in_which_nothing_goes_wrong_is_silent_at_level_error() {
    let ended = Sandbox::rendering("x").onetime().arguments(&["-log-level", "error"]).ok();
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
}
