//! What the page of a run says of single images.

use selfsame_report::look::{
    Cluster, Clusters, LOOK_FILE, Labels, Look, NEIGHBOURS_FILE, Neighbour, Neighbourhood,
    Neighbours, Pictured, ShownSuspect, Twin, Twins, words,
};
use selfsame_report::record::{RUN_FILE, RunRecord};
use selfsame_report::{Report, Sprite, read, render, write_json};

fn image(name: &str, split: &str, class: &str, tile: usize) -> Pictured {
    Pictured { name: name.into(), split: split.into(), class: Some(class.into()), tile: Some(tile) }
}

fn sprite() -> Sprite {
    Sprite::lossless(2, 2, &[&[9; 12], &[90; 12], &[190; 12]], 3).unwrap()
}

fn neighbourhood() -> Neighbourhood {
    Neighbourhood {
        image: image("a.png", "test", "cat", 0),
        nearest: vec![Neighbour { image: image("b.png", "train", "dog", 1), distance: 0.0132 }],
    }
}

fn look() -> Look {
    let suspect =
        ShownSuspect { neighbourhood: neighbourhood(), likely: "dog".into(), probability: 0.931 };
    let twin = |split: &str, equal, closeness| Twin {
        images: [image("c.png", "train", "cat", 0), image("d.png", split, "dog", 2)],
        equal,
        closeness,
        distance: 0.001,
    };
    Look {
        step: 5,
        images: 90,
        out_of: 100,
        labels: Some(Labels {
            judged: 80,
            suspects: 7,
            accuracy: 0.625,
            folds: 5,
            lambda: 0.01,
            shown: vec![suspect],
        }),
        twins: Twins {
            across: 1,
            within: 2,
            threshold: 0.25,
            pairs: vec![twin("test", true, 0.0), twin("train", false, 0.17)],
        },
        clusters: Some(Clusters {
            clusters: vec![Cluster {
                images: 30,
                labels: vec![("cat".into(), 28), ("dog".into(), 2)],
                typical: vec![image("e.png", "train", "cat", 1)],
            }],
            between: 60,
            sampled: 90,
            smallest: 5,
            components: 10,
            explained: 0.8,
            agreement: Some(0.61),
        }),
        pictures: Some(sprite()),
    }
}

fn neighbours() -> Neighbours {
    Neighbours {
        step: 5,
        asked: Vec::new(),
        searched: 90,
        images: vec![neighbourhood()],
        pictures: Some(sprite()),
    }
}

#[test]
fn records_survive_the_folder_and_damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_json(&folder.path().join(RUN_FILE), &RunRecord::default()).unwrap();
    write_json(&folder.path().join(LOOK_FILE), &look()).unwrap();
    write_json(&folder.path().join(NEIGHBOURS_FILE), &neighbours()).unwrap();
    let report = read(folder.path()).unwrap();
    assert_eq!((report.look, report.neighbours), (Some(look()), Some(neighbours())));

    for name in [LOOK_FILE, NEIGHBOURS_FILE] {
        let damaged = Some(Sprite { picture: b"<svg>".into(), ..sprite() });
        let file = folder.path().join(name);
        let kept = std::fs::read(&file).unwrap();
        match name {
            LOOK_FILE => write_json(&file, &Look { pictures: damaged, ..look() }).unwrap(),
            _ => write_json(&file, &Neighbours { pictures: damaged, ..neighbours() }).unwrap(),
        }
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("damaged"), "{error}");
        std::fs::write(&file, kept).unwrap();
    }
}

#[test]
fn the_page_shows_what_was_found() {
    let report = Report { look: Some(look()), neighbours: Some(neighbours()), ..Report::default() };
    let page = render(&report);
    for piece in [
        "In 7 of 80 images, a linear probe",
        "More likely <b>dog</b>: the probe gives <b>cat</b> 6.9%",
        "The probe is right about only 62.5% of all images",
        "3 pairs of images are nearly the same to the encoder, 1 of them of different splits.",
        "equal pixels",
        "closeness 0.17",
        "<b>Group 1</b>: 30 images: 28 cat, 2 dog",
        "1 group of images stands apart, with 33.3% of all images",
        "The groups follow the labels (adjusted Rand index 0.61).",
        "a sample of 90 of 100 images",
        "Nearest neighbours",
        "0.013",
    ] {
        assert!(page.contains(piece), "{piece}");
    }
}

#[test]
fn nothing_is_said_where_there_is_nothing_to_say() {
    let quiet = Look {
        labels: Some(Labels { judged: 80, accuracy: 1.0, ..Labels::default() }),
        twins: Twins::default(),
        clusters: Some(Clusters { between: 90, ..Clusters::default() }),
        ..look()
    };
    assert!(words::lines(&quiet).is_empty());
    for report in [
        Report::default(),
        Report { look: Some(quiet), ..Report::default() },
        Report { neighbours: Some(Neighbours::default()), ..Report::default() },
    ] {
        assert!(!render(&report).contains("id=\"look\""));
    }
}

#[test]
fn a_hostile_name_stays_text() {
    const HOSTILE: &str = "<script>alert(1)</script>\"'&";
    let mut found = look();
    found.twins.pairs[0].images[0] = image(HOSTILE, HOSTILE, HOSTILE, usize::MAX);
    found.labels.as_mut().unwrap().shown[0].likely = HOSTILE.into();
    found.clusters.as_mut().unwrap().clusters[0].labels[0].0 = HOSTILE.into();
    let page = render(&Report { look: Some(found), ..Report::default() });
    assert!(!page.contains("<script>alert"));
}

#[test]
fn sentences_count() {
    let twins = |across, within| words::twins(&Twins { across, within, ..Twins::default() });
    assert_eq!(twins(0, 0), None);
    assert_eq!(
        twins(0, 1).unwrap(),
        "1 pair of images of one split is nearly the same to the encoder."
    );
    assert_eq!(
        twins(2, 0).unwrap(),
        "2 pairs of images of different splits are nearly the same to the encoder."
    );
    let line = |accuracy| {
        let labels = Labels { accuracy, ..look().labels.unwrap() };
        words::lines(&Look { labels: Some(labels), ..look() }).swap_remove(0)
    };
    assert_eq!(line(0.9), "7 labels of 80 are likely wrong; the page shows the likeliest.");
    assert!(line(0.6).starts_with("The page shows the labels most worth a check. The probe is"));
    assert_eq!(
        words::neighbour_lines(&neighbours()),
        ["a.png (test, cat)", "  0.0132  b.png (train, dog)"]
    );
}
