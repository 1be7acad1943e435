use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use selfsame_augment::{Policy, Purpose, Scratch, Source, ViewKey};
use selfsame_data::Split;

/// The order of `images` images in an epoch: a pure function of seed and epoch.
pub(crate) fn order(images: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    let mut order: Vec<usize> = (0..images).collect();
    order.shuffle(&mut rng);
    order
}

/// View number `view` of each of `images` in `epoch`, square RGB images of side `size` one after
/// the other.
pub(crate) fn views(
    policy: &Policy,
    split: &Split,
    images: &[usize],
    size: u32,
    seed: u64,
    epoch: u64,
    view: u32,
) -> Vec<u8> {
    let bytes = size as usize * size as usize * 3;
    let mut out = vec![0; images.len() * bytes];
    out.par_chunks_mut(bytes).zip(images).for_each_init(
        Scratch::default,
        |scratch, (out, &image)| {
            let pixels = split.image(image);
            let source = Source::new(pixels.width, pixels.height, pixels.pixels)
                .expect("a split holds whole images");
            let key = ViewKey::new(Purpose::Training { epoch }, seed, image as u64, view);
            policy.view(key, source, size, scratch, out).expect("the view was given its size");
        },
    );
    out
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn order_is_a_permutation_of_its_own_epoch() {
        let mut first = order(100, 7, 0);
        assert_eq!(first, order(100, 7, 0));
        assert_ne!(first, order(100, 7, 1));
        assert_ne!(first, order(100, 8, 0));
        first.sort_unstable();
        assert_eq!(first, (0..100).collect::<Vec<_>>());
    }
}
