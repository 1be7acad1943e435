//! Random numbers for reproducible results. The sequences must never change, and need not be secure
//! against an attacker.

/// SplitMix64 (Steele, Lea and Flood 2014), a sequence of random words that a seed determines.
///
/// ```
/// use selfsame_kernels::random::SplitMix64;
///
/// let mut random = SplitMix64::new(0);
/// assert_eq!(random.word(), 0xe220_a839_7b1d_cdaf);
/// assert!(random.below(10) < 10);
/// ```
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Creates the sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next word.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Returns a number below `n`, with a bias of at most n/2⁶⁴.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.word()) * n as u128) >> 64) as usize
    }
}
