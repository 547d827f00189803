//! Recursive deletions of which Consul does not raise the index of the listed prefix.
//!
//! Consul keeps a tombstone for each deletion: of a key, or of a whole prefix. If the deleted prefix is
//! shorter than the listed prefix, the tombstone does not count for the listing. If a key below the
//! listed prefix was deleted before, the index of the listing falls back to that deletion.

use source::testing::{BOUND, Follower, Known};

use super::{at, follow};
use crate::Consul;

/// Deletes a key and changes another key below `/two/k`, after which the newest pair hides the
/// tombstone.
fn leave_a_tombstone(server: &servers::Consul, top: &str) {
    server.delete(&format!("{top}/two/k3"));
    server.put(&format!("{top}/two/k0"), "2");
}

fn put_all(server: &servers::Consul, top: &str) {
    for folder in ["one", "two", "three"] {
        let keys: Vec<_> = (0..15).map(|nth| format!("{top}/{folder}/k{nth}")).collect();
        server.put_all(keys.iter().map(|key| (&**key, "1")));
    }
}

#[tokio::test]
async fn a_recursive_deletion_above_a_prefix_is_seen_after_a_deletion_below_it() {
    for is_known_before in [true, false] {
        let server = servers::Consul::start();
        put_all(&server, "top/app");
        if !is_known_before {
            leave_a_tombstone(&server, "top/app");
        }
        let source = Consul::new(at(&[&server.address()]));
        let mut follower = Follower::start_asking(source, &["/top/app/two"]);
        follower.wait("the first state", BOUND, |known| known.states > 0).await;
        if is_known_before {
            leave_a_tombstone(&server, "top/app");
        }
        let is_changed = |known: &Known| {
            let snapshot = known.snapshot.as_ref();
            snapshot.is_some_and(|all| all.get(b"/top/app/two/k0").is_some_and(|now| now == "2"))
        };
        follower.wait("the changed key", BOUND, is_changed).await;
        server.delete_all("top/");
        follower.sees(&[]).await;
        server.put("top/app/two/k3", "3");
        follower.sees(&["/top/app/two/k3=3"]).await;
        follower.has_no_errors();
    }
}

#[tokio::test]
async fn a_recursive_deletion_above_many_keys_is_seen_after_deletions_of_single_keys() {
    let server = servers::Consul::start();
    put_all(&server, "app");
    let folders = ["one", "two", "three"];
    let key = |folder: &&str| {
        let folder = (*folder).to_owned();
        (0..15).map(move |nth| format!("/app/{folder}/k{nth}"))
    };
    let keys: Vec<String> = folders.iter().flat_map(key).collect();
    let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut follower = Follower::start_asking(Consul::new(at(&[&server.address()])), &asked);
    follower.wait("the first state", BOUND, |known| known.states > 0).await;
    for key in &keys {
        if key.ends_with('3') {
            server.delete(&key[1..]);
        }
    }
    let is_deleted = |known: &Known| known.snapshot.as_ref().is_some_and(|all| all.len() == 39);
    follower.wait("the deleted keys", BOUND, is_deleted).await;
    server.delete_all("app/");
    follower.sees(&[]).await;
}

#[tokio::test]
async fn the_deletion_of_a_whole_store_is_seen() {
    let server = servers::Consul::start();
    put_all(&server, "app");
    let mut follower = follow(at(&[&server.address()])).await;
    leave_a_tombstone(&server, "app");
    let is_deleted = |known: &Known| known.snapshot.as_ref().is_some_and(|all| all.len() == 44);
    follower.wait("the deleted key", BOUND, is_deleted).await;
    server.delete_all("");
    follower.sees(&[]).await;
}
