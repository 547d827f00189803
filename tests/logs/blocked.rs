//! A standard error that is not read.

use std::io::Write as _;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Ended, Sandbox, eventually};

#[test]
fn a_standard_error_that_is_not_read_stops_no_daemon() {
    for mode in [&["-watch"][..], &["-interval", "1"]] {
        let sandbox = Sandbox::rendering("{{getv \"/app\"}}");
        sandbox.write("data.yaml", "app: 1\n");
        let (reader, mut writer) = std::io::pipe().unwrap();
        // The pipe is full: a pipe holds 64 KiB.
        writer.write_all(&[b'\n'; 64 * 1024]).unwrap();
        let run = sandbox.confd(&["-backend", "file", "-file", "data.yaml"]).arguments(mode);
        let running = run.with(|command| _ = command.stderr(writer)).spawn();
        let is = |content: &str| {
            let path = sandbox.path("out/app");
            std::fs::read_to_string(path).is_ok_and(|written| written == content)
        };
        eventually("the first file is made", || is("1"));
        sandbox.write("data.yaml", "app: 2\n");
        eventually("the change is applied", || is("2"));
        kill_process(Pid::from_child(&running), Signal::TERM).unwrap();
        assert_eq!(Ended::wait(running).code, Some(0));
        drop(reader);
    }
}
