//! `--init`: weights to start from.

use selfsame::nn::import::{self, ImportError};
use selfsame::nn::layers::Init;
use selfsame::nn::state::State;
use selfsame::nn::{EncoderConfig, Stem};
use selfsame::train::Plan;

use burn::tensor::Device;

use crate::args::Pretrain;
use crate::misuse;
use crate::terminal::Terminal;

/// The tensors that `--init` names and the run's encoder can take, by the encoder's own names; none without it.
/// Prints what matched, and refuses what does not fit unless `--init-partial` says otherwise.
pub fn weights(args: &Pretrain, plan: &Plan, terminal: &Terminal) -> anyhow::Result<Option<State>> {
    let Some(path) = &args.init else { return Ok(None) };
    let shown = path.display();
    let import = import::read(path).map_err(|error| match error {
        ImportError::Io { .. } | ImportError::Damaged { .. } => anyhow::anyhow!("--init {error}"),
        _ => misuse(format!("--init {error}")),
    })?;
    let fit = import.fit(&plan.encoder.init(&mut Init::new(plan.seed, &Device::flex())));
    let network = if import.network.is_empty() { String::new() } else { format!(" ({})", import.network) };
    terminal.status(&format!("tensors of {shown}{network}:\n{}", fit.to_string().trim_end()));
    if fit.tensors_fit() && !fit.is_whole() && !args.init_partial {
        return Err(misuse(format!(
            "--init {shown}: its tensors fit, but its network computes something else with them, as said above; start \
             from them all the same with --init-partial"
        )));
    }
    if !fit.is_whole() && !args.init_partial {
        let way = match import.encoder() {
            Some(found) if found != plan.encoder => format!("it fits {}", options(&found)),
            _ => "name another file".to_owned(),
        };
        return Err(misuse(format!(
            "--init {shown} does not fit the encoder ({}); {way}, or take what matches with --init-partial",
            options(&plan.encoder)
        )));
    }
    if fit.matched.is_empty() {
        return Err(misuse(format!("--init {shown}: nothing in it fits the encoder ({})", options(&plan.encoder))));
    }
    let matched = |name: &String| fit.matched.binary_search(name).is_ok();
    Ok(Some(import.state.into_iter().filter(|(name, _)| matched(name)).collect()))
}

/// An encoder as it is asked for.
fn options(encoder: &EncoderConfig) -> String {
    let stem = match encoder.stem {
        Stem::Cifar => "cifar",
        Stem::ImageNet => "imagenet",
    };
    let architecture = format!("{:?}", encoder.architecture).to_lowercase();
    format!("--encoder {architecture} --stem {stem} --width {}", encoder.width)
}
