//! Hints for mistakes in Go templates: names that other languages have for something, and syntax of
//! other languages.

use gotmpl::{Error, ErrorKind};
use report::{did_you_mean, did_you_mean_spelled};

use super::foreign;

/// Words of other languages that are no functions here, each with what Go's language has.
const WORDS: [(&str, &str); 15] = [
    ("for", "a loop is {{range …}} … {{end}}"),
    ("foreach", "a loop is {{range …}} … {{end}}"),
    ("endfor", "a block ends with {{end}}"),
    ("endif", "a block ends with {{end}}"),
    ("endrange", "a block ends with {{end}}"),
    ("endwith", "a block ends with {{end}}"),
    ("fi", "a block ends with {{end}}"),
    ("done", "a block ends with {{end}}"),
    ("elif", "another case is {{else if …}}"),
    ("elseif", "another case is {{else if …}}"),
    ("elsif", "another case is {{else if …}}"),
    ("let", VARIABLE),
    ("var", VARIABLE),
    ("import", "include \"NAME\" takes a file of the templates folder"),
    ("in", ONE_OF_A_LIST),
];

/// Functions of sprig whose results differ at each call.
const RANDOM: [&str; 18] = [
    "randAlphaNum",
    "randAlpha",
    "randAscii",
    "randNumeric",
    "randBytes",
    "randInt",
    "shuffle",
    "uuidv4",
    "genPrivateKey",
    "genCA",
    "genCAWithKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "encryptAES",
    "bcrypt",
    "htpasswd",
];

const VARIABLE: &str = "a variable is set by {{$name := …}}";

const ONE_OF_A_LIST: &str = "has searches in a list: {{if has \"http\" .Tags}} … {{end}}";

/// Fields that answers of Consul do not have, by the type: each with the field that has the value.
const FIELDS: [(&str, &str, &str); 8] = [
    ("dependency.HealthService", "Meta", ".ServiceMeta or .NodeMeta"),
    ("dependency.HealthService", "Addr", ".Address"),
    ("dependency.HealthService", "ServiceAddress", ".Address"),
    ("dependency.HealthService", "ServicePort", ".Port"),
    ("dependency.Node", "Name", ".Node"),
    ("dependency.CatalogNode", "Address", ".Node.Address"),
    ("dependency.CatalogNode", "Name", ".Node.Node"),
    ("dependency.CatalogNode", "Meta", ".Node.Meta"),
];

/// What was probably meant by a field that an answer of Consul does not have.
fn field_of_an_answer(message: &[u8]) -> Option<String> {
    let message = std::str::from_utf8(message).ok()?;
    let rest = message.strip_prefix("can't evaluate field ")?;
    let (field, of) = rest.split_once(" in type ")?;
    let is =
        |known: &&(&str, &str, &str)| known.0 == of.trim_start_matches('*') && known.1 == field;
    let (_, _, meant) = FIELDS.iter().find(is)?;
    Some(format!("did you mean {meant}?"))
}

/// What is wrong with the text of a query.
fn query(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let is_of_service = text.contains("health.service: ") || text.contains("health.connect: ");
    if is_of_service && text.contains("invalid f") {
        let hint = "the states are passing, warning, critical, maintenance and any, with commas between \
                    them: service \"web\" \"passing,warning\"";
        return Some(hint.to_owned());
    }
    text.contains("nil pointer evaluating *dependency.Node.").then(|| {
        "there is no such node: {{with node \"NAME\"}}{{with .Node}} … {{end}}{{end}}".to_owned()
    })
}

/// Names that other programs have for a function, each with the function.
const SPELLINGS: [(&str, &str); 22] = [
    ("key", "getv"),
    ("keyOrDefault", "getv"),
    ("keyExists", "exists"),
    ("tree", "gets"),
    ("env", "getenv"),
    ("toInt", "atoi"),
    ("parseJSON", "fromJson"),
    ("parseYAML", "fromYaml"),
    ("replaceAll", "replace"),
    ("expandenv", "getenv"),
    ("getHostByName", "lookupIP"),
    ("tuple", "list"),
    ("push", "append"),
    ("biggest", "max"),
    ("trimall", "trimAll"),
    ("date_in_zone", "dateInZone"),
    ("date_modify", "dateModify"),
    ("osBase", "base"),
    ("osDir", "dir"),
    ("osClean", "clean"),
    ("osExt", "ext"),
    ("osIsAbs", "isAbs"),
];

/// What was probably meant in the template `source`, whose `error` this is.
pub(super) fn hint(error: &Error, source: &[u8]) -> Option<String> {
    if error.kind() == ErrorKind::Parse && foreign::has_tags(source) {
        return Some(foreign::WRITTEN_IN_TERA.to_owned());
    }
    let message = error.message().exact();
    if [
        &b"can't evaluate field Key in type string"[..],
        b"can't evaluate field Value in type string",
    ]
    .contains(&message)
    {
        let hint = "ls, lsdir and getvs give texts, each in {{.}}: gets gives .Key and .Value";
        return Some(hint.to_owned());
    }
    if let Some(hint) = field_of_an_answer(message).or_else(|| query(message)) {
        return Some(hint);
    }
    if let Some(unknown) = error.unknown() {
        // `set` is a function of maps here, and of variables in other languages.
        let before = source.get(..error.offset()).unwrap_or_default().trim_ascii_end();
        if before.ends_with(b"{{set") {
            return Some(VARIABLE.to_owned());
        }
        if RANDOM.contains(&&*unknown.name) {
            let hint = "what is new at each call would change the file in each pass: make it once and put \
                        it into the store";
            return Some(hint.to_owned());
        }
        let word = WORDS.iter().find(|(word, _)| *word == unknown.name);
        return word.map(|(_, hint)| (*hint).to_owned()).or_else(|| {
            let is_known = |name: &str| unknown.known.iter().any(|known| known == name);
            let spelled = SPELLINGS.iter().find(|(spelling, _)| *spelling == unknown.name);
            match spelled.filter(|(_, name)| is_known(name)) {
                Some((spelling, name)) => did_you_mean_spelled(spelling, [(spelling, name)]),
                None => did_you_mean(&unknown.name, &unknown.known),
            }
        });
    }
    match message {
        b"wrong type for value; expected string; got dependency.ServiceTags" => {
            Some(ONE_OF_A_LIST.to_owned())
        }
        _ if message.ends_with(b"for arg of type []string") => {
            Some("the list is the first argument: join .Tags \",\"".to_owned())
        }
        b"unexpected EOF" => Some("this block has no {{end}}".to_owned()),
        b"wrong type for value; expected int; got string"
        | b"error calling eq: incompatible types for comparison: string and int"
        | b"error calling eq: incompatible types for comparison: int and string" => {
            Some("values of keys are text: atoi makes a number of it".to_owned())
        }
        _ if error.kind() == ErrorKind::Parse => syntax(source, error.offset()),
        _ => None,
    }
}

/// What was probably meant by the text of an action at byte `offset` of the template.
fn syntax(source: &[u8], offset: usize) -> Option<String> {
    let before = String::from_utf8_lossy(source.get(..offset)?);
    let after = String::from_utf8_lossy(&source[offset..]);
    let after = after.lines().next().unwrap_or_default();
    let mut characters = after.chars();
    let (first, second) = (characters.next()?, characters.next());
    let is_operator = second.is_none_or(char::is_whitespace);
    let function = |what: &str, name: &str| Some(format!("{what} functions: {name} a b"));
    let compare = |name| function("comparisons are", name);
    let calculate = |name| function("arithmetic is done by", name);
    match (first, second) {
        ('=', Some('=')) => compare("eq"),
        ('!', Some('=')) => compare("ne"),
        ('<', Some('=')) => compare("le"),
        ('>', Some('=')) => compare("ge"),
        ('<', _) => compare("lt"),
        ('>', _) => compare("gt"),
        ('&', Some('&')) => function("conditions are joined by", "and"),
        ('|', _) if before.ends_with('|') || second == Some('|') => {
            function("conditions are joined by", "or")
        }
        ('+', _) if is_operator => calculate("add"),
        ('-', _) if is_operator => calculate("sub"),
        ('*', _) if is_operator => calculate("mul"),
        ('/', _) if is_operator => calculate("div"),
        ('%', _) if is_operator => calculate("mod"),
        ('/', _) => {
            let word = after.split(|c: char| c.is_whitespace() || matches!(c, ')' | '}' | '|'));
            Some(format!("text stands in quotes: \"{}\"", word.into_iter().next()?))
        }
        ('\'', _) => {
            let text = after[1..].split('\'').next()?;
            Some(format!("text stands in double quotes: \"{text}\""))
        }
        ('“' | '”' | '„' | '‘' | '’' | '«', _) => {
            let text = after[first.len_utf8()..].split(['“', '”', '’', '»']).next()?;
            Some(format!("text stands between straight quotes: \"{text}\""))
        }
        (',', _) => Some("arguments are separated by spaces".to_owned()),
        ('(', _) => {
            let name = before.rsplit(|c: char| !c.is_alphanumeric()).next()?;
            let inner = after[1..].split(')').next()?;
            let call = format!("{name} {}", inner.replace(',', ""));
            let rule = "arguments follow a function without parentheses";
            (!name.is_empty()).then(|| format!("{rule}: {call}"))
        }
        _ => None,
    }
}
