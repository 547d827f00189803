//! Whether a server reports changes, and what to set if it does not.

use std::fmt;

use crate::connection::unless_forbidden;
use crate::failure::Failure;
use crate::links::Links;
use crate::resp::{Reply, Request};

/// The events that change what confd reads: generic commands, strings, hashes, expired and evicted
/// keys.
const NEEDED: &str = "g$hxe";

/// What the letter `A` stands for, without events that change nothing.
const ALL: &str = "g$lshzxetd";

/// Whether a server reports every change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reports {
    /// It reports every change.
    All,
    /// It does not report every change.
    Missing {
        /// The server.
        node: String,
        /// Its setting.
        setting: String,
    },
    /// The user may not ask for the setting.
    Unknown {
        /// The server.
        node: String,
    },
    /// The user may not subscribe.
    Forbidden {
        /// The server.
        node: String,
        /// Its words.
        reason: String,
    },
}

impl Reports {
    /// Asks all servers for their setting. Returns the first one that does not report every change.
    pub(crate) async fn of(links: &mut Links) -> Result<Self, (usize, Failure)> {
        let request = Request::of(&["CONFIG", "GET", "notify-keyspace-events"]);
        let requests = vec![request; links.all.len()];
        let replies = links.ask(&requests).await?;
        for (index, (link, replies)) in links.all.iter().zip(replies).enumerate() {
            let node = link.shown.clone();
            let reply = replies.into_iter().next().map(unless_forbidden);
            let setting = match reply.transpose().map_err(|failure| (index, failure))?.flatten() {
                Some(Reply::List(parts)) => parts.get(1).and_then(Reply::text).cloned(),
                _ => None,
            };
            let Some(setting) = setting else { return Ok(Reports::Unknown { node }) };
            let setting = String::from_utf8_lossy(&setting).into_owned();
            if !is_enough(&setting) {
                return Ok(Reports::Missing { node, setting });
            }
        }
        Ok(Reports::All)
    }
}

impl fmt::Display for Reports {
    /// What the user should know, and do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reports::All => f.write_str("redis reports all changes"),
            Reports::Missing { node, setting } => {
                let enough = completed(setting);
                write!(
                    f,
                    "redis at {node} does not report all changes, because notify-keyspace-events is \
                     {setting:?}: run \"redis-cli CONFIG SET notify-keyspace-events {enough}\", and \
                     write it into redis.conf"
                )
            }
            Reports::Unknown { node } => write!(
                f,
                "redis at {node} does not say whether it reports changes: allow the user the command \
                 \"config|get\", and make sure that notify-keyspace-events is at least K{NEEDED}"
            ),
            Reports::Forbidden { node, reason } => write!(
                f,
                "redis at {node} does not report changes to this user: {reason}; allow the user the \
                 command psubscribe and all channels (+psubscribe allchannels)"
            ),
        }
    }
}

/// Whether a setting reports every change that confd must know.
fn is_enough(setting: &str) -> bool {
    let has = |letter| setting.contains(letter);
    has('K') && (has('A') || NEEDED.chars().all(has))
}

/// The setting, with everything added that confd needs, and with nothing removed.
fn completed(setting: &str) -> String {
    let more = setting.chars().filter(|letter| !"KA".contains(*letter) && !ALL.contains(*letter));
    format!("KA{}", more.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_not_enough_is_completed_and_loses_nothing() {
        for (setting, enough, better) in [
            ("", false, "KA"),
            ("AKE", true, "KAE"),
            ("g$hxeK", true, "KA"),
            ("g$xeK", false, "KA"),
            ("AE", false, "KAE"),
            ("xE", false, "KAE"),
            ("Klm", false, "KAm"),
        ] {
            assert_eq!(is_enough(setting), enough, "{setting}");
            assert_eq!(completed(setting), better, "{setting}");
        }
    }
}
