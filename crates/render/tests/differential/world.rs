//! The stores and the environment of generated templates.

use std::collections::BTreeMap;

/// One of several stores: a rich one, an empty one, or one with many keys.
pub(crate) fn store(nth: usize) -> BTreeMap<String, Vec<u8>> {
    let pairs: Vec<(String, Vec<u8>)> = match nth {
        0..4 => RICH.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect(),
        4 => Vec::new(),
        _ => (0..20).map(|n| (format!("/up/{n}"), format!("10.0.0.{n}:80").into())).collect(),
    };
    pairs.into_iter().collect()
}

const RICH: &[(&str, &[u8])] = &[
    ("/name", b"web"),
    ("/app/host", b"example.com"),
    ("/app/port", b"8080"),
    ("/app/empty", b""),
    ("/odd/bytes", b"a\xff\xfeb\xc3"),
    ("/odd/html", b"<a href=\"x\">&'</a>"),
    ("/odd/été", "été".as_bytes()),
    ("/num/big", b"9223372036854775807"),
    ("/num/one", b"1"),
    ("/up/1", b"10.0.0.1:80"),
    ("/up/10", b"10.0.0.10:80"),
    ("/up/2", b"10.0.0.2:8080"),
    ("/up/ten", b"10.0.0.3:80"),
    ("/list", b"a,b,,c"),
    ("/b64", b"aGVsbG8="),
    ("/deep/a/b/c", b"1"),
    ("/deep/a/b/d", b"2"),
    ("/deep/a/x", b"3"),
    ("/deep/z", b"4"),
    ("/json/object", br#"{"a":1,"b":"x","c":null,"d":[1,"two",null],"f":{"g":{"h":true}}}"#),
    ("/json/array", br#"["a",1,null,{"a":1.5e9},[true]]"#),
    ("/json/bad", br#"{"a":"#),
];

/// The environment.
pub(crate) fn env() -> BTreeMap<String, String> {
    [("FULL", "value"), ("EMPTY", "")].map(|(name, value)| (name.into(), value.into())).into()
}

/// The root object of a check command's template.
pub(crate) fn data() -> BTreeMap<String, String> {
    [("src", "/tmp/.stage"), ("a", "1"), ("empty", ""), ("é", "x")]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
}
