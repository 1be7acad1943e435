//! What `selfsame inspect` finds in a data set before anything is trained on it.
//! (`inspect.json`)

use serde::Serialize;

use crate::Sprite;
use crate::record::{DatasetRecord, Skipped};

pub mod words;

/// Name of the file that holds an [`Inspection`].
pub const INSPECTION_FILE: &str = "inspect.json";
/// Name of the page of an inspection.
pub const INSPECTION_PAGE: &str = "inspect.html";
/// Name of the table of all copies.
pub const COPIES_FILE: &str = "copies.csv";

/// What a data set holds, what is odd about it, and what training would do with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// Version of selfsame.
    pub selfsame: String,
    /// The command, word by word, that reproduces the inspection; may be empty.
    pub command: Vec<String>,
    /// The images: how they were divided, and what was left out. All measures but those of files
    /// are taken at the size that the images are brought to.
    pub dataset: DatasetRecord,
    /// What is worth knowing or doing before training, the most important first.
    pub findings: Vec<Finding>,
    /// The classes. Empty without labels.
    pub classes: Vec<ClassCounts>,
    /// How evenly the images are spread over the classes; `None` below two classes.
    pub balance: Option<Balance>,
    /// What is known of the files that the images were read from.
    pub files: Files,
    /// Images that stand out, by kind. Every kind is listed, even if no image is of it.
    pub outliers: Vec<Outliers>,
    /// Copies and near copies.
    pub copies: Copies,
    /// What training would do with the images.
    pub plan: TrainingPlan,
    /// A few images of each class, or of all images if they are unlabelled.
    #[serde(skip)]
    pub examples: Vec<Vec<ImageName>>,
    /// The pictures of the page.
    #[serde(skip)]
    pub pictures: Option<Sprite>,
}

/// An image, by its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageName {
    /// Name of the image, unique within the set.
    pub name: String,
    /// Its split: `train`, `validation` or `test`.
    pub split: &'static str,
    /// Its class. `None` without labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Its tile in [`Inspection::pictures`]. `None` if the page does not show it.
    #[serde(skip)]
    pub tile: Option<usize>,
}

/// Numbers of images in the splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Images for training.
    pub train: usize,
    /// Images for choosing settings.
    pub validation: usize,
    /// Images for reported results.
    pub test: usize,
}

impl Counts {
    /// Returns the number of all images.
    pub fn all(self) -> usize {
        self.train + self.validation + self.test
    }
}

/// The images of a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassCounts {
    /// Name of the class.
    pub name: String,
    /// Number of its images in each split.
    pub images: Counts,
}

/// What is known of the files of all images.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Files {
    /// Formats, each with its number of images, the most frequent first.
    pub formats: Vec<(String, usize)>,
    /// Bits per channel, each with its number of images, the most frequent first.
    pub bits: Vec<(u8, usize)>,
    /// Sizes as stored, the most frequent first.
    pub sizes: Vec<FileSize>,
    /// Number of images that EXIF gives an orientation other than upright.
    pub turned: usize,
    /// Number of images with transparent pixels.
    pub transparent: usize,
    /// Number of files with further pictures, of which the first is read.
    pub several: usize,
}

/// A size of images as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileSize {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Number of images of this size.
    pub images: usize,
}

/// How evenly training images are spread over classes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Balance {
    /// The class with the most training images, and how many it has.
    pub largest: (String, usize),
    /// The class with the fewest training images, and how many it has.
    pub smallest: (String, usize),
    /// Number of equally large classes with the same entropy: exp(−Σ p ln p) over the shares p of
    /// the classes.
    pub effective_classes: f64,
}

/// Kinds of images that stand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Oddity {
    /// Nearly all pixels are dark.
    Dark,
    /// Nearly all pixels are bright.
    Bright,
    /// All pixels have nearly the same brightness.
    Flat,
    /// Neighbouring pixels differ far less than in other images.
    Blurred,
    /// Without colour, in a set of images with colour.
    Grey,
    /// Far wider or narrower than other images, before the middle is cut out.
    Shape,
    /// Far smaller than the size to which they are enlarged.
    Small,
}

/// The images that stand out in one way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outliers {
    /// The way in which they stand out.
    pub kind: Oddity,
    /// Value from which on an image counts, in the unit of the kind; see [`words::measure`].
    /// `None` if the set does not allow to tell.
    pub threshold: Option<f64>,
    /// Median of the value over all images.
    pub middle: f64,
    /// The images, the most extreme first.
    pub images: Vec<Outlier>,
}

/// An image that stands out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outlier {
    /// The image.
    pub image: ImageName,
    /// Its value.
    pub value: f64,
}

/// Copies and near copies among the images of all splits.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Copies {
    /// Groups of images whose pixels are equal: those with different labels first, then those in
    /// several splits, then by their first image.
    pub exact: Vec<Vec<ImageName>>,
    /// Near copies, pair by pair: those with different labels first, then the closest. Of images
    /// with equal pixels, the first one stands for all.
    pub near: Vec<NearCopy>,
    /// Number of pairs of near copies. Of each image, only the closest are listed.
    pub near_pairs: usize,
    /// Images that copies and near copies connect, in groups of three and more, the largest first.
    pub groups: Vec<Vec<ImageName>>,
    /// Images of a split that have a copy in another split, or in the same.
    pub crossings: Vec<Crossing>,
    /// Number of images that were too flat to be compared, except for exact copies.
    pub flat: usize,
    /// Side in pixels at which near copies were searched.
    pub side: usize,
    /// Largest closeness of near copies.
    pub threshold: f64,
    /// Whether near copies were searched.
    pub searched: bool,
}

impl Finding {
    /// Returns whether it is a remark that hardly stands in the way of training.
    pub fn is_mild(&self) -> bool {
        match self {
            Self::Unlabelled | Self::Outliers { .. } | Self::Imbalance(_) => true,
            Self::FewTested { images } => *images > 0,
            _ => false,
        }
    }
}

/// Two near copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NearCopy {
    /// The two images.
    pub images: [ImageName; 2],
    /// Whether one is like the mirror image of the other.
    pub mirrored: bool,
    /// Correlation of their values: 1 if they differ in brightness and contrast only.
    pub correlation: f64,
    /// Closeness: 0 for copies, about 1 for an image and the one most like it.
    pub closeness: f64,
}

/// Returns whether some of these copies are of different splits.
pub fn crosses_splits(images: &[ImageName]) -> bool {
    images.iter().any(|image| image.split != images[0].split)
}

/// Returns whether some of these copies have different labels.
pub fn labels_differ(images: &[ImageName]) -> bool {
    images.iter().any(|image| image.class != images[0].class)
}

/// Images of one split that have copies in another split, or further copies in the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Crossing {
    /// The split whose images are counted.
    pub split: &'static str,
    /// The split that holds the copies. If it is the same split, the first image of each group is
    /// not counted.
    pub of: &'static str,
    /// Number of images with an exact copy there.
    pub exact: usize,
    /// Number of images with a near copy there, but no exact copy.
    pub near: usize,
}

/// What training would do with the images, by default.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TrainingPlan {
    /// Name of the method.
    pub method: String,
    /// The augmentation.
    pub augment: String,
    /// Name of the encoder.
    pub encoder: String,
    /// Number of images per step.
    pub batch: usize,
    /// Number of passes over the training images.
    pub epochs: usize,
    /// Number of steps.
    pub steps: usize,
    /// Reason why training would refuse these images, if it would.
    pub refusal: Option<String>,
}

/// Something that is worth knowing or doing before training.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// Images of one split have copies in another split.
    Leak {
        /// The copies.
        crossing: Crossing,
        /// Number of images of the split.
        images: usize,
    },
    /// Copies have different labels, so that at least one label is wrong.
    Contradiction {
        /// Number of groups of exact copies.
        exact: usize,
        /// Number of pairs of near copies.
        near: usize,
    },
    /// Classes have test images but no training images.
    Untrained {
        /// The classes.
        classes: Vec<String>,
        /// Number of their test images.
        images: usize,
    },
    /// Classes have training images but no test images, though other classes have some.
    Untested {
        /// The classes.
        classes: Vec<String>,
    },
    /// Training would refuse the images.
    Refused {
        /// The reason.
        cause: String,
    },
    /// Folders of classes or splits have no image that is used.
    Lost {
        /// Number of folders.
        folders: usize,
        /// The first, and what it holds instead.
        first: Skipped,
    },
    /// Files are pictures by their endings, but of formats that are not read.
    Unread {
        /// Ending and number of files, the most frequent first.
        endings: Vec<(String, usize)>,
    },
    /// Images were left out.
    LeftOut {
        /// Number of images.
        images: usize,
        /// Cause of the first one.
        first: Skipped,
    },
    /// Training images have further copies in training.
    Repeats {
        /// The copies.
        crossing: Crossing,
        /// Number of images of the split.
        images: usize,
    },
    /// There are so few test images that accuracies on them tell little.
    FewTested {
        /// Number of test images.
        images: usize,
    },
    /// Classes differ much in size.
    Imbalance(Balance),
    /// The images have no labels.
    Unlabelled,
    /// Images stand out.
    Outliers {
        /// The way in which they stand out.
        kind: Oddity,
        /// Number of images.
        images: usize,
    },
}
