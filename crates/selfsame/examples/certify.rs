//! What the theory proves of an encoder: here of one that nobody has trained, on the built-in
//! shapes. `CertifyInput::Run` takes a trained run, `CertifyInput::Embeddings` any embeddings.
//!
//! `cargo run --release -p selfsame --example certify`

use selfsame::data::LoadOptions;
use selfsame::nn::layers::Init;
use selfsame::nn::{Architecture, EncoderConfig, Precision, ResNetConfig, Stem};
use selfsame::report::certificate::words;
use selfsame::{CertifyInput, CertifyOptions, certify, load, policy, write_certificate};

/// Certifies and prints.
pub fn main() -> Result<(), selfsame::Error> {
    let options = CertifyOptions { per_class: 10, views: 4, ..CertifyOptions::default() };
    let dataset = load("glyphs", &LoadOptions::default(), &mut ())?;
    let encoder = EncoderConfig::from(ResNetConfig {
        architecture: Architecture::ResNet18,
        stem: Stem::Cifar,
        width: 4,
        precision: Precision::F32,
    });
    let input = CertifyInput::Encoder {
        name: "an untrained ResNet-18",
        encoder: &encoder.init(&mut Init::new(0, &options.device)),
        dataset: &dataset,
        policy: &policy("abcde")?,
    };
    let record = certify(input, &options, &mut ())?;
    for line in words::lines(&record) {
        println!("{line}");
    }
    // The page has every number with what it is worth.
    let page = write_certificate(&std::env::temp_dir().join("selfsame-certificate"), &record)?;
    println!("\n{}", page.display());
    Ok(())
}
