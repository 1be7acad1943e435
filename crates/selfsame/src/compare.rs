//! Compares runs: in what they differ, which is better, and which measure predicts how accurate they
//! are.

mod images;
mod settings;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use selfsame_report::certificate::{CERTIFICATE_FILE, CertificateRecord, ClassRecord, LEVEL};
use selfsame_report::comparison::{
    Aspect, COMPARISON_FILE, COMPARISON_PAGE, ComparedRun, Comparison, CurvePoint, Note, Predictor,
};
use selfsame_report::predictions::Predictions;
use selfsame_report::record::{MetricPoint, RUN_FILE, Scores};
use selfsame_report::{
    Report, read, read_certificate, read_predictions, render_comparison, wilson, write_atomic,
    write_json,
};
use selfsame_theory::{Quantity, Trust, kendall_tau};

use crate::run::check_new;
use crate::{CompareError, Error, check_folder};

/// An accuracy: its name, its place in an evaluation, and the name of its error in a certificate.
type Accuracy = (&'static str, Option<fn(&Scores) -> f64>, &'static str);

const ACCURACIES: [Accuracy; 4] = [
    ("kNN", Some(|scores| scores.knn_acc1), "kNN"),
    ("linear probe", Some(|scores| scores.linear_acc1), "linear probe"),
    ("nearest centre", Some(|scores| scores.centre_acc1), "nearest centre of training images"),
    // Measured on the certified images, so certificates of embeddings have this accuracy too.
    ("nearest centre, left out", None, "nearest centre, others of their kind"),
];

/// Number of runs below which the intervals of τ are rough.
const RELIABLE: usize = 10;

/// Distances at which all runs are compared.
#[derive(Debug, Clone, Copy)]
struct Common {
    delta: Option<f64>,
    epsilon: Option<f64>,
}

/// A measure: its name, its meaning, whether larger is better, and its place in a certificate.
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

/// Most points of a run's curve.
const POINTS: usize = 300;

/// Compares runs: which settings they differ in, which is the most accurate, by how much on the same
/// test images, and how well each measure of their certificates predicts their accuracies. For the
/// last, the answer is Kendall's τ of every measure with every accuracy, over the runs that have
/// both.
///
/// A folder holds a run, or a certificate without a run; any other path is passed over, and a note
/// names it. Records are read, and nothing is measured again. [`Comparison::command`] is empty.
///
/// # Errors
/// [`CompareError`]; also if a record cannot be read.
pub fn compare(folders: &[PathBuf]) -> Result<Comparison, Error> {
    check_folders(folders)?;
    let (folders, passed): (Vec<&PathBuf>, Vec<&PathBuf>) = folders
        .iter()
        .partition(|folder| holds(folder, RUN_FILE) || holds(folder, CERTIFICATE_FILE));
    if folders.len() < 2 {
        return Err(CompareError::TooFew { passed: passed.into_iter().cloned().collect() }.into());
    }
    let subjects: Vec<Subject<'_>> =
        folders.into_iter().map(|folder| Subject::read(folder)).collect::<Result<_, _>>()?;
    let (settings, values) =
        settings::differing(&subjects.iter().map(|run| run.settings.clone()).collect::<Vec<_>>());
    let certificates: Vec<&CertificateRecord> =
        subjects.iter().filter_map(|run| run.report.certificate.as_ref()).collect();
    let common = Common {
        delta: middle(&certificates, half_together),
        epsilon: middle(&certificates, half_spread),
    };
    let runs = subjects.iter().zip(values);
    let runs: Vec<ComparedRun> = runs.map(|(run, values)| compared(run, values, common)).collect();
    let predictors = predictors(&runs)?;
    let leading = leading(&runs);
    let by = |run: &ComparedRun| {
        run.accuracies[leading].as_ref().map_or(f64::NEG_INFINITY, |accuracy| accuracy.value)
    };
    let mut ordered: Vec<(Subject<'_>, ComparedRun)> = subjects.into_iter().zip(runs).collect();
    ordered.sort_by(|(_, a), (_, b)| by(b).total_cmp(&by(a)));
    let (subjects, runs): (Vec<Subject<'_>>, Vec<ComparedRun>) = ordered.into_iter().unzip();
    let predicted: Vec<images::Predicted<'_>> =
        subjects.iter().map(|run| (run.path, run.predictions.as_ref())).collect();
    let paired = images::pairs(&predicted);
    let known = runs.iter().filter(|run| run.accuracies[leading].is_some()).count();
    let mut comparison = Comparison {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        command: Vec::new(),
        verdict: images::verdict(&predicted, &paired, leading, known),
        settings,
        accuracies: ACCURACIES.map(|(name, ..)| name.to_owned()).into(),
        leading,
        paired,
        delta: common.delta,
        epsilon: common.epsilon,
        predictors,
        notes: Vec::new(),
        runs,
    };
    let evaluated: Vec<bool> = subjects.iter().map(Subject::is_evaluated).collect();
    let passed = passed.iter().map(|path| Note::PassedOver { run: path.display().to_string() });
    comparison.notes.extend(passed);
    comparison.notes.extend(images::notes(&predicted, &evaluated));
    comparison.notes.extend(notes(&subjects, comparison.complete()));
    Ok(comparison)
}

/// A run to compare, with all that its folder says of it.
#[derive(Debug)]
struct Subject<'a> {
    path: &'a Path,
    report: Report,
    settings: BTreeMap<String, String>,
    /// What it predicts for each test image, if that is of the weights that the evaluation measured.
    predictions: Option<Predictions>,
}

impl<'a> Subject<'a> {
    /// Reads the records of a run, or the certificate of a folder without a run.
    fn read(path: &'a Path) -> Result<Self, Error> {
        if !holds(path, RUN_FILE) {
            let certificate = read_certificate(&path.join(CERTIFICATE_FILE))?;
            let report = Report { certificate, ..Report::default() };
            return Ok(Self { path, report, settings: BTreeMap::new(), predictions: None });
        }
        let report = read(path)?;
        let settings = settings::read(path, &report.run)?;
        let step = report.evaluation.as_ref().map(|evaluation| evaluation.step);
        let predictions = read_predictions(path)?.filter(|found| Some(found.step) == step);
        let predictions = predictions.filter(|_| same_weights(&report));
        Ok(Self { path, report, settings, predictions })
    }

    /// Returns whether the run has accuracies that count.
    fn is_evaluated(&self) -> bool {
        let evaluation = self.report.evaluation.as_ref();
        evaluation.is_some_and(|evaluation| evaluation.trained().is_some())
            && same_weights(&self.report)
    }

    /// Returns the points of training that are drawn: those with a kNN accuracy, the last, and some
    /// of the others.
    fn curve(&self) -> Vec<CurvePoint> {
        let metrics = &self.report.metrics;
        let step = metrics.len().div_ceil(POINTS).max(1);
        let drawn = |(at, point): &(usize, &MetricPoint)| {
            at % step == 0 || at + 1 == metrics.len() || point.val_knn_acc1.is_some()
        };
        let point = |(_, point): (usize, &MetricPoint)| CurvePoint {
            epoch: point.epoch,
            loss: Some(point.train_loss).filter(|loss| loss.is_finite()),
            knn: point.val_knn_acc1.filter(|share| share.is_finite()),
        };
        let finite = metrics.iter().enumerate().filter(|(_, point)| point.epoch.is_finite());
        finite.filter(drawn).map(point).collect()
    }
}

fn holds(folder: &Path, record: &str) -> bool {
    folder.join(record).is_file()
}

/// Writes `compare.json` and its page into a folder, creating the folder if needed. Returns the
/// path of the page.
///
/// # Errors
/// If there is a comparison already and `overwrite` is false, or if a file cannot be written; an
/// earlier version of that file then stays intact.
pub fn write_comparison(
    folder: &Path,
    comparison: &Comparison,
    overwrite: bool,
) -> Result<PathBuf, Error> {
    check_folder(folder)?;
    let [record, page] = [COMPARISON_FILE, COMPARISON_PAGE].map(|name| folder.join(name));
    check_new(&[&record, &page], overwrite)?;
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    write_json(&record, comparison)?;
    write_atomic(&page, render_comparison(comparison).as_bytes())?;
    Ok(page)
}

fn check_folders(folders: &[PathBuf]) -> Result<(), Error> {
    let mut seen: HashMap<PathBuf, &PathBuf> = HashMap::new();
    for folder in folders {
        let path = folder.clone();
        if !folder.exists() {
            return Err(CompareError::Missing { path }.into());
        }
        let canonical = folder.canonicalize().map_err(Error::file(folder))?;
        if let Some(first) = seen.insert(canonical, folder) {
            return Err(CompareError::Same { first: first.clone(), second: path }.into());
        }
    }
    Ok(())
}

/// Returns each measure with its τ for each accuracy.
fn predictors(runs: &[ComparedRun]) -> Result<Vec<Predictor>, Error> {
    let predictor = |(index, &(name, meaning, larger_is_better, _)): (usize, &Measure)| {
        let taus =
            (0..ACCURACIES.len()).map(|accuracy| tau(runs, index, accuracy, larger_is_better));
        let taus = taus.collect::<Result<_, _>>()?;
        Ok(Predictor { name: name.into(), meaning: meaning.into(), larger_is_better, taus })
    };
    MEASURES.iter().enumerate().map(predictor).collect()
}

/// Chooses the accuracy that the page is about: the first that half of the runs have, two at least.
/// If there is no such accuracy, it is the first that any two runs have, or else any run.
fn leading(runs: &[ComparedRun]) -> usize {
    let known = |index: usize| runs.iter().filter(|run| run.accuracies[index].is_some()).count();
    let first = |least: usize| (0..ACCURACIES.len()).find(|&index| known(index) >= least);
    first(2.max(runs.len().div_ceil(2))).or_else(|| first(2)).or_else(|| first(1)).unwrap_or(0)
}

/// Returns the median of a number over certificates; for an even number of them, the lower median.
fn middle(
    records: &[&CertificateRecord],
    number: fn(&CertificateRecord) -> Option<f64>,
) -> Option<f64> {
    let mut values: Vec<f64> = records.iter().filter_map(|record| number(record)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// Returns the δ at which half of the median class comes together, or a bound on it.
fn half_together(record: &CertificateRecord) -> Option<f64> {
    Some(record.concentration.as_ref()?.delta.value)
}

/// Returns the ε at which the views of half of the images are spread.
fn half_spread(record: &CertificateRecord) -> Option<f64> {
    let curve = &record.alignment.as_ref()?.curve;
    curve.iter().find(|point| point[1] <= LEVEL).map(|point| point[0])
}

/// Returns σ at the common δ, averaged over classes.
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
    // The first entry of a point is a lower bound of its δ, the second an upper bound.
    let (low, high) = (share(1), share(0));
    Some(if low < high { Quantity::at_least(low) } else { Quantity::exact(low) })
}

/// Returns R_ε at the common ε.
fn outside(record: &CertificateRecord, common: Common) -> Option<Quantity> {
    let epsilon = common.epsilon?;
    let curve = &record.alignment.as_ref()?.curve;
    // The first point is the smallest diameter of all, even if points between the others are left
    // out.
    let Some(&[at, value]) = curve.iter().rfind(|point| point[0] <= epsilon) else {
        return Some(Quantity::exact(1.0));
    };
    let known = at == epsilon || curve.len() == record.images;
    Some(if known { Quantity::exact(value) } else { Quantity::at_most(value) })
}

/// Returns whether evaluation and certificate, if both exist, are of the same weights.
fn same_weights(report: &Report) -> bool {
    match (&report.evaluation, &report.certificate) {
        (Some(evaluation), Some(certificate)) => evaluation.step == certificate.step,
        _ => true,
    }
}

/// Collects a run's accuracies, and its measures at the common distances.
fn compared(run: &Subject<'_>, settings: Vec<Option<String>>, common: Common) -> ComparedRun {
    let Subject { path, report, .. } = run;
    let certificate = report.certificate.as_ref();
    let evaluation = report.evaluation.as_ref().filter(|_| same_weights(report));
    let scores =
        evaluation.and_then(|evaluation| Some((evaluation.trained()?, evaluation.scored())));
    let evaluated = |score: fn(&Scores) -> f64| {
        let (scores, images) = scores?;
        let value = score(scores);
        let interval = wilson(value, images);
        let (low, high) = (Some(interval.low), Some(interval.high));
        let trust =
            Trust::Estimate { low, high, method: "Wilson, 95%".into(), sample: images as usize };
        value.is_finite().then_some(Quantity { value, trust })
    };
    // The errors in a certificate are of the same weights as its measures.
    let accuracy = |&(_, score, error): &Accuracy| {
        score.and_then(evaluated).or_else(|| certificate?.named(error).map(accuracy_of))
    };
    ComparedRun {
        run: path.display().to_string(),
        method: report.run.method.clone(),
        augment: match certificate {
            Some(certificate) if report.run.augment.is_empty() => certificate.policy.clone(),
            _ => report.run.augment.clone(),
        },
        epochs: report.run.epochs,
        seed: report.run.seed,
        settings,
        curve: run.curve(),
        accuracies: ACCURACIES.iter().map(accuracy).collect(),
        values: MEASURES.iter().map(|(.., read)| read(certificate?, common)).collect(),
        bound: certificate.and_then(|certificate| certificate.best_bound().cloned()),
    }
}

/// Converts an error to the accuracy 1 − error.
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

/// Computes Kendall's τ between an accuracy and a measure, oriented so that larger is better, over
/// the runs that have both.
fn tau(
    runs: &[ComparedRun],
    measure: usize,
    accuracy: usize,
    larger_is_better: bool,
) -> Result<Option<Quantity>, Error> {
    let sign = if larger_is_better { 1.0 } else { -1.0 };
    let both = runs.iter().filter_map(|run| {
        Some((sign * run.values[measure].as_ref()?.value, run.accuracies[accuracy].as_ref()?.value))
    });
    let (x, y): (Vec<f64>, Vec<f64>) = both.unzip();
    Ok(kendall_tau(&x, &y)?.map(|found| found.tau))
}

/// Collects notes for the reader of the comparison. `complete` is the number of runs that have all
/// records.
fn notes(subjects: &[Subject<'_>], complete: usize) -> Vec<Note> {
    let mut notes = Vec::new();
    for Subject { path, report, .. } in subjects {
        let run = path.display().to_string();
        if report.certificate.is_none() {
            notes.push(Note::NoCertificate { run: run.clone() });
        }
        if !same_weights(report) {
            notes.push(Note::DifferentSteps { run: run.clone() });
        }
        let evaluation = report.evaluation.as_ref().filter(|evaluation| evaluation.known > 0);
        notes.extend(evaluation.map(|evaluation| Note::Copies {
            run: run.clone(),
            copies: evaluation.known,
            images: evaluation.scored(),
        }));
        let is_run = !report.run.method.is_empty();
        if is_run
            && report.evaluation.as_ref().is_none_or(|evaluation| evaluation.trained().is_none())
        {
            notes.push(Note::NoAccuracies { run });
        }
    }
    let certified: Vec<&CertificateRecord> =
        subjects.iter().filter_map(|run| run.report.certificate.as_ref()).collect();
    // Facts that are unknown for embeddings are empty.
    let differ = |text: fn(&CertificateRecord) -> String| {
        let mut known = certified.iter().map(|record| text(record)).filter(|text| !text.is_empty());
        known.next().is_some_and(|first| known.any(|other| other != first))
    };
    if certified.iter().any(|record| record.digest.is_empty()) {
        notes.push(Note::UnknownImages);
    }
    let aspects = [
        (Aspect::Images, differ(|record| record.digest.clone())),
        (Aspect::Splits, differ(|record| record.split.clone())),
        (Aspect::ImageCounts, differ(|record| record.images.to_string())),
        (Aspect::ViewCounts, differ(|record| record.views.to_string())),
        (Aspect::Seeds, differ(|record| record.seed.to_string())),
    ];
    let differing = aspects.into_iter().filter(|(_, differ)| *differ);
    notes.extend(differing.map(|(aspect, _)| Note::Differ { aspect }));
    if complete < RELIABLE {
        notes.push(Note::FewRuns { complete });
    }
    notes.push(Note::Dependent);
    notes
}
