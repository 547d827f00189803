//! Reads one file `conf.d/*.toml` into a [`Resource`]: what to render, from which keys, to where.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use options::{duration, goint};
use report::{Excerpt, Place, file_error_text, read_regular};
use store::{Prefix, Scope};

use crate::{
    after::{self, After},
    commands::Command,
    document::{self, Document, Section, Unknown},
    engine::Engine,
    guards::Guards,
    hint, load,
    problem::Problem,
    retry::Retry,
};

/// One template resource: what to render, from which keys, to where.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// The file that describes it.
    pub path: PathBuf,
    /// The template's source file.
    pub src: PathBuf,
    /// The language that the template is written in.
    pub engine: Engine,
    /// The prefix to which the keys are relative.
    pub prefix: Prefix,
    /// The keys that the resource asks for, prefix included.
    pub scope: Scope,
    /// The file that the result goes to, as it is written in the resource file.
    pub dest: PathBuf,
    /// The permissions of `dest`. `None` keeps those of the existing file.
    pub mode: Option<u32>,
    /// The owner of `dest`. `None` is the user of this process.
    pub uid: Option<u32>,
    /// The group of `dest`. `None` is the group of this process.
    pub gid: Option<u32>,
    /// The command that checks the result before it replaces `dest`: a Go template.
    pub check_cmd: Option<Command>,
    /// The command that runs after `dest` was replaced.
    pub reload_cmd: Option<Command>,
    /// Whether `reload_cmd` is a template too.
    pub reload_template: bool,
    /// The time limit of `check_cmd`. Zero means without a limit; `None` means the limit of the
    /// run.
    pub check_timeout: Option<Duration>,
    /// The time limit of `reload_cmd`. Zero means without a limit; `None` means the limit of the
    /// run.
    pub reload_timeout: Option<Duration>,
    /// The time limit of rendering the template. Zero means without a limit; `None` means the limit
    /// of the run.
    pub render_timeout: Option<Duration>,
    /// Whether `dest` is repaired after another program changed it. If not, it stays changed until
    /// the keys or the template change.
    pub heal: bool,
    /// Watch mode: how long to wait after a change until no more changes come. `None` means the
    /// debounce time of the run.
    pub debounce: Option<Duration>,
    /// Watch mode: the least time between two passes that reload.
    pub min_reload_interval: Option<Duration>,
    /// Watch mode: when a failed pass is tried again.
    pub retry: Retry,
    /// What must hold before `dest` is replaced; `None` if that is nothing.
    pub guards: Option<Box<Guards>>,
    /// The health check, and what a failed reload causes; `None` if nothing is set.
    pub after: Option<Box<After>>,
    /// Probable mistakes in the file.
    pub warnings: Vec<Problem>,
    name: Arc<str>,
}

/// Where resource files are, and what holds for all of them.
#[derive(Debug)]
pub struct Confdir<'a> {
    /// The folder of the resource files.
    pub conf_d: PathBuf,
    /// The folder that `src` of a resource is relative to.
    pub templates: PathBuf,
    /// If not empty, replaces the prefix that a resource names.
    pub prefix: &'a [u8],
}

impl<'a> Confdir<'a> {
    /// The folders in `confdir`, with the `prefix` of the run.
    pub fn new(confdir: &Path, prefix: &'a [u8]) -> Self {
        Self { conf_d: load::conf_d(confdir), templates: load::templates_folder(confdir), prefix }
    }
}

/// Why a file is not a valid resource, and where in the file the mistake is.
pub(crate) struct Reason {
    text: String,
    offset: Option<usize>,
    /// What was probably meant.
    hint: Option<String>,
}

impl Reason {
    pub(crate) fn new(text: impl Into<String>, offset: Option<usize>) -> Self {
        Reason { text: text.into(), offset, hint: None }
    }

    pub(crate) fn hinting(self, hint: Option<String>) -> Self {
        Reason { hint, ..self }
    }
}

impl From<document::Error> for Reason {
    fn from(error: document::Error) -> Self {
        Reason::new(error.to_string(), Some(error.offset())).hinting(error.hint())
    }
}

/// Probable mistakes, and where in the file they are.
struct Warning {
    text: String,
    offset: usize,
}

/// The error of a resource file that cannot be read.
pub(crate) fn unreadable(path: &Path, operation: &str, error: &io::Error) -> Problem {
    refused(path, &file_error_text(operation, path, error)).into()
}

/// The line that says that the file `path` is not a resource.
fn refused(path: &Path, reason: &str) -> String {
    format!("Cannot process template resource {} - {reason}", path.display())
}

impl Resource {
    /// Reads the resource file `path`, one of `confdir`.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, has a key of a wrong type, no `src` or `dest`, a `mode` that is
    /// not a number, a `uid` or `gid` that is out of range, or an unknown `engine`.
    pub fn load(path: &Path, confdir: &Confdir<'_>) -> Result<Box<Self>, Problem> {
        let source = read_regular(path).map_err(|error| unreadable(path, "open", &error))?;
        let place = |offset| Place::at_offset(path, &source, offset);
        let (mut resource, warnings) =
            Self::parse(path, &source, confdir).map_err(|Reason { text, offset, hint }| {
                Problem {
                    text: refused(path, &text),
                    excerpt: offset.map(place).map(Excerpt::of).unwrap_or_default().hinting(hint),
                }
            })?;
        let warning = |Warning { text, offset }| {
            let place = place(offset);
            let text = format!("{}:{}: {text}", path.display(), place.line);
            Problem { text, excerpt: Excerpt::of(place) }
        };
        resource.warnings = warnings.into_iter().map(warning).collect();
        Ok(resource)
    }

    fn parse(
        path: &Path,
        source: &[u8],
        confdir: &Confdir<'_>,
    ) -> Result<(Box<Self>, Vec<Warning>), Reason> {
        let text = std::str::from_utf8(source).map_err(|error| {
            let offset = error.valid_up_to();
            let line = document::line_of(source, offset);
            Reason::new(format!("toml: line {line}: invalid UTF-8"), Some(offset))
        })?;
        let document = Document::parse(text).map_err(|error| {
            let hint = hint::for_second_table(text, error.offset()).or_else(|| error.hint());
            Reason::from(error).hinting(hint)
        })?;
        let root = document.root();
        let section = root
            .section("template")
            .map_err(|error| Reason::from(error).hinting(hint::for_array_of_tables(text)));
        let Some(template) = section? else {
            return Err(Reason::new("empty src template", None)
                .hinting(hint::without_template(&root.unknown())));
        };
        let resource = Self::read(path, confdir, &template)?;
        let mut warnings = Vec::new();
        if let (Some(mode), Some(offset)) = (resource.mode, template.offset("mode")) {
            let written = template.string("mode")?.unwrap_or_default();
            let text = suspicious_mode(written, mode);
            warnings.extend(text.map(|text| Warning { text, offset }));
        }
        if let Some(command) = resource.reload_cmd.as_ref().filter(|_| !resource.reload_template)
            && let Some(text) = command.not_a_template()
            && let Some(offset) = template.offset("reload_cmd")
        {
            warnings.push(Warning { text: text.to_owned(), offset });
        }
        warnings.extend(
            resource.reload_cmd.is_none().then(|| useless(&template)).into_iter().flatten(),
        );
        let tables = [("template.", template.unknown()), ("", root.unknown())];
        for (table, unknown) in tables {
            warnings.extend(unknown.into_iter().map(|Unknown { key, offset, .. }| Warning {
                text: hint::ignored(table, key),
                offset,
            }));
        }
        Ok((resource, warnings))
    }

    fn read(
        path: &Path,
        confdir: &Confdir<'_>,
        table: &Section<'_, '_>,
    ) -> Result<Box<Self>, Reason> {
        let text = |key| table.string(key).map(Option::unwrap_or_default);
        let src = text("src")?;
        let dest = text("dest")?;
        let keys = table.strings("keys")?.unwrap_or_default();
        let own_prefix = text("prefix")?;
        let check_cmd = Command::read(table, "check_cmd")?;
        let reload_cmd = Command::read(table, "reload_cmd")?;
        let reload_template = table.boolean("reload_template")?.unwrap_or(false);
        let (uid, gid) = (identity(table, "uid", "user")?, identity(table, "gid", "group")?);
        let mode = text("mode")?;
        let engine = table.string("engine")?;
        let check_timeout = time(table, "check_timeout")?;
        let reload_timeout = time(table, "reload_timeout")?;
        let render_timeout = time(table, "render_timeout")?;
        let heal = table.boolean("heal")?.unwrap_or(true);
        let debounce = time(table, "debounce")?;
        let min_reload_interval = time(table, "min_reload_interval")?;
        let retry = Retry::read(table)?;
        let (guards, after) = (Guards::read(table)?, After::read(table)?);
        // confd's decoder accepts these keys, because they are names of its internals. Nothing
        // reads them.
        table.integer("filemode")?;
        table.strings("stagefile")?;
        if src.is_empty() {
            let hint = hint::without_src(&table.unknown());
            return Err(Reason::new("empty src template", None).hinting(hint));
        }
        let mode = (!mode.is_empty())
            .then(|| parse_mode(mode))
            .transpose()
            .map_err(|text| Reason::new(text, table.offset("mode")).hinting(hint::for_mode()))?;
        if dest.is_empty() {
            let hint = hint::without_dest(&table.unknown());
            return Err(Reason::new("empty dest", None).hinting(hint));
        }
        let prefix = match confdir.prefix {
            b"" => Prefix::new(own_prefix.as_bytes()),
            prefix => Prefix::new(prefix),
        };
        let src = join(&confdir.templates, src.as_bytes());
        let engine = engine
            .map_or_else(|| Ok(Engine::of_file(&src)), read_engine)
            .map_err(|text| Reason::new(text, table.offset("engine")))?;
        Ok(Box::new(Resource {
            path: path.to_path_buf(),
            src,
            engine,
            scope: keys.iter().map(|key| prefix.join(key.as_bytes())).collect(),
            prefix,
            dest: dest.into(),
            mode,
            uid,
            gid,
            check_cmd,
            reload_cmd,
            reload_template,
            check_timeout,
            reload_timeout,
            render_timeout,
            heal,
            debounce,
            min_reload_interval,
            retry,
            guards,
            after,
            warnings: Vec::new(),
            name: name(path, &confdir.conf_d).into(),
        }))
    }
}

impl Resource {
    /// The resource's name for people: the path of its file below `conf.d`, without `.toml`, such
    /// as `nginx` or `web/site`. No two resources of one `conf.d` have the same name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether a pass of the resource may run commands.
    pub fn has_commands(&self) -> bool {
        self.check_cmd.is_some() || self.reload_cmd.is_some()
    }
}

/// The [`name`](Resource::name) of the resource in the file `path` of the folder `conf_d`.
pub fn name(path: &Path, conf_d: &Path) -> String {
    // The walk of `conf.d` made the path of `conf_d`, a slash and this name.
    let below = path.as_os_str().as_bytes().strip_prefix(conf_d.as_os_str().as_bytes());
    let below = below.and_then(|below| below.strip_prefix(b"/")).map(OsStr::from_bytes);
    // `conf.d` may itself be the only resource file.
    let below = below.or_else(|| path.file_name()).unwrap_or(path.as_os_str());
    let whole = below.to_string_lossy();
    // A file may be called just `.toml`. Names that are cut never end in `toml` and uncut ones
    // always do, so no two names are the same.
    let cut = whole.strip_suffix(".toml");
    let cut = cut.filter(|cut| !cut.is_empty() && !cut.ends_with('/') && !cut.ends_with("toml"));
    cut.unwrap_or(&whole).to_owned()
}

/// Warnings about keys that have no effect, because there is no `reload_cmd`.
fn useless<'a>(table: &'a Section<'_, '_>) -> impl Iterator<Item = Warning> + use<'a> {
    let keys = after::OF_RELOAD.into_iter();
    keys.filter_map(|key| {
        let text = format!("{key} has no effect without reload_cmd");
        table.offset(key).map(|offset| Warning { text, offset })
    })
}

/// Joins like Go's `filepath.Join`: `name` stays below `folder` even if it is absolute, but `..`
/// leads out of it.
pub(crate) fn join(folder: &Path, name: &[u8]) -> PathBuf {
    let joined = store::path::join([folder.as_os_str().as_bytes(), name]);
    PathBuf::from(OsString::from_vec(joined))
}

/// The engine called `name`.
fn read_engine(name: &str) -> Result<Engine, String> {
    Engine::from_name(name).ok_or_else(|| {
        let known = Engine::ALL.map(|engine| format!("{:?}", engine.name()));
        let name = quoted(name);
        format!("unknown engine {name}; the known ones are {}", known.join(" and "))
    })
}

/// The text as Go quotes it.
pub(crate) fn quoted(text: &str) -> String {
    gotmpl::quote(text.as_bytes())
}

/// The duration at `key`, if it is there.
pub(crate) fn time(table: &Section<'_, '_>, key: &str) -> Result<Option<Duration>, Reason> {
    let Some(text) = table.string(key)? else { return Ok(None) };
    duration::parse(text)
        .map(Some)
        .map_err(|why| Reason::new(format!("{key} {}: {why}", quoted(text)), table.offset(key)))
}

/// Reads a file mode in any of Go's number bases.
fn parse_mode(text: &str) -> Result<u32, String> {
    goint::unsigned(text, u64::from(u32::MAX)).map(|mode| mode as u32).map_err(|fault| {
        let fault = match fault {
            goint::Fault::Syntax => "invalid syntax",
            goint::Fault::Range => "value out of range",
        };
        format!("strconv.ParseUint: parsing {}: {fault}", quoted(text))
    })
}

/// A warning about a mode such as `"644"`: it is decimal, and probably octal was intended.
fn suspicious_mode(text: &str, mode: u32) -> Option<String> {
    let octal_digits = text.len() == 3 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    (octal_digits && !text.starts_with('0')).then(|| {
        format!(
            "mode {text:?} is decimal and means {:04o}; write \"0{text}\" for octal",
            mode & 0o777
        )
    })
}

/// The user or group id at `key`, as Go confd reads it: -1 is the process's own, and other negative
/// numbers of 32 bits wrap. `whose` says of what the id is.
fn identity(table: &Section<'_, '_>, key: &str, whose: &str) -> Result<Option<u32>, Reason> {
    /// The id that means "unchanged" to the system.
    const NONE: u32 = u32::MAX;

    let id = table.integer(key).map_err(|error| {
        let name = table.string(key).ok().flatten().filter(|name| name.parse::<i64>().is_err());
        let hint = name.map(|name| hint::for_identity(key, name)).or_else(|| error.hint());
        Reason::from(error).hinting(hint)
    })?;
    let Some(id) = id else { return Ok(None) };
    let wrapped = i32::try_from(id).map(i32::cast_unsigned);
    match u32::try_from(id).or(wrapped) {
        Ok(NONE) if id == -1 => Ok(None),
        Ok(number) if number != NONE => Ok(Some(number)),
        _ => Err(Reason::new(
            format!(
                "{key} {id} is out of range: it is a number from 0 to 4294967294, or -1 for the \
                 {whose} of confd"
            ),
            table.offset(key),
        )),
    }
}

#[cfg(test)]
mod tests {
    use store::Key;

    use std::fs;

    use super::*;

    fn loaded(text: &str) -> Result<Box<Resource>, String> {
        loaded_with_prefix(text, "")
    }

    fn loaded_with_prefix(text: &str, prefix: &str) -> Result<Box<Resource>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        // Every resource needs a destination.
        let has_no_dest = text.to_lowercase().contains("src=") && !text.contains("dest=");
        let text = text.to_owned() + if has_no_dest { "\ndest='d'\n" } else { "" };
        fs::write(&path, text).unwrap();
        let confdir = Confdir {
            conf_d: folder.path().to_path_buf(),
            ..Confdir::new(Path::new("/etc/confd"), prefix.as_bytes())
        };
        Resource::load(&path, &confdir)
            .map_err(|problem| problem.text.replace(path.to_str().unwrap(), "a.toml"))
    }

    fn scope(resource: &Resource) -> Vec<String> {
        resource.scope.iter().map(Key::to_string).collect()
    }

    #[test]
    fn keys_are_joined_to_the_prefix_and_cleaned() {
        let resource =
            loaded("[template]\nsrc='a'\nprefix='app'\nkeys=['/x/', 'y', '/app/../z', '']")
                .unwrap();
        assert_eq!(scope(&resource), ["/app", "/app/x", "/app/y", "/app/z"]);
        let resource = loaded("[TEMPLATE]\nSRC='a'\nKEYS=['/']").unwrap();
        assert_eq!(scope(&resource), ["/"]);
    }

    #[test]
    fn the_global_prefix_replaces_the_resources_own() {
        let resource =
            loaded_with_prefix("[template]\nsrc='a'\nprefix='/own'\nkeys=['x']", "/global")
                .unwrap();
        assert_eq!(scope(&resource), ["/global/x"]);
    }

    #[test]
    fn src_is_below_the_templates_folder_unless_it_climbs() {
        for (src, path) in [
            ("a.tmpl", "/etc/confd/templates/a.tmpl"),
            ("sub//a", "/etc/confd/templates/sub/a"),
            ("/tmp/a", "/etc/confd/templates/tmp/a"),
            ("../x", "/etc/confd/x"),
        ] {
            let resource = loaded(&format!("[template]\nsrc='{src}'")).unwrap();
            assert_eq!(resource.src, Path::new(path));
        }
    }

    #[test]
    fn a_name_is_the_path_below_conf_d_and_unique() {
        let conf_d = Path::new("/etc/confd/conf.d");
        for (path, expected) in [
            ("a.toml", "a"),
            ("sub/b.toml", "sub/b"),
            ("atoml", "atoml"),
            ("toml", "toml"),
            (".toml", ".toml"),
            ("sub/.toml", "sub/.toml"),
            (".toml.toml", ".toml.toml"),
            ("a.toml.toml", "a.toml.toml"),
        ] {
            assert_eq!(name(&conf_d.join(path), conf_d), expected);
        }
        assert_eq!(name(conf_d, conf_d), "conf.d");
    }

    #[test]
    fn problems_name_the_file() {
        for (text, error) in [
            ("", "empty src template"),
            ("[template]\ndest='a'", "empty src template"),
            (
                "[template]\nsrc='a'\nmode='abc'",
                "strconv.ParseUint: parsing \"abc\": invalid syntax",
            ),
            (
                "[template]\nsrc='a'\nmode='0888'",
                "strconv.ParseUint: parsing \"0888\": invalid syntax",
            ),
            (
                "[template]\nsrc='a'\nmode='999999999999'",
                "strconv.ParseUint: parsing \"999999999999\": value out of range",
            ),
            (
                "[template]\nsrc='a'\nengine='jinja'",
                "unknown engine \"jinja\"; the known ones are \"go\" and \"tera\"",
            ),
            (
                "[template]\nsrc='a'\nengine=2",
                "toml: line 3 (last key \"template.engine\"): incompatible types: TOML value has type int64; destination has type string",
            ),
            (
                "[template]\nsrc='a'\nuid='root'",
                "toml: line 3 (last key \"template.uid\"): incompatible types: TOML value has type string; destination has type integer",
            ),
        ] {
            assert_eq!(
                loaded(text).unwrap_err(),
                format!("Cannot process template resource a.toml - {error}")
            );
        }
    }

    #[test]
    fn the_name_of_the_file_decides_the_language_unless_engine_is_set() {
        for (table, engine) in [
            ("src='a.tmpl'", Engine::Go),
            ("src='tera'", Engine::Go),
            ("src='a.conf.tera'", Engine::Tera),
            ("src='a.conf'\nengine='tera'", Engine::Tera),
            ("src='a.tera'\nengine='go'", Engine::Go),
        ] {
            let resource = loaded(&format!("[template]\n{table}")).unwrap();
            assert_eq!(resource.engine, engine, "{table}");
            assert!(resource.warnings.is_empty(), "{table}");
        }
    }

    #[test]
    fn a_mode_is_octal_only_with_its_zero() {
        for (text, mode) in
            [("0644", 0o644), ("0o644", 0o644), ("0x1a4", 0o644), ("420", 0o644), ("644", 644)]
        {
            assert_eq!(parse_mode(text), Ok(mode));
        }
        let resource = loaded("[template]\nsrc='a'\nmode='644'").unwrap();
        assert!(
            resource.warnings[0]
                .text
                .ends_with(":3: mode \"644\" is decimal and means 0204; write \"0644\" for octal")
        );
        assert!(loaded("[template]\nsrc='a'\nmode='0644'").unwrap().warnings.is_empty());
    }

    #[test]
    fn a_resource_sets_the_limits_of_its_commands_and_zero_means_no_limit() {
        let resource = loaded("[template]\nsrc='a'\ncheck_timeout='1m30s'\nreload_timeout='0'");
        let resource = resource.unwrap();
        assert_eq!(resource.check_timeout, Some(Duration::from_secs(90)));
        assert_eq!(resource.reload_timeout, Some(Duration::ZERO));
        assert!(resource.warnings.is_empty());
        let resource = loaded("[template]\nsrc='a'").unwrap();
        assert_eq!((resource.check_timeout, resource.reload_timeout), (None, None));
        let error = loaded("[template]\nsrc='a'\ncheck_timeout='soon'").unwrap_err();
        assert!(error.contains("check_timeout \"soon\": not a duration"), "{error}");
    }

    #[test]
    fn a_file_is_healed_unless_its_resource_forbids_it() {
        assert!(loaded("[template]\nsrc='a'").unwrap().heal);
        let resource = loaded("[template]\nsrc='a'\nheal=false").unwrap();
        assert!(!resource.heal && resource.warnings.is_empty());
        let error = loaded("[template]\nsrc='a'\nheal='no'").unwrap_err();
        assert!(error.ends_with("destination has type boolean"), "{error}");
    }

    #[test]
    fn minus_one_is_the_process_and_other_negatives_wrap() {
        let uid = |id: &str| loaded(&format!("[template]\nsrc='a'\n{id}")).unwrap().uid;
        assert_eq!(uid(""), None);
        assert_eq!(uid("uid=-1"), None);
        assert_eq!(uid("uid=-5"), Some(4_294_967_291));
        assert_eq!(uid("uid=33"), Some(33));
        assert_eq!(uid("uid=4294967294"), Some(4_294_967_294));
    }

    #[test]
    fn unknown_keys_are_reported() {
        let resource =
            loaded("[template]\nsrc='a'\nowner='nginx'\nreload='x'\ndest='d'\n[other]\n").unwrap();
        let ends = [
            ":3: owner is ignored, as in confd; use uid, a number",
            ":4: unknown key \"template.reload\", did you mean \"reload_cmd\"?",
            ":6: unknown key \"other\"",
        ];
        for (warning, end) in resource.warnings.iter().zip(ends) {
            assert!(warning.text.ends_with(end), "{}", warning.text);
        }
        assert_eq!(resource.warnings.len(), 3);
    }
}
