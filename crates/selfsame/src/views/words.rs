//! Describes draws and policies in words.

use selfsame_augment::{
    Adjustment, Blur, Crop, CropBox, Draw, Fill, GaussianBlur, Image, Interpolation, Jitter,
    PadCrop, PolicyConfig, Probability, Rotation, Shift, Solarise,
};
use selfsame_report::gallery::Step;

/// Describes what was done to a view of side `size`, in order, in a few words per change. `cropped`
/// says whether its policy crops, and `source` is what it crops.
pub fn changes(draw: &Draw, cropped: bool, source: Image<'_>, size: u32) -> Vec<String> {
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
            let area = |width: u32, height: u32| f64::from(width) * f64::from(height);
            let share = area(width, height) / area(source.width(), source.height());
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
        changes.push(format!("blur {} px", plain(sigma * growth(side, size))));
    }
    changes.extend(solarise.map(|threshold| format!("solarise from {threshold}")));
    if changes.is_empty() {
        changes.push("unchanged".to_owned());
    }
    changes
}

/// Describes what a policy does, step by step, for views of side `size`.
pub fn steps(config: &PolicyConfig, size: u32) -> Vec<Step> {
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
    // Adjustments with the same range share a clause.
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

/// Returns how much wider a blur is on a view of side `size` than on a view of side `side`, the
/// side for which the blur is given.
fn growth(side: Option<u32>, size: u32) -> f64 {
    side.map_or(1.0, |side| f64::from(size) / f64::from(side))
}

fn span([low, high]: [f64; 2]) -> String {
    if low == high { plain(low) } else { format!("{} to {}", plain(low), plain(high)) }
}

/// Formats a number with at most two decimals, or more if it is small; see [`digits`].
fn plain(value: f64) -> String {
    let text = digits(value, 2);
    if text.contains('e') {
        text
    } else {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Formats a number with `decimals` decimals, or with enough decimals to show two of its digits.
fn digits(value: f64, decimals: usize) -> String {
    let text = match value.abs().log10().floor() {
        _ if value == 0.0 => format!("{value:.decimals$}"),
        power if power < -6.0 => format!("{value:.1e}"),
        power => format!("{value:.0$}", decimals.max((1.0 - power).max(0.0) as usize)),
    };
    text.replace('-', "−")
}
