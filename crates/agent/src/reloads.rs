//! Runs equal reload commands one at a time, and once for all resources that wait for one.
//!
//! Two reload commands are equal if their texts (or their arguments) and their time limits are the
//! same. Commands with the same text never overlap, whatever their limits.
//!
//! Each resource has a [`Requester`]. A resource whose file is in place asks for its reload and
//! waits for the end of the earlier run. Then the first resource in the queue runs the command, and
//! the run serves every resource that asked before the run started. So one run is enough for the
//! changes of many files during a slow reload.
//!
//! In watch mode a requester also announces each pass that is due or running, because that pass may
//! ask for the same reload soon. Before the command starts, it waits for the passes that were
//! announced earlier, so that the resources of one change are reloaded once, after the last file is
//! in place. The wait is limited: a pass that takes longer than [`PATIENCE`] delays the others no
//! further, and gets a run of its own later. Onetime and interval mode announce nothing: like Go
//! confd, they reload after each file.
//!
//! A pass with commands needs descriptors, so that only as many run at the same time as the process
//! can open files.
//!
//! A run that fails is a failure of each resource that it served. They all retry at the same moment,
//! so that the retry is one run too.

use std::{
    collections::{BTreeMap, HashMap},
    mem::take,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deploy::{CommandError, Environment, Program, ReloadCommand, Reloader};
use source::backoff::{Backoff, Growth};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

/// The longest time that a reload waits for the passes of other resources.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// The number of commands whose queues are kept although no resource uses them.
const UNUSED: usize = 64;

/// A reload command with its time limit.
pub(crate) type Key<'a> = (&'a Program, Option<Duration>);

/// The queues of all reload commands. A clone is the same set.
#[derive(Clone)]
pub(crate) struct Reloads {
    queues: Arc<Mutex<Queues>>,
    /// A permit for each command that can run at the same time.
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct Queues {
    queues: HashMap<Program, Vec<Arc<Queue>>>,
    /// Unused queues are removed when there are more commands than this.
    room: usize,
}

impl Reloads {
    /// No queues yet. At most `overlap` passes with commands, and reloads, run at the same time.
    pub(crate) fn new(overlap: usize) -> Self {
        Reloads { queues: Arc::default(), room: Arc::new(Semaphore::new(overlap)) }
    }

    /// The queue of this command.
    fn queue(&self, command: &Program, limit: Option<Duration>) -> Arc<Queue> {
        let mut all = lock(&self.queues);
        let known = all.queues.get(command).map_or(&[][..], Vec::as_slice);
        if let Some(queue) = known.iter().find(|queue| queue.limit == limit) {
            return Arc::clone(queue);
        }
        let turn = known.first().map(|queue| Arc::clone(&queue.turn)).unwrap_or_default();
        if all.queues.len() > all.room {
            all.queues.retain(|_, queues| queues.iter().any(|queue| Arc::strong_count(queue) > 1));
            all.room = 2 * all.queues.len() + UNUSED;
        }
        let queue = Arc::new(Queue::new(limit, turn));
        all.queues.entry(command.clone()).or_default().push(Arc::clone(&queue));
        queue
    }
}

/// The resources that need the same reload.
struct Queue {
    limit: Option<Duration>,
    /// Held during a run. Commands with the same text and different limits share it.
    turn: Arc<AsyncMutex<()>>,
    places: Mutex<Places>,
    /// Notified when a pass that was announced has ended or is due at another time.
    changed: Notify,
}

struct Places {
    /// The number of the next request or announced pass.
    next: u64,
    /// The announced passes, by their numbers.
    announced: BTreeMap<u64, Announced>,
    /// What the next run finds in its environment: about all files that it is for.
    environment: Environment,
    last: Option<Run>,
    backoff: Backoff,
    /// When the last run that failed is repeated.
    retry: Option<Instant>,
}

impl Places {
    fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

/// A pass that is due or running, and may ask for the reload.
#[derive(Clone, Copy)]
struct Announced {
    begins: Begins,
    /// The pass begins no earlier than this.
    not_before: Option<Instant>,
}

/// When an announced pass begins.
#[derive(Clone, Copy)]
enum Begins {
    /// It runs, or can run, since this moment.
    At(Instant),
    /// After a run of the same command, for which its resource waits. That run must not wait for it.
    AfterThisReload,
    /// After a run of another command, for which its resource waits.
    AfterOtherReload,
}

impl Announced {
    /// The time until which a reload waits for this pass; `None` if the pass begins after
    /// `deadline` or after the reload.
    fn end(&self, deadline: Instant) -> Option<Instant> {
        if self.not_before.is_some_and(|moment| moment > deadline) {
            return None;
        }
        match self.begins {
            Begins::At(since) => {
                let begins = self.not_before.map_or(since, |moment| since.max(moment));
                Some(deadline.min(begins + PATIENCE))
            }
            Begins::AfterOtherReload => Some(deadline),
            Begins::AfterThisReload => None,
        }
    }
}

/// The end of a command.
#[derive(Clone)]
struct Run {
    /// The run serves the requests with smaller numbers.
    before: u64,
    result: Result<(), Failed>,
}

/// Why a run failed, and when the resources that it served try again.
#[derive(Clone)]
struct Failed {
    error: Arc<CommandError>,
    retry: Instant,
}

/// How a reload waited for the announced passes.
#[derive(PartialEq, Eq)]
enum Waited {
    ForAll,
    /// A pass takes too long.
    TooLong,
}

impl Queue {
    fn new(limit: Option<Duration>, turn: Arc<AsyncMutex<()>>) -> Self {
        let places = Places {
            next: 0,
            announced: BTreeMap::new(),
            environment: Environment::default(),
            last: None,
            backoff: Backoff::new(Growth::default()),
            retry: None,
        };
        Queue { limit, turn, places: Mutex::new(places), changed: Notify::new() }
    }

    /// The number of a new request. The run that serves it finds also `environment` in its own.
    fn request(&self, environment: Environment) -> u64 {
        let mut places = lock(&self.places);
        places.environment.merge(environment);
        places.take_number()
    }

    fn announce(self: Arc<Self>, announced: Announced) -> Place {
        let number = {
            let mut places = lock(&self.places);
            let number = places.take_number();
            places.announced.insert(number, announced);
            number
        };
        Place { queue: self, number }
    }

    /// The end of the run that served this request, if there was one.
    fn served(&self, number: u64) -> Option<Run> {
        lock(&self.places).last.clone().filter(|run| run.before > number)
    }

    /// Waits for the passes that were announced before this request.
    async fn wait_for_others(&self, number: u64) -> Waited {
        let deadline = Instant::now() + PATIENCE;
        let mut waited = Waited::ForAll;
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let Some(end) = self.waits_until(number, deadline) else { return waited };
            tokio::select! {
                () = changed => waited = Waited::ForAll,
                () = sleep_until(end) => waited = Waited::TooLong,
            }
        }
    }

    /// The end of the wait for the next of the passes that were announced before this request.
    fn waits_until(&self, number: u64, deadline: Instant) -> Option<Instant> {
        let now = Instant::now();
        let places = lock(&self.places);
        let mut earlier = places.announced.range(..number);
        earlier.find_map(|(_, announced)| announced.end(deadline).filter(|end| *end > now))
    }

    /// Runs the command for all requests so far. After failures, the delays of the retry grow by
    /// `growth`.
    async fn run(&self, reload: &ReloadCommand<'_>, growth: Growth, room: &Semaphore) -> Run {
        // An error would mean that the semaphore is closed, which it never is.
        let _permit = room.acquire().await;
        let (before, environment) = {
            let mut places = lock(&self.places);
            (places.next, take(&mut places.environment))
        };
        let result = reload.run(&environment).await;
        let mut places = lock(&self.places);
        let result = match result {
            Ok(()) => {
                places.backoff.reset();
                places.retry = None;
                Ok(())
            }
            Err(error) => {
                places.backoff.follow(growth);
                // A run before its time makes no delay longer.
                let early = places.retry.filter(|moment| *moment > Instant::now());
                let retry = early.unwrap_or_else(|| Instant::now() + places.backoff.delay());
                places.retry = Some(retry);
                Err(Failed { error: Arc::new(error), retry })
            }
        };
        let run = Run { before, result };
        places.last = Some(run.clone());
        run
    }
}

/// An announced pass. Dropping it takes the announcement back.
struct Place {
    queue: Arc<Queue>,
    number: u64,
}

impl Place {
    fn change(&self, change: impl FnOnce(&mut Announced)) {
        if let Some(announced) = lock(&self.queue.places).announced.get_mut(&self.number) {
            change(announced);
        }
        self.queue.changed.notify_waiters();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.queue.places).announced.remove(&self.number);
        self.queue.changed.notify_waiters();
    }
}

/// A resource that may ask for reloads.
pub(crate) struct Requester {
    reloads: Reloads,
    passes: Mutex<Passes>,
}

/// The announced passes of one resource.
#[derive(Default)]
struct Passes {
    /// The running pass, until it asks for its reload.
    running: Option<Place>,
    /// The pass that is due.
    due: Option<Place>,
    state: State,
    /// Whether the next pass waits for the pass of a resource with the same destination. That pass
    /// must not wait for this one.
    is_blocked: bool,
    /// The room for the commands of the running pass, until it asks for its reload.
    permit: Option<OwnedSemaphorePermit>,
    /// The time of the retry, if the last reload failed.
    retry: Option<Instant>,
    /// The end of the last reload of the pass, whatever its result.
    reloaded: Option<Instant>,
    /// How the delays between the retries grow.
    growth: Growth,
}

/// What a resource does.
#[derive(Clone, Default)]
enum State {
    #[default]
    Idle,
    /// Its pass runs since this moment.
    Running(Instant),
    /// Its pass waits for the reload of this queue.
    Reloading(Arc<Queue>),
}

impl State {
    /// When the next pass can begin, which may ask for the reload of `queue`.
    fn next_pass(&self, queue: &Queue) -> Begins {
        match self {
            State::Idle => Begins::At(Instant::now()),
            State::Running(since) => Begins::At(*since),
            State::Reloading(at) if Arc::ptr_eq(&at.turn, &queue.turn) => Begins::AfterThisReload,
            State::Reloading(_) => Begins::AfterOtherReload,
        }
    }
}

impl Requester {
    pub(crate) fn new(reloads: &Reloads) -> Self {
        Requester { reloads: reloads.clone(), passes: Mutex::default() }
    }

    /// Lets the delays between the retries of reloads grow in this way.
    pub(crate) fn follow(&self, growth: Growth) {
        lock(&self.passes).growth = growth;
    }

    /// Announces a pass that is due. `key` is the reload of its resource; `None` if it has none.
    pub(crate) fn announce(&self, key: Option<Key<'_>>) {
        let mut passes = lock(&self.passes);
        if passes.is_blocked {
            return;
        }
        passes.announce(&self.reloads, key, None);
    }

    /// Announces that the pass that is due begins no earlier than `moment`.
    pub(crate) fn begins_at(&self, moment: Instant) {
        if let Some(due) = &lock(&self.passes).due {
            due.change(|announced| announced.not_before = Some(moment));
        }
    }

    /// Announces a retry at `moment`.
    pub(crate) fn announce_retry(&self, key: Option<Key<'_>>, moment: Instant) {
        let mut passes = lock(&self.passes);
        if passes.due.is_none() {
            passes.announce(&self.reloads, key, Some(moment));
        }
    }

    /// Takes the announcement back while the pass waits for the pass of a resource with the same
    /// destination.
    pub(crate) fn is_blocked(&self) {
        let mut passes = lock(&self.passes);
        passes.is_blocked = true;
        drop(passes.due.take());
    }

    /// Waits until the commands of a pass have room beside those that run.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.reloads.room).acquire_owned().await.ok()
    }

    /// Announces that the pass begins. `permit` is the room for its commands.
    pub(crate) fn begin(&self, key: Option<Key<'_>>, permit: Option<OwnedSemaphorePermit>) {
        let mut passes = lock(&self.passes);
        passes.permit = permit;
        let now = Instant::now();
        passes.announce(&self.reloads, key, None);
        passes.running = passes.due.take();
        if let Some(running) = &passes.running {
            running.change(|running| {
                *running = Announced { begins: Begins::At(now), not_before: None };
            });
        }
        (passes.state, passes.is_blocked) = (State::Running(now), false);
        passes.retry = None;
    }

    /// Announces that the pass has ended. Returns the time of the retry, if its reload failed.
    pub(crate) fn end(&self) -> Option<Instant> {
        let mut passes = lock(&self.passes);
        drop(passes.running.take());
        passes.permit = None;
        passes.enter(State::Idle);
        passes.retry.take()
    }

    /// The end of the last reload of the pass that has ended, if it had one.
    pub(crate) fn last_reload(&self) -> Option<Instant> {
        lock(&self.passes).reloaded.take()
    }

    /// Takes all announcements back.
    pub(crate) fn leave(&self) {
        *lock(&self.passes) = Passes::default();
    }

    /// This requester as a reloader. `say` is called with each [`Notice`].
    pub(crate) fn reloader<'a>(&'a self, say: &'a (dyn Fn(Notice) + Send + Sync)) -> Asking<'a> {
        Asking { requester: self, say }
    }
}

impl Passes {
    fn announce(&mut self, reloads: &Reloads, key: Option<Key<'_>>, not_before: Option<Instant>) {
        let Some((command, limit)) = key else {
            self.due = None;
            return;
        };
        let queue = reloads.queue(command, limit);
        match &self.due {
            // The earlier announcement keeps its number and its age.
            Some(due) if Arc::ptr_eq(&due.queue, &queue) => {
                due.change(|due| due.not_before = not_before);
            }
            _ => {
                let begins = self.state.next_pass(&queue);
                self.due = Some(queue.announce(Announced { begins, not_before }));
            }
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        if let Some(due) = &self.due {
            let begins = self.state.next_pass(&due.queue);
            due.change(|announced| announced.begins = begins);
        }
    }
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The command ran for another resource, after the file of this one was in place.
    Served,
    /// The command starts although the pass of another resource has not ended.
    WaitsNoLonger,
}

/// A [`Requester`] in its pass.
pub(crate) struct Asking<'a> {
    requester: &'a Requester,
    say: &'a (dyn Fn(Notice) + Send + Sync),
}

impl Reloader for Asking<'_> {
    async fn reload(&self, reload: &ReloadCommand<'_>) -> Result<(), Arc<CommandError>> {
        let Asking { requester, say } = self;
        let queue = requester.reloads.queue(reload.command(), reload.limit());
        let number = queue.request(reload.environment().clone());
        let _reloading = Reloading::begin(requester, &queue);
        let turn = queue.turn.lock().await;
        let run = match queue.served(number) {
            Some(run) => {
                say(Notice::Served);
                run
            }
            None => {
                if queue.wait_for_others(number).await == Waited::TooLong {
                    say(Notice::WaitsNoLonger);
                }
                let growth = lock(&requester.passes).growth;
                queue.run(reload, growth, &requester.reloads.room).await
            }
        };
        drop(turn);
        lock(&requester.passes).reloaded = Some(Instant::now());
        run.result.map_err(|failed| {
            lock(&requester.passes).retry = Some(failed.retry);
            failed.error
        })
    }
}

/// A resource that waits for its reload. Dropping it says that the wait has ended.
struct Reloading<'a>(&'a Requester);

impl<'a> Reloading<'a> {
    fn begin(requester: &'a Requester, queue: &Arc<Queue>) -> Self {
        let mut passes = lock(&requester.passes);
        // The lock of the queue is taken by the drop.
        let asked = take(&mut passes.running);
        // All files are in place: the reload takes room of its own.
        passes.permit = None;
        passes.enter(State::Reloading(Arc::clone(queue)));
        drop(asked);
        Reloading(requester)
    }
}

impl Drop for Reloading<'_> {
    fn drop(&mut self) {
        lock(&self.0.passes).enter(State::Running(Instant::now()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
