//! The laws of the drawn parameters, and that they depend on their key alone.

use selfsame_augment::{Adjustment, Draw, Policy, ViewKey};

fn policy(text: &str) -> Policy {
    text.parse().unwrap()
}

fn key(image: u64) -> ViewKey {
    ViewKey { seed: 5, image, epoch: 2, view: 1 }
}

/// A seed must mean the same for ever, on every platform: these were drawn once and written down.
#[test]
fn a_key_means_the_same_for_ever() {
    let drawn: Vec<String> = (0..3).map(|image| policy("abcde").draw(key(image), 40, 30).to_string()).collect();
    assert_eq!(drawn, PINNED);
}

const PINNED: [&str; 3] = [
    "crop 15×17 at (10, 1), flip, brightness ×0.825, hue -0.033, contrast ×1.022, saturation ×1.386",
    "crop 23×19 at (12, 11), flip, hue -0.008, contrast ×0.706, saturation ×1.056, brightness ×1.161, grey, blur 1.000",
    "crop 35×29 at (4, 0), flip, blur 1.000",
];

#[test]
fn every_part_of_the_key_counts() {
    let base = ViewKey { seed: 1, image: 2, epoch: 3, view: 4 };
    let others = [
        ViewKey { seed: 2, ..base },
        ViewKey { image: 3, ..base },
        ViewKey { epoch: 4, ..base },
        ViewKey { view: 5, ..base },
        ViewKey { seed: 1 << 40, ..base },
        ViewKey { image: 2, seed: 3, epoch: 1, view: 4 },
    ];
    let policy = policy("ad");
    let drawn = policy.draw(base, 1000, 1000).crop;
    for other in others {
        assert_ne!(policy.draw(other, 1000, 1000).crop, drawn, "{other:?}");
    }
}

#[test]
fn policies_are_nested() {
    for image in 0..200 {
        let full = policy("abcde").draw(key(image), 40, 30);
        for subset in 0..32_u32 {
            let has = |step: usize| subset >> step & 1 == 1;
            let letters: String =
                "abcde".char_indices().filter(|&(step, _)| has(step)).map(|(_, letter)| letter).collect();
            let smaller = policy(if letters.is_empty() { "none" } else { &letters }).draw(key(image), 40, 30);
            let expected = Draw {
                crop: full.crop.filter(|_| has(0)),
                blur: full.blur.filter(|_| has(1)),
                grey: full.grey && has(2),
                jitter: full.jitter.filter(|_| has(3)),
                flip: full.flip && has(4),
            };
            assert_eq!(smaller, expected, "{letters}");
        }
    }
}

#[test]
fn a_larger_probability_keeps_the_draws_of_a_smaller() {
    let likely = Policy::from_toml("[jitter]\nprobability = 0.9\n[flip]\nprobability = 0.9").unwrap();
    let rare = Policy::from_toml("[jitter]\nprobability = 0.3\n[flip]\nprobability = 0.3").unwrap();
    let draws = |image| (likely.draw(key(image), 8, 8), rare.draw(key(image), 8, 8));
    for (likely, rare) in (0..500).map(draws) {
        assert!(likely.flip || !rare.flip);
        assert!(rare.jitter.is_none() || rare.jitter == likely.jitter);
    }
}

#[test]
fn crops_keep_to_their_area_and_ratio() {
    let policy = Policy::from_toml("[crop]\nscale = [0.2, 0.5]\nratio = [0.5, 2.0]").unwrap();
    for image in 0..5000 {
        let (width, height) = (100, 80);
        let crop = policy.draw(key(image), width, height).crop.unwrap();
        assert!(crop.left + crop.width <= width && crop.top + crop.height <= height);
        // Each side is within half a pixel of the one drawn, so the drawn area and ratio lie between
        // those of the box with half a pixel less and more.
        let [w, h] = [crop.width, crop.height].map(f64::from);
        let full = 100.0 * 80.0;
        assert!((w + 0.5) * (h + 0.5) >= 0.2 * full && (w - 0.5) * (h - 0.5) <= 0.5 * full, "{crop:?}");
        assert!((w + 0.5) / (h - 0.5) >= 0.5 && (w - 0.5) / (h + 0.5) <= 2.0, "{crop:?}");
    }
}

#[test]
fn where_no_box_fits_the_largest_central_one_is_taken() {
    // A ratio of 1 and the whole area fit no image that is not square.
    let policy = Policy::from_toml("[crop]\nscale = [1.0, 1.0]\nratio = [1.0, 1.0]").unwrap();
    for (width, height, expected) in [
        (31, 10, [10, 0, 10, 10]),
        (10, 31, [0, 10, 10, 10]),
        (7, 7, [0, 0, 7, 7]),
        (1, 900, [0, 449, 1, 1]),
        (1, 1, [0, 0, 1, 1]),
    ] {
        let crop = policy.draw(key(0), width, height).crop.unwrap();
        assert_eq!([crop.left, crop.top, crop.width, crop.height], expected);
    }
    let wide = Policy::from_toml("[crop]\nscale = [1.0, 1.0]\nratio = [100.0, 100.0]").unwrap();
    let crop = wide.draw(key(0), 1, 5).crop.unwrap();
    assert_eq!([crop.left, crop.top, crop.width, crop.height], [0, 2, 1, 1]);
}

#[test]
fn extreme_sides_and_ratios_give_a_box_inside() {
    let policies = [
        policy("a"),
        Policy::from_toml("[crop]\nscale = [1e-300, 1e-300]").unwrap(),
        Policy::from_toml("[crop]\nratio = [1e-320, 1e308]").unwrap(),
        Policy::from_toml("[crop]\nratio = [1e308, 1e308]").unwrap(),
        Policy::from_toml("[crop]\nratio = [1e-320, 1e-320]").unwrap(),
    ];
    for policy in policies {
        for (width, height) in [(1, 1), (1, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX), (0, 0)] {
            for image in 0..50 {
                let crop = policy.draw(key(image), width, height).crop.unwrap();
                let (width, height) = (width.max(1), height.max(1));
                assert!(crop.width >= 1 && crop.width <= width && crop.left <= width - crop.width);
                assert!(crop.height >= 1 && crop.height <= height && crop.top <= height - crop.height);
            }
        }
    }
}

const DRAWS: u64 = 20_000;

/// What a true law oversteps with probability at most 10⁻⁹: ln(2 · 10⁹) / 2n = t², by Hoeffding's
/// inequality for a frequency and by Dvoretzky, Kiefer, Wolfowitz and Massart's for a distribution.
fn tolerance() -> f64 {
    (2e9_f64.ln() / (2.0 * DRAWS as f64)).sqrt()
}

fn assert_frequency(count: usize, probability: f64) {
    let frequency = count as f64 / DRAWS as f64;
    assert!((frequency - probability).abs() < tolerance(), "{frequency} instead of {probability}");
}

fn assert_uniform(mut values: Vec<f64>, low: f64, high: f64) {
    assert_eq!(values.len(), DRAWS as usize);
    values.sort_by(f64::total_cmp);
    assert!(values[0] >= low && values[values.len() - 1] <= high);
    for (rank, value) in values.iter().enumerate() {
        let expected = (value - low) / (high - low);
        assert!((rank as f64 / DRAWS as f64 - expected).abs() < tolerance() + 1.0 / DRAWS as f64);
    }
}

fn draws(policy: &Policy, side: u32) -> Vec<Draw> {
    (0..DRAWS).map(|image| policy.draw(key(image), side, side)).collect()
}

#[test]
fn probabilities_are_met() {
    let draws = draws(&policy("abcde"), 32);
    assert_frequency(draws.iter().filter(|draw| draw.flip).count(), 0.5);
    assert_frequency(draws.iter().filter(|draw| draw.jitter.is_some()).count(), 0.8);
    assert_frequency(draws.iter().filter(|draw| draw.grey).count(), 0.2);
    assert_frequency(draws.iter().filter(|draw| draw.blur.is_some()).count(), 0.5);
    assert_frequency(draws.iter().filter(|draw| draw.flip && draw.grey).count(), 0.1);

    let always = Policy::from_toml("[flip]\nprobability = 1.0\n[grey]\nprobability = 0.0").unwrap();
    assert!(self::draws(&always, 32).iter().all(|draw| draw.flip && !draw.grey));
}

#[test]
fn jitter_is_uniform_and_in_every_order() {
    let always = Policy::from_toml("[jitter]\nprobability = 1.0\nstrength = 1.0\nbrightness = 1.5").unwrap();
    let jitters: Vec<[Adjustment; 4]> = draws(&always, 32).into_iter().map(|draw| draw.jitter.unwrap()).collect();
    let [mut brightness, mut contrast, mut saturation, mut hue] = [const { Vec::new() }; 4];
    let mut orders = std::collections::HashMap::new();
    for jitter in jitters {
        for adjustment in jitter {
            match adjustment {
                Adjustment::Brightness(factor) => brightness.push(factor),
                Adjustment::Contrast(factor) => contrast.push(factor),
                Adjustment::Saturation(factor) => saturation.push(factor),
                Adjustment::Hue(turn) => hue.push(turn),
            }
        }
        *orders.entry(jitter.map(|adjustment| std::mem::discriminant(&adjustment))).or_insert(0) += 1;
    }
    assert_uniform(brightness, 0.0, 2.5);
    assert_uniform(contrast, 1.0 - 0.8, 1.8);
    assert_uniform(saturation, 1.0 - 0.8, 1.8);
    assert_uniform(hue, -0.2, 0.2);
    assert_eq!(orders.len(), 24);
    orders.values().for_each(|&count| assert_frequency(count, 1.0 / 24.0));
}

#[test]
fn crops_are_uniform_in_area_and_place_and_log_uniform_in_ratio() {
    // So large that rounding to pixels is far below the tolerance; ranges that always fit.
    let side = 1 << 24;
    let areas = draws(&Policy::from_toml("[crop]\nscale = [0.1, 0.9]\nratio = [1.0, 1.0]").unwrap(), side);
    let share = |crop: &Draw| {
        let crop = crop.crop.unwrap();
        (f64::from(crop.width) / f64::from(side)) * (f64::from(crop.height) / f64::from(side))
    };
    assert_uniform(areas.iter().map(|draw| share(draw).clamp(0.1, 0.9)).collect(), 0.1, 0.9);
    let place = |start: u32, length: u32| f64::from(start) / f64::from(side - length);
    assert_uniform(
        areas.iter().map(|draw| draw.crop.unwrap()).map(|crop| place(crop.left, crop.width)).collect(),
        0.0,
        1.0,
    );
    assert_uniform(
        areas.iter().map(|draw| draw.crop.unwrap()).map(|crop| place(crop.top, crop.height)).collect(),
        0.0,
        1.0,
    );

    let ratios = draws(&Policy::from_toml("[crop]\nscale = [0.1, 0.2]\nratio = [0.25, 4.0]").unwrap(), side);
    let ratio = |draw: &Draw| draw.crop.map(|crop| (f64::from(crop.width) / f64::from(crop.height)).ln()).unwrap();
    let (low, high) = (0.25_f64.ln(), 4.0_f64.ln());
    assert_uniform(ratios.iter().map(|draw| ratio(draw).clamp(low, high)).collect(), low, high);
}

#[test]
fn blur_is_uniform() {
    let policy = Policy::from_toml("[blur]\nprobability = 1.0\nsigma = [0.1, 2.0]").unwrap();
    assert_uniform(draws(&policy, 32).iter().map(|draw| draw.blur.unwrap()).collect(), 0.1, 2.0);
}

#[test]
fn a_draw_prints_and_survives_toml() {
    assert_eq!(Draw::default().to_string(), "unchanged");
    for image in 0..100 {
        let draw = policy("abcde").draw(key(image), 300, 200);
        let text = toml::to_string(&draw).unwrap();
        assert_eq!(toml::from_str::<Draw>(&text).unwrap(), draw);
    }
    assert!(toml::from_str::<Draw>("blurr = 1.0").unwrap_err().to_string().contains("unknown field `blurr`"));
}
