//! Fingerprints of images, by which records identify their images.

use selfsame_data::{Dataset, Split};
use sha2::{Digest, Sha256};

/// Computes the SHA-256, in hexadecimal, of the labels and pixels of all three splits, with the
/// sources that crops are drawn from. Two readings
/// of a data set are the same if their digests are equal.
///
/// ```
/// use selfsame::data::{LoadOptions, load};
///
/// let options = LoadOptions { limit: Some(20), ..LoadOptions::default() };
/// let [once, again] = [0, 1].map(|_| load("glyphs", &options, &|_, _| {}).unwrap());
/// assert_eq!(selfsame::digest(&once), selfsame::digest(&again));
/// ```
pub fn digest(dataset: &Dataset) -> String {
    let mut hasher = Sha256::new();
    for split in [&dataset.train, &dataset.validation, &dataset.test] {
        hasher.update((split.len() as u64).to_le_bytes());
        (0..split.len()).for_each(|image| hash_image(&mut hasher, split, image));
    }
    hex::encode(hasher.finalize())
}

/// Computes the SHA-256, in hexadecimal, of the labels and pixels of some images of a split, in the
/// given order.
///
/// # Panics
/// If an index is out of range for the split.
pub fn digest_of(split: &Split, images: &[usize]) -> String {
    let mut hasher = Sha256::new();
    images.iter().for_each(|&image| hash_image(&mut hasher, split, image));
    hex::encode(hasher.finalize())
}

fn hash_image(hasher: &mut Sha256, split: &Split, image: usize) {
    hasher.update(split.labels().map_or(u32::MAX, |labels| labels[image]).to_le_bytes());
    hasher.update(split.image(image).pixels());
    // Where images are their own sources, the digest is that of the images alone.
    if split.source_size() != split.image_size() {
        let source = split.source(image);
        hasher.update([source.width(), source.height()].map(u32::to_le_bytes).concat());
        hasher.update(source.pixels());
    }
}
