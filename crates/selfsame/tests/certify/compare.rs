//! Comparisons of runs: their numbers are those of the runs' own records.

use std::path::{Path, PathBuf};

use selfsame::report::comparison::Comparison;
use selfsame::report::record::Evaluation;
use selfsame::theory::Trust;

use crate::common::{run, said};
use crate::{certify, two_classes_of};

fn compare(runs: &[PathBuf], out: &Path, more: &[&str]) -> std::process::Output {
    let mut args = ["compare", "--json", "--out", &out.display().to_string()].map(str::to_owned).to_vec();
    args.extend(runs.iter().map(|path| path.display().to_string()));
    args.extend(more.iter().map(|word| (*word).to_owned()));
    run(args)
}

#[test]
fn measures_and_their_order_are_those_of_the_runs() {
    let folder = tempfile::tempdir().unwrap();
    let runs: Vec<PathBuf> = [("a", "--augment a"), ("b", "--augment ad --lr 0.01"), ("c", "--augment e --seed 1")]
        .map(|(name, more)| two_classes_of(folder.path(), name, more))
        .into();
    let records: Vec<_> = runs.iter().map(|path| certify(path, "--per-class 5 --views 2")).collect();
    let out = folder.path().join("out");
    let output = compare(&runs, &out, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let found: Comparison = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(serde_json::from_slice::<Comparison>(&std::fs::read(out.join("compare.json")).unwrap()).unwrap(), found);
    assert!(std::fs::read_to_string(out.join("compare.html")).unwrap().contains("Kendall’s τ"));

    let mut deltas: Vec<f64> = records.iter().map(|record| record.concentration.as_ref().unwrap().delta).collect();
    deltas.sort_by(f64::total_cmp);
    assert_eq!(found.delta, Some(deltas[1]));
    let column = |name: &str| found.predictors.iter().position(|predictor| predictor.name == name).unwrap();
    for (path, record) in runs.iter().zip(&records) {
        let shown = path.display().to_string();
        let row = found.runs.iter().find(|run| run.run == shown).unwrap();
        let value = |name: &str| row.values[column(name)].as_ref().unwrap().value;
        let within = |curve: &Vec<[f64; 3]>| curve.iter().filter(|point| point[1] <= deltas[1]).count() as f64 / 5.0;
        let sigma = record.classes.iter().map(|class| within(&class.curve)).sum::<f64>() / 2.0;
        assert!((value("σ") - sigma).abs() < 1e-12);
        assert_eq!(value("L_align"), record.alignment.as_ref().unwrap().best().value);
        assert_eq!(value("LiDAR"), record.named("LiDAR").unwrap().value);
        let evaluation = std::fs::read(path.join("eval.json")).unwrap();
        let knn = serde_json::from_slice::<Evaluation>(&evaluation).unwrap().test.unwrap().knn_acc1;
        assert_eq!(row.accuracies[0].as_ref().unwrap().value, knn);
    }
    // τ-b by its definition, for a measure of which smaller is better.
    let align: Vec<f64> = found.runs.iter().map(|run| -run.values[column("L_align")].as_ref().unwrap().value).collect();
    let knn: Vec<f64> = found.runs.iter().map(|run| run.accuracies[0].as_ref().unwrap().value).collect();
    let sign = |a: f64, b: f64| if a == b { 0.0 } else { (a - b).signum() };
    let pairs = [(0, 1), (0, 2), (1, 2)];
    let sum = |of: &dyn Fn(usize, usize) -> f64| pairs.iter().map(|&(i, j)| of(i, j)).sum::<f64>();
    let concordant = sum(&|i, j| sign(align[i], align[j]) * sign(knn[i], knn[j]));
    let untied = sum(&|i, j| sign(align[i], align[j]).abs()) * sum(&|i, j| sign(knn[i], knn[j]).abs());
    match &found.predictors[column("L_align")].taus[0] {
        Some(tau) => {
            assert!((tau.value - concordant / untied.sqrt()).abs() < 1e-12);
            assert!(matches!(tau.trust, Trust::Estimate { low: None, sample: 3, .. }), "no interval of three runs");
        }
        None => assert_eq!(untied, 0.0),
    }

    // What is there is not written over unasked, and one run is no comparison.
    for (runs, more, code) in
        [(&runs[..], &[][..], 2), (&runs[..], &["--overwrite"], 0), (&runs[..1], &["--overwrite"], 2)]
    {
        let output = compare(runs, &out, more);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    }
    let missing = [runs.clone(), vec![folder.path().join("nowhere")]].concat();
    let output = compare(&missing, &out, &["--overwrite"]);
    assert!(output.status.code() == Some(1) && said(&output).contains("nowhere"), "{}", said(&output));
    // A run without a certificate is named, and the others still compared.
    std::fs::remove_file(runs[2].join("certificate.json")).unwrap();
    let output = compare(&runs, &out, &["--overwrite"]);
    let found: Comparison = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found.notes.iter().any(|note| note.contains("has no certificate")), "{:?}", found.notes);
}
