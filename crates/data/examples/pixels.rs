//! Writes the pixels that are read from image files, for `bench/decode.py` to compare with Pillow.
//!
//! Each line of the input is a size and a path. The central square of the image, brought to this
//! size, is written to the path with `.rgb` behind it; the cause, if it cannot be read, with
//! `.cause` behind it.

use std::error::Error;
use std::fs;

use rayon::prelude::*;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // Decoders' panics are caught, and come as causes.
    std::panic::set_hook(Box::new(|_| {}));
    let lines: Vec<String> = std::io::stdin().lines().collect::<Result<_, _>>()?;
    lines.par_iter().try_for_each(|line| {
        let (size, path) = line.split_once(' ').ok_or("a line is a size and a path")?;
        match selfsame_data::decode_image(&fs::read(path)?, size.parse()?) {
            Ok(pixels) => fs::write(format!("{path}.rgb"), pixels)?,
            Err(cause) => fs::write(format!("{path}.cause"), cause)?,
        }
        Ok::<(), Box<dyn Error + Send + Sync>>(())
    })?;
    Ok(())
}
