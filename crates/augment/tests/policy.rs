//! The short form, TOML, and what is refused.

mod common;

use common::policies;
use proptest::prelude::*;
use selfsame_augment::{
    Blur, Crop, Flip, Grey, Interpolation, Jitter, PRESETS, Policy, PolicyConfig, PolicyError,
    Probability, Solarise,
};

fn parse(text: &str) -> Result<Policy, PolicyError> {
    text.parse()
}

fn refusal(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn toml_refusal(text: &str) -> String {
    Policy::from_toml(text).unwrap_err().to_string()
}

#[test]
fn letters_stand_for_the_authors_settings() {
    let expected = PolicyConfig {
        crop: Some(Crop {
            probability: 1.0.into(),
            scale: [0.08, 1.0],
            ratio: [3.0 / 4.0, 4.0 / 3.0],
            interpolation: Interpolation::Bilinear,
        }),
        flip: Some(Flip { probability: 0.5.into() }),
        jitter: Some(Jitter {
            probability: 0.8.into(),
            strength: 0.5,
            brightness: 0.8,
            contrast: 0.8,
            saturation: 0.8,
            hue: 0.2,
        }),
        grey: Some(Grey { probability: 0.2.into() }),
        blur: Some(Blur {
            probability: 0.5.into(),
            sigma: [1.0, 1.0],
            side: Some(32),
            kernel: None,
        }),
        ..PolicyConfig::default()
    };
    assert_eq!(*parse("abcde").unwrap().config(), expected);
    assert_eq!(parse("edcba").unwrap(), parse("abcde").unwrap());
    assert_eq!(*parse("none").unwrap().config(), PolicyConfig::default());
    assert_eq!(
        *parse("ac").unwrap().config(),
        PolicyConfig { crop: expected.crop, grey: expected.grey, ..parse("none").unwrap().into() }
    );
}

/// solo-learn's recipes for CIFAR, number by number (its `scripts/pretrain/cifar/augmentations`),
/// and the authors'.
#[test]
fn presets_have_the_published_numbers() {
    let solo = |least: f64, [brightness, contrast, saturation, hue]: [f64; 4]| PolicyConfig {
        crop: Some(Crop {
            probability: 1.0.into(),
            scale: [least, 1.0],
            ratio: [3.0 / 4.0, 4.0 / 3.0],
            interpolation: Interpolation::Bicubic,
        }),
        flip: Some(Flip { probability: 0.5.into() }),
        jitter: Some(Jitter {
            probability: 0.8.into(),
            strength: 1.0,
            brightness,
            contrast,
            saturation,
            hue,
        }),
        grey: Some(Grey { probability: 0.2.into() }),
        ..PolicyConfig::default()
    };
    let blur = Some(Blur { probability: 0.5.into(), sigma: [0.1, 2.0], side: None, kernel: None });
    let solarise = |probability| Some(Solarise { probability, threshold: 128 });
    let second_view = PolicyConfig {
        solarise: solarise(Probability::of_pair(0.0, 0.2)),
        ..solo(0.08, [0.4, 0.4, 0.2, 0.1])
    };
    let expected = [
        ("simclr", PolicyConfig { blur, ..solo(0.08, [0.8, 0.8, 0.8, 0.2]) }),
        ("mocov2", PolicyConfig { blur, ..solo(0.08, [0.4, 0.4, 0.4, 0.1]) }),
        ("byol", second_view),
        ("barlow_twins", second_view),
        (
            "vicreg",
            PolicyConfig { solarise: solarise(0.1.into()), ..solo(0.2, [0.4, 0.4, 0.2, 0.1]) },
        ),
        ("authors", *parse("abcde").unwrap().config()),
    ];
    assert_eq!(PRESETS.map(|(name, _)| name), expected.map(|(name, _)| name));
    for (name, config) in expected {
        assert_eq!(*parse(name).unwrap().config(), config, "{name}");
    }
    let printed = PRESETS.map(|(name, _)| parse(name).unwrap().to_string());
    assert_eq!(printed, ["simclr", "mocov2", "byol", "byol", "vicreg", "abcde"]);
    for refusal in [refusal(""), refusal("simclr2")] {
        assert!(PRESETS.iter().all(|(name, _)| refusal.contains(name)), "{refusal}");
    }
}

#[test]
fn a_strength_follows_d() {
    for (text, strength, printed) in [
        ("d", 0.5, "d"),
        ("ad0.25", 0.25, "ad0.25"),
        ("abcd0.5e", 0.5, "abcde"),
        ("d1ea", 1.0, "ad1e"),
        ("d.125", 0.125, "d0.125"),
        ("d2.5", 2.5, "d2.5"),
        ("d0", 0.0, "d0"),
    ] {
        let policy = parse(text).unwrap();
        assert_eq!(policy.config().jitter.unwrap().strength, strength, "{text}");
        assert_eq!(policy.to_string(), printed, "{text}");
    }
}

#[test]
fn an_empty_policy_is_refused() {
    assert_eq!(parse("").unwrap_err(), PolicyError::Empty);
}

#[test]
fn an_unknown_letter_is_named_with_its_position() {
    assert_eq!(parse("abxe").unwrap_err(), PolicyError::UnknownLetter { letter: 'x', position: 3 });
    assert_eq!(
        parse("d0.25é").unwrap_err(),
        PolicyError::UnknownLetter { letter: 'é', position: 6 }
    );
    assert_eq!(parse("A").unwrap_err(), PolicyError::UnknownLetter { letter: 'A', position: 1 });
    assert!(refusal("abxe").contains("unknown letter `x` at position 3"));
}

#[test]
fn a_repeated_letter_is_named_with_its_position() {
    assert_eq!(
        parse("abca").unwrap_err(),
        PolicyError::RepeatedLetter { letter: 'a', position: 4 }
    );
    assert_eq!(
        parse("d0.25d").unwrap_err(),
        PolicyError::RepeatedLetter { letter: 'd', position: 6 }
    );
}

#[test]
fn a_number_after_another_letter_is_refused() {
    assert_eq!(parse("ab0.5").unwrap_err(), PolicyError::StrayNumber { position: 3 });
    assert_eq!(parse("0.5d").unwrap_err(), PolicyError::StrayNumber { position: 1 });
    assert_eq!(parse("a0.5e1").unwrap_err(), PolicyError::StrayNumber { position: 6 });
}

#[test]
fn a_number_after_a_is_the_smallest_area() {
    for (text, area, printed) in [
        ("a0.35bcde", 0.35, "a0.35bcde"),
        ("bd0.25a1", 1.0, "a1bd0.25"),
        ("a0.08e", 0.08, "ae"),
        ("a.5", 0.5, "a0.5"),
    ] {
        let policy = parse(text).unwrap();
        assert_eq!(policy.config().crop.unwrap().scale, [area, 1.0], "{text}");
        assert_eq!(policy.to_string(), printed, "{text}");
    }
    for area in ["0", "-0.5", "1.01", "0.1.2", "."] {
        let refused = PolicyError::Area { text: area.to_owned() };
        assert_eq!(parse(&format!("a{area}d")).unwrap_err(), refused);
    }
}

#[test]
fn a_strength_out_of_range_is_refused() {
    let digits = "9".repeat(400);
    for strength in ["-0.5", "-0", "2.51", "1.2.3", ".", "--1", digits.as_str()] {
        let refused = PolicyError::Strength { text: strength.to_owned(), max: 2.5 };
        assert_eq!(parse(&format!("ad{strength}e")).unwrap_err(), refused);
    }
    assert_eq!(parse("dNaN").unwrap_err(), PolicyError::UnknownLetter { letter: 'N', position: 2 });
    assert_eq!(parse("dinf").unwrap_err(), PolicyError::UnknownLetter { letter: 'i', position: 2 });
}

#[test]
fn toml_fills_in_the_authors_settings() {
    assert_eq!(Policy::from_toml("").unwrap(), parse("none").unwrap());
    assert_eq!(Policy::from_toml("[crop]\n[blur]\n").unwrap(), parse("ab").unwrap());
    let integers = Policy::from_toml("[jitter]\nstrength = 1\n").unwrap();
    assert_eq!(integers, parse("d1").unwrap());
}

#[test]
fn a_probability_is_a_number_or_a_pair() {
    let solarise = |probability: &str| {
        Policy::from_toml(&format!("solarise = {{ probability = {probability} }}"))
    };
    let read = |text: &str| solarise(text).unwrap().config().solarise.unwrap().probability;
    assert_eq!(read("[0.0, 0.2]"), Probability::of_pair(0.0, 0.2));
    assert_eq!([0, 1, 2, 3].map(|view| read("[0.0, 0.2]").of_view(view)), [0.0, 0.2, 0.0, 0.2]);
    assert_eq!(read("0.2"), Probability::of_pair(0.2, 0.2));
    assert_eq!(read("1"), 1.0.into());
    assert_eq!(read("[0, 1]"), Probability::of_pair(0.0, 1.0));

    let printed = |text: &str| solarise(text).unwrap().to_string();
    assert_eq!(
        printed("[0.0, 0.25]"),
        "{ solarise = { probability = [0.0, 0.25], threshold = 128 } }"
    );
    assert_eq!(printed("[0.25, 0.25]"), "{ solarise = { probability = 0.25, threshold = 128 } }");

    for wrong in ["[0.1]", "[0.1, 0.2, 0.3]", "'often'", "true", "{}"] {
        let message = solarise(wrong).unwrap_err().to_string();
        assert!(
            message
                .contains("a probability, or two: one for the first and one for the second view"),
            "{message}"
        );
    }
}

#[test]
fn a_blur_without_sigma_is_that_of_the_authors() {
    let read =
        |text: &str| Policy::from_toml(&format!("blur = {text}")).unwrap().config().blur.unwrap();
    let authors = Blur { probability: 0.5.into(), sigma: [1.0, 1.0], side: Some(32), kernel: None };
    assert_eq!(read("{}"), authors);
    assert_eq!(read("{ side = 64 }"), Blur { side: Some(64), ..authors });
    assert_eq!(read("{ kernel = 23 }"), Blur { kernel: Some(23), ..authors });
    // One that is written is in pixels, unless a side is written too.
    assert_eq!(read("{ sigma = [0.1, 2.0] }"), Blur { sigma: [0.1, 2.0], side: None, ..authors });
    assert_eq!(
        read("{ sigma = [0.1, 2.0], side = 224 }"),
        Blur { sigma: [0.1, 2.0], side: Some(224), ..authors }
    );
}

#[test]
fn toml_refuses_unknown_fields_by_name() {
    assert!(toml_refusal("[crop]\nscales = [0.1, 1.0]").contains("unknown field `scales`"));
    assert!(toml_refusal("[invert]\nprobability = 0.1").contains("unknown field `invert`"));
    for step in [
        "crop",
        "pad_crop",
        "rotation",
        "flip",
        "vertical_flip",
        "jitter",
        "grey",
        "blur",
        "solarise",
    ] {
        assert!(
            toml_refusal(&format!("[{step}]\np = 0.1")).contains("unknown field `p`"),
            "{step}"
        );
    }
    assert!(toml_refusal("[crop").contains("cannot read the policy"));
}

/// One line of TOML that is refused, and the field that the refusal names.
#[test]
fn every_parameter_out_of_range_is_refused_by_name() {
    let cases = [
        ("[crop]\nscale = [0.0, 1.0]", "crop.scale = [0, 1]"),
        ("[crop]\nscale = [-0.1, 1.0]", "crop.scale = [-0.1, 1]"),
        ("[crop]\nscale = [0.5, 1.1]", "crop.scale = [0.5, 1.1]"),
        ("[crop]\nscale = [0.6, 0.5]", "crop.scale = [0.6, 0.5]"),
        ("[crop]\nscale = [nan, 1.0]", "crop.scale = [NaN, 1]"),
        ("[crop]\nratio = [0.0, 1.0]", "crop.ratio = [0, 1]"),
        ("[crop]\nratio = [-1.0, 1.0]", "crop.ratio = [-1, 1]"),
        ("[crop]\nratio = [2.0, 1.0]", "crop.ratio = [2, 1]"),
        ("[crop]\nratio = [1.0, inf]", "crop.ratio = [1, inf]"),
        ("[flip]\nprobability = 1.1", "flip.probability = 1.1"),
        ("[flip]\nprobability = -0.1", "flip.probability = -0.1"),
        ("[jitter]\nprobability = nan", "jitter.probability = NaN"),
        ("[grey]\nprobability = inf", "grey.probability = inf"),
        ("[blur]\nprobability = 2", "blur.probability = 2"),
        ("[jitter]\nstrength = -1.0", "jitter.strength = -1"),
        ("[jitter]\nstrength = inf", "jitter.strength = inf"),
        ("[jitter]\nbrightness = -0.1", "jitter.brightness = -0.1"),
        ("[jitter]\nbrightness = 511.0", "jitter.brightness × strength = 255.5"),
        ("[jitter]\ncontrast = nan", "jitter.contrast = NaN"),
        ("[jitter]\nsaturation = -inf", "jitter.saturation = -inf"),
        ("[jitter]\nhue = -0.1", "jitter.hue = -0.1"),
        ("[jitter]\nstrength = 1.0\nhue = 0.6", "jitter.hue × strength = 0.6"),
        ("[blur]\nsigma = [0.0, 1.0]", "blur.sigma = [0, 1]"),
        ("[blur]\nsigma = [-1.0, 1.0]", "blur.sigma = [-1, 1]"),
        ("[blur]\nsigma = [2.0, 1.0]", "blur.sigma = [2, 1]"),
        ("[blur]\nsigma = [1.0, 1025.0]", "blur.sigma = [1, 1025]"),
        ("[blur]\nsigma = [1.0, nan]", "blur.sigma = [1, NaN]"),
        ("[blur]\nside = 0", "blur.side = 0"),
        ("[blur]\nkernel = 0", "blur.kernel = 0"),
        ("[blur]\nkernel = 4", "blur.kernel = 4"),
        ("[blur]\nkernel = 257", "blur.kernel = 257"),
        ("[crop]\nprobability = [0.5, 1.5]", "crop.probability = 1.5"),
        ("[pad_crop]\nprobability = [-0.5, 0.5]", "pad_crop.probability = -0.5"),
        ("[pad_crop]\npadding = 1025", "pad_crop.padding = 1025"),
        ("[rotation]\nprobability = 1.1", "rotation.probability = 1.1"),
        ("[rotation]\ndegrees = [10, -10]", "rotation.degrees = [10, -10]"),
        ("[rotation]\ndegrees = [-361, 0]", "rotation.degrees = [-361, 0]"),
        ("[rotation]\ndegrees = [0, 360.5]", "rotation.degrees = [0, 360.5]"),
        ("[rotation]\ndegrees = [nan, nan]", "rotation.degrees = [NaN, NaN]"),
        ("[vertical_flip]\nprobability = nan", "vertical_flip.probability = NaN"),
        ("[solarise]\nprobability = [0.0, 1.1]", "solarise.probability = 1.1"),
    ];
    for (text, named) in cases {
        let message = toml_refusal(text);
        assert!(message.starts_with(named), "{text}: {message}");
    }
}

/// Values of another type or word, which never come to a check of ranges.
#[test]
fn values_that_are_no_such_thing_are_refused_by_name() {
    let cases = [
        (
            "[crop]\ninterpolation = 'lanczos'",
            "unknown variant `lanczos`, expected `bilinear` or `bicubic`",
        ),
        (
            "[pad_crop]\nfill = 'white'",
            "unknown variant `white`, expected one of `black`, `edge`, `reflect`",
        ),
        ("[pad_crop]\npadding = -1", "padding = -1"),
        ("[rotation]\nsmooth = 1", "smooth = 1"),
        ("[rotation]\ndegrees = 15", "degrees = 15"),
        ("[blur]\nkernel = -3", "kernel = -3"),
        ("[blur]\nside = 0.5", "side = 0.5"),
        ("[solarise]\nthreshold = 256", "threshold = 256"),
    ];
    for (text, named) in cases {
        let message = toml_refusal(text);
        assert!(
            message.starts_with("cannot read the policy: ") && message.contains(named),
            "{text}: {message}"
        );
    }
}

#[test]
fn other_formats_check_the_ranges_too() {
    let refusal = serde_json::from_str::<Policy>(r#"{"flip": {"probability": 2}}"#).unwrap_err();
    assert!(refusal.to_string().contains("flip.probability = 2 is not a probability from 0 to 1"));
}

#[test]
fn what_letters_cannot_say_prints_as_toml_in_one_line() {
    let policy = Policy::from_toml("[grey]\nprobability = 0.5").unwrap();
    assert_eq!(policy.to_string(), "{ grey = { probability = 0.5 } }");
    assert_eq!(parse("{ grey = { probability = 0.5 } }").unwrap(), policy);
    assert!(refusal("{ grey = { probability = 5 } }").contains("grey.probability"));
    assert!(refusal("{ gray = {} }").contains("unknown field `gray`"));
    // Beyond what letters allow, where a smaller hue makes room for it.
    let strong = Policy::from_toml("[jitter]\nstrength = 3.0\nhue = 0.1").unwrap();
    assert_eq!(parse(&strong.to_string()).unwrap(), strong);
    assert!(refusal("{").contains("cannot read the policy"));
}

proptest! {
    #[test]
    fn every_policy_survives_toml_and_printing(policy in policies()) {
        prop_assert_eq!(Policy::from_toml(&policy.to_toml()).unwrap(), policy);
        prop_assert_eq!(policy.to_string().parse::<Policy>().unwrap(), policy);
    }

    #[test]
    fn every_short_form_survives_printing(strength in 0.0..=2.5, letters in prop::sample::subsequence(vec!['a', 'b', 'c', 'e'], 0..=4)) {
        let text = format!("{}d{strength}", letters.into_iter().collect::<String>());
        let policy = parse(&text).unwrap();
        let short = policy.to_string().chars().all(|c| "abcde.0123456789".contains(c));
        prop_assert!(short);
        prop_assert_eq!(parse(&policy.to_string()).unwrap(), policy);
    }

    #[test]
    fn no_text_panics(text in "[a-e0-9.{}=\\-]{0,12}|.{0,12}") {
        if let Ok(policy) = parse(&text) {
            prop_assert_eq!(parse(&policy.to_string()).unwrap(), policy);
        }
    }
}
