//! Comparisons of runs: their numbers are those of the runs' own records.

use std::path::{Path, PathBuf};

use selfsame::report::certificate::{
    AlignmentRecord, CERTIFICATE_FILE, CertificateRecord, ClassRecord, ConcentrationRecord, Named,
};
use selfsame::report::comparison::{ComparedRun, Comparison, Note, Verdict, words};
use selfsame::report::record::Evaluation;
use selfsame::report::{read_certificate, write_json};
use selfsame::theory::{Quantity, Trust};

use crate::common::{run, said};
use crate::embeddings::{file, npy, record, rows};
use crate::{certify, two_classes_of};

fn compare(runs: &[PathBuf], out: &Path, more: &[&str]) -> std::process::Output {
    let mut args =
        ["compare", "--json", "--out", &out.display().to_string()].map(str::to_owned).to_vec();
    args.extend(runs.iter().map(|path| path.display().to_string()));
    args.extend(more.iter().map(|word| (*word).to_owned()));
    run(args)
}

#[test]
fn certificates_of_embeddings_are_compared_by_their_own_errors() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let labels: Vec<u8> = (0..40).map(|row| row % 2).collect();
    let labels = file(folder.path(), "labels.npy", &npy(&[40], &labels)).display().to_string();
    // The more the classes are moved apart, the fewer images are wrong.
    let folders: Vec<PathBuf> = (0..6)
        .map(|shift| {
            let mut values = rows(40, 6);
            values.iter_mut().enumerate().for_each(|(at, value)| {
                *value -= if at % 6 == at / 6 % 2 { 1.0 - 0.1 * shift as f32 } else { 0.0 };
            });
            let path = file(folder.path(), "f.npy", &npy(&[40, 6], &values)).display().to_string();
            record(&["--embeddings", &path, "--labels", &labels], &out(&shift.to_string()));
            out(&shift.to_string())
        })
        .collect();
    let output = compare(&folders, &out("all"), &[]);
    assert!(output.status.success(), "{}", said(&output));
    let found: Comparison = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (found.accuracies[found.leading].as_str(), found.complete()),
        ("nearest centre, left out", 6)
    );
    assert_eq!(found.command[..2], ["selfsame", "compare"]);
    for run in &found.runs {
        let record =
            read_certificate(&Path::new(&run.run).join("certificate.json")).unwrap().unwrap();
        let error = record.named("nearest centre, others of their kind").unwrap().value;
        assert!(
            run.accuracies[0].is_none() && run.accuracies[3].as_ref().unwrap().value == 1.0 - error
        );
    }
    assert!(found.notes.contains(&Note::Dependent), "{:?}", found.notes);
    assert!(found.predictors.iter().any(|predictor| predictor.name == "|αReQ − 1|"));
    let divergence =
        found.predictors.iter().find(|predictor| predictor.name == "divergence").unwrap();
    assert!(divergence.taus[3].as_ref().unwrap().value > 0.5 && divergence.taus[0].is_none());
    assert!(found.notes.contains(&Note::UnknownImages), "{:?}", found.notes);
    let of_eval = |note: &Note| words::note(note).contains("selfsame eval");
    assert!(!found.notes.iter().any(of_eval), "{:?}", found.notes);
}

#[test]
fn measures_and_their_order_are_those_of_the_runs() {
    let folder = tempfile::tempdir().unwrap();
    let runs: Vec<PathBuf> = [
        ("a", "--augment a"),
        ("b", "--augment ad --lr 0.01"),
        ("c", "--augment e --temperature 0.25"),
    ]
    .map(|(name, more)| two_classes_of(folder.path(), name, more))
    .into();
    let records: Vec<_> =
        runs.iter().map(|path| certify(path, "--per-class 5 --views 2")).collect();
    let out = folder.path().join("out");
    let output = compare(&runs, &out, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let found: Comparison = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        serde_json::from_slice::<Comparison>(&std::fs::read(out.join("compare.json")).unwrap())
            .unwrap(),
        found
    );
    // Three runs are too few to say what predicts their accuracy.
    let page = std::fs::read_to_string(out.join("compare.html")).unwrap();
    assert!(!page.contains("Kendall") && page.contains("On the same test images"));
    assert_eq!(found.settings, ["augment", "method.temperature", "train.learning_rate"]);
    let first = found.runs.iter().find(|run| run.run == runs[0].display().to_string()).unwrap();
    assert_eq!(first.settings[..2], [Some("a".to_owned()), Some("0.5".to_owned())]);
    assert!(first.curve.iter().any(|point| point.loss.is_some()));
    // Differences on the same images add up to those of the accuracies.
    assert_eq!(found.paired.iter().map(|pair| pair.other).collect::<Vec<_>>(), [1, 2]);
    for pair in &found.paired {
        for (at, difference) in pair.differences[..3].iter().enumerate() {
            let accuracy = |run: usize| found.runs[run].accuracies[at].as_ref().unwrap().value;
            let difference = &difference.as_ref().unwrap().difference;
            let gap = accuracy(0) - accuracy(pair.other);
            assert!((difference.value - gap).abs() < 1e-12, "{at}: {gap}");
        }
    }

    let mut deltas: Vec<f64> =
        records.iter().map(|record| record.concentration.as_ref().unwrap().delta.value).collect();
    deltas.sort_by(f64::total_cmp);
    assert_eq!(found.delta, Some(deltas[1]));
    // ε is where half of the images of the middle run are spread.
    let curve = |record: &CertificateRecord| record.alignment.as_ref().unwrap().curve.clone();
    let mut halves: Vec<f64> = records
        .iter()
        .map(|record| curve(record).iter().find(|point| point[1] <= 0.5).unwrap()[0])
        .collect();
    halves.sort_by(f64::total_cmp);
    assert_eq!(found.epsilon, Some(halves[1]));
    let column =
        |name: &str| found.predictors.iter().position(|predictor| predictor.name == name).unwrap();
    for (path, record) in runs.iter().zip(&records) {
        let shown = path.display().to_string();
        let row = found.runs.iter().find(|run| run.run == shown).unwrap();
        let value = |name: &str| row.values[column(name)].as_ref().unwrap().value;
        let within = |curve: &Vec<[f64; 3]>| {
            curve.iter().filter(|point| point[1] <= deltas[1]).count() as f64 / 5.0
        };
        let sigma = record.classes.iter().map(|class| within(&class.curve)).sum::<f64>() / 2.0;
        assert!((value("σ") - sigma).abs() < 1e-12);
        // Of ten images every diameter is on the curve.
        let outside =
            curve(record).iter().rfind(|point| point[0] <= halves[1]).map_or(1.0, |point| point[1]);
        assert_eq!(row.values[column("R_ε")], Some(Quantity::exact(outside)));
        assert_eq!(value("|αReQ − 1|"), (record.named("αReQ").unwrap().value - 1.0).abs());
        assert_eq!(value("L_align"), record.alignment.as_ref().unwrap().best().value);
        assert_eq!(value("LiDAR"), record.named("LiDAR").unwrap().value);
        let evaluation = std::fs::read(path.join("eval.json")).unwrap();
        let knn =
            serde_json::from_slice::<Evaluation>(&evaluation).unwrap().trained().unwrap().knn_acc1;
        assert_eq!(row.accuracies[0].as_ref().unwrap().value, knn);
    }
    // τ-b by its definition, for a measure of which smaller is better.
    let align: Vec<f64> = found
        .runs
        .iter()
        .map(|run| -run.values[column("L_align")].as_ref().unwrap().value)
        .collect();
    let knn: Vec<f64> =
        found.runs.iter().map(|run| run.accuracies[0].as_ref().unwrap().value).collect();
    let sign = |a: f64, b: f64| if a == b { 0.0 } else { (a - b).signum() };
    let pairs = [(0, 1), (0, 2), (1, 2)];
    let sum = |of: &dyn Fn(usize, usize) -> f64| pairs.iter().map(|&(i, j)| of(i, j)).sum::<f64>();
    let concordant = sum(&|i, j| sign(align[i], align[j]) * sign(knn[i], knn[j]));
    let untied =
        sum(&|i, j| sign(align[i], align[j]).abs()) * sum(&|i, j| sign(knn[i], knn[j]).abs());
    match &found.predictors[column("L_align")].taus[0] {
        Some(tau) => {
            assert!((tau.value - concordant / untied.sqrt()).abs() < 1e-12);
            assert!(
                matches!(tau.trust, Trust::Estimate { low: None, sample: 3, .. }),
                "no interval of three runs"
            );
        }
        None => assert_eq!(untied, 0.0),
    }

    // What is there is not written over unasked, and one run is no comparison.
    for (runs, more, code) in [
        (&runs[..], &[][..], 2),
        (&runs[..], &["--overwrite"], 0),
        (&runs[..1], &["--overwrite"], 2),
    ] {
        let output = compare(runs, &out, more);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    }
    let missing = [runs.clone(), vec![folder.path().join("nowhere")]].concat();
    let output = compare(&missing, &out, &["--overwrite"]);
    assert!(
        output.status.code() == Some(2) && said(&output).contains("nowhere does not exist"),
        "{}",
        said(&output)
    );
    // Accuracies of other weights do not count; the certificate's own do.
    let path = runs[0].join("eval.json");
    let of_first = std::fs::read(&path).unwrap();
    let mut evaluation: serde_json::Value = serde_json::from_slice(&of_first).unwrap();
    (evaluation["step"], evaluation["accuracies"]["of"]["trained"]["knn_acc1"]) =
        (1.into(), 0.125.into());
    std::fs::write(&path, evaluation.to_string()).unwrap();
    let output = compare(&runs, &out, &["--overwrite"]);
    let found: Comparison = serde_json::from_slice(&output.stdout).unwrap();
    let shown = |run: &PathBuf| run.display().to_string();
    let note = Note::DifferentSteps { run: shown(&runs[0]) };
    assert!(found.notes.contains(&note), "{:?}", found.notes);
    let knn = |run: &ComparedRun| run.accuracies[0].as_ref().unwrap().value;
    let row = found.runs.iter().find(|run| run.run == runs[0].display().to_string()).unwrap();
    assert!((knn(row) - (1.0 - records[0].named("kNN").unwrap().value)).abs() < 1e-12);
    // A run without a certificate is named, and the others still compared.
    std::fs::remove_file(runs[2].join("certificate.json")).unwrap();
    let output = compare(&runs, &out, &["--overwrite"]);
    let found: Comparison = serde_json::from_slice(&output.stdout).unwrap();
    let note = Note::NoCertificate { run: shown(&runs[2]) };
    assert!(found.notes.contains(&note), "{:?}", found.notes);
    assert_eq!((found.complete(), found.runs.len()), (2, 3));
    // A run that does not say which images it gets right is not paired, and neither is one that was
    // measured on others.
    std::fs::remove_file(runs[2].join("predictions.json")).unwrap();
    let path = runs[1].join("predictions.json");
    let mut predictions: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    predictions["digest"] = "other".into();
    std::fs::write(&path, predictions.to_string()).unwrap();
    std::fs::write(runs[0].join("eval.json"), &of_first).unwrap();
    let output = compare(&runs, &out, &["--overwrite"]);
    let found: Comparison = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found.paired.is_empty() && found.verdict != Verdict::Better, "{:?}", found.paired);
    let note = Note::NoPredictions { run: shown(&runs[2]) };
    assert!(found.notes.contains(&note), "{:?}", found.notes);
}

#[test]
fn of_two_runs_the_better_is_named_and_what_is_no_run_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["0", "1"].map(|seed| {
        two_classes_of(folder.path(), &format!("seed{seed}"), &format!("--seed {seed}"))
    });
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
    let [empty, text] = ["empty", "notes.txt"].map(|name| folder.path().join(name));
    let output = compare(&[a.clone(), empty.clone(), b, text], &folder.path().join("out"), &[]);
    assert!(output.status.success(), "{}", said(&output));
    let found: Comparison = serde_json::from_slice(&output.stdout).unwrap();
    let passed = found.notes.iter().filter(|note| matches!(note, Note::PassedOver { .. }));
    assert_eq!((found.runs.len(), passed.count()), (2, 2));
    let said = words::verdict(&found);
    assert_eq!(found.settings, ["seed"], "{said:?}");
    assert!(said[1].contains("the same but for the seed"), "{said:?}");
    let output = compare(&[a, empty], &folder.path().join("out"), &["--overwrite"]);
    let text = crate::common::said(&output);
    assert!(output.status.code() == Some(2) && text.contains("empty"), "{text}");
}

/// A certificate of embeddings with what a comparison looks at: δ, σ's bounds for k images of each
/// class, R_ε, αReQ, and the errors of kNN, where it is known, and of nearest centre.
fn crafted(
    delta: f64,
    curve: [[f64; 2]; 4],
    images: usize,
    spread: &[[f64; 2]],
    alpha: f64,
    knn: Option<f64>,
    error: f64,
) -> CertificateRecord {
    let exact = Quantity::exact;
    let named = |name: &str, value: f64| Named { name: name.into(), quantity: exact(value) };
    let class = |name: &str| ClassRecord {
        name: name.into(),
        images: images / 2,
        alignment: None,
        norm2: exact(1.0),
        error: exact(0.0),
        bound: None,
        certificate: None,
        sigma: None,
        separation: None,
        curve: curve.map(|[lower, upper]| [lower, upper, 0.0]).into(),
    };
    let errors = [("kNN", knn), ("nearest centre, others of their kind", Some(error))];
    CertificateRecord {
        selfsame: "0".into(),
        subject: "crafted".into(),
        dim: 4,
        images,
        classes: vec![class("a"), class("b")],
        alignment: Some(AlignmentRecord {
            finite: exact(0.1),
            unbiased: None,
            chance: exact(2.0),
            median_diameter: exact(0.5),
            curve: spread.to_vec(),
            spread: Vec::new(),
        }),
        concentration: Some(ConcentrationRecord {
            delta: Quantity::at_most(delta),
            levels: Quantity::at_most(delta),
            budget: None,
            sigma: exact(0.5),
            sigma_interval: exact(0.5),
            mean_sigma: exact(0.5),
            mean_sigma_interval: exact(0.5),
            overlap: exact(0.0),
            touching: exact(0.0),
            separation: None,
            separation_interval: None,
        }),
        errors: errors.into_iter().filter_map(|(name, value)| Some(named(name, value?))).collect(),
        geometry: vec![named("αReQ", alpha)],
        ..CertificateRecord::default()
    }
}

/// Where a curve was not proved to its end, or not written down whole, what it gives at the common
/// distance is a bound on a known side; and the accuracy that leads is one that half of the runs
/// have.
#[test]
fn what_is_not_known_exactly_is_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let open = [[0.0, 0.0], [1.0, 1.0], [2.0, 3.0], [4.0, 4.0]];
    let closed = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [4.0, 4.0]];
    let thinned = [[0.1, 0.75], [0.3, 0.5], [0.9, 0.0]];
    let whole = |first: f64| [[first, 0.75], [0.6, 0.5], [0.7, 0.25], [0.8, 0.0]];
    let compared = |knn: [Option<f64>; 4], more: &[&str]| {
        let certificates = [
            crafted(2.0, open, 8, &thinned, 0.8, knn[0], 0.2),
            crafted(2.5, closed, 8, &[[0.2, 0.75], [0.4, 0.5], [0.9, 0.0]], 1.1, knn[1], 0.1),
            crafted(5.0, closed, 4, &whole(0.5), 1.5, knn[2], 0.3),
            crafted(5.0, closed, 4, &whole(0.35), 2.0, knn[3], 0.4),
        ];
        let runs: Vec<PathBuf> = ["a", "b", "c", "d"].map(|name| folder.path().join(name)).into();
        for (run, certificate) in runs.iter().zip(&certificates) {
            std::fs::create_dir_all(run).unwrap();
            write_json(&run.join(CERTIFICATE_FILE), certificate).unwrap();
        }
        let output = compare(&runs, &folder.path().join("out"), more);
        assert!(output.status.success(), "{}", said(&output));
        let found: Comparison = serde_json::from_slice(&output.stdout).unwrap();
        let name =
            |run: &ComparedRun| Path::new(&run.run).file_name().unwrap().display().to_string();
        let order: String = found.runs.iter().map(name).collect();
        (found, order)
    };
    // kNN is known of one run only, and so orders nothing.
    let (found, order) = compared([Some(0.25), None, None, None], &[]);
    assert_eq!((found.delta, found.epsilon), (Some(2.5), Some(0.4)));
    assert_eq!(
        (found.accuracies[found.leading].as_str(), order.as_str()),
        ("nearest centre, left out", "bacd")
    );
    let column =
        |name: &str| found.predictors.iter().position(|predictor| predictor.name == name).unwrap();
    let values = |name: &str| {
        let value = |run: &ComparedRun| run.values[column(name)].clone().unwrap();
        found.runs.iter().map(value).collect::<Vec<Quantity>>()
    };
    let exact = Quantity::exact;
    assert_eq!(values("σ"), [exact(0.75), Quantity::at_least(0.5), exact(0.75), exact(0.75)]);
    assert_eq!(values("R_ε"), [exact(0.5), Quantity::at_most(0.5), exact(1.0), exact(0.75)]);
    let distances = values("|αReQ − 1|");
    for (found, expected) in distances.iter().zip([0.1, 0.2, 0.5, 1.0]) {
        assert!((found.value - expected).abs() < 1e-12, "{found}");
    }
    // The nearer to 1, the more accurate here.
    assert_eq!(
        found.predictors[column("|αReQ − 1|")].taus[found.leading].as_ref().unwrap().value,
        1.0
    );
    // Two of four are half: kNN leads, and what has none comes last.
    let (found, order) = compared([Some(0.25), Some(0.5), None, None], &["--overwrite"]);
    assert_eq!((found.accuracies[found.leading].as_str(), &order[..2]), ("kNN", "ab"));
    assert_eq!(found.complete(), 2);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let path = file(folder.path(), "f.npy", &npy(&[40, 6], &rows(40, 6))).display().to_string();
    let labels: Vec<u8> = (0..40).map(|row| row % 2).collect();
    let labels = file(folder.path(), "labels.npy", &npy(&[40], &labels)).display().to_string();
    record(&["--embeddings", &path, "--labels", &labels], &at("a"));
    record(&["--embeddings", &path, "--labels", &labels], &at("b"));
    record(&["--embeddings", &path], &at("c"));
    for (others, why) in [
        (&["b"][..], "cannot be compared image by image"),
        (&["c"], "nothing to compare yet: no other run has an accuracy"),
        (&["b", "c"], "cannot be compared image by image"),
    ] {
        let runs: Vec<PathBuf> = [&["a"], others].concat().into_iter().map(at).collect();
        let output = compare(&runs, &at("out"), &["--overwrite"]);
        let found: Comparison = serde_json::from_slice(&output.stdout).unwrap();
        let said = &words::verdict(&found)[0];
        assert!(said.contains(why), "{said}");
        let page = std::fs::read_to_string(at("out").join("compare.html")).unwrap();
        assert!(page.contains(said), "{said}");
    }

    std::fs::create_dir(at("empty")).unwrap();
    for (name, content) in [("damaged", "{\"a\":1}"), ("cut", "{")] {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("certificate.json"), content).unwrap();
    }
    for (other, code, cause) in [
        ("a", 2, "are the same folder"),
        ("./a", 2, "are the same folder"),
        ("b/../a/", 2, "are the same folder"),
        ("f.npy", 2, "at least two runs; without a run (run.json) or a certificate"),
        ("empty", 2, "at least two runs; without a run (run.json) or a certificate"),
        ("damaged", 1, "certificate.json is damaged: it does not say"),
        ("cut", 1, "certificate.json is damaged"),
    ] {
        let output = compare(&[at("a"), at(other)], &at("out"), &["--overwrite"]);
        assert!(
            output.status.code() == Some(code) && said(&output).contains(cause),
            "{other}: {}",
            said(&output)
        );
    }
    let output = compare(&[at("a"), at("b")], &at("f.npy"), &[]);
    assert!(
        output.status.code() == Some(2) && said(&output).contains("f.npy is a file"),
        "{}",
        said(&output)
    );
}
