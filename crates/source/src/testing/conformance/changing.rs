//! The promises of sources that can be followed, when the interest changes.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use super::watching::{SOON, changed, following, next, until, value, value_in};
use super::{Fixture, store};
use crate::testing::{interest, pause};
use crate::{Interest, Update, Watch};

/// Sets the interest. Returns the next state.
async fn set(watch: &mut Box<dyn Watch>, scopes: &[&[&str]]) -> Update {
    watch.set_interest(&interest(scopes));
    let update = next(watch).await;
    assert_eq!(update.answers.len(), scopes.len());
    update
}

/// Whether the state lists this key as possibly changed.
fn names(update: &Update, key: &str) -> bool {
    update.changed.as_ref().is_none_or(|keys| keys.iter().any(|changed| changed == key))
}

/// A scope that is added is answered and the others go on.
pub async fn a_scope_that_is_added_is_answered_and_the_others_go_on<F: Fixture>() {
    let mut store: F = store(&[("/a/x", "1"), ("/b/x", "2"), ("/c/x", "3")]).await;
    let mut watch = following(&store, &[&["/a"], &["/c"]]).await;
    let update = set(&mut watch, &[&["/a"], &["/b"], &["/c"]]).await;
    for (number, key, expected) in [(0, "/a/x", "1"), (1, "/b/x", "2"), (2, "/c/x", "3")] {
        assert_eq!(value_in(&update, number, key).as_deref(), Some(expected), "{key}");
    }
    for (key, number) in [("/a/x", 0), ("/b/y", 1), ("/c/x", 2), ("/b/x", 1)] {
        store.set(key, b"4").await;
        let update = next(&mut watch).await;
        assert_eq!(changed(&update), [key.as_bytes()]);
        assert_eq!(value_in(&update, number, key).as_deref(), Some("4"));
    }
}

/// A scope that is removed is followed no more.
pub async fn a_scope_that_is_removed_is_followed_no_more<F: Fixture>() {
    let mut store: F = store(&[("/a/x", "1"), ("/b/x", "2")]).await;
    let mut watch = following(&store, &[&["/a"], &["/b"]]).await;
    let update = set(&mut watch, &[&["/b"]]).await;
    assert_eq!(value(&update, "/b/x").as_deref(), Some("2"));
    store.set("/a/x", b"3").await;
    store.set("/b/x", b"4").await;
    let update = next(&mut watch).await;
    assert_eq!(changed(&update), [b"/b/x"]);
    assert_eq!(value(&update, "/b/x").as_deref(), Some("4"));
    // Changes in the meantime are in the answer when the scope comes back.
    let update = set(&mut watch, &[&["/a"], &["/b"]]).await;
    assert_eq!(value(&update, "/a/x").as_deref(), Some("3"));
}

/// Scopes that are replaced are answered in the new order.
pub async fn scopes_that_are_replaced_are_answered_in_the_new_order<F: Fixture>() {
    let mut store: F = store(&[("/a", "1"), ("/b", "2"), ("/c", "3"), ("/d", "4")]).await;
    let mut watch = following(&store, &[&["/a"], &["/b"]]).await;
    let update = set(&mut watch, &[&["/d"], &["/b", "/c"], &[], &["/b"], &["/d"]]).await;
    for (number, key, expected) in
        [(0, "/d", "4"), (1, "/b", "2"), (1, "/c", "3"), (3, "/b", "2"), (4, "/d", "4")]
    {
        assert_eq!(value_in(&update, number, key).as_deref(), Some(expected), "{number} {key}");
    }
    let update = set(&mut watch, &[&["/c"]]).await;
    assert_eq!(value(&update, "/c").as_deref(), Some("3"));
    store.set("/c", b"5").await;
    assert_eq!(changed(&next(&mut watch).await), [b"/c"]);
}

/// A scope around another and back loses nothing.
pub async fn a_scope_around_another_and_back_loses_nothing<F: Fixture>() {
    // The keys that the scopes ask for, or keys below them where these cannot be values, or would hide them.
    let are_apart = F::HIDES_KEYS_BELOW_A_VALUE
        || F::KEYS_ARE_FOLDERS_OR_VALUES
        || F::HIDES_ALL_VALUES_ABOVE_KEYS;
    let (outer, inner) = match are_apart {
        true => ("/a/own", "/a/x/own"),
        false => ("/a", "/a/x"),
    };
    let mut store: F = store(&[(outer, "0"), (inner, "1"), ("/a/x/y", "2"), ("/a-b", "3")]).await;
    let mut watch = following(&store, &[&["/a/x"]]).await;
    // This change has not been reported when the interest changes.
    store.set("/a/x/y", b"4").await;
    let update = set(&mut watch, &[&["/a/x"], &["/a"]]).await;
    assert!(names(&update, "/a/x/y") || value(&update, "/a/x/y").as_deref() == Some("2"));
    if value(&update, "/a/x/y").as_deref() == Some("2") {
        until(&mut watch, "/a/x/y", "4").await;
    }
    store.set(outer, b"5").await;
    let update = next(&mut watch).await;
    assert_eq!(changed(&update), [outer.as_bytes()]);
    store.set(inner, b"6").await;
    let update = set(&mut watch, &[&["/a/x"], &["/a-b"]]).await;
    assert_eq!(value_in(&update, 1, "/a-b").as_deref(), Some("3"));
    if value(&update, inner).as_deref() == Some("6") {
        assert!(names(&update, inner));
    } else {
        until(&mut watch, inner, "6").await;
    }
    store.set("/a-b", b"7").await;
    assert_eq!(changed(&next(&mut watch).await), [b"/a-b"]);
}

/// The same interest gives a state without changes.
pub async fn the_same_interest_gives_a_state_without_changes<F: Fixture>() {
    let store: F = store(&[("/a/x", "1")]).await;
    let mut watch = following(&store, &[&["/a"]]).await;
    let update = set(&mut watch, &[&["/a"]]).await;
    assert!(changed(&update).is_empty());
    assert_eq!(value(&update, "/a/x").as_deref(), Some("1"));
    let again = timeout(Duration::from_millis(200), watch.next()).await;
    assert!(again.is_err(), "one interest gives one state");
}

/// An interest may begin and end with nothing.
pub async fn an_interest_may_begin_and_end_with_nothing<F: Fixture>() {
    let mut store: F = store(&[("/a/x", "1")]).await;
    let mut watch = following(&store, &[]).await;
    assert!(watch.next().now_or_never().is_none());
    let update = set(&mut watch, &[&["/a"]]).await;
    assert_eq!(value(&update, "/a/x").as_deref(), Some("1"));
    store.set("/a/x", b"2").await;
    until(&mut watch, "/a/x", "2").await;
    set(&mut watch, &[]).await;
    store.set("/a/x", b"3").await;
    assert!(timeout(Duration::from_millis(100), watch.next()).await.is_err());
    let update = set(&mut watch, &[&["/a"]]).await;
    assert_eq!(value(&update, "/a/x").as_deref(), Some("3"));
}

/// What is added before the first state is in it.
pub async fn what_is_added_before_the_first_state_is_in_it<F: Fixture>() {
    let store: F = store(&[("/a/x", "1"), ("/b/x", "2")]).await;
    let mut watch = store.source().watch(&interest(&[&["/a"]])).await.unwrap().unwrap();
    let update = set(&mut watch, &[&["/a"], &["/b"]]).await;
    assert_eq!(update.changed, None);
    assert_eq!(value_in(&update, 1, "/b/x").as_deref(), Some("2"));
}

/// What is added while keys change loses nothing.
pub async fn what_is_added_while_keys_change_loses_nothing<F: Fixture>() {
    let mut store: F = store(&[("/key/0", "0")]).await;
    let mut watch = following(&store, &[&["/key/0"]]).await;
    let key = |number: u64| format!("/key/{number}");
    let mut last = None;
    for round in 1..=60_u64 {
        // The interest is the first key and a moving window of three keys, and sometimes all keys.
        let window: Vec<String> = (round..round + 3).map(key).collect();
        let mut scopes: Interest = interest(&[&["/key/0"]]);
        scopes.scopes.extend(window.iter().map(|key| crate::testing::scope(&[key])));
        if round % 7 == 0 {
            scopes.scopes.push(crate::testing::scope(&["/key"]));
        }
        store.set("/key/0", round.to_string().as_bytes()).await;
        watch.set_interest(&scopes);
        store.set(&key(round + 1), round.to_string().as_bytes()).await;
        // The future is dropped after a time that grows, so in any phase of reading and following.
        let given_up = Duration::from_micros(round * 150);
        if let Ok(update) = timeout(given_up, watch.next()).await {
            let update = update.unwrap();
            assert_eq!(update.answers.len(), scopes.scopes.len());
            last = value(&update, "/key/0");
        }
    }
    if last.as_deref() != Some("60") {
        until(&mut watch, "/key/0", "60").await;
    }
    let start = Instant::now();
    store.set("/key/61", b"last").await;
    loop {
        let update = next(&mut watch).await;
        if value_in(&update, 2, "/key/61").as_deref() == Some("last") {
            break;
        }
        assert!(start.elapsed() < SOON, "the last change does not come");
    }
}

/// What is added during a disconnect comes after it.
pub async fn what_is_added_during_a_disconnect_comes_after_it<F: Fixture>() {
    let mut store: F = store(&[("/a/x", "1"), ("/b/x", "2"), ("/c/x", "3")]).await;
    let mut watch = following(&store, &[&["/a"], &["/c"]]).await;
    store.set("/a/x", b"4").await;
    until(&mut watch, "/a/x", "4").await;
    store.disconnect();
    watch.set_interest(&interest(&[&["/a"], &["/b"]]));
    let waiting = timeout(Duration::from_millis(100), watch.next()).await;
    // A source that already knows the new scope may answer.
    let answered = matches!(&waiting, Ok(Ok(_)));
    store.set("/a/x", b"5").await;
    store.set("/b/x", b"6").await;
    pause(Duration::from_millis(50)).await;
    store.reconnect();
    let start = Instant::now();
    loop {
        let update = next(&mut watch).await;
        assert_eq!(update.answers.len(), 2);
        let values = [value(&update, "/a/x"), value_in(&update, 1, "/b/x")];
        if values == [Some("5".to_owned()), Some("6".to_owned())] {
            break;
        }
        assert!(start.elapsed() < SOON, "{values:?} {answered}");
    }
}
