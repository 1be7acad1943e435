//! Sketches: short vectors whose distances bound the distances of views from below. The
//! documentation of the parent module has the derivation.

use rayon::prelude::*;
use selfsame_kernels::distance::{SHORT_COLUMNS, squared_norm, weighted_rows};
use selfsame_kernels::isa::Isa;

use super::views::{Shape, Views};

/// Number of values of the short sketch. They fill one or two registers.
pub(super) const COARSE: usize = 16;
/// Number of values of the long sketch.
pub(super) const FINE: usize = 64;
/// Number of frequencies considered along each side.
const FREQUENCIES: usize = 8;
/// Maximum number of views that are used to choose the cosines.
const SAMPLE: usize = 2048;

/// Cosines of low frequency, ordered by how much they vary over a sample of views, the largest
/// first.
pub(super) struct Basis {
    shape: Shape,
    /// Row f of the DCT-II along each side.
    rows: Vec<f64>,
    columns: Vec<f64>,
    channels: Vec<f64>,
    /// `columns` transposed: for each column, the values of all frequencies, padded with zeros.
    columns_at: Vec<[f64; FREQUENCIES]>,
    chosen: Vec<usize>,
}

/// The sketches of all views of a set.
pub(super) struct Sketches {
    /// The short sketches, as `[view of all][COARSE]`.
    pub(super) coarse: Vec<f32>,
    /// The short sketches transposed, as `[COARSE][padded views]` for each image. Padding is
    /// infinite.
    pub(super) transposed: Vec<f32>,
    /// The long sketches, as `[view of all][FINE]`.
    pub(super) fine: Vec<f32>,
    /// Number of views per image in `transposed`, including padding.
    pub(super) padded: usize,
}

/// Returns the first `count` frequencies of the orthonormal DCT-II of `side` values, as rows f of
/// values x.
fn cosines(side: usize, count: usize) -> Vec<f64> {
    let wave = |f: usize, x: usize| {
        let scale = if f == 0 { 1.0 } else { 2.0 } / side as f64;
        // In these whole numbers the period is 4·side, so the angle is reduced without rounding.
        let angle = (2 * x + 1) * f % (4 * side);
        scale.sqrt() * (std::f64::consts::PI * angle as f64 / (2 * side) as f64).cos()
    };
    (0..count).flat_map(|f| (0..side).map(move |x| wave(f, x))).collect()
}

impl Basis {
    /// Chooses the basis for a set of views.
    pub(super) fn new(isa: Isa, set: &Views<'_>) -> Self {
        let shape = set.shape;
        let Shape { width, height, channels } = shape;
        let columns = cosines(width, width.min(FREQUENCIES));
        let at = |x| std::array::from_fn(|f| columns.get(f * width + x).copied().unwrap_or(0.0));
        let mut basis = Self {
            shape,
            rows: cosines(height, height.min(FREQUENCIES)),
            columns_at: (0..width).map(at).collect(),
            columns,
            channels: cosines(channels, channels.min(FREQUENCIES)),
            chosen: Vec::new(),
        };
        let mut sums: Vec<[f64; 2]> = Vec::new();
        let mut count = 0.0;
        let views = set.images * set.views;
        let step = views.div_ceil(SAMPLE).max(1);
        let sample: Vec<usize> = (0..views).step_by(step).collect();
        let found: Vec<Vec<f64>> =
            sample.par_iter().map(|&view| basis.coefficients(isa, set.view(0, view))).collect();
        for coefficients in found {
            count += 1.0;
            sums.resize(coefficients.len(), [0.0; 2]);
            for (sum, value) in sums.iter_mut().zip(coefficients) {
                *sum = [sum[0] + value, sum[1] + value * value];
            }
        }
        let variance = |index: &usize| sums[*index][1] - sums[*index][0] * sums[*index][0] / count;
        basis.chosen = (0..sums.len()).collect();
        basis.chosen.sort_by(|a, b| variance(b).total_cmp(&variance(a)));
        basis.chosen.truncate(FINE - 1);
        basis
    }

    /// Computes a view's products with all cosines.
    fn coefficients(&self, isa: Isa, view: &[u8]) -> Vec<f64> {
        let Shape { width, height, channels } = self.shape;
        let mut rows = vec![0.0; self.rows.len() / height * width * channels];
        weighted_rows(isa, view, width * channels, &self.rows, &mut rows);
        let frequencies = self.columns.len() / width;
        let mut all = Vec::with_capacity(
            rows.len() / (width * channels) * frequencies * self.channels.len() / channels,
        );
        let mut sums = vec![[0.0; FREQUENCIES]; channels];
        for row in rows.chunks_exact(width * channels) {
            sums.fill([0.0; FREQUENCIES]);
            // Sum all frequencies at once, as vectors. Each sum takes the columns in their order.
            for (values, weights) in row.chunks_exact(channels).zip(&self.columns_at) {
                for (sums, value) in sums.iter_mut().zip(values) {
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += weight * value;
                    }
                }
            }
            for f in 0..frequencies {
                let mixed =
                    |mix: &[f64]| mix.iter().zip(&sums).map(|(a, sums)| a * sums[f]).sum::<f64>();
                all.extend(self.channels.chunks_exact(channels).map(mixed));
            }
        }
        all
    }

    /// Computes both sketches of all views.
    pub(super) fn sketch(&self, isa: Isa, set: &Views<'_>) -> Sketches {
        let count = set.images * set.views;
        let padded = set.views.next_multiple_of(SHORT_COLUMNS);
        let (mut coarse, mut fine) = (vec![0.0; count * COARSE], vec![0.0; count * FINE]);
        let sketches = coarse.par_chunks_exact_mut(COARSE).zip(fine.par_chunks_exact_mut(FINE));
        sketches.enumerate().for_each(|(index, (coarse, fine))| {
            let view = set.view(0, index);
            let coefficients = self.coefficients(isa, view);
            let chosen: Vec<f64> = self.chosen.iter().map(|&index| coefficients[index]).collect();
            let norm = squared_norm(isa, view) as f64;
            fill(coarse, &chosen, norm);
            fill(fine, &chosen, norm);
        });
        let mut transposed = vec![f32::INFINITY; set.images * COARSE * padded];
        let images = transposed
            .par_chunks_exact_mut(COARSE * padded)
            .zip(coarse.par_chunks_exact(set.views * COARSE));
        images.for_each(|(transposed, coarse)| {
            for (view, coarse) in coarse.chunks_exact(COARSE).enumerate() {
                for (i, &value) in coarse.iter().enumerate() {
                    transposed[i * padded + view] = value;
                }
            }
        });
        Sketches { coarse, transposed, fine, padded }
    }

    /// Returns the largest f32 sum of squares that sketches of `size` values can have at the
    /// squared distance `key`.
    pub(super) fn limit(&self, size: usize) -> impl Fn(u64) -> f32 + use<> {
        let Shape { width, height, channels } = self.shape;
        let unit = f64::EPSILON / 2.0;
        let single = f64::from(f32::EPSILON) / 2.0 * 1.01;
        let norm = 255.0 * (width as f64 * height as f64 * channels as f64).sqrt();
        let k = (size - 1) as f64;
        let coefficient = (height + width + channels + 128) as f64 * unit * 1.01 * norm;
        let squares = 2.0 * k.sqrt() * norm * coefficient
            + k * coefficient.powi(2)
            + (k + 2.0) * unit * norm * norm;
        let error = k.sqrt() * coefficient + squares.sqrt();
        let error = 2.0 * (error + single * (norm + error));
        let factor = 1.0 + (k + 9.0) * single;
        // Round up, with room for the rounding errors of these few operations.
        move |key| {
            (((key as f64).sqrt() + error).powi(2) * factor * (1.0 + 16.0 * unit)).next_up() as f32
                * (1.0 + f32::EPSILON)
        }
    }
}

/// Fills a sketch with the first coefficients, followed by the length of the part that they leave
/// out.
fn fill(target: &mut [f32], coefficients: &[f64], norm: f64) {
    let last = target.len() - 1;
    let mut rest = norm;
    for (target, &value) in target[..last].iter_mut().zip(coefficients) {
        *target = value as f32;
        rest -= value * value;
    }
    target[last] = rest.max(0.0).sqrt() as f32;
}
