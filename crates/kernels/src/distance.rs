//! Squared Euclidean distances: of bytes, exact in integers, and of floats.
//!
//! [`squared`] and [`squared_f32`] take one pair of vectors, [`Packed`] the products of two blocks
//! of byte vectors, of which [`lower`] keeps the least distances, and [`squared_short`] those of
//! two blocks of short float vectors, from which bounds are made.

use crate::isa::{Isa, Kernel, Vector, compiled};

mod dense;
mod pairs;
#[cfg(target_arch = "x86_64")]
mod quads;

pub use dense::{LONGEST, Packed, ROWS};

/// Values summed in 32 bits at a time. A product of bytes is at most 255² = 65,025, so that a
/// signed sum holds 33,025 of them: half of the power of two below leaves no doubt.
const SAFE: usize = 1 << 14;

compiled! {
    /// ‖a − b‖², exact for every length.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    pub fn squared(isa: Isa, a: &[u8], b: &[u8]) -> u64 {
        assert_eq!(a.len(), b.len(), "vectors of one length");
        let part = |(a, b): (&[u8], &[u8])| {
            let mut sum = 0_i32;
            for (&a, &b) in a.iter().zip(b) {
                let difference = i32::from(i16::from(a) - i16::from(b));
                sum += difference * difference;
            }
            u64::from(sum.cast_unsigned())
        };
        a.chunks(SAFE).zip(b.chunks(SAFE)).map(part).sum()
    }
}

compiled! {
    /// ‖a‖², exact for every length.
    pub fn squared_norm(isa: Isa, a: &[u8]) -> u64 {
        let part = |a: &[u8]| {
            let mut sum = 0_i32;
            for &a in a {
                sum += i32::from(i16::from(a)) * i32::from(i16::from(a));
            }
            u64::from(sum.cast_unsigned())
        };
        a.chunks(SAFE).map(part).sum()
    }
}

macro_rules! lower {
    ($name:ident, $key:ty, $bits:literal) => {
        compiled! {
            #[doc = concat!("Takes what is nearer: where `norm` + `norms[i]` − 2 · `products[i]`, \
                             a squared distance below 2^", $bits, ", is")]
            #[doc = concat!("less than `least[i]`, that becomes it and `which[i]` becomes `mark`. \
                             Norms and products count modulo 2^", $bits, ".")]
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
                assert!([products.len(), least.len(), which.len()] == [count; 3], "as many of \
                    each");
                let distances = norms.iter().zip(products);
                for ((&norms, &product), (least, which)) in distances.zip(least.iter_mut().zip(which)) {
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
    /// Weighted sums of rows: row f of `to` is the sum over y of `weights[f * rows + y]` times row
    /// y of `from`, each of `row` values. Each sum goes over the rows in their order, its products
    /// rounded before they are added.
    ///
    /// # Panics
    ///
    /// If `from` or `to` is no whole number of rows or `weights` is not of their product.
    pub fn weighted_rows(isa: Isa, from: &[u8], row: usize, weights: &[f64], to: &mut [f64]) {
        assert!(row > 0 && from.len().is_multiple_of(row) && to.len().is_multiple_of(row), "whole \
            rows");
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

/// ‖a − b‖² in f32: sums of as many parts as a block of registers has lanes, whose number is the
/// instruction set's.
///
/// With n values and u = 2⁻²⁴ the relative error is at most (n + 8)·u / (1 − (n + 8)·u), as every
/// summand is non-negative; it is far less for large n, where each part sums only a share.
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
        // SAFETY: run from `Isa::run`, so the instruction set is there; every load is of V::LANES
        // values of a slice, and the lanes fit the array, of which there are sixteen at most.
        unsafe {
            let minus = [-1.0];
            let minus = V::splat(minus.as_ptr());
            let mut sums = [V::zero(); 4];
            let whole = a.len() / (4 * V::LANES) * (4 * V::LANES);
            for start in (0..whole).step_by(4 * V::LANES) {
                for (part, sum) in sums.iter_mut().enumerate() {
                    let at = start + part * V::LANES;
                    let difference =
                        V::load(b.as_ptr().add(at)).mul_add(minus, V::load(a.as_ptr().add(at)));
                    *sum = difference.mul_add(difference, *sum);
                }
            }
            let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
            let mut lanes = [0.0; 16];
            sum.store(lanes.as_mut_ptr());
            let mut total: f32 = lanes[..V::LANES].iter().sum();
            for (a, b) in a[whole..].iter().zip(&b[whole..]) {
                total = V::multiply_add(a - b, a - b, total);
            }
            total
        }
    }
}

/// Columns of [`squared_short`] come in multiples of so many.
pub const SHORT_COLUMNS: usize = 16;

/// The squared distances of short float vectors: `out[r * columns + c]` is ‖from_r − to_c‖² in f32.
/// Row r of `from` is one vector, of `dim` values; `to` is transposed: its column c is a vector, so
/// that it has `dim` rows of `columns` values. A sum has `dim` summands, in their order: its
/// relative error is as that of [`squared_f32`].
///
/// # Panics
///
/// If `columns` is no multiple of [`SHORT_COLUMNS`], or a length does not fit the rest.
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
                // SAFETY: run from `Isa::run`, so the instruction set is there. Rows are clamped to
                // the last; `columns` is a multiple of the lanes, so a load or store of column
                // `column` stays in its row.
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
