//! The short form, TOML, and what is refused.

use proptest::prelude::*;
use selfsame_augment::{Blur, Crop, Flip, Grey, Jitter, Policy, PolicyConfig, PolicyError};

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
        crop: Some(Crop { scale: [0.08, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] }),
        flip: Some(Flip { probability: 0.5 }),
        jitter: Some(Jitter {
            probability: 0.8,
            strength: 0.5,
            brightness: 0.8,
            contrast: 0.8,
            saturation: 0.8,
            hue: 0.2,
        }),
        grey: Some(Grey { probability: 0.2 }),
        blur: Some(Blur { probability: 0.5, sigma: [1.0, 1.0] }),
    };
    assert_eq!(*parse("abcde").unwrap().config(), expected);
    assert_eq!(parse("edcba").unwrap(), parse("abcde").unwrap());
    assert_eq!(*parse("none").unwrap().config(), PolicyConfig::default());
    assert_eq!(
        *parse("ac").unwrap().config(),
        PolicyConfig { crop: expected.crop, grey: expected.grey, ..parse("none").unwrap().into() }
    );
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
    assert_eq!(parse("d0.25é").unwrap_err(), PolicyError::UnknownLetter { letter: 'é', position: 6 });
    assert_eq!(parse("A").unwrap_err(), PolicyError::UnknownLetter { letter: 'A', position: 1 });
    assert!(refusal("abxe").contains("unknown letter `x` at position 3"));
}

#[test]
fn a_repeated_letter_is_named_with_its_position() {
    assert_eq!(parse("abca").unwrap_err(), PolicyError::RepeatedLetter { letter: 'a', position: 4 });
    assert_eq!(parse("d0.25d").unwrap_err(), PolicyError::RepeatedLetter { letter: 'd', position: 6 });
}

#[test]
fn a_strength_without_d_is_refused() {
    assert_eq!(parse("ab0.5").unwrap_err(), PolicyError::StrengthWithoutD { position: 3 });
    assert_eq!(parse("0.5d").unwrap_err(), PolicyError::StrengthWithoutD { position: 1 });
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
fn toml_refuses_unknown_fields_by_name() {
    assert!(toml_refusal("[crop]\nscales = [0.1, 1.0]").contains("unknown field `scales`"));
    assert!(toml_refusal("[solarize]\nprobability = 0.1").contains("unknown field `solarize`"));
    for step in ["flip", "jitter", "grey", "blur"] {
        assert!(toml_refusal(&format!("[{step}]\np = 0.1")).contains("unknown field `p`"), "{step}");
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
        ("[blur]\nsigma = [1.0, 33.0]", "blur.sigma = [1, 33]"),
    ];
    for (text, named) in cases {
        let message = toml_refusal(text);
        assert!(message.starts_with(named), "{text}: {message}");
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

prop_compose! {
    fn ordered(max: f64)(a in 1e-6..=max, b in 1e-6..=max) -> [f64; 2] {
        if a <= b { [a, b] } else { [b, a] }
    }
}

prop_compose! {
    fn jitters()(
        probability in 0.0..=1.0,
        strength in prop_oneof![Just(0.5), 0.0..=2.5],
        [brightness, contrast, saturation] in [0.0..=100.0, 0.0..=100.0, 0.0..=100.0],
        hue in 0.0..=0.2,
    ) -> Jitter {
        Jitter { probability, strength, brightness, contrast, saturation, hue }
    }
}

prop_compose! {
    fn policies()(
        crop in prop::option::of((ordered(1.0), ordered(50.0)).prop_map(|(scale, ratio)| Crop { scale, ratio })),
        flip in prop::option::of((0.0..=1.0).prop_map(|probability| Flip { probability })),
        jitter in prop::option::of(prop_oneof![
            jitters(),
            (0.0..=2.5).prop_map(|strength| Jitter { strength, ..Jitter::default() }),
        ]),
        grey in prop::option::of((0.0..=1.0).prop_map(|probability| Grey { probability })),
        blur in prop::option::of((0.0..=1.0, ordered(32.0)).prop_map(|(probability, sigma)| Blur { probability, sigma })),
    ) -> Policy {
        Policy::try_from(PolicyConfig { crop, flip, jitter, grey, blur }).unwrap()
    }
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
