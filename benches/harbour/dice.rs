//! Chance that repeats.

/// Marsaglia's xorshift: chance enough for picking who is disturbed next.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    /// One of so many, from 0 on.
    #[expect(clippy::cast_possible_truncation, reason = "less than `of`")]
    pub(crate) const fn roll(&mut self, of: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % of as u64) as usize
    }
}
