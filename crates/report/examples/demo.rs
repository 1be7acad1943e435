//! Writes a made-up run folder and its page, to look at the page without training anything.
//!
//! usage: cargo run --release -p selfsame-report --example demo -- DIR
//! [labelled|unlabelled|unevaluated]

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use selfsame_kernels::random::SplitMix64;
use selfsame_report::look::{
    Cluster, Clusters, LOOK_FILE, Labels, Look, NEIGHBOURS_FILE, Neighbour, Neighbourhood,
    Neighbours, Pictured, ShownSuspect, Twin, Twins,
};
use selfsame_report::record::LeftOut;
use selfsame_report::record::{
    Accuracies, ClassAccuracy, DatasetRecord, EVAL_FILE, EmbeddingMap, EncoderRecord, Evaluation,
    FewLabels, Geometry, MAP_FILE, METRICS_FILE, MapImage, MetricPoint, OnValidation, PAGE_FILE,
    Projection, RUN_FILE, Representation, RunRecord, Scores, Skipped, TsneMap, VIEWS_FILE,
    ViewSheet,
};
use selfsame_report::{Sprite, read, render, write_atomic, write_json};

const CLASSES: [&str; 10] =
    ["disc", "ring", "square", "frame", "bar", "post", "cross", "saltire", "half", "checker"];
const SIDE: usize = 32;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let run: PathBuf = arguments.next().ok_or("name a folder to write to")?.into();
    let kind = arguments.next().unwrap_or_else(|| "labelled".into());
    let page = demo(&run, &kind)?;
    println!("{}: {} KB", run.join(PAGE_FILE).display(), page.len() / 1024);
    Ok(())
}

/// Writes the records of a made-up run and their page to the folder `run`, and returns the page.
/// `kind` is `labelled`, `unlabelled` or `unevaluated`.
pub fn demo(run: &Path, kind: &str) -> Result<String, Box<dyn std::error::Error>> {
    let labelled = kind != "unlabelled";
    std::fs::create_dir_all(run)?;

    write_json(&run.join(RUN_FILE), &run_record(labelled))?;
    let lines: Result<Vec<String>, _> =
        metrics(labelled).iter().map(serde_json::to_string).collect();
    write_atomic(&run.join(METRICS_FILE), (lines?.join("\n") + "\n").as_bytes())?;
    if kind != "unevaluated" {
        write_json(&run.join(EVAL_FILE), &evaluation(labelled))?;
        write_json(&run.join(MAP_FILE), &map(labelled)?)?;
        write_json(&run.join(LOOK_FILE), &look(labelled)?)?;
        write_json(&run.join(NEIGHBOURS_FILE), &neighbours(labelled)?)?;
    }
    write_json(&run.join(VIEWS_FILE), &views()?)?;

    let page = render(&read(run)?);
    write_atomic(&run.join(PAGE_FILE), page.as_bytes())?;
    Ok(page)
}

fn run_record(labelled: bool) -> RunRecord {
    let skipped = [
        ("disc/0007.png", "truncated: the file ends within its pixels"),
        ("bar/huge.png", "60000x60000 pixels, above the limit"),
    ];
    RunRecord {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        burn: "0.0".into(),
        device: "flex".into(),
        machines: Vec::new(),
        precision: "f32".into(),
        command: ["selfsame", "study", "--data", "made up", "--augment", "abcde"]
            .map(String::from)
            .into(),
        seed: 7,
        started: "2000-01-01T00:00:00Z".into(),
        seconds: 161.4,
        finished: true,
        collapse: None,
        dataset: DatasetRecord {
            name: "made-up shapes".into(),
            classes: if labelled { CLASSES.map(String::from).into() } else { Vec::new() },
            image_size: SIDE as u32,
            source_size: None,
            train: 4000,
            validation: 500,
            test: 1000,
            skipped: skipped
                .map(|(name, cause)| Skipped { name: name.into(), cause: cause.into() })
                .into(),
            lost: Vec::new(),
            left_alone: Vec::new(),
            notes: vec!["Nothing here was measured: every number on this page is made up.".into()],
            digest: String::new(),
        },
        encoder: EncoderRecord {
            name: "resnet18".into(),
            width: 64,
            parameters: 11_168_832,
            dimension: 512,
        },
        method: "simclr".into(),
        augment: "abcde".into(),
        policy: "[crop]\nscale = [0.2, 1.0]\n\n[flip]\nprobability = 0.5\n".into(),
        epochs: 20,
        batch: 256,
        protocol: vec![
            ("Optimizer".into(), "SGD, momentum 0.9, weight decay 0.0005".into()),
            ("Temperature".into(), "0.5".into()),
        ],
    }
}

fn metrics(labelled: bool) -> Vec<MetricPoint> {
    let mut random = Random(SplitMix64::new(1));
    (0..=800)
        .map(|step| {
            let t = step as f64 / 800.0;
            MetricPoint {
                step,
                epoch: 20.0 * t,
                train_loss: 4.7 + 1.5 * (-6.0 * t).exp() + 0.08 * random.normal(),
                learning_rate: if t < 0.05 {
                    0.06 * t / 0.05
                } else {
                    0.03 * (1.0 + (TAU / 2.0 * (t - 0.05) / 0.95).cos())
                },
                views_per_second: 820.0 + 12.0 * random.normal(),
                val_knn_acc1: (labelled && step % 80 == 0)
                    .then(|| 0.71 - 0.45 * (-4.0 * t).exp() + 0.008 * random.normal()),
                ..MetricPoint::default()
            }
        })
        .collect()
}

fn evaluation(labelled: bool) -> Evaluation {
    use Representation::{Patches, Pixels, Trained, Untrained};
    let scores = |knn, k, linear, penalty, centre| Scores {
        knn_acc1: knn,
        knn_macro_acc1: Some(knn - 0.004),
        knn_k: Some(k),
        linear_acc1: linear,
        linear_macro_acc1: Some(linear - 0.002),
        linear_penalty: Some(penalty),
        centre_acc1: centre,
    };
    let of = [
        (Trained, scores(0.713, 20, 0.764, 0.01, 0.662)),
        (Untrained, scores(0.301, 50, 0.418, 0.1, 0.243)),
        (Patches, scores(0.412, 50, 0.523, 0.1, 0.355)),
        (Pixels, scores(0.222, 100, 0.305, 1.0, 0.187)),
    ];
    let accuracies = Accuracies { images: 1000, majority: Some(0.1), of: of.into() };
    let geometry = |alignment, uniformity, rankme| Geometry {
        alignment: Some(alignment),
        uniformity: Some(uniformity),
        rankme: Some(rankme),
        alignment_over: Some([500, 5]),
        images: Some(1000),
    };
    let mut evaluation = Evaluation {
        split: "test".into(),
        step: Some(780),
        classes: if labelled { 10 } else { 0 },
        images: 1000,
        accuracies: labelled.then_some(accuracies),
        geometry: [
            (Trained, geometry(0.214, -3.42, 143.2)),
            (Untrained, geometry(0.031, -0.24, 6.8)),
        ]
        .into(),
        validation: labelled.then_some(OnValidation { images: 500, knn_acc1: 0.721 }),
        per_class: if labelled { per_class() } else { Vec::new() },
        class_names: if labelled { CLASSES.map(String::from).into() } else { Vec::new() },
        confusion: if labelled { confusion() } else { Vec::new() },
        few_labels: if labelled { few_labels() } else { Vec::new() },
        left_out: if labelled { Vec::new() } else { vec![LeftOut::NoLabels] },
        protocol: vec![("kNN".into(), "k = 200, temperature 0.1, cosine".into())],
        ..Evaluation::default()
    };
    evaluation.verdict = evaluation.judge();
    evaluation
}

/// How many of the hundred images of class `a` are taken for class `b`.
fn taken(a: usize, b: usize) -> u64 {
    const RIGHT: [u64; 10] = [88, 61, 79, 58, 72, 74, 66, 69, 71, 75];
    let wrong = 100 - RIGHT[a];
    match (a ^ 1, b) {
        (_, b) if a == b => RIGHT[a],
        // Half of what goes wrong goes to the neighbour, the rest evenly to the other eight.
        (neighbour, b) if neighbour == b => wrong - wrong / 16 * 8,
        _ => wrong / 16,
    }
}

fn confusion() -> Vec<Vec<u64>> {
    (0..10).map(|a| (0..10).map(|b| taken(a, b)).collect()).collect()
}

fn per_class() -> Vec<ClassAccuracy> {
    let class = |(at, name): (usize, &str)| ClassAccuracy {
        class: name.into(),
        images: 100,
        knn_acc1: taken(at, at) as f64 / 100.0,
        linear_acc1: (taken(at, at) + 5) as f64 / 100.0,
    };
    CLASSES.into_iter().enumerate().map(class).collect()
}

fn few_labels() -> Vec<FewLabels> {
    use Representation::{Patches, Pixels, Trained, Untrained};
    let few = |share, images, of: [f64; 4]| FewLabels {
        share,
        images,
        linear_acc1: [Trained, Untrained, Patches, Pixels].into_iter().zip(of).collect(),
    };
    vec![few(0.01, 45, [0.421, 0.172, 0.203, 0.141]), few(0.1, 450, [0.664, 0.311, 0.398, 0.226])]
}

fn map(labelled: bool) -> Result<EmbeddingMap, Box<dyn std::error::Error>> {
    let mut random = Random(SplitMix64::new(2));
    let class = |i: usize| i % CLASSES.len();
    let mut points = |spread: f64, apart: f64| -> Vec<[f64; 2]> {
        (0..400)
            .map(|i| {
                let angle = TAU * class(i) as f64 / 10.0;
                let radius = apart * if class(i).is_multiple_of(2) { 1.0 } else { 0.55 };
                [
                    radius * angle.cos() + spread * random.normal(),
                    radius * angle.sin() + spread * random.normal(),
                ]
            })
            .collect()
    };
    let trained = Projection { explained: [0.231, 0.142], points: points(0.13, 1.0) };
    let untrained = Projection { explained: [0.612, 0.113], points: points(0.4, 0.15) };
    let mut random = Random(SplitMix64::new(3));
    let images: Vec<Vec<u8>> = (0..400).map(|i| picture(class(i), &mut random)).collect();
    let tiles: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let image = |i| MapImage {
        name: format!("test/{}/{i:04}.png", CLASSES[class(i)]),
        label: labelled.then(|| class(i) as u32),
    };
    Ok(EmbeddingMap {
        method: "pca".into(),
        split: "test".into(),
        images: (0..400).map(image).collect(),
        trained,
        untrained: Some(untrained),
        tsne: Some(TsneMap {
            perplexity: 30.0,
            trained: points(0.09, 1.0),
            untrained: Some(points(0.3, 0.3)),
        }),
        thumbs: Some(Sprite::thumbnails(SIDE as u32, SIDE as u32, &tiles, 20)?),
    })
}

/// Names an image of the sheet of [`shapes`], which has ten of each class.
fn pictured(tile: usize, split: &str, labelled: bool) -> Pictured {
    let class = CLASSES[tile / 10];
    Pictured {
        name: format!("{split}/{class}/{tile:04}.png"),
        split: split.into(),
        class: labelled.then(|| class.into()),
        tile: Some(tile),
    }
}

/// Ten pictures of each class.
fn shapes() -> Result<Sprite, Box<dyn std::error::Error>> {
    let mut random = Random(SplitMix64::new(5));
    let images: Vec<Vec<u8>> = (0..100).map(|i| picture(i / 10, &mut random)).collect();
    let tiles: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    Ok(Sprite::lossless(SIDE as u32, SIDE as u32, &tiles, 20)?)
}

/// An image with the five after it.
fn neighbourhood(tile: usize, labelled: bool) -> Neighbourhood {
    let near = |at: usize| Neighbour {
        image: pictured(tile + at, ["train", "validation", "test"][at % 3], labelled),
        distance: 0.003 * at as f64,
    };
    let image = pictured(tile, "test", labelled);
    Neighbourhood { image, nearest: (1..6).map(near).collect() }
}

fn look(labelled: bool) -> Result<Look, Box<dyn std::error::Error>> {
    let suspect = |at: usize| ShownSuspect {
        neighbourhood: neighbourhood(10 * at + 2, labelled),
        likely: CLASSES[at + 1].into(),
        probability: 0.97 - 0.04 * at as f64,
    };
    let twin = |at: usize, split: &str, equal| Twin {
        images: [pictured(at, "train", labelled), pictured(at + 1, split, labelled)],
        equal,
        closeness: if equal { 0.0 } else { 0.11 },
        distance: if equal { 0.0 } else { 0.0004 },
    };
    let cluster = |at: usize| Cluster {
        images: 220 - 60 * at as u64,
        labels: match labelled {
            true => vec![(CLASSES[at].into(), 200 - 60 * at as u64), (CLASSES[9].into(), 20)],
            false => Vec::new(),
        },
        typical: (0..8).map(|i| pictured(10 * at + i, "train", labelled)).collect(),
    };
    Ok(Look {
        step: 800,
        images: 5000,
        out_of: 5500,
        labels: labelled.then(|| Labels {
            judged: 5000,
            suspects: 31,
            accuracy: 0.76,
            folds: 5,
            lambda: 0.001,
            shown: (0..8).map(suspect).collect(),
        }),
        twins: Twins {
            across: 1,
            within: 1,
            threshold: 0.31,
            pairs: vec![twin(30, "test", true), twin(49, "train", false)],
        },
        clusters: Some(Clusters {
            clusters: (0..3).map(cluster).collect(),
            between: 4520,
            sampled: 5000,
            smallest: 24,
            components: 10,
            explained: 0.71,
            agreement: labelled.then_some(0.34),
        }),
        pictures: Some(shapes()?),
    })
}

fn neighbours(labelled: bool) -> Result<Neighbours, Box<dyn std::error::Error>> {
    Ok(Neighbours {
        step: 800,
        asked: Vec::new(),
        searched: 5500,
        images: (0..4).map(|at| neighbourhood(20 * at, labelled)).collect(),
        pictures: Some(shapes()?),
    })
}

fn views() -> Result<ViewSheet, Box<dyn std::error::Error>> {
    let mut random = Random(SplitMix64::new(4));
    let images: Vec<Vec<u8>> = (0..6 * 9).map(|i| picture(i / 9, &mut random)).collect();
    let tiles: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    Ok(ViewSheet {
        names: CLASSES[..6].iter().map(|name| format!("train/{name}/0000.png")).collect(),
        sheet: Sprite::lossless(SIDE as u32, SIDE as u32, &tiles, 9)?,
    })
}

/// A shape of the class in random colours, place and size.
fn picture(class: usize, random: &mut Random) -> Vec<u8> {
    let colour = |random: &mut Random| [0; 3].map(|_: u8| 40.0 + 190.0 * random.unit());
    let (ink, ground) = (colour(random), colour(random));
    let (cx, cy, r) =
        (12.0 + 8.0 * random.unit(), 12.0 + 8.0 * random.unit(), 6.0 + 5.0 * random.unit());
    let mut pixels = Vec::with_capacity(SIDE * SIDE * 3);
    for at in 0..SIDE * SIDE {
        let (x, y) = (((at % SIDE) as f64 - cx) / r, ((at / SIDE) as f64 - cy) / r);
        let (square, disc) = (x.abs().max(y.abs()), x.hypot(y));
        let inside = match class {
            0 => disc < 1.0,
            1 => disc < 1.0 && disc > 0.55,
            2 => square < 0.9,
            3 => square < 0.9 && square > 0.5,
            4 => square < 1.0 && y.abs() < 0.35,
            5 => square < 1.0 && x.abs() < 0.35,
            6 => square < 1.0 && x.abs().min(y.abs()) < 0.3,
            7 => square < 1.0 && (x.abs() - y.abs()).abs() < 0.35,
            8 => disc < 1.0 && x < 0.0,
            _ => square < 1.0 && (x > 0.0) == (y > 0.0),
        };
        let colour = if inside { ink } else { ground };
        pixels.extend(colour.map(|value| (value + 4.0 * random.normal()).clamp(0.0, 255.0) as u8));
    }
    pixels
}

/// Uniform and normal numbers for made-up data.
struct Random(SplitMix64);

impl Random {
    fn unit(&mut self) -> f64 {
        (self.0.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Nearly normal: twelve uniforms.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}
