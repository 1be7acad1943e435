//! `selfsame embed`.

use std::process::ExitCode;

use selfsame::nn::device;
use selfsame::report::next::after_embedding;
use selfsame::{EmbedOptions, WeightsOptions};
use serde_json::json;

use super::{elsewhere, quoted, say_steps, shown};
use crate::args::{Embed, split};
use crate::misuse;
use crate::terminal::{Live, Terminal};

pub fn run(args: &Embed) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let device = device::by_name(&args.device.device).map_err(misuse)?;
    let options = EmbedOptions {
        data: args.data.as_deref().map(Into::into),
        split: split(&args.split),
        weights: args.checkpoint,
        precision: args.precision,
        to: Some(args.to.clone()),
        overwrite: args.overwrite,
        device: device.clone(),
    };
    let mut live = Live::default();
    let embedded = match (&args.run, &args.from.init) {
        (Some(run), _) => {
            let mut of_init = [args.from.given(), args.images.given()].concat();
            of_init.extend([("--labels", args.labels.is_some()), ("--seed", args.seed.is_some())]);
            elsewhere::refuse(&of_init, || elsewhere::of_run(run))?;
            selfsame::embed(run, &options, &mut live)?
        }
        (None, Some(file)) => {
            options.check()?;
            let seed = args.seed.unwrap_or_default();
            let weights = WeightsOptions { device, ..args.from.options(args.precision, seed) };
            let images = args.images.options(args.labels.as_deref(), seed);
            let data = args.data.as_deref();
            let (loaded, dataset) = elsewhere::read(file, &weights, data, &images, &mut live)?;
            selfsame::embed_encoder(&loaded.encoder, &dataset, &options, &mut live)?
        }
        (None, None) => {
            return Err(misuse(
                "there is no encoder: name the folder of a run, or --init and --data for weights \
                 from elsewhere",
            ));
        }
    };
    let (rows, dim) = (embedded.features.rows(), embedded.features.dim());
    let names = embedded.names.as_deref().map(shown);
    terminal.say(&format!("{rows} embeddings of {dim} values  {}", args.to.display()));
    if let Some(run) = &args.run {
        say_steps(&terminal, &after_embedding(&quoted(run)));
    }
    let file = shown(&args.to);
    terminal.result(&json!({ "file": file, "names": names, "rows": rows, "dim": dim }));
    Ok(ExitCode::SUCCESS)
}
