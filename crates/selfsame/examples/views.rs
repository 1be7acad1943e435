//! What does an augmentation do to images? Draws views, and a page that shows them.
//!
//! `cargo run --release --example views`

use selfsame::data::LoadOptions;
use selfsame::{ViewsOptions, load, views};

/// Draws views of four images by two policies, and writes a page of them.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = LoadOptions { limit: Some(40), ..LoadOptions::default() };
    let dataset = load("glyphs", &options, &mut ())?;

    // A published policy, and one of your own: what is left out does nothing.
    let own = "crop = { scale = [0.5, 1.0] }\nflip = {}";
    let policies = [
        ("simclr".to_owned(), "simclr".parse()?),
        ("own".to_owned(), selfsame::augment::Policy::from_toml(own)?),
    ];

    let options = ViewsOptions { images: 4, views: 3, ..ViewsOptions::default() };
    let record = views(&dataset, &policies, &options, &mut ())?;
    for policy in &record.policies {
        for image in &policy.images {
            // A view is a pure function of its key, so each can be drawn again.
            let draws: Vec<String> = image.views.iter().map(|view| view.draw.to_string()).collect();
            println!("{} of {}: {}", policy.augment, image.name, draws.join(" | "));
        }
    }

    let page = std::env::temp_dir().join("selfsame-views.html");
    std::fs::write(&page, record.page())?;
    println!("{}", page.display());
    Ok(())
}
