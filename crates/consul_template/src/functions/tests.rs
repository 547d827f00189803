//! All functions, with answers that consul-template 0.42.1 gave.
//!
//! A line of a table in `tests/golden` is a template and its answer, with a tab between them. The
//! answer is the output, or `error: ` and the text of the error. `\n`, `\t` and `\\` stand for a
//! newline, a tab and a backslash. `#` begins a comment.
//!
//! `CONSUL_TEMPLATE=/path/to/consul-template cargo test -p consul-template recorded` also asks that
//! program, and fails if the table has another answer than it gives.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;

use gotmpl::{Dialect, MissingKey, Value};
use world::Service;
use world::time::{Time, Zone};

use super::*;
use crate::session::Store;

/// A machine whose zone is UTC.
struct Utc(world::System);

impl Host for Utc {
    fn variable(&self, _: &[u8]) -> Option<Bytes> {
        None
    }

    fn now(&self) -> Time {
        let now = self.0.now();
        Time::new(now.unix(), now.nanosecond(), Arc::new(Zone::utc()))
    }

    fn file_exists(&self, path: &[u8]) -> bool {
        self.0.file_exists(path)
    }

    fn addresses(&self, name: &[u8]) -> io::Result<Vec<IpAddr>> {
        self.0.addresses(name)
    }

    fn services(&self, name: &[u8]) -> io::Result<Vec<Service>> {
        self.0.services(name)
    }
}

/// What a template gives.
fn answer(source: &str) -> String {
    answer_over(Store::default(), source)
}

/// What a template gives over the answers of `store`.
fn answer_over(store: Store, source: &str) -> String {
    let text = Bytes::copy_from_slice(source.as_bytes());
    let dialect = Dialect::new("{{", "}}").missing_key(MissingKey::Zero);
    let failed = |error: gotmpl::Error| format!("error: {error}");
    let template = match Template::parse_dialect("", text, &dialect, &table(&[])) {
        Ok(template) => Arc::new(template),
        Err(error) => return failed(error),
    };
    let host: Arc<dyn Host> = Arc::new(Utc(world::System::new()));
    let machine = Machine {
        environment: Rc::from([]),
        exported: Vec::new(),
        host,
        stdout: Rc::new(RefCell::new(Box::new(std::io::sink()))),
        pending: Pending::default(),
    };
    let session = Session::new(Rc::new(store));
    let context = Context::new(session, Rc::new(machine), Arc::clone(&template), None);
    let mut out = Vec::new();
    match template.execute(&context, Value::Nil, &mut out) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(error) => failed(error),
    }
}

/// What consul-template itself gives.
fn answer_of(program: &str, source: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in"), source).unwrap();
    let mut command = Command::new(program);
    command.args(["-once", "-template", "in:out"]).current_dir(folder.path());
    let ended = command.env_clear().env("TZ", "UTC").output().unwrap();
    if ended.status.success() {
        return String::from_utf8_lossy(&fs::read(folder.path().join("out")).unwrap()).into_owned();
    }
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    let (_, error) = log.split_once("in: ").unwrap_or_default();
    let error = ["parse: ", "execute: "].iter().find_map(|step| error.strip_prefix(step));
    format!("error: {}", error.unwrap_or(&log).trim_end())
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t")
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        out.push(match c {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                other => other.unwrap_or('\\'),
            },
            c => c,
        });
    }
    out
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the tables are files, and a variable names a program"
)]
fn functions_answer_as_recorded() {
    let program = std::env::var("CONSUL_TEMPLATE").ok();
    let mut faults = Vec::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    for file in fs::read_dir(folder).unwrap() {
        let table = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let (template, recorded) = line.split_once('\t').unwrap_or((line, ""));
            let source = unescaped(template);
            if let Some(program) = &program {
                let real = escaped(&answer_of(program, &source));
                if real != recorded {
                    faults.push(format!("{template}\n  recorded: {recorded}\n  it says:  {real}"));
                }
            }
            let ours = escaped(&answer(&source));
            if ours != recorded {
                faults.push(format!("{template}\n  recorded: {recorded}\n  we say:   {ours}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} answers differ:\n{}", faults.len(), faults.join("\n"));
}

/// The functions of consul-template 0.42.1, and those of sprig that need nothing of the
/// machine, without their prefix.
const NAMES: &str = "\
        add base64Decode base64Encode base64URLDecode base64URLEncode byKey byMeta byPort \
        byTag caLeaf caRoots connect contains containsAll containsAny containsNone \
        containsNotAll datacenters divide env envOrDefault executeTemplate explode \
        explodeMap exportedServices file hmacSHA256Hex importedServices in indent join key \
        keyExists keyOrDefault loop ls maximum md5sum mergeMap mergeMapWithOverride minimum \
        modulo multiply mustEnv node nodes nomadService nomadServices nomadVar \
        nomadVarExists nomadVarList nomadVarListSafe parseBool parseFloat parseInt parseJSON \
        parseUint parseYAML partitions peerings pkiCert plugin regexMatch regexReplaceAll \
        replaceAll safeLs safeTree scratch secret secrets service services sha256Hex \
        sockaddr spew_dump spew_printf spew_sdump spew_sprintf split splitToMap subtract \
        timestamp toJSON toJSONPretty toLower toTOML toTitle toUnescapedJSON \
        toUnescapedJSONPretty toUpper toYAML tree trim trimPrefix trimSpace trimSuffix \
        writeToFile";
const SPRIG: &str = "\
        abbrev abbrevboth add add1 add1f addf adler32sum ago all any append atoi b32dec \
        b32enc b64dec b64enc base bcrypt biggest buildCustomCert camelcase cat ceil chunk \
        clean coalesce compact concat contains \
        decryptAES deepCopy deepEqual default derivePassword dict dig dir div \
        divf duration durationRound empty encryptAES ext fail first float64 \
        floor fromJson genCA genCAWithKey genPrivateKey genSelfSignedCert \
        genSelfSignedCertWithKey genSignedCert genSignedCertWithKey get \
        has hasKey hasPrefix hasSuffix hello htpasswd indent initial \
        initials int int64 isAbs join kebabcase keys kindIs kindOf last list lower \
        max maxf merge mergeOverwrite min minf mod mul mulf mustAppend mustChunk mustCompact \
        mustDateModify mustDeepCopy mustFirst mustFromJson mustHas mustInitial mustLast \
        mustMerge mustMergeOverwrite mustPrepend mustPush mustRegexFind mustRegexFindAll \
        mustRegexMatch mustRegexReplaceAll mustRegexReplaceAllLiteral mustRegexSplit \
        mustRest mustReverse mustSlice mustToDate mustToJson mustToPrettyJson mustToRawJson \
        mustUniq mustWithout must_date_modify nindent nospace omit osBase osClean osDir \
        osExt osIsAbs pick pluck plural prepend push quote \
        randInt regexFind regexFindAll regexMatch regexQuoteMeta \
        regexReplaceAll regexReplaceAllLiteral regexSplit repeat replace rest reverse round \
        semver semverCompare seq set sha1sum sha256sum sha512sum shuffle slice snakecase \
        sortAlpha split splitList splitn squote sub subf substr swapcase ternary title \
        toDate toDecimal toJson toPrettyJson toRawJson toString toStrings trim trimAll \
        trimPrefix trimSuffix trimall trunc tuple typeIs typeIsLike typeOf uniq unixEpoch \
        unset until untilStep untitle upper urlJoin urlParse values without wrap \
        wrapWith";

#[test]
fn every_function_of_consul_template_is_there() {
    let functions = table(&[]);
    let sprig = SPRIG.split_whitespace().map(|name| format!("sprig_{name}"));
    let all = NAMES.split_whitespace().map(str::to_owned).chain(sprig);
    let missing: Vec<_> = all.filter(|name| functions.signature(name).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The texts are those of consul-template 0.42.1.
#[test]
fn what_consul_answers_has_the_form_of_each_language() {
    let service = |name: &'static str, tags: &[&'static str]| catalog::Service {
        name: name.into(),
        tags: tags.iter().map(|tag| Bytes::from(*tag)).collect(),
    };
    let services = || {
        let store = Store::default();
        let data = [service("db", &[]), service("web", &["a.b", "1"])];
        let query = catalog::Query::services("").unwrap();
        store.set_consul(Arc::new(query), catalog::Data::Services(data.into()));
        store
    };
    for (source, expected) in [
        (
            "{{ services | toYAML }}",
            "- name: db\n  tags: []\n- name: web\n  tags:\n  - a.b\n  - \"1\"",
        ),
        ("{{ index services 1 | toTOML }}", "Name = \"web\"\nTags = [\"a.b\", \"1\"]"),
        (
            "{{ services | byTag | toTOML }}",
            "[[1]]\n  Name = \"web\"\n  Tags = [\"a.b\", \"1\"]\n\n\
             [[\"a.b\"]]\n  Name = \"web\"\n  Tags = [\"a.b\", \"1\"]",
        ),
        (
            "{{ services | toTOML }}",
            "error: template: :1:14: executing \"\" at <toTOML>: error calling toTOML: toTOML: toml: \
             top-level values must be Go maps or structs",
        ),
        ("{{ sprig_deepEqual services services }}", "true"),
        (
            "{{ services | toJSON }}",
            r#"[{"Name":"db","Tags":[]},{"Name":"web","Tags":["a.b","1"]}]"#,
        ),
    ] {
        assert_eq!(answer_over(services(), source), expected, "{source}");
    }
    let invalid = answer("{{ \"\\xff\\xe2\\x82\" | toJSON }}");
    assert_eq!(invalid, r#""\ufffd\ufffd\ufffd""#);
}
