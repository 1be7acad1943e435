//! Names of images, and the pictures of those that the page shows.

use std::collections::HashMap;

use selfsame_data::{Dataset, Image};
use selfsame_eval::{sample, shrink};
use selfsame_report::Sprite;
use selfsame_report::inspection::ImageName;

use super::All;
use crate::Error;

/// Largest side of a picture in pixels.
const SIDE: u32 = 96;
/// Pictures of up to this side are stored without loss: there is little to see in them otherwise.
const LOSSLESS_UP_TO: u32 = 32;
/// Maximum number of examples of a class.
const EXAMPLES: usize = 8;
/// Maximum number of examples of all classes.
const ALL_EXAMPLES: usize = 240;
/// Number of examples of unlabelled images.
const UNLABELLED: usize = 24;
const COLUMNS: u32 = 16;

/// Names images, and collects those whose pictures are shown.
pub struct Shown<'a> {
    all: &'a All<'a>,
    tiles: HashMap<usize, usize>,
    images: Vec<usize>,
}

impl<'a> Shown<'a> {
    pub fn new(all: &'a All<'a>) -> Self {
        Self { all, tiles: HashMap::new(), images: Vec::new() }
    }

    /// Returns the name of an image; `picture` says whether the page shows it.
    pub fn name(&mut self, number: usize, picture: bool) -> ImageName {
        let all = self.all;
        let tile = picture.then(|| {
            *self.tiles.entry(number).or_insert_with(|| {
                self.images.push(number);
                self.images.len() - 1
            })
        });
        let class = all.label(number).map(|label| all.dataset.classes[label as usize].clone());
        ImageName {
            name: all.name(number).to_owned(),
            split: all.split(number).name(),
            class,
            tile,
        }
    }

    /// Packs the pictures of all images that are shown. Returns `None` if there are none.
    pub fn pictures(&self) -> Result<Option<Sprite>, Error> {
        if self.images.is_empty() {
            return Ok(None);
        }
        let images: Vec<Image<'_>> = self.images.iter().map(|&n| self.all.image(n)).collect();
        let side = self.all.dataset.image_size.min(SIDE);
        let pictures = shrink(&images, SIDE);
        let pictures: Vec<&[u8]> = pictures.iter().map(|picture| &**picture).collect();
        let pack = if side <= LOSSLESS_UP_TO { Sprite::lossless } else { Sprite::thumbnails };
        Ok(Some(pack(side, side, &pictures, COLUMNS)?))
    }
}

/// Chooses training images of each class at random, or of all images if they are unlabelled.
pub fn examples(dataset: &Dataset) -> Vec<Vec<usize>> {
    let Some(labels) = dataset.train.labels() else {
        return vec![sample(dataset.train.len(), UNLABELLED)];
    };
    let each = (ALL_EXAMPLES / dataset.classes.len().max(1)).clamp(1, EXAMPLES);
    let mut of_class = vec![Vec::new(); dataset.classes.len()];
    for (image, &label) in labels.iter().enumerate() {
        of_class[label as usize].push(image);
    }
    // Of very many classes, the first are shown.
    of_class.truncate(ALL_EXAMPLES);
    let chosen = |images: Vec<usize>| {
        sample(images.len(), each).into_iter().map(|index| images[index]).collect()
    };
    of_class.into_iter().map(chosen).collect()
}
