//! Weighted sums of rows.

use crate::isa::compiled;

/// Number of fractional bits of a weight. Sums stay within 32 bits if the weights of a window add
/// up to one, and if its negative weights add up to at most a quarter of that.
pub const BITS: u32 = 22;

/// Maximum number of rows that are added in registers. If a window has more rows, they are added in
/// memory, this number at a time.
const REGISTER_ROWS: usize = 8;

/// The rows from which a row of the result is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Index of the first row.
    pub start: usize,
    /// Number of rows, which is at least one. The window has the same number of weights. They
    /// follow the weights of the windows before it.
    pub count: usize,
}

compiled! {
    /// Writes a row of `row` bytes to `to` for each window of the filter. A byte is the weighted
    /// sum of the window's rows of `from` in the same column, rounded to the nearest level and
    /// clamped to 0 and 255. The filter consists of the windows and of the weights of all windows,
    /// in units of 2^-BITS. Rows of `from` are `stride` bytes apart. `sums` is memory for
    /// intermediate results.
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
            let (window_weights, rest) = weights.split_at(window.count);
            weights = rest;
            let from = &from[window.start * stride..];
            match *window_weights {
                [] => panic!("a window has a row"),
                [a] => weigh_few(from, stride, [a], to),
                [a, b] => weigh_few(from, stride, [a, b], to),
                [a, b, c] => weigh_few(from, stride, [a, b, c], to),
                [a, b, c, d] => weigh_few(from, stride, [a, b, c, d], to),
                [a, b, c, d, e] => weigh_few(from, stride, [a, b, c, d, e], to),
                [a, b, c, d, e, f] => weigh_few(from, stride, [a, b, c, d, e, f], to),
                [a, b, c, d, e, f, g] => weigh_few(from, stride, [a, b, c, d, e, f, g], to),
                [a, b, c, d, e, f, g, h] => weigh_few(from, stride, [a, b, c, d, e, f, g, h], to),
                _ => weigh_many(from, stride, window_weights, to, sums),
            }
        }
    }
}

#[inline(always)]
fn level(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

#[inline(always)]
fn weigh_few<const N: usize>(from: &[u8], stride: usize, weights: [i32; N], to: &mut [u8]) {
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
fn weigh_many(from: &[u8], stride: usize, weights: &[i32], to: &mut [u8], sums: &mut Vec<i32>) {
    sums.clear();
    sums.resize(to.len(), 1 << (BITS - 1));
    for (first, weights) in weights.chunks(REGISTER_ROWS).enumerate() {
        let from = &from[first * REGISTER_ROWS * stride..];
        // If the last chunk has fewer rows, the missing rows have a weight of zero.
        let mut rows = [&from[..to.len()]; REGISTER_ROWS];
        let mut factors = [0; REGISTER_ROWS];
        for (i, &weight) in weights.iter().enumerate() {
            rows[i] = &from[i * stride..][..to.len()];
            factors[i] = weight;
        }
        for (x, sum) in sums.iter_mut().enumerate() {
            let mut subtotal = 0;
            for i in 0..REGISTER_ROWS {
                subtotal += factors[i] * i32::from(rows[i][x]);
            }
            *sum += subtotal;
        }
    }
    for (to, &sum) in to.iter_mut().zip(sums.iter()) {
        *to = level(sum);
    }
}
