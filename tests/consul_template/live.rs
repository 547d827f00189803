//! Cases with steps: the program runs on while its world changes.

use std::{fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    case::{Program, eventually},
    folder::Folder,
};

/// How much longer than recorded a step may take, on a busy machine.
const PATIENCE: u32 = 6;

/// Runs a case with its steps.
pub(crate) fn run(case: &Value) -> Result<(), String> {
    let folder = Folder::new(case);
    let mut program = None;
    for step in case["steps"].as_array().unwrap() {
        if let Some(wrong) = take(step, case, &folder, &mut program) {
            let stderr = program.map(|program| program.stderr.text()).unwrap_or_default();
            return Err(format!("{step}: {wrong}\n--- standard error:\n{stderr}"));
        }
    }
    Ok(())
}

/// Takes one step. The result says why it failed.
fn take(
    step: &Value,
    case: &Value,
    folder: &Folder,
    program: &mut Option<Program>,
) -> Option<String> {
    let text = |key: &str| folder.fill(step[key].as_str().unwrap_or_default());
    let path = || folder.path().join(text("path"));
    let within = Duration::from_secs_f64(step["within"].as_f64().unwrap_or(10.0)) * PATIENCE;
    match step["do"].as_str().unwrap() {
        "start" => *program = Some(Program::start(case, folder)),
        // Such a pause is a part of the case: nothing may happen in it.
        "pause" => servers::pause(Duration::from_millis(step["ms"].as_u64().unwrap())),
        "write" => fs::write(path(), text("content")).unwrap(),
        "remove" => fs::remove_file(path()).unwrap(),
        "signal" => {
            let program = program.as_ref()?;
            let signal = match &*text("name") {
                "HUP" | "SIGHUP" => Signal::HUP,
                "INT" | "SIGINT" => Signal::INT,
                "TERM" | "SIGTERM" => Signal::TERM,
                "USR1" | "SIGUSR1" => Signal::USR1,
                "USR2" | "SIGUSR2" => Signal::USR2,
                name => panic!("signal {name}"),
            };
            kill_process(Pid::from_raw(program.id().cast_signed())?, signal).unwrap();
        }
        "await" => {
            return eventually(within, || {
                let content = fs::read_to_string(path()).ok();
                let fits = match &content {
                    None => step["gone"] == true,
                    Some(content) => {
                        step["is"].as_str().is_none_or(|want| folder.fill(want) == *content)
                            && step["has"]
                                .as_str()
                                .is_none_or(|want| content.contains(&folder.fill(want)))
                            && step["lines"]
                                .as_u64()
                                .is_none_or(|want| content.lines().count() as u64 == want)
                            && step["gone"] != true
                    }
                };
                (!fits).then(|| format!("got {content:?}"))
            });
        }
        "look" => {
            servers::pause(Duration::from_millis(step["settle_ms"].as_u64().unwrap_or(0)));
            for (name, want) in step["want"].as_object().unwrap() {
                if name == "running" {
                    let running = program.as_mut().is_some_and(|program| program.ended().is_none());
                    if *want != running {
                        return Some(format!("running: {running}"));
                    }
                    continue;
                }
                let content = fs::read_to_string(folder.path().join(name)).ok();
                if want.as_str().map(|want| folder.fill(want)) != content {
                    return Some(format!("{name}: got {content:?}"));
                }
            }
        }
        other => panic!("unknown step {other}"),
    }
    None
}
