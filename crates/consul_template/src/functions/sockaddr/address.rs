//! An address of an interface: its parts and attributes, and calculations with it.

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gotmpl::Failure;
use world::interfaces::Interface;

use super::rfc;

/// A block of addresses: the bits of an address, and how many of them are those of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) is_v6: bool,
    pub(super) address: u128,
    pub(super) prefix: u8,
}

impl Block {
    fn new(ip: IpAddr, prefix: u8) -> Block {
        match ip {
            IpAddr::V4(ip) => Block { is_v6: false, address: ip.to_bits().into(), prefix },
            IpAddr::V6(ip) => Block { is_v6: true, address: ip.to_bits(), prefix },
        }
    }

    /// Reads an address, with the length of its prefix or without. `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<Block> {
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip.parse().ok()?, Some(prefix.parse().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let block = Block::new(ip, 0);
        let prefix = prefix.unwrap_or(block.bits());
        (prefix <= block.bits()).then_some(Block { prefix, ..block })
    }

    /// The number of bits of an address.
    pub(super) fn bits(&self) -> u8 {
        if self.is_v6 { 128 } else { 32 }
    }

    fn all(&self) -> u128 {
        if self.is_v6 { u128::MAX } else { u32::MAX.into() }
    }

    /// The bits of the host.
    fn host_mask(&self) -> u128 {
        let width = u32::from(self.bits() - self.prefix);
        if width == 128 { u128::MAX } else { (1 << width) - 1 }
    }

    fn mask(&self) -> u128 {
        self.all() & !self.host_mask()
    }

    pub(super) fn network(&self) -> u128 {
        self.address & self.mask()
    }

    fn last(&self) -> u128 {
        self.network() | self.host_mask()
    }

    /// Whether the network of this block contains the address `other`.
    pub(super) fn contains(&self, other: &Block) -> bool {
        self.is_v6 == other.is_v6
            && self.prefix <= other.prefix
            && self.network() == other.address & self.mask()
    }

    fn ip_of(&self, address: u128) -> IpAddr {
        match self.is_v6 {
            true => IpAddr::V6(Ipv6Addr::from_bits(address)),
            false => IpAddr::V4(Ipv4Addr::from_bits(address as u32)),
        }
    }
}

/// An address of an interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) block: Block,
    pub(super) interface: Interface,
}

impl Address {
    pub(super) fn new(interface: Interface) -> Address {
        Address { block: Block::new(interface.address, interface.prefix), interface }
    }

    pub(super) fn ip(&self) -> IpAddr {
        self.block.ip_of(self.block.address)
    }

    /// The address with the length of its prefix, which is left out if it is that of one address.
    pub(super) fn cidr(&self) -> String {
        let (ip, prefix) = (self.ip(), self.block.prefix);
        if prefix == self.block.bits() { ip.to_string() } else { format!("{ip}/{prefix}") }
    }

    /// Whether the address is one of those that RFC 6890 reserves.
    pub(super) fn is_private(&self) -> bool {
        rfc::contains(6890, &self.block) == Some(true)
    }

    /// Whether routers pass on packets with this address.
    pub(super) fn is_forwardable(&self) -> bool {
        !rfc::is_kept(&self.block)
    }

    /// The attribute `name`.
    ///
    /// # Errors
    /// There is no such attribute.
    pub(super) fn attribute(&self, name: &str) -> Result<String, Failure> {
        let block = &self.block;
        let is_one = block.prefix == block.bits();
        let digits = usize::from(block.bits());
        let show = |address: u128| block.ip_of(address).to_string();
        let octets = || match self.ip() {
            IpAddr::V4(ip) => ip.octets().map(|octet| octet.to_string()).join(" "),
            IpAddr::V6(ip) => ip.octets().map(|octet| octet.to_string()).join(" "),
        };
        Ok(match name {
            "name" => self.interface.name.clone(),
            "flags" => self.interface.flags.join("|"),
            "string" => self.cidr(),
            "type" => if block.is_v6 { "IPv6" } else { "IPv4" }.to_owned(),
            "address" | "host" => self.ip().to_string(),
            "binary" => format!("{:0digits$b}", block.address),
            "hex" => format!("{:0width$x}", block.address, width = digits / 4),
            "octets" => octets(),
            "port" => "0".to_owned(),
            "mask_bits" => block.prefix.to_string(),
            "netmask" => show(block.mask()),
            "network" => show(block.network()),
            "first_usable" if is_one || block.is_v6 => show(block.network()),
            "first_usable" => show(block.network() + u128::from(block.prefix < 31)),
            "last_usable" if is_one || block.is_v6 => show(block.last()),
            "last_usable" => show(block.last() - u128::from(block.prefix < 31)),
            "size" => match block.host_mask().checked_add(1) {
                Some(size) => size.to_string(),
                // 2^128.
                None => "340282366920938463463374607431768211456".to_owned(),
            },
            "broadcast" if !block.is_v6 => show(block.last()),
            "uint32" if !block.is_v6 => block.address.to_string(),
            "uint128" if block.is_v6 => block.address.to_string(),
            _ => return Err(Failure::new(format!("unsupported attribute name {name:?}"))),
        })
    }

    /// The address after a calculation.
    ///
    /// # Errors
    /// The operation or its number is none.
    pub(super) fn changed(&self, operation: &str, number: &str) -> Result<Address, String> {
        let block = self.block;
        let failed = |why: &str| {
            format!("unable to convert {number:?} to int for operation {operation:?}: {why}")
        };
        let function =
            if operation.eq_ignore_ascii_case("mask") { "ParseUint" } else { "ParseInt" };
        let syntax = || failed(&format!("strconv.{function}: parsing {number:?}: invalid syntax"));
        let signed = || {
            if !number.starts_with(['+', '-']) {
                let text = "sign (+/-) is required for operation";
                return Err(format!("{text} {operation:?}"));
            }
            number.parse::<i64>().map(i128::from).map_err(|_| syntax())
        };
        let block = match &*operation.to_lowercase() {
            "address" => {
                let address = block.address.wrapping_add_signed(signed()?) & block.all();
                Block { address, ..block }
            }
            "network" => {
                let distance = signed()?;
                // A negative distance counts from the last address.
                let from = if distance < 0 { block.last().wrapping_add(1) } else { 0 };
                let host = from.wrapping_add_signed(distance) & block.host_mask();
                Block { address: block.network() | host, ..block }
            }
            "mask" => {
                let prefix: u32 = number.parse().map_err(|_| syntax())?;
                if prefix > block.bits().into() {
                    let (family, most) = if block.is_v6 { ("ipv6", 64) } else { ("ipv4", 32) };
                    return Err(format!(
                        "parameter for operation {operation:?} on {family} addresses must be \
                         between 0 and {most}"
                    ));
                }
                let prefix = prefix as u8;
                let address = Block { prefix, ..block }.network();
                Block { address, prefix: prefix.min(block.prefix), ..block }
            }
            _ => return Err(format!("unsupported math operation: {operation:?}")),
        };
        Ok(Address { block, interface: self.interface.clone() })
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Interface { index, mtu, name, hardware, flags, .. } = &self.interface;
        let flags = if flags.is_empty() { "0".to_owned() } else { flags.join("|") };
        write!(f, "{} {{{index} {mtu} {name} {hardware} {flags}}}", self.cidr())
    }
}
