//! Trains an encoder on the built-in glyphs, measures it, and writes a page.
//!
//! `cargo run --release -p selfsame --example train`

use selfsame::report::evaluation_lines;
use selfsame::{Error, Progress, StudyOptions};

/// Prints what the library says while it works.
struct Print;

impl Progress for Print {
    fn note(&mut self, note: &str) {
        eprintln!("{note}");
    }
}

/// Trains, measures and prints.
pub fn main() -> Result<(), Error> {
    let options = StudyOptions {
        // Or "photos/": a folder of images, or of a folder of images a class.
        data: "glyphs".into(),
        limit: Some(500),
        image_size: Some(16),
        method: "simclr".into(),
        augment: Some(selfsame::policy("abcde")?),
        epochs: Some(5),
        out: Some(std::env::temp_dir().join("selfsame-train")),
        overwrite: true, // the run of an earlier call
        ..StudyOptions::default()
    };
    let study = selfsame::study(&options, &mut Print)?;

    for line in evaluation_lines(&study.evaluation) {
        println!("{line}");
    }
    println!("the page: {}", study.training.report.display());
    println!("the encoder: {}", study.training.run.join("checkpoints/last.safetensors").display());
    Ok(())
}
