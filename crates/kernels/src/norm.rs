//! Batch normalisation's passes over activations, channels last.
//!
//! Activations are taken as rows of as many values as whole pixels and whole registers have, with
//! coefficients repeated to as many. Down a block of columns, coefficients and sums stay in
//! registers.

use crate::element::Element;
use crate::isa::{Isa, Kernel, MOST_LANES, Vector};

/// What the passes need to know of each channel, ready for their loops.
pub struct Channels {
    count: usize,
    mean: Vec<f32>,
    inverse: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// Values that are worked on together, two registers, at most.
const BLOCK: usize = 2 * MOST_LANES;

/// Values whose rows are gone through once for each block of columns, at least: few enough for the
/// first-level cache.
const STRETCH: usize = 4096;

/// The fewest such rows: enough that what a block begins and ends with does not count.
const ROWS: usize = 32;

/// Values of a row, to which the coefficients are repeated: the fewest that whole pixels and whole
/// blocks have.
fn row(channels: usize) -> usize {
    let common = 1 << channels.trailing_zeros().min(BLOCK.trailing_zeros());
    channels * (BLOCK / common)
}

/// Values of a stretch, in whole rows.
fn stretch(row: usize) -> usize {
    (STRETCH / row).max(ROWS) * row
}

fn repeated(values: impl Iterator<Item = f32> + Clone, channels: usize) -> Vec<f32> {
    values.cycle().take(row(channels)).collect()
}

/// The values of two registers from `at` on, zeros behind the last.
///
/// # Safety
///
/// The instruction set of `V` is there.
#[inline(always)]
unsafe fn load<V: Vector, T: Element>(values: &[T], at: usize) -> [V; 2] {
    #[cold]
    fn last<T: Element>(values: &[T]) -> [T; BLOCK] {
        let mut all = [T::default(); BLOCK];
        all[..values.len()].copy_from_slice(values);
        all
    }
    // SAFETY: as the caller vouches; no two registers are longer than a block.
    unsafe {
        if at + 2 * V::LANES <= values.len() {
            T::load(values.as_ptr().add(at))
        } else {
            T::load(last(&values[at..]).as_ptr())
        }
    }
}

/// Adds two registers of sums to those from `at` on.
///
/// # Safety
///
/// The instruction set of `V` is there.
#[inline(always)]
unsafe fn add<V: Vector>(sums: [V; 2], to: &mut [f32], at: usize) {
    // SAFETY: as the caller vouches.
    unsafe {
        let mut all: [V; 2] = load(to, at);
        for half in 0..2 {
            all[half] = all[half].add(sums[half]);
        }
        store(all, to, at);
    }
}

/// Stores two registers from `at` on, as far as there is room.
///
/// # Safety
///
/// The instruction set of `V` is there.
#[inline(always)]
unsafe fn store<V: Vector, T: Element>(registers: [V; 2], to: &mut [T], at: usize) {
    #[cold]
    fn last<T: Element>(values: &[T; BLOCK], to: &mut [T]) {
        to.copy_from_slice(&values[..to.len()]);
    }
    // SAFETY: as the caller vouches; no two registers are longer than a block.
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
    /// γ (x − mean) / √(variance + ε) + β, with every slice a value a channel.
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

    /// Mean, scale and shift of a block of the repeated channels.
    pub(crate) fn block(&self, first: usize) -> [&[f32; BLOCK]; 3] {
        [&self.mean, &self.scale, &self.shift]
            .map(|values| values[first..].first_chunk().expect("whole blocks"))
    }
}

/// Sums of a row's columns, added to one a channel.
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
    /// Those of `values`, `[pixels, channels]`, in two passes.
    pub fn of(isa: Isa, values: &[f32], channels: usize) -> Self {
        let count = (values.len() / channels) as f64;
        let whole = values.len() / row(channels) * row(channels);
        let deviations = |from: &[f32], square: bool| {
            // Behind the last values nothing deviates.
            let mut last = from.to_vec();
            last[..values.len() - whole].copy_from_slice(&values[whole..]);
            let sums = [&values[..whole], &last]
                .map(|values| isa.run(Deviations { values, from, square }));
            let [mut all, last] = sums.map(|sums| fold(&sums, channels));
            all.iter_mut().zip(last).for_each(|(all, last)| *all += last);
            all
        };
        let mut mean = deviations(&vec![0.0; row(channels)], false);
        mean.iter_mut().for_each(|mean| *mean /= count.max(1.0));
        let from = repeated(mean.iter().map(|&mean| mean as f32), channels);
        let squares = deviations(&from, true);
        Self { count, mean, squares }
    }

    /// Those of `count` pixels, of which the sums of deviations from `from` and of their squares
    /// are known.
    pub(crate) fn shifted(count: usize, from: &[f32], sums: &[f32], squares: &[f32]) -> Self {
        let pixels = count as f64;
        let wide =
            |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        let (from, sums, squares) = (wide(from), wide(sums), wide(squares));
        let mean = from.iter().zip(&sums).map(|(from, sum)| from + sum / pixels).collect();
        let squares = squares
            .iter()
            .zip(&sums)
            .map(|(square, sum)| (square - sum * sum / pixels).max(0.0))
            .collect();
        Self { count: pixels, mean, squares }
    }

    /// Those of pixels of `channels` each that were taken for one.
    pub(crate) fn joined(self, channels: usize) -> Self {
        let mut pixels = self.mean.chunks_exact(channels).zip(self.squares.chunks_exact(channels));
        let first = pixels.next();
        let of = |(mean, squares): (&[f64], &[f64])| Self {
            count: self.count,
            mean: mean.to_vec(),
            squares: squares.to_vec(),
        };
        pixels.fold(first.map(of).expect("at least one pixel"), |all, next| all.merge(&of(next)))
    }

    /// Those of both samples together (Chan, Golub and LeVeque 1979).
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

    /// Mean and biased variance of each channel.
    pub fn mean_and_variance(&self) -> (Vec<f32>, Vec<f32>) {
        let variance = self.squares.iter().map(|squares| (squares / self.count.max(1.0)) as f32);
        (self.mean.iter().map(|&mean| mean as f32).collect(), variance.collect())
    }
}

/// Sums of `values`, or of the squares of their distances to `from`, for each column of whole rows.
struct Deviations<'a> {
    values: &'a [f32],
    from: &'a [f32],
    square: bool,
}

impl Kernel for Deviations<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<f32> {
        let mut all = vec![0.0f32; self.from.len()];
        let row = self.from.len();
        for start in (0..self.values.len()).step_by(stretch(row)) {
            let end = self.values.len().min(start + stretch(row));
            for column in (0..row).step_by(2 * V::LANES) {
                // SAFETY: kernels run where the instruction set is.
                unsafe {
                    let from: [V; 2] = load(self.from, column);
                    let mut sums = [V::zero(); 2];
                    for at in (start + column..end).step_by(row) {
                        let values: [V; 2] = load(self.values, at);
                        for half in 0..2 {
                            sums[half] = if self.square {
                                let deviation = values[half].sub(from[half]);
                                deviation.mul_add(deviation, sums[half])
                            } else {
                                sums[half].add(values[half])
                            };
                        }
                    }
                    add(sums, &mut all, column);
                }
            }
        }
        all
    }
}

/// Where the values that a pass begins with are.
#[derive(Clone, Copy)]
pub enum Source<'a, T> {
    /// In the place where the results go.
    InPlace,
    /// Elsewhere.
    From(&'a [T]),
}

/// What ReLU cuts values off at, or what cuts none off.
pub(crate) fn floor(relu: bool) -> f32 {
    if relu { 0.0 } else { f32::NEG_INFINITY }
}

/// Writes γ (x − mean) / √(variance + ε) + β, plus the residual where there is one, cut off at zero
/// where `relu` says so. All slices are `[pixels, channels]` and equally long.
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
        // SAFETY: kernels run where the instruction set is.
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
                            *value = value.cut(floor);
                        }
                        store(values, self.to, at);
                    }
                }
            }
        }
    }
}

/// What cut the outputs off at zero, and so decides where their gradient passes.
#[derive(Clone, Copy)]
pub enum Cut<'a, T> {
    /// Nothing did.
    Nothing,
    /// ReLU of the normalised value alone, which is computed again.
    Normalised,
    /// ReLU, and these are the outputs.
    Output(&'a [T]),
}

/// What batch normalisation's backward pass has to know of the whole batch, a value a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    /// Sum of the gradient, as far as it passes ReLU: β's gradient.
    pub gradient: Vec<f64>,
    /// Sum of its product with the normalised value before γ and β: γ's gradient.
    pub product: Vec<f64>,
}

impl Sums {
    /// Those of parts together, added in their order.
    pub(crate) fn all(parts: Vec<Self>, channels: usize) -> Self {
        let mut all = Self { gradient: vec![0.0; channels], product: vec![0.0; channels] };
        for part in &parts {
            all.gradient.iter_mut().zip(&part.gradient).for_each(|(all, sum)| *all += sum);
            all.product.iter_mut().zip(&part.product).for_each(|(all, product)| *all += product);
        }
        all
    }
}

/// The [`Sums`] of some pixels.
///
/// `gradient` and `convolved` are `[pixels, channels]`; where `cut` has outputs, the gradient that
/// passes is written to `passed`, which is then as long, and where the gradient may be already.
pub fn gradient_sums<T: Element>(
    isa: Isa,
    channels: &Channels,
    gradient: Source<'_, T>,
    convolved: &[T],
    cut: Cut<'_, T>,
    passed: &mut [T],
) -> Sums {
    if let Source::From(gradient) = gradient {
        assert_eq!(gradient.len(), convolved.len());
    } else {
        assert_eq!(passed.len(), convolved.len());
    }
    if let Cut::Output(output) = cut {
        assert_eq!([output.len(), passed.len()], [convolved.len(); 2]);
    }
    let (sums, products) = isa.run(GradientSums { channels, gradient, convolved, cut, passed });
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
    cut: Cut<'a, T>,
    passed: &'a mut [T],
}

impl<T: Element> Kernel for GradientSums<'_, T> {
    type Output = (Vec<f32>, Vec<f32>);

    #[inline(always)]
    fn run<V: Vector>(self) -> (Vec<f32>, Vec<f32>) {
        let Channels { mean, scale, shift, .. } = self.channels;
        let mut all = (vec![0.0f32; mean.len()], vec![0.0f32; mean.len()]);
        let row = mean.len();
        for start in (0..self.convolved.len()).step_by(stretch(row)) {
            let end = self.convolved.len().min(start + stretch(row));
            for column in (0..row).step_by(2 * V::LANES) {
                // SAFETY: kernels run where the instruction set is.
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
                        match self.cut {
                            Cut::Nothing => {}
                            Cut::Normalised => {
                                for half in 0..2 {
                                    let normal = deviation[half].mul_add(scale[half], shift[half]);
                                    gradient[half] = gradient[half].where_positive(normal);
                                }
                            }
                            Cut::Output(output) => {
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
                    add(sums, &mut all.0, column);
                    add(products, &mut all.1, column);
                }
            }
        }
        all
    }
}

/// The sums of [`gradient_sums`] over a whole batch as coefficients of the gradient before
/// normalisation.
pub struct Backward {
    slope: Vec<f32>,
    offset: Vec<f32>,
}

impl Backward {
    /// `sums` and `products` over `pixels` pixels.
    pub fn new(channels: &Channels, sums: &[f64], products: &[f64], pixels: usize) -> Self {
        let count = channels.count;
        let of = |channel: usize| {
            (f64::from(channels.scale[channel]), f64::from(channels.inverse[channel]))
        };
        let pixels = pixels.max(1) as f64;
        let slope = (0..count).map(|c| (-of(c).0 * of(c).1 * products[c] / pixels) as f32);
        let offset = (0..count).map(|c| (-of(c).0 * sums[c] / pixels) as f32);
        Self { slope: repeated(slope, count), offset: repeated(offset, count) }
    }
}

/// Writes the gradient before normalisation, γ/σ (g − mean of g − x̂ · mean of g x̂), with g the
/// gradient that passes and x̂ the normalised value before γ and β. All slices are `[pixels,
/// channels]`. `again` says that `gradient` has yet to be cut by the ReLU of the normalised value.
pub fn gradient<T: Element>(
    isa: Isa,
    channels: &Channels,
    backward: &Backward,
    gradient: &[T],
    convolved: &[T],
    again: bool,
    to: &mut [T],
) {
    assert_eq!([gradient.len(), convolved.len()], [to.len(); 2]);
    isa.run(Gradient { channels, backward, gradient, convolved, again, to });
}

struct Gradient<'a, T> {
    channels: &'a Channels,
    backward: &'a Backward,
    gradient: &'a [T],
    convolved: &'a [T],
    again: bool,
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
                // SAFETY: kernels run where the instruction set is.
                unsafe {
                    let [mean, scale, shift, slope, offset]: [[V; 2]; 5] =
                        [mean, scale, shift, slope, offset].map(|values| load(values, column));
                    for at in (start + column..end).step_by(row) {
                        let mut gradient: [V; 2] = load(self.gradient, at);
                        let value: [V; 2] = load(self.convolved, at);
                        for half in 0..2 {
                            let deviation = value[half].sub(mean[half]);
                            if self.again {
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
