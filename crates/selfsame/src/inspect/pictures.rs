//! Names of images, and the pictures of those that the page shows.

use selfsame_data::Dataset;
use selfsame_eval::sample;
use selfsame_report::Sprite;
use selfsame_report::inspection::ImageName;

use crate::Error;
use crate::all::All;
use crate::pictures::Pictures;

/// Largest side of a picture in pixels.
const SIDE: u32 = 96;
/// Maximum number of examples of a class.
const EXAMPLES: usize = 8;
/// Maximum number of examples of all classes.
const ALL_EXAMPLES: usize = 240;
/// Number of examples of unlabelled images.
const UNLABELLED: usize = 24;
const COLUMNS: u32 = 16;

/// Names images, and collects those whose pictures are shown.
pub struct Shown<'a>(Pictures<'a>);

impl<'a> Shown<'a> {
    pub fn new(all: &'a All<'a>) -> Self {
        Self(Pictures::new(all))
    }

    /// Returns the name of an image; `picture` says whether the page shows it.
    pub fn name(&mut self, number: usize, picture: bool) -> ImageName {
        let tile = picture.then(|| self.0.tile(number));
        let all = self.0.all;
        ImageName {
            name: all.name(number).to_owned(),
            split: all.split(number).name(),
            class: all.class(number).map(str::to_owned),
            tile,
        }
    }

    /// Packs the pictures of all images that are shown. Returns `None` if there are none.
    pub fn pictures(&self) -> Result<Option<Sprite>, Error> {
        self.0.pack(SIDE, COLUMNS)
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
