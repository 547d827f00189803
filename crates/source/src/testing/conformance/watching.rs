//! The promises of sources that can be followed.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use super::{Fixture, store};
use crate::testing::{interest, pause};
use crate::{Update, Watch};

/// The longest time until a change is seen, on a busy machine.
pub(super) const SOON: Duration = Duration::from_secs(10);

/// A watch that has returned its first state.
pub(super) async fn following<F: Fixture>(store: &F, scopes: &[&[&str]]) -> Box<dyn Watch> {
    let mut watch = store.source().watch(&interest(scopes)).await.unwrap().unwrap();
    let first = next(&mut watch).await;
    assert_eq!(first.changed, None);
    assert_eq!(first.answers.len(), scopes.len());
    watch
}

/// Returns the next state, and repeats the call after an error.
pub(super) async fn next(watch: &mut Box<dyn Watch>) -> Update {
    let asking = async {
        loop {
            match watch.next().await {
                Ok(update) => return update,
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
            pause(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, asking).await.expect("a change is seen soon")
}

pub(super) fn changed(update: &Update) -> Vec<&[u8]> {
    update.changed.as_ref().unwrap().iter().map(Bytes::as_ref).collect()
}

/// The value of a key in the answer to the first scope.
pub(super) fn value(update: &Update, key: &str) -> Option<String> {
    value_in(update, 0, key)
}

/// The value of a key in the answer to the scope with this number.
pub(super) fn value_in(update: &Update, number: usize, key: &str) -> Option<String> {
    let value = update.answers[number].as_ref().unwrap().get(key.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Asks for states until a key has this value.
pub(super) async fn until(watch: &mut Box<dyn Watch>, key: &str, expected: &str) {
    let start = Instant::now();
    while value(&next(watch).await, key).as_deref() != Some(expected) {
        assert!(start.elapsed() < SOON, "{key} is not {expected}");
    }
}

/// The first state is what is there.
pub async fn the_first_state_is_what_is_there<F: Fixture>() {
    let store: F = store(&[("/app/a", "1"), ("/b", "2")]).await;
    let interest = interest(&[&["/app"]]);
    let mut watch = store.source().watch(&interest).await.unwrap().unwrap();
    let first = next(&mut watch).await;
    assert_eq!(first.changed, None);
    assert_eq!(value(&first, "/app/a").as_deref(), Some("1"));
}

/// A change gives the next state and its key.
pub async fn a_change_gives_the_next_state_and_its_key<F: Fixture>() {
    let mut store: F = store(&[("/app/a", "1"), ("/app/b", "2")]).await;
    let mut watch = following(&store, &[&["/app"]]).await;
    assert!(watch.next().now_or_never().is_none());
    store.set("/app/a", b"3").await;
    let update = next(&mut watch).await;
    assert_eq!(changed(&update), [b"/app/a"]);
    assert_eq!(value(&update, "/app/a").as_deref(), Some("3"));
    assert_eq!(value(&update, "/app/b").as_deref(), Some("2"));
}

/// Nothing is lost between two states.
pub async fn nothing_is_lost_between_two_states<F: Fixture>() {
    let mut store: F = store(&[("/app/a", "1")]).await;
    let mut watch = following(&store, &[&["/app"]]).await;
    // These changes happen while no call waits.
    store.set("/app/a", b"2").await;
    store.set("/app/b", b"3").await;
    until(&mut watch, "/app/b", "3").await;
    store.set("/app/c", b"4").await;
    let update = next(&mut watch).await;
    let values = ["/app/a", "/app/b", "/app/c"].map(|key| value(&update, key).unwrap());
    assert_eq!(values, ["2", "3", "4"]);
}

/// A reread gives no state without a change, and loses no change.
pub async fn a_reread_gives_no_state_without_a_change_and_loses_no_change<F: Fixture>() {
    let mut store: F = store(&[("/app/a", "1"), ("/b/c", "2")]).await;
    let mut watch = following(&store, &[&["/app"], &["/b"]]).await;
    watch.reread();
    assert!(timeout(Duration::from_millis(500), watch.next()).await.is_err());
    for number in 3..8 {
        // The change comes before, during or after the reread.
        let number = number.to_string();
        watch.reread();
        assert!(watch.next().now_or_never().is_none());
        store.set("/app/a", number.as_bytes()).await;
        watch.reread();
        until(&mut watch, "/app/a", &number).await;
    }
    store.delete("/app/a").await;
    watch.reread();
    let update = next(&mut watch).await;
    assert_eq!((value(&update, "/app/a"), changed(&update)), (None, vec![b"/app/a".as_slice()]));
    assert_eq!(value_in(&update, 1, "/b/c").as_deref(), Some("2"));
}

/// Deletes are seen.
pub async fn deletes_are_seen<F: Fixture>() {
    let mut store: F = store(&[("/app/a", "1"), ("/app/b", "2")]).await;
    let mut watch = following(&store, &[&["/app"]]).await;
    store.delete("/app/a").await;
    let update = next(&mut watch).await;
    assert_eq!(changed(&update), [b"/app/a"]);
    assert_eq!(value(&update, "/app/a"), None);
    assert_eq!(update.answers[0].as_ref().unwrap().len(), 1);
}

/// A change that changes nothing gives no state.
pub async fn a_change_that_changes_nothing_gives_no_state<F: Fixture>() {
    let mut store: F = store(&[("/app/a", "1"), ("/app/b", "2")]).await;
    let mut watch = following(&store, &[&["/app"]]).await;
    store.set("/app/a", b"1").await;
    store.delete("/app/none").await;
    store.set("/app/b", b"3").await;
    assert_eq!(changed(&next(&mut watch).await), [b"/app/b"]);
}

/// A change outside the scope gives no state.
pub async fn a_change_outside_the_scope_gives_no_state<F: Fixture>() {
    let mut store: F = store(&[("/app/a", "1")]).await;
    let mut watch = following(&store, &[&["/app"]]).await;
    let beginning_alike = ["/apple", "/app-x", "/app-y/y"].iter().filter(|_| !F::MATCHES_TEXT);
    for key in ["/ap", "/other"].iter().chain(beginning_alike) {
        store.set(key, b"2").await;
    }
    store.set("/app/a", b"3").await;
    let update = next(&mut watch).await;
    assert_eq!(changed(&update), [b"/app/a"]);
}

/// All scopes are followed by one watch.
pub async fn all_scopes_are_followed_by_one_watch<F: Fixture>() {
    let mut store: F = store(&[("/a/x", "1"), ("/b/x", "2")]).await;
    let mut watch = following(&store, &[&["/b"], &[], &["/a", "/b"]]).await;
    for (key, text) in [("/a/x", "3"), ("/b/y", "4")] {
        store.set(key, text.as_bytes()).await;
        let update = next(&mut watch).await;
        assert_eq!(changed(&update), [key.as_bytes()]);
        assert_eq!(update.answers.len(), 3);
        assert_eq!(value_in(&update, 2, key).as_deref(), Some(text));
    }
}

/// Of many changes the last is seen.
pub async fn of_many_changes_the_last_is_seen<F: Fixture>() {
    let mut store: F = store(&[("/app/a", "")]).await;
    let mut watch = following(&store, &[&["/app"]]).await;
    for number in 1..=1_000 {
        store.set("/app/a", number.to_string().as_bytes()).await;
    }
    until(&mut watch, "/app/a", "1000").await;
}

/// A dropped call loses nothing.
pub async fn a_dropped_call_loses_nothing<F: Fixture>() {
    let mut store: F = store(&[("/app/a", "")]).await;
    let mut watch = following(&store, &[&["/app"]]).await;
    let mut last = None;
    for number in 1..=200 {
        store.set("/app/a", number.to_string().as_bytes()).await;
        // The future is dropped after a time that grows, so in any phase of opening, reading and
        // waiting.
        let given_up = Duration::from_micros(number * 10);
        if let Ok(update) = timeout(given_up, watch.next()).await {
            last = value(&update.unwrap(), "/app/a");
        }
    }
    if last.as_deref() != Some("200") {
        until(&mut watch, "/app/a", "200").await;
    }
}

/// Nothing is lost over a disconnect.
pub async fn nothing_is_lost_over_a_disconnect<F: Fixture>() {
    let mut store: F = store(&[("/app/a", "0"), ("/app/gone", "1")]).await;
    let mut watch = following(&store, &[&["/app"]]).await;
    for number in 1..=5 {
        let text = number.to_string();
        if number != 1 {
            store.set("/app/seen", text.as_bytes()).await;
            until(&mut watch, "/app/seen", &text).await;
        }
        store.disconnect();
        store.set("/app/a", text.as_bytes()).await;
        store.delete("/app/gone").await;
        let waiting = timeout(Duration::from_millis(100), watch.next()).await;
        assert!(!matches!(waiting, Ok(Ok(_))), "the network is cut");
        store.reconnect();
        until(&mut watch, "/app/a", &text).await;
    }
    store.set("/app/last", b"1").await;
    assert_eq!(value(&next(&mut watch).await, "/app/gone"), None);
}

/// Nothing is lost over a disconnect of this duration, while keys change.
pub async fn nothing_is_lost_over_a_disconnect_of<F: Fixture>(duration: Duration) {
    let mut store: F = store(&[("/app/a", "0"), ("/app/gone", "1")]).await;
    let mut watch = following(&store, &[&["/app"]]).await;
    store.disconnect();
    store.set("/app/a", b"1").await;
    let cut_off = async {
        loop {
            // An agent also calls again, but after a longer pause.
            assert!(watch.next().await.is_err(), "the network is cut");
            pause(Duration::from_millis(100)).await;
        }
    };
    assert!(timeout(duration, cut_off).await.is_err());
    store.delete("/app/gone").await;
    store.set("/app/a", b"2").await;
    store.reconnect();
    until(&mut watch, "/app/a", "2").await;
    store.set("/app/last", b"3").await;
    let last = next(&mut watch).await;
    assert_eq!(value(&last, "/app/last").as_deref(), Some("3"));
    assert_eq!(value(&last, "/app/gone"), None);
}
