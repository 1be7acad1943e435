//! Forecasts as calls of the library.

use burn::tensor::Device;
use selfsame::augment::Policy;
use selfsame::data::{Dataset, LoadOptions};
use selfsame::forecast::Encoder;
use selfsame::nn::layers::Init;
use selfsame::nn::{EncoderConfig, MlpConfig};
use selfsame::report::forecast::{Advice, FORECAST_FILE, Forecast, Score};
use selfsame::report::record::PAGE_FILE;
use selfsame::theory::Trust;
use selfsame::{Error, ForecastOptions, Progress, forecast, load};

fn glyphs(classes: &[&str]) -> Dataset {
    let options = LoadOptions {
        limit: Some(40 * classes.len()),
        image_size: Some(12),
        classes: Some(classes.iter().map(|name| (*name).to_owned()).collect()),
        ..LoadOptions::default()
    };
    load("glyphs", &options, &mut ()).unwrap()
}

fn policies(names: &[&str]) -> Vec<(String, Policy)> {
    names.iter().map(|name| ((*name).to_owned(), name.parse().unwrap())).collect()
}

fn small() -> ForecastOptions {
    ForecastOptions { per_class: 12, views: 3, ..ForecastOptions::default() }
}

/// Asks to stop once it has been told of so many steps.
struct StopAfter(usize);

impl Progress for StopAfter {
    fn advance(&mut self, _: &str, _: u64, _: u64, _: &str) {
        self.0 = self.0.saturating_sub(1);
    }

    fn stop(&self) -> bool {
        self.0 == 0
    }
}

#[test]
fn a_forecast_in_memory_is_that_of_a_folder_which_was_stopped() {
    let dataset = glyphs(&["disc", "square", "triangle"]);
    let policies = policies(&["a", "e"]);
    let in_memory = forecast(&dataset, &policies, &small(), &mut ()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("forecast");
    let options = ForecastOptions { out: Some(out.clone()), ..small() };
    let mut stops = 0;
    for steps in [1, 3, 6] {
        match forecast(&dataset, &policies, &options, &mut StopAfter(steps)) {
            Err(Error::Stopped) => stops += 1,
            other => assert!(other.is_ok(), "{other:?}"),
        }
    }
    assert!(stops > 0, "it was never stopped");
    let of_folder = forecast(&dataset, &policies, &options, &mut ()).unwrap();
    assert_eq!(of_folder, in_memory);

    let json = std::fs::read(out.join(FORECAST_FILE)).unwrap();
    assert_eq!(serde_json::from_slice::<Forecast>(&json).unwrap(), in_memory);
    assert!(out.join(PAGE_FILE).is_file());

    // Another forecast is not written over it.
    let other = ForecastOptions { views: 4, ..options };
    match forecast(&dataset, &policies, &other, &mut ()) {
        Err(Error::OtherForecast { differences, .. }) => {
            assert_eq!(differences[0].to_string(), "views was 3, is 4");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn overwriting_deletes_another_forecast_once_and_nothing_of_others() {
    let dataset = glyphs(&["disc", "square"]);
    let policies = policies(&["a", "e"]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("forecast");
    let options = ForecastOptions { out: Some(out.clone()), overwrite: true, ..small() };
    forecast(&dataset, &policies, &options, &mut ()).unwrap();
    let own = out.join("notes.npy");
    std::fs::write(&own, "mine").unwrap();

    let other = ForecastOptions { views: 4, ..options.clone() };
    let mut stop = StopAfter(2);
    assert!(matches!(forecast(&dataset, &policies, &other, &mut stop), Err(Error::Stopped)));
    assert!(!out.join(FORECAST_FILE).exists() && own.exists());

    /// Whether it was said that work is there already.
    #[derive(Default)]
    struct GoesOn(bool);

    impl Progress for GoesOn {
        fn note(&mut self, note: &str) {
            self.0 |= note.starts_with("going on");
        }
    }

    let mut goes_on = GoesOn::default();
    let again = forecast(&dataset, &policies, &other, &mut goes_on).unwrap();
    assert!(goes_on.0, "the same call does not go on");
    assert_eq!(again.views, 4);
    assert!(own.exists() && out.join("distances-01-e.npy").exists());
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let dataset = glyphs(&["disc", "square"]);
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("settings.json", "{\"tabSize\": 4}"), ("report.html", "<p>")] {
        let out = folder.path().join(name).with_extension("");
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join(name), text).unwrap();
        let options = ForecastOptions { out: Some(out.clone()), overwrite: true, ..small() };
        match forecast(&dataset, &policies(&["a"]), &options, &mut ()) {
            Err(Error::NotOurs { entry, .. }) => assert_eq!(entry, name),
            other => panic!("{other:?}"),
        }
        assert_eq!(out.read_dir().unwrap().count(), 1);
    }
}

#[test]
fn numbers_say_what_they_are_worth() {
    let dataset = glyphs(&["disc", "square"]);
    let found = forecast(&dataset, &policies(&["a", "abcde"]), &small(), &mut ()).unwrap();
    assert_eq!(found.order, Score::GatheredAndSeparated);
    for policy in found.policies.iter().chain(&found.baseline) {
        let numbers = policy.sigma.iter().chain([&policy.score, &policy.gathered]);
        for number in numbers {
            assert_eq!(number.quantity.trust, Trust::Exact, "{}", policy.name);
            let [low, high] = number.interval.unwrap();
            assert!(low <= number.value() && number.value() <= high, "{}", policy.name);
        }
        let separation = policy.separation.as_ref().unwrap().value();
        let score = policy.gathered.value() * (2.0 * separation - 1.0);
        assert!((policy.score.value() - score).abs() < 1e-12, "{}", policy.name);
    }
    assert!(found.policies[0].score.value() >= found.policies[1].score.value());
}

#[test]
fn a_single_class_and_few_images_recommend_nothing() {
    let one = forecast(&glyphs(&["disc"]), &policies(&["a", "e"]), &small(), &mut ()).unwrap();
    assert!(matches!(one.advice, Some(Advice::SingleClass { .. })), "{:?}", one.advice);
    assert_eq!((one.order, one.recommended.len()), (Score::Gathered, 0));

    let few = ForecastOptions { per_class: 4, ..small() };
    let dataset = glyphs(&["disc", "square"]);
    let few = forecast(&dataset, &policies(&["a", "e"]), &few, &mut ()).unwrap();
    assert_eq!(few.advice, Some(Advice::TooFewImages { needed: 10 }));
    assert!(few.recommended.is_empty() && few.policies[0].score.interval.is_none());
}

#[test]
fn options_that_make_no_sense_are_named() {
    let dataset = glyphs(&["disc", "square"]);
    let named = |policies: &[(String, Policy)], options: ForecastOptions| match forecast(
        &dataset,
        policies,
        &options,
        &mut (),
    ) {
        Err(error @ Error::Option { name, .. }) if error.is_misuse() => name,
        other => panic!("{other:?}"),
    };
    let one = policies(&["a"]);
    assert_eq!(named(&one, ForecastOptions { per_class: 1, ..small() }), "per_class");
    assert_eq!(named(&one, ForecastOptions { views: 0, ..small() }), "views");
    assert_eq!(named(&one, ForecastOptions { views: 70_000, ..small() }), "views");
    assert_eq!(named(&one, ForecastOptions { clusters: Some(3), ..small() }), "clusters");
    assert_eq!(named(&[], small()), "policies");
    let encoder = Encoder {
        name: "one".to_owned(),
        network: EncoderConfig::from(MlpConfig { width: 2, image_size: 12 })
            .init(&mut Init::new(0, &Device::flex())),
        image_size: 12,
        source_size: 12,
        device: Device::flex(),
        digest: String::new(),
    };
    let pixels = ForecastOptions { encoder: Some(encoder), pixels: true, ..small() };
    assert_eq!(named(&one, pixels), "pixels");
}
