//! Reads the forms in which templates write queries: `[tag.]name[?query][@dc][~near][|filters]`.

use std::collections::BTreeSet;
use std::fmt;

use crate::query::{Filter, Instances, Place, Query};

/// Why a text is no query. The texts are consul-template's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// The parameters that may follow a `?`.
const PARAMETERS: [&str; 4] = ["ns", "peer", "partition", "sameness-group"];

impl Query {
    /// A key, as `key "TEXT"` and `keyOrDefault` ask for it: `[/]key[?query][@dc]`.
    ///
    /// # Errors
    ///
    /// The text has another form, or a parameter that Consul does not have.
    pub fn key(text: &str, must_exist: bool) -> Result<Query, Malformed> {
        let (key, place) = of_key(text, "kv.get")?;
        Ok(Query::Key { key, must_exist, place })
    }

    /// The pairs below a prefix, as `ls` and `tree` ask for them: `[/]prefix[?query][@dc]`.
    ///
    /// # Errors
    ///
    /// The text has another form, or a parameter that Consul does not have.
    pub fn pairs(text: &str) -> Result<Query, Malformed> {
        let (prefix, place) = of_key(text, "kv.list")?;
        Ok(Query::Pairs { prefix, place })
    }

    /// The instances of a service, as `service` asks for them, or, for the mesh, `connect`:
    /// `[tag.]name[?query][@dc][~near][|filters]`. Without filters, the instances whose checks pass
    /// are meant.
    ///
    /// # Errors
    ///
    /// The text has another form, a filter that does not exist, or a parameter that Consul does not
    /// have.
    pub fn instances(text: &str, mesh: bool) -> Result<Query, Malformed> {
        const KIND: &str = "health.service";
        let mut parts = Parts::of(KIND, text);
        let name = parts.take(|c| c.is_ascii_alphanumeric() || "_-.=:".contains(c));
        parts.place()?;
        let near = parts.after('~', is_name_of_node)?;
        let listed = parts.after('|', |c| is_word(c) || c == ',')?;
        let (tag, service) = match name.rsplit_once('.') {
            Some((tag, service)) => (Some(tag), service),
            None => (None, name),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if service.is_empty() || !service.chars().all(is_name) || tag == Some("") {
            return Err(parts.malformed());
        }
        let place = parts.end()?;
        let mut filters = BTreeSet::new();
        match listed {
            None => {
                filters.insert(Filter::Passing);
            }
            Some(listed) => {
                // An empty word between two commas counts for nothing.
                for word in listed.split(',').filter(|word| !word.is_empty()) {
                    let known = Filter::ALL.iter().find(|(name, _)| *name == word);
                    let Some((_, filter)) = known else {
                        let text = format!("{KIND}: invalid filter: {word:?} in {text:?}");
                        return Err(Malformed(text));
                    };
                    filters.insert(*filter);
                }
            }
        }
        Ok(Query::Instances(Instances {
            service: service.to_owned(),
            tag: tag.map(str::to_owned),
            mesh,
            place,
            near: near.map(str::to_owned),
            filters,
        }))
    }

    /// The instances that a prepared query chooses, as `preparedQuery` asks for them:
    /// `name[?query][@dc][~near]`. The name may have spaces and dots.
    ///
    /// # Errors
    ///
    /// The text has another form, or a parameter that Consul does not have.
    pub fn prepared(text: &str) -> Result<Query, Malformed> {
        let mut parts = Parts::of("query.execute", text);
        let name = parts.take(|c| !"?@~|".contains(c));
        if name.is_empty() {
            return Err(parts.malformed());
        }
        parts.place()?;
        let near = parts.after('~', is_name_of_node)?.map(str::to_owned);
        Ok(Query::Prepared { name: name.to_owned(), place: parts.end()?.without_peer(), near })
    }

    /// The names of all services, as `services` asks for them: `[?query][@dc]`.
    ///
    /// # Errors
    ///
    /// The text has another form, or a parameter that Consul does not have.
    pub fn services(text: &str) -> Result<Query, Malformed> {
        let mut parts = Parts::of("catalog.services", text);
        parts.place()?;
        Ok(Query::Services { place: parts.end()?.without_peer() })
    }

    /// A node, as `node` asks for it: `name[?query][@dc]`, or nothing for the agent's own node.
    ///
    /// # Errors
    ///
    /// The text has another form, or a parameter that Consul does not have.
    pub fn node(text: &str) -> Result<Query, Malformed> {
        let mut parts = Parts::of("catalog.node", text);
        let name = parts.take(is_name_of_node);
        if name.is_empty() && !text.is_empty() {
            return Err(parts.malformed());
        }
        parts.place()?;
        let place = parts.end()?.without_peer();
        let name = Some(name).filter(|name| !name.is_empty());
        Ok(Query::Node { name: name.map(str::to_owned), place })
    }

    /// All nodes, as `nodes` asks for them: `[?query][@dc][~near]`.
    ///
    /// # Errors
    ///
    /// The text has another form, or a parameter that Consul does not have.
    pub fn nodes(text: &str) -> Result<Query, Malformed> {
        let mut parts = Parts::of("catalog.nodes", text);
        parts.place()?;
        let near = parts.after('~', is_name_of_node)?;
        let place = parts.end()?.without_peer();
        Ok(Query::Nodes { place, near: near.map(str::to_owned) })
    }

    /// The peers, as `peerings` asks for them: `[?query]`.
    ///
    /// # Errors
    ///
    /// The text has another form, or a parameter that Consul does not have.
    pub fn peerings(text: &str) -> Result<Query, Malformed> {
        let mut parts = Parts::of("list.peering", text);
        parts.parameters()?;
        Ok(Query::Peerings { partition: parts.end()?.partition })
    }

    /// The imported services, as `importedServices` asks for them.
    ///
    /// # Errors
    ///
    /// No partition is named.
    pub fn imported_services(partition: &str) -> Result<Query, Malformed> {
        match partition.is_empty() {
            true => Err(Malformed("importedServices: partition name is required".to_owned())),
            false => Ok(Query::ImportedServices { partition: partition.to_owned() }),
        }
    }
}

/// A key or a prefix: everything up to `?` or `@`, without one slash at its beginning.
fn of_key(text: &str, kind: &'static str) -> Result<(String, Place), Malformed> {
    let mut parts = Parts::of(kind, text);
    let key = parts.take(|c| c != '?' && c != '@');
    if key.is_empty() {
        return Err(parts.malformed());
    }
    parts.place()?;
    let place = parts.end()?.without_peer();
    // A single slash is a key of its own.
    let key = key.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(key);
    Ok((key.to_owned(), place))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_name_of_node(c: char) -> bool {
    is_word(c) || c == '.' || c == '-'
}

impl Place {
    /// This place without a peer, where Consul knows none.
    fn without_peer(self) -> Place {
        Place { peer: None, sameness_group: None, ..self }
    }
}

/// A text whose parts are read from left to right.
struct Parts<'a> {
    kind: &'static str,
    text: &'a str,
    rest: &'a str,
    query: Option<&'a str>,
    datacenter: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(kind: &'static str, text: &'a str) -> Self {
        Parts { kind, text, rest: text, query: None, datacenter: None }
    }

    /// The characters up to the first that does not fit.
    fn take(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// The characters after `mark`, if it comes next; at least one.
    fn after(
        &mut self,
        mark: char,
        fits: impl Fn(char) -> bool,
    ) -> Result<Option<&'a str>, Malformed> {
        let Some(rest) = self.rest.strip_prefix(mark) else { return Ok(None) };
        self.rest = rest;
        match self.take(fits) {
            "" => Err(self.malformed()),
            taken => Ok(Some(taken)),
        }
    }

    /// The parameters and the datacenter: `[?query][@dc]`.
    fn place(&mut self) -> Result<(), Malformed> {
        self.parameters()?;
        self.datacenter = self.after('@', is_name_of_node)?;
        Ok(())
    }

    /// The parameters: `[?query]`.
    fn parameters(&mut self) -> Result<(), Malformed> {
        self.query = self.after('?', |c| is_word(c) || "-=&".contains(c))?;
        Ok(())
    }

    /// The place that was named. Nothing may be left of the text. The form of the whole text is
    /// checked before its parameters.
    fn end(&self) -> Result<Place, Malformed> {
        let kind = self.kind;
        if !self.rest.is_empty() {
            return Err(self.malformed());
        }
        let datacenter = self.datacenter.map(str::to_owned);
        let mut place = Place { datacenter, ..Place::default() };
        let Some(query) = self.query else { return Ok(place) };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let field = match name {
                "ns" => &mut place.namespace,
                "peer" => &mut place.peer,
                "partition" => &mut place.partition,
                "sameness-group" => &mut place.sameness_group,
                _ => {
                    return Err(Malformed(format!(
                        "{kind}: invalid query parameter key {name:?} in query {query:?}: \
                         supported keys: {}",
                        PARAMETERS.join(",")
                    )));
                }
            };
            // The first value of a repeated parameter counts.
            if field.is_none() {
                *field = Some(value.to_owned());
            }
        }
        let fields = [
            &mut place.namespace,
            &mut place.peer,
            &mut place.partition,
            &mut place.sameness_group,
        ];
        for field in fields {
            field.take_if(|text| text.is_empty());
        }
        match place.peer.is_some() && place.sameness_group.is_some() {
            true => Err(Malformed(format!("{kind}: cannot specify both peer and sameness-group"))),
            false => Ok(place),
        }
    }

    fn malformed(&self) -> Malformed {
        Malformed(format!("{}: invalid format: {:?}", self.kind, self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(query: Result<Query, Malformed>) -> String {
        query.map_or_else(|error| error.to_string(), |query| query.to_string())
    }

    #[test]
    fn a_service_is_named_as_consul_template_names_it() {
        for (text, expected) in [
            ("web", "health.service(web|passing)"),
            (
                "prod.web@dc1~alpha|warning,passing",
                "health.service(prod.web@dc1~alpha|passing,warning)",
            ),
            ("web?ns=a", "health.service(web@ns=a|passing)"),
            ("web?ns=a&ns=b@dc1~n|any,passing", "health.service(web@dc1@ns=a~n|any,passing)"),
            (
                "a.b.web?partition=p&peer=x&ns=n@dc~_agent",
                "health.service(a.b.web@dc@partition=p@ns=n@peer=x~_agent|passing)",
            ),
            ("web?sameness-group=a", "health.service(web@sameness-group=a|passing)"),
            ("web?ns=", "health.service(web|passing)"),
            ("web|,passing,", "health.service(web|passing)"),
            ("web|,", "health.service(web)"),
            ("web?ns", "health.service(web|passing)"),
        ] {
            assert_eq!(name(Query::instances(text, false)), expected, "{text}");
        }
        assert_eq!(name(Query::instances("web", true)), "health.connect(web|passing)");
    }

    #[test]
    fn what_is_no_service_is_an_error_that_says_so() {
        for (text, expected) in [
            ("web|foo", r#"invalid filter: "foo" in "web|foo""#),
            ("we b", r#"invalid format: "we b""#),
            ("web|", r#"invalid format: "web|""#),
            ("web|passing, warning", r#"invalid format: "web|passing, warning""#),
            ("web|fo-o", r#"invalid format: "web|fo-o""#),
            ("web?", r#"invalid format: "web?""#),
            ("web@dc?ns=a", r#"invalid format: "web@dc?ns=a""#),
            ("web~n@dc", r#"invalid format: "web~n@dc""#),
            ("web|any@dc", r#"invalid format: "web|any@dc""#),
            ("web|any|passing", r#"invalid format: "web|any|passing""#),
            ("wéb", r#"invalid format: "wéb""#),
            (".web", r#"invalid format: ".web""#),
            ("web?ns=a;b", r#"invalid format: "web?ns=a;b""#),
            (
                "web?colour=a",
                r#"invalid query parameter key "colour" in query "colour=a": supported keys: ns,peer,partition,sameness-group"#,
            ),
            ("web?colour=a|x y", r#"invalid format: "web?colour=a|x y""#),
            ("web?peer=a&sameness-group=b", "cannot specify both peer and sameness-group"),
        ] {
            let expected = format!("health.service: {expected}");
            assert_eq!(name(Query::instances(text, false)), expected, "{text}");
        }
    }

    #[test]
    fn a_key_ends_at_a_question_mark_or_at_a_datacenter() {
        for (text, expected) in [
            ("app/name", "kv.block(app/name)"),
            ("/app/name", "kv.block(app/name)"),
            ("//a", "kv.block(/a)"),
            ("/", "kv.block(/)"),
            ("user@example.com", "kv.block(user@example.com)"),
            ("a?ns=x@dc", "kv.block(a@dc@ns=x)"),
            ("a b", "kv.block(a b)"),
            ("a@b@c", r#"kv.get: invalid format: "a@b@c""#),
            ("a?", r#"kv.get: invalid format: "a?""#),
            ("?ns=x", r#"kv.get: invalid format: "?ns=x""#),
            ("a?ns=b.c/d", r#"kv.get: invalid format: "a?ns=b.c/d""#),
        ] {
            assert_eq!(name(Query::key(text, true)), expected, "{text}");
        }
        assert_eq!(name(Query::key("a", false)), "kv.get(a)");
        assert_eq!(name(Query::pairs("a?ns=x&partition=y@dc")), "kv.list(a@dc@partition=y@ns=x)");
        assert_eq!(name(Query::pairs("a/")), "kv.list(a/)");
        assert_eq!(name(Query::pairs("@dc")), r#"kv.list: invalid format: "@dc""#);
    }

    #[test]
    fn the_catalogue_is_asked_by_place_and_distance() {
        for (text, expected) in [
            ("front", "query.execute(front)"),
            ("geo front.v1?ns=a@dc2~_agent", "query.execute(geo front.v1@dc2@ns=a~_agent)"),
            ("@dc2", r#"query.execute: invalid format: "@dc2""#),
            ("front|any", r#"query.execute: invalid format: "front|any""#),
        ] {
            assert_eq!(name(Query::prepared(text)), expected, "{text}");
        }
        assert_eq!(name(Query::services("")), "catalog.services");
        assert_eq!(name(Query::services("?ns=x@dc")), "catalog.services(@dc@ns=x)");
        assert_eq!(name(Query::services("?peer=x")), "catalog.services");
        assert_eq!(name(Query::services("ab")), r#"catalog.services: invalid format: "ab""#);
        assert_eq!(name(Query::node("")), "catalog.node");
        assert_eq!(name(Query::node("a?ns=b@dc")), "catalog.node(a@dc@ns=b)");
        assert_eq!(name(Query::node("@dc")), r#"catalog.node: invalid format: "@dc""#);
        assert_eq!(name(Query::nodes("")), "catalog.nodes");
        assert_eq!(name(Query::nodes("@dc~a")), "catalog.nodes(@dc~a)");
        assert_eq!(name(Query::nodes("~a")), "catalog.nodes(~a)");
        assert_eq!(name(Query::nodes("x")), r#"catalog.nodes: invalid format: "x""#);
        assert_eq!(name(Query::peerings("?partition=x")), "list.peerings?partition=x");
        assert_eq!(name(Query::peerings("?ns=x")), "list.peerings");
        assert_eq!(name(Query::peerings("x")), r#"list.peering: invalid format: "x""#);
        assert_eq!(
            name(Query::imported_services("")),
            "importedServices: partition name is required"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_query_or_an_error(text in "[a-z?=&@~|.,/ é-]{0,20}") {
            let _ = (Query::instances(&text, true), Query::key(&text, true), Query::node(&text));
            let _ = (Query::nodes(&text), Query::services(&text), Query::peerings(&text));
            let _ = Query::prepared(&text);
        }
    }
}
