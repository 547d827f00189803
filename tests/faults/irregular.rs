//! Pipes, devices and huge files where confd expects files.

use std::{fs::File, process::Command};

use rustix::process::Signal;

use super::says;
use crate::support::{Daemon, Sandbox, eventually};

fn make_pipe(sandbox: &Sandbox, name: &str) {
    let made = Command::new("mkfifo").arg(sandbox.path(name)).status();
    assert!(made.unwrap().success());
}

#[test]
fn a_pipe_as_resource_file_or_template_fails_only_its_resource() {
    let sandbox = Sandbox::new();
    sandbox.resource("later", "made", "");
    make_pipe(&sandbox, "conf.d/bad.toml");
    let ended = sandbox.onetime().fails();
    says(&ended, &["bad.toml", "not a regular file, but a named pipe"]);
    assert_eq!(sandbox.read("out/later"), "made");

    let sandbox = Sandbox::new();
    sandbox.resource("later", "made", "");
    sandbox.resource("app", "", "");
    std::fs::remove_file(sandbox.path("templates/app.tmpl")).unwrap();
    make_pipe(&sandbox, "templates/app.tmpl");
    let ended = sandbox.onetime().fails();
    says(&ended, &["app.tmpl", "not a regular file, but a named pipe"]);
    assert_eq!(sandbox.read("out/later"), "made");
}

#[test]
fn a_device_as_template_or_data_file_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "", "");
    std::fs::remove_file(sandbox.path("templates/app.tmpl")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", sandbox.path("templates/app.tmpl")).unwrap();
    says(&sandbox.onetime().fails(), &["app.tmpl", "not a regular file, but a device"]);

    let sandbox = Sandbox::rendering("x");
    let run = sandbox.confd(&["-onetime", "-backend", "file", "-file", "/dev/zero"]);
    says(&run.fails(), &["/dev/zero", "not a regular file, but a device"]);
}

#[test]
fn a_pipe_as_data_file_is_an_error_in_each_mode() {
    let sandbox = Sandbox::rendering("x");
    make_pipe(&sandbox, "data.yaml");
    let error = "data.yaml: not a regular file, but a named pipe";
    let run =
        |mode: &[&str]| sandbox.confd(&["-backend", "file", "-file", "data.yaml"]).arguments(mode);
    says(&run(&["-onetime"]).fails(), &[error]);
    for mode in [&["-watch"][..], &["-interval", "1"]] {
        let daemon = Daemon::start(run(mode), sandbox.path("log"));
        daemon.wait_for(error);
    }
}

#[test]
fn a_configuration_that_comes_through_a_pipe_is_read_once_and_stays_at_a_hangup() {
    let sandbox = Sandbox::rendering("{{getv \"/app\"}}");
    sandbox.write("data.yaml", "app: 1\n");
    make_pipe(&sandbox, "pipe");
    let run = sandbox.bare(&["-config-file", "pipe", "-confdir", ".", "-watch"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    sandbox.write("pipe", "backend = 'file'\nfile = ['data.yaml']\n");
    eventually("the first pass", || sandbox.output() == "1");
    daemon.signal(Signal::HUP);
    daemon.wait_for("ERROR open pipe: not a regular file, but a named pipe");
    daemon.wait_for("WARNING the configuration in use stays");
    sandbox.write("data.yaml", "app: 2\n");
    eventually("the change arrives", || sandbox.output() == "2");
}

#[test]
fn null_is_an_empty_template_and_an_empty_data_file() {
    let sandbox = Sandbox::rendering("x");
    sandbox.confd(&["-onetime", "-backend", "file", "-file", "/dev/null"]).ok();
    assert_eq!(sandbox.output(), "x");
    std::fs::remove_file(sandbox.path("templates/app.tmpl")).unwrap();
    std::os::unix::fs::symlink("/dev/null", sandbox.path("templates/app.tmpl")).unwrap();
    sandbox.onetime().ok();
    assert_eq!(sandbox.output(), "");
}

#[test]
fn a_huge_destination_is_replaced_without_being_read() {
    let sandbox = Sandbox::rendering("small");
    sandbox.write("out/app", "");
    File::options().write(true).open(sandbox.path("out/app")).unwrap().set_len(300 << 30).unwrap();
    let ended = sandbox.onetime().ok();
    let dest = sandbox.path("out/app");
    ended.expect(&format!("INFO {} has 322122547200 bytes should be 5 bytes", dest.display()));
    assert_eq!(sandbox.output(), "small");
}
