//! Runs real commands and checks the promises of the crate.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use super::*;

/// A test that waits for this long has failed.
const FOR_EVER: Duration = Duration::from_secs(60);

/// Ignores a notice.
fn ignore(_: Notice) {}

fn shell(text: &str) -> Command {
    Command::new(Program::Shell(text.into()))
}

/// Runs a test's body on a runtime like the program's.
fn on_runtime<T>(body: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(body)
}

/// Runs the text to its end; returns its output and its result.
fn run_now(text: &str) -> (String, Result<(), Error>) {
    let ended = on_runtime(shell(text).run(&ignore));
    (ended.output.to_string(), ended.result)
}

/// Runs the text with these limits; returns its output and its result.
fn run_within(text: &str, limit: Duration, grace: Duration) -> (String, Result<(), Error>) {
    let command = Command { grace, ..shell(text).limit(Some(limit)) };
    let ended = on_runtime(command.run(&ignore));
    (ended.output.to_string(), ended.result)
}

/// Waits until a condition holds, and fails if it does not within ten seconds.
fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    on_runtime(wait_until_async(what, condition));
}

/// [`wait_until`] for a test on a runtime, which continues meanwhile.
#[expect(clippy::disallowed_methods, reason = "looks at the condition again and again")]
async fn wait_until_async(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The number that a command printed on a line of its own.
fn number(printed: &str) -> String {
    printed.trim_matches('"').trim_end_matches("\\n").to_owned()
}

/// Whether the group has a living process. Zombies do not count.
fn lives(group: &str) -> bool {
    let found = std::process::Command::new("pgrep")
        .args(["-r", "R,S,D,T", "-g", group.trim()])
        .output()
        .expect("procps (pgrep) is installed");
    !found.stdout.is_empty()
}

#[test]
fn both_outputs_of_a_success_are_kept_in_order() {
    let (printed, result) = run_now("echo out; echo err >&2");
    result.expect("success");
    assert_eq!(printed, r#""out\nerr\n""#);
}

#[test]
fn a_failure_says_how_the_command_ended() {
    for (text, error) in [
        ("echo out; exit 7", "exit status 7"),
        ("echo out; kill -9 $$", "signal: killed"),
        ("echo out; kill -TERM $$", "signal: terminated"),
        ("echo out; kill -34 $$", "signal: signal 34"),
        ("echo out; exec /nonexistent/x 2>/dev/null", "exit status 127"),
    ] {
        let (printed, result) = run_now(text);
        assert_eq!(result.expect_err("failure").to_string(), error);
        assert_eq!(printed, r#""out\n""#, "{text}");
    }
}

#[test]
fn arguments_reach_a_program_without_a_shell() {
    let argv = ["printf", "%s|", "a b", "$HOME", "*"].map(OsString::from);
    let command = Command::new(Program::Argv(argv.into()));
    assert_eq!(command.program().to_string(), "printf '%s|' 'a b' '$HOME' '*'");
    let ended = on_runtime(command.run(&ignore));
    ended.result.expect("success");
    assert_eq!(ended.output.to_string(), r#""a b|$HOME|*|""#);
}

#[test]
fn a_program_that_is_missing_is_reported_as_in_go() {
    for (argv, error) in [
        (vec!["/nonexistent/x".into()], "fork/exec /nonexistent/x: no such file or directory"),
        (vec![], "fork/exec : no such file or directory"),
    ] {
        let ended = on_runtime(Command::new(Program::Argv(argv)).run(&ignore));
        assert_eq!(ended.result.expect_err("no program").to_string(), error);
    }
}

#[test]
fn variables_are_added_to_the_environment() {
    let command = shell("echo $ADDED; test -n \"$PATH\"").env("ADDED", "yes");
    let ended = on_runtime(command.run(&ignore));
    ended.result.expect("success");
    assert_eq!(ended.output.to_string(), r#""yes\n""#);
}

#[test]
fn a_core_dump_is_mentioned() {
    let error = Error::Signal { number: 6, core_dumped: true };
    assert_eq!(error.to_string(), "signal: aborted (core dumped)");
}

#[test]
fn the_input_is_empty_and_the_group_is_its_own() {
    let (printed, result) =
        run_now("cat; ps -o pgid= -p $$ | grep -qw $$ && readlink /proc/self/fd/0");
    result.expect("a group of its own");
    assert_eq!(printed, r#""/dev/null\n""#);
}

#[test]
fn a_background_child_is_not_waited_for() {
    for redirected in ["", ">/dev/null 2>&1"] {
        let started = Instant::now();
        let (printed, result) = run_now(&format!("sleep 60 {redirected} & echo $!"));
        result.expect("success");
        assert!(started.elapsed() < FOR_EVER);
        let alive = std::process::Command::new("kill").args(["-TERM", &number(&printed)]).status();
        assert!(alive.expect("kill").success(), "the child lives on");
    }
}

#[test]
fn a_background_child_may_go_on_printing() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().display();
    // The child waits for the command's end, writes more than a pipe holds, and reports that it
    // survived.
    let text = format!(
        "(until test -e {dir}/go; do sleep 0.01; done; \
          head -c 300000 /dev/zero && touch {dir}/survived) & echo started"
    );
    on_runtime(async {
        let ended = shell(&text).run(&ignore).await;
        ended.result.expect("success");
        assert_eq!(ended.output.to_string(), r#""started\n""#);
        fs::write(folder.path().join("go"), "").expect("write");
        let survived = folder.path().join("survived");
        wait_until_async("the child has printed", || survived.exists()).await;
    });
}

#[test]
fn a_background_child_that_never_stops_printing_does_not_hold_us() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    run_now(&format!("yes & echo $! > {}", pid.display())).1.expect("success");
    let pid = fs::read_to_string(pid).expect("read").trim().to_owned();
    // The child dies of SIGPIPE, because the runtime that read its output has ended.
    wait_until("it is gone", || {
        !Path::new(&format!("/proc/{pid}")).exists()
            || fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| stat.contains(") Z "))
    });
}

#[test]
fn much_output_neither_blocks_nor_fills_the_memory() {
    let (printed, result) = run_now("echo begin; head -c 3000000 /dev/zero; echo end; exit 1");
    result.expect_err("failure");
    assert!(printed.starts_with(r#""begin\n\x00"#), "{}", &printed[..30]);
    assert!(printed.ends_with(r#"\x00end\n""#));
    assert!(printed.contains(&format!("{} bytes left out", 3_000_010 - 64 * 1024)));
}

#[test]
fn a_command_within_its_limit_is_left_alone() {
    let (printed, result) = run_within("echo fine", FOR_EVER, FOR_EVER);
    result.expect("success");
    assert_eq!(printed, r#""fine\n""#);
}

#[test]
fn a_command_past_its_limit_is_asked_to_end() {
    let text = "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    let (printed, result) = run_within(text, Duration::from_secs(1), FOR_EVER);
    let error = result.expect_err("stopped").to_string();
    assert_eq!(error, "timed out after 1s");
    // In between, the shell may report that its `sleep` was terminated.
    assert!(printed.starts_with(r#""up\n"#) && printed.ends_with(r#"asked\n""#), "{printed}");
}

#[test]
fn a_command_that_does_not_end_when_asked_is_killed_with_all_it_started() {
    let text = "trap '' TERM; echo $$; sleep 1000 & sleep 1000";
    let (printed, result) = run_within(text, Duration::from_secs(1), Duration::from_millis(50));
    assert!(matches!(result, Err(Error::TimedOut { .. })));
    let group = number(&printed);
    assert!(!group.is_empty());
    wait_until("the group is gone", || !lives(&group));
}

#[test]
fn a_child_that_ignores_sigterm_is_killed_although_the_shell_has_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let up = folder.path().join("up").display().to_string();
    let text = format!("echo $$; (trap '' TERM; touch {up}; while :; do sleep 0.01; done) & wait");
    let (printed, result) = run_within(&text, Duration::from_secs(1), Duration::from_millis(100));
    assert!(matches!(result, Err(Error::TimedOut { .. })));
    assert!(Path::new(&up).exists());
    let group = number(&printed);
    wait_until("the group is gone", || !lives(&group));
}

#[test]
fn a_child_that_has_left_the_group_is_not_waited_for() {
    let started = Instant::now();
    let text = "setsid sleep 60 & echo $!; exec sleep 1000";
    let (printed, result) = run_within(text, Duration::from_secs(1), FOR_EVER);
    assert!(matches!(result, Err(Error::TimedOut { .. })));
    assert!(started.elapsed() < FOR_EVER);
    let alive = std::process::Command::new("kill").arg(number(&printed)).status();
    assert!(alive.expect("kill").success(), "it lives on");
}

/// With a paused clock, Tokio goes to the next timer as soon as there is nothing else to do.
#[tokio::test(start_paused = true)]
async fn a_slow_command_is_reported_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let go = folder.path().join("go");
    let text = format!("until test -e {}; do sleep 0.01; done", go.display());
    let told = Mutex::new(Vec::new());
    let notify = |notice| {
        told.lock().expect("no panic").push(notice);
        fs::write(&go, "").expect("write");
    };
    shell(&text).run(&notify).await.result.expect("success");
    assert_eq!(told.into_inner().expect("no panic"), [Notice::StillRunning { after: SLOW }]);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_command_is_reported_when_stopping_begins() {
    let longer = SLOW + Duration::from_secs(5);
    for (limit, notices) in [
        (SLOW, vec![Notice::Stopping { limit: SLOW }]),
        (longer, vec![Notice::StillRunning { after: SLOW }, Notice::Stopping { limit: longer }]),
    ] {
        let told = Mutex::new(Vec::new());
        let notify = |notice| told.lock().expect("no panic").push(notice);
        let command = shell("sleep 1000").limit(Some(limit));
        let begun = tokio::time::Instant::now();
        let error = command.run(&notify).await.result.expect_err("stopped");
        assert!(matches!(error, Error::TimedOut { limit: named } if named == limit));
        assert!(begun.elapsed() >= limit);
        assert_eq!(told.into_inner().expect("no panic"), notices);
    }
}

#[test]
fn a_running_command_can_be_signalled_and_waited_for() {
    on_runtime(async {
        // Not HUP: a shell that is started under nohup cannot trap it.
        let text = "trap 'echo again' USR1; trap 'exit 3' TERM; echo up; \
                    while :; do sleep 0.01; done";
        let mut running = shell(text).start().expect("started");
        let mut output = Output::default();
        for (signal, ending) in [(Signal::USR1, r#"up\n""#), (Signal::TERM, r#"again\n""#)] {
            let deadline = Instant::now() + FOR_EVER;
            // A wait that is dropped loses nothing.
            while !output.to_string().ends_with(ending) {
                assert!(Instant::now() < deadline, "waited in vain for {ending}: {output}");
                let wait = running.wait(&mut output);
                assert!(tokio::time::timeout(Duration::from_millis(5), wait).await.is_err());
            }
            running.signal(signal);
        }
        let status = running.wait(&mut output).await.expect("ended");
        assert_eq!(status.code(), Some(3));
        running.leave(&mut output);
    });
}

#[test]
fn a_dropped_command_is_killed_with_all_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    let text = format!("echo $$ > {}; sleep 1000 & sleep 1000", pid.display());
    let command = shell(&text);
    on_runtime(async {
        let written = || fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n'));
        tokio::select! {
            _ = command.run(&ignore) => panic!("it does not end"),
            () = wait_until_async("it runs", written) => {}
        }
    });
    let group = fs::read_to_string(&pid).expect("read");
    wait_until("the group is gone", || !lives(&group));
}
