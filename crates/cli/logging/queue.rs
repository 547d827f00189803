//! Writes the log of a daemon without ever waiting for its reader.
//!
//! A pipe that is not read is full after some lines, and the next write waits. In a daemon a thread
//! writes the lines, so that only this thread waits. Lines that find no room in the queue are
//! dropped and counted. A onetime run writes its lines directly, because none may be missing.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    os::fd::AsFd as _,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use tracing::warn;

/// The most bytes that wait to be written.
const ROOM: usize = 1 << 20;

/// The stack of the thread, in bytes.
const STACK: usize = 256 * 1024;

/// The queue of this process. Without one, lines are written directly.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// Starts the thread that writes the log from now on. If it cannot be started, lines are written
/// directly.
pub(crate) fn write_in_background() {
    let queue = Arc::new(Queue::default());
    let started = || -> io::Result<()> {
        // A descriptor of its own: other writers to standard error do not wait for a lock.
        let mut stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let queue = Arc::clone(&queue);
        let thread = thread::Builder::new().name("log".into()).stack_size(STACK);
        thread.spawn(move || {
            loop {
                let (line, dropped) = queue.take();
                // As without the thread: an error cannot be reported anywhere.
                let _ = stderr.write_all(&line);
                queue.has_written();
                if dropped > 0 {
                    warn!("{dropped} lines of the log were dropped: standard error was not read");
                }
            }
        })?;
        Ok(())
    };
    if started().is_ok() {
        // Another queue cannot exist yet.
        let _ = QUEUE.set(queue);
    }
}

/// Waits until all lines are written, but not longer than `limit`.
pub(crate) fn flush(limit: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.wait_until_empty(limit);
    }
}

/// A writer of the log. Each write is one or more complete lines.
pub(super) struct Lines;

impl Write for Lines {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        match QUEUE.get() {
            Some(queue) => queue.add(lines),
            None => io::stderr().write_all(lines)?,
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that wait to be written.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// The bytes of `lines`.
    bytes: usize,
    /// The number of writes that found no room since the last line was taken.
    dropped: u64,
    /// Whether a line was taken and is not yet written.
    is_writing: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.bytes + line.len() > ROOM {
            state.dropped += 1;
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_vec());
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for a line and takes it. Also returns how many lines were dropped since the last call,
    /// when there is room again.
    fn take(&self) -> (Vec<u8>, u64) {
        let mut state = self.lock();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len();
                state.is_writing = true;
                let has_room = state.bytes <= ROOM / 2;
                let dropped = if has_room { std::mem::take(&mut state.dropped) } else { 0 };
                return (line, dropped);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn has_written(&self) {
        self.lock().is_writing = false;
        self.changed.notify_all();
    }

    fn wait_until_empty(&self, limit: Duration) {
        let is_busy = |state: &mut State| state.is_writing || !state.lines.is_empty();
        // At the end of the time the rest of the lines is lost.
        let _ = self.changed.wait_timeout_while(self.lock(), limit, is_busy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_room_are_dropped_and_counted_when_there_is_room_again() {
        let queue = Queue::default();
        let line = vec![b'x'; ROOM / 4];
        for _ in 0..7 {
            queue.add(&line);
        }
        let dropped: Vec<u64> = (0..4).map(|_| queue.take().1).collect();
        assert_eq!(dropped, [0, 3, 0, 0]);
        queue.add(b"next");
        assert_eq!(queue.take(), (b"next".to_vec(), 0));
    }

    #[test]
    fn a_flush_ends_when_all_is_written_or_the_time_is_over() {
        let queue = Queue::default();
        queue.wait_until_empty(Duration::from_secs(3600));
        queue.add(b"a");
        queue.wait_until_empty(Duration::from_millis(1));
        queue.take();
        queue.wait_until_empty(Duration::from_millis(1));
        queue.has_written();
        queue.wait_until_empty(Duration::from_secs(3600));
    }
}
