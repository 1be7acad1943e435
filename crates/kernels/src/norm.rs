//! Batch normalisation's passes over activations, channels last.
//!
//! Coefficients of the channels are repeated to several hundred values, so that the loops are long even
//! where the channels are few, and column sums are kept for each of those values, so that every sum is short.

use crate::element::Element;
use crate::isa::{Isa, Kernel, Vector};

/// What the passes need to know of each channel, ready for their loops.
pub struct Channels {
    count: usize,
    mean: Vec<f32>,
    inverse: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// Values that a loop runs over without a break, at least.
const STRETCH: usize = 256;

/// How many values the coefficients are repeated to.
fn tile(channels: usize) -> usize {
    channels * (STRETCH / channels).max(1)
}

fn repeated(values: impl Iterator<Item = f32> + Clone, channels: usize) -> Vec<f32> {
    values.cycle().take(tile(channels)).collect()
}

impl Channels {
    /// γ (x − mean) / √(variance + ε) + β, with every slice a value a channel.
    ///
    /// # Panics
    ///
    /// If the slices' lengths differ or are zero.
    pub fn new(mean: &[f32], variance: &[f32], gamma: &[f32], beta: &[f32], epsilon: f64) -> Self {
        let count = mean.len();
        assert!(count > 0 && [variance.len(), gamma.len(), beta.len()] == [count; 3], "one value a channel");
        let inverse = variance.iter().map(|&variance| (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32);
        let scale = inverse.clone().zip(gamma).map(|(inverse, &gamma)| inverse * gamma);
        Self {
            count,
            mean: repeated(mean.iter().copied(), count),
            scale: repeated(scale, count),
            inverse: repeated(inverse, count),
            shift: repeated(beta.iter().copied(), count),
        }
    }

    /// Mean, scale and shift of `N` channels from `first` on, where there are so many.
    pub(crate) fn block<const N: usize>(&self, first: usize) -> [[f32; N]; 3] {
        [&self.mean, &self.scale, &self.shift].map(|values| match values.get(first..).and_then(<[f32]>::first_chunk) {
            Some(block) => *block,
            None => std::array::from_fn(|lane| values.get(first + lane).copied().unwrap_or_default()),
        })
    }

    /// Sums of the repeated coefficients, added to one a channel.
    fn folded(&self, sums: &[f32]) -> Vec<f64> {
        fold(sums, self.count)
    }
}

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
        let mut mean = fold(&isa.run(Deviations { values, from: &vec![0.0; tile(channels)], square: false }), channels);
        mean.iter_mut().for_each(|mean| *mean /= count.max(1.0));
        let from = repeated(mean.iter().map(|&mean| mean as f32), channels);
        let squares = fold(&isa.run(Deviations { values, from: &from, square: true }), channels);
        Self { count, mean, squares }
    }

    /// Those of `count` pixels, of which the sums of deviations from `from` and of their squares are known.
    pub(crate) fn shifted(count: usize, from: &[f32], sums: &[f32], squares: &[f32]) -> Self {
        let pixels = count as f64;
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        let (from, sums, squares) = (wide(from), wide(sums), wide(squares));
        let mean = from.iter().zip(&sums).map(|(from, sum)| from + sum / pixels).collect();
        let squares = squares.iter().zip(&sums).map(|(square, sum)| (square - sum * sum / pixels).max(0.0)).collect();
        Self { count: pixels, mean, squares }
    }

    /// Those of both samples together (Chan, Golub and LeVeque 1979).
    pub fn merge(mut self, other: &Self) -> Self {
        let count = self.count + other.count;
        if count > 0.0 {
            for channel in 0..self.mean.len() {
                let delta = other.mean[channel] - self.mean[channel];
                self.mean[channel] += delta * other.count / count;
                self.squares[channel] += other.squares[channel] + delta * delta * self.count * other.count / count;
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

/// Sums of `values − from`, or of its squares, for each of the repeated coefficients.
struct Deviations<'a> {
    values: &'a [f32],
    from: &'a [f32],
    square: bool,
}

impl Kernel for Deviations<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<f32> {
        let mut sums = vec![0.0f32; self.from.len()];
        for values in self.values.chunks(self.from.len()) {
            let terms = sums.iter_mut().zip(values).zip(self.from);
            if self.square {
                terms.for_each(|((sum, value), from)| {
                    let deviation = value - from;
                    *sum = V::multiply_add(deviation, deviation, *sum);
                });
            } else {
                terms.for_each(|((sum, value), _)| *sum += value);
            }
        }
        sums
    }
}

/// Where the values to be normalised are.
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

/// Writes γ (x − mean) / √(variance + ε) + β, plus the residual where there is one, cut off at zero where
/// `relu` says so. All slices are `[pixels, channels]` and equally long.
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
        let tile = mean.len();
        let floor = self.floor;
        let normal = |value: f32, mean: f32, scale: f32, shift: f32| V::multiply_add(value - mean, scale, shift);
        for (index, to) in self.to.chunks_mut(tile).enumerate() {
            let at = index * tile..index * tile + to.len();
            let coefficients = mean.iter().zip(scale).zip(shift);
            match (&self.from, self.residual) {
                (Source::From(from), None) => {
                    let values = to.iter_mut().zip(&from[at]);
                    values.zip(coefficients).for_each(|((to, from), ((mean, scale), shift))| {
                        *to = U::of(cut(normal(from.single(), *mean, *scale, *shift), floor));
                    });
                }
                (Source::From(from), Some(residual)) => {
                    let values = to.iter_mut().zip(&from[at.clone()]).zip(&residual[at]);
                    values.zip(coefficients).for_each(|(((to, from), residual), ((mean, scale), shift))| {
                        let value = normal(from.single(), *mean, *scale, *shift) + residual.single();
                        *to = U::of(cut(value, floor));
                    });
                }
                (Source::InPlace, None) => {
                    to.iter_mut().zip(coefficients).for_each(|(to, ((mean, scale), shift))| {
                        *to = U::of(cut(normal(to.single(), *mean, *scale, *shift), floor));
                    });
                }
                (Source::InPlace, Some(residual)) => {
                    let values = to.iter_mut().zip(&residual[at]);
                    values.zip(coefficients).for_each(|((to, residual), ((mean, scale), shift))| {
                        let value = normal(to.single(), *mean, *scale, *shift) + residual.single();
                        *to = U::of(cut(value, floor));
                    });
                }
            }
        }
    }
}

/// The value, or the floor if the value is below it; not-a-number stays.
#[inline(always)]
pub(crate) fn cut(value: f32, floor: f32) -> f32 {
    if value < floor { floor } else { value }
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
/// `gradient` and `convolved` are `[pixels, channels]`; where `cut` has outputs, the gradient that passes is
/// written to `passed`, which is then as long.
pub fn gradient_sums<T: Element>(
    isa: Isa,
    channels: &Channels,
    gradient: &[T],
    convolved: &[T],
    cut: Cut<'_, T>,
    passed: &mut [T],
) -> Sums {
    assert_eq!(gradient.len(), convolved.len());
    if let Cut::Output(output) = cut {
        assert_eq!([output.len(), passed.len()], [gradient.len(); 2]);
    }
    let (sums, products) = isa.run(GradientSums { channels, gradient, convolved, cut, passed });
    Sums { gradient: channels.folded(&sums), product: channels.folded(&products) }
}

struct GradientSums<'a, T> {
    channels: &'a Channels,
    gradient: &'a [T],
    convolved: &'a [T],
    cut: Cut<'a, T>,
    passed: &'a mut [T],
}

impl<T: Element> Kernel for GradientSums<'_, T> {
    type Output = (Vec<f32>, Vec<f32>);

    #[inline(always)]
    fn run<V: Vector>(self) -> (Vec<f32>, Vec<f32>) {
        let Channels { mean, inverse, scale, shift, .. } = self.channels;
        let tile = mean.len();
        let (mut sums, mut products) = (vec![0.0f32; tile], vec![0.0f32; tile]);
        let stretches = self.gradient.chunks(tile).zip(self.convolved.chunks(tile));
        for (index, (gradient, convolved)) in stretches.enumerate() {
            let at = index * tile..index * tile + gradient.len();
            let sums = sums.iter_mut().zip(&mut products);
            let values = gradient.iter().zip(convolved);
            let coefficients = mean.iter().zip(inverse);
            match self.cut {
                Cut::Nothing => {
                    sums.zip(values).zip(coefficients).for_each(
                        |(((sum, product), (gradient, value)), (mean, inverse))| {
                            let (gradient, value) = (gradient.single(), value.single());
                            *sum += gradient;
                            *product = V::multiply_add(gradient, (value - mean) * inverse, *product);
                        },
                    );
                }
                Cut::Normalised => sums.zip(values).zip(coefficients).zip(scale.iter().zip(shift)).for_each(
                    |((((sum, product), (gradient, value)), (mean, inverse)), (scale, shift))| {
                        let value = value.single();
                        let kept = V::multiply_add(value - mean, *scale, *shift) > 0.0;
                        let gradient = if kept { gradient.single() } else { 0.0 };
                        *sum += gradient;
                        *product = V::multiply_add(gradient, (value - mean) * inverse, *product);
                    },
                ),
                Cut::Output(output) => {
                    let outputs = output[at.clone()].iter().zip(&mut self.passed[at]);
                    sums.zip(values).zip(coefficients).zip(outputs).for_each(
                        |((((sum, product), (gradient, value)), (mean, inverse)), (output, passed))| {
                            let gradient = if output.single() > 0.0 { gradient.single() } else { 0.0 };
                            *passed = T::of(gradient);
                            *sum += gradient;
                            *product = V::multiply_add(gradient, (value.single() - mean) * inverse, *product);
                        },
                    );
                }
            }
        }
        (sums, products)
    }
}

/// The sums of [`gradient_sums`] over a whole batch as coefficients of the gradient before normalisation.
pub struct Backward {
    slope: Vec<f32>,
    offset: Vec<f32>,
}

impl Backward {
    /// `sums` and `products` over `pixels` pixels.
    pub fn new(channels: &Channels, sums: &[f64], products: &[f64], pixels: usize) -> Self {
        let count = channels.count;
        let of = |channel: usize| (f64::from(channels.scale[channel]), f64::from(channels.inverse[channel]));
        let pixels = pixels.max(1) as f64;
        let slope = (0..count).map(|c| (-of(c).0 * of(c).1 * products[c] / pixels) as f32);
        let offset = (0..count).map(|c| (-of(c).0 * sums[c] / pixels) as f32);
        Self { slope: repeated(slope, count), offset: repeated(offset, count) }
    }
}

/// Writes the gradient before normalisation, γ/σ (g − mean of g − x̂ · mean of g x̂), with g the gradient that
/// passes and x̂ the normalised value before γ and β. All slices are `[pixels, channels]`. `again` says that
/// `gradient` has yet to be cut by the ReLU of the normalised value.
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
        let tile = mean.len();
        let stretches = self.gradient.chunks(tile).zip(self.convolved.chunks(tile));
        for (to, (gradient, convolved)) in self.to.chunks_mut(tile).zip(stretches) {
            let values = to.iter_mut().zip(gradient).zip(convolved);
            let coefficients = mean.iter().zip(scale).zip(shift).zip(slope.iter().zip(offset));
            if self.again {
                values.zip(coefficients).for_each(
                    |(((to, gradient), value), (((mean, scale), shift), (slope, offset)))| {
                        let value = value.single();
                        let kept = V::multiply_add(value - mean, *scale, *shift) > 0.0;
                        let gradient = if kept { gradient.single() } else { 0.0 };
                        let rest = V::multiply_add(value - mean, *slope, *offset);
                        *to = T::of(V::multiply_add(gradient, *scale, rest));
                    },
                );
            } else {
                values.zip(coefficients).for_each(
                    |(((to, gradient), value), (((mean, scale), _), (slope, offset)))| {
                        let rest = V::multiply_add(value.single() - mean, *slope, *offset);
                        *to = T::of(V::multiply_add(gradient.single(), *scale, rest));
                    },
                );
            }
        }
    }
}
