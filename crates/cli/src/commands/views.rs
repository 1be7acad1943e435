//! `selfsame views`.

use std::process::ExitCode;

use rayon::prelude::*;
use selfsame::augment::{
    Adjustment, Blur, Crop, CropBox, Draw, Fill, GaussianBlur, Image, Interpolation, Jitter,
    PadCrop, Policy, PolicyConfig, Probability, Purpose, Rotation, Scratch, Shift, Solarise,
    ViewKey,
};
use selfsame::data::{DataError, Dataset, LoadOptions, MAX_IMAGE_SIZE, Split, load};
use selfsame::eval::{sample, shrink};
use selfsame::report::gallery::{Gallery, Original, PolicyViews, Step, View};
use selfsame::report::{Sprite, SpriteError, render_gallery, write_atomic};
use serde_json::{Value, json};

use super::shown;
use crate::args::Views;
use crate::misuse;
use crate::terminal::{Terminal, unread};

/// Side of a picture on a page, at most: what keeps a page of photographs below 2 MB.
const PICTURE_SIDE: u32 = 96;
/// Views on a page, at most.
const MAX_VIEWS: usize = 2000;

pub fn run(args: &Views) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let policies =
        args.augment.iter().map(|text| selfsame::policy(text)).collect::<Result<Vec<_>, _>>()?;
    check(args)?;
    if args.out.exists() && !args.overwrite {
        let out = args.out.display();
        return Err(misuse(format!(
            "{out} exists already; choose another name with --out, or --overwrite"
        )));
    }
    let dataset = read(args)?;
    let split = &dataset.train;
    if split.len() < args.images {
        terminal.status(&format!(
            "{} has no more than {} training images",
            dataset.name,
            split.len()
        ));
    }
    if let Some(first) = dataset.skipped.first() {
        let count = dataset.skipped.len();
        terminal.status(&format!(
            "left out {count} of {}; the first, {}: {}",
            dataset.name, first.name, first.cause
        ));
    }

    let chosen = sample(split.len(), args.images);
    let sizes = Sizes { image: dataset.image_size, view: args.size.unwrap_or(dataset.image_size) };
    let drawn = policies
        .iter()
        .map(|policy| draw(policy, split, &chosen, args.views, args.seed, sizes.view))
        .collect::<anyhow::Result<Vec<Vec<Drawn>>>>()?;

    let mut gallery = Gallery {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        command: command(args, sizes),
        dataset: dataset.name.clone(),
        seed: args.seed,
        side: sizes.view,
        images: originals(&dataset, &chosen)?,
        policies: Vec::new(),
    };
    for ((name, policy), drawn) in args.augment.iter().zip(&policies).zip(&drawn) {
        let views =
            drawn.iter().map(|drawn| view(drawn, policy, sizes)).collect::<Result<Vec<_>, _>>()?;
        gallery.policies.push(PolicyViews {
            name: name.clone(),
            toml: policy.to_toml(),
            steps: steps(policy.config(), sizes.view),
            views: views.chunks(args.views).map(<[View]>::to_vec).collect(),
        });
    }
    write_atomic(&args.out, render_gallery(&gallery).as_bytes())?;
    terminal.say(&format!("views    {}", args.out.display()));

    let json = |Drawn { key, draw, .. }: &Drawn| json!({ "key": key, "draw": draw });
    let images = |drawn: &[Drawn]| -> Vec<Value> {
        let views =
            drawn.chunks(args.views).map(|views| views.iter().map(json).collect::<Vec<_>>());
        chosen
            .iter()
            .zip(views)
            .map(|(&i, views)| json!({ "name": split.name(i), "views": views }))
            .collect()
    };
    let policies: Vec<Value> = (args.augment.iter().zip(&policies).zip(&drawn))
        .map(|((name, policy), drawn)| json!({ "augment": name, "policy": policy, "images": images(drawn) }))
        .collect();
    terminal.result(&json!({
        "page": shown(&args.out),
        "dataset": dataset.name,
        "image_size": sizes.image,
        "size": sizes.view,
        "policies": policies,
    }));
    Ok(ExitCode::SUCCESS)
}

/// Sides in pixels.
#[derive(Clone, Copy)]
struct Sizes {
    image: u32,
    view: u32,
}

fn check(args: &Views) -> anyhow::Result<()> {
    for (name, number) in [("--images", args.images), ("--views", args.views)] {
        if number == 0 {
            return Err(misuse(format!("{name} 0 leaves nothing to see: at least 1 is needed")));
        }
    }
    let count = args.images.saturating_mul(args.views).saturating_mul(args.augment.len());
    if count > MAX_VIEWS {
        let mend = "lower --images or --views";
        return Err(misuse(format!(
            "{count} views are more than one page shows, {MAX_VIEWS}: {mend}"
        )));
    }
    match args.size {
        Some(size) if !(1..=MAX_IMAGE_SIZE).contains(&size) => {
            Err(misuse(format!("--size {size} is not between 1 and {MAX_IMAGE_SIZE}")))
        }
        _ => Ok(()),
    }
}

/// The images, of a large set only as many as the page may need.
fn read(args: &Views) -> anyhow::Result<Dataset> {
    let load = |limit| {
        let options = LoadOptions {
            image_size: args.image_size,
            seed: args.seed,
            limit,
            ..LoadOptions::default()
        };
        load(&args.data, &options, &|_, _| {})
    };
    // At least half of them are for training.
    let some = match load(Some(args.images.saturating_mul(2))) {
        Ok(few) if few.train.len() < args.images => load(None),
        Err(DataError::AllDamaged { .. } | DataError::NothingToTrain { .. }) => load(None),
        some => some,
    };
    some.map_err(|e| unread(&args.data, &e))
}

/// A view with its name and its parameters, and its picture, of [`picture_side`].
pub struct Drawn {
    key: ViewKey,
    draw: Draw,
    pub picture: Vec<u8>,
}

/// Side of the picture of something of side `size`.
pub fn picture_side(size: u32) -> u32 {
    size.min(PICTURE_SIDE)
}

/// The first `views` views of each of the images in epoch 0 of training, of side `size`, image by image.
pub fn draw(
    policy: &Policy,
    split: &Split,
    images: &[usize],
    views: usize,
    seed: u64,
    size: u32,
) -> anyhow::Result<Vec<Drawn>> {
    let of_image = |&image: &usize| {
        (0..views as u32)
            .map(move |view| ViewKey::new(Purpose::Training { epoch: 0 }, seed, image as u64, view))
    };
    let keys: Vec<ViewKey> = images.iter().flat_map(of_image).collect();
    let buffers = || (Scratch::default(), vec![0; size as usize * size as usize * 3]);
    let drawn = |(scratch, view): &mut (Scratch, Vec<u8>), key: ViewKey| {
        let image = split.image(key.image as usize);
        let draw = policy.draw(key, image.width(), image.height());
        draw.apply(image, size, scratch, view)?;
        Ok(Drawn { key, draw, picture: picture(Image::rgb(size, size, view)?) })
    };
    keys.into_par_iter().map_init(buffers, drawn).collect()
}

/// An image, brought to [`picture_side`].
pub fn picture(image: Image<'_>) -> Vec<u8> {
    shrink(&[image], PICTURE_SIDE).remove(0).into_owned()
}

fn sprite(picture: &[u8], size: u32) -> Result<Sprite, SpriteError> {
    Sprite::lossless(picture_side(size), picture_side(size), &[picture], 1)
}

fn originals(dataset: &Dataset, chosen: &[usize]) -> Result<Vec<Original>, SpriteError> {
    let (split, size) = (&dataset.train, dataset.image_size);
    let original = |&i: &usize| {
        let class = split.labels().map(|labels| dataset.classes[labels[i] as usize].clone());
        let picture = sprite(&picture(split.image(i)), size)?;
        Ok(Original { name: split.name(i).to_owned(), class, picture })
    };
    chosen.iter().map(original).collect()
}

fn view(
    Drawn { draw, picture, .. }: &Drawn,
    policy: &Policy,
    sizes: Sizes,
) -> Result<View, SpriteError> {
    let share = |length: u32| f64::from(length) / f64::from(sizes.image);
    Ok(View {
        picture: sprite(picture, sizes.view)?,
        part: draw.crop.map(|part| [part.left, part.top, part.width, part.height].map(share)),
        changes: changes(draw, policy.config().crop.is_some(), sizes),
    })
}

/// What makes the page again.
fn command(args: &Views, sizes: Sizes) -> Vec<String> {
    let mut words = vec!["selfsame".to_owned(), "views".to_owned(), args.data.clone()];
    for augment in &args.augment {
        words.extend(["--augment".to_owned(), augment.clone()]);
    }
    let numbers = [
        ("--image-size", sizes.image.to_string()),
        ("--size", sizes.view.to_string()),
        ("--images", args.images.to_string()),
        ("--views", args.views.to_string()),
        ("--seed", args.seed.to_string()),
    ];
    words.extend(numbers.into_iter().flat_map(|(name, number)| [name.to_owned(), number]));
    words
}

/// What was done to a view, in order; `cropped` says whether its policy has that step.
fn changes(draw: &Draw, cropped: bool, sizes: Sizes) -> Vec<String> {
    let Draw {
        crop,
        interpolation: _,
        shift,
        rotation,
        flip,
        vertical_flip,
        jitter,
        grey,
        blur,
        solarise,
    } = *draw;
    let mut changes = Vec::new();
    match crop {
        Some(CropBox { width, height, .. }) => {
            let share = f64::from(width) * f64::from(height) / f64::from(sizes.image).powi(2);
            changes.push(format!("crop {}%", digits(100.0 * share, 0)));
        }
        None if cropped => changes.push("whole image".to_owned()),
        None => {}
    }
    if let Some(Shift { right, down, .. }) = shift {
        let way = |by: i32, forth: &str, back: &str| match by {
            0 => None,
            by => Some(format!("{} {}", by.abs(), if by > 0 { forth } else { back })),
        };
        let ways: Vec<String> =
            [way(right, "right", "left"), way(down, "down", "up")].into_iter().flatten().collect();
        changes.push(if ways.is_empty() {
            "shift 0".to_owned()
        } else {
            format!("shift {}", ways.join(", "))
        });
    }
    if let Some(turn) = rotation {
        let way = if turn.degrees < 0.0 { "right" } else { "left" };
        changes.push(format!("turn {}° {way}", digits(turn.degrees.abs(), 1)));
    }
    changes.extend(flip.then(|| "flip".to_owned()));
    changes.extend(vertical_flip.then(|| "vertical flip".to_owned()));
    changes.extend(jitter.iter().flatten().map(|adjustment| match *adjustment {
        Adjustment::Brightness(factor) => format!("brightness ×{}", digits(factor, 2)),
        Adjustment::Contrast(factor) => format!("contrast ×{}", digits(factor, 2)),
        Adjustment::Saturation(factor) => format!("saturation ×{}", digits(factor, 2)),
        Adjustment::Hue(turn) => {
            format!("hue {}{}°", if turn < 0.0 { "−" } else { "+" }, digits(360.0 * turn.abs(), 0))
        }
    }));
    changes.extend(grey.then(|| "grey".to_owned()));
    if let Some(GaussianBlur { sigma, side, .. }) = blur {
        changes.push(format!("blur {} px", plain(sigma * growth(side, sizes.view))));
    }
    changes.extend(solarise.map(|threshold| format!("solarise from {threshold}")));
    if changes.is_empty() {
        changes.push("unchanged".to_owned());
    }
    changes
}

/// The steps of a policy in words, for views of side `size`.
fn steps(config: &PolicyConfig, size: u32) -> Vec<Step> {
    let PolicyConfig {
        crop,
        pad_crop,
        rotation,
        flip,
        vertical_flip,
        jitter,
        grey,
        blur,
        solarise,
    } = *config;
    let step = |name: &str, effect: &str, probability: Probability, range: String| Step {
        name: name.to_owned(),
        effect: effect.to_owned(),
        probability: [0, 1].map(|view| probability.of_view(view)),
        range,
    };
    [
        crop.map(|Crop { probability, scale, ratio, interpolation }| {
            let smoothed = match interpolation {
                Interpolation::Bilinear => "bilinear",
                Interpolation::Bicubic => "bicubic",
            };
            let area = span(scale.map(|share| 100.0 * share));
            let range =
                format!("{area}% of the area; width over height {}; {smoothed}", span(ratio));
            step(
                "crop",
                "Cuts out a part at a random place and brings it to the size of a view",
                probability,
                range,
            )
        }),
        pad_crop.map(|PadCrop { probability, padding, fill }| {
            let margin = match fill {
                Fill::Black => "margin black",
                Fill::Edge => "margin repeats the edge",
                Fill::Reflect => "margin mirrored",
            };
            let range = format!("up to {padding} px each way; {margin}");
            step("padding crop", "Shifts the view", probability, range)
        }),
        rotation.map(|Rotation { probability, degrees, smooth }| {
            let levels = if smooth { "bilinear" } else { "nearest pixel" };
            let range = format!("{}° counter-clockwise; {levels}", span(degrees));
            step("rotation", "Turns the view about its centre", probability, range)
        }),
        flip.map(|flip| step("flip", "Swaps left and right", flip.probability, String::new())),
        vertical_flip.map(|flip| {
            step("vertical flip", "Swaps top and bottom", flip.probability, String::new())
        }),
        jitter.map(|jitter| {
            let effect = "Changes brightness, contrast, saturation and hue, in random order";
            step("colour jitter", effect, jitter.probability, jitter_range(&jitter))
        }),
        grey.map(|grey| step("grey", "Takes all colour away", grey.probability, String::new())),
        blur.map(|Blur { probability, sigma, side, kernel }| {
            let mut range =
                format!("Gaussian, σ {} px", span(sigma.map(|sigma| sigma * growth(side, size))));
            if let Some(side) = side.filter(|side| *side != size) {
                range += &format!(" ({} at side {side})", span(sigma));
            }
            if let Some(kernel) = kernel {
                range += &format!("; kernel of {kernel} px");
            }
            step("blur", "Softens the view", probability, range)
        }),
        solarise.map(|Solarise { probability, threshold }| {
            step(
                "solarise",
                "Inverts light tones",
                probability,
                format!("from level {threshold} of 255"),
            )
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn jitter_range(jitter: &Jitter) -> String {
    let names = ["brightness", "contrast", "saturation"];
    let factors = [jitter.brightness, jitter.contrast, jitter.saturation].map(|amount| {
        let amount = amount * jitter.strength;
        format!("×{} to ×{}", plain((1.0 - amount).max(0.0)), plain(1.0 + amount))
    });
    let mut parts: Vec<String> = Vec::new();
    // Those of equal range are told together.
    for (i, factor) in factors.iter().enumerate() {
        if !factors[..i].contains(factor) {
            let alike: Vec<&str> =
                (i..3).filter(|&k| factors[k] == *factor).map(|k| names[k]).collect();
            parts.push(format!("{} {factor}", alike.join(", ")));
        }
    }
    parts.push(format!("hue by up to {}°", plain(360.0 * jitter.hue * jitter.strength)));
    parts.join("; ")
}

/// How much more a view of side `size` is blurred than one of the side that the blur is meant for.
fn growth(side: Option<u32>, size: u32) -> f64 {
    side.map_or(1.0, |side| f64::from(size) / f64::from(side))
}

fn span([low, high]: [f64; 2]) -> String {
    if low == high { plain(low) } else { format!("{} to {}", plain(low), plain(high)) }
}

/// A number with two decimals at most, but for a small one, as [`digits`] has it.
fn plain(value: f64) -> String {
    let text = digits(value, 2);
    if text.contains('e') {
        text
    } else {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// A number with so many decimals, or with more where fewer than two of its digits would show.
fn digits(value: f64, decimals: usize) -> String {
    let text = match value.abs().log10().floor() {
        _ if value == 0.0 => format!("{value:.decimals$}"),
        power if power < -6.0 => format!("{value:.1e}"),
        power => format!("{value:.0$}", decimals.max((1.0 - power).max(0.0) as usize)),
    };
    text.replace('-', "−")
}
