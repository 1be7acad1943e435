//! Gaussian blur as PIL makes it: three extended box blurs along the rows, then three along the
//! columns, in 24-bit fixed point with 8 bits between passes.
//!
//! The extended box is that of Gwosdek, Grewenig, Bruhn and Weickert, "Theoretical foundations of
//! Gaussian convolution by extended box filtering" (SSVM 2011): full weight for the 2l + 1 pixels in
//! the middle and a fraction for the two beyond, so that any variance can be met exactly.

const PASSES: usize = 3;
const ONE: u32 = 1 << 24;

#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch {
    other: Vec<u8>,
    sums: Vec<u32>,
}

/// Blurs a square view by a Gaussian of deviation `sigma` pixels; beyond an edge its pixels repeat.
pub(crate) fn gaussian(view: &mut [u8], size: usize, sigma: f64, scratch: &mut Scratch) {
    let kernel = ExtendedBox::of_gaussian(sigma as f32);
    let Scratch { other, sums } = scratch;
    other.resize(view.len(), 0);
    sums.resize(3 * size, 0);
    // Columns of the transposed view are rows, and whole rows add up at once.
    for _direction in 0..2 {
        transpose(view, other, size);
        kernel.blur_columns(other, view, sums);
        kernel.blur_columns(view, other, sums);
        kernel.blur_columns(other, view, sums);
    }
}

fn transpose(from: &[u8], to: &mut [u8], size: usize) {
    let from = from.as_chunks::<3>().0;
    for (x, row) in to.as_chunks_mut::<3>().0.chunks_exact_mut(size).enumerate() {
        for (y, pixel) in row.iter_mut().enumerate() {
            *pixel = from[y * size + x];
        }
    }
}

struct ExtendedBox {
    /// Pixels of full weight on each side of the middle one.
    radius: usize,
    /// Weight of each full pixel, in 2⁻²⁴.
    full: u32,
    /// Weight of the one pixel beyond on each side, in 2⁻²⁴.
    edge: u32,
}

impl ExtendedBox {
    /// The box of which three passes have the variance of the Gaussian (the paper's equations 7 and
    /// 11 and its figure 2), in 32-bit floats as PIL has them.
    fn of_gaussian(sigma: f32) -> Self {
        let variance = sigma * sigma / PASSES as f32;
        let length = (12.0 * f64::from(variance) + 1.0).sqrt() as f32;
        let whole = ((f64::from(length) - 1.0) / 2.0).floor() as f32;
        let part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance)
            / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)));
        let count = 2 * whole as u32 + 1;
        // The float quotient may round up; the weights must not add up to more than one.
        let full = ((ONE as f32 / ((whole + part) * 2.0 + 1.0)) as u32).min(ONE / count);
        Self { radius: whole as usize, full, edge: (ONE - count * full) / 2 }
    }

    /// Blurs along the columns; a row is as long as `sums`.
    fn blur_columns(&self, from: &[u8], to: &mut [u8], sums: &mut [u32]) {
        let length = sums.len();
        let last = from.len() / length - 1;
        let row = |y: usize| &from[y.min(last) * length..][..length];

        // The first window: the first row stands for those above it.
        for (sum, &first) in sums.iter_mut().zip(row(0)) {
            *sum = (self.radius as u32 + 1) * u32::from(first);
        }
        for y in 1..=self.radius {
            for (sum, &value) in sums.iter_mut().zip(row(y)) {
                *sum += u32::from(value);
            }
        }
        for (y, blurred) in to.chunks_exact_mut(length).enumerate() {
            let above = row(y.saturating_sub(self.radius + 1));
            let leaving = row(y.saturating_sub(self.radius));
            let below = row(y + self.radius + 1);
            let values = blurred.iter_mut().zip(sums.iter_mut()).zip(above).zip(leaving).zip(below);
            for ((((blurred, sum), &above), &leaving), &below) in values {
                let edges = u32::from(above) + u32::from(below);
                *blurred = ((*sum * self.full + edges * self.edge + ONE / 2) >> 24) as u8;
                *sum = *sum + u32::from(below) - u32::from(leaving);
            }
        }
    }
}
