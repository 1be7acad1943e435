//! Gaussian blur, as PIL and as torchvision compute it.
//!
//! PIL builds the blur from three extended box blurs along the rows and three along the columns, in
//! 24-bit fixed point with 8 bits between passes. The extended box is by Gwosdek, Grewenig, Bruhn
//! and Weickert, "Theoretical foundations of Gaussian convolution by extended box filtering" (SSVM
//! 2011): it has full weight for the 2l + 1 pixels in the middle and a fraction for the two pixels
//! next to them, so that it can match any variance exactly. torchvision samples the Gaussian at
//! whole pixels and convolves in floats; this implementation does so in 16-bit fixed point.

use selfsame_kernels::isa::Isa;
use selfsame_kernels::pixels::{box_rows, convolve, transpose};

use crate::draw::GaussianBlur;

const PASSES: usize = 3;
const ONE: u32 = 1 << 24;

#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch {
    rows: Vec<u8>,
    other: Vec<u8>,
    sums: Vec<u32>,
    kernel: Vec<u16>,
    densities: Vec<f32>,
    levels: Vec<u16>,
}

/// Blurs the square planes of side `size`.
pub(crate) fn gaussian(
    isa: Isa,
    planes: &mut [u8],
    size: usize,
    blur: GaussianBlur,
    scratch: &mut Scratch,
) {
    // Outside of these limits the result no longer changes: a smaller sigma leaves every level as
    // it is, and a larger one makes a plane flat.
    let sigma = blur.sigma * blur.side.map_or(1.0, |side| size as f64 / f64::from(side));
    let sigma = sigma.clamp(1e-6, 1e5);
    match blur.kernel {
        None => pil(isa, planes, size, sigma, scratch),
        Some(taps) => {
            let Scratch { kernel, densities, levels, .. } = scratch;
            set_kernel(kernel, densities, taps as usize, sigma as f32);
            for plane in planes.chunks_exact_mut(size * size) {
                convolve(isa, plane, size, kernel, levels);
            }
        }
    }
}

/// Sets torchvision's kernel, from its middle on, in units of 2⁻¹⁶. A weight is the density at a
/// whole pixel, divided by the sum of all densities. Weights that are too small for this unit are
/// left out, and the middle weight absorbs the rounding error, so that a plain area stays as it is.
fn set_kernel(kernel: &mut Vec<u16>, densities: &mut Vec<f32>, taps: usize, sigma: f32) {
    densities.clear();
    densities.extend((0..=taps / 2).map(|i| {
        let away = i as f32 / sigma;
        libm::expf(-0.5 * away * away)
    }));
    let sum = 2.0 * densities.iter().sum::<f32>() - densities[0];
    let weight = |density: f32| (density / sum * 65536.0).round() as u16;
    kernel.clear();
    kernel.push(0);
    kernel.extend(
        densities[1..].iter().map(|&density| weight(density)).take_while(|&weight| weight > 0),
    );
    let sides = 2 * kernel.iter().map(|&weight| u32::from(weight)).sum::<u32>();
    kernel[0] = (65536 - sides).min(65535) as u16;
}

/// Blurs as PIL does. Beyond an edge, the pixels of the edge repeat.
fn pil(isa: Isa, planes: &mut [u8], size: usize, sigma: f64, scratch: &mut Scratch) {
    let ExtendedBox { radius, full, edge } = ExtendedBox::of_gaussian(sigma as f32);
    let Scratch { rows, other, sums, .. } = scratch;
    rows.resize(planes.len(), 0);
    other.resize(planes.len(), 0);
    // Place all planes side by side, so that the sums cover whole rows of all planes.
    let row = planes.len() / size;
    let (plane, square) = (size * size, [size, size]);
    let mut blur =
        |from: &[u8], to: &mut [u8]| box_rows(isa, from, row, radius, [full, edge], to, sums);

    // The columns of the transposed planes are the rows of the planes.
    for (c, plane) in planes.chunks_exact(plane).enumerate() {
        transpose(isa, plane, size, square, &mut rows[c * size..], row);
    }
    blur(rows, other);
    blur(other, rows);
    blur(rows, other);
    for c in (0..row).step_by(size) {
        transpose(isa, &other[c..], row, square, &mut rows[c..], row);
    }
    blur(rows, other);
    blur(other, rows);
    blur(rows, other);
    for (c, plane) in planes.chunks_exact_mut(plane).enumerate() {
        for (plane, row) in plane.chunks_exact_mut(size).zip(other.chunks_exact(row)) {
            plane.copy_from_slice(&row[c * size..][..size]);
        }
    }
}

struct ExtendedBox {
    /// Number of pixels of full weight on each side of the middle pixel.
    radius: usize,
    /// Weight of each full pixel, in 2⁻²⁴.
    full: u32,
    /// Weight, in 2⁻²⁴, of the single pixel next to the full pixels on each side.
    edge: u32,
}

impl ExtendedBox {
    /// Returns the box for which three passes have the variance of the Gaussian (equations 7 and 11
    /// and figure 2 of the paper), in 32-bit floats as in PIL.
    fn of_gaussian(sigma: f32) -> Self {
        let variance = sigma * sigma / PASSES as f32;
        let length = (12.0 * f64::from(variance) + 1.0).sqrt() as f32;
        let whole = ((f64::from(length) - 1.0) / 2.0).floor() as f32;
        let part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance)
            / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)));
        let count = 2 * whole as u32 + 1;
        // The float quotient may round up, but the weights must not have a sum above one.
        let full = ((ONE as f32 / ((whole + part) * 2.0 + 1.0)) as u32).min(ONE / count);
        Self { radius: whole as usize, full, edge: (ONE - count * full) / 2 }
    }
}
