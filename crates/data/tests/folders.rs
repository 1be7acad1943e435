//! Folders and archives: layouts, splits, limits, classes, and what must be left out.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::{contents, jpeg, load, load_plainly, picture, png, sizes, tar_of, webp, write};
use selfsame_data::{DataError, LoadOptions};

fn write_classes(folder: &Path, prefix: &str, per_class: usize) {
    for (number, class) in ["ant", "bee", "cow"].into_iter().enumerate() {
        for image in 0..per_class {
            write(
                folder,
                &format!("{prefix}{class}/{image:03}.png"),
                png(number * 1000 + image, 8),
            );
        }
    }
}

fn files_below(folder: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            files_below(&entry.path(), &format!("{name}/"), files);
        } else {
            files.push((name, fs::read(entry.path()).unwrap()));
        }
    }
}

#[test]
fn class_folders_are_divided_by_class_and_seed() {
    let folder = tempfile::tempdir().unwrap();
    write_classes(folder.path(), "", 50);
    let set = load_plainly(folder.path());
    assert_eq!(set.classes, ["ant", "bee", "cow"]);
    assert_eq!((sizes(&set), set.image_size), ([120, 15, 15], 8));
    for (split, each) in [(&set.train, 40), (&set.validation, 5), (&set.test, 5)] {
        for class in 0..3 {
            assert_eq!(
                split.labels().unwrap().iter().filter(|&&label| label == class).count(),
                each
            );
        }
    }
    let all = contents(&set);
    let names: BTreeSet<&String> = all.iter().map(|(_, name, ..)| name).collect();
    assert_eq!(names.len(), 150);
    for (_, name, class, pixels) in &all {
        let (folder, file) = name.split_once('/').unwrap();
        assert_eq!(class.as_deref(), Some(folder));
        let number = set.classes.iter().position(|class| class == folder).unwrap() * 1000;
        assert_eq!(*pixels, picture(number + file[..3].parse::<usize>().unwrap(), 8));
    }
    let again = load(folder.path(), &LoadOptions { seed: 1, ..LoadOptions::default() }).unwrap();
    assert_eq!(sizes(&again), sizes(&set));
    assert_ne!(contents(&again), all, "another seed, another division");
    assert_eq!(contents(&load_plainly(folder.path())), all);
}

#[test]
fn an_archive_is_the_folder_whatever_the_order_and_wrapping() {
    let folder = tempfile::tempdir().unwrap();
    write_classes(folder.path(), "train/", 20);
    write_classes(folder.path(), "test/", 5);
    let set = load_plainly(folder.path());
    assert_eq!(sizes(&set), [54, 6, 15]);
    let mut files = Vec::new();
    files_below(folder.path(), "", &mut files);
    files.reverse();
    let archive = folder.path().join("set.tar");
    fs::write(&archive, tar_of(&files)).unwrap();
    assert!(contents(&load_plainly(&archive)) == contents(&set));

    let wrapped: Vec<_> =
        files.into_iter().map(|(name, bytes)| (format!("./wrapper/{name}"), bytes)).collect();
    fs::write(&archive, tar_of(&wrapped)).unwrap();
    let unwrapped = load_plainly(&archive);
    assert_eq!((unwrapped.classes, unwrapped.test.len()), (set.classes, 15));
}

#[test]
fn limits_are_even_nested_and_never_move_an_image() {
    let folder = tempfile::tempdir().unwrap();
    write_classes(folder.path(), "", 40);
    let limited = |limit| {
        load(folder.path(), &LoadOptions { limit: Some(limit), ..LoadOptions::default() }).unwrap()
    };
    let whole: BTreeSet<_> = contents(&load_plainly(folder.path())).into_iter().collect();
    let mut smaller = BTreeSet::new();
    for limit in [1, 2, 5, 9, 30, 31, 60, 1000] {
        let set = limited(limit);
        assert_eq!(set.train.len() + set.validation.len(), limit.min(108));
        assert_eq!(set.test.len(), limit.min(12));
        let images: BTreeSet<_> = contents(&set).into_iter().collect();
        assert!(images.is_superset(&smaller) && whole.is_superset(&images), "{limit}");
        smaller = images;
        let mut per_class = [0; 3];
        for split in [&set.train, &set.validation] {
            split.labels().unwrap().iter().for_each(|&label| per_class[label as usize] += 1);
        }
        assert!(
            per_class.iter().max().unwrap() - per_class.iter().min().unwrap() <= 1,
            "{per_class:?}"
        );
    }
    let error =
        load(folder.path(), &LoadOptions { limit: Some(0), ..LoadOptions::default() }).unwrap_err();
    assert!(matches!(error, DataError::NothingToTrain { .. }));
}

#[test]
fn chosen_classes_keep_their_order_and_division() {
    let folder = tempfile::tempdir().unwrap();
    write_classes(folder.path(), "", 20);
    let choose = |names: &[&str]| {
        let classes = Some(names.iter().map(|&name| name.to_owned()).collect());
        load(folder.path(), &LoadOptions { classes, ..LoadOptions::default() })
    };
    let set = choose(&["cow", "ant", "cow"]).unwrap();
    assert_eq!(set.classes, ["ant", "cow"]);
    let kept: Vec<_> = contents(&load_plainly(folder.path()))
        .into_iter()
        .filter(|(_, _, class, _)| class.as_deref() != Some("bee"))
        .collect();
    assert!(contents(&set) == kept);
    let error = choose(&["ant", "dog"]).unwrap_err().to_string();
    assert!(error.contains("\"dog\"") && error.contains("ant, bee, cow"), "{error}");
}

#[test]
fn flat_folders_are_unlabelled_of_any_size_and_format() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..30 {
        let side = 9 + number;
        let (name, bytes) = match number % 3 {
            0 => ("JPEG", jpeg(number, side)),
            1 => ("png", png(number, side)),
            _ => ("WebP", webp(number, side)),
        };
        write(folder.path(), &format!("{number:02}.{name}"), bytes);
    }
    // A name that promises another format than the bytes are.
    write(folder.path(), "mistaken.jpg", png(99, 12));
    for quiet in [".DS_Store", "._00.JPEG", "__MACOSX/x.png"] {
        write(folder.path(), quiet, "no image");
    }
    write(folder.path(), "readme.txt", "no image");
    let set = load_plainly(folder.path());
    assert!(
        set.classes.is_empty() && set.train.labels().is_none() && set.skipped.is_empty(),
        "{:?}",
        set.skipped
    );
    assert_eq!((sizes(&set).iter().sum::<usize>(), set.image_size), (31, 64));
    assert!(set.notes.iter().any(|note| note.contains("images: 1 .txt.")), "{:?}", set.notes);
    let [left] = &set.left_alone[..] else { panic!("{:?}", set.left_alone) };
    assert_eq!(
        (left.ending.as_str(), left.folder.as_str(), left.count, left.example.as_str()),
        ("txt", "", 1, "readme.txt")
    );
    assert_eq!(set.passed_over, 3);
    assert!(set.notes.iter().any(|note| note.contains("64x64")));
    let small = load(folder.path(), &LoadOptions { image_size: Some(7), ..LoadOptions::default() })
        .unwrap();
    assert_eq!(small.train.image(0).pixels().len(), 7 * 7 * 3);

    let classes = LoadOptions { classes: Some(vec!["a".into()]), ..LoadOptions::default() };
    assert!(matches!(load(folder.path(), &classes).unwrap_err(), DataError::NoLabels { .. }));
}

#[test]
fn parts_are_honoured() {
    let folder = tempfile::tempdir().unwrap();
    write_classes(folder.path(), "train/", 20);
    write_classes(folder.path(), "val/", 4);
    let set = load_plainly(folder.path());
    assert_eq!(sizes(&set), [54, 6, 12], "val is test where there is no test");
    assert!((0..12).all(|index| set.test.name(index).starts_with("val/")));
    write_classes(folder.path(), "Test/", 3);
    let set = load_plainly(folder.path());
    assert_eq!(sizes(&set), [60, 12, 9]);
    let limited =
        load(folder.path(), &LoadOptions { limit: Some(36), ..LoadOptions::default() }).unwrap();
    assert_eq!(sizes(&limited), [30, 6, 9]);

    // Images beside the parts and beside the classes are named, not guessed at.
    write(folder.path(), "stray.png", png(0, 8));
    write(folder.path(), "train/stray.png", png(0, 8));
    write(folder.path(), "unlabelled/x.png", png(0, 8));
    let set = load_plainly(folder.path());
    assert_eq!((sizes(&set), set.skipped.len()), ([60, 12, 9], 3));
    let strict = LoadOptions { strict: true, ..LoadOptions::default() };
    assert!(matches!(load(folder.path(), &strict).unwrap_err(), DataError::Damaged { .. }));

    let odd = tempfile::tempdir().unwrap();
    write_classes(odd.path(), "test/", 3);
    assert!(
        load(odd.path(), &LoadOptions::default())
            .unwrap_err()
            .to_string()
            .contains("no folder train")
    );
    write(odd.path(), "train/flat.png", png(0, 8));
    assert!(
        load(odd.path(), &LoadOptions::default())
            .unwrap_err()
            .to_string()
            .contains("have class folders")
    );

    let vehicles = tempfile::tempdir().unwrap();
    for class in ["bus", "train"] {
        write(vehicles.path(), &format!("{class}/0.png"), png(0, 8));
    }
    assert_eq!(load_plainly(vehicles.path()).classes, ["bus", "train"]);
}

#[test]
fn a_class_that_loses_all_its_files_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_classes(folder.path(), "", 6);
    for number in 0..6 {
        write(folder.path(), &format!("dog/{number}.HEIC"), "not read");
        write(folder.path(), &format!("emu/{number}.png"), "damaged");
        write(folder.path(), &format!("notes/{number}.txt"), "not an image");
    }
    write(folder.path(), "ant/video.mp4", "not read");
    let lost = |options: &LoadOptions| {
        let set = load(folder.path(), options).unwrap();
        set.lost.iter().map(|lost| (lost.folder.clone(), lost.cause())).collect::<Vec<_>>()
    };
    let dog = ("dog".to_owned(), "6 .heic (convert them to PNG or JPEG)".to_owned());
    let emu = ("emu".to_owned(), "6 images that were left out".to_owned());
    assert_eq!(lost(&LoadOptions::default()), [dog.clone(), emu]);
    let classes = Some(vec!["ant".to_owned(), "bee".to_owned()]);
    assert_eq!(lost(&LoadOptions { classes, ..LoadOptions::default() }), [dog]);

    // Of a split as well, and in an archive.
    let mut files: Vec<_> =
        (0..8).map(|n| (format!("train/{}/{n}.png", n % 2), png(n, 8))).collect();
    files.extend((0..4).map(|n| (format!("test/{}/{n}.heic", n % 2), Vec::new())));
    let archive = folder.path().join("set.tar");
    fs::write(&archive, tar_of(&files)).unwrap();
    let set = load_plainly(&archive);
    assert_eq!((set.lost.len(), set.lost[0].folder.as_str()), (1, "test"));
    assert!(set.notes.iter().any(|note| note.contains("4 .heic in 2 folders")), "{:?}", set.notes);

    // Nothing else is left.
    for class in ["ant", "bee", "cow", "emu"] {
        fs::remove_dir_all(folder.path().join(class)).unwrap();
    }
    fs::remove_file(&archive).unwrap();
    let error = load(folder.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("6 .heic in dog (convert"), "{error}");
}

#[test]
fn what_is_no_data_set_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| load(path, &LoadOptions::default()).unwrap_err().to_string();
    let missing = folder.path().join("missing");
    assert!(error(&missing).contains("missing") && error(&missing).contains("glyphs"));
    assert!(error(folder.path()).contains("no images"));
    fs::create_dir_all(folder.path().join("empty class")).unwrap();
    write(folder.path(), "notes.txt", "text");
    assert!(error(folder.path()).contains("no images"));
    assert!(error(&folder.path().join("notes.txt")).contains("other than a .tar"));
    for (bytes, wanted) in [
        ("", "no images"),
        ("no archive, but longer than nothing", "tar"),
        (&"x".repeat(2000), "tar"),
    ] {
        write(folder.path(), "bad.tar", bytes);
        assert!(error(&folder.path().join("bad.tar")).contains(wanted));
    }
    write(folder.path(), "a/broken.png", b"\x89PNG\r\n\x1a\n");
    assert!(error(folder.path()).contains("a/broken.png"));

    write_classes(folder.path(), "", 2);
    let set = load_plainly(folder.path());
    assert_eq!((set.classes.len(), set.skipped.len()), (4, 1));
    assert!(set.notes.iter().any(|note| note.contains("empty class")));
    for size in [0, 5000] {
        let options = LoadOptions { image_size: Some(size), ..LoadOptions::default() };
        assert!(matches!(load(folder.path(), &options).unwrap_err(), DataError::ImageSize { .. }));
    }
}

#[test]
fn hostile_archive_entries_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.tar");
    let good: Vec<_> =
        (0..12).map(|number| (format!("{}/{number}.png", number % 2), png(number, 8))).collect();
    let mut files = good.clone();
    for name in ["/absolute/1.png", "../above/1.png", "a/../../b/1.png", "a/.."] {
        files.push((name.to_owned(), png(1, 8)));
    }
    files.push(("0/0.png".to_owned(), png(77, 8)));
    let mut bytes = tar_of(&files);
    bytes.truncate(bytes.len() - 1024);
    let mut builder = tar::Builder::new(bytes);
    for (kind, name) in
        [(tar::EntryType::Symlink, "0/soft.png"), (tar::EntryType::Link, "0/hard.png")]
    {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        builder.append_link(&mut header, name, "/etc/passwd").unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_path("1/latin.png").unwrap();
    header.as_mut_bytes()[3] = 0xe9;
    header.set_size(0);
    header.set_cksum();
    builder.append(&header, &[][..]).unwrap();
    // The last one claims more than the archive holds.
    for size in [1 << 20, 1 << 33, u64::MAX / 2] {
        let mut archive = builder.get_ref().clone();
        let mut header = tar::Header::new_gnu();
        header.set_path("1/huge.png").unwrap();
        header.set_size(size);
        header.set_cksum();
        archive.extend(header.as_bytes());
        archive.extend([0; 1024]);
        fs::write(&path, &archive).unwrap();
        let set = load_plainly(&path);
        assert_eq!(sizes(&set).iter().sum::<usize>(), 12);
        let names: Vec<&str> = set.skipped.iter().map(|skipped| skipped.name.as_str()).collect();
        assert_eq!(names.len(), 9, "{:?}", set.skipped);
        for wanted in [
            "/absolute/1.png",
            "../above/1.png",
            "a/..",
            "0/0.png",
            "0/soft.png",
            "0/hard.png",
            "1/huge.png",
        ] {
            assert!(names.contains(&wanted), "{wanted} in {names:?}");
        }
        // Of two with one name the later counts, as when unpacking.
        let all = contents(&set);
        assert_eq!(all.iter().find(|(_, name, ..)| name == "0/0.png").unwrap().3, picture(77, 8));
    }
}

#[test]
fn archives_cut_or_damaged_anywhere_never_panic_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.tar");
    let files: Vec<_> =
        (0..6).map(|number| (format!("{}/{number}.png", number % 2), png(number, 6))).collect();
    let bytes = tar_of(&files);
    for length in (0..bytes.len() - 1024).step_by(64) {
        fs::write(&path, &bytes[..length]).unwrap();
        match load(&path, &LoadOptions::default()) {
            Ok(set) => {
                let said = !set.skipped.is_empty()
                    || set.notes.iter().any(|note| note.contains("cut short"));
                assert!(said, "cut to {length} of {} without a word", bytes.len());
            }
            Err(error) => assert!(error.to_string().contains("cut.tar")),
        }
    }
    for at in (0..512).chain(1024..1536) {
        for value in [0x00, 0x37, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            fs::write(&path, &damaged).unwrap();
            if let Ok(set) = load(&path, &LoadOptions::default()) {
                assert!(sizes(&set).iter().sum::<usize>() <= 6);
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    write_classes(folder.path(), "set/", 3);
    let root = folder.path().join("set");
    symlink(root.join("ant/000.png"), root.join("bee/linked.png")).unwrap();
    symlink("nowhere", root.join("bee/broken.png")).unwrap();
    symlink(&root, root.join("cow/back")).unwrap();
    let odd = root.join("cow").join(std::ffi::OsStr::from_bytes(b"\xe9.png"));
    let named_oddly = fs::write(odd, png(0, 8)).is_ok();
    let set = load_plainly(&root);
    assert_eq!(sizes(&set).iter().sum::<usize>(), 10);
    assert_eq!(set.skipped.len(), 2 + usize::from(named_oddly), "{:?}", set.skipped);
}

#[test]
fn cifar_10_as_jpegs_loads_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cifar10-jpeg.tar");
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return;
    }
    let set = load(&path, &LoadOptions { strict: true, ..LoadOptions::default() }).unwrap();
    assert_eq!((sizes(&set), set.classes.len(), set.image_size), ([45_000, 5_000, 10_000], 10, 32));
    assert!(set.skipped.is_empty());
    let mut counts = [0; 10];
    set.validation.labels().unwrap().iter().for_each(|&label| counts[label as usize] += 1);
    assert_eq!(counts, [500; 10]);
}
