//! Which images does an encoder hold to be alike? Trains one on built-in images for a few seconds, and
//! looks at single images.
//!
//! `cargo run --release --example neighbours`

use selfsame::report::look::words;
use selfsame::{NeighboursOptions, StudyOptions};

/// Trains, and prints the neighbours of a few images.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("selfsame-neighbours-{}", std::process::id()));
    let options = StudyOptions {
        limit: Some(200),
        image_size: Some(16),
        width: Some(4),
        batch: Some(32),
        epochs: Some(2),
        out: Some(folder.clone()),
        ..StudyOptions::default()
    };
    selfsame::study(&options, &mut ())?;

    // Without names, a few test images of each class are chosen.
    let options = NeighboursOptions { nearest: 3, ..NeighboursOptions::default() };
    let found = selfsame::neighbours(&folder, &options, &mut ())?;
    words::neighbour_lines(&found).iter().for_each(|line| println!("{line}"));
    println!("{}", folder.join("report.html").display());
    Ok(())
}
