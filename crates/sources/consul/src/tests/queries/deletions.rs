//! Recursive deletions of which Consul does not raise the index of a listing: see
//! `tests::deletions`.

use catalog::{Data, Query};
use servers::Consul;

use super::{Asked, settings};

/// Keys in three folders.
fn keys(count: usize) -> Vec<String> {
    let folder = |folder: &'static str| (0..count).map(move |nth| format!("app/{folder}/k{nth}"));
    ["one", "two", "three"].into_iter().flat_map(folder).collect()
}

async fn all(server: &Consul, keys: &[String], wanted: &[Query]) -> Asked {
    server.put_all(keys.iter().map(|key| (&**key, "1")));
    let mut asked = Asked::at(&[&server.address()], settings(), wanted);
    asked.all_known(wanted.len()).await;
    asked
}

/// Deletes a key of each folder, and then all keys.
async fn delete_twice(server: &Consul, asked: &mut Asked, is_without: impl Fn(&Asked) -> bool) {
    for folder in ["one", "two", "three"] {
        server.delete(&format!("app/{folder}/k3"));
    }
    asked.until("the deleted keys", is_without).await;
    server.delete_all("app/");
}

#[tokio::test]
async fn a_recursive_deletion_is_seen_by_keys_that_are_listed_together() {
    let server = Consul::start();
    let keys = keys(12);
    let wanted: Vec<Query> = keys.iter().map(|key| Query::key(key, false).unwrap()).collect();
    let mut asked = all(&server, &keys, &wanted).await;
    let missing =
        |asked: &Asked| asked.known.values().filter(|answer| **answer == Data::Value(None)).count();
    delete_twice(&server, &mut asked, |asked| missing(asked) == 3).await;
    asked.until("no key", |asked| missing(asked) == wanted.len()).await;
    assert!(asked.troubles.is_empty(), "{:?}", asked.troubles);
}

#[tokio::test]
async fn a_recursive_deletion_is_seen_by_each_of_few_and_of_many_listings() {
    for count in [1, 30] {
        let server = Consul::start();
        let folders = ["one", "two", "three"].iter();
        let wanted: Vec<Query> = folders
            .flat_map(|folder| {
                let ends =
                    (0..count).map(|nth| if nth == 0 { String::new() } else { format!("k{nth}") });
                ends.map(move |end| Query::pairs(&format!("app/{folder}/{end}")).unwrap())
            })
            .collect();
        let mut asked = all(&server, &keys(30), &wanted).await;
        let is_of =
            |data: &Data, count: usize| matches!(data, Data::Pairs(all) if all.len() == count);
        let is_without = |asked: &Asked| is_of(&asked.known[&wanted[0]], 29);
        delete_twice(&server, &mut asked, is_without).await;
        asked.until("no key", |asked| asked.known.values().all(|answer| is_of(answer, 0))).await;
        assert!(asked.troubles.is_empty(), "{:?}", asked.troubles);
    }
}
