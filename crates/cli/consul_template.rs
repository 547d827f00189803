//! The edge of the program consul-template: its name, its streams, its signals and its exit code.
//!
//! Nothing here is done unless the program is called by that name, so that confd starts as fast as
//! without it.

use std::{
    cell::RefCell,
    ffi::{OsStr, OsString},
    io::{self, Write},
    iter::Peekable,
    path::Path,
    rc::Rc,
    sync::Arc,
    thread,
};

use consul_template::Edge;
use signal_hook::{
    consts::{
        SIGABRT, SIGALRM, SIGBUS, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTERM,
        SIGTRAP, SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
    },
    iterator::Signals,
};
use tokio::sync::mpsc;

use crate::{Exit, setup::Mode};

/// The name of the program.
const NAME: &str = "consul-template";

/// The exit code if the program cannot start.
const CANNOT_START: u8 = 14;

/// The signals that the program receives: those that it acts on, and those that it passes on to its
/// child. Signals of the terminal's job control keep their effect.
const RECEIVED: [i32; 17] = [
    SIGABRT, SIGALRM, SIGBUS, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTERM, SIGTRAP,
    SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
];

/// The words of consul-template's command line, if the process was started as consul-template: by
/// the name of its file, or as `confd consul-template`.
pub(crate) fn is_named(
    program: &OsStr,
    words: &mut Peekable<impl Iterator<Item = OsString>>,
) -> Option<Vec<OsString>> {
    let by_file = Path::new(program).file_name() == Some(OsStr::new(NAME));
    if !by_file && words.peek().is_none_or(|word| word != NAME) {
        return None;
    }
    Some(words.by_ref().skip(usize::from(!by_file)).collect())
}

/// Runs consul-template with the words of its command line.
pub(crate) fn run(words: Vec<OsString>) -> Exit {
    let started = receive().and_then(|signals| {
        let runtime = crate::runtime(Mode::Watch).map_err(io::Error::other)?;
        Ok((signals, runtime))
    });
    let (signals, runtime) = match started {
        Ok(started) => started,
        Err(error) => {
            crate::print(&mut io::stderr(), &format!("cannot start: {error}\n"));
            return Exit::Code(CANNOT_START);
        }
    };
    let code = runtime.block_on(consul_template::run(Edge {
        words,
        environment: environment(),
        host: Arc::new(world::System::new()),
        stdout: Rc::new(RefCell::new(Box::new(io::stdout()))),
        stderr: || Box::new(io::stderr()) as Box<dyn Write + Send>,
        signals,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }));
    runtime.shutdown_background();
    Exit::Code(code)
}

/// The variables of the process.
#[expect(clippy::disallowed_methods, reason = "cli reads the environment")]
fn environment() -> Rc<[(OsString, OsString)]> {
    std::env::vars_os().collect()
}

/// Receives signals on a thread of its own.
fn receive() -> io::Result<mpsc::UnboundedReceiver<i32>> {
    let mut signals = Signals::new(RECEIVED)?;
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            // An error means that the runtime has ended, and the process ends soon.
            let _ = sender.send(signal);
        }
    })?;
    Ok(receiver)
}
