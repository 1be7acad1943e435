//! Views as calls of the library.

use selfsame::augment::{Policy, Scratch};
use selfsame::data::{Dataset, LoadOptions};
use selfsame::{Error, ViewsOptions, load, views};

fn glyphs() -> Dataset {
    let options = LoadOptions { limit: Some(30), image_size: Some(12), ..LoadOptions::default() };
    load("glyphs", &options, &mut ()).unwrap()
}

fn policies() -> Vec<(String, Policy)> {
    ["abcde", "byol"].map(|name| (name.to_owned(), name.parse().unwrap())).to_vec()
}

#[test]
fn keys_draw_the_same_again_and_draws_apply() {
    let dataset = glyphs();
    let options =
        ViewsOptions { images: 2, views: 3, size: Some(16), seed: 5, ..Default::default() };
    let record = views(&dataset, &policies(), &options, &mut ()).unwrap();
    assert_eq!((record.image_size, record.size, record.policies.len()), (12, 16, 2));
    let mut scratch = Scratch::default();
    for policy in &record.policies {
        assert_eq!(policy.images.len(), 2);
        for view in policy.images.iter().flat_map(|image| &image.views) {
            assert_eq!(view.key.seed, 5);
            assert_eq!(policy.policy.draw(view.key, 12, 12), view.draw);
            let image = dataset.train.image(view.key.image as usize);
            view.draw.apply(image, 16, &mut scratch, &mut [0; 16 * 16 * 3]).unwrap();
        }
    }
    let page = record.page();
    assert!(page.contains("byol") && page.contains("abcde"));
    assert_eq!(page, views(&dataset, &policies(), &options, &mut ()).unwrap().page());
}

#[test]
fn options_that_make_no_sense_are_named() {
    let dataset = glyphs();
    let named = |options: ViewsOptions| match views(&dataset, &policies(), &options, &mut ()) {
        Err(Error::Option { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(named(ViewsOptions { images: 0, ..Default::default() }), "images");
    assert_eq!(named(ViewsOptions { views: 0, ..Default::default() }), "views");
    assert_eq!(named(ViewsOptions { size: Some(0), ..Default::default() }), "size");
    let many = ViewsOptions { images: 1000, views: 2, ..Default::default() };
    let crowded = views(&dataset, &policies(), &many, &mut ());
    assert!(matches!(crowded, Err(Error::CrowdedPage { views: 4000, .. })), "{crowded:?}");
}

#[test]
fn notes_and_lost_classes_are_said_in_the_record_and_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let picture = image_of(5);
    for name in ["cat/0.ppm", "cat/1.ppm", "cat/2.ppm", "dog/0.heic", "cow/0.ppm", "cow/1.ppm"] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &picture).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let dataset = load(path, &LoadOptions::default(), &mut ()).unwrap();
    let options = ViewsOptions { images: 1, views: 1, ..Default::default() };
    let record = views(&dataset, &policies(), &options, &mut ()).unwrap();
    assert_eq!(record.lost[0].name, "dog");
    assert_eq!(record.notes, dataset.notes);
    let json = serde_json::to_string(&record).unwrap();
    for said in ["1 .heic in dog (convert it to PNG or JPEG)", "are for training"] {
        assert!(record.page().contains(said) && json.contains(said), "{said}");
    }
    assert!(record.page().contains("No image of the folder <code>dog</code> is used"));
}

/// A PPM of one grey.
fn image_of(side: usize) -> Vec<u8> {
    [format!("P6 {side} {side} 255\n").as_bytes(), &vec![120; side * side * 3]].concat()
}
