//! Layouts that look like one thing and are another: each is read right, asked about or said.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use common::{contents, load, load_plainly, png, sizes, tar_of, write};
use selfsame_data::{DataError, Dataset, LoadOptions, NO_LABELS};

/// Images below `names`, each by its name.
fn images(names: &[&str], each: usize) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for (number, name) in names.iter().enumerate() {
        files.extend((0..each).map(|n| (format!("{name}/{n}.png"), png(number * 100 + n, 8))));
    }
    files
}

fn image(name: &str) -> (String, Vec<u8>) {
    (name.to_owned(), png(name.len(), 8))
}

fn text(name: &str, text: &str) -> (String, Vec<u8>) {
    (name.to_owned(), text.as_bytes().to_vec())
}

fn folder_of(files: &[(String, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| write(folder.path(), name, bytes));
    folder
}

/// The set of these files as a folder. As an archive, it is the same set.
fn set_of(files: &[(String, Vec<u8>)]) -> Result<Dataset, DataError> {
    let folder = folder_of(files);
    let set = load(folder.path(), &LoadOptions::default());
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("set.tar");
    fs::write(&archive, tar_of(files)).unwrap();
    let archived = load(&archive, &LoadOptions::default());
    match (&set, &archived) {
        (Ok(set), Ok(archived)) => assert!(contents(set) == contents(archived)),
        (Err(_), Err(_)) => {}
        _ => panic!("{set:?}\n{archived:?}"),
    }
    set
}

fn error_of(files: &[(String, Vec<u8>)]) -> String {
    set_of(files).unwrap_err().to_string()
}

/// A folder of archives, each with the same files.
fn archives(names: &[&str], files: &[(String, Vec<u8>)]) -> tempfile::TempDir {
    let bytes = tar_of(files);
    let files: Vec<_> = names.iter().map(|name| ((*name).to_owned(), bytes.clone())).collect();
    folder_of(&files)
}

fn notes(set: &Dataset) -> String {
    set.notes.join("\n")
}

fn count(set: &Dataset) -> usize {
    sizes(set).iter().sum()
}

/// The class of each image, by its name.
fn classes(set: &Dataset) -> Vec<(String, String)> {
    let mut classes: Vec<_> = contents(set)
        .into_iter()
        .map(|(_, name, class, _)| (name, class.unwrap_or_default()))
        .collect();
    classes.sort();
    classes
}

#[test]
fn labels_beside_images_whose_names_have_dots_are_their_own() {
    let names: Vec<String> = (0..6).map(|n| format!("2021.05.{n}")).collect();
    for ending in ["cls", "json"] {
        let mut files = Vec::new();
        for (n, name) in names.iter().enumerate() {
            files.push((format!("{name}.png"), png(n, 8)));
            let label = n % 3;
            files.push(text(
                &format!("{name}.{ending}"),
                &if ending == "cls" { label.to_string() } else { format!("{{\"label\":{label}}}") },
            ));
        }
        let set = set_of(&files).unwrap();
        let wanted =
            names.iter().zip(0..).map(|(name, n)| (format!("{name}.png"), (n % 3).to_string()));
        assert_eq!(classes(&set), wanted.collect::<Vec<_>>());
    }
}

#[test]
fn labels_beside_images_that_contradict_or_are_missing_are_named() {
    let mut files: Vec<_> = (0..9).map(|n| (format!("{n}.png"), png(n, 8))).collect();
    files.extend((0..4).map(|n| text(&format!("{n}.cls"), ["\u{feff}0", "0\n", "1", "1"][n])));
    let half = set_of(&files).unwrap();
    assert_eq!((half.classes.len(), half.skipped.len()), (2, 5), "{:?}", half.notes);
    assert!(half.skipped.iter().all(|image| image.cause == "no label lies beside it"));

    let mut both = files.clone();
    both.push(text("1.json", "{\"label\": \"cat\"}"));
    assert!(error_of(&both).contains("1.cls gives the label 0, and 1.json gives cat"));
    let lists = (0..4)
        .flat_map(|n| [image(&format!("{n}.png")), text(&format!("{n}.json"), "{\"label\":[1]}")]);
    let lists = set_of(&lists.collect::<Vec<_>>()).unwrap();
    assert!(notes(&lists).contains("4, such as 0.json: its label is a list"), "{:?}", lists.notes);

    // Files that all say the same say less than the folders.
    let mut same = images(&["x", "y"], 4);
    let beside: Vec<_> = same.iter().map(|(name, _)| name.replace("png", "json")).collect();
    same.extend(beside.iter().map(|name| text(name, "{\"class\": \"IMG\"}")));
    let set = set_of(&same).unwrap();
    assert_eq!(set.classes, ["x", "y"]);
    assert!(notes(&set).contains("all give the label IMG"), "{:?}", set.notes);

    let masks: Vec<_> = (0..4)
        .flat_map(|n| {
            let cls = text(&format!("{n}.cls"), &(n % 2).to_string());
            [image(&format!("{n}.image.png")), image(&format!("{n}.mask.png")), cls]
        })
        .collect();
    let set = set_of(&masks).unwrap();
    assert!(notes(&set).contains("such as 0.image.png and 0.mask.png"), "{:?}", set.notes);
}

#[test]
fn splits_further_inside_are_read_or_asked_about() {
    let splits = ["data/train/cat", "data/train/dog", "data/test/cat", "data/test/dog"];
    let mut files = images(&splits, 3);
    files.push(image("preview/0.png"));
    let error = error_of(&files);
    assert!(error.contains("data holds folders that look like splits, test, train"), "{error}");
    assert!(error.contains("preview/0.png lies outside"), "{error}");
    let mut files = images(&splits, 3);
    files.push(image("0.png"));
    assert!(error_of(&files).contains("0.png lies outside of them; load data alone"));
    let deep = images(&["a/b/train/x", "a/b/test/x", "a/c", "d"], 2);
    assert!(error_of(&deep).contains("a/b holds folders that look like splits"));

    // Splits inside classes.
    let set = set_of(&images(&["cat/train", "cat/test", "cat/val", "dog/train", "dog/test"], 4));
    let set = set.unwrap();
    assert_eq!(set.classes, ["cat", "dog"]);
    assert_eq!(sizes(&set), [8, 4, 8]);
    assert!((0..8).all(|n| set.test.name(n).contains("/test/")));
    assert!(notes(&set).contains("cat, dog are the classes, and test, train, val"));
    assert!(!notes(&set).contains("no classes of their own"), "{:?}", set.notes);
    let mut three = images(&["cat/train", "cat/test", "dog/train", "dog/test"], 4);
    three.extend(images(&["cow"], 3));
    assert!(error_of(&three).contains("cow/0.png lies outside"), "{}", error_of(&three));
    let sets = images(&["split1/train/cat", "split1/test/cat", "split2/train/cat"], 3);
    assert!(error_of(&sets).contains("load split1"), "{}", error_of(&sets));
    let masks = images(&["images/train", "images/test", "masks/train", "masks/test"], 3);
    assert!(error_of(&masks).contains("load images"), "{}", error_of(&masks));
}

#[test]
fn folders_inside_classes_and_masks_are_said() {
    for (names, wanted) in [
        (&["animal/cat", "animal/dog", "vehicle/car"][..], "animal holds cat, dog"),
        (&["site1/cat", "site1/dog", "site2/cat"], "site1 holds cat, dog"),
        (&["cat", "cat/test", "dog"], "cat holds test"),
        (&["images", "masks"], "masks counts as a class"),
        (&["train/images", "train/masks", "test/images", "test/masks"], "masks counts as a class"),
    ] {
        let set = set_of(&images(names, 4)).unwrap();
        assert!(notes(&set).contains(wanted), "{names:?}: {:?}", set.notes);
    }
    let plain = set_of(&images(&["cat/images", "dog/images"], 4)).unwrap();
    assert!(!notes(&plain).contains("classes"), "{:?}", plain.notes);
}

#[test]
fn archives_that_are_numbered_are_parts_and_the_names_of_classes_are_classes() {
    let flat: Vec<_> = (0..4).map(|n| image(&format!("{n}.png"))).collect();
    for names in [
        &["data-00000.tar", "data-00002.tar", "data-00005.tar"][..],
        &["shard-0.tar", "shard-2.tar", "shard-10.tar"],
        &["data-00000-of-00002.tar", "data-00001-of-00002.tar"],
        &["data.000.tar", "data.001.tar"],
        &["0.tar", "1.tar", "2.tar"],
    ] {
        let set = load_plainly(archives(names, &flat).path());
        assert_eq!((set.classes.len(), count(&set)), (0, names.len() * 4), "{:?}", set.skipped);
        assert!(notes(&set).contains("only number the parts of one set"), "{:?}", set.notes);
        let set = load_plainly(archives(names, &images(&["cat", "dog"], 2)).path());
        assert_eq!((set.classes.len(), count(&set)), (2, names.len() * 4), "{names:?}");
    }
    for names in [
        &["class1.tar", "class2.tar"][..],
        &["n01440764.tar", "n01443537.tar", "n15075141.tar"],
        &["set.v1.tar", "set.w2.tar"],
    ] {
        let set = load_plainly(archives(names, &flat).path());
        assert_eq!((set.classes.len(), count(&set)), (names.len(), names.len() * 4), "{names:?}");
    }
    let twice = archives(&["set.tar", "set.tgz"], &flat);
    let error = load(twice.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("set.tar and set.tgz would be one folder"), "{error}");
    // Splits inside of parts.
    let inside = images(&["train/cat", "train/dog", "test/cat", "test/dog"], 2);
    let set = load_plainly(archives(&["part-0.tar", "part-3.tar"], &inside).path());
    assert_eq!((set.classes.len(), set.test.len()), (2, 8));
}

#[test]
fn what_lies_beside_archives_is_named() {
    let folder =
        archives(&["a-0.tar"], &(0..4).map(|n| image(&format!("{n}.png"))).collect::<Vec<_>>());
    for name in ["b.tar.xz", "more.zip", "dog/y.avif", "sub/x.heic", "labels.csv", "cat/.h.png"] {
        write(folder.path(), name, b"x");
    }
    write(folder.path(), "deeper/b.tar", tar_of(&[]));
    fs::create_dir(folder.path().join("empty")).unwrap();
    let set = load_plainly(folder.path());
    let said = notes(&set);
    for wanted in [
        ".xz",
        ".zip",
        ".avif in dog",
        ".heic in sub",
        ".tar in deeper",
        "labels.csv may be",
        "empty",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(said.contains("cat/.h.png"), "{said}");
    assert!(!said.contains("2 .tar"), "{said}");
    assert_eq!(set.left_alone.iter().map(|left| left.count).sum::<usize>(), 6);
}

fn with_table(files: &[(String, Vec<u8>)], table: &str) -> Result<Dataset, DataError> {
    let folder = folder_of(files);
    let place = tempfile::tempdir().unwrap();
    let labels = place.path().join("labels.csv");
    fs::write(&labels, table).unwrap();
    load(folder.path(), &LoadOptions { labels: Some(labels), ..LoadOptions::default() })
}

#[test]
fn splits_of_a_table_are_those_of_folders_or_an_error() {
    let flat: Vec<_> = (0..9).map(|n| image(&format!("{n}.png"))).collect();
    let rows = |value: &dyn Fn(usize) -> String| -> String {
        (0..9).map(|n| format!("{n}.png,{},{}\n", ["cat", "dog"][n % 2], value(n))).collect()
    };
    let cycle = |words: [&'static str; 3]| rows(&move |n| words[n % 3].to_owned());
    let set = with_table(&flat, &format!("file,label,split\n{}", cycle(["train", "eval", "test"])));
    let set = set.unwrap();
    assert_eq!(sizes(&set), [3, 3, 3]);
    assert!(notes(&set).contains("eval for validation, test for test, train for training"));
    let usage = cycle(["Training", "PublicTest", "PrivateTest"]);
    let set = with_table(&flat, &format!("file,label,Usage\n{usage}")).unwrap();
    assert_eq!((set.validation.len(), set.test.name(0)), (3, "2.png"));
    let flags = rows(&|n| u8::from(n % 3 > 0).to_string());
    let set = with_table(&flat, &format!("file,label,is_train\n{flags}")).unwrap();
    assert_eq!(set.test.len(), 3);
    let other = with_table(&flat, &format!("file,label,site\n{flags}")).unwrap();
    assert!(notes(&other).contains("other columns are not read: site"));

    let folders = images(&["train", "test"], 4);
    let table = |part: &str| -> String {
        let row = |(name, _): &(String, Vec<u8>)| {
            let own = if name.starts_with("train") { "train" } else { part };
            format!("{name},{},{own}\n", ["cat", "dog"][name.len() % 2])
        };
        format!("file,label,split\n{}", folders.iter().map(row).collect::<String>())
    };
    assert_eq!(with_table(&folders, &table("test")).unwrap().test.len(), 4);
    let error = with_table(&folders, &table("train")).unwrap_err().to_string();
    assert!(error.contains("test/0.png lies in a folder for test"), "{error}");
    assert!(error.contains("labels.csv has it for training"), "{error}");
}

#[test]
fn columns_that_may_mean_something_else_are_asked_about() {
    let flat: Vec<_> = (0..12).map(|n| image(&format!("{n}.png"))).collect();
    let table = |header: &str, row: &dyn Fn(usize) -> String| {
        let rows: String = (0..12).map(|n| row(n) + "\n").collect();
        with_table(&flat, &format!("{header}{rows}"))
    };
    let error =
        |header: &str, row: &dyn Fn(usize) -> String| table(header, row).unwrap_err().to_string();
    let kind = |n: usize| ["cat", "dog"][n / 6];

    // A number of the row is no name of a file.
    let numbered = |n: usize| format!("{n},{}.png,{}", 11 - n, kind(n));
    let set = table("id,name,label\n", &numbered).unwrap();
    assert!(classes(&set).contains(&("11.png".to_owned(), "cat".to_owned())));
    let unsure = error("id,photo,label\n", &numbered);
    assert!(unsure.contains("id and photo may both"), "{unsure}");

    // Coordinates and masks are no labels.
    let place = error("file,x,y,kind\n", &|n| format!("{n}.png,{n},{},{}", n % 3, kind(n)));
    assert!(place.contains("the labels \"label\""), "{place}");
    let set = table("file,x,y,species\n", &|n| format!("{n}.png,{n},{},{}", n % 3, kind(n)));
    assert_eq!(set.unwrap().classes, ["cat", "dog"]);
    let boxes = error("", &|n| format!("{n}.png,{},5,60,70,{}", n % 3 * 10, kind(n)));
    assert!(boxes.contains("the labels \"label\""), "{boxes}");
    assert!(error("", &|n| format!("{n}.png,{n}_mask.png")).contains("the labels"));

    // Splits that several columns give together, and those that are not clear.
    let flags = |n: usize| ["1,0,0", "1,0,0", "0,1,0", "0,0,1"][n % 4];
    let row = |n: usize| format!("{n}.png,{},{}", kind(n), flags(n));
    let set = table("file,label,is_train,is_val,is_test\n", &row).unwrap();
    assert_eq!(sizes(&set), [6, 3, 3]);
    let row = |n: usize| format!("{n}.png,{},{}", kind(n), &flags(n)[2..]);
    assert_eq!(sizes(&table("file,label,is_val,is_test\n", &row).unwrap()), [6, 3, 3]);
    let twice =
        error("file,label,is_train,is_test\n", &|n| format!("{n}.png,{},1,{}", kind(n), n / 6));
    assert!(twice.contains("line 8 has \"1, 1\" in the column is_train, is_test"), "{twice}");
    let held =
        error("file,label,split\n", &|n| format!("{n}.png,{},{}", kind(n), ["val", "test"][n % 2]));
    assert!(held.contains("no row for training"), "{held}");
    let odd = ["train", "train", "test", "extra"];
    let odd = error("file,label,split\n", &|n| format!("{n}.png,{},{}", kind(n), odd[n % 4]));
    assert!(odd.contains("line 5 has \"extra\" in the column split"), "{odd}");
}

#[test]
fn a_row_with_the_whole_name_is_about_no_other_image_of_the_stem() {
    let both: Vec<_> = (0..6)
        .flat_map(|n| ["png", "jpg"].map(|ending| (format!("{n}.{ending}"), png(n, 8))))
        .collect();
    for ending in ["jpg", "png"] {
        let rows: String =
            (0..6).map(|n| format!("{n}.{ending},{}\n", ["cat", "dog"][n % 2])).collect();
        let set = with_table(&both, &format!("file,label\n{rows}")).unwrap();
        assert_eq!((count(&set), set.skipped.len()), (6, 6), "{:?}", set.skipped);
        assert!(classes(&set).iter().all(|(name, _)| name.ends_with(ending)));
    }
}

#[test]
fn classes_that_look_the_same_are_said() {
    for other in ["cat ", "cat\u{200b}", "cat_", "Cat"] {
        let set = set_of(&images(&["cat", other, "dog"], 4)).unwrap();
        assert!(notes(&set).contains("count as different classes"), "{other:?}");
    }
}

#[test]
fn a_row_that_may_be_about_a_picture_that_is_not_read_labels_no_other() {
    let mut files = images(&["train"], 3);
    files.push(text("train/3.heic", "x"));
    files.push(image("test/3.png"));
    let table = "id,label\n0,cat\n1,dog\n2,cat\n3,dog\n";
    let error = with_table(&files, table).unwrap_err().to_string();
    assert!(error.contains("line 5 of labels.csv fits test/3.png and train/3.heic"), "{error}");
    let none = "path,label\n/home/me/x/0.png,cat\n";
    let error = with_table(&images(&["a/y", "b/y"], 2), none).unwrap_err().to_string();
    assert!(error.contains("line 2, is about home/me/x/0.png"), "{error}");
}

#[test]
fn no_labels_are_asked_for() {
    let mut files = images(&["DCIM", "Screenshots", "WhatsApp"], 4);
    files.push(image("0.png"));
    let options = LoadOptions { labels: Some(PathBuf::from(NO_LABELS)), ..LoadOptions::default() };
    let folder = folder_of(&files);
    let set = load(folder.path(), &options).unwrap();
    assert_eq!((set.classes.len(), count(&set), set.skipped.len()), (0, 13, 0));
    assert!(set.train.labels().is_none());
    let parts = folder_of(&images(&["train/x", "train/y", "test/x", "test/y"], 4));
    let set = load(parts.path(), &options).unwrap();
    assert_eq!((set.classes.len(), set.test.len()), (0, 8));
    let glyphs =
        selfsame_data::load("glyphs", &LoadOptions { limit: Some(20), ..options }, &|_, _| {});
    assert!(glyphs.unwrap().classes.is_empty());
}

fn idx(folder: &Path, name: &str, sizes: &[u32], bytes: &[u8]) {
    let header = sizes.iter().flat_map(|size| size.to_be_bytes());
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    file.extend(header.chain(bytes.iter().copied()));
    write(folder, name, file);
}

#[test]
fn what_lies_beside_binary_sets_is_named() {
    let folder = folder_of(&images(&["cat", "dog"], 4));
    for part in ["train", "t10k"] {
        idx(folder.path(), &format!("{part}-images-idx3-ubyte"), &[20, 2, 2], &[7; 80]);
        idx(folder.path(), &format!("{part}-labels-idx1-ubyte"), &[20], &[1; 20]);
    }
    write(folder.path(), "more.npz", b"x");
    let set = load_plainly(folder.path());
    assert_eq!((set.skipped.len(), set.lost.len()), (8, 2), "{:?}", set.lost);
    assert!(notes(&set).contains("1 .npz"), "{:?}", set.notes);
    let table = LoadOptions { labels: Some(folder.path().join("more.npz")), ..Default::default() };
    assert!(load(folder.path(), &table).is_err());

    for file in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
    let error = load(folder.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("only test images"), "{error}");

    let both = tempfile::tempdir().unwrap();
    write(both.path(), "cifar-10-batches-bin/data_batch_1.bin", [0; 3073]);
    write(both.path(), "cifar-100-binary/train.bin", [0; 3074]);
    let error = load(both.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("hold a set each; load one of them"), "{error}");
    let tested = tempfile::tempdir().unwrap();
    write(tested.path(), "test_batch.bin", [0; 3073]);
    let error = load(tested.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("only the test images"), "{error}");
}

#[test]
fn upper_case_emnist_is_read_upright_and_binary_sets_elsewhere_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "test"] {
        let name = format!("EMNIST-digits-{part}");
        idx(
            folder.path(),
            &format!("{name}-images-idx3-ubyte"),
            &[3, 2, 2],
            &[1, 3, 2, 4].repeat(3),
        );
        idx(folder.path(), &format!("{name}-labels-idx1-ubyte"), &[3], &[1, 2, 3]);
    }
    let set = load_plainly(folder.path());
    let grey: Vec<u8> = set.test.image(0).pixels().iter().step_by(3).copied().collect();
    assert_eq!(grey, [1, 2, 3, 4]);

    for (files, wanted) in [
        (
            &["MNIST/raw/train-images-idx3-ubyte", "MNIST/raw/train-labels-idx1-ubyte"][..],
            "MNIST (IDX) in MNIST/raw; give that folder",
        ),
        (
            &["train-images-idx3-ubyte/train-images-idx3-ubyte", "t/train-labels-idx1-ubyte"],
            "put them into one folder",
        ),
        (
            &["c/cifar-10-batches-py/data_batch_1", "c/cifar-10-batches-py/data_batch_2"],
            "Python pickles",
        ),
        (&["c/cifar-10-batches-bin/data_batch_1.bin"], "give that folder"),
        (&[".a.png", "Thumbs.db"], "2 hidden files or files of systems"),
    ] {
        let files: Vec<_> = files.iter().map(|name| text(name, "x")).collect();
        let error = error_of(&files);
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn lost_classes_are_those_within_the_set() {
    let files = [images(&["cat", "cow"], 4), vec![text("dog/0.npy", "x"), text("fox/a.txt", "x")]];
    let set = set_of(&files.concat()).unwrap();
    let lost: Vec<&str> = set.lost.iter().map(|lost| lost.folder.as_str()).collect();
    assert_eq!(lost, ["dog"]);

    // Names that begin with `./`, as `tar -C x .` writes them.
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("set.tar");
    let mut dotted = images(&["./cat", "./cow"], 4);
    dotted.push(text("./dog/0.png", "damaged"));
    fs::write(&path, tar_of(&dotted)).unwrap();
    let set = load_plainly(&path);
    assert_eq!((set.skipped[0].name.as_str(), set.lost[0].folder.as_str()), ("dog/0.png", "dog"));
    let mut cut = tar_of(&dotted[..6]);
    cut.truncate(cut.len() - 1024 - 512);
    fs::write(&path, cut).unwrap();
    assert!(load_plainly(&path).skipped[0].name.starts_with("cow/"));
}

#[test]
fn folders_with_nothing_but_what_keeps_them_are_named() {
    for file in [".gitkeep", ".DS_Store", "Thumbs.db"] {
        let files = [images(&["cat", "fox"], 4), vec![text(&format!("dog/{file}"), "")]].concat();
        let set = set_of(&files).unwrap();
        assert!(notes(&set).contains("make no classes: dog"), "{:?}", set.notes);
    }
}

#[cfg(unix)]
#[test]
fn labels_are_read_from_regular_files_only() {
    let folder = folder_of(&images(&["cat", "dog"], 4));
    std::os::unix::fs::symlink("/dev/null", folder.path().join("cat/0.cls")).unwrap();
    let set = load_plainly(folder.path());
    assert!(notes(&set).contains("cat/0.cls: it is too large or cannot be read"));
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_back_is_named_within_the_set() {
    let folder = folder_of(&images(&["cat", "dog"], 4));
    std::os::unix::fs::symlink(folder.path(), folder.path().join("cat/up")).unwrap();
    let set = load_plainly(folder.path());
    assert_eq!(set.skipped[0].name, "cat/up");
    assert!(set.skipped[0].cause.contains("leads back"), "{:?}", set.skipped);
    assert!(set.lost.is_empty(), "{:?}", set.lost);
}

#[test]
fn archives_with_padding_and_other_bytes_at_their_end_are_read() {
    let place = tempfile::tempdir().unwrap();
    let plain = tar_of(&images(&["cat", "dog"], 4));
    let gzipped = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&plain).unwrap();
        encoder.finish().unwrap()
    };
    let trash = b"GARBAGE!".repeat(200);
    for (bytes, said) in [
        ([&gzipped[..], &[0; 700]].concat(), ""),
        ([&gzipped[..], &trash].concat(), "other bytes after its gzipped part"),
        ([&gzipped[..], &gzipped].concat(), ""),
        ([&plain[..], &trash].concat(), "other bytes after its end mark"),
    ] {
        let path = place.path().join("set.tar");
        fs::write(&path, bytes).unwrap();
        let set = load_plainly(&path);
        assert!(count(&set) == 8 || said.is_empty(), "{:?}", set.skipped);
        assert!(set.skipped.iter().all(|image| image.cause.contains("later file")));
        assert!(notes(&set).contains(said), "{:?}", set.notes);
    }

    // Zeros in the middle are no end.
    let mut holed = tar_of(&images(&["cat", "dog"], 8));
    let entry = holed.len() / 17 / 512 * 512;
    holed[4 * entry..4 * entry + 2048].fill(0);
    holed[4 * entry + 2048..5 * entry + 2048].fill(b'x');
    let path = place.path().join("holed.tar");
    fs::write(&path, holed).unwrap();
    let set = load_plainly(&path);
    assert!(!notes(&set).contains("end mark"), "{:?}", set.notes);
    assert!(!set.skipped.is_empty());

    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in images(&["cat", "dog"], 3) {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name.replace('/', "\\"), &bytes[..]).unwrap();
    }
    builder.append_pax_extensions([("GNU.sparse.name", &b"./dog/9.png"[..])]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    builder.append_data(&mut header, "dog/GNUSparseFile.7/9.png", &b"abc"[..]).unwrap();
    let path = place.path().join("windows.tar");
    fs::write(&path, builder.into_inner().unwrap()).unwrap();
    let set = load_plainly(&path);
    assert_eq!(set.classes, ["cat", "dog"]);
    assert_eq!(set.skipped[0].name, "dog/9.png");
    assert!(set.skipped[0].cause.contains("sparse"), "{:?}", set.skipped);
}

#[test]
fn all_endings_are_named_and_no_class_is_none() {
    let mut files = images(&["cat", "dog"], 4);
    let endings = ["tga", "mpo", "pam", "heic", "avif", "jxl", "apng", "psd", "xyz", "svg"];
    files.extend(endings.iter().map(|ending| text(&format!("cat/0.{ending}"), "x")));
    let set = set_of(&files).unwrap();
    for ending in endings {
        assert!(notes(&set).contains(&format!("1 .{ending}")), "{ending}: {:?}", set.notes);
    }
    let folder = folder_of(&files);
    let none = LoadOptions { classes: Some(Vec::new()), ..LoadOptions::default() };
    let error = load(folder.path(), &none).unwrap_err().to_string();
    assert!(error.contains("it has cat, dog"), "{error}");
}

#[test]
fn a_folder_that_is_called_like_the_built_in_set_is_said() {
    let place = folder_of(&images(&["glyphs/cat", "glyphs/dog"], 2));
    std::env::set_current_dir(place.path()).unwrap();
    let few = LoadOptions { limit: Some(20), ..LoadOptions::default() };
    let set = selfsame_data::load("glyphs", &few, &|_, _| {}).unwrap();
    assert!(notes(&set).contains("read as ./glyphs"), "{:?}", set.notes);
    assert_eq!(selfsame_data::load("./glyphs", &few, &|_, _| {}).unwrap().classes, ["cat", "dog"]);
    // The folder is removed with the test.
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
}
