//! The slots of a cluster: which keys are stored together.

/// The number of slots.
pub(crate) const SLOTS: u16 = 1 << 14;

/// The slot of a key: a checksum (CRC-16/XMODEM) of what is between the first `{` and the next `}`,
/// or of the whole key if there is nothing.
pub(crate) fn of(key: &[u8]) -> u16 {
    let tag = || {
        let start = key.iter().position(|byte| *byte == b'{')? + 1;
        let length = key[start..].iter().position(|byte| *byte == b'}')?;
        (length > 0).then(|| &key[start..start + length])
    };
    checksum(tag().unwrap_or(key)) % SLOTS
}

fn checksum(bytes: &[u8]) -> u16 {
    let shifted = |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ (u16::from(*byte) << 8), shifted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // The answers of CLUSTER KEYSLOT.
        for (key, slot) in [
            ("123456789", 12739),
            ("foo", 12182),
            ("bar", 5061),
            ("{foo}bar", 12182),
            ("x{foo}{bar}", 12182),
            ("", 0),
        ] {
            assert_eq!(of(key.as_bytes()), slot, "{key}");
        }
        assert_eq!(of(b"{}foo"), checksum(b"{}foo") % SLOTS);
    }
}
