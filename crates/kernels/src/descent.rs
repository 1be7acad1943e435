//! The rules that move weights, each in one pass over weights, gradients and moments.
//!
//! Every operation is rounded for itself, so that the result is the same on every instruction set.

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::isa::{Isa, compiled};

/// Weights that are moved together: what a core takes at a time.
const STRETCH: usize = 1 << 14;

/// Stochastic gradient descent with momentum and, in the gradient, weight decay.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Step along the velocity.
    pub rate: f32,
    /// What is kept of the velocity.
    pub momentum: f32,
    /// Share of the weights that is added to their gradient.
    pub decay: f32,
}

/// AdamW (Loshchilov and Hutter 2019).
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Length of a step.
    pub rate: f32,
    /// What is kept of the moments.
    pub betas: [f32; 2],
    /// What is added of the gradient and its square: 1 − β.
    pub shares: [f32; 2],
    /// What the moments lack for having begun at zero: 1 − βᵗ.
    pub corrections: [f32; 2],
    /// What is kept of the weights: 1 − rate × decay.
    pub kept: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
}

/// Weights and velocity after a step; without a velocity, the gradient begins it.
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
        "values a weight"
    );
    let [mut moved, mut moving] = [(); 2].map(|()| Buffer::any(len));
    let stretches = moved.par_chunks_mut(STRETCH).zip(moving.par_chunks_mut(STRETCH)).enumerate();
    stretches.for_each(|(index, (moved, moving))| {
        let at = index * STRETCH..index * STRETCH + moved.len();
        let (weights, gradient) = (&weights[at.clone()], &gradient[at.clone()]);
        match velocity {
            Some(velocity) => {
                sgd_stretch(isa, rule, weights, gradient, &velocity[at], moved, moving)
            }
            None => sgd_first(isa, rule, weights, gradient, moved, moving),
        }
    });
    [moved, moving]
}

compiled! {
    fn sgd_stretch(
        isa: Isa,
        rule: &Sgd,
        weights: &[f32],
        gradient: &[f32],
        velocity: &[f32],
        moved: &mut [f32],
        moving: &mut [f32],
    ) {
        let given = weights.iter().zip(gradient).zip(velocity);
        moved.iter_mut().zip(moving).zip(given).for_each(|((moved, moving), ((weight, gradient), velocity))| {
            *moving = velocity * rule.momentum + (gradient + weight * rule.decay);
            *moved = weight - *moving * rule.rate;
        });
    }
}

compiled! {
    fn sgd_first(
        isa: Isa,
        rule: &Sgd,
        weights: &[f32],
        gradient: &[f32],
        moved: &mut [f32],
        moving: &mut [f32],
    ) {
        moved.iter_mut().zip(moving).zip(weights.iter().zip(gradient)).for_each(|((moved, moving), (weight, gradient))| {
            *moving = gradient + weight * rule.decay;
            *moved = weight - *moving * rule.rate;
        });
    }
}

/// Weights and both moments after a step.
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
        "values a weight"
    );
    let [mut moved, mut first, mut second] = [(); 3].map(|()| Buffer::any(len));
    let moving = first.par_chunks_mut(STRETCH).zip(second.par_chunks_mut(STRETCH));
    moved.par_chunks_mut(STRETCH).zip(moving).enumerate().for_each(
        |(index, (moved, (first, second)))| {
            let at = index * STRETCH..index * STRETCH + moved.len();
            let [old_first, old_second] = moments.map(|moment| &moment[at.clone()]);
            let (weights, gradient) = (&weights[at.clone()], &gradient[at.clone()]);
            adamw_stretch(
                isa, rule, weights, gradient, old_first, old_second, moved, first, second,
            );
        },
    );
    [moved, first, second]
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
        moved: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let given = weights.iter().zip(gradient).zip(old_first.iter().zip(old_second));
        let results = moved.iter_mut().zip(first.iter_mut().zip(second));
        results.zip(given).for_each(|((moved, (first, second)), ((weight, gradient), (old_first, old_second)))| {
            *first = old_first * rule.betas[0] + gradient * rule.shares[0];
            *second = old_second * rule.betas[1] + gradient * gradient * rule.shares[1];
            let length = (*second / rule.corrections[1]).sqrt() + rule.epsilon;
            *moved = weight * rule.kept - *first / rule.corrections[0] / length * rule.rate;
        });
    }
}

/// The weights of a slow copy, `kept` of which stays, after it has followed the fast ones.
///
/// # Panics
///
/// If the slices are of different lengths.
pub fn follow(isa: Isa, kept: f64, slow: &[f32], fast: &[f32]) -> Buffer {
    assert_eq!(slow.len(), fast.len(), "values a weight");
    let shares = [kept as f32, (1.0 - kept) as f32];
    let mut moved = Buffer::any(slow.len());
    moved.par_chunks_mut(STRETCH).enumerate().for_each(|(index, moved)| {
        let at = index * STRETCH..index * STRETCH + moved.len();
        follow_stretch(isa, shares, &slow[at.clone()], &fast[at], moved);
    });
    moved
}

compiled! {
    fn follow_stretch(isa: Isa, shares: [f32; 2], slow: &[f32], fast: &[f32], moved: &mut [f32]) {
        let given = slow.iter().zip(fast);
        moved.iter_mut().zip(given).for_each(|(moved, (slow, fast))| *moved = slow * shares[0] + fast * shares[1]);
    }
}
