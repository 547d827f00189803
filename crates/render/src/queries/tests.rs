use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catalog::{
    CaRoot, Check, Data, Definition, Instance, Leaf, Node, NodeService, NodeWithServices, Pair,
    Query, Service, Status, TaggedAddress, Text, Weights,
};
use gotmpl::{Functions, Template, Value};

use super::{Answers, Session};

fn texts<const N: usize>(texts: [&'static str; N]) -> Arc<[Text]> {
    texts.into_iter().map(Bytes::from).collect()
}

fn by_name<const N: usize>(entries: [(&'static str, &'static str); N]) -> catalog::Texts {
    entries.into_iter().map(|(name, text)| (name.into(), text.into())).collect()
}

fn check(id: &'static str) -> Check {
    Check {
        node: "alpha".into(),
        id: id.into(),
        name: "probe".into(),
        status: "passing".into(),
        notes: "".into(),
        output: "".into(),
        service_id: "web-1".into(),
        service_name: "web".into(),
        service_tags: texts(["v1"]),
        kind: "ttl".into(),
        namespace: "".into(),
        partition: "".into(),
        exposed_port: 0,
        peer: "".into(),
        definition: None,
        create_index: 7,
        modify_index: 8,
    }
}

fn pair(path: &'static str, value: &'static str) -> Pair {
    let (path, value, session) = (path.into(), value.into(), "".into());
    Pair { path, value, create_index: 1, modify_index: 2, lock_index: 0, flags: 42, session }
}

/// An instance of the service `web`.
fn instance(id: &'static str, port: i64, tags: Arc<[Text]>, zone: &'static str) -> Instance {
    Instance {
        node: "alpha".into(),
        node_id: "".into(),
        datacenter: "dc2".into(),
        node_address: "10.0.0.1".into(),
        node_tagged_addresses: by_name([]),
        node_meta: by_name([("rack", "r1")]),
        meta: by_name([("zone", zone), ("ver", "12")]),
        address: "10.1.0.1".into(),
        tagged_addresses: [("lan".into(), TaggedAddress { address: "10.2.0.1".into(), port: 9 })]
            .into_iter()
            .collect(),
        id: id.into(),
        name: "web".into(),
        tags,
        checks: [check("c1")].into_iter().collect(),
        status: Status::Passing,
        port,
        weights: Weights { passing: 10, warning: 2 },
    }
}

pub(crate) fn answers() -> Arc<Answers> {
    let instances = [
        instance("web-1", 8001, texts(["prod", "v1"]), "a"),
        instance("web-2", 443, texts(["prod"]), "b c"),
    ];
    let node = Node {
        id: "n1".into(),
        name: "alpha".into(),
        address: "10.0.0.1".into(),
        datacenter: "dc1".into(),
        tagged_addresses: by_name([]),
        meta: by_name([]),
    };
    let service = NodeService {
        id: "web-1".into(),
        service: "web".into(),
        tags: texts(["v1"]),
        meta: by_name([]),
        port: 8001,
        address: "".into(),
        enable_tag_override: false,
    };
    let found = NodeWithServices { node: node.clone(), services: [service].into_iter().collect() };
    let services = [
        Service { name: "api".into(), tags: texts([]) },
        Service { name: "web".into(), tags: texts(["prod", "v1"]) },
    ];
    let place = catalog::Place::default();
    let query = |text| Query::instances(text, false).expect(text);
    let definition = Definition {
        http: "http://x/".into(),
        header: [("A".into(), texts(["1"]))].into_iter().collect(),
        interval: Duration::from_secs(90),
        ..Definition::default()
    };
    let defined = Check { definition: Some(Arc::new(definition)), ..check("c1") };
    let chosen = Instance { checks: [defined].into_iter().collect(), ..instances[0].clone() };
    let root = CaRoot {
        id: "r".into(),
        name: "root".into(),
        root_cert: "".into(),
        active: true,
        not_before: "2026-11-29T22:07:43Z".into(),
        not_after: "2036-11-26T22:07:43Z".into(),
        create_index: 9,
        modify_index: 9,
    };
    let leaf = Leaf {
        serial_number: "09".into(),
        cert_pem: "".into(),
        private_key_pem: "".into(),
        service: "web".into(),
        service_uri: "".into(),
        valid_after: "2026-11-29T22:07:04Z".into(),
        valid_before: "2026-12-02T22:07:04Z".into(),
        create_index: 28,
        modify_index: 28,
    };
    let pairs = [
        pair("app/", ""),
        pair("app/db/host", "db"),
        pair("app/db/port", "5432"),
        pair("app/name", "shop"),
        pair("apple", "x"),
    ];
    let key = |text, must_exist| Query::key(text, must_exist).expect(text);
    Arc::new(Answers::from([
        (Query::pairs("app").expect("a query"), Data::Pairs(pairs.iter().cloned().collect())),
        (Query::pairs("app/").expect("a query"), Data::Pairs(pairs[..4].iter().cloned().collect())),
        (Query::pairs("nothing").expect("a query"), Data::Pairs(Arc::default())),
        (key("app/name", true), Data::Value(Some("shop".into()))),
        (key("app/empty", false), Data::Value(Some("".into()))),
        (key("app/none", false), Data::Value(None)),
        (query("web"), Data::Instances(instances.into_iter().collect())),
        (
            Query::prepared("front").expect("a query"),
            Data::Instances([chosen].into_iter().collect()),
        ),
        (Query::CaRoots, Data::CaRoots([root].into_iter().collect())),
        (Query::CaLeaf { service: "web".to_owned() }, Data::CaLeaf(Arc::new(leaf))),
        (query("none"), Data::Instances(Arc::default())),
        (Query::services("").expect("a query"), Data::Services(services.into_iter().collect())),
        (Query::nodes("").expect("a query"), Data::Nodes([node].into_iter().collect())),
        (Query::node("alpha").expect("a query"), Data::Node(Some(Arc::new(found)))),
        (Query::Node { name: Some("x".to_owned()), place }, Data::Node(None)),
        (Query::Datacenters { only_reachable: false }, Data::Datacenters(texts(["dc1", "dc2"]))),
    ]))
}

/// What the Go template `source` gives, and the names of the queries that are missing.
fn go(source: &str) -> (String, Vec<String>) {
    let mut functions = Functions::new();
    super::add_services(&mut functions);
    super::add_pairs(&mut functions);
    let source = Bytes::copy_from_slice(source.as_bytes());
    let template = Template::parse("a", source.clone(), &Arc::new(functions));
    let template = template.unwrap_or_else(|error| panic!("{error}"));
    let (session, mut out) = (Session::new(answers()), Vec::new());
    let text = match template.execute(&session, Value::Nil, &mut out) {
        Ok(()) => String::from_utf8(out).expect("UTF-8"),
        Err(error) => error.to_string(),
    };
    (text, session.missing().iter().map(ToString::to_string).collect())
}

#[track_caller]
fn gives(source: &str, want: &str) {
    assert_eq!(go(source), (want.to_owned(), Vec::new()), "{source}");
}

#[test]
fn instances_have_the_fields_of_consul_template() {
    gives(
        r#"{{range service "web"}}{{.Node}} {{.NodeAddress}} {{.Address}}:{{.Port}} {{.ID}} {{.Name}} {{.Status}} {{.NodeMeta.rack}} {{.ServiceMeta.zone}} {{(index .ServiceTaggedAddresses "lan").Port}} {{.Weights.Passing}}/{{.Weights.Warning}} {{len .Checks}}{{range .Checks}} {{.CheckID}} {{.ModifyIndex}}{{end}} {{.Tags}};{{end}}"#,
        "alpha 10.0.0.1 10.1.0.1:8001 web-1 web passing r1 a 9 10/2 1 c1 8 [prod v1];\
         alpha 10.0.0.1 10.1.0.1:443 web-2 web passing r1 b c 9 10/2 1 c1 8 [prod];",
    );
    gives(
        r#"{{range service "web"}}{{range .Checks}}[{{.Definition.HTTP}}{{.Definition.Interval}}]{{end}}{{end}}"#,
        "[0s][0s]",
    );
    gives(r#"{{range service "none"}}x{{else}}nothing{{end}}"#, "nothing");
    gives(r#"{{service ""}}{{connect}}"#, "[][]");
    gives(
        r#"{{$x := index (service "web") 1}}{{printf "%T %T %T %T %T" $x $x.Tags $x.Checks $x.Weights $x.ServiceTaggedAddresses}}"#,
        "*dependency.HealthService dependency.ServiceTags api.HealthChecks api.AgentWeights map[string]api.ServiceAddress",
    );
    let (error, _) = go(r#"{{range service "web"}}{{.Colour}}{{end}}"#);
    assert!(
        error.contains("can't evaluate field Colour in type *dependency.HealthService"),
        "{error}"
    );
}

#[test]
fn the_catalogue_is_listed() {
    gives("{{range services}}{{.Name}}{{.Tags}} {{end}}", "api[] web[prod v1] ");
    gives("{{range nodes}}{{.Node}} {{.Datacenter}}{{end}}", "alpha dc1");
    gives("{{datacenters}}", "[dc1 dc2]");
    gives(
        r#"{{with node "alpha"}}{{.Node.Address}}{{range .Services}} {{.Service}}:{{.Port}}{{end}}{{end}}"#,
        "10.0.0.1 web:8001",
    );
    gives(r#"{{with node "x"}}[{{.Node}}] {{len .Services}}{{end}}"#, "[<nil>] 0");
}

#[test]
fn services_are_grouped() {
    gives(
        r#"{{range $tag, $list := service "web" | byTag}}{{$tag}}:{{range $list}} {{.ID}}{{end}};{{end}}"#,
        "prod: web-1 web-2;v1: web-1;",
    );
    gives("{{range $tag, $list := byTag services}}{{$tag}} {{len $list}};{{end}}", "prod 1;v1 1;");
    gives(
        r#"{{range $port, $list := service "web" | byPort}}{{printf "%05d" $port}} {{len $list}};{{end}}{{len (index (service "web" | byPort) 443)}}"#,
        "00443 1;08001 1;1",
    );
    gives(
        r#"{{range $k, $list := service "web" | byMeta "zone,ver|int"}}{{$k}}{{range $list}} {{.ID}}{{end}};{{end}}"#,
        "a_00012 web-1;b_c_00012 web-2;",
    );
    gives(r#"{{printf "%T" (service "web" | byPort)}}"#, "map[int][]interface {}");
    let (error, _) = go(r#"{{byTag "text"}}"#);
    assert!(error.contains("byTag: wrong argument type string"), "{error}");
    let (error, _) = go(r#"{{service "web" | byMeta "zone|int"}}"#);
    assert!(
        error.contains(r#"cannot parse a as number : strconv.Atoi: parsing "a": invalid syntax"#),
        "{error}"
    );
}

#[test]
fn a_query_without_an_answer_is_missing_and_gives_a_neutral_value() {
    let missing = |source| go(source).1;
    assert_eq!(
        go(r#"{{len (service "db|any")}}{{len (service "db|any")}}{{node "beta"}}"#),
        (
            "00<no value>".to_owned(),
            vec!["health.service(db|any)".to_owned(), "catalog.node(beta)".to_owned()]
        )
    );
    assert_eq!(missing("{{exportedServices}}{{caLeaf \"db\"}}{{peerings}}").len(), 3);
    assert_eq!(missing("{{range service \"db\"}}{{service .Name}}{{end}}").len(), 1);
}

#[test]
fn what_is_no_query_is_an_error() {
    for (source, want) in [
        (r#"{{service "we b"}}"#, r#"health.service: invalid format: "we b""#),
        (
            r#"{{service "web" "green"}}"#,
            r#"health.service: invalid filter: "green" in "web|green""#,
        ),
        (r#"{{importedServices ""}}"#, "importedServices: partition name is required"),
    ] {
        let (error, _) = go(source);
        assert!(error.ends_with(want), "{error}");
    }
}

#[test]
fn pairs_are_listed_with_the_prefix_cut_off() {
    gives(
        r#"{{range ls "app/"}}{{.Key}}={{.Value}} {{.Path}} {{.Flags}};{{end}}"#,
        "name=shop app/name 42;",
    );
    gives(r#"{{range tree "app/"}}{{.Key}} {{end}}"#, "db/host db/port name ");
    // The prefix is a text and no folder.
    gives(r#"{{range tree "app"}}{{.Key}} {{end}}"#, "db/host db/port name le ");
    gives(r#"{{range ls "nothing"}}x{{end}}{{tree ""}}"#, "[]");
    assert_eq!(go(r#"{{safeLs "nothing"}}"#).1, ["kv.list(nothing)"]);
    gives(
        r#"{{range $folder, $pairs := tree "app/" | byKey}}{{$folder}}{{range $pairs}} {{.Key}}={{.Value}}{{end}};{{end}}"#,
        "db host=db port=5432;",
    );
    gives(r#"{{with tree "app/" | explode}}{{.db.port}} {{.name}}{{end}}"#, "5432 shop");
}

#[test]
fn a_key_is_waited_for_only_where_it_must_exist() {
    gives(
        r#"{{key "app/name"}} {{keyExists "app/none"}} {{keyExists "app/empty"}}"#,
        "shop false true",
    );
    gives(r#"{{keyOrDefault "app/none" "a"}} {{keyOrDefault "app/empty" "b"}}"#, "a b");
    gives(r#"{{key ""}}"#, "");
    assert_eq!(go(r#"{{key "app/none"}}"#).1, ["kv.block(app/none)"]);
}

#[test]
fn a_prepared_query_gives_instances_with_their_datacenter() {
    gives(
        r#"{{range preparedQuery "front"}}{{.ID}} {{.Address}}:{{.Port}} {{.Weights.Passing}} {{.NodeDatacenter}}{{end}}"#,
        "web-1 10.1.0.1:8001 10 dc2",
    );
    gives(r#"{{len (preparedQuery "")}}"#, "0");
    gives(
        r#"{{range $zone, $list := preparedQuery "front" | byMeta "zone"}}{{$zone}}{{range $list}} {{.NodeDatacenter}}{{end}}{{end}}"#,
        "a dc2",
    );
    gives(
        r#"{{range $tag, $list := preparedQuery "front" | byTag}}{{$tag}}{{range $list}} {{.NodeDatacenter}};{{end}}{{end}}"#,
        "prod dc2;v1 dc2;",
    );
    gives(r#"{{range $port, $list := preparedQuery "front" | byPort}}{{$port}}{{end}}"#, "8001");
    let (error, missing) = go(r#"{{range service "web"}}{{.NodeDatacenter}}{{end}}"#);
    assert!(error.contains("can't evaluate field NodeDatacenter"), "{error} {missing:?}");
    assert_eq!(
        go(r#"{{preparedQuery "back"}}"#),
        ("[]".to_owned(), vec!["query.execute(back)".to_owned()])
    );
    let (error, _) = go(r#"{{preparedQuery "a|any"}}"#);
    assert!(error.contains(r#"query.execute: invalid format: "a|any""#), "{error}");
}

/// The texts are those of consul-template 0.42.1.
#[test]
fn the_definition_of_a_check_has_durations_that_print_as_texts() {
    let gives_for_check = |action: &str, want: &str| {
        let source = format!(
            r#"{{{{range preparedQuery "front"}}}}{{{{range .Checks}}}}{action}{{{{end}}}}{{{{end}}}}"#
        );
        gives(&source, want);
    };
    gives_for_check("{{.Definition.HTTP}} {{.Definition.Header.A}}", "http://x/ [1]");
    gives_for_check("{{.Definition.Interval}} {{.Definition.IntervalDuration}}", "1m30s 1m30s");
    gives_for_check(
        r#"{{printf "%v %T" .Definition.Interval .Definition.Interval}}"#,
        "90000000000 api.ReadableDuration",
    );
    gives_for_check(r#"{{.Definition.IntervalDuration.Minutes}}"#, "1.5");
    gives_for_check(
        "{{.Definition}}",
        "{http://x/ map[A:[1]]    false  false    false 1m30s 0s 0s  90000000000 0 0}",
    );
}

#[test]
fn the_checks_of_an_instance_have_a_common_status() {
    gives(r#"{{range service "web"}}{{.Checks.AggregatedStatus}} {{end}}"#, "passing passing ");
    let (error, _) = go(r#"{{range service "web"}}{{.Checks.AggregatedStatus 1}}{{end}}"#);
    assert!(error.contains("wrong number of args for AggregatedStatus: want 0 got 1"), "{error}");
}

#[test]
fn certificates_have_times() {
    gives(
        r#"{{range caRoots}}{{.NotBefore}} {{.NotAfter.Year}} {{printf "%T" .NotAfter}} {{.NotAfter.After .NotBefore}} {{.DaysRemaining}}{{end}}"#,
        "2026-11-29 22:07:43 +0000 UTC 2036 *time.Time true <nil>",
    );
    gives(
        r#"{{with caLeaf "web"}}{{.ValidAfter}} {{.ValidBefore.After .ValidAfter}} {{.ValidBefore.Format "2006"}}{{end}}"#,
        "2026-11-29 22:07:04 +0000 UTC true 2026",
    );
}
