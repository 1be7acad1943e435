//! Weighted sums of rows.

use crate::isa::compiled;

/// Fractional bits of a weight. Weights that add up to one in 2^-BITS, with negative ones of at
/// most a quarter of that, keep every sum within 32 bits.
pub const BITS: u32 = 22;

/// Rows that are added in registers; more are added in memory.
const MOST: usize = 8;

/// The rows that one row is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first of them.
    pub start: usize,
    /// How many there are, at least one. As many weights are taken, after those of the windows
    /// before.
    pub count: usize,
}

compiled! {
    /// Writes one row of `row` bytes for each window of the filter to `to`, one after the other:
    /// the bytes of its rows of `from`, `stride` bytes apart, each times its weight in units of
    /// 2^-BITS, added, rounded to the nearest level and cut to 0 and 255. The filter is its windows
    /// and the weights of all of them. `sums` is memory for intermediate results.
    ///
    /// # Panics
    ///
    /// If a slice is too short, a window has no row, or `row` is zero.
    pub fn weigh_rows(
        isa: Isa,
        from: &[u8],
        stride: usize,
        row: usize,
        filter: (&[Window], &[i32]),
        to: &mut [u8],
        sums: &mut Vec<i32>,
    ) {
        let (windows, mut weights) = filter;
        let to = to[..windows.len() * row].chunks_exact_mut(row);
        for (window, to) in windows.iter().zip(to) {
            let (own, rest) = weights.split_at(window.count);
            weights = rest;
            let from = &from[window.start * stride..];
            match *own {
                [] => panic!("a window has a row"),
                [a] => few(from, stride, [a], to),
                [a, b] => few(from, stride, [a, b], to),
                [a, b, c] => few(from, stride, [a, b, c], to),
                [a, b, c, d] => few(from, stride, [a, b, c, d], to),
                [a, b, c, d, e] => few(from, stride, [a, b, c, d, e], to),
                [a, b, c, d, e, f] => few(from, stride, [a, b, c, d, e, f], to),
                [a, b, c, d, e, f, g] => few(from, stride, [a, b, c, d, e, f, g], to),
                [a, b, c, d, e, f, g, h] => few(from, stride, [a, b, c, d, e, f, g, h], to),
                _ => many(from, stride, own, to, sums),
            }
        }
    }
}

#[inline(always)]
fn level(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

#[inline(always)]
fn few<const N: usize>(from: &[u8], stride: usize, weights: [i32; N], to: &mut [u8]) {
    let mut rows = [&from[..to.len()]; N];
    for (i, row) in rows.iter_mut().enumerate() {
        *row = &from[i * stride..][..to.len()];
    }
    for (x, to) in to.iter_mut().enumerate() {
        let mut sum = 1 << (BITS - 1);
        for i in 0..N {
            sum += weights[i] * i32::from(rows[i][x]);
        }
        *to = level(sum);
    }
}

#[inline(always)]
fn many(from: &[u8], stride: usize, weights: &[i32], to: &mut [u8], sums: &mut Vec<i32>) {
    sums.clear();
    sums.resize(to.len(), 1 << (BITS - 1));
    for (first, weights) in weights.chunks(MOST).enumerate() {
        let from = &from[first * MOST * stride..];
        // Rows that the last chunk lacks count nothing.
        let mut rows = [&from[..to.len()]; MOST];
        let mut factors = [0; MOST];
        for (i, &weight) in weights.iter().enumerate() {
            rows[i] = &from[i * stride..][..to.len()];
            factors[i] = weight;
        }
        for (x, sum) in sums.iter_mut().enumerate() {
            let mut added = 0;
            for i in 0..MOST {
                added += factors[i] * i32::from(rows[i][x]);
            }
            *sum += added;
        }
    }
    for (to, &sum) in to.iter_mut().zip(sums.iter()) {
        *to = level(sum);
    }
}
