//! Which thread makes a pass. A test sees it by whether a file appears while no other thread is
//! available, or while the runtime's thread is blocked.

use std::{
    fs,
    future::Future,
    path::PathBuf,
    pin::pin,
    sync::{Arc, mpsc},
    task::Poll,
    time::{Duration, Instant},
};

use deploy::{Options, Outcome};
use store::{Coverage, Snapshot};
use tokio::task::spawn_blocking;

use crate::{
    answers::Answers,
    event::{Readers, Wake},
    maker::Maker,
    pipeline::Pipeline,
    record::Record,
    reloads::{Reloads, Requester},
    resource::Resource,
    settings::Pace,
    templates::Templates,
    worker::Assignment,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with the template `a`, and a worker that writes `out` from it.
struct Workshop {
    folder: tempfile::TempDir,
    maker: Maker,
    assignment: Assignment,
}

impl Workshop {
    fn new(template: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), template).unwrap();
        let table =
            format!("[template]\nsrc = 'a'\ndest = '{}'\nkeys = ['/']\n", path("out").display());
        fs::write(path("a.toml"), table).unwrap();
        let resource = Resource::load(&path("a.toml"), folder.path()).unwrap();
        let templates = Arc::new(Templates::new(folder.path().to_owned(), true));
        let host = Arc::new(world::System::new());
        let assignment = Assignment {
            number: 0,
            wake: Wake::Start,
            is_alone: true,
            locks: Vec::new(),
            after: Vec::new(),
            resource: Arc::new(resource),
            keys: Ok(Snapshot::new(Coverage::Subtree)),
            pipeline: Arc::new(Pipeline::new(
                templates,
                host,
                Answers::nothing(),
                Options::default(),
            )),
            pace: Pace::default(),
        };
        let requester = Arc::new(Requester::new(&Reloads::new(9)));
        let maker = Maker::new(Readers::new([]), Record::default(), requester);
        Workshop { folder, maker, assignment }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn pass(&mut self) -> Outcome {
        self.maker.pass(&self.assignment).await.unwrap().outcome
    }

    /// Whether a pass runs on the runtime's thread: the file is removed, and no other thread is
    /// available.
    async fn is_made_at_once(&mut self) -> bool {
        fs::remove_file(self.path("out")).unwrap();
        let (ends, ended) = mpsc::channel::<()>();
        let (begins, begun) = mpsc::channel::<()>();
        let busy = spawn_blocking(move || {
            begins.send(()).unwrap();
            ended.recv().is_err()
        });
        begun.recv().unwrap();
        let out = self.path("out");
        let mut pass = pin!(self.maker.pass(&self.assignment));
        let at_once = poll_once(&mut pass).await.is_ready();
        assert_eq!(out.exists(), at_once);
        drop(ends);
        if !at_once {
            assert_eq!(pass.await.unwrap().outcome, Outcome::Updated);
        }
        assert!(busy.await.unwrap());
        at_once
    }

    /// Makes passes until one was light, and until the template was written long enough ago to be
    /// known without reading it. On a slow disk this may take several passes.
    async fn until_light(&mut self) {
        let begun = Instant::now();
        let Assignment { pipeline, resource, .. } = &self.assignment;
        let (pipeline, resource) = (Arc::clone(pipeline), Arc::clone(resource));
        while !self.maker.is_light() || pipeline.known_templates(&resource).is_none() {
            assert!(begun.elapsed() < PATIENCE, "no pass is light");
            fs::remove_file(self.path("out")).unwrap_or_default();
            assert_eq!(self.pass().await, Outcome::Updated);
        }
    }
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(pin!(&mut *future).poll(context))).await
}

/// Runs this with one thread beside that of the runtime.
fn with_one_thread(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().max_blocking_threads(1).build().unwrap().block_on(test);
}

#[test]
fn a_single_light_pass_runs_on_the_runtimes_thread() {
    with_one_thread(async {
        let mut workshop = Workshop::new("made");
        workshop.until_light().await;
        assert!(workshop.is_made_at_once().await);
        assert_eq!(fs::read(workshop.path("out")).unwrap(), b"made");
    });
}

#[test]
fn a_pass_beside_others_or_with_a_new_template_gets_a_thread() {
    with_one_thread(async {
        let mut workshop = Workshop::new("made");
        workshop.until_light().await;
        workshop.assignment.is_alone = false;
        assert!(!workshop.is_made_at_once().await);
        workshop.assignment.is_alone = true;
        workshop.until_light().await;
        fs::write(workshop.path("a"), "made anew").unwrap();
        assert!(!workshop.is_made_at_once().await);
        assert_eq!(fs::read(workshop.path("out")).unwrap(), b"made anew");
    });
}

#[test]
fn a_pass_that_may_block_always_gets_a_thread() {
    with_one_thread(async {
        for template in ["{{if false}}{{lookupIP \"x\"}}{{end}}", "{{fileExists \"/x\"}}"] {
            let mut workshop = Workshop::new(template);
            workshop.pass().await;
            assert!(!workshop.is_made_at_once().await, "{template}");
            assert!(!workshop.is_made_at_once().await, "{template}");
        }
    });
}

#[test]
fn a_pass_with_many_data_or_a_long_loop_gets_a_thread() {
    let pairs = |pairs: Vec<(String, String)>| Snapshot::from_pairs(Coverage::Subtree, pairs);
    let few = || pairs(vec![("/n".to_owned(), "1".to_owned())]);
    let many = (0..1000).map(|nth| (format!("/k{nth}"), String::new()));
    let many = pairs(few().iter().map(|_| ("/n".to_owned(), "1".to_owned())).chain(many).collect());
    let large = pairs(vec![("/n".into(), "1".into()), ("/large".into(), "x".repeat(100_000))]);
    let long = pairs(vec![("/n".into(), "150".into())]);
    for (name, grown) in [("many", many), ("large", large), ("long", long)] {
        with_one_thread(async {
            let loops = "{{range $n}}{{range $n}}{{range $n}}{{end}}{{end}}{{end}}made";
            let template = format!("{{{{$n := seq 1 (atoi (getv \"/n\"))}}}}{loops}");
            let mut workshop = Workshop::new(&template);
            workshop.assignment.keys = Ok(few());
            workshop.until_light().await;
            assert!(workshop.is_made_at_once().await, "{name}");
            workshop.assignment.keys = Ok(grown);
            assert!(!workshop.is_made_at_once().await, "{name}");
        });
    }
}

#[tokio::test]
async fn a_file_without_commands_does_not_wait_while_the_runtimes_thread_is_busy() {
    let mut workshop = Workshop::new("made");
    let out = workshop.path("out");
    let mut pass = pin!(workshop.maker.pass(&workshop.assignment));
    assert!(poll_once(&mut pass).await.is_pending());
    // The runtime's thread now only looks for the file and does nothing else.
    let begun = Instant::now();
    while fs::read(&out).ok().as_deref() != Some(b"made") {
        assert!(begun.elapsed() < PATIENCE, "the file waits");
        std::thread::yield_now();
    }
    assert_eq!(pass.await.unwrap().outcome, Outcome::Updated);
}
