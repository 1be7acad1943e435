//! `selfsame bench ops`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use half::bf16;
use rayon::prelude::*;
use selfsame::augment::Isa;
use selfsame::nn::layers::Init;
use selfsame::nn::{EncoderConfig, Precision, state};
use selfsame::report::roofline::{Operation, ROOFLINE_FILE, ROOFLINE_PAGE, Roofline};
use selfsame::report::{render_roofline, write_atomic, write_json};
use selfsame_kernels::conv::{Conv, Input, OfInput, Wanted};
use selfsame_kernels::conv_bn::{self, Parameters, Saved, Then};
use selfsame_kernels::descent::{self, Sgd};
use selfsame_kernels::element::Element;
use selfsame_kernels::peak;

use super::middle;
use super::train::{encoder, named, plan_of, step_time};
use crate::args::BenchOps;
use crate::commands::typed;
use crate::misuse;
use crate::terminal::{Bar, Terminal};

/// Rounds of which the median counts, and how long one takes at least.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(40);
/// Steps of training of which the median counts.
const STEPS: usize = 8;
/// Bytes that are copied to see how fast memory is: more than any cache holds.
const COPIED: usize = 1 << 30;

pub fn run(args: &BenchOps) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    if args.encoder.device.device != "flex" {
        return Err(misuse("--device: operations are measured on the processor, flex, alone"));
    }
    let (dataset, config) = encoder(&args.encoder, &terminal)?;
    if dataset.train.len() < args.batch {
        return Err(misuse(format!(
            "--batch {}: there are {} training images",
            args.batch,
            dataset.train.len()
        )));
    }
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let (isa, threads) = (Isa::best(), rayon::current_num_threads());
    let views = 2 * args.batch;
    let short = config.precision() == Precision::Bf16;
    let bar = Bar::new("operations");
    bar.set(0, 1, "the machine".to_owned());
    let mut roofline = Roofline {
        selfsame: env!("CARGO_PKG_VERSION").to_owned(),
        command: typed(),
        machine: selfsame::machine(),
        isa: isa.to_string(),
        threads: threads as u64,
        subject: named(&args.encoder, &config, dataset.image_size),
        views: views as u64,
        peak_operations: rayon::broadcast(|_| peak::operations(isa, short)).iter().sum(),
        peak_bytes: bytes_moved(threads),
        ..Roofline::default()
    };
    let kinds = kinds(&config, views, dataset.image_size as usize);
    for (at, (name, conv, times)) in kinds.iter().enumerate() {
        bar.set(at as u64, kinds.len() as u64, name.clone());
        let both = if short {
            convolution::<bf16>(isa, conv, at > 0)
        } else {
            convolution::<f32>(isa, conv, at > 0)
        };
        for (pass, (seconds, operations, bytes)) in ["forward", "backward"].into_iter().zip(both) {
            let name = format!("{name}, {pass}");
            roofline.operations.push(Operation { name, times: *times, seconds, operations, bytes });
        }
    }
    roofline.operations.push(weights_moved(isa, &config));
    bar.set(kinds.len() as u64, kinds.len() as u64, "whole steps".to_owned());
    let plan =
        plan_of("simclr", "simclr", &args.encoder.data, args.batch, config, dataset.image_size)?;
    (roofline.step_seconds, _) = step_time(&plan, &dataset, "flex", STEPS)?;
    bar.finish();

    terminal
        .say(&format!("ops      {}, {}, {threads} threads", roofline.subject, roofline.machine));
    terminal.say(&format!(
        "         at best {:.0} GFLOP/s from registers, {:.1} GB/s from memory to memory",
        roofline.peak_operations / 1e9,
        roofline.peak_bytes / 1e9
    ));
    terminal.say(&roofline.table());
    terminal.say(&format!(
        "         a step of {views} views takes {:.0} ms; one by one, their inputs in the cache, \
         these operations take \
         {:.0} ms, and at the limit {:.0} ms",
        1e3 * roofline.step_seconds,
        1e3 * roofline.sum(),
        1e3 * roofline.least()
    ));
    write_json(&args.out.join(ROOFLINE_FILE), &roofline)?;
    let page = args.out.join(ROOFLINE_PAGE);
    write_atomic(&page, render_roofline(&roofline).as_bytes())?;
    terminal.status(&format!("report   {}", page.display()));
    terminal.result(&serde_json::to_value(&roofline)?);
    Ok(ExitCode::SUCCESS)
}

/// The different convolutions of an encoder, each with how often it comes.
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

/// Seconds, floating-point operations and bytes of a convolution with batch normalisation and ReLU,
/// forward and backward.
fn convolution<T: Element>(isa: Isa, conv: &Conv, input_wanted: bool) -> [(f64, f64, f64); 2] {
    let value =
        |i: usize| ((i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 24) as f32) - 0.5;
    let values = |len: usize| -> Vec<f32> { (0..len).map(value).collect() };
    let activations = |len: usize| -> Vec<T> { (0..len).map(|i| T::of(value(i))).collect() };
    let input = activations(conv.batch * conv.in_image());
    let weights = values(conv.outputs * conv.inputs * conv.kernel * conv.kernel);
    let (gamma, beta) = (vec![1.0; conv.outputs], vec![0.0; conv.outputs]);
    let parameters = Parameters { weights: &weights, gamma: &gamma, beta: &beta };
    let then = Then::Here { residual: None, relu: true };
    let forward = || conv_bn::forward::<T>(isa, conv, Input::Ready(&input), parameters, then);
    let made = forward();
    let gradient = activations(conv.batch * conv.out_image());
    let backward = || {
        let saved = Saved {
            input: Input::Ready(&input),
            convolved: &made.convolved,
            mean: &made.mean,
            variance: &made.variance,
            output: None,
            sums: None,
            origin: None,
        };
        let of_input = if input_wanted { OfInput::Wanted } else { OfInput::Unwanted };
        let wanted = Wanted { input: of_input, weights: None };
        conv_bn::backward::<T>(isa, conv, parameters, saved, true, &gradient, wanted)
    };
    let size = size_of::<T>() as f64;
    let [inputs, outputs] = [input.len(), gradient.len()].map(|len| size * len as f64);
    let products = conv.operations(isa, T::as_bf16(&[]).is_some());
    let both = if input_wanted { 2.0 } else { 1.0 };
    let weight_bytes = 4.0 * weights.len() as f64;
    [
        // What it made before the statistics were known is written, and read again.
        (median(&mut || drop(forward())), products, inputs + 3.0 * outputs + weight_bytes),
        // The gradient is read for its sums and again for what follows from them, with the outputs
        // both times.
        (
            median(&mut || drop(backward())),
            both * products,
            both * inputs + 4.0 * outputs + 2.0 * weight_bytes,
        ),
    ]
}

/// The step of SGD with momentum over all weights of the encoder.
fn weights_moved(isa: Isa, config: &EncoderConfig) -> Operation {
    let flex = burn::tensor::Device::flex();
    let count = state::parameters(&config.init(&mut Init::new(0, &flex)));
    let values = vec![0.5_f32; count];
    let rule = Sgd { rate: 0.1, momentum: 0.9, decay: 1e-4 };
    let seconds = median(&mut || drop(descent::sgd(isa, &rule, &values, &values, Some(&values))));
    let count = count as f64;
    // Weights, gradient and velocity in, weights and velocity out; three products and as many sums.
    Operation {
        name: "weights moved".to_owned(),
        times: 1,
        seconds,
        operations: 6.0 * count,
        bytes: 20.0 * count,
    }
}

/// Bytes a second that are read and written where all threads copy.
fn bytes_moved(threads: usize) -> f64 {
    let from = vec![1_u8; COPIED / 2];
    let mut to = vec![0_u8; COPIED / 2];
    let piece = (COPIED / 2).div_ceil(threads);
    let seconds = median(&mut || {
        to.par_chunks_mut(piece)
            .zip(from.par_chunks(piece))
            .for_each(|(to, from)| to.copy_from_slice(from));
        std::hint::black_box(&mut to);
    });
    COPIED as f64 / seconds
}

/// The median of the seconds that `work` takes, each over as many calls as fill a round.
fn median(work: &mut dyn FnMut()) -> f64 {
    work(); // which takes the memory and warms up
    let rounds = (0..ROUNDS).map(|_| {
        let (start, mut calls) = (Instant::now(), 0);
        while calls == 0 || start.elapsed() < ROUND {
            work();
            calls += 1;
        }
        start.elapsed().as_secs_f64() / f64::from(calls)
    });
    middle(rounds.collect())
}
