//! Cases with steps: the program runs on while its world changes.

use std::{fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    case::{Program, eventually, printed, wrong_code},
    folder::Folder,
    world::World,
};

/// How much longer than recorded a step may take, on a busy machine.
const PATIENCE: u32 = 6;

/// A case while its steps are taken.
struct Live<'a> {
    case: &'a Value,
    folder: Folder,
    world: Option<World>,
    program: Option<Program>,
}

/// Runs a case with its steps, beside a Consul of its own.
pub(crate) fn run(case: &Value, world: Option<World>) -> Result<(), String> {
    let folder = Folder::new(case, world.as_ref());
    let mut live = Live { case, folder, world, program: None };
    let mut steps = case["steps"].as_array().unwrap().iter();
    let wrong = steps.find_map(|step| Some(format!("{step}: {}", live.take(step)?)));
    let wrong = wrong.or_else(|| live.wrong_end());
    let Some(wrong) = wrong else { return Ok(()) };
    let stderr = live.program.map(|program| program.stderr.text()).unwrap_or_default();
    Err(format!("{wrong}\n--- standard error:\n{stderr}"))
}

impl Live<'_> {
    /// Why the program did not end, or does not run on, as expected.
    fn wrong_end(&mut self) -> Option<String> {
        let program = self.program.as_mut()?;
        let expect = &self.case["expect"];
        let wrong = match (&expect["exit"], program.ended()) {
            (Value::Null, None) => None,
            (Value::Null, Some(status)) => Some(format!("ended: {status}")),
            (_, None) => Some("still running".to_owned()),
            (code, Some(status)) => wrong_code(code, status),
        };
        // The threads that read the pipes may be late.
        let printed =
            || printed(expect, &self.folder, &program.stdout.text(), &program.stderr.text());
        wrong.or_else(|| eventually(Duration::from_secs(2), printed))
    }

    /// Takes one step. The result says why it failed.
    fn take(&mut self, step: &Value) -> Option<String> {
        let Live { case, folder, world, program } = self;
        let text = |key: &str| folder.fill(step[key].as_str().unwrap_or_default());
        let path = || folder.path().join(text("path"));
        let milliseconds = |key: &str| Duration::from_millis(step[key].as_u64().unwrap_or(0));
        let within = Duration::from_secs_f64(step["within"].as_f64().unwrap_or(10.0)) * PATIENCE;
        let action = step["do"].as_str().unwrap();
        match action {
            "start" => *program = Some(Program::start(case, folder)),
            // Such a pause is a part of the case: nothing may happen in it.
            "pause" => servers::pause(milliseconds("ms")),
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
                    (!fits(step, content.as_deref(), folder)).then(|| format!("got {content:?}"))
                });
            }
            "await_stderr" => {
                let program = program.as_ref()?;
                return eventually(within, || {
                    let is_there = program.stderr.text().contains(&text("has"));
                    (!is_there).then(|| "it is not there".to_owned())
                });
            }
            "await_exit" => {
                let program = program.as_mut()?;
                return eventually(within, || {
                    program.ended().is_none().then(|| "still running".to_owned())
                });
            }
            "look" => {
                servers::pause(milliseconds("settle_ms"));
                for (name, want) in step["want"].as_object().unwrap() {
                    if name == "running" {
                        let running =
                            program.as_mut().is_some_and(|program| program.ended().is_none());
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
            _ => world.as_mut().unwrap().take(action, step),
        }
        None
    }
}

/// Whether the content of a file, `None` without a file, is the one that a step awaits.
fn fits(step: &Value, content: Option<&str>, folder: &Folder) -> bool {
    let Some(content) = content else { return step["gone"] == true };
    let is = step["is"].as_str().is_none_or(|want| folder.fill(want) == content);
    let has = step["has"].as_str().is_none_or(|want| content.contains(&folder.fill(want)));
    let lines = step["lines"].as_u64().is_none_or(|want| content.lines().count() as u64 == want);
    is && has && lines && step["gone"] != true
}
