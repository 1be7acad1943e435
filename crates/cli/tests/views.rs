//! The gallery of views: what it shows is what it says was drawn, every time.

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use common::{run, said, small};
use selfsame::augment::{Adjustment, Draw, Image, PRESETS, Policy, Purpose, Scratch, ViewKey};
use selfsame::data::{LoadOptions, load};
use selfsame::report::Sprite;
use selfsame::report::record::ViewSheet;
use serde_json::{Value, from_value, json};

/// Side of the images.
const SIDE: u32 = 20;

fn write_glyph(path: &Path, index: u64) {
    let mut encoder = png::Encoder::new(File::create(path).unwrap(), SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgb);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&selfsame::data::glyph_pixels(1, index, SIDE))
        .unwrap();
}

/// A flat folder of glyphs as PNG files.
fn images(folder: &Path, count: u64) -> PathBuf {
    let folder = folder.join("photos");
    fs::create_dir(&folder).unwrap();
    (0..count).for_each(|index| write_glyph(&folder.join(format!("{index:02}.png")), index));
    folder
}

/// `HERE` in `more` stands for the folder of `out`.
fn args(data: &Path, out: &Path, more: &str) -> Vec<String> {
    let here = out.parent().unwrap().display().to_string();
    let mut args = vec![
        "views".to_owned(),
        data.display().to_string(),
        "--out".to_owned(),
        out.display().to_string(),
    ];
    args.extend(more.split_whitespace().map(|word| word.replace("HERE", &here)));
    args
}

/// What it prints with `--json`.
fn views(data: &Path, out: &Path, more: &str) -> Value {
    let output = run(args(data, out, &format!("--json {more}")));
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.lines().count(), 1, "with --json standard output holds one line: {text}");
    serde_json::from_str(&text).unwrap()
}

/// Width and pixels of a PNG.
fn pixels(png: &[u8]) -> (u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, pixels)
}

/// The views on a page, in its order.
fn shown(page: &Path) -> Vec<(u32, Vec<u8>)> {
    let page = fs::read_to_string(page).unwrap();
    let picture = |rest: &str| {
        // A sprite in JSON is base64, as on the page.
        let text = &rest[..rest.find('"').unwrap()];
        let sprite = json!({ "columns": 1, "tiles": 1, "width": 1, "height": 1, "picture": text });
        pixels(&from_value::<Sprite>(sprite).unwrap().picture)
    };
    page.split("<img src=\"data:image/png;base64,").skip(1).map(picture).collect()
}

#[test]
fn the_draws_replay_to_the_pixels_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (images(folder.path(), 30), folder.path().join("page.html"));
    fs::write(
        folder.path().join("mine.toml"),
        "rotation = { probability = 1.0 }\nsolarise = { probability = [0.0, 1.0] }",
    )
    .unwrap();
    let policies = "--augment abcde --augment byol --augment HERE/mine.toml";
    let result = views(&data, &out, &format!("{policies} --images 3 --views 4 --size 24 --seed 9"));

    let shown = shown(&out);
    assert_eq!(shown.len(), 3 * 3 * 4);
    let mut shown = shown.into_iter();
    let mut scratch = Scratch::default();
    for image in 0..3 {
        for policy in result["policies"].as_array().unwrap() {
            let rules: Policy = from_value(policy["policy"].clone()).unwrap();
            let image = &policy["images"][image];
            let (_, pixels) =
                pixels(&fs::read(data.join(image["name"].as_str().unwrap())).unwrap());
            let source = Image::rgb(SIDE, SIDE, &pixels).unwrap();
            for (number, view) in image["views"].as_array().unwrap().iter().enumerate() {
                let key: ViewKey = from_value(view["key"].clone()).unwrap();
                let draw: Draw = from_value(view["draw"].clone()).unwrap();
                assert_eq!((key.seed, key.epoch, key.view as usize), (9, 0, number));
                assert_eq!(rules.draw(key, SIDE, SIDE), draw);
                let mut replayed = vec![0; 24 * 24 * 3];
                draw.apply(source, 24, &mut scratch, &mut replayed).unwrap();
                assert!(shown.next().unwrap() == (24, replayed), "{} {key:?}", policy["augment"]);
            }
        }
    }
}

#[test]
fn the_sheet_of_a_run_holds_the_first_views_of_its_training() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = run(small("pretrain", &out));
    assert!(output.status.success(), "{}", said(&output));
    let ViewSheet { names, sheet } =
        serde_json::from_slice(&fs::read(out.join("views.json")).unwrap()).unwrap();
    assert_eq!((names.len(), sheet.columns, sheet.tiles, sheet.width), (8, 7, 56, 16));
    let (width, shown) = pixels(&sheet.picture);
    let tile = |row: usize, column: usize| -> Vec<u8> {
        let line = |y: usize| (((row * 16 + y) * width as usize) + column * 16) * 3;
        (0..16).flat_map(|y| &shown[line(y)..line(y) + 16 * 3]).copied().collect()
    };

    let options = LoadOptions { limit: Some(60), image_size: Some(16), ..LoadOptions::default() };
    let split = load("glyphs", &options, &|_, _| {}).unwrap().train;
    let policy = selfsame::usual_policy("glyphs");
    for (row, name) in names.iter().enumerate() {
        let image = (0..split.len()).find(|&i| split.name(i) == name).unwrap();
        assert_eq!(tile(row, 0), split.image(image).pixels());
        let source = split.image(image);
        for view in 0..6 {
            let key = ViewKey::new(Purpose::Training { epoch: 0 }, 0, image as u64, view);
            let mut pixels = vec![0; 16 * 16 * 3];
            policy.view(key, source, 16, &mut Scratch::default(), &mut pixels).unwrap();
            assert!(tile(row, 1 + view as usize) == pixels, "{name} {key:?}");
        }
    }
}

#[test]
fn the_same_command_makes_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let [first, again, other] = ["a.html", "b.html", "c.html"].map(|name| folder.path().join(name));
    let glyphs = Path::new("glyphs");
    views(glyphs, &first, "");
    views(glyphs, &again, "--threads 1 --overwrite");
    views(glyphs, &other, "--seed 1");
    let [first, again, other] = [first, again, other].map(|path| fs::read_to_string(path).unwrap());
    assert!(first == again, "neither threads nor the file's name count");
    assert!(first != other);
    assert!(first.len() < 1 << 20, "{} bytes", first.len());
    let command = "selfsame views glyphs --augment abcde --image-size 32 --size 32 --images 8 \
                   --views 6 --seed 0";
    assert!(first.contains(command), "the page says how it was made");
}

#[test]
fn there_is_as_much_as_the_set_has_and_damaged_images_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (images(folder.path(), 20), folder.path().join("page.html"));
    fs::write(data.join("07.png"), b"\x89PNG\r\n\x1a\n and no more").unwrap();
    let output = run(args(&data, &out, "--images 1000 --views 2"));
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("07.png"), "{}", said(&output));
    // Of 20 unlabelled images the 2nd and the 12th are for test, and of the others the 2nd and the
    // 11th for validation.
    let all = shown(&out).len();
    assert!(
        said(&output).contains(&format!("no more than {} training images", all / 2)),
        "{}",
        said(&output)
    );
    assert!((15..=16).contains(&(all / 2)), "{all}");

    // Where most images are for validation, half of twice as many as are asked for would be too
    // few.
    let parts = folder.path().join("parts");
    for (part, count) in [("train", 10), ("val", 40)] {
        fs::create_dir_all(parts.join(part)).unwrap();
        (0..count).for_each(|index| {
            write_glyph(&parts.join(part).join(format!("{index:02}.png")), index)
        });
    }
    let result = views(&parts, &folder.path().join("parts.html"), "--images 8 --views 1");
    assert_eq!(result["policies"][0]["images"].as_array().unwrap().len(), 8);
}

#[test]
fn small_numbers_are_not_shown_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("page.html");
    let rules = "rotation={probability=1,degrees=[-0.004,-0.004]},blur={probability=1,sigma=[0.0012,0.0012]},\
        jitter={probability=1,brightness=0,contrast=0,saturation=0,hue=0.002}";
    let result =
        views(Path::new("glyphs"), &out, &format!("--images 1 --views 1 --augment {{{rules}}}"));
    let page = fs::read_to_string(&out).unwrap();
    let draw: Draw =
        from_value(result["policies"][0]["images"][0]["views"][0]["draw"].clone()).unwrap();
    let turned = draw.jitter.unwrap().into_iter().find_map(|adjustment| match adjustment {
        Adjustment::Hue(turn) => Some(360.0 * turn),
        _ => None,
    });
    // Two digits of what was drawn: at most half a unit of the second of them is lost.
    let shown = page
        .split("hue ")
        .find_map(|rest| rest.split_once('°')?.0.replace('−', "-").parse::<f64>().ok())
        .unwrap();
    assert!(
        (shown - turned.unwrap()).abs() <= 0.05 * turned.unwrap().abs(),
        "{shown} for {turned:?}"
    );
    for caption in
        ["turn 0.0040° right", "−0.004° counter-clockwise", "blur 0.0012 px", "brightness ×1.00"]
    {
        assert!(page.contains(caption), "{caption}");
    }
}

#[test]
fn large_views_are_shown_small() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("page.html");
    let result = views(
        Path::new("glyphs"),
        &out,
        "--image-size 120 --size 300 --images 2 --views 1 --augment none",
    );
    assert_eq!((result["image_size"].as_u64(), result["size"].as_u64()), (Some(120), Some(300)));
    assert!(shown(&out).iter().all(|(width, _)| *width == 96));
}

#[test]
fn misuse_is_exit_code_2_and_one_line_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (images(folder.path(), 4), folder.path().join("page.html"));
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(folder.path().join("bad.toml"), "[crop]\nscale = [0.5, 0.2]").unwrap();
    for (data, more, names) in [
        (data.as_path(), "--images 0", "--images 0"),
        (&data, "--views 0", "--views 0"),
        (&data, "--size 0", "--size 0: not between 1 and 4096"),
        (&data, "--size 4097", "4097"),
        (&data, "--image-size 0", "image size 0"),
        (&data, "--views 18446744073709551615", "lower --images or --views"),
        (
            Path::new("/nowhere/at/all"),
            "--images 2001 --views 1",
            "2001 views are more than one page shows, 2000",
        ),
        (&data, "--augment abq", "unknown letter `q` at position 3"),
        (&data, "--augment simclrr", "simclr, mocov2, byol"),
        (&data, "--augment mine.tml", ".toml"),
        (&data, "--augment nowhere.toml", "nowhere.toml"),
        (&data, "--augment {jitter={hue=0.9,strength=1}}", "jitter.hue"),
        (&data, "--augment {colour={}}", "colour"),
        (&data, "--augment HERE/bad.toml", "crop.scale"),
        (&empty, "", "empty"),
        (Path::new("/nowhere/at/all"), "", "/nowhere/at/all"),
    ] {
        let output = run(args(data, &out, more));
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{more}: {text}");
        assert!(text.contains(names) && !text.contains("panicked"), "{more}: {text}");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.lines().last().unwrap().starts_with("error: "), "{errors}");
    }
    assert!(!out.exists());

    fs::write(&out, "mine").unwrap();
    let output = run(args(&data, &out, ""));
    assert!(
        output.status.code() == Some(2) && said(&output).contains("--overwrite"),
        "{}",
        said(&output)
    );
    assert_eq!(fs::read_to_string(&out).unwrap(), "mine");
    assert!(run(args(&data, &out, "--overwrite")).status.success());
    // Folders are made, but not where a file is.
    let new = folder.path().join("new/folder/views.html");
    assert!(run(args(&data, &new, "")).status.success() && new.is_file());
    let output = run(args(&data, &out.join("views.html"), ""));
    assert!(
        output.status.code() == Some(2) && said(&output).contains("is a file"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_help_names_every_published_policy() {
    for verb in ["study", "pretrain", "views"] {
        let help = said(&run([verb, "--help"])).split_whitespace().collect::<Vec<_>>().join(" ");
        for (name, _) in PRESETS {
            assert!(help.contains(name), "{verb}: {name}");
        }
    }
}
