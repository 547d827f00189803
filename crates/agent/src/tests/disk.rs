//! A disk that hangs while a resource with commands is finished. The disk is a reader of events that
//! blocks the thread on which a step happens.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use deploy::{Options, Outcome};
use store::{Coverage, Snapshot};
use tokio::{sync::Notify, task::yield_now};

use crate::{
    answers::Answers,
    event::{Event, Reader, Readers, Step, Wake},
    maker::Maker,
    ordered::Ordered,
    pipeline::Pipeline,
    record::Record,
    reloads::{Reloads, Requester},
    resource::Resource,
    settings::Pace,
    templates::Templates,
    tests::site::Site,
    worker::Assignment,
};

/// The time after which the disk goes on by itself, and the test has failed.
const LIMIT: Duration = Duration::from_secs(10);

/// Blocks the thread of the step whose text contains `step`.
struct Disk {
    step: &'static str,
    hangs: Sender<()>,
    goes_on: Mutex<Receiver<()>>,
}

impl Reader for Disk {
    fn read(&self, event: &Event<'_>) {
        if let Event::Step { step: Step::Deploy(step), .. } = event
            && step.to_string().contains(self.step)
        {
            self.hangs.send(()).unwrap();
            let waited = self.goes_on.lock().unwrap().recv_timeout(LIMIT);
            assert!(waited.is_ok(), "the runtime's thread waits for the disk: {}", self.step);
        }
    }
}

/// The steps of a resource with commands that work on the disk.
const STEPS: [&str; 3] = ["Comparing ", "Overwriting ", "has been updated"];

/// Runs `pass` with a disk that hangs at `step`, while the runtime's thread has other work to do.
async fn beside_a_hanging_disk(step: &'static str, pass: impl AsyncFnOnce(Readers)) {
    let (hangs, is_hanging) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let disk = Disk { step, hangs, goes_on: Mutex::new(goes_on) };
    let readers = Readers::new([Arc::new(disk) as Arc<dyn Reader>]);
    let others = async {
        while is_hanging.try_recv().is_err() {
            yield_now().await;
        }
        go_on.send(()).unwrap();
    };
    tokio::join!(pass(readers), others);
}

/// A resource with commands, its keys and its pipeline.
fn with_commands(site: &Site) -> (Arc<Resource>, Snapshot, Arc<Pipeline>) {
    site.resource("app", "check_cmd = 'true'\nreload_cmd = 'true'");
    site.store.put("/app", "1");
    let file = site.path("conf.d/app.toml");
    let resource = Arc::new(Resource::load(&file, &site.path("templates")).unwrap());
    let snapshot = Snapshot::from_pairs(Coverage::Subtree, [("/app".to_owned(), "1".to_owned())]);
    let templates = Arc::new(Templates::new(site.path("templates"), true));
    let host = Arc::new(world::System::new());
    (
        resource,
        snapshot,
        Arc::new(Pipeline::new(templates, host, Answers::nothing(), Options::default())),
    )
}

#[tokio::test]
async fn a_disk_that_hangs_under_a_resource_with_commands_blocks_no_other_in_watch_mode() {
    for step in STEPS {
        let site = Site::new();
        let (resource, snapshot, pipeline) = with_commands(&site);
        let assignment = Assignment {
            number: 0,
            wake: Wake::Start,
            is_alone: false,
            locks: Vec::new(),
            after: Vec::new(),
            resource,
            keys: Ok(snapshot),
            pipeline,
            pace: Pace::default(),
        };
        beside_a_hanging_disk(step, async |readers| {
            let requester = Arc::new(Requester::new(&Reloads::new(9)));
            let mut maker = Maker::new(readers, Record::default(), requester);
            assert_eq!(maker.pass(&assignment).await.unwrap().outcome, Outcome::Updated);
        })
        .await;
    }
}

#[tokio::test]
async fn a_disk_that_hangs_under_a_resource_with_commands_blocks_no_other_in_interval_mode() {
    for step in STEPS {
        let site = Site::new();
        let (resource, _, pipeline) = with_commands(&site);
        beside_a_hanging_disk(step, async |readers| {
            let mut ordered = Ordered::new(readers, false);
            let failed = ordered
                .pass(&[resource], &site.store, &pipeline, Wake::Interval, &Notify::new())
                .await;
            ordered.settle().await;
            assert!(failed.is_empty(), "{failed:?}");
        })
        .await;
        assert_eq!(fs::read_to_string(site.path("out/app")).unwrap(), "1");
    }
}
