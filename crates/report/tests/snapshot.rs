//! What the pages of three made-up runs and of an inspection say, held against the files in `tests/snapshots`.
//!
//! `UPDATE_PAGES=1 cargo test --release -p selfsame-report --test snapshot` writes these files anew.

use std::path::Path;

use selfsame_report::inspection::{
    Balance, ClassCounts, Copies, Counts, Crossing, FileSize, Files, Finding, ImageName,
    Inspection, NearCopy, Oddity, Outlier, Outliers, TrainingPlan,
};
use selfsame_report::record::{DatasetRecord, Skipped};
use selfsame_report::{Sprite, render_inspection};

#[path = "../examples/demo.rs"]
#[allow(dead_code, reason = "an example has a main function")]
mod demo;

/// The text that a page shows, a line for each piece between two tags.
fn shown(page: &str) -> String {
    let mut lines = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        lines.push(rest[..start].trim());
        let tag = &rest[start..];
        // Neither styles nor scripts are text.
        let end = match ["style", "script"].iter().find(|name| tag[1..].starts_with(**name)) {
            Some(name) => tag.find(&format!("</{name}>")).map(|end| end + name.len() + 3),
            None => tag.find('>').map(|end| end + 1),
        };
        rest = &tag[end.expect("a tag ends")..];
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n") + "\n"
}

/// Holds the text of a page against its snapshot.
fn hold(kind: &str, page: &str) {
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let text = shown(page);
    let file = snapshots.join(format!("{kind}.txt"));
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::create_dir_all(&snapshots).unwrap();
        std::fs::write(&file, &text).unwrap();
    }
    // A checkout may end its lines otherwise.
    let seen = std::fs::read_to_string(&file).unwrap_or_default().replace("\r\n", "\n");
    let changed = text.lines().zip(seen.lines()).find(|(now, before)| now != before);
    assert!(
        text == seen,
        "the {kind} page says something else: {changed:?}; look at the page, and if that is \
         meant, write the snapshots anew with UPDATE_PAGES=1"
    );
}

#[test]
fn pages_are_as_they_were_seen() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["labelled", "unlabelled", "unevaluated"] {
        hold(kind, &demo::demo(&folder.path().join(kind), kind).unwrap());
    }
}

#[test]
fn an_inspection_is_as_it_was_seen() {
    hold("inspection", &render_inspection(&inspection()));
}

/// An inspection that finds something of every kind.
fn inspection() -> Inspection {
    let image = |name: &str, split: &'static str, class: &str, tile: usize| ImageName {
        name: name.into(),
        split,
        class: Some(class.into()),
        tile: Some(tile),
    };
    let copy = image("test/cat/9.jpg", "test", "cat", 1);
    let twin =
        [image("train/cat/1.jpg", "train", "cat", 0), image("test/dog/3.jpg", "test", "dog", 2)];
    let crossing = |split, of, exact, near| Crossing { split, of, exact, near };
    let balance = Balance {
        largest: ("cat".into(), 90),
        smallest: ("dog".into(), 10),
        effective_classes: 1.384,
    };
    let skipped = Skipped { name: "train/cat/7.jpg".into(), cause: "it ends early".into() };
    let lost = Skipped { name: "train/cow".into(), cause: "6 .heic files".into() };
    let outliers = |kind, threshold, values: &[f64]| Outliers {
        kind,
        threshold,
        middle: 80.0,
        images: values.iter().map(|&value| Outlier { image: copy.clone(), value }).collect(),
    };
    let class = |name: &str, train| ClassCounts {
        name: name.into(),
        images: Counts { train, validation: 2, test: 20 },
    };
    Inspection {
        selfsame: "0.1.0".into(),
        command: ["selfsame", "inspect", "pets/"].map(str::to_owned).into(),
        dataset: DatasetRecord {
            name: "pets".into(),
            classes: vec!["cat".into(), "dog".into()],
            image_size: 64,
            train: 100,
            validation: 4,
            test: 40,
            skipped: vec![skipped.clone()],
            lost: vec![lost.clone()],
            notes: vec!["Training, validation and test are the set's own parts.".into()],
            ..DatasetRecord::default()
        },
        findings: vec![
            Finding::Lost { folders: 1, first: lost },
            Finding::Untrained { classes: vec!["cow".into()], images: 3 },
            Finding::Untested { classes: vec!["pig".into(), "hen".into()] },
            Finding::Leak { crossing: crossing("test", "train", 1, 1), images: 40 },
            Finding::Contradiction { exact: 0, near: 1 },
            Finding::LeftOut { images: 1, first: skipped },
            Finding::Repeats { crossing: crossing("train", "train", 0, 3), images: 100 },
            Finding::Imbalance(balance.clone()),
            Finding::Outliers { kind: Oddity::Blurred, images: 2 },
        ],
        classes: vec![class("cat", 90), class("dog", 10)],
        balance: Some(balance),
        files: Files {
            formats: vec![("JPEG".into(), 140), ("PNG".into(), 4)],
            bits: vec![(8, 144)],
            sizes: [(640, 480, 140), (480, 640, 4)]
                .map(|(width, height, images)| FileSize { width, height, images })
                .into(),
            turned: 4,
            ..Files::default()
        },
        outliers: vec![
            outliers(Oddity::Dark, Some(64.0), &[]),
            outliers(Oddity::Blurred, Some(0.125), &[0.01, 0.1]),
            outliers(Oddity::Grey, None, &[]),
        ],
        copies: Copies {
            exact: vec![vec![twin[0].clone(), copy.clone()]],
            near: vec![NearCopy {
                images: twin,
                mirrored: true,
                correlation: 0.97,
                closeness: 0.25,
            }],
            near_pairs: 1,
            groups: Vec::new(),
            crossings: vec![crossing("test", "train", 1, 1)],
            flat: 1,
            side: 32,
            threshold: 0.6,
            searched: true,
        },
        plan: TrainingPlan {
            method: "simclr".into(),
            augment: "abcde".into(),
            encoder: "resnet18, cifar stem, width 16".into(),
            batch: 100,
            epochs: 25,
            steps: 25,
            refusal: None,
        },
        examples: Vec::new(),
        pictures: Some(Sprite::lossless(1, 1, &[&[9; 3], &[99; 3], &[200; 3]], 2).unwrap()),
    }
}

#[test]
fn text_is_what_stands_between_tags() {
    let page =
        "<p>one <b>two</b></p><style>p { x: y }</style><script>let a = 1 < 2;</script>three<br>";
    assert_eq!(shown(page), "one\ntwo\nthree\n");
}
