//! Measures how near each operation of a training step comes to this machine's limits.

use std::time::{Duration, Instant};

use half::bf16;
use rayon::prelude::*;
use selfsame_augment::Isa;
use selfsame_kernels::conv::{Conv, Input, InputGradient, Wanted};
use selfsame_kernels::conv_bn::{self, Parameters, Saved, Then};
use selfsame_kernels::descent::{self, Sgd};
use selfsame_kernels::element::Element;
use selfsame_kernels::peak;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Precision, state};
use selfsame_report::roofline::{Operation, Roofline};

use super::training::{EncoderOptions, TrainOptions, check_batch, endless_plan, step_time};
use crate::{Error, Progress};

/// Number of rounds. Their median counts.
const ROUNDS: usize = 5;
/// Minimum duration of a round.
const ROUND: Duration = Duration::from_millis(40);
/// Number of training steps. Their median counts.
const STEPS: usize = 8;
/// Number of bytes that are copied to measure the memory's speed: more than any cache holds.
const COPIED: usize = 1 << 30;

/// The operations to measure.
#[derive(Clone, Debug)]
pub struct OperationsOptions {
    /// The encoder whose operations are measured, and its images. Only the processor is measured.
    pub encoder: EncoderOptions,
    /// Number of images per step, each in two views.
    pub batch: usize,
    /// The command that asked for the measurement, word by word, for the record.
    pub command: Vec<String>,
}

impl Default for OperationsOptions {
    fn default() -> Self {
        Self { encoder: EncoderOptions::default(), batch: 64, command: Vec::new() }
    }
}

/// Measures each operation of a SimCLR step separately, together with the fastest speed that this
/// machine can reach, and the whole step.
///
/// # Errors
/// If the options make no sense, or if the images cannot be read.
pub fn operations(
    options: &OperationsOptions,
    progress: &mut dyn Progress,
) -> Result<Roofline, Error> {
    let device = &options.encoder.device;
    if device != "flex" {
        let cause = "operations are measured on the processor, flex, alone";
        return Err(Error::option("device", device, cause));
    }
    let training = TrainOptions {
        encoder: options.encoder.clone(),
        batch: options.batch,
        ..TrainOptions::default()
    };
    let (dataset, config) = options.encoder.load(progress)?;
    check_batch(options.batch, &dataset)?;
    let plan = endless_plan(&training, config, &dataset)?;
    let (isa, threads) = (Isa::best(), rayon::current_num_threads());
    let views = 2 * options.batch;
    let short = config.precision() == Precision::Bf16;
    progress.advance("operations", 0, 1, "the machine");
    let peak_operations = rayon::broadcast(|_| peak::operations(isa, short)).iter().sum();
    let peak_bytes = bytes_moved(threads);
    let mut operations = Vec::new();
    let kinds = kinds(&config, views, dataset.image_size as usize);
    let total = kinds.len() as u64;
    for (at, (name, conv, times)) in kinds.iter().enumerate() {
        progress.advance("operations", at as u64, total, name);
        // The gradient of the images themselves is not needed.
        let input_wanted = at > 0;
        let both = if short {
            convolution::<bf16>(isa, conv, input_wanted)
        } else {
            convolution::<f32>(isa, conv, input_wanted)
        };
        for (pass, cost) in ["forward", "backward"].into_iter().zip(both) {
            let name = format!("{name}, {pass}");
            operations.push(Operation { name, times: *times, ..cost });
        }
    }
    operations.push(weights_moved(isa, &config));
    progress.advance("operations", total, total, "whole steps");
    let (step_seconds, _) = step_time(&plan, &dataset, device, STEPS)?;
    progress.finish();
    Ok(Roofline {
        selfsame: env!("CARGO_PKG_VERSION").to_owned(),
        command: options.command.clone(),
        machine: crate::machine(),
        isa: isa.to_string(),
        threads: threads as u64,
        subject: options.encoder.subject(&config, dataset.image_size),
        views: views as u64,
        peak_operations,
        peak_bytes,
        operations,
        step_seconds,
    })
}

/// Returns the distinct convolutions of an encoder: name, shape, and how often a step has it.
fn kinds(config: &EncoderConfig, views: usize, size: usize) -> Vec<(String, Conv, u64)> {
    let flex = burn::tensor::Device::flex();
    let encoder = config.init(&mut Init::new(0, &flex));
    let mut kinds: Vec<(String, Conv, u64)> = Vec::new();
    for (_, conv) in encoder.convolutions(views, size) {
        match kinds.iter_mut().find(|(_, other, _)| *other == conv) {
            Some((_, _, times)) => *times += 1,
            None => {
                let Conv { inputs, outputs, kernel, stride, height, .. } = conv;
                let step = if stride > 1 { format!(" by {stride}") } else { String::new() };
                kinds.push((
                    format!("{kernel}×{kernel}{step}, {inputs} to {outputs} at {height}×{height}"),
                    conv,
                    1,
                ));
            }
        }
    }
    kinds
}

/// Measures the cost of a convolution with batch normalisation and ReLU, forward and backward.
fn convolution<T: Element>(isa: Isa, conv: &Conv, input_wanted: bool) -> [Operation; 2] {
    let value =
        |i: usize| ((i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 24) as f32) - 0.5;
    let values = |len: usize| -> Vec<f32> { (0..len).map(value).collect() };
    let activations = |len: usize| -> Vec<T> { (0..len).map(|i| T::rounded(value(i))).collect() };
    let input = activations(conv.batch * conv.in_image());
    let weights = values(conv.outputs * conv.inputs * conv.kernel * conv.kernel);
    let (gamma, beta) = (vec![1.0; conv.outputs], vec![0.0; conv.outputs]);
    let parameters = Parameters { weights: &weights, gamma: &gamma, beta: &beta };
    let then = Then::Here { residual: None, relu: true };
    let forward = || conv_bn::forward::<T>(isa, conv, Input::Ready(&input), parameters, then);
    let output = forward();
    let gradient = activations(conv.batch * conv.out_image());
    let backward = || {
        let saved = Saved {
            input: Input::Ready(&input),
            convolved: &output.convolved,
            mean: &output.mean,
            variance: &output.variance,
            output: None,
            sums: None,
            origin: None,
        };
        let of_input = if input_wanted { InputGradient::Wanted } else { InputGradient::Unwanted };
        let wanted = Wanted { input: of_input, weights: None };
        conv_bn::backward::<T>(isa, conv, parameters, saved, true, &gradient, wanted)
    };
    let size = size_of::<T>() as f64;
    let [inputs, outputs] = [input.len(), gradient.len()].map(|len| size * len as f64);
    let products = conv.operations(isa, T::as_bf16(&[]).is_some());
    let both = if input_wanted { 2.0 } else { 1.0 };
    let weight_bytes = 4.0 * weights.len() as f64;
    let cost = |seconds: f64, operations: f64, bytes: f64| Operation {
        seconds,
        operations,
        bytes,
        ..Operation::default()
    };
    // The output of the convolution is written before its statistics are known, and then read
    // again.
    let forward_bytes = inputs + 3.0 * outputs + weight_bytes;
    // The gradient is read once for its sums and once for the results that depend on them, each
    // time together with the outputs.
    let backward_bytes = both * inputs + 4.0 * outputs + 2.0 * weight_bytes;
    [
        cost(seconds(&mut || drop(forward())), products, forward_bytes),
        cost(seconds(&mut || drop(backward())), both * products, backward_bytes),
    ]
}

/// Measures the step of SGD with momentum over all weights of the encoder.
fn weights_moved(isa: Isa, config: &EncoderConfig) -> Operation {
    let flex = burn::tensor::Device::flex();
    let count = state::parameters(&config.init(&mut Init::new(0, &flex)));
    let values = vec![0.5_f32; count];
    let rule = Sgd { rate: 0.1, momentum: 0.9, decay: 1e-4 };
    let step = || descent::sgd(isa, &rule, &values, &values, Some(&values));
    let seconds = seconds(&mut || drop(step()));
    let count = count as f64;
    // Weights, gradient and velocity are read; weights and velocity are written. There are three
    // products and three sums per weight.
    Operation {
        name: "weights moved".to_owned(),
        times: 1,
        seconds,
        operations: 6.0 * count,
        bytes: 20.0 * count,
    }
}

/// Measures the number of bytes per second that are read and written while all threads copy.
fn bytes_moved(threads: usize) -> f64 {
    let from = vec![1_u8; COPIED / 2];
    let mut target = vec![0_u8; COPIED / 2];
    let piece = (COPIED / 2).div_ceil(threads);
    let seconds = seconds(&mut || {
        target
            .par_chunks_mut(piece)
            .zip(from.par_chunks(piece))
            .for_each(|(target, from)| target.copy_from_slice(from));
        std::hint::black_box(&mut target);
    });
    COPIED as f64 / seconds
}

/// Measures the seconds that `work` takes: the median over rounds, each with enough calls to fill
/// the round.
fn seconds(work: &mut dyn FnMut()) -> f64 {
    work();
    let rounds = (0..ROUNDS).map(|_| {
        let (start, mut calls) = (Instant::now(), 0);
        while calls == 0 || start.elapsed() < ROUND {
            work();
            calls += 1;
        }
        start.elapsed().as_secs_f64() / f64::from(calls)
    });
    super::median(rounds.collect())
}
