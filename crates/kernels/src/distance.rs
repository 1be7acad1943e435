//! Squared Euclidean distances of bytes, which are exact integers, and of floats.
//!
//! - [`squared`] and [`squared_f32`] measure one pair of vectors.
//! - [`Packed`] multiplies two blocks of byte vectors. [`lower`] turns the products into distances
//!   and keeps the smallest; [`any_within`] asks whether any is small.
//! - [`squared_short`] measures all pairs of two blocks of short float vectors, from which bounds
//!   are computed.

use crate::isa::{Isa, Kernel, Vector, compiled};

mod dense;
mod pairs;
mod panel;
#[cfg(target_arch = "x86_64")]
mod quads;

pub use dense::Packed;
pub use panel::{LONGEST, ROWS};

/// Number of values that are summed in 32 bits at a time. A product of bytes is at most 255² =
/// 65,025, so a signed sum holds 33,025 products. The constant is half of the largest power of two
/// below 33,025, which leaves a margin.
const SAFE: usize = 1 << 14;

compiled! {
    /// Computes ‖a − b‖², exact for every length.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    pub fn squared(isa: Isa, a: &[u8], b: &[u8]) -> u64 {
        assert_eq!(a.len(), b.len(), "vectors of one length");
        let sum = |(a, b): (&[u8], &[u8])| {
            let mut sum = 0_i32;
            for (&a, &b) in a.iter().zip(b) {
                let difference = i32::from(i16::from(a) - i16::from(b));
                sum += difference * difference;
            }
            u64::from(sum.cast_unsigned())
        };
        a.chunks(SAFE).zip(b.chunks(SAFE)).map(sum).sum()
    }
}

compiled! {
    /// Computes ‖a‖², exact for every length.
    pub fn squared_norm(isa: Isa, a: &[u8]) -> u64 {
        let sum = |a: &[u8]| {
            let mut sum = 0_i32;
            for &a in a {
                sum += i32::from(i16::from(a)) * i32::from(i16::from(a));
            }
            u64::from(sum.cast_unsigned())
        };
        a.chunks(SAFE).map(sum).sum()
    }
}

macro_rules! lower {
    ($name:ident, $key:ty, $bits:literal) => {
        compiled! {
            #[doc = "Keeps the nearer vector."]
            ///
            #[doc = concat!("Distances, norms and products count modulo 2^", $bits, ".")]
            ///
            /// The squared distance is `norm` + `norms[i]` − 2 · `products[i]`, and must be below
            /// the modulus. If it is less than `least[i]`, it is stored in `least[i]`, and `mark`
            /// is stored in `which[i]`.
            ///
            /// # Panics
            ///
            /// If the lengths differ.
            pub fn $name(
                isa: Isa,
                norm: $key,
                norms: &[$key],
                products: &[$key],
                mark: u32,
                least: &mut [$key],
                which: &mut [u32],
            ) {
                let count = norms.len();
                let lens = [products.len(), least.len(), which.len()];
                assert!(lens == [count; 3], "as many of each");
                let distances = norms.iter().zip(products);
                let nearest = least.iter_mut().zip(which);
                for ((&norms, &product), (least, which)) in distances.zip(nearest) {
                    let distance = norm.wrapping_add(norms).wrapping_sub(product.wrapping_mul(2));
                    let nearer = distance < *least;
                    *least = if nearer { distance } else { *least };
                    *which = if nearer { mark } else { *which };
                }
            }
        }
    };
}

lower!(lower, u32, 32);
lower!(lower_wide, u64, 64);

compiled! {
    /// Returns whether a vector lies within its limit.
    ///
    /// The squared distance is `norm` + `norms[i]` − 2 · `products[i]`, and must be below 2³². Its
    /// limit is the smaller of `limit` and `limits[i]`.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    pub fn any_within(
        isa: Isa,
        norm: u32,
        norms: &[u32],
        products: &[u32],
        limit: u32,
        limits: &[u32],
    ) -> bool {
        let lens = [products.len(), limits.len()];
        assert!(lens == [norms.len(); 2], "as many of each");
        let mut any = false;
        for ((&norms, &product), &own) in norms.iter().zip(products).zip(limits) {
            let distance = norm.wrapping_add(norms).wrapping_sub(product.wrapping_mul(2));
            any |= distance <= if limit < own { limit } else { own };
        }
        any
    }
}

compiled! {
    /// Computes weighted sums of rows of `row` values. Row f of `to` becomes the sum over y of
    /// `weights[f * rows + y]` times row y of `from`. Each sum adds the rows in order, and rounds
    /// products before it adds them.
    ///
    /// # Panics
    ///
    /// If `from` or `to` is not a whole number of rows, or `weights` does not have one weight for
    /// each pair of a row of `from` and a row of `to`.
    pub fn weighted_rows(isa: Isa, from: &[u8], row: usize, weights: &[f64], to: &mut [f64]) {
        let whole_rows = from.len().is_multiple_of(row) && to.len().is_multiple_of(row);
        assert!(row > 0 && whole_rows, "whole rows");
        let rows = from.len() / row;
        assert_eq!(weights.len(), rows * (to.len() / row), "a weight for each row of either");
        to.fill(0.0);
        for (y, from) in from.chunks_exact(row).enumerate() {
            for (f, to) in to.chunks_exact_mut(row).enumerate() {
                let weight = weights[f * rows + y];
                for (to, &from) in to.iter_mut().zip(from) {
                    *to += weight * f64::from(from);
                }
            }
        }
    }
}

/// Computes ‖a − b‖² in f32. Each lane of four registers sums a share of the values, so rounding
/// depends on the instruction set.
///
/// With n values and u = 2⁻²⁴, the relative error is at most (n + 8)·u / (1 − (n + 8)·u), because
/// every summand is non-negative. For large n, the error is far less, because each lane sums only a
/// share.
///
/// # Panics
///
/// If the lengths differ.
pub fn squared_f32(isa: Isa, a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one length");
    isa.run(Single { a, b })
}

struct Single<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Kernel for Single<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<V: Vector>(self) -> f32 {
        let Self { a, b } = self;
        // SAFETY: `run` is called with the instruction set. Every load reads V::LANES values of a
        // slice, and the array holds the lanes, of which there are at most sixteen.
        unsafe {
            let minus = [-1.0];
            let minus = V::splat(minus.as_ptr());
            let mut sums = [V::zero(); 4];
            let blocks = a.len() / (4 * V::LANES) * (4 * V::LANES);
            for start in (0..blocks).step_by(4 * V::LANES) {
                for (register, sum) in sums.iter_mut().enumerate() {
                    let at = start + register * V::LANES;
                    let difference =
                        V::load(b.as_ptr().add(at)).mul_add(minus, V::load(a.as_ptr().add(at)));
                    *sum = difference.mul_add(difference, *sum);
                }
            }
            let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
            let mut lanes = [0.0; 16];
            sum.store(lanes.as_mut_ptr());
            let mut total: f32 = lanes[..V::LANES].iter().sum();
            for (a, b) in a[blocks..].iter().zip(&b[blocks..]) {
                total = V::multiply_add(a - b, a - b, total);
            }
            total
        }
    }
}

/// The number of columns of [`squared_short`] is a multiple of this number.
pub const SHORT_COLUMNS: usize = 16;

/// Computes the squared distances of short float vectors: `out[r * columns + c]` is ‖from_r −
/// to_c‖² in f32.
///
/// Row r of `from` is a vector of `dim` values. Column c of `to` is a vector, so `to` has `dim`
/// rows of `columns` values. A sum adds its `dim` summands in order, and has the relative error of
/// [`squared_f32`].
///
/// # Panics
///
/// If `columns` is not a multiple of [`SHORT_COLUMNS`], or a length does not fit the others.
pub fn squared_short(
    isa: Isa,
    from: &[f32],
    to: &[f32],
    dim: usize,
    columns: usize,
    out: &mut [f32],
) {
    assert!(
        columns.is_multiple_of(SHORT_COLUMNS) && dim > 0 && from.len().is_multiple_of(dim),
        "whole vectors"
    );
    assert_eq!(to.len(), dim * columns, "a column a vector");
    assert_eq!(out.len(), from.len() / dim * columns, "a value a pair");
    isa.run(Short { from, to, dim, columns, out });
}

struct Short<'a> {
    from: &'a [f32],
    to: &'a [f32],
    dim: usize,
    columns: usize,
    out: &'a mut [f32],
}

impl Kernel for Short<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { from, to, dim, columns, out } = self;
        let rows = from.len() / dim;
        for first in (0..rows).step_by(4) {
            for column in (0..columns).step_by(V::LANES) {
                // SAFETY: `run` is called with the instruction set. Rows are clamped to the last
                // one. `columns` is a multiple of the lanes, so a load or store at `column` stays
                // in its row.
                unsafe {
                    let row = |r: usize| (first + r).min(rows - 1);
                    let mut sums = [V::zero(); 4];
                    for i in 0..dim {
                        let to = V::load(to.as_ptr().add(i * columns + column));
                        for (r, sum) in sums.iter_mut().enumerate() {
                            let negative = -*from.as_ptr().add(row(r) * dim + i);
                            let difference = to.add(V::splat(&negative));
                            *sum = difference.mul_add(difference, *sum);
                        }
                    }
                    for (r, sum) in sums.iter().enumerate() {
                        sum.store(out.as_mut_ptr().add(row(r) * columns + column));
                    }
                }
            }
        }
    }
}
