//! Computation of features from images.

use burn::tensor::Device;
use selfsame_augment::Image;
use selfsame_nn::frozen::Frozen;
use selfsame_nn::{Backbone, pixels};

use crate::{Error, Features};

/// Number of images that pass the encoder at a time on devices other than the processor.
const BATCH: usize = 256;

/// Runs `encoder`, in evaluation mode, on square RGB images of one size, and returns one row per
/// image.
///
/// From time to time, `done` is called with the number of images that have been embedded.
///
/// # Errors
/// [`Error::NotFinite`] if the encoder returns a value that is infinite or not a number, with the
/// image's row.
///
/// # Panics
/// If an image is not square, is not RGB, or differs in size from the first image.
pub fn embed(
    encoder: &Backbone,
    images: &[Image<'_>],
    device: &Device,
    done: &mut dyn FnMut(usize),
) -> Result<Features, Error> {
    let Some(size) = images.first().map(Image::width) else {
        return Features::new(0, 1, Vec::new());
    };
    for image in images {
        let shape = (image.width(), image.height(), image.channels());
        assert_eq!(shape, (size, size, 3), "images to embed are square, RGB and of one size");
    }
    let (size, images) = (size as usize, images.iter().map(Image::pixels).collect::<Vec<_>>());
    let frozen = Frozen::new(encoder, size);
    let batch = frozen.as_ref().map_or(BATCH, Frozen::batch);
    let (mut values, mut through) = (Vec::new(), 0);
    for batch in images.chunks(batch) {
        let features = match &frozen {
            Some(frozen) => frozen.embed(batch),
            None => {
                let features =
                    encoder.forward(pixels::normalise(&batch.concat(), size, device)).into_data();
                features.convert::<f32>().try_into_vec().expect("the data was converted to f32")
            }
        };
        if through == 0 {
            values.reserve_exact(features.len() / batch.len() * images.len());
        }
        values.extend(features);
        through += batch.len();
        done(through);
    }
    Features::new(images.len(), values.len() / images.len(), values)
}
