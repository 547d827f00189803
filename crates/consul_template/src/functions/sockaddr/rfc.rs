//! Blocks of addresses that RFCs reserve.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::address::Block;

/// The number that stands for the blocks whose packets routers do not pass on.
const KEPT: u32 = u32::MAX;

/// Each RFC and its blocks.
const RFCS: &[(u32, &str)] = &[
    (919, "255.255.255.255/32"),
    (1112, "224.0.0.0/4"),
    (1122, "0.0.0.0/8 127.0.0.0/8"),
    (1918, "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16"),
    (2544, "198.18.0.0/15"),
    (2765, "::ffff:0:0/96"),
    (2928, "2001::/16"),
    (3056, "2002::/16"),
    (3068, "192.88.99.0/24 2002:c058:6301::/120"),
    (3171, "224.0.0.0/4"),
    (
        3330,
        "0.0.0.0/8 10.0.0.0/8 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.2.0/24 \
         192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 224.0.0.0/4 240.0.0.0/4",
    ),
    (3849, "2001:db8::/32"),
    (3927, "169.254.0.0/16"),
    (4038, "::ffff:0:0/96"),
    (4193, "fc00::/7"),
    (4291, "::/128 ::1/128 ::/96 ::ffff:0:0/96 fe80::/10 fec0::/10 ff00::/8"),
    (4380, "2001::/32"),
    (4773, "2001::/23"),
    (4843, "2001:10::/28"),
    (5180, "2001:200::/48"),
    (5735, "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 198.18.0.0/15"),
    (5737, "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24"),
    (6052, "64:ff9b::/96"),
    (6333, "192.0.0.0/29"),
    (6598, "100.64.0.0/10"),
    (6666, "100::/64"),
    (
        6890,
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 \
         192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 \
         240.0.0.0/4 255.255.255.255/32 ::1/128 ::/128 64:ff9b::/96 ::ffff:0:0/96 100::/64 2001::/16 \
         2002::/16 fc00::/7 fe80::/10",
    ),
    (7335, "192.0.0.0/29"),
    (
        KEPT,
        "0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 198.51.100.0/24 \
         203.0.113.0/24 240.0.0.0/4 255.255.255.255/32 ::1/128 ::/128 ::ffff:0:0/96 2001:db8::/32 \
         2001:10::/28 fe80::/10",
    ),
];

fn blocks(number: u32) -> Option<&'static [Block]> {
    static BLOCKS: OnceLock<BTreeMap<u32, Vec<Block>>> = OnceLock::new();
    let all = BLOCKS.get_or_init(|| {
        let parse = |texts: &str| texts.split_whitespace().filter_map(Block::parse).collect();
        RFCS.iter().map(|(number, texts)| (*number, parse(texts))).collect()
    });
    all.get(&number).map(Vec::as_slice)
}

/// Whether the blocks of an RFC are known.
pub(super) fn is_known(number: u32) -> bool {
    blocks(number).is_some()
}

/// Whether a block of an RFC contains an address. `None` if the RFC is not known.
pub(super) fn contains(number: u32, address: &Block) -> Option<bool> {
    Some(blocks(number)?.iter().any(|block| block.contains(address)))
}

/// Whether routers do not pass on packets with this address.
pub(super) fn is_kept(address: &Block) -> bool {
    contains(KEPT, address) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_one() {
        for (number, texts) in RFCS {
            let count = texts.split_whitespace().count();
            assert_eq!(blocks(*number).unwrap().len(), count, "RFC {number}");
        }
    }
}
