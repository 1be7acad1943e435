//! Batch normalisation's passes over activations, channels last.
//!
//! ```text
//! for each value, of channel c:
//!     normalise:  γ[c] (value − mean[c]) / √(variance[c] + ε) + β[c]
//! ```
//!
//! 1. **A row is a whole number of pixels and of blocks.** If a pixel's channels do not fill
//!    registers, several pixels make a row, and coefficients are repeated to the row's length. A
//!    column therefore always has the same coefficients.
//! 2. **Columns are processed in blocks, stretch by stretch.** A block's coefficients and sums stay
//!    in registers, and the stretch stays in the first-level cache for the next block.

use crate::element::Element;
use crate::isa::{Isa, Kernel, MAX_LANES, Vector};

/// Coefficients of each channel, repeated to the length of a row.
pub struct Channels {
    count: usize,
    mean: Vec<f32>,
    /// 1 / √(variance + ε).
    inverse: Vec<f32>,
    /// γ / √(variance + ε).
    scale: Vec<f32>,
    /// β.
    shift: Vec<f32>,
}

/// Maximum number of columns per block, which is two registers.
const BLOCK: usize = 2 * MAX_LANES;

/// Target number of values per stretch: few enough for the first-level cache.
const STRETCH: usize = 4096;

/// Minimum number of rows per stretch: enough that loading and storing a block's registers costs
/// little.
const ROWS: usize = 32;

/// Returns the number of values per row, which is the smallest number that makes whole pixels and
/// whole blocks.
fn row(channels: usize) -> usize {
    let common = 1 << channels.trailing_zeros().min(BLOCK.trailing_zeros());
    channels * (BLOCK / common)
}

/// Returns the number of values per stretch, which has whole rows.
fn stretch(row: usize) -> usize {
    (STRETCH / row).max(ROWS) * row
}

/// Repeats values, one per channel, to the length of a row.
fn repeated(values: impl Iterator<Item = f32> + Clone, channels: usize) -> Vec<f32> {
    values.cycle().take(row(channels)).collect()
}

/// Loads two registers, starting at `at`, with zeros after the last value.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the instruction set of `V`.
#[inline(always)]
unsafe fn load<V: Vector, T: Element>(values: &[T], at: usize) -> [V; 2] {
    #[cold]
    fn last<T: Element>(values: &[T]) -> [T; BLOCK] {
        let mut all = [T::default(); BLOCK];
        all[..values.len()].copy_from_slice(values);
        all
    }
    // SAFETY: the caller guarantees the instruction set. Two registers are never longer than a
    // block.
    unsafe {
        if at + 2 * V::LANES <= values.len() {
            T::load(values.as_ptr().add(at))
        } else {
            T::load(last(&values[at..]).as_ptr())
        }
    }
}

/// Adds two registers of sums to the values of `to` that start at `at`.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the instruction set of `V`.
#[inline(always)]
unsafe fn add<V: Vector>(sums: [V; 2], to: &mut [f32], at: usize) {
    // SAFETY: the caller guarantees the instruction set.
    unsafe {
        let mut all: [V; 2] = load(to, at);
        for half in 0..2 {
            all[half] = all[half].add(sums[half]);
        }
        store(all, to, at);
    }
}

/// Stores two registers, starting at `at`, up to the end of the slice.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the instruction set of `V`.
#[inline(always)]
unsafe fn store<V: Vector, T: Element>(registers: [V; 2], to: &mut [T], at: usize) {
    #[cold]
    fn last<T: Element>(values: &[T; BLOCK], to: &mut [T]) {
        to.copy_from_slice(&values[..to.len()]);
    }
    // SAFETY: the caller guarantees the instruction set. Two registers are never longer than a
    // block.
    unsafe {
        if at + 2 * V::LANES <= to.len() {
            T::store(registers, to.as_mut_ptr().add(at));
        } else {
            let mut all = [T::default(); BLOCK];
            T::store(registers, all.as_mut_ptr());
            last(&all, &mut to[at..]);
        }
    }
}

impl Channels {
    /// Computes the coefficients of γ (x − mean) / √(variance + ε) + β. Every slice has one value
    /// per channel.
    ///
    /// # Panics
    ///
    /// If the slices' lengths differ or are zero.
    pub fn new(mean: &[f32], variance: &[f32], gamma: &[f32], beta: &[f32], epsilon: f64) -> Self {
        let count = mean.len();
        assert!(
            count > 0 && [variance.len(), gamma.len(), beta.len()] == [count; 3],
            "one value a channel"
        );
        let inverse =
            variance.iter().map(|&variance| (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32);
        let scale = inverse.clone().zip(gamma).map(|(inverse, &gamma)| inverse * gamma);
        Self {
            count,
            mean: repeated(mean.iter().copied(), count),
            scale: repeated(scale, count),
            inverse: repeated(inverse, count),
            shift: repeated(beta.iter().copied(), count),
        }
    }

    /// Returns mean, scale and shift of the block of the repeated channels that starts at `first`.
    pub(crate) fn block(&self, first: usize) -> [&[f32; BLOCK]; 3] {
        [&self.mean, &self.scale, &self.shift]
            .map(|values| values[first..].first_chunk().expect("whole blocks"))
    }
}

/// Adds the sums of a row's columns to one sum per channel.
fn fold(sums: &[f32], channels: usize) -> Vec<f64> {
    let mut folded = vec![0.0; channels];
    for sums in sums.chunks_exact(channels) {
        folded.iter_mut().zip(sums).for_each(|(folded, &sum)| *folded += f64::from(sum));
    }
    folded
}

/// Mean and sum of squared deviations of each channel over some pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    /// Computes the moments of `values`, `[pixels, channels]`, in two passes.
    pub fn of(isa: Isa, values: &[f32], channels: usize) -> Self {
        let count = (values.len() / channels) as f64;
        let (rows, rest) = values.split_at(values.len() / row(channels) * row(channels));
        let deviations = |origin: &[f32], square: bool| {
            // The last row is filled up with values that do not deviate.
            let mut last = origin.to_vec();
            last[..rest.len()].copy_from_slice(rest);
            let sums = [rows, &last].map(|values| isa.run(Deviations { values, origin, square }));
            let [mut total, last] = sums.map(|sums| fold(&sums, channels));
            total.iter_mut().zip(last).for_each(|(total, last)| *total += last);
            total
        };
        let mut mean = deviations(&vec![0.0; row(channels)], false);
        mean.iter_mut().for_each(|mean| *mean /= count.max(1.0));
        let origin = repeated(mean.iter().map(|&mean| mean as f32), channels);
        let squares = deviations(&origin, true);
        Self { count, mean, squares }
    }

    /// Computes the moments of `count` pixels, given the sums of their deviations from `origin`,
    /// and the sums of the deviations' squares.
    pub(crate) fn shifted(count: usize, origin: &[f32], sums: &[f32], squares: &[f32]) -> Self {
        let pixels = count as f64;
        let wide =
            |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        let (origin, sums, squares) = (wide(origin), wide(sums), wide(squares));
        let mean = origin.iter().zip(&sums).map(|(origin, sum)| origin + sum / pixels).collect();
        let squares = squares
            .iter()
            .zip(&sums)
            .map(|(square, sum)| (square - sum * sum / pixels).max(0.0))
            .collect();
        Self { count: pixels, mean, squares }
    }

    /// Computes the moments per channel from the moments of joined pixels. Several pixels of
    /// `channels` channels each were computed as one pixel.
    pub(crate) fn split_joined(self, channels: usize) -> Self {
        let mut pixels = self.mean.chunks_exact(channels).zip(self.squares.chunks_exact(channels));
        let first = pixels.next();
        let moments = |(mean, squares): (&[f64], &[f64])| Self {
            count: self.count,
            mean: mean.to_vec(),
            squares: squares.to_vec(),
        };
        let first = first.map(moments).expect("at least one pixel");
        pixels.fold(first, |all, next| all.merge(&moments(next)))
    }

    /// Combines the moments of two samples into the moments of their union (Chan, Golub and LeVeque
    /// 1979).
    pub fn merge(mut self, other: &Self) -> Self {
        let count = self.count + other.count;
        if count > 0.0 {
            for channel in 0..self.mean.len() {
                let delta = other.mean[channel] - self.mean[channel];
                self.mean[channel] += delta * other.count / count;
                self.squares[channel] +=
                    other.squares[channel] + delta * delta * self.count * other.count / count;
            }
        }
        Self { count, ..self }
    }

    /// Returns the mean and the biased variance of each channel.
    pub fn mean_and_variance(&self) -> (Vec<f32>, Vec<f32>) {
        let variance = self.squares.iter().map(|squares| (squares / self.count.max(1.0)) as f32);
        (self.mean.iter().map(|&mean| mean as f32).collect(), variance.collect())
    }
}

/// Sums `values`, or the squares of their deviations from `origin`, for each column of whole rows.
struct Deviations<'a> {
    values: &'a [f32],
    /// One row.
    origin: &'a [f32],
    square: bool,
}

impl Kernel for Deviations<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<f32> {
        let mut totals = vec![0.0f32; self.origin.len()];
        let row = self.origin.len();
        for start in (0..self.values.len()).step_by(stretch(row)) {
            let end = self.values.len().min(start + stretch(row));
            for column in (0..row).step_by(2 * V::LANES) {
                // SAFETY: `run` is called with the instruction set.
                unsafe {
                    let origin: [V; 2] = load(self.origin, column);
                    let mut sums = [V::zero(); 2];
                    for at in (start + column..end).step_by(row) {
                        let values: [V; 2] = load(self.values, at);
                        for half in 0..2 {
                            sums[half] = if self.square {
                                let deviation = values[half].sub(origin[half]);
                                deviation.mul_add(deviation, sums[half])
                            } else {
                                sums[half].add(values[half])
                            };
                        }
                    }
                    add(sums, &mut totals, column);
                }
            }
        }
        totals
    }
}

/// The place from which a pass reads its values.
#[derive(Clone, Copy)]
pub enum Source<'a, T> {
    /// The slice to which the pass writes its results.
    InPlace,
    /// Another slice.
    From(&'a [T]),
}

/// Returns the floor to which values are raised: zero with ReLU, otherwise negative infinity.
pub(crate) fn floor(relu: bool) -> f32 {
    if relu { 0.0 } else { f32::NEG_INFINITY }
}

/// Writes γ (x − mean) / √(variance + ε) + β, plus the residual, if any, and applies ReLU if `relu`
/// is set. All slices are `[pixels, channels]` and equally long.
pub fn normalise<T: Element, U: Element>(
    isa: Isa,
    channels: &Channels,
    from: Source<'_, T>,
    residual: Option<&[T]>,
    relu: bool,
    to: &mut [U],
) {
    if let Source::From(from) = from {
        assert_eq!(from.len(), to.len());
    }
    if let Some(residual) = residual {
        assert_eq!(residual.len(), to.len());
    }
    isa.run(Normalise { channels, from, residual, floor: floor(relu), to });
}

struct Normalise<'a, T, U> {
    channels: &'a Channels,
    from: Source<'a, T>,
    residual: Option<&'a [T]>,
    floor: f32,
    to: &'a mut [U],
}

impl<T: Element, U: Element> Kernel for Normalise<'_, T, U> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Channels { mean, scale, shift, .. } = self.channels;
        // SAFETY: `run` is called with the instruction set.
        unsafe {
            let floor = V::splat(&self.floor);
            let row = mean.len();
            for start in (0..self.to.len()).step_by(stretch(row)) {
                let end = self.to.len().min(start + stretch(row));
                for column in (0..row).step_by(2 * V::LANES) {
                    let [mean, scale, shift]: [[V; 2]; 3] =
                        [mean, scale, shift].map(|values| load(values, column));
                    for at in (start + column..end).step_by(row) {
                        let mut values: [V; 2] = match self.from {
                            Source::From(from) => load(from, at),
                            Source::InPlace => load(self.to, at),
                        };
                        for half in 0..2 {
                            values[half] =
                                values[half].sub(mean[half]).mul_add(scale[half], shift[half]);
                        }
                        if let Some(residual) = self.residual {
                            let residual: [V; 2] = load(residual, at);
                            for half in 0..2 {
                                values[half] = values[half].add(residual[half]);
                            }
                        }
                        for value in &mut values {
                            *value = value.raise_to(floor);
                        }
                        store(values, self.to, at);
                    }
                }
            }
        }
    }
}

/// The ReLU after an output. The gradient passes ReLU only where the output is above zero.
#[derive(Clone, Copy)]
pub enum Relu<'a, T> {
    /// There was no ReLU, so the gradient passes everywhere.
    None,
    /// The ReLU of the normalised value alone. That value is computed again.
    Normalised,
    /// The ReLU that gave these outputs.
    Output(&'a [T]),
}

/// The sums over the whole batch that batch normalisation's backward pass needs, one value per
/// channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    /// Sum of the gradient that passes ReLU, which is the gradient of β.
    pub gradient: Vec<f64>,
    /// Sum of the gradient that passes ReLU times the normalised value before γ and β, which is the
    /// gradient of γ.
    pub product: Vec<f64>,
}

impl Sums {
    /// Adds the sums of several images, in order.
    pub(crate) fn total(images: Vec<Self>, channels: usize) -> Self {
        let mut total = Self { gradient: vec![0.0; channels], product: vec![0.0; channels] };
        let add = |to: &mut [f64], sums: &[f64]| {
            to.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        };
        for image in &images {
            add(&mut total.gradient, &image.gradient);
            add(&mut total.product, &image.product);
        }
        total
    }
}

/// Computes the [`Sums`] of some pixels.
///
/// `gradient` and `convolved` are `[pixels, channels]`. With [`Relu::Output`], the gradient that
/// passes ReLU is written to `passed`, which has the same length. With [`Source::InPlace`], the
/// gradient is read from `passed`.
pub fn gradient_sums<T: Element>(
    isa: Isa,
    channels: &Channels,
    gradient: Source<'_, T>,
    convolved: &[T],
    relu: Relu<'_, T>,
    passed: &mut [T],
) -> Sums {
    if let Source::From(gradient) = gradient {
        assert_eq!(gradient.len(), convolved.len());
    } else {
        assert_eq!(passed.len(), convolved.len());
    }
    if let Relu::Output(output) = relu {
        assert_eq!([output.len(), passed.len()], [convolved.len(); 2]);
    }
    let (sums, products) = isa.run(GradientSums { channels, gradient, convolved, relu, passed });
    let [gradient, mut product] = [sums, products].map(|sums| fold(&sums, channels.count));
    product
        .iter_mut()
        .zip(&channels.inverse)
        .for_each(|(product, inverse)| *product *= f64::from(*inverse));
    Sums { gradient, product }
}

struct GradientSums<'a, T> {
    channels: &'a Channels,
    gradient: Source<'a, T>,
    convolved: &'a [T],
    relu: Relu<'a, T>,
    passed: &'a mut [T],
}

impl<T: Element> Kernel for GradientSums<'_, T> {
    type Output = (Vec<f32>, Vec<f32>);

    #[inline(always)]
    fn run<V: Vector>(self) -> (Vec<f32>, Vec<f32>) {
        let Channels { mean, scale, shift, .. } = self.channels;
        let mut totals = (vec![0.0f32; mean.len()], vec![0.0f32; mean.len()]);
        let row = mean.len();
        for start in (0..self.convolved.len()).step_by(stretch(row)) {
            let end = self.convolved.len().min(start + stretch(row));
            for column in (0..row).step_by(2 * V::LANES) {
                // SAFETY: `run` is called with the instruction set.
                unsafe {
                    let [mean, scale, shift]: [[V; 2]; 3] =
                        [mean, scale, shift].map(|values| load(values, column));
                    let (mut sums, mut products) = ([V::zero(); 2], [V::zero(); 2]);
                    for at in (start + column..end).step_by(row) {
                        let mut gradient: [V; 2] = match self.gradient {
                            Source::From(gradient) => load(gradient, at),
                            Source::InPlace => load(self.passed, at),
                        };
                        let mut deviation: [V; 2] = load(self.convolved, at);
                        for half in 0..2 {
                            deviation[half] = deviation[half].sub(mean[half]);
                        }
                        match self.relu {
                            Relu::None => {}
                            Relu::Normalised => {
                                for half in 0..2 {
                                    let normal = deviation[half].mul_add(scale[half], shift[half]);
                                    gradient[half] = gradient[half].where_positive(normal);
                                }
                            }
                            Relu::Output(output) => {
                                let output: [V; 2] = load(output, at);
                                for half in 0..2 {
                                    gradient[half] = gradient[half].where_positive(output[half]);
                                }
                                store(gradient, self.passed, at);
                            }
                        }
                        for half in 0..2 {
                            sums[half] = sums[half].add(gradient[half]);
                            products[half] =
                                gradient[half].mul_add(deviation[half], products[half]);
                        }
                    }
                    add(sums, &mut totals.0, column);
                    add(products, &mut totals.1, column);
                }
            }
        }
        totals
    }
}

/// Coefficients of the gradient before normalisation, computed from the [`Sums`] over a whole
/// batch.
pub struct Backward {
    /// −γ/σ · (mean of g x̂) / σ, which is multiplied with x − mean.
    slope: Vec<f32>,
    /// −γ/σ · (mean of g).
    offset: Vec<f32>,
}

impl Backward {
    /// Computes the coefficients from [`Sums::gradient`] and [`Sums::product`] over `pixels`
    /// pixels.
    pub fn new(channels: &Channels, sums: &[f64], products: &[f64], pixels: usize) -> Self {
        let count = channels.count;
        let scale = |c: usize| f64::from(channels.scale[c]);
        let inverse = |c: usize| f64::from(channels.inverse[c]);
        let pixels = pixels.max(1) as f64;
        let slope = (0..count).map(|c| (-scale(c) * inverse(c) * products[c] / pixels) as f32);
        let offset = (0..count).map(|c| (-scale(c) * sums[c] / pixels) as f32);
        Self { slope: repeated(slope, count), offset: repeated(offset, count) }
    }
}

/// Writes the gradient before normalisation, γ/σ (g − (mean of g) − x̂ · (mean of g x̂)). Here g is
/// the gradient that passes ReLU, and x̂ is the normalised value before γ and β. All slices are
/// `[pixels, channels]`. If `relu_pending` is set, `gradient` has not passed the ReLU of the
/// normalised value yet. That value is then computed again.
pub fn gradient<T: Element>(
    isa: Isa,
    channels: &Channels,
    backward: &Backward,
    gradient: &[T],
    convolved: &[T],
    relu_pending: bool,
    to: &mut [T],
) {
    assert_eq!([gradient.len(), convolved.len()], [to.len(); 2]);
    isa.run(Gradient { channels, backward, gradient, convolved, relu_pending, to });
}

struct Gradient<'a, T> {
    channels: &'a Channels,
    backward: &'a Backward,
    gradient: &'a [T],
    convolved: &'a [T],
    relu_pending: bool,
    to: &'a mut [T],
}

impl<T: Element> Kernel for Gradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Channels { mean, scale, shift, .. } = self.channels;
        let Backward { slope, offset } = self.backward;
        let row = mean.len();
        for start in (0..self.to.len()).step_by(stretch(row)) {
            let end = self.to.len().min(start + stretch(row));
            for column in (0..row).step_by(2 * V::LANES) {
                // SAFETY: `run` is called with the instruction set.
                unsafe {
                    let [mean, scale, shift, slope, offset]: [[V; 2]; 5] =
                        [mean, scale, shift, slope, offset].map(|values| load(values, column));
                    for at in (start + column..end).step_by(row) {
                        let mut gradient: [V; 2] = load(self.gradient, at);
                        let value: [V; 2] = load(self.convolved, at);
                        for half in 0..2 {
                            let deviation = value[half].sub(mean[half]);
                            if self.relu_pending {
                                let normal = deviation.mul_add(scale[half], shift[half]);
                                gradient[half] = gradient[half].where_positive(normal);
                            }
                            let rest = deviation.mul_add(slope[half], offset[half]);
                            gradient[half] = gradient[half].mul_add(scale[half], rest);
                        }
                        store(gradient, self.to, at);
                    }
                }
            }
        }
    }
}
