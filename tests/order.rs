//! The order of a pass, as in Go confd: a later resource sees the files of earlier resources, log
//! lines come in the order of the resources, and the last failure is that of the last failed
//! resource.
//!
//! Every test runs in onetime mode and in interval mode.

use std::{fs, os::unix::fs::MetadataExt as _, os::unix::fs::symlink};

use rustix::process::Signal;

use crate::support::{Daemon, Ended, Run, Sandbox, eventually};

#[derive(Clone, Copy, Debug)]
enum Mode {
    Onetime,
    Interval,
}

const MODES: [Mode; 2] = [Mode::Onetime, Mode::Interval];

/// A tree with only a last resource, whose file shows that a pass has ended.
fn tree() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("zzz", "the end", "");
    sandbox
}

/// Adds a resource without keys that renders `dest` from the template `src`.
fn resource(sandbox: &Sandbox, name: &str, src: &str, dest: &str) {
    let table = format!("[template]\nsrc = '{src}'\ndest = '{dest}'\n");
    sandbox.write(&format!("conf.d/{name}.toml"), table);
}

/// confd with backend `env`, for its first pass.
fn run(sandbox: &Sandbox, mode: Mode) -> Run {
    match mode {
        Mode::Onetime => sandbox.onetime(),
        Mode::Interval => sandbox.confd(&["-backend", "env"]),
    }
}

/// Makes one pass over the tree with `run`.
#[track_caller]
fn pass_of(sandbox: &Sandbox, mode: Mode, run: Run) -> Ended {
    let _ = fs::remove_file(sandbox.path("out/zzz"));
    match mode {
        Mode::Onetime => run.run(),
        Mode::Interval => {
            let daemon = Daemon::start(run, sandbox.path("log"));
            eventually("the last resource has its file", || sandbox.path("out/zzz").exists());
            daemon.stop(Signal::TERM)
        }
    }
}

/// Makes one pass over the tree.
#[track_caller]
fn pass(sandbox: &Sandbox, mode: Mode) -> Ended {
    pass_of(sandbox, mode, run(sandbox, mode))
}

/// Two paths to one file: the destination of one resource and the `src` of another.
struct Way {
    dest: &'static str,
    src: &'static str,
    /// A link and its relative target.
    link: Option<(&'static str, &'static str)>,
}

const fn way(dest: &'static str, src: &'static str) -> Way {
    Way { dest, src, link: None }
}

/// `FOLDER` is the tree. A stale version, if there is one, is in `templates/d.tmpl`, `real/d.tmpl`
/// or `out/d.tmpl`, depending on `dest`.
const WAYS: &[Way] = &[
    way("FOLDER/templates/d.tmpl", "d.tmpl"),
    way("templates/d.tmpl", "d.tmpl"),
    way("./out/../templates//d.tmpl", "./d.tmpl"),
    way("templates/d.tmpl", "../templates/d.tmpl"),
    way("templates/d.tmpl", "/d.tmpl"),
    way("out/d.tmpl", "../out/d.tmpl"),
    Way { dest: "link/d.tmpl", src: "d.tmpl", link: Some(("link", "templates")) },
    Way { dest: "real/d.tmpl", src: "sub/d.tmpl", link: Some(("templates/sub", "../real")) },
    Way {
        dest: "templates/d.tmpl",
        src: "alias.tmpl",
        link: Some(("templates/alias.tmpl", "d.tmpl")),
    },
    Way { dest: "real/d.tmpl", src: "d.tmpl", link: Some(("templates/d.tmpl", "../real/d.tmpl")) },
];

#[test]
fn a_template_that_an_earlier_resource_writes_is_the_fresh_one() {
    for mode in MODES {
        for Way { dest, src, link } in WAYS {
            for stale in [true, false] {
                let sandbox = tree();
                fs::create_dir(sandbox.path("real")).unwrap();
                if let Some((link, behind)) = link {
                    symlink(behind, sandbox.path(link)).unwrap();
                }
                let dest = dest.replace("FOLDER", &sandbox.root().display().to_string());
                if stale {
                    fs::write(sandbox.root().join(&dest), "stale").unwrap();
                }
                sandbox.write("templates/first.tmpl", "fresh");
                resource(&sandbox, "a", "first.tmpl", &dest);
                resource(&sandbox, "b", src, "out/b");
                let ended = pass(&sandbox, mode);
                assert_eq!(ended.code, Some(0), "{mode:?} {dest} {src}: {}", ended.stderr);
                assert_eq!(sandbox.read("out/b"), "fresh", "{mode:?} {dest} {src} {stale}");
            }
        }
    }
}

#[test]
fn a_template_that_is_written_long_before_it_is_used_is_the_fresh_one() {
    for mode in MODES {
        for between in [1, 31, 32, 33, 100] {
            let sandbox = tree();
            sandbox.write("templates/d.tmpl", "stale");
            sandbox.write("templates/first.tmpl", "fresh");
            resource(&sandbox, "a", "first.tmpl", "templates/d.tmpl");
            for nth in 0..between {
                sandbox.resource(&format!("b{nth:03}"), "x", "");
            }
            resource(&sandbox, "c", "d.tmpl", "out/c");
            let ended = pass(&sandbox, mode);
            assert_eq!(sandbox.read("out/c"), "fresh", "{mode:?} {between}: {}", ended.stderr);
        }
    }
}

#[test]
fn templates_that_write_templates_are_all_fresh() {
    for mode in MODES {
        let sandbox = tree();
        let last = 6;
        // The first resource writes a template whose result is the template of all further
        // resources.
        sandbox.write("templates/t0.tmpl", "{{`".to_owned() + "{{\"fresh\"}}" + "`}}");
        for nth in 0..last {
            let next = format!("t{}.tmpl", nth + 1);
            if nth > 0 {
                sandbox.write(&format!("templates/t{nth}.tmpl"), "stale");
            }
            resource(
                &sandbox,
                &format!("r{nth}"),
                &format!("t{nth}.tmpl"),
                &format!("templates/{next}"),
            );
        }
        resource(&sandbox, "s", &format!("t{last}.tmpl"), "out/app");
        let ended = pass(&sandbox, mode);
        assert_eq!(sandbox.output(), "fresh", "{mode:?}: {}", ended.stderr);
    }
}

#[test]
fn a_file_that_a_tera_template_takes_is_the_fresh_one() {
    for mode in MODES {
        for (taken, user) in [
            ("part.tera", "{% include \"part.tera\" %}"),
            ("part.tera", "{% include \"between.tera\" %}"),
            ("base.tera", "{% extends \"base.tera\" %}"),
            ("sub/part.tera", "{% include \"sub/part.tera\" %}"),
        ] {
            for stale in [true, false] {
                let sandbox = tree();
                fs::create_dir(sandbox.path("templates/sub")).unwrap();
                sandbox.write("templates/between.tera", "{% include \"part.tera\" %}");
                if stale {
                    sandbox.write(&format!("templates/{taken}"), "stale");
                }
                sandbox.write("templates/first.tmpl", "fresh");
                sandbox.write("templates/b.tera", user);
                resource(&sandbox, "a", "first.tmpl", &format!("templates/{taken}"));
                resource(&sandbox, "b", "b.tera", "out/b");
                let ended = pass(&sandbox, mode);
                assert_eq!(sandbox.read("out/b"), "fresh", "{mode:?} {user}: {}", ended.stderr);
            }
        }
    }
}

#[test]
fn a_template_that_a_later_resource_writes_is_used_in_the_next_pass() {
    for mode in MODES {
        let sandbox = tree();
        sandbox.write("templates/d.tmpl", "stale");
        sandbox.write("templates/last.tmpl", "fresh");
        resource(&sandbox, "a", "d.tmpl", "out/a");
        resource(&sandbox, "b", "last.tmpl", "templates/d.tmpl");
        pass(&sandbox, mode);
        assert_eq!(sandbox.read("out/a"), "stale", "{mode:?}");
        pass(&sandbox, mode);
        assert_eq!(sandbox.read("out/a"), "fresh", "{mode:?}");
    }
}

#[test]
fn a_template_whose_writer_fails_stays_the_old_one() {
    for mode in MODES {
        let sandbox = tree();
        sandbox.write("templates/d.tmpl", "before");
        let dest = sandbox.path("templates/d.tmpl");
        sandbox.resource("a", "after", "check_cmd = 'exit 1'");
        let table = sandbox.read("conf.d/a.toml");
        let own = sandbox.path("out/a").display().to_string();
        sandbox.write("conf.d/a.toml", table.replace(&own, &dest.display().to_string()));
        resource(&sandbox, "b", "d.tmpl", "out/b");
        pass(&sandbox, mode);
        assert_eq!(sandbox.read("out/b"), "before", "{mode:?}");
    }
}

#[test]
fn two_resources_with_one_destination_write_it_one_after_the_other() {
    // The same path, and a different path to the same file.
    for (first, second) in
        [("out/app", "out/app"), ("out/app", "link/app"), ("./out//app", "out/app")]
    {
        for mode in MODES {
            let sandbox = tree();
            symlink("out", sandbox.path("link")).unwrap();
            for (name, dest) in [("a", first), ("b", second)] {
                sandbox.write(&format!("templates/{name}"), name);
                resource(&sandbox, name, name, dest);
            }
            for round in 0..2 {
                let ended = pass(&sandbox, mode);
                assert_eq!(sandbox.output(), "b", "{mode:?}");
                let lines = |dest: &str, differs: bool| {
                    let digest = format!("INFO {dest} has md5sum ");
                    let mut lines = vec![
                        format!("INFO Target config {dest} out of sync"),
                        format!("INFO Target config {dest} has been updated"),
                    ];
                    if differs {
                        lines.insert(0, digest);
                    }
                    lines
                };
                let expected = [lines(first, round > 0), lines(second, true)].concat();
                let about = |line: &String| line.contains("/app ") && line.starts_with("INFO ");
                let log: Vec<_> = ended.log().into_iter().filter(about).collect();
                assert_eq!(log.len(), expected.len(), "{mode:?} {round}: {}", ended.stderr);
                for (line, start) in log.iter().zip(&expected) {
                    assert!(line.starts_with(start), "{mode:?} {round}: {}", ended.stderr);
                }
            }
        }
    }
}

#[test]
fn a_template_sees_whether_an_earlier_resource_has_made_a_file() {
    for mode in MODES {
        for (name, template) in [
            ("b.tmpl", "{{if fileExists \"out/a\"}}yes{{else}}no{{end}}"),
            (
                "b.tmpl",
                "{{define \"look\"}}{{if fileExists \"out/a\"}}yes{{end}}{{end}}{{template \"look\"}}",
            ),
            ("b.tera", "{% if fileExists(path=\"out/a\") %}yes{% else %}no{% endif %}"),
            ("b.tera", "{% include \"look.tera\" %}"),
        ] {
            let sandbox = tree();
            sandbox
                .write("templates/look.tera", "{% if fileExists(path=\"out/a\") %}yes{% endif %}");
            sandbox.resource("a", "x", "");
            sandbox.write(&format!("templates/{name}"), template);
            resource(&sandbox, "b", name, "out/b");
            let ended = pass(&sandbox, mode);
            assert_eq!(sandbox.read("out/b"), "yes", "{mode:?} {template}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_template_does_not_see_the_file_of_a_later_resource() {
    for mode in MODES {
        let sandbox = tree();
        sandbox.resource("a", "{{if fileExists \"out/b\"}}yes{{else}}no{{end}}", "");
        sandbox.resource("b", "x", "");
        pass(&sandbox, mode);
        assert_eq!(sandbox.read("out/a"), "no", "{mode:?}");
    }
}

/// Runs with a private `/etc`, whose hosts file has the content from before the pass.
fn with_hosts(run: Run) -> Run {
    let script = "mkdir etc; cp hosts resolv.conf etc; mount --bind etc /etc; exec \"$@\"";
    run.unshared("-mn", script)
}

#[test]
fn a_lookup_sees_the_hosts_that_an_earlier_resource_has_written() {
    for mode in MODES {
        for (name, template) in [
            ("b.tmpl", "{{lookupIP \"web\"}}"),
            ("b.tmpl", "{{range lookupIPV4 \"web\"}}[{{.}}]{{end}}"),
            ("b.tera", "[{{ lookupIP(name=\"web\") | join(sep=\" \") }}]"),
        ] {
            // The host has a different address before, or none.
            for before in ["192.0.2.1 web\n", ""] {
                let sandbox = tree();
                sandbox.write("hosts", before);
                sandbox
                    .write("resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n");
                sandbox.write("templates/hosts", "192.0.2.2 web\n");
                resource(&sandbox, "a", "hosts", "/etc/hosts");
                sandbox.write(&format!("templates/{name}"), template);
                resource(&sandbox, "b", name, "out/b");
                let ended = pass_of(&sandbox, mode, with_hosts(run(&sandbox, mode)));
                assert_eq!(
                    sandbox.read("out/b"),
                    "[192.0.2.2]",
                    "{mode:?} {template}: {}",
                    ended.stderr
                );
            }
        }
    }
}

#[test]
fn a_check_sees_the_files_of_earlier_resources_and_not_those_of_later_ones() {
    for mode in MODES {
        let sandbox = tree();
        sandbox.resource("a", "x", "");
        sandbox.resource("b", "x", "check_cmd = 'ls out > seen'");
        sandbox.resource("c", "x", "");
        pass(&sandbox, mode);
        assert_eq!(sandbox.read("seen"), "a\n", "{mode:?}");
    }
}

#[test]
fn keys_are_read_once_for_all_at_the_start_of_a_pass() {
    for mode in MODES {
        let sandbox = tree();
        let file = ["-backend", "file", "-file", "data.yaml"];
        let again = |sandbox: &Sandbox| match mode {
            Mode::Onetime => sandbox.confd(&["-onetime"]).arguments(&file),
            Mode::Interval => sandbox.confd(&file),
        };
        sandbox.write("data.yaml", "v: 0");
        // One resource changes the store by its command, another by its destination.
        sandbox.resource("a", "x", "reload_cmd = 'echo v: 1 > data.yaml'");
        sandbox.resource("b", "{{getv \"/v\"}}", "");
        pass_of(&sandbox, mode, again(&sandbox));
        assert_eq!(sandbox.read("out/b"), "0", "{mode:?}");
        sandbox.write("templates/data", "v: 2");
        resource(&sandbox, "a", "data", "data.yaml");
        pass_of(&sandbox, mode, again(&sandbox));
        assert_eq!(sandbox.read("out/b"), "1", "{mode:?}");
        pass_of(&sandbox, mode, again(&sandbox));
        assert_eq!(sandbox.read("out/b"), "2", "{mode:?}");
    }
}

/// Whether and how a resource fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Plain,
    MissingKey,
    MissingFolder,
    MissingTemplate,
    BrokenTemplate,
    FailedCheck,
    FailedReload,
    Commands,
}

use Kind::*;

const KINDS: [Kind; 8] = [
    Plain,
    MissingKey,
    MissingFolder,
    MissingTemplate,
    BrokenTemplate,
    FailedCheck,
    FailedReload,
    Commands,
];

/// Adds the resource `resNN`. Each of its log lines contains its name or the exit status 100 + NN,
/// so the lines of different resources can be distinguished.
fn add(sandbox: &Sandbox, nth: usize, kind: Kind) {
    let name = format!("res{nth:02}");
    let status = 100 + nth;
    let (template, more) = match kind {
        Plain | MissingFolder | MissingTemplate => ("x", String::new()),
        MissingKey => ("{{getv \"/nokey\"}}", String::new()),
        BrokenTemplate => ("{{", String::new()),
        FailedCheck => ("x", format!("check_cmd = 'echo {name}; exit {status}'")),
        FailedReload => ("x", format!("reload_cmd = 'echo {name}; exit {status}'")),
        Commands => ("x", "check_cmd = 'true'\nreload_cmd = 'true'".into()),
    };
    sandbox.resource(&name, template, &more);
    if kind == MissingTemplate {
        fs::remove_file(sandbox.path(&format!("templates/{name}.tmpl"))).unwrap();
    }
    if kind == MissingFolder {
        let table = sandbox.read(&format!("conf.d/{name}.toml"));
        let table = table.replace("/out/", "/nowhere/");
        sandbox.write(&format!("conf.d/{name}.toml"), table);
    }
}

/// The resource of [`add`] that a line is about.
fn about(sandbox: &Sandbox, line: &str) -> Option<usize> {
    let line = line.replace(&sandbox.root().display().to_string(), "");
    let after = |text: &str| line.split_once(text).map(|(_, rest)| rest.to_owned());
    let digits = after("res").or_else(|| after("exit status 1"))?;
    digits.get(..2)?.parse().ok()
}

/// The lines about single resources, without the summary at the end.
fn reported(sandbox: &Sandbox, ended: &Ended) -> Vec<(usize, String)> {
    let sums_up = |line: &String| line.starts_with("FATAL") || line.contains("resources failed");
    let lines = ended.log().into_iter().filter(|line| !sums_up(line));
    lines.filter_map(|line| about(sandbox, &line).map(|nth| (nth, line))).collect()
}

#[test]
fn of_two_that_fail_the_first_is_logged_first_and_the_second_is_fatal() {
    let failing = |kind: &Kind| !matches!(kind, Plain | Commands);
    for first in KINDS.into_iter().filter(failing) {
        for second in KINDS.into_iter().filter(failing) {
            let sandbox = tree();
            add(&sandbox, 0, first);
            add(&sandbox, 1, second);
            let ended = sandbox.onetime().fails();
            let log = ended.log();
            let fatal = log.last().unwrap();
            assert!(fatal.starts_with("FATAL "), "{}", ended.stderr);
            assert_eq!(about(&sandbox, fatal), Some(1), "{first:?} {second:?}: {}", ended.stderr);
            let order: Vec<_> =
                reported(&sandbox, &ended).into_iter().map(|(nth, _)| nth).collect();
            assert!(order.is_sorted(), "{first:?} {second:?}: {}", ended.stderr);
            assert!(order.contains(&0) && order.contains(&1), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_missing_folder_is_not_the_last_error_if_a_later_key_is_missing() {
    let sandbox = Sandbox::new();
    add(&sandbox, 0, MissingFolder);
    add(&sandbox, 1, MissingKey);
    let log = sandbox.onetime().fails().log();
    let key = "template: res01.tmpl:1:2: executing \"res01.tmpl\" at <getv \"/nokey\">: error \
               calling getv: key does not exist: /nokey";
    let errors: Vec<_> = log.iter().filter(|line| line.starts_with("ERROR ")).collect();
    let open = format!("ERROR open {}/nowhere/.res00", sandbox.root().display());
    assert!(errors[0].starts_with(&open), "{log:#?}");
    assert_eq!((errors.len(), errors[1].as_str()), (2, format!("ERROR {key}").as_str()));
    assert_eq!(log.last(), Some(&format!("FATAL {key}")));
}

#[test]
fn the_lines_of_forty_resources_come_in_their_order() {
    for mode in MODES {
        // Different steps put different kinds of failures side by side.
        for step in [1, 3, 5] {
            let sandbox = tree();
            for nth in 0..40 {
                add(&sandbox, nth, KINDS[nth * step % KINDS.len()]);
            }
            let ended = pass(&sandbox, mode);
            let told = reported(&sandbox, &ended);
            let order: Vec<_> = told.iter().map(|(nth, _)| *nth).collect();
            assert!(order.is_sorted(), "{mode:?} {step}: {}", ended.stderr);
            let mut distinct = order.clone();
            distinct.dedup();
            assert_eq!(distinct, (0..40).collect::<Vec<_>>(), "{}", ended.stderr);
            if let Mode::Onetime = mode {
                let failed = told.iter().rfind(|(_, line)| line.starts_with("ERROR ")).unwrap().0;
                assert_eq!(about(&sandbox, ended.log().last().unwrap()), Some(failed));
            }
        }
    }
}

#[test]
fn the_lines_of_one_resource_come_together() {
    for mode in MODES {
        let sandbox = tree();
        for nth in 0..40 {
            add(&sandbox, nth, if nth % 3 == 0 { MissingKey } else { Plain });
        }
        let ended = pass(&sandbox, mode);
        for (nth, pair) in (0..40).filter(|nth| nth % 3 > 0).map(|nth| {
            let lines = reported(&sandbox, &ended).into_iter().filter(move |(of, _)| *of == nth);
            (nth, lines.map(|(_, line)| line).collect::<Vec<_>>())
        }) {
            let dest = sandbox.path(&format!("out/res{nth:02}")).display().to_string();
            let expected = [
                format!("INFO Target config {dest} out of sync"),
                format!("INFO Target config {dest} has been updated"),
            ];
            assert_eq!(pair, expected, "{mode:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn files_are_put_in_place_in_the_order_of_their_resources() {
    for mode in MODES {
        let sandbox = tree();
        for nth in 0..40 {
            add(&sandbox, nth, Plain);
        }
        pass(&sandbox, mode);
        let changed = (0..40).map(|nth| {
            let metadata = fs::metadata(sandbox.path(&format!("out/res{nth:02}"))).unwrap();
            (metadata.ctime(), metadata.ctime_nsec())
        });
        assert!(changed.is_sorted(), "{mode:?}");
    }
}
