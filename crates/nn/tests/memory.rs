//! That graphs give their memory back: in a process of its own, for both graphs and buffers are the
//! process's.

use allocation_counter::measure;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, Tensor};
use selfsame_nn::block::{BlockOperation, conv_bn, reference};
use selfsame_nn::layers::Init;
use selfsame_nn::{Architecture, Precision, ResNet, ResNetConfig, Stem};

/// Bytes that the process's memory grows by in ten steps, after as many that warm it up; `dropped`
/// graphs are built and dropped without a backward pass before each step's own, which moves the
/// weights.
fn growth(operation: BlockOperation, precision: Precision, dropped: usize) -> i64 {
    let device = Device::flex().autodiff();
    let config = ResNetConfig {
        architecture: Architecture::ResNet18,
        stem: Stem::Cifar,
        width: 8,
        precision,
    };
    let mut network = config.init(&mut Init::new(1, &device));
    let images = || Tensor::random([8, 16, 16, 3], Distribution::Default, &device);
    let forward = |network: &ResNet| network.forward_with(operation, images());
    let mut steps = |count| {
        for _ in 0..count {
            for _ in 0..dropped {
                drop(forward(&network));
            }
            drop(forward(&network).sum().backward());
            network = network.clone().map(&mut Move);
        }
    };
    steps(10);
    measure(|| steps(10)).bytes_current
}

/// Makes new leaves of all parameters, as an optimizer does.
struct Move;

impl ModuleMapper for Move {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let tracked = value.is_require_grad();
            let moved = (value.detach() * 0.999).detach();
            if tracked { moved.require_grad() } else { moved }
        })
    }
}

#[test]
fn graphs_are_freed_with_and_without_a_backward_pass() {
    // All on one thread, the one whose memory is counted.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    pool.install(|| {
        for (operation, precision) in [
            (conv_bn as BlockOperation, Precision::F32),
            (conv_bn, Precision::Bf16),
            (reference, Precision::F32),
        ] {
            for dropped in [0, 1, 3] {
                let growth = growth(operation, precision, dropped);
                assert!(
                    growth < 1 << 16,
                    "{precision:?}: {growth} bytes, {dropped} graphs a step dropped"
                );
            }
        }
    });
}
