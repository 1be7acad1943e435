use rayon::prelude::*;
use selfsame_augment::{Policy, Purpose, Scratch, Source, ViewKey};
use selfsame_data::Split;

/// How the views of a set of images are drawn: A_M(x) of the theory, once and for all.
#[derive(Debug, Clone, Copy)]
pub struct ViewSets<'a> {
    /// What draws them.
    pub policy: &'a Policy,
    /// What the views are for, which keeps them apart from all others.
    pub purpose: Purpose,
    /// The seed of the run.
    pub seed: u64,
    /// Views drawn of an image.
    pub views: usize,
    /// Whether an image is one of its own views, the first.
    pub original: bool,
}

impl ViewSets<'_> {
    /// Views of an image in all.
    pub fn each(&self) -> usize {
        self.views + usize::from(self.original)
    }

    /// The views of these images of `split`, each of the image's own size: image after image, view
    /// after view, RGB bytes in rows. The images of a split are all of one size.
    ///
    /// # Panics
    /// Where an index is not one of the split.
    pub fn draw(&self, split: &Split, images: &[usize]) -> Vec<u8> {
        let size = images.first().map_or(1, |&image| split.image(image).pixels.len());
        let mut bytes = vec![0; images.len() * self.each() * size];
        let own = bytes.par_chunks_exact_mut((self.each() * size).max(1)).zip(images);
        own.for_each_init(Scratch::default, |scratch, (views, &index)| {
            let image = split.image(index);
            let source = Source::new(image.width, image.height, image.pixels)
                .expect("a split holds whole images");
            let mut views = views.chunks_exact_mut(size);
            if self.original
                && let Some(first) = views.next()
            {
                first.copy_from_slice(image.pixels);
            }
            for (view, into) in views.enumerate() {
                let key = ViewKey::new(self.purpose, self.seed, index as u64, view as u32);
                self.policy
                    .view(key, source, image.width, scratch, into)
                    .expect("the view has the size of the image");
            }
        });
        bytes
    }
}
