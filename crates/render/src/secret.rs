//! Which values an error or a warning may show, and which keys they come from.
//!
//! The values of a store may be secrets, and the log has many readers. So the text of an error shows
//! a value only if the value stands in the template anyway. In its place the text names the key
//! that the value comes from, because people need that to find the fault.

use std::collections::HashSet;

use gotmpl::Message;
use memchr::memmem;
use store::View;

/// The most keys that a text names.
const MOST_KEYS: usize = 3;

/// The shortest value that is searched for inside of other texts. Shorter texts occur by chance.
const SHORTEST_PART: usize = 4;

/// The text of a warning without hidden values, and with the keys that they come from.
pub(crate) fn hidden(message: &Message, view: &View, may_show: impl Fn(&[u8]) -> bool) -> String {
    let origin = origin(message, view, &may_show);
    let text = String::from_utf8_lossy(&message.without(may_show)).into_owned();
    text + &origin
}

/// The longest missing key that is shown. To search for all values in a longer key takes too long.
const LONGEST_KEY: usize = 4096;

/// The end of a text that hides values: the keys that the values come from. Empty if the text hides
/// none, or if no key is known. A value is known by itself, by a part of it, or by a longer text that
/// contains it.
pub(crate) fn origin(message: &Message, view: &View, may_show: impl Fn(&[u8]) -> bool) -> String {
    let hidden: Vec<&[u8]> =
        message.values().map(|value| &**value).filter(|value| !may_show(value)).collect();
    let keys = |matches: &dyn Fn(&[u8], &[u8]) -> bool| {
        let has_hidden = |value: &[u8]| hidden.iter().any(|hidden| matches(value, hidden));
        let pairs = view.whole().iter().filter(|pair| has_hidden(&pair.value));
        pairs.map(|pair| pair.key.to_string()).take(MOST_KEYS + 1).collect::<Vec<_>>()
    };
    if hidden.is_empty() {
        return String::new();
    }
    let whole = keys(&|value, hidden| value == hidden);
    if !whole.is_empty() {
        return format!(" (the value of {})", listed(&whole));
    }
    let is_part = |of: &[u8], part: &[u8]| part.len() >= SHORTEST_PART && contains(of, part);
    let parts = keys(&|value, hidden| is_part(value, hidden) || is_part(hidden, value));
    if parts.is_empty() {
        String::new()
    } else {
        format!(" (from the value of {})", listed(&parts))
    }
}

fn listed(keys: &[String]) -> String {
    match keys.len() > MOST_KEYS {
        true => format!("{} and other keys", keys[..MOST_KEYS].join(", ")),
        false => keys.join(", "),
    }
}

/// Whether the missing key `key` may be shown. A template can make a key of a value, and can change
/// the value before that. So a key is shown only if each word of it stands in the template or is a
/// word of an existing key, and if no value that does not stand in the template is a part of it.
pub(crate) fn may_show_key(key: &[u8], view: &View, template: &[u8]) -> bool {
    let is_part = |value: &[u8]| {
        key == value
            || key.split(|byte| *byte == b'/').any(|part| part == value)
            || value.len() >= SHORTEST_PART && contains(key, value)
    };
    let is_hidden =
        |value: &[u8]| !value.is_empty() && is_part(value) && !contains(template, value);
    // The template of an item can read all keys of the resource.
    let view = view.whole();
    if key.len() > LONGEST_KEY || view.iter().any(|pair| is_hidden(&pair.value)) {
        return false;
    }
    let mut unknown: HashSet<&[u8]> = words(key).collect();
    let is_delimiter = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
    template.split(is_delimiter).for_each(|word| {
        unknown.remove(word);
    });
    for pair in view.iter() {
        if unknown.is_empty() {
            break;
        }
        for word in words(pair.key.as_bytes()) {
            unknown.remove(word);
        }
    }
    unknown.is_empty()
}

/// The words of a key. Whatever is no letter of a usual name separates no words, so that a value
/// that is encoded stays one word.
fn words(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = key.split(|byte| matches!(byte, b'/' | b'-' | b'_' | b'.' | b':'));
    words.filter(|word| !word.is_empty())
}

/// Whether `text` contains `part`, which is not empty.
pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    memmem::find(text, part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::view;

    #[test]
    fn an_origin_is_the_key_of_the_value_or_of_a_longer_value() {
        let view = view([("/a", "secret"), ("/b", "user:secret"), ("/c", "7"), ("/d", "7")]);
        let origin = |value: &str| {
            let message = Message::new("parsing ").value(value, value.to_owned());
            origin(&message, &view, |value| value == b"shown")
        };
        assert_eq!(origin("secret"), " (the value of /a)");
        assert_eq!(origin("user"), " (from the value of /b)");
        assert_eq!(origin("7"), " (the value of /c, /d)");
        assert_eq!(origin("my secret!"), " (from the value of /a)");
        assert_eq!(origin("use"), "");
        assert_eq!(origin("shown"), "");
    }

    #[test]
    fn a_missing_key_is_shown_unless_it_is_made_of_a_value() {
        let view = view([("/a", "secret"), ("/b", "no"), ("/c", "")]);
        const TEMPLATE: &[u8] =
            b"{{getv (printf \"/app/%s\" \"missing\" \"nothing\" \"mysecret\")}}";
        for (key, shown) in [
            ("/app/missing", true),
            ("/app/secret", false),
            ("/app/mysecret-1", false),
            ("secret", false),
            ("/no/x", false),
            ("/nothing", true),
            ("/app/a.b_c-missing", true),
            ("/app/SECRET", false),
            ("/app/c2VjcmV0", false),
            ("/app/a==", false),
        ] {
            assert_eq!(may_show_key(key.as_bytes(), &view, TEMPLATE), shown, "{key}");
            let template = format!("{{{{getv \"/no/secret/{key}\"}}}}");
            let stands_there = key != "/app/a==";
            assert_eq!(may_show_key(key.as_bytes(), &view, template.as_bytes()), stands_there);
        }
        assert!(!may_show_key(&[b'x'; LONGEST_KEY + 1], &view, b""));
    }

    #[test]
    fn in_the_template_of_an_item_the_values_of_all_keys_are_hidden() {
        let pairs = [("/t/a/host", "x"), ("/shared/word", "host-word")];
        let item = store::Item { key: "/t/a".into(), names: vec!["a".into()] };
        let view = view(pairs).of_item(&item);
        // Both words are words of keys, and the key is the value of another key.
        assert!(!may_show_key(b"/host-word", &view, b"{{getv (getv \"//shared/word\")}}"));
        let message = Message::new("parsing ").value("host-word", "host-word".to_owned());
        assert_eq!(origin(&message, &view, |_| false), " (the value of /shared/word)");
    }
}
