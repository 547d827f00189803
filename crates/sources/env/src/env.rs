//! Environment variables, and the variables that match a key.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;

use async_trait::async_trait;
use bytes::Bytes;
use source::{Answer, Error, Interest, Source, Watch};
use store::{Coverage, Key, Scope, Snapshot};

/// Environment variables at the time when this was made. Those of a process do not change.
pub struct Env {
    /// Sorted by name.
    variables: Vec<Variable>,
}

struct Variable {
    name: Vec<u8>,
    key: Bytes,
    value: Bytes,
}

impl Env {
    /// A source of these variables. The last of two with the same name wins.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut variables: Vec<Variable> = variables
            .into_iter()
            .map(|(name, value)| {
                let name = name.into_vec();
                let key = key_of(&name).into();
                Variable { name, key, value: value.into_vec().into() }
            })
            .collect();
        variables.sort_by(|one, two| one.name.cmp(&two.name));
        Env { variables }
    }

    fn snapshot(&self, scope: &Scope) -> Snapshot {
        let asked: Vec<Vec<u8>> = scope.iter().map(variable_of).collect();
        let answers = self
            .variables
            .iter()
            .filter(|variable| asked.iter().any(|name| variable.name.starts_with(name)))
            .map(|variable| (variable.key.clone(), variable.value.clone()));
        Snapshot::from_pairs(Coverage::Exact, answers).naming(name_of)
    }
}

#[async_trait]
impl Source for Env {
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        Ok(interest.scopes.iter().map(|scope| Ok(self.snapshot(scope))).collect())
    }

    /// The variables of a process do not change from outside.
    async fn watch(&self, _: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        Ok(None)
    }
}

impl fmt::Debug for Env {
    /// Shows the number of variables, because their values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("variables", &self.variables.len()).finish_non_exhaustive()
    }
}

/// The variable of a key, for people.
fn name_of(key: &Key) -> String {
    format!("the environment variable {}", String::from_utf8_lossy(&variable_of(key)))
}

/// The beginning of the names of all variables that match a key.
fn variable_of(key: &Key) -> Vec<u8> {
    let path = key.as_bytes();
    let path = path.strip_prefix(b"/").unwrap_or(path);
    replaced(map_characters(path, upper), b'/', b'_')
}

/// The key of a variable, spelled as its name is: `A__B` is `/a//b`.
fn key_of(name: &[u8]) -> Vec<u8> {
    let mut key = b"/".to_vec();
    key.extend(replaced(map_characters(name, lower), b'_', b'/'));
    key
}

fn replaced(mut bytes: Vec<u8>, from: u8, to: u8) -> Vec<u8> {
    bytes.iter_mut().filter(|byte| **byte == from).for_each(|byte| *byte = to);
    bytes
}

/// Maps each character; bytes that are not UTF-8 stay as they are.
fn map_characters(bytes: &[u8], map: fn(char) -> char) -> Vec<u8> {
    let mut mapped = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            mapped.extend_from_slice(map(character).encode_utf8(&mut [0; 4]).as_bytes());
        }
        mapped.extend_from_slice(chunk.invalid());
    }
    mapped
}

/// The upper case of a character, if it is a single character, as in Go. (Go also has one for 27
/// letters of ancient Greek whose full mapping has two.)
fn upper(character: char) -> char {
    single(character.to_uppercase()).unwrap_or(character)
}

/// The lower case of a character, if it is a single character, as in Go.
fn lower(character: char) -> char {
    match character {
        // The only character whose lower case is one character in Go and two in Rust.
        'İ' => 'i',
        _ => single(character.to_lowercase()).unwrap_or(character),
    }
}

fn single(mut characters: impl ExactSizeIterator<Item = char>) -> Option<char> {
    if characters.len() == 1 { characters.next() } else { None }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn env(variables: &[(&str, &str)]) -> Env {
        Env::new(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    async fn read(env: &Env, asked: &str) -> Vec<String> {
        let scope = Scope::from_iter([Key::from(asked)]);
        let answers = env.read(&Interest { scopes: vec![scope] }).await.unwrap();
        let snapshot = answers[0].as_ref().unwrap();
        let line = |(key, value): (&Bytes, &Bytes)| {
            format!("{}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(value))
        };
        snapshot.iter().map(line).collect()
    }

    #[tokio::test]
    async fn a_key_is_the_beginning_of_a_name() {
        let env = env(&[("APP", "1"), ("APP_X", "2"), ("APPLE", "3"), ("BPP", "4")]);
        assert_eq!(read(&env, "/app").await, ["/app=1", "/app/x=2", "/apple=3"]);
        assert_eq!(read(&env, "/app/x").await, ["/app/x=2"]);
        assert_eq!(read(&env, "/nope").await, [""; 0]);
        assert_eq!(read(&env, "/").await.len(), 4);
    }

    #[tokio::test]
    async fn a_name_in_other_case_is_found_only_by_what_it_begins_with() {
        let env = env(&[("MiXed", "1"), ("low", "2"), ("MIXED_X", "3")]);
        assert_eq!(read(&env, "/mixed").await, ["/mixed/x=3"]);
        assert_eq!(read(&env, "/m").await, ["/mixed=1", "/mixed/x=3"]);
        assert_eq!(read(&env, "/low").await, [""; 0]);
        assert_eq!(read(&env, "/").await, ["/low=2", "/mixed=1", "/mixed/x=3"]);
    }

    #[tokio::test]
    async fn underscores_become_slashes_and_all_else_stays() {
        let env = env(&[("A__B", "1"), ("A-B.C D", "2"), ("_", "3")]);
        assert_eq!(read(&env, "/").await, ["//=3", "/a-b.c d=2", "/a//b=1"]);
    }

    #[tokio::test]
    async fn of_names_that_differ_in_case_the_last_in_byte_order_counts() {
        for variables in [[("ab", "low"), ("AB", "up")], [("AB", "up"), ("ab", "low")]] {
            assert_eq!(read(&env(&variables), "/").await, ["/ab=low"]);
        }
    }

    #[tokio::test]
    async fn names_and_values_need_not_be_text() {
        let bytes = |bytes: &[u8]| std::ffi::OsStr::from_bytes(bytes).to_owned();
        let env = Env::new([(bytes(b"A_\xffB"), bytes(b"\xfe"))]);
        let scope = Scope::from_iter([Key::new(b"/a/\xffb")]);
        let answers = env.read(&Interest { scopes: vec![scope] }).await.unwrap();
        let snapshot = answers[0].as_ref().unwrap();
        assert_eq!(snapshot.get(b"/a/\xffb").unwrap().as_ref(), b"\xfe");
    }

    #[tokio::test]
    async fn letters_beyond_ascii_change_case_one_by_one() {
        let env = env(&[("STRAßE_Ä", "1"), ("İ", "2")]);
        assert_eq!(read(&env, "/straße").await, ["/straße/ä=1"]);
        assert_eq!(read(&env, "/").await, ["/i=2", "/straße/ä=1"]);
    }

    #[test]
    fn values_do_not_show_in_debug_output() {
        assert!(!format!("{:?}", env(&[("PASSWORD", "hunter2")])).contains("hunter2"));
    }
}
