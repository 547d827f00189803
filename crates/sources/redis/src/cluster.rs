//! The layout of a cluster: which master has which slots.

use bytes::Bytes;

use crate::address::Place;
use crate::connection::{Connection, no_reply, unless_forbidden};
use crate::failure::Failure;
use crate::resp::{Reply, Request};
use crate::slot;

/// The masters of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The slots, in order.
    ranges: Vec<Range>,
    /// All masters, in order. One without slots can have keys that are moving to it.
    pub(crate) masters: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    /// The number of its master.
    master: usize,
}

impl Layout {
    /// Asks a server, whose address is `asked`. `None` if it belongs to no cluster.
    pub(crate) async fn of(
        connection: &mut Connection,
        asked: &Place,
    ) -> Result<Option<Self>, Failure> {
        let mut request = Request::of(&["CLUSTER", "SLOTS"]);
        request.add(&["CLUSTER", "NODES"]);
        let mut replies = connection.ask(&request).await?.into_iter();
        let (Some(slots), Some(nodes)) = (replies.next(), replies.next()) else {
            return Err(no_reply());
        };
        // A server alone has no such command, or the user may not use it. If the server is in a
        // cluster after all, it says so when keys are asked for.
        let parts = match unless_forbidden(slots)? {
            Some(Reply::List(parts)) if !parts.is_empty() => parts,
            _ => return Ok(None),
        };
        let range = |part: &Reply| {
            let Reply::List(fields) = part else { return None };
            let [Reply::Number(first), Reply::Number(last), master, ..] = fields.as_slice() else {
                return None;
            };
            let first = u16::try_from(*first).ok()?;
            let last = u16::try_from(*last).ok().filter(|last| *last < slot::SLOTS)?;
            Some((first, last, Place::of_reply(master, Some(asked))?))
        };
        let ranges = parts.iter().map(range).collect::<Option<Vec<_>>>().ok_or_else(no_reply)?;
        let nodes = unless_forbidden(nodes)?;
        let nodes =
            nodes.as_ref().and_then(Reply::text).map(|nodes| String::from_utf8_lossy(nodes));
        let idle = nodes.iter().flat_map(|nodes| nodes.lines()).filter_map(idle_master);
        Ok(Some(Layout::new(ranges, idle)))
    }

    fn new(mut slots: Vec<(u16, u16, Place)>, idle: impl IntoIterator<Item = Place>) -> Self {
        let mut masters: Vec<Place> = slots.iter().map(|(.., master)| master.clone()).collect();
        masters.extend(idle);
        masters.sort_unstable();
        masters.dedup();
        slots.sort_unstable();
        let number = |master: &Place| masters.binary_search(master).unwrap_or_default();
        let range = |(first, last, master)| Range { first, last, master: number(&master) };
        Layout { ranges: slots.into_iter().map(range).collect(), masters }
    }

    /// The number of the master that has a slot.
    pub(crate) fn master_of(&self, slot: u16) -> Option<usize> {
        let after = self.ranges.partition_point(|range| range.last < slot);
        let range = self.ranges.get(after).filter(|range| range.first <= slot)?;
        Some(range.master)
    }

    /// The number of the master that an error names, such as `ASK 5061 10.0.0.1:7000`. A server
    /// without a host there is on the host of `asked`.
    pub(crate) fn master_in(&self, error: &str, asked: usize) -> Option<usize> {
        let (host, port) = error.split(' ').nth(2)?.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let host = match (host, self.masters.get(asked)?) {
            ("" | "?", Place::Host(host, _)) => host.clone(),
            (host, _) => host.to_owned(),
        };
        self.masters.binary_search(&Place::Host(host, port)).ok()
    }
}

impl Place {
    /// The host and port that a reply names. A server that does not know its own host names none:
    /// then it is that of `asked`.
    pub(crate) fn of_reply(reply: &Reply, asked: Option<&Place>) -> Option<Self> {
        let Reply::List(parts) = reply else { return None };
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).ok();
        let host = match parts.first()?.text().and_then(text) {
            Some(host) if !host.is_empty() && host != "?" => host,
            _ => match asked? {
                Place::Host(host, _) => host.clone(),
                Place::Socket(_) => return None,
            },
        };
        let port = match parts.get(1)? {
            Reply::Number(port) => u16::try_from(*port).ok()?,
            port => text(port.text()?)?.parse().ok()?,
        };
        Some(Place::Host(host, port))
    }
}

/// The address in a line of `CLUSTER NODES`, if it is that of a master without slots that works:
/// `ID HOST:PORT@BUS FLAGS MASTER PINGED ANSWERED EPOCH LINK SLOTS…`.
fn idle_master(line: &str) -> Option<Place> {
    let mut fields = line.split(' ');
    let (address, flags) = (fields.nth(1)?, fields.next()?);
    let mut slots = fields.skip(5);
    let works = |flag: &str| !matches!(flag, "fail" | "fail?" | "handshake" | "noaddr");
    let is_master = flags.split(',').any(|flag| flag == "master");
    // What stands in brackets is a slot that is moving.
    if !is_master || !flags.split(',').all(works) || slots.any(|slot| !slot.starts_with('[')) {
        return None;
    }
    let (host, port) = address.split('@').next()?.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then(|| Place::Host(host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(port: u16) -> Place {
        Place::Host("h".to_owned(), port)
    }

    #[test]
    fn each_slot_has_its_master_and_a_gap_has_none() {
        let slots = vec![(200, 16383, place(1)), (0, 99, place(2))];
        let layout = Layout::new(slots, [place(3)]);
        for (slot, master) in
            [(0, Some(1)), (99, Some(1)), (100, None), (199, None), (200, Some(0))]
        {
            assert_eq!(layout.master_of(slot), master, "{slot}");
        }
        assert_eq!(layout.masters, [place(1), place(2), place(3)]);
        assert_eq!(layout.master_in("ASK 100 h:3", 0), Some(2));
        assert_eq!(layout.master_in("ASK 100 :3", 0), Some(2));
        assert_eq!(layout.master_in("ASK 100 h:4", 0), None);
        assert_eq!(layout.master_in("ASK", 0), None);
    }

    #[test]
    fn masters_without_slots_are_found() {
        let idle = |line: &str| idle_master(line).map(|place| place.to_string());
        for (line, expected) in [
            ("id 10.0.0.1:7000@17000 master - 0 0 1 connected", Some("10.0.0.1:7000")),
            (
                "id 10.0.0.1:7000@17000,name myself,master - 0 0 1 connected [5-<-id]",
                Some("10.0.0.1:7000"),
            ),
            ("id ::1:7000@17000 master - 0 0 1 connected", Some("[::1]:7000")),
            ("id 10.0.0.1:7000@17000 master - 0 0 1 connected 0-5", None),
            ("id 10.0.0.1:7000@17000 slave id 0 0 1 connected", None),
            ("id 10.0.0.1:7000@17000 master,fail - 0 0 1 disconnected", None),
            ("id :0@0 master,noaddr - 0 0 1 disconnected", None),
            ("", None),
        ] {
            assert_eq!(idle(line).as_deref(), expected, "{line}");
        }
    }
}
