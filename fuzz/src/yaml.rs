//! YAML as the backend `file` reads it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::LONGEST;

/// A document gives pairs, or the error names the line. Reading again gives the same.
pub fn yaml(data: &[u8]) {
    if data.len() > LONGEST {
        return;
    }
    let (first, second) = (read(data), read(data));
    assert_eq!(first, second);
    match first {
        Ok(pairs) => {
            for key in pairs.keys() {
                assert!(key.first() == Some(&b'/'), "{key:?}");
            }
        }
        Err(error) => assert!(error.starts_with("yaml: "), "{error}"),
    }
}

fn read(data: &[u8]) -> Result<BTreeMap<Bytes, Bytes>, String> {
    let mut pairs = BTreeMap::new();
    source_file::pairs(&Bytes::copy_from_slice(data), |key, value| {
        pairs.insert(key, value);
    })
    .map(|()| pairs)
    .map_err(|error| error.to_string())
}
