//! The fused block operation against its composition of Burn's own operations.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use selfsame_nn::block::{BlockOperation, conv_bn, reference};
use selfsame_nn::layers::{BatchNorm, Conv2d, Init};
use selfsame_nn::{Architecture, EncoderConfig, Precision, ResNet, Stem};

/// Values in ±1 from a small generator, so that a shape and a seed say everything.
fn noise<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1u32 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

/// Root of the mean squared difference over that of the second.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |value: f64| value * value;
    let difference: f64 = found.iter().zip(expected).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let norm: f64 = expected.iter().map(|b| square(f64::from(*b))).sum();
    (difference / norm.max(f64::MIN_POSITIVE)).sqrt()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

struct Case {
    input: [usize; 4],
    output: usize,
    kernel: usize,
    stride: usize,
    residual: bool,
    activate: bool,
}

/// Output, running statistics and gradients (input, weight, γ, β, residual) by `operation`.
fn run(operation: BlockOperation, case: &Case, permuted: bool) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let mut init = Init::new(3, &device);
    let [batch, height, width, input] = case.input;
    let conv = Conv2d::new(input, case.output, case.kernel, case.stride, &mut init);
    let mut bn = BatchNorm::new(case.output, &mut init);
    bn.weight = Param::from_tensor(noise(5, [case.output], &device));
    bn.bias = Param::from_tensor(noise(6, [case.output], &device));
    // The same values in another order of memory.
    let x = if permuted {
        let planes: Tensor<4> = noise(4, case.input, &device.clone().inner()).permute([0, 3, 1, 2]);
        let planes = values(planes);
        Tensor::<4>::from_data(TensorData::new(planes, [batch, input, height, width]), &device).require_grad()
    } else {
        noise(4, case.input, &device).require_grad()
    };
    let seen = if permuted { x.clone().permute([0, 2, 3, 1]) } else { x.clone() };
    let out = [batch, height.div_ceil(case.stride), width.div_ceil(case.stride), case.output];
    let residual = case.residual.then(|| noise(7, out, &device).require_grad());
    let y = operation(&[(&conv, &bn)], seen, residual.clone(), case.activate);
    assert_eq!(y.dims(), out);
    let loss = (y.clone() * noise(8, out, &device)).sum();
    let gradients = loss.backward();
    let of_x = x.grad(&gradients).expect("x takes part");
    let of_x = if permuted { of_x.permute([0, 2, 3, 1]) } else { of_x };
    let mut all = vec![
        values(y),
        values(bn.running_mean.value()),
        values(bn.running_var.value()),
        values(of_x),
        values(conv.weight.val().grad(&gradients).expect("the weight takes part")),
        values(bn.weight.val().grad(&gradients).expect("γ takes part")),
        values(bn.bias.val().grad(&gradients).expect("β takes part")),
    ];
    all.extend(residual.map(|residual| values(residual.grad(&gradients).expect("the residual takes part"))));
    all
}

fn cases() -> Vec<Case> {
    let case =
        |input, output, kernel, stride, residual, activate| Case { input, output, kernel, stride, residual, activate };
    vec![
        case([4, 8, 8, 16], 16, 3, 1, true, true),
        case([4, 8, 8, 16], 32, 3, 2, false, true),
        case([4, 9, 7, 16], 32, 1, 2, false, false),
        case([3, 13, 15, 3], 17, 7, 2, false, true),
        case([3, 5, 5, 17], 3, 3, 1, true, false),
        case([32, 1, 1, 2], 5, 3, 1, true, true),
        case([1, 12, 11, 1], 1, 3, 1, true, true),
    ]
}

#[test]
fn fused_is_the_reference_with_all_gradients() {
    for case in cases() {
        let shape = case.input;
        let [fused, expected] = [conv_bn, reference].map(|operation| run(operation, &case, false));
        assert_eq!(fused.len(), expected.len());
        for (which, (fused, expected)) in fused.iter().zip(&expected).enumerate() {
            // Both round sums of up to about a thousand f32 terms: √1000 · 2⁻²⁴ ≈ 2e-6 each, and the gradients
            // of the input and weight, which are differences from two means, amplify that a few times.
            let distance = distance(fused, expected);
            assert!(distance < 2e-5, "{shape:?}: result {which} is {distance:e} off");
        }
    }
}

#[test]
fn the_order_of_an_input_in_memory_does_not_matter() {
    for case in cases() {
        assert!(run(conv_bn, &case, true) == run(conv_bn, &case, false), "{:?}", case.input);
    }
}

#[test]
fn fused_evaluation_is_the_reference() {
    let device = Device::flex();
    for case in cases() {
        let mut init = Init::new(3, &device);
        let conv = Conv2d::new(case.input[3], case.output, case.kernel, case.stride, &mut init);
        let bn = BatchNorm::new(case.output, &mut init);
        bn.running_mean.update(noise(1, [case.output], &device));
        bn.running_var.update(noise(2, [case.output], &device).abs());
        let [batch, height, width, _] = case.input;
        let out = [batch, height.div_ceil(case.stride), width.div_ceil(case.stride), case.output];
        let [fused, expected] = [conv_bn, reference].map(|operation| {
            let residual = case.residual.then(|| noise(7, out, &device));
            values(operation(&[(&conv, &bn)], noise(4, case.input, &device), residual, case.activate))
        });
        // As above, without gradients.
        assert!(distance(&fused, &expected) < 5e-6, "{:?}", case.input);
    }
}

#[test]
fn whole_network_gradients_point_where_the_reference_points() {
    let device = Device::flex().autodiff();
    let config =
        EncoderConfig { architecture: Architecture::ResNet18, stem: Stem::Cifar, width: 8, precision: Precision::F32 };
    let [fused, expected] = [conv_bn as BlockOperation, reference].map(|operation| {
        let network = config.init(&mut Init::new(1, &device));
        let images = noise(2, [16, 16, 16, 3], &device);
        let embedding = network.forward_with(operation, images);
        let target = noise(3, embedding.dims(), &device);
        let gradients = (embedding * target).sum().backward();
        let mut all = Vec::new();
        network.visit(&mut Collect { gradients: &gradients, all: &mut all });
        all
    });
    assert_eq!(fused.len(), parameters(&config.init(&mut Init::new(1, &device))));
    let cosine = cosine(&fused, &expected);
    assert!(cosine > 0.99999, "cosine {cosine}");
}

/// Gathers the gradients of all parameters.
struct Collect<'a> {
    gradients: &'a burn::tensor::Gradients,
    all: &'a mut Vec<f32>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Running statistics are visited too; they are no parameters.
        if param.val().is_require_grad() {
            self.all.extend(values(param.val().grad(self.gradients).expect("every parameter takes part")));
        }
    }
}

/// Number of trained values: without the running statistics, which Burn counts as well.
fn parameters(network: &ResNet) -> usize {
    struct Count(usize);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.val().is_require_grad() {
                self.0 += param.val().shape().num_elements();
            }
        }
    }
    let mut count = Count(0);
    network.visit(&mut count);
    count.0
}

#[test]
fn networks_have_the_published_numbers_of_parameters() {
    let device = Device::flex().autodiff();
    for (architecture, stem, count) in [
        (Architecture::ResNet18, Stem::Cifar, 11_168_832),
        (Architecture::ResNet18, Stem::ImageNet, 11_176_512),
        (Architecture::ResNet34, Stem::ImageNet, 21_284_672),
        (Architecture::ResNet50, Stem::ImageNet, 23_508_032),
    ] {
        let network =
            EncoderConfig { architecture, stem, width: 64, precision: Precision::F32 }.init(&mut Init::new(0, &device));
        assert_eq!(parameters(&network), count, "{architecture:?}, {stem:?}");
    }
}
