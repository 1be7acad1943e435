//! A frozen encoder gives what the encoder itself gives in evaluation.

use burn::module::Module;
use burn::tensor::Device;
use selfsame_nn::frozen::Frozen;
use selfsame_nn::layers::Init;
use selfsame_nn::{Architecture, EncoderConfig, MlpConfig, Precision, ResNetConfig, Stem, pixels};

fn images(count: usize, size: usize) -> Vec<Vec<u8>> {
    let byte = |image: usize, at: usize| ((image * 131 + at * at * 17 + at * 29) % 251) as u8;
    (0..count).map(|image| (0..size * size * 3).map(|at| byte(image, at)).collect()).collect()
}

/// `count` images, of which the last few do not fill what is laid out.
fn check(config: EncoderConfig, size: usize, count: usize) {
    let device = Device::flex();
    // Running statistics that are not 0 and 1: those of a few steps.
    let training = device.clone().autodiff();
    let encoder = config.init(&mut Init::new(3, &training));
    let images = images(count, size);
    for _ in 0..3 {
        encoder.forward(pixels::normalise(&images.concat(), size, &training));
    }
    let encoder = encoder.valid();
    let expected: Vec<f32> = encoder
        .forward(pixels::normalise(&images.concat(), size, &device))
        .into_data()
        .try_into_vec()
        .expect("f32");
    let frozen = Frozen::new(&encoder, size).expect("the processor");
    let slices: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let found = frozen.embed(&slices);
    assert_eq!(found.len(), count * config.dim());
    // Both convolve with the same kernels; they differ by the order in which pixels are averaged,
    // of which there are few, or in which a perceptron's products are summed, of which there are
    // some hundred.
    let largest = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    assert!(largest > 0.01, "the encoder says nothing");
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() <= 64.0 * f32::EPSILON * largest,
            "{config:?}: {found} for {expected}"
        );
    }
    assert!(frozen.embed(&[]).is_empty());
    assert_eq!(
        frozen.embed(&slices[..1]),
        found[..config.dim()],
        "an image's values depend on no other image"
    );
}

#[test]
fn every_encoder_at_odd_sizes() {
    for precision in [Precision::F32, Precision::Bf16] {
        let config = |architecture, stem, width| {
            ResNetConfig { architecture, stem, width, precision }.into()
        };
        check(config(Architecture::ResNet18, Stem::Cifar, 8), 16, 67);
        check(config(Architecture::ResNet18, Stem::Cifar, 5), 9, 5);
        check(config(Architecture::ResNet34, Stem::ImageNet, 4), 37, 3);
        check(config(Architecture::ResNet50, Stem::Cifar, 4), 8, 3);
        check(config(Architecture::ResNet50, Stem::ImageNet, 3), 64, 2);
    }
    check(MlpConfig { width: 40, image_size: 9 }.into(), 9, 67);
}
