//! The capacity that Go gives to a list that was built by appending.
//!
//! Templates can see it: `slice` reaches beyond the end of a list up to its capacity. The rules are
//! those of Go 1.27 on 64-bit machines.

/// The sizes in bytes of the small blocks of Go's allocator.
const BLOCKS: [usize; 66] = [
    8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352,
    384, 416, 448, 480, 512, 576, 640, 704, 768, 896, 1024, 1152, 1280, 1408, 1536, 1792, 2048,
    2304, 2688, 3072, 3200, 3456, 4096, 4864, 5376, 6144, 6528, 6784, 6912, 8192, 9472, 9728,
    10240, 10880, 12288, 13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264,
    28672,
    // 32768 is the largest one. Above it, Go allocates whole pages.
];

const LARGEST_BLOCK: usize = 32_768;
const PAGE: usize = 8_192;

/// The bytes that a list has at first, on Go's stack.
const FIRST: usize = 32;

/// From this number of elements on, a list grows by less than its own size.
const GENTLE: usize = 256;

/// The element type of a list, as far as its size matters.
#[derive(Clone, Copy, Debug)]
pub(super) enum Element {
    /// `int`.
    Int,
    /// `string` or `interface {}`: two words, one of them a pointer.
    TwoWords,
    /// `memkv.KVPair`: two strings.
    Pair,
}

impl Element {
    fn size(self) -> usize {
        match self {
            Element::Int => 8,
            Element::TwoWords => 16,
            Element::Pair => 32,
        }
    }

    /// Whether the elements have pointers. A larger block of those has a header for the garbage
    /// collector.
    fn has_pointers(self) -> bool {
        !matches!(self, Element::Int)
    }
}

/// The capacity of a list after appending `length` elements one by one.
pub(super) fn appended(length: usize, element: Element) -> usize {
    let mut capacity = FIRST / element.size();
    if length <= capacity {
        // Go copies a list that never left the stack into exactly the room that it needs.
        return length;
    }
    while capacity < length {
        let wanted = if capacity < GENTLE {
            capacity.saturating_mul(2)
        } else {
            capacity.saturating_add(capacity.saturating_add(3 * GENTLE) / 4)
        };
        capacity = block(wanted.saturating_mul(element.size()), element) / element.size();
    }
    capacity
}

/// The size of the block that Go allocates for `size` bytes.
fn block(size: usize, element: Element) -> usize {
    let header = if element.has_pointers() && size > 512 { 8 } else { 0 };
    let size = size.saturating_add(header);
    if size > LARGEST_BLOCK {
        return (size - header).div_ceil(PAGE).saturating_mul(PAGE);
    }
    BLOCKS.into_iter().find(|&block| block >= size).unwrap_or(LARGEST_BLOCK) - header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For each change of the capacity, the length at which it happens, and the new capacity.
    fn steps(element: Element, up_to: usize) -> Vec<(usize, usize)> {
        let mut steps: Vec<(usize, usize)> = Vec::new();
        for length in 0..up_to {
            let capacity = appended(length, element);
            if steps.last().is_none_or(|&(_, last)| last != capacity) {
                steps.push((length, capacity));
            }
        }
        steps
    }

    #[test]
    fn lists_grow_as_in_go() {
        let ints = "0:0 1:1 2:2 3:3 4:4 5:8 9:16 17:32 33:64 65:128 129:256 257:512 513:848 \
            849:1280 1281:1792 1793:2560 2561:3408";
        let strings = "0:0 1:1 2:2 3:4 5:8 9:16 17:32 33:71 72:143 144:303 304:591 592:1023 \
            1024:1535 1536:2560 2561:3584";
        let pairs = "0:0 1:1 2:2 3:4 5:8 9:16 17:35 36:71 72:151 152:303 304:575 576:1023 \
            1024:1536 1537:2304 2305:3072";
        for (element, want) in
            [(Element::Int, ints), (Element::TwoWords, strings), (Element::Pair, pairs)]
        {
            let found: Vec<_> =
                steps(element, 3000).iter().map(|(from, to)| format!("{from}:{to}")).collect();
            assert_eq!(found.join(" "), want, "{element:?}");
        }
    }

    #[test]
    fn huge_lists_have_room_in_whole_pages() {
        assert_eq!(appended(100_000, Element::Int) * 8 % PAGE, 0);
        assert!(appended(10_000_000, Element::Pair) >= 10_000_000);
    }
}
