//! The machine: its name and the addresses of its network interfaces. The names are those of confd's live
//! fork.

use std::net::IpAddr;

use bytes::Bytes;
use gotmpl::Failure;

use super::{Library, Machine};

pub(super) fn add(library: &mut Library<'_>) {
    library.add_own("hostname", "", |machine: &Machine| {
        let name = machine.machine_name();
        name.map_err(|why| {
            Failure::new(format!("the machine has no name: {}", report::errno_text(&why)))
        })
    });
    library.add_own("lookupIfaceIPV4", "|name", |machine: &Machine, name: Bytes| {
        first_address(machine, &name, IpAddr::is_ipv4)
    });
    library.add_own("lookupIfaceIPV6", "|name", |machine: &Machine, name: Bytes| {
        first_address(machine, &name, IpAddr::is_ipv6)
    });
}

/// The first address of the interface called `name` that is of a kind. The empty text if there is none.
fn first_address(
    machine: &Machine,
    name: &Bytes,
    is_of_kind: fn(&IpAddr) -> bool,
) -> Result<String, Failure> {
    let interfaces = machine.interfaces().map_err(|why| {
        Failure::new(format!("the network interfaces cannot be read: {}", report::errno_text(&why)))
    })?;
    let found = interfaces
        .iter()
        .find(|interface| interface.name.as_bytes() == name && is_of_kind(&interface.address));
    Ok(found.map_or_else(String::new, |interface| interface.address.to_string()))
}
