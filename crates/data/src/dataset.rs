use std::ops::Deref;
use std::sync::Arc;

use selfsame_kernels::map::ReadOnlyMap;
use selfsame_kernels::pixels::Image;

use crate::catalogue::Skipped;
use crate::decode::MAX_IMAGE_SIZE;
use crate::error::DataError;
use crate::facts::{Facts, Format};
use crate::glyphs::Factors;
use crate::leavings::{LeftAlone, LostFolder};

/// Images of one size, divided into training, validation and test, with a list of images that were
/// left out.
#[derive(Debug)]
pub struct Dataset {
    /// Name of the set: `glyphs`, or the last part of its path.
    pub name: String,
    /// Class names; a label is an index into this list. Empty if the images are unlabelled.
    pub classes: Vec<String>,
    /// Side of every image in pixels.
    pub image_size: u32,
    /// The images for training.
    pub train: Split,
    /// The images for choosing settings. They are never used for training or for reported results.
    pub validation: Split,
    /// The images for reported results. No setting is ever chosen with them.
    pub test: Split,
    /// Every image or archive entry that was left out, with its cause.
    pub skipped: Vec<Skipped>,
    /// Files that are not read because their names are not those of images, by ending and folder.
    pub left_alone: Vec<LeftAlone>,
    /// Folders of classes or splits of which no image is used, although they hold files that are
    /// meant as images. Whoever trains on the set should hear of them first.
    pub lost: Vec<LostFolder>,
    /// Number of hidden files and of files that systems leave behind, such as `Thumbs.db`. They are
    /// passed over. Every file of a folder or an archive is an image of the set, skipped, left
    /// alone or one of these.
    pub passed_over: usize,
    /// Remarks about the splits and the set, in plain sentences.
    pub notes: Vec<String>,
}

impl Dataset {
    /// Returns the split named `name`.
    pub fn split(&self, name: SplitName) -> &Split {
        match name {
            SplitName::Train => &self.train,
            SplitName::Validation => &self.validation,
            SplitName::Test => &self.test,
        }
    }
}

/// Name of one of the three parts of a [`Dataset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SplitName {
    /// The split [`Dataset::train`].
    Train,
    /// The split [`Dataset::validation`].
    Validation,
    /// The split [`Dataset::test`].
    Test,
}

impl SplitName {
    /// All three names.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Returns `train`, `validation` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// One of the three parts of a [`Dataset`].
#[derive(Debug)]
pub struct Split {
    pub(crate) image_size: u32,
    pub(crate) pixels: Arc<Pixels>,
    /// Position of each image in `pixels`, counted in images.
    pub(crate) slots: Vec<usize>,
    pub(crate) names: Vec<String>,
    pub(crate) labels: Option<Vec<u32>>,
    pub(crate) facts: Vec<Facts>,
    pub(crate) factors: Vec<Factors>,
}

impl Split {
    /// Makes a split of images in memory. `pixels` holds square RGB images of side `image_size`,
    /// one after the other, row by row. The name of each image is its number.
    ///
    /// ```
    /// use selfsame_data::Split;
    ///
    /// let two_grey_images = Split::new(8, vec![128; 2 * 8 * 8 * 3], Some(vec![0, 1]))?;
    /// assert_eq!(two_grey_images.len(), 2);
    /// # Ok::<(), selfsame_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// The size is not supported, `pixels` is not a whole number of images, or there is not one
    /// label per image.
    pub fn new(
        image_size: u32,
        pixels: Vec<u8>,
        labels: Option<Vec<u32>>,
    ) -> Result<Self, DataError> {
        if !(1..=MAX_IMAGE_SIZE).contains(&image_size) {
            return Err(DataError::ImageSize { size: image_size, max: MAX_IMAGE_SIZE });
        }
        let (bytes, length) = (pixels.len(), image_bytes(image_size));
        if !bytes.is_multiple_of(length) {
            let cause = format!("{bytes} bytes are no whole RGB images of {image_size} pixels");
            return Err(DataError::InMemory { cause });
        }
        let images = bytes / length;
        if let Some(labels) = labels.as_ref().filter(|labels| labels.len() != images) {
            let cause = format!("{images} images have {} labels", labels.len());
            return Err(DataError::InMemory { cause });
        }
        Ok(Self {
            image_size,
            pixels: Arc::new(Pixels::Memory(pixels)),
            slots: (0..images).collect(),
            names: (0..images).map(|image| image.to_string()).collect(),
            labels,
            facts: vec![Facts::new(Format::Plain, image_size, image_size); images],
            factors: Vec::new(),
        })
    }

    /// Returns the side of every image in pixels.
    #[must_use]
    pub fn image_size(&self) -> u32 {
        self.image_size
    }

    /// Returns the number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns whether there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Returns the image at `index`.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn image(&self, index: usize) -> Image<'_> {
        let start = self.slots[index] * image_bytes(self.image_size);
        Image::square(self.image_size, &self.pixels[start..])
    }

    /// Returns the images at `indices`, each with its index, which is its number in the key of a
    /// view.
    ///
    /// # Panics
    ///
    /// If an index is not below [`len`](Self::len).
    #[must_use]
    pub fn numbered(&self, indices: &[usize]) -> Vec<(u64, Image<'_>)> {
        indices.iter().map(|&index| (index as u64, self.image(index))).collect()
    }

    /// Returns one label per image, each an index into [`Dataset::classes`]. Returns `None` if the
    /// set is unlabelled.
    #[must_use]
    pub fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    /// Returns the name of the image at `index`, unique within the set: its path with `/`, or its
    /// file and record.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    /// Returns what is known of the file of the image at `index`.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn facts(&self, index: usize) -> &Facts {
        &self.facts[index]
    }

    /// Returns the factors that the image at `index` was drawn from, or `None` if the set is not
    /// `glyphs`.
    #[must_use]
    pub fn factors(&self, index: usize) -> Option<&Factors> {
        self.factors.get(index)
    }
}

/// The decoded images of all splits, one after the other.
#[derive(Debug)]
pub(crate) enum Pixels {
    Memory(Vec<u8>),
    /// A mapped cache file, and the offset in bytes at which its pixels start.
    Mapped(ReadOnlyMap, usize),
}

impl Deref for Pixels {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Memory(pixels) => pixels,
            Self::Mapped(map, start) => &map[*start..],
        }
    }
}

/// Returns the number of bytes of one square RGB image.
pub(crate) fn image_bytes(size: u32) -> usize {
    size as usize * size as usize * 3
}
