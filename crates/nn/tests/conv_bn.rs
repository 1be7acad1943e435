//! The fused block operation against its composition of Burn's own operations.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use selfsame_nn::block::{BlockOperation, conv_bn, reference};
use selfsame_nn::layers::{BatchNorm, Conv2d, Init};
use selfsame_nn::{Architecture, Precision, ResNet, ResNetConfig, Stem};

/// Values in ±1 from a small generator, so that a shape and a seed say everything.
fn noise<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
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
    let difference: f64 =
        found.iter().zip(expected).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let norm: f64 = expected.iter().map(|b| square(f64::from(*b))).sum();
    (difference / norm.max(f64::MIN_POSITIVE)).sqrt()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    };
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

/// The nearest values that bf16 has, as f32.
fn rounded<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.cast(DType::BF16).cast(DType::F32)
}

/// Output, running statistics and gradients (input, weight, γ, β, residual) by `operation` on
/// activations of `dtype`, all of whose inputs, and the gradient of the output, are values of bf16;
/// the weights are not. Outputs that a rounding may move across ReLU's corner have no part in the
/// loss, for their gradients are there or are not.
fn run_rounded(operation: BlockOperation, case: &Case, dtype: DType) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let mut init = Init::new(3, &device);
    let conv = Conv2d::new(case.input[3], case.output, case.kernel, case.stride, &mut init);
    let mut bn = BatchNorm::new(case.output, &mut init);
    bn.weight = Param::from_tensor(noise(5, [case.output], &device));
    bn.bias = Param::from_tensor(noise(6, [case.output], &device));
    let [batch, height, width, _] = case.input;
    let out = [batch, height.div_ceil(case.stride), width.div_ceil(case.stride), case.output];
    let x = rounded(noise(4, case.input, &device)).detach().require_grad();
    let residual = case.residual.then(|| rounded(noise(7, out, &device)).detach().require_grad());
    let mut weights = rounded(noise(8, out, &device));
    if case.activate {
        // Values of up to 8 that are off by 2⁻⁸ of themselves.
        let before =
            reference(&[(&conv, &bn.clone().fork(&device))], x.clone(), residual.clone(), false)
                .detach();
        weights = weights.mask_fill(before.abs().lower_elem(8.0 / 256.0), 0.0);
    }
    let seen = residual.clone().map(|residual| residual.cast(dtype));
    let y = operation(&[(&conv, &bn)], x.clone().cast(dtype), seen, case.activate);
    assert_eq!(y.dtype(), dtype);
    let y = y.cast(DType::F32);
    let gradients = (y.clone() * weights).sum().backward();
    let mut all = vec![
        values(y),
        values(bn.running_mean.value_sync()),
        values(bn.running_var.value_sync()),
        values(x.grad(&gradients).expect("x takes part")),
        values(conv.weight.val().grad(&gradients).expect("the weight takes part")),
        values(bn.weight.val().grad(&gradients).expect("γ takes part")),
        values(bn.bias.val().grad(&gradients).expect("β takes part")),
    ];
    all.extend(
        residual
            .map(|residual| values(residual.grad(&gradients).expect("the residual takes part"))),
    );
    all
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
        Tensor::<4>::from_data(TensorData::new(planes, [batch, input, height, width]), &device)
            .require_grad()
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
        values(bn.running_mean.value_sync()),
        values(bn.running_var.value_sync()),
        values(of_x),
        values(conv.weight.val().grad(&gradients).expect("the weight takes part")),
        values(bn.weight.val().grad(&gradients).expect("γ takes part")),
        values(bn.bias.val().grad(&gradients).expect("β takes part")),
    ];
    all.extend(
        residual
            .map(|residual| values(residual.grad(&gradients).expect("the residual takes part"))),
    );
    all
}

fn cases() -> Vec<Case> {
    let case = |input, output, kernel, stride, residual, activate| Case {
        input,
        output,
        kernel,
        stride,
        residual,
        activate,
    };
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
            // Both round sums of up to about a thousand f32 terms: √1000 · 2⁻²⁴ ≈ 2e-6 each, and
            // the gradients of the input and weight, which are differences from two means, amplify
            // that a few times.
            let distance = distance(fused, expected);
            assert!(distance < 2e-5, "{shape:?}: result {which} is {distance:e} off");
        }
    }
}

#[test]
fn bf16_is_the_reference_up_to_its_rounding() {
    for case in cases()
        .into_iter()
        .flat_map(|case| [Case { activate: false, ..case }, Case { activate: true, ..case }])
    {
        let found = run_rounded(conv_bn, &case, DType::BF16);
        let expected = run_rounded(reference, &case, DType::F32);
        assert_eq!(found.len(), expected.len());
        for (which, (found, expected)) in found.iter().zip(&expected).enumerate() {
            // Four roundings, each of at most 2⁻⁹ of a value: of the weights, of the convolved
            // values, of their gradients and of the result.
            let distance = distance(found, expected);
            let shape = case.input;
            assert!(
                distance < 4.0 / 512.0,
                "{shape:?}, ReLU {}: result {which} is {distance:e} off",
                case.activate
            );
        }
    }
}

#[test]
fn what_is_left_to_the_next_layer_is_the_reference_up_to_its_rounding() {
    for (shape, outputs, kernels, strides) in [
        ([4, 8, 8, 16], vec![16, 16], vec![3, 3], [1, 1]),
        ([4, 9, 7, 16], vec![32, 32], vec![3, 3], [2, 1]),
        ([2, 9, 9, 5], vec![7, 7, 28], vec![1, 3, 1], [1, 2]),
        ([1, 5, 11, 1], vec![3, 2], vec![3, 3], [1, 1]),
    ] {
        let [found, expected] = [(conv_bn as BlockOperation, DType::BF16), (reference, DType::F32)]
            .map(|(operation, dtype)| {
                let device = Device::flex().autodiff();
                let mut init = Init::new(3, &device);
                let mut inputs = shape[3];
                let mut layers = Vec::new();
                for (seed, (&outputs, &kernel)) in (20..).zip(outputs.iter().zip(&kernels)) {
                    let stride = strides.get(layers.len()).copied().unwrap_or(1);
                    let conv = Conv2d::new(inputs, outputs, kernel, stride, &mut init);
                    let mut bn = BatchNorm::new(outputs, &mut init);
                    // Far from ReLU's corner, on either side of it, where a rounding makes no
                    // gradient come or go.
                    bn.weight = Param::from_tensor(noise(seed, [outputs], &device) * 0.15);
                    bn.bias = Param::from_tensor(noise(seed, [outputs], &device).sign() * -0.7);
                    layers.push((conv, bn));
                    inputs = outputs;
                }
                let last = layers.len() - 1;
                layers[last].1.weight = Param::from_tensor(noise(30, [inputs], &device));
                let x = rounded(noise(4, shape, &device)).detach().require_grad();
                let borrowed: Vec<_> = layers.iter().map(|(conv, bn)| (conv, bn)).collect();
                let y = operation(&borrowed, x.clone().cast(dtype), None, false).cast(DType::F32);
                let gradients = (y.clone() * rounded(noise(8, y.dims(), &device))).sum().backward();
                let mut all = vec![values(y), values(x.grad(&gradients).expect("x takes part"))];
                for (conv, bn) in &layers {
                    all.push(values(bn.running_mean.value_sync()));
                    all.push(values(bn.running_var.value_sync()));
                    all.push(values(
                        conv.weight.val().grad(&gradients).expect("weights take part"),
                    ));
                    all.push(values(bn.weight.val().grad(&gradients).expect("γ takes part")));
                    all.push(values(bn.bias.val().grad(&gradients).expect("β takes part")));
                }
                all
            });
        for (which, (found, expected)) in found.iter().zip(&expected).enumerate() {
            // The shifts of 0.7 are some twelve times the deviations of 0.15 / √3 at most, of which
            // values are rounded as much the worse. Gradients of shifts that only another
            // normalisation sees are nought.
            let distance = distance(found, expected);
            let nought = expected.iter().all(|value| value.abs() < 1e-3);
            assert!(
                nought || distance < 12.0 * 4.0 / 512.0,
                "{shape:?}: result {which} is {distance:e} off"
            );
        }
    }
}

/// Where the tensor that is used several times comes from.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// It is a leaf.
    Leaf,
    /// One of Burn's operations.
    Burn,
    /// The operation under test.
    Own,
}

/// Gradients of a graph in which `operation` takes its weights in two passes and a tensor in
/// several places; in f32 with ReLU, which makes differences of roundings large.
fn run_shared(
    operation: BlockOperation,
    dtype: DType,
    activate: bool,
    origin: Origin,
) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let mut init = Init::new(3, &device);
    let shape = [4, 8, 8, 16];
    let mut layer = |kernel, stride| {
        (Conv2d::new(16, 16, kernel, stride, &mut init), BatchNorm::new(16, &mut init))
    };
    let (before, first, second, shortcut, halved) =
        (layer(3, 1), layer(3, 1), layer(3, 1), layer(1, 1), layer(3, 2));
    let leaves = [4, 5].map(|seed| {
        noise(seed, shape, &device).cast(DType::BF16).cast(dtype).detach().require_grad()
    });
    let mut outputs = Vec::new();
    for leaf in &leaves {
        let x = match origin {
            Origin::Leaf => leaf.clone(),
            Origin::Burn => leaf.clone().mul_scalar(2.0),
            Origin::Own => operation(&[(&before.0, &before.1)], leaf.clone(), None, activate),
        };
        let y = operation(&[(&first.0, &first.1)], x.clone(), None, activate);
        let y = operation(&[(&second.0, &second.1)], y, Some(x.clone()), activate);
        // As in a block that halves the image, and what no block does: the same tensor as input and
        // residual.
        let z = operation(&[(&shortcut.0, &shortcut.1)], x.clone(), Some(x.clone()), false);
        let half = operation(&[(&halved.0, &halved.1)], x.clone(), None, activate);
        outputs.extend([y, z, half, x.tanh()]);
    }
    let terms = (10..).zip(outputs).map(|(seed, output)| {
        let output = output.cast(DType::F32);
        (output.clone() * rounded(noise(seed, output.dims(), &device))).sum()
    });
    let gradients = terms.reduce(|all, term| all + term).expect("terms").backward();
    let mut all: Vec<_> = leaves
        .iter()
        .map(|leaf| values(leaf.grad(&gradients).expect("leaves take part").cast(DType::F32)))
        .collect();
    let layers = [&first, &second, &shortcut, &halved]
        .into_iter()
        .chain(matches!(origin, Origin::Own).then_some(&before));
    for (conv, bn) in layers {
        all.push(values(conv.weight.val().grad(&gradients).expect("weights take part")));
        all.push(values(bn.weight.val().grad(&gradients).expect("γ takes part")));
        all.push(values(bn.bias.val().grad(&gradients).expect("β takes part")));
    }
    all
}

#[test]
fn what_is_used_several_times_has_the_sum_of_gradients() {
    for origin in [Origin::Leaf, Origin::Burn, Origin::Own] {
        // As above; in bf16 of at most three operations in a row, and of sums of up to five
        // gradients.
        for (dtype, activate, bound) in
            [(DType::F32, true, 2e-5), (DType::BF16, false, 3.0 * 4.0 / 512.0)]
        {
            let expected = run_shared(reference, DType::F32, activate, origin);
            let found = run_shared(conv_bn, dtype, activate, origin);
            assert_eq!(found.len(), expected.len());
            for (which, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let distance = distance(found, expected);
                assert!(
                    distance < bound,
                    "{origin:?}, {dtype:?}: gradient {which} is {distance:e} off"
                );
            }
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
            values(operation(
                &[(&conv, &bn)],
                noise(4, case.input, &device),
                residual,
                case.activate,
            ))
        });
        // As above, without gradients.
        assert!(distance(&fused, &expected) < 5e-6, "{:?}", case.input);
    }
}

#[test]
fn whole_network_gradients_point_where_the_reference_points() {
    let device = Device::flex().autodiff();
    let config = ResNetConfig {
        architecture: Architecture::ResNet18,
        stem: Stem::Cifar,
        width: 8,
        precision: Precision::F32,
    };
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
            self.all.extend(values(
                param.val().grad(self.gradients).expect("every parameter takes part"),
            ));
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
        let network = ResNetConfig { architecture, stem, width: 64, precision: Precision::F32 }
            .init(&mut Init::new(0, &device));
        assert_eq!(parameters(&network), count, "{architecture:?}, {stem:?}");
    }
}

/// What is done with the embeddings of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    /// SimCLR's.
    Contrastive,
    /// A sum with fixed weights.
    Sum,
}

/// Gradients of all parameters, by name, of a step on two views of `images` images each; each pixel
/// is off by a random value of `noisy` at most.
fn step(
    operation: BlockOperation,
    loss: Loss,
    width: usize,
    precision: Precision,
    images: usize,
    noisy: f64,
) -> Vec<(String, Vec<f32>)> {
    let device = Device::flex().autodiff();
    let config =
        ResNetConfig { architecture: Architecture::ResNet18, stem: Stem::Cifar, width, precision };
    let network = config.init(&mut Init::new(1, &device));
    let [one, other] = [3, 4].map(|view| {
        let noise = |seed| noise(seed, [images, 32, 32, 3], &device);
        network.forward_with(operation, noise(2) + noise(view) * 0.3 + noise(5 + view) * noisy)
    });
    let unit = |x: Tensor<2>| x.clone() / x.powf_scalar(2.0).sum_dim(1).sqrt();
    let z = Tensor::cat(vec![one, other], 0);
    let (sum, z) = ((z.clone() * noise(5, z.dims(), &device)).sum(), unit(z));
    // No image is its own neighbour.
    let itself = Tensor::<2>::eye(2 * images, &device) * 1e4;
    let likeness = z.clone().matmul(z.transpose()) / 0.5 - itself;
    let chances = burn::tensor::activation::log_softmax(likeness, 1);
    let pairs: Vec<f32> = (0..4 * images * images)
        .map(|at| {
            if (at / (2 * images) + images) % (2 * images) == at % (2 * images) { 1.0 } else { 0.0 }
        })
        .collect();
    let pairs = Tensor::<2>::from_data(TensorData::new(pairs, [2 * images; 2]), &device);
    let contrastive = (chances * pairs).sum().neg().div_scalar((2 * images) as f64);
    let gradients = if loss == Loss::Sum { sum } else { contrastive }.backward();
    let mut layers = Layers { gradients: &gradients, path: Vec::new(), all: Vec::new() };
    network.visit(&mut layers);
    layers.all
}

/// Gathers the gradients of all parameters with their names.
struct Layers<'a> {
    gradients: &'a burn::tensor::Gradients,
    path: Vec<String>,
    all: Vec<(String, Vec<f32>)>,
}

impl ModuleVisitor for Layers<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.val().is_require_grad() {
            let gradient =
                values(param.val().grad(self.gradients).expect("every parameter takes part"));
            self.all.push((self.path.join("."), gradient));
        }
    }
}

#[test]
fn a_step_in_bf16_points_where_one_in_f32_points() {
    let linear: BlockOperation = |layers, x, residual, _| {
        let (last, between) = layers.split_last().expect("layers");
        let x = between.iter().fold(x, |x, layer| conv_bn(&[*layer], x, None, false));
        conv_bn(&[*last], x, residual, false)
    };
    for loss in [Loss::Contrastive, Loss::Sum] {
        let all = |operation, precision, noisy| -> Vec<f32> {
            let layers = step(operation, loss, 16, precision, 8, noisy);
            layers.into_iter().flat_map(|(_, values)| values).collect()
        };
        // Without ReLU; there the normalisations that follow make a shift or scale no difference,
        // so that only weights of convolutions have gradients to speak of, layer by layer.
        let short = step(linear, loss, 16, Precision::Bf16, 8, 0.0);
        let long = step(linear, loss, 16, Precision::F32, 8, 0.0);
        for ((name, short), (_, long)) in short.iter().zip(&long) {
            if name.contains("conv") || name.contains("downsample.0") {
                let cosine = cosine(short, long);
                assert!(cosine > 0.998, "{loss:?}, {name}: cosine {cosine}");
            }
        }
        let cosine_linear =
            cosine(&all(linear, Precision::Bf16, 0.0), &all(linear, Precision::F32, 0.0));
        assert!(cosine_linear > 0.999, "{loss:?}: cosine {cosine_linear}");
        // With ReLU a value that a rounding moves across nought has its gradient or not: about 2⁻⁸
        // of all values a layer, which is √2⁻⁸ = 1/16 of the gradient's length, and 17 layers of
        // that are √17/16 = 1/4: a cosine of about 1 − 1/32 where every layer's values were off by
        // as much as one rounding makes them, and less where errors of layers before come to that.
        // Changes of an image's pixels by as little do the same in f32.
        let exact = all(conv_bn, Precision::F32, 0.0);
        let noisy = cosine(&all(conv_bn, Precision::F32, 1.0 / 256.0), &exact);
        let cosine = cosine(&all(conv_bn, Precision::Bf16, 0.0), &exact);
        assert!(
            cosine > 0.93 && noisy < 0.98,
            "{loss:?}: cosine {cosine}, of f32 with noise {noisy}"
        );
    }
}

#[test]
fn features_in_bf16_are_those_of_f32() {
    let device = Device::flex();
    for (architecture, stem, size, width) in [
        (Architecture::ResNet18, Stem::Cifar, 32, 16),
        (Architecture::ResNet50, Stem::Cifar, 16, 8),
        (Architecture::ResNet18, Stem::ImageNet, 64, 16),
    ] {
        let [short, long] = [Precision::Bf16, Precision::F32].map(|precision| {
            let config = ResNetConfig { architecture, stem, width, precision };
            values(config.init(&mut Init::new(1, &device)).forward(noise(
                2,
                [16, size, size, 3],
                &device,
            )))
        });
        let dim = short.len() / 16;
        let least =
            short.chunks(dim).zip(long.chunks(dim)).map(|(a, b)| cosine(a, b)).fold(1.0, f64::min);
        assert!(least > 0.999, "{architecture:?}, {stem:?}: cosine {least}");
    }
}
