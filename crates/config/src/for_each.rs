//! `for_each`: one file for each path that a pattern finds, or for each service.

use std::{
    ffi::OsString,
    fmt,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use gotmpl::{Map, Slice, Template, Value};
use store::{Item, ItemPattern, Pattern};

use crate::{
    commands::Command,
    environment::{Environment, FUNCTIONS, NO_VALUE},
    keys::{self, ResourceTable},
    resource::{Reason, quoted},
};

/// One file for each item.
#[derive(Debug)]
pub struct ForEach {
    /// Where the items come from.
    pub items: Items,
    /// The folder of the literal part of `dest`: every file is below it.
    pub folder: PathBuf,
    /// The command that runs instead of `reload_cmd` when files were removed.
    pub remove_cmd: Option<Command>,
    name: FileName,
}

/// Where items come from.
#[derive(Debug, Clone)]
pub enum Items {
    /// Paths among the keys.
    Keys(ItemPattern),
    /// Names of services that match.
    Services(ServicePattern),
}

/// A pattern for the names of services.
#[derive(Debug, Clone)]
pub struct ServicePattern {
    pattern: Pattern,
    text: String,
}

impl ServicePattern {
    /// Whether the service of this name is an item.
    pub fn matches(&self, name: &[u8]) -> bool {
        self.pattern.matches(name)
    }
}

/// The template for the path of a file, relative to the folder.
struct FileName {
    template: Template<Environment>,
    text: String,
    environment: Environment,
}

impl PartialEq for ForEach {
    fn eq(&self, other: &Self) -> bool {
        let is_same = |one: &Items, two: &Items| match (one, two) {
            (Items::Keys(one), Items::Keys(two)) => one == two,
            (Items::Services(one), Items::Services(two)) => one.text == two.text,
            (Items::Keys(_), Items::Services(_)) | (Items::Services(_), Items::Keys(_)) => false,
        };
        is_same(&self.items, &other.items)
            && (&self.folder, &self.name.text) == (&other.folder, &other.name.text)
            && self.remove_cmd == other.remove_cmd
    }
}

impl Eq for ForEach {}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileName").field(&self.text).finish()
    }
}

impl ForEach {
    /// What the table of a resource says; `None` if it has one file. `dest` is its destination as it is
    /// written.
    pub(crate) fn read(
        table: &ResourceTable<'_, '_>,
        dest: &str,
        environment: &Environment,
    ) -> Result<Option<Box<ForEach>>, Reason> {
        let keys = table.get(&keys::FOR_EACH)?;
        let services = table.get(&keys::FOR_EACH_SERVICE)?;
        let remove_cmd = table.get(&keys::REMOVE_CMD)?;
        let items = match (keys, services) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                let text = "for_each and for_each_service are both set: a resource has one of them";
                return Err(Reason::new(text, table.offset(&keys::FOR_EACH_SERVICE)));
            }
            (Some(text), None) => {
                let text = environment.rendered(text, &keys::FOR_EACH, table)?;
                Items::Keys(ItemPattern::new(&text).map_err(|why| {
                    let text = quoted(&String::from_utf8_lossy(&text));
                    Reason::new(format!("for_each {text}: {why}"), table.offset(&keys::FOR_EACH))
                        .hinting(Some("for_each = \"/tenants/*\"".to_owned()))
                })?)
            }
            (None, Some(text)) => {
                let pattern = Pattern::new(text.as_bytes()).map_err(|why| {
                    let text = format!("for_each_service {}: {why}", quoted(text));
                    Reason::new(text, table.offset(&keys::FOR_EACH_SERVICE))
                })?;
                Items::Services(ServicePattern { pattern, text: text.to_owned() })
            }
        };
        let at = table.offset(&keys::DEST);
        let Some(first) = first_of_item(dest) else {
            let text = "every item would have the same dest: it must depend on the item";
            let hint = "dest = \"/etc/nginx/tenants/{{.name}}.conf\"".to_owned();
            return Err(Reason::new(text, at).hinting(Some(hint)));
        };
        let literal = environment.rendered(&dest[..first], &keys::DEST, table)?;
        let (folder, name) = match literal.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&literal[..slash.max(1)], &literal[slash + 1..]),
            None => (&b"."[..], &literal[..]),
        };
        // The literal beginning of the name is no template any more.
        let text = format!("{{{{{}}}}}{}", quoted(&String::from_utf8_lossy(name)), &dest[first..]);
        let template = Template::parse("dest", Bytes::from(text.clone()), &FUNCTIONS)
            .map_err(|error| Reason::new(error.to_string(), at))?;
        Ok(Some(Box::new(ForEach {
            items,
            folder: OsString::from_vec(folder.to_vec()).into(),
            remove_cmd,
            name: FileName { template, text, environment: environment.clone() },
        })))
    }

    /// The path of the file of `item`, relative to the folder, as `dest` gives it. It is made from data:
    /// nothing is known of it.
    ///
    /// # Errors
    /// The template of `dest` fails, or asks for data that an item does not have.
    pub fn file_of(&self, item: &Item) -> Result<OsString, String> {
        let FileName { template, environment, .. } = &self.name;
        let text = |text: &Bytes| Value::String(text.clone());
        let data = Map::values(vec![
            ("name".into(), text(&item.name())),
            ("key".into(), text(&item.key)),
            ("names".into(), Value::Slice(Slice::strings(item.names.iter().cloned()))),
        ]);
        let mut path = Vec::new();
        template
            .execute(environment, Value::Map(data), &mut path)
            .map_err(|error| error.to_string())?;
        match path.windows(NO_VALUE.len()).any(|part| part == NO_VALUE) {
            true => Err("dest asks for data that an item does not have: it has .name, .key and \
                         .names"
                .to_owned()),
            false => Ok(OsString::from_vec(path)),
        }
    }

    /// The path of a file below the folder. It never begins with the name of an item, which could be that
    /// of an option of a command.
    pub fn dest_of(&self, file: &Path) -> PathBuf {
        self.folder.join(file)
    }
}

/// Where in `dest` the first action begins that is not the variable of an environment.
fn first_of_item(dest: &str) -> Option<usize> {
    let actions = dest.match_indices("{{").map(|(at, _)| at);
    let is_variable = |at: &usize| {
        let action = dest[at + 2..].trim_start_matches('-').trim_start();
        action.starts_with("getenv")
    };
    actions.into_iter().find(|at| !is_variable(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;

    fn read(toml: &str) -> Result<Box<ForEach>, String> {
        let document = Document::parse(toml).unwrap();
        let table = ResourceTable::of(document.root());
        let environment = Environment::new(|name| (name == b"ETC").then(|| "/etc".into()));
        let dest = table.get(&keys::DEST).unwrap_or_default().unwrap();
        let read = ForEach::read(&table, dest, &environment).map_err(|reason| reason.text)?;
        Ok(read.unwrap())
    }

    fn item(key: &str, names: &[&str]) -> Item {
        let names = names.iter().map(|name| Bytes::copy_from_slice(name.as_bytes())).collect();
        Item { key: Bytes::copy_from_slice(key.as_bytes()), names }
    }

    #[test]
    fn the_folder_is_the_literal_part_of_dest_and_the_rest_is_made_of_the_item() {
        for (dest, folder, file) in [
            ("/etc/t/{{.name}}.conf", "/etc/t", "b.conf"),
            ("/etc/t/site-{{index .names 0}}/{{.name}}", "/etc/t", "site-a/b"),
            ("{{getenv `ETC`}}/t/{{.name}}", "/etc/t", "b"),
            ("{{getenv `ETC`}}/t/{{.name}}{{getenv `ETC`}}", "/etc/t", "b/etc"),
            ("{{.name}}", ".", "b"),
            ("/{{.name}}", "/", "b"),
            ("out{{.key}}", ".", "out/t/a/b"),
        ] {
            let each = read(&format!("for_each = '/t/*/*'\ndest = '{dest}'")).unwrap();
            assert_eq!(each.folder, Path::new(folder), "{dest}");
            assert_eq!(each.file_of(&item("/t/a/b", &["a", "b"])).unwrap(), file, "{dest}");
        }
    }

    #[test]
    fn what_cannot_give_each_item_a_file_is_refused() {
        for (toml, why) in [
            ("for_each = '/t/*'\ndest = '/etc/t'", "every item would have the same dest"),
            ("for_each = '/t/a'\ndest = '/{{.name}}'", "for_each \"/t/a\": it has no *"),
            ("for_each = '/t/['\ndest = '/{{.name}}'", "for_each \"/t/[\": syntax error"),
            ("for_each = '/t/*'\nfor_each_service = '*'\ndest = '/{{.name}}'", "are both set"),
            ("for_each = '/t/*'\ndest = '/{{.name'", "template: dest:1"),
        ] {
            let text = read(toml).unwrap_err();
            assert!(text.contains(why), "{text}");
        }
        let each = read("for_each = '/t/*'\ndest = '/{{.other}}'").unwrap();
        assert!(each.file_of(&item("/t/a", &["a"])).unwrap_err().contains("does not have"));
    }
}
