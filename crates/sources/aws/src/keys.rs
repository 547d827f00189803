//! Answers to an interest, from services that are asked for single keys.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::slice;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use nodes::Error as Failure;
use source::{Answer, Error, Interest, Refusals, Source, Watch};
use store::{Coverage, Key, Snapshot};

/// The most keys that are asked for at the same time. More would be refused as too many by AWS.
const AT_ONCE: usize = 4;

/// What a key stands for.
pub(crate) type Pairs = Vec<(Bytes, Bytes)>;

/// The result for one key.
pub(crate) type OfKey = Result<Pairs, Failure>;

/// A service that holds keys.
#[async_trait]
pub(crate) trait Service: Send + Sync {
    /// What each of these keys stands for, in their order. No key occurs twice. Behind an error that is
    /// no refusal, results may be missing.
    async fn read(&self, keys: &[Key]) -> Vec<OfKey>;
}

/// A service as a source, which must be polled.
pub(crate) struct Polled(pub(crate) Box<dyn Service>);

#[async_trait]
impl Source for Polled {
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        let scopes = &interest.scopes;
        let keys: BTreeSet<&Key> = scopes.iter().flat_map(|scope| scope.iter()).collect();
        let keys: Vec<Key> = keys.into_iter().cloned().collect();
        let mut refusals = Refusals::default();
        let mut found = HashMap::new();
        for (key, pairs) in keys.iter().zip(self.0.read(&keys).await) {
            match pairs {
                Ok(pairs) => _ = found.insert(key, pairs),
                Err(error) if error.is_refusal() => refusals.add(key.clone(), error.into()),
                Err(error) => return Err(error.into()),
            }
        }
        refusals.check_any_allowed(scopes)?;
        let answers = scopes.iter().flat_map(|scope| {
            let pairs = scope.iter().filter_map(|key| found.get(key)).flatten().cloned();
            let snapshot = Snapshot::from_pairs(Coverage::Exact, pairs);
            refusals.answers(slice::from_ref(scope), &snapshot)
        });
        Ok(answers.collect())
    }

    /// No service reports changes.
    async fn watch(&self, _: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        Ok(None)
    }
}

/// Asks for each of these keys, a few at the same time. After an error that is no refusal, the keys behind
/// it are not asked for.
pub(crate) async fn each<T, A>(keys: &[Key], ask: impl Fn(String) -> A) -> Vec<Result<T, Failure>>
where
    A: Future<Output = Result<T, Failure>>,
{
    let mut results = Vec::with_capacity(keys.len());
    for keys in keys.chunks(AT_ONCE) {
        results.extend(join_all(keys.iter().map(|key| ask(text(key)))).await);
        let failures = results.iter().filter_map(|result| result.as_ref().err());
        if failures.into_iter().any(|error| !error.is_refusal()) {
            break;
        }
    }
    results
}

/// The key as text. The services know no other names.
pub(crate) fn text(key: &Key) -> String {
    String::from_utf8_lossy(key.as_bytes()).into_owned()
}
