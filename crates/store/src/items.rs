//! Items: the paths that a pattern such as `/tenants/*` finds among the keys of a view.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{Key, Pattern, PatternError, path};

/// A pattern over the first elements of keys: `/tenants/*` finds `/tenants/a` if there is a key of that
/// name, or a key below it.
#[derive(Debug, Clone)]
pub struct ItemPattern {
    elements: Vec<Element>,
    text: Bytes,
}

/// One path element of a pattern.
#[derive(Debug, Clone)]
struct Element {
    pattern: Pattern,
    /// Whether it has a special character, so that it finds different names.
    is_open: bool,
}

/// A path that a pattern has found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// The path, as the resource sees it. Empty for an item that is not a path.
    pub key: Bytes,
    /// The path elements for which the pattern has special characters, in their order. There is at least
    /// one.
    pub names: Vec<Bytes>,
}

impl Item {
    /// An item that is known by its name alone.
    pub fn named(name: Bytes) -> Self {
        Item { key: Bytes::new(), names: vec![name] }
    }

    /// The last of the names.
    pub fn name(&self) -> Bytes {
        self.names.last().cloned().unwrap_or_default()
    }
}

/// Why a text is no pattern of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ItemPatternError {
    /// A path element is malformed.
    #[error(transparent)]
    Syntax(#[from] PatternError),
    /// It would find one path at most.
    #[error("it has no * or other special character, so it finds nothing that differs")]
    Closed,
}

impl ItemPattern {
    /// Parses a pattern. It is cleaned like a key.
    ///
    /// # Errors
    /// A path element is malformed, or none has a special character.
    pub fn new(text: &[u8]) -> Result<Self, ItemPatternError> {
        let text = path::join([b"/".as_slice(), text]);
        let elements = text[1..].split(|byte| *byte == b'/').map(|element| {
            let pattern = Pattern::new(element)?;
            let is_open = pattern.as_literal().is_none();
            Ok(Element { pattern, is_open })
        });
        let elements = elements.collect::<Result<Vec<_>, PatternError>>()?;
        match elements.iter().any(|element| element.is_open) {
            true => Ok(ItemPattern { elements, text: text.into() }),
            false => Err(ItemPatternError::Closed),
        }
    }

    /// The path above the first element with a special character: every item is below it.
    pub fn folder(&self) -> Key {
        let literal = self.elements.iter().take_while(|element| !element.is_open);
        let literal = literal.filter_map(|element| element.pattern.as_literal());
        Key::from(Bytes::from(path::join(std::iter::once(b"/".as_slice()).chain(literal))))
    }

    /// The item that `key`, as the resource sees it, belongs to.
    pub fn item_of(&self, key: &[u8]) -> Option<Item> {
        let mut rest = key.strip_prefix(b"/")?;
        let (mut names, mut end) = (Vec::new(), 0);
        for (nth, Element { pattern, is_open }) in self.elements.iter().enumerate() {
            let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            let element = &rest[..length];
            if element.is_empty() || !pattern.matches(element) {
                return None;
            }
            if *is_open {
                names.push(Bytes::copy_from_slice(element));
            }
            end += 1 + length;
            let is_last = nth + 1 == self.elements.len();
            rest = match rest.get(length + 1..) {
                Some(rest) => rest,
                None if is_last => b"",
                None => return None,
            };
        }
        Some(Item { key: Bytes::copy_from_slice(&key[..end]), names })
    }

    /// The items that these keys belong to, each once, in byte order of their paths.
    pub(crate) fn items_of<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Vec<Item> {
        let mut found: BTreeMap<Bytes, Item> = BTreeMap::new();
        let mut last = Bytes::new();
        for key in keys {
            // Most neighbours belong to one item.
            let is_of_last = key.strip_prefix(&last[..]).is_some_and(|rest| {
                !last.is_empty() && (rest.is_empty() || rest.starts_with(b"/"))
            });
            if is_of_last {
                continue;
            }
            if let Some(item) = self.item_of(key) {
                last = item.key.clone();
                found.entry(item.key.clone()).or_insert(item);
            }
        }
        found.into_values().collect()
    }

    /// The pattern as text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

impl PartialEq for ItemPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ItemPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, keys: &[&str]) -> Vec<String> {
        let pattern = ItemPattern::new(pattern.as_bytes()).unwrap();
        let items = pattern.items_of(keys.iter().map(|key| key.as_bytes()));
        let names = |item: &Item| {
            let names: Vec<_> =
                item.names.iter().map(|name| name.escape_ascii().to_string()).collect();
            format!("{} {}", item.key.escape_ascii(), names.join(","))
        };
        items.iter().map(names).collect()
    }

    #[test]
    fn an_item_is_a_key_or_a_folder_of_keys_and_is_found_once() {
        let keys =
            ["/t", "/t/a", "/t/a-b/x", "/t/a/x", "/t/a/y", "/t/b", "/u/c", "/t/c/d/e", "/tt/x"];
        assert_eq!(found("/t/*", &keys), ["/t/a a", "/t/a-b a-b", "/t/b b", "/t/c c"]);
        assert_eq!(found("t/*/", &keys).len(), 4);
        assert_eq!(found("/t/*/x", &keys), ["/t/a-b/x a-b", "/t/a/x a"]);
        assert_eq!(found("/*/[ab]", &keys), ["/t/a t,a", "/t/b t,b"]);
    }

    #[test]
    fn a_pattern_must_be_able_to_find_different_paths() {
        assert_eq!(ItemPattern::new(b"/t/a").unwrap_err(), ItemPatternError::Closed);
        assert_eq!(ItemPattern::new(b"/t/[").unwrap_err(), PatternError.into());
        assert_eq!(ItemPattern::new(b"/t/x/*/y").unwrap().folder(), Key::from("/t/x"));
        assert_eq!(ItemPattern::new(b"*").unwrap().folder(), Key::root());
    }
}
