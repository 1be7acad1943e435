//! Samples of images, and images in small.

use std::borrow::Cow;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use selfsame_augment::{Image, Scratch, resize};

/// Returns at most `max` of `count` indices, ascending. The choice is random, because a regular
/// choice could fall in step with a regular order of classes. It is the same in every call.
pub fn sample(count: usize, max: usize) -> Vec<usize> {
    let mut chosen =
        rand::seq::index::sample(&mut ChaCha8Rng::seed_from_u64(0), count, count.min(max))
            .into_vec();
    chosen.sort_unstable();
    chosen
}

/// Returns the pixels of `images`. Images with a side above `max_side` are resized to squares of
/// that side.
pub fn shrink<'a>(images: &[Image<'a>], max_side: u32) -> Vec<Cow<'a, [u8]>> {
    let fits = |image: &Image<'_>| image.width().max(image.height()) <= max_side;
    let shrink = |scratch: &mut Scratch, image: &Image<'a>| match fits(image) {
        true => Cow::Borrowed(image.pixels()),
        false => Cow::Owned(resize(*image, max_side, scratch)),
    };
    images.par_iter().map_init(Scratch::default, shrink).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tall_image_is_shrunk_too() {
        let tall = Image::rgb(2, 8, &[7; 2 * 8 * 3]).unwrap();
        assert_eq!(&*shrink(&[tall], 4)[0], &[7; 4 * 4 * 3]);
        let small = Image::rgb(2, 4, &[7; 2 * 4 * 3]).unwrap();
        assert_eq!(shrink(&[small], 4)[0].len(), 2 * 4 * 3);
    }
}
