//! `--init`: weights to start from.

use std::path::Path;

use burn::tensor::Device;
use selfsame::nn::import::{self, Import};
use selfsame::nn::layers::Init;
use selfsame::nn::state::State;
use selfsame::nn::{EncoderConfig, Stem};
use selfsame::train::checkpoint::Which;

use crate::misuse;
use crate::terminal::Terminal;

/// The tensors of the file that `--init` names.
pub fn read(path: &Path) -> anyhow::Result<Import> {
    if path.is_dir() {
        let inside = Which::Last.path(path);
        let way =
            if inside.is_file() { format!("; name {}", inside.display()) } else { String::new() };
        return Err(misuse(format!(
            "--init {}: a folder, not a file of weights{way}",
            path.display()
        )));
    }
    if path.extension().is_some_and(|end| end == "onnx") {
        return Err(misuse(format!(
            "--init {}: ONNX holds a network to be run, not named weights to start from; take the \
             .safetensors or .pth \
             that it was made of",
            path.display()
        )));
    }
    import::read(path).map_err(|error| anyhow::anyhow!("--init {error}"))
}

/// Those that the encoder can take, by its own names. Prints what matched, and refuses what does
/// not fit unless `partial`, which `--init-partial` asks for.
pub fn fitting(
    import: Import,
    path: &Path,
    partial: bool,
    encoder: &EncoderConfig,
    terminal: &Terminal,
) -> anyhow::Result<State> {
    let shown = path.display();
    let fit = import.fit(&encoder.init(&mut Init::new(0, &Device::flex())));
    let network =
        if import.network.is_empty() { String::new() } else { format!(" ({})", import.network) };
    terminal.status(&format!("tensors of {shown}{network}:\n{}", fit.to_string().trim_end()));
    if fit.tensors_fit() && !fit.is_whole() && !partial {
        return Err(misuse(format!(
            "--init {shown}: its tensors fit, but its network computes something else with them, \
             as said above; start \
             from them all the same with --init-partial"
        )));
    }
    if !fit.is_whole() && !partial {
        let way = match import.encoder() {
            Some(found) if options(&found) != options(encoder) => {
                format!("it fits {}", options(&found))
            }
            _ => "name another file".to_owned(),
        };
        return Err(misuse(format!(
            "--init {shown} does not fit the encoder ({}); {way}, or take what matches with \
             --init-partial",
            options(encoder)
        )));
    }
    if fit.matched.is_empty() {
        return Err(misuse(format!(
            "--init {shown}: nothing in it fits the encoder ({})",
            options(encoder)
        )));
    }
    let matched = |name: &String| fit.matched.binary_search(name).is_ok();
    Ok(import.state.into_iter().filter(|(name, _)| matched(name)).collect())
}

/// An encoder as it is asked for.
pub fn options(encoder: &EncoderConfig) -> String {
    let stem = match encoder.stem {
        Stem::Cifar => "cifar",
        Stem::ImageNet => "imagenet",
    };
    let architecture = format!("{:?}", encoder.architecture).to_lowercase();
    format!("--encoder {architecture} --stem {stem} --width {}", encoder.width)
}
