//! The promises of sources whose store can refuse keys.

use tokio::time::Instant;

use super::watching::{SOON, following, next, until, value_in};
use super::{Fixture, store};
use crate::testing::{interest, pause, text};
use crate::{Answer, Interest, Update, Watch};

/// A store that can refuse to show keys to the source.
#[expect(async_fn_in_trait, reason = "the futures stay in the thread of their test")]
pub trait Refusing: Fixture {
    /// Refuses this key and the keys below it from the next request on.
    async fn forbid(&mut self, key: &str);
    /// Allows all keys again.
    async fn allow(&mut self);
}

/// The answers as text: the pairs, or the beginning of the refusal without its reason.
fn texts(answers: &[Answer]) -> Vec<String> {
    let answer = |answer: &Answer| match answer {
        Ok(snapshot) => text(snapshot).join(" "),
        Err(refusal) => {
            let text = refusal.to_string();
            text.split(": ").next().unwrap_or_default().to_owned()
        }
    };
    answers.iter().map(answer).collect()
}

/// Whether each scope is answered.
fn answered(update: &Update) -> Vec<bool> {
    update.answers.iter().map(Result::is_ok).collect()
}

/// Asks for states until exactly these scopes are answered.
async fn until_answered(watch: &mut Box<dyn Watch>, expected: &[bool]) -> Update {
    let start = Instant::now();
    loop {
        let update = next(watch).await;
        if answered(&update) == expected {
            return update;
        }
        assert!(start.elapsed() < SOON, "{:?} is not {expected:?}", answered(&update));
    }
}

/// A scope that is refused costs no other.
pub async fn a_scope_that_is_refused_costs_no_other<F: Refusing>() {
    let mut store: F = store(&[("/a/x", "1"), ("/s/x", "2"), ("/z/x", "3")]).await;
    store.forbid("/s").await;
    let scopes: Interest = interest(&[&["/a"], &["/s"], &["/a", "/s"], &["/z"], &[]]);
    let answers = store.source().read(&scopes).await.unwrap();
    let texts = texts(&answers);
    assert!(texts[0].contains("/a/x=1") && texts[3].contains("/z/x=3"), "{texts:?}");
    assert_eq!((&*texts[1], &*texts[2]), ("Cannot read /s", "Cannot read /a, /s"));
    assert!(answers[4].is_ok());
    assert!(texts.iter().all(|texts| !texts.contains("/s/x")), "{texts:?}");

    let mut watch = following(&store, &[&["/a"], &["/s"], &["/z"]]).await;
    store.set("/z/x", b"4").await;
    let update = next(&mut watch).await;
    assert_eq!(answered(&update), [true, false, true]);
    assert_eq!(value_in(&update, 2, "/z/x").as_deref(), Some("4"));
}

/// Where every scope is refused there is an error.
pub async fn where_every_scope_is_refused_there_is_an_error<F: Refusing>() {
    let mut store: F = store(&[("/s/x", "1"), ("/s/y", "2")]).await;
    store.forbid("/s").await;
    let scopes = interest(&[&["/s/x"], &["/s/y"]]);
    assert!(store.source().read(&scopes).await.unwrap_err().is_refusal());
    let mut watch = store.source().watch(&scopes).await.unwrap().unwrap();
    for _ in 0..2 {
        assert!(watch.next().await.unwrap_err().is_refusal());
    }
    store.allow().await;
    let start = Instant::now();
    let update = loop {
        match watch.next().await {
            Ok(update) => break update,
            Err(error) => assert!(start.elapsed() < SOON, "{error}"),
        }
        pause(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(value_in(&update, 1, "/s/y").as_deref(), Some("2"));
}

/// A refused scope that is added costs no other, and is asked for again when the interest is set
/// again.
pub async fn a_refused_scope_that_is_added_costs_no_other<F: Refusing>() {
    let mut store: F = store(&[("/a/x", "1"), ("/s/x", "2")]).await;
    store.forbid("/s").await;
    let mut watch = following(&store, &[&["/a"]]).await;
    let both = interest(&[&["/s"], &["/a"]]);
    watch.set_interest(&both);
    let update = next(&mut watch).await;
    assert_eq!(answered(&update), [false, true]);
    assert_eq!(value_in(&update, 1, "/a/x").as_deref(), Some("1"));
    store.set("/a/x", b"3").await;
    let update = next(&mut watch).await;
    assert_eq!(value_in(&update, 1, "/a/x").as_deref(), Some("3"));
    watch.set_interest(&both);
    assert_eq!(answered(&next(&mut watch).await), [false, true]);
    store.allow().await;
    watch.set_interest(&both);
    let update = until_answered(&mut watch, &[true, true]).await;
    assert_eq!(value_in(&update, 0, "/s/x").as_deref(), Some("2"));
    store.set("/s/x", b"4").await;
    until(&mut watch, "/s/x", "4").await;
}

/// A scope that becomes refused costs no other.
pub async fn a_scope_that_becomes_refused_costs_no_other<F: Refusing>() {
    let mut store: F = store(&[("/a/x", "1"), ("/s/x", "2")]).await;
    let both = interest(&[&["/a"], &["/s"]]);
    let mut watch = following(&store, &[&["/a"], &["/s"]]).await;
    store.set("/a/x", b"2").await;
    until(&mut watch, "/a/x", "2").await;
    store.forbid("/s").await;
    // An open stream may keep its old rights; a new connection has the new rights.
    store.disconnect();
    store.reconnect();
    for number in 3..6 {
        store.set("/s/x", format!("hidden {number}").as_bytes()).await;
    }
    store.set("/a/x", b"3").await;
    let update = until_answered(&mut watch, &[true, false]).await;
    if value_in(&update, 0, "/a/x").as_deref() != Some("3") {
        until(&mut watch, "/a/x", "3").await;
    }
    store.allow().await;
    watch.set_interest(&both);
    let update = until_answered(&mut watch, &[true, true]).await;
    assert_eq!(value_in(&update, 1, "/s/x").as_deref(), Some("hidden 5"));
    store.set("/s/x", b"6").await;
    let start = Instant::now();
    while value_in(&next(&mut watch).await, 1, "/s/x").as_deref() != Some("6") {
        assert!(start.elapsed() < SOON);
    }
}
