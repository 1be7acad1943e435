use std::ops::Deref;
use std::sync::Arc;

use selfsame_kernels::map::ReadOnlyMap;
use selfsame_kernels::pixels::{Image, Numbered};

use crate::decode::MAX_IMAGE_SIZE;
use crate::error::DataError;
use crate::facts::{Facts, Format};
use crate::glyphs::Factors;
use crate::leavings::{LeftAlone, LostFolder, Skipped};

/// Images, divided into training, validation and test, with a list of images that were
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
    /// Refuses splits that contradict each other or the set: another size, labels of no class, or
    /// no labels where there are classes. The loaders' sets are sound; sets made of
    /// [`Split::new`] may not be.
    ///
    /// # Errors
    /// [`DataError::InMemory`] with the first contradiction.
    pub fn check(&self) -> Result<(), DataError> {
        let refuse = |cause: String| Err(DataError::InMemory { cause });
        let classes = self.classes.len();
        for name in SplitName::ALL {
            let (split, name) = (self.split(name), name.name());
            if split.is_empty() {
                continue;
            }
            if split.image_size() != self.image_size {
                return refuse(format!(
                    "the {name} images are of {} pixels, and the set's are of {}",
                    split.image_size(),
                    self.image_size
                ));
            }
            match split.labels() {
                None if classes > 0 => {
                    return refuse(format!(
                        "the {name} images have no labels, but there are classes"
                    ));
                }
                labels => {
                    let mut labels = labels.unwrap_or_default().iter();
                    if let Some(label) = labels.find(|&&label| label as usize >= classes) {
                        return refuse(format!(
                            "a {name} image has the label {label}, and there are {classes} classes"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the largest shorter side of what crops are drawn from, in pixels; see
    /// [`Split::source`]. It is the image size if every image is its own source.
    #[must_use]
    pub fn source_size(&self) -> u32 {
        self.train.source_size()
    }

    /// Returns the [`source_size`](Self::source_size), or `None` if every image is its own source.
    #[must_use]
    pub fn larger_source(&self) -> Option<u32> {
        Some(self.source_size()).filter(|&size| size != self.image_size)
    }

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
            pixels: Arc::new(Pixels { bytes: Bytes::Memory(pixels), image_size, places: None }),
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
        self.pixels.image_size
    }

    /// Returns the largest shorter side of a [`source`](Self::source) in pixels. It is the image
    /// size if every image is its own source.
    #[must_use]
    pub fn source_size(&self) -> u32 {
        self.pixels.source_size()
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

    /// Returns the image at `index` as everything but a crop sees it: the centre square of the
    /// file's image, at the image size.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn image(&self, index: usize) -> Image<'_> {
        self.pixels.square(self.slots[index])
    }

    /// Returns what crops of the image at `index` are drawn from: all of the file's image, brought
    /// to a shorter side between the image size and the [`source_size`](Self::source_size). Of an
    /// image more than four times as long as wide, it is the middle. If both sizes are equal, it is
    /// the [`image`](Self::image).
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn source(&self, index: usize) -> Image<'_> {
        self.pixels.source(self.slots[index])
    }

    /// Returns the images at `indices` for views to be drawn of them. Their numbers are their
    /// indices.
    ///
    /// # Panics
    ///
    /// If an index is not below [`len`](Self::len).
    #[must_use]
    pub fn numbered(&self, indices: &[usize]) -> Vec<Numbered<'_>> {
        let numbered = |&index: &usize| Numbered {
            number: index as u64,
            image: self.image(index),
            source: self.source(index),
        };
        indices.iter().map(numbered).collect()
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

/// The decoded images of all splits.
#[derive(Debug)]
pub(crate) struct Pixels {
    /// The centre squares, one after the other, then the sources.
    pub(crate) bytes: Bytes,
    /// Side of each square.
    pub(crate) image_size: u32,
    /// Where the sources are; `None` if every square is its own source.
    pub(crate) places: Option<Places>,
}

/// The sources of all images.
#[derive(Debug)]
pub(crate) struct Places {
    /// Largest shorter side of a source.
    pub(crate) size: u32,
    pub(crate) places: Vec<Place>,
}

/// A source among the bytes of [`Pixels`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Pixels {
    pub(crate) fn source_size(&self) -> u32 {
        self.places.as_ref().map_or(self.image_size, |places| places.size)
    }

    fn square(&self, slot: usize) -> Image<'_> {
        Image::square(self.image_size, &self.bytes[slot * image_bytes(self.image_size)..])
    }

    fn source(&self, slot: usize) -> Image<'_> {
        let Some(places) = &self.places else { return self.square(slot) };
        let Place { start, width, height } = places.places[slot];
        let length = rgb_bytes((width, height));
        Image::rgb(width, height, &self.bytes[start..start + length])
            .expect("the sizes of sources were checked")
    }
}

#[derive(Debug)]
pub(crate) enum Bytes {
    Memory(Vec<u8>),
    /// A mapped cache file, and the offset at which its pixels start.
    Mapped(ReadOnlyMap, usize),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Memory(pixels) => pixels,
            Self::Mapped(map, start) => &map[*start..],
        }
    }
}

/// Returns the number of bytes of an RGB image of this width and height.
pub(crate) fn rgb_bytes((width, height): (u32, u32)) -> usize {
    width as usize * height as usize * 3
}

/// Returns the number of bytes of one square RGB image.
pub(crate) fn image_bytes(size: u32) -> usize {
    rgb_bytes((size, size))
}
