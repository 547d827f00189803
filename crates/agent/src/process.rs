//! One pass of a resource in watch mode, on the thread where it suits all resources best.
//!
//! Rendering may wait, for the network even, and the disk does, so a pass has a thread of its own.
//! Waking that takes as long as all the rest of a small pass. So where no other resource has
//! something to do, a pass is made at once, by the thread that serves all of them, if it is known to
//! be [light](LIGHT).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use deploy::{Durable, Member, Options, Outcome, Transaction};
use render::Template;
use report::Fingerprint;
use store::Snapshot;
use tokio::{runtime::Handle, task::spawn_blocking};
use world::Host;

use crate::{
    applied::Origin,
    fault::Fault,
    resource::Resource,
    steps::Logged,
    templates::{Templates, render_observed},
    worker::Assignment,
};

/// A pass is light if the one before had the same template, was on the disk after so long, and cannot
/// have waited for anything but this machine.
const LIGHT: Duration = Duration::from_millis(5);

/// Makes the passes of one resource.
pub(crate) struct Processor {
    templates: Arc<Mutex<Templates>>,
    host: Arc<dyn Host>,
    /// The template of a pass that was light.
    light: Option<Arc<Template>>,
}

/// A pass that succeeded.
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    /// What the content came from, where the file was found in sync with it for certain.
    pub(crate) origin: Option<Origin>,
}

impl Processor {
    pub(crate) fn new(templates: Templates, host: Arc<dyn Host>) -> Self {
        Processor { templates: Arc::new(Mutex::new(templates)), host, light: None }
    }

    /// One pass. Dropping the future ends a running command.
    pub(crate) async fn pass(&mut self, assignment: &Assignment) -> Result<Done, Fault> {
        let Assignment { resource, snapshot, options, is_alone, .. } = assignment;
        let job = Job {
            resource: Arc::clone(resource),
            snapshot: snapshot.clone(),
            options: *options,
            templates: Arc::clone(&self.templates),
            host: Arc::clone(&self.host),
        };
        // What fails is not known to be light any more.
        let light = self.light.take().filter(|_| *is_alone);
        let current = light.map(|light| job.current(Some(&light))).transpose()?;
        if let Some(current) = current.as_ref().filter(|current| current.was_light) {
            let Prepared { staged, origin, light } = job.prepare(current)?;
            let outcome = finish(staged).await?;
            self.light = light;
            return Ok(Done { outcome, origin });
        }
        let has_commands = resource.has_commands() && !options.sync_only;
        let runtime = Handle::current();
        let elsewhere = spawn_blocking(move || {
            let current = current.map_or_else(|| job.current(None), Ok)?;
            let Prepared { staged, origin, light } = job.prepare(&current)?;
            let progress = match has_commands {
                true => Progress::Staged(staged),
                // Nothing will be waited for, so the file need not wait for another thread.
                false => Progress::Finished(runtime.block_on(finish(staged))?),
            };
            Ok::<_, Fault>((progress, origin, light))
        });
        let (progress, origin, light) = elsewhere.await.map_err(|panic| {
            let dest = resource.target.dest.display();
            Fault::from(format!("staging {dest} ended early: {panic}"))
        })??;
        let outcome = match progress {
            Progress::Staged(staged) => finish(staged).await?,
            Progress::Finished(outcome) => outcome,
        };
        self.light = light;
        Ok(Done { outcome, origin })
    }
}

/// How far a pass got on a thread of its own.
enum Progress {
    Staged(Transaction),
    Finished(Outcome),
}

/// The first half of a pass, for any thread.
struct Job {
    resource: Arc<Resource>,
    snapshot: Snapshot,
    options: Options,
    templates: Arc<Mutex<Templates>>,
    host: Arc<dyn Host>,
}

/// The template of a pass.
struct Current {
    template: Arc<Template>,
    is_newest: bool,
    /// Its file, before it was read.
    src: Option<Fingerprint>,
    /// Whether the pass before was light, with this template.
    was_light: bool,
}

/// What the first half leaves to the second.
struct Prepared {
    staged: Transaction,
    origin: Option<Origin>,
    light: Option<Arc<Template>>,
}

impl Job {
    /// The template; `light` is that of a pass that was.
    fn current(&self, light: Option<&Arc<Template>>) -> Result<Current, Fault> {
        let src = Fingerprint::at(&self.resource.src).filter(Fingerprint::is_settled);
        let mut templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
        let (template, is_newest) = templates.current(&self.resource)?;
        let was_light = is_newest && light.is_some_and(|light| Arc::ptr_eq(light, &template));
        Ok(Current { template, is_newest, src, was_light })
    }

    /// Renders and stages.
    fn prepare(&self, current: &Current) -> Result<Prepared, Fault> {
        let Current { template, is_newest, src, was_light } = current;
        let begun = Instant::now();
        let (resource, snapshot) = (&self.resource, self.snapshot.clone());
        let (content, reads) = render_observed(resource, template, snapshot, &self.host)?;
        let member = Member { target: Arc::clone(&resource.target), content };
        let staged = Transaction::stage(vec![member], &self.options).map_err(fault)?;
        let found = staged.found_in_sync().and_then(|found| found.into_iter().next());
        let known = reads.filter(|_| *is_newest).zip(src.zip(found));
        let origin = known.map(|(reads, (src, dest))| {
            let template = Arc::clone(template);
            Origin { template, src, reads, dest }
        });
        let can_be_light = || {
            let files = [&resource.src, &resource.target.dest];
            !template.may_wait() && files.iter().all(|file| deploy::is_local(file))
        };
        let is_light = begun.elapsed() <= LIGHT && (*was_light || can_be_light());
        Ok(Prepared { staged, origin, light: is_light.then(|| Arc::clone(template)) })
    }
}

/// The second half of a pass, and what makes it last.
async fn finish(staged: Transaction) -> Result<Outcome, Fault> {
    let mut durable = Durable::default();
    let outcomes = staged.finish(&Logged, &mut durable).await;
    match durable.sync().into_iter().next() {
        Some(error) => Err(fault(error)),
        None => outcomes
            .map(|outcomes| outcomes.first().copied().unwrap_or(Outcome::Unchanged))
            .map_err(fault),
    }
}

fn fault(error: deploy::Error) -> Fault {
    error.to_string().into()
}

#[cfg(test)]
mod tests {
    use std::{fs, future::Future, pin::pin, sync::mpsc, task::Poll};

    use store::Coverage;

    use super::*;
    use crate::{settings::Pace, worker::Turn};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A folder with the template `a`, and what makes `out` of it.
    struct Site {
        folder: tempfile::TempDir,
        processor: Processor,
        assignment: Assignment,
    }

    impl Site {
        fn new(template: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            fs::write(path("a"), template).unwrap();
            let table = format!("[template]\nsrc = 'a'\ndest = '{}'\n", path("out").display());
            fs::write(path("a.toml"), table).unwrap();
            let resource = Resource::load(&path("a.toml"), folder.path()).unwrap();
            let assignment = Assignment {
                number: 0,
                is_alone: true,
                turn: Turn::default(),
                resource: Arc::new(resource),
                snapshot: Snapshot::new(Coverage::Subtree),
                options: Options::default(),
                pace: Pace::default(),
            };
            let templates = Templates::new(folder.path().to_owned());
            let processor = Processor::new(templates, Arc::new(world::System::new()));
            Site { folder, processor, assignment }
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.folder.path().join(name)
        }

        async fn pass(&mut self) -> Outcome {
            self.processor.pass(&self.assignment).await.unwrap().outcome
        }

        /// Whether a pass is made at once: the file is removed, and no other thread can be had.
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
            let mut pass = pin!(self.processor.pass(&self.assignment));
            let at_once = poll_once(&mut pass).await.is_ready();
            assert_eq!(out.exists(), at_once);
            drop(ends);
            if !at_once {
                assert_eq!(pass.await.unwrap().outcome, Outcome::Updated);
            }
            assert!(busy.await.unwrap());
            at_once
        }
    }

    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(pin!(&mut *future).poll(context))).await
    }

    /// Runs this where there is one thread beside that of the runtime.
    fn with_one_thread(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().max_blocking_threads(1).build().unwrap().block_on(test);
    }

    /// Passes until one was light, which on a busy disk may take more than one.
    async fn until_light(site: &mut Site) {
        let begun = Instant::now();
        while site.processor.light.is_none() {
            assert!(begun.elapsed() < PATIENCE, "no pass is light");
            fs::remove_file(site.path("out")).unwrap_or_default();
            assert_eq!(site.pass().await, Outcome::Updated);
        }
    }

    #[test]
    fn a_pass_that_is_alone_and_known_to_be_light_is_made_at_once() {
        with_one_thread(async {
            let mut site = Site::new("made");
            until_light(&mut site).await;
            assert!(site.is_made_at_once().await);
            assert_eq!(fs::read(site.path("out")).unwrap(), b"made");
        });
    }

    #[test]
    fn a_pass_goes_to_a_thread_beside_others_and_with_a_new_template() {
        with_one_thread(async {
            let mut site = Site::new("made");
            until_light(&mut site).await;
            site.assignment.is_alone = false;
            assert!(!site.is_made_at_once().await);
            site.assignment.is_alone = true;
            until_light(&mut site).await;
            fs::write(site.path("a"), "made anew").unwrap();
            assert!(!site.is_made_at_once().await);
            assert_eq!(fs::read(site.path("out")).unwrap(), b"made anew");
        });
    }

    #[test]
    fn what_may_wait_goes_to_a_thread_each_time() {
        with_one_thread(async {
            for template in ["{{if false}}{{lookupIP \"x\"}}{{end}}", "{{fileExists \"/x\"}}"] {
                let mut site = Site::new(template);
                site.pass().await;
                assert!(!site.is_made_at_once().await, "{template}");
                assert!(!site.is_made_at_once().await, "{template}");
            }
        });
    }

    #[tokio::test]
    async fn a_file_without_commands_does_not_wait_while_others_are_busy() {
        let mut site = Site::new("made");
        let out = site.path("out");
        let mut pass = pin!(site.processor.pass(&site.assignment));
        assert!(poll_once(&mut pass).await.is_pending());
        // The thread of the runtime does something else now.
        let begun = Instant::now();
        while fs::read(&out).ok().as_deref() != Some(b"made") {
            assert!(begun.elapsed() < PATIENCE, "the file waits");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(pass.await.unwrap().outcome, Outcome::Updated);
    }
}
