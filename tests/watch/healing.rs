//! Watch mode restores destinations that another program has changed.
//!
//! Unless a test sets it, `-reconcile` keeps its default of ten minutes. So a destination that is
//! restored within the time limit of a test was noticed by following the file.

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{becomes, data, watching};
use crate::support::{Daemon, Ended, Run, Sandbox, eventually, needs_root, throughout, within};

/// The time for which a file must stay as it is.
const A_WHILE: Duration = Duration::from_secs(3);

/// A reload that adds a line to `reloads`.
const COUNTED: &str = "mode = '0644'\nreload_cmd = 'echo >> reloads'";

/// The number of reloads.
fn reloads(sandbox: &Sandbox) -> usize {
    sandbox.read("reloads").lines().count()
}

/// A change that another program makes to a destination: its name, and how it is made.
type Spoil = (&'static str, fn(&Path));

/// Only the last change needs privileges.
const SPOILS: &[Spoil] = &[
    ("written", |path| fs::write(path, "edited").unwrap()),
    ("renamed over", |path| {
        let other = path.with_file_name("other");
        fs::write(&other, "edited").unwrap();
        fs::rename(other, path).unwrap();
    }),
    ("removed", |path| fs::remove_file(path).unwrap()),
    ("renamed away", |path| fs::rename(path, path.with_file_name("away")).unwrap()),
    ("truncated", |path| {
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap()
    }),
    ("appended to", |path| {
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
    }),
    ("changed without another length", |path| {
        fs::OpenOptions::new().write(true).open(path).unwrap().write_all(b"Q").unwrap();
    }),
    ("closed to others", |path| fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap()),
    ("replaced by a link", |path| {
        let (link, target) = (path.with_file_name("link"), path.with_file_name("target"));
        fs::write(&target, "edited").unwrap();
        symlink("target", &link).unwrap();
        fs::rename(link, path).unwrap();
    }),
    ("given to somebody else", |path| chown(path, Some(1000), Some(1000)).unwrap()),
];

/// Whether the destination of `app` has its content and mode.
fn is_true(sandbox: &Sandbox, content: &str) -> bool {
    let metadata = fs::symlink_metadata(sandbox.path("out/app"));
    metadata.is_ok_and(|metadata| {
        let owner = rustix::process::geteuid().as_raw();
        metadata.is_file() && metadata.mode() & 0o7777 == 0o644 && metadata.uid() == owner
    }) && sandbox.output() == content
}

#[test]
fn a_destination_is_restored_after_any_change() {
    needs_root();
    for backend in ["file", "env"] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "{{getv \"/v\"}}", COUNTED);
        data(&sandbox, "v: value");
        let run = match backend {
            "file" => sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]),
            _ => sandbox.confd(&["-watch", "-backend", "env"]).env("V", "value"),
        };
        let daemon = Daemon::start(run, sandbox.path("log"));
        eventually("the first reload", || reloads(&sandbox) == 1);
        for (nth, (what, spoil)) in SPOILS.iter().enumerate() {
            spoil(&sandbox.path("out/app"));
            eventually(&format!("the file that was {what} is healed"), || {
                is_true(&sandbox, "value")
            });
            // The file was replaced, so its service must be reloaded.
            eventually("it is reloaded", || reloads(&sandbox) == nth + 2);
        }
        assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
        assert_eq!(reloads(&sandbox), SPOILS.len() + 1, "one reload for each");
    }
}

#[test]
fn a_destination_is_healed_within_a_second() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "0");
    // The best of five, because other processes may use the machine for a while.
    let took = (0..5).map(|_| {
        let begun = Instant::now();
        sandbox.write("out/app", "edited");
        becomes(&sandbox, "out/app", "0");
        begun.elapsed()
    });
    let best = took.min().unwrap();
    assert!(best < Duration::from_secs(1), "after {best:?}");
    daemon.stop(Signal::TERM);
}

#[test]
fn a_destination_whose_folder_is_replaced_is_made_again() {
    let sandbox = Sandbox::new();
    let (outer, inner) = (sandbox.path("out/outer"), sandbox.path("out/outer/inner"));
    fs::create_dir_all(&inner).unwrap();
    sandbox.resource("outer/inner/app", "{{getv \"/v\"}}", "");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    let file = "out/outer/inner/app";
    becomes(&sandbox, file, "0");
    // The folder of the file, and that folder's own folder.
    fs::remove_dir_all(&inner).unwrap();
    fs::create_dir(&inner).unwrap();
    becomes(&sandbox, file, "0");
    fs::rename(&outer, sandbox.path("out/away")).unwrap();
    fs::create_dir_all(&inner).unwrap();
    becomes(&sandbox, file, "0");
    // A folder that has another file in it.
    fs::rename(&outer, sandbox.path("out/away2")).unwrap();
    fs::write(sandbox.path("out/away/inner/app"), "edited").unwrap();
    fs::rename(sandbox.path("out/away"), &outer).unwrap();
    becomes(&sandbox, file, "0");
    // The new folder is followed like the one before.
    sandbox.write(file, "edited");
    becomes(&sandbox, file, "0");
    daemon.stop(Signal::TERM);
}

#[test]
fn a_destination_behind_a_link_that_is_swapped_is_made_there() {
    let sandbox = Sandbox::new();
    for folder in ["one", "two"] {
        fs::create_dir(sandbox.path(folder)).unwrap();
    }
    symlink("../one", sandbox.path("out/current")).unwrap();
    sandbox.resource("current/app", "{{getv \"/v\"}}", "");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "one/app", "0");
    symlink("../two", sandbox.path("out/next")).unwrap();
    fs::rename(sandbox.path("out/next"), sandbox.path("out/current")).unwrap();
    becomes(&sandbox, "two/app", "0");
    sandbox.write("two/app", "edited");
    becomes(&sandbox, "two/app", "0");
    daemon.stop(Signal::TERM);
}

#[test]
fn only_the_file_that_was_spoiled_is_replaced() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/v\"}}", "");
    sandbox.resource("other", "{{getv \"/v\"}}", COUNTED);
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "0");
    eventually("the other's reload", || reloads(&sandbox) == 1);
    let inode = || fs::metadata(sandbox.path("out/other")).unwrap().ino();
    let before = inode();
    for _ in 0..10 {
        sandbox.write("out/app", "edited");
        becomes(&sandbox, "out/app", "0");
    }
    daemon.stop(Signal::TERM);
    assert_eq!((inode(), reloads(&sandbox)), (before, 1));
}

#[test]
fn a_destination_that_is_changed_right_after_the_commit_is_healed() {
    let sandbox = Sandbox::new();
    // Each file is restored less often than would make confd delay the next restoration.
    let names: Vec<String> = (0..40).map(|nth| format!("app{nth}")).collect();
    for name in &names {
        sandbox.resource(name, "{{getv \"/v\"}}", "mode = '0644'");
    }
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    let files: Vec<_> = names.iter().map(|name| sandbox.path(&format!("out/{name}"))).collect();
    let is_true = |path: &Path| {
        fs::read(path).is_ok_and(|content| content == b"0")
            && fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o777 == 0o644)
    };
    let spoils: [fn(&Path); 4] = [
        |path| fs::write(path, "edited").unwrap(),
        // The length stays the same, and most likely the tick of the file system's clock too.
        |path| fs::OpenOptions::new().write(true).open(path).unwrap().write_all(b"Q").unwrap(),
        |path| fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ];
    for file in &files {
        for spoil in spoils {
            // Without a pause, so that confd has no time to examine the file that it has put in
            // place.
            let deadline = Instant::now() + Duration::from_secs(30);
            while !is_true(file) {
                assert!(Instant::now() < deadline, "{} is not healed", file.display());
                std::hint::spin_loop();
            }
            spoil(file);
        }
        eventually("the last one is healed", || is_true(file));
    }
    daemon.stop(Signal::TERM);
}

#[test]
fn a_destination_that_is_written_with_the_same_content_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/v\"}}", COUNTED);
    sandbox.resource("mark", "{{getv \"/v\"}}", "");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    eventually("the first reload", || reloads(&sandbox) == 1);
    let inode = || fs::metadata(sandbox.path("out/app")).unwrap().ino();
    let before = inode();
    for _ in 0..10 {
        let file = fs::OpenOptions::new().write(true).open(sandbox.path("out/app")).unwrap();
        (&file).write_all(b"0").unwrap();
        drop(file);
        // When this file is restored, the write has been examined.
        sandbox.write("out/mark", "edited");
        becomes(&sandbox, "out/mark", "0");
    }
    daemon.stop(Signal::TERM);
    assert_eq!((inode(), reloads(&sandbox)), (before, 1));
}

#[test]
fn a_file_that_cannot_be_put_in_place_is_healed_as_soon_as_it_can() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/v\"}}", "check_cmd = 'test ! -e forbidden'");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "0");
    sandbox.write("forbidden", "");
    sandbox.write("out/app", "edited");
    daemon.wait_for("Config check failed: exit status 1");
    assert_eq!(sandbox.output(), "edited");
    fs::remove_file(sandbox.path("forbidden")).unwrap();
    becomes(&sandbox, "out/app", "0");
    daemon.stop(Signal::TERM);
}

#[test]
fn noop_heals_nothing_and_sync_only_heals_without_commands() {
    for (flag, healed) in [("-noop", false), ("-sync-only", true)] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "{{getv \"/v\"}}", COUNTED);
        sandbox.write("out/app", "before");
        data(&sandbox, "v: 0");
        let daemon = watching(&sandbox, &[flag, "-reconcile", "500ms"]);
        daemon.wait_for(if healed { "has been updated" } else { "will not be modified" });
        sandbox.write("out/app", "edited");
        if healed {
            becomes(&sandbox, "out/app", "0");
        } else {
            throughout(A_WHILE, "the file stays", || sandbox.output() == "edited");
        }
        daemon.stop(Signal::TERM);
        assert_eq!(reloads(&sandbox), 0);
    }
}

#[test]
fn a_resource_that_does_not_heal_leaves_its_file_alone_until_the_data_change() {
    for more in [&[][..], &["-reconcile", "300ms"]] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "{{getv \"/v\"}}", &format!("{COUNTED}\nheal = false"));
        sandbox.resource("healed", "{{getv \"/v\"}}", "heal = true");
        data(&sandbox, "v: 0");
        let daemon = watching(&sandbox, more);
        eventually("the first reload", || reloads(&sandbox) == 1);
        becomes(&sandbox, "out/healed", "0");
        sandbox.write("out/app", "edited by hand");
        fs::set_permissions(sandbox.path("out/app"), Permissions::from_mode(0o600)).unwrap();
        sandbox.write("out/healed", "edited by hand");
        becomes(&sandbox, "out/healed", "0");
        throughout(A_WHILE, "the file stays", || {
            sandbox.output() == "edited by hand" && sandbox.mode("out/app") == 0o600
        });
        // A hangup does not count as a change of the data either.
        daemon.signal(Signal::HUP);
        sandbox.write("templates/healed.tmpl", "new {{getv \"/v\"}}");
        becomes(&sandbox, "out/healed", "new 0");
        daemon.signal(Signal::HUP);
        throughout(A_WHILE, "the file stays", || sandbox.output() == "edited by hand");
        // What the resource asks for is another file.
        let table = sandbox.read("conf.d/app.toml").replace("'0644'", "'0640'");
        sandbox.write("conf.d/app.toml", table.clone());
        eventually("the new mode", || sandbox.mode("out/app") == 0o640 && sandbox.output() == "0");
        eventually("its reload", || reloads(&sandbox) == 2);
        sandbox.write("conf.d/app.toml", table.replace("'0640'", "'0644'"));
        eventually("the old mode", || is_true(&sandbox, "0"));
        sandbox.write("out/app", "edited by hand");
        data(&sandbox, "v: 1");
        eventually("the file is made of the new data", || is_true(&sandbox, "1"));
        eventually("its reload", || reloads(&sandbox) == 4);
        let ended = daemon.stop(Signal::TERM);
        ended.expect_no("WARNING").expect_no("ERROR");
    }
}

#[test]
fn heal_must_be_a_boolean() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", "heal = 'maybe'");
    let last = sandbox.onetime().fails().log().pop().unwrap();
    let path = sandbox.path("conf.d/app.toml").display().to_string();
    let start = format!("FATAL Cannot process template resource {path} - toml: line 5");
    assert!(last.starts_with(&start), "{last}");
    for value in ["true", "false"] {
        sandbox.resource("app", value, &format!("heal = {value}"));
        sandbox.onetime().ok().expect_no("WARNING");
        assert_eq!(sandbox.output(), value);
    }
}

#[test]
fn a_folder_that_cannot_be_watched_does_not_stop_the_healing_of_others() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("out/closed")).unwrap();
    sandbox.resource("app", "{{getv \"/v\"}}", "");
    sandbox.write(
        "conf.d/closed.toml",
        sandbox.read("conf.d/app.toml").replace("out/", "out/closed/"),
    );
    data(&sandbox, "v: 0");
    // Files can be created there, but the folder cannot be listed or watched.
    fs::set_permissions(sandbox.path("out/closed"), Permissions::from_mode(0o333)).unwrap();
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run.unprivileged(), sandbox.path("log"));
    becomes(&sandbox, "out/app", "0");
    daemon.wait_for("cannot watch");
    sandbox.write("out/app", "edited");
    becomes(&sandbox, "out/app", "0");
    daemon.stop(Signal::TERM);
}

/// confd in watch mode with keys that never change, where no folder can be watched.
fn without_inotify(sandbox: &Sandbox) -> Daemon {
    let script = "echo 0 > /proc/sys/user/max_inotify_watches; exec \"$@\"";
    let run: Run = sandbox.confd(&["-watch", "-backend", "env", "-reconcile", "3s"]);
    Daemon::start(run.env("V", "value").unshared("-Ur", script), sandbox.path("log"))
}

/// The time within which a reconcile every three seconds must restore a file, on a busy machine.
const RECONCILED: Duration = Duration::from_secs(10);

#[test]
fn where_folders_cannot_be_watched_a_reconcile_heals_destinations() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/v\"}}", COUNTED);
    let daemon = without_inotify(&sandbox);
    eventually("the first reload", || reloads(&sandbox) == 1);
    let spoils = SPOILS.iter().filter(|(what, _)| *what != "given to somebody else");
    for (nth, (what, spoil)) in spoils.enumerate() {
        spoil(&sandbox.path("out/app"));
        let what = format!("the file that was {what} is healed");
        within(RECONCILED, &what, || is_true(&sandbox, "value"));
        eventually("it is reloaded", || reloads(&sandbox) == nth + 2);
    }
    daemon.stop(Signal::TERM);
}

#[test]
fn where_folders_cannot_be_watched_a_reconcile_loads_templates_and_resources() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/v\"}}", "");
    sandbox.resource("tera", "{% include \"part.tera\" %}", "engine = 'tera'");
    sandbox.write("templates/part.tera", "part");
    let daemon = without_inotify(&sandbox);
    becomes(&sandbox, "out/app", "value");
    becomes(&sandbox, "out/tera", "part");
    sandbox.write("templates/app.tmpl", "new {{getv \"/v\"}}");
    within(RECONCILED, "the new template", || sandbox.output() == "new value");
    sandbox.write("templates/part.tera", "new part");
    within(RECONCILED, "the new part", || sandbox.read("out/tera") == "new part");
    sandbox.resource("more", "more", "");
    within(RECONCILED, "the new resource", || sandbox.read("out/more") == "more");
    let table = sandbox.read("conf.d/more.toml");
    sandbox.write("conf.d/more.toml", table.replace("out/more", "out/moved"));
    within(RECONCILED, "the changed resource", || sandbox.read("out/moved") == "more");
    fs::remove_file(sandbox.path("conf.d/more.toml")).unwrap();
    daemon.wait_for("conf.d/more.toml is gone");
    daemon.stop(Signal::TERM);
}

/// The processor time used by a process.
fn processor_time(daemon: &Daemon) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// The limit of replacements in `duration`: ten each second.
fn bounded(duration: Duration) -> usize {
    duration.as_secs() as usize * 10
}

/// The warnings in the log that name the destination `app`.
fn reported(daemon: &Daemon, sandbox: &Sandbox) -> usize {
    let dest = sandbox.path("out/app").display().to_string();
    let log = daemon.stderr();
    log.lines().filter(|line| line.contains("]: WARNING ") && line.contains(&dest)).count()
}

#[test]
fn a_destination_that_another_program_keeps_writing_is_reported_and_restored_at_a_limited_rate() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/v\"}}", COUNTED);
    sandbox.resource("other", "{{getv \"/v\"}}", "");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    eventually("the first reload", || reloads(&sandbox) == 1);
    let script = "while test -e out && ! test -e over; do echo theirs > out/app; sleep 0.001; done";
    let other = Run::new("sh", sandbox.root()).arguments(&["-c", script]).spawn();
    let (begun, used, before) = (Instant::now(), processor_time(&daemon), reloads(&sandbox));
    let window = Duration::from_secs(5);
    throughout(window, "confd does not spin", || reloads(&sandbox) - before <= bounded(window));
    let (took, used) = (begun.elapsed(), processor_time(&daemon) - used);
    assert!(used < took / 2, "{used:?} of {took:?} were used");
    eventually("it is told", || reported(&daemon, &sandbox) > 0);
    // Other resources are processed as usual.
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/other", "1");
    sandbox.write("out/other", "edited");
    becomes(&sandbox, "out/other", "1");
    // One warning for each delay: at least half of 1, 2 and 4 s. And one after the pass for the
    // data.
    assert!(reported(&daemon, &sandbox) <= 5, "{}", daemon.stderr());
    sandbox.write("over", "");
    Ended::wait(other);
    eventually("the file is healed", || is_true(&sandbox, "1"));
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_resource_that_fails_is_not_woken_without_end_by_files() {
    // What another program does to the destination; and what the resource does to itself.
    let failing = "mode = '0644'\nreload_cmd = 'echo >> reloads; false'";
    let touching = "mode = '0644'\ncheck_cmd = 'echo >> reloads; touch templates/app.tmpl; false'";
    for (more, script) in [
        (
            failing,
            "while test -e out && ! test -e over; do echo theirs > out/app; sleep 0.01; done",
        ),
        (touching, "true"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("out/app", "before");
        sandbox.resource("app", "{{getv \"/v\"}}", more);
        data(&sandbox, "v: 0");
        let daemon = watching(&sandbox, &[]);
        eventually("the first failure", || reloads(&sandbox) > 0);
        let other = Run::new("sh", sandbox.root()).arguments(&["-c", script]).spawn();
        let window = Duration::from_secs(5);
        throughout(window, "confd does not spin", || reloads(&sandbox) < 20);
        sandbox.write("over", "");
        Ended::wait(other);
        // A change of the data does not wait for that.
        let before = reloads(&sandbox);
        data(&sandbox, "v: 1");
        within(Duration::from_secs(3), "the new data", || reloads(&sandbox) > before);
        daemon.stop(Signal::TERM);
    }
}

#[test]
fn a_destination_that_its_own_reload_changes_is_reported_and_restored_at_a_limited_rate() {
    for change in ["echo more >> out/app", "chmod 0600 out/app", "rm -f out/app"] {
        let sandbox = Sandbox::new();
        let keys = format!("mode = '0644'\nreload_cmd = 'echo >> reloads; {change}'");
        sandbox.resource("app", "{{getv \"/v\"}}", &keys);
        data(&sandbox, "v: 0");
        let daemon = watching(&sandbox, &[]);
        eventually("the first reload", || reloads(&sandbox) > 0);
        let window = Duration::from_secs(4);
        throughout(window, change, || reloads(&sandbox) <= bounded(window));
        eventually("it is told", || reported(&daemon, &sandbox) > 0);
        // Once for each delay. The delays are at least half of 1, 2 and 4 s.
        assert!(reported(&daemon, &sandbox) <= 4, "{}", daemon.stderr());
        assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    }
}

#[test]
fn a_template_with_a_new_result_each_time_is_not_rendered_again_for_its_own_file() {
    for (name, template) in [("app.tmpl", "{{datetime}}"), ("app.tera", "{{ datetime() }}")] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "", COUNTED);
        let table = sandbox.read("conf.d/app.toml").replace("app.tmpl", name);
        sandbox.write("conf.d/app.toml", table);
        sandbox.write(&format!("templates/{name}"), template);
        data(&sandbox, "v: 0");
        let daemon = watching(&sandbox, &[]);
        // The first events of the folders can come during the first pass, and cause a second.
        eventually("the first reload", || reloads(&sandbox) > 0);
        throughout(A_WHILE, "its own writing wakes it not", || reloads(&sandbox) <= 2);
        let before = reloads(&sandbox);
        fs::remove_file(sandbox.path("out/app")).unwrap();
        eventually("the file is made again", || reloads(&sandbox) > before);
        daemon.stop(Signal::TERM);
    }
}
