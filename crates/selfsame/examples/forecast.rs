//! Which augmentation gathers the images of a class, before anything is trained?
//!
//! `cargo run --release --example forecast`

use selfsame::data::LoadOptions;
use selfsame::{ForecastOptions, forecast, load};

/// Ranks three policies on the built-in glyphs.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Any folder, archive or array file of images instead of "glyphs", which are built in.
    let options = LoadOptions { limit: Some(400), ..LoadOptions::default() };
    let dataset = load("glyphs", &options, &mut ())?;

    // Letters of the paper's transformations (a: crop … e: blur), a published policy, or TOML.
    let mut policies = Vec::new();
    for name in ["a", "ad", "simclr"] {
        policies.push((name.to_owned(), name.parse()?));
    }

    // Without `out`, nothing is written.
    let options = ForecastOptions { per_class: 12, views: 4, ..ForecastOptions::default() };
    let forecast = forecast(&dataset, &policies, &options, &mut ())?;

    for policy in &forecast.policies {
        let [low, high] = policy.score.interval.unwrap_or_default();
        println!(
            "{} {:8} {:.3} ({low:.3} to {high:.3})",
            policy.rank,
            policy.name,
            policy.score.value()
        );
    }
    for &best in &forecast.recommended {
        println!("recommended: {}", forecast.policies[best].name);
    }
    forecast.sentences().iter().for_each(|sentence| println!("{sentence}"));
    Ok(())
}
