//! Sets of small numbers, stored as one bit per number in words of 64 bits.

/// Returns the number of words for `n` bits.
pub(crate) fn words(n: usize) -> usize {
    n.div_ceil(64)
}

#[inline(always)]
pub(crate) fn insert(set: &mut [u64], v: usize) {
    set[v / 64] |= 1 << (v % 64);
}

#[inline(always)]
pub(crate) fn remove(set: &mut [u64], v: usize) {
    set[v / 64] &= !(1 << (v % 64));
}

#[inline(always)]
pub(crate) fn contains(set: &[u64], v: usize) -> bool {
    set[v / 64] >> (v % 64) & 1 == 1
}

/// Returns the set {0, …, n − 1}.
pub(crate) fn full(n: usize) -> Vec<u64> {
    let mut set = vec![u64::MAX; words(n)];
    if !n.is_multiple_of(64)
        && let Some(last) = set.last_mut()
    {
        *last = (1 << (n % 64)) - 1;
    }
    set
}

pub(crate) fn count(set: &[u64]) -> usize {
    set.iter().map(|word| word.count_ones() as usize).sum()
}

/// Counts the elements that two sets share.
pub(crate) fn common(a: &[u64], b: &[u64]) -> usize {
    a.iter().zip(b).map(|(a, b)| (a & b).count_ones() as usize).sum()
}

/// Sets target = a ∩ b.
#[inline(always)]
pub(crate) fn intersect(target: &mut [u64], a: &[u64], b: &[u64]) {
    for (target, (a, b)) in target.iter_mut().zip(a.iter().zip(b)) {
        *target = a & b;
    }
}

/// Calls `each` with each element, in ascending order.
#[inline(always)]
pub(crate) fn for_each(set: &[u64], mut each: impl FnMut(usize)) {
    for (index, &word) in set.iter().enumerate() {
        let mut rest = word;
        while rest != 0 {
            each(index * 64 + rest.trailing_zeros() as usize);
            rest &= rest - 1;
        }
    }
}

/// Iterates over the elements in ascending order.
pub(crate) fn iter(set: &[u64]) -> impl Iterator<Item = usize> + '_ {
    set.iter().enumerate().flat_map(|(index, &word)| {
        let mut rest = word;
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                index * 64 + bit
            })
        })
    })
}
