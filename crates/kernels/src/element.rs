//! The types in which activations are stored: f32, or bf16, which takes half the memory.

use half::bf16;

use crate::bf16 as convert;
use crate::isa::compiled;

/// A stored value. Sums and statistics of such values are f32 or wider.
pub trait Element: Copy + Default + Send + Sync + sealed::Sealed + 'static {
    /// Returns the value as f32, exactly.
    fn widened(self) -> f32;

    /// Rounds `single` to the nearest value. If two values are equally near, the even value is
    /// chosen.
    fn rounded(single: f32) -> Self;

    /// Returns the slice, if its values are f32.
    fn as_f32_mut(values: &mut [Self]) -> Option<&mut [f32]>;

    /// Returns the slice, if its values are bf16.
    fn as_bf16(values: &[Self]) -> Option<&[bf16]>;

    /// Returns the slice, if its values are bf16.
    fn as_bf16_mut(values: &mut [Self]) -> Option<&mut [bf16]>;

    /// Returns a slice of bf16 as a slice of this type, if this type is bf16.
    fn from_bf16(values: &[bf16]) -> Option<&[Self]>;

    /// Returns a slice of bf16 as a slice of this type, if this type is bf16.
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
        to.iter_mut().zip(from).for_each(|(to, from)| *to = convert::round(*from));
    }
}

mod sealed {
    #![allow(private_bounds, reason = "nobody else can name the trait")]

    use half::bf16;

    use crate::isa::Vector;

    /// The part of [`Element`](super::Element) that only this crate can see.
    pub trait Sealed: Sized {
        /// Loads the values of two registers.
        ///
        /// # Safety
        ///
        /// - The caller must run this only on a machine that has the instruction set of `V`.
        /// - The caller must guarantee that the values of two registers can be read at `from`.
        unsafe fn load<V: Vector>(from: *const Self) -> [V; 2];

        /// Stores two registers. Each value is rounded to the nearest. In bf16, values below the
        /// smallest normal number may become zero.
        ///
        /// # Safety
        ///
        /// - The caller must run this only on a machine that has the instruction set of `V`.
        /// - The caller must guarantee that the values of two registers can be written at `to`.
        unsafe fn store<V: Vector>(values: [V; 2], to: *mut Self);
    }

    impl Sealed for f32 {
        #[inline(always)]
        unsafe fn load<V: Vector>(from: *const Self) -> [V; 2] {
            // SAFETY: the caller guarantees the instruction set and the values of two registers.
            unsafe { [V::load(from), V::load(from.add(V::LANES))] }
        }

        #[inline(always)]
        unsafe fn store<V: Vector>([low, high]: [V; 2], to: *mut Self) {
            // SAFETY: the caller guarantees the instruction set and the values of two registers.
            unsafe {
                low.store(to);
                high.store(to.add(V::LANES));
            }
        }
    }

    impl Sealed for bf16 {
        #[inline(always)]
        unsafe fn load<V: Vector>(from: *const Self) -> [V; 2] {
            // SAFETY: the caller guarantees the instruction set and the values of two registers.
            unsafe { V::widen(from) }
        }

        #[inline(always)]
        unsafe fn store<V: Vector>(values: [V; 2], to: *mut Self) {
            // SAFETY: the caller guarantees the instruction set and the values of two registers.
            unsafe { V::narrow(values, to) }
        }
    }
}

impl Element for f32 {
    #[inline(always)]
    fn widened(self) -> f32 {
        self
    }

    #[inline(always)]
    fn rounded(single: f32) -> Self {
        single
    }

    fn as_f32_mut(values: &mut [Self]) -> Option<&mut [f32]> {
        Some(values)
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
    fn widened(self) -> f32 {
        convert::widen(self)
    }

    #[inline(always)]
    fn rounded(single: f32) -> Self {
        convert::round(single)
    }

    fn as_f32_mut(_: &mut [Self]) -> Option<&mut [f32]> {
        None
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
