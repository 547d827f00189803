//! The words of generated templates: literals, names, and the functions with their kinds.

/// What a value is, as far as a generator of mostly sensible templates has to know.
///
/// The kinds from `Text` to `Encoded` are all strings, and differ in what a literal looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Kind {
    Text,
    Key,
    Pattern,
    Folder,
    Object,
    Array,
    Digits,
    Truth,
    Encoded,
    Variable,
    Address,
    Layout,
    /// An int of any size.
    Int,
    /// An int that can be a length or an index.
    Small,
    Byte,
    Float,
    Complex,
    Bool,
    Texts,
    Ints,
    Pair,
    Pairs,
    PlainPairs,
    Map,
    Values,
    Records,
    Record,
    Time,
    Nil,
    /// Anything, nil included.
    Any,
}

use Kind::{
    Address, Any, Array, Bool, Byte, Complex, Digits, Encoded, Float, Folder, Int, Ints, Key, Layout,
    Map, Nil, Object, Pair, Pairs, Pattern, PlainPairs, Record, Records, Small, Text, Texts, Time,
    Truth, Values, Variable,
};

/// Every kind.
pub(crate) const KINDS: [Kind; 30] = [
    Text, Key, Pattern, Folder, Object, Array, Digits, Truth, Encoded, Variable, Address, Layout, Int,
    Small, Byte, Float, Complex, Bool, Texts, Ints, Pair, Pairs, PlainPairs, Map, Values, Records,
    Record, Time, Nil, Any,
];

impl Kind {
    pub(crate) fn is_text(self) -> bool {
        self < Int
    }

    /// Whether a value of this kind can stand where `wanted` is wanted.
    pub(crate) fn fits(self, wanted: Kind) -> bool {
        match wanted {
            Any => true,
            Int => matches!(self, Int | Small),
            PlainPairs => matches!(self, Pairs | PlainPairs),
            _ if wanted.is_text() => self.is_text(),
            _ => self == wanted,
        }
    }

    /// The literals of the kind; without any, only functions make it.
    pub(crate) fn literals(self) -> &'static [&'static str] {
        match self {
            Text => TEXTS,
            Key => KEYS,
            Pattern => PATTERNS,
            Folder => FOLDERS,
            Object => OBJECTS,
            Array => ARRAYS,
            Digits => DIGITS,
            Truth => &[r#""true""#, r#""0""#, r#""T""#, r#""FALSE""#, r#""yes""#, r#""""#, r#""\xff""#],
            Encoded => ENCODED,
            Variable => &[r#""FULL""#, r#""EMPTY""#, r#""MISSING""#, r#""""#],
            Address => &[r#""10.0.0.1""#, r#""::1""#, r#""1.2.3""#, r#""::ffff:1.2.3.4""#],
            Layout => LAYOUTS,
            Int => INTS,
            Small => &["1", "0", "2", "3", "5", "1.0", "0x2", "'\\x02'", "2e0", "-1", "+1", "4", "0i", "1+0i"],
            Float => FLOATS,
            Complex => &["1i", "1+2i", "1.5-2.25i", "0i", "-1e20+1i", "073i", "1e3i", "0x1p2i"],
            Bool => &["true", "false"],
            Nil => &["nil"],
            _ => &[],
        }
    }
}

const TEXTS: &[&str] = &[
    r#""a""#, r#""""#, r#""hello world""#, r#""x\ty\n""#, r#""<a href=\"x\">&'</a>""#, r#""日本語""#,
    r#""\xff\xfe""#, "`raw \\n`", "`a\"b`", r#""\u00e9\U0001F600""#, r#""a,b,,c""#, r#"",""#,
    r#""\x00\x7f\u200b\ufeff""#, r#""ǆ ß İ ŉ ﬁ Σς""#, r#""key=value&x y/z?""#, r#""%d %s %!""#,
    "`multi\nline`", "`cr\r\nlf`", r#""\a\b\f\v\\\"""#, r#""a b c""#, r#""/x/y/../z/""#, r#""-1""#,
    r#""\101\000""#, "`back\u{feff}quote`", r#""100""#, "\"\u{e000}\u{ad}\u{a0}\u{3000}\"",
];

const KEYS: &[&str] = &[
    r#""/name""#, r#""/app/host""#, r#""/app/port""#, r#""/app/empty""#, r#""/missing""#, r#""/odd/bytes""#,
    r#""/odd/html""#, r#""/num/big""#, r#""/num/one""#, r#""/up/10""#, r#""/up/2""#, r#""/up/1""#,
    r#""/json/object""#, r#""/json/array""#, r#""/json/bad""#, r#""/list""#, r#""/b64""#, r#""app/host""#,
    r#""/app""#, r#""/app/""#, r#""""#,
];

const PATTERNS: &[&str] = &[
    r#""/up/*""#, r#""/*""#, r#""/app/*""#, r#""/*/*""#, r#""/none/*""#, r#""/app/[a-h]*""#,
    r#""/app/[^a-h]*""#, r#""/up/?""#, r#""/up/[""#, r#""[""#, r#""/num/\\*""#, r#""/name""#, r#""""#,
    r#""/odd/?????""#, r#""/up/[3-1]""#, r#""/up/[]a]""#, r#""*""#, r#""/[é-ü]""#,
];

const FOLDERS: &[&str] = &[
    r#""/app""#, r#""/""#, r#""/up/""#, r#""/up""#, r#""""#, r#""/name""#, r#""//app""#, r#""/app//""#,
    r#""/deep/a""#, r#""/deep""#, r#""app""#, r#""/deep/./a""#,
];

const OBJECTS: &[&str] = &[
    r#"`{"a":1,"b":"x","c":null,"d":[1,"two",null,{"e":2.5}],"f":{"g":{"h":true}}}`"#, r#"`{}`"#,
    r#"`{"a":1000000,"b":1e-7,"c":12345678901234567890,"d":-0,"a":2}`"#, r#"`null`"#, r#"`[1]`"#, r#"`{"a":}`"#,
    r#"`{"a":"\ud800\u00e9\n<>","é":[[]],"":{}}`"#, r#"`"text"`"#, r#"``"#, r#"`{"a":1}x`"#, r#"`{"a":1e999}`"#,
    r#"`{"a":[1,2,3,4,5,6,7,8,9]}`"#, r#"`  {"a" : tru}`"#, r#"`{"a":"x	y"}`"#, r#"`{"a":01}`"#,
];

const ARRAYS: &[&str] = &[
    r#"`[1,2.5,"x",null,true,[1],{"a":1}]`"#, r#"`[]`"#, r#"`null`"#, r#"`{}`"#, r#"`[1,]`"#, r#"`[`"#,
    r#"`["a","b","c","d","e"]`"#, r#"`[null,null]`"#, r#"`[{"a":{"b":null}},{"a":{"b":1}}]`"#, r#"`[1 2]`"#,
    r#"`3`"#, r#"`[-]`"#, r#"`["\x"]`"#, r#"`[1e5,1e6,1e20,1e21,0.1,1e-5]`"#,
];

const DIGITS: &[&str] = &[
    r#""1""#, r#""-7""#, r#""+08""#, r#""x""#, r#""""#, r#""1_0""#, r#""9223372036854775808""#, r#""0x10""#,
    r#"" 1""#, r#""\xff\u200b""#,
];

const ENCODED: &[&str] = &[
    r#""aGVsbG8=""#, r#""YQ==""#, r#""YQ""#, r#""YSsvw6k_""#, r#""""#, r#""/+8=""#, r#""aGVs\nbG8=""#,
    r#""====""#, r#""YQ==YQ==""#,
];

const LAYOUTS: &[&str] = &[
    r#""2006-01-02 15:04:05""#, r#""Jan _2 06 3:4:5pm MST""#, r#""Monday, January 2 .000 -07:00 Z0700""#,
    r#""002 __2 .999999999 PM""#, r#""""#, r#""\xff x""#, r#""02.01.2006,000 Z07""#,
];

const INTS: &[&str] = &[
    "1", "0", "2", "-1", "7", "10", "42", "255", "256", "65536", "1_000", "0x1F", "0b101", "0o17", "017", "'a'",
    r"'\n'", r"'\xe9'", "'é'", r"'\''", r"'\U0010ffff'", "1e3", "2.0", "-0", "+5", "9223372036854775807",
    "-9223372036854775808", "9223372036854775808", "18446744073709551615", "1114112", "-42", "0x_1",
];

const FLOATS: &[&str] = &[
    "1.5", "0.1", "-0.0", "2.5", "3.14159", "1e6", "1e20", "1e21", "1e-7", "0x1p-2", "123456789.0", "1e100",
    ".5", "1.", "5e-324", "1.7976931348623157e308", "100000.0", "0.00001234", "1e5", "0x1.fffp10", "-2.25",
    "1_0.2_5", "1e-400", "0.3e1",
];

/// Literals that are none, and literals that are odd.
pub(crate) const ODD: &[&str] = &[
    "1__0", "0x", "1e", "1.2.3", "0b2", "09", "08.5", "1e1000", "+", "-", "1x", "1+2", "1+2i3", "'ab'", "''", "'",
    r"'\q'", r#""\q""#, r#""\x1""#, r#""\ud800""#, r#""\400""#, r#""\'""#, r#""unclosed"#, "`unclosed", r#"'\""#,
    "\"raw\nnewline\"", "1i2", "0x1.8", "0xp1", "1_", "_1", "..", "...", ".1.", "1..x", "0o8", "0X1P+3", "1E+2",
    "0B1", "0O7", "1+1i", "1e+", "99999999999999999999", "0x1e", "1-i", "'\\u00e9'", "'\u{fffd}'",
];

/// Tokens that a mutation puts somewhere.
pub(crate) const TOKENS: &[&str] = &[
    " ", "{{", "}}", "{{- ", " -}}", "{{-", "-}}", "/*", "*/", "{{/* x */}}", ":=", "=", "|", "(", ")", ".", ",", "$",
    "$x", "$y", ".Key", ".x", "if", "else", "end", "range", "with", "define", "block", "template", "break",
    "continue", "nil", "true", "false", "print", "printf", "len", "and", "or", "not", "{{end}}", "{{else}}",
    "{{break}}", "{{continue}}", "{{else if true}}", "{{else with 1}}", "\n", "\t", "\r", "\"", "`", "'", "\\", "#",
    "!", "%", "1", "0", "-", "+", "{", "}", ";", ":", "\u{a0}", "é", "_", "\u{0}", "\u{7f}", "@", "{{if true}}",
    "{{range .}}", "{{$}}", "{{.}}", "{{define \"a\"}}", "{{template \"a\"}}", "nofunc", "1.5", "\"text\"", "٣", "日",
    "call", "slice", "index", "getv", "$.a.b", "()", "((", "))", ".a.b.c", "{{block \"b\" .}}", "&", "\u{2028}",
];

/// A function: its name, the kinds of its parameters, the kind of any more of them, its result.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Kind],
    pub(crate) rest: Option<Kind>,
    pub(crate) result: Kind,
}

const fn fixed(name: &'static str, params: &'static [Kind], result: Kind) -> Function {
    Function { name, params, rest: None, result }
}

const fn variadic(name: &'static str, params: &'static [Kind], rest: Kind, result: Kind) -> Function {
    Function { name, params, rest: Some(rest), result }
}

/// The functions that templates without confd's know, except printf and those of no result kind
/// of their own, which are generated apart.
pub(crate) const BUILTINS: &[Function] = &[
    variadic("print", &[], Any, Text),
    variadic("println", &[], Any, Text),
    variadic("html", &[Text], Any, Text),
    variadic("js", &[Text], Any, Text),
    variadic("urlquery", &[Text], Any, Text),
    fixed("len", &[Text], Small),
    fixed("len", &[Texts], Small),
    fixed("len", &[Map], Small),
    fixed("len", &[Values], Small),
    fixed("len", &[Pairs], Small),
    fixed("not", &[Any], Bool),
    variadic("eq", &[Text, Text], Text, Bool),
    variadic("eq", &[Int, Int], Int, Bool),
    variadic("eq", &[Any, Any], Any, Bool),
    fixed("ne", &[Text, Text], Bool),
    fixed("ne", &[Float, Float], Bool),
    fixed("ne", &[Any, Any], Bool),
    fixed("lt", &[Int, Int], Bool),
    fixed("lt", &[Any, Any], Bool),
    fixed("le", &[Text, Text], Bool),
    fixed("le", &[Float, Float], Bool),
    fixed("gt", &[Byte, Int], Bool),
    fixed("gt", &[Any, Any], Bool),
    fixed("ge", &[Text, Text], Bool),
    fixed("ge", &[Int, Byte], Bool),
    fixed("index", &[Text, Small], Byte),
    fixed("index", &[Texts, Small], Text),
    fixed("index", &[Ints, Small], Int),
    fixed("index", &[Pairs, Small], Pair),
    fixed("index", &[PlainPairs, Small], Pair),
    fixed("index", &[Records, Small], Record),
    fixed("index", &[Map, Text], Any),
    fixed("index", &[Values, Small], Any),
    variadic("index", &[Any], Any, Any),
    fixed("slice", &[Text], Text),
    fixed("slice", &[Text, Small], Text),
    fixed("slice", &[Text, Small, Small], Text),
    fixed("slice", &[Texts, Small, Small], Texts),
    fixed("slice", &[Texts, Small, Small, Small], Texts),
    fixed("slice", &[Ints, Small, Small], Ints),
    fixed("slice", &[Values, Small, Small], Values),
    fixed("slice", &[Pairs, Small], Pairs),
    variadic("slice", &[Any], Small, Any),
    variadic("call", &[Any], Any, Any),
    variadic("and", &[Any], Any, Any),
    variadic("or", &[Any], Any, Any),
];

/// confd's.
pub(crate) const CONFD: &[Function] = &[
    fixed("exists", &[Key], Bool),
    fixed("get", &[Key], Pair),
    variadic("getv", &[Key], Text, Text),
    fixed("gets", &[Pattern], Pairs),
    fixed("getvs", &[Pattern], Texts),
    fixed("ls", &[Folder], Texts),
    fixed("lsdir", &[Folder], Texts),
    fixed("base", &[Text], Text),
    fixed("dir", &[Text], Text),
    fixed("contains", &[Text, Text], Bool),
    fixed("split", &[Text, Text], Texts),
    fixed("join", &[Texts, Text], Text),
    fixed("replace", &[Text, Text, Text, Int], Text),
    fixed("toUpper", &[Text], Text),
    fixed("toLower", &[Text], Text),
    fixed("trimSuffix", &[Text, Text], Text),
    fixed("add", &[Int, Int], Int),
    fixed("sub", &[Int, Int], Int),
    fixed("mul", &[Int, Int], Int),
    fixed("div", &[Int, Int], Int),
    fixed("mod", &[Int, Int], Int),
    fixed("seq", &[Small, Small], Ints),
    fixed("atoi", &[Digits], Int),
    fixed("parseBool", &[Truth], Bool),
    fixed("json", &[Object], Map),
    fixed("jsonArray", &[Array], Values),
    fixed("base64Encode", &[Text], Text),
    fixed("base64Decode", &[Encoded], Text),
    fixed("map", &[], Map),
    fixed("map", &[Text, Any], Map),
    fixed("map", &[Text, Any, Text, Any], Map),
    variadic("map", &[Text, Text], Any, Map),
    fixed("reverse", &[Texts], Any),
    fixed("reverse", &[Any], Any),
    fixed("sortByLength", &[Texts], Texts),
    fixed("sortKVByLength", &[Pairs], PlainPairs),
    variadic("getenv", &[Variable], Text, Text),
    fixed("datetime", &[], Time),
    fixed("fileExists", &[Folder], Bool),
    fixed("lookupIP", &[Address], Texts),
    fixed("lookupIPV4", &[Address], Texts),
    fixed("lookupIPV6", &[Address], Texts),
    fixed("lookupSRV", &[Text, Text, Text], Records),
];

/// Fields and methods with the kind they belong to, their parameters and their result.
pub(crate) const MEMBERS: &[(Kind, &str, &[Kind], Kind)] = &[
    (Pair, "Key", &[], Text),
    (Pair, "Value", &[], Text),
    (Pair, "value", &[], Text),
    (Pairs, "Len", &[], Small),
    (Pairs, "Less", &[Small, Small], Bool),
    (Pairs, "Swap", &[Small, Small], Any),
    (Map, "a", &[], Any),
    (Map, "b", &[], Any),
    (Map, "c", &[], Any),
    (Map, "d", &[], Values),
    (Map, "f", &[], Map),
    (Map, "f.g", &[], Map),
    (Map, "f.g.h", &[], Bool),
    (Map, "c.d", &[], Any),
    (Map, "a.b", &[], Any),
    (Map, "é", &[], Any),
    (Map, "src", &[], Text),
    (Any, "a", &[], Any),
    (Any, "Key", &[], Any),
    (Record, "Target", &[], Text),
    (Record, "Port", &[], Any),
    (Record, "Weight", &[], Any),
    (Time, "Format", &[Layout], Text),
    (Time, "Unix", &[], Any),
    (Time, "Year", &[], Int),
    (Time, "Month", &[], Any),
    (Time, "Day", &[], Small),
    (Time, "Weekday", &[], Any),
    (Time, "UTC", &[], Time),
    (Time, "AddDate", &[Small, Small, Small], Time),
    (Time, "Add", &[Int], Time),
    (Time, "Sub", &[Time], Any),
    (Time, "Before", &[Time], Bool),
    (Time, "Equal", &[Time], Bool),
    (Time, "IsZero", &[], Bool),
    (Time, "Location", &[], Any),
    (Time, "YearDay", &[], Int),
    (Time, "wall", &[], Any),
    (Time, "Nope", &[], Any),
    (Text, "x", &[], Any),
];
