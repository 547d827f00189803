//! The promises of every source.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use source::Source;
use source::testing::conformance::Fixture;

use super::Env;

#[derive(Default)]
struct Environment(BTreeMap<String, Vec<u8>>);

impl Environment {
    fn name(key: &str) -> String {
        key.trim_start_matches('/').replace('/', "_").to_uppercase()
    }
}

impl Fixture for Environment {
    const MATCHES_TEXT: bool = true;
    const IMPOSSIBLE: &[u8] = b"\0";
    const CAN_BE_FOLLOWED: bool = false;

    async fn set(&mut self, key: &str, value: &[u8]) {
        self.0.insert(Environment::name(key), value.to_vec());
    }

    async fn delete(&mut self, key: &str) {
        self.0.remove(&Environment::name(key));
    }

    fn source(&self) -> Box<dyn Source> {
        let variables = self.0.iter();
        Box::new(Env::new(
            variables.map(|(name, value)| (name.into(), OsString::from_vec(value.clone()))),
        ))
    }
}

source::promises! { env: super::Environment }
