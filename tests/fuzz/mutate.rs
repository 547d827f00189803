//! Changes of inputs, which are the same for the same seed.

/// Bytes with a meaning in the language of a target.
const TELLING: &[u8] =
    b"{}[]()<>|\"'`\\/*?^-+=:;,.$#&!%@~ \t\r\n\0\x1b\x7f\x80\xc3\xff0179aeinxEX_";

/// Makes new inputs from known ones.
pub(super) struct Mutator<'s> {
    seeds: &'s [Vec<u8>],
    state: u64,
}

impl<'s> Mutator<'s> {
    /// Starts with `seed`. `seeds` must not be empty.
    pub(super) fn new(seed: u64, seeds: &'s [Vec<u8>]) -> Self {
        Self { seeds, state: seed }
    }

    /// The next input, of at most `longest` bytes.
    pub(super) fn next(&mut self, longest: usize) -> Vec<u8> {
        let mut input = self.seed().to_vec();
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        input.truncate(longest);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let length = self.below(16).min(input.len() - at);
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.telling(),
            2 => drop(input.drain(at..at + length)),
            3 => input.truncate(at),
            4 => {
                let repeated: Vec<u8> = input[at..at + length].to_vec();
                for _ in 0..=self.below(8) {
                    input.splice(at..at, repeated.iter().copied());
                }
            }
            5 | 6 => {
                let other = self.seed();
                let start = self.below(other.len() + 1);
                let end = start + self.below(24).min(other.len() - start);
                input.splice(at..at + length, other[start..end].iter().copied());
            }
            _ => input.insert(at, self.telling()),
        }
    }

    fn seed(&mut self) -> &'s [u8] {
        let seeds = self.seeds;
        &seeds[self.below(seeds.len())]
    }

    fn telling(&mut self) -> u8 {
        TELLING[self.below(TELLING.len())]
    }

    /// A random number below `end`, which must not be 0.
    fn below(&mut self, end: usize) -> usize {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}
