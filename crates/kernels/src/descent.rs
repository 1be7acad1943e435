//! The rules that update weights. Each rule is one pass over weights, gradients and moments.
//!
//! No product is fused with a sum, so the result is the same on every instruction set.

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::isa::{Isa, compiled};

/// Number of weights per stretch. A core updates one stretch at a time.
const STRETCH: usize = 1 << 14;

/// Stochastic gradient descent with momentum. Weight decay is part of the gradient.
///
/// ```text
/// velocity ← momentum · velocity + gradient + decay · weight
/// weight   ← weight − rate · velocity
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Learning rate.
    pub rate: f32,
    /// Factor with which the old velocity is kept.
    pub momentum: f32,
    /// Factor with which the weights are added to their gradient.
    pub decay: f32,
}

/// AdamW (Loshchilov and Hutter 2019), for step t.
///
/// ```text
/// first  ← β₁ · first  + (1 − β₁) · gradient
/// second ← β₂ · second + (1 − β₂) · gradient²
/// weight ← (1 − rate · decay) · weight − rate · first / (1 − β₁ᵗ) / (√(second / (1 − β₂ᵗ)) + ε)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Learning rate.
    pub rate: f32,
    /// Factors β₁ and β₂ with which the old moments are kept.
    pub betas: [f32; 2],
    /// Factors 1 − β₁ and 1 − β₂ with which the gradient and its square are added.
    pub shares: [f32; 2],
    /// Corrections 1 − β₁ᵗ and 1 − β₂ᵗ for moments that start at zero.
    pub corrections: [f32; 2],
    /// Factor 1 − rate · decay with which the old weights are kept.
    pub kept: f32,
    /// ε, which is added to the root of the second moment.
    pub epsilon: f32,
}

/// Returns the weights and the velocity after a step. Without an old velocity, the new velocity is
/// the gradient with weight decay.
///
/// # Panics
///
/// If the slices are of different lengths.
pub fn sgd(
    isa: Isa,
    rule: &Sgd,
    weights: &[f32],
    gradient: &[f32],
    velocity: Option<&[f32]>,
) -> [Buffer; 2] {
    let len = weights.len();
    assert!(
        gradient.len() == len && velocity.is_none_or(|velocity| velocity.len() == len),
        "one value a weight"
    );
    let [mut new_weights, mut new_velocity] = [(); 2].map(|()| Buffer::any(len));
    let stretches = new_weights.par_chunks_mut(STRETCH).zip(new_velocity.par_chunks_mut(STRETCH));
    stretches.enumerate().for_each(|(index, (new_weights, new_velocity))| {
        let at = index * STRETCH..index * STRETCH + new_weights.len();
        let (weights, gradient) = (&weights[at.clone()], &gradient[at.clone()]);
        match velocity {
            Some(velocity) => {
                sgd_stretch(isa, rule, weights, gradient, &velocity[at], new_weights, new_velocity)
            }
            None => sgd_first(isa, rule, weights, gradient, new_weights, new_velocity),
        }
    });
    [new_weights, new_velocity]
}

compiled! {
    fn sgd_stretch(
        isa: Isa,
        rule: &Sgd,
        weights: &[f32],
        gradient: &[f32],
        velocity: &[f32],
        new_weights: &mut [f32],
        new_velocity: &mut [f32],
    ) {
        let old = weights.iter().zip(gradient).zip(velocity);
        let new = new_weights.iter_mut().zip(new_velocity);
        new.zip(old).for_each(|((new_weight, new_velocity), ((weight, gradient), velocity))| {
            *new_velocity = velocity * rule.momentum + (gradient + weight * rule.decay);
            *new_weight = weight - *new_velocity * rule.rate;
        });
    }
}

compiled! {
    fn sgd_first(
        isa: Isa,
        rule: &Sgd,
        weights: &[f32],
        gradient: &[f32],
        new_weights: &mut [f32],
        new_velocity: &mut [f32],
    ) {
        let old = weights.iter().zip(gradient);
        let new = new_weights.iter_mut().zip(new_velocity);
        new.zip(old).for_each(|((new_weight, new_velocity), (weight, gradient))| {
            *new_velocity = gradient + weight * rule.decay;
            *new_weight = weight - *new_velocity * rule.rate;
        });
    }
}

/// Returns the weights and both moments after a step.
///
/// # Panics
///
/// If the slices are of different lengths.
pub fn adamw(
    isa: Isa,
    rule: &AdamW,
    weights: &[f32],
    gradient: &[f32],
    moments: [&[f32]; 2],
) -> [Buffer; 3] {
    let len = weights.len();
    assert!(
        gradient.len() == len && moments.iter().all(|moment| moment.len() == len),
        "one value a weight"
    );
    let [mut new_weights, mut first, mut second] = [(); 3].map(|()| Buffer::any(len));
    let new_moments = first.par_chunks_mut(STRETCH).zip(second.par_chunks_mut(STRETCH));
    new_weights.par_chunks_mut(STRETCH).zip(new_moments).enumerate().for_each(
        |(index, (new_weights, (first, second)))| {
            let at = index * STRETCH..index * STRETCH + new_weights.len();
            let [old_first, old_second] = moments.map(|moment| &moment[at.clone()]);
            let (weights, gradient) = (&weights[at.clone()], &gradient[at.clone()]);
            adamw_stretch(
                isa,
                rule,
                weights,
                gradient,
                old_first,
                old_second,
                new_weights,
                first,
                second,
            );
        },
    );
    [new_weights, first, second]
}

compiled! {
    #[allow(clippy::too_many_arguments, reason = "four slices in, three out")]
    fn adamw_stretch(
        isa: Isa,
        rule: &AdamW,
        weights: &[f32],
        gradient: &[f32],
        old_first: &[f32],
        old_second: &[f32],
        new_weights: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let old = weights.iter().zip(gradient).zip(old_first.iter().zip(old_second));
        let new = new_weights.iter_mut().zip(first.iter_mut().zip(second));
        new.zip(old).for_each(|((new_weight, (first, second)), ((weight, gradient), old))| {
            let (old_first, old_second) = old;
            *first = old_first * rule.betas[0] + gradient * rule.shares[0];
            *second = old_second * rule.betas[1] + gradient * gradient * rule.shares[1];
            let length = (*second / rule.corrections[1]).sqrt() + rule.epsilon;
            *new_weight = weight * rule.kept - *first / rule.corrections[0] / length * rule.rate;
        });
    }
}

/// Returns the weights of a slow copy after a step towards the fast weights: `kept · slow + (1 −
/// kept) · fast`.
///
/// # Panics
///
/// If the slices are of different lengths.
pub fn follow(isa: Isa, kept: f64, slow: &[f32], fast: &[f32]) -> Buffer {
    assert_eq!(slow.len(), fast.len(), "one value a weight");
    let shares = [kept as f32, (1.0 - kept) as f32];
    let mut new_weights = Buffer::any(slow.len());
    new_weights.par_chunks_mut(STRETCH).enumerate().for_each(|(index, new_weights)| {
        let at = index * STRETCH..index * STRETCH + new_weights.len();
        follow_stretch(isa, shares, &slow[at.clone()], &fast[at], new_weights);
    });
    new_weights
}

compiled! {
    fn follow_stretch(isa: Isa, shares: [f32; 2], slow: &[f32], fast: &[f32], to: &mut [f32]) {
        let weights = slow.iter().zip(fast);
        to.iter_mut().zip(weights).for_each(|(to, (slow, fast))| {
            *to = slow * shares[0] + fast * shares[1];
        });
    }
}
