//! PEM: bytes in base64 between two lines that say what they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The characters of a line.
const LINE: usize = 64;

/// The bytes as a block of this type.
pub(super) fn encode(kind: &str, content: &[u8]) -> String {
    let text = STANDARD.encode(content);
    let mut out = format!("-----BEGIN {kind}-----\n");
    for line in text.as_bytes().chunks(LINE) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out + &format!("-----END {kind}-----\n")
}

/// The type and the bytes of the first block. `None` if there is none.
pub(super) fn decode(text: &[u8]) -> Option<(String, Vec<u8>)> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(str::trim_end);
    loop {
        let line = lines.next()?;
        let Some(kind) =
            line.strip_prefix("-----BEGIN ").and_then(|kind| kind.strip_suffix("-----"))
        else {
            continue;
        };
        let end = format!("-----END {kind}-----");
        let mut content = String::new();
        let is_complete = lines.by_ref().any(|line| {
            // A line with a colon is a header.
            if line != end && !line.contains(':') {
                content.push_str(line);
            }
            line == end
        });
        if let Some(content) = is_complete.then(|| STANDARD.decode(&content).ok()).flatten() {
            return Some((kind.to_owned(), content));
        }
    }
}
