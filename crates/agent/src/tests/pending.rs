//! A reload that is pending is tried again, although no newer content can be made.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use deploy::{Command, CommandError, Ended, Notice, Output, Program, Run, Runner};
use tokio::time::Instant;

use crate::{
    Finished, Kind, State,
    backoff::rest,
    tests::site::{Mode, Site, beside},
};

const MINUTE: Duration = Duration::from_secs(60);

/// A service whose reloads and checks no process runs.
#[derive(Default)]
struct Service {
    is_up: AtomicBool,
    reloads: AtomicU32,
}

impl Service {
    fn reloads(&self) -> u32 {
        self.reloads.load(Ordering::Relaxed)
    }

    fn is_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
    }
}

impl Runner for Service {
    fn run<'a>(&'a self, command: &'a Command, _: &'a (dyn Fn(Notice) + Send + Sync)) -> Run<'a> {
        Box::pin(async {
            let Program::Argv(words) = command.program() else { panic!("a list") };
            let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
            let succeeds = match words[..] {
                ["check", stage] => fs::read_to_string(stage).unwrap() != BAD,
                ["reload", ..] => {
                    self.reloads.fetch_add(1, Ordering::Relaxed);
                    self.is_up.load(Ordering::Relaxed)
                }
                _ => panic!("{words:?}"),
            };
            let result = if succeeds { Ok(()) } else { Err(CommandError::Exit(7)) };
            Ended { output: Output::default(), result }
        })
    }
}

/// The content that the check refuses.
const BAD: &str = "3";

/// Why no newer content can be put in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    MissingKey,
    MalformedTemplate,
    Check,
    Guard,
    Refused,
    Outage,
}

impl Fault {
    const ALL: [Fault; 6] = [
        Fault::MissingKey,
        Fault::MalformedTemplate,
        Fault::Check,
        Fault::Guard,
        Fault::Refused,
        Fault::Outage,
    ];

    fn happen(self, site: &Site) {
        match self {
            Fault::MissingKey => site.store.delete("/app"),
            Fault::MalformedTemplate => fs::write(site.path("templates/app"), "{{").unwrap(),
            Fault::Check => _ = site.store.put("/app", BAD),
            Fault::Guard => _ = site.store.put("/app", "no JSON"),
            Fault::Refused => site.store.forbid(Some("/app")),
            Fault::Outage => site.store.break_down(Some("store")),
        }
    }

    fn kind(self) -> Kind {
        match self {
            Fault::MissingKey => Kind::Render,
            Fault::MalformedTemplate => Kind::Template,
            Fault::Check => Kind::Check,
            Fault::Guard => Kind::Guard,
            Fault::Refused => Kind::Refused,
            Fault::Outage => Kind::Source,
        }
    }
}

const COMMANDS: &str = "check_cmd = ['check', '{{.src}}']\nreload_cmd = ['reload']\n";

fn is_pending(site: &Site, name: &str) -> bool {
    let name = Path::new(name);
    let marker = format!(".{}.reload-pending", name.file_name().unwrap().display());
    site.path("out").join(name).with_file_name(marker).exists()
}

/// Waits for at most a minute of the virtual clock.
async fn eventually(context: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + MINUTE;
    while !condition() {
        assert!(Instant::now() < deadline, "{context}");
        rest(MINUTE / 600).await;
    }
}

/// A site whose file `app` is in place and whose reload has failed, and its service.
async fn pending(more: &str) -> (Site, Arc<Service>) {
    let (site, service) = (Site::new(), Arc::new(Service::default()));
    site.resource("app", &format!("{COMMANDS}{more}"));
    // Its keys are always shown.
    site.resource("other", "");
    for name in ["/app", "/other"] {
        site.store.put(name, "1");
    }
    let mut agent = site.agent().with_runner(Arc::clone(&service) as _);
    assert_eq!(agent.onetime().await.unwrap_err().last.kind(), Kind::Reload);
    assert_eq!((is_pending(&site, "app"), service.reloads()), (true, 1));
    (site, service)
}

#[tokio::test(start_paused = true)]
async fn onetime_mode_tries_a_pending_reload_and_reports_what_else_fails() {
    for fault in Fault::ALL {
        let (site, service) = pending("output_format = 'json'").await;
        fault.happen(&site);
        for (is_up, reloads) in [(false, 2), (true, 3), (true, 3)] {
            service.is_up(is_up);
            let mut agent = site.agent().with_runner(Arc::clone(&service) as _);
            let failed = agent.onetime().await.unwrap_err();
            assert_eq!((fault, failed.last.kind()), (fault, fault.kind()));
            assert_eq!((fault, service.reloads()), (fault, reloads));
            assert_eq!((fault, is_pending(&site, "app")), (fault, !is_up));
        }
        assert_eq!(site.written("app").as_deref(), Some("1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_onetime_run_that_waits_tries_a_pending_reload_once() {
    let (site, service) = pending("").await;
    site.store.delete("/app");
    let mut agent = site.agent().with_runner(Arc::clone(&service) as _);
    let failed = agent.onetime_within(MINUTE).await.unwrap_err();
    assert_eq!((failed.last.kind(), service.reloads()), (Kind::Render, 2));
}

#[tokio::test(start_paused = true)]
async fn daemons_try_a_pending_reload_until_it_succeeds_whatever_else_fails() {
    for (mode, fault) in
        [Mode::Interval, Mode::Watch].into_iter().flat_map(|mode| Fault::ALL.map(|it| (mode, it)))
    {
        let (site, service) = pending("output_format = 'json'").await;
        fault.happen(&site);
        let agent = site.agent().with_runner(Arc::clone(&service) as _);
        beside(agent, mode, async |handle| {
            let context = format!("{mode:?} {fault:?}");
            // It is tried again, also after it has failed again.
            eventually(&context, || service.reloads() > 2).await;
            assert!(is_pending(&site, "app"), "{context}");
            let shows_it = || {
                let pending = handle.status("app").and_then(|status| status.pending);
                pending.is_some_and(|pending| pending.has_reload)
            };
            let is_of_source = matches!(fault.kind(), Kind::Source | Kind::Refused);
            assert!(shows_it() || is_of_source, "{context}");
            service.is_up(true);
            eventually(&context, || !is_pending(&site, "app")).await;
            eventually(&context, || !shows_it()).await;
            let reloads = service.reloads();
            rest(MINUTE / 20).await;
            assert_eq!(service.reloads(), reloads, "{context}");
            let status = || handle.status("app").unwrap();
            eventually(&context, || status().state == State::Failed).await;
            let kind = status().error.map(|last| last.failure.kind());
            assert_eq!(kind, Some(fault.kind()), "{context}");
        })
        .await;
        assert_eq!(site.written("app").as_deref(), Some("1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_a_group_does_not_delay_a_pending_reload_of_a_member() {
    let (site, service) = (Site::new(), Arc::new(Service::default()));
    let group = format!("group = 'g'\n{COMMANDS}");
    site.resource("one", &group);
    site.resource("two", &group);
    site.store.put("/one", "1");
    site.store.put("/two", "1");
    let onetime = async || site.agent().with_runner(Arc::clone(&service) as _).onetime().await;
    onetime().await.unwrap_err();
    site.store.delete("/two");
    assert_eq!(onetime().await.unwrap_err().last.kind(), Kind::Render);
    // Both members have the same command, which ran once in each pass.
    assert_eq!((service.reloads(), is_pending(&site, "one")), (2, true));
    service.is_up(true);
    onetime().await.unwrap_err();
    assert_eq!(service.reloads(), 3);
    assert!(!is_pending(&site, "one") && !is_pending(&site, "two"));
}

/// Resources of items, whose values are those of their keys `v`.
fn items() -> (Site, Arc<Service>) {
    let (site, service) = (Site::new(), Arc::new(Service::default()));
    let dest = site.path("out").join("{{.name}}");
    let table = format!(
        "[template]\nsrc = 'each'\ndest = '{}'\nfor_each = '/items/*'\nkeys = ['/items']\n{COMMANDS}\
         remove_cmd = ['reload', 'removed']\n",
        dest.display()
    );
    fs::write(site.path("templates/each"), "{{getv \"/v\"}}").unwrap();
    fs::write(site.path("conf.d/each.toml"), table).unwrap();
    (site, service)
}

#[tokio::test(start_paused = true)]
async fn an_item_that_fails_does_not_delay_the_pending_reload_of_its_file() {
    for (key, value) in [("/items/a/other", "1"), ("/items/a/v", BAD)] {
        let (site, service) = items();
        let onetime = async || site.agent().with_runner(Arc::clone(&service) as _).onetime().await;
        site.store.put("/items/a/v", "1");
        site.store.put("/items/b/v", "1");
        onetime().await.unwrap_err();
        site.store.delete("/items/a/v");
        site.store.put(key, value);
        site.store.put("/items/b/v", "2");
        service.is_up(true);
        assert_eq!(onetime().await.unwrap_err().last.kind(), Kind::Items, "{key}");
        // One reload for the new file and for the one that was pending.
        assert_eq!(service.reloads(), 2, "{key}");
        assert_eq!(site.written("a").as_deref(), Some("1"));
        assert!(!is_pending(&site, "a") && !is_pending(&site, "b"), "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_reload_of_an_item_that_is_gone_is_tried_although_the_template_is_malformed() {
    let (site, service) = items();
    let onetime = async || site.agent().with_runner(Arc::clone(&service) as _).onetime().await;
    site.store.put("/items/a/v", "1");
    site.store.put("/items/b/v", "1");
    service.is_up(true);
    assert_eq!(onetime().await.unwrap(), Finished::Applied);
    service.is_up(false);
    site.store.delete("/items/a/v");
    onetime().await.unwrap_err();
    assert_eq!((site.written("a"), is_pending(&site, "a")), (None, true));
    fs::write(site.path("templates/each"), "{{").unwrap();
    let reloads = service.reloads();
    assert_eq!(onetime().await.unwrap_err().last.kind(), Kind::Template);
    assert_eq!((service.reloads(), is_pending(&site, "a")), (reloads + 1, true));
    service.is_up(true);
    onetime().await.unwrap_err();
    assert!(!is_pending(&site, "a"));
}
