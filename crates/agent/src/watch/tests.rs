//! Events of files that arrive while the first pass of a resource runs.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
};

use super::*;
use crate::{
    event::Step,
    loading::Loading,
    tests::site::{Site, schedule},
};

/// Blocks the first pass between reading and rendering its template, and counts passes.
struct Gate {
    began: Sender<()>,
    goes_on: Mutex<Receiver<()>>,
    passes: Mutex<u32>,
}

impl crate::event::Reader for Gate {
    fn read(&self, event: &Event<'_>) {
        if let Event::Step { step: Step::Prefix(_), .. } = event {
            *self.passes.lock().unwrap() += 1;
            self.began.send(()).unwrap();
            // After the first pass the other end is gone.
            let _ = self.goes_on.lock().unwrap().recv_timeout(LIMIT);
        }
    }
}

/// Watches a resource, calls `event` during its first pass, and ends when `ends` holds. Returns the
/// number of passes.
async fn passes(site: &Site, event: impl FnOnce(), ends: impl Fn() -> bool) -> u32 {
    let ((began, begins), (go_on, goes_on)) = (mpsc::channel(), mpsc::channel());
    let gate = Arc::new(Gate { began, goes_on: Mutex::new(goes_on), passes: Mutex::default() });
    let readers = Readers::new([Arc::clone(&gate) as Arc<dyn crate::event::Reader>]);
    let (settings, schedule) = (site.settings(), Schedule { reconcile: 60 * REST, ..schedule() });
    let source: Arc<dyn Source> = Arc::new(site.store.clone());
    let Settings { confdir, conventions, .. } = &settings;
    let environment = config::Environment::empty();
    let loaded =
        Loading::default().load(confdir, conventions, &environment, Some(&*source), &readers);
    let (host, runner) = (Arc::new(world::System::new()), Arc::new(deploy::Processes));
    let mut watching = Watching::new(host, runner, Answers::nothing(), readers, &settings);
    watching.configure(&settings, &schedule, true);
    watching.assign(loaded.unwrap(), Assign::All, &source, &schedule);
    while begins.try_recv().is_err() {
        let _ = tokio::time::timeout(REST / 100, watching.follow()).await;
    }
    // The first report of all files.
    while tokio::time::timeout(REST, watching.follow()).await.is_ok() {}
    event();
    watching.follow().await;
    drop(go_on);
    let limit = Instant::now() + LIMIT;
    while tokio::time::timeout(REST, watching.follow()).await.is_ok() || !ends() {
        assert!(Instant::now() < limit, "the file is not written");
    }
    let passes = *gate.passes.lock().unwrap();
    watching.dismiss().await;
    passes
}

/// The time after which a blocked pass goes on, and the test has failed.
const LIMIT: Duration = Duration::from_secs(10);
/// The time without events after which there are no more.
const REST: Duration = Duration::from_millis(500);

#[tokio::test]
async fn events_of_files_that_stay_the_same_cause_no_second_pass() {
    let site = Site::new();
    site.resource("app", "");
    site.store.put("/app", "1");
    let out = site.path("out/app");
    let touch = || {
        fs::write(&out, "").unwrap();
        fs::remove_file(&out).unwrap();
    };
    assert_eq!(passes(&site, touch, || site.written("app").is_some()).await, 1);
}

#[tokio::test]
async fn a_template_that_changes_during_the_first_pass_is_rendered_again() {
    let site = Site::new();
    site.resource("app", "");
    site.store.put("/app", "1");
    let template = site.path("templates/app");
    let edit = || fs::write(&template, "edited").unwrap();
    let is_new = || site.written("app").as_deref() == Some("edited");
    assert_eq!(passes(&site, edit, is_new).await, 2);
}
