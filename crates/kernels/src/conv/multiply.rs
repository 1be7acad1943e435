//! Products of bf16 by the instruction set that multiplies them.

use super::amx::Amx;
use super::dot::Dot;
use super::product::{self, Finish, OuterProduct, Product};
use crate::isa::{Isa, Set};

/// Multiplies rows with columns, and hands the sums to `finish`.
///
/// # Panics
///
/// If a strip, a segment or the columns reach beyond their slices, or if the instruction set does
/// not [multiply bf16](Isa::multiplies_bf16).
pub(super) fn product(isa: Isa, product: &Product<'_>, finish: &mut Finish<'_>) {
    match isa.0 {
        // SAFETY: a value of this set exists only on a machine that has the set.
        Set::Amx => unsafe { product::product::<Amx>(product, finish) },
        // SAFETY: as above.
        Set::Avx512Bf16 => unsafe { product::product::<Dot>(product, finish) },
        _ => unreachable!("{isa} does not multiply bf16"),
    }
}

/// Adds the products to the sums, or starts the sums from the products.
///
/// # Panics
///
/// If steps, segments or channels reach beyond their slices, or if the instruction set does not
/// [multiply bf16](Isa::multiplies_bf16).
pub(super) fn outer_product(isa: Isa, product: OuterProduct<'_>) {
    match isa.0 {
        // SAFETY: a value of this set exists only on a machine that has the set.
        Set::Amx => unsafe { product::outer_product::<Amx>(product) },
        // SAFETY: as above.
        Set::Avx512Bf16 => unsafe { product::outer_product::<Dot>(product) },
        _ => unreachable!("{isa} does not multiply bf16"),
    }
}
