//! What activations are stored as: f32, or bf16, which takes half of the memory.

use half::bf16;

use crate::buffer::Buffer;
use crate::isa::compiled;

/// A stored value; sums and statistics of them are f32 or wider.
pub trait Element: Copy + Default + Send + Sync + sealed::Sealed + 'static {
    /// The value, exactly.
    fn single(self) -> f32;

    /// The nearest value to `single`, the even one of two.
    fn of(single: f32) -> Self;

    /// Lets `write` fill as many f32 as `to` has values, in `to` itself where it can, in `scratch`
    /// where it cannot, and stores them.
    fn through_singles(to: &mut [Self], scratch: &mut Buffer<f32>, write: impl FnOnce(&mut [f32]));

    /// The slice, if its values are bf16.
    fn as_bf16(values: &[Self]) -> Option<&[bf16]>;

    /// The slice, if its values are bf16, to be written.
    fn as_bf16_mut(values: &mut [Self]) -> Option<&mut [bf16]>;

    /// A slice of bf16 as one of this type, if it is that.
    fn from_bf16(values: &[bf16]) -> Option<&[Self]>;

    /// The same, to be written.
    fn from_bf16_mut(values: &mut [bf16]) -> Option<&mut [Self]>;
}

compiled! {
    /// Rounds values to bf16.
    ///
    /// # Panics
    ///
    /// If the slices' lengths differ.
    pub fn narrow(isa: Isa, from: &[f32], to: &mut [bf16]) {
        assert_eq!(from.len(), to.len());
        to.iter_mut().zip(from).for_each(|(to, from)| *to = bf16::of(*from));
    }
}

mod sealed {
    #![allow(private_bounds, reason = "nobody else can name the trait")]

    use half::bf16;

    use crate::isa::Vector;

    /// What is of this crate alone.
    pub trait Sealed: Sized {
        /// The values of two registers.
        ///
        /// # Safety
        ///
        /// That of [`Vector`]; as many values are there to be read.
        unsafe fn load<V: Vector>(from: *const Self) -> [V; 2];

        /// Stores two registers, each value the nearest; in bf16 those below the least normal
        /// number may become zero.
        ///
        /// # Safety
        ///
        /// That of [`Vector`]; as many values are there to be written.
        unsafe fn store<V: Vector>(values: [V; 2], to: *mut Self);
    }

    impl Sealed for f32 {
        #[inline(always)]
        unsafe fn load<V: Vector>(from: *const Self) -> [V; 2] {
            // SAFETY: as the caller vouches.
            unsafe { [V::load(from), V::load(from.add(V::LANES))] }
        }

        #[inline(always)]
        unsafe fn store<V: Vector>([low, high]: [V; 2], to: *mut Self) {
            // SAFETY: as the caller vouches.
            unsafe {
                low.store(to);
                high.store(to.add(V::LANES));
            }
        }
    }

    impl Sealed for bf16 {
        #[inline(always)]
        unsafe fn load<V: Vector>(from: *const Self) -> [V; 2] {
            // SAFETY: as the caller vouches.
            unsafe { V::widen(from) }
        }

        #[inline(always)]
        unsafe fn store<V: Vector>(values: [V; 2], to: *mut Self) {
            // SAFETY: as the caller vouches.
            unsafe { V::narrow(values, to) }
        }
    }
}

impl Element for f32 {
    #[inline(always)]
    fn single(self) -> f32 {
        self
    }

    #[inline(always)]
    fn of(single: f32) -> Self {
        single
    }

    fn through_singles(to: &mut [Self], _: &mut Buffer<f32>, write: impl FnOnce(&mut [f32])) {
        write(to);
    }

    fn as_bf16(_: &[Self]) -> Option<&[bf16]> {
        None
    }

    fn as_bf16_mut(_: &mut [Self]) -> Option<&mut [bf16]> {
        None
    }

    fn from_bf16(_: &[bf16]) -> Option<&[Self]> {
        None
    }

    fn from_bf16_mut(_: &mut [bf16]) -> Option<&mut [Self]> {
        None
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn single(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    /// As `bf16::from_f32`, but without a branch, so that the compiler makes vectors of it.
    #[inline(always)]
    fn of(single: f32) -> Self {
        let bits = single.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        let nan = (bits >> 16) | 0x40;
        Self::from_bits(if single.is_nan() { nan } else { rounded } as u16)
    }

    fn through_singles(to: &mut [Self], scratch: &mut Buffer<f32>, write: impl FnOnce(&mut [f32])) {
        let singles = scratch.at_least(to.len());
        write(singles);
        to.iter_mut().zip(singles).for_each(|(to, single)| *to = Self::of(*single));
    }

    fn as_bf16(values: &[Self]) -> Option<&[bf16]> {
        Some(values)
    }

    fn as_bf16_mut(values: &mut [Self]) -> Option<&mut [bf16]> {
        Some(values)
    }

    fn from_bf16(values: &[bf16]) -> Option<&[Self]> {
        Some(values)
    }

    fn from_bf16_mut(values: &mut [bf16]) -> Option<&mut [Self]> {
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_the_library() {
        let special = [
            0.0,
            -0.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            f32::MAX,
            f32::MIN_POSITIVE,
            1e-40,
            -1e-45,
        ];
        let bits = (0..=u32::MAX).step_by(9_973).map(f32::from_bits);
        // Halfway between two values, and next to it.
        let ties = (0x3f80..0x3f90u32)
            .flat_map(|high| [0x7fff, 0x8000, 0x8001].map(|low| f32::from_bits(high << 16 | low)));
        for single in special.into_iter().chain(bits).chain(ties) {
            assert_eq!(
                <bf16 as Element>::of(single).to_bits(),
                bf16::from_f32(single).to_bits(),
                "{single:e}"
            );
        }
        for bits in 0..=u16::MAX {
            let value = bf16::from_bits(bits);
            assert!(value.single().to_bits() == value.to_f32().to_bits() || value.is_nan());
        }
    }
}
