//! Views per second of a ResNet-18 on 32×32 images: training (forward and backward) and inference,
//! by the fused operation and by its reference in turns.
//!
//! `cargo run --release -p selfsame-nn --example speed -- [WIDTH] [BATCH]`, by default 16 and 256.

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use selfsame_nn::block::{BlockOperation, conv_bn, reference};
use selfsame_nn::layers::Init;
use selfsame_nn::{Architecture, Precision, ResNet, ResNetConfig, Stem};

/// Turns of which the fastest counts, after one that does not.
const TURNS: usize = 4;

fn main() {
    let mut arguments =
        std::env::args().skip(1).map(|argument| argument.parse().expect("a whole number"));
    let (width, batch) = (arguments.next().unwrap_or(16), arguments.next().unwrap_or(256));
    let config = ResNetConfig {
        architecture: Architecture::ResNet18,
        stem: Stem::Cifar,
        width,
        precision: Precision::F32,
    };
    for (name, device) in [("training", Device::flex().autodiff()), ("inference", Device::flex())] {
        let network = config.init(&mut Init::new(0, &device));
        let images = Tensor::<4>::random([batch, 32, 32, 3], Distribution::Default, &device);
        let mut fastest = [f64::INFINITY; 2];
        for turn in 0..=TURNS {
            for (operation, fastest) in
                [conv_bn as BlockOperation, reference].into_iter().zip(&mut fastest)
            {
                let start = Instant::now();
                step(&network, operation, images.clone());
                if turn > 0 {
                    *fastest = fastest.min(start.elapsed().as_secs_f64());
                }
            }
        }
        let [fused, reference] = fastest.map(|seconds| batch as f64 / seconds);
        println!(
            "{name}: fused {fused:.0} views/s, reference {reference:.0} views/s, ratio {:.1}",
            fused / reference
        );
    }
}

/// One forward pass and, on an autodiff device, one backward pass of a simple loss.
fn step(network: &ResNet, operation: BlockOperation, images: Tensor<4>) {
    let training = images.device().is_autodiff();
    let embedding = network.forward_with(operation, images);
    if training {
        drop(embedding.powf_scalar(2.0).sum().backward());
    } else {
        drop(embedding.into_data());
    }
}
