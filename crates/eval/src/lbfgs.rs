//! L-BFGS with a fixed preconditioner, for smooth convex functions.
//!
//! Maintained crates, such as argmin, start every direction from a multiple of the identity. On raw
//! pixels, whose covariance has a condition number of about 10⁵, such a start takes hundreds of
//! passes over the data. A preconditioned start takes tens of passes, so selfsame has its own
//! implementation.

use std::collections::VecDeque;

/// Number of steps that are remembered, each with its change of the gradient.
const HISTORY: usize = 10;
/// Wolfe conditions: the smallest decrease, and the share of the slope that may remain.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;
/// Values that differ by less than this share count as equal, because they are computed from f32
/// products (Hager and Zhang, "A New Conjugate Gradient Method with Guaranteed Descent and an
/// Efficient Line Search", SIAM J. Optim. 2005, section 4, use the same share).
const VALUE_NOISE: f64 = 1e-6;
const LINE_EVALUATIONS: usize = 30;

/// A smooth convex function and an approximation of its Hessian's inverse.
pub(crate) trait Convex {
    /// Returns the value at `x`, and writes the gradient to `gradient`.
    fn evaluate(&self, x: &[f64], gradient: &mut [f64]) -> f64;

    /// Multiplies `vector` by a fixed symmetric positive definite matrix.
    fn precondition(&self, vector: &mut [f64]);
}

/// Outcome of a minimisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) iterations: usize,
    pub(crate) converged: bool,
}

/// Computes √(gᵀPg) for the gradient g and the preconditioner P. Unlike ‖g‖, this norm weights each
/// direction by the distance of the minimum in that direction.
pub(crate) fn gradient_norm(function: &impl Convex, gradient: &[f64]) -> f64 {
    norm(gradient, &preconditioned(function, gradient))
}

fn norm(gradient: &[f64], preconditioned: &[f64]) -> f64 {
    dot(preconditioned, gradient).max(0.0).sqrt()
}

fn preconditioned(function: &impl Convex, gradient: &[f64]) -> Vec<f64> {
    let mut step = gradient.to_vec();
    function.precondition(&mut step);
    step
}

/// Moves `x` towards the minimum. The minimisation ends as `converged` once [`gradient_norm`] is at
/// most `target`. Otherwise it ends after `max_iterations`, or when no step along a descent
/// direction lowers the value.
pub(crate) fn minimise(
    function: &impl Convex,
    x: &mut [f64],
    target: f64,
    max_iterations: usize,
) -> Outcome {
    let mut gradient = vec![0.0; x.len()];
    let mut value = function.evaluate(x, &mut gradient);
    // The preconditioner is applied once for each step, to the gradient. It is linear, so everything
    // else that it would be applied to is a sum of such results.
    let mut natural = preconditioned(function, &gradient);
    let mut history = History::default();
    for iterations in 0..max_iterations {
        if norm(&gradient, &natural) <= target {
            return Outcome { iterations, converged: true };
        }
        let mut direction = history.direction(&gradient, &natural);
        if dot(&direction, &gradient) >= 0.0 {
            history = History::default();
            direction = history.direction(&gradient, &natural);
        }
        let Some(point) = line_search(function, x, &direction, value, &gradient) else {
            return Outcome { iterations, converged: false };
        };
        let new = preconditioned(function, &point.gradient);
        history.push(Pair {
            step: difference(&point.x, x),
            change: difference(&point.gradient, &gradient),
            natural: difference(&new, &natural),
        });
        x.copy_from_slice(&point.x);
        (value, gradient, natural) = (point.value, point.gradient, new);
    }
    let converged = norm(&gradient, &natural) <= target;
    Outcome { iterations: max_iterations, converged }
}

/// A step s, its change y of the gradient, and Py for the preconditioner P.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    natural: Vec<f64>,
}

/// The last steps, each with 1 / sᵀy.
#[derive(Default)]
struct History {
    pairs: VecDeque<(Pair, f64)>,
}

impl History {
    fn push(&mut self, pair: Pair) {
        let Pair { step, change, .. } = &pair;
        let curvature = dot(step, change);
        // The curvature is positive for a convex function, except for rounding errors.
        if curvature > f64::EPSILON * dot(change, change).sqrt() * dot(step, step).sqrt() {
            if self.pairs.len() == HISTORY {
                self.pairs.pop_front();
            }
            self.pairs.push_back((pair, curvature.recip()));
        }
    }

    /// Computes −H·gradient by the two-loop recursion (Nocedal and Wright, "Numerical
    /// Optimization", algorithm 7.4). H starts from the preconditioner P, scaled by sᵀy / yᵀPy of
    /// the last pair. `natural` is P·gradient.
    fn direction(&self, gradient: &[f64], natural: &[f64]) -> Vec<f64> {
        let negative = |values: &[f64]| -> Vec<f64> { values.iter().map(|value| -value).collect() };
        let (mut rest, mut direction) = (negative(gradient), negative(natural));
        let mut shares = Vec::with_capacity(HISTORY);
        for (pair, inverse) in self.pairs.iter().rev() {
            let share = inverse * dot(&pair.step, &rest);
            add_scaled(&mut rest, -share, &pair.change);
            add_scaled(&mut direction, -share, &pair.natural);
            shares.push(share);
        }
        if let Some((pair, inverse)) = self.pairs.back() {
            let scale = (inverse * dot(&pair.change, &pair.natural)).recip();
            direction.iter_mut().for_each(|d| *d *= scale);
        }
        for ((pair, inverse), share) in self.pairs.iter().zip(shares.iter().rev()) {
            let correction = share - inverse * dot(&pair.change, &direction);
            add_scaled(&mut direction, correction, &pair.step);
        }
        direction
    }
}

struct Point {
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// Finds a point along `direction` that satisfies the strong Wolfe conditions. The bracket doubles
/// until the slope turns, and then halves. Returns `None` if no such point is found within
/// [`LINE_EVALUATIONS`] evaluations.
fn line_search(
    function: &impl Convex,
    x: &[f64],
    direction: &[f64],
    value: f64,
    gradient: &[f64],
) -> Option<Point> {
    let slope = dot(direction, gradient);
    let (mut low, mut high, mut step) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..LINE_EVALUATIONS {
        let mut point = Point { x: x.to_vec(), value: 0.0, gradient: vec![0.0; x.len()] };
        add_scaled(&mut point.x, step, direction);
        point.value = function.evaluate(&point.x, &mut point.gradient);
        let new_slope = dot(direction, &point.gradient);
        let decreases = point.value <= value + DECREASE * step * slope + VALUE_NOISE * value.abs();
        // The condition is negated so that a NaN shortens the step.
        if !(decreases && new_slope <= CURVATURE * slope.abs()) {
            high = step;
        } else if new_slope < -CURVATURE * slope.abs() {
            low = step;
        } else {
            return Some(point);
        }
        step = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * step };
    }
    None
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(to: &mut [f64], scale: f64, vector: &[f64]) {
    to.iter_mut().zip(vector).for_each(|(to, v)| *to += scale * v);
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Σ cᵢ (xᵢ − i)² / 2, with an optional diagonal preconditioner.
    struct Quadratic {
        curvature: Vec<f64>,
        preconditioned: bool,
    }

    impl Convex for Quadratic {
        fn evaluate(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
            let mut value = 0.0;
            for (i, c) in self.curvature.iter().enumerate() {
                let off = x[i] - i as f64;
                gradient[i] = c * off;
                value += 0.5 * c * off * off;
            }
            value
        }

        fn precondition(&self, vector: &mut [f64]) {
            if self.preconditioned {
                vector.iter_mut().zip(&self.curvature).for_each(|(v, c)| *v /= c);
            }
        }
    }

    /// Σ log cosh xᵢ, which is flat far from the minimum. There, the first step of length 1 is far
    /// too short.
    struct LogCosh;

    impl Convex for LogCosh {
        fn evaluate(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
            gradient.iter_mut().zip(x).for_each(|(g, x)| *g = x.tanh());
            x.iter().map(|x| x.abs() + (-2.0 * x.abs()).exp().ln_1p() - 2_f64.ln()).sum()
        }

        fn precondition(&self, _: &mut [f64]) {}
    }

    #[test]
    fn quadratics_reach_their_minimum() {
        let curvature: Vec<f64> = (0..20).map(|i| 10_f64.powf(f64::from(i) / 10.0)).collect();
        for preconditioned in [false, true] {
            let function = Quadratic { curvature: curvature.clone(), preconditioned };
            let mut x = vec![0.0; 20];
            let outcome = minimise(&function, &mut x, 1e-9, 300);
            assert!(outcome.converged, "{outcome:?}");
            assert!(!preconditioned || outcome.iterations == 1, "{outcome:?}");
            // |xᵢ − i| = |gᵢ| / cᵢ is at most 1e-9, because every cᵢ ≥ 1.
            assert!(x.iter().enumerate().all(|(i, x)| (x - i as f64).abs() <= 1e-9));
        }
    }

    /// The two loops with the preconditioner applied where the algorithm applies it.
    fn direct(
        history: &History,
        gradient: &[f64],
        precondition: &dyn Fn(&[f64]) -> Vec<f64>,
    ) -> Vec<f64> {
        let mut q = gradient.to_vec();
        let mut shares = Vec::new();
        for (pair, inverse) in history.pairs.iter().rev() {
            shares.push(inverse * dot(&pair.step, &q));
            add_scaled(&mut q, -shares[shares.len() - 1], &pair.change);
        }
        let mut r = precondition(&q);
        if let Some((pair, inverse)) = history.pairs.back() {
            let scale = 1.0 / (inverse * dot(&pair.change, &precondition(&pair.change)));
            r.iter_mut().for_each(|r| *r *= scale);
        }
        for ((pair, inverse), share) in history.pairs.iter().zip(shares.iter().rev()) {
            let correction = share - inverse * dot(&pair.change, &r);
            add_scaled(&mut r, correction, &pair.step);
        }
        r.iter().map(|r| -r).collect()
    }

    #[test]
    fn directions_are_those_of_the_two_loops() {
        // A preconditioner that is only roughly the inverse.
        let precondition = |values: &[f64]| -> Vec<f64> {
            values.iter().enumerate().map(|(i, v)| v / (1.0 + (i % 3) as f64)).collect()
        };
        let vector = |seed: usize| -> Vec<f64> {
            (0..7).map(|i| ((i * 37 + seed * 101) % 19) as f64 / 9.0 - 1.0).collect()
        };
        let mut history = History::default();
        for seed in 0..HISTORY + 3 {
            let gradient = vector(seed + 50);
            let found = history.direction(&gradient, &precondition(&gradient));
            let expected = direct(&history, &gradient, &precondition);
            let size = dot(&expected, &expected).sqrt();
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() <= 1e-12 * size, "{found} {expected}");
            }
            let step = vector(seed);
            let change: Vec<f64> =
                step.iter().enumerate().map(|(i, s)| s * (1.0 + i as f64 / 3.0)).collect();
            let natural = precondition(&change);
            history.push(Pair { step, change, natural });
        }
        assert_eq!(history.pairs.len(), HISTORY);
    }

    #[test]
    fn the_step_grows_where_the_function_is_flat() {
        let mut x = vec![1e3, -2.0, 0.5];
        let outcome = minimise(&LogCosh, &mut x, 1e-7, 100);
        assert!(outcome.converged && x.iter().all(|x| x.abs() < 2e-7), "{outcome:?} {x:?}");
    }

    #[test]
    fn stopping_early_is_told() {
        let function = Quadratic { curvature: vec![1.0, 100.0], preconditioned: false };
        let mut x = vec![5.0, 5.0];
        assert_eq!(
            minimise(&function, &mut x, 0.0, 1),
            Outcome { iterations: 1, converged: false }
        );
        assert_eq!(
            minimise(&function, &mut [0.0, 1.0], 0.0, 5),
            Outcome { iterations: 0, converged: true }
        );
    }
}
