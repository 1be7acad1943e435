//! `selfsame compare`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use selfsame::report::certificate::{CERTIFICATE_FILE, CertificateRecord, ClassRecord, LEVEL};
use selfsame::report::comparison::{
    COMPARISON_FILE, COMPARISON_PAGE, ComparedRun, Comparison, FEWEST, Predictor,
};
use selfsame::report::record::{RUN_FILE, Scores};
use selfsame::report::{
    Report, ReportError, read, read_certificate, render_comparison, signed, wilson, write_atomic,
    write_json,
};
use selfsame::theory::{Quantity, Trust, kendall_tau};
use serde_json::json;

use super::{quoted, shown, typed};
use crate::args::Compare as Args;
use crate::misuse;
use crate::terminal::Terminal;

/// An accuracy: its name, where an evaluation has it, and what a certificate calls its error.
type Accuracy = (&'static str, Option<fn(&Scores) -> f64>, &'static str);

const ACCURACIES: [Accuracy; 4] = [
    ("kNN", Some(|scores| scores.knn_acc1), "kNN"),
    ("linear probe", Some(|scores| scores.linear_acc1), "linear probe"),
    ("nearest centre", Some(|scores| scores.centre_acc1), "nearest centre of training images"),
    // Of the images that were certified, and so of embeddings too.
    ("nearest centre, left out", None, "nearest centre, others of their kind"),
];

/// The distances that all runs are compared at.
#[derive(Debug, Clone, Copy)]
struct Common {
    delta: Option<f64>,
    epsilon: Option<f64>,
}

/// A measure: its name, what it is, whether larger is better, and where it is found.
type Measure =
    (&'static str, &'static str, bool, fn(&CertificateRecord, Common) -> Option<Quantity>);

const MEASURES: [Measure; 10] = [
    (
        "σ",
        "The share of a class that δ brings together before training, mean over classes.",
        true,
        sigma,
    ),
    (
        "separation",
        "How often two images of a class have nearer views than two of different classes.",
        true,
        |record, _| record.concentration.as_ref()?.separation.clone(),
    ),
    ("L_align", "Mean squared distance of two views of an image.", false, |record, _| {
        Some(record.alignment.as_ref()?.best().clone())
    }),
    ("R_ε", "The share of images with two views more than ε apart.", false, outside),
    ("divergence", "Mean product of the centres of two classes.", false, |record, _| {
        record.divergence.as_ref()?.mean.clone()
    }),
    ("largest divergence", "Product of the two closest centres.", false, |record, _| {
        record.divergence.as_ref()?.largest.clone()
    }),
    (
        "uniformity",
        "Logarithm of the mean Gaussian potential of two images (Wang & Isola 2020).",
        false,
        |record, _| record.named("uniformity").cloned(),
    ),
    ("RankMe", "Effective rank of the embeddings (Garrido et al. 2023).", true, |record, _| {
        record.named("RankMe").cloned()
    }),
    (
        "|αReQ − 1|",
        "Decay of the spectrum, as its distance from 1, which is held to be best (Agrawal et al. \
         2022).",
        false,
        |record, _| {
            let alpha = record.named("αReQ")?;
            Some(Quantity { value: (alpha.value - 1.0).abs(), trust: alpha.trust.clone() })
        },
    ),
    (
        "LiDAR",
        "Effective rank of what tells images apart but not their views (Thilak et al. 2024).",
        true,
        |record, _| record.named("LiDAR").cloned(),
    ),
];

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    if args.runs.len() < 2 {
        return Err(misuse("a comparison takes at least two runs"));
    }
    selfsame::check_folder(&args.out)?;
    let files = [args.out.join(COMPARISON_FILE), args.out.join(COMPARISON_PAGE)];
    if let Some(file) = files.iter().find(|file| file.exists() && !args.overwrite) {
        return Err(misuse(format!(
            "{} exists already; name another folder with --out, or --overwrite",
            shown(file)
        )));
    }
    check_folders(&args.runs)?;
    let reports = args.runs.iter().map(|path| Ok((path.as_path(), read_any(path)?)));
    let reports: Vec<(&Path, Report)> = reports.collect::<anyhow::Result<_>>()?;
    let comparison = compare(&reports)?;
    std::fs::create_dir_all(&args.out).with_context(|| shown(&args.out))?;
    write_json(&files[0], &comparison)?;
    write_atomic(&files[1], render_comparison(&comparison).as_bytes())?;
    print(&comparison, &terminal);
    terminal.say(&format!("comparison {}", shown(&files[1])));
    let mut result = serde_json::to_value(&comparison)?;
    result["page"] = json!(shown(&files[1]));
    terminal.result(&result);
    Ok(ExitCode::SUCCESS)
}

/// Refuses what is no folder, and a folder that is named twice, which would count as two runs that
/// agree.
fn check_folders(runs: &[PathBuf]) -> anyhow::Result<()> {
    let mut seen: HashMap<PathBuf, &Path> = HashMap::new();
    for run in runs {
        if !run.is_dir() {
            return Err(misuse(match run.exists() {
                true => format!("{} is a file; name the folder that it lies in", shown(run)),
                false => format!(
                    "{} does not exist; name the folder of a run, or of a certificate",
                    shown(run)
                ),
            }));
        }
        let same = seen.insert(run.canonicalize().with_context(|| shown(run))?, run);
        if let Some(same) = same {
            return Err(misuse(format!(
                "{} and {} are the same folder; name each run once",
                shown(same),
                shown(run)
            )));
        }
    }
    Ok(())
}

/// The records of a run, or the certificate that a folder without a run holds.
fn read_any(path: &Path) -> anyhow::Result<Report> {
    let certificate = match path.join(RUN_FILE).exists() {
        true => None,
        false => read_certificate(&path.join(CERTIFICATE_FILE))?,
    };
    match certificate {
        Some(_) => Ok(Report { certificate, ..Report::default() }),
        None => read(path).map_err(|error| match error {
            ReportError::NotARun { .. } => misuse(format!(
                "{} holds neither a run ({RUN_FILE}) nor a certificate ({CERTIFICATE_FILE}); name \
                 a folder that \
                 `selfsame study`, `pretrain` or `certify` wrote",
                shown(path)
            )),
            error => error.into(),
        }),
    }
}

fn compare(reports: &[(&Path, Report)]) -> anyhow::Result<Comparison> {
    let certificates: Vec<&CertificateRecord> =
        reports.iter().filter_map(|(_, report)| report.certificate.as_ref()).collect();
    let common = Common {
        delta: middle(&certificates, half_together),
        epsilon: middle(&certificates, half_spread),
    };
    let mut runs: Vec<ComparedRun> =
        reports.iter().map(|(path, report)| compared(path, report, common)).collect();
    let predictor = |(at, &(name, meaning, larger_is_better, _)): (usize, &Measure)| {
        let taus = (0..ACCURACIES.len()).map(|accuracy| tau(&runs, at, accuracy, larger_is_better));
        let taus = taus.collect::<anyhow::Result<_>>()?;
        Ok(Predictor { name: name.into(), meaning: meaning.into(), larger_is_better, taus })
    };
    let predictors: Vec<Predictor> =
        MEASURES.iter().enumerate().map(predictor).collect::<anyhow::Result<_>>()?;
    let ordered = |&at: &usize| predictors.iter().any(|predictor| predictor.taus[at].is_some());
    let known = |at: usize| runs.iter().filter(|run| run.accuracies[at].is_some()).count();
    let accuracies = || 0..ACCURACIES.len();
    let most = accuracies().filter(ordered).find(|&at| 2 * known(at) >= runs.len());
    let leading = most
        .or_else(|| accuracies().find(ordered))
        .or_else(|| accuracies().find(|&at| known(at) > 0));
    let leading = leading.unwrap_or(0);
    let by = |run: &ComparedRun| {
        run.accuracies[leading].as_ref().map_or(f64::NEG_INFINITY, |accuracy| accuracy.value)
    };
    runs.sort_by(|a, b| by(b).total_cmp(&by(a)));
    let comparison = Comparison {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        command: typed(),
        delta: common.delta,
        epsilon: common.epsilon,
        accuracies: ACCURACIES.map(|(name, ..)| name.to_owned()).into(),
        leading,
        predictors,
        notes: Vec::new(),
        runs,
    };
    Ok(Comparison { notes: notes(reports, comparison.complete()), ..comparison })
}

/// The middle of a number over runs; of an even number the lower.
fn middle(
    records: &[&CertificateRecord],
    of: fn(&CertificateRecord) -> Option<f64>,
) -> Option<f64> {
    let mut values: Vec<f64> = records.iter().filter_map(|record| of(record)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// The δ at which the middle class comes half together, or a bound of it.
fn half_together(record: &CertificateRecord) -> Option<f64> {
    Some(record.concentration.as_ref()?.delta.value)
}

/// The ε at which half of the images are spread.
fn half_spread(record: &CertificateRecord) -> Option<f64> {
    let curve = &record.alignment.as_ref()?.curve;
    curve.iter().find(|point| point[1] <= LEVEL).map(|point| point[0])
}

/// The mean over classes of the share within δ of one another, by the sets that were found.
fn sigma(record: &CertificateRecord, common: Common) -> Option<Quantity> {
    let delta = common.delta?;
    record.concentration.as_ref()?;
    let omega = |class: &ClassRecord, side: usize| {
        class.curve.iter().filter(|point| point[side] <= delta).count()
    };
    let share = |side: usize| {
        let shares = record
            .classes
            .iter()
            .map(|class| omega(class, side) as f64 / class.curve.len().max(1) as f64);
        shares.sum::<f64>() / record.classes.len().max(1) as f64
    };
    // The first entry of a point bounds its δ from below, the second from above.
    let (low, high) = (share(1), share(0));
    Some(if low < high { Quantity::at_least(low) } else { Quantity::exact(low) })
}

/// R_ε at the common ε.
fn outside(record: &CertificateRecord, common: Common) -> Option<Quantity> {
    let epsilon = common.epsilon?;
    let curve = &record.alignment.as_ref()?.curve;
    // The first point is the smallest diameter of all, whatever is left out between the others.
    let Some(&[at, value]) = curve.iter().rfind(|point| point[0] <= epsilon) else {
        return Some(Quantity::exact(1.0));
    };
    let known = at == epsilon || curve.len() == record.images;
    Some(if known { Quantity::exact(value) } else { Quantity::at_most(value) })
}

/// Whether the evaluation, if there is one, measured the weights that were certified, if they were.
fn same_weights(report: &Report) -> bool {
    match (&report.evaluation, &report.certificate) {
        (Some(evaluation), Some(certificate)) => evaluation.step == certificate.step,
        _ => true,
    }
}

fn compared(path: &Path, report: &Report, common: Common) -> ComparedRun {
    let certificate = report.certificate.as_ref();
    let evaluation = report.evaluation.as_ref().filter(|_| same_weights(report));
    let scores =
        evaluation.and_then(|evaluation| Some((evaluation.test.as_ref()?, evaluation.images)));
    let evaluated = |of: fn(&Scores) -> f64| {
        let (scores, images) = scores?;
        let value = of(scores);
        let interval = wilson(value, images);
        let (low, high) = (Some(interval.low), Some(interval.high));
        let trust =
            Trust::Estimate { low, high, method: "Wilson, 95 %".into(), sample: images as usize };
        value.is_finite().then_some(Quantity { value, trust })
    };
    // What the certificate was written beside is of its own weights.
    let accuracy = |&(_, of, error): &Accuracy| {
        of.and_then(evaluated).or_else(|| certificate?.named(error).map(accuracy_of))
    };
    ComparedRun {
        run: shown(path),
        method: report.run.method.clone(),
        augment: match certificate {
            Some(certificate) if report.run.augment.is_empty() => certificate.policy.clone(),
            _ => report.run.augment.clone(),
        },
        epochs: report.run.epochs,
        seed: report.run.seed,
        accuracies: ACCURACIES.iter().map(accuracy).collect(),
        values: MEASURES.iter().map(|(.., of)| of(certificate?, common)).collect(),
        bound: certificate.and_then(|certificate| certificate.best_bound().cloned()),
    }
}

/// The accuracy that an error leaves.
fn accuracy_of(error: &Quantity) -> Quantity {
    let trust = match error.trust.clone() {
        Trust::Estimate { low, high, method, sample } => Trust::Estimate {
            low: high.map(|high| 1.0 - high),
            high: low.map(|low| 1.0 - low),
            method,
            sample,
        },
        Trust::Bound { side } => Trust::Bound { side: side.opposite() },
        trust => trust,
    };
    Quantity { value: 1.0 - error.value, trust }
}

/// Kendall's τ between a measure, turned so that larger is better, and an accuracy, over the runs
/// that have both.
fn tau(
    runs: &[ComparedRun],
    measure: usize,
    accuracy: usize,
    larger_is_better: bool,
) -> anyhow::Result<Option<Quantity>> {
    let sign = if larger_is_better { 1.0 } else { -1.0 };
    let both = runs.iter().filter_map(|run| {
        Some((sign * run.values[measure].as_ref()?.value, run.accuracies[accuracy].as_ref()?.value))
    });
    let (x, y): (Vec<f64>, Vec<f64>) = both.unzip();
    Ok(kendall_tau(&x, &y)?.map(|found| found.tau))
}

/// What keeps runs from being compared, of which `complete` can be.
fn notes(reports: &[(&Path, Report)], complete: usize) -> Vec<String> {
    let mut notes = Vec::new();
    for (path, report) in reports {
        let way = quoted(path);
        if report.certificate.is_none() {
            notes.push(format!("{way} has no certificate; `selfsame certify {way}` makes it."));
        }
        if !same_weights(report) {
            notes.push(format!(
                "{way} was evaluated and certified at different steps of its training, so the \
                 evaluation does not count; \
                 measure the same --checkpoint with both."
            ));
        }
        let is_run = !report.run.method.is_empty();
        if is_run && report.evaluation.as_ref().is_none_or(|evaluation| evaluation.test.is_none()) {
            notes.push(format!(
                "{way} has no accuracies; `selfsame eval {way}` measures them, if there are labels."
            ));
        }
    }
    let certified: Vec<&CertificateRecord> =
        reports.iter().filter_map(|(_, report)| report.certificate.as_ref()).collect();
    // What embeddings do not know is empty.
    let differ = |of: fn(&CertificateRecord) -> String| {
        let mut known = certified.iter().map(|record| of(record)).filter(|text| !text.is_empty());
        known.next().is_some_and(|first| known.any(|other| other != first))
    };
    if certified.iter().any(|record| record.digest.is_empty()) {
        notes.push(
            "Certificates of embeddings do not say of which images: see to it that all are \
                    of the same."
                .into(),
        );
    }
    for (what, of) in [
        ("different images", (|record| record.digest.clone()) as fn(&CertificateRecord) -> String),
        ("different splits", |record| record.split.clone()),
        ("different numbers of images", |record| record.images.to_string()),
        ("different numbers of views", |record| record.views.to_string()),
        ("views of different seeds", |record| record.seed.to_string()),
    ] {
        if differ(of) {
            notes.push(format!(
                "The certificates are of {what}: their measures are not quite comparable."
            ));
        }
    }
    if complete < 10 {
        notes.push(format!(
            "Intervals of τ are rough below 10 runs, and there are none below {FEWEST}; these are \
             {complete}."
        ));
    }
    notes.push(
        "Intervals of τ take the runs to be independent, which those of one method or one data \
         set are not quite."
            .into(),
    );
    notes
}

fn print(comparison: &Comparison, terminal: &Terminal) {
    let share = |quantity: &Option<Quantity>| {
        quantity
            .as_ref()
            .map_or("–".to_owned(), |quantity| format!("{:.1} %", 100.0 * quantity.value))
    };
    terminal
        .say(&comparison.accuracies.iter().map(|name| format!("{name:>26}")).collect::<String>());
    for run in &comparison.runs {
        let accuracies: Vec<String> =
            run.accuracies.iter().map(|accuracy| format!("{:>26}", share(accuracy))).collect();
        terminal.say(&format!("{}  {}", accuracies.join(""), run.run));
    }
    if let Some(why) = comparison.nothing() {
        terminal.say(&why);
    }
    for predictor in &comparison.predictors {
        let tau = predictor.taus[comparison.leading].as_ref().map_or("–".to_owned(), in_words);
        terminal.say(&format!(
            "τ with {}, {:<18} {tau}",
            comparison.accuracies[comparison.leading], predictor.name
        ));
    }
    for note in &comparison.notes {
        terminal.say(note);
    }
}

/// A τ with its interval and the runs it is of.
fn in_words(tau: &Quantity) -> String {
    let value = signed(tau.value, 2);
    match &tau.trust {
        Trust::Estimate { low: Some(low), high: Some(high), sample, .. } => {
            format!("{value} ({} to {} by {sample} runs)", signed(*low, 2), signed(*high, 2))
        }
        Trust::Estimate { method, sample, .. } => {
            format!("{value} (no interval: {method}, of {sample} runs)")
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minus_is_one() {
        let trust = |ends: Option<[f64; 2]>| Trust::Estimate {
            low: ends.map(|e| e[0]),
            high: ends.map(|e| e[1]),
            method: "few".into(),
            sample: 4,
        };
        let words = |ends| in_words(&Quantity { value: -0.25, trust: trust(ends) });
        assert_eq!(words(Some([-0.5, 0.125])), "−0.25 (−0.50 to 0.12 by 4 runs)");
        assert_eq!(words(None), "−0.25 (no interval: few, of 4 runs)");
    }
}
