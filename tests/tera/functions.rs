//! confd's functions in Tera templates.

use std::collections::BTreeSet;

use crate::support::{Network, World, consul_with};

use super::tree;

const KEYS: &str = r#"
app: { name: shop, ports: { http: "80", https: "443" } }
json: '{"port": 8080, "up": ["a", "b"], "share": 0.5}'
list: '[1, {"x": null}]'
"#;

/// Every function, as a function and, if it takes a value, as a filter.
const CALLS: &[(&str, &str)] = &[
    ("{{ exists(key='/app/name') }} {{ '/app' | exists }}", "true false"),
    ("{% set pair = get(key='/app/name') %}{{ pair.key }}={{ pair.value }}", "/app/name=shop"),
    ("{{ getv(key='/app/name') }} {{ '/no' | getv(default='x') }}", "shop x"),
    (
        "{% for p in gets(pattern='/app/ports/*') %}{{ p.key }}={{ p.value }} {% endfor %}",
        "/app/ports/http=80 /app/ports/https=443 ",
    ),
    ("{{ '/app/*' | gets | first | get(key='value') }}", "shop"),
    ("{{ getvs(pattern='/app/ports/*') }} {{ '/no/*' | getvs }}", r#"["443", "80"] []"#),
    ("{{ ls(path='/app') }} {{ '/app/ports' | ls }}", r#"["name", "ports"] ["http", "https"]"#),
    ("{{ lsdir(path='/app') }} {{ '/' | lsdir }}", r#"["ports"] []"#),
    ("{{ base(path='/a/b/') }} {{ '' | base }}", "b ."),
    ("{{ dir(path='/a/b/') }} {{ 'a' | dir }}", "/a/b ."),
    ("{{ contains(text='abc', pat='bc') }} {{ 'abc' | contains(pat='') }}", "true true"),
    (
        "{{ split(text='a:b:', pat=':') }} {{ '日本' | split(pat='') }}",
        r#"["a", "b", ""] ["日", "本"]"#,
    ),
    ("{{ join(list=['a', 2], sep=', ') }} {{ ['a', 'b'] | join }}", "a, 2 ab"),
    (
        "{{ replace(text='aaa', from='a', to='b', count=2) }} {{ 'aa' | replace(from='a', to='') }}|",
        "bba |",
    ),
    ("{{ toUpper(text='aß') }} {{ 'é' | toUpper }}", "Aß É"),
    ("{{ toLower(text='AÉ') }} {{ 'İ' | toLower }}", "aé i"),
    ("{{ trimSuffix(text='a.b.b', suffix='.b') }} {{ 'a' | trimSuffix(suffix='x') }}", "a.b a"),
    ("{{ add(a=1, b=2) }} {{ 9223372036854775807 | add(b=1) }}", "3 -9223372036854775808"),
    ("{{ sub(a=1, b=2) }} {{ 1 | sub(b=1) }}", "-1 0"),
    ("{{ mul(a=3, b=-2) }} {{ 2 | mul(b=2) }}", "-6 4"),
    ("{{ div(a=-7, b=2) }} {{ 7 | div(b=2) }}", "-3 3"),
    ("{{ mod(a=-7, b=2) }} {{ 7 | mod(b=4) }}", "-1 3"),
    ("{{ seq(first=1, last=3) }} {{ 2 | seq(last=1) }}", "[1, 2, 3] []"),
    ("{{ atoi(text='-07') + 1 }} {{ '8' | atoi }}", "-6 8"),
    ("{{ parseBool(text='T') }} {{ '0' | parseBool }}", "true false"),
    (
        "{% set j = json(text=getv(key='/json')) %}{{ j.port }} {{ j.up[1] }} {{ j.share }}",
        "8080 b 0.5",
    ),
    ("{{ '/json' | getv | json | get(key='up') | join(sep='+') }}", "a+b"),
    ("{{ jsonArray(text=getv(key='/list')) | first }} {{ '[]' | jsonArray | length }}", "1 0"),
    ("{{ base64Encode(text='hé') }} {{ '' | base64Encode }}", "aMOp "),
    ("{{ base64Decode(text='aMOp') }} {{ 'YQ==' | base64Decode }}", "hé a"),
    ("{% set m = map(b=1, a='x') %}{{ m.a }}{{ m.b }} {{ map() }}", "x1 {}"),
    ("{{ reverse(list=[1, 'a']) }} {{ [1, 2] | reverse }}", r#"["a", 1] [2, 1]"#),
    ("{{ sortByLength(list=['bb', 'c', 'a']) }} {{ [] | sortByLength }}", r#"["c", "a", "bb"] []"#),
    (
        "{% for p in sortKVByLength(list=gets(pattern='/*/*')) %}{{ p.key }} {% endfor %}",
        "/app/name ",
    ),
    (
        "{{ gets(pattern='/app/ports/*') | reverse | sortKVByLength | first | get(key='key') }}",
        "/app/ports/http",
    ),
    ("{{ getenv(name='WHO') }} {{ 'EMPTY' | getenv(default='x') }}", "me x"),
    (
        "{{ datetime(format='MST', utc=true) }} {{ datetime(timestamp=true) > 1700000000 }}",
        "UTC true",
    ),
    ("{{ fileExists(path='/etc/hosts') }} {{ '/no/such' | fileExists }}", "true false"),
    (
        "{{ lookupIP(name='web.test') }} {{ '::1' | lookupIP }}",
        r#"["10.0.0.10", "10.0.0.9"] ["::1"]"#,
    ),
    (
        "{{ lookupIPV4(name='web.test') }} {{ '::1' | lookupIPV4 }}",
        r#"["10.0.0.10", "10.0.0.9"] []"#,
    ),
    ("{{ lookupIPV6(name='web.test') }} {{ '::1' | lookupIPV6 }}", r#"[] ["::1"]"#),
    (
        "{% for s in lookupSRV(name='test.', service='http', protocol='tcp') -%}\
      {{ s.target }}:{{ s.port }} {{ s.priority }} {{ s.weight }}{% endfor %}",
        "web.test.:80 1 5",
    ),
    ("{{ 'test.' | lookupSRV(service='http', protocol='tcp') | length }}", "1"),
    ("{% set all = explode(pairs=gets(pattern='/app/ports/*')) %}{{ all.app.ports.http }}", "80"),
    ("{{ gets(pattern='/app/*') | byKey | length }} {{ [] | explode | length }}", "1 0"),
    ("{% set m = byKey(pairs=gets(pattern='/app/*')) %}{{ m.app.name.value }}", "shop"),
    ("{{ service(name='web')[0]['Port'] }} {{ 'web' | service(filter='any') | length }}", "80 1"),
    ("{{ connect(name='web') | length }} {{ 'web' | connect | length }}", "0 0"),
    (
        "{{ preparedQuery(name='front')[0]['NodeDatacenter'] }} {{ 'front' | preparedQuery | length }}",
        "dc1 1",
    ),
    ("{{ services()[1]['Name'] }} {{ '@dc1' | services | length }}", "web 2"),
    ("{{ nodes()[0]['Node'] }} {{ '@dc1' | nodes | length }}", "alpha 2"),
    (
        "{% set n = node(name='alpha') %}{{ n.Node.Address }} {% set n = 'x' | node %}{{ n.Node }}",
        "10.0.0.1 ",
    ),
    ("{{ datacenters() }} {{ datacenters(reachable=true) }}", r#"["dc1"] ["dc1"]"#),
    (
        "{{ caRoots()[0]['Name'] }} {% set leaf = 'web' | caLeaf %}{{ leaf.Service }}",
        "Consul CA Primary Cert web",
    ),
    ("{{ peerings() | length }} {{ exportedServices() | length }}", "0 0"),
    ("{% if false %}{{ partitions() }}{{ importedServices(partition='a') }}{% endif %}", ""),
    ("{% for t, l in service(name='web') | byTag %}{{ t }}{{ l | length }}{% endfor %}", "v11"),
    (
        "{% for p, l in byPort(list=service(name='web')) %}{{ p }} {{ l | length }}{% endfor %}",
        "80 1",
    ),
    (
        "{% for m, l in 'web' | service | byMeta(keys='zone') %}{{ m }} {{ l | length }}{% endfor %}",
        "a 1",
    ),
];

#[test]
fn every_function_of_go_templates_is_a_function_and_a_filter() {
    let names: Vec<_> = (0..CALLS.len()).map(|nth| format!("{nth:02}.tera")).collect();
    let files: Vec<_> =
        names.iter().zip(CALLS).map(|(name, (template, _))| (name.as_str(), *template)).collect();
    let sandbox = tree(&files, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let run = sandbox.onetime_with(KEYS).env("WHO", "me").env("EMPTY", "");
    let network = Network {
        is_bare: false,
        hosts: "127.0.0.1 localhost\n",
        zone: "web.test. A 10.0.0.9\nweb.test. A 10.0.0.10\n_http._tcp.test. SRV 1 5 80 web.test.\n",
    };
    let service = r#"{"Node": "alpha", "Address": "10.0.0.1",
        "Service": {"Service": "web", "Port": 80, "Tags": ["v1"], "Meta": {"zone": "a"}}}"#;
    let query = r#"{"Name": "front", "Service": {"Service": "web"}}"#;
    let consul = |_: &World| consul_with(&sandbox, [service, query]);
    let (ended, _consul) = run.run_in_after(&sandbox, network, consul);
    for (name, (template, want)) in names.iter().zip(CALLS) {
        let out = sandbox.read(&format!("out/{name}"));
        assert_eq!(out, *want, "{template}\n{}", ended.stderr);
    }
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let words = |template: &'static str| template.split(|c: char| !c.is_alphanumeric());
    let called: BTreeSet<_> = CALLS.iter().flat_map(|(template, _)| words(template)).collect();
    // The examples in docs/functions call those of the library.
    let library: BTreeSet<_> = render::library::names().collect();
    for function in render::functions().filter(|name| !library.contains(name)) {
        assert!(called.contains(function), "{function} is called by no test");
    }
}

#[test]
fn arguments_that_do_not_fit_are_errors() {
    let calls = [
        ("getv()", "1:3: error calling getv: argument \"key\" is missing"),
        (
            "getv(key=1)",
            "1:3: error calling getv: argument \"key\" must be a string, not an integer",
        ),
        (
            "getv(key='/app/name', defualt='x')",
            "1:3: error calling getv: unknown argument \"defualt\"; there are \"key\" and \"default\"",
        ),
        ("1 | toUpper", "1:7: error calling toUpper: the value must be a string, not an integer"),
        ("div(a=1, b=0)", "1:3: error calling div: runtime error: integer divide by zero"),
        ("'x' | atoi", "1:9: error calling atoi: strconv.Atoi: parsing \"x\": invalid syntax"),
        ("gets(pattern='[')", "1:3: error calling gets: syntax error in pattern"),
        ("'{' | json", "1:9: error calling json: unexpected end of JSON input"),
        (
            "'/w==' | base64Decode",
            "1:12: error calling base64Decode: the result is not valid UTF-8",
        ),
    ];
    let names: Vec<_> = (0..calls.len()).map(|nth| format!("{nth}.tera")).collect();
    let templates: Vec<_> = calls.iter().map(|(call, _)| format!("{{{{ {call} }}}}")).collect();
    let files: Vec<_> =
        names.iter().zip(&templates).map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let sandbox = tree(&files, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let ended = sandbox.onetime_with(KEYS).fails();
    for (name, (_, error)) in names.iter().zip(calls) {
        ended.expect(&format!("ERROR template: {name}:{error}"));
    }
    assert_eq!(sandbox.list("out"), [""; 0]);
}

#[test]
fn an_argument_that_a_filter_of_tera_does_not_have_is_an_error_too() {
    let calls = [
        (
            "'x' | indent(widht=2)",
            "1:16: error calling indent: unknown argument \"widht\"; there are \"width\", \
             \"indentation\", \"first\" and \"blank\"",
        ),
        (
            "[2, 1] | sort(by='a')",
            "1:17: error calling sort: unknown argument \"by\"; the only one is \"attribute\"",
        ),
        (
            "'x' | upper(all=true)",
            "1:15: error calling upper: unknown argument \"all\"; there are none",
        ),
    ];
    for (call, error) in calls {
        let sandbox = tree(&[("a.tera", &format!("{{{{ {call} }}}}"))], &["a.tera"]);
        let ended = sandbox.onetime_with(KEYS).fails();
        let src = sandbox.path("templates/a.tera").display().to_string();
        ended.expect(&format!("ERROR Unable to process template {src}, template: a.tera:{error}"));
    }
}
