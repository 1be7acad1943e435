use std::ops::Deref;
use std::sync::Arc;

use selfsame_kernels::map::ReadOnlyMap;
use selfsame_kernels::pixels::Image;

use crate::catalogue::Skipped;
use crate::glyphs::Factors;

/// Images brought to one size, divided into training, validation and test, with what had to be left
/// out.
#[derive(Debug)]
pub struct Dataset {
    /// What the set is called: `glyphs`, or the last part of its path.
    pub name: String,
    /// Class names; a label is an index into them. Empty when the images are unlabelled.
    pub classes: Vec<String>,
    /// Side of every image in pixels.
    pub image_size: u32,
    /// The images to learn from.
    pub train: Split,
    /// The images to choose by: never trained on, never reported on.
    pub validation: Split,
    /// The images to report on: nothing is ever chosen by them.
    pub test: Split,
    /// Every image or archive entry that was left out, with its cause.
    pub skipped: Vec<Skipped>,
    /// How the splits were made and what else the user should know, in plain sentences.
    pub notes: Vec<String>,
}

/// One of the three parts of a [`Dataset`].
#[derive(Debug)]
pub struct Split {
    pub(crate) image_size: u32,
    pub(crate) pixels: Arc<Pixels>,
    /// Where each image lies in `pixels`, counted in images.
    pub(crate) slots: Vec<usize>,
    pub(crate) names: Vec<String>,
    pub(crate) labels: Option<Vec<u32>>,
    pub(crate) factors: Vec<Factors>,
}

impl Split {
    /// The number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The image at `index`.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn image(&self, index: usize) -> Image<'_> {
        let start = self.slots[index] * image_bytes(self.image_size);
        Image::square(self.image_size, &self.pixels[start..])
    }

    /// The images at `indices`, each with its index, which is its number in the key of a view.
    ///
    /// # Panics
    ///
    /// If an index is not below [`len`](Self::len).
    #[must_use]
    pub fn numbered(&self, indices: &[usize]) -> Vec<(u64, Image<'_>)> {
        indices.iter().map(|&index| (index as u64, self.image(index))).collect()
    }

    /// One label an image, each an index into [`Dataset::classes`]; `None` when the set is
    /// unlabelled.
    #[must_use]
    pub fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    /// The name of the image at `index`, unique within the set: its path with `/`, or file and
    /// record.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    /// What the image at `index` was drawn from; `None` unless the set is `glyphs`.
    #[must_use]
    pub fn factors(&self, index: usize) -> Option<&Factors> {
        self.factors.get(index)
    }
}

/// The decoded images of all splits, one after the other.
#[derive(Debug)]
pub(crate) enum Pixels {
    Memory(Vec<u8>),
    /// A cache file and the byte at which its pixels start.
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

/// Bytes of one square RGB image.
pub(crate) fn image_bytes(size: u32) -> usize {
    size as usize * size as usize * 3
}
