//! Certificates without a run folder: of embeddings in memory, and of an encoder.

use selfsame::data::{Dataset, LoadOptions};
use selfsame::nn::layers::Init;
use selfsame::nn::{Backbone, EncoderConfig, MlpConfig};
use selfsame::report::certificate::{CERTIFICATE_FILE, CertificateRecord, LeftOut, Verdict};
use selfsame::report::read_certificate;
use selfsame::theory::Error as TheoryError;
use selfsame::{
    CertifyInput, CertifyOptions, Embeddings, Error, Progress, certify, load, policy,
    write_certificate,
};

/// Views of images about two directions, no two alike.
fn values(images: usize, views: usize, dim: usize) -> Vec<f32> {
    let value = |at: usize| {
        let (row, column) = (at / dim, at % dim);
        let noise = ((row * 37 + column * 101 + row * column * 13) % 97) as f32 / 97.0 - 0.5;
        noise + if column == row / views % 2 { 1.0 } else { 0.0 }
    };
    (0..images * views * dim).map(value).collect()
}

fn of_embeddings(
    embeddings: &Embeddings<'_>,
    options: &CertifyOptions,
) -> Result<CertificateRecord, Error> {
    certify(CertifyInput::Embeddings(embeddings), options, &mut ())
}

#[test]
fn embeddings_in_memory_have_a_certificate() {
    let (images, views, dim) = (40, 3, 6);
    let values = values(images, views, dim);
    let names: Vec<&str> = (0..images).map(|image| ["ring", "bar"][image % 2]).collect();
    let embeddings = Embeddings::new(&values[..], images, views, dim).labelled(&names).unwrap();
    let record = of_embeddings(&embeddings, &CertifyOptions::default()).unwrap();
    assert_eq!((record.images, record.views, record.dim), (images, views, dim));
    let classes: Vec<&str> = record.classes.iter().map(|class| &*class.name).collect();
    assert_eq!(classes, ["bar", "ring"]);
    assert_eq!(record.verdict, Some(Verdict::NoPixels));
    assert_eq!(record.left_out, [LeftOut::NoPixels]);
    assert!(record.bounds.is_empty() && record.advice.is_none() && record.obstacles.is_none());

    // The nearest-centre error by its definition: of the first views, with centres of all views.
    let unit = |row: usize| -> Vec<f64> {
        let row = &values[row * dim..][..dim];
        let length = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        row.iter().map(|&value| f64::from(value) / length).collect()
    };
    let centre = |class: usize| -> Vec<f64> {
        let rows: Vec<Vec<f64>> =
            (0..images * views).filter(|row| row / views % 2 == class).map(unit).collect();
        (0..dim).map(|at| rows.iter().map(|row| row[at]).sum::<f64>() / rows.len() as f64).collect()
    };
    let centres = [centre(0), centre(1)];
    let distance =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let wrong = |&image: &usize| {
        let view = unit(image * views);
        distance(&view, &centres[image % 2]) > distance(&view, &centres[1 - image % 2])
    };
    let error = (0..images).filter(wrong).count() as f64 / images as f64;
    assert_eq!(record.named("nearest centre").unwrap().value, error);

    // Labels are not needed.
    let unlabelled = Embeddings::new(&values[..], images, views, dim);
    let record = of_embeddings(&unlabelled, &CertifyOptions::default()).unwrap();
    assert_eq!(record.verdict, Some(Verdict::NoLabels));
    assert!(record.left_out.contains(&LeftOut::NoLabels) && record.alignment.is_some());
}

#[test]
fn embeddings_that_cannot_be_measured_are_refused() {
    let mut values = values(10, 2, 3);
    let options = CertifyOptions::default();
    let of =
        |values: &[f32], images| of_embeddings(&Embeddings::new(values, images, 2, 3), &options);
    assert!(matches!(of(&values, 11), Err(Error::Theory(TheoryError::Shape { .. }))));
    assert!(matches!(of(&[0.5; 60], 10), Err(Error::Theory(TheoryError::Constant { rows: 20 }))));
    values.copy_within(0..6, 54);
    let error = of(&values, 10).unwrap_err();
    assert!(!error.is_misuse());
    assert_eq!(
        error.to_string(),
        "1 of 10 images repeats an earlier one, value for value: image 9 (from row 18) repeats \
         image 0 (from row 0)"
    );
    let allowed = CertifyOptions { allow_repeats: true, ..CertifyOptions::default() };
    let record = of_embeddings(&Embeddings::new(&values[..], 10, 2, 3), &allowed).unwrap();
    assert!(record.left_out.contains(&LeftOut::Repeats { count: 1, first: [9, 0] }));
    // There are fewer names than classes.
    let nameless = Embeddings { classes: Vec::new(), ..embeddings_of(&values[..54]) };
    assert!(matches!(
        of_embeddings(&nameless, &allowed),
        Err(Error::Option { name: "classes", .. })
    ));
    values[13] = f32::NAN;
    assert!(matches!(of(&values, 10), Err(Error::Theory(TheoryError::NotFinite { row: 4, .. }))));
    // A label is missing.
    let labelled = Embeddings::new(&values[..54], 9, 2, 3).labelled(&[0, 1, 0, 1]).unwrap();
    assert!(of_embeddings(&labelled, &allowed).is_err());
}

/// Embeddings of nine images of two classes.
fn embeddings_of(values: &[f32]) -> Embeddings<'_> {
    Embeddings::new(values, 9, 2, 3).labelled(&[0, 1, 0, 1, 0, 1, 0, 1, 0]).unwrap()
}

fn shapes() -> Dataset {
    let options = LoadOptions {
        image_size: Some(16),
        limit: Some(60),
        classes: Some(vec!["ring".into(), "square".into()]),
        ..LoadOptions::default()
    };
    load("glyphs", &options, &mut ()).unwrap()
}

fn perceptron(options: &CertifyOptions) -> Backbone {
    let config = EncoderConfig::from(MlpConfig { width: 8, image_size: 16 });
    config.init(&mut Init::new(0, &options.device))
}

/// Counts what it is told.
#[derive(Default)]
struct Told {
    notes: usize,
    embedded: u64,
}

impl Progress for Told {
    fn note(&mut self, _: &str) {
        self.notes += 1;
    }

    fn advance(&mut self, unit: &str, done: u64, total: u64, _: &str) {
        assert!(done <= total, "{unit}: {done} of {total}");
        if unit == "views embedded" {
            self.embedded = done;
        }
    }
}

#[test]
fn an_encoder_needs_no_run() {
    let options = CertifyOptions { per_class: 6, views: 3, ..CertifyOptions::default() };
    let (dataset, policy) = (shapes(), policy("abcde").unwrap());
    let encoder = perceptron(&options);
    let input = CertifyInput::Encoder {
        name: "a perceptron",
        encoder: &encoder,
        dataset: &dataset,
        policy: &policy,
    };
    let mut told = Told::default();
    let record = certify(input, &options, &mut told).unwrap();
    assert_eq!((record.images, record.views, record.dim), (12, 4, 8));
    assert_eq!(
        (&*record.subject, &*record.split, &*record.policy),
        ("a perceptron", "test", "abcde")
    );
    assert!(matches!(record.verdict, Some(Verdict::Proved | Verdict::Vacuous)));
    assert!(record.best_bound().is_some() && record.obstacles.is_some());
    assert_eq!((record.what_if.len(), record.assumptions.len()), (3, 5));
    assert!(told.notes > 0 && told.embedded == 48, "{} of 48 views", told.embedded);
    // Equal inputs give an equal record; another seed draws other views.
    assert_eq!(certify(input, &options, &mut ()).unwrap(), record);
    let other = CertifyOptions { seed: 1, ..options.clone() };
    let other = certify(input, &other, &mut ()).unwrap();
    assert_eq!(other.digest, record.digest);
    assert_ne!(other.alignment, record.alignment);

    let folder = tempfile::tempdir().unwrap();
    let page = write_certificate(&folder.path().join("new"), &record).unwrap();
    assert!(std::fs::read_to_string(page).unwrap().contains("Certificate of a perceptron"));
    let written = read_certificate(&folder.path().join("new").join(CERTIFICATE_FILE)).unwrap();
    assert_eq!(written.as_ref(), Some(&record));
    // An earlier certificate is replaced, and the page of something else is not.
    write_certificate(&folder.path().join("new"), &record).unwrap();
    std::fs::write(folder.path().join("report.html"), "mine").unwrap();
    let refused = write_certificate(folder.path(), &record).unwrap_err();
    assert!(matches!(&refused, Error::Taken { .. }) && refused.is_misuse(), "{refused}");
    assert!(!folder.path().join(CERTIFICATE_FILE).exists());
}

#[test]
fn options_that_make_no_sense_are_named() {
    let options = CertifyOptions { per_class: 6, views: 3, ..CertifyOptions::default() };
    let dataset = shapes();
    let policy = policy("a").unwrap();
    let encoder = perceptron(&options);
    let small = EncoderConfig::from(MlpConfig { width: 8, image_size: 8 });
    let small = small.init(&mut Init::new(0, &options.device));
    for (options, encoder, name) in [
        (options.clone(), &small, "image_size"),
        (CertifyOptions { per_class: 1, ..options.clone() }, &encoder, "per_class"),
        (CertifyOptions { views: 0, ..options.clone() }, &encoder, "views"),
        (CertifyOptions { views: 65_536, ..options.clone() }, &encoder, "views"),
    ] {
        let input = CertifyInput::Encoder { name: "", encoder, dataset: &dataset, policy: &policy };
        match certify(input, &options, &mut ()) {
            Err(Error::Option { name: found, .. }) => assert_eq!(found, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}
