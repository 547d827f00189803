//! Templates that ask for services. The store of the answers is a fake in memory.

use std::{collections::HashMap, fs, sync::Arc, time::Duration};

use async_trait::async_trait;
use catalog::{Data, Query, Service};
use render::queries::Asks;
use source::queries::{News, Queries, QueryError, Retry, Settings, Trouble};
use tokio::{sync::watch, time::timeout};

use crate::{
    Agent, Kind, OpenQueries, State, Status,
    answers::Answers,
    event::Readers,
    resource::Resource,
    tests::site::{Mode, Site, beside, until},
};

/// A store of services. A clone is the same store.
#[derive(Clone)]
struct Services(Arc<watch::Sender<Known>>);

#[derive(Clone, Default)]
struct Known {
    /// The tags of services; the name of the service is the only one. By the place of the query.
    answers: HashMap<String, Vec<&'static str>>,
    /// Why nothing is answered.
    broken: Option<String>,
    /// How often the store was opened.
    opened: usize,
    followed: Vec<String>,
}

impl Services {
    fn new() -> Self {
        Services(Arc::new(watch::Sender::new(Known::default())))
    }

    /// Sets the names of the services in a datacenter.
    fn set(&self, datacenter: &str, names: &[&'static str]) {
        let query = Query::services(&format!("@{datacenter}")).unwrap().to_string();
        self.0.send_modify(|known| _ = known.answers.insert(query, names.to_vec()));
    }

    fn break_down(&self, reason: Option<&str>) {
        self.0.send_modify(|known| known.broken = reason.map(str::to_owned));
    }

    fn followed(&self) -> Vec<String> {
        self.0.borrow().followed.clone()
    }

    fn opener(&self) -> Arc<OpenQueries> {
        let services = self.clone();
        Arc::new(move |settings| {
            services.0.send_modify(|known| known.opened += 1);
            let changes = services.0.subscribe();
            let services = services.clone();
            Ok(Box::new(Following { services, changes, settings, given: HashMap::new() }))
        })
    }
}

struct Following {
    services: Services,
    changes: watch::Receiver<Known>,
    settings: Settings,
    /// The queries that are followed, and their last answers or failures.
    given: HashMap<Query, Given>,
}

#[derive(Default)]
struct Given {
    answer: Option<Data>,
    failure: Option<String>,
}

impl Following {
    fn news(&mut self) -> Vec<News> {
        let known = self.changes.borrow_and_update().clone();
        let mut news = Vec::new();
        for (query, before) in &mut self.given {
            if self.settings.once && before.answer.is_some() {
                continue;
            }
            let answer = match (&known.broken, known.answers.get(&query.to_string())) {
                (Some(reason), _) if before.failure.as_ref() == Some(reason) => continue,
                (Some(reason), _) => {
                    before.failure = Some(reason.clone());
                    let cause = QueryError::Status { code: 500, body: reason.clone() };
                    Err(Trouble { cause, attempt: 1, again: Some(Duration::from_millis(1)) })
                }
                (None, None) => continue,
                (None, Some(names)) => {
                    let had_failed = before.failure.take().is_some();
                    let service = |name: &&'static str| Service {
                        name: (*name).into(),
                        tags: Arc::default(),
                    };
                    let data = Data::Services(names.iter().map(service).collect());
                    if before.answer.as_ref() == Some(&data) && !had_failed {
                        continue;
                    }
                    before.answer = Some(data.clone());
                    Ok(data)
                }
            };
            news.push(News { query: query.clone(), answer, warning: None });
        }
        news
    }
}

#[async_trait]
impl Queries for Following {
    fn follow(&mut self, wanted: &[Query]) {
        let mut before = std::mem::take(&mut self.given);
        let state = |query: &Query| (query.clone(), before.remove(query).unwrap_or_default());
        self.given = wanted.iter().map(state).collect();
        let followed = wanted.iter().map(ToString::to_string).collect();
        self.services.0.send_modify(|known| known.followed = followed);
    }

    async fn next(&mut self) -> Vec<News> {
        loop {
            let news = self.news();
            if !news.is_empty() {
                return news;
            }
            // The sender lives as long as this.
            let _ = self.changes.changed().await;
        }
    }
}

/// A resource whose template is `template`.
fn resource(site: &Site, name: &str, template: &str) {
    site.resource(name, "");
    fs::write(site.path("templates").join(name), template).unwrap();
}

fn agent(site: &Site, services: &Services) -> Agent {
    site.agent().with_queries(services.opener())
}

/// The names of the services in `dc1`, and those in the datacenters that have their names.
const NESTED: &str = r#"{{range services "@dc1"}}{{.Name}}:{{range services (print "@" .Name)}} {{.Name}}{{end}};{{end}}"#;

#[tokio::test]
async fn a_onetime_run_asks_until_nothing_is_missing() {
    let (site, services) = (Site::new(), Services::new());
    resource(&site, "app", NESTED);
    resource(&site, "other", r#"{{range services "@dc1"}}{{.Name}} {{end}}"#);
    resource(&site, "plain", "nothing");
    services.set("dc1", &["a", "b"]);
    services.set("a", &["x"]);
    services.set("b", &["y", "z"]);
    agent(&site, &services).onetime().await.unwrap();
    assert_eq!(site.written("app").as_deref(), Some("a: x;b: y z;"));
    assert_eq!(site.written("other").as_deref(), Some("a b "));
    assert_eq!(site.written("plain").as_deref(), Some("nothing"));
    assert_eq!(services.0.borrow().opened, 1);
}

#[tokio::test]
async fn a_run_whose_templates_ask_nothing_opens_nothing() {
    let (site, services) = (Site::new(), Services::new());
    site.resource("app", "");
    site.store.put("/app", "1");
    agent(&site, &services).onetime().await.unwrap();
    assert_eq!(services.0.borrow().opened, 0);
}

#[tokio::test]
async fn a_query_that_fails_fails_its_resource_in_a_onetime_run() {
    let (site, services) = (Site::new(), Services::new());
    resource(&site, "app", NESTED);
    resource(&site, "plain", "nothing");
    services.break_down(Some("No cluster leader"));
    let failed = agent(&site, &services).onetime().await.unwrap_err();
    let text = "catalog.services(@dc1): Unexpected response code: 500 (No cluster leader)";
    assert_eq!(failed.to_string(), text);
    assert_eq!((failed.last.kind(), site.written("app")), (Kind::Query, None));
    assert_eq!(site.written("plain").as_deref(), Some("nothing"));
}

#[tokio::test]
async fn without_a_store_of_answers_a_query_is_an_error() {
    let site = Site::new();
    resource(&site, "app", NESTED);
    let failed = site.agent().onetime().await.unwrap_err();
    assert_eq!(failed.to_string(), "this confd cannot ask Consul");
}

#[tokio::test]
async fn where_nothing_can_be_asked_each_resource_that_asks_fails() {
    let site = Site::new();
    resource(&site, "one", r#"{{range services "@dc1"}}{{.Name}} {{end}}"#);
    resource(&site, "two", r#"{{range services "@dc2"}}{{.Name}} {{end}}"#);
    site.resource("three", "reload_cmd = 'true'");
    site.store.put("/three", "1");
    let mut agent = site.agent().with_queries(Arc::new(|_| Err("no such scheme".to_owned())));
    let handle = agent.handle();
    let run = tokio::time::timeout(Duration::from_secs(30), agent.onetime()).await;
    assert_eq!(run.unwrap().unwrap_err().to_string(), "no such scheme");
    for name in ["one", "two"] {
        assert_eq!(handle.status(name).unwrap().state, State::Failed, "{name}");
    }
    assert_eq!(site.written("three").as_deref(), Some("1"));
}

#[tokio::test]
async fn an_error_of_a_template_counts_only_when_nothing_is_missing() {
    let (site, services) = (Site::new(), Services::new());
    resource(&site, "app", r#"{{(index (services "@dc1") 0).Name}}"#);
    services.set("dc1", &["a"]);
    agent(&site, &services).onetime().await.unwrap();
    assert_eq!(site.written("app").as_deref(), Some("a"));
    services.set("dc1", &[]);
    let failed = agent(&site, &services).onetime().await.unwrap_err();
    assert_eq!(failed.last.kind(), Kind::Render);
    assert_eq!(site.written("app").as_deref(), Some("a"));
}

fn is_in_sync(status: &Status) -> bool {
    status.state == State::InSync
}

/// Waits until the destination of `name` has this content.
async fn written(site: &Site, name: &str, content: &str) {
    let begun = std::time::Instant::now();
    while site.written(name).as_deref() != Some(content) {
        assert!(begun.elapsed().as_secs() < 30, "{name}: {:?}", site.written(name));
        tokio::task::yield_now().await;
    }
}

/// Waits until exactly these queries are followed.
async fn follows(services: &Services, queries: &[&str]) {
    let begun = std::time::Instant::now();
    while services.followed() != queries {
        assert!(begun.elapsed().as_secs() < 30, "{:?}", services.followed());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_resource_waits_for_what_is_missing_and_its_answers_wake_it() {
    let (site, services) = (Site::new(), Services::new());
    resource(&site, "app", NESTED);
    resource(&site, "plain", "nothing");
    beside(agent(&site, &services), Mode::Watch, async |handle| {
        until(&handle, "plain", is_in_sync).await;
        let waits = |status: &Status| matches!(&status.state, State::WaitingForAnswers(_));
        let status = until(&handle, "app", waits).await;
        assert_eq!(status.state.to_string(), "waiting for catalog.services(@dc1)");
        assert_eq!(
            (site.written("app"), services.followed()),
            (None, vec!["catalog.services(@dc1)".to_owned()])
        );

        services.set("dc1", &["a"]);
        let text = "waiting for catalog.services(@a)";
        until(&handle, "app", |status| status.state.to_string() == text).await;
        services.set("a", &["x"]);
        written(&site, "app", "a: x;").await;
        until(&handle, "app", is_in_sync).await;

        // What a template stops to ask is no longer followed.
        services.set("b", &["y"]);
        services.set("dc1", &["b"]);
        written(&site, "app", "b: y;").await;
        let all = ["catalog.services(@b)", "catalog.services(@dc1)"];
        follows(&services, &all).await;
    })
    .await;
}

#[tokio::test]
async fn news_wakes_the_resources_that_use_it_and_no_other() {
    let (site, services) = (Site::new(), Services::new());
    resource(&site, "one", r#"{{range services "@dc1"}}{{.Name}} {{end}}"#);
    resource(&site, "two", r#"{{range services "@dc2"}}{{.Name}} {{end}}"#);
    services.set("dc1", &["a"]);
    services.set("dc2", &["b"]);
    beside(agent(&site, &services), Mode::Watch, async |handle| {
        until(&handle, "one", is_in_sync).await;
        let before = until(&handle, "two", is_in_sync).await;
        services.set("dc1", &["a", "c"]);
        written(&site, "one", "a c ").await;
        until(&handle, "one", is_in_sync).await;
        let after = handle.status("two").unwrap();
        assert_eq!(after.applied.unwrap().at, before.applied.unwrap().at);
        assert_eq!(site.written("two").as_deref(), Some("b "));
    })
    .await;
}

#[tokio::test]
async fn a_query_that_fails_keeps_its_last_answer_and_is_reported() {
    for mode in [Mode::Interval, Mode::Watch] {
        let (site, services) = (Site::new(), Services::new());
        resource(&site, "app", r#"{{range services "@dc1"}}{{.Name}} {{end}}"#);
        services.set("dc1", &["a"]);
        beside(agent(&site, &services), mode, async |handle| {
            until(&handle, "app", is_in_sync).await;
            services.break_down(Some("down"));
            let is_reported = |status: &Status| {
                status.error.as_ref().is_some_and(|error| error.failure.kind() == Kind::Query)
            };
            if matches!(mode, Mode::Watch) {
                until(&handle, "app", is_reported).await;
                // The same answer ends the failure.
                services.break_down(None);
                until(&handle, "app", |status| is_in_sync(status) && status.error.is_none()).await;
                services.break_down(Some("down again"));
                until(&handle, "app", is_reported).await;
            }
            assert_eq!(site.written("app").as_deref(), Some("a "), "{mode:?}");
            services.set("dc1", &["b"]);
            services.break_down(None);
            written(&site, "app", "b ").await;
            until(&handle, "app", |status| is_in_sync(status) && status.error.is_none()).await;
        })
        .await;
    }
}

/// A pass can stop asking, and the next can ask again, before the store hears of either.
#[tokio::test]
async fn a_query_that_is_dropped_and_asked_again_at_once_has_its_answer() {
    let (site, services) = (Site::new(), Services::new());
    resource(&site, "app", "");
    let file = site.path("conf.d").join("app.toml");
    let resource = Arc::new(Resource::load(&file, &site.path("templates")).unwrap());
    services.set("dc1", &["a"]);
    let retry = Retry { attempts: None, backoff: Duration::ZERO, max_backoff: None };
    let settings = Settings { retry, once: false, fail_on_absent: false, refuse_hidden: true };
    let answers = Answers::new(Some(services.opener()), settings, Readers::new([]));
    let query = Query::services("@dc1").unwrap();
    let pass = |asks: bool| {
        let asking = answers.session();
        if asks {
            asking.session.ask(&query);
        }
        answers.note(&resource, &asking, false)
    };
    let settled = async || {
        let wanted = std::slice::from_ref(&query);
        let settled = timeout(Duration::from_secs(5), answers.settled(wanted)).await;
        settled.expect("an answer").unwrap();
    };
    assert_eq!(pass(true), std::slice::from_ref(&query));
    settled().await;
    assert_eq!(pass(true), []);
    pass(false);
    pass(true);
    settled().await;
    // What no template asks for is forgotten.
    pass(false);
    follows(&services, &[]).await;
    assert_eq!(pass(true), std::slice::from_ref(&query));
}

#[tokio::test]
async fn a_removed_resource_drops_its_queries() {
    let (site, services) = (Site::new(), Services::new());
    resource(&site, "one", r#"{{range services "@dc1"}}{{.Name}} {{end}}"#);
    resource(&site, "two", r#"{{range services "@dc2"}}{{.Name}} {{end}}"#);
    services.set("dc1", &["a"]);
    services.set("dc2", &["b"]);
    beside(agent(&site, &services), Mode::Watch, async |handle| {
        until(&handle, "one", is_in_sync).await;
        until(&handle, "two", is_in_sync).await;
        fs::remove_file(site.path("conf.d").join("two.toml")).unwrap();
        follows(&services, &["catalog.services(@dc1)"]).await;
    })
    .await;
}
