//! The page from whole run folders: what it must say, whatever the records hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use selfsame_report::evaluation::words;
use selfsame_report::forecast::{
    Advice, ClassForecast, Delta, Forecast, PolicyForecast, ProbeImage,
};
use selfsame_report::gallery::{Gallery, Original, PolicyViews, Step, View};
use selfsame_report::record::*;
use selfsame_report::record::{Copies, LeftOut, Unseen, Verdict};
use selfsame_report::{
    Report, ReportError, Sprite, SpriteError, evaluation_lines, read, render, render_gallery,
    wilson, write_atomic, write_json,
};

const HOSTILE: &str = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;<!--";

fn sprite(tiles: usize) -> Sprite {
    Sprite::lossless(2, 2, &vec![&[120; 12][..]; tiles], 3).unwrap()
}

fn of_all(knn: f64, linear: f64, centre: f64) -> Scores {
    Scores { knn_acc1: knn, linear_acc1: linear, centre_acc1: centre, ..Scores::default() }
}

/// Returns the accuracies of an evaluation, to change them.
fn accuracies(evaluation: &mut Evaluation) -> &mut Accuracies {
    evaluation.accuracies.as_mut().unwrap()
}

/// Gives the trained encoder, the untrained encoder and raw pixels one share in all measures.
fn shares(trained: f64, untrained: f64, pixels: f64) -> BTreeMap<Representation, Scores> {
    use Representation::{Pixels, Trained, Untrained};
    let all = [(Trained, trained), (Untrained, untrained), (Pixels, pixels)];
    all.into_iter().map(|(of, share)| (of, of_all(share, share, share))).collect()
}

/// A run with every record, of `images` mapped images in two classes.
fn whole(images: usize) -> Report {
    let image = |i| MapImage { name: format!("test/{i}.png"), label: Some(i as u32 % 2) };
    let points = |scale: f64| (0..images).map(|i| [scale * i as f64, (i * i % 7) as f64]).collect();
    let scores = |knn, linear, centre| Scores { knn_k: Some(30), ..of_all(knn, linear, centre) };
    let of = [
        (Representation::Trained, scores(0.713, 0.764, 0.662)),
        (Representation::Untrained, scores(0.301, 0.418, 0.243)),
        (Representation::Pixels, scores(0.222, 0.305, 0.187)),
    ];
    let accuracies = Accuracies { images: 1000, majority: Some(0.1), of: of.into() };
    let over = Geometry { alignment_over: Some([40, 5]), images: Some(99), ..Geometry::default() };
    let geometry = |rankme| Geometry {
        alignment: Some(0.25),
        uniformity: Some(-2.5),
        rankme: Some(rankme),
        ..over
    };
    let metric = |step: u64| MetricPoint {
        step,
        epoch: step as f64 / 10.0,
        train_loss: 5.0 - step as f64 / 100.0,
        learning_rate: 0.05,
        views_per_second: 800.0,
        val_knn_acc1: step.is_multiple_of(10).then_some(0.5),
        watched: [("output_std".into(), 0.9)].into(),
    };
    Report {
        run: RunRecord {
            selfsame: "0.1.0".into(),
            burn: "0.22.1".into(),
            command: vec!["selfsame".into(), "study".into()],
            seed: 42,
            finished: true,
            seconds: 61.0,
            dataset: DatasetRecord {
                name: "pairs".into(),
                classes: vec!["even".into(), "odd".into()],
                train: 1600,
                validation: 400,
                test: 1000,
                ..Default::default()
            },
            method: "simclr".into(),
            augment: "abcde".into(),
            epochs: 10,
            ..Default::default()
        },
        metrics: (0..=100).map(metric).collect(),
        evaluation: Some(Evaluation {
            split: "test".into(),
            step: Some(100),
            classes: 2,
            images: 1000,
            verdict: Some(Verdict::Ahead { of: Representation::Untrained, clear: true }),
            accuracies: Some(accuracies),
            geometry: [
                (Representation::Trained, geometry(143.2)),
                (Representation::Untrained, geometry(6.8)),
            ]
            .into(),
            ..Default::default()
        }),
        certificate: None,
        map: Some(EmbeddingMap {
            method: "pca".into(),
            split: "test".into(),
            images: (0..images).map(image).collect(),
            trained: Projection { explained: [0.3, 0.2], points: points(1.0) },
            untrained: Some(Projection { explained: [0.6, 0.1], points: points(-1.0) }),
            tsne: None,
            thumbs: (images > 0).then(|| sprite(images.min(50))),
        }),
        look: None,
        neighbours: None,
        views: Some(ViewSheet { names: vec!["a".into(), "b".into()], sheet: sprite(6) }),
        warnings: Vec::new(),
    }
}

fn write_run(folder: &Path, report: &Report) {
    write_json(&folder.join(RUN_FILE), &report.run).unwrap();
    let line = |point: &MetricPoint| serde_json::to_string(point).unwrap() + "\n";
    let lines: String = report.metrics.iter().map(line).collect();
    write_atomic(&folder.join(METRICS_FILE), lines.as_bytes()).unwrap();
    if let Some(evaluation) = &report.evaluation {
        write_json(&folder.join(EVAL_FILE), evaluation).unwrap();
    }
    if let Some(map) = &report.map {
        write_json(&folder.join(MAP_FILE), map).unwrap();
    }
    if let Some(views) = &report.views {
        write_json(&folder.join(VIEWS_FILE), views).unwrap();
    }
}

/// Every page must be one file that loads nothing, with tags that close in order.
fn check_page(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    assert_eq!(page.matches("<script").count(), page.matches("</script>").count());
    for forbidden in
        ["src=\"http", "href=\"http", "@import", "url(http", "url(//", "NaN", ">inf", "\"inf", "∞"]
    {
        assert!(!page.contains(forbidden), "page contains {forbidden}");
    }
    let void = ["meta", "link", "br", "hr", "img", "input", "!DOCTYPE"];
    let mut open = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let name: String =
            rest.chars().take_while(|c| c.is_alphanumeric() || "/!".contains(*c)).collect();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closing tag out of order");
        } else if !void.contains(&name.as_str()) {
            if name == "script" || name == "style" {
                rest = &rest[rest.find(&format!("</{name}>")).unwrap()..];
            }
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

#[test]
fn records_survive_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let report = whole(20);
    write_run(folder.path(), &report);
    assert_eq!(read(folder.path()).unwrap(), report);
    let left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 5, "no temporary file stays: {left:?}");
}

#[test]
fn every_number_is_on_the_page() {
    let report = whole(20);
    let page = render(&report);
    check_page(&page);
    let evaluation = report.evaluation.unwrap();
    for scores in evaluation.accuracies.unwrap().of.values() {
        for share in [scores.knn_acc1, scores.linear_acc1, scores.centre_acc1] {
            let interval = wilson(share, 1000);
            let cell = format!(
                "<b>{:.1}%</b><small>{:.1}–{:.1}</small>",
                100.0 * share,
                100.0 * interval.low,
                100.0 * interval.high
            );
            assert!(page.contains(&cell), "{cell}");
        }
    }
    for text in [
        "41.2 points",
        "intervals do not overlap",
        "Nothing was selected on the test split",
        "143.2",
        "6.8",
        "selfsame study",
        "1,000",
        "100 steps",
        "0.22.1",
        "<td>42</td>",
        "Before training",
        "After training",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let headline = page.split("<h1").nth(1).unwrap().split("</h1>").next().unwrap();
    for share in ["1,000 test images", "71.3%", "30.1%", "22.2%"] {
        assert!(headline.contains(share), "{share} in {headline}");
    }
}

#[test]
fn verdict_is_honest() {
    let mut report = whole(4);
    let mut page = |change: &dyn Fn(&mut Evaluation)| {
        let evaluation = report.evaluation.as_mut().unwrap();
        change(evaluation);
        evaluation.verdict = evaluation.judge();
        let page = render(&report);
        check_page(&page);
        page
    };
    let knn = |share: f64| {
        move |evaluation: &mut Evaluation| {
            let trained = accuracies(evaluation).of.get_mut(&Representation::Trained);
            trained.unwrap().knn_acc1 = share;
        }
    };
    assert!(page(&knn(0.31)).contains("this may be chance"));
    let behind = page(&knn(0.25));
    assert!(behind.contains("no better than the untrained encoder (−5.1 points)"));
    assert!(behind.contains("Longer training"));
    // At the share of the commonest class, though the labels can be told.
    let at = page(&knn(0.1));
    assert!(
        at.contains("no better than always answering the commonest class, which is right 10.0%")
    );
    assert!(at.contains("a linear probe of the trained encoder shows with 76.4%"));
    assert!(page(&knn(0.11)).contains("not clearly above always answering the commonest class"));
    let alone = page(&|evaluation| {
        knn(0.5)(evaluation);
        accuracies(evaluation).of.retain(|of, _| *of == Representation::Trained);
    });
    assert!(alone.contains("nothing to compare this with"));
}

#[test]
fn of_an_encoder_from_elsewhere_nothing_is_said_of_training() {
    let mut report = whole(4);
    report.run.method.clear();
    report.run.encoder.name = "resnet18".into();
    let evaluation = report.evaluation.as_mut().unwrap();
    evaluation.step = None;
    for (share, verdict) in [(0.25, "not worth having for these images"), (0.6, "do not overlap")] {
        let evaluation = report.evaluation.as_mut().unwrap();
        accuracies(evaluation).of.get_mut(&Representation::Trained).unwrap().knn_acc1 = share;
        evaluation.verdict = evaluation.judge();
        let page = render(&report);
        check_page(&page);
        assert!(page.contains(verdict) && page.contains("With random weights"));
        for wrong in ["Before training", "after training", "which training never saw", "paid off"] {
            assert!(!page.contains(wrong), "{wrong}");
        }
        assert!(page.contains("selfsame study --data"), "{share}");
    }
}

/// What the page says first: its headline, and the sentences up to the facts of the run.
fn first_lines(report: &Report) -> String {
    let page = render(report);
    check_page(&page);
    let header = page.split("<h1").nth(1).unwrap();
    header.split("<ul class=\"facts").next().unwrap().to_owned()
}

#[test]
fn figures_without_meaning_say_so_first() {
    let mut report = whole(4);
    assert!(first_lines(&report).contains("No test image has exactly the pixels"));

    // Labels that belong to other images.
    let evaluation = report.evaluation.as_mut().unwrap();
    accuracies(evaluation).of = shares(0.101, 0.093, 0.117);
    evaluation.verdict = evaluation.judge();
    assert_eq!(evaluation.verdict, Some(Verdict::NothingTold));
    let lines = evaluation_lines(evaluation);
    let headline = "No accuracy is clearly above always answering the commonest class, which is \
                    right 10.0% of the time (95% interval 8.3–12.0).";
    assert_eq!(lines[0], headline);
    assert!(lines[1].contains("longer training is no remedy. With 1,000 test images, an accuracy of 12.7% or more would show it."), "{}", lines[1]);
    let page = first_lines(&report);
    assert!(page.contains(headline) && page.contains("10.1%") && page.contains("no remedy"));
    assert!(!page.contains("Longer training"), "{page}");

    // A test set of copies.
    let evaluation = report.evaluation.as_mut().unwrap();
    evaluation.known = 1000;
    let copies = |of: &str, images| Copies {
        split: "test".into(),
        of: of.into(),
        images,
        out_of: 1000,
        relabelled: 0,
    };
    evaluation.copies = vec![copies("train", 1000)];
    evaluation.verdict = evaluation.judge();
    let headline = "All 1,000 test images are copies of training images: these accuracies say \
                    nothing about new images.";
    assert_eq!(evaluation_lines(evaluation)[0], headline);
    assert!(first_lines(&report).contains(headline));

    // Some copies: the verdict is about the others, whose figures stand beside.
    let evaluation = report.evaluation.as_mut().unwrap();
    evaluation.known = 400;
    evaluation.copies = vec![copies("train", 300), copies("validation", 150)];
    accuracies(evaluation).of.insert(Representation::Trained, of_all(0.7, 0.7, 0.7));
    let of = shares(0.5, 0.2, 0.45);
    evaluation.without_copies = Some(Accuracies { images: 600, majority: Some(0.1), of });
    evaluation.verdict = evaluation.judge();
    assert_eq!(
        evaluation.verdict,
        Some(Verdict::Ahead { of: Representation::Pixels, clear: false })
    );
    let sentence = "400 of 1,000 test images are copies of training or validation images. On the \
                    other 600 the trained encoder’s nearest neighbours are right 50.0% of the \
                    time, the untrained encoder 20.0%, raw pixels 45.0%.";
    assert!(evaluation_lines(evaluation).iter().any(|line| line == sentence));
    assert!(evaluation_lines(evaluation).iter().any(|line| line.starts_with("600 without copies")));
    let page = first_lines(&report);
    assert!(page.contains(sentence) && page.contains("Without the copies, it is 5.0 points"));
    assert!(render(&report).contains("Accuracy on 1,000 test images, 400 of them copies"));
}

#[test]
fn classes_that_training_lacks_are_said_first() {
    let mut report = whole(4);
    let evaluation = report.evaluation.as_mut().unwrap();
    let unseen = |class: &str, images| Unseen { class: class.into(), split: "test".into(), images };
    evaluation.unseen = vec![unseen("owl", 150), unseen("emu", 50)];
    accuracies(evaluation).images = 800;
    let sentence = "200 of 1,000 test images are of a class without a training image (owl: 150, \
                    emu: 50); the accuracies leave them out.";
    assert_eq!(evaluation_lines(evaluation)[0], sentence);
    let page = first_lines(&report);
    assert!(page.contains(sentence) && page.contains("On 800 test images"), "{page}");

    // A class that the test images lack is named, too.
    let evaluation = report.evaluation.as_mut().unwrap();
    evaluation.class_names = ["cat", "dog", "owl", "emu"].map(str::to_owned).to_vec();
    evaluation.per_class =
        vec![ClassAccuracy { class: "cat".into(), images: 800, knn_acc1: 0.5, linear_acc1: 0.5 }];
    let sentence = "No test image is of dog: these accuracies say nothing about it.";
    assert!(evaluation_lines(evaluation).contains(&sentence.to_owned()));
    assert!(first_lines(&report).contains(sentence));

    let evaluation = report.evaluation.as_mut().unwrap();
    evaluation.class_names.clear();
    evaluation.per_class.clear();
    (evaluation.accuracies, evaluation.verdict) = (None, None);
    evaluation.unseen = vec![unseen("owl", 1000)];
    evaluation.left_out = vec![LeftOut::OnlyUnseen];
    let headline = "All 1,000 test images are of a class without a training image, so no accuracy \
                    means anything.";
    assert_eq!(evaluation_lines(evaluation)[0], headline);
    let page = first_lines(&report);
    assert!(page.contains(headline) && page.contains("(owl: 1,000)"), "{page}");
}

#[test]
fn hostile_text_stays_text() {
    let mut report = whole(4);
    let run = &mut report.run;
    for field in [
        &mut run.selfsame,
        &mut run.burn,
        &mut run.device,
        &mut run.started,
        &mut run.dataset.name,
        &mut run.encoder.name,
        &mut run.method,
        &mut run.augment,
        &mut run.policy,
        &mut run.command[1],
        &mut run.dataset.classes[1],
    ] {
        *field = HOSTILE.into();
    }
    run.dataset.notes = vec![HOSTILE.into()];
    run.dataset.skipped = vec![Skipped { name: HOSTILE.into(), cause: HOSTILE.into() }];
    run.protocol = vec![(HOSTILE.into(), HOSTILE.into())];
    let evaluation = report.evaluation.as_mut().unwrap();
    evaluation.split = HOSTILE.into();
    evaluation.unseen = vec![Unseen { class: HOSTILE.into(), split: HOSTILE.into(), images: 3 }];
    evaluation.protocol = vec![(HOSTILE.into(), HOSTILE.into())];
    let map = report.map.as_mut().unwrap();
    map.images[0].name = HOSTILE.into();
    map.method = HOSTILE.into();
    map.split = HOSTILE.into();
    report.views.as_mut().unwrap().names[0] = HOSTILE.into();
    report.warnings = vec![HOSTILE.into()];

    let page = render(&report);
    check_page(&page);
    assert!(!page.contains("<script>alert") && !page.contains("<img") && !page.contains("<!--"));
    let scripts = |page: &str| page.matches("<script").count();
    assert_eq!(scripts(&page), scripts(&render(&whole(4))), "no script but the page's own");
}

#[test]
fn missing_pieces_are_said() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(read(folder.path()), Err(ReportError::NotARun { .. })));

    write_json(&folder.path().join(RUN_FILE), &RunRecord::default()).unwrap();
    let page = render(&read(folder.path()).unwrap());
    check_page(&page);
    assert!(page.contains("has not been evaluated yet") && page.contains("not finished"));
    assert!(
        !page.contains("id=\"results\"")
            && !page.contains("id=\"map\"")
            && !page.contains("id=\"training\"")
    );

    let pretrained = Report { evaluation: None, map: None, ..whole(0) };
    let page = render(&pretrained);
    check_page(&page);
    assert!(page.contains("On 400 validation images") && page.contains("Training is finished."));
    assert!(page.contains("id=\"training\"") && !page.contains("id=\"results\""));

    // A file from another version: what is unknown is ignored, what is missing takes its default.
    fs::write(folder.path().join(RUN_FILE), br#"{"method":"byol","from_the_future":[1]}"#).unwrap();
    assert_eq!(read(folder.path()).unwrap().run.method, "byol");
}

#[test]
fn unlabelled_images_get_what_needs_no_label() {
    let mut report = whole(10);
    report.run.dataset.classes.clear();
    report.metrics.iter_mut().for_each(|point| point.val_knn_acc1 = None);
    let evaluation = report.evaluation.as_mut().unwrap();
    evaluation.accuracies = None;
    evaluation.classes = 0;
    evaluation.left_out = vec![LeftOut::NoLabels];
    let copies = |split: &str, of: &str, images, out_of, relabelled| Copies {
        split: split.into(),
        of: of.into(),
        images,
        out_of,
        relabelled,
    };
    evaluation.copies = vec![
        copies("test", "train", 7, 1000, 0),
        copies("validation", "train", 2, 400, 2),
        copies("train", "train", 1, 1600, 1),
    ];
    report.map.as_mut().unwrap().images.iter_mut().for_each(|image| image.label = None);

    let page = render(&report);
    check_page(&page);
    for text in [
        "143",
        "Accuracy needs labels",
        "The images have no labels, so kNN",
        "Alignment",
        "without labels",
        "After training",
        "7 of 1,000 test images are copies of training images.",
        "2 of 400 validation images are copies of training images, so that what is chosen",
        "1 of 1,600 training images repeats an earlier one.",
        "3 copies have another label",
    ] {
        assert!(page.contains(text), "{text}");
    }
    for text in ["Linear probe", "Validation accuracy", "class=\"legend\"", "true classes"] {
        assert!(!page.contains(text), "{text}");
    }
}

#[test]
fn torn_and_damaged_metrics() {
    let folder = tempfile::tempdir().unwrap();
    write_json(&folder.path().join(RUN_FILE), &RunRecord::default()).unwrap();
    let path = folder.path().join(METRICS_FILE);

    fs::write(&path, b"{\"step\":1,\"train_loss\":5.0}\n\n{\"step\":2,\"train_lo").unwrap();
    let report = read(folder.path()).unwrap();
    assert_eq!(report.metrics.len(), 1);
    assert!(render(&report).contains("cut off"));

    // A kill can also leave bytes that are no text.
    fs::write(&path, b"{\"step\":1}\n\0\0\xff\0").unwrap();
    assert_eq!(read(folder.path()).unwrap().metrics.len(), 1);

    fs::write(&path, b"{\"step\":1}\n{\"step\":2,\"tr\n{\"step\":3}\n").unwrap();
    let error = read(folder.path()).unwrap_err();
    assert!(matches!(error, ReportError::Metrics { line: 2, .. }), "{error}");
    assert!(error.to_string().contains("metrics.jsonl, line 2"), "{error}");

    // Killed after step 2, resumed from step 1: the later record counts.
    fs::write(&path, b"{\"step\":1,\"train_loss\":9}\n{\"step\":2,\"train_loss\":8}\n{\"step\":2,\"train_loss\":7}\n")
        .unwrap();
    let losses: Vec<f64> =
        read(folder.path()).unwrap().metrics.iter().map(|point| point.train_loss).collect();
    assert_eq!(losses, [9.0, 7.0]);
}

#[test]
fn damaged_records_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write_run(folder.path(), &whole(4));

    for file in [RUN_FILE, EVAL_FILE, MAP_FILE] {
        let path = folder.path().join(file);
        let good = fs::read(&path).unwrap();
        for keep in [0, 1, good.len() / 3, good.len() - 3] {
            fs::write(&path, &good[..keep]).unwrap();
            let error = read(folder.path()).unwrap_err();
            assert!(
                matches!(error, ReportError::Json { .. }) && error.to_string().contains(file),
                "{error}"
            );
        }
        fs::write(&path, good).unwrap();
    }

    let mut map = whole(4).map.unwrap();
    map.trained.points.pop();
    write_json(&folder.path().join(MAP_FILE), &map).unwrap();
    let error = read(folder.path()).unwrap_err();
    assert!(
        matches!(error, ReportError::Map { which: "trained", points: 3, images: 4, .. }),
        "{error}"
    );

    let mut map = whole(4).map.unwrap();
    map.thumbs.as_mut().unwrap().picture = b"<svg onload=alert(1)>".into();
    write_json(&folder.path().join(MAP_FILE), &map).unwrap();
    let error = read(folder.path()).unwrap_err();
    assert!(matches!(error, ReportError::Sprite { source: SpriteError::NoPicture, .. }), "{error}");
}

#[test]
fn a_damaged_sheet_of_views_costs_only_the_views() {
    let folder = tempfile::tempdir().unwrap();
    write_run(folder.path(), &whole(4));
    let path = folder.path().join(VIEWS_FILE);
    let good = fs::read(&path).unwrap();
    for keep in [0, 1, good.len() / 3, good.len() - 3] {
        fs::write(&path, &good[..keep]).unwrap();
        let found = read(folder.path()).unwrap();
        assert!(found.views.is_none() && found.evaluation.is_some());
        assert!(found.warnings[0].contains(VIEWS_FILE), "{:?}", found.warnings);
    }
}

#[test]
fn evaluations_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |spoil: &dyn Fn(&mut Evaluation)| {
        let mut report = whole(4);
        spoil(report.evaluation.as_mut().unwrap());
        write_run(folder.path(), &report);
        let error = read(folder.path()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, ReportError::Evaluation { .. }) && text.contains(EVAL_FILE));
        text
    };
    fn trained(evaluation: &mut Evaluation) -> &mut Scores {
        accuracies(evaluation).of.get_mut(&Representation::Trained).unwrap()
    }
    let wrong = refused(&|evaluation| trained(evaluation).knn_acc1 = 42.0);
    assert!(wrong.contains("knn_acc1 of trained is 42"), "{wrong}");
    let wrong = refused(&|evaluation| trained(evaluation).knn_k = Some(0));
    assert!(wrong.contains("knn_k of trained is 0"), "{wrong}");
    let wrong = refused(&|evaluation| trained(evaluation).linear_penalty = Some(-1.0));
    assert!(wrong.contains("linear_penalty of trained is -1"), "{wrong}");
    refused(&|evaluation| trained(evaluation).centre_acc1 = -0.1);
    refused(&|evaluation| accuracies(evaluation).majority = Some(1.5));
    refused(&|evaluation| evaluation.split.clear());
    refused(&|evaluation| evaluation.accuracies = None);
    let wrong = refused(&|evaluation| {
        accuracies(evaluation).of.remove(&Representation::Trained);
    });
    assert!(wrong.contains("none of the trained encoder"), "{wrong}");
    let wrong = refused(&|evaluation| accuracies(evaluation).images = 1001);
    assert!(wrong.contains("1001 images are scored, but only 1000 are in the split"), "{wrong}");
    refused(&|evaluation| evaluation.known = 1001);
    refused(&|evaluation| {
        let others = Accuracies { images: 999, ..accuracies(evaluation).clone() };
        (evaluation.known, evaluation.without_copies) = (2, Some(others));
    });

    // What an accuracy may be: unknown.
    let mut report = whole(4);
    trained(report.evaluation.as_mut().unwrap()).knn_acc1 = f64::NAN;
    write_run(folder.path(), &report);
    read(folder.path()).unwrap();

    let path = folder.path().join(EVAL_FILE);
    for (json, cause) in [
        ("{}", "which split"),
        (r#"{"split": "test"}"#, "neither accuracies nor a reason"),
        (r#"{"split": "test", "accuracies": {"of": {"best": {}}}}"#, "`best`"),
    ] {
        fs::write(&path, json).unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains(cause) && error.contains(EVAL_FILE), "{error}");
    }
}

#[test]
fn short_runs_splits_that_differ_and_confused_classes_are_said() {
    let mut report = whole(4);
    let evaluation = report.evaluation.as_mut().unwrap();
    let caveats = |evaluation: &Evaluation| words::caveats(evaluation).join("\n");

    (evaluation.step, evaluation.too_short) = (Some(125), Some(560));
    let sentence = caveats(evaluation);
    assert!(sentence.contains("Training took 125 steps, too few"), "{sentence}");
    assert!(sentence.contains("after 560 steps") && sentence.contains("19,500"), "{sentence}");
    evaluation.too_short = None;
    assert!(!caveats(evaluation).contains("too few"));

    // 71.3 % on 1,000 test images: 74 % on 100 validation images may be chance, 90 % may not.
    let on = |knn_acc1| Some(OnValidation { images: 100, knn_acc1 });
    evaluation.validation = on(0.74);
    assert!(!caveats(evaluation).contains("a difference of"));
    evaluation.validation = on(0.9);
    let sentence = caveats(evaluation);
    assert!(sentence.contains("a difference of 18.7 points"), "{sentence}");
    evaluation.validation = on(0.5);
    assert!(caveats(evaluation).contains("a difference of −21.3 points"));
    // Copies among the validation images explain it.
    evaluation.copies = vec![Copies {
        split: "validation".into(),
        of: "train".into(),
        images: 60,
        out_of: 100,
        relabelled: 0,
    }];
    assert!(!caveats(evaluation).contains("a difference of"));

    evaluation.class_names = ["cat", "dog", "<b>"].map(String::from).into();
    evaluation.confusion = vec![vec![70, 29, 1], vec![10, 90, 0], vec![0, 2, 8]];
    evaluation.per_class =
        vec![ClassAccuracy { class: "cat".into(), images: 100, knn_acc1: 0.7, linear_acc1: 0.8 }];
    let scores = accuracies(evaluation).of.get_mut(&Representation::Trained).unwrap();
    (scores.knn_macro_acc1, scores.linear_macro_acc1) = (Some(0.8), Some(0.9));
    evaluation.few_labels = vec![FewLabels {
        share: 0.01,
        images: 16,
        linear_acc1: [(Representation::Trained, 0.432)].into(),
    }];
    let page = render(&report);
    check_page(&page);
    let order = [
        "29 of 100 test images of “cat” (29.0%) are taken for “dog”.",
        "2 of 10 test images of “&lt;b&gt;” (20.0%) are taken for “dog”.",
        "10 of 100 test images of “dog” (10.0%) are taken for “cat”.",
    ];
    let at = order.map(|sentence| page.find(sentence).expect(sentence));
    assert!(at.is_sorted(), "the most confused come first");
    assert!(!page.contains("(1.0%) are taken"), "one image is no pair");
    assert!(
        page.contains(
            "Averaged over classes instead of images, nearest neighbours are right 80.0%"
        )
    );
    assert!(page.contains("1% of the labels: 16 images") && page.contains("43.2%"));
}

#[test]
fn few_labels_stand_under_their_own_heads() {
    use Representation::{Pixels, Trained, Untrained};
    let mut report = whole(4);
    let few = |share, of: &[(Representation, f64)]| FewLabels {
        share,
        images: 16,
        linear_acc1: of.iter().cloned().collect(),
    };
    // Neither row has all representations, and the second begins with another than the first.
    report.evaluation.as_mut().unwrap().few_labels = vec![
        few(0.01, &[(Trained, 0.411), (Pixels, 0.422)]),
        few(0.1, &[(Untrained, 0.433), (Pixels, 0.444)]),
    ];
    let page = render(&report);
    check_page(&page);
    let (_, table) = page.split_once("With few labels").unwrap();
    let (table, _) = table.split_once("</table>").unwrap();
    let rows: Vec<Vec<&str>> = table.split("<tr>").skip(1).map(cells).collect();
    let dash = "–";
    assert_eq!(rows[0], ["", "Trained encoder", "Untrained encoder", "Raw pixels"]);
    assert_eq!(rows[1], ["1% of the labels: 16 images", "41.1%", dash, "42.2%"]);
    assert_eq!(rows[2], ["10% of the labels: 16 images", dash, "43.3%", "44.4%"]);
}

/// Returns the first text of each cell of a row of a table.
fn cells(row: &str) -> Vec<&str> {
    let cells = row.split("</t").filter(|cell| cell.contains("<td") || cell.contains("<th"));
    cells.map(first_text).collect()
}

fn first_text(html: &str) -> &str {
    let mut texts = html.split('>').skip(1).filter_map(|text| text.split('<').next());
    texts.find(|text| !text.is_empty()).unwrap_or_default()
}

#[test]
fn a_representation_is_a_key_of_json() {
    let named = Representation::Against("resnet18.pth".into());
    for (of, key) in [
        (Representation::Trained, "trained"),
        (Representation::Untrained, "untrained"),
        (Representation::Patches, "patches"),
        (Representation::Pixels, "pixels"),
        (named, "against:resnet18.pth"),
    ] {
        let map: BTreeMap<Representation, u8> = [(of, 7)].into();
        let json = serde_json::to_string(&map).unwrap();
        assert_eq!(json, format!("{{\"{key}\":7}}"));
        assert_eq!(serde_json::from_str::<BTreeMap<Representation, u8>>(&json).unwrap(), map);
    }
}

#[test]
fn numbers_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut report = whole(4);
    report.run.seconds = f64::INFINITY;
    report.metrics[3].train_loss = f64::NAN;
    report.metrics[4].views_per_second = f64::INFINITY;
    report.metrics[5].epoch = f64::NEG_INFINITY;
    report.metrics[100].train_loss = f64::MAX;
    let evaluation = report.evaluation.as_mut().unwrap();
    let trained = accuracies(evaluation).of.get_mut(&Representation::Trained).unwrap();
    trained.linear_acc1 = f64::NAN;
    let geometry = evaluation.geometry.get_mut(&Representation::Trained).unwrap();
    geometry.uniformity = Some(f64::NEG_INFINITY);
    let map = report.map.as_mut().unwrap();
    map.trained.points[1] = [f64::NAN, 1.0];
    map.untrained.as_mut().unwrap().explained = [f64::NAN; 2];
    map.untrained.as_mut().unwrap().points = vec![[f64::MAX, f64::MIN]; 4];

    check_page(&render(&report));
    write_run(folder.path(), &report);
    let page = render(&read(folder.path()).unwrap());
    check_page(&page);
    assert!(page.contains("not a number on 1 logged step, first on step 3"));
    assert!(page.contains("have no finite place"));

    report.metrics.iter_mut().for_each(|point| point.train_loss = f64::NAN);
    let page = render(&report);
    check_page(&page);
    assert!(!page.contains("Training loss") && page.contains("101 logged steps"));
}

#[test]
fn none_one_and_equal_points() {
    let page = render(&whole(0));
    check_page(&page);
    assert!(!page.contains("id=\"map\""));
    check_page(&render(&whole(1)));

    let mut report = whole(5);
    report.metrics.truncate(1);
    report.map.as_mut().unwrap().trained.points = vec![[3.0, 3.0]; 5];
    report.evaluation.as_mut().unwrap().images = 0;
    let page = render(&report);
    check_page(&page);
    assert!(page.contains("M210 210"), "equal points stand in the middle");
}

#[test]
fn large_runs_stay_modest() {
    let mut report = whole(20_000);
    report.run.dataset.classes = (0..1000).map(|i| format!("class number {i}")).collect();
    report.run.dataset.skipped =
        vec![Skipped { name: "some/folder/image.png".into(), cause: "truncated".into() }; 5000];
    for (i, image) in report.map.as_mut().unwrap().images.iter_mut().enumerate() {
        image.label = Some(i as u32 % 1003);
    }
    let point = report.metrics[0].clone();
    report.metrics = (0..100_000)
        .map(|step| MetricPoint {
            step,
            epoch: step as f64 / 1000.0,
            train_loss: (step % 97) as f64,
            ..point.clone()
        })
        .collect();
    let page = render(&report);
    check_page(&page);
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    for text in [
        "2,000 images of 20,000, evenly picked",
        "5,000 images were left out",
        "and 4,800 more",
        "class 1002",
        "means of 334 records",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("inside"), "kept").unwrap();
    assert!(matches!(write_atomic(&path, b"new"), Err(ReportError::Io { .. })));
    assert_eq!(fs::read_to_string(path.join("inside")).unwrap(), "kept");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
}

/// Two images in two views under a policy whose second view differs, and under one that does
/// nothing.
fn gallery(text: &str) -> Gallery {
    let picture = Sprite::lossless(1, 1, &[&[9; 3]], 1).unwrap();
    let view = |part| View {
        picture: picture.clone(),
        part,
        changes: vec!["crop 12%".into(), text.into()],
    };
    let views = vec![vec![view(Some([0.125, 0.25, 0.5, 0.0625])), view(None)]; 2];
    let step = Step {
        name: text.into(),
        effect: text.into(),
        probability: [0.0, 0.2],
        range: text.into(),
    };
    Gallery {
        selfsame: text.into(),
        command: vec!["selfsame".into(), text.into()],
        dataset: text.into(),
        seed: 42,
        side: 32,
        lost: vec![Skipped { name: text.into(), cause: text.into() }],
        notes: vec![text.into()],
        images: vec![
            Original {
                name: text.into(),
                class: Some(text.into()),
                picture: picture.clone(),
                sides: [8, 8],
            },
            Original { name: "second".into(), class: None, picture, sides: [12, 8] },
        ],
        policies: vec![
            PolicyViews {
                name: text.into(),
                toml: text.into(),
                steps: vec![step],
                views: views.clone(),
            },
            PolicyViews { name: "none".into(), views, ..Default::default() },
        ],
    }
}

#[test]
fn a_gallery_shows_every_view_with_what_was_drawn() {
    let page = render_gallery(&gallery("words"));
    check_page(&page);
    assert_eq!(page, render_gallery(&gallery("words")));
    assert_eq!((page.matches("<article").count(), page.matches("<img").count()), (2, 8));
    assert_eq!(page.matches("left:12.50%;top:25.00%;width:50.00%;height:6.25%").count(), 4);
    for part in [
        "crop 12%",
        "words",
        "first view never, second 20%",
        "32 × 32",
        "seed 42",
        "selfsame words",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Only the first policy's views say which of a pair they are.
    assert_eq!((page.matches("</b> first").count(), page.matches("</b> second").count()), (2, 2));
    assert!(page.contains("Nothing is done"), "the other has no step");
}

#[test]
fn a_gallery_escapes_and_takes_what_does_not_fit() {
    let page = render_gallery(&gallery(HOSTILE));
    check_page(&page);
    assert!(!page.contains("<img src=x") && !page.contains("alert(1)</script>"));

    let mut short = gallery("words");
    short.policies[0].views.pop();
    short.policies[1].views.clear();
    check_page(&render_gallery(&short));
    check_page(&render_gallery(&Gallery::default()));
}

#[test]
fn a_forecast_of_nothing_and_a_hostile_one_are_pages() {
    check_page(&selfsame_report::render_forecast(&Forecast::default()));
    let evil = "<script>alert(1)</script>\"'&";
    let class = ClassForecast {
        name: evil.into(),
        images: 2,
        unusual: vec![0, 9],
        main_part: vec![7],
        ..Default::default()
    };
    let policy = PolicyForecast {
        name: evil.into(),
        steps: vec![evil.into()],
        toml: evil.into(),
        classes: vec![class],
        ..Default::default()
    };
    let forecast = Forecast {
        dataset: evil.into(),
        classes: vec![evil.into()],
        advice: Some(Advice::SingleClass { first: vec![0, 9] }),
        notes: vec![evil.into()],
        deltas: vec![Delta { share: f64::NAN, delta: 0.0, levels: Some(f64::INFINITY) }],
        shown: vec![0, 9],
        baseline: Some(policy.clone()),
        duplicates: vec![vec![0, 9], vec![]],
        skipped: vec![Skipped { name: evil.into(), cause: evil.into() }],
        policies: vec![policy],
        images: vec![ProbeImage { name: evil.into(), index: 0, class: 3 }],
        thumbs: Some(sprite(1)),
        recommended: vec![5],
        ..Default::default()
    };
    let page = selfsame_report::render_forecast(&forecast);
    check_page(&page);
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert(1)"));
}
