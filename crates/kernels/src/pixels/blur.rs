//! Blurs, which are filters across rows and along rows.

use crate::isa::{Isa, Kernel, Vector, Words, compiled};

compiled! {
    /// Averages rows with the weights `[full, edge]`, in units of 2^-24. A byte of `to` is a
    /// weighted sum of bytes of `from` in the same column, rounded to the nearest. The bytes up to
    /// `radius` rows above and below have the weight `full`, and the bytes one row further have the
    /// weight `edge`. Beyond the edges, the first and the last row repeat. `sums` is memory for
    /// intermediate results.
    ///
    /// # Panics
    ///
    /// If the lengths of `from` and `to` differ, are zero or are not a multiple of `row`, if the
    /// weights add up to more than one, or if the radius is above a million.
    pub fn box_rows(
        isa: Isa,
        from: &[u8],
        row: usize,
        radius: usize,
        weights: [u32; 2],
        to: &mut [u8],
        sums: &mut Vec<u32>,
    ) {
        let [full, edge] = weights;
        assert!(from.len() == to.len() && !from.is_empty(), "as many bytes as are read");
        assert!(row > 0 && from.len().is_multiple_of(row), "whole rows");
        let weight = (2 * radius as u64 + 1) * u64::from(full) + 2 * u64::from(edge);
        assert!(weight <= 1 << 24 && radius < 1 << 20, "an average of at most two million rows");
        let last = from.len() / row - 1;
        let nth_row = |y: usize| &from[y.min(last) * row..][..row];
        if radius == 0 {
            for (y, to) in to.chunks_exact_mut(row).enumerate() {
                let (above, middle, below) =
                    (nth_row(y.saturating_sub(1)), nth_row(y), nth_row(y + 1));
                for x in 0..row {
                    let edges = u32::from(above[x]) + u32::from(below[x]);
                    to[x] = ((u32::from(middle[x]) * full + edges * edge + (1 << 23)) >> 24) as u8;
                }
            }
            return;
        }
        // Compute the sums of the first window. The first row stands for the rows above it, and the
        // last row for the rows below it.
        sums.clear();
        sums.extend(nth_row(0).iter().map(|&first| (radius as u32 + 1) * u32::from(first)));
        for y in 1..=radius.min(last) {
            for (sum, &value) in sums.iter_mut().zip(nth_row(y)) {
                *sum += u32::from(value);
            }
        }
        // Add the rows below the last row.
        for (sum, &value) in sums.iter_mut().zip(nth_row(last)) {
            *sum += radius.saturating_sub(last) as u32 * u32::from(value);
        }
        let sums = &mut sums[..row];
        for (y, to) in to.chunks_exact_mut(row).enumerate() {
            let above = nth_row(y.saturating_sub(radius + 1));
            let leaving = nth_row(y.saturating_sub(radius));
            let below = nth_row(y + radius + 1);
            for x in 0..row {
                let edges = u32::from(above[x]) + u32::from(below[x]);
                to[x] = ((sums[x] * full + edges * edge + (1 << 23)) >> 24) as u8;
                sums[x] = sums[x] + u32::from(below[x]) - u32::from(leaving[x]);
            }
        }
    }
}

/// Number of fractional bits of a level between the two directions of [`convolve`].
const FRACTION: u32 = 7;

/// Number of registers of sums that are computed at a time.
const REGISTERS: usize = 4;

/// Convolves a plane with a symmetric kernel across its rows and along them, in 16-bit fixed point.
/// Beyond an edge the plane is mirrored, without repeating its outermost bytes.
///
/// `kernel` has the weight of the middle, followed by the weights of the pixels at distances one,
/// two, … on either side, in units of 2^-16. `memory` is for intermediate results.
///
/// Truncation takes less than 2^-7 of a level from each product, and half of that is added in
/// advance. With n weights, a sum is therefore off by at most (n + 1) / 128 levels before it is
/// rounded. With up to 62 weights that add up to one, uniform areas do not change.
///
/// # Panics
///
/// If the plane is empty or not a whole number of rows of `row` bytes, if `kernel` has no weight or
/// more than 128 weights, or if the weights add up to more than one, where all weights but the
/// first count twice.
pub fn convolve(isa: Isa, plane: &mut [u8], row: usize, kernel: &[u16], memory: &mut Vec<u16>) {
    assert!(!plane.is_empty() && row > 0 && plane.len().is_multiple_of(row), "whole rows");
    let [middle, ref sides @ ..] = *kernel else { panic!("a kernel has a middle") };
    let sum = u64::from(middle) + 2 * sides.iter().map(|&weight| u64::from(weight)).sum::<u64>();
    assert!(sum <= 1 << 16 && kernel.len() <= 128, "an average of at most 255 pixels");
    isa.run(Convolution { plane, row, kernel, memory });
}

struct Convolution<'a> {
    plane: &'a mut [u8],
    row: usize,
    kernel: &'a [u16],
    memory: &'a mut Vec<u16>,
}

impl Kernel for Convolution<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { plane, row, kernel, memory } = self;
        let rows = plane.len() / row;
        let reach = kernel.len() - 1;
        // The memory has room for all rows, padded to whole blocks, with the mirrored rows above
        // and below. It also has room for one line, with the mirrored pixels beyond the line's
        // ends.
        let wide = row.next_multiple_of(REGISTERS * V::Words::LANES);
        let tall = (rows + 2 * reach) * wide;
        let needed = tall + wide + 2 * reach;
        if memory.len() < needed {
            memory.resize(needed, 0);
        }
        let (tall, line) = memory[..needed].split_at_mut(tall);
        for (y, to) in tall.chunks_exact_mut(wide).enumerate() {
            let from = &plane[mirrored(y as isize - reach as isize, rows) * row..][..row];
            for (to, &byte) in to.iter_mut().zip(from) {
                *to = u16::from(byte) << FRACTION;
            }
        }
        for (y, to) in plane.chunks_exact_mut(row).enumerate() {
            weigh::<V::Words>(&tall[y * wide..], wide, kernel, &mut line[reach..][..wide]);
            for beyond in 0..reach {
                line[beyond] = line[reach + mirrored(beyond as isize - reach as isize, row)];
                line[reach + row + beyond] = line[reach + mirrored((row + beyond) as isize, row)];
            }
            // The first of these rows is no longer needed, so its place takes the sums.
            let sums = &mut tall[y * wide..][..wide];
            weigh::<V::Words>(line, 1, kernel, sums);
            for (byte, &sum) in to.iter_mut().zip(&*sums) {
                *byte = ((sum + (1 << (FRACTION - 1))) >> FRACTION).min(255) as u8;
            }
        }
    }
}

/// Sets value i of `to` to the weighted sum of the values of `from` at i, i + `stride`, …, as many
/// as the symmetric `kernel` covers. Two values that share a weight are added before they are
/// multiplied, because the sum of two levels fits 16 bits.
#[inline(always)]
fn weigh<W: Words>(from: &[u16], stride: usize, kernel: &[u16], to: &mut [u16]) {
    let block = REGISTERS * W::LANES;
    let reach = kernel.len() - 1;
    let needed = (2 * reach).checked_mul(stride).and_then(|start| start.checked_add(to.len()));
    assert!(
        to.len().is_multiple_of(block) && needed.is_some_and(|needed| needed <= from.len()),
        "whole blocks"
    );
    for start in (0..to.len()).step_by(block) {
        // SAFETY: a kernel's `run` is called with the instruction set. The assertion guarantees
        // that `to` has every block, and that `from` has every block shifted by up to twice the
        // reach.
        unsafe {
            let middle = from.as_ptr().add(start + reach * stride);
            let weight = W::splat(kernel[0]);
            let half = W::splat(kernel.len() as u16 / 2);
            let mut sums = [half; REGISTERS];
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = sum.add(W::load(middle.add(r * W::LANES)).high_product(weight));
            }
            for (away, &weight) in kernel.iter().enumerate().skip(1) {
                let weight = W::splat(weight);
                let (before, after) = (middle.sub(away * stride), middle.add(away * stride));
                for (r, sum) in sums.iter_mut().enumerate() {
                    let pair =
                        W::load(before.add(r * W::LANES)).add(W::load(after.add(r * W::LANES)));
                    *sum = sum.add(pair.high_product(weight));
                }
            }
            for (r, sum) in sums.into_iter().enumerate() {
                sum.store(to.as_mut_ptr().add(start + r * W::LANES));
            }
        }
    }
}

/// Mirrors `index` at the first and the last index until it is in 0..length.
#[inline(always)]
fn mirrored(index: isize, length: usize) -> usize {
    let last = length as isize - 1;
    // Mirroring once at each end is enough for all but tiny planes, and much faster than dividing.
    let once = if index < 0 { -index } else { index };
    let once = if once > last { 2 * last - once } else { once };
    if (0..=last).contains(&once) {
        return once as usize;
    }
    if last == 0 {
        return 0;
    }
    let within = index.rem_euclid(2 * last);
    within.min(2 * last - within) as usize
}
