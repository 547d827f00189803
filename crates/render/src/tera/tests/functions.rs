//! What the functions do when templates call them.

use super::{fails, gives};

#[test]
fn functions_ask_the_store() {
    gives("{{ exists(key='/app/name') }} {{ '/app' | exists }}", "true false");
    gives("{% set pair = get(key='/app/name') %}{{ pair.key }}={{ pair.value }}", "/app/name=shop");
    gives("{{ getv(key='/app/name') }} {{ '/app/name' | getv }}", "shop shop");
    gives("{{ getv(key='/x', default='y') }} {{ '/x' | getv(default='') }}", "y ");
    gives(
        "{% for p in gets(pattern='/web/*') %}{{ p.key }}={{ p.value }} {% endfor %}",
        "/web/a=10 /web/b=2 ",
    );
    gives("{{ getvs(pattern='/web/*') }} {{ '/no/*' | gets }}", r#"["10", "2"] []"#);
    gives("{{ ls(path='/web') }} {{ '/web' | lsdir }}", r#"["a", "b"] ["a"]"#);
    fails("{{ gets(pattern='[') }}", "1:3: error calling gets: syntax error in pattern", None);
}

#[test]
fn functions_work_on_strings() {
    gives("{{ base(path='/a/b/') }} {{ '/a/b/' | dir }}", "b /a/b");
    gives("{{ contains(text='abc', pat='bc') }} {{ 'abc' | contains(pat='x') }}", "true false");
    gives(
        "{{ split(text='a:b', pat=':') }}{{ 'é日' | split(pat='') }}",
        r#"["a", "b"]["é", "日"]"#,
    );
    gives("{{ join(list=['a', 1, 1.5], sep='-') }} {{ ['a', 'b'] | join }}", "a-1-1.5 ab");
    gives(
        "{{ replace(text='aaa', from='a', to='b', count=2) }} {{ 'aa' | replace(from='a', to='b') }}",
        "bba bb",
    );
    gives("{{ toUpper(text='aß') }} {{ 'AẞB' | toLower }}", "Aß aßb");
    gives(
        "{{ trimSuffix(text='a.b.b', suffix='.b') }} {{ 'a' | trimSuffix(suffix='b') }}",
        "a.b a",
    );
}

#[test]
fn functions_count() {
    gives("{{ add(a=1, b=2) }} {{ 5 | sub(b=7) }} {{ mul(a=3, b=4) }}", "3 -2 12");
    gives("{{ div(a=-7, b=2) }} {{ -7 | mod(b=2) }} {{ add(a=4 / 2, b=1) }}", "-3 -1 3");
    gives("{{ seq(first=-1, last=2) }} {{ 3 | seq(last=2) }}", "[-1, 0, 1, 2] []");
    gives("{{ atoi(text='-07') + 1 }} {{ '1' | parseBool }}", "-6 true");
    fails(
        "{{ div(a=1, b=0) }}",
        "1:3: error calling div: runtime error: integer divide by zero",
        None,
    );
    fails(
        "\n é {{ 'x' | atoi }}",
        "2:13: error calling atoi: strconv.Atoi: parsing \"x\": invalid syntax",
        None,
    );
}

#[test]
fn functions_read_and_write_data() {
    gives(
        "{% set j = json(text='{\"port\":8080,\"up\":[\"a\"]}') %}{{ j.port }}{{ j.up[0] }}",
        "8080a",
    );
    gives("{{ ('[1,{}]' | jsonArray)[0] }}{{ 'null' | json }}", "1{}");
    gives("{{ base64Encode(text='hé') }} {{ 'aMOp' | base64Decode }}", "aMOp hé");
    gives("{{ map(b=1, a='x') }} {{ map() }}", r#"{"a": "x", "b": 1} {}"#);
    fails(
        "{{ '_' | base64Decode }}",
        "1:9: error calling base64Decode: illegal base64 data at input byte 0",
        None,
    );
    fails(
        "{{ '/w==' | base64Decode }}",
        "1:12: error calling base64Decode: the result is not valid UTF-8",
        None,
    );
    fails("{{ '[' | json }}", "1:9: error calling json: unexpected end of JSON input", None);
}

#[test]
fn lists_are_ordered_in_a_new_list() {
    gives(
        "{% set l = ['bb', 'a'] %}{{ sortByLength(list=l) }}{{ l | sortByLength }}{{ l }}",
        r#"["a", "bb"]["a", "bb"]["bb", "a"]"#,
    );
    gives(
        "{% for p in gets(pattern='/web/*') | reverse | sortKVByLength %}{{ p.key }}{% endfor %}",
        "/web/b/web/a",
    );
    gives("{{ reverse(list=[1, 2]) }}{{ [1, 2] | reverse }}{{ 'ab' | reverse }}", "[2, 1][2, 1]ba");
}

#[test]
fn functions_ask_the_world() {
    gives(
        "{{ getenv(name='NAME') }} {{ 'EMPTY' | getenv(default='x') }} {{ getenv(name='NO') }}",
        "value x ",
    );
    gives("{{ datetime() }}", "2026-02-03 04:05:06.0700809 +0000 UTC m=+0.017068638");
    gives(
        "{{ datetime(format='2006-01-02 15:04', utc=true) }} {{ datetime(timestamp=true) }}",
        "2026-02-03 04:05 1770091506",
    );
    gives("{{ fileExists(path='/there') }} {{ '/nowhere' | fileExists }}", "true false");
    gives(
        "{{ lookupIP(name='host') }} {{ 'host' | lookupIPV4 }} {{ 'host' | lookupIPV6 }}",
        r#"["10.0.0.10", "10.0.0.9"] ["10.0.0.10", "10.0.0.9"] []"#,
    );
    gives(
        "{% for s in lookupSRV(name='example', service='http', protocol='tcp') -%}
        {{ s.target }}:{{ s.port }} {{ s.priority }} {{ s.weight }}{% endfor %}",
        "a.example.:8080 1 2",
    );
    fails(
        "{{ 'RAW' | getenv }}",
        "1:11: error calling getenv: the value of RAW is not valid UTF-8",
        None,
    );
}

#[test]
fn filters_of_tera_keep_their_names() {
    gives(
        "{% set m = map(key='x') %}{{ m | get(key='key') }}{{ m | get(key='no', default='-') }}",
        "x-",
    );
    gives(
        "{{ 'aXbX' | replace(from='X', to='') | upper }}{{ '-' | split(pat='-') | length }}",
        "AB2",
    );
    gives("{{ 'aa' | replace(from='', to='-') }}", "-a-a-");
}

#[test]
fn arguments_are_checked() {
    let error = |call: &str, place: usize, want: &str| {
        fails(&format!("{{{{ {call} }}}}"), &format!("1:{place}: error calling {want}"), None);
    };
    error("getv()", 3, "getv: argument \"key\" is missing");
    error("getv(key=1)", 3, "getv: argument \"key\" must be a string, not an integer");
    error("1 | getv", 7, "getv: the value must be a string, not an integer");
    error(
        "getv(key='/app/name', defualt='')",
        3,
        "getv: unknown argument \"defualt\"; there are \"key\" and \"default\"",
    );
    error(
        "'/a' | getv(key='/b')",
        10,
        "getv: unknown argument \"key\"; the only one is \"default\"",
    );
    error("'/a' | exists(x=1)", 10, "exists: unknown argument \"x\"; there are none");
    error("add(a=1.5, b=1)", 3, "add: argument \"a\" must be an integer, not a float");
    error("[1] | sortByLength", 9, "sortByLength: the value must be a list of strings, not a list");
    error("datetime(format='', timestamp=true)", 3, "datetime: a timestamp has no format");
    error(
        "sortKVByLength(list=[1])",
        3,
        "sortKVByLength: argument \"list\" must be a list of maps with a key, as gets gives it, not a list",
    );
    error("seq(first=0, last=10000000)", 3, "seq: seq: result exceeds 10000000 elements");
}
