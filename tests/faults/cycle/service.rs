//! The services whose files are made: their resources, and the scripts that confd runs for them.

use std::collections::BTreeMap;

use crate::support::Sandbox;

/// What reads files and is reloaded when they change.
pub(super) struct Service {
    pub(super) name: &'static str,
    /// Its files, for a shell.
    files: &'static str,
    pub(super) rolls_back: bool,
    /// Whether all files must have the same content at all times.
    pub(super) is_group: bool,
}

pub(super) const SERVICES: [Service; 7] = [
    Service::of("plain", "out/plain"),
    // Two resources with the same reload command.
    Service::of("shared", "out/x out/y"),
    Service { is_group: true, ..Service::of("group", "out/a out/b out/c") },
    Service::of("items", "out/items/t*.conf"),
    Service { rolls_back: true, ..Service::of("single", "out/s") },
    Service { rolls_back: true, is_group: true, ..Service::of("pair", "out/p out/q") },
    Service { rolls_back: true, ..Service::of("sites", "out/sites/t*.conf") },
];

/// The end of values that a service with a rollback refuses for ever.
pub(super) const BAD: &str = "-bad";

/// The names of the items that come and go.
pub(super) const ITEMS: [&str; 4] = ["t0", "t1", "t2", "t3"];

/// Has a service read its files again. It adds a line to its record: whether the confd that started the
/// script still lives, whether the service accepts the files, and their contents.
///
/// A lock makes reading and recording one step, because a reload survives the confd that started it.
pub(super) const RELOAD: &str = r#"#!/bin/sh
name=$1
exec 9>>"records/$name"
flock 9
seen=
for file in $2; do
    content=none
    read -r content <"$file"
    seen="$seen${content:-none},"
done 2>/dev/null
parent=gone
kill -0 $PPID 2>/dev/null && parent=lives
case $seen in
*-bad*) result=refused ;;
*) if test -e "faults/reload-$name"; then result=failed; else result=accepted; fi ;;
esac
echo "$parent $result $seen" >&9
exec 9>&-
sleep 0.01
test $result = accepted
"#;

/// Checks a stage file.
pub(super) const CHECK: &str = r#"#!/bin/sh
test -s "$2" && test -z "$REFUSE" && ! test -e "faults/check-$1"
"#;

/// Leaves a file if the new files of the group are not equal, unless the confd that started the script was
/// killed: then the next one removes these files.
pub(super) const GROUP_CHECK: &str = r#"#!/bin/sh
cmp -s "$1/a" "$1/b" && cmp -s "$1/b" "$1/c" || { kill -0 $PPID 2>/dev/null && touch torn; }
"#;

/// One reload, as [`RELOAD`] records it.
pub(super) struct Reload {
    /// Whether the confd that started it lived when the files were read.
    pub(super) parent_lives: bool,
    pub(super) is_accepted: bool,
    /// The contents of all files.
    pub(super) seen: String,
}

impl Service {
    const fn of(name: &'static str, files: &'static str) -> Service {
        Service { name, files, rolls_back: false, is_group: false }
    }

    /// Whether it has one file for each item.
    pub(super) fn has_items(&self) -> bool {
        self.files.contains('*')
    }

    /// The names of its files: of those of its items that have one, or of all that it must have.
    pub(super) fn files(&self, sandbox: &Sandbox) -> Vec<String> {
        if !self.has_items() {
            return self.files.split(' ').map(str::to_owned).collect();
        }
        let names = ITEMS.map(|item| self.file_of(item)).into_iter();
        names.filter(|name| sandbox.path(name).exists()).collect()
    }

    /// The name of the file of an item.
    pub(super) fn file_of(&self, item: &str) -> String {
        format!("out/{}/{item}.conf", self.name)
    }

    /// Writes its resources and their templates.
    pub(super) fn configure(&self, sandbox: &Sandbox) {
        let Service { name, files, .. } = self;
        let rollback = if self.rolls_back { "on_reload_failure = 'rollback'\n" } else { "" };
        let group = if self.is_group { format!("group = '{name}'\n") } else { String::new() };
        // Commands are lists, so that confd is the parent of the scripts.
        let more = format!(
            "check_cmd = ['./check', '{name}', '{{{{.src}}}}']\n\
             reload_cmd = ['./reload', '{name}', '{files}']\n{rollback}{group}"
        );
        if self.has_items() {
            sandbox.write(&format!("templates/{name}"), "{{.name}} {{getv \"/host\"}}\n");
            let dest = sandbox.path(&self.file_of("{{.name}}"));
            let keys =
                format!("src = '{name}'\nfor_each = '/{name}/*'\ndest = '{}'", dest.display());
            sandbox.write(&format!("conf.d/{name}.toml"), format!("[template]\n{keys}\n{more}"));
            return;
        }
        for (nth, file) in self.files.split(' ').enumerate() {
            let file = file.trim_start_matches("out/");
            let check = match (*name, nth) {
                ("group", 0) => {
                    let folder = sandbox.path("out").display().to_string();
                    format!("group_check_cmd = ['./group_check', '{{{{.root}}}}{folder}']\n")
                }
                _ => String::new(),
            };
            let template = format!("{{{{getv \"/{name}/{file}\"}}}}\n");
            sandbox.resource(file, template, &format!("{more}{check}"));
        }
    }

    /// The keys of all of its files, or the key of one item.
    pub(super) fn keys(&self) -> Vec<String> {
        if self.has_items() {
            return vec![self.key_of(ITEMS[0])];
        }
        let files = self.files.split(' ').map(|file| file.trim_start_matches("out/"));
        files.map(|file| format!("/{}/{file}", self.name)).collect()
    }

    /// The key of an item.
    pub(super) fn key_of(&self, item: &str) -> String {
        format!("/{}/{item}/host", self.name)
    }

    /// The contents of all files that these pairs ask for, as [`RELOAD`] records them.
    pub(super) fn wanted(&self, pairs: &BTreeMap<String, String>) -> String {
        let content = |key: &String, item: Option<&str>| {
            let value = pairs.get(key)?;
            Some(item.map_or_else(|| format!("{value},"), |item| format!("{item} {value},")))
        };
        let wanted: String = if self.has_items() {
            ITEMS.iter().filter_map(|item| content(&self.key_of(item), Some(item))).collect()
        } else {
            self.keys().iter().filter_map(|key| content(key, None)).collect()
        };
        if wanted.is_empty() { "none,".to_owned() } else { wanted }
    }

    /// The contents of all files that are there, as [`RELOAD`] records them.
    pub(super) fn seen(&self, sandbox: &Sandbox) -> String {
        let content = |name: &String| match sandbox.read(name).lines().next() {
            None | Some("") => "none,".to_owned(),
            Some(line) => format!("{line},"),
        };
        let seen: String = self.files(sandbox).iter().map(content).collect();
        if seen.is_empty() { "none,".to_owned() } else { seen }
    }

    /// What it recorded, oldest first. A line that is being written is left out.
    pub(super) fn reloads(&self, sandbox: &Sandbox) -> Vec<Reload> {
        let record = sandbox.read(&format!("records/{}", self.name));
        let lines = record.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let reload = |line: &str| {
            let mut words = line.trim_end().splitn(3, ' ');
            let parent_lives = words.next()? == "lives";
            let is_accepted = words.next()? == "accepted";
            Some(Reload { parent_lives, is_accepted, seen: words.next()?.to_owned() })
        };
        lines.map(|line| reload(line).expect("a line of a record")).collect()
    }

    /// The files that say that content is held back, as many as there are.
    pub(super) fn holds(&self, sandbox: &Sandbox) -> Vec<String> {
        let names = match self.has_items() {
            true => ITEMS.iter().map(|item| self.file_of(item)).collect(),
            false => self.files(sandbox),
        };
        let hold = |name: &String| {
            let (folder, name) = name.rsplit_once('/').expect("a folder");
            format!("{folder}/.{name}.held")
        };
        names.iter().map(hold).filter(|hold| sandbox.path(hold).exists()).collect()
    }
}

/// Whether the contents of several files are the same.
pub(super) fn is_whole(seen: &str) -> bool {
    let mut contents = seen.split_terminator(',');
    let first = contents.next();
    contents.all(|content| Some(content) == first)
}
