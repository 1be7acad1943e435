//! The linear probe: multinomial logistic regression on frozen features.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, MatMut, MatRef, Side};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::features::{Features, Standardised, column_means, column_variances};
use crate::lbfgs::{self, Convex};
use crate::rows::{Chosen, Stacked};
use crate::{Error, MAX_DIM, Rows, Trials, labels, matrix};

/// Regularisation strengths λ that are tried, strongest first.
pub const LAMBDAS: [f64; 7] = [10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5];

/// Share of the gradient at zero weights, in the norm of the preconditioner, at which a fit has
/// converged.
const TOLERANCE: f64 = 1e-4;
const MAX_ITERATIONS: usize = 500;
/// Number of bytes of features that are standardised at a time, so that they stay in the
/// second-level cache.
const BLOCK_BYTES: usize = 512 << 10;
/// Number of standardised values that are kept in memory, 256 MiB. More are computed anew each time
/// they are read.
const MOST_IN_MEMORY: usize = 64 << 20;
/// Number of parameters of all fits up to which they go side by side. Each fit remembers some 30
/// vectors of its parameters, so that all of them take 500 MB.
const MOST_AT_ONCE: usize = 2 << 20;

/// Result of the fit for one regularisation strength.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PathPoint {
    /// Regularisation strength λ.
    pub lambda: f64,
    /// Number of L-BFGS iterations from the previous, more strongly regularised fit.
    pub iterations: usize,
    /// Whether the gradient fell to a ten-thousandth of its size at zero weights. Otherwise the fit
    /// stopped earlier: after 500 iterations, or when f32 products left no descent to follow.
    pub converged: bool,
    /// Accuracy on the validation rows, as a fraction of 1.
    pub validation_accuracy: f64,
}

/// A fitted linear classifier: argmax over r of `bias[r] + Σ_c weights[r·dim + c] · z[c]`, with
/// `z[c] = (x[c] − mean[c]) · scale[c]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Classes with a training row, ascending. Only these classes can be predicted. Row r of
    /// `weights` and `bias` belongs to `classes[r]`.
    pub classes: Vec<u32>,
    /// Classes without a training row, ascending. They are never predicted.
    pub absent: Vec<u32>,
    /// Weights on standardised features, `classes.len()` × dim, row-major.
    pub weights: Vec<f64>,
    /// Biases, one per entry of `classes`.
    pub bias: Vec<f64>,
    /// Mean of each feature over the training rows.
    pub mean: Vec<f32>,
    /// Inverse of each feature's standard deviation over the training rows, or 0 for a constant
    /// feature.
    pub scale: Vec<f32>,
    /// The chosen point of the path.
    pub chosen: PathPoint,
    /// Results for all strengths, strongest first.
    pub path: Vec<PathPoint>,
}

/// Fits a linear probe on the training rows for each of [`LAMBDAS`] and keeps the probe with the
/// best validation accuracy. If several are equally good, the most strongly regularised probe is
/// kept. The probe is not fitted again with the validation rows.
///
/// The objective is the mean cross-entropy of softmax(Wz + b) plus λ/2 ‖W‖²; biases are not
/// penalised. The values z are the features, standardised by the mean and standard deviation of the
/// training rows. So the fit does not change if a feature is shifted or scaled. A feature that is
/// constant over the training rows, up to f32 rounding of its mean, is left out.
///
/// The fit for each strength starts from the solution for the next stronger one, and minimises the
/// objective by L-BFGS on all rows. The preconditioner is the upper bound ½ ZᵀZ/n + λI of the
/// Hessian (Böhning, "Multinomial logistic regression algorithm", Ann. Inst. Statist. Math. 1992).
/// The preconditioner changes the path to the minimum, not the minimum itself. With two features or
/// more for each row, the weights are sought where they must lie, in the span of the rows. Above
/// 4,096 weights a class there is no preconditioner. The result does not depend on the number of
/// threads.
///
/// # Errors
/// [`Error::TooFewRows`] without training or validation rows, [`Error::Dim`] if the matrices differ
/// in width, and [`Error::Count`], [`Error::Label`] and [`Error::Classes`] for the labels.
///
/// ```
/// use selfsame_eval::{Features, probe};
///
/// let train = Features::new(4, 1, vec![-2.0, -1.0, 1.0, 2.0])?;
/// let probe = probe::fit(&train, &[0, 0, 1, 1], &train, &[0, 0, 1, 1], 2)?;
/// assert!(probe.chosen.converged);
/// assert_eq!(probe.chosen.validation_accuracy, 1.0);
/// assert_eq!(probe.predict(&Features::new(2, 1, vec![-7.0, 0.5])?)?, [0, 1]);
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn fit(
    train: &dyn Rows,
    train_labels: &[u32],
    validation: &dyn Rows,
    validation_labels: &[u32],
    classes: usize,
) -> Result<Probe, Error> {
    for (set, rows, labels) in
        [("train", train, train_labels), ("validation", validation, validation_labels)]
    {
        if rows.rows() == 0 {
            return Err(Error::TooFewRows { set, found: 0, needed: 1 });
        }
        if rows.dim() != train.dim() {
            return Err(Error::Dim { set, found: rows.dim(), expected: train.dim() });
        }
        labels::check(set, labels, rows.rows(), classes)?;
    }

    let labels = [train_labels, validation_labels].concat();
    let (first, both) = (train.rows(), train.rows() + validation.rows());
    let trials = Trials::held_out((0..first).collect(), (first..both).collect());
    choose(&Stacked([train, validation]), &labels, classes, &trials, &mut |_| ())
}

/// The fit for one regularisation strength. The fields are those of a [`Probe`].
pub(crate) struct Fit<'a> {
    classes: &'a [u32],
    weights: &'a [f64],
    bias: &'a [f64],
    mean: &'a [f32],
    scale: &'a [f32],
}

impl Fit<'_> {
    /// Returns the probability of each of `classes` classes for each row, row by row. A class
    /// without a training row has probability 0.
    pub fn probabilities(&self, rows: &dyn Rows, classes: usize) -> Vec<f64> {
        let rows = Standardised::new(rows, self.mean, self.scale);
        let mut probabilities = vec![0.0; rows.rows() * classes];
        for_scores(&rows, self.weights, self.bias, &mut probabilities, &|scores, into| {
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
            for (&class, score) in self.classes.iter().zip(scores) {
                into[class as usize] = (score - largest).exp() / total;
            }
        });
        probabilities
    }
}

/// Fits the probe for each of [`LAMBDAS`], strongest first, and passes each fit to `each`, with the
/// index of its strength. The labels have been checked.
pub(crate) fn fit_path(
    train: &dyn Rows,
    train_labels: &[u32],
    classes: usize,
    each: &mut dyn FnMut(usize, &Fit<'_>),
) -> Result<(), Error> {
    let (mean, scale) = standardisation(train);
    let (present, _) = labels::present_and_absent(train_labels, classes);
    let targets: Vec<u32> = train_labels
        .iter()
        .map(|label| present.partition_point(|class| class < label) as u32)
        .collect();
    let standardised = Standardised::new(train, &mean, &scale);
    let space = Space::of(&standardised);
    let features = space.rows(&standardised)?;
    let curvature = Curvature::of(&*features)?;
    let mut descent = Descent::new(&*features, &targets, present.len());
    for (at, lambda) in LAMBDAS.into_iter().enumerate() {
        descent.minimise(lambda, curvature.plus(lambda));
        let (weights, bias) = descent.split();
        let weights = &space.weights(weights);
        each(at, &Fit { classes: &present, weights, bias, mean: &mean, scale: &scale });
    }
    Ok(())
}

/// Does as [`fit`], but chooses the strength by [`Trials`]: the one with which most rows of the
/// trials are classified right. The probe is fitted on all rows that the trials name for that.
/// `labels` has a label for each of `rows`.
///
/// Features are standardised over all these rows, in trials too. `advance` is called with the number
/// of strengths that have been tried.
///
/// # Errors
/// [`Error::TooFewRows`] without rows to fit, and [`Error::Count`], [`Error::Label`] and
/// [`Error::Classes`] for the labels.
///
/// ```
/// use selfsame_eval::{Features, Trials, probe};
///
/// let rows = Features::new(10, 1, (0..10).map(|at| at as f32).collect())?;
/// let labels = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1];
/// let trials = Trials::folds(&labels, &[], 0);
/// let probe = probe::choose(&rows, &labels, 2, &trials, &mut |_| ())?;
/// assert_eq!(probe.predict(&rows)?, labels);
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn choose(
    rows: &dyn Rows,
    labels: &[u32],
    classes: usize,
    trials: &Trials,
    advance: &mut dyn FnMut(usize),
) -> Result<Probe, Error> {
    labels::check("train", labels, rows.rows(), classes)?;
    if trials.all.is_empty() {
        return Err(Error::TooFewRows { set: "train", found: 0, needed: 1 });
    }
    let all = Chosen { rows, chosen: &trials.all };
    let (mean, scale) = standardisation(&all);
    let standardised = Standardised::new(rows, &mean, &scale);
    let space = Space::of(&Chosen { rows: &standardised, chosen: &trials.all });
    let rows = &*space.rows(&standardised)?;
    let curvature = Curvature::of(&Chosen { rows, chosen: &trials.all })?;
    let (present, absent) = labels::present_and_absent(&labels::pick(labels, &trials.all), classes);
    let row_of = |label: u32| present.partition_point(|&class| class < label) as u32;

    // One fit on all rows, and one on the rows of each part, unless these are all rows too.
    let own = trials.parts.iter().any(|part| part.fit != trials.all);
    let parts = if own { &trials.parts[..] } else { &[] };
    let sets: Vec<Chosen<'_>> = std::iter::once(&trials.all)
        .chain(parts.iter().map(|part| &part.fit))
        .map(|chosen| Chosen { rows, chosen })
        .collect();
    let targets: Vec<Vec<u32>> = sets
        .iter()
        .map(|set| set.chosen.iter().map(|&row| row_of(labels[row])).collect())
        .collect();
    let mut fits: Vec<Descent<'_>> = sets
        .iter()
        .zip(&targets)
        .map(|(set, targets)| Descent::new(set, targets, present.len()))
        .collect();
    let mut best: Option<(PathPoint, Vec<f64>)> = None;
    let mut path = Vec::with_capacity(LAMBDAS.len());
    for lambda in LAMBDAS {
        let curvature = curvature.plus(lambda);
        let parallel = fits.len() * present.len() * (rows.dim() + 1) <= MOST_AT_ONCE;
        let minimise = |fit: &mut Descent<'_>| fit.minimise(lambda, curvature.clone());
        let outcomes: Vec<lbfgs::Outcome> = match parallel {
            true => fits.par_iter_mut().map(minimise).collect(),
            false => fits.iter_mut().map(minimise).collect(),
        };
        let (mut right, mut tried) = (0, 0);
        for (at, part) in trials.parts.iter().enumerate() {
            let held = Chosen { rows, chosen: &part.held };
            let (weights, bias) = fits[if own { at + 1 } else { 0 }].split();
            let predicted = predict(&held, weights, bias, &present);
            right += labels::right(&predicted, &labels::pick(labels, &part.held));
            tried += part.held.len();
        }
        let point = PathPoint {
            lambda,
            iterations: outcomes[0].iterations,
            converged: outcomes[0].converged,
            validation_accuracy: right as f64 / tried.max(1) as f64,
        };
        path.push(point);
        advance(path.len());
        if best
            .as_ref()
            .is_none_or(|(best, _)| point.validation_accuracy > best.validation_accuracy)
        {
            best = Some((point, fits[0].parameters.clone()));
        }
    }
    let (chosen, mut weights) = best.expect("LAMBDAS is not empty");
    let bias = weights.split_off(present.len() * rows.dim());
    let weights = space.weights(&weights).into_owned();
    Ok(Probe { classes: present, absent, weights, bias, mean, scale, chosen, path })
}

/// Where the weights of a fit are sought.
enum Space {
    /// One weight for each feature.
    Features,
    /// One weight for each column of this basis, whose columns are orthonormal and span the rows.
    /// The penalty leaves no weight outside of the span, and is the same for the weights in either
    /// form, so the minimum is the same, and found with far fewer operations.
    Span(Mat<f64>),
}

impl Space {
    /// Returns the smaller space: that of the features, or the span of the rows.
    fn of(rows: &dyn Rows) -> Self {
        let (count, dim) = (rows.rows(), rows.dim());
        if 2 * count > dim {
            return Self::Features;
        }
        let mut values = vec![0.0; count * dim];
        matrix::read_block(rows, 0..count, &mut values);
        Self::Span(
            Mat::from_fn(dim, count, |i, j| f64::from(values[j * dim + i])).qr().compute_thin_Q(),
        )
    }

    /// Reads rows as points of the space.
    fn rows<'r>(&self, rows: &'r dyn Rows) -> Result<Box<dyn Rows + 'r>, Error> {
        let Self::Span(basis) = self else {
            // The fits read all rows in each step.
            let (count, dim) = (rows.rows(), rows.dim());
            if count.saturating_mul(dim) > MOST_IN_MEMORY {
                return Ok(Box::new(rows));
            }
            let mut values = vec![0.0; count * dim];
            values.par_chunks_mut(dim).enumerate().for_each(|(row, into)| rows.read(row, into));
            return Ok(Box::new(Features::new(count, dim, values)?));
        };
        let (dim, width) = (basis.nrows(), basis.ncols());
        let mut points = vec![0.0; rows.rows() * width];
        let step = matrix::block_rows(BLOCK_BYTES, dim, 8, 64);
        points.par_chunks_mut(step * width).enumerate().for_each(|(block, points)| {
            let count = points.len() / width;
            let mut values = vec![0.0; count * dim];
            matrix::read_block(rows, block * step..block * step + count, &mut values);
            let values = Mat::from_fn(count, dim, |i, j| f64::from(values[i * dim + j]));
            let found = matrix::product(values.as_ref(), basis.as_ref());
            for (at, point) in points.iter_mut().enumerate() {
                *point = found[(at / width, at % width)] as f32;
            }
        });
        Ok(Box::new(Features::new(rows.rows(), width, points)?))
    }

    /// Returns weights of features for weights of the space, which stand class by class.
    fn weights<'w>(&self, weights: &'w [f64]) -> Cow<'w, [f64]> {
        let Self::Span(basis) = self else { return weights.into() };
        let classes = weights.len() / basis.ncols();
        let weights = MatRef::from_column_major_slice(weights, basis.ncols(), classes);
        let found = matrix::product(basis.as_ref(), weights);
        found.col_iter().flat_map(|column| column.iter()).copied().collect()
    }
}

/// The bound of the Hessian, but for the strength.
struct Curvature {
    /// Σ z zᵀ over the rows, or `None` where there are too many features for it.
    moments: Option<Vec<f64>>,
    rows: usize,
    dim: usize,
}

impl Curvature {
    fn of(features: &dyn Rows) -> Result<Self, Error> {
        let (rows, dim) = (features.rows(), features.dim());
        let moments = (dim <= MAX_DIM).then(|| matrix::second_moments(features)).transpose()?;
        Ok(Self { moments, rows, dim })
    }

    /// Computes the Cholesky factor of the bound ½ ZᵀZ/n + λI, if it exists.
    fn plus(&self, lambda: f64) -> Option<Arc<Llt<f64>>> {
        let moments = MatRef::from_column_major_slice(self.moments.as_deref()?, self.dim, self.dim);
        let half_mean = 0.5 / self.rows as f64;
        let bound = faer::Mat::from_fn(self.dim, self.dim, |row, column| {
            half_mean * moments[(row, column)] + if row == column { lambda } else { 0.0 }
        });
        bound.llt(Side::Lower).ok().map(Arc::new)
    }
}

/// A fit along the path of strengths.
struct Descent<'a> {
    objective: Objective<'a>,
    parameters: Vec<f64>,
    first_gradient: Vec<f64>,
}

impl<'a> Descent<'a> {
    fn new(rows: &'a dyn Rows, targets: &'a [u32], classes: usize) -> Self {
        let objective = Objective { rows, targets, classes, lambda: 0.0, curvature: None };
        let parameters = vec![0.0; classes * (rows.dim() + 1)];
        let mut first_gradient = parameters.clone();
        objective.evaluate(&parameters, &mut first_gradient);
        Self { objective, parameters, first_gradient }
    }

    /// Goes on from the solution for the last strength to the solution for the next.
    fn minimise(&mut self, lambda: f64, curvature: Option<Arc<Llt<f64>>>) -> lbfgs::Outcome {
        self.objective.lambda = lambda;
        self.objective.curvature = curvature;
        let target = TOLERANCE * lbfgs::gradient_norm(&self.objective, &self.first_gradient);
        lbfgs::minimise(&self.objective, &mut self.parameters, target, MAX_ITERATIONS)
    }

    /// Returns weights and biases.
    fn split(&self) -> (&[f64], &[f64]) {
        self.parameters.split_at(self.objective.classes * self.objective.rows.dim())
    }
}

impl Probe {
    /// Returns the class of each row. If two classes have equal scores, the lower class is
    /// returned.
    ///
    /// # Errors
    /// [`Error::Dim`] if the rows differ from the training rows in dimension.
    pub fn predict(&self, rows: &dyn Rows) -> Result<Vec<u32>, Error> {
        if rows.dim() != self.mean.len() {
            return Err(Error::Dim {
                set: "queries",
                found: rows.dim(),
                expected: self.mean.len(),
            });
        }
        let rows = Standardised::new(rows, &self.mean, &self.scale);
        Ok(predict(&rows, &self.weights, &self.bias, &self.classes))
    }
}

/// Computes the mean and the inverse standard deviation of each column. The inverse is 0 for a
/// constant column.
fn standardisation(rows: &dyn Rows) -> (Vec<f32>, Vec<f32>) {
    let means = column_means(rows);
    let scale = |(&mean, variance): (&f64, f64)| {
        let deviation = variance.sqrt();
        // Twice the inverse must be finite as well; see `Standardised`.
        let inverse = deviation.recip() as f32;
        let constant =
            deviation <= f64::from(f32::EPSILON) * mean.abs() || !(2.0 * inverse).is_finite();
        if constant { 0.0 } else { inverse }
    };
    let scales = means.iter().zip(column_variances(rows, &means)).map(scale).collect();
    (means.iter().map(|&mean| mean as f32).collect(), scales)
}

fn predict(rows: &dyn Rows, weights: &[f64], bias: &[f64], classes: &[u32]) -> Vec<u32> {
    let mut predicted = vec![0; rows.rows()];
    for_scores(rows, weights, bias, &mut predicted, &|scores, into| {
        into[0] = classes[labels::largest(scores)];
    });
    predicted
}

/// Computes the scores of each row, one for each entry of `bias`, and passes them to `each` with
/// the row's equal part of `into`.
fn for_scores<T: Send>(
    rows: &dyn Rows,
    weights: &[f64],
    bias: &[f64],
    into: &mut [T],
    each: &(dyn Fn(&[f64], &mut [T]) + Sync),
) {
    if rows.rows() == 0 {
        return;
    }
    let (dim, width) = (rows.dim(), into.len() / rows.rows());
    let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
    let step = matrix::block_rows(BLOCK_BYTES, dim, 4, 1024);
    into.par_chunks_mut(step * width).enumerate().for_each(|(block, into)| {
        let (first, count) = (block * step, into.len() / width);
        let mut z = vec![0.0; count * dim];
        let mut products = vec![0.0; count * bias.len()];
        matrix::read_block(rows, first..first + count, &mut z);
        matrix::product_transposed(&mut products, &z, &weights, dim);
        let mut scores = vec![0.0; bias.len()];
        let of_rows = into.chunks_exact_mut(width).zip(products.chunks_exact(bias.len()));
        for (into, products) in of_rows {
            for ((score, &product), bias) in scores.iter_mut().zip(products).zip(bias) {
                *score = f64::from(product) + bias;
            }
            each(&scores, into);
        }
    });
}

/// The mean cross-entropy plus λ/2 ‖W‖², as a function of W (classes × dim) followed by b.
struct Objective<'a> {
    rows: &'a dyn Rows,
    /// Row of W for each training row.
    targets: &'a [u32],
    classes: usize,
    lambda: f64,
    curvature: Option<Arc<Llt<f64>>>,
}

impl Convex for Objective<'_> {
    fn evaluate(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let (weights, bias) = parameters.split_at(self.classes * self.rows.dim());
        let narrow: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
        let parts: Vec<(f64, Vec<f64>)> = matrix::chunks(self.rows.rows(), parameters.len())
            .into_par_iter()
            .map(|chunk| self.evaluate_chunk(chunk, &narrow, bias))
            .collect();

        let share = 1.0 / self.rows.rows() as f64;
        let mut value = 0.0;
        gradient.fill(0.0);
        for (loss, part) in parts {
            value += share * loss;
            gradient.iter_mut().zip(part).for_each(|(sum, part)| *sum += share * part);
        }
        for (gradient, weight) in gradient.iter_mut().zip(weights) {
            *gradient += self.lambda * weight;
            value += 0.5 * self.lambda * weight * weight;
        }
        value
    }

    /// Multiplies each class's weights by (½ ZᵀZ/n + λI)⁻¹ and its bias by (½)⁻¹. The other factor
    /// of the bound, I − 11ᵀ/K, is the identity on gradients, because they sum to zero over the
    /// classes.
    fn precondition(&self, vector: &mut [f64]) {
        let Some(curvature) = &self.curvature else { return };
        let (weights, bias) = vector.split_at_mut(self.classes * self.rows.dim());
        curvature.solve_in_place(MatMut::from_column_major_slice_mut(
            weights,
            self.rows.dim(),
            self.classes,
        ));
        bias.iter_mut().for_each(|bias| *bias *= 2.0);
    }
}

impl Objective<'_> {
    /// Sums the cross-entropy and its gradient over the rows of `chunk`.
    fn evaluate_chunk(
        &self,
        chunk: Range<usize>,
        weights: &[f32],
        bias: &[f64],
    ) -> (f64, Vec<f64>) {
        let (dim, classes) = (self.rows.dim(), self.classes);
        let step = matrix::block_rows(BLOCK_BYTES, dim, 4, 1024);
        let (mut z, mut scores) = (vec![0.0; step * dim], vec![0.0; step * classes]);
        let mut block_gradient = vec![0.0; classes * dim];
        let mut residual = vec![0.0; classes];
        let (mut loss, mut gradient) = (0.0, vec![0.0; classes * dim + classes]);
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(classes * dim);
        for start in chunk.clone().step_by(step) {
            let count = step.min(chunk.end - start);
            let (z, scores) = (&mut z[..count * dim], &mut scores[..count * classes]);
            matrix::read_block(self.rows, start..start + count, z);
            matrix::product_transposed(scores, z, weights, dim);
            for (scores, &target) in scores.chunks_exact_mut(classes).zip(&self.targets[start..]) {
                for ((residual, &score), bias) in residual.iter_mut().zip(&*scores).zip(bias) {
                    *residual = f64::from(score) + bias;
                }
                loss += cross_entropy(&mut residual, target as usize);
                for ((score, residual), sum) in
                    scores.iter_mut().zip(&residual).zip(&mut *bias_gradient)
                {
                    *score = *residual as f32;
                    *sum += residual;
                }
            }
            matrix::transposed_product(&mut block_gradient, scores, z, count);
            weight_gradient
                .iter_mut()
                .zip(&block_gradient)
                .for_each(|(sum, &part)| *sum += f64::from(part));
        }
        (loss, gradient)
    }
}

/// Returns −log softmax(scores)\[target\] and turns the scores into its gradient. The term of the
/// target is computed separately, so that neither value nor gradient loses precision as the
/// probability of the target approaches 1.
fn cross_entropy(scores: &mut [f64], target: usize) -> f64 {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lead = largest - scores[target];
    let mut others = 0.0;
    for (class, score) in scores.iter_mut().enumerate() {
        *score = (*score - largest).exp();
        if class != target {
            others += *score;
        }
    }
    let own = scores[target];
    let total = own + others;
    scores.iter_mut().for_each(|score| *score /= total);
    scores[target] = -others / total;
    if lead == 0.0 { others.ln_1p() } else { lead + total.ln() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Features;
    use crate::testing::{in_pool, labels, random};

    fn objective<'a>(
        rows: &'a Features,
        targets: &'a [u32],
        classes: usize,
        lambda: f64,
    ) -> Objective<'a> {
        let moments = matrix::second_moments(rows).unwrap();
        // The objective of few rows is preconditioned as well.
        let curvature = Curvature { moments: Some(moments), rows: rows.rows(), dim: rows.dim() };
        Objective { rows, targets, classes, lambda, curvature: curvature.plus(lambda) }
    }

    /// Computes the objective by its definition, in f64.
    fn oracle(
        rows: &Features,
        targets: &[u32],
        classes: usize,
        lambda: f64,
        parameters: &[f64],
    ) -> f64 {
        let (weights, bias) = parameters.split_at(classes * rows.dim());
        let mut sum = 0.0;
        for (row, &target) in targets.iter().enumerate() {
            let score = |class: usize| {
                let weights = &weights[class * rows.dim()..][..rows.dim()];
                bias[class]
                    + weights.iter().zip(rows.row(row)).map(|(w, &x)| w * f64::from(x)).sum::<f64>()
            };
            let total: f64 = (0..classes).map(|class| score(class).exp()).sum();
            sum += total.ln() - score(target as usize);
        }
        sum / rows.rows() as f64 + 0.5 * lambda * weights.iter().map(|w| w * w).sum::<f64>()
    }

    fn oracle_gradient(
        rows: &Features,
        targets: &[u32],
        classes: usize,
        lambda: f64,
        at: &[f64],
    ) -> Vec<f64> {
        const STEP: f64 = 1e-5;
        let value = |index: usize, step: f64| {
            let mut moved = at.to_vec();
            moved[index] += step;
            oracle(rows, targets, classes, lambda, &moved)
        };
        (0..at.len())
            .map(|index| (value(index, STEP) - value(index, -STEP)) / (2.0 * STEP))
            .collect()
    }

    fn parameters(count: usize, seed: u64) -> Vec<f64> {
        random(1, count, seed).values().iter().map(|&value| f64::from(value)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn value_and_gradient_match_finite_differences(
            rows in 1..70_usize, dim in 1..12_usize, classes in 1..6_usize, seed in any::<u64>(),
        ) {
            let (features, targets) = (random(rows, dim, seed), labels(rows, classes, seed));
            let at = parameters(classes * (dim + 1), !seed);
            let mut gradient = vec![0.0; at.len()];
            let value = objective(&features, &targets, classes, 0.3).evaluate(&at, &mut gradient);
            // The error of f32 scores of magnitude below 12 is at most 12 · 14 · 2⁻²⁴ = 1e-5. The
            // same bound holds for their softmax and for all values linear in it. The finite
            // differences add some 1e-10.
            prop_assert!((value - oracle(&features, &targets, classes, 0.3, &at)).abs() < 1e-5);
            for (found, expected) in gradient.iter().zip(oracle_gradient(&features, &targets, classes, 0.3, &at)) {
                prop_assert!((found - expected).abs() < 1e-5, "{} {}", found, expected);
            }
        }

        #[test]
        fn cross_entropy_holds_at_any_magnitude(
            scores in prop::collection::vec(-2e4_f64..2e4, 1..6), target in any::<prop::sample::Index>(),
        ) {
            let target = target.index(scores.len());
            let mut gradient = scores.clone();
            let loss = cross_entropy(&mut gradient, target);
            let largest = scores.iter().copied().fold(f64::MIN, f64::max);
            let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
            prop_assert!((loss - (largest - scores[target] + total.ln())).abs() <= 1e-12 * (1.0 + loss));
            for (class, gradient) in gradient.iter().enumerate() {
                let own = if class == target { 1.0 } else { 0.0 };
                prop_assert!((gradient - ((scores[class] - largest).exp() / total - own)).abs() < 1e-15 * 8.0);
            }
        }
    }

    #[test]
    fn a_sure_prediction_keeps_its_digits() {
        let mut gradient = [50.0, 0.0];
        let loss = cross_entropy(&mut gradient, 0);
        // −log(1 / (1 + e⁻⁵⁰)) = e⁻⁵⁰ up to a relative error of e⁻⁵⁰, although 1 − p would be 0 in
        // f64.
        let expected = (-50_f64).exp();
        assert!(
            (loss / expected - 1.0).abs() < 1e-14 && (gradient[0] / -expected - 1.0).abs() < 1e-14
        );
    }

    #[test]
    fn the_minimum_is_that_of_slow_gradient_descent() {
        let (features, targets) = (random(40, 3, 1), labels(40, 3, 2));
        let lambda = 0.05;
        let mut slow = vec![0.0; 12];
        // The Hessian's norm is at most ½ · max ‖(x, 1)‖² + λ < 2.1, so a step of 0.45 descends.
        for _ in 0..3000 {
            let gradient = oracle_gradient(&features, &targets, 3, lambda, &slow);
            slow.iter_mut().zip(gradient).for_each(|(x, g)| *x -= 0.45 * g);
        }
        let function = objective(&features, &targets, 3, lambda);
        let mut fast = vec![0.0; 12];
        let outcome = lbfgs::minimise(&function, &mut fast, 1e-6, 100);
        assert!(outcome.converged, "{outcome:?}");
        // The error is the gradient, 1e-6 plus f32 rounding of some 1e-7, divided by the smallest
        // curvature, λ.
        let error = slow.iter().zip(&fast).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(error < 5e-5, "{error}: {slow:?} {fast:?}");
    }

    #[test]
    fn the_fit_is_at_the_minimum_of_its_objective() {
        let (features, truth) = (random(60, 4, 5), labels(60, 3, 6));
        let probe = fit(&features, &truth, &features, &truth, 3).unwrap();
        let standardised = Standardised::new(&features, &probe.mean, &probe.scale);
        let mut values = vec![0.0; 60 * 4];
        matrix::read_block(&standardised, 0..60, &mut values);
        let rows = Features::new(60, 4, values).unwrap();
        for column in 0..4 {
            let column = || (0..60).map(|row| f64::from(rows.row(row)[column]));
            assert!(column().sum::<f64>().abs() < 1e-5);
            assert!((column().map(|v| v * v).sum::<f64>() / 60.0 - 1.0).abs() < 1e-5);
        }
        let at: Vec<f64> = probe.weights.iter().chain(&probe.bias).copied().collect();
        let norm = |at: &[f64]| {
            let gradient = oracle_gradient(&rows, &truth, 3, probe.chosen.lambda, at);
            lbfgs::gradient_norm(&objective(&rows, &truth, 3, probe.chosen.lambda), &gradient)
        };
        // The documented bound is 1e-4; f32 products may add the same amount.
        assert!(probe.path.iter().all(|point| point.converged), "{:?}", probe.path);
        assert!(norm(&at) < 2.0 * TOLERANCE * norm(&[0.0; 15]), "{}", norm(&at));
    }

    #[test]
    fn separable_classes_are_separated_with_finite_weights() {
        let train =
            Features::new(6, 2, vec![0., 0., 0., 1., 5., 0., 5., 1., 0., 9., 1., 9.]).unwrap();
        let truth = [0, 0, 1, 1, 2, 2];
        let probe = fit(&train, &truth, &train, &truth, 3).unwrap();
        assert!(probe.path.iter().all(|point| point.converged), "{:?}", probe.path);
        assert_eq!(probe.predict(&train).unwrap(), truth);
        assert!(probe.weights.iter().chain(&probe.bias).all(|weight| weight.is_finite()));
    }

    #[test]
    fn equal_accuracies_go_to_the_strongest() {
        let train = Features::new(4, 1, vec![-2.0, -1.0, 1.0, 2.0]).unwrap();
        let probe = fit(&train, &[0, 0, 1, 1], &train, &[0, 0, 1, 1], 2).unwrap();
        assert_eq!(probe.path.len(), LAMBDAS.len());
        assert!(probe.path.iter().all(|point| point.validation_accuracy == 1.0));
        assert_eq!(probe.chosen, probe.path[0]);
        assert_eq!(probe.chosen.lambda, LAMBDAS[0]);
    }

    #[test]
    fn a_single_class_is_always_predicted() {
        let train = random(9, 3, 0);
        let probe = fit(&train, &[2; 9], &train, &[2; 9], 4).unwrap();
        assert_eq!((probe.classes.as_slice(), probe.absent.as_slice()), (&[2][..], &[0, 1, 3][..]));
        assert!(probe.path.iter().all(|point| point.converged && point.iterations == 0));
        assert_eq!(probe.predict(&random(5, 3, 1)).unwrap(), [2; 5]);
    }

    #[test]
    fn a_class_without_training_rows_is_never_predicted() {
        let train = Features::new(4, 1, vec![-1.0, -2.0, 1.0, 2.0]).unwrap();
        let validation = Features::new(4, 1, vec![-1.0, 0.1, 50.0, 1.0]).unwrap();
        let probe = fit(&train, &[0, 0, 3, 3], &validation, &[0, 1, 2, 3], 4).unwrap();
        assert_eq!(probe.absent, [1, 2]);
        assert_eq!(probe.predict(&validation).unwrap(), [0, 3, 3, 3]);
        assert_eq!(probe.chosen.validation_accuracy, 0.5);
    }

    #[test]
    fn constant_features_are_left_out() {
        // 0.1 has no exact sum, the square of 3e38 is beyond f32, and 1e-44 has no inverse.
        for constant in [0.0, 0.1, 3e38, -1e-44] {
            let values: Vec<f32> = (0..1000).flat_map(|row| [(row % 7) as f32, constant]).collect();
            let train = Features::new(1000, 2, values).unwrap();
            let truth: Vec<u32> = (0..1000).map(|row| u32::from(row % 7 > 3)).collect();
            let probe = fit(&train, &truth, &train, &truth, 2).unwrap();
            assert_eq!(probe.scale[1], 0.0, "{constant}");
            assert!(probe.weights[1] == 0.0 && probe.weights[3] == 0.0, "{constant}");
            assert_eq!(probe.chosen.validation_accuracy, 1.0, "{constant}");
        }
    }

    #[test]
    fn shifting_and_scaling_features_changes_nothing() {
        let (rows, truth) = (random(50, 3, 3), labels(50, 2, 4));
        let fit_scaled = |factors: [f32; 3]| {
            let values = rows
                .values()
                .iter()
                .enumerate()
                .map(|(at, &value)| value * factors[at % 3])
                .collect();
            let rows = Features::new(50, 3, values).unwrap();
            fit(&rows, &truth, &rows, &truth, 2).unwrap()
        };
        // Powers of two scale without rounding, so that the fits agree to the bit.
        let (plain, scaled) =
            (fit_scaled([1.0; 3]), fit_scaled([2_f32.powi(100), 2_f32.powi(-100), -4.0]));
        assert_eq!(plain.path, scaled.path);
        assert_eq!(plain.weights[..2], scaled.weights[..2]);
        assert_eq!(plain.weights[2], -scaled.weights[2]);
    }

    #[test]
    fn repeated_rows_change_nothing() {
        let (rows, truth) = (random(30, 4, 7), labels(30, 3, 8));
        let twice = Features::new(60, 4, rows.values().repeat(2)).unwrap();
        let once = fit(&rows, &truth, &rows, &truth, 3).unwrap();
        let twice = fit(&twice, &truth.repeat(2), &rows, &truth, 3).unwrap();
        assert_eq!(once.chosen.lambda, twice.chosen.lambda);
        assert_eq!(once.predict(&rows).unwrap(), twice.predict(&rows).unwrap());
        // Both solutions lie within the tolerance of the same minimum.
        let largest =
            once.weights.iter().fold(0.0_f64, |largest, weight| largest.max(weight.abs()));
        assert!(
            once.weights.iter().zip(&twice.weights).all(|(a, b)| (a - b).abs() < 1e-2 * largest)
        );
    }

    #[test]
    fn contradicting_rows_end_at_even_odds() {
        let rows = Features::new(4, 1, vec![1.0, 1.0, -1.0, -1.0]).unwrap();
        let probe = fit(&rows, &[0, 1, 0, 1], &rows, &[0, 1, 0, 1], 2).unwrap();
        assert!(
            probe.chosen.converged
                && probe.weights.iter().chain(&probe.bias).all(|&weight| weight == 0.0)
        );
        assert_eq!(probe.predict(&rows).unwrap(), [0; 4]);
    }

    #[test]
    fn the_minimum_in_the_span_of_the_rows_is_that_of_all_features() {
        for (count, dim, classes) in [(3, 6, 2), (25, 60, 3), (12, 300, 4)] {
            // The last row is the first again, so that the rows depend on each other.
            let some = random(count - 1, dim, 13);
            let rows = Features::new(count, dim, [some.values(), some.row(0)].concat()).unwrap();
            let truth = labels(count, classes, 14);
            assert!(matches!(Space::of(&rows), Space::Span(_)));
            let probe = fit(&rows, &truth, &rows, &truth, classes).unwrap();
            assert!(probe.path.iter().all(|point| point.converged), "{:?}", probe.path);
            let mut values = vec![0.0; count * dim];
            let standardised = Standardised::new(&rows, &probe.mean, &probe.scale);
            matrix::read_block(&standardised, 0..count, &mut values);
            let rows = Features::new(count, dim, values).unwrap();
            let function = objective(&rows, &truth, probe.classes.len(), probe.chosen.lambda);
            let norm = |at: &[f64]| {
                let mut gradient = vec![0.0; at.len()];
                function.evaluate(at, &mut gradient);
                lbfgs::gradient_norm(&function, &gradient)
            };
            let at = [&probe.weights[..], &probe.bias].concat();
            // As in the space of all features.
            assert!(norm(&at) < 2.0 * TOLERANCE * norm(&vec![0.0; at.len()]), "{}", norm(&at));
        }
    }

    #[test]
    fn more_features_than_the_preconditioner_takes() {
        let (count, dim) = (MAX_DIM / 2 + 1, MAX_DIM + 1);
        let (rows, truth) = (random(count, dim, 9), labels(count, 2, 10));
        let probe = fit(&rows, &truth, &rows, &truth, 2).unwrap();
        assert!(probe.path.iter().all(|point| point.converged), "{:?}", probe.path);
        assert_eq!(probe.chosen.validation_accuracy, 1.0);
    }

    #[test]
    fn the_largest_values_are_no_trouble() {
        for largest in [f32::MAX, 1e38] {
            let train = Features::new(4, 1, vec![-largest, -largest, largest, largest]).unwrap();
            let probe = fit(&train, &[0, 0, 1, 1], &train, &[0, 0, 1, 1], 2).unwrap();
            assert!(
                probe.chosen.converged && probe.weights.iter().all(|weight| weight.is_finite())
            );
            assert_eq!(probe.predict(&train).unwrap(), [0, 0, 1, 1]);
        }
    }

    #[test]
    fn threads_do_not_matter() {
        // Fewer features than rows, and more.
        for (count, dim) in [(700, 9), (70, 400)] {
            let (rows, truth) = (random(count, dim, 11), labels(count, 4, 12));
            let trials = Trials::folds(&truth, &[], 0);
            let run = || {
                let held_out = fit(&rows, &truth, &rows, &truth, 4).unwrap();
                (held_out, choose(&rows, &truth, 4, &trials, &mut |_| ()).unwrap())
            };
            assert_eq!(in_pool(1, run), in_pool(3, run));
        }
    }

    #[test]
    fn folds_choose_what_fits_of_each_fold_say() {
        // Two classes that overlap, so that the strength counts.
        let rows = random(90, 25, 31);
        let noise = random(90, 1, 32);
        let labels: Vec<u32> = (0..90)
            .map(|row| u32::from(rows.row(row)[0] + 1.5 * noise.row(row)[0] > 0.0))
            .collect();
        let trials = Trials::folds(&labels, &[], 5);
        let mut done = Vec::new();
        let found = choose(&rows, &labels, 2, &trials, &mut |at| done.push(at)).unwrap();
        assert_eq!(done, [1, 2, 3, 4, 5, 6, 7]);
        for (at, point) in found.path.iter().enumerate() {
            // Fits of their own standardise over fewer rows, which moves a few predictions.
            let right: f64 = trials
                .parts
                .iter()
                .map(|part| {
                    let [fit, held] =
                        [&part.fit, &part.held].map(|chosen| Chosen { rows: &rows, chosen });
                    let [own, others] =
                        [&part.fit, &part.held].map(|chosen| labels::pick(&labels, chosen));
                    let alone = super::fit(&fit, &own, &held, &others, 2).unwrap();
                    alone.path[at].validation_accuracy * others.len() as f64
                })
                .sum();
            assert!((point.validation_accuracy - right / 90.0).abs() <= 3.5 / 90.0, "{point:?}");
        }
        let best = found.path.iter().map(|point| point.validation_accuracy).fold(0.0, f64::max);
        assert_eq!(found.chosen.validation_accuracy, best);
        // The final fit is on all rows.
        let all = super::fit(&rows, &labels, &rows, &labels, 2).unwrap();
        let at = LAMBDAS.iter().position(|&lambda| lambda == found.chosen.lambda).unwrap();
        assert_eq!(all.path[at].iterations, found.chosen.iterations);
        assert!(
            found.predict(&rows).unwrap().iter().zip(&labels).filter(|(a, b)| a == b).count() > 60
        );
    }

    #[test]
    fn misuse_is_refused() {
        let rows = random(2, 3, 0);
        let empty = fit(&rows, &[0, 1], &random(0, 3, 0), &[], 2).unwrap_err();
        assert_eq!(empty, Error::TooFewRows { set: "validation", found: 0, needed: 1 });
        let empty = fit(&random(0, 3, 0), &[], &rows, &[0, 1], 2).unwrap_err();
        assert_eq!(empty, Error::TooFewRows { set: "train", found: 0, needed: 1 });
        let narrow = fit(&rows, &[0, 1], &random(2, 2, 0), &[0, 1], 2).unwrap_err();
        assert_eq!(narrow, Error::Dim { set: "validation", found: 2, expected: 3 });
        let label = fit(&rows, &[0, 1], &rows, &[0, 5], 2).unwrap_err();
        assert_eq!(label, Error::Label { set: "validation", row: 1, label: 5, classes: 2 });
        let probe = fit(&rows, &[0, 1], &rows, &[0, 1], 2).unwrap();
        let narrow = probe.predict(&random(1, 2, 0)).unwrap_err();
        assert_eq!(narrow, Error::Dim { set: "queries", found: 2, expected: 3 });
    }
}
