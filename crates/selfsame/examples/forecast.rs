//! Which augmentation gathers the images of a class, before anything is trained?
//!
//! `cargo run --release --example forecast`

use selfsame::data::LoadOptions;
use selfsame::{ForecastOptions, forecast, load};

/// Ranks three policies on the built-in glyphs.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Instead of "glyphs", which are built in: a folder of images by class, a .tar of one, …
    let options = LoadOptions { limit: Some(400), ..LoadOptions::default() };
    let dataset = load("glyphs", &options, &mut ())?;

    // Letters (a crop, b blur, c grey, d colour, e flip), published policies, TOML.
    let policies = selfsame::policies(&["a,ad,simclr"])?;

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
