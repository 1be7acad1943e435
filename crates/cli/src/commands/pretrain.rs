//! `selfsame pretrain` and `selfsame study`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use selfsame::Run;
use selfsame::data::Dataset;
use selfsame::init;
use selfsame::nn::device;
use selfsame::report::certificate::CERTIFICATE_FILE;
use selfsame::report::record::{
    EVAL_FILE, MAP_FILE, METRICS_FILE, MetricPoint, RunRecord, VIEWS_FILE, ViewSheet,
};
use selfsame::report::{Sprite, write_json};
use selfsame::train::checkpoint::{self, Which};
use selfsame::train::{Outcome, Plan, Progress, TrainError};
use selfsame::views;
use serde_json::{Value, json};

use super::{INTERRUPTED, eval, quoted, report, shown, typed};
use crate::args::{CheckpointName, OnCollapse, Pretrain};
use crate::terminal::{Bar, Live, Terminal};
use crate::{misuse, resolve};

/// Images and views of each on the sheet of views.
const SHEET: [usize; 2] = [8, 6];

pub fn pretrain(args: &Pretrain) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let Some(((run, _, dataset, record), last)) = train(args, "pretrain", &terminal)? else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let page = report::write(&run)?;
    terminal.skipped(&dataset, "in the run's page and run.json");
    terminal.say(&format!("encoder  {}", Which::Last.path(run.path()).display()));
    terminal.say(&format!("report   {}", page.display()));
    terminal.result(&trained(json!({ "run": shown(run.path()) }), &page, &record, last.as_ref()));
    Ok(ExitCode::SUCCESS)
}

pub fn study(args: &Pretrain) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let Some(((run, plan, dataset, record), last)) = train(args, "study", &terminal)? else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let evaluation =
        eval::measure(&run, &plan, &dataset, CheckpointName::Last, &args.device.device, &terminal)?;
    let page = report::write(&run)?;
    terminal.skipped(&dataset, "in the run's page and run.json");
    eval::print(&evaluation, &dataset, &terminal);
    terminal.say(&format!("report   {}", page.display()));
    terminal.result(&trained(
        eval::to_json(&run, &evaluation, &dataset),
        &page,
        &record,
        last.as_ref(),
    ));
    Ok(ExitCode::SUCCESS)
}

/// A result for machines, with what is told of every training.
fn trained(
    mut result: Value,
    page: &Path,
    record: &RunRecord,
    last: Option<&MetricPoint>,
) -> Value {
    result["report"] = json!(shown(page));
    result["seconds"] = json!(record.seconds);
    result["collapse"] = json!(record.collapse);
    result["last"] = json!(last);
    result
}

type Trained = (Run, Plan, Dataset, RunRecord);

/// Starts a run or goes on with one, up to its last epoch, and the last point of its curves; none
/// if it was interrupted.
fn train(
    args: &Pretrain,
    verb: &str,
    terminal: &Terminal,
) -> anyhow::Result<Option<(Trained, Option<MetricPoint>)>> {
    let device = device::by_name(&args.device.device).map_err(misuse)?;
    let (run, plan, dataset, mut record) = match &args.resume {
        Some(path) => resume(args, path)?,
        None => start(args, terminal)?,
    };
    terminal.status(&format!(
        "training {} ({} parameters, {} values an image, {}) with {} on views {}",
        record.encoder.name,
        record.encoder.parameters,
        record.encoder.dimension,
        plan.encoder.precision(),
        record.method,
        record.augment
    ));

    // A state that collapsed stays so, and the alarm of before is not heard again.
    if let Some(sentence) = record.collapse.as_ref().filter(|_| !record.finished) {
        if args.on_collapse == OnCollapse::Stop {
            anyhow::bail!(
                "stopped by --on-collapse: this run collapsed before: {sentence}; start another, \
                 or go on with this one \
                 without that option"
            );
        }
        terminal.status(&format!("warning: this run collapsed before: {sentence}"));
    }

    let [stop, training] = [false, true].map(|on| Arc::new(AtomicBool::new(on)));
    let signals = [Arc::clone(&stop), Arc::clone(&training)];
    let way = format!("go on with: selfsame {verb} --resume {}", quoted(run.path()));
    let way_on = way.clone();
    ctrlc::set_handler(move || {
        let [stop, training] = &signals;
        let again = stop.swap(true, Ordering::Relaxed);
        if again || !training.load(Ordering::Relaxed) {
            eprintln!("\nstopped; {way_on}");
            std::process::exit(i32::from(INTERRUPTED));
        }
        eprintln!("\nfinishing this step and saving; once more to end at once");
    })
    .context("cannot listen for Ctrl-C")?;

    // Whatever was measured before is not of the weights that are about to be made.
    if !record.finished {
        for name in [EVAL_FILE, MAP_FILE, CERTIFICATE_FILE] {
            let _ = std::fs::remove_file(run.path().join(name));
        }
    }
    let save_every = Duration::from_secs(args.save_every);
    let bar = Bar::new("steps");
    let mut stopped_by = None;
    let mut first = args.resume.is_some();
    let mut on_step = |progress: &Progress| {
        if std::mem::take(&mut first) {
            bar.line(&match progress.step - 1 {
                0 => format!(
                    "no checkpoint had been written yet: from the start, {} steps",
                    progress.steps
                ),
                done => format!("going on after step {done} of {}", progress.steps),
            });
        }
        bar.step(progress);
        if let Some(found) = progress.collapse {
            let sentence = format!("{found}; {}", plan.method.method().against_collapse());
            bar.line(&format!("warning: {sentence}"));
            // What has taken its last step is not stopped.
            if args.on_collapse == OnCollapse::Stop && progress.step < progress.steps {
                stop.store(true, Ordering::Relaxed);
                stopped_by = Some(sentence.clone());
            }
            // At once, before the state is saved: a run that is killed goes on beyond this step,
            // and would not know. Should that fail, the record is written again at the end.
            record.collapse = Some(sentence);
            let _ = run.write_record(&record);
        }
    };
    let outcome = selfsame::train::pretrain(
        &plan,
        &dataset,
        &device,
        run.path(),
        save_every,
        &stop,
        &mut on_step,
    );
    bar.finish();
    training.store(false, Ordering::Relaxed);
    let outcome = outcome?;
    record.seconds = outcome.seconds;
    record.finished = outcome.finished();
    run.write_record(&record)?;
    if let Some(sentence) = stopped_by {
        anyhow::bail!(
            "stopped by --on-collapse: {sentence}; start another run so, or, all the same, {way}"
        );
    }
    if !outcome.finished() {
        let Outcome { step, steps, .. } = outcome;
        terminal.status(&format!("stopped after step {step} of {steps}; {way}"));
        return Ok(None);
    }
    if stop.load(Ordering::Relaxed) {
        terminal.status(&format!("training is complete; {way}"));
        return Ok(None);
    }
    let curves = run.path().join(METRICS_FILE);
    let last = last_point(&curves);
    let ended = last.as_ref().map(|last| ended(last, &curves)).unwrap_or_default();
    terminal.status(&format!("trained {} epochs in {:.0} s{ended}", record.epochs, record.seconds));
    Ok(Some(((run, plan, dataset, record), last)))
}

/// The last point of a run's curves.
fn last_point(curves: &Path) -> Option<MetricPoint> {
    let text = std::fs::read_to_string(curves).ok()?;
    serde_json::from_str(text.lines().last()?).ok()
}

/// How a training ended, in words that follow others; `curves` is where the rest can be read.
fn ended(point: &MetricPoint, curves: &Path) -> String {
    let knn =
        point.val_knn_acc1.map(|knn| format!(", kNN {:.1} % on validation images", 100.0 * knn));
    let rank = point.watched.get("rank_me").map(|rank| format!(", outputs of rank {rank:.1}"));
    let [knn, rank] = [knn, rank].map(Option::unwrap_or_default);
    format!(": loss {:.3}{knn}{rank}; the curves are in {}", point.train_loss, curves.display())
}

fn start(args: &Pretrain, terminal: &Terminal) -> anyhow::Result<Trained> {
    // Settings are checked before images are read, with the size that is still open set to any that
    // is fine.
    resolve::plan(args, args.image_size.unwrap_or(32))?;
    let run = Run::create(&resolve::out(args), args.overwrite)?;
    let mut dataset = terminal.load(&args.data, &resolve::images(args, Some(run.cache())))?;
    let mut plan = resolve::plan(args, dataset.image_size)?;
    let images = dataset.train.len();
    if images < 2 {
        return Err(misuse(TrainError::TooFewImages { images }));
    }
    if images < plan.train.batch {
        let batch = plan.train.batch;
        let note = format!(
            "A batch of {batch} was asked for; there are {images} training images, so that is its \
             size."
        );
        terminal.status(&format!("  {note}"));
        dataset.notes.push(note);
    }
    let sheet = view_sheet(&plan, &dataset)?;
    let weights = |file: &PathBuf| -> Result<_, selfsame::Error> {
        let import = init::read(file)?;
        Ok(init::fitting(import, file, args.init_partial, &plan.encoder, &mut Live::default())?)
    };
    let init = args.init.as_ref().map(weights).transpose()?;
    run.clear()?;
    let mut record = selfsame::record(&plan, &dataset, &args.device.device, typed());
    if let (Some(weights), Some(file)) = (init, &args.init) {
        plan = plan.starting_from(checkpoint::save_init(run.path(), weights)?);
        record.protocol.push(("Initial weights".to_owned(), shown(file)));
    }
    run.write_record(&record)?;
    write_json(&run.path().join(VIEWS_FILE), &sheet)?;
    // Last, since a folder with a configuration is one that can be resumed.
    run.write_plan(&plan)?;
    Ok((run, plan, dataset, record))
}

fn resume(args: &Pretrain, path: &Path) -> anyhow::Result<Trained> {
    let run = Run::open(path)?;
    let plan = run.plan()?;
    let mut record = run.record()?;
    let dataset = run.images(&plan, args.strict, &mut Live::default())?;
    // At once, since a run that is killed would not say so any more.
    let machine = selfsame::machine();
    if !record.finished && !record.machines.contains(&machine) {
        record.machines.push(machine);
        run.write_record(&record)?;
    }
    Ok((run, plan, dataset, record))
}

/// A few training images, taken at random, each beside views of it.
fn view_sheet(plan: &Plan, dataset: &Dataset) -> anyhow::Result<ViewSheet> {
    let (split, size) = (&dataset.train, dataset.image_size);
    let [images, views] = SHEET;
    let chosen = selfsame::eval::sample(split.len(), images);
    let originals = chosen.iter().map(|&i| views::picture(split.image(i)));
    let drawn = views::draw(&plan.augment, split, &chosen, views, plan.seed, size)?;
    let mut tiles = Vec::new();
    for (original, views) in originals.zip(drawn.chunks(views)) {
        tiles.push(original);
        tiles.extend(views.iter().map(|view| view.picture.clone()));
    }
    let tiles: Vec<&[u8]> = tiles.iter().map(Vec::as_slice).collect();
    let side = views::picture_side(size);
    let sheet = Sprite::lossless(side, side, &tiles, views as u32 + 1)?;
    Ok(ViewSheet { names: chosen.iter().map(|&i| split.name(i).to_owned()).collect(), sheet })
}
