//! Queries at the nodes that an SRV record names.

use std::sync::Arc;

use async_trait::async_trait;
use catalog::Query;
use source::{
    Configured,
    queries::{News, Queries, QueryError, Settings, Trouble},
};
use tokio::time::{Instant, sleep_until};
use world::Host;

use crate::{asked, srv};

/// A store that is opened when the record of its nodes is found. The record is looked up when a
/// query is followed, and again with growing delays until it is found.
pub(crate) struct Discovered {
    configured: Box<dyn Configured>,
    settings: Settings,
    host: Arc<dyn Host>,
    wanted: Vec<Query>,
    opened: Option<Box<dyn Queries>>,
    /// The lookups that have failed.
    failed: u32,
    /// When the record is looked up again; `None` if it is not.
    due: Option<Instant>,
}

impl Discovered {
    /// A store with this configuration, which names a record.
    pub(crate) fn new(configured: Box<dyn Configured>, settings: Settings) -> Self {
        Discovered {
            configured,
            settings,
            host: Arc::new(world::System::new()),
            wanted: Vec::new(),
            opened: None,
            failed: 0,
            due: Some(Instant::now()),
        }
    }

    /// Looks up the nodes, and opens the store.
    async fn open(&mut self) -> Result<Box<dyn Queries>, String> {
        if let Some((discovery, nodes)) = self.configured.discovery() {
            let found = srv::lookup(discovery, &self.host, &[]).await;
            *nodes = found.map_err(|error| error.to_string())?;
        }
        asked::opened(&*self.configured, self.settings.clone())
    }
}

#[async_trait]
impl Queries for Discovered {
    fn follow(&mut self, wanted: &[Query]) {
        self.wanted = wanted.to_vec();
        if let Some(opened) = &mut self.opened {
            opened.follow(wanted);
        }
    }

    async fn next(&mut self) -> Vec<News> {
        if let Some(opened) = &mut self.opened {
            return opened.next().await;
        }
        match self.due {
            Some(due) if !self.wanted.is_empty() => sleep_until(due).await,
            _ => std::future::pending().await,
        }
        match self.open().await {
            Ok(mut opened) => {
                opened.follow(&self.wanted);
                self.opened.insert(opened).next().await
            }
            Err(text) => {
                self.failed += 1;
                let (attempt, again) = (self.failed, self.settings.retry.after(self.failed));
                self.due = again.map(|delay| Instant::now() + delay);
                let news = |query: &Query| {
                    let cause = QueryError::Repeated(text.clone());
                    let answer = Err(Trouble { cause, attempt, again });
                    News { query: query.clone(), answer, warning: None }
                };
                self.wanted.iter().map(news).collect()
            }
        }
    }
}
