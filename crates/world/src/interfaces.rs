//! The network interfaces of this machine.

use std::io;
use std::net::IpAddr;

use report::read_regular;

/// An address of a network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The number of the interface.
    pub index: u32,
    /// The longest packet, in bytes.
    pub mtu: u32,
    /// The name of the interface.
    pub name: String,
    /// The hardware address; empty if there is none.
    pub hardware: String,
    /// The words that Go has for the flags, such as `up` and `loopback`.
    pub flags: Vec<&'static str>,
    /// The address.
    pub address: IpAddr,
    /// The number of bits of the address that are those of its network.
    pub prefix: u8,
}

/// The flags of interfaces, in Go's order.
const FLAGS: [(u32, &str); 5] =
    [(1, "up"), (2, "broadcast"), (8, "loopback"), (16, "pointtopoint"), (0x1000, "multicast")];

/// All addresses of all interfaces, in the order of the interfaces' numbers.
///
/// # Errors
/// The system does not say.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut found: Vec<_> = if_addrs::get_if_addrs()?
        .into_iter()
        .map(|interface| {
            let (address, prefix) = match &interface.addr {
                if_addrs::IfAddr::V4(v4) => (IpAddr::V4(v4.ip), v4.prefixlen),
                if_addrs::IfAddr::V6(v6) => (IpAddr::V6(v6.ip), v6.prefixlen),
            };
            let name = interface.name;
            let bits = attribute(&name, "flags");
            let bits = u32::from_str_radix(bits.trim_start_matches("0x"), 16).unwrap_or(0);
            let set = FLAGS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, flag)| *flag);
            let mut flags: Vec<_> = set.collect();
            // A loopback interface does not know its state.
            if matches!(&*attribute(&name, "operstate"), "up" | "unknown") {
                flags.push("running");
            }
            let hardware = attribute(&name, "address");
            let has_hardware = hardware.contains(|c| !matches!(c, '0' | ':'));
            Interface {
                index: interface.index.unwrap_or(0),
                mtu: attribute(&name, "mtu").parse().unwrap_or(0),
                hardware: if has_hardware { hardware } else { String::new() },
                flags,
                address,
                prefix,
                name,
            }
        })
        .collect();
    found.sort_by_key(|interface| (interface.index, interface.address.is_ipv6()));
    Ok(found)
}

/// The name of the interface with the default route; `None` if there is no such route.
pub fn default_interface() -> Option<String> {
    let routes = read_regular("/proc/net/route".as_ref()).ok()?;
    let routes = String::from_utf8_lossy(&routes).into_owned();
    let mut fields = routes.lines().skip(1).map(|line| line.split_whitespace());
    fields.find_map(|mut fields| {
        let (name, destination) = (fields.next()?, fields.next()?);
        (destination == "00000000").then(|| name.to_owned())
    })
}

/// What the system says about an interface; empty if it says nothing.
fn attribute(name: &str, attribute: &str) -> String {
    let path = format!("/sys/class/net/{name}/{attribute}");
    let content = read_regular(path.as_ref()).unwrap_or_default();
    String::from_utf8_lossy(&content).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_known() {
        let all = interfaces().unwrap();
        let found = all.iter().find(|one| one.address.to_string() == "127.0.0.1").unwrap();
        assert_eq!((found.prefix, &*found.hardware), (8, ""));
        assert!(found.flags.contains(&"loopback"), "{found:?}");
    }
}
