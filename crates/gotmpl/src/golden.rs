//! Tables of cases whose answers Go 1.27.3 wrote, in `tests/golden`.
//!
//! Each line is one case, tab-separated: the question, then Go's answer. `#` begins a comment.
//! Answers are compared byte for byte. An empty table fails the test.

use std::fs;

/// For each line of the table `name`, compares the fields that `answer` returns with the last
/// fields of the line.
#[expect(clippy::disallowed_methods, reason = "the tables are files")]
pub(crate) fn check(name: &str, answer: impl Fn(&[&str]) -> Vec<String>) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut cases = 0;
    let mut faults = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        cases += 1;
        let fields: Vec<&str> = line.split('\t').collect();
        let got = answer(&fields);
        let want = &fields[fields.len().saturating_sub(got.len())..];
        if got != want {
            faults.push(format!("{line}\n  we say: {}", got.join("\t")));
        }
    }
    assert!(cases > 0, "{path} has no cases");
    let shown = faults.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} of {cases} cases of {name} differ:\n{shown}", faults.len());
}

/// The bytes written as hexadecimal digits in a field.
pub(crate) fn bytes(field: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hexadecimal digit");
    field.as_bytes().chunks(2).map(|pair| (digit(pair[0]) * 16 + digit(pair[1])) as u8).collect()
}

/// `bytes` as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
