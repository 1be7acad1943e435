//! What every encoder offers, whichever network it is.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use selfsame_nn::layers::Init;
use selfsame_nn::{
    Architecture, Backbone, EncoderConfig, MlpConfig, Precision, ResNetConfig, Stem, onnx, pixels,
    state,
};

const RESNET: EncoderConfig = EncoderConfig::ResNet(ResNetConfig {
    architecture: Architecture::ResNet18,
    stem: Stem::Cifar,
    width: 4,
    precision: Precision::F32,
});
const MLP: EncoderConfig = EncoderConfig::Mlp(MlpConfig { width: 6, image_size: 8 });

fn images(count: usize, size: usize) -> Vec<u8> {
    (0..count * size * size * 3).map(|i| (i * i * 7 % 251) as u8).collect()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    state::to_host(tensor).values
}

/// An encoder whose running statistics, scales and shifts are those of no initialisation.
fn trained(config: EncoderConfig) -> Backbone {
    let device = Device::flex().autodiff();
    let encoder = config.init(&mut Init::new(3, &device));
    for _ in 0..3 {
        encoder.forward(pixels::normalise(&images(5, 8), 8, &device));
    }
    let mut tensors = state::read(&encoder);
    for (name, tensor) in &mut tensors {
        if tensor.shape.len() == 1 && !name.contains("running") {
            let shaken = |(i, v): (usize, &mut f32)| *v += 0.1 * (i as f32 + 1.0).sin();
            tensor.values.iter_mut().enumerate().for_each(shaken);
        }
    }
    state::load(config.init(&mut Init::new(4, &Device::flex())), &tensors).unwrap()
}

/// Something that holds an encoder, as a method's networks do.
#[derive(Module, Debug)]
struct Networks {
    backbone: Backbone,
}

/// The enum of encoders leaves no trace in names: files from before it are read as ever.
#[test]
fn names_of_tensors_are_those_of_the_network() {
    let names = |config: EncoderConfig| -> Vec<String> {
        let backbone = config.init(&mut Init::new(0, &Device::flex()));
        state::read(&Networks { backbone }).into_keys().collect()
    };
    let resnet = names(RESNET);
    for name in
        ["backbone.conv1.weight", "backbone.bn1.running_var", "backbone.layer1.0.conv1.weight"]
    {
        assert!(resnet.iter().any(|known| known == name), "{name} is none of {resnet:?}");
    }
    assert_eq!(resnet.len(), 100, "torchvision's ResNet-18 without its classifier and counters");
    let layer = |i: usize| {
        ["layers.I.bias", "layers.I.weight", "norms.I.bias", "norms.I.weight"]
            .into_iter()
            .chain(["norms.I.running_mean", "norms.I.running_var"])
            .map(move |name| format!("backbone.{}", name.replace('I', &i.to_string())))
    };
    let mut expected: Vec<String> = layer(0).chain(layer(1)).collect();
    expected.sort();
    assert_eq!(names(MLP), expected);
}

#[test]
fn a_state_is_read_back_into_every_encoder() {
    for config in [RESNET, MLP] {
        let encoder = trained(config);
        let tensors = state::read(&encoder);
        let other = config.init(&mut Init::new(9, &Device::flex()));
        assert_ne!(state::read(&other), tensors);
        assert_eq!(state::read(&state::load(other, &tensors).unwrap()), tensors);
    }
}

#[test]
fn features_are_the_mean_of_maps() {
    // The perceptron takes images of 8 pixels; the residual network reduces 24 to 3.
    for (config, size, side) in [(RESNET, 24, 3), (MLP, 8, 1)] {
        let encoder = trained(config);
        let input = pixels::normalise(&images(3, size), size, &Device::flex());
        let (features, maps) = (encoder.forward(input.clone()), encoder.maps(input));
        let [batch, height, width, dim] = maps.dims();
        assert_eq!(([batch, dim], config.dim()), (features.dims(), encoder.dim()));
        let mean = maps.reshape([batch, height * width, dim]).mean_dim(1).reshape([batch, dim]);
        let (features, mean) = (host(features), host(mean));
        assert!(features.iter().any(|value| *value > 0.1));
        assert_eq!([height, width], [side; 2]);
        let largest = features.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        for (feature, mean) in features.iter().zip(mean) {
            // A sum of side² values that are at least 0, and a division: as many roundings.
            let bound = (side * side) as f32 * f32::EPSILON * largest;
            assert!((feature - mean).abs() <= bound, "{feature} {mean}");
        }
    }
}

/// A perceptron against loops in f64.
#[test]
fn a_perceptron_is_two_layers_with_batch_normalisation_and_relu() {
    let encoder = trained(MLP);
    let tensors = state::read(&encoder);
    let tensor = |name: String| -> Vec<f64> {
        tensors[&name].values.iter().map(|&value| f64::from(value)).collect()
    };
    let input = pixels::normalise(&images(4, 8), 8, &Device::flex());
    let found = host(encoder.forward(input.clone()));
    let input = host(input);
    for (image, found) in input.chunks_exact(192).zip(found.chunks_exact(6)) {
        let mut x: Vec<f64> = image.iter().map(|&value| f64::from(value)).collect();
        for layer in 0..2 {
            let [weight, bias] = ["weight", "bias"].map(|p| tensor(format!("layers.{layer}.{p}")));
            let [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"]
                .map(|part| tensor(format!("norms.{layer}.{part}")));
            x = (0..6)
                .map(|unit| {
                    let row = &weight[unit * x.len()..][..x.len()];
                    let sum: f64 = row.iter().zip(&x).map(|(w, x)| w * x).sum();
                    let normalised =
                        (sum + bias[unit] - mean[unit]) / (variance[unit] + 1e-5).sqrt();
                    (gamma[unit] * normalised + beta[unit]).max(0.0)
                })
                .collect();
        }
        for (found, expected) in found.iter().zip(&x) {
            // Sums of some two hundred products below 1.
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }
    assert_eq!(encoder.image_size(), Some(8));
}

#[test]
#[should_panic(expected = "images of another size")]
fn a_perceptron_refuses_images_of_another_size() {
    let larger = Tensor::<4>::from_data(
        TensorData::new(vec![0.0_f32; 9 * 9 * 3], [1, 9, 9, 3]),
        &Device::flex(),
    );
    trained(MLP).forward(larger);
}

/// The fields of a protobuf message: number, and bytes or a varint's value.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8], u64)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let (varint, rest) = bytes.split_at(length);
        *bytes = rest;
        varint.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
    }
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        match tag & 7 {
            0 => fields.push((tag >> 3, &[][..], varint(&mut message))),
            kind => {
                let length = if kind == 5 { 4 } else { varint(&mut message) as usize };
                let (bytes, rest) = message.split_at(length);
                message = rest;
                fields.push((tag >> 3, bytes, 0));
            }
        }
    }
    fields
}

/// The fields of one number that hold bytes.
fn all(message: &[u8], number: u64) -> Vec<&[u8]> {
    fields(message).into_iter().filter(|field| field.0 == number).map(|field| field.1).collect()
}

fn text(message: &[u8], number: u64) -> String {
    String::from_utf8(all(message, number)[0].to_vec()).unwrap()
}

#[test]
fn a_perceptron_in_onnx_is_two_products_each_normalised() {
    let file = onnx::model(&trained(MLP), 8, &BTreeMap::new());
    let graph = all(&file, 7)[0];
    let operators: Vec<String> = all(graph, 1).iter().map(|node| text(node, 4)).collect();
    let layer = ["Gemm", "BatchNormalization", "Relu"];
    let after = operators.iter().rposition(|name| name == "Floor").unwrap() + 1;
    let before = ["Mul", "Add", "Transpose", "Flatten"];
    assert_eq!(operators[after..], [&before[..], &layer, &layer].concat());
    // Each node reads what was there before it, and the last one makes the output.
    let mut known: Vec<String> = all(graph, 5).iter().map(|tensor| text(tensor, 8)).collect();
    assert_eq!(known.iter().filter(|name| name.contains('.')).count(), 2 * 6, "{known:?}");
    known.push("images".to_owned());
    for node in all(graph, 1) {
        for input in all(node, 1) {
            let input = std::str::from_utf8(input).unwrap();
            assert!(known.iter().any(|name| name == input), "{input} is none of {known:?}");
        }
        known.push(text(node, 2));
    }
    assert_eq!(known.last().unwrap(), "embeddings");
    // The input says that images have any size.
    let shape = all(all(all(all(graph, 11)[0], 2)[0], 1)[0], 2)[0];
    let sizes: Vec<String> = all(shape, 1)[..3].iter().map(|size| text(size, 2)).collect();
    assert_eq!(sizes, ["batch", "height", "width"]);
}
