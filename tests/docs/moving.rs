//! The guide for moving from Go confd: its commands are run and its messages provoked.

use rustix::process::Signal;

use super::{
    document,
    stores::{has, messages},
};
use crate::support::{Daemon, Ended, Run, Sandbox, needs_root};

const GUIDE: &str = "docs/move-from-confd.md";

/// A typical tree in `etc/confd`. Each of its resources causes a message of the guide.
fn tree() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "etc/confd/confd.toml",
        "backend = \"file\"\nfile = [\"data.yaml\"]\nconfdir = \"/elsewhere\"\nlog_level = \"debug\"\n",
    );
    sandbox.write("data.yaml", "app: { port: 80 }\n");
    for (name, template, more) in [
        ("plain", "{{getv \"/app/port\"}}\n", ""),
        ("lookup", "{{getv \"/app/port\"}}{{lookupIP \"none.invalid\"}}\n", ""),
        ("named", "x\n", "owner = \"no-such-user\""),
        ("mode", "x\n", "mode = \"644\""),
        ("reload", "x\n", "reload_cmd = \"exit 1\""),
        ("crypt", "{{cgetv \"/app/port\"}}\n", ""),
        ("engine", "x\n", "engine = \"jinja\""),
        ("foreign", "x\n", "uid = 12345"),
    ] {
        let dest = sandbox.path(&format!("etc/app/{name}.conf"));
        sandbox.write(&format!("etc/confd/templates/{name}.tmpl"), template);
        sandbox.write(
            &format!("etc/confd/conf.d/{name}.toml"),
            format!(
                "[template]\nsrc = \"{name}.tmpl\"\ndest = \"{}\"\nkeys = [\"/app\"]\n{more}\n",
                dest.display()
            ),
        );
    }
    std::fs::create_dir(sandbox.path("etc/app")).unwrap();
    sandbox
}

/// The commands of the guide below a heading.
fn commands(heading: &str) -> Vec<String> {
    let text = document(GUIDE);
    let section = text.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// Runs commands of the guide. The usual folders in them are replaced by those of the sandbox, and
/// both versions of confd by the binary under test.
#[track_caller]
fn run(sandbox: &Sandbox, commands: &str) -> Ended {
    let confd = env!("CARGO_BIN_EXE_confd");
    let folder = sandbox.root().display();
    // The replacements expect a line end before a command, also before the first one.
    let script = format!("\n{commands}")
        .replace("/usr/local/bin/confd-0.16", confd)
        .replace("/usr/local/bin/confd", confd)
        .replace("\nconfd ", &format!("\n{confd} "))
        .replace(
            "-onetime -noop",
            "-onetime -noop -config-file etc/confd/confd.toml -confdir etc/confd",
        )
        .replace("-backend etcdv3 -node http://127.0.0.1:2379", "-backend file -file data.yaml")
        .replace("/etc/confd", &format!("{folder}/etc/confd"))
        .replace("find / ", &format!("find {folder} "));
    let temporary = sandbox.path("tmp").display().to_string();
    Run::new("bash", sandbox.root()).arguments(&["-c", &script]).env("TMPDIR", &temporary).run()
}

#[test]
fn the_guides_trial_changes_nothing_and_reports_each_file() {
    let sandbox = tree();
    sandbox.write("etc/app/plain.conf", "old");
    let commands = commands("Side by side");
    let ended = run(&sandbox, &commands[0]);
    let plain = sandbox.path("etc/app/plain.conf");
    ended.expect(&format!("WARNING Noop mode enabled. {} will not be modified", plain.display()));
    assert!(has(&ended.stderr, "plain.conf has md5sum … should be …"), "{}", ended.stderr);
    assert_eq!(sandbox.list("etc/app"), ["plain.conf"]);
    assert_eq!(sandbox.read("etc/app/plain.conf"), "old");
}

#[test]
fn the_guides_comparison_makes_all_files_elsewhere_and_finds_differences() {
    needs_root();
    let sandbox = tree();
    std::fs::create_dir(sandbox.path("tmp")).unwrap();
    // A tree whose folder and whose files are links, as those of git, stow and Puppet.
    std::fs::rename(sandbox.path("etc/confd"), sandbox.path("linked")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("linked"), sandbox.path("etc/confd")).unwrap();
    let plain = sandbox.path("linked/conf.d/plain.toml");
    std::fs::rename(&plain, sandbox.path("plain.toml")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("plain.toml"), &plain).unwrap();
    let quoted = sandbox.read("plain.toml").replace("keys", "# was \"/old/plain.conf\"\nkeys");
    let quoted = quoted.replacen(".conf\"\n", ".conf\"  # not \"/no/such/thing\"\n", 1);
    sandbox.write("plain.toml", &quoted);
    let commands = &commands("Side by side")[1];
    let before = sandbox.read("linked/confd.toml");
    // The second run finds nothing of the first one.
    for _ in 0..2 {
        let ended = run(&sandbox, commands);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stdout.trim(), "the files are the same", "{}", ended.stderr);
        assert_eq!(sandbox.list("tmp"), [""; 0], "the copies have passwords");
    }
    assert_eq!(sandbox.list("etc/app"), [""; 0]);
    assert_eq!((sandbox.read("linked/confd.toml"), sandbox.read("plain.toml")), (before, quoted));

    // A different version, which makes a different file, and shows which files there are.
    let other = format!(
        "#!/bin/sh\n{} \"$@\"\nlist=$PWD/list; cd tmp/*/new/files || exit\nfind . > $list\n\
         echo more >> .$OLDPWD/etc/app/plain.conf\n",
        env!("CARGO_BIN_EXE_confd")
    );
    sandbox.write("other", other);
    let commands = commands.replace("new=/usr/local/bin/confd\n", "new=./other\n");
    let ended = run(&sandbox, &format!("chmod +x other\n{commands}"));
    assert!(ended.stdout.contains("> more"), "{ended:?}");
    assert!(!ended.stdout.contains("the files are the same"), "{ended:?}");
    let list = sandbox.read("list");
    let made: std::collections::BTreeSet<_> =
        list.lines().filter(|path| path.ends_with(".conf")).collect();
    let expected = ["foreign", "lookup", "mode", "plain", "reload"]
        .map(|name| format!(".{}/etc/app/{name}.conf", sandbox.root().display()));
    assert_eq!(made, expected.iter().map(String::as_str).collect(), "{}", ended.stderr);
    assert!(!list.contains("/such") && !list.contains("/old"), "{list}");
}

#[test]
fn the_guides_comparison_changes_nothing_if_the_tree_cannot_be_copied() {
    let sandbox = tree();
    std::fs::create_dir(sandbox.path("tmp")).unwrap();
    std::fs::remove_dir_all(sandbox.path("etc/confd")).unwrap();
    let ended = run(&sandbox, &commands("Side by side")[1]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!((ended.stdout.as_str(), sandbox.list("tmp")), ("", vec![]));
}

#[test]
fn the_guides_search_before_rolling_back_finds_pending_reloads() {
    let sandbox = tree();
    let arguments = ["-onetime", "-config-file", "etc/confd/confd.toml", "-confdir", "etc/confd"];
    sandbox.bare(&arguments).fails();
    // A destination outside of `etc`.
    let moved = sandbox.read("etc/confd/conf.d/reload.toml").replace("/etc/app/", "/srv/");
    sandbox.write("etc/confd/conf.d/moved.toml", moved);
    std::fs::create_dir(sandbox.path("srv")).unwrap();
    sandbox.bare(&arguments).fails();
    let found = run(&sandbox, commands("Rolling back")[0].trim());
    let markers = ["etc/app", "srv"].map(|folder| {
        sandbox.path(folder).join(".reload.conf.reload-pending").display().to_string()
    });
    let mut found_markers: Vec<_> = found.stdout.lines().collect();
    found_markers.sort_unstable();
    assert_eq!(found_markers, markers, "{}", found.stderr);
}

#[test]
fn the_messages_of_the_guide_are_logged_as_it_says() {
    let sandbox = tree();
    let usual = ["-onetime", "-config-file", "etc/confd/confd.toml", "-confdir", "etc/confd"];
    let env = ["-onetime", "-config-file", "none", "-backend", "env", "-confdir", "etc/confd"];
    let mut logs = vec![
        sandbox.bare(&usual).unprivileged().fails().stderr,
        sandbox.bare(&usual).fails().stderr,
        sandbox.bare(&usual).fails().stderr,
        sandbox.bare(&usual).arguments(&["-client-cert", "x", "-backend", "etcdv3"]).fails().stderr,
        sandbox.bare(&["-onetime", "-config-file", "none", "-backend", "rancher"]).fails().stderr,
        sandbox.bare(&["-secret-keyring", "x"]).run().stderr,
    ];
    let resource = "etc/confd/conf.d/plain.toml";
    logs.push(sandbox.bare(&env).arguments(&["-config-file", resource]).fails().stderr);
    let twice = sandbox.write("etc/confd/conf.d/twice.toml", sandbox.read(resource));
    logs.push(sandbox.bare(&usual).fails().stderr);
    std::fs::remove_file(twice).unwrap();
    let etcd = ["-onetime", "-config-file", "none", "-confdir", "etc/confd"];
    logs.push(sandbox.bare(&etcd).fails().stderr);
    let running = sandbox.bare(&env[1..]).arguments(&["-interval", "0"]);
    let running = Daemon::start(running, sandbox.path("log"));
    running.wait_for("INFO Starting confd");
    logs.push(running.stop(Signal::TERM).stderr);

    let messages = messages(GUIDE);
    assert!(messages.len() > 15, "{messages:?}");
    for message in messages {
        assert!(logs.iter().any(|log| has(log, &message)), "{message}: {logs:#?}");
    }
}

#[test]
fn the_guides_lead_to_every_part_of_the_list_of_differences() {
    let guide = document(GUIDE) + &document("docs/move-from-fork.md");
    for heading in document("COMPATIBILITY.md").lines().filter_map(|line| line.strip_prefix("## "))
    {
        let anchor = heading.to_lowercase().replace(' ', "-");
        assert!(guide.contains(&format!("COMPATIBILITY.md#{anchor})")), "{heading}");
    }
}
