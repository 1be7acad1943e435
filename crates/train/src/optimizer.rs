//! Optimizers: gradient clipping, then a step of SGD, LARS or AdamW, with moments that a checkpoint
//! holds.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use selfsame_nn::descent::{self, AdamW, Sgd};
use selfsame_nn::state::{self, MapNamed, State, Values};

use crate::config::{OptimizerKind, TrainConfig};
use crate::gradients::ByName;

const MOMENTUM: f64 = 0.9;
/// Default trust coefficient of LARS.
const TRUST: f64 = 0.001;
const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// Moves the weights of a module against their gradients, and keeps the moments of the gradients.
pub(crate) struct Optimizer {
    kind: OptimizerKind,
    weight_decay: f64,
    clip_norm: Option<f64>,
    trust: f64,
    trust_capped: bool,
    /// Flat moments by kind and parameter: `velocity.NAME` for SGD and LARS, `first.NAME` and
    /// `second.NAME` for AdamW. A part that no objective has trained yet has no moments.
    moments: BTreeMap<String, Tensor<1>>,
}

impl Optimizer {
    /// Creates an optimizer with the moments of a checkpoint. `moments` is empty at the start of a
    /// run.
    pub(crate) fn new(config: &TrainConfig, moments: &State, device: &Device) -> Self {
        let to_tensor = |v: &Values| {
            Tensor::from_data(TensorData::new(v.values.clone(), [v.values.len()]), device)
        };
        Self {
            kind: config.optimizer,
            weight_decay: config.weight_decay,
            clip_norm: config.clip_norm,
            trust: config.trust.unwrap_or(TRUST),
            trust_capped: config.trust_capped,
            moments: moments
                .iter()
                .map(|(name, values)| (name.clone(), to_tensor(values)))
                .collect(),
        }
    }

    /// Returns the moments, for a checkpoint.
    pub(crate) fn moments(&self) -> State {
        self.moments
            .iter()
            .map(|(name, tensor)| (name.clone(), state::to_host(tensor.clone())))
            .collect()
    }

    /// Moves the parameters that have a gradient. `number` counts the steps of a run from 1.
    ///
    /// # Panics
    /// If AdamW gets the first gradient of a parameter after the first step.
    pub(crate) fn step<M: Module>(
        &mut self,
        module: M,
        mut gradients: ByName,
        learning_rate: f64,
        number: u64,
    ) -> M {
        if let Some(longest) = self.clip_norm {
            clip(&mut gradients, longest);
        }
        state::map(module, &mut Stepper { gradients, learning_rate, number, optimizer: self })
    }

    /// Returns the new value of the parameter `name`, flat.
    fn update(
        &mut self,
        name: &str,
        weight: Tensor<1>,
        gradient: Tensor<1>,
        matrix: bool,
        rate: f64,
        number: u64,
    ) -> Tensor<1> {
        match self.kind {
            OptimizerKind::Sgd => self.descend(name, weight, gradient, self.weight_decay, rate),
            OptimizerKind::Lars => {
                // LARS trusts the direction of a weight matrix. Biases and the scales of batch
                // normalisation have no direction, so they take the plain step.
                let gradient =
                    if matrix { self.trusted(&weight, gradient, rate) } else { gradient };
                self.descend(name, weight, gradient, 0.0, rate)
            }
            OptimizerKind::AdamW => {
                let rule = AdamW {
                    rate: rate as f32,
                    betas: BETAS.map(|beta| beta as f32),
                    shares: BETAS.map(|beta| (1.0 - beta) as f32),
                    corrections: BETAS.map(|beta| (1.0 - beta.powf(number as f64)) as f32),
                    kept: (1.0 - rate * self.weight_decay) as f32,
                    epsilon: EPSILON as f32,
                };
                let keys = ["first", "second"].map(|kind| format!("{kind}.{name}"));
                let moments = keys.each_ref().map(|key| self.moments.remove(key));
                // The corrections count the steps of the run, as the moments must.
                assert!(
                    number == 1 || moments[0].is_some(),
                    "{name} has its first gradient in step {number}"
                );
                let (weight, moments) = descent::adamw(weight, gradient, moments, rule);
                self.moments.extend(keys.into_iter().zip(moments));
                weight
            }
        }
    }

    fn descend(
        &mut self,
        name: &str,
        weight: Tensor<1>,
        gradient: Tensor<1>,
        decay: f64,
        rate: f64,
    ) -> Tensor<1> {
        let key = format!("velocity.{name}");
        let rule = Sgd { rate: rate as f32, momentum: MOMENTUM as f32, decay: decay as f32 };
        let (weight, velocity) = descent::sgd(weight, gradient, self.moments.remove(&key), rule);
        self.moments.insert(key, velocity);
        weight
    }

    /// Adds weight decay to the gradient and scales the sum by LARS's local rate, so that the
    /// length of the scaled sum is about `trust` times the length of the weight. If weight or
    /// gradient is 0, the sum is not scaled. With `trust_capped`, the step is taken at the smaller
    /// of the local rate and `rate`.
    fn trusted(&self, weight: &Tensor<1>, gradient: Tensor<1>, rate: f64) -> Tensor<1> {
        let lengths = (length(weight), length(&gradient));
        let decayed = gradient + weight.clone().mul_scalar(self.weight_decay);
        match lengths {
            (w, g) if w > 0.0 && g > 0.0 => {
                let local = self.trust * w / (g + self.weight_decay * w + EPSILON);
                decayed.mul_scalar(if self.trust_capped { (local / rate).min(1.0) } else { local })
            }
            _ => decayed,
        }
    }
}

fn length(x: &Tensor<1>) -> f64 {
    // Use a matrix product, because the last digits of Burn's sum of many values depend on which
    // thread finishes first.
    let count = x.shape().num_elements();
    x.clone().reshape([1, count]).matmul(x.clone().reshape([count, 1])).sqrt().into_scalar::<f64>()
}

/// Scales all gradients by the same factor if their joint norm is above `longest`.
fn clip(gradients: &mut ByName, longest: f64) {
    let norm = gradients.values().map(|g| length(g).powi(2)).sum::<f64>().sqrt();
    if norm > longest {
        for gradient in gradients.values_mut() {
            *gradient = gradient.clone().mul_scalar(longest / norm);
        }
    }
}

struct Stepper<'a> {
    gradients: ByName,
    learning_rate: f64,
    number: u64,
    optimizer: &'a mut Optimizer,
}

impl MapNamed for Stepper<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Running statistics and frozen parts have no gradient.
        let Some(gradient) = self.gradients.remove(name) else { return param };
        param.map(|weight| {
            let shape = weight.dims();
            let weight = flat(weight.inner());
            let moved = self.optimizer.update(
                name,
                weight,
                gradient,
                D > 1,
                self.learning_rate,
                self.number,
            );
            Tensor::from_inner(moved.reshape(shape)).require_grad()
        })
    }
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    tensor.reshape([count])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradients::by_name;
    use selfsame_nn::layers::{Init, Linear};

    /// The rules in scalar f64 arithmetic, as printed in their papers.
    #[derive(Default, Clone)]
    struct Oracle {
        weights: Vec<f64>,
        first: Vec<f64>,
        second: Vec<f64>,
    }

    impl Oracle {
        fn step(
            &mut self,
            config: &TrainConfig,
            gradient: &[f64],
            rate: f64,
            matrix: bool,
            t: i32,
        ) {
            let (kind, decay, trust) =
                (config.optimizer, config.weight_decay, config.trust.unwrap_or(0.001));
            let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
            let (w, g) = (norm(&self.weights), norm(gradient));
            for (i, &gradient) in gradient.iter().enumerate() {
                match kind {
                    OptimizerKind::Sgd | OptimizerKind::Lars => {
                        let plain = kind == OptimizerKind::Lars && !matrix;
                        let mut d =
                            if plain { gradient } else { gradient + decay * self.weights[i] };
                        if kind == OptimizerKind::Lars && matrix && w > 0.0 && g > 0.0 {
                            let local = trust * w / (g + decay * w);
                            d *= if config.trust_capped {
                                f64::min(local / rate, 1.0)
                            } else {
                                local
                            };
                        }
                        self.first[i] = if t == 1 { d } else { 0.9 * self.first[i] + d };
                        self.weights[i] -= rate * self.first[i];
                    }
                    OptimizerKind::AdamW => {
                        self.first[i] = 0.9 * self.first[i] + 0.1 * gradient;
                        self.second[i] = 0.999 * self.second[i] + 0.001 * gradient * gradient;
                        let m = self.first[i] / (1.0 - 0.9f64.powi(t));
                        let v = self.second[i] / (1.0 - 0.999f64.powi(t));
                        self.weights[i] -=
                            rate * decay * self.weights[i] + rate * m / (v.sqrt() + 1e-8);
                    }
                }
            }
        }
    }

    fn config(optimizer: OptimizerKind, clip_norm: Option<f64>) -> TrainConfig {
        TrainConfig {
            epochs: 1,
            batch: 2,
            learning_rate: 0.1,
            warmup_epochs: 0.0,
            weight_decay: 0.01,
            clip_norm,
            knn_every: 0,
            knn_k: None,
            optimizer,
            trust: None,
            trust_capped: false,
            microbatch: None,
            epsilon: 0.5,
        }
    }

    /// Minimises Σ (x Wᵀ + b)², whose gradients the test computes by hand.
    #[test]
    fn every_rule_follows_its_paper_and_its_checkpoint() {
        let device = Device::flex().autodiff();
        let x = [[0.5f64, -1.0, 2.0], [1.5, 0.25, -0.5]];
        let rules = [OptimizerKind::Sgd, OptimizerKind::Lars, OptimizerKind::AdamW]
            .map(|kind| config(kind, None));
        // The length of the weights is about 1 and the length of the gradients about 10, so a cap
        // of 0.05 binds only for the second trust coefficient.
        let capped = [0.02, 20.0].map(|trust| TrainConfig {
            trust: Some(trust),
            trust_capped: true,
            ..rules[1]
        });
        for rule in rules.into_iter().chain(capped) {
            let kind = rule.optimizer;
            let mut linear = Linear::new(3, 2, &mut Init::new(1, &device));
            let values = |l: &Linear, name: &str| -> Vec<f64> {
                state::read(l)[name].values.iter().map(|&v| f64::from(v)).collect()
            };
            let zeros = |n| Oracle { weights: vec![], first: vec![0.0; n], second: vec![0.0; n] };
            let mut weight = Oracle { weights: values(&linear, "weight"), ..zeros(6) };
            let mut bias = Oracle { weights: values(&linear, "bias"), ..zeros(2) };
            let mut optimizer = Optimizer::new(&rule, &State::new(), &device.clone().inner());
            for t in 1..=5 {
                let input = Tensor::<2>::from_floats(x.map(|r| r.map(|v| v as f32)), &device);
                let mut gradients = linear.forward(input).powi_scalar(2).sum().backward();
                let gradients = by_name(&linear, &mut gradients);
                linear = optimizer.step(linear, gradients, 0.05, t);
                // A step after restoring the moments must equal a step without restoring them.
                optimizer = Optimizer::new(&rule, &optimizer.moments(), &device.clone().inner());

                let (mut dw, mut db) = (vec![0.0; 6], vec![0.0; 2]);
                for row in x {
                    for o in 0..2 {
                        let y = bias.weights[o]
                            + (0..3).map(|i| row[i] * weight.weights[3 * o + i]).sum::<f64>();
                        db[o] += 2.0 * y;
                        (0..3).for_each(|i| dw[3 * o + i] += 2.0 * y * row[i]);
                    }
                }
                weight.step(&rule, &dw, 0.05, true, t as i32);
                bias.step(&rule, &db, 0.05, false, t as i32);
                for (name, oracle) in [("weight", &weight), ("bias", &bias)] {
                    for (found, expected) in values(&linear, name).iter().zip(&oracle.weights) {
                        // The bound allows for five steps of about ten f32 operations on values
                        // around 1. Adam's first step divides by the size of the gradient, which
                        // magnifies its relative error of 2⁻²² by at most the rate.
                        assert!(
                            (found - expected).abs() < 2e-6 * (1.0 + expected.abs()),
                            "{kind:?} {name} step {t}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "weight has its first gradient in step 2")]
    fn adamw_takes_no_gradient_that_begins_late() {
        let device = Device::flex().autodiff();
        let linear = Linear::new(1, 1, &mut Init::new(1, &device));
        let rule = config(OptimizerKind::AdamW, None);
        let mut optimizer = Optimizer::new(&rule, &State::new(), &device.inner());
        let gradient = Tensor::from_floats([1.0], &Device::flex());
        optimizer.step(linear, ByName::from([("weight".to_owned(), gradient)]), 0.1, 2);
    }

    #[test]
    fn clipping_shortens_only_what_is_too_long() {
        let device = Device::flex();
        let make = || {
            BTreeMap::from([
                ("a".to_owned(), Tensor::<1>::from_floats([3.0], &device)),
                ("b".to_owned(), Tensor::<1>::from_floats([0.0, 4.0], &device)),
            ])
        };
        let mut long = make();
        clip(&mut long, 1.0);
        let norm = long.values().map(|g| length(g).powi(2)).sum::<f64>().sqrt();
        assert!((norm - 1.0).abs() < 1e-6);
        let mut short = make();
        clip(&mut short, 5.5);
        assert_eq!(short["a"].clone().into_scalar::<f32>(), 3.0);
    }
}
