//! From images to features: the one measure that runs an encoder.

use burn::tensor::Device;
use selfsame_nn::{ResNet, pixels};

use crate::{Error, Features};

/// Images that pass the encoder together: enough to keep every core busy, few enough to stay in memory.
const BATCH: usize = 256;

/// Runs `encoder`, in evaluation mode, on square RGB images of side `size`, and returns a row an image.
///
/// `done` is told, from time to time, how many images are through.
///
/// # Errors
/// [`Error::NotFinite`] if the encoder returns a value that is infinite or not a number, with the image's row.
///
/// # Panics
/// If an image does not hold `size² · 3` bytes.
pub fn embed(
    encoder: &ResNet,
    images: &[&[u8]],
    size: usize,
    device: &Device,
    done: &mut dyn FnMut(usize),
) -> Result<Features, Error> {
    let mut values = Vec::new();
    let mut dim = 1;
    for (number, batch) in images.chunks(BATCH).enumerate() {
        let features = encoder.forward(pixels::normalise(&batch.concat(), size, device));
        dim = features.dims()[1];
        values.reserve_exact(if number == 0 { images.len() * dim } else { 0 });
        values.extend(
            features.into_data().convert::<f32>().try_into_vec::<f32>().expect("the data was converted to f32"),
        );
        done(number * BATCH + batch.len());
    }
    Features::new(images.len(), dim, values)
}
