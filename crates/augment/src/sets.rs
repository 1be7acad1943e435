use std::ops::Range;

use rayon::prelude::*;
use selfsame_kernels::pixels::{Image, Numbered};

use crate::draw::Draw;
use crate::key::{Purpose, ViewKey};
use crate::policy::Policy;
use crate::view::Scratch;

/// The views of a set of images, for one purpose. Training uses such views in its steps. In the
/// theory they are A(x), the set of views that alignment, certificates and forecasts measure.
///
/// ```
/// use selfsame_augment::{Image, Numbered, Policy, Purpose, ViewSets};
///
/// let policy: Policy = "abcde".parse()?;
/// let pixels = [128; 8 * 8 * 3];
/// let images = [17, 18].map(|number| Numbered::new(number, Image::square(8, &pixels)));
///
/// let sets =
///     ViewSets { policy: &policy, purpose: Purpose::Forecast, seed: 0, views: 0..4, original: true };
/// assert_eq!(sets.each(), 5);
/// assert_eq!(sets.draw(&images, 8).len(), 2 * 5 * 8 * 8 * 3);
/// # Ok::<(), selfsame_augment::PolicyError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ViewSets<'a> {
    /// Policy that views are drawn by.
    pub policy: &'a Policy,
    /// Purpose of the views.
    pub purpose: Purpose,
    /// The seed of the run.
    pub seed: u64,
    /// Numbers of the views that are drawn for each image.
    pub views: Range<u32>,
    /// Whether each image itself, resized to the size of a view, precedes its views.
    pub original: bool,
}

impl ViewSets<'_> {
    /// Returns the number of views per image, including the image itself if it is one of them.
    pub fn each(&self) -> usize {
        self.views.len() + usize::from(self.original)
    }

    /// Draws the views of `images`. Crops are drawn from an image's source; a view without crop
    /// shows the image. The result has image after image, view after view. Each view has `size` ×
    /// `size` pixels with the channels of the images.
    ///
    /// # Panics
    /// If the images have different numbers of channels.
    pub fn draw(&self, images: &[Numbered<'_>], size: u32) -> Vec<u8> {
        let channels = images.first().map_or(1, |first| first.image.channels());
        let same = |image: Image<'_>| image.channels() == channels;
        assert!(images.iter().all(|i| same(i.image) && same(i.source)), "channels differ");
        let size = size as usize;
        let length = size * size * channels;
        let mut bytes = vec![0; images.len() * self.each() * length];
        let sets = bytes.par_chunks_exact_mut((self.each() * length).max(1)).zip(images);
        sets.for_each_init(Scratch::default, |scratch, (set, &numbered)| {
            let Numbered { number, image, source } = numbered;
            let mut outs = set.chunks_exact_mut(length);
            if self.original
                && let Some(out) = outs.next()
            {
                Draw::default().paint(image, size, scratch, out);
            }
            for (view, out) in self.views.clone().zip(outs) {
                let key = ViewKey::new(self.purpose, self.seed, number, view);
                let draw = self.policy.draw(key, source.width(), source.height());
                draw.paint(draw.origin(numbered), size, scratch, out);
            }
        });
        bytes
    }
}

/// Resizes the central square of `image` to `size` × `size` pixels.
pub fn resize(image: Image<'_>, size: u32, scratch: &mut Scratch) -> Vec<u8> {
    let size = size as usize;
    let mut out = vec![0; size * size * image.channels()];
    if size > 0 {
        Draw::default().paint(image, size, scratch, &mut out);
    }
    out
}
