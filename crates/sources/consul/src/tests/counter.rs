//! A counter that changes a key during every fault.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use servers::http::exchange;

/// The number of changes after the end is requested.
const FEW: u32 = 5;

/// Counts in the key `app/a` on its own thread, at any node that answers.
pub(super) struct Counter {
    thread: JoinHandle<u64>,
    ends: Arc<AtomicBool>,
}

impl Counter {
    /// Starts to count at these nodes (`127.0.0.1:PORT`).
    pub(super) fn start(nodes: &[String]) -> Self {
        let (nodes, ends) = (nodes.to_vec(), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&ends);
        Counter { thread: thread::spawn(move || count(&nodes, &told)), ends }
    }

    /// Makes a few more changes and ends. Returns the final value of the key, in the form in which
    /// a follower shows it.
    pub(super) fn last(self) -> String {
        self.ends.store(true, Ordering::SeqCst);
        format!("/app/a={}", self.thread.join().unwrap())
    }
}

fn count(nodes: &[String], ends: &AtomicBool) -> u64 {
    let (mut number, mut node, mut left) = (0, 0, FEW);
    while left > 0 {
        if ends.load(Ordering::SeqCst) {
            left -= 1;
        }
        number += 1;
        while !set(&nodes[node % nodes.len()], number).unwrap_or(false) {
            node += 1;
            servers::pause(Duration::from_millis(20));
        }
        servers::pause(Duration::from_millis(10));
    }
    number
}

/// The key in Consul's form.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    value: String,
    modify_index: u64,
}

/// Sets the key, unless it has the number already. The write is conditional on the index, so that a
/// late request of a failed try changes nothing.
fn set(node: &str, number: u64) -> io::Result<bool> {
    let found = exchange(node, "GET /v1/kv/app/a?consistent=", &[], b"")?;
    let index = match found.status {
        200 => {
            let [entry] = serde_json::from_slice::<[Entry; 1]>(&found.body)?;
            if entry.value == STANDARD.encode(number.to_string()) {
                return Ok(true);
            }
            entry.modify_index
        }
        404 => 0,
        _ => return Ok(false),
    };
    let request = format!("PUT /v1/kv/app/a?cas={index}");
    let answer = exchange(node, &request, &[], number.to_string().as_bytes())?;
    Ok(answer.status == 200 && answer.text().trim() == "true")
}
