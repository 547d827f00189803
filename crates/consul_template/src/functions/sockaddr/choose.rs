//! Choices among addresses, and their order.

use std::cmp::Ordering;

use bytes::Bytes;
use gotmpl::Failure;

use super::address::{Address, Block};
use super::{Known, rfc};
use render::library::expression as regexp;

/// What addresses can be chosen by.
pub(super) const SELECTORS: [&str; 10] =
    ["address", "flag", "flags", "name", "network", "port", "rfc", "rfcs", "size", "type"];

type Split = (Vec<Address>, Vec<Address>);

/// The addresses that fit, and the others.
///
/// # Errors
/// `what` does not fit the selector.
pub(super) fn by(selector: &str, what: &str, all: Vec<Address>) -> Result<Split, Failure> {
    match selector {
        "address" => matching(selector, what, all, Address::cidr),
        "name" => matching(selector, what, all, |one| one.interface.name.clone()),
        "port" => matching(selector, what, all, |_| "0".to_owned()),
        "flag" | "flags" => by_flags(what, all),
        "size" => by_size(what, all),
        "network" => each(what, all, |text| {
            let block = Block::parse(text).ok_or_else(|| {
                let why = format!("unable to create an IP address from {text:?}: invalid IPAddr");
                Failure::new(format!("{why} {text}"))
            })?;
            Ok(Box::new(move |one: &Address| block.contains(&one.block)))
        }),
        "rfc" | "rfcs" => each(what, all, |text| {
            let failed =
                |why: String| Failure::new(format!("unable to lookup RFC number {text:?}: {why}"));
            let number: u32 = text.parse().map_err(|_| {
                let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
                failed(format!("unable to parse RFC number {text:?}: {why}"))
            })?;
            if !rfc::is_known(number) {
                return Err(failed(format!("unsupported RFC {number}")));
            }
            Ok(Box::new(move |one: &Address| rfc::contains(number, &one.block) == Some(true)))
        }),
        _ => each(&what.to_lowercase(), all, |text| match text {
            "ip" => Ok(Box::new(|_| true)),
            "ipv4" => Ok(Box::new(|one: &Address| !one.block.is_v6)),
            "ipv6" => Ok(Box::new(|one: &Address| one.block.is_v6)),
            "unix" => Ok(Box::new(|_| false)),
            text => Err(Failure::new(format!("unsupported type {text:?} {what:?}"))),
        }),
    }
}

type Test = Box<dyn Fn(&Address) -> bool>;

/// Makes a choice for each of several texts with `|` between them, one after the other.
fn each(
    texts: &str,
    all: Vec<Address>,
    test: impl Fn(&str) -> Result<Test, Failure>,
) -> Result<Split, Failure> {
    let (mut fitting, mut others) = (Vec::new(), Vec::new());
    for text in texts.split('|') {
        let test = test(text)?;
        for one in &all {
            if test(one) { fitting.push(one.clone()) } else { others.push(one.clone()) }
        }
    }
    Ok((fitting, others))
}

fn matching(
    selector: &str,
    expression: &str,
    all: Vec<Address>,
    text: fn(&Address) -> String,
) -> Result<Split, Failure> {
    let compiled = regexp::compile(&Bytes::copy_from_slice(expression.as_bytes()));
    let compiled = compiled.map_err(|why| {
        Failure::new(format!("Unable to compile {selector} regexp {expression:?}: {why}"))
    })?;
    Ok(all.into_iter().partition(|one| compiled.is_match(text(one).as_bytes())))
}

fn by_size(what: &str, all: Vec<Address>) -> Result<Split, Failure> {
    let prefix: u64 = what.parse().map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {what:?}: invalid syntax");
        Failure::new(format!("invalid exclude size argument ({what:?}): {why}"))
    })?;
    if let Some(one) = all.iter().find(|one| prefix > one.block.bits().into()) {
        let family = if one.block.is_v6 { "IPv6" } else { "IPv4" };
        let why = format!("mask size out of bounds for {family} address: {prefix}");
        return Err(Failure::new(why));
    }
    Ok(all.into_iter().partition(|one| u64::from(one.block.prefix) == prefix))
}

/// Chooses by flags of the interface, all of which must be set, or by one kind of address.
fn by_flags(what: &str, all: Vec<Address>) -> Result<Split, Failure> {
    let mut flags: Vec<&str> = Vec::new();
    let mut kinds: Vec<&str> = Vec::new();
    let mut checks_flags = false;
    let lower = what.to_lowercase();
    for word in lower.split('|') {
        match word {
            "broadcast" | "up" => flags.push(word),
            "point-to-point" => flags.push("pointtopoint"),
            "loopback" | "multicast" => {
                flags.push(word);
                kinds.push(word);
            }
            "down" => flags.retain(|flag| *flag != "up"),
            "forwardable"
            | "global unicast"
            | "interface-local multicast"
            | "link-local multicast"
            | "link-local unicast"
            | "unspecified" => kinds.push(word),
            word => return Err(Failure::new(format!("Unknown interface flag: {word:?}"))),
        }
        checks_flags |= word == "down" || !flags.is_empty();
    }
    let has_flags = |one: &Address| flags.iter().all(|flag| one.interface.flags.contains(flag));
    Ok(all.into_iter().partition(|one| {
        checks_flags && has_flags(one) || kinds.iter().any(|kind| is_kind(one, kind))
    }))
}

fn is_kind(one: &Address, kind: &str) -> bool {
    let within = |text: &str| Block::parse(text).is_some_and(|block| block.contains(&one.block));
    let ip = one.ip();
    let is_link_local = within("169.254.0.0/16") || within("fe80::/10");
    match kind {
        "forwardable" => one.is_forwardable(),
        "loopback" => ip.is_loopback(),
        "multicast" => ip.is_multicast(),
        "unspecified" => ip.is_unspecified(),
        "link-local unicast" => is_link_local,
        "link-local multicast" => within("224.0.0.0/24") || within("ff02::/16"),
        "interface-local multicast" => within("ff01::/16"),
        _ => {
            let is_special = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast();
            !is_special && !is_link_local && ip.to_string() != "255.255.255.255"
        }
    }
}

/// The addresses of running interfaces that can be reached from elsewhere, the best first: those that
/// RFC 6890 reserves, or the others.
pub(super) fn reachable(known: &Known, is_private: bool) -> Vec<Address> {
    let is_up = |one: &Address| one.interface.flags.contains(&"up");
    let fits =
        |one: &&Address| is_up(one) && one.is_forwardable() && one.is_private() == is_private;
    let found: Vec<_> = known.all.iter().filter(fits).cloned().collect();
    sorted("default,type,size", found.clone(), known).unwrap_or(found)
}

/// Sorts addresses by several properties, with commas between them. `-` before a property turns its
/// order around.
///
/// # Errors
/// There is no such property.
pub(super) fn sorted(
    properties: &str,
    mut all: Vec<Address>,
    known: &Known,
) -> Result<Vec<Address>, Failure> {
    let mut orders = Vec::new();
    for clause in properties.split(',') {
        let word = clause.trim().to_lowercase();
        let (word, is_descending) = match word.strip_prefix('-') {
            Some(word) => (word.to_owned(), true),
            None => (word.strip_prefix('+').unwrap_or(&word).to_owned(), false),
        };
        if !["address", "default", "name", "port", "private", "size", "type"].contains(&&*word) {
            return Err(Failure::new(format!("unknown sort type: {clause:?}")));
        }
        orders.push((word, is_descending));
    }
    let is_less = |a: &Address, b: &Address| {
        let mut found = orders.iter().map(|(word, is_descending)| {
            let order = compare(word, a, b, known);
            if *is_descending { order.reverse() } else { order }
        });
        found.find(|order| order.is_ne()) == Some(Ordering::Less)
    };
    // Addresses of two families often have no order, so that no other algorithm has the same result
    // as the original.
    for end in 1..all.len() {
        let mut place = end;
        while place > 0 && is_less(&all[place], &all[place - 1]) {
            all.swap(place, place - 1);
            place -= 1;
        }
    }
    Ok(all)
}

fn compare(property: &str, a: &Address, b: &Address, known: &Known) -> Ordering {
    let is_default = |one: &Address| Some(&one.interface.name) == known.default.as_ref();
    let same_family = a.block.is_v6 == b.block.is_v6;
    match property {
        "address" if same_family => a.block.address.cmp(&b.block.address),
        "size" if same_family => a.block.prefix.cmp(&b.block.prefix),
        "default" => is_default(b).cmp(&is_default(a)),
        "name" => a.interface.name.cmp(&b.interface.name),
        "private" if same_family => b.is_private().cmp(&a.is_private()),
        // As in the original, the order of two families is seen from one side only.
        "private" if a.block.is_v6 => Ordering::Less,
        "type" => a.block.is_v6.cmp(&b.block.is_v6),
        _ => Ordering::Equal,
    }
}
