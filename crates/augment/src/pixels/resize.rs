//! Antialiased resizing as in Pillow: first one direction, then the other, with weights in 22-bit
//! fixed point and 8-bit levels in between.
//!
//! The crate `fast_image_resize` was tried first. Its 16-bit weights and its order of directions
//! give at most one level of difference from Pillow, but 0.15 levels on average and 0.26 on the
//! worst of 400 shapes, and it allocates for every output pixel. This implementation equals Pillow.

use selfsame_kernels::isa::Isa;
use selfsame_kernels::pixels::{
    BITS, Image, Window, split, split_transposed, transpose, weigh_rows,
};

use crate::draw::CropBox;
use crate::policy::Interpolation;

#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch {
    filter: Filter,
    band: Vec<u8>,
    columns: Vec<u8>,
    narrow: Vec<u8>,
    rows: Vec<u8>,
    sums: Vec<i32>,
}

/// Writes the part `crop` of `image` as `size` × `size` planes. The crop must be inside the image.
/// Pixels outside of the crop have no influence.
pub(crate) fn resize(
    isa: Isa,
    image: Image<'_>,
    crop: CropBox,
    interpolation: Interpolation,
    size: usize,
    planes: &mut [u8],
    scratch: &mut Scratch,
) {
    let channels = image.channels();
    let Scratch { filter, band, columns, narrow, rows, sums } = scratch;
    let [left, top, width, height] =
        [crop.left, crop.top, crop.width, crop.height].map(|side| side as usize);
    let stride = channels * image.width() as usize;
    let pixels = &image.pixels()[top * stride + channels * left..];
    let square = size * size;
    if [width, height] == [size; 2] {
        return match channels {
            1 => copy_rows(pixels, stride, planes, size),
            _ => split(isa, pixels, stride, [size, size], planes),
        };
    }
    let mut resample = |from: &[u8], stride: usize, row: usize, length: usize, to: &mut Vec<u8>| {
        filter.set(interpolation, length, size);
        grow(to, size * row);
        weigh_rows(isa, from, stride, row, (&filter.windows, &filter.weights), to, sums);
    };
    let mut transpose_channels =
        |from: &[u8], stride: usize, height: usize, columns: &mut Vec<u8>| {
            let row = stretches(channels * height);
            grow(columns, width * row);
            match channels {
                1 => transpose(isa, from, stride, [height, width], columns, row),
                _ => split_transposed(isa, from, stride, [height, width], columns, row, band),
            }
            row
        };

    // Pillow's order since version 13. Earlier versions always resized the width first. The results
    // can differ by some levels, because the overshoot of a cubic is clipped between the two
    // directions.
    let shrinks_mostly_in_height =
        height > size && (height - size) > 2 * width.saturating_sub(size);
    if shrinks_mostly_in_height {
        resample(pixels, stride, channels * width, height, rows);
        let row = transpose_channels(rows, channels * width, size, columns);
        resample(columns, row, row, width, narrow);
        for (c, plane) in planes.chunks_exact_mut(square).enumerate() {
            transpose(isa, &narrow[c * size..], row, [size, size], plane, size);
        }
        return;
    }
    let column = transpose_channels(pixels, stride, height, columns);
    let narrow = if width == size {
        columns
    } else {
        resample(columns, column, column, width, narrow);
        narrow
    };
    if height == size {
        for (c, plane) in planes.chunks_exact_mut(square).enumerate() {
            transpose(isa, &narrow[c * size..], column, [size, size], plane, size);
        }
        return;
    }
    let row = stretches(channels * size);
    grow(rows, height * row);
    for c in 0..channels {
        transpose(isa, &narrow[c * height..], column, [size, height], &mut rows[c * size..], row);
    }
    resample(rows, row, row, height, narrow);
    for (c, plane) in planes.chunks_exact_mut(square).enumerate() {
        copy_rows(&narrow[c * size..], row, plane, size);
    }
}

/// Returns the length that a row of `row` bytes is padded to: an odd number of stretches of 32
/// bytes. Loops over whole stretches need no special case at the end, and with an odd number of
/// stretches the rows of a column do not compete for the same cache lines. The padding is computed
/// with but never read.
fn stretches(row: usize) -> usize {
    row.next_multiple_of(32) | 32
}

/// Makes room without clearing the old content. All bytes that are read are written first.
fn grow(memory: &mut Vec<u8>, bytes: usize) {
    if memory.len() < bytes {
        memory.resize(bytes, 0);
    }
}

fn copy_rows(from: &[u8], stride: usize, plane: &mut [u8], size: usize) {
    for (plane, row) in plane.chunks_exact_mut(size).zip(from.chunks(stride)) {
        plane.copy_from_slice(&row[..size]);
    }
}

/// The filter that resizes one length to another.
#[derive(Debug, Clone, Default)]
struct Filter {
    windows: Vec<Window>,
    weights: Vec<i32>,
    shares: Vec<f64>,
}

impl Filter {
    /// Sets the filter. When enlarging, its half width is one input pixel (two for cubics). When
    /// reducing, its half width is the same number of output pixels, measured on the input.
    fn set(&mut self, interpolation: Interpolation, from: usize, to: usize) {
        match interpolation {
            Interpolation::Bilinear => {
                self.set_to(from, to, 1.0, |x| if x < 1.0 { 1.0 - x } else { 0.0 })
            }
            Interpolation::Bicubic => self.set_to(from, to, 2.0, |x| {
                const A: f64 = -0.5;
                if x < 1.0 {
                    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * A
                } else {
                    0.0
                }
            }),
        }
    }

    fn set_to(&mut self, from: usize, to: usize, half_width: f64, filter: impl Fn(f64) -> f64) {
        let Self { windows, weights, shares } = self;
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = half_width * stretch;
        let inverse = 1.0 / stretch;
        // Room for the widest window of all pixels.
        let widest = (2.0 * support).ceil() as usize + 1;
        shares.resize(widest, 0.0);
        weights.resize(widest * to, 0);
        windows.clear();
        let mut next = 0;
        for x in 0..to {
            let centre = (x as f64 + 0.5) * scale;
            let start = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let shares = &mut shares[..end - start];
            let first = start as f64 - centre + 0.5;
            let mut sum = 0.0;
            for (i, share) in shares.iter_mut().enumerate() {
                *share = filter(((first + i as f64) * inverse).abs());
                sum += *share;
            }
            let weights = &mut weights[next..next + shares.len()];
            next += shares.len();
            for (weight, share) in weights.iter_mut().zip(shares) {
                let exact = *share / sum * f64::from(1 << BITS);
                // Round half away from zero.
                *weight = (exact + 0.5_f64.copysign(exact)) as i32;
            }
            windows.push(Window { start, count: end - start });
        }
    }
}
