//! The promises of every source, as tests that every source runs.
//!
//! A source takes part by a [`Fixture`]: a store of its kind that a test can change. Allowed
//! differences between sources are constants of the fixture; everything else is the same for all
//! sources. Sources that can be followed also run the tests of `watching` and `changing`; sources
//! whose store can refuse keys run those of `refusing`.

mod changing;
mod refusing;
mod watching;

use store::{Prefix, Scope, View};

pub use self::changing::*;
pub use self::refusing::*;
pub use self::watching::*;

use super::{interest, scope};
use crate::{Interest, Source};

/// A store that a test can change, and the source that reads it.
#[expect(async_fn_in_trait, reason = "the futures stay in the thread of their test")]
pub trait Fixture: Default + Send {
    /// Whether `/app` also stands for `/apple`, as confd has it for some sources.
    const MATCHES_TEXT: bool;
    /// Whether a key that has a value stands for nothing but this value, as confd has it for Redis.
    const HIDES_KEYS_BELOW_A_VALUE: bool = false;
    /// Whether a key that has a value can have no keys below it, as in a tree of folders and files.
    const KEYS_ARE_FOLDERS_OR_VALUES: bool = false;
    /// Whether a key that has keys below it stands for these alone, and not for its own value, as confd
    /// has it for SSM.
    const HIDES_A_VALUE_ABOVE_KEYS: bool = false;
    /// Whether this also holds for keys below the one that is asked for, as confd has it for ZooKeeper.
    const HIDES_ALL_VALUES_ABOVE_KEYS: bool = false;
    /// Whether a value can be empty.
    const HOLDS_EMPTY_VALUES: bool = true;
    /// The size of a large value, in bytes.
    const LARGEST_VALUE: usize = 1 << 20;
    /// The number of keys that are many for this source.
    const MANY: usize = 10_000;
    /// Bytes that no value in this source can hold.
    const IMPOSSIBLE: &[u8];
    /// Whether the source can report changes. The environment of a process does not change.
    const CAN_BE_FOLLOWED: bool;

    /// Sets a key.
    async fn set(&mut self, key: &str, value: &[u8]);
    /// Deletes a key.
    async fn delete(&mut self, key: &str);
    /// A source that reads this store.
    fn source(&self) -> Box<dyn Source>;

    /// Sets many keys.
    async fn set_all(&mut self, pairs: &[(String, String)]) {
        for (key, value) in pairs {
            self.set(key, value.as_bytes()).await;
        }
    }

    /// Cuts all connections between the source and its store. The test can still change the store.
    fn disconnect(&mut self) {}
    /// Allows the source to connect again.
    fn reconnect(&mut self) {}
}

/// The bytes that no value has whose source holds text only.
pub const NO_TEXT: [u8; 128] = {
    let mut bytes = [0x80; 128];
    let mut nth = 0;
    while nth < bytes.len() {
        bytes[nth] |= nth as u8;
        nth += 1;
    }
    bytes
};

async fn store<F: Fixture>(pairs: &[(&str, &str)]) -> F {
    let mut store = F::default();
    for (key, value) in pairs {
        store.set(key, value.as_bytes()).await;
    }
    store
}

/// The views of templates with these scopes, one for each scope.
async fn views(store: &impl Fixture, scopes: &[Scope]) -> Vec<View> {
    let answers = store.source().read(&scopes.iter().cloned().collect()).await.unwrap();
    assert_eq!(answers.len(), scopes.len());
    let views = answers.into_iter().zip(scopes);
    views.map(|(answer, scope)| View::new(answer.unwrap(), scope, &Prefix::default())).collect()
}

/// The pairs in the view of a template with this scope, as `key=value`.
async fn seen(store: &impl Fixture, keys: &[&str]) -> Vec<String> {
    text(&views(store, &[scope(keys)]).await[0])
}

fn text(view: &View) -> Vec<String> {
    let line = |pair: store::Pair| format!("{}={}", pair.key, String::from_utf8_lossy(&pair.value));
    view.iter().map(line).collect()
}

/// A key stands for itself and all below.
pub async fn a_key_stands_for_itself_and_all_below<F: Fixture>() {
    let mut store: F = store(&[("/app/a", "1"), ("/app/b/c", "2"), ("/other", "3")]).await;
    if !F::KEYS_ARE_FOLDERS_OR_VALUES {
        store.set("/app", b"0").await;
    }
    let shows_none_above = F::HIDES_A_VALUE_ABOVE_KEYS || F::KEYS_ARE_FOLDERS_OR_VALUES;
    let whole: &[&str] = match (F::HIDES_KEYS_BELOW_A_VALUE, shows_none_above) {
        (true, _) => &["/app=0"],
        (_, true) => &["/app/a=1", "/app/b/c=2"],
        _ => &["/app=0", "/app/a=1", "/app/b/c=2"],
    };
    assert_eq!(seen(&store, &["/app"]).await, whole);
    assert_eq!(seen(&store, &["/app/b"]).await, ["/app/b/c=2"]);
    assert_eq!(seen(&store, &["/app/a", "/other"]).await, ["/app/a=1", "/other=3"]);
    let shows_three = F::KEYS_ARE_FOLDERS_OR_VALUES || F::HIDES_ALL_VALUES_ABOVE_KEYS;
    let all = if shows_three { 3 } else { 4 };
    assert_eq!(seen(&store, &["/"]).await.len(), all);
}

/// A key ends at a path boundary unless the source says otherwise.
pub async fn a_key_ends_at_a_path_boundary_unless_the_source_says_otherwise<F: Fixture>() {
    let store: F = store(&[("/app/a", "1"), ("/apple", "2")]).await;
    let expected: &[&str] = match F::MATCHES_TEXT {
        true => &["/app/a=1", "/apple=2"],
        false => &["/app/a=1"],
    };
    assert_eq!(seen(&store, &["/app"]).await, expected);
}

/// A missing key is no error.
pub async fn a_missing_key_is_no_error<F: Fixture>() {
    let store: F = store(&[("/app", "1")]).await;
    assert_eq!(seen(&store, &["/nope", "/app"]).await, ["/app=1"]);
    assert_eq!(seen(&F::default(), &["/"]).await, [""; 0]);
}

/// An empty scope sees nothing.
pub async fn an_empty_scope_sees_nothing<F: Fixture>() {
    let store: F = store(&[("/app", "1")]).await;
    assert_eq!(seen(&store, &[]).await, [""; 0]);
}

/// Several scopes are answered in their order.
pub async fn several_scopes_are_answered_in_their_order<F: Fixture>() {
    let store: F = store(&[("/a/x", "1"), ("/b/x", "2"), ("/c/x", "3")]).await;
    let scopes = [scope(&["/c"]), scope(&[]), scope(&["/a", "/b"]), scope(&["/c"])];
    let seen: Vec<_> = views(&store, &scopes).await.iter().map(text).collect();
    assert_eq!(seen, [vec!["/c/x=3"], vec![], vec!["/a/x=1", "/b/x=2"], vec!["/c/x=3"]]);
    assert!(store.source().read(&Interest::default()).await.unwrap().is_empty());
}

/// Changes and deletes are seen.
pub async fn changes_and_deletes_are_seen<F: Fixture>() {
    let mut store: F = store(&[("/app/a", "1"), ("/app/b", "2")]).await;
    store.set("/app/a", b"3").await;
    store.set("/app/c", b"4").await;
    store.delete("/app/b").await;
    assert_eq!(seen(&store, &["/app"]).await, ["/app/a=3", "/app/c=4"]);
}

/// An empty value is a value.
pub async fn an_empty_value_is_a_value<F: Fixture>() {
    if !F::HOLDS_EMPTY_VALUES {
        return;
    }
    let store: F = store(&[("/app", "")]).await;
    assert_eq!(seen(&store, &["/app"]).await, ["/app="]);
}

/// A value may hold every byte.
pub async fn a_value_may_hold_every_byte<F: Fixture>() {
    let bytes: Vec<u8> = (0..=255).filter(|byte| !F::IMPOSSIBLE.contains(byte)).collect();
    let mut store = F::default();
    store.set("/bytes", &bytes).await;
    let views = views(&store, &[scope(&["/bytes"])]).await;
    assert_eq!(views[0].get(b"/bytes").unwrap(), &bytes);
}

/// A large value arrives whole.
pub async fn a_large_value_arrives_whole<F: Fixture>() {
    let value = vec![b'x'; F::LARGEST_VALUE];
    let mut store = F::default();
    store.set("/large", &value).await;
    let views = views(&store, &[scope(&["/large"])]).await;
    assert_eq!(views[0].get(b"/large").unwrap(), &value);
}

/// Many keys arrive whole.
pub async fn many_keys_arrive_whole<F: Fixture>() {
    let mut store = F::default();
    let pair = |number: usize| (format!("/app/{number}"), number.to_string());
    store.set_all(&(0..F::MANY).map(pair).collect::<Vec<_>>()).await;
    store.set("/other", b"x").await;
    let views = views(&store, &[scope(&["/app"])]).await;
    assert_eq!(views[0].iter().count(), F::MANY);
    assert!(
        views[0].iter().all(|pair| pair.key.as_bytes() == [b"/app/", &pair.value[..]].concat())
    );
}

/// It says whether it can be followed.
pub async fn it_says_whether_it_can_be_followed<F: Fixture>() {
    let watch = F::default().source().watch(&interest(&[&["/app"]])).await.unwrap();
    assert_eq!(watch.is_some(), F::CAN_BE_FOLLOWED);
}

/// The tests of `conformance`, one test for each, for fixtures: `promises! { etcd: Etcd }`.
#[macro_export]
macro_rules! promises {
    ($($name:ident: $fixture:ty),* $(,)?) => {
        $(mod $name {
            $crate::each_promise! { $fixture; [
                a_key_stands_for_itself_and_all_below,
                a_key_ends_at_a_path_boundary_unless_the_source_says_otherwise,
                a_missing_key_is_no_error,
                an_empty_scope_sees_nothing,
                several_scopes_are_answered_in_their_order,
                changes_and_deletes_are_seen,
                an_empty_value_is_a_value,
                a_value_may_hold_every_byte,
                a_large_value_arrives_whole,
                many_keys_arrive_whole,
                it_says_whether_it_can_be_followed,
            ] }
        })*
    };
}

/// The tests of `conformance::watching` and `conformance::changing`, for sources that can be
/// followed.
#[macro_export]
macro_rules! promises_of_following {
    ($($name:ident: $fixture:ty),* $(,)?) => {
        $(mod $name {
            $crate::each_promise! { $fixture; [
                the_first_state_is_what_is_there,
                a_change_gives_the_next_state_and_its_key,
                nothing_is_lost_between_two_states,
                a_reread_gives_no_state_without_a_change_and_loses_no_change,
                deletes_are_seen,
                a_change_that_changes_nothing_gives_no_state,
                a_change_outside_the_scope_gives_no_state,
                all_scopes_are_followed_by_one_watch,
                of_many_changes_the_last_is_seen,
                a_dropped_call_loses_nothing,
                nothing_is_lost_over_a_disconnect,
                a_scope_that_is_added_is_answered_and_the_others_go_on,
                a_scope_that_is_removed_is_followed_no_more,
                scopes_that_are_replaced_are_answered_in_the_new_order,
                a_scope_around_another_and_back_loses_nothing,
                the_same_interest_gives_a_state_without_changes,
                an_interest_may_begin_and_end_with_nothing,
                what_is_added_before_the_first_state_is_in_it,
                what_is_added_while_keys_change_loses_nothing,
                what_is_added_during_a_disconnect_comes_after_it,
            ] }
        })*
    };
}

/// The tests of `conformance::refusing`, for sources whose store can refuse keys.
#[macro_export]
macro_rules! promises_of_refusing {
    ($($name:ident: $fixture:ty),* $(,)?) => {
        $(mod $name {
            $crate::each_promise! { $fixture; [
                a_scope_that_is_refused_costs_no_other,
                where_every_scope_is_refused_there_is_an_error,
                a_refused_scope_that_is_added_costs_no_other,
                a_scope_that_becomes_refused_costs_no_other,
            ] }
        })*
    };
}

/// For the macros above.
#[doc(hidden)]
#[macro_export]
macro_rules! each_promise {
    ($fixture:ty; [$($promise:ident),* $(,)?]) => {
        $(
            #[tokio::test]
            async fn $promise() {
                $crate::testing::conformance::$promise::<$fixture>().await;
            }
        )*
    };
}
