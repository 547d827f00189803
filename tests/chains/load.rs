//! Requests, one at a time or many at the same time. None of them may be lost.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::kept::Kept;
use crate::support::{eventually, pause};

/// The number of clients that send requests at the same time.
const CLIENTS: usize = 4;

/// The complete body of an answer with status 200. Everything else is an error.
pub(super) fn get(address: &str) -> Result<String, String> {
    let attempt = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = attempt().map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("cut: {answer:?}"))?;
    let length = head
        .to_lowercase()
        .split_once("content-length: ")
        .and_then(|(_, rest)| rest.split("\r\n").next()?.parse::<usize>().ok());
    match head.starts_with("HTTP/1.1 200 ") && length == Some(body.len()) {
        true => Ok(body.trim_end().to_owned()),
        false => Err(answer),
    }
}

/// Clients that send requests all the time.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Tally>>,
}

/// The results of the requests.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The number of answers of each service.
    pub(super) answers: BTreeMap<String, usize>,
    /// The number of requests on a connection that had carried a request before.
    pub(super) kept: usize,
    /// The errors in place of answers.
    pub(super) lost: Vec<String>,
}

impl Load {
    /// Starts sending requests, each on a new connection.
    pub(super) fn on(address: &str) -> Self {
        Self::start(address, 0)
    }

    /// Starts sending requests. Half of the clients keep their connections.
    pub(super) fn with_kept_connections(address: &str) -> Self {
        Self::start(address, CLIENTS / 2)
    }

    /// Starts all clients. So many of them keep their connections.
    fn start(address: &str, keeping: usize) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..CLIENTS).map(|client| {
            let mut kept = (client < keeping).then(|| Kept::new(address));
            let (address, stop, count) =
                (address.to_owned(), Arc::clone(&stop), Arc::clone(&answers));
            thread::spawn(move || {
                let mut tally = Tally::default();
                while !stop.load(Ordering::Relaxed) {
                    let answer = match &mut kept {
                        Some(kept) => kept.get(),
                        None => get(&address),
                    };
                    match answer {
                        Ok(name) => *tally.answers.entry(name).or_default() += 1,
                        Err(instead) => tally.lost.push(instead),
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                    // A pause, because other tests run on the machine at the same time.
                    pause(Duration::from_millis(1));
                }
                tally.kept = kept.map_or(0, |kept| kept.reused());
                tally
            })
        });
        let clients = clients.collect();
        Self { stop, answers, clients }
    }

    /// Waits until this number of further requests was made, answered or not.
    #[track_caller]
    pub(super) fn goes_on(&self, requests: usize) {
        let goal = self.answers.load(Ordering::Relaxed) + requests;
        eventually("requests are answered", || self.answers.load(Ordering::Relaxed) >= goal);
    }

    /// Stops sending requests.
    pub(super) fn end(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut whole = Tally::default();
        for client in self.clients {
            let tally = client.join().unwrap();
            whole.lost.extend(tally.lost);
            whole.kept += tally.kept;
            for (name, count) in tally.answers {
                *whole.answers.entry(name).or_default() += count;
            }
        }
        whole
    }
}

impl Tally {
    /// The number of requests.
    pub(super) fn requests(&self) -> usize {
        self.answers.values().sum::<usize>() + self.lost.len()
    }

    /// Expects that every request was answered.
    #[track_caller]
    pub(super) fn lost_nothing(&self) {
        let lost = self.lost.len();
        assert_eq!(lost, 0, "of {} requests: {:#?}", self.requests(), &self.lost[..lost.min(5)]);
    }
}
