//! A counter that changes a key during every fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp, TxnOpResponse};
use source::testing::pause;
use tokio::runtime::Builder;
use tokio::time::timeout;

/// The key of the counter.
const KEY: &str = "/app/a";

/// The timeout of a request, after which the next node is asked.
const SOON: Duration = Duration::from_millis(500);

/// The number of changes after the end is requested.
const FEW: u32 = 5;

/// Counts in `/app/a` on its own thread, at any node that answers.
pub(super) struct Counter {
    thread: JoinHandle<u64>,
    ends: Arc<AtomicBool>,
}

impl Counter {
    /// Starts to count at these nodes.
    pub(super) fn start(nodes: &[String]) -> Self {
        let (nodes, ends) = (nodes.to_vec(), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&ends);
        let count = move || {
            Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(count(&nodes, &told))
        };
        Counter { thread: thread::spawn(count), ends }
    }

    /// Makes a few more changes and ends. Returns the final value of `/app/a`, as `key=value`.
    pub(super) fn last(self) -> String {
        self.ends.store(true, Ordering::SeqCst);
        format!("{KEY}={}", self.thread.join().unwrap())
    }
}

async fn count(nodes: &[String], ends: &AtomicBool) -> u64 {
    let (mut number, mut revision, mut node) = (0, None, 0);
    let mut left = FEW;
    while left > 0 {
        if ends.load(Ordering::SeqCst) {
            left -= 1;
        }
        number += 1;
        let mut written = false;
        while !written {
            let attempt = timeout(SOON, set(&nodes[node % nodes.len()], number, revision)).await;
            match attempt {
                Ok(Ok(State { is_set, at })) => (written, revision) = (is_set, Some(at)),
                Ok(Err(_)) | Err(_) => {
                    node += 1;
                    pause(Duration::from_millis(20)).await;
                }
            }
        }
        pause(Duration::from_millis(5)).await;
    }
    number
}

/// The state of the key.
struct State {
    /// Whether its value is the number.
    is_set: bool,
    /// The revision of its last change; 0 if it does not exist.
    at: i64,
}

/// Sets the key if `revision` is the revision of its last change, so that a late request of a
/// failed try changes nothing. Otherwise only reads the key.
async fn set(node: &str, number: u64, revision: Option<i64>) -> Result<State, etcd_client::Error> {
    let mut client = Client::connect([node], None).await?;
    let unchanged = Compare::mod_revision(KEY, CompareOp::Equal, revision.unwrap_or(-1));
    let txn = Txn::new()
        .when([unchanged])
        .and_then([TxnOp::put(KEY, number.to_string(), None)])
        .or_else([TxnOp::get(KEY, None)]);
    let answer = client.txn(txn).await?;
    if answer.succeeded() {
        let at = answer.header().map_or(0, |header| header.revision());
        return Ok(State { is_set: true, at });
    }
    let found = match answer.op_responses().pop() {
        Some(TxnOpResponse::Get(mut found)) => found.take_kvs().pop(),
        _ => None,
    };
    Ok(State {
        is_set: found.as_ref().is_some_and(|pair| pair.value() == number.to_string().as_bytes()),
        at: found.map_or(0, |pair| pair.mod_revision()),
    })
}
